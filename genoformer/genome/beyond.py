"""Regions on a genome: rows of BED-like files, and texts; one beyond its contig is refused with its original numbers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from genoformer.errors import ConfigError, ContigError, FileFormatError
from genoformer.formats.bed import Region, read_regions
from genoformer.formats.bed_kinds import layout_of
from genoformer.genome.contigs import ContigIndex
from genoformer.genome.reference import Genome
from genoformer.genome.region_sources import Regions, region_sources
from genoformer.genome.region_text import parse_region


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


def placed_regions(regions: Regions | None, genome: Genome, columns: str | None = None) -> Iterator[Placed]:
    """Yield the regions of a value of the option `region`, in its order, each inside its contig: texts, and rows of BED files.

    columns: of the BED files, as in `--columns`. A text has no name.
    Raises: ConfigError for a text that reaches beyond its contig; otherwise as `regions_on`.

    >>> from importlib.resources import files
    >>> genome = Genome(files("genoformer_data") / "demo" / "genome.fa.gz")
    >>> [placed.region[:3] for placed in placed_regions(["S1:11-20", "chrS1:1-5"], genome)]
    [('chrS1', 10, 20), ('chrS1', 0, 5)]
    """
    for source in region_sources(regions):
        if isinstance(source, Path):
            yield from regions_on(source, genome, columns)
            continue
        interval = parse_region(source, genome.contigs)
        chrom = genome.resolve(interval.chrom)
        length = genome.contigs[chrom]
        end = length if interval.end == sys.maxsize else interval.end
        if end > length or interval.start >= length:
            raise ConfigError(
                f"region {source!r} reaches beyond the end of {chrom} of {genome.name}, which has {length:,} bases; correct it."
            )
        yield Placed(Region(chrom, interval.start, end), chrom)


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
