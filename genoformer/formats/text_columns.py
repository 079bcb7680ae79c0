"""Whole lines of tab-separated text -> begin and end of the first columns of each line, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from genoformer.genome.digits import DIGITS

Integers = NDArray[np.int64]
Letters = NDArray[np.uint8]

_TAB, _LF, _ZERO = b"\t\n0"
_WORD = 8  # bytes of an integer of 64 bits


@dataclass(frozen=True, eq=False)
class TextColumns:
    """Lines of a text and the separators after their first columns.

    A line with fewer columns ends each missing one at its line end, so that a missing column is empty.
    """

    text: bytes  # whole lines, each with its line end, none of them empty
    letters: Letters  # the same bytes
    begins: Integers  # [n], start of each line
    line_ends: Integers  # [n], position of each LF
    ends: Integers  # [n, k], end of each column

    def __len__(self) -> int:
        return len(self.begins)

    def span(self, column: int) -> tuple[Integers, Integers]:
        """Return begin and end of a column, [n] each; both are the line end if the column is missing."""
        if column == 0:
            return self.begins, self.ends[:, 0]
        return np.minimum(self.ends[:, column - 1] + 1, self.line_ends), self.ends[:, column]

    def cell(self, row: int, column: int) -> bytes:
        """Return the bytes of a column in one line."""
        end = int(self.ends[row, column])
        begin = int(self.ends[row, column - 1]) + 1 if column else int(self.begins[row])
        return self.text[begin:end]

    def take(self, rows: slice) -> TextColumns:
        """Return some of the lines; the text stays the same."""
        return replace(self, begins=self.begins[rows], line_ends=self.line_ends[rows], ends=self.ends[rows])


def split_columns(text: bytes, n_columns: int) -> TextColumns:
    """Split whole lines into their first columns.

    >>> split_columns(b"chr1\\t5\\tA\\nchr1\\t12\\n", 3).ends.tolist()
    [[4, 6, 8], [13, 16, 16]]
    """
    letters = np.frombuffer(text, dtype=np.uint8)
    separators = np.flatnonzero(letters <= _LF)
    n_first = text.count(b"\t", 0, text.find(b"\n")) + 1
    if n_first >= n_columns and len(separators) == n_first * np.count_nonzero(letters == _LF):
        table = separators.reshape(-1, n_first)
        line_ends = table[:, -1]
        if (letters[line_ends] == _LF).all():  # every line has as many columns
            return TextColumns(text, letters, _begins(line_ends), line_ends, table[:, :n_columns])
    separators = separators[letters[separators] >= _TAB]  # without other control characters
    at = np.flatnonzero(letters[separators] == _LF)
    line_ends = separators[at]
    first = np.concatenate([[0], at[:-1] + 1])
    places = np.minimum(first[:, None] + np.arange(n_columns), at[:, None])
    return TextColumns(text, letters, _begins(line_ends), line_ends, separators[places])


def _begins(line_ends: Integers) -> Integers:
    begins = np.empty_like(line_ends)
    begins[:1] = 0
    np.add(line_ends[:-1], 1, out=begins[1:])
    return begins


def whole_numbers(letters: Letters, begins: Integers, ends: Integers) -> tuple[Integers, Integers]:
    """Return the whole numbers in [begin, end) and the rows that hold none (value 0); at most 18 digits each, no sign.

    >>> text = b"12\\t7\\tx\\n"
    >>> values, wrong = whole_numbers(np.frombuffer(text, np.uint8), np.array([0, 3, 5]), np.array([2, 4, 6]))
    >>> values.tolist(), wrong.tolist()
    ([12, 7, 0], [2])
    """
    widths = ends - begins
    values = np.zeros(len(begins), dtype=np.int64)
    if not len(begins):
        return values, values
    is_wrong = (widths < 1) | (widths > DIGITS)
    least = int(widths.min())
    for i in range(min(int(widths.max()), DIGITS)):
        digits = letters[np.maximum(ends - 1 - i, 0)] - np.uint8(_ZERO)  # the last digit first; other letters are above 9
        if i >= least:
            has_digit = i < widths
            is_wrong |= has_digit & (digits > 9)
            digits = np.where(has_digit, digits, np.uint8(0))
        else:
            is_wrong |= digits > 9
        values += digits * np.int64(10**i)
    values[is_wrong] = 0
    return values, np.flatnonzero(is_wrong)


def same_as_before(text: bytes, begins: Integers, ends: Integers) -> list[tuple[bytes, int, int]]:
    """Return (value, first row, last row + 1) of runs of rows with the same text in a column.

    >>> text = b"1\\n1\\n2\\n"
    >>> same_as_before(text, np.array([0, 2, 4]), np.array([1, 3, 5]))
    [(b'1', 0, 2), (b'2', 2, 3)]
    """
    letters, widths = np.frombuffer(text, dtype=np.uint8), ends - begins
    if _are_equal(text, begins, ends):
        return [(text[begins[0] : ends[0]], 0, len(begins))]
    same = widths[1:] == widths[:-1]
    for i in range(int(widths.max()) if len(widths) else 0):
        letter = letters[np.minimum(begins + i, ends)]
        same &= (letter[1:] == letter[:-1]) | (i >= widths[1:])
    edges: Sequence[int] = [0, *(np.flatnonzero(~same) + 1).tolist(), len(begins)]
    return [(text[begins[i] : ends[i]], i, j) for i, j in pairwise(edges) if j > i]


def _are_equal(text: bytes, begins: Integers, ends: Integers) -> bool:
    """True if all rows have the same short text in a column: the usual case of contigs, decided eight bytes at a time."""
    if not len(begins) or begins[-1] + _WORD > len(text):
        return False
    width = int(ends[0] - begins[0])
    if not 0 < width < _WORD or not (ends - begins == width).all():
        return False
    words = np.ndarray(len(text) - _WORD + 1, dtype="<u8", buffer=text, strides=(1,))[begins]
    others = np.uint64(8 * (_WORD - width))  # bits of the letters behind the text
    return bool(((words << others) == (words[0] << others)).all())
