"""Intervals -> windows on a grid -> parts of windows -> logits of a fine-tuned model -> values of bins -> sink."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genoformer.compute import Compute, MemoryStore, resumable
from genoformer.errors import CheckpointError
from genoformer.files import atomic_write
from genoformer.formats.bed import Intervals
from genoformer.genome.codes import Codes, N, reverse_complement
from genoformer.genome.reference import Genome
from genoformer.genome.regions import merge
from genoformer.inference.runtime import CPU, Floats, Runtime, choose_batch_size, evaluating, run_batched, threads
from genoformer.inference.track_prediction import Predicted, bins_within
from genoformer.models.base import Classifies
from genoformer.resume_folder import ResumeFolder
from genoformer.writers.calls import WindowGrid
from genoformer.writers.tracks import TrackSink

MIN_KNOWN = 0.5  # smallest fraction of known bases of a window that gets a value
PART_BASES = 1 << 17  # in a part: half a minute on a CPU for a model of DNABERT's size

Ints = NDArray[np.int64]
WindowNumbers = tuple[str, Ints]  # contig, and sorted numbers of windows [n]
Values = Callable[[Codes], Floats]  # codes [B, L] -> values [B, C]


@dataclass(frozen=True)
class ClassWindows:
    """Windows on a grid, one for each bin that overlaps the intervals.

    intervals: contig (in the genome's order) -> sorted [n, 2] without overlap and inside it, as `resolve_regions` returns them.
    part_size: largest number of windows in a part.
    """

    genome: Genome
    grid: WindowGrid
    intervals: Mapping[str, Intervals]
    part_size: int

    @property
    def n(self) -> int:
        """Number of windows."""
        return sum(int(np.diff(self._ranges(intervals)).sum()) for intervals in self.intervals.values())

    def parts(self) -> Iterator[tuple[str, Ints]]:
        """Yield the contig and the sorted numbers [n] of the windows of each part, n > 0."""
        size = self.part_size
        for chrom, intervals in self.intervals.items():
            waiting: list[Ints] = []
            room = size
            for first, end in self._ranges(intervals).tolist():
                while first < end:
                    waiting.append(np.arange(first, min(end, first + room), dtype=np.int64))
                    first += len(waiting[-1])
                    room -= len(waiting[-1])
                    if not room:
                        yield chrom, np.concatenate(waiting)
                        waiting, room = [], size
            if waiting:
                yield chrom, np.concatenate(waiting)

    def read(self, chrom: str, numbers: Ints) -> Codes:
        """Return the codes of windows with sorted numbers [n], uint8 [n, L]; N beyond the ends of the contig.

        Neighbouring windows are views of one stretch of the genome, which is read once.
        """
        window, step = self.grid
        parts = []
        for run in _runs(numbers):
            starts = self.grid.start_of(run)
            stretch = self.genome.window(chrom, int(starts[0]), int(starts[-1] - starts[0]) + window)
            parts.append(np.lib.stride_tricks.sliding_window_view(stretch, window)[::step])
        return np.concatenate(parts)

    def _ranges(self, intervals: Intervals) -> Intervals:
        """Return the ranges [first, end) of the bins that overlap intervals, merged."""
        step = self.grid.step
        return merge(np.stack([intervals[:, 0] // step, -(-intervals[:, 1] // step)], axis=1))


class ValueFolder(ResumeFolder):
    """Resume folder with the values of windows."""

    ending = ".npz"

    def get(self, i: int) -> Floats | None:
        """Return the values of a part [n, C]; None if they are missing or damaged."""
        try:
            with self._name(i).open("rb") as stored, np.load(stored, allow_pickle=False) as arrays:
                values: Floats = arrays["values"]
        except (FileNotFoundError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
            return None
        return values if values.dtype == np.float32 else None

    def put(self, i: int, values: Floats) -> None:
        """Store the values of a part."""
        with atomic_write(self._name(i), durable=True) as part, part.open("wb") as file:
            np.savez(file, values=values)


@contextmanager
def value_store(
    output: Path, models: Sequence[Any], compute: Compute, fingerprint: Callable[[], dict[str, str]]
) -> Iterator[ValueFolder | MemoryStore[Floats]]:
    """Yield the resume folder of an output, removed after success; for models without a file, a store in memory."""
    if not all(model.sha256 for model in models):
        compute.refuse_shard("a model in memory")
        yield MemoryStore()
        return
    with resumable(ValueFolder(output, fingerprint()), output, compute) as folder:
        yield folder


@contextmanager
def open_values(models: Sequence[Any], *, both_strands: bool | None, runtime: Runtime = CPU) -> Iterator[Values]:
    """Yield a function from windows [B, L] to probabilities or values [B, C] of fine-tuned models on their device.

    Several models are an ensemble, whose values are averaged. both_strands: average the logits of both strands; None: if the
    model was trained so.
    """
    with ExitStack() as stack:
        members = [stack.enter_context(evaluating(model, runtime.device, runtime.precision)) for model in models]

        def values(codes: Codes) -> Floats:
            every = [_values_of(member, codes, both_strands, runtime.batch_size) for member in members]
            return np.mean(every, axis=0, dtype=np.float32) if len(every) > 1 else every[0]

        yield values


def _values_of(model: Any, codes: Codes, both_strands: bool | None, batch_size: int | None) -> Floats:
    size = choose_batch_size(model, codes, batch_size)
    both = model.config.both_strands if both_strands is None else both_strands
    strands = [codes, reverse_complement(codes)] if both else [codes]
    shape = (model.task.n_outputs,)
    logits = [run_batched(partial(_logits, model, strand), len(codes), size, shape) for strand in strands]
    mean = torch.from_numpy(np.mean(logits, axis=0, dtype=np.float32))
    values: Floats = model.task.values(mean).numpy()
    return values


def _logits(model: Classifies, codes: Codes, rows: slice) -> torch.Tensor:
    return model.logits(codes[rows])


@dataclass(frozen=True)
class ClassTask:
    """Values of the windows of a part, from a model or the members of an ensemble.

    both_strands: average the logits of both strands; None: if the model was trained so.
    """

    windows: ClassWindows
    models: Sequence[Any]
    both_strands: bool | None
    runtime: Runtime
    threads: int  # of a process

    @property
    def device(self) -> str:
        return self.runtime.device

    @contextmanager
    def open(self) -> Iterator[Callable[[WindowNumbers], Floats]]:
        """Yield the function from the windows of a part to their values [n, C]; the models are on their device in the block."""
        n_classes, both, runtime = self.models[0].task.n_outputs, self.both_strands, self.runtime
        with threads(self.threads), open_values(self.models, both_strands=both, runtime=runtime) as values:
            yield lambda part: _part(self.windows, values, n_classes, *part)


def write_windows(
    windows: ClassWindows, parts: Iterable[tuple[WindowNumbers, Floats]], columns: Sequence[int], sink: TrackSink
) -> Predicted:
    """Write the values of the bins of all windows to a sink in order; memory holds one part of the windows.

    A bin has the value of the window with its centre; the first and the last bin of an interval are cut to it. Beyond the ends
    of a contig the model reads N. A bin is NaN if fewer than half of the bases of its window are known (`MIN_KNOWN`).

    parts: the windows of all parts and their values [n, C], in order. columns: numbers of the classes to write [K].

    Raises CheckpointError if a prediction is not finite.
    """
    begun = time.monotonic()
    n_bins, n_unknown = 0, 0
    step, chosen = windows.grid.step, np.asarray(columns, dtype=np.int64)
    for (chrom, numbers), part in parts:
        n_before = 0
        for run in _runs(numbers):
            of_run = part[n_before : n_before + len(run), chosen].T  # [K, n]
            n_before += len(run)
            for bins in bins_within(chrom, int(run[0]) * step, step, of_run, windows.intervals[chrom]):
                sink.add(bins)
                n_bins += len(bins.starts)
                n_unknown += int(np.isnan(bins.values[0]).sum())
    return Predicted(windows.n, n_bins, n_unknown, time.monotonic() - begun)


def _part(windows: ClassWindows, values: Values, n_classes: int, chrom: str, numbers: Ints) -> Floats:
    """Return the values of windows [n, C], NaN for those with too few known bases."""
    codes = windows.read(chrom, numbers)
    known = np.flatnonzero((codes < N).mean(axis=1) >= MIN_KNOWN)
    part = np.full((len(numbers), n_classes), np.nan, dtype=np.float32)
    if len(known):
        part[known] = values(codes[known])
    if (bad := known[~np.isfinite(part[known]).all(axis=1)]).size:
        place = max(int(windows.grid.start_of(numbers[bad[0]])), 0)
        raise CheckpointError(f"the model predicts NaN or infinite values at {chrom}:{place + 1:,}; are its weights damaged?")
    return part


def _runs(numbers: Ints) -> list[Ints]:
    """Return the runs of consecutive numbers.

    >>> [run.tolist() for run in _runs(np.array([3, 4, 7, 8, 9]))]
    [[3, 4], [7, 8, 9]]
    """
    return np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
