"""predict_tracks(): intervals -> windows on a lattice -> batches -> the middle bins of each -> sink."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.compute import IN_PROCESS, InputParts, MemoryStore, PartedRun
from genoformer.errors import CheckpointError, ConfigError
from genoformer.files import atomic_write
from genoformer.formats.bed import Intervals
from genoformer.formats.squashed_scale import SquashedScale
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import N
from genoformer.genome.reference import Genome
from genoformer.genome.regions import overlapping_rows
from genoformer.inference.runtime import CPU, Floats, Runtime, evaluating, n_cores, threads
from genoformer.inference.tracks import TrackPredictor
from genoformer.models.base import Head
from genoformer.models.track_model import TrackModel, head_named, named_heads
from genoformer.progress import ProgressCallback, Stage
from genoformer.resume_folder import ResumeFolder
from genoformer.writers.tracks import BinnedTracks, TrackSink

GPU_BASES = 1 << 20  # in a batch on a GPU; halved if memory is too small
PART_BASES = 1 << 18  # in a part: one window of Enformer, half a minute on a core

CellNumbers = tuple[str, NDArray[np.int64]]  # contig, and sorted numbers of cells [n]


class Predicted(NamedTuple):
    """Counts of a prediction: windows read, bins written to the sink, and bins among them without a known base."""

    n_windows: int
    n_bins: int
    n_unknown: int
    seconds: float


class TrackSelection(NamedTuple):
    """Tracks of a head to predict.

    head: None for the only head. tracks: their numbers in the head [K]. strand_pairs: for the mean of both strands, the track
    of each of the head's tracks on the other strand; None for the forward strand alone. squashed: the squashed scale of the
    tracks to predict, undone after the mean over strands; None: the values that the model predicts.
    """

    head: str | None
    tracks: Sequence[int]
    strand_pairs: NDArray[np.int64] | None = None
    squashed: SquashedScale | None = None


class TrackPart(NamedTuple):
    """Predictions of the windows of a part."""

    values: Floats  # [n, K, kept bins]
    unknown: NDArray[np.bool_]  # [n, kept bins], True for a bin without a known base


@dataclass(frozen=True)
class TrackWindows:
    """Windows on a lattice, one for each cell that the intervals overlap; a cell is the middle bins of a window.

    intervals: contig (in the genome's order) -> sorted [n, 2] without overlap and inside it, as `resolve_regions` returns them.
    part_size: windows in a part; None: chosen for their length, and a whole number of batches.
    """

    genome: Genome
    intervals: Mapping[str, Intervals]
    length: int  # bases of a window
    head: Head
    at_once: int  # windows in a batch
    part_size: int | None = None

    @property
    def kept(self) -> int:
        """Number of middle bins of a window that are kept."""
        return kept_bins(self.length, self.head)

    @cached_property
    def cells(self) -> dict[str, NDArray[np.int64]]:
        """Numbers of the cells of each contig."""
        return lattice_cells(self.length, self.head, self.intervals)

    @property
    def n(self) -> int:
        """Number of windows."""
        return sum(map(len, self.cells.values()))

    @property
    def n_part(self) -> int:
        """Number of windows in a part."""
        return self.part_size or max(1, PART_BASES // self.length // self.at_once) * self.at_once

    def parts(self) -> Iterator[CellNumbers]:
        """Yield the contig and the sorted numbers [n] of the cells of each part, n > 0."""
        for chrom, numbers in self.cells.items():
            for i in range(0, len(numbers), self.n_part):
                yield chrom, numbers[i : i + self.n_part]


@dataclass(frozen=True)
class TrackTask:
    """Predictions of the windows of a part."""

    windows: TrackWindows
    model: TrackModel
    selection: TrackSelection
    runtime: Runtime
    threads: int  # of a process

    @property
    def device(self) -> str:
        return self.runtime.device

    @contextmanager
    def open(self) -> Iterator[Callable[[CellNumbers], TrackPart]]:
        """Yield the function from the cells of a part to their predictions; the model is on its device in the block."""
        model, runtime = self.model, self.runtime
        with threads(self.threads), evaluating(model, runtime.device, runtime.precision) as moved:
            predictor = TrackPredictor(moved, model.head_named(self.selection.head), self.windows.kept)
            yield lambda part: self._predict(predictor, *part)

    def _predict(self, predictor: TrackPredictor, chrom: str, numbers: NDArray[np.int64]) -> TrackPart:
        """Return the predictions of the kept bins. Raises CheckpointError if one is not finite."""
        windows, selection = self.windows, self.selection
        size, kept, at_once, pairs = windows.head.bin_size, windows.kept, windows.at_once, selection.strand_pairs
        first = (windows.length // size - kept) // 2  # bins of a window before the kept bins
        tracks = np.asarray(selection.tracks, dtype=np.int64)
        is_whole = np.array_equal(tracks, np.arange(windows.head.n_tracks))
        values: list[Floats] = []
        unknown = np.empty((len(numbers), kept), dtype=bool)
        for i in range(0, len(numbers), at_once):
            starts = numbers[i : i + at_once] * kept * size
            codes = windows.genome.windows(chrom, starts - first * size, windows.length)
            predicted = predictor(codes, at_once) if pairs is None else predictor.both_strands(codes, pairs, at_once)
            chosen = predicted if is_whole else predicted[:, tracks]
            if selection.squashed is not None:
                chosen = selection.squashed.undo(chosen)
            if (bad := np.flatnonzero(~np.isfinite(chosen).all(axis=(1, 2)))).size:
                start = int(starts[bad[0]])
                raise CheckpointError(
                    f"the model predicts NaN or infinite values at {chrom}:{start + 1:,}; are its weights damaged?"
                )
            values.append(chosen)
            middle = codes[:, first * size : (first + kept) * size] == N
            unknown[i : i + at_once] = middle.reshape(-1, kept, size).all(-1)
        return TrackPart(values[0] if len(values) == 1 else np.concatenate(values), unknown)


class TrackFolder(ResumeFolder):
    """Resume folder with predictions of tracks."""

    ending = ".npz"

    def get(self, i: int) -> TrackPart | None:
        """Return the predictions of a part; None if they are missing or damaged."""
        try:
            with self._name(i).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return TrackPart(*(arrays[name] for name in TrackPart._fields))
        except (FileNotFoundError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
            return None

    def put(self, i: int, part: TrackPart) -> None:
        """Store the predictions of a part."""
        with atomic_write(self._name(i), durable=True) as path, path.open("wb") as file:
            np.savez(file, **part._asdict())


def track_task(
    genome: Genome,
    model: TrackModel,
    intervals: Mapping[str, Intervals],
    selection: TrackSelection,
    *,
    runtime: Runtime = CPU,
    part_size: int | None = None,
    n_threads: int | None = None,
) -> TrackTask:
    """Return the windows of intervals and how they are predicted; n_threads: of each process, by default all cores.

    Raises ConfigError for a head or tracks that the model does not have.
    """
    head = model.head_named(selection.head)
    shape, length = model.track_heads[head], model.config.context_length
    n_tracks = shape.n_tracks
    if bad := [track for track in selection.tracks if not 0 <= track < n_tracks]:
        raise ConfigError(f"track {bad[0]} does not exist; those of head {head} are numbered 0 to {n_tracks - 1:,}.")
    at_once = windows_at_once(length, on_cpu=runtime.device == "cpu", batch_size=runtime.batch_size)
    windows = TrackWindows(genome, intervals, length, shape, at_once, part_size)
    return TrackTask(windows, model, selection, runtime, n_threads or n_cores())


def predict_tracks(
    genome: Genome,
    model: TrackModel,
    intervals: Mapping[str, Intervals],
    selection: TrackSelection,
    sink: TrackSink,
    *,
    runtime: Runtime = CPU,
    progress: ProgressCallback = None,
) -> Predicted:
    """Predict some tracks of a head for all bins that overlap the intervals, and write them to a sink in order.

    Bins begin at multiples of the bin size from the contig's first base; the first and the last bin of an interval are cut to
    it, and so is a contig's last. Windows overlap: the middle bins of each are kept (`kept_bins`), and they lie on a lattice,
    so the value of a bin does not depend on the other requested intervals. Beyond the ends of a contig the model reads N.

    intervals: contig (in the genome's order) -> sorted [n, 2] without overlap and inside it, as `resolve_regions` returns them.
    Memory does not grow with the intervals.

    Raises: ConfigError for a head or tracks that the model does not have; CheckpointError if a prediction is not finite.
    """
    at_once = windows_at_once(model.config.context_length, on_cpu=runtime.device == "cpu", batch_size=runtime.batch_size)
    task = track_task(genome, model, intervals, selection, runtime=runtime, part_size=at_once)
    run = PartedRun(InputParts(task.windows.parts), task, MemoryStore(), IN_PROCESS, n_cells)
    return write_tracks(task.windows, run.results(Stage(progress, "predicting", task.windows.n)), sink)


def write_tracks(windows: TrackWindows, parts: Iterable[tuple[CellNumbers, TrackPart]], sink: TrackSink) -> Predicted:
    """Write the predictions of all parts, which come in order, to a sink."""
    begun = time.monotonic()
    size, n_bins, n_unknown = windows.head.bin_size, 0, 0
    for (chrom, numbers), part in parts:
        rows = windows.intervals[chrom]
        for start, values, gaps in zip((numbers * windows.kept * size).tolist(), part.values, part.unknown, strict=True):
            for bins in bins_within(chrom, start, size, values, rows):
                sink.add(bins)
                n_bins += len(bins.starts)
                n_unknown += int(gaps[(bins.starts - start) // size].sum())
    return Predicted(windows.n, n_bins, n_unknown, time.monotonic() - begun)


def n_cells(part: CellNumbers) -> int:
    """Return the number of windows in a part."""
    return len(part[1])


def kept_bins(length: int, head: Head) -> int:
    """Return the number of middle bins of a window that are kept: the head's target bins, or half of all if it predicts all.

    One bin less if this number of bins cannot be centred exactly. length: bases of a window.
    """
    n = length // head.bin_size
    kept = head.target_bins if 0 < head.target_bins < n else max(1, n // 2)
    return kept - ((n - kept) % 2 and kept > 1)


def head_tracks(heads: Mapping[str, Head], head: str | None = None, table: TrackTable | None = None) -> TrackTable:
    """Return the tracks of a head of a model: from a table, from the model's own table, or numbered (human_0 ...).

    heads: `track_heads` of the model. Raises ConfigError for a table with another number of tracks.
    """
    head = head_named(heads, head)
    n = heads[head].n_tracks
    if table is not None and len(table) != n:
        known = named_heads(f"{name}: {one.n_tracks:,}" for name, one in heads.items())
        raise ConfigError(
            f"the table has {len(table):,} tracks, but head {head} has {n:,} (the model has {known}); give the table of {head}."
        )
    return table or heads[head].table or TrackTable(tuple(Track(i, f"{head}_{i}", strand_pair=i) for i in range(n)))


def windows_at_once(length: int, *, on_cpu: bool, batch_size: int | None) -> int:
    """Return the number of windows of `length` bases in a batch; on a CPU more than one is not faster."""
    return batch_size or (1 if on_cpu else max(1, GPU_BASES // length))


def lattice_cells(length: int, head: Head, intervals: Mapping[str, Intervals]) -> dict[str, NDArray[np.int64]]:
    """Return the sorted, unique numbers of lattice cells that the intervals overlap; a cell is the kept bins of a window."""
    width = kept_bins(length, head) * head.bin_size
    return {
        chrom: np.unique(np.concatenate([np.arange(start // width, -(-end // width)) for start, end in rows.tolist()]))
        for chrom, rows in intervals.items()
        if len(rows)
    }


def bins_within(chrom: str, start: int, size: int, values: Floats, rows: Intervals) -> Iterator[BinnedTracks]:
    """Yield the bins of a cell [K, n] that overlap the intervals, cut to them."""
    end = start + size * values.shape[1]
    for begin, stop in overlapping_rows(rows, start, end).tolist():
        edges = np.arange(begin // size, -(-stop // size) + 1, dtype=np.int64) * size
        at = (int(edges[0]) - start) // size
        yield BinnedTracks(
            chrom, edges[:-1].clip(begin, stop), edges[1:].clip(begin, stop), values[:, at : at + len(edges) - 1]
        )
