"""The variants that were scored: rows of a report, words of GF_FIX and the VCF -> the alleles as they were read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from genoformer.genome.fit import read_by_word
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.genome.vcf import Record, open_vcf

Key = tuple[str, int, str, str]  # contig, POS, ID and REF of a record


class Meant:
    """The variant of each row, with its records as they stand in the VCF where rows were fixed."""

    def __init__(self, path: Path, rows: Sequence[Sequence[Any]], fix: int | None, genome: Genome) -> None:
        """fix: the place of GF_FIX in a row, if there is one; only then the VCF is read, for the other ALTs of a record."""
        self._genome = genome
        fixed = [row for row in rows if fix is not None and row[fix] is not None]
        self._records = records_of(path, fixed) if fixed else {}

    def variant(self, row: Sequence[Any], word: str | None) -> Variant | None:
        """The variant that was scored, under the genome's name of the contig; None where it cannot be told on this genome."""
        chrom, pos, _, ref, alt = row[:5]
        contig = self._genome.resolve(chrom)
        if word is None:
            return Variant(contig, pos, ref.upper(), alt.upper())
        for record in self._records.get(_key(row), ()):
            meant = read_by_word(record, word, self._genome, contig) if alt in record.alts else None
            if meant is not None:
                return Variant(contig, meant.pos, meant.ref.upper(), meant.alts[record.alts.index(alt)].upper())
        return None


def records_of(path: Path, rows: Iterable[Sequence[Any]]) -> Mapping[Key, list[Record]]:
    """The records of a VCF that rows are of, streamed; those of one key are few."""
    found: dict[Key, list[Record]] = {_key(row): [] for row in rows}
    with open_vcf(path) as file:
        for record in file:
            of_key = found.get((record.chrom, record.pos, record.id, record.ref))
            if of_key is not None:
                of_key.append(record)
    return found


def _key(row: Sequence[Any]) -> Key:
    return row[0], row[1], row[2], row[3]
