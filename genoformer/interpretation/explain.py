"""Explanation of one variant: base predictions of a language model, the scored track of a track model, or a class.

Windows, strands, shifts, alignment and tracks come from the scorer, so figures and texts agree with `score`.
"""

from __future__ import annotations

from functools import singledispatch
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N, decode
from genoformer.genome.normalise import normalise, trimmed
from genoformer.genome.variants import Align, Alleles, Variant, place_alleles
from genoformer.inference.base_probabilities import predict_bases
from genoformer.inference.runtime import Floats
from genoformer.interpretation.attribution import attributions
from genoformer.interpretation.loci import Locus
from genoformer.interpretation.targets import AttributionTarget
from genoformer.scoring.class_scorer import ClassScorer
from genoformer.scoring.score_types import Score
from genoformer.scoring.sequence_scorer import SequenceScorer
from genoformer.scoring.track_scorer import Compared, TrackScorer
from genoformer.scoring.variant_scorer import VariantScorer
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
    track: str | None = None  # or the class
    remade: bool = True  # True if the scorer at hand has the model that computed the score

    @property
    def text(self) -> str:
        return f"{self.score.name} {rounded(self.value)}"


class VariantExplanation(NamedTuple):
    """Logos of both alleles of a variant and, for a track model, the scored track."""

    locus: Locus
    ref: Floats  # heights [L, 4]
    alt: Floats
    label: str
    meaning: str
    tracks: AlleleTracks | None = None

    @property
    def shown(self) -> tuple[str, str]:
        """REF and ALT as the sequences spell them; the length of an allele of more than 12 bases."""
        assert self.locus.alleles is not None
        alleles = self.locus.alleles
        ref = decode(alleles.ref[max(alleles.ref_start, 0) : alleles.ref_start + alleles.ref_length])
        alt = decode(alleles.alt[max(alleles.alt_start, 0) : alleles.alt_start + alleles.alt_length])
        first, second = (text if len(text) <= 12 else f"{len(text)} bases" for text in (ref, alt))
        return first, second


@singledispatch
def explain(scorer: VariantScorer, variant: Variant, *, flank: int = 25, printed: Printed | None = None) -> VariantExplanation:
    """Explain a variant by logos of both alleles, in windows of the longer allele and `flank` bases on either side.

    variant.chrom is the contig name of the FASTA. The logos of a language model show `expected_letters` of its
    prediction of each base from all others. A track model gives the track of `printed`, or else the strongest track of the
    scorer's first score, in the compared bins (of the shift nearest to 0). Its logos show gradient x input of the track's sum
    over the bins shown, on the forward strand. The logos of a fine-tuned model show gradient x input of the logit of the class
    of `printed`, or else of the class with the largest first score. printed: the score in a file, which is reported unchanged;
    a remark reports a different result of the scorer. Other packages register the explanation of their own scorers with
    `explain.register`.
    """
    raise ConfigError(f"variants scored by {type(scorer).__name__} have no explanation; use a model of genoformer.")


