"""Text of many rows: as numbers, with each distinct text once, or as pyarrow has read it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


class TextColumn:
    """Texts of n rows; an index as of a NumPy array gives the column of those rows.

    codes: [n], index in `values`. values: [k], distinct texts, in the order in which they first appear. A column that pyarrow
    has read stays as it is until they are read: names of rows are mostly different, and a Python object for each is slow.

    >>> column = TextColumn.from_texts(["b", "a", "b"])
    >>> column[np.array([1, 2])].tolist(), column[1:].distinct(), column.is_only("a", "b"), column.matches("[0-9]")
    (['a', 'b'], ['b', 'a'], True, False)
    """

    __slots__ = ("_arrow", "_coded")

    def __init__(self, codes: NDArray[np.int32], values: NDArray[np.object_]) -> None:
        self._coded: tuple[NDArray[np.int32], NDArray[np.object_]] | None = (codes, values)
        self._arrow: Any = None

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> TextColumn:
        numbers: dict[str, int] = {}
        codes = np.fromiter((numbers.setdefault(text, len(numbers)) for text in texts), dtype=np.int32)
        return cls(codes, np.array(list(numbers), dtype=object))

    @classmethod
    def from_arrow(cls, column: Any) -> TextColumn:
        """Take a text column of pyarrow without missing values."""
        made = cls.__new__(cls)
        made._arrow, made._coded = column.combine_chunks() if hasattr(column, "combine_chunks") else column, None
        return made

    def _codes_and_values(self) -> tuple[NDArray[np.int32], NDArray[np.object_]]:
        if self._coded is None:
            coded = self._arrow.dictionary_encode()
            self._coded = np.asarray(coded.indices, dtype=np.int32), coded.dictionary.to_numpy(zero_copy_only=False)
        return self._coded

    @property
    def codes(self) -> NDArray[np.int32]:
        """Index of each row in `values`, [n]."""
        return self._codes_and_values()[0]

    @property
    def values(self) -> NDArray[np.object_]:
        """Distinct texts, [k]."""
        return self._codes_and_values()[1]

    def __len__(self) -> int:
        return len(self.codes) if self._arrow is None else len(self._arrow)

    def __getitem__(self, rows: slice | NDArray[Any]) -> TextColumn:
        if self._arrow is None:
            return TextColumn(self.codes[rows], self.values)
        if isinstance(rows, slice):
            return TextColumn.from_arrow(self._arrow[rows])
        return TextColumn.from_arrow(self._arrow.take(np.flatnonzero(rows) if rows.dtype == bool else rows))

    def tolist(self) -> list[str]:
        return self.values[self.codes].tolist() if self._arrow is None else self._arrow.to_pylist()

    def distinct(self) -> list[str]:
        """Return the distinct texts of these rows, in the order of `values`."""
        if self._arrow is not None:
            return self._arrow.unique().to_pylist()
        used = np.zeros(len(self.values), dtype=bool)
        used[self.codes] = True
        return self.values[used].tolist()

    def is_only(self, *words: str) -> bool:
        """True if there are no rows, or if each holds one of these words."""
        return self.matches("|".join(map(re.escape, words)))

    def matches(self, pattern: str) -> bool:
        """True if there are no rows, or if a regular expression of ASCII matches the whole text of each."""
        if self._arrow is None:
            return all(map(re.compile(pattern, re.ASCII).fullmatch, self.distinct()))
        from pyarrow import compute

        found = compute.match_substring_regex(self._arrow, rf"\A(?:{pattern})\z")
        return bool(compute.all(found, min_count=0).as_py())


def pair_numbers(one: TextColumn, other: TextColumn) -> NDArray[np.int64]:
    """Return a number for each pair of texts [n], in the order in which the pairs first appear.

    >>> pair_numbers(TextColumn.from_texts("bab"), TextColumn.from_texts("xxx")).tolist()
    [0, 1, 0]
    """
    pairs = one.codes.astype(np.int64) * len(other.values) + other.codes
    _, first, numbers = np.unique(pairs, return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return order[numbers]
