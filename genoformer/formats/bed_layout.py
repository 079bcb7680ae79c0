"""Layout of a BED-like file: numbers of its columns, and the tests of fields that detect its kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

KIND = "a BED or narrowPeak file"
NARROW = 10  # columns of narrowPeak
_COMMENT = re.compile(r"#|(track|browser)(\s|$)")
_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|inf|infinity|nan)|NA", re.ASCII | re.IGNORECASE)
STRANDS: Mapping[str, str] = {"+": "+", "-": "-", ".": ".", "*": ".", "": "."}
HOMER_STRANDS = {**STRANDS, "0": "+", "1": "-"}
TABLE_STRANDS = {**STRANDS, "1": "+", "-1": "-"}  # as in biomaRt


@dataclass(frozen=True)
class Layout:
    """Numbers of columns, from 0; None for a column that the file does not have.

    blocks: number, sizes and starts of the blocks of BED12. width: a column that must equal END - START. base: the number of a
    contig's first base. skipped: lines before the first row. header: names of columns.
    """

    kind: str = "BED"
    chrom: int = 0
    start: int = 1
    end: int = 2
    name: int | None = 3
    score: int | None = 4
    strand: int | None = 5
    signal: int | None = None
    summit: int | None = None  # offset from START, -1 for none; or a position, if absolute_summit
    colour: int | None = 8
    blocks: tuple[int, int, int] | None = None
    width: int | None = None
    base: int = 0
    labels: bool = False  # True if names are kinds of elements
    absolute_summit: bool = False
    exons: bool = False  # a row may hold several exons, separated by semicolons
    summit_base: int = 0  # number of the first base of a row, for summits that are offsets
    skipped: int = 0
    n_columns: int = 0
    header: tuple[str, ...] = ()
    strands: Mapping[str, str] = field(default_factory=lambda: STRANDS)
    notes: tuple[str, ...] = ()

    def column(self, at: int | None) -> str:
        """Describe a column as a user counts it, with its name if it has one."""
        if at is None:
            return "none"
        return f"column {at + 1}" + (f", {self.header[at]}" if at < len(self.header) and self.header[at] else "")

    def shifted(self, by: int) -> Layout:
        """Return the same layout, shifted to the right by `by` columns."""
        roles = ("chrom", "start", "end", "name", "score", "strand", "signal", "summit", "colour", "width")
        numbers: dict[str, Any] = {role: None if (at := getattr(self, role)) is None else at + by for role in roles}
        count, sizes, starts = self.blocks or (0, 0, 0)
        blocks = (count + by, sizes + by, starts + by) if self.blocks is not None else None
        return replace(self, **numbers, blocks=blocks)


def is_comment(line: str) -> bool:
    """True if a line is not a row: a comment, a track or browser line, or blank."""
    return bool(_COMMENT.match(line)) or not line.strip()


def is_number(text: str) -> bool:
    """True for a number as written in tables, including infinite and missing numbers."""
    return bool(_NUMBER.fullmatch(text))


def all_fit(rows: Sequence[Sequence[str]], at: int, fits: Callable[[str], object]) -> bool:
    """True if all of these rows have a field in a column that passes a test."""
    return all(at < len(row) and fits(row[at]) for row in rows)


def most(rows: Sequence[list[str]], fits: Callable[[list[str]], object]) -> bool:
    """True if at least half of these rows pass a test; the others are malformed, and are refused when they are read."""
    return bool(rows) and 2 * sum(map(bool, map(fits, rows))) >= len(rows)
