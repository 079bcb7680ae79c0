"""Scoring -> the scorer of its models, of the kind that their capabilities need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import cast

from genoformer import inference
from genoformer.errors import ConfigError
from genoformer.genome.reference import Genome
from genoformer.models.base import SCORES_HAPLOTYPES, Classifies, Model, PredictsPairs, PredictsTracks, has, require
from genoformer.scoring.class_scorer import ClassScorer
from genoformer.scoring.heads_scorer import HeadsScorer
from genoformer.scoring.models_scorer import ModelsScorer
from genoformer.scoring.score_types import Score
from genoformer.scoring.scores import DEFAULT_CLASS_SCORES, DEFAULT_SCORES, DEFAULT_TRACK_SCORES, SCORES, parse_scores
from genoformer.scoring.sequence_scorer import SequenceScorer
from genoformer.scoring.settings import ON_CPU, Runtime, Scoring
from genoformer.scoring.support import refusal
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.scoring.variant_scorer import HaplotypeScorer, VariantScorer


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
    if scoring.of_models:
        scorers, first = [], 0
        for _, one in scoring.of_models:
            last = first + len(one.models)
            models = scoring.models[first:last]  # those on their device
            scorers.append(make_scorer(genome, replace(one, models=models), batch_size=batch_size))
            first = last
        return ModelsScorer([name for name, _ in scoring.of_models], scorers)
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
