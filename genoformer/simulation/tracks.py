"""Simulate tracks: dataset -> expected counts -> drawn counts -> bigWig files of DNase, H3K27ac and CAGE, and their table.

Expected counts are sums of Gaussian bumps, given as (total counts; middle; standard deviation in bases):

    accessibility  every element                   ACCESSIBLE x activity; its middle; 80
    H3K27ac        enhancers and promoters, twice  ACETYLATED x activity / 2; 150 bases outside its start, and its end; 200
    CAGE           every gene, on its strand       CAGE(gene, cell); the middle of its first base; 15

with activity and CAGE from `regulation.py`. The expected count m of a bin of BIN bases is the part of the bumps between its
edges, plus BACKGROUND unless the bin lies in the gap of N at a contig's end. Its count is drawn independently from a negative
binomial distribution with mean m and variance m + DISPERSION x m^2. The files hold count / bases of the bin, so that sums
over bases are counts:

    genoformer data simulate world --tracks --element-share 0.3 --contigs 3
    genoformer data tracks set -f world/genome.fa.gz -t world/targets.tsv --length 131072 --target-bins 256 --test chrS3
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.formats.bigwig_writer import new_bigwig
from genoformer.simulation.grammar import GAP, Element, Instance
from genoformer.simulation.regulation import CELLS, ENHANCERS, Expression, activities

Counts = NDArray[np.float64]  # [n_bins] of a contig

BIN = 32  # bases; a quarter of Enformer's bins
ACCESSIBLE = 200.0  # counts of an element of activity 1
ACETYLATED = 200.0
WIDTHS = {"DNASE": 80.0, "CHIP": 200.0, "CAGE": 15.0}  # standard deviations of bumps, bases
SHOULDER = 150  # bases from the edge of an element to the middle of its H3K27ac bump
BACKGROUND = {"DNASE": 0.05, "CHIP": 0.05, "CAGE": 0.002}  # expected counts of a bin without bumps
DISPERSION = 0.02  # dispersion of the counts of a bin; 0 is Poisson
_BEYOND = 6  # standard deviations beyond which a bump is ignored (1e-9 of it)


class Assay(NamedTuple):
    """Track: identifier (also its file name), kind as in Enformer's tables, cell type, strand, description, strand pair."""

    identifier: str
    group: str
    cell: str
    strand: str
    description: str
    strand_pair: int

    @property
    def file(self) -> str:
        return f"{self.identifier}.bw"


class Bump(NamedTuple):
    """Gaussian bump: total expected counts, middle and standard deviation in bases."""

    counts: float
    place: float
    width: float


def _assays() -> Iterator[Assay]:
    """Yield four tracks per cell type; CAGE of the + strand and of the - strand are a strand pair."""
    for cell in CELLS:
        first = 4 * CELLS.index(cell)
        yield Assay(f"dnase.{cell}", "DNASE", cell, ".", f"DNASE:{cell}", first)
        yield Assay(f"h3k27ac.{cell}", "CHIP", cell, ".", f"CHIP:H3K27ac:{cell}", first + 1)
        yield Assay(f"cage.{cell}.plus", "CAGE", cell, "+", f"CAGE:{cell}, + strand", first + 3)
        yield Assay(f"cage.{cell}.minus", "CAGE", cell, "-", f"CAGE:{cell}, - strand", first + 2)


ASSAYS = tuple(_assays())


def expected(
    contig: str, length: int, elements: Iterable[Element], instances: Iterable[Instance], expressed: Iterable[Expression]
) -> dict[str, Counts]:
    """Return track identifier -> expected counts of the bins of a contig; the last bin may be shorter."""
    active = activities(instances)
    here = [element for element in elements if element.contig == contig]
    rows = [row for row in expressed if row.contig == contig]
    return {assay.identifier: _expected(assay, length, _bumps(assay, here, rows, active[assay.cell])) for assay in ASSAYS}


def draw(means: Counts, rng: np.random.Generator) -> Counts:
    """Draw negative binomial counts with these means and variance m + DISPERSION m^2."""
    return rng.negative_binomial(1 / DISPERSION, 1 / (1 + DISPERSION * means)).astype(np.float64)


def write_tracks(folder: Path, lengths: Mapping[str, int], counts: Mapping[str, Mapping[str, Counts]]) -> None:
    """Write a bigWig per track from the counts of each contig (contig -> identifier -> [n_bins]), and targets.tsv."""
    for assay in ASSAYS:
        with new_bigwig(folder / assay.file, lengths) as file:
            for contig, length in lengths.items():
                edges = _edges(length)
                starts, ends = edges[:-1], edges[1:]
                values = counts[contig][assay.identifier] / (ends - starts)
                whole = length // BIN  # bins of equal width are stored separately: less space
                file.add(contig, starts[:whole], ends[:whole], values[:whole])
                file.add(contig, starts[whole:], ends[whole:], values[whole:])
    (folder / "targets.tsv").write_text("".join(f"{line}\n" for line in target_lines()), encoding="utf-8")


def target_lines() -> Iterator[str]:
    """Yield the lines of the table that `genome.targets` reads; file paths are relative to it."""
    yield "index\tidentifier\tfile\tsum_stat\tstrand_pair\tdescription\tgroup"
    for i, assay in enumerate(ASSAYS):
        yield f"{i}\t{assay.identifier}\t{assay.file}\tsum\t{assay.strand_pair}\t{assay.description}\t{assay.group}"


def _bumps(
    assay: Assay, elements: Sequence[Element], expressed: Sequence[Expression], active: Mapping[str, float]
) -> Iterator[Bump]:
    width = WIDTHS[assay.group]
    if assay.group == "CAGE":
        for row in expressed:
            if (row.cell, row.strand) == (assay.cell, assay.strand):
                yield Bump(row.cage, row.tss + 0.5, width)
        return
    for element in elements:
        activity = active.get(element.name, 0.0)
        if assay.group == "DNASE":
            yield Bump(ACCESSIBLE * activity, (element.start + element.end) / 2, width)
        elif element.state in (*ENHANCERS, "TSS"):
            for place in (element.start - SHOULDER, element.end + SHOULDER):
                yield Bump(ACETYLATED * activity / 2, place, width)


def _expected(assay: Assay, length: int, bumps: Iterable[Bump]) -> Counts:
    edges = _edges(length)
    means = np.zeros(len(edges) - 1)
    means[(edges[:-1] >= GAP) & (edges[1:] <= length - GAP)] = BACKGROUND[assay.group]
    for bump in bumps:
        if bump.counts:
            first = max(0, math.floor((bump.place - _BEYOND * bump.width) / BIN))
            last = min(len(means), math.ceil((bump.place + _BEYOND * bump.width) / BIN))
            below = [(1 + math.erf((edge - bump.place) / (bump.width * math.sqrt(2)))) / 2 for edge in edges[first : last + 1]]
            means[first:last] += bump.counts * np.diff(below)
    return means


def _edges(length: int) -> NDArray[np.int64]:
    """Return the edges of the bins of a contig, [n_bins + 1]."""
    return np.append(np.arange(0, length, BIN), length)
