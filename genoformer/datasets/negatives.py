"""Positives -> negatives: random windows of the same contigs, matched in GC if requested, or shuffled positives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genoformer.datasets.shuffle import dinucleotide_shuffle
from genoformer.datasets.sites import Site
from genoformer.datasets.targets import NEGATIVE
from genoformer.formats.bed import Intervals
from genoformer.genome.codes import Codes, N, gc_share
from genoformer.genome.reference import Genome
from genoformer.genome.regions import runs_of_bases, subtract

GC_BINS = 50  # 2 % points each, 6 bases of 300; few windows match in finer bins
_ROUNDS = 12
_PER_ROUND = 20  # windows drawn for each missing one: only a few in a hundred have high GC
_MOST, _LEAST = 1_000_000, 20_000  # windows drawn in a round: in sorted order they read a bgzipped genome once
_READ = 1 << 25  # bases in memory at a time


@dataclass(frozen=True)
class CandidateStarts:
    """Positions at which windows of `length` may begin: intervals [n, 2] of starts for each contig."""

    genome: Genome
    length: int
    max_n: float
    starts: Mapping[str, Intervals]

    @classmethod
    def around(
        cls, genome: Genome, contigs: list[str], avoid: Mapping[str, Intervals], length: int, max_n: float
    ) -> CandidateStarts:
        """Find starts on these contigs outside the intervals to avoid and outside long stretches of N."""
        starts = {}
        for chrom in contigs:
            bases = runs_of_bases(genome, chrom, gap=int(max_n * length))
            free = subtract(bases, avoid.get(chrom, np.empty((0, 2), dtype=np.int64)))
            wide = free[free[:, 1] - free[:, 0] >= length]
            starts[chrom] = np.stack([wide[:, 0], wide[:, 1] - length + 1], axis=1)
        return cls(genome, length, max_n, starts)


def gc_bin(share: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of 2 % points of a GC fraction; 1 lies in the last bin."""
    return np.minimum(np.floor(share * GC_BINS + 1e-9), GC_BINS - 1).astype(np.int64)


def per_gc_bin(codes: Codes) -> NDArray[np.int64]:
    """Return the number of windows [B, L] in each GC bin, [50]."""
    return np.bincount(gc_bin(gc_share(codes)), minlength=GC_BINS)


def in_one_bin(codes: Codes) -> NDArray[np.int64]:
    """Return the number of windows, [1]."""
    return np.array([len(codes)])


# Kinds of negatives; random windows have a function from the codes of the positives to the number of windows of each GC bin.
RANDOM_WINDOWS: dict[str, Callable[[Codes], NDArray[np.int64]]] = {"gc": per_gc_bin, "elsewhere": in_one_bin}
NEGATIVES = ("gc", "dinucleotide", "elsewhere")


def random_negatives(
    starts: CandidateStarts, sites: Sequence[Site], n_per_bin: NDArray[np.int64], ratio: float, random: np.random.Generator
) -> tuple[list[Site], int]:
    """Draw windows on the contigs of the positives, in proportion to their number there, and with their fraction of - strands.

    n_per_bin: positives in each GC bin. Returns the windows, and the number of those that were not found.
    """
    until = np.rint(np.cumsum(n_per_bin) * ratio).astype(np.int64)
    wanted = until - np.append(0, until[:-1])  # sums to ratio times the positives
    places, n_missing = draw(starts, Counter(site.chrom for site in sites), wanted, random)
    strands = random.choice([site.strand for site in sites], size=len(places))
    windows = [Site(chrom, start, str(strand), NEGATIVE, "") for (chrom, start), strand in zip(places, strands, strict=True)]
    return windows, n_missing


