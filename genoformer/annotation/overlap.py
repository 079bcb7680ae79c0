"""Intervals of records -> overlapping elements and genes, with nested containment lists -> annotation fields."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoformer.annotation.elements import Elements
from genoformer.annotation.field_values import FieldValues
from genoformer.annotation.genes import PARTS, GeneMap, Pieces, Sites, nearest
from genoformer.annotation.lookups import Lookup, OpenLookups, open_lookups
from genoformer.errors import ConfigError, ContigError
from genoformer.formats.reach import reach
from genoformer.formats.vcf import Record
from genoformer.formats.vcf_text import ENCODING, ERRORS
from genoformer.genome.contigs import ContigMap, join_names, without_chr
from genoformer.genome.reference import Genome
from genoformer.writers import Cells, Field, Source

Integers = NDArray[np.int64]


class Annotations:
    """Elements and genes with lookup by the contig names of a VCF, and files that are looked up by allele or position.

    Indexes of elements and genes are built per contig.
    """

    def __init__(self, elements: Sequence[Elements], genes: GeneMap | None = None, lookups: Sequence[Lookup] = ()) -> None:
        self.elements, self.genes, self.lookups = tuple(elements), genes, tuple(lookups)
        self.fields: list[Field] = [field for each in elements for field in each.fields] + (genes.fields if genes else [])
        self._first_lookup = len(self.fields)
        self.fields += [field for each in lookups for field in each.fields]
        self.sources: list[Source] = [each.source for each in elements] + ([genes.source] if genes else [])
        self.sources += [each.source for each in lookups]
        self._firsts = np.cumsum([0, *(len(each.fields) for each in elements)]).tolist()
        self.keys: list[str] = [field.key for field in self.fields]
        self._offsets = np.cumsum([0, *(len(each) for each in elements)])  # row offset of each annotation
        self._indexes: dict[str, Any] = {}
        self._genes: dict[str, tuple[Any, Pieces | None, Sites | None]] = {}

    def __repr__(self) -> str:
        return f"Annotations({', '.join(self.keys)})"

    def __getstate__(self) -> dict[str, Any]:
        """Return what a worker process gets; it builds its own indexes."""
        return {**self.__dict__, "_indexes": {}, "_genes": {}}

    @property
    def all(self) -> list[Elements | GeneMap]:
        """Elements and genes."""
        return [*self.elements, *([self.genes] if self.genes else [])]

    def open_lookups(self, genome: Genome | None) -> AbstractContextManager[OpenLookups]:
        """Open the files that are looked up, for one pass over the records; genome: for the alignment of indels."""
        return open_lookups(self.lookups, self._first_lookup, genome)

    def without_lookups(self) -> Annotations:
        """Return the elements and genes alone, for other processes: files that are looked up are read in one, in order."""
        return Annotations(self.elements, self.genes) if self.lookups else self

    def refuse_lookups(self) -> None:
        """Raise ConfigError if there are files that are looked up, where only elements and genes are of use."""
        if self.lookups:
            name = self.lookups[0].name
            raise ConfigError(f"{name} is looked up by allele or position and has no intervals; give it to annotate or score.")

    def overlaps(self, contig: str, starts: Integers, ends: Integers) -> tuple[Integers, Integers, Integers]:
        """Return pairs of an interval [start, end) and an element that shares a base with it.

        Returns the index of the interval, the index of the annotation, and the row of the element, [m] each; sorted by
        interval, annotation and position of the element.
        """
        index = self._index(contig)
        if index is None:
            none = np.zeros(0, dtype=np.int64)
            return none, none, none
        rows = np.arange(len(starts), dtype=np.int64)
        interval, ids = index.all_overlaps_both(np.ascontiguousarray(starts), np.ascontiguousarray(ends), rows)
        which = np.searchsorted(self._offsets, ids, side="right") - 1
        element = ids - self._offsets[which]
        begin, end = self._places(which, element)
        order = np.lexsort((element, end, begin, which, interval))
        return interval[order], which[order], element[order]

    def field_values(self, contig: str, records: Integers, starts: Integers, ends: Integers) -> list[FieldValues]:
        """Return the field values of records [start, end) of one contig; `records` must be in ascending order."""
        interval, which, element = self.overlaps(contig, starts, ends)
        values = []
        for k, elements in enumerate(self.elements):
            rows = which == k
            if rows.any():
                i = interval[rows]
                values.append(FieldValues(self._firsts[k], records[i], elements.texts(element[rows], starts[i], ends[i])))
        return values + (self._gene_values(contig, records, starts, ends) if self.genes else [])

    def parts(self, contig: str, starts: Integers, ends: Integers) -> tuple[Integers, Integers, Integers]:
        """Return (interval, part, gene) for each interval and each gene in or near it, sorted by part; [m] each.

        part: the first of PARTS in that gene that the interval overlaps. A flanking gene is listed only if the interval
        overlaps no other part. gene: -1 for intergenic. Contigs without genes have no rows.
        """
        index, pieces, _ = self._genes_on(contig)
        none = np.zeros(0, dtype=np.int64)
        if pieces is None:
            return none, none, none
        rows = np.arange(len(starts), dtype=np.int64)
        interval, ids = index.all_overlaps_both(np.ascontiguousarray(starts), np.ascontiguousarray(ends), rows)
        part, gene = pieces.part[ids].astype(np.int64), pieces.gene[ids].astype(np.int64)
        order = np.lexsort((part, gene, interval))
        interval, part, gene = interval[order], part[order], gene[order]
        first = np.ones(len(interval), dtype=bool)  # first part of each record and gene
        first[1:] = (interval[1:] != interval[:-1]) | (gene[1:] != gene[:-1])
        flanking = PARTS.index("flanking")
        inside = np.zeros(len(starts), dtype=bool)
        inside[interval[part != flanking]] = True
        kept = first & ((part != flanking) | ~inside[interval])
        interval, part, gene = interval[kept], part[kept], gene[kept]
        intergenic = np.setdiff1d(rows, interval)
        interval = np.concatenate([interval, intergenic])
        part = np.concatenate([part, np.full(len(intergenic), PARTS.index("intergenic"))])
        gene = np.concatenate([gene, np.full(len(intergenic), -1)])
        order = np.lexsort((gene, part, interval))
        return interval[order], part[order], gene[order]

    def nearest_site(self, contig: str, starts: Integers, ends: Integers) -> tuple[Integers, Integers] | None:
        """Return (gene, signed distance) of the nearest TSS of each interval, [n]; None on contigs without a TSS."""
        _, _, sites = self._genes_on(contig)
        if sites is None:
            return None
        site, away = nearest(sites, starts, ends)
        return sites.gene[site].astype(np.int64), away

    def _gene_values(self, contig: str, records: Integers, starts: Integers, ends: Integers) -> list[FieldValues]:
        assert self.genes is not None
        first, values, names = self._firsts[-1], [], self.genes.names
        if self.genes.pieces:
            interval, part, gene = self.parts(contig, starts, ends)
            if len(interval):
                genes = [names[g] if g >= 0 else "." for g in gene.tolist()]
                values.append(FieldValues(first, records[interval], [[PARTS[p] for p in part.tolist()], genes]))
            first += 2
        if (near := self.nearest_site(contig, starts, ends)) is not None:
            texts = [[names[g] for g in near[0].tolist()]] if self.genes.named else []
            values.append(FieldValues(first, records, [*texts, list(map(str, near[1].tolist()))]))
        return values

    def _index(self, contig: str) -> Any:
        """Return a nested containment list of all elements on a contig; None if there are none."""
        if contig not in self._indexes:
            from ncls import NCLS64

            ids = []
            for elements, offset in zip(self.elements, self._offsets, strict=False):
                rows = elements.rows_on(contig)
                ids.append(rows[elements.ends[rows] > elements.starts[rows]] + offset)
            every = np.concatenate([*ids, np.zeros(0, dtype=np.int64)])
            which = np.searchsorted(self._offsets, every, side="right") - 1
            self._indexes[contig] = NCLS64(*self._places(which, every - self._offsets[which]), every) if len(every) else None
        return self._indexes[contig]

    def _places(self, which: Integers, element: Integers) -> tuple[Integers, Integers]:
        """Return the starts and ends of elements of several annotations."""
        begin, end = np.empty(len(which), dtype=np.int64), np.empty(len(which), dtype=np.int64)
        for k, elements in enumerate(self.elements):
            rows = which == k
            begin[rows], end[rows] = elements.starts[element[rows]], elements.ends[element[rows]]
        return begin, end

    def _genes_on(self, contig: str) -> tuple[Any, Pieces | None, Sites | None]:
        if self.genes is None:
            return None, None, None
        if contig not in self._genes:
            pieces, sites = self.genes.on(contig)
            index = None
            if pieces is not None:
                from ncls import NCLS64

                low, high = (np.ascontiguousarray(column) for column in pieces.intervals.T)
                index = NCLS64(low, high, np.arange(len(low), dtype=np.int64))
            self._genes[contig] = index, pieces, sites
        return self._genes[contig]


def text_cells(values: Iterable[FieldValues]) -> dict[int, Cells]:
    """Convert field values to a dict: record -> field -> texts; empty ones are absent."""
    cells: dict[int, dict[int, list[str]]] = {}
    for field in values:
        for i, texts in enumerate(field.texts, field.first):
            for record, text in zip(field.records.tolist(), texts, strict=True):
                cells.setdefault(record, {}).setdefault(i, []).append(text)
    return dict(cells)


def values_of_records(annotations: Annotations, lookups: OpenLookups, records: Sequence[Record]) -> list[FieldValues]:
    """Return the field values of consecutive records."""
    rows: dict[str, list[int]] = {}
    for i, record in enumerate(records):
        rows.setdefault(record.chrom, []).append(i)
    intervals = np.array([reach(record) for record in records], dtype=np.int64).reshape(-1, 2)
    values: list[FieldValues] = []
    for contig, of_contig in rows.items():
        numbers = np.array(of_contig, dtype=np.int64)
        values += annotations.field_values(contig, numbers, intervals[numbers, 0], intervals[numbers, 1])
    return [*values, *lookups.values(lines_of_alleles(records))] if annotations.lookups else values


def lines_of_alleles(records: Iterable[Record]) -> bytes:
    """Return the first five columns of records as lines of a VCF, without their IDs; with symbolic ALTs also INFO."""
    lines = []
    for record in records:
        alts = ",".join(record.alts) or "."
        fields = record.line.split("\t", 8) if "<" in alts else ()
        info = f"\t.\t.\t{fields[7]}" if len(fields) > 7 else ""
        lines.append(f"{record.chrom}\t{record.pos}\t.\t{record.ref}\t{alts}{info}\n")
    return "".join(lines).encode(ENCODING, ERRORS)


def require_shared(annotations: Annotations, contigs: Mapping[str, int], vcf: str) -> None:
    """Raise ContigError if a VCF has contigs and no annotation has any of them."""
    is_any = any(source.has(name) for name in contigs for source in annotations.all)
    if contigs and annotations.all and not annotations.lookups and not is_any:
        names = dict.fromkeys(name for source in annotations.all for name in source.contigs)
        raise ContigError(
            f"no annotation has a contig of {vcf} ({join_names(contigs)}); but they have {join_names(names)}. "
            "Are they of one genome?"
        )


def contig_notes(annotations: Annotations, contigs: Mapping[str, int], vcf: str) -> list[str]:
    """Return notes on the contigs of a VCF (name -> length, 0 if unknown) and of the annotations.

    Topics: different contig names; annotations without a contig of the VCF; intervals beyond the end of a contig, with the
    line of the first.
    """
    if not contigs:
        return []
    notes: Counter[str] = Counter()
    renamed: dict[str, list[str]] = {}
    for source in annotations.all:
        file = source.path.name if isinstance(source, Elements) else source.file
        of = source.contigs
        if isinstance(source, Elements):  # names that differ only by "chr" are one contig
            of = list({without_chr(name): name for name in reversed(of)}.values())
        names = ContigMap(contigs, of)
        shared = [name for name in contigs if source.has(name)]
        if not shared:
            notes[f"{file}: none of its contigs is in {vcf}; no record has a value from it."] += 1
        elif names.renamed or names.ambiguous:
            renamed.setdefault(names.describe(vcf, "{}"), []).append(file)
        if isinstance(source, Elements):
            notes.update(_beyond(source, {name: contigs[name] for name in shared if contigs[name]}))
    for text, files in renamed.items():
        notes[text.replace("{}", join_names(files))] += 1
    return list(notes)


def _beyond(elements: Elements, lengths: Mapping[str, int]) -> list[str]:
    """Return a note if intervals end beyond their contig."""
    n, first = 0, len(elements)
    for name, length in lengths.items():
        rows = elements.rows_on(name)
        over = rows[elements.ends[rows] > length]
        n += len(over)
        first = min([first, *over[:1].tolist()])
    if not n:
        return []
    return [
        f"{elements.name}: {n:,} of {len(elements):,} intervals (the first in line {elements.line_of(first)}) end beyond their "
        "contig; is the file of another assembly?"
    ]
