"""Text of many rows as numbers: each distinct text is stored once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


class TextColumn:
    """Texts of n rows, each distinct text stored once; an index as of a NumPy array gives the column of those rows.

    codes: [n], index in `values`. values: [k], distinct texts, in the order in which they first appear.

    >>> column = TextColumn.from_texts(["b", "a", "b"])
    >>> column[np.array([1, 2])].tolist(), column[1:].distinct(), column.is_only("a", "b")
    (['a', 'b'], ['b', 'a'], True)
    """

    __slots__ = ("codes", "values")

    def __init__(self, codes: NDArray[np.int32], values: NDArray[np.object_]) -> None:
        self.codes, self.values = codes, values

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> TextColumn:
        numbers: dict[str, int] = {}
        codes = np.fromiter((numbers.setdefault(text, len(numbers)) for text in texts), dtype=np.int32)
        return cls(codes, np.array(list(numbers), dtype=object))

    @classmethod
    def from_arrow(cls, column: Any) -> TextColumn:
        """Convert a text column of pyarrow without missing values."""
        chunks = column.combine_chunks() if hasattr(column, "combine_chunks") else column
        coded = chunks.dictionary_encode()
        return cls(np.asarray(coded.indices, dtype=np.int32), coded.dictionary.to_numpy(zero_copy_only=False))

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: slice | NDArray[Any]) -> TextColumn:
        return TextColumn(self.codes[rows], self.values)

    def tolist(self) -> list[str]:
        return self.values[self.codes].tolist()

    def distinct(self) -> list[str]:
        """Return the distinct texts of these rows, in the order of `values`."""
        used = np.zeros(len(self.values), dtype=bool)
        used[self.codes] = True
        return self.values[used].tolist()

    def is_only(self, *words: str) -> bool:
        """True if there are no rows, or if each holds one of these words."""
        return set(self.distinct()) <= set(words)


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
