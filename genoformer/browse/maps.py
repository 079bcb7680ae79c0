"""ISM and attention of a place, as `interpret` maps them -> rows of a canvas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from genoformer.browse.opened import Opened
from genoformer.browse.place import Place
from genoformer.genome.reference import Genome
from genoformer.genome.variants import place_alleles
from genoformer.interpretation.attention_maps import compute_attention, open_attention
from genoformer.interpretation.ism import Mutagenesis
from genoformer.interpretation.ism_maps import open_ism
from genoformer.interpretation.loci import Locus
from genoformer.interpretation.request import AttentionOptions, InterpretationRequest, IsmOptions, Profile
from genoformer.interpretation.session import open_session
from genoformer.models.base import PredictsTracks, has
from genoformer.progress import ProgressCallback, Stage
from genoformer.report.canvas import BasesRow, Change, ChangesRow, Row, TrackRow
from genoformer.scoring.scores import SCORES
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.scoring.variant_scorer import VariantScorer

_TOGETHER = 4  # bases of ISM between two reports of its progress


def locus_around(genome: Genome, place: Place, bases: int) -> Locus:
    """Return the bases around the middle of a place, within its contig."""
    start = max(0, place.middle - bases // 2)
    length = min(bases, genome.contigs[place.chrom] - start)
    return Locus("", place.chrom, start, genome.window(place.chrom, start, length))


class IsmTarget(NamedTuple):
    """Tracks that ISM sums, of a track model; the class of a fine-tuned model, None for the last."""

    tracks: Sequence[int] = ()
    output: str | None = None


def ism_rows(opened: Opened, locus: Locus, target: IsmTarget, progress: ProgressCallback = None) -> list[Row]:
    """Return the importance of each base of a locus, and the score of each change, in the windows of `score`."""
    scorer = opened.scorer
    request = InterpretationRequest([locus], opened.model, fasta=opened.genome, device=opened.request.device)
    options = IsmOptions(strand="both" if scorer.options["strands"] == "both" else "forward", context=scorer.window)
    if opened.is_classifier:
        options = replace(options, score=scorer.scores[0].name, output=target.output)
    if isinstance(scorer, TrackScorer):
        windows = scorer.settings._asdict()  # shifts, indels, anchor
        options = replace(options, tracks=tuple(target.tracks), head=scorer.head, scale=scorer.scale, **windows)
    session, ism = open_ism(open_session(request), options)
    stage = Stage(progress, "ISM, bases", len(locus.codes))
    (whole,) = session.loci
    maps: list[Mutagenesis] = []
    for piece in _pieces(whole):
        maps += ism.maps(session.model, [piece])
        stage.add(len(piece.codes))
    values = np.concatenate([of.values[0] for of in maps])
    importance = np.concatenate([of.base_importance[0] for of in maps])
    name = maps[0].names[0]
    score = name.partition(" ")[0].rstrip(",:")
    unit = SCORES[score].unit if score in SCORES else "change of the output"
    label = f"ISM of {name}{_of_track(scorer, target.tracks)}"
    return [
        BasesRow(f"{label}: importance", f"−mean of changes, {unit}", locus.start, locus.codes, importance),
        ChangesRow(f"{label}: each change", unit, locus.start, locus.codes, values),
    ]


def _of_track(scorer: VariantScorer, tracks: Sequence[int]) -> str:
    """Return the description of a single track, for a label."""
    if not isinstance(scorer, TrackScorer) or len(tracks) != 1:
        return ""
    text = scorer.targets[tracks[0]].description or scorer.targets[tracks[0]].identifier if scorer.targets else ""
    return f", {text or f'{scorer.head}_{tracks[0]}'}"


def _pieces(locus: Locus) -> list[Locus]:
    """Return consecutive pieces of a locus; the score of a change does not depend on the piece."""
    starts = range(0, len(locus.codes), _TOGETHER)
    return [locus._replace(start=locus.start + i, codes=locus.codes[i : i + _TOGETHER]) for i in starts]


def attention_rows(opened: Opened, window: Place, profile: str, progress: ProgressCallback = None) -> list[Row]:
    """Return the attention of the bases of a window, for both alleles of its variant if it has one."""
    length = window.end - window.start
    genome, variant = opened.genome, window.variant
    locus = Locus("", window.chrom, window.start, genome.window(window.chrom, window.start, length))
    loci = [locus]
    if variant is not None:
        placed = place_alleles(genome, variant, window.start, length)
        locus = locus._replace(codes=placed.ref, alleles=placed, allele=variant)
        loci = [locus, locus.alternative]
    context = length if has(opened.model, PredictsTracks) else None  # nothing around the window
    options = AttentionOptions(profile=_checked(opened, profile), context=context)
    request = InterpretationRequest(loci, opened.model, fasta=genome, length=length, device=opened.request.device)
    session = open_attention(request, options, progress=progress)
    maps = compute_attention(session, options, session.loci, progress=progress)
    label = f"Attention ({options.profile})"
    if has(opened.model, PredictsTracks):
        spans = opened.model.spans(locus.codes[None])[0]
        first, size = int(spans[0, 0]), int(spans[0, 1] - spans[0, 0])
        ref, *alt = (values[spans[:, 0]] for values in maps)
        return [TrackRow(label, _UNITS[profile], window.start + first, size, ref, alt[0] if alt else None, window.middle)]
    rows: list[Row] = []
    for of, values in zip(session.loci, maps, strict=True):
        name = "" if variant is None else " of REF" if not rows else " of ALT"
        change = None
        if rows and locus.alleles is not None and locus.alleles.ref_length != locus.alleles.alt_length:
            change = Change.of_alleles(locus.alleles)
        rows.append(BasesRow(f"{label}{name}", _UNITS[profile], window.start, of.codes, values, change, "attention"))
    return rows


_UNITS: dict[str, str] = {
    "viz": "from [CLS], L2 norm 1",
    "cls": "weight, mean of heads",
    "received": "mean weight",
    "rollout": "rollout through all layers",
    "entropy": "entropy in bits",
}


def _checked(opened: Opened, profile: str) -> Profile:
    """Return a profile that the model has: a track model has no [CLS] to project from."""
    chosen: Profile = profile  # type: ignore[assignment]  # checked by the query
    return "cls" if chosen == "viz" and has(opened.model, PredictsTracks) else chosen
