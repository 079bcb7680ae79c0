"""Scored records -> a table of the alleles with the largest scores, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genoformer.formats.vcf import Record
from genoformer.genome.variants import Status
from genoformer.report.strongest import Rank, Strongest, by_strength
from genoformer.writers import NO_CELLS, Cells, Column, Floats, Header, RecordWriter, Sink

MOST = 20  # alleles of a table
_LONGEST = 12  # letters of an allele that are shown
_GAP = "  "


class StrongestSink(Sink):
    """Sink without a file: it keeps the alleles with the largest |score|, and `lines` has their table.

    The first score ranks alleles; with LLR, insertions and deletions are ranked by PLL and alternate with the others. Alleles
    below the noise floor come last, alleles without a score are left out.
    """

    def __init__(self, most: int = MOST) -> None:
        super().__init__("-")
        self.most, self.columns, self.n_scored = most, tuple[Column, ...](), 0
        self._kept = Strongest(most)

    def check(self, header: Header) -> None:
        """Accept any header: the table has columns of its own names."""

    @contextmanager
    def _open(self, part: Path | None, header: Header) -> Iterator[_StrongestWriter]:
        self.columns, self.n_scored, self._kept = tuple(header.columns), 0, Strongest(self.most)
        yield _StrongestWriter(self)

    def add(self, cells: list[str], values: Sequence[float]) -> None:
        """Add an allele: its first cells and the values of its columns."""
        rank = self._rank(values)
        if rank is not None:
            self.n_scored += 1
            texts = [column.text(value) for column, value in zip(self.columns, values, strict=True)]
            self._kept.add([rank, *cells, *texts], rank)

    @property
    def ranking(self) -> list[int]:
        """Indices of the scores that rank alleles."""
        scores = [i for i, column in enumerate(self.columns) if not column.words and not column.belongs_to]
        names = [self.columns[i].name for i in scores]
        second = [scores[names.index("PLL")]] if names and names[0] == "LLR" and "PLL" in names else []
        return [*scores[:1], *second]

    def _rank(self, values: Sequence[float]) -> Rank | None:
        for score in self.ranking:
            if values[score] == values[score]:
                return Rank(score, abs(values[score]), self._is_below(score, values))
        return None

    def _is_below(self, score: int, values: Sequence[float]) -> bool:
        flag = f"{self.columns[score].name}_NOISE"
        at = next((i for i, column in enumerate(self.columns) if column.name == flag), None)
        return at is not None and self.columns[at].text(values[at]) == "below"

    def lines(self, width: int = 100) -> list[str]:
        """Return the table: a caption, the names of the columns and a line for each allele; columns beyond `width` are cut."""
        rows: list[list[Any]] = self._kept.rows()
        above, below = by_strength((row[0], row) for row in rows)
        cells = [["variant", "id", *(column.name for column in self.columns)], *(of.row[1:] for of in (*above, *below))]
        columns = [column for column in zip(*cells, strict=True) if set(column[1:]) - {"", "."}]
        widths = [max(map(len, column)) for column in columns]
        while len(widths) > 1 and sum(widths) + len(_GAP) * (len(widths) - 1) > width:
            widths.pop()
        if not rows:
            return ["no allele has a score"]
        texts = zip(*columns[: len(widths)], strict=True)
        return [self._caption(len(rows), len(below)), *(_GAP.join(map(str.ljust, line, widths)).rstrip() for line in texts)]

    def _caption(self, n: int, n_below: int) -> str:
        names = [f"|{self.columns[i].name}|" for i in self.ranking]
        by = f": SNVs by {names[0]}, indels by {names[1]}, in turn" if len(names) > 1 else f", by {names[0]}"
        noise = f"; below the noise floor: {'all' if n_below == n else f'the last {n_below:,}'}" if n_below else ""
        return f"{n:,} strongest of {self.n_scored:,} scored alleles{by}{noise}"


class _StrongestWriter(RecordWriter):
    """Writer that passes each ALT to the sink."""

    def __init__(self, sink: StrongestSink) -> None:
        self.sink = sink

    def write(self, record: Record, statuses: Sequence[Status], values: Floats, cells: Cells = NO_CELLS) -> None:
        for alt, of_alt in zip(record.alts, values.tolist(), strict=False):
            place = f"{record.chrom}:{record.pos:,} {_short(record.ref)}>{_short(alt)}"
            self.sink.add([place, record.id], of_alt)


def _short(allele: str) -> str:
    return allele if len(allele) <= _LONGEST else f"{allele[: _LONGEST - 4]}...({len(allele)})"
