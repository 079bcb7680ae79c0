"""Zoom levels of a bigWig: summaries of its values over stretches of more and more bases, made as the values come.

Their blocks lie between those of the data, in the order in which they were complete: readers find either by its index.
"""

from __future__ import annotations

import struct
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.formats.bigwig_blocks import PER_BLOCK, Blocks, Piece, index

MOST_LEVELS = 10
LEVEL = struct.Struct("<IIQQ")  # bases of a stretch, 0, where its summaries and its index begin
_FIRST, _FACTOR = 10, 4  # intervals in a stretch of the first level, stretches of a level in one of the next
_SUMMARY = np.dtype(
    [
        *((name, "<u4") for name in ("contig", "start", "end", "n_bases")),
        *((name, "<f4") for name in ("least", "most", "total", "squares")),
    ]
)


class _Open(NamedTuple):
    """Summaries that are not in a block yet, of one contig."""

    contig: int
    pieces: list[Piece]
    n: int


class ZoomLevel:
    """Summaries of stretches of `bases` bases; those that are complete go on to the next level.

    A stretch that one interval fills is not cut, however long the interval is: its summary is exact.
    """

    def __init__(self, file: IO[bytes], bases: int, above: ZoomLevel | None) -> None:
        """file: where the blocks are written; above: the next level."""
        self.bases, self.above, self.blocks = bases, above, Blocks(file)
        self._contig = 0
        self._last: Piece | None = None  # the stretch to which the next interval may belong
        self._open = _Open(0, [], 0)

    def add(self, contig: int, piece: Piece) -> None:
        """Add intervals, after all those added before."""
        if contig != self._contig:
            self.end_contig()
            self._contig = contig
        cut = cut_at(piece, self.bases)
        if self._last is not None:
            cut = Piece(*(np.concatenate(columns) for columns in zip(self._last, cut, strict=True)))
        merged = merge(cut, self.bases)
        self._last = merged.take(slice(-1, None))
        self._write(merged.take(slice(-1)))

    def end_contig(self) -> None:
        """Write the last stretch of the contig."""
        if self._last is not None:
            last, self._last = self._last, None
            self._write(last)
        self._flush()
        if self.above is not None:
            self.above.end_contig()

    def _write(self, piece: Piece) -> None:
        if not len(piece.starts):
            return
        if self.above is not None:
            self.above.add(self._contig, piece)
        self._open = _Open(self._contig, [*self._open.pieces, piece], self._open.n + len(piece.starts))
        if self._open.n >= PER_BLOCK:
            self._flush()

    def _flush(self) -> None:
        contig, pieces, n = self._open
        if not n:
            return
        rows = np.zeros(n, dtype=_SUMMARY)
        rows["contig"] = contig
        for name, columns in zip((_SUMMARY.names or ())[1:], zip(*pieces, strict=True), strict=True):
            rows[name] = np.concatenate(columns)
        for i in range(0, n, PER_BLOCK):
            block = rows[i : i + PER_BLOCK]
            self.blocks.add(contig, int(block["start"][0]), int(block["end"][-1]), block.tobytes(), len(block))
        self._open = _Open(contig, [], 0)


class Zooms:
    """All zoom levels; the first has ten of the first intervals in a stretch, each other one four times as many bases."""

    def __init__(self, file: IO[bytes], longest: int) -> None:
        """file: that of the data; longest: length of the longest contig."""
        self._file, self._longest = file, longest
        self._levels: list[ZoomLevel] = []

    def add(self, contig: int, piece: Piece) -> None:
        """Add intervals, after all those added before."""
        if not self._levels:
            self._begin(piece)
        self._levels[0].add(contig, piece)

    def _begin(self, piece: Piece) -> None:
        spacing = (int(piece.ends[-1]) - int(piece.starts[0])) / len(piece.starts)
        sizes = [max(_FIRST, round(_FIRST * spacing))]
        while len(sizes) < MOST_LEVELS and sizes[-1] * _FACTOR < self._longest:
            sizes.append(sizes[-1] * _FACTOR)
        above = None
        for bases in reversed(sizes):
            above = ZoomLevel(self._file, bases, above)
            self._levels.insert(0, above)

    def end(self) -> None:
        """Write the last summaries."""
        if self._levels:
            self._levels[0].end_contig()

    def finish(self, n_intervals: int) -> list[bytes]:
        """Write the indexes behind all data of n_intervals, and return the entries of the levels for the header.

        A level with more than half as many summaries as there is of what it summarises helps no reader, and is left out.
        """
        entries, n_below = [], n_intervals
        for level in self._levels:
            n = level.blocks.n_items
            if 2 * n > n_below:
                continue
            n_below, at = n, self._file.tell()
            self._file.write(struct.pack("<I", n))
            self._file.write(index(level.blocks.places(), at + 4))
            entries.append(LEVEL.pack(level.bases, 0, at, at + 4))
        return entries

    @property
    def largest(self) -> int:
        """Bytes of the largest block."""
        return max((level.blocks.largest for level in self._levels), default=0)


def cut_at(piece: Piece, bases: int) -> Piece:
    """Return intervals that are cut where stretches of `bases` bases begin, in order.

    An interval is cut into its part of the first stretch, all stretches that it fills, and its part of the last one.

    >>> one = Piece(np.array([5]), np.array([42]), np.array([37]), *np.array([[2.0], [2.0], [74.0], [148.0]]))
    >>> cut = cut_at(one, 10)
    >>> cut.starts.tolist(), cut.ends.tolist(), cut.total.tolist()
    ([5, 10, 40], [10, 40, 42], [10.0, 60.0, 4.0])
    """
    first = -(-piece.starts // bases) * bases  # where the first full stretch begins, if there is one
    last = piece.ends // bases * bases
    within = first > last  # of one stretch
    first, last = np.where(within, piece.ends, first), np.where(within, piece.ends, last)
    starts, ends = np.stack([piece.starts, first, last], axis=1), np.stack([first, last, piece.ends], axis=1)
    keep = ends > starts
    if np.array_equal(keep.sum(1), np.ones(len(keep))):
        return piece
    rows = np.nonzero(keep)[0]
    whole = piece.take(rows)
    starts, ends = starts[keep], ends[keep]
    portion = (ends - starts) / (whole.ends - whole.starts)
    n_bases = np.rint(whole.n_bases * portion).astype(np.int64)
    return Piece(starts, ends, n_bases, whole.least, whole.most, whole.total * portion, whole.squares * portion)


def merge(piece: Piece, bases: int) -> Piece:
    """Return a summary for each stretch of `bases` bases in which intervals begin."""
    stretch = piece.starts // bases
    begins = np.flatnonzero(np.concatenate([[True], stretch[1:] != stretch[:-1]]))
    if len(begins) == len(stretch):
        return piece
    ends = np.append(begins[1:], len(stretch)) - 1
    add: Any = np.add.reduceat
    least, most = np.minimum.reduceat(piece.least, begins), np.maximum.reduceat(piece.most, begins)
    sums = (add(column, begins) for column in (piece.total, piece.squares))
    return Piece(piece.starts[begins], piece.ends[ends], add(piece.n_bases, begins), least, most, *sums)


def of_values(starts: NDArray[np.int64], ends: NDArray[np.int64], values: NDArray[np.float32]) -> Piece:
    """Return intervals with a value each."""
    width, value = ends - starts, values.astype(np.float64)
    return Piece(starts, ends, width, value, value, value * width, value * value * width)
