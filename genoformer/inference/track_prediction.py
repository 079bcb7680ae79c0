"""predict_tracks(): intervals -> windows on a grid -> batches -> the middle bins of each -> sink."""

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
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import N
from genoformer.genome.reference import Genome
from genoformer.genome.regions import overlapping_rows
from genoformer.inference.head_readers import HeadReaders, SizeGroup, TrackSelection, size_groups
from genoformer.inference.runtime import CPU, Floats, Runtime, evaluating, n_cores, threads
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


class TrackPart(NamedTuple):
    """Predictions of the windows of a part, of heads with bins of one size."""

    values: Floats  # [n, K, kept bins]
    unknown: NDArray[np.bool_]  # [n, kept bins], True for a bin without a known base


TrackParts = tuple[TrackPart, ...]  # of the heads of each bin size, as `size_groups` has them


@dataclass(frozen=True)
class TrackWindows:
    """Windows on a grid, one for each cell that the intervals overlap; a cell is the middle bins of a window.

    intervals: contig (in the genome's order) -> sorted [n, 2] without overlap and inside it, as `resolve_regions` returns them.
    part_size: windows in a part; None: chosen for their length, and a whole number of batches.
    """

    genome: Genome
    intervals: Mapping[str, Intervals]
    length: int  # bases of a window
    head: Head  # one of the predicted ones; the cells of all have the same bases
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
    selections: tuple[TrackSelection, ...]
    runtime: Runtime
    threads: int  # of a process

    @property
    def device(self) -> str:
        return self.runtime.device

    @property
    def groups(self) -> list[SizeGroup]:
        """Selections by the bin size of their heads."""
        return size_groups(self.model.track_heads, self.selections)

    @contextmanager
    def open(self) -> Iterator[Callable[[CellNumbers], TrackParts]]:
        """Yield the function from the cells of a part to their predictions; the model is on its device in the block."""
        runtime, length, heads = self.runtime, self.windows.length, self.model.track_heads
        kept = [kept_bins(length, heads[self.model.head_named(of.head)]) for of in self.selections]
        with threads(self.threads), evaluating(self.model, runtime.device, runtime.precision) as moved:
            readers = HeadReaders(moved, self.selections, kept)
            yield lambda part: self._predict(readers, *part)

    def _predict(self, readers: HeadReaders, chrom: str, numbers: NDArray[np.int64]) -> TrackParts:
        """Return the predictions of the kept bins. Raises CheckpointError if one is not finite."""
        windows, groups = self.windows, self.groups
        starts = numbers * windows.kept * windows.head.bin_size
        margin = (windows.length - windows.kept * windows.head.bin_size) // 2  # bases of a window before the kept bins
        values: list[list[Floats]] = [[] for _ in groups]
        unknown: list[list[NDArray[np.bool_]]] = [[] for _ in groups]
        for i in range(0, len(numbers), windows.at_once):
            at = starts[i : i + windows.at_once]
            codes = windows.genome.windows(chrom, at - margin, windows.length)
            selected = readers(codes, windows.at_once)
            middle = codes[:, margin : windows.length - margin] == N
            for group, of_group, gaps in zip(groups, values, unknown, strict=True):
                chosen = _joined([selected[number] for number in group.numbers], 1)
                if (bad := np.flatnonzero(~np.isfinite(chosen).all(axis=(1, 2)))).size:
                    place = f"{chrom}:{int(at[bad[0]]) + 1:,}"
                    raise CheckpointError(f"the model predicts NaN or infinite values at {place}; are its weights damaged?")
                of_group.append(chosen)
                gaps.append(middle.reshape(len(codes), -1, group.head.bin_size).all(-1))
        return tuple(TrackPart(_joined(of, 0), np.concatenate(gaps)) for of, gaps in zip(values, unknown, strict=True))


