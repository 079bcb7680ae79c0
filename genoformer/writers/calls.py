"""Predicted values of windows -> calls: merged windows at or above a threshold -> BED, which appears complete or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from genoformer.errors import ConfigError
from genoformer.files import atomic_write
from genoformer.tables import rounded, tsv_line
from genoformer.writers.tracks import BinnedTracks, TrackSink


class Call(NamedTuple):
    """Union [start, end) of windows of one class, and the largest value among them."""

    chrom: str
    start: int
    end: int
    name: str
    value: float


class WindowGrid(NamedTuple):
    """Windows of one length at equal distances: window i has the centre of the bin [i * step, (i + 1) * step) of a contig.

    If window and step differ by an odd number, the centre of the window is half a base before that of the bin.

    >>> WindowGrid(10, 4).start_of(np.array([0, 1, 5])).tolist()
    [-3, 1, 17]
    """

    window: int  # bases
    step: int  # bases

    def start_of(self, numbers: np.ndarray) -> np.ndarray:
        """Return the first base of each window, which lies beyond the contig for windows at its ends."""
        starts: np.ndarray = numbers * self.step + (self.step - self.window) // 2
        return starts


class CallRule(NamedTuple):
    """Rule for calls: names of the classes, the windows, the threshold, and whether values are probabilities.

    contigs: name -> length; a window that reaches beyond the end is cut there.
    """

    names: Sequence[str]
    grid: WindowGrid
    contigs: Mapping[str, int]
    threshold: float
    are_probabilities: bool = True

    def row(self, call: Call) -> str:
        """Return a line of BED6 and the value: the score is the probability in thousandths, or 0 for other values."""
        score = round(1000 * call.value) if self.are_probabilities else 0
        return tsv_line([call.chrom, str(call.start), str(call.end), call.name, str(score), ".", rounded(call.value)])


class CallMerger:
    """Merges called windows of each class that overlap or touch; calls are returned in the order of their starts.

    Calls wait only for an earlier call that is not complete, or for the windows of the last bins.
    """

    def __init__(self, rule: CallRule) -> None:
        self.rule = rule
        self._open: dict[int, Call] = {}  # number of a class -> its last call, which the next windows may extend
        self._waiting: list[Call] = []
        self._chrom = ""

    def add(self, bins: BinnedTracks) -> list[Call]:
        """Add the windows of bins, and return the calls that are complete; NaN is below every threshold."""
        complete = [] if bins.chrom == self._chrom else self.finish()
        self._chrom = bins.chrom
        grid, length = self.rule.grid, self.rule.contigs[bins.chrom]
        starts = grid.start_of(bins.starts // grid.step)
        ends = np.minimum(starts + grid.window, length)
        starts = np.maximum(starts, 0)
        for i, values in enumerate(bins.values):
            called = np.flatnonzero(values >= self.rule.threshold)
            for j in called.tolist():
                self._extend(i, Call(bins.chrom, int(starts[j]), int(ends[j]), self.rule.names[i], float(values[j])))
        return complete + self._complete(int(starts[-1])) if len(starts) else complete

    def finish(self) -> list[Call]:
        """Return the remaining calls of the contig."""
        self._waiting += self._open.values()
        self._open = {}
        return self._sorted(self._waiting, [])

    def _extend(self, i: int, window: Call) -> None:
        last = self._open.get(i)
        if last is not None and window.start <= last.end:
            window = last._replace(end=max(last.end, window.end), value=max(last.value, window.value))
        elif last is not None:
            self._waiting.append(last)
        self._open[i] = window

    def _complete(self, start: int) -> list[Call]:
        """Return the calls before all calls that the windows from `start` on may extend."""
        for i in [i for i, call in self._open.items() if call.end < start]:
            self._waiting.append(self._open.pop(i))
        first = min([start, *(call.start for call in self._open.values())])
        return self._sorted([c for c in self._waiting if c.start < first], [c for c in self._waiting if c.start >= first])

    def _sorted(self, complete: list[Call], waiting: list[Call]) -> list[Call]:
        self._waiting = waiting
        order = {name: i for i, name in enumerate(self.rule.names)}
        return sorted(complete, key=lambda call: (call.start, call.end, order[call.name]))


class CollectedCalls:
    """Sink of windows that keeps the calls in memory."""

    def __init__(self, rule: CallRule) -> None:
        self.calls: list[Call] = []
        self._merger = CallMerger(rule)

    def add(self, bins: BinnedTracks) -> None:
        self.calls += self._merger.add(bins)

    def finish(self) -> list[Call]:
        """Return all calls."""
        self.calls += self._merger.finish()
        return self.calls


class CallFile:
    """Sink of windows that writes calls to an open BED."""

    def __init__(self, rule: CallRule, file: TextIO) -> None:
        self.n_calls = 0
        self._rule, self._merger, self._file = rule, CallMerger(rule), file

    def add(self, bins: BinnedTracks) -> None:
        self._write(self._merger.add(bins))

    def finish(self) -> None:
        """Write the remaining calls."""
        self._write(self._merger.finish())

    def _write(self, calls: Sequence[Call]) -> None:
        self.n_calls += len(calls)
        self._file.writelines(self._rule.row(call) + "\n" for call in calls)


@contextmanager
def new_calls(path: Path, rule: CallRule) -> Iterator[CallFile]:
    """Open a BED of calls, sorted by contig, start and end; it appears under its name when the block ends without an error.

    Columns: chrom, start, end, the class, the score (the largest probability in thousandths; 0 for values of a regression), a
    dot, and the largest value of a window. Raises ConfigError for a name that does not end in .bed, and for a missing folder.
    """
    check_calls_path(path)
    with atomic_write(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        calls = CallFile(rule, file)
        yield calls
        calls.finish()


def check_calls_path(path: Path) -> None:
    """Raise ConfigError for a name that does not end in .bed, and for a missing folder."""
    if path.suffix.lower() != ".bed":
        raise ConfigError(f"{path}: calls are written as BED; end the name in .bed.")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"{path}: the folder {path.parent} does not exist; create it first.")


class SeveralSinks(NamedTuple):
    """Sink that passes bins to several sinks."""

    sinks: Sequence[TrackSink]

    def add(self, bins: BinnedTracks) -> None:
        for sink in self.sinks:
            sink.add(bins)
