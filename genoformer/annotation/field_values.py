"""Values of the fields of annotations, as parallel texts with the records that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.annotation.lookup_fields import SourceField, Texts, combined, plain, plain_texts

Integers = NDArray[np.int64]

_ALTS = 1 << 20  # more than the ALTs of a record


class FieldValues(NamedTuple):
    """Field values of one annotation: parallel texts, one row per element (or gene, or ALT) of a record."""

    first: int  # index of its first field
    records: Integers  # [m], ascending
    texts: list[list[str]]  # of each field, [m]


class Matches:
    """Alleles of a block of records that a file has, with the texts of its fields."""

    def __init__(self, n_fields: int) -> None:
        self._records: list[Integers] = []
        self._numbers: list[Integers] = []
        self._texts: list[Texts] = [[] for _ in range(n_fields)]

    def add(self, records: Integers, numbers: Integers, texts: Sequence[Texts]) -> None:
        """Add matches: records [m], numbers of their ALTs [m], and for each field a text [m]."""
        self._records.append(records)
        self._numbers.append(numbers)
        for column, of in zip(self._texts, texts, strict=True):
            column += of

    def unique(self) -> tuple[Integers, Integers, list[Texts], int]:
        """Return records, numbers and texts, sorted, the first match of each allele, and the number of ambiguous alleles.

        An allele is ambiguous if another match of it has other texts.
        """
        none = np.zeros(0, dtype=np.int64)
        records, numbers = np.concatenate([none, *self._records]), np.concatenate([none, *self._numbers])
        keys = records * _ALTS + numbers
        steps = np.diff(keys)
        if (steps > 0).all():
            return records, numbers, self._texts, 0
        order = np.argsort(keys, kind="stable")
        is_first = np.append(True, np.diff(keys[order]) > 0)[: len(keys)]
        firsts = order[is_first]
        again = order[~is_first].tolist()
        rank = (np.cumsum(is_first) - 1)[~is_first].tolist()
        first_of = firsts[rank].tolist()
        ambiguous = {i for i, j in zip(first_of, again, strict=True) if any(of[i] != of[j] for of in self._texts)}
        kept = firsts.tolist()
        return records[firsts], numbers[firsts], [[of[i] for i in kept] for of in self._texts], len(ambiguous)


def field_values(
    fields: Sequence[SourceField], first: int, matches: tuple[Integers, Integers, list[Texts]], n_alts: Integers
) -> list[FieldValues]:
    """Return the values of unique matches as parallel texts. first: index of the first field; n_alts: of every record.

    Fields with one value for every record share one `FieldValues`.
    """
    records, numbers, columns = matches
    if not len(records):
        return []
    if (n_alts[records] == 1).all() and all(_is_simple(field, texts) for field, texts in zip(fields, columns, strict=True)):
        return [FieldValues(first, records, [plain_texts(texts) for texts in columns])]
    values = []
    for i, (field, texts) in enumerate(zip(fields, columns, strict=True), first):
        rows, entries = _entries(field, records, numbers, texts, n_alts)
        if entries:
            values.append(FieldValues(i, np.array(rows, dtype=np.int64), [entries]))
    return values


def _is_simple(field: SourceField, texts: Texts) -> bool:
    """True if a field has one value for every match."""
    return None not in texts and (field.number == "A" or (field.number == "." and not any("," in str(text) for text in texts)))


def _entries(
    field: SourceField, records: Integers, numbers: Integers, texts: Texts, n_alts: Integers
) -> tuple[list[int], list[str]]:
    """Return the entries of a field, and the record of each."""
    rows: list[int] = []
    entries: list[str] = []
    of_record: list[str | None] = []
    all_records, all_numbers, counts = records.tolist(), numbers.tolist(), n_alts[records].tolist()
    for i, (record, text) in enumerate(zip(all_records, texts, strict=True)):
        if counts[i] == 1:
            of_record = [text]
        else:
            if not of_record:
                of_record = [None] * counts[i]
            of_record[all_numbers[i]] = text
            if i + 1 < len(all_records) and all_records[i + 1] == record:
                continue
        added = combined(field.number, of_record)
        rows += [record] * len(added)
        entries += map(plain, added)
        of_record = []
    return rows, entries
