"""Texts stored once, beside lists of texts."""

from __future__ import annotations

import numpy as np
import pytest

from genoformer.annotation.text_columns import TextColumn, pair_numbers


@pytest.mark.parametrize("texts", [[], ["a"], ["b", "a", "", "b", "ü", "a"], [str(i * 7 % 5) for i in range(40)]])
@pytest.mark.parametrize("with_pyarrow", [False, True])
def test_a_text_column_is_the_list_of_its_texts(texts: list[str], with_pyarrow: bool) -> None:
    if with_pyarrow:
        pa = pytest.importorskip("pyarrow", reason="an extra")
        column = TextColumn.from_arrow(pa.chunked_array([pa.array(part, pa.string()) for part in (texts[:2], texts[2:])]))
    else:
        column = TextColumn.from_texts(texts)
    assert column.tolist() == texts
    assert column.distinct() == list(dict.fromkeys(texts))
    assert len(column) == len(texts)
    rows = np.arange(len(texts))[::-2]
    assert column[rows].tolist() == texts[::-2]
    assert set(column[rows].distinct()) == set(texts[::-2])
    chosen = np.arange(len(texts)) % 3 == 1
    assert column[chosen].tolist() == texts[1::3]
    assert column[1:].tolist() == texts[1:]
    assert column.is_only("b", "a", "", "ü") == (not set(texts) - {"b", "a", "", "ü"})
    assert column.matches(r"\d") == all(text in "01234" and text for text in texts)
    pairs = list(zip(texts, texts[::-1], strict=True))
    numbers = {pair: i for i, pair in enumerate(dict.fromkeys(pairs))}
    assert pair_numbers(column, TextColumn.from_texts(texts[::-1])).tolist() == [numbers[pair] for pair in pairs]
