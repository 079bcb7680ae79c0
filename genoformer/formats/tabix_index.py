"""Index of a bgzip file (.tbi or .csi) -> its contigs, and the place in the file from which a position is read."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import FileFormatError

Integers = NDArray[np.int64]

_TBI_BIN, _CSI_BIN = struct.Struct("<Ii"), struct.Struct("<IQi")  # number, lowest offset, number of chunks
_TBI_WINDOW = 14  # bits of a window of the linear index, 16,384 bases


class TabixColumns(NamedTuple):
    """Columns of the file by which it was indexed; numbers from 1, 0 for none."""

    chrom: int
    begin: int
    end: int
    comment: str  # first character of comment lines
    n_skipped: int  # lines at the top


class _Places(NamedTuple):
    """First virtual offset of the records at and after each window of a contig."""

    windows: Integers  # [n], ascending
    offsets: Integers  # [n]


class TabixIndex:
    """Contigs and virtual offsets of a .tbi or .csi file.

    Attributes: path, contigs (names of those that have records, in the order of the file), columns (None if the index is of a
    BCF, which has no names).

    Raises: FileFormatError if the index is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns: TabixColumns | None = None
        self._shift = _TBI_WINDOW
        try:
            with gzip.open(path) as file:
                data = file.read()
            places, names = self._parse(data)
        except (struct.error, ValueError, EOFError, OSError, zlib.error, IndexError) as error:
            raise FileFormatError(f"{path} is no index of tabix, or is damaged; make it again (tabix -f FILE).") from error
        self._places = {name: places[i] for i, name in enumerate(names) if len(places[i].windows)}
        firsts = sorted((int(of.offsets[0]), name) for name, of in self._places.items())
        self.contigs = tuple(name for _, name in firsts)

    def offsets(self, contig: str, starts: Integers) -> Integers:
        """Return a virtual offset [n] for positions, 0-based: reading from it meets every record that ends behind it."""
        places = self._places[contig]
        at = np.searchsorted(places.windows, np.asarray(starts) >> self._shift, side="right") - 1
        return places.offsets[np.maximum(at, 0)]

    def _parse(self, data: bytes) -> tuple[list[_Places], list[str]]:
        if data[:4] == b"TBI\x01":
            n, *columns, length = struct.unpack_from("<8i", data, 4)
            self._set_columns(columns)
            at = 36 + length
            return self._read(data, at, n, None), _names(data[36:at])
        if data[:4] != b"CSI\x01":
            raise ValueError("no index")
        self._shift, depth, n_aux = struct.unpack_from("<3i", data, 4)
        aux, at = data[16 : 16 + n_aux], 16 + n_aux
        (n,) = struct.unpack_from("<i", data, at)
        names = [str(i) for i in range(n)]
        if n_aux >= 28:
            *columns, length = struct.unpack_from("<7i", aux, 0)
            self._set_columns(columns)
            names = _names(aux[28 : 28 + length])
        return self._read(data, at + 4, n, depth), names

    def _set_columns(self, columns: list[int]) -> None:
        _, chrom, begin, end, comment, n_skipped = columns
        self.columns = TabixColumns(chrom, begin, end, chr(comment), n_skipped)

    @staticmethod
    def _read(data: bytes, at: int, n: int, depth: int | None) -> list[_Places]:
        """Read the bins of n contigs; depth: number of levels of a .csi, None for a .tbi, which has a linear index."""
        places = []
        first_leaf = ((1 << 3 * (5 if depth is None else depth)) - 1) // 7
        n_leaves = 1 << 3 * (5 if depth is None else depth)
        for _ in range(n):
            (n_bins,) = struct.unpack_from("<i", data, at)
            at += 4
            leaves: dict[int, int] = {}
            first: list[int] = []
            for _ in range(n_bins):
                if depth is None:
                    number, n_chunks = _TBI_BIN.unpack_from(data, at)
                    at += _TBI_BIN.size
                else:
                    number, lowest, n_chunks = _CSI_BIN.unpack_from(data, at)
                    at += _CSI_BIN.size
                    if first_leaf <= number < first_leaf + n_leaves:
                        leaves[number - first_leaf] = lowest
                if n_chunks < 0:
                    raise ValueError("a negative number of chunks")
                if number < first_leaf + n_leaves and n_chunks:  # not the bin of statistics
                    first.append(int.from_bytes(data[at : at + 8], "little"))
                at += 16 * n_chunks
            begin = min(first, default=0)
            if depth is None:
                (n_windows,) = struct.unpack_from("<i", data, at)
                lows = np.frombuffer(data, dtype="<u8", count=n_windows, offset=at + 4).astype(np.int64)
                at += 4 + 8 * n_windows
                windows = np.arange(n_windows)
            else:
                windows = np.array(sorted(leaves), dtype=np.int64)
                lows = np.array([leaves[int(i)] for i in windows], dtype=np.int64)
            if not first:
                places.append(_Places(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)))
                continue
            windows, lows = np.append(-1, windows), np.append(begin, lows)  # before the first window
            places.append(_Places(windows, np.maximum.accumulate(np.maximum(lows, begin))))
        return places


def _names(data: bytes) -> list[str]:
    return [name.decode() for name in data.split(b"\0") if name]


def index_path(path: Path) -> Path | None:
    """Return the path of the index next to a file, or None."""
    return next((index for suffix in (".tbi", ".csi") if (index := Path(f"{path}{suffix}")).is_file()), None)
