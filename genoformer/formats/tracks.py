"""bigWig, bedGraph and peak files -> values per base or per bin, float32."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from genoformer.addresses import refuse_address
from genoformer.errors import ConfigError, FileFormatError, MissingFileError
from genoformer.formats.bed import Row, bed_rows, parse_blocks
from genoformer.formats.bed_kinds import layout_of
from genoformer.formats.bigwig import BigWig, own_name
from genoformer.formats.text import numbered_lines
from genoformer.genome.bins import Values

_BEDGRAPH = "a bedGraph file"
_LARGEST = 2**31 - 1  # positions are int32; no contig of a bedGraph or peak file is longer
_LARGEST_VALUE = float(np.finfo(np.float32).max)


class TrackSource(Protocol):
    """File of values along contigs; callers may spell a contig differently from the file (20, chr20)."""

    path: Path
    exact_lengths: bool  # True if `contigs` has lengths, False if it has the end of the last value

    @property
    def contigs(self) -> dict[str, int]:
        """Contig name -> length, or end of the last value."""

    def values(self, chrom: str, start: int, end: int) -> Values:
        """Return the values of the bases [start, end), float32 [L]; 0 for bases without a value and beyond the contig ends."""

    def close(self) -> None:
        """Close the file and drop the data read from it; the next read opens it again."""


def open_track(path: str | os.PathLike[str], column: str = "") -> TrackSource:
    """Open the track of a file, by its suffix (a key of SOURCES, case-insensitive, before .gz or .bgz).

    A bigWig is read at the requested intervals only. bedGraph and peak files are loaded into memory on first use, 12 bytes
    per row; convert a large one to bigWig (`write_bigwig`).

    Parameters: column, for a peak file: "" gives 1 inside a peak; "signal" gives column 7, the largest value where peaks
    overlap.

    Raises: MissingFileError, FileFormatError; ConfigError for an unknown suffix or column.
    """
    refuse_address(path)
    path = Path(path)
    suffixes = [suffix[1:].lower() for suffix in path.suffixes]
    while suffixes and suffixes[-1] in ("gz", "bgz"):
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix not in SOURCES:
        problem = f"ends in .{suffix}" if suffix else "has no suffix"
        raise ConfigError(
            f"{path} {problem}; tracks are recognised by .{', .'.join(SOURCES)} (before .gz): convert or rename it."
        )
    if column not in ("", "signal"):
        raise ConfigError(f"column {column!r} of {path} is unknown; leave it empty, or give signal for a peak file.")
    if column and SOURCES[suffix] is not Peaks:
        raise ConfigError(f"{path} is no peak file, so it has no column {column}; leave it empty.")
    return Peaks(path, signal=True) if column else SOURCES[suffix](path)


class Rows(NamedTuple):
    """Intervals of one contig with their values, sorted by start: int32 [n], int32 [n], float32 [n]."""

    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    values: NDArray[np.float32]


class _Table(ABC):
    """Text file of intervals with values, loaded into memory on first use."""

    exact_lengths = False
    kind = "a BED or narrowPeak file"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        refuse_address(path)
        self.path = Path(path)
        if not self.path.is_file():
            raise MissingFileError(f"{self.path} does not exist or is no file; give {self.kind}.")
        self._rows: dict[str, Rows] | None = None
        self._names: dict[str, str | None] = {}

    @property
    def contigs(self) -> dict[str, int]:
        return {name: int(rows.ends.max()) for name, rows in self.rows().items()}

    def rows(self) -> dict[str, Rows]:
        """Intervals of each contig, in the order of the file's contigs."""
        if self._rows is None:
            self._rows = self._read()
        return self._rows

    def values(self, chrom: str, start: int, end: int) -> Values:
        if end < start:
            raise ValueError(f"{chrom}:{start}-{end}: the end lies before the start.")
        out = np.zeros(end - start, dtype=np.float32)
        every = self.rows()
        name = own_name(chrom, every, self._names, self.path)
        if name is not None:
            self._paint(every[name], start, end, out)
        return out

    def close(self) -> None:
        self._rows = None

    @abstractmethod
    def _read(self) -> dict[str, Rows]:
        """Read the rows of the whole file."""

    @abstractmethod
    def _paint(self, rows: Rows, start: int, end: int, out: Values) -> None:
        """Write the values of a contig's rows into `out`, which holds the bases from start to end."""


