"""Labels in FASTA headers (`>name label=x`, `>name|x` or `>name|0|1|1`, one form per file) -> names, columns, labels."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import NamedTuple

from genoformer.datasets.parts import PARTS, counted_parts
from genoformer.errors import FileFormatError
from genoformer.genome.contigs import join_names

_FIELD = re.compile(r"([^\s=]+)=(\S*)")
_NUMBERED = re.compile(r"label\d*", re.IGNORECASE)
# accessions of NCBI and UniProt: first field -> number of fields that belong to the name
_DATABASES = {"gi": 5, "sp": 3, "tr": 3, "gb": 3, "ref": 3, "emb": 3, "dbj": 3, "pdb": 3, "gnl": 3, "lcl": 2}


class MissingLabelError(FileFormatError):
    """A file lacks a label for one of its sequences."""


class Labels(NamedTuple):
    """Names of the records, their labels (one text per column), and notes on how the headers were read.

    n_labels: number of fields after | that were read as labels; 0 if labels are NAME=.
    """

    names: list[str]
    columns: tuple[str, ...]
    labels: list[tuple[str, ...]]
    notes: list[str]
    n_labels: int = 0


class Headers:
    """Headers of a file, read record by record; a header that differs in form from the first is refused with its line.

    columns: the requested label columns, () for none; None takes `label...=`, or the fields after |. parts_apart: refuse a file
    in which split=, or another field, names several parts of a split.
    """

    def __init__(self, columns: tuple[str, ...] | None, *, parts_apart: bool = True) -> None:
        self.requested, self.columns, self.parts_apart = columns, columns or (), parts_apart
        self.others: dict[str, Counter[str]] = {}  # NAME= that is not a label -> counts of its values
        self.barred: bool | None = None  # True: labels after |; False: as NAME=; None before the first record
        self.names: list[str] = []
        self.labels: list[tuple[str, ...]] = []
        self.words: list[list[str]] = []  # fields of each header, split at |

    def add(self, where: str, text: str) -> str:
        """Read the header of a record; return the text by which messages refer to the record."""
        name, _, description = text.strip().partition(" ")
        if self.requested == ():
            self.names.append(name)
            self.labels.append(())
            return f"{where}, record {name}" if name else where
        fields = dict(_FIELD.findall(description))
        if self.requested is None:
            labels = {key: value for key, value in fields.items() if key.lower().startswith("label")}
        else:
            labels = {column: fields[column] for column in self.requested if column in fields}
        if self.barred is None:
            numbered = self.requested is None or all(_NUMBERED.fullmatch(column) for column in self.requested)
            self.barred = not labels and "|" in name and numbered
        if self.barred:
            return self._add_barred(where, name, labels)
        where += f", record {name}" if name else ""
        self.columns = self.columns or tuple(labels)
        if not labels and self.requested is None:
            raise MissingLabelError(
                f"{where} has no label; write `>{name} label=promoter`"
                + (" as in the first header." if self.columns else f" or `>{name}|promoter`.")
            )
        if absent := [column for column in self.columns if column not in labels]:
            raise MissingLabelError(f"{where} has no {join_names(absent)}=; every record must have the same labels.")
        if len(labels) != len(self.columns):
            raise MissingLabelError(
                f"{where} has {join_names(labels)}, but others only {join_names(self.columns)}; write all in one way."
            )
        self.names.append(name)
        self.labels.append(tuple(labels[column] for column in self.columns))
        for key in fields.keys() - labels.keys() if self.parts_apart else ():
            self.others.setdefault(key, Counter())[fields[key].lower() if fields[key].lower() in PARTS else ""] += 1
        return where

    def _add_barred(self, where: str, name: str, labels: dict[str, str]) -> str:
        words = name.split("|")
        where += f", record {'|'.join(words[:-1]) or name}"
        if labels:
            raise MissingLabelError(
                f"{where} has {join_names(labels)}=, but the first record its label after |; write all in one way."
            )
        if len(words) < 2:
            raise MissingLabelError(f"{where} has no label; write `>{name}|promoter` as in the first header.")
        if self.words and len(words) != len(self.words[0]):
            raise MissingLabelError(
                f"{where} has {len(words) - 1} fields after its name, the first record {len(self.words[0]) - 1}; write as "
                f"many | in every header, or `>{words[0]} label1=... label2=...`."
            )
        if words[-1] and len(words) <= _DATABASES.get(words[0].lower(), 0):
            raise MissingLabelError(
                f"{where} has no label: {name[:60]} is an accession of a database, in which | stands between its parts; "
                f"write `>{name[:60]} label=promoter`."
            )
        self.words.append(words)
        return where

    def done(self, n_labels: int | None = None) -> Labels:
        """Return the labels of all records; with fields after |, the last fields are labels and the others belong to the name.

        n_labels: number of labels, as in the training data; None infers it (`_n_labels`).
        """
        if not self.barred or not self.words:
            return Labels(self.names, self.columns, self.labels, self._notes_of_parts())
        self.words, notes = _without_split(self.words)
        n_fields = len(self.words[0]) - 1
        n = 1 if self.requested == ("label",) else n_labels or _n_labels(self.words)
        if n > n_fields:
            raise MissingLabelError(f"the headers have {n_fields} fields after |, but should have {n} labels; write all.")
        columns = [f"label{i + 1}" for i in range(n)] if n > 1 else ["label"]
        places = list(range(n))
        if self.requested is not None:
            if absent := [column for column in self.requested if column.lower() not in columns]:
                raise MissingLabelError(
                    f"there is no column {join_names(absent)} in the headers; they have {join_names(columns)}."
                )
            places = [columns.index(column.lower()) for column in self.requested]
        if n > 1:
            remark = "; the fields before them stay in the name" if n < n_fields else ""
            notes.append(f"the headers hold {n} labels each, after |: {join_names(columns)}{remark}.")
        elif n_fields > 1:
            notes.append(
                f"the headers have {n_fields} fields after |, of which the last is the label; the others stay in the name."
                + self._other_reading(_n_labels(self.words))
            )
        names = ["|".join(words[:-n]) for words in self.words]
        labels = [tuple(words[-n:][i] for i in places) for words in self.words]
        return Labels(names, tuple(columns[i] for i in places), labels, notes, n)

    def _other_reading(self, n: int) -> str:
        """Return a sentence on how to get several labels, if the last n fields could be labels."""
        if n == 1:
            return " Several labels are written label1=... label2=..."
        return f" If no label column is named, the last {n} are labels." if self.requested is not None else ""

    def _notes_of_parts(self) -> list[str]:
        """Return a note on each NAME= that has one part of a split in all records; several parts are refused."""
        notes = []
        for name, counts in self.others.items():
            if "" in counts or counts.total() < len(self.names):
                continue
            if len(counts) > 1:
                raise MissingLabelError(
                    f"{name}= of the headers has {counted_parts(counts)}, the parts of a split; write a file of each."
                )
            notes.append(f"{name}={next(iter(counts))} of the headers is a part of a split and no label.")
        return notes


def _without_split(words: list[list[str]]) -> tuple[list[list[str]], list[str]]:
    """Remove a last field that is a part of a split in every record, and add a note; several parts are refused.

    >>> _without_split([["a", "1", "training"], ["b", "0", "training"]])[0]
    [['a', '1'], ['b', '0']]
    """
    last = [of[-1].lower() for of in words]
    if not set(last) <= PARTS:
        return words, []
    parts = sorted(set(last))
    if len(words[0]) == 2:
        raise MissingLabelError(
            f"the headers have only {join_names(parts)} after |, which is a part of a split and no label; write "
            f"`>{words[0][0]}|promoter|{last[0]}`."
        )
    if len(parts) > 1:
        counts = counted_parts(Counter(last))
        raise MissingLabelError(f"the last field of the headers has {counts}, the parts of a split; write a file of each.")
    return [of[:-1] for of in words], [f"the last field of the headers, {parts[0]}, is a part of a split and no label."]


def _n_labels(words: list[list[str]]) -> int:
    """Return the number of label fields at the end: those that are 0 or 1, or numbers with decimals; else 1.

    >>> _n_labels([["a", "7", "0", "1"], ["b", "8", "1", "1"]]), _n_labels([["a", "0.5", "2.25"]]), _n_labels([["a", "7", "1"]])
    (2, 2, 1)
    """
    columns = list(zip(*(of[:0:-1] for of in words), strict=True))  # from the last field to the first, without the name
    for fits in (_are_flags, _have_decimals):
        n = next((i for i, column in enumerate(columns) if not fits(column)), len(columns))
        if n > 1:
            return n
    return 1


def _are_flags(column: tuple[str, ...]) -> bool:
    return set(column) <= {"0", "1"}


def _have_decimals(column: tuple[str, ...]) -> bool:
    try:
        return all(math.isfinite(float(text)) for text in column) and any("." in text for text in column)
    except ValueError:
        return False
