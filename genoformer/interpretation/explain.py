"""Explanation of one variant: a language model's base predictions around both alleles, or the scored track of a track model.

Windows, strands, shifts, alignment and tracks come from the scorer, so figures and texts agree with `score`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer import plots
from genoformer.genome.codes import decode
from genoformer.genome.normalise import normalise, trimmed
from genoformer.genome.variants import Align, Alleles, Variant, place_alleles
from genoformer.inference.base_probabilities import predict_bases
from genoformer.inference.runtime import Floats
from genoformer.interpretation.loci import Locus
from genoformer.interpretation.run import attributions
from genoformer.interpretation.targets import AttributionTarget
from genoformer.scoring.scorers import Scorer
from genoformer.scoring.scores import MASKS, Score
from genoformer.scoring.sequence_scorer import SequenceScorer
from genoformer.scoring.track_scorer import Compared, TrackScorer
from genoformer.tables import rounded

_BINS = 40  # bins shown on either side of the variant
_AGREES = 1e-3  # relative difference allowed for a score that is computed again in another batch
_ROUNDING = 1e-6  # relative to the sum of a track


class AlleleTracks(NamedTuple):
    """Predicted track for both alleles, with the edges of its bins on the contig."""

    label: str
    edges: Floats  # [N + 1]
    ref: NDArray[np.floating]  # [N]
    alt: NDArray[np.floating]  # [N]


class Printed(NamedTuple):
    """Score of a variant as a file reports it."""

    score: Score
    value: float
    track: str | None = None
    remade: bool = True  # True if the scorer at hand has the model that computed the score

    @property
    def text(self) -> str:
        return f"{self.score.name} {rounded(self.value)}"


class VariantExplanation(NamedTuple):
    """Logos of both alleles of a variant and, for a track model, the scored track."""

    place: Locus  # locus of the logos
    ref: Floats  # heights [L, 4]
    alt: Floats
    label: str
    meaning: str
    tracks: AlleleTracks | None = None

    @property
    def shown(self) -> tuple[str, str]:
        """REF and ALT as the sequences spell them; the length of an allele of more than 12 bases."""
        assert self.place.alleles is not None
        of = self.place.alleles
        spelled = (
            decode(codes[max(at, 0) : at + n])
            for codes, at, n in ((of.ref, of.ref_start, of.ref_length), (of.alt, of.alt_start, of.alt_length))
        )
        first, second = (text if len(text) <= 12 else f"{len(text)} bases" for text in spelled)
        return first, second


def explain(scorer: Scorer, variant: Variant, *, flank: int = 25, printed: Printed | None = None) -> VariantExplanation:
    """Explain a variant by logos of both alleles, in windows of the longer allele and `flank` bases on either side.

    variant.chrom is the contig name of the FASTA. The logos of a language model show the information content of its
    prediction of each base from all others. A track model gives the track of `printed`, or else the strongest track of the
    scorer's first score, in the compared bins (of the shift nearest to 0). Its logos show gradient x input of the track's sum
    over the bins shown, on the forward strand. printed: the score in a file, which is reported unchanged; a remark reports a
    different result of the scorer.
    """
    length = 2 * flank + max(len(variant.ref), len(variant.alt))
    if isinstance(scorer, SequenceScorer):
        return _expected(scorer, variant, flank, length, printed)
    assert isinstance(scorer, TrackScorer)
    return _by_tracks(scorer, variant, flank, length, printed)


def _expected(scorer: SequenceScorer, variant: Variant, flank: int, length: int, printed: Printed | None) -> VariantExplanation:
    beyond = scorer.length
    start = variant.start - flank
    wide = place_alleles(scorer.genome, variant, start - beyond, length + 2 * beyond)
    ref, alt = (
        np.mean(
            [
                predict_bases(
                    reader.model, codes, beyond, beyond + length, window=reader.length, both_strands=scorer.both_strands
                )
                for reader in scorer.readers
            ],
            axis=0,
        )
        for codes in (wide.ref, wide.alt)
    )
    strands = "mean of both strands" if scorer.both_strands else "forward strand"
    how = f"({strands}, windows of {scorer.options['context'].replace('+', ' and ')} bases)"
    meaning = "What the model expects at each base given all the others, with the reference and with the alternative."
    if printed is not None:
        answers = scorer([variant]).values[0]
        names = [score.name for score in scorer.scores]
        again = float(answers[names.index(printed.score.name)]) if printed.score.name in names else np.nan
        parts = ""
        if printed.score.name == "LLR" and len(variant.ref) == len(variant.alt) == 1 and printed.remade:
            here = ref[flank]
            a, b = (float(here["ACGT".index(base)]) for base in (variant.alt, variant.ref))
            parts = f", log2 P({variant.alt}) of {a:.3g} less log2 P({variant.ref}) of {b:.3g} at its base"
        meaning = f"{printed.text}{parts} {how}.{_again(printed, again, abs(printed.value))} {meaning}"
    first, second = (plots.information(of).astype(np.float32) for of in (ref, alt))
    return VariantExplanation(_place(variant, start, wide, beyond, length), first, second, "bits", meaning)


def _again(printed: Printed, again: float, scale: float) -> str:
    """Return a remark on a score that was computed again; "" if both values are equal up to rounding."""
    if again != again:
        return ""
    if not printed.remade:
        return f" {printed.score.name} of the model that draws: {rounded(again)}."
    if abs(again - printed.value) <= max(_AGREES * abs(printed.value), _ROUNDING * scale):
        return ""
    return (
        f" Made again here it is {rounded(again)}: the FASTA or an option is another than that of the scores, "
        "so what is drawn is not what was scored."
    )


def _by_tracks(scorer: TrackScorer, variant: Variant, flank: int, length: int, printed: Printed | None) -> VariantExplanation:
    (told,) = scorer.score_each([variant])
    values = scorer.layout.strongest([told])[0][0]  # [scores, K]
    of_tracks = [i for i, score in enumerate(scorer.scores) if score.of_tracks]
    names = [score.name for score in scorer.scores]
    wanted = printed.score.name if printed is not None else ""
    which = names.index(wanted) if wanted in names else of_tracks[0] if of_tracks else 0
    named = [k for k, name in enumerate(scorer.layout.names) if printed is not None and name == printed.track]
    seen = min(scorer.compared(variant), key=lambda of: abs(of.shift))
    if scorer.scores[which].of_tracks:
        strength, why = np.abs(values[which]), f"the track in which {names[which]} is largest"
    else:
        strength, why = np.abs((seen.alt - seen.ref).sum(-1)), "the track whose sum changes most"
    track = max(named, key=lambda k: float(strength[k])) if named else int(strength.argmax())
    again = float(values[which, track if scorer.scores[which].of_tracks else 0])
    low, high = _bins_shown(scorer, seen, variant)
    shown = [side[track, low:high] for side in (seen.ref, seen.alt)]
    edges = seen.first + np.arange(low, high + 1) * scorer.bin_size
    found = np.mean([_attributed(scorer, i, seen, track, low, high) for i in range(len(scorer.models))], axis=0)
    start = seen.job.start
    alleles = _laid(scorer, variant, start)
    inside = variant.start - flank - start
    cut = slice(inside, inside + length)
    about = scorer.layout.about
    name = (about[track].description if about is not None else "") or scorer.layout.names[track]
    text = _said(scorer, variant, seen, printed, again, which, float(seen.ref[track].sum()))
    if not named and printed is not None and printed.track is not None:
        why += f" here (the scores name {printed.track}, which is not one of these)"
    part = float((shown[1] - shown[0]).sum())
    return VariantExplanation(
        _place(variant, variant.start - flank, alleles, inside, length),
        found[0][cut],
        found[1][cut],
        "gradient x input",
        f"{name}: {why}. {text} Drawn are {high - low:,} of the {scorer.bins.n:,} bins; alt - ref over these alone is "
        f"{part:.3g}. Below, what each base adds to the sum over the bins drawn, on the forward strand.",
        AlleleTracks(name, edges.astype(float), shown[0], shown[1]),
    )


def _laid(scorer: TrackScorer, variant: Variant, start: int) -> Alleles:
    """Return the alleles in the scorer's window, aligned as its first alternative; the anchor base stays if nothing moves."""
    how: dict[str, Align] = {"right": "right", "symmetric": "symmetric"}
    align = how.get(scorer.settings.indels, "left")
    if align == "left" or len(variant.ref) == len(variant.alt):
        return place_alleles(scorer.genome, variant, start, scorer.length)
    return place_alleles(scorer.genome, trimmed(normalise(variant, scorer.genome)), start, scorer.length, align)


