"""Columns of lines as arrays: against str.split."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoformer.formats.text_columns import same_as_before, split_columns, whole_numbers

CELLS = st.text("ab\x01\x05 7", max_size=4)


@given(
    st.lists(st.lists(CELLS, min_size=1, max_size=6).filter(lambda row: row != [""]), min_size=1, max_size=8), st.integers(1, 6)
)
def test_columns_are_those_of_split(rows: list[list[str]], n: int) -> None:
    text = "".join("\t".join(row) + "\n" for row in rows).encode()
    columns = split_columns(text, n)
    assert len(columns) == len(rows)
    for i, row in enumerate(rows):
        for k in range(n):
            expected = row[k].encode() if k < len(row) else b""
            begins, ends = columns.span(k)
            assert text[begins[i] : ends[i]] == expected
            if k <= len(row) - 1:
                assert columns.cell(i, k) == expected
    last = columns.take(slice(len(rows) - 1, len(rows)))
    assert last.text[last.begins[0] : last.line_ends[0]] == "\t".join(rows[-1]).encode()


@pytest.mark.parametrize("n_columns", [(3, 5), (1, 2, 3), (4, 4), (2, 1, 1)])
def test_lines_of_different_widths(n_columns: tuple[int, ...]) -> None:
    """Numbers of separators that would also fit a table of equal lines."""
    rows = [[f"{i}{k}" for k in range(n)] for i, n in enumerate(n_columns)]
    columns = split_columns("".join("\t".join(row) + "\n" for row in rows).encode(), 1)
    assert [columns.cell(i, 0).decode() for i in range(len(rows))] == [row[0] for row in rows]


@given(st.lists(st.one_of(st.integers(0, 10**18 - 1).map(str), st.text("0123456789x-.", max_size=20)), min_size=1))
def test_whole_numbers_are_those_of_int(texts: list[str]) -> None:
    raw = "\n".join(texts).encode() + b"\n"
    ends = np.cumsum([len(text) + 1 for text in texts]) - 1
    begins = ends - np.array([len(text) for text in texts])
    values, wrong = whole_numbers(np.frombuffer(raw, dtype=np.uint8), begins, ends)
    is_number = [text.isdecimal() and len(text) <= 18 for text in texts]
    assert values.tolist() == [int(text) if ok else 0 for text, ok in zip(texts, is_number, strict=True)]
    assert wrong.tolist() == [i for i, ok in enumerate(is_number) if not ok]


@given(st.lists(st.sampled_from(["1", "11", "12", "2", "chr1"]), min_size=1))
def test_runs_of_equal_texts(names: list[str]) -> None:
    text = "".join(f"{name}\tx\n" for name in names).encode()
    runs = same_as_before(text, *split_columns(text, 1).span(0))
    assert [name.decode() for name, i, j in runs for _ in range(i, j)] == names
    assert all(a[0] != b[0] for a, b in pairwise(runs))
