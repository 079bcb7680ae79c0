"""VariantScorer protocol and its factory, with one scorer for each kind of model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Protocol

from genoformer import inference
from genoformer.errors import ConfigError
from genoformer.formats.vcf import Record
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.models.base import Model, PredictsTracks, has, require
from genoformer.scoring.scores import DEFAULT_SCORES, DEFAULT_TRACK_SCORES, Score, ScoreBatch, parse_scores
from genoformer.scoring.sequence_scorer import SequenceScorer
from genoformer.scoring.settings import ON_CPU, Runtime, Scoring
from genoformer.scoring.support import refusal
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.scoring.track_scores import Noise, TrackColumns
from genoformer.writers import Column


class VariantScorer(Protocol):
    """Scorer of variants whose REF matches the reference and whose alleles are at most `longest_allele` long."""

    @property
    def window(self) -> int: ...  # bases
    @property
    def longest_allele(self) -> int: ...
    @property
    def scores(self) -> Sequence[Score]: ...
    @property
    def columns(self) -> list[Column]: ...
    @property
    def layout(self) -> TrackColumns | None: ...  # of the columns and of a matrix; None for a model without tracks
    @property
    def flops_per_variant(self) -> float: ...  # arithmetic operations for an SNV
    @property
    def sharing_distance(self) -> int: ...  # bases over which records share work; 0: none
    @property
    def options(self) -> dict[str, str]: ...  # other settings that the values depend on, by name
    @property
    def inputs(self) -> dict[str, str]: ...  # hashes of other files that the values depend on, by kind
    @property
    def n_matrix(self) -> int: ...  # tracks of `ScoreBatch.matrix`; 0 without a matrix
    def cost(self, record: Record) -> int: ...  # of all its ALTs, in units of an SNV
    def score(self, variants: Sequence[Variant]) -> ScoreBatch: ...
    def noise(self, variants: Sequence[Variant]) -> list[Noise]: ...  # empty if scores do not depend on the window's start
    def reference_scorer(self) -> VariantScorer: ...  # the reference implementation of the same scores


def default_scores(model: Model) -> list[Score]:
    """Return the scores that a model computes by default."""
    if has(model, PredictsTracks):
        return parse_scores(DEFAULT_TRACK_SCORES)
    return [score for score in parse_scores(DEFAULT_SCORES) if refusal(model, score) is None] or parse_scores("COSINE,L2")


def make_scorer(genome: Genome, scoring: Scoring, *, batch_size: int | None = None) -> VariantScorer:
    """Return the scorer of a model or an ensemble; ConfigError for scores or options that it does not support."""
    kinds = {has(model, PredictsTracks) for model in scoring.models}
    if len(kinds) > 1:
        raise ConfigError("an ensemble is of language models or of models of tracks, not of both; score them apart.")
    if kinds == {True}:
        if scoring.phases != "one":
            raise ConfigError("--phases all is of a language model, whose tokens have several bases; leave it out.")
        return TrackScorer(genome, scoring, batch_size=batch_size)
    if scoring.tracks is not None:
        raise ConfigError("tracks, heads, shifts, genes and a matrix are of a model of tracks, and this is a language model.")
    return SequenceScorer(genome, scoring, batch_size=batch_size)


@contextmanager
def _on_device(scoring: Scoring, runtime: Runtime) -> Iterator[Scoring]:
    """Yield the settings with the models on the device; afterwards the models are in their earlier state."""
    with ExitStack() as stack:
        models = [
            stack.enter_context(inference.evaluating(model, runtime.device, runtime.precision)) for model in scoring.models
        ]
        yield replace(scoring, models=tuple(models))


@contextmanager
def open_scorer(genome: Genome, scoring: Scoring, runtime: Runtime = ON_CPU) -> Iterator[VariantScorer]:
    """Open the scorer with its models on the device."""
    with _on_device(scoring, runtime) as on_device:
        yield make_scorer(genome, on_device, batch_size=runtime.batch_size)


@contextmanager
def open_track_scorer(genome: Genome, scoring: Scoring, runtime: Runtime = ON_CPU) -> Iterator[TrackScorer]:
    """Open the scorer of track models, which also scores haplotypes; CheckpointError for other models."""
    for model in scoring.models:
        require(model, PredictsTracks)
    with _on_device(scoring, runtime) as on_device:
        yield TrackScorer(genome, on_device, batch_size=runtime.batch_size)


@contextmanager
def open_reference_scorer(genome: Genome, scoring: Scoring, runtime: Runtime) -> Iterator[VariantScorer]:
    """Open the reference implementation of the scores: on the CPU, in float32, one sequence at a time."""
    with open_scorer(genome, scoring, replace(runtime, device="cpu", precision="float32")) as scorer:
        yield scorer.reference_scorer()
