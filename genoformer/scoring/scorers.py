"""VariantScorer protocol and its factory, with one scorer for each kind of model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Protocol, cast

from genoformer import inference
from genoformer.errors import ConfigError
from genoformer.formats.vcf import Record
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.models.base import SCORES_HAPLOTYPES, Classifies, Model, PredictsPairs, PredictsTracks, has, require
from genoformer.scoring.class_scorer import ClassScorer
from genoformer.scoring.heads_scorer import HeadsScorer
from genoformer.scoring.score_types import Score, ScoreBatch
from genoformer.scoring.scores import DEFAULT_CLASS_SCORES, DEFAULT_SCORES, DEFAULT_TRACK_SCORES, SCORES, parse_scores
from genoformer.scoring.sequence_scorer import SequenceScorer
from genoformer.scoring.settings import ON_CPU, Runtime, Scoring
from genoformer.scoring.support import refusal
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.scoring.track_scores import Noise, TrackColumns, TrackScores
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
    def layout(self) -> TrackColumns | None: ...  # of the columns; None for a language model
    @property
    def matrix_layout(self) -> TrackColumns | None: ...  # of a matrix
    @property
    def has_noise_floor(self) -> bool: ...  # True: scores depend on where their window begins
    @property
    def flops_per_variant(self) -> float: ...  # arithmetic operations for an SNV
    @property
    def sharing_distance(self) -> int: ...  # bases over which records share work; 0: none
    @property
    def options(self) -> dict[str, str]: ...  # other settings that the values depend on, by name
    @property
    def inputs(self) -> dict[str, str]: ...  # hashes of other files that the values depend on, by kind
    @property
    def n_matrix(self) -> int: ...  # tracks or classes of `ScoreBatch.matrix`; 0 without a matrix
    def covers(self, score: Score, alleles: str) -> bool: ...  # True if it is defined for "substitution" or for "indel"
    def cost(self, record: Record) -> int: ...  # of all its ALTs, in units of an SNV
    def score(self, variants: Sequence[Variant]) -> ScoreBatch: ...
    def noise(self, variants: Sequence[Variant]) -> list[Noise]: ...  # empty if scores do not depend on the window's start
    def reference_scorer(self) -> VariantScorer: ...  # the reference implementation of the same scores


def scorer_parts(scorer: VariantScorer) -> Sequence[VariantScorer]:
    """Return the scorers of single heads of which a scorer of several heads consists; empty for any other."""
    parts: Sequence[VariantScorer] = getattr(scorer, "parts", ())
    return parts


class HaplotypeScorer(VariantScorer, Protocol):
    """Scorer that also compares sequences with several variants with the reference."""

    @property
    def layout(self) -> TrackColumns: ...
    def window_start(self, variant: Variant) -> int: ...
    def haplotypes(
        self, chrom: str, start: int, centre: int, haplotypes: Sequence[Sequence[Variant]], *, anchor: int | None = None
    ) -> list[TrackScores]: ...


def default_scores(model: Model, head: str | None = None) -> list[Score]:
    """Return the scores that a model computes by default, of a head of pairs those of its kind."""
    pair_heads = cast(PredictsPairs, model).pair_heads if has(model, PredictsPairs) else {}
    if head is not None and head in pair_heads:
        kind = pair_heads[head].kind
        return [score for score in SCORES.values() if score.input.output == kind]
    if has(model, PredictsTracks):
        return parse_scores(DEFAULT_TRACK_SCORES)
    if has(model, Classifies):
        scores = parse_scores(DEFAULT_CLASS_SCORES)
        return [score for score in scores if refusal(model, score) is None]
    return [score for score in parse_scores(DEFAULT_SCORES) if refusal(model, score) is None] or parse_scores("COSINE,L2")


def make_scorer(genome: Genome, scoring: Scoring, *, batch_size: int | None = None) -> VariantScorer:
    """Return the scorer of a model or an ensemble; ConfigError for scores or options that it does not support."""
    if scoring.parts:
        return HeadsScorer(
            [TrackScorer(genome, replace(part, models=scoring.models), batch_size=batch_size) for part in scoring.parts]
        )
    kinds = {_scorer_class(model) for model in scoring.models}
    if len(kinds) > 1:
        raise ConfigError(
            "found models of several kinds in an ensemble, expected only language models, track models or fine-tuned models; "
            "score each kind alone."
        )
    (kind,) = kinds
    if scoring.tracks is not None and kind is not TrackScorer:
        which = "a fine-tuned model" if kind is ClassScorer else "a language model"
        raise ConfigError(f"found options of tracks with {which}, expected a track model; leave them out, or give one.")
    if scoring.classes is not None and kind is not ClassScorer:
        raise ConfigError("found options of classes, but the model has no classes; leave them out, or give a fine-tuned model.")
    if kind is not SequenceScorer and (scoring.phases != "one" or scoring.share_windows):
        raise ConfigError("found phases or shared windows, expected a language model; leave them out, or give one.")
    return kind(genome, scoring, batch_size=batch_size)


def _scorer_class(model: Model) -> type[TrackScorer] | type[ClassScorer] | type[SequenceScorer]:
    if has(model, PredictsTracks):
        return TrackScorer
    return ClassScorer if has(model, Classifies) else SequenceScorer


@contextmanager
def open_scorer(genome: Genome, scoring: Scoring, runtime: Runtime = ON_CPU) -> Iterator[VariantScorer]:
    """Open the scorer with its models on the device; afterwards the models are in their earlier state."""
    with ExitStack() as stack:
        models = [
            stack.enter_context(inference.evaluating(model, runtime.device, runtime.precision)) for model in scoring.models
        ]
        yield make_scorer(genome, replace(scoring, models=tuple(models)), batch_size=runtime.batch_size)


@contextmanager
def open_haplotype_scorer(genome: Genome, scoring: Scoring, runtime: Runtime = ON_CPU) -> Iterator[HaplotypeScorer]:
    """Open the scorer of models that also score haplotypes, which language models do not: they raise CheckpointError."""
    for model in scoring.models:
        require(model, SCORES_HAPLOTYPES)
    with open_scorer(genome, scoring, runtime) as scorer:
        yield cast(HaplotypeScorer, scorer)


@contextmanager
def open_reference_scorer(genome: Genome, scoring: Scoring, runtime: Runtime) -> Iterator[VariantScorer]:
    """Open the reference implementation of the scores: on the CPU, in float32, one sequence at a time."""
    with open_scorer(genome, scoring, replace(runtime, device="cpu", precision="float32")) as scorer:
        yield scorer.reference_scorer()
