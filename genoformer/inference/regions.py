"""Regions to predict: a BED, a region, contigs or the whole genome -> intervals under the genome's own contig names."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genoformer.errors import ConfigError, ContigError
from genoformer.formats.bed import Intervals, read_bed
from genoformer.formats.bed_kinds import layout_of
from genoformer.genome.beyond import first_beyond
from genoformer.genome.contigs import ContigMap, join_names
from genoformer.genome.reference import Genome
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
    region: str | None = None,
    contigs: Sequence[str] = (),
    columns: str | None = None,
) -> ResolvedRegions:
    """Resolve the rows of a BED, or one region (chr1:1-200,000, 1-based as in samtools), or contigs, or the whole genome.

    Contigs may have any known name. An interval that reaches beyond the end of its contig is cut there, and rows of a BED that
    lie beyond the end are left out; both are noted. columns: the columns of the BED, as in `--columns`.

    Raises: ContigError if no contig matches; ConfigError for more than one of the three, for a region beyond its contig, and
    for a BED without any remaining region; FileFormatError for a malformed BED.
    """
    if (bed is not None) + (region is not None) + bool(contigs) > 1:
        raise ConfigError("regions are given in more than one way; give a BED, or one region, or contigs.")
    notes: list[str] = []
    parts: dict[str, list[Intervals]] = {}
    if bed is not None:
        rows = read_bed(bed, columns)
        notes += [f"{Path(bed).name}: {note}" for note in layout_of(Path(bed), columns).notes]
        if not rows:
            raise ConfigError(f"{bed} has no regions; give some, or leave it out for the whole genome.")
        contig_map = ContigMap(rows, genome.contigs)
        if contig_map.renamed or contig_map.unmatched or contig_map.ambiguous:
            notes.append(contig_map.describe(str(bed), genome.name))
        parts = {name: [intervals] for name, intervals in on_reference(rows, genome).items()}
        if not parts:
            raise ContigError(
                f"no contig of {bed} ({join_names(rows)}) is in {genome.name} ({join_names(genome.contigs)}). "
                "Is it the right FASTA?"
            )
    elif region is not None:
        one = parse_region(region, genome.contigs)
        name = genome.resolve(one.chrom)
        end = genome.contigs[name] if one.end == sys.maxsize else one.end
        parts[name] = [np.array([[one.start, end]], dtype=np.int64)]
    else:
        for name in dict.fromkeys(map(genome.resolve, contigs)) if contigs else genome.contigs:
            parts[name] = [np.array([[0, genome.contigs[name]]], dtype=np.int64)]
    if region is not None and (place := _beyond(genome, parts)):
        raise ConfigError(f"{place}.")
    first = (lambda: first_beyond(bed, genome, columns)) if bed is not None else (lambda: None)
    return ResolvedRegions(_inside(genome, parts, notes, first), notes)


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
