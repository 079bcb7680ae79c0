"""Finished parts in order -> every record with its scores in the sink, and the scores of every track in the matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from genoformer.annotation.lookups import OpenLookups
from genoformer.annotation.motif_changes import LeftOut, MotifAnnotation
from genoformer.annotation.overlap import Annotations, lines_of_alleles, text_cells, values_of_records
from genoformer.errors import ConfigError
from genoformer.formats.vcf import Record
from genoformer.genome.fit import FIX_WORDS
from genoformer.genome.variants import Status
from genoformer.progress import Stage
from genoformer.scoring.matrix import MatrixWriter
from genoformer.scoring.parts import STATUSES, Parts
from genoformer.writers import Cells, Column, Floats, RecordWriter


class AddedColumns(Protocol):
    """Columns computed from the scores, such as quantiles and flags."""

    @property
    def columns(self) -> list[Column]: ...
    def values(self, records: Sequence[Record], values: Floats) -> Floats: ...  # [ALTs, columns] -> [ALTs, added]


class OpenAnnotations:
    """Annotations, those of their files that are looked up, and motifs, open for one pass over the records."""

    def __init__(self, annotations: Annotations, lookups: OpenLookups, motifs: MotifAnnotation | None) -> None:
        self._annotations, self._lookups, self._motifs = annotations, lookups, motifs
        self._n_fields = len(annotations.fields)
        self._left_out = LeftOut(self._n_fields)

    def cells(self, records: Sequence[Record]) -> dict[int, Cells]:
        """Annotate consecutive records: index of a record -> field -> texts."""
        values = values_of_records(self._annotations, self._lookups, records)
        of_motifs = self._motifs.values(lines_of_alleles(records), self._n_fields) if self._motifs is not None else []
        self._left_out.add(of_motifs)
        return text_cells([*values, *of_motifs])

    def notes(self) -> list[str]:
        """Return what was found, and notes on values and alleles that could not be used."""
        return [*self._lookups.sentences(), *self._lookups.notes(), *self._left_out.notes()]


def check_unique_info_keys(columns: Sequence[Column]) -> None:
    """Raise ConfigError if two columns would have the same INFO key."""
    seen: dict[str, str] = {}
    for column in columns:
        if column.key in seen:
            raise ConfigError(f"{seen[column.key]} and {column.name} would both be {column.key} in a VCF; rename the tracks.")
        seen[column.key] = column.name


def write_parts(
    lists: Iterable[Sequence[Record]],
    parts: Parts,
    output: RecordWriter,
    matrix: MatrixWriter | None,
    added: Sequence[AddedColumns],
    annotations: OpenAnnotations | None,
    stage: Stage,
) -> Counter[Status]:
    """Write the records of all parts with their scores; return the number of ALTs by status."""
    counts: Counter[Status] = Counter()
    for i, records in enumerate(lists):
        part = parts.get(i)
        assert part is not None
        values = np.hstack([part.values, *(of.values(records, part.values) for of in added)])
        for number, n in enumerate(np.bincount(part.statuses).tolist()):
            counts[STATUSES[number]] += n
        cells = annotations.cells(records) if annotations else {}
        output.write_all(records, [STATUSES[n] for n in part.statuses.tolist()], values, cells)
        first = 0  # row of the record's first ALT
        for record in records if matrix is not None else ():
            assert matrix is not None
            after = first + max(1, len(record.alts))
            in_matrix = slice(*np.searchsorted(part.rows[:, 0], [first, after]).tolist())
            matrix.write(record, first, part.rows[in_matrix], part.matrix[in_matrix])
            first = after
        stage.add(len(records))
    return counts


def count_fixes(parts: Parts, n_parts: int, column: int) -> dict[str, int]:
    """Return the number of corrected ALTs for each word of FIX_WORDS. column: index of the column of corrections."""
    counts: Counter[str] = Counter()
    for i in range(n_parts):
        part = parts.get(i)
        assert part is not None
        numbers = part.values[:, column]
        counts.update(FIX_WORDS[int(number)] for number in numbers[~np.isnan(numbers)])
    return dict(counts)
