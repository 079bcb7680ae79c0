"""GTF or GFF3 -> the lines that genes are made of (exons, CDS, stop codons), each with its gene and transcript."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from genoformer.errors import FileFormatError
from genoformer.genome import gff
from genoformer.genome.gtf import PARTS, attributes_of, format_of, gene_name, gtf_rows


class GeneRow(NamedTuple):
    """A line of a gene, 0-based half-open."""

    line: int
    contig: str
    kind: str  # of PARTS
    start: int
    end: int
    strand: str
    gene: str
    name: str  # of the gene, for people
    transcript: str


def gene_rows(path: Path) -> Iterator[GeneRow]:
    """The exons, CDS and stop codons of a file in its order; a line of several Parents is one for each.

    Raises: MissingFileError; FileFormatError with the line number.
    """
    yield from _of_gff(path) if format_of(path) == "GFF3" else _of_gtf(path)


def _of_gtf(path: Path) -> Iterator[GeneRow]:
    for number, fields in gtf_rows(path):
        if fields[2] not in PARTS:
            continue
        attributes = attributes_of(fields[8])
        gene = attributes.get("gene_id")
        if not gene:
            raise FileFormatError(f"{path}, line {number}: {fields[2]} without gene_id; give a GTF whose lines say their gene.")
        transcript = attributes.get("transcript_id") or gene
        yield _row(number, fields, gff.Family(gene, gene_name(attributes, gene), transcript))


def _of_gff(path: Path) -> Iterator[GeneRow]:
    nodes: dict[str, gff.Node] = {}
    rows: list[tuple[int, list[str]]] = []
    for number, fields in gtf_rows(path):
        if fields[2] in PARTS:
            rows.append((number, fields))
        elif fields[2] not in gff.LEAVES and (found := gff.node_of(fields[2], fields[8])):
            nodes.setdefault(*found)
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
