"""Sorted file of alleles or positions -> blocks of its lines around a position, as a stream, with jumps where it has an index.

A file without an index is read once from beginning to end, in step with the variants. A file with an index is read in the same
way where the next position is near; where it is far ahead or behind, reading continues there.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import FileFormatError
from genoformer.formats.sorted_lines import FAR, SortedLines
from genoformer.formats.text_columns import TextColumns, same_as_before, split_columns, whole_numbers
from genoformer.formats.vcf_text import ENCODING, ERRORS
from genoformer.genome.allele_table import AlleleTable, Spans, read_alleles
from genoformer.genome.contigs import ContigIndex, canonical_key
from genoformer.genome.reference import Genome

Integers = NDArray[np.int64]

KEPT = 1 << 16  # bases behind the variants for which blocks are kept: indels that shift left reach back


@dataclass(frozen=True)
class LineLayout:
    """Numbers of the columns of a line, from 0. ref and alt are None in a file of positions."""

    chrom: int
    pos: int
    ref: int | None
    alt: int | None
    base: int  # number of the first base of a contig
    n_columns: int  # columns to split, from the first
    info: int | None = None  # INFO of a VCF

    @property
    def has_alleles(self) -> bool:
        return self.ref is not None and self.alt is not None


VCF_LAYOUT = LineLayout(0, 1, 3, 4, 1, 8, info=7)


@dataclass(frozen=True)
class SourceBlock:
    """Consecutive lines on one contig, and their alleles sorted by position."""

    contig: str
    name: str  # of the contig in the file
    lines: TextColumns
    alleles: AlleleTable  # of a file of positions without letters: one row per line
    first: int  # smallest position of a line, 0-based
    reach: int  # largest position of an allele, 0-based


class SourceStream:
    """Blocks of a sorted file, in order.

    declared: contigs in the header, in their order; may be empty. Names of contigs are those of the file if it has an index,
    else their `canonical_key`.
    """

    def __init__(
        self, lines: SortedLines, layout: LineLayout, path: Path, genome: Genome | None, declared: Sequence[str] = ()
    ) -> None:
        self.path, self.n_unfit = path, 0
        self._lines, self._layout, self._genome = lines, layout, genome
        self._in_genome = ContigIndex(genome.contigs if genome is not None else ())
        self._blocks: deque[SourceBlock] = deque()
        self._from = ("", 0)  # contig and position from which the blocks are complete
        self._last = ("", -1)  # contig and position of the last line that was read
        self._seen: set[str] = set()  # contigs of the lines read since the last jump
        self._finished: set[str] = set()  # contigs whose blocks have been dropped
        self._rank = {canonical_key(name): i for i, name in enumerate(declared)} if lines.contigs is None else {}
        self._index = ContigIndex(lines.contigs) if lines.contigs is not None else None

    @property
    def has_index(self) -> bool:
        return self._index is not None

    def own_name(self, contig: str) -> str | None:
        """Return the name of a contig here; None if an index shows that the file does not have it."""
        return canonical_key(contig) if self._index is None else self._index.get(contig)

    def clusters(self, contig: str, starts: Integers) -> list[int]:
        """Return the edges of runs of sorted positions that are near each other in the file, for `between`."""
        offsets = self._lines.offsets(contig, starts)
        cuts = np.flatnonzero(np.diff(offsets) > FAR) + 1 if offsets is not None else np.zeros(0, dtype=np.int64)
        return [0, *cuts.tolist(), len(starts)]

    def between(self, contig: str, low: int, high: int, keep: int) -> Iterator[SourceBlock]:
        """Yield the blocks of a contig that can hold alleles in [low, high]; blocks that reach `keep` stay in memory.

        Raises: FileFormatError for lines that are malformed or unsorted, and if the file has no index and was read beyond.
        """
        self._go_to(contig, low)
        i = 0
        while True:
            if i == len(self._blocks) and not self._read():
                return
            if i == len(self._blocks):
                continue
            block = self._blocks[i]
            if block.contig != contig or block.first > high:
                return
            if block.reach >= low:
                yield block
            if i == 0 and block.reach < keep:
                self._blocks.popleft()
                self._from = (contig, max(self._from[1], block.reach + 1))
            else:
                i += 1

    def _go_to(self, contig: str, low: int) -> None:
        """Make the blocks begin with those of a contig that reach `low`."""
        if self._from[0] == contig and low >= self._from[1]:
            if not self._is_far(contig, low):
                return
        elif self._from[0] != contig and any(block.contig == contig for block in self._blocks):
            while self._blocks[0].contig != contig:
                self._drop()
            self._from = (contig, 0)
            return
        if self._index is not None:
            self._lines.jump(contig, low)
            self._blocks.clear()
            self._seen.clear()
            self._from, self._last = (contig, low), ("", -1)
            return
        if contig == self._from[0] or contig in self._finished:
            raise FileFormatError(
                f"{self.path} has no index, and its records at {contig}:{low + 1:,} come before those of the variants so far; "
                f"sort the variants in the order of {self.path.name} (bcftools sort), or index that file (bgzip and tabix)."
            )
        self._read_until(contig)

    def _is_far(self, contig: str, low: int) -> bool:
        """True if a jump to a position saves reading."""
        if self._index is None or any(block.first > low for block in self._blocks):
            return False
        offsets = self._lines.offsets(contig, np.array([low]))
        return offsets is not None and int(offsets[0]) - self._lines.offset > FAR

    def _read_until(self, contig: str) -> None:
        """Read on until a contig begins, or a contig that comes after it in the header, or the file ends."""
        rank = self._rank.get(contig)
        while True:
            while self._blocks:
                block = self._blocks[0]
                if block.contig == contig:
                    self._from = (contig, 0)
                    return
                if rank is not None and self._rank.get(block.contig, -1) > rank:
                    return  # the file has no records on the contig
                self._drop()
            if not self._read():
                return

    def _drop(self) -> None:
        self._finished.add(self._blocks.popleft().contig)
        self._from = ("", 0)

    def _read(self) -> bool:
        """Read the next lines into blocks; False at the end of the file."""
        text = self._lines.read()
        if not text:
            return False
        layout = self._layout
        columns = split_columns(text, layout.n_columns)
        if (columns.begins == columns.line_ends).any():  # empty lines
            text = re.sub(rb"\n+", b"\n", text).removeprefix(b"\n")
            columns = split_columns(text, layout.n_columns)
            if not text:
                return True
        positions, wrong = whole_numbers(columns.letters, *columns.span(layout.pos))
        needed = max(at for at in (layout.chrom, layout.pos, layout.ref, layout.alt) if at is not None)
        begins, ends = columns.span(needed)
        if len(wrong) or (ends <= begins).any():
            self._refuse(columns, int(wrong[0]) if len(wrong) else int(np.flatnonzero(ends <= begins)[0]))
        starts = positions - layout.base
        for name, i, j in same_as_before(text, *columns.span(layout.chrom)):
            self._add(name.decode(ENCODING, ERRORS), columns.take(slice(i, j)), starts[i:j])
        return True

    def _add(self, name: str, lines: TextColumns, starts: Integers) -> None:
        contig = canonical_key(name) if self._index is None else name
        falls = np.flatnonzero(starts[1:] < starts[:-1])
        comes_again = contig != self._last[0] and contig in self._seen
        if len(falls) or comes_again or (contig == self._last[0] and starts[0] < self._last[1]):
            at = int(starts[falls[0] + 1]) if len(falls) else int(starts[0])
            raise FileFormatError(
                f"{self.path}, {name}:{at + 1:,}: the lines are not sorted by contig and position; sort the file "
                "(bcftools sort; of a table sort -k1,1 -k2,2n), then compress and index it (bgzip and tabix)."
            )
        self._seen.add(contig)
        self._last = (contig, int(starts[-1]))
        alleles = self._alleles(name, lines, starts)
        self.n_unfit += alleles.n_unfit
        reach = max(int(alleles.start[-1]) if len(alleles) else -1, int(starts[-1]))
        self._blocks.append(SourceBlock(contig, name, lines, alleles, int(starts[0]), reach))

    def _alleles(self, name: str, lines: TextColumns, starts: Integers) -> AlleleTable:
        layout = self._layout
        if layout.ref is None or layout.alt is None:
            rows, none = np.arange(len(starts)), np.zeros((len(starts), 2), dtype=np.int64)
            return AlleleTable(lines.letters, rows, np.zeros_like(rows), starts, none, none, len(starts), 0)
        info = lines.span(layout.info) if layout.info is not None else None
        spans = Spans(lines.letters, starts, lines.span(layout.ref), lines.span(layout.alt), info)
        return read_alleles(spans, self._genome, self._in_genome.get(name)).sorted()

    def _refuse(self, columns: TextColumns, row: int) -> None:
        line = columns.text[columns.begins[row] : columns.line_ends[row]].decode(ENCODING, ERRORS)
        raise FileFormatError(
            f"{self.path}: the line {line[:60]!r} is not readable, expected a contig, a position that is a whole number of at "
            "most 18 digits, and alleles if the file has them, separated by tabs; correct or remove it."
        )