def _joined(arrays: Sequence[Floats], axis: int) -> Floats:
    """Join arrays; a single one is not copied."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=axis)


class TrackFolder(ResumeFolder):
    """Resume folder with predictions of tracks."""

    ending = ".npz"

    def get(self, i: int) -> TrackParts | None:
        """Return the predictions of a part; None if they are missing or damaged."""
        try:
            with self._name(i).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                ends = [name.removeprefix("values") for name in arrays.files if name.startswith("values")] or [""]
                return tuple(TrackPart(*(arrays[f"{name}{end}"] for name in TrackPart._fields)) for end in sorted(ends))
        except (FileNotFoundError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
            return None

    def put(self, i: int, part: TrackParts) -> None:
        """Store the predictions of a part."""
        ends = ["", *(f"_{number:03}" for number in range(1, len(part)))]
        arrays = {f"{name}{end}": array for end, of in zip(ends, part, strict=True) for name, array in of._asdict().items()}
        with atomic_write(self._name(i), durable=True) as path, path.open("wb") as file:
            np.savez(file, **arrays)


def track_task(
    genome: Genome,
    model: TrackModel,
    intervals: Mapping[str, Intervals],
    selections: Sequence[TrackSelection],
    *,
    runtime: Runtime = CPU,
    part_size: int | None = None,
    n_threads: int | None = None,
) -> TrackTask:
    """Return the windows of intervals and how they are predicted; n_threads: of each process, by default all cores.

    Raises ConfigError for a head or tracks that the model does not have.
    """
    length = model.config.context_length
    for selection in selections:
        head = model.head_named(selection.head)
        n_tracks = model.track_heads[head].n_tracks
        if bad := [track for track in selection.tracks if not 0 <= track < n_tracks]:
            raise ConfigError(f"track {bad[0]} does not exist; those of head {head} are numbered 0 to {n_tracks - 1:,}.")
    at_once = windows_at_once(length, on_cpu=runtime.device == "cpu", batch_size=runtime.batch_size)
    shape = model.track_heads[model.head_named(selections[0].head)]
    windows = TrackWindows(genome, intervals, length, shape, at_once, part_size)
    return TrackTask(windows, model, tuple(selections), runtime, n_threads or n_cores())


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
    it, and so is a contig's last. Windows overlap: the middle bins of each are kept (`kept_bins`), and they lie on a grid,
    so the value of a bin does not depend on the other requested intervals. Beyond the ends of a contig the model reads N.

    intervals: contig (in the genome's order) -> sorted [n, 2] without overlap and inside it, as `resolve_regions` returns them.
    Memory does not grow with the intervals.

    Raises: ConfigError for a head or tracks that the model does not have; CheckpointError if a prediction is not finite.
    """
    at_once = windows_at_once(model.config.context_length, on_cpu=runtime.device == "cpu", batch_size=runtime.batch_size)
    task = track_task(genome, model, intervals, [selection], runtime=runtime, part_size=at_once)
    run = PartedRun(InputParts(task.windows.parts), task, MemoryStore(), IN_PROCESS, n_cells)
    return write_tracks(task, run.results(Stage(progress, "predicting", task.windows.n)), [sink])


def write_tracks(task: TrackTask, parts: Iterable[tuple[CellNumbers, TrackParts]], sinks: Sequence[TrackSink]) -> Predicted:
    """Write the predictions of all parts, which come in order, to a sink for each bin size."""
    begun, windows = time.monotonic(), task.windows
    sizes, n_bins, n_unknown = [group.head.bin_size for group in task.groups], 0, 0
    for (chrom, numbers), part in parts:
        starts, rows = (numbers * windows.kept * windows.head.bin_size).tolist(), windows.intervals[chrom]
        for size, of_size, sink in zip(sizes, part, sinks, strict=True):
            for start, values, gaps in zip(starts, of_size.values, of_size.unknown, strict=True):
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
    """Return the sorted, unique numbers of grid cells that the intervals overlap; a cell is the kept bins of a window."""
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
