"""Scores of a variant as `score` writes them, and the first of them in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from genoformer.genome.variants import Variant
from genoformer.genome.wording import without_empty_items
from genoformer.report.cards import short
from genoformer.report.sentences import score_sentence
from genoformer.scoring.class_scorer import only_class
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.scoring.variant_scorer import VariantScorer


class ScoreTexts(NamedTuple):
    """Columns of `score` with their values, and a sentence on the first score that the variant has."""

    columns: dict[str, str]
    sentence: str

    def output(self, scores: Sequence[str], suffix: str) -> str | None:
        """Return the output of the first of the scores that has one. suffix: TRACK or CLASS."""
        return next((self.columns[f"{name}_{suffix}"] for name in scores if f"{name}_{suffix}" in self.columns), None)


def score_texts(scorer: VariantScorer, variant: Variant) -> ScoreTexts:
    """Return the scores of a variant; those that it does not have are left out."""
    values = scorer.score([variant]).values[0].tolist()
    texts = {column.name: column.text(value) for column, value in zip(scorer.columns, values, strict=True)}
    columns = {name: text for name, text in texts.items() if text not in ("", ".")}
    by_name = {column.name: value for column, value in zip(scorer.columns, values, strict=True)}
    for score in scorer.scores:
        value = by_name.get(score.name, np.nan)
        if np.isfinite(value):
            named = columns.get(f"{score.name}_CLASS") or only_class(scorer)
            output = named or _described(scorer, columns.get(f"{score.name}_TRACK"))
            return ScoreTexts(columns, score_sentence(score.name, value, (short(variant.ref), short(variant.alt)), output))
    return ScoreTexts(columns, "")


def _described(scorer: VariantScorer, track: str | None) -> str | None:
    """Return the description of a track with its name, such as DNASE:liver (ENCFF1)."""
    if track is None or not isinstance(scorer, TrackScorer) or scorer.layout.outputs.descriptions is None:
        return track
    text = scorer.layout.outputs.descriptions[list(scorer.layout.names).index(track)]
    return f"{without_empty_items(text)} ({track})" if text and text != track else track
