"""Explanation of a variant by a track model: the scored track of both alleles, and the bases that it depends on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genoformer.genome.normalise import normalise, trimmed
from genoformer.genome.variants import Align, Alleles, Variant, place_alleles
from genoformer.genome.wording import signal_of_bins, without_empty_items
from genoformer.inference.runtime import Floats
from genoformer.interpretation.allele_ism import AlleleLogos, Logos, tracks_ism, uses_ism
from genoformer.interpretation.attribution import attributions
from genoformer.interpretation.explanation import AlleleTracks, Printed, VariantExplanation, allele_locus, difference
from genoformer.interpretation.loci import Locus
from genoformer.interpretation.targets import AttributionTarget
from genoformer.progress import ProgressCallback
from genoformer.scoring.track_scorer import Compared, TrackScorer
from genoformer.tables import rounded

_BINS = 40  # bins shown on either side of the variant
_N_TRACKS = 4  # tracks of the whole window: the scored one, and those with the next largest scores


def explain_tracks(
    scorer: TrackScorer,
    variant: Variant,
    *,
    flank: int = 25,
    printed: Printed | None = None,
    logos: Logos = "auto",
    progress: ProgressCallback = None,
) -> VariantExplanation:
    """Explain a variant by a track model, as `explain.explain` describes it."""
    compared = min(scorer.compared(variant), key=lambda one: abs(one.shift))
    drawn = _choose_track(scorer, variant, compared, printed)
    low, high = _bins_shown(scorer, compared, variant)
    ref, alt = (side[drawn.track, low:high] for side in (compared.ref, compared.alt))
    start = compared.job.start
    alleles = _aligned_alleles(scorer, variant, start)
    inside = variant.start - flank - start
    length = 2 * flank + max(len(variant.ref), len(variant.alt))
    locus = allele_locus(variant, variant.start - flank, alleles, inside, length)
    if uses_ism(logos, scorer, length):
        seen = tracks_ism(scorer, locus, drawn.track, scorer.scores[drawn.score], progress)
    else:
        by_model = [_attributed(scorer, i, compared, drawn.track, low, high) for i in range(len(scorer.models))]
        first, second = np.mean(by_model, axis=0)[:, inside : inside + length]
        meaning = "Logos: contribution of each base to the sum over these bins, on the forward strand."
        seen = AlleleLogos(first, second, "gradient x input", meaning)
    text = _describe_score(scorer, variant, compared, printed, drawn)
    return VariantExplanation(
        locus,
        seen.ref,
        seen.alt,
        seen.label,
        f"{_track_name(scorer, drawn.track)}: {drawn.reason}. {text} In {high - low:,} of the {scorer.bins.n:,} bins around "
        f"the variant the sum of alt - ref is {float((alt - ref).sum()):.3g}. {seen.meaning}",
        _allele_tracks(scorer, compared, drawn.track, (low, high)),
        tuple(_allele_tracks(scorer, compared, track, _bins_on_contig(scorer, compared, variant)) for track in drawn.order),
    )


def _allele_tracks(scorer: TrackScorer, compared: Compared, track: int, bins: tuple[int, int]) -> AlleleTracks:
    """Return a track of both alleles in a half-open range of bins."""
    low, high = bins
    edges = compared.first + np.arange(low, high + 1) * scorer.bin_size
    unit = signal_of_bins(scorer.bin_size)
    unit += ", on the scale of the model" if scorer.shown_scale == "model" else ""
    sides = compared.ref[track, low:high], compared.alt[track, low:high]
    return AlleleTracks(_track_name(scorer, track), edges.astype(float), *sides, unit, scorer.layout.names[track])


def _track_name(scorer: TrackScorer, track: int) -> str:
    """Return the description of a track; its identifier without one."""
    about = scorer.layout.outputs.descriptions
    return without_empty_items(about[track] if about is not None else "") or scorer.layout.names[track]


class _Drawn(NamedTuple):
    """Track to draw, the score that chose it, and the reason in words."""

    track: int
    score: int  # index of the score
    value: float  # of the score, computed again
    reason: str
    order: tuple[int, ...]  # this track, and those with the next largest scores


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
    value = float(values[which, track if scorer.scores[which].of_tracks else 0])
    others = [k for k in np.argsort(-strength, kind="stable").tolist() if k != track]
    return _Drawn(track, which, value, reason, (track, *others[: _N_TRACKS - 1]))


def _aligned_alleles(scorer: TrackScorer, variant: Variant, start: int) -> Alleles:
    """Return the alleles in the scorer's window, aligned as its first alternative; the anchor base stays if nothing moves."""
    alignments: dict[str, Align] = {"right": "right", "symmetric": "symmetric"}
    align = alignments.get(scorer.settings.indels, "left")
    if align == "left" or len(variant.ref) == len(variant.alt):
        return place_alleles(scorer.genome, variant, start, scorer.window)
    return place_alleles(scorer.genome, trimmed(normalise(variant, scorer.genome)), start, scorer.window, align)


def _bins_shown(scorer: TrackScorer, compared: Compared, variant: Variant) -> tuple[int, int]:
    """Return the half-open range of the bins to draw: around the variant, on the contig."""
    low, high = _bins_on_contig(scorer, compared, variant)
    middle = _middle_bin(scorer, compared, variant)
    return max(low, middle - _BINS), min(high, middle + _BINS + 1)


def _bins_on_contig(scorer: TrackScorer, compared: Compared, variant: Variant) -> tuple[int, int]:
    """Return the half-open range of the predicted bins that lie on the contig; that of the variant is always one of them."""
    size = scorer.bin_size
    ends = -(compared.first // size), (scorer.genome.contigs[variant.chrom] - compared.first) // size
    return max(0, ends[0]), min(scorer.bins.n, max(ends[1], _middle_bin(scorer, compared, variant) + 1))


def _middle_bin(scorer: TrackScorer, compared: Compared, variant: Variant) -> int:
    return int(np.clip((variant.start - compared.first) // scorer.bin_size, 0, scorer.bins.n - 1))


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
    start, end, size = compared.job.start, compared.job.start + scorer.window, scorer.genome.contigs[compared.job.chrom]
    window = f"{compared.job.chrom}:{max(start, 0) + 1:,}-{min(end, size):,}"
    parts += ["N beyond the contig"] if start < 0 or end > size else []
    total = float(compared.ref[drawn.track].sum())
    remark = difference(printed, drawn.value, total) if printed and is_printed else ""
    return f"{value} over {score.input.bins} of the window {window} ({', '.join(parts)}).{remark}"