def _bins_shown(scorer: TrackScorer, seen: Compared, variant: Variant) -> tuple[int, int]:
    """Return the half-open range of the bins to draw: around the variant, on the contig."""
    size, n = scorer.bin_size, scorer.bins.n
    middle = int(np.clip((variant.start - seen.first) // size, 0, n - 1))
    ends = -(seen.first // size), (scorer.genome.contigs[variant.chrom] - seen.first) // size
    return max(0, ends[0], middle - _BINS), min(n, max(ends[1], middle + 1), middle + _BINS + 1)


def _attributed(scorer: TrackScorer, model: int, seen: Compared, track: int, low: int, high: int) -> tuple[Floats, Floats]:
    """Return the contribution of each base of the scorer's window to the sum of a track over bins, for each allele: [L, 4]."""
    job = seen.job
    ref = scorer.genome.window(job.chrom, job.start, scorer.length)
    output = AttributionTarget(
        head=scorer.head, tracks=(int(scorer.tracks[track]),), bins=(scorer.bins.first + low, high - low)
    )
    places = [Locus("", job.chrom, job.start, codes) for codes in (ref, job.alternatives[0])]
    one, two = attributions(scorer.models[model], places, output=output)
    return one.values[0], two.values[0]


def _said(
    scorer: TrackScorer, variant: Variant, seen: Compared, printed: Printed | None, again: float, which: int, scale: float
) -> str:
    """Return a sentence on the score, the window and the comparison of the alleles."""
    score, how = scorer.scores[which], scorer.settings
    value = printed.text if printed is not None and printed.score.name == score.name else f"{score.name} {rounded(again)}"
    bins = f"the bins of {MASKS[score.evidence]:,} bases around the variant" if score.evidence in MASKS else "all bins"
    bins = "the exons of a gene" if score.evidence == "gene" else bins
    length = {"realign": "bins realigned", "stitch": "bins stitched"}.get(how.indels, f"laid to the {how.indels}")
    parts = ["both strands" if how.both_strands else "forward strand"]
    parts += [length] if len(variant.ref) != len(variant.alt) else []
    if len(how.shifts) > 1:
        parts.append(f"mean of {len(how.shifts)} shifts, of which {seen.shift:+d} is drawn")
    elif how.shifts[0]:
        parts.append(f"shift {how.shifts[0]:+d}")
    if len(scorer.models) > 1:
        parts.append(f"mean of {len(scorer.models)} models")
    window = f"{seen.job.chrom}:{seen.job.start + 1:,}-{seen.job.start + scorer.length:,}"
    remark = _again(printed, again, scale) if printed is not None and printed.score.name == score.name else ""
    return f"{value} over {bins} of the window {window} ({', '.join(parts)}).{remark}"


def _place(variant: Variant, start: int, wide: Alleles, first: int, length: int) -> Locus:
    """Return the locus of the logos, cut out of wider alleles at index `first`."""
    cut = slice(first, first + length)
    alleles = wide._replace(
        ref=wide.ref[cut], alt=wide.alt[cut], ref_start=wide.ref_start - first, alt_start=wide.alt_start - first
    )
    return Locus(str(variant), variant.chrom, start, alleles.ref, alleles)