@explain.register
def _(scorer: SequenceScorer, variant: Variant, *, flank: int = 25, printed: Printed | None = None) -> VariantExplanation:
    length = 2 * flank + max(len(variant.ref), len(variant.alt))
    margin = scorer.window
    start = variant.start - flank
    alleles = place_alleles(scorer.genome, variant, start - margin, length + 2 * margin)
    ref, alt = (_base_predictions(scorer, codes, margin, length) for codes in (alleles.ref, alleles.alt))
    meaning = (
        "Logos: how much the model expects each base of the reference and of the alternative allele, from its prediction of "
        "each base from all other bases: log2 P of the base minus the mean log2 P of the three others. A letter below 0 is "
        "unexpected."
    )
    if printed is not None:
        names = [score.name for score in scorer.scores]
        values = scorer.score([variant]).values[0]
        value = float(values[names.index(printed.score.name)]) if printed.score.name in names else np.nan
        parts = ""
        if printed.score.name == "LLR" and len(variant.ref) == len(variant.alt) == 1 and printed.remade:
            log2_alt, log2_ref = (float(ref[flank]["ACGT".index(base)]) for base in (variant.alt, variant.ref))
            parts = f", log2 P({variant.alt}) = {log2_alt:.3g} minus log2 P({variant.ref}) = {log2_ref:.3g}"
        strands = "mean of both strands" if scorer.both_strands else "forward strand"
        windows = f"({strands}, windows of {scorer.options['context'].replace('+', ' and ')} bases)"
        meaning = f"{printed.text}{parts} {windows}.{_difference(printed, value, abs(printed.value))} {meaning}"
    cut = slice(margin, margin + length)
    first, second = (expected_letters(log2_p, codes[cut]) for log2_p, codes in ((ref, alleles.ref), (alt, alleles.alt)))
    return VariantExplanation(_locus(variant, start, alleles, margin, length), first, second, "log-odds (bits)", meaning)


def expected_letters(log2_p: Floats, codes: Codes) -> Floats:
    """Return the heights [L, 4] of the bases of a sequence: log2 P of each base minus the mean log2 P of the three others.

    This is the ISM importance, minus the mean LLR of the three changes of a base. Unlike the prediction of a masked base, which
    is the same for both alleles, it shows the alleles themselves.

    >>> expected_letters(np.log2([[0.5, 0.125, 0.125, 0.25]]), np.array([1])).tolist()
    [[0.0, -1.0, 0.0, 0.0]]
    """
    known = codes < N
    at = np.flatnonzero(known), codes[known]
    heights = np.zeros(log2_p.shape, dtype=np.float32)
    heights[at] = (4 * log2_p[at] - log2_p[known].sum(-1)) / 3
    return heights


def _base_predictions(scorer: SequenceScorer, codes: Codes, margin: int, length: int) -> Floats:
    """Return log2 P of the bases [margin, margin + length) of a sequence, the mean over models: [length, 4]."""
    log2_p = [
        predict_bases(reader.model, codes, margin, margin + length, window=reader.length, both_strands=scorer.both_strands)
        for reader in scorer.readers
    ]
    return np.asarray(np.mean(log2_p, axis=0))


def _difference(printed: Printed, value: float, scale: float) -> str:
    """Return a remark on a score that was computed again; "" if both values are equal up to rounding."""
    if value != value:
        return ""
    if not printed.remade:
        return f" {printed.score.name} of the model in this figure: {rounded(value)}."
    if abs(value - printed.value) <= max(_AGREES * abs(printed.value), _ROUNDING * scale):
        return ""
    return (
        f" Recomputed here it is {rounded(value)}: the FASTA or an option differs from those of the scores, "
        "so the figure does not show what was scored."
    )


@explain.register
def _(scorer: ClassScorer, variant: Variant, *, flank: int = 25, printed: Printed | None = None) -> VariantExplanation:
    short = trimmed(normalise(variant, scorer.genome))
    shift = min(scorer.shifts, key=abs)
    start = scorer.window_start(short) + shift
    alleles = place_alleles(scorer.genome, short, start, scorer.window, "symmetric")
    values = scorer.layout.strongest(scorer.score_each([variant]))[0][0]  # [scores, K]
    names = [score.name for score in scorer.scores]
    which = names.index(printed.score.name) if printed is not None and printed.score.name in names else 0
    classes = scorer.layout.names
    named = [k for k, name in enumerate(classes) if printed is not None and name == printed.track]
    chosen = named[0] if named else int(np.abs(values[which]).argmax())
    target = AttributionTarget(int(scorer.classes[chosen]))
    loci = [Locus("", variant.chrom, start, codes) for codes in (alleles.ref, alleles.alt)]
    by_model = [[one.values[0] for one in attributions(model, loci, output=target)] for model in scorer.models]
    logos = np.mean(by_model, axis=0)
    first = max(0, short.start - start - flank)
    cut = slice(first, first + 2 * flank + max(len(variant.ref), len(variant.alt)))
    value = float(values[which, chosen])
    is_printed = printed is not None and printed.score.name == names[which]
    text = printed.text if printed is not None and is_printed else f"{names[which]} {rounded(value)}"
    remark = _difference(printed, value, abs(printed.value)) if printed is not None and is_printed else ""
    strands = "mean of both strands" if scorer.both_strands else "forward strand"
    moved = (
        f", {scorer.tile or 'mean'} of {len(scorer.shifts)} windows, shift {shift:+d} drawn" if len(scorer.shifts) > 1 else ""
    )
    return VariantExplanation(
        _locus(variant, start + first, alleles, first, cut.stop - first),
        logos[0][cut],
        logos[1][cut],
        "gradient x input",
        f"{classes[chosen]}: {text} ({strands}, windows of {scorer.window:,} bases{moved}).{remark} Logos: contribution of "
        f"each base to the logit of {classes[chosen]}, on the forward strand.",
    )


