"""Scored variants of a report: rows, words of GF_FIX and the VCF -> the alleles as `score` read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from genoformer.formats.vcf import Record, open_vcf
from genoformer.genome.fit import read_by_word
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant

Key = tuple[str, int, str, str]  # contig, POS, ID and REF of a record


class Meant:
    """Lookup of the scored variant of each row; rows with a fix need the original records of the VCF."""

    def __init__(self, path: Path, rows: Sequence[Sequence[Any]], fix: int | None, genome: Genome) -> None:
        """Read the records of the fixed rows. fix: index of GF_FIX in a row; if it is None, the VCF is not read."""
        self._genome = genome
        fixed = [row for row in rows if fix is not None and row[fix] is not None]
        self._records = find_records(path, fixed) if fixed else {}

    def variant(self, row: Sequence[Any], word: str | None) -> Variant | None:
        """Return the scored variant with the contig name of the genome; None if this genome does not determine it."""
        chrom, pos, _, ref, alt = row[:5]
        contig = self._genome.resolve(chrom)
        if word is None:
            return Variant(contig, pos, ref.upper(), alt.upper())
        for record in self._records.get(_key(row), ()):
            meant = read_by_word(record, word, self._genome, contig) if alt in record.alts else None
            if meant is not None:
                return Variant(contig, meant.pos, meant.ref.upper(), meant.alts[record.alts.index(alt)].upper())
        return None


def find_records(path: Path, rows: Iterable[Sequence[Any]]) -> Mapping[Key, list[Record]]:
    """Return the records of the rows by key, read as a stream of the VCF; each key has few records."""
    found: dict[Key, list[Record]] = {_key(row): [] for row in rows}
    with open_vcf(path) as file:
        for record in file:
            of_key = found.get((record.chrom, record.pos, record.id, record.ref))
            if of_key is not None:
                of_key.append(record)
    return found


def _key(row: Sequence[Any]) -> Key:
    return row[0], row[1], row[2], row[3]
