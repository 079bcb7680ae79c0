"""Bounds of blocks and single letters, compared with loops over the bases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoformer.genome.codes import encode
from genoformer.tokenizers.block_spans import spans_from_starts, spans_near_the_middle, starts_around_n, starts_of_known


def naive_starts(text: str, k: int) -> list[int]:
    starts, at = [], 0
    while at < len(text):
        starts.append(at)
        block = text[at : at + k]
        at += k if len(block) == k and "N" not in block else 1
    return starts


@given(st.text("ACGTN", min_size=1, max_size=40), st.integers(1, 6))
def test_starts_equal_those_of_a_loop(text: str, k: int) -> None:
    assert starts_around_n(encode(text), k).tolist() == naive_starts(text, k)


@given(st.integers(0, 5), st.integers(0, 30), st.integers(1, 6))
def test_a_run_without_n_begins_at_its_first_base(first: int, length: int, k: int) -> None:
    assert starts_of_known(first, first + length, k).tolist() == [first + at for at in naive_starts("A" * length, k)]
    assert starts_of_known(first, first + length, k, grid=True).tolist() == list(range(first, first + length, k))


@pytest.mark.parametrize(("n", "expected"), [(1, [[4, 6]]), (2, [[4, 6], [6, 7]]), (4, [[0, 4], [4, 6], [6, 7], [7, 10]])])
def test_spans_near_the_middle_by_hand(n: int, expected: list[list[int]]) -> None:
    spans = spans_from_starts(np.array([0, 4, 6, 7]), 10)  # the middle is base 5
    assert spans_near_the_middle(spans, 10, n).tolist() == expected
