"""Scores that a model supports, and the reason why it refuses another one."""

from __future__ import annotations

from typing import cast

from genoformer.models.base import Model, PredictsTracks, has
from genoformer.models.token_model import TokenModel
from genoformer.scoring.scores import SCORES, Score


def refusal(model: Model, score: Score) -> str | None:
    """Return one sentence that says why a model does not support a score; None if it does."""
    reason = _lacking(model, score)
    return None if reason is None else f"{score.name} {reason}; choose {', '.join(supported(model)) or 'another model'}."


def supported(model: Model) -> list[str]:
    """Return the names of the scores that a model supports."""
    return [name for name, score in SCORES.items() if _lacking(model, score) is None]


def covers(model: TokenModel, score: Score, alleles: str) -> bool:
    """True if the score of a language model is defined for alleles of one kind, "substitution" or "indel"."""
    return score.input.alleles(model, score.alleles) in (alleles, "any")


def _lacking(model: Model, score: Score) -> str | None:
    """Return the reason why a model does not support a score, as the end of a sentence."""
    if has(model, PredictsTracks):
        return "needs a language model, and this one predicts tracks" if score.input.needs_bases else None
    if score.of_tracks:
        return "is of tracks, and this is a language model"
    return score.input.lacking(cast(TokenModel, model))
