"""Rows of a BED-like file on a genome: one that lies beyond its contig is refused with its line and its own numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from genoformer.errors import ContigError, FileFormatError
from genoformer.genome.bed import Region, read_regions
from genoformer.genome.bed_kinds import layout_of
from genoformer.genome.contigs import ContigIndex
from genoformer.genome.reference import Genome


class Placed(NamedTuple):
    """A region, and what the genome calls its contig."""

    region: Region
    chrom: str


def regions_on(path: str | os.PathLike[str], genome: Genome, columns: str | None = None) -> Iterator[Placed]:
    """The rows of a file, each inside its contig, under the genome's own names of contigs.

    Raises: FileFormatError with the line and the row for one that reaches beyond its contig; ContigError likewise for a contig
    that the genome lacks, or that fits several.
    """
    path = Path(path)
    names: dict[str, str] = {}
    for region in read_regions(path, columns=columns):
        if region.chrom not in names:
            try:
                names[region.chrom] = genome.resolve(region.chrom)
            except ContigError as error:
                raise ContigError(f"{path}, line {region.line}: {error}") from None
        chrom = names[region.chrom]
        if region.end > genome.contigs[chrom]:
            raise FileFormatError(f"{beyond(path, region, chrom, genome, columns)}; is the file of another assembly?")
        yield Placed(region, chrom)


def beyond(path: Path, region: Region, chrom: str, genome: Genome, columns: str | None = None) -> str:
    """A row that reaches beyond its contig: its line, its numbers as the file has them, and the length.

    "a.bed, line 1: chr1:60,100-60,200 lies beyond chr1 of g.fa, which has 60,000 bases"
    """
    length = genome.contigs[chrom]
    row = row_text(path, region, columns)
    verb = "lies" if region.start >= length else "reaches"
    return f"{path}, line {region.line}: {row} {verb} beyond the end of {chrom} of {genome.name}, which has {length:,} bases"


def row_text(path: Path, region: Region, columns: str | None = None) -> str:
    """The numbers of a row as its file has them."""
    base = layout_of(path, columns).base
    return f"{region.chrom}:{region.start + base:,}-{region.end:,}"


def first_beyond(path: str | os.PathLike[str], genome: Genome, columns: str | None = None) -> str | None:
    """`beyond` of the first row of a file that lies beyond its contig altogether; None where none does."""
    path = Path(path)
    index = ContigIndex(genome.contigs)
    names: dict[str, str | None] = {}
    for region in read_regions(path, columns=columns):
        if region.chrom not in names:
            names[region.chrom] = index.get(region.chrom)
        chrom = names[region.chrom]
        if chrom is not None and region.start >= genome.contigs[chrom]:
            return beyond(path, region, chrom, genome, columns)
    return None
