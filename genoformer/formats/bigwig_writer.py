"""Runs of intervals -> bigWig, as they come: the memory of a genome is that of its index.

Both well-known libraries write bigWig, but pyBigWig holds 14 bytes for each interval at the end, and pybigtools leaves out the
contigs without values and asks for one interval after the other.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer.errors import ConfigError, ContigError
from genoformer.files import atomic_write
from genoformer.formats.bigwig_blocks import PER_BLOCK, Blocks, data_block, index, names_tree
from genoformer.formats.bigwig_bytes import HEADER, MAGIC, SUMMARY
from genoformer.formats.bigwig_zoom import LEVEL, MOST_LEVELS, Zooms, of_values
from genoformer.genome.contigs import join_names

Run = tuple[str, ArrayLike, ArrayLike, ArrayLike]  # contig, starts [n], ends [n], values [n]

_VERSION = 4
_AT_ONCE = 16 * PER_BLOCK  # intervals that are written together


@contextmanager
def new_bigwig(path: str | os.PathLike[str], contig_lengths: Mapping[str, int]) -> Iterator[BigWigWriter]:
    """Open a new bigWig for writing; the complete file appears under its name only if the block ends without an error.

    >>> import tempfile
    >>> from genoformer.formats.bigwig import BigWig
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with new_bigwig(Path(folder, "a.bw"), {"chr1": 1000}) as file:
    ...         file.add("chr1", [0, 128], [128, 256], [0.5, 2])
    ...     BigWig(Path(folder, "a.bw")).values("chr1", 126, 130).tolist()
    [0.5, 0.5, 2.0, 2.0]
    """
    path = Path(path)
    if not contig_lengths:
        raise ConfigError(f"{path}: a bigWig needs the lengths of its contigs; give at least one.")
    with atomic_write(path) as part, part.open("wb") as content:
        writer = BigWigWriter(content, path, contig_lengths)
        yield writer
        writer.finish()


class BigWigWriter:
    """Writer of runs of intervals: contigs in the order of `contigs`, intervals sorted and without overlap.

    Bases without an interval and NaN values have no data. Intervals of one width without gaps, such as bins, take a
    third of the space.
    """

    def __init__(self, content: IO[bytes], path: Path, contig_lengths: Mapping[str, int]) -> None:
        """content: where the file is written; path: its name at the end."""
        self.path, self.contigs = path, dict(contig_lengths)
        self._order = {name: i for i, name in enumerate(self.contigs)}
        self._last = ("", 0)  # contig and end of the last interval
        self._open: list[tuple[NDArray[Any], ...]] = []  # intervals of the last contig that are not in a block yet
        self._n_open = 0
        self._n_bases, self._least, self._most, self._total, self._squares = 0, np.inf, -np.inf, 0.0, 0.0
        self._zooms = Zooms(content, max(self.contigs.values()))
        self._content = content
        with self._named_errors():
            self._names_at = HEADER.size + MOST_LEVELS * LEVEL.size + SUMMARY.size
            names = names_tree(list(self.contigs.items()), self._names_at)
            content.write(bytes(self._names_at) + names + bytes(8))
            self._data_at = content.tell() - 8
        self._blocks = Blocks(content)

    def add(self, chrom: str, starts: ArrayLike, ends: ArrayLike, values: ArrayLike) -> None:
        """Add intervals [start, end) of a contig, after all intervals added before; [n] each.

        Raises: ContigError; ValueError for intervals that are unsorted, overlap, lie beyond the contig or have infinite values.
        """
        if chrom not in self.contigs:
            raise ContigError(f"contig {chrom} is not among those of {self.path} ({join_names(self.contigs)}).")
        value = np.asarray(values, dtype=np.float32)
        first, last = np.asarray(starts, dtype=np.int64), np.asarray(ends, dtype=np.int64)
        if not first.shape == last.shape == value.shape == (value.size,):
            raise ValueError(f"{self.path}: starts {first.shape}, ends {last.shape}, values {value.shape}; give equally many.")
        keep = ~np.isnan(value)
        first, last, value = first[keep], last[keep], value[keep]
        if not value.size:
            return
        self._refuse(chrom, first, last, value)
        with self._named_errors():
            if chrom != self._last[0]:
                self._write_open(all_of_it=True)
            self._last = (chrom, int(last[-1]))
            self._open.append((first, last, value))
            self._n_open += len(value)
            if self._n_open >= _AT_ONCE:
                self._write_open()

    def _refuse(self, chrom: str, first: Any, last: Any, value: Any) -> None:
        before, until = self._last
        if before and self._order[chrom] < self._order[before]:
            raise ValueError(f"{self.path}: {chrom} comes after {before}; add contigs in the order of their lengths' table.")
        edges = np.append(until if chrom == before else 0, last)
        wrong = np.flatnonzero((first < edges[:-1]) | (last <= first) | (last > self.contigs[chrom]) | ~np.isfinite(value))
        if wrong.size:
            i = wrong[0]
            raise ValueError(
                f"{self.path}: {chrom}:{first[i]}-{last[i]} with value {value[i]:g} follows base {edges[i]:,}; intervals are "
                f"sorted, do not overlap, end by {self.contigs[chrom]:,}, and have finite values."
            )

    def _write_open(self, *, all_of_it: bool = False) -> None:
        """Write the open intervals, always as many at once, so that sums do not depend on how they came.

        Less than that stays open, unless the contig has ended.
        """
        if not self._n_open:
            return
        starts, ends, values = (np.concatenate(columns) for columns in zip(*self._open, strict=True))
        n = len(starts) if all_of_it else len(starts) // _AT_ONCE * _AT_ONCE
        self._open, self._n_open = [(starts[n:].copy(), ends[n:].copy(), values[n:].copy())], len(starts) - n
        for i in range(0, n, _AT_ONCE):
            rows = slice(i, min(i + _AT_ONCE, n))
            self._write(starts[rows], ends[rows], values[rows])

    def _write(self, starts: NDArray[np.int64], ends: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        contig = self._order[self._last[0]]
        for i in range(0, len(starts), PER_BLOCK):
            rows = slice(i, i + PER_BLOCK)
            content = data_block(contig, starts[rows], ends[rows], values[rows])
            self._blocks.add(contig, int(starts[rows][0]), int(ends[rows][-1]), content, len(values[rows]))
        piece = of_values(starts, ends, values)
        self._n_bases += int(piece.n_bases.sum())
        self._least, self._most = min(self._least, float(piece.least.min())), max(self._most, float(piece.most.max()))
        self._total, self._squares = self._total + float(piece.total.sum()), self._squares + float(piece.squares.sum())
        self._zooms.add(contig, piece)

    def finish(self) -> None:
        """Write the index, the zoom levels and the header."""
        with self._named_errors():
            self._write_open(all_of_it=True)
            self._zooms.end()
            content = self._content
            index_at = content.tell()
            content.write(index(self._blocks.places(), index_at))
            levels = self._zooms.finish(self._blocks.n_items)
            content.write(struct.pack("<I", MAGIC))  # as the format ends
            extremes = (self._least, self._most) if self._n_bases else (0.0, 0.0)
            summary = SUMMARY.pack(self._n_bases, *extremes, self._total, self._squares)
            summary_at = HEADER.size + MOST_LEVELS * LEVEL.size
            largest = max(self._blocks.largest, self._zooms.largest)
            places = (self._names_at, self._data_at, index_at, 0, 0, 0, summary_at, largest, 0)
            content.seek(0)
            content.write(HEADER.pack(MAGIC, _VERSION, len(levels), *places) + b"".join(levels))
            content.seek(summary_at)
            content.write(summary)
            content.seek(self._data_at)
            content.write(struct.pack("<Q", len(self._blocks)))
            content.flush()
            os.fsync(content.fileno())

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Name the bigWig in errors of the disk."""
        try:
            yield
        except OSError as error:
            raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(self.path)) from error


def write_bigwig(path: str | os.PathLike[str], contig_lengths: Mapping[str, int], runs: Iterable[Run]) -> None:
    """Write runs of intervals (contig, starts [n], ends [n], values [n]), streamed, in the order that `BigWigWriter` takes."""
    with new_bigwig(path, contig_lengths) as file:
        for run in runs:
            file.add(*run)
