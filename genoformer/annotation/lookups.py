"""Alleles of a VCF -> values of the same alleles, or of their positions, in other files.

Alleles of both sides are compared in their normalised spelling. Where several records of a file have an allele, the first is
used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.annotation.field_values import FieldValues, Matches, field_values
from genoformer.annotation.lookup_files import LookupFile
from genoformer.annotation.lookup_readers import Reader, open_reader
from genoformer.annotation.source_hash import identifying_hash
from genoformer.errors import FileFormatError
from genoformer.formats.tabix_index import index_path
from genoformer.formats.text_columns import same_as_before, split_columns, whole_numbers
from genoformer.formats.vcf_text import ENCODING, ERRORS
from genoformer.genome.allele_table import AlleleTable, Spans, read_alleles
from genoformer.genome.contigs import ContigIndex, join_names
from genoformer.genome.reference import Genome
from genoformer.genome.wording import counted
from genoformer.writers import Field, Source, info_key

Integers = NDArray[np.int64]

_CHROM, _POS, _REF, _ALT, _INFO = 0, 1, 3, 4, 7


@dataclass(frozen=True)
class LookupCounts:
    """Numbers of ALTs by the result of a look-up."""

    alleles: int = 0  # of the VCF
    matched: int = 0
    ambiguous: int = 0  # of the matched: several records with different values
    no_contig: int = 0  # on a contig that the file does not have
    no_sequence: int = 0  # breakend, *, or symbolic: they spell no sequence, and have no end or the file knows none
    not_aligned: int = 0  # insertions and deletions whose REF differs from the genome: compared as they are spelled

    @property
    def not_matched(self) -> int:
        return self.alleles - self.matched - self.no_contig - self.no_sequence

    def text(self, file: str) -> str:
        """Return a sentence for the user."""
        parts = [f"{self.matched:,} of {counted(self.alleles, 'allele')} found in {file}, {self.not_matched:,} not found"]
        if self.ambiguous:
            parts.append(f"{self.ambiguous:,} ambiguous (several records with different values: the first is used)")
        if self.no_contig:
            parts.append(f"{self.no_contig:,} on contigs that it does not have")
        if self.no_sequence:
            parts.append(f"{self.no_sequence:,} without a sequence or an end (symbolic, breakend, *)")
        if self.not_aligned:
            parts.append(f"{self.not_aligned:,} with a REF that the FASTA does not have, compared as they are spelled")
        return "; ".join(parts)


@dataclass(frozen=True, eq=False)
class Lookup:
    """A file that is looked up, and its fields in the output."""

    file: LookupFile

    @property
    def name(self) -> str:
        return self.file.name

    @cached_property
    def fields(self) -> list[Field]:
        """Fields of the output: NAME_FIELD, or NAME for the only value that has no name."""
        fields = []
        for of in self.file.fields:
            key = f"{self.name}_{info_key(of.name)}" if of.name else self.name
            what = f"{of.name} of the same allele in" if self.file.layout and self.file.layout.has_alleles else f"{of.name} in"
            text = f"{what.strip()} {self.file.path.name}: {of.meaning}"
            fields.append(Field(key, of.type, text, number=of.number))
        return fields

    def open(self, genome: Genome | None) -> Reader:
        """Open the file; genome: for the alignment of insertions and deletions."""
        return open_reader(self.file, genome)

    def sentence(self, counts: LookupCounts) -> str:
        """Return a sentence on what was found."""
        return f"{self.name}: {counts.text(self.file.path.name)}"

    @cached_property
    def source(self) -> Source:
        kind, digest = identifying_hash(self.file.path, index_path(self.file.path))
        return Source(self.name, self.file.path.name, digest, tuple(field.key for field in self.fields), kind)


class _Opened(NamedTuple):
    lookup: Lookup
    first: int  # index of its first field
    reader: Reader


class OpenLookups:
    """Files that are open for looking up blocks of records in their order; `open_lookups` makes it."""

    def __init__(self, opened: Sequence[_Opened], genome: Genome | None) -> None:
        self._opened, self._genome = opened, genome
        self._in_genome = ContigIndex(genome.contigs if genome is not None else ())
        self.counts: dict[str, LookupCounts] = {of.lookup.name: LookupCounts() for of in opened}
        self._n_unshifted = 0  # insertions and deletions that no genome could align

    def values(self, text: bytes) -> list[FieldValues]:
        """Return the field values of records, given as whole lines of a VCF (at least the columns up to ALT)."""
        if not self._opened or not text:
            return []
        has_symbols = b"<" in text
        columns = split_columns(text, (_INFO if has_symbols else _ALT) + 1)
        positions, wrong = whole_numbers(columns.letters, *columns.span(_POS))
        if len(wrong):
            raise FileFormatError(f"line {int(wrong[0]) + 1} of a block of records has no position; correct the VCF.")
        rows: dict[str, list[Integers]] = {}
        for name, i, j in same_as_before(text, *columns.span(_CHROM)):
            rows.setdefault(name.decode(ENCODING, ERRORS), []).append(np.arange(i, j))
        ref, alt, info = columns.span(_REF), columns.span(_ALT), columns.span(_INFO) if has_symbols else None
        matches = [Matches(len(of.lookup.fields)) for of in self._opened]
        for contig, runs in rows.items():
            records = np.concatenate(runs)
            of_contig = [None if span is None else (span[0][records], span[1][records]) for span in (ref, alt, info)]
            spans = Spans(columns.letters, positions[records] - 1, *of_contig)  # type: ignore[arg-type]
            alleles = read_alleles(spans, self._genome, self._in_genome.get(contig))
            alleles = replace(alleles, record=records[alleles.record])
            self._count_unshifted(contig, alleles)
            for of, found in zip(self._opened, matches, strict=True):
                usable = of.reader.usable(alleles)
                has_contig = not len(usable) or of.reader.add(contig, usable, found)
                self._count(of.lookup.name, usable, has_contig=has_contig)
        values, n_alts = [], _count_alts(text, *alt)
        for of, found in zip(self._opened, matches, strict=True):
            records, numbers, texts, n_ambiguous = found.unique()
            counts = self.counts[of.lookup.name]
            self.counts[of.lookup.name] = replace(
                counts, matched=counts.matched + len(records), ambiguous=counts.ambiguous + n_ambiguous
            )
            values += field_values(of.lookup.file.fields, of.first, (records, numbers, texts), n_alts)
        return values

    def _count(self, name: str, alleles: AlleleTable, *, has_contig: bool) -> None:
        counts = self.counts[name]
        n_sequence = len(alleles)
        self.counts[name] = replace(
            counts,
            alleles=counts.alleles + alleles.n_alleles,
            no_sequence=counts.no_sequence + alleles.n_alleles - n_sequence,
            no_contig=counts.no_contig + (0 if has_contig else n_sequence),
            not_aligned=counts.not_aligned + alleles.n_unfit,
        )

    def _count_unshifted(self, contig: str, alleles: AlleleTable) -> None:
        if self._genome is None or self._in_genome.get(contig) is None:
            alleles = alleles.of_sequences()
            self._n_unshifted += int((alleles.ref[:, 1] != alleles.alt[:, 1]).sum())

    def sentences(self) -> tuple[str, ...]:
        """Return a sentence for each file on what was found."""
        return tuple(of.lookup.sentence(self.counts[of.lookup.name]) for of in self._opened)

    def notes(self) -> list[str]:
        """Return sentences on contigs with other names, and on values and alleles that could not be used."""
        notes = []
        if self._n_unshifted:
            why = "without a FASTA" if self._genome is None else "on contigs that the FASTA does not have"
            notes.append(
                f"{self._n_unshifted:,} insertions and deletions {why} were compared without shifting them to the left; "
                "those that another program placed elsewhere in a repeat are not found."
            )
        for of in self._opened:
            renamed = {name: own for name, own in of.reader.names().items() if name != own}
            if renamed:
                first, own = next(iter(renamed.items()))
                more = f", and {len(renamed) - 1} more likewise" if len(renamed) > 1 else ""
                notes.append(f"{of.lookup.name}: contig {first} of the VCF is {own} in {of.lookup.file.path.name}{more}.")
            path, index = of.lookup.file.path, index_path(of.lookup.file.path)
            if index is not None and index.stat().st_mtime + 1 < path.stat().st_mtime:
                notes.append(
                    f"{of.lookup.name}: the index {index.name} is older than {path.name}; if the file has changed since, "
                    "make the index again (tabix -f)."
                )
            checks = of.lookup.file.checks
            if checks is not None and checks.counts:
                columns = join_names(f"{name} ({n:,})" for name, n in checks.counts.items())
                notes.append(f"{of.lookup.name}: values that are no numbers were left out of the columns {columns}.")
        return notes

    def close(self) -> None:
        for of in self._opened:
            of.reader.close()


def _count_alts(text: bytes, begins: Integers, ends: Integers) -> Integers:
    """Return the number of ALTs of each record."""
    n_alts = np.ones(len(begins), dtype=np.int64)
    longer = np.flatnonzero(ends - begins > 1)
    commas = (text.count(b",", i, j) for i, j in zip(begins[longer].tolist(), ends[longer].tolist(), strict=True))
    n_alts[longer] += np.fromiter(commas, dtype=np.int64, count=len(longer))
    return n_alts


@contextmanager
def open_lookups(lookups: Sequence[Lookup], first: int, genome: Genome | None) -> Iterator[OpenLookups]:
    """Open the files of look-ups. first: index of their first field among those of the output."""
    with ExitStack() as closing:
        opened = []
        for lookup in lookups:
            reader = lookup.open(genome)
            closing.callback(reader.close)
            opened.append(_Opened(lookup, first, reader))
            first += len(lookup.fields)
        yield OpenLookups(opened, genome)
