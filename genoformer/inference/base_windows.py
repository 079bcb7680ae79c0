"""Intervals -> cells of bases -> parts -> tracks of a language model at each base -> sink."""

from __future__ import annotations

import time
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import CheckpointError
from genoformer.formats.bed import Intervals
from genoformer.genome.codes import N
from genoformer.genome.reference import Genome
from genoformer.inference.base_readers import BaseReader
from genoformer.inference.base_tracks import BaseTrack, track_values
from genoformer.inference.class_windows import ClassWindows, WindowNumbers
from genoformer.inference.runtime import Floats
from genoformer.inference.track_prediction import bins_within
from genoformer.writers.tracks import BinnedTracks, TrackSink

_LEAST_PART, _MOST_PART = 1 << 10, 1 << 16  # bases in a part
_PARTS = 2_000  # of a long run
_BYTES = 1 << 26  # of the windows of a part

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class PredictedBases(NamedTuple):
    """Counts of a prediction: bases in the sink, those of them without a value, and bases computed in these seconds."""

    n_bases: int
    n_unknown: int
    n_computed: int
    seconds: float


@dataclass(frozen=True)
class BaseWindows:
    """Windows of a language model, and the bases in the middle of each that the intervals want.

    intervals: contig (in the genome's order) -> sorted [n, 2] without overlap and inside it, as `resolve_regions` returns them.
    part_size: largest number of bases in a part; None: chosen for the intervals.
    """

    genome: Genome
    reader: BaseReader
    tracks: Sequence[BaseTrack]
    intervals: Mapping[str, Intervals]
    part_size: int | None = None
    batch_size: int | None = None

    @property
    def n_bases(self) -> int:
        """Number of bases of the intervals."""
        return sum(int(np.diff(rows, axis=1).sum()) for rows in self.intervals.values())

    @cached_property
    def windows(self) -> ClassWindows:
        """The windows, one for each cell of bases that overlaps the intervals, in parts."""
        window, step = self.reader.grid
        size = self.part_size
        if size is None:
            size = min(max(self.n_bases // _PARTS, _LEAST_PART), _MOST_PART, _BYTES // window * step)
        return ClassWindows(self.genome, self.reader.grid, self.intervals, max(1, size // step))

    def wanted(self, chrom: str, numbers: Ints) -> Bools:
        """Return True for each base of cells [n] that lies in an interval, [n, step]."""
        rows, step = self.intervals[chrom], self.reader.grid.step
        bases = numbers[:, None] * step + np.arange(step)
        at = np.searchsorted(rows[:, 0], bases, side="right") - 1
        return np.asarray((at >= 0) & (bases < rows[np.maximum(at, 0), 1]))

    def n_wanted(self, part: WindowNumbers) -> int:
        """Return the number of bases of a part that the intervals want."""
        return int(self.wanted(*part).sum())

    def n_passes(self) -> int:
        """Return the number of passes of the network on one strand, if no base is N."""
        return sum(self.reader.n_passes(self.wanted(*part)) for part in self.windows.parts())

    def compute(self, chrom: str, numbers: Ints) -> Floats:
        """Return the tracks at the bases of cells [n], float32 [K, n * step]; NaN where there is no value.

        A base has none if it is N, if no interval has it, or if the model has no probability for it.
        Raises CheckpointError if a window without an N has none.
        """
        codes = self.windows.read(chrom, numbers)
        window, step = self.reader.grid
        before = (window - step + 1) // 2
        bases = codes[:, before : before + step]
        wanted = self.wanted(chrom, numbers) & (bases < N)
        values = np.full((len(self.tracks), len(numbers) * step), np.nan, dtype=np.float32)
        if not wanted.any():
            return values
        strands = self.reader.read(codes, wanted, self.batch_size)
        has_value: Bools = np.asarray(np.all([np.isfinite(log2_p).all(-1) for log2_p in strands], axis=0) & wanted)
        is_known: Bools = np.asarray((codes < N).all(axis=1))
        lost = wanted & ~has_value & is_known[:, None]
        if lost.any():
            place = f"{chrom}:{int(numbers[lost.any(axis=1)][0]) * step + 1:,}"
            raise CheckpointError(f"the model predicts NaN or infinite values at {place}; are its weights damaged?")
        at = np.flatnonzero(has_value.ravel())
        chosen = [log2_p.reshape(-1, 4)[at] for log2_p in strands]
        values[:, at] = track_values(self.tracks, chosen, bases.ravel()[at]).T
        return values


def write_base_tracks(
    windows: BaseWindows, parts: Iterable[tuple[WindowNumbers, Floats]], sink: TrackSink, stored: Container[int] = ()
) -> PredictedBases:
    """Write the tracks of all bases to a sink in order; memory holds one part.

    parts: the cells of all parts and their values [K, n * step], in order. stored: numbers of the parts of an earlier run.
    """
    begun, n_bases, n_unknown, n_computed = time.monotonic(), 0, 0, 0
    for i, ((chrom, numbers), values) in enumerate(parts):
        n_part = 0
        for bins in _bins(windows, chrom, numbers, values):
            sink.add(bins)
            n_part += len(bins.starts)
            n_unknown += len(bins.starts) if np.isnan(bins.values[0, 0]) else 0
        n_bases += n_part
        n_computed += 0 if i in stored else n_part
    return PredictedBases(n_bases, n_unknown, n_computed, time.monotonic() - begun)


def _bins(windows: BaseWindows, chrom: str, numbers: Ints, values: Floats) -> list[BinnedTracks]:
    """Return the values [K, n * step] of cells as bins of one base, in runs of bases with and without values."""
    step, runs = windows.reader.grid.step, []
    at = np.flatnonzero(np.diff(numbers) > 1) + 1
    for first, end in zip([0, *at.tolist()], [*at.tolist(), len(numbers)], strict=True):
        of_run = values[:, first * step : end * step]
        for bins in bins_within(chrom, int(numbers[first]) * step, 1, of_run, windows.intervals[chrom]):
            cuts = np.flatnonzero(np.diff(np.isnan(bins.values[0]))) + 1
            edges = [0, *cuts.tolist(), len(bins.starts)]
            runs += [BinnedTracks(chrom, bins.starts[a:b], bins.ends[a:b], bins.values[:, a:b]) for a, b in pairwise(edges)]
    return runs
