"""GTF or GFF3 -> the lines that define genes (exons, CDS, stop codons), each with its gene and transcript."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from genoformer.errors import FileFormatError
from genoformer.formats import gff
from genoformer.formats.gtf import EXON, PARTS, attributes_of, format_of, gene_name, gtf_rows, transcript_of
from genoformer.formats.transcript_exons import Key, Span, is_transcript, is_utr, made_exons, widen


class GeneRow(NamedTuple):
    """Line of a gene, 0-based half-open."""

    line: int
    contig: str
    kind: str  # one of PARTS
    start: int
    end: int
    strand: str
    gene: str
    name: str  # display name of the gene
    transcript: str
    made: bool = False  # an inferred exon, without a line in the file


class _Lines(NamedTuple):
    """Lines from which exons are inferred for transcripts without exon lines, by contig and transcript."""

    with_exons: set[Key]
    coding: dict[Key, list[GeneRow]]
    utrs: dict[Key, list[Span]]
    limits: dict[Key, Span]
    of_genes: dict[Key, Span]  # limits of genes that serve as transcripts

    def add(self, row: GeneRow) -> GeneRow:
        """Record an exon, CDS or stop codon, and return it."""
        key = (row.contig, row.transcript)
        if row.kind == EXON:
            self.with_exons.add(key)
            self.coding.pop(key, None)
        elif key not in self.with_exons:
            self.coding.setdefault(key, []).append(row)
        return row

    def made(self) -> Iterator[GeneRow]:
        """Yield the exons of transcripts without exon lines, as copies of each transcript's first row."""
        coding = {key: [(row.start, row.end) for row in rows] for key, rows in self.coding.items()}
        for key, (start, end) in made_exons(coding, self.utrs, {**self.of_genes, **self.limits}):
            yield self.coding[key][0]._replace(kind=EXON, start=start, end=end, made=True)


def gene_rows(path: Path) -> Iterator[GeneRow]:
    """Yield the exons, CDS and stop codons of a file in file order; a line with several Parents gives one row for each.

    The exons of transcripts without exon lines follow at the end (`transcript_exons`).

    Raises: MissingFileError; FileFormatError with the line number.
    """
    lines = _Lines(set(), {}, {}, {}, {})
    for row in _of_gff(path, lines) if format_of(path) == "GFF3" else _of_gtf(path, lines):
        yield lines.add(row)
    yield from lines.made()


def _of_gtf(path: Path, lines: _Lines) -> Iterator[GeneRow]:
    for number, fields in gtf_rows(path):
        kind, span = fields[2], (int(fields[3]) - 1, int(fields[4]))
        if kind not in PARTS:
            attributes = attributes_of(fields[8])
            if is_utr(kind):
                lines.utrs.setdefault((fields[0], transcript_of(attributes)), []).append(span)
            elif is_transcript(kind):
                widen(lines.limits, (fields[0], transcript_of(attributes, fields[8])), *span)
            elif kind == "gene":
                widen(lines.of_genes, (fields[0], attributes.get("gene_id", "")), *span)
            continue
        attributes = attributes_of(fields[8])
        gene = attributes.get("gene_id")
        if not gene:
            raise FileFormatError(f"{path}, line {number}: {kind} without gene_id; give a GTF whose lines say their gene.")
        yield _row(number, fields, gff.Family(gene, gene_name(attributes, gene), transcript_of(attributes)))


def _of_gff(path: Path, lines: _Lines) -> Iterator[GeneRow]:
    nodes: dict[str, gff.Node] = {}
    rows: list[tuple[int, list[str]]] = []
    utrs: list[list[str]] = []
    for number, fields in gtf_rows(path):
        if fields[2] in PARTS:
            rows.append((number, fields))
        elif is_utr(fields[2]):
            utrs.append(fields)
        elif fields[2] not in gff.LEAVES and (found := gff.node_of(fields[2], fields[8])):
            nodes.setdefault(*found)
            widen(lines.limits, (fields[0], found[0]), int(fields[3]) - 1, int(fields[4]))
    for fields in utrs:
        for family in gff.families(gff.attributes_of(fields[8]), nodes):
            lines.utrs.setdefault((fields[0], family.transcript), []).append((int(fields[3]) - 1, int(fields[4])))
    for number, fields in rows:
        families = gff.families(gff.attributes_of(fields[8]), nodes)
        if not families:
            raise FileFormatError(
                f"{path}, line {number}: {fields[2]} without Parent, gene_id or ID; give a GFF3 whose lines say their gene."
            )
        for family in families:
            yield _row(number, fields, family)


def _row(number: int, fields: list[str], family: gff.Family) -> GeneRow:
    return GeneRow(number, fields[0], fields[2], int(fields[3]) - 1, int(fields[4]), fields[6], *family)