@explain.register
def _(scorer: TrackScorer, variant: Variant, *, flank: int = 25, printed: Printed | None = None) -> VariantExplanation:
    compared = min(scorer.compared(variant), key=lambda one: abs(one.shift))
    drawn = _choose_track(scorer, variant, compared, printed)
    low, high = _bins_shown(scorer, compared, variant)
    ref, alt = (side[drawn.track, low:high] for side in (compared.ref, compared.alt))
    by_model = [_attributed(scorer, i, compared, drawn.track, low, high) for i in range(len(scorer.models))]
    logos = np.mean(by_model, axis=0)
    start = compared.job.start
    alleles = _aligned_alleles(scorer, variant, start)
    inside = variant.start - flank - start
    length = 2 * flank + max(len(variant.ref), len(variant.alt))
    cut = slice(inside, inside + length)
    edges = compared.first + np.arange(low, high + 1) * scorer.bin_size
    about = scorer.layout.outputs.descriptions
    name = (about[drawn.track] if about is not None else "") or scorer.layout.names[drawn.track]
    text = _describe_score(scorer, variant, compared, printed, drawn)
    return VariantExplanation(
        _locus(variant, variant.start - flank, alleles, inside, length),
        logos[0][cut],
        logos[1][cut],
        "gradient x input",
        f"{name}: {drawn.reason}. {text} The figure shows {high - low:,} of the {scorer.bins.n:,} bins; their sum of alt - ref "
        f"is {float((alt - ref).sum()):.3g}. Logos: contribution of each base to the sum over them, on the forward strand.",
        AlleleTracks(name, edges.astype(float), ref, alt),
    )


class _Drawn(NamedTuple):
    """Track to draw, the score that chose it, and the reason in words."""

    track: int
    score: int  # index of the score
    value: float  # of the score, computed again
    reason: str


def _choose_track(scorer: TrackScorer, variant: Variant, compared: Compared, printed: Printed | None) -> _Drawn:
    """Return the track that the printed score names, or else the track with the largest score or change of its sum."""
    values = scorer.layout.strongest(scorer.score_each([variant]))[0][0]  # [scores, K]
    names = [score.name for score in scorer.scores]
    of_tracks = [i for i, score in enumerate(scorer.scores) if score.of_tracks]
    if printed is not None and printed.score.name in names:
        which = names.index(printed.score.name)
    else:
        which = of_tracks[0] if of_tracks else 0
    if scorer.scores[which].of_tracks:
        strength, reason = np.abs(np.nan_to_num(values[which])), f"the track with the largest {names[which]}"
    else:
        strength, reason = np.abs((compared.alt - compared.ref).sum(-1)), "the track with the largest change of its sum"
    named = [k for k, name in enumerate(scorer.layout.names) if printed is not None and name == printed.track]
    track = max(named, key=lambda k: float(strength[k])) if named else int(strength.argmax())
    if not named and printed is not None and printed.track is not None:
        reason += f" (the scores name {printed.track}, which is not among these tracks)"
    return _Drawn(track, which, float(values[which, track if scorer.scores[which].of_tracks else 0]), reason)