def shuffled_negatives(
    sites: Sequence[Site], codes: Codes, ratio: float, random: np.random.Generator
) -> list[tuple[Site, Codes]]:
    """Shuffle the positives [B, L] so that every dinucleotide count stays; `ratio` shuffles per positive on average."""
    n_each, n_more = divmod(round(ratio * len(sites)), len(sites))
    more = np.sort(random.permutation(len(sites))[:n_more])
    rows = np.sort(np.concatenate([np.tile(np.arange(len(sites)), n_each), more]))
    names = [f"shuffled:{sites[row].chrom}:{sites[row].start}" for row in rows]
    shuffles = dinucleotide_shuffle(codes[rows], random)
    return [(Site(".", 0, ".", NEGATIVE, name), shuffle) for name, shuffle in zip(names, shuffles, strict=True)]


def draw(
    candidates: CandidateStarts, weights: Mapping[str, int], wanted: NDArray[np.int64], random: np.random.Generator
) -> tuple[list[tuple[str, int]], int]:
    """Draw random windows (contig, start) without overlaps, and count the windows that were not found.

    A contig is drawn by its weight, and the position on it uniformly. A window is rejected if its fraction of N is above max_n
    or if its GC bin is full. The search ends after 12 rounds, or after a round that finds less than 1 % of the missing windows.

    Parameters: weights, contig -> number of positives; wanted, windows of each GC bin [50], or in total [1].
    """
    chroms = [chrom for chrom, weight in weights.items() if weight and len(candidates.starts[chrom])]
    missing = wanted.copy()
    windows: list[tuple[str, int]] = []
    if not chroms:
        return windows, int(missing.sum())
    share = np.array([weights[chrom] for chrom in chroms], dtype=float)
    starts_of_cells: dict[tuple[int, int], int] = {}  # (contig, start // length) -> start
    length = candidates.length
    for _ in range(_ROUNDS):
        n_missing = int(missing.sum())
        if not n_missing:
            break
        n = min(max(_PER_ROUND * n_missing, _LEAST), _MOST)
        which = random.choice(len(chroms), size=n, p=share / share.sum())
        starts = np.empty(n, dtype=np.int64)
        bins = np.full(n, -1)
        for i, chrom in enumerate(chroms):
            rows = np.flatnonzero(which == i)
            starts[rows] = _uniform(candidates.starts[chrom], len(rows), random)
            bins[rows] = _bins(candidates, chrom, starts[rows], len(wanted))
        n_before = len(windows)
        for j in np.flatnonzero((bins >= 0) & (missing[bins] > 0)).tolist():
            i, start, group = int(which[j]), int(starts[j]), int(bins[j])
            cell = start // length
            near = (starts_of_cells.get((i, cell + step)) for step in (-1, 0, 1))
            if missing[group] and all(other is None or abs(other - start) >= length for other in near):
                starts_of_cells[i, cell] = start
                missing[group] -= 1
                windows.append((chroms[i], start))
        if len(windows) - n_before < n_missing / 100:
            break
    return windows, int(missing.sum())


def _uniform(starts: Intervals, n: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Draw n positions uniformly from intervals of starts, [n]."""
    until = np.cumsum(starts[:, 1] - starts[:, 0])
    place = random.integers(until[-1], size=n)
    row = np.searchsorted(until, place, side="right")
    return starts[row, 1] - (until[row] - place)


def _bins(candidates: CandidateStarts, chrom: str, starts: NDArray[np.int64], n_bins: int) -> NDArray[np.int64]:
    """Return the GC bin of each window, or 0 if there is only one bin; -1 for too many N. Read in genome order."""
    bins = np.empty(len(starts), dtype=np.int64)
    order = np.argsort(starts, kind="stable")
    step = max(1, _READ // candidates.length)
    for i in range(0, len(order), step):
        rows = order[i : i + step]
        codes = candidates.genome.windows(chrom, starts[rows], candidates.length)
        n_unknown = (codes >= N).sum(axis=1)
        group = gc_bin(gc_share(codes)) if n_bins > 1 else np.zeros(len(rows), dtype=np.int64)
        bins[rows] = np.where(n_unknown <= candidates.max_n * candidates.length, group, -1)
    return bins
