"""Columns of a table of sequences that say which part of a split a row belongs to: train, valid, test ..."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from genoformer.genome.contigs import listed
from genoformer.labelled.headers import _SPLITS, MissingLabelError

_NAMES = ("split", "fold", "partition", "subset", "is_train", "is_test", "is_valid")  # of columns that are no words of a split


class SplitColumns:
    """The values of columns that are neither sequence, name nor label, as long as they are parts of a split."""

    def __init__(self, path: Path, header: Sequence[str], others: Collection[int | None]) -> None:
        self._path, self._header = path, header
        self._parts: dict[int, Counter[str]] = {i: Counter() for i in range(len(header)) if i not in others}
        self._ignored = [column for i, column in enumerate(header) if i not in others and column.lower() in _NAMES]

    def add(self, row: Sequence[str]) -> None:
        """Take note of a row; a column with another word is no split."""
        for i, parts in list(self._parts.items()):
            if (word := row[i].strip().lower()) in _SPLITS:
                parts[word] += 1
            else:
                del self._parts[i]

    def done(self) -> list[str]:
        """Return a note on columns that are not used; MissingLabelError where a column says several parts of a split."""
        for i, parts in self._parts.items():
            if len(parts) > 1:
                counts = ", ".join(f"{part} ({n:,})" for part, n in sorted(parts.items()))
                raise MissingLabelError(
                    f"{self._path}: the column {self._header[i]} says {counts}, the parts of a split; write a file of each, "
                    "without the others."
                )
        ignored = [column for column in self._ignored if all(self._header[i] != column for i in self._parts)]
        are = "is" if len(ignored) == 1 else "are"
        return [f"the column {listed(ignored)} {are} not used: all rows are read, whatever it says."] if ignored else []