def _aligned_alleles(scorer: TrackScorer, variant: Variant, start: int) -> Alleles:
    """Return the alleles in the scorer's window, aligned as its first alternative; the anchor base stays if nothing moves."""
    alignments: dict[str, Align] = {"right": "right", "symmetric": "symmetric"}
    align = alignments.get(scorer.settings.indels, "left")
    if align == "left" or len(variant.ref) == len(variant.alt):
        return place_alleles(scorer.genome, variant, start, scorer.window)
    return place_alleles(scorer.genome, trimmed(normalise(variant, scorer.genome)), start, scorer.window, align)


def _bins_shown(scorer: TrackScorer, compared: Compared, variant: Variant) -> tuple[int, int]:
    """Return the half-open range of the bins to draw: around the variant, on the contig."""
    size, n = scorer.bin_size, scorer.bins.n
    middle = int(np.clip((variant.start - compared.first) // size, 0, n - 1))
    ends = -(compared.first // size), (scorer.genome.contigs[variant.chrom] - compared.first) // size
    return max(0, ends[0], middle - _BINS), min(n, max(ends[1], middle + 1), middle + _BINS + 1)


def _attributed(scorer: TrackScorer, model: int, compared: Compared, track: int, low: int, high: int) -> tuple[Floats, Floats]:
    """Return the contribution of each base of the scorer's window to the sum of a track over bins, for each allele: [L, 4]."""
    job = compared.job
    ref = scorer.genome.window(job.chrom, job.start, scorer.window)
    bins = (scorer.bins.first + low, high - low)
    target = AttributionTarget(head=scorer.head, tracks=(int(scorer.tracks[track]),), bins=bins)
    loci = [Locus("", job.chrom, job.start, codes) for codes in (ref, job.alternatives[0])]
    first, second = attributions(scorer.models[model], loci, output=target)
    return first.values[0], second.values[0]


def _describe_score(scorer: TrackScorer, variant: Variant, compared: Compared, printed: Printed | None, drawn: _Drawn) -> str:
    """Return a sentence on the score, the window and the comparison of the alleles."""
    score, settings = scorer.scores[drawn.score], scorer.settings
    is_printed = printed is not None and printed.score.name == score.name
    value = printed.text if printed and is_printed else f"{score.name} {rounded(drawn.value)}"
    length = {"realign": "bins realigned", "stitch": "bins stitched"}.get(settings.indels, f"aligned {settings.indels}")
    parts = ["both strands" if scorer.both_strands else "forward strand"]
    parts += [length] if len(variant.ref) != len(variant.alt) else []
    if len(settings.shifts) > 1:
        parts.append(f"mean of {len(settings.shifts)} shifts, shift {compared.shift:+d} drawn")
    elif settings.shifts[0]:
        parts.append(f"shift {settings.shifts[0]:+d}")
    if len(scorer.models) > 1:
        parts.append(f"mean of {len(scorer.models)} models")
    window = f"{compared.job.chrom}:{compared.job.start + 1:,}-{compared.job.start + scorer.window:,}"
    total = float(compared.ref[drawn.track].sum())
    remark = _difference(printed, drawn.value, total) if printed and is_printed else ""
    return f"{value} over {score.input.bins} of the window {window} ({', '.join(parts)}).{remark}"


def _locus(variant: Variant, start: int, alleles: Alleles, first: int, length: int) -> Locus:
    """Return the locus of the logos, cut out of wider alleles at index `first`."""
    cut = slice(first, first + length)
    shown = alleles._replace(
        ref=alleles.ref[cut],
        alt=alleles.alt[cut],
        ref_start=alleles.ref_start - first,
        alt_start=alleles.alt_start - first,
    )
    return Locus(str(variant), variant.chrom, start, shown.ref, shown)
