"""ISM of both alleles of a variant: the score of every single-base change of REF, and of ALT -> heights of letters.

The changes of ALT are scored as `ism.mutagenesis` does in a genome with ALT, such as a consensus FASTA.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple, get_args

import numpy as np

from genoformer.genome.alternative import AlternativeGenome
from genoformer.genome.reference import Genome
from genoformer.inference.runtime import Floats
from genoformer.interpretation.ism import mutagenesis
from genoformer.interpretation.loci import Locus
from genoformer.option_checks import check_choice
from genoformer.progress import ProgressCallback, Stage
from genoformer.scoring.class_scorer import ClassScorer
from genoformer.scoring.score_types import Score
from genoformer.scoring.scores import SCORES
from genoformer.scoring.sequence_scorer import SequenceScorer
from genoformer.scoring.settings import ClassOptions, Scoring, TrackOptions
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.scoring.variant_scorer import VariantScorer

Logos = Literal["auto", "ism", "gradient"]
LOGOS: tuple[Logos, ...] = get_args(Logos)

_PIECE = 16  # bases between two reports of progress; their changes share the reference and the trunk of their windows
_LARGEST = 3e12  # operations for ISM of both alleles, up to which it is automatic: about 10 s on two cores


class AlleleLogos(NamedTuple):
    """Logos of both alleles, heights [L, 4], with their unit and their meaning in words."""

    ref: Floats
    alt: Floats
    label: str
    meaning: str


def uses_ism(logos: Logos, scorer: VariantScorer, n_bases: int) -> bool:
    """Return True if logos of n bases of both alleles show ISM; "auto" takes it where it is quick on a CPU.

    Raises OptionError for another word.
    """
    check_choice("logos", logos, LOGOS)
    n_changes = 6 * n_bases  # three of each base, for both alleles
    return logos == "ism" or (logos == "auto" and n_changes * scorer.flops_per_variant <= _LARGEST)


def tracks_ism(scorer: TrackScorer, locus: Locus, track: int, preferred: Score, progress: ProgressCallback) -> AlleleLogos:
    """Return ISM of one track, the index of `scorer.tracks`, for the alleles of a locus, in the windows of the scorer.

    preferred: the score of each change, if it is a signed one of tracks; otherwise SAD.
    """
    is_signed = preferred.signed and preferred.of_tracks and not (preferred.input.per_gene or preferred.joins_tracks)
    score = preferred if is_signed else SCORES["SAD"]
    chosen = [int(scorer.tracks[track])]
    scale = scorer.scale or "original"
    options = TrackOptions(scorer.head, scorer.targets, chosen, None, scorer.settings, scale=scale)
    scoring = Scoring(scorer.models, (score,), scorer.window, scorer.both_strands, options)
    return _both_alleles(partial(TrackScorer, scoring=scoring), scorer.genome, locus, score, progress)


def classes_ism(scorer: ClassScorer, locus: Locus, number: int, preferred: Score, progress: ProgressCallback) -> AlleleLogos:
    """Return ISM of one class, the index of `scorer.classes`, for the alleles of a locus, in the windows of the scorer."""
    other = "LOGIT" if scorer.task.has_log_odds else "DIFF"
    score = preferred if preferred.signed and preferred.of_classes else SCORES[other]
    options = ClassOptions((int(scorer.classes[number]),), scorer.shifts, scorer.tile)
    scoring = Scoring(tuple(scorer.models), (score,), scorer.window, scorer.both_strands, classes=options)
    return _both_alleles(partial(ClassScorer, scoring=scoring), scorer.genome, locus, score, progress)


def sequence_ism(scorer: SequenceScorer, locus: Locus, progress: ProgressCallback) -> AlleleLogos:
    """Return ISM of LLR for the alleles of a locus, in the windows of the scorer."""
    score = SCORES["LLR"]
    context = scorer.window if len({reader.length for reader in scorer.readers}) == 1 else None
    scoring = Scoring(
        tuple(scorer.models), (score,), context, scorer.both_strands, phases=scorer.phases, share_windows=scorer.share_windows
    )
    return _both_alleles(partial(SequenceScorer, scoring=scoring), scorer.genome, locus, score, progress)


def _both_alleles(
    make: Callable[[Genome], VariantScorer], genome: Genome, locus: Locus, score: Score, progress: ProgressCallback
) -> AlleleLogos:
    """Return ISM of the alleles of a locus by scorers that `make` returns for a genome."""
    alleles, variant = locus.alleles, locus.allele
    assert alleles is not None
    assert variant is not None
    changed = AlternativeGenome(genome, variant)
    start_of_alt = locus.start + alleles.ref_start - alleles.alt_start
    stage = Stage(progress, "ism", len(alleles.ref) + len(alleles.alt))
    ref = _heights(make(genome), genome, locus.chrom, locus.start, len(alleles.ref), stage)
    alt = _heights(make(changed), changed, locus.chrom, start_of_alt, len(alleles.alt), stage)
    unit = f" ({score.unit})" if "unit" not in score.unit and "value" not in score.unit else ""
    return AlleleLogos(
        ref,
        alt,
        f"ISM of {score.name}{unit}",
        f"Logos: ISM of each allele, minus the mean {score.name} of the three changes of each base. A letter above 0 raises "
        "the prediction.",
    )


def _heights(scorer: VariantScorer, genome: Genome, chrom: str, start: int, length: int, stage: Stage) -> Floats:
    """Return the ISM importance of bases [start, start + length) of a contig, [L, 4]; 0 for N and beyond the contig."""
    heights = np.zeros((length, 4), dtype=np.float32)
    low, high = max(0, start), min(start + length, genome.contigs[chrom])
    for first in range(low, high, _PIECE):
        last = min(first + _PIECE, high)
        one = mutagenesis(scorer, genome, chrom, first, last)
        heights[first - start : last - start] = np.nan_to_num(one.importance[0])
        stage.add(last - first)
    stage.add(length - max(0, high - low))
    return heights
