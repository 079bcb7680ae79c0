"""Texts stored once, beside lists of texts."""

from __future__ import annotations

import numpy as np
import pytest

from genoformer.annotation.text_columns import TextColumn, pair_numbers


@pytest.mark.parametrize("texts", [[], ["a"], ["b", "a", "", "b", "ü", "a"], [str(i * 7 % 5) for i in range(40)]])
def test_a_text_column_is_the_list_of_its_texts(texts: list[str]) -> None:
    column = TextColumn.from_texts(texts)
    assert column.tolist() == texts
    assert column.distinct() == list(dict.fromkeys(texts))
    assert len(column) == len(texts)
    rows = np.arange(len(texts))[::-2]
    assert column[rows].tolist() == texts[::-2]
    assert set(column[rows].distinct()) == set(texts[::-2])
    assert column.is_only("b", "a", "", "ü") == (not set(texts) - {"b", "a", "", "ü"})
    pairs = list(zip(texts, texts[::-1], strict=True))
    numbers = {pair: i for i, pair in enumerate(dict.fromkeys(pairs))}
    assert pair_numbers(column, TextColumn.from_texts(texts[::-1])).tolist() == [numbers[pair] for pair in pairs]
