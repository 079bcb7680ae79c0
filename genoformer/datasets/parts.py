"""Parts of a split (train, test) in other fields of a file of labels: words -> a note, or a refusal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from genoformer.genome.contigs import join_names

_NAMES = ("split", "fold", "partition", "subset", "is_train", "is_test", "is_valid")  # columns of a split with other words
PARTS = {"training", "testing", "train", "test", "validation", "valid", "val", "dev"}  # as in iLearn: >name|1|training


class PartColumns:
    """Columns of a table that contain only parts of a split, found row by row."""

    def __init__(self, columns: dict[int, str]) -> None:
        """columns: number -> name, of all columns except sequence, name and labels."""
        self.columns = columns
        self._counts: dict[int, Counter[str]] = {i: Counter() for i in columns}

    def add(self, row: Sequence[str]) -> None:
        """Read a row; a column with any other word is not a split."""
        for i in list(self._counts):
            word = row[i].strip().lower()
            if word in PARTS:
                self._counts[i][word] += 1
            elif word:
                del self._counts[i]

    @property
    def fault(self) -> str:
        """Error text for a column with several parts; "" if there is none."""
        for i, counts in self._counts.items():
            if len(counts) > 1:
                return f"the column {self.columns[i]} has {counted_parts(counts)}, the parts of a split; write a file of each"
        return ""

    @property
    def notes(self) -> list[str]:
        """Notes on columns with a single part, and on unused columns with the name of a split."""
        notes = [
            f"the column {self.columns[i]}, {join_names(counts)} in every row, is a part of a split and no label."
            for i, counts in self._counts.items()
            if len(counts) == 1
        ]
        unused = [name for i, name in self.columns.items() if name.lower() in _NAMES and not self._counts.get(i)]
        are = "is" if len(unused) == 1 else "are"
        return notes + ([f"the column {join_names(unused)} {are} not used: all rows are read."] if unused else [])


def counted_parts(counts: Counter[str]) -> str:
    """Return the names of parts with the number of their records.

    >>> counted_parts(Counter(["train", "test", "train"]))
    'test (1), train (2)'
    """
    return ", ".join(f"{part} ({counts[part]:,})" for part in sorted(counts))
