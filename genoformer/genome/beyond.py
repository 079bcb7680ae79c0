"""Rows of a BED-like file on a genome; a row beyond its contig is refused with its line and its original numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from genoformer.errors import ContigError, FileFormatError
from genoformer.formats.bed import Region, read_regions
from genoformer.formats.bed_kinds import layout_of
from genoformer.genome.contigs import ContigIndex
from genoformer.genome.reference import Genome


class Placed(NamedTuple):
    """Region, and the genome's name of its contig."""

    region: Region
    chrom: str


def regions_on(path: str | os.PathLike[str], genome: Genome, columns: str | None = None) -> Iterator[Placed]:
    """Yield the rows of a file, each inside its contig, with the genome's own contig names.

    Raises: FileFormatError with the line and the row, for a row that reaches beyond its contig; ContigError with the line, for
    a contig that the genome lacks, or that fits several.
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
    """Describe a row that reaches beyond its contig: its line, its original numbers, and the length of the contig."""
    length = genome.contigs[chrom]
    row = row_text(path, region, columns)
    verb = "lies" if region.start >= length else "reaches"
    return f"{path}, line {region.line}: {row} {verb} beyond the end of {chrom} of {genome.name}, which has {length:,} bases"


def row_text(path: Path, region: Region, columns: str | None = None) -> str:
    """Return the position of a row as its file has it."""
    base = layout_of(path, columns).base
    return f"{region.chrom}:{region.start + base:,}-{region.end:,}"


def first_beyond(path: str | os.PathLike[str], genome: Genome, columns: str | None = None) -> str | None:
    """Describe the first row of a file that lies completely beyond its contig; None if there is no such row. See `beyond`."""
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
