"""Blocks of a bigWig as they are written: deflated data one after the other, and the R tree that finds them."""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Sequence
from itertools import pairwise
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.formats.bigwig_bytes import BLOCK, INDEX, INDEX_MAGIC, INNER, KINDS, LEAF, NAMES, NAMES_MAGIC, NODE

PER_BLOCK = 1024  # intervals or summaries
_PER_NODE = 256  # blocks or children
_MOST_PER_NODE = 65_535
_COLUMNS = LEAF.names or ()


class Piece(NamedTuple):
    """Consecutive intervals of a contig, of which each has a sum over its bases; [n] each.

    An interval of the data has one value. Summaries have the same columns: number of bases with a value, minimum, maximum, sum
    and sum of squares.
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    n_bases: NDArray[np.int64]
    least: NDArray[np.float64]
    most: NDArray[np.float64]
    total: NDArray[np.float64]
    squares: NDArray[np.float64]

    def take(self, rows: slice | NDArray[np.int64]) -> Piece:
        """Return some of the intervals."""
        columns: Any = (column[rows] for column in self)
        return Piece(*columns)


class Blocks:
    """Deflated blocks in a file, and where they lie."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.n_items, self.largest = file, 0, 0
        self._places = {name: array("q") for name in _COLUMNS}

    def __len__(self) -> int:
        return len(self._places["at"])

    def add(self, contig: int, start: int, end: int, content: bytes, n_items: int) -> None:
        """Append a block with items in [start, end) of a contig."""
        packed = zlib.compress(content)
        self.n_items += n_items
        self.largest = max(self.largest, len(content))
        for name, number in zip(_COLUMNS, (contig, start, contig, end, self.file.tell(), len(packed)), strict=True):
            self._places[name].append(number)
        self.file.write(packed)

    def places(self) -> NDArray[Any]:
        """Return the rows of the leaves of the index."""
        rows = np.zeros(len(self), dtype=LEAF)
        for name, numbers in self._places.items():
            rows[name] = np.frombuffer(numbers, dtype=np.int64)
        return rows


def data_block(contig: int, starts: NDArray[np.int64], ends: NDArray[np.int64], values: NDArray[np.float32]) -> bytes:
    """Return the content of a block of intervals: those of one width without gaps, such as bins, take a third of the space."""
    width = int(ends[0] - starts[0])
    even = np.array_equal(ends, starts + width) and np.array_equal(starts[1:], ends[:-1])
    rows = np.empty(len(values), dtype=KINDS[3 if even else 1])
    rows["value"] = values
    if not even:
        rows["start"], rows["end"] = starts, ends
    step, kind = (width, 3) if even else (0, 1)
    return BLOCK.pack(contig, int(starts[0]), int(ends[-1]), step, step, kind, len(rows)) + rows.tobytes()


def index(places: NDArray[Any], at: int) -> bytes:
    """Return the R tree of blocks, which will lie at byte `at`: a header, and nodes from the root to the leaves.

    places: rows of `bigwig_bytes.LEAF`, sorted.
    """
    levels = [places]
    while len(levels[-1]) > _PER_NODE:
        levels.append(_parents(levels[-1]))
    begin = at + INDEX.size
    out = bytearray()
    for depth, rows in enumerate(reversed(levels)):
        nodes = [rows[i : i + _PER_NODE] for i in range(0, max(1, len(rows)), _PER_NODE)]
        below = begin + len(out) + sum(NODE.size + node.nbytes for node in nodes)
        if depth < len(levels) - 1:
            children = levels[len(levels) - 2 - depth]
            rows["at"] = below + np.arange(len(rows)) * (NODE.size + _PER_NODE * children.dtype.itemsize)
        for node in nodes:
            out += NODE.pack(depth == len(levels) - 1, len(node)) + node.tobytes()
    span = [0, 0, 0, 0] if not len(places) else [*places[0][["first", "start"]].item(), *_end(places)]
    return INDEX.pack(INDEX_MAGIC, _PER_NODE, len(places), *span, at, PER_BLOCK, 0) + bytes(out)


def _parents(rows: NDArray[Any]) -> NDArray[Any]:
    """Return a row for each node of rows: the range that they cover."""
    edges = [*range(0, len(rows), _PER_NODE), len(rows)]
    parents = np.zeros(len(edges) - 1, dtype=INNER)
    for parent, (a, b) in zip(parents, pairwise(edges), strict=True):
        parent["first"], parent["start"] = rows["first"][a], rows["start"][a]
        parent["last"], parent["end"] = _end(rows[a:b])
    return parents


def _end(rows: NDArray[Any]) -> tuple[int, int]:
    """Return the last contig of rows, and the last end on it; blocks do not overlap."""
    return int(rows["last"][-1]), int(rows["end"][-1])


def names_tree(contigs: Sequence[tuple[str, int]], at: int) -> bytes:
    """Return the B+ tree of the names, numbers and lengths of contigs, which will lie at byte `at`: of one or two levels."""
    names = [name.encode() for name, _ in contigs]
    key = max(map(len, names))
    per_node = max(_PER_NODE, -(-len(names) // _MOST_PER_NODE))
    order = sorted(range(len(names)), key=names.__getitem__)  # of the bytes, as readers look for them
    leaves = [order[i : i + per_node] for i in range(0, len(order), per_node)]
    head = NAMES.pack(NAMES_MAGIC, per_node, key, 8, len(names), 0)
    root = b""
    if len(leaves) > 1:
        first = at + len(head) + NODE.size + len(leaves) * (key + 8)
        sizes = np.cumsum([0, *(NODE.size + len(leaf) * (key + 8) for leaf in leaves)]).tolist()
        items = [
            names[leaf[0]].ljust(key, b"\0") + struct.pack("<Q", first + n) for leaf, n in zip(leaves, sizes, strict=False)
        ]
        root = NODE.pack(0, len(leaves)) + b"".join(items)
    body = [
        NODE.pack(1, len(leaf)) + b"".join(names[i].ljust(key, b"\0") + struct.pack("<II", i, contigs[i][1]) for i in leaf)
        for leaf in leaves
    ]
    return head + root + b"".join(body)
