"""bigWig files: values of any interval, and a streaming writer of intervals."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoformer.addresses import refuse_address
from genoformer.errors import ContigError, FileFormatError, MissingFileError
from genoformer.formats.bigwig_bytes import HEADER, MAGIC, NOTHING, SUMMARY, BigWigBytes, Intervals
from genoformer.formats.pointers import refuse_pointer
from genoformer.formats.remote import remote_file
from genoformer.genome.bins import Values
from genoformer.genome.contigs import ContigMap, join_names

_BIGBED = 0x8789F2EB
_INDEX_BYTES = 48  # smallest possible size of an index
_NEAR = 4_096  # bases between intervals that are read together


class BigWig:
    """bigWig file as values per base; each process opens its own handle on first read.

    The file may be at an https, http or s3 address.

    Attributes: path, contigs (name -> length in bases), n_bases (number of bases with a value).

    Raises: MissingFileError; FileFormatError if the file is not a bigWig or is truncated.
    """

    exact_lengths = True  # of the contigs in `contigs`

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        _check(self.path)
        self._file: BigWigBytes | None = None
        self._names: dict[str, str | None] = {}
        file = self._opened()
        self.contigs: dict[str, int] = {name: length for name, (_, length) in file.contigs.items()}
        self.n_bases = file.n_bases
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None}

    def values(self, chrom: str, start: int, end: int) -> Values:
        """Return the values of the bases [start, end), float32 [L]; 0 for bases without a value and beyond the contig ends."""
        if end < start:
            raise ValueError(f"{chrom}:{start}-{end}: the end lies before the start.")
        name, first, last = self._place(chrom, start, end)
        if name is None or first >= last:
            return np.zeros(end - start, dtype=np.float32)
        values = self._opened().values(name, first, last)
        return values if (first, last) == (start, end) else np.pad(values, (first - start, end - last))

    def intervals(self, chrom: str, start: int, end: int) -> list[tuple[int, int, float]]:
        """Return the intervals with a value in [start, end), clipped to it: (start, end, value), sorted by position."""
        return list(zip(*(column.tolist() for column in self._found(chrom, start, end)), strict=True))

    def means(self, chrom: str, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the mean of each interval [start, end) over its bases with a value, [n]; NaN if it has none.

        Intervals near each other are read together, so give many at once.
        """
        means = np.full(len(starts), np.nan)
        order = np.argsort(starts, kind="stable")
        first, last = starts[order], ends[order]
        reach = np.maximum.accumulate(last) if len(last) else last
        cuts = np.flatnonzero(first[1:] - reach[:-1] > _NEAR) + 1
        edges = [0, *cuts.tolist(), len(order)]
        for i, j in pairwise(edges if len(order) else []):
            rows = self._found(chrom, int(first[i]), int(reach[j - 1]))
            means[order[i:j]] = _means_of_intervals(rows, first[i:j], last[i:j])
        return means

    def _place(self, chrom: str, start: int, end: int) -> tuple[str | None, int, int]:
        """Return the name of a contig in the file, if it is there, and the part of [start, end) that lies on it."""
        name = own_name(chrom, self.contigs, self._names, self.path)
        return name, max(start, 0), min(end, self.contigs[name] if name is not None else 0)

    def _found(self, chrom: str, start: int, end: int) -> Intervals:
        name, first, last = self._place(chrom, start, end)
        if name is None or first >= last:
            return NOTHING
        return self._opened().intervals(name, first, last)

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        self._file = None

    def _opened(self) -> BigWigBytes:
        if self._file is None:
            self._file = BigWigBytes(self.path)
        return self._file


def _means_of_intervals(rows: Intervals, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean value of sorted intervals (starts, ends, values) in each [start, end), NaN where there is none."""
    known = ~np.isnan(rows[2])
    first, last, values = rows[0][known].astype(np.int64), rows[1][known].astype(np.int64), rows[2][known].astype(np.float64)
    means = np.full(len(starts), np.nan)
    if not len(first):
        return means
    at = np.maximum(np.searchsorted(first, starts, side="right") - 1, 0)
    inside = (first[at] <= starts) & (ends <= last[at])  # the usual case: one value for all bases
    means[inside] = values[at[inside]]
    for row in np.flatnonzero(~inside).tolist():
        start, end = int(starts[row]), int(ends[row])
        i, j = int(np.searchsorted(last, start, side="right")), int(np.searchsorted(first, end))
        widths = np.minimum(last[i:j], end) - np.maximum(first[i:j], start)
        if widths.sum() > 0:
            means[row] = float((values[i:j] * widths).sum() / widths.sum())
    return means


def own_name(chrom: str, contigs: Iterable[str], known: dict[str, str | None], path: Path) -> str | None:
    """Return a file's own name of the contig `chrom`, or None; `known` caches the lookups.

    Raises: ContigError if several contigs fit.
    """
    if chrom not in known:
        names = ContigMap([chrom], contigs)
        if chrom in names.ambiguous and names.get(chrom) != chrom:  # no notes here to report a choice
            raise ContigError(
                f"contig {chrom} fits more than one of {path}: {join_names(names.ambiguous[chrom])}; rename them."
            )
        known[chrom] = names.get(chrom)
    return known[chrom]


def _check(path: Path) -> None:
    """Refuse a file that is not a bigWig or is truncated, before the library's C code prints its own messages."""
    refuse_address(path, readable=True)
    remote = remote_file(path)
    if remote is None and not path.is_file():
        raise MissingFileError(f"{path} does not exist or is no file; give a bigWig file.")
    try:
        head = remote[: HEADER.size] if remote is not None else _part(path, 0, HEADER.size)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}); give a bigWig file.") from error
    magic = struct.unpack("<I", head[:4])[0] if len(head) >= 4 else None
    if remote is None:
        refuse_pointer(path)
    if magic == _BIGBED:
        raise FileFormatError(f"{path} is a bigBed file, which holds no values per base; give a bigWig, or the peaks as BED.")
    if magic != MAGIC:
        hint = "unpack it" if head[:2] == b"\x1f\x8b" else "give a bigWig, or name it as what it is"
        raise FileFormatError(f"{path} is no bigWig file, it begins with {head[:4]!r}; {hint}.")
    size = path.stat().st_size if remote is None else len(remote)
    least = (HEADER.unpack(head)[5] if len(head) == HEADER.size else HEADER.size) + _INDEX_BYTES
    if size < least:
        raise FileFormatError(f"{path} was cut off: it has {size:,} bytes and needs {least:,} or more; get it again.")
    at = HEADER.unpack(head)[9]
    begin = min(at, size)
    summary = b""
    if at:
        end = begin + SUMMARY.size
        summary = remote[begin:end] if remote is not None else _part(path, begin, end)
    if len(summary) == SUMMARY.size and any(map(math.isinf, SUMMARY.unpack(summary)[1:3])):  # NaN there comes from stored NaN
        raise FileFormatError(f"{path} holds infinite values, which are no measurements; write it without them.")


def _part(path: Path, begin: int, end: int) -> bytes:
    with path.open("rb") as file:
        file.seek(begin)
        return file.read(end - begin)
