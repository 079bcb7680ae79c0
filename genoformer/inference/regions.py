"""Regions to predict: a BED, a region, contigs or the whole genome -> intervals under the genome's own contig names."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genoformer.errors import ConfigError
from genoformer.formats.bed import Intervals
from genoformer.genome.beyond import first_beyond
from genoformer.genome.reference import Genome
from genoformer.genome.region_sources import Regions, read_bed_rows, region_sources
from genoformer.genome.region_text import parse_region
from genoformer.genome.regions import merge, on_reference


class ResolvedRegions(NamedTuple):
    """Merged intervals [n, 2] by contig, in the genome's order and inside the contigs, and notes on regions left out."""

    intervals: dict[str, Intervals]
    notes: list[str]


def resolve_regions(
    genome: Genome,
    *,
    bed: str | os.PathLike[str] | None = None,
    region: Regions | None = None,
    contigs: Sequence[str] = (),
    columns: str | None = None,
) -> ResolvedRegions:
    """Resolve the rows of a BED, or regions (chr1:1-200,000, 1-based as in samtools), or contigs, or the whole genome.

    region: one or several, also paths of BED files; their union counts. Contigs may have any known name. An interval that
    reaches beyond the end of its contig is cut there, and rows of a BED that lie beyond the end are left out; both are noted.
    columns: the columns of the BED files, as in `--columns`.

    Raises: ContigError if no contig matches; ConfigError for more than one of the three, for a region beyond its contig, and
    for a BED without any remaining region; FileFormatError for a malformed BED.
    """
    if (bed is not None) + (region is not None) + bool(contigs) > 1:
        raise ConfigError("regions are given in more than one way; give a BED, or regions, or contigs.")
    notes: list[str] = []
    parts: dict[str, list[Intervals]] = {}
    beds = [Path(bed)] if bed is not None else []
    for source in region_sources(region):
        if isinstance(source, Path):
            beds.append(source)
        else:
            _add_region(source, genome, parts)
    if place := _beyond(genome, parts):
        raise ConfigError(f"{place}.")
    for path in beds:
        rows = read_bed_rows(path, genome.contigs, genome.name, columns)
        notes += rows.notes
        for name, intervals in on_reference(rows.intervals, genome).items():
            parts.setdefault(name, []).append(intervals)
    if not beds and region is None:
        for name in dict.fromkeys(map(genome.resolve, contigs)) if contigs else genome.contigs:
            parts[name] = [np.array([[0, genome.contigs[name]]], dtype=np.int64)]

    def first_row_beyond() -> str | None:
        return next(filter(None, (first_beyond(path, genome, columns) for path in beds)), None)

    return ResolvedRegions(_inside(genome, parts, notes, first_row_beyond), notes)


def _add_region(text: str, genome: Genome, parts: dict[str, list[Intervals]]) -> None:
    """Add the interval of one region under the genome's name of its contig."""
    one = parse_region(text, genome.contigs)
    name = genome.resolve(one.chrom)
    end = genome.contigs[name] if one.end == sys.maxsize else one.end
    parts.setdefault(name, []).append(np.array([[one.start, end]], dtype=np.int64))


def _beyond(genome: Genome, parts: dict[str, list[Intervals]]) -> str | None:
    """Return the first interval beyond the end of its contig, as half a sentence."""
    for chrom, intervals in parts.items():
        length = genome.contigs[chrom]
        for start, end in np.concatenate(intervals).tolist():
            if start >= max(length, 1):
                return f"{chrom}:{start + 1:,}-{end:,} lies beyond its contig, which has {length:,} bases"
    return None


def _inside(
    genome: Genome, parts: dict[str, list[Intervals]], notes: list[str], first: Callable[[], str | None]
) -> dict[str, Intervals]:
    """Merge the intervals and cut them at the ends of the contigs, in the genome's order.

    first: returns the first row of the BED that lies beyond its contig.
    """
    n_out, n_cut = 0, 0
    intervals: dict[str, Intervals] = {}
    for chrom, length in genome.contigs.items():
        if chrom not in parts:
            continue
        rows = np.concatenate(parts[chrom])
        inside = rows[rows[:, 0] < length] if length else rows[:0]
        n_out += len(rows) - len(inside)
        n_cut += int((inside[:, 1] > length).sum())
        if len(inside):
            intervals[chrom] = merge(np.minimum(inside, length))
    place = (first() or _beyond(genome, parts)) if n_out else None
    if n_out and place:
        lie = "lies beyond the end of its contig and is" if n_out == 1 else "lie beyond the end of their contig and are"
        notes.append(f"{n_out:,} of the regions {lie} left out; the first: {place}.")
    if n_cut:
        reach = "reaches beyond the end of its contig and is" if n_cut == 1 else "reach beyond the end of their contig and are"
        notes.append(f"{n_cut:,} of the regions {reach} cut there.")
    if not intervals:
        why = f"no region remains: {place}" if place else "the requested contigs have no bases"
        raise ConfigError(f"{why}; is {genome.name} the right FASTA?")
    return intervals
