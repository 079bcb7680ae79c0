"""Parts of a split, such as train and test, that a file of labels names beside the label: words -> a note, or a refusal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from genoformer.genome.contigs import join_names

_NAMES = ("split", "fold", "partition", "subset", "is_train", "is_test", "is_valid")  # of columns that hold other words
PARTS = {"training", "testing", "train", "test", "validation", "valid", "val", "dev"}  # as iLearn: >name|1|training


class PartColumns:
    """The columns of a table that hold parts of a split and nothing else, told row by row."""

    def __init__(self, columns: dict[int, str]) -> None:
        """columns: number -> name, of those that are no sequence, name or label."""
        self.columns = columns
        self._counts: dict[int, Counter[str]] = {i: Counter() for i in columns}

    def add(self, row: Sequence[str]) -> None:
        """Take in a row; a column with another word is no split."""
        for i in list(self._counts):
            word = row[i].strip().lower()
            if word in PARTS:
                self._counts[i][word] += 1
            elif word:
                del self._counts[i]

    @property
    def fault(self) -> str:
        """Say which column holds several parts; "" for none."""
        for i, counts in self._counts.items():
            if len(counts) > 1:
                return f"the column {self.columns[i]} says {counted_parts(counts)}, the parts of a split; write a file of each"
        return ""

    @property
    def notes(self) -> list[str]:
        """Sentences on columns that hold one part, or whose name is that of a split."""
        notes = [
            f"the column {self.columns[i]}, {join_names(counts)} in every row, is a part of a split and no label."
            for i, counts in self._counts.items()
            if len(counts) == 1
        ]
        unused = [name for i, name in self.columns.items() if name.lower() in _NAMES and not self._counts.get(i)]
        are = "is" if len(unused) == 1 else "are"
        return notes + (
            [f"the column {join_names(unused)} {are} not used: all rows are read, whatever it says."] if unused else []
        )


def counted_parts(counts: Counter[str]) -> str:
    """Name parts with the number of their records.

    >>> counted_parts(Counter(["train", "test", "train"]))
    'test (1), train (2)'
    """
    return ", ".join(f"{part} ({counts[part]:,})" for part in sorted(counts))
