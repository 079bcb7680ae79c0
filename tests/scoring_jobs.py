"""Scorers and runs of tests: toy models that are not in a folder, on the CPU."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from genoformer.formats.bed import Region
from genoformer.formats.vcf import Record
from genoformer.genome.reference import Genome
from genoformer.models.enformer.model import Enformer
from genoformer.models.heads import SequenceClassifier
from genoformer.models.transformer.model import Encoder
from genoformer.progress import ProgressCallback
from genoformer.scoring.effect_table import HaplotypeSummary
from genoformer.scoring.haplotypes import score_haplotypes
from genoformer.scoring.job import Checks, HaplotypeJob, PairsJob, ScoringJob
from genoformer.scoring.pairs import score_pairs
from genoformer.scoring.parts import PartResult
from genoformer.scoring.plan import Summary, score_variants
from genoformer.scoring.scorers import make_scorer
from genoformer.scoring.scores import parse_scores
from genoformer.scoring.settings import ON_CPU, ClassOptions, Runtime, Scoring, TrackOptions
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.scoring.variant_scorer import VariantScorer

Models = Encoder | Enformer | SequenceClassifier | Sequence[Encoder | Enformer | SequenceClassifier]


def scoring(
    models: Models,
    scores: str,
    *,
    context: int | None = None,
    both_strands: bool = True,
    phases: Any = "one",
    share_windows: bool = False,
    classes: ClassOptions | None = None,
    **options: Any,
) -> Scoring:
    """Settings of scores; options: fields of TrackOptions."""
    several = tuple(models) if isinstance(models, Sequence) else (models,)
    of_tracks = TrackOptions(**options) if options else None
    return Scoring(several, tuple(parse_scores(scores)), context, both_strands, of_tracks, classes, phases, share_windows)


def scorer_of(models: Models, genome: Genome, scores: str, *, batch_size: int | None = None, **options: Any) -> VariantScorer:
    return make_scorer(genome, scoring(models, scores, **options), batch_size=batch_size)


def track_scorer(models: Models, genome: Genome, scores: str, *, batch_size: int | None = None, **options: Any) -> TrackScorer:
    return TrackScorer(genome, scoring(models, scores, **options), batch_size=batch_size)


def run_score(
    vcf: str | Path,
    genome: Genome,
    models: Any,
    output: Any,
    *,
    shard: tuple[int, int] | None = None,
    assemble: bool = False,
    progress: ProgressCallback = None,
    **options: Any,
) -> Summary:
    """Score a VCF; options: fields of ScoreOptions."""
    job = ScoringJob.from_names(vcf, genome, models, output, **{"device": "cpu", **options})
    return score_variants(replace(job, shard=shard, assemble=assemble), progress=progress)


def run_haplotypes(
    vcf: Path,
    genome: Genome,
    settings: Scoring,
    regions: Sequence[Region],
    output: Path,
    *,
    samples: Sequence[str] | None = None,
    **checks: Any,
) -> HaplotypeSummary:
    """Write a table of haplotypes; checks: fields of Checks."""
    chosen = tuple(samples) if samples else None
    return score_haplotypes(HaplotypeJob(vcf, genome, settings, tuple(regions), output, chosen, checks=Checks(**checks)))


def run_pairs(
    vcf: Path, genome: Genome, settings: Scoring, within: int, output: Path, *, runtime: Runtime = ON_CPU, **checks: Any
) -> HaplotypeSummary:
    """Write a table of pairs; checks: fields of Checks."""
    return score_pairs(PairsJob(vcf, genome, settings, within, output, runtime, Checks(**checks)))


@dataclass
class Mortal:
    """Work that counts bases; a process that comes to some record kills itself, as often as there are files to remove."""

    lives: Path
    pos: int
    device: str = "cpu"
    threads: int = 1

    @contextmanager
    def open(self) -> Iterator[Callable[[Sequence[Record]], PartResult]]:
        def count(records: Sequence[Record]) -> PartResult:
            if any(record.pos == self.pos for record in records) and (left := sorted(self.lives.iterdir())):
                left[0].unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            values = np.array([[record.pos] for record in records], dtype=np.float32)
            return PartResult(np.zeros(len(records), np.uint8), values)

        yield count
