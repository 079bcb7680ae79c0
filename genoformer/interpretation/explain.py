"""A variant as a model sees it: what it expects around either allele, or the track that changes most and what makes it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genoformer import plots
from genoformer.genome.codes import decode
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Alleles, Variant, centred_start, place_alleles
from genoformer.inference.bases import posteriors_along
from genoformer.inference.batching import Floats, borrowed
from genoformer.inference.tracks import TrackReader
from genoformer.interpretation.outputs import Output
from genoformer.interpretation.places import Place
from genoformer.interpretation.run import attributions
from genoformer.models.encoder import Encoder
from genoformer.models.longrange import LongRange
from genoformer.prediction import tracks_of

_BINS = 40  # on either side of the variant that are shown


class AlleleTracks(NamedTuple):
    """A track with either allele, over the edges of its bins on the contig."""

    label: str
    edges: Floats  # [N + 1]
    ref: Floats  # [N]
    alt: Floats  # [N]


class Explained(NamedTuple):
    """Logos of both alleles of a variant, and of a model of tracks the track that changes most."""

    place: Place  # of the logos
    ref: Floats  # heights [L, 4]
    alt: Floats
    label: str
    meaning: str
    tracks: AlleleTracks | None = None

    @property
    def shown(self) -> tuple[str, str]:
        """REF and ALT as the sequences have them; of long ones the length."""
        assert self.place.alleles is not None
        of = self.place.alleles
        spelled = (decode(codes[max(at, 0) : at + n]) for codes, at, n in
                   ((of.ref, of.ref_start, of.ref_length), (of.alt, of.alt_start, of.alt_length)))  # fmt: skip
        first, second = (text if len(text) <= 12 else f"{len(text)} bases" for text in spelled)
        return first, second


def explain(
    model: Encoder | LongRange, genome: Genome, variant: Variant, *, flank: int = 25, head: str | None = None,
    track: str | None = None, both_strands: bool = True, device: str = "cpu",
) -> Explained:  # fmt: skip
    """Both alleles of a variant in windows of 2 flank bases and the longer allele; variant.chrom is the FASTA's own name.

    Of a language model: the information of what it expects at each base given all others, the mean of both strands. Of a model
    of tracks: the track of that identifier, else the one whose sum over the bins around changes most (the mean of both strands
    where the strand pairs are known), and gradient x input of that sum on the forward strand; behind an insertion or deletion
    its bins are those of the alternative, not realigned.
    """
    length = 2 * flank + max(len(variant.ref), len(variant.alt))
    with borrowed(model, device) as ready:
        if isinstance(ready, Encoder):
            return _expected(ready, genome, variant, flank, length)
        return _by_tracks(ready, genome, variant, flank, length, head, track, both_strands)


def _expected(model: Encoder, genome: Genome, variant: Variant, flank: int, length: int) -> Explained:
    beyond = model.config.context_length
    start = variant.start - flank
    wide = place_alleles(genome, variant, start - beyond, length + 2 * beyond)
    ref, alt = (
        plots.information(posteriors_along(model, codes, beyond, beyond + length)).astype(np.float32)
        for codes in (wide.ref, wide.alt)
    )
    return Explained(
        _place(variant, start, wide, beyond, length), ref, alt, "bits",
        "What the model expects at each base, given all the others, where the reference and where the alternative is there.",
    )  # fmt: skip


def _by_tracks(
    model: LongRange, genome: Genome, variant: Variant, flank: int, length: int, head: str | None, wanted: str | None,
    both_strands: bool,
) -> Explained:  # fmt: skip
    config = model.config
    head = model.head_named(head)
    start = centred_start(variant, config.context_length)
    alleles = place_alleles(genome, variant, start, config.context_length)
    bins = model.bins_of(config.context_length)
    known = tracks_of(config, model.targets, head, None)
    reader, windows = TrackReader(model, head), np.stack([alleles.ref, alleles.alt])
    both_strands = both_strands and head in model.targets  # which says what the tracks of the other strand are
    predicted = reader.both_strands(windows, known.strand_pairs) if both_strands else reader(windows)  # [2, K, N]
    middle = (variant.start - start) // config.bin_size - bins.first
    first = start + bins.first * config.bin_size
    on_contig = -(first // config.bin_size), (genome.contigs[variant.chrom] - first) // config.bin_size
    low, high = max(0, on_contig[0], middle - _BINS), min(bins.n, max(on_contig[1], middle + 1), middle + _BINS + 1)
    shown = predicted[:, :, low:high].astype(float)
    change = (shown[1] - shown[0]).sum(1)
    named = [track.index for track in known if track.identifier == wanted]
    which = named[0] if named else int(np.abs(change).argmax())
    name = known[which].description or known[which].identifier
    why = "the track in which the score is largest" if named else "the track whose sum over these bins changes most"
    edges = start + (bins.first + low + np.arange(high - low + 1)) * config.bin_size
    output = Output(head=head, tracks=(which,), bins=(bins.first + low, high - low))
    place = Place(str(variant), variant.chrom, start, alleles.ref, alleles)
    one, two = attributions(model, [place, place.alternative], output=output)
    inside = variant.start - flank - start
    cut = slice(inside, inside + length)
    return Explained(
        _place(variant, variant.start - flank, alleles, inside, length), one.values[0, cut], two.values[0, cut],
        "gradient x input",
        f"{name}: {why}. {'Both strands' if both_strands else 'Forward strand'}: the sum changes by "
        f"{(predicted[1, which] - predicted[0, which]).sum(dtype=float):.3g} over all bins of a window around the variant, by "
        f"{change[which]:.3g} over those shown. Below, what each base adds to the sum shown, on the forward strand.",
        AlleleTracks(name, edges.astype(float), shown[0, which], shown[1, which]),
    )  # fmt: skip


def _place(variant: Variant, start: int, wide: Alleles, first: int, length: int) -> Place:
    """The stretch of the logos, cut out of wider alleles at `first`."""
    cut = slice(first, first + length)
    alleles = wide._replace(
        ref=wide.ref[cut], alt=wide.alt[cut], ref_start=wide.ref_start - first, alt_start=wide.alt_start - first
    )  # fmt: skip
    return Place(str(variant), variant.chrom, start, alleles.ref, alleles)
