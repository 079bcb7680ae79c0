"""Scores that a model supports, by its kind, and the reason for the others."""

from __future__ import annotations

import pytest
from small_models import small_classifier, small_encoder, small_enformer

from genoformer.scoring.scores import SCORES
from genoformer.scoring.support import covers, lacking, refusal, supported
from genoformer.tokenizers import BaseTokenizer, KmerTokenizer

LANGUAGE = small_encoder(BaseTokenizer())
CAUSAL = small_encoder(BaseTokenizer(), causal=True)
TRACKS = small_enformer()
CLASSES = small_classifier(BaseTokenizer())
VALUES = small_classifier(BaseTokenizer(), "regression", ("x",))


def test_supported_scores_by_kind_of_model() -> None:
    assert {"LLR", "PLL", "ENTROPY", "COSINE"} <= set(supported(LANGUAGE))
    assert {"LLR", "PLL", "COSINE"} <= set(supported(CAUSAL))
    assert {"SAD", "SAR501", "LOGSED"} <= set(supported(TRACKS))
    assert set(supported(CLASSES)) == {"LOGIT", "DIFF"}
    assert supported(VALUES) == ["DIFF"]
    for model in (LANGUAGE, CAUSAL, TRACKS, CLASSES, VALUES):
        for name, score in SCORES.items():
            assert (refusal(model, score) is None) == (name in supported(model))


@pytest.mark.parametrize(
    ("model", "name", "reason"),
    [
        (TRACKS, "LLR", "needs a language model, and this one predicts tracks"),
        (TRACKS, "LOGIT", "needs a fine-tuned model, and this one predicts tracks"),
        (CLASSES, "SAD", "needs a track model, and this one was fine-tuned"),
        (VALUES, "LOGIT", "needs classes or labels, and this model predicts values"),
        (LANGUAGE, "SAD", "is of tracks, and this is a language model"),
        (LANGUAGE, "LOGIT", "is of classes, and this is a language model"),
    ],
)
def test_the_reason_names_the_model_that_is_needed(model, name: str, reason: str) -> None:
    assert lacking(model, SCORES[name]) == reason
    assert refusal(model, SCORES[name]) == f"{name} {reason}; choose {', '.join(supported(model))}."


def test_alleles_that_a_score_covers() -> None:
    masked = small_encoder(KmerTokenizer(3))
    assert covers(masked, SCORES["LLR"], "substitution")
    assert not covers(masked, SCORES["LLR"], "indel")
    assert covers(masked, SCORES["PLL"], "indel")
    assert covers(CAUSAL, SCORES["PLL"], "indel")
