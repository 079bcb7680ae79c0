"""Interval arithmetic on contigs, and allowed window positions in a genome; 0-based half-open. `bed` reads the intervals."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError, ContigError
from genoformer.formats.bed import Intervals, read_bed
from genoformer.genome.codes import N
from genoformer.genome.contigs import ContigMap, join_names
from genoformer.genome.reference import Genome

# --- intervals of one contig


def merge(intervals: Intervals) -> Intervals:
    """Merge intervals [n, 2] into intervals that neither overlap nor touch.

    >>> merge(np.array([[0, 5], [3, 8], [8, 9], [20, 30]])).tolist()
    [[0, 9], [20, 30]]
    """
    return subtract(intervals, np.empty((0, 2), dtype=np.int64))


def subtract(intervals: Intervals, holes: Intervals) -> Intervals:
    """Return the bases that the intervals [n, 2] cover and the holes [m, 2] do not, merged; inputs may be unsorted.

    >>> subtract(np.array([[0, 10], [20, 30]]), np.array([[8, 22], [25, 26]])).tolist()
    [[0, 8], [22, 25], [26, 30]]
    """
    if not len(intervals):
        return np.empty((0, 2), dtype=np.int64)
    edges = np.concatenate([intervals.reshape(-1), holes.reshape(-1)]).astype(np.int64)
    step = np.tile(np.array([1, -1]), len(edges) // 2)
    covered = np.where(np.arange(len(edges)) < intervals.size, step, 0)
    hidden = step - covered
    order = np.argsort(edges, kind="stable")
    places, last = np.unique(edges[order], return_index=True)
    last = np.append(last[1:], len(edges)) - 1  # among edges at one position, the last one has the final count
    kept = np.concatenate([[False], (np.cumsum(covered[order])[last] > 0) & (np.cumsum(hidden[order])[last] == 0)])
    change = np.diff(kept.astype(np.int8))  # 1 where a kept interval begins, -1 where it ends
    return np.stack([places[change == 1], places[change == -1]], axis=1)


def overlapping_rows(intervals: Intervals, start: int, end: int) -> Intervals:
    """Return the intervals [n, 2] that overlap [start, end), clipped to it; the input is sorted and does not overlap.

    >>> overlapping_rows(np.array([[0, 5], [8, 12], [20, 30]]), 3, 9).tolist()
    [[3, 5], [8, 9]]
    """
    low = np.searchsorted(intervals[:, 1], start, side="right")
    high = np.searchsorted(intervals[:, 0], end, side="left")
    return intervals[low:high].clip(start, end)


def n_overlaps(queries: Intervals, intervals: Intervals) -> NDArray[np.int64]:
    """Return the number of intervals [m, 2] that each query [n, 2] overlaps, [n]; inputs may be unsorted.

    >>> n_overlaps(np.array([[0, 5], [5, 6]]), np.array([[1, 2], [4, 9], [6, 7]])).tolist()
    [2, 1]
    """
    n_begun = np.searchsorted(np.sort(intervals[:, 0]), queries[:, 1], side="left")
    ended = np.searchsorted(np.sort(intervals[:, 1]), queries[:, 0], side="right")
    return (n_begun - ended).astype(np.int64)


# --- allowed window positions


def runs_of_bases(genome: Genome, chrom: str, gap: int = 0, *, n_read: int = 1 << 20) -> Intervals:
    """Return the runs of known bases of a contig, [n, 2]; an N-run of at most `gap` bases does not split a run.

    n_read: number of bases that are read at a time.
    """
    length = genome.contigs[chrom]
    edges = [np.zeros(0, dtype=np.int64)]
    before = False
    for start in range(0, length, n_read):
        called = genome.window(chrom, start, min(n_read, length - start)) < N
        if called[0] != before:
            edges.append(np.array([start]))
        edges.append(start + 1 + np.flatnonzero(called[1:] != called[:-1]))
        before = bool(called[-1])
    if before:
        edges.append(np.array([length]))
    runs = np.concatenate(edges).reshape(-1, 2)
    far = runs[1:, 0] - runs[:-1, 1] > gap
    return np.stack([runs[np.append(True, far)[: len(runs)], 0], runs[np.append(far, True)[: len(runs)], 1]], axis=1)


def on_reference(intervals_of_file: Mapping[str, Intervals], genome: Genome) -> dict[str, Intervals]:
    """Rename the contigs of intervals to the names of a genome; contigs that the genome lacks are left out."""
    names = ContigMap(intervals_of_file, genome.contigs)
    parts: dict[str, list[Intervals]] = {}
    for chrom, intervals in intervals_of_file.items():
        if name := names.get(chrom):
            parts.setdefault(name, []).append(intervals)
    return {chrom: np.concatenate(rows) for chrom, rows in parts.items()}


def read_on_reference(path: str | os.PathLike[str], genome: Genome) -> dict[str, Intervals]:
    """Read a BED and rename its contigs to the names of a genome; contigs that the genome lacks are left out.

    Raises ConfigError if no interval remains, for example a blacklist that would exclude nothing.
    """
    read = read_bed(path)
    genome.contig_map(read)  # adds a note on names that fit several contigs
    intervals = on_reference(read, genome)
    if not intervals:
        has = f"its contigs are {join_names(read)}" if read else "it holds no interval"
        raise ConfigError(
            f"{path}: no interval lies on a contig of {genome.name} ({has}); leave the file out, or give that of this assembly."
        )
    return intervals


def split_by_contig(genome: Genome, valid: Iterable[str], test: Iterable[str]) -> dict[str, str]:
    """Assign "train", "valid" or "test" to every contig of a genome; valid and test accept any known spelling of a name.

    Raises: ContigError for a name that fits no contig; ConfigError if a contig is in both, or none remains for training.
    """
    of = dict.fromkeys(genome.contigs, "train")
    for split, names in (("valid", valid), ("test", test)):
        for name in names:
            try:
                contig = genome.resolve(name)
            except ContigError as error:
                raise ContigError(f"{split}: {error}") from None
            if of[contig] not in ("train", split):
                raise ConfigError(f"contig {name} is both in valid and in test; give it to one of them.")
            of[contig] = split
    if "train" not in of.values():
        raise ConfigError(f"valid and test take all contigs ({join_names(of)}); leave some to train on.")
    return of
