"""Bytes of a bigWig -> its contigs, and the intervals of any range; invalid bytes are refused.

Kent et al. 2010 (Bioinformatics 26:2204), supplementary tables 5 to 14: a header; a B+ tree of contig names; an R tree
over blocks of data, each of which holds intervals in one of three kinds, usually deflated.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import FileFormatError
from genoformer.formats.fasta_bytes import mapped
from genoformer.formats.inflate import inflate

MAGIC = 0x888FFC26
HEADER = struct.Struct("<IHHQQQHHQQIQ")
SUMMARY = struct.Struct("<Q4d")  # number of bases with a value; minimum, maximum, sum, sum of squares
NAMES, NAMES_MAGIC = struct.Struct("<IIIIQQ"), 0x78CA8C91
INDEX, INDEX_MAGIC = struct.Struct("<IIQIIIIQII"), 0x2468ACE0
NODE = struct.Struct("<BxH")  # flag for a leaf, and number of items
BLOCK = struct.Struct("<IIIIIBxH")  # contig, first and last base, step, span, kind, intervals
_PLACE = [("first", "<u4"), ("start", "<u4"), ("last", "<u4"), ("end", "<u4"), ("at", "<u8")]
INNER, LEAF = np.dtype(_PLACE), np.dtype([*_PLACE, ("size", "<u8")])
KINDS = {
    1: np.dtype([("start", "<u4"), ("end", "<u4"), ("value", "<f4")]),  # bedGraph
    2: np.dtype([("start", "<u4"), ("value", "<f4")]),  # variable step
    3: np.dtype([("value", "<f4")]),  # fixed step
}
_BASES = 1 << 32  # of a contig, at most
_MOST = 65_535  # intervals per block
_LARGEST = BLOCK.size + 12 * _MOST  # bytes per block


class Intervals(NamedTuple):
    """Intervals [start, end) sorted by position, int64 [n], int64 [n], and their values, float32 [n]."""

    starts: NDArray[Any]
    ends: NDArray[Any]
    values: NDArray[np.float32]


NOTHING = Intervals(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))


class _Block(NamedTuple):
    """Block of intervals as it is in the file."""

    contig: int
    start: int
    step: int
    span: int
    rows: NDArray[Any]  # of one of KINDS

    @property
    def is_gapless(self) -> bool:
        """True if each interval begins where the one before it ends, and all have one width."""
        return self.rows.dtype == KINDS[3] and self.step == self.span > 0

    def bedgraph_rows(self) -> NDArray[Any]:
        """Return the intervals with their starts and ends."""
        known = self.rows.dtype.names or ()
        if "end" in known:
            return self.rows
        rows = np.empty(len(self.rows), dtype=KINDS[1])
        at = np.arange(len(self.rows), dtype=np.int64)
        rows["start"] = self.rows["start"] if "start" in known else self.start + self.step * at
        rows["end"] = rows["start"] + np.int64(self.span)
        rows["value"] = self.rows["value"]
        return rows


class BigWigBytes:
    """Open bigWig without a file position, so that processes and threads can share it.

    Attributes: contigs (name -> number and length), n_bases (number of bases with a value, as stated in the file).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._map = mapped(path)
        head = HEADER.unpack(self._cut(0, HEADER.size))
        names_at, self._index_at, summary_at, self._deflated = head[3], head[5], head[9], bool(head[10])
        self.n_bases = SUMMARY.unpack(self._cut(summary_at, SUMMARY.size))[0] if summary_at else 0
        self.contigs: dict[str, tuple[int, int]] = dict(self._names(names_at))
        self._root = 0
        if self._index_at:
            magic, _, n_items, *_ = INDEX.unpack(self._cut(self._index_at, INDEX.size))
            if magic != INDEX_MAGIC:
                self._damaged(self._index_at)
            self._root = self._index_at + INDEX.size if n_items else 0

    def _damaged(self, at: int) -> NoReturn:
        raise FileFormatError(f"{self.path} is a damaged bigWig file (at byte {at:,}); get it again.")

    def _cut(self, at: int, size: int) -> bytes:
        if at + size > len(self._map):
            self._damaged(at)
        return self._map[at : at + size]

    def _nodes(self, root: int, leaf: int, inner: int, children: Callable[[bytes], list[int]]) -> Iterator[tuple[int, bytes]]:
        """Yield the leaves of a tree in order, (offset, items).

        leaf, inner: bytes per item. children: function from the items of an inner node to the offsets of its children.
        """
        offsets: set[int] = set()  # a damaged tree may contain a cycle
        stack = [root]
        while stack:
            at = stack.pop()
            if at in offsets:
                self._damaged(at)
            offsets.add(at)
            is_leaf, n = NODE.unpack(self._cut(at, NODE.size))
            items = self._cut(at + NODE.size, n * (leaf if is_leaf else inner))
            if is_leaf:
                yield at, items
            else:
                stack += reversed(children(items))

    def _names(self, at: int) -> Iterator[tuple[str, tuple[int, int]]]:
        magic, _, key, value, n_items, _ = NAMES.unpack(self._cut(at, NAMES.size))
        if magic != NAMES_MAGIC or value != 8 or key > len(self._map):
            self._damaged(at)
        width, n = key + 8, 0

        def children(items: bytes) -> list[int]:
            return [int.from_bytes(items[i + key : i + width], "little") for i in range(0, len(items), width)]

        for _, items in self._nodes(at + NAMES.size, width, width, children):
            for i in range(0, len(items), width):
                number, length = struct.unpack_from("<II", items, i + key)
                yield items[i : i + key].rstrip(b"\0").decode(errors="replace"), (number, length)
                n += 1
        if n != n_items:
            self._damaged(at)

    def _blocks(self, contig: int, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the offsets and sizes of the blocks that overlap [start, end) of a contig, in order."""
        if not self._root:
            return
        begin, stop = (np.uint64((contig << 32) + base) for base in (start, end))

        def here(items: bytes, kind: np.dtype[Any]) -> Any:
            of = np.frombuffer(items, dtype=kind)
            begins = (of["first"].astype(np.uint64) << np.uint64(32)) + of["start"]
            stops = (of["last"].astype(np.uint64) << np.uint64(32)) + of["end"]
            return of[(begins < stop) & (stops > begin)]

        offsets: set[int] = set()
        for at, items in self._nodes(self._root, LEAF.itemsize, INNER.itemsize, lambda of: here(of, INNER)["at"].tolist()):
            of = here(items, LEAF)
            for place, size in zip(of["at"].tolist(), of["size"].tolist(), strict=True):
                if place in offsets:
                    self._damaged(at)
                offsets.add(place)
                yield place, size

    def _block(self, at: int, size: int) -> _Block:
        content = self._cut(at, size)
        if self._deflated:
            try:
                content = inflate(content, _LARGEST)
            except zlib.error:
                self._damaged(at)
        if len(content) < BLOCK.size:
            self._damaged(at)
        contig, start, _, step, span, kind, n = BLOCK.unpack_from(content)
        if kind not in KINDS or BLOCK.size + n * KINDS[kind].itemsize > len(content):
            self._damaged(at)
        return _Block(contig, start, step, span, np.frombuffer(content, dtype=KINDS[kind], count=n, offset=BLOCK.size))

    def _read(self, name: str, start: int, end: int) -> list[_Block]:
        """Return the blocks of a contig that overlap [start, end)."""
        number, _ = self.contigs[name]
        blocks: list[_Block] = []
        n = 0
        for at, size in self._blocks(number, start, end):
            block = self._block(at, size)
            if block.contig == number:
                blocks.append(block)
                n += len(block.rows)
            if n > end - start + 2 * _MOST:  # more than one per base, plus those in the first and last block
                self._damaged(at)
        return blocks

    def values(self, name: str, start: int, end: int) -> NDArray[np.float32]:
        """Return the values of the bases [start, end) of a contig, float32 [L]; 0 where there is none."""
        blocks = self._read(name, start, end)
        if blocks and all(block.is_gapless for block in blocks):
            return self._gapless_values(blocks, name, start, end)
        starts, ends, row_values = self._columns(blocks, name, start, end)
        if len(starts) and (starts[1:] == ends[:-1]).all():  # no gaps but at the ends
            values = np.repeat(row_values, ends - starts)
            before, after = int(starts[0]) - start, end - int(ends[-1])
            return np.pad(values, (before, after)) if before or after else values
        if 4 * len(starts) > end - start and (ends - starts == 1).all():  # one value per base
            out = np.zeros(end - start, dtype=np.float32)
            out[starts - start] = row_values
            return out
        edges = np.empty(2 * len(starts) + 2, dtype=np.int64)  # gap, interval, gap ... gap
        edges[0], edges[1:-1:2], edges[2:-1:2], edges[-1] = start, starts, ends, end
        values = np.zeros(2 * len(starts) + 1, dtype=np.float32)
        values[1::2] = row_values
        return np.repeat(values, np.diff(edges))

    def _gapless_values(self, blocks: Sequence[_Block], name: str, start: int, end: int) -> NDArray[np.float32]:
        """Return the values of bases [start, end) from blocks of equally wide intervals without gaps."""
        out, before = np.zeros(end - start, dtype=np.float32), start
        for block in blocks:
            values = block.rows["value"]
            if not np.isfinite(values).all():
                self._refuse_infinite(values)
                values = np.nan_to_num(values)
            after = block.start + block.step * len(values)
            first, last = max(block.start, start), min(after, end)
            if first >= last:
                continue
            if first < before or after > _BASES:
                self._refuse_overlap(name)
            values = values if block.step == 1 else np.repeat(values, block.step)
            out[first - start : last - start] = values[first - block.start : last - block.start]
            before = last
        return out

    def intervals(self, name: str, start: int, end: int) -> Intervals:
        """Return the intervals with a value in [start, end) of a contig, clipped to it, without NaN."""
        starts, ends, values = self._columns(self._read(name, start, end), name, start, end)
        return Intervals(starts.astype(np.int64), ends.astype(np.int64), values)

    def _columns(self, blocks: Sequence[_Block], name: str, start: int, end: int) -> Intervals:
        """Return the intervals as `intervals` does, but with positions of 32 bits."""
        if not blocks:
            return NOTHING
        parts = [block.bedgraph_rows() for block in blocks]
        starts, ends, values = (np.concatenate([rows[column] for rows in parts]) for column in ("start", "end", "value"))
        self._refuse_infinite(values)
        selected = (starts < end) & (ends > start) & (values == values)
        if not selected.all():
            starts, ends, values = starts[selected], ends[selected], values[selected]
        if (starts >= ends).any() or (starts[1:] < ends[:-1]).any():
            self._refuse_overlap(name)
        if len(starts):  # sorted, without overlap
            starts[0], ends[-1] = max(int(starts[0]), start), min(int(ends[-1]), end)
        return Intervals(starts, ends, values)

    def _refuse_infinite(self, values: NDArray[np.float32]) -> None:
        if np.isinf(values).any():
            raise FileFormatError(f"{self.path} holds infinite values, which are no measurements; write it without them.")

    def _refuse_overlap(self, name: str) -> NoReturn:
        raise FileFormatError(
            f"{self.path} is a damaged bigWig file (intervals of {name} overlap, or end before they begin); get it again."
        )