class _Collected:
    """Rows collected per contig while the file is read, 12 bytes each."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[array[int], array[int], array[float]]] = {}

    def add(self, chrom: str, start: int, end: int, value: float) -> None:
        if chrom not in self._of:
            self._of[chrom] = (array("i"), array("i"), array("f"))
        starts, ends, values = self._of[chrom]
        starts.append(start)
        ends.append(end)
        values.append(value)

    def sorted(self) -> dict[str, Rows]:
        rows_of_contig = {}
        for chrom, (starts, ends, values) in self._of.items():
            rows = Rows(np.asarray(starts), np.asarray(ends), np.asarray(values))
            if np.any(rows.starts[1:] < rows.starts[:-1]):
                order = np.argsort(rows.starts, kind="stable")
                rows = Rows(rows.starts[order], rows.ends[order], rows.values[order])
            rows_of_contig[chrom] = rows
        return rows_of_contig


class BedGraph(_Table):
    """bedGraph: CHROM START END VALUE, separated by tabs or blanks; rows in any order, without overlap; NaN is no value."""

    kind = _BEDGRAPH

    def _read(self) -> dict[str, Rows]:
        collected = _Collected()
        for number, line in numbered_lines(self.path, _BEDGRAPH):
            if line.startswith(("#", "track", "browser")) or not line.strip():
                continue
            try:
                chrom, start, end, text = line.split()
                first, last, value = int(start), int(end), float(text)
            except ValueError:
                raise FileFormatError(
                    f"{self.path}, line {number}: bedGraph has CHROM START END VALUE, found {line[:60]!r}; correct the line."
                ) from None
            if not 0 <= first < last <= _LARGEST or abs(value) > _LARGEST_VALUE:
                raise FileFormatError(
                    f"{self.path}, line {number}: {first}-{last}, {text} is no interval with a finite value; correct the line."
                )
            if not math.isnan(value):
                collected.add(chrom, first, last, value)
        rows_of_contig = collected.sorted()
        for chrom, rows in rows_of_contig.items():
            wrong = np.flatnonzero(rows.starts[1:] < rows.ends[:-1])
            if wrong.size:
                i = wrong[0]
                raise FileFormatError(
                    f"{self.path}: {chrom}:{rows.starts[i]}-{rows.ends[i]} and {rows.starts[i + 1]}-{rows.ends[i + 1]} "
                    "overlap, but a base of a bedGraph has one value; sum or merge the rows."
                )
        return rows_of_contig

    def _paint(self, rows: Rows, start: int, end: int, out: Values) -> None:
        low, high = np.clip([start, end], 0, _LARGEST).astype(np.int32)  # the dtype of the rows, to avoid a copy of them
        selected = slice(np.searchsorted(rows.ends, low, side="right"), np.searchsorted(rows.starts, high, side="left"))
        first = np.maximum(rows.starts[selected].astype(np.int64), start) - start
        length = np.minimum(rows.ends[selected].astype(np.int64), end) - start - first
        places = np.repeat(first - (np.cumsum(length) - length), length) + np.arange(length.sum())
        out[places] = np.repeat(rows.values[selected], length)


class Peaks(_Table):
    """BED or peak file: 1 inside a row (inside the blocks of BED12), or its signal, the largest value if rows overlap."""

    def __init__(self, path: str | os.PathLike[str], *, signal: bool = False) -> None:
        super().__init__(path)
        self.signal = signal

    def _read(self) -> dict[str, Rows]:
        collected = _Collected()
        layout = layout_of(self.path)
        for row in bed_rows(self.path, layout=layout):
            if row.end > _LARGEST:
                raise FileFormatError(f"{self.path}, line {row.line}: END {row.end} is beyond any contig; correct the line.")
            value = self._signal(row, 6 if layout.signal is None else layout.signal) if self.signal else 1.0
            for start, end in parse_blocks(row, layout, self.path):
                collected.add(row.chrom, start, end, value)
        return collected.sorted()

    def _signal(self, row: Row, column: int) -> float:
        try:
            value = float(row.fields[column])
        except (IndexError, ValueError):
            value = math.nan
        if not abs(value) <= _LARGEST_VALUE:
            where = f"{self.path}, line {row.line}"
            raise FileFormatError(f"{where}: the signal, column {column + 1}, is no finite number; correct the line.")
        return value

    def _paint(self, rows: Rows, start: int, end: int, out: Values) -> None:
        selected = np.flatnonzero((rows.starts < end) & (rows.ends > start))
        for i in selected[np.argsort(rows.values[selected], kind="stable")]:  # the largest value is written last
            out[max(rows.starts[i] - start, 0) : rows.ends[i] - start] = rows.values[i]


SOURCES: dict[str, Callable[[Path], TrackSource]] = {
    "bw": BigWig,
    "bigwig": BigWig,
    "bedgraph": BedGraph,
    "bdg": BedGraph,
    "bg": BedGraph,
    "bed": Peaks,
    "narrowpeak": Peaks,
    "broadpeak": Peaks,
}
