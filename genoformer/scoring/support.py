"""Scores that a model supports, and the reason why it refuses another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from genoformer.models.base import Classifies, Model, PredictsTracks, has
from genoformer.models.token_model import TokenModel
from genoformer.scoring.score_types import Score
from genoformer.scoring.scored_heads import KINDS_IN_WORDS, scored_head, scored_heads
from genoformer.scoring.scores import SCORES
from genoformer.scoring.settings import Scoring

if TYPE_CHECKING:
    from genoformer.models.track_model import TrackModel


_MOST_NAMED = 12  # scores that a refusal names


def refusal(model: Model, score: Score) -> str | None:
    """Return one sentence that says why a model does not support a score; None if it does."""
    reason = lacking(model, score)
    if reason is None:
        return None
    names = supported(model)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{score.name} {reason}; choose {', '.join(names[:_MOST_NAMED]) or 'another model'}{more}."


def cautions(scoring: Scoring) -> list[str]:
    """Return a caution for each score whose published scorer is not defined for the measurement of a head."""
    if scoring.of_models:
        return [text for one in scoring.of_models for text in cautions(one.scoring)]
    texts = []
    for part in scoring.parts or (scoring,):
        if part.tracks is None:
            continue
        model = cast("TrackModel", scoring.models[0])
        head = scored_head(model, part.tracks.head)
        output = model.output_of(head)
        for score in part.scores:
            if output and score.outputs and output not in score.outputs:
                name, outputs = score.name.removesuffix(f"_{head}"), f"{', '.join(score.outputs[:-1])} and {score.outputs[-1]}"
                problem = f"AlphaGenome defines {name} for {outputs}, not for {output}"
                texts.append(f"caution: {problem}; the values of head {head} have no published counterpart.")
    return texts


def supported(model: Model) -> list[str]:
    """Return the names of the scores that a model supports."""
    return [name for name, score in SCORES.items() if lacking(model, score) is None]


def covers(model: TokenModel, score: Score, alleles: str) -> bool:
    """True if the score of a language model is defined for alleles of one kind, "substitution" or "indel"."""
    return score.input.alleles(model, score.alleles) in (alleles, "any")


def lacking(model: Model, score: Score) -> str | None:
    """Return the reason why a model does not support a score, as the end of a sentence."""
    kind = "a track model" if score.of_tracks else "a fine-tuned model" if score.of_classes else "a language model"
    if has(model, PredictsTracks):
        is_known = score.of_tracks or not (score.of_classes or score.input.needs_bases)
        if not is_known:
            return f"needs {kind}, and this one predicts tracks"
        kinds = {head.kind for head in scored_heads(model).values()}
        return None if score.input.output in kinds else f"needs {KINDS_IN_WORDS[score.input.output]}, which it does not predict"
    if has(model, Classifies):
        if not score.of_classes:
            return f"needs {kind}, and this one was fine-tuned"
        has_log_odds = cast(Classifies, model).task.has_log_odds
        is_known = has_log_odds or not score.input.needs_probabilities
        return None if is_known else "needs classes or labels, and this model predicts values"
    if score.per_output:
        return f"is of {'tracks' if score.of_tracks else 'classes'}, and this is a language model"
    return score.input.lacking(cast(TokenModel, model))
