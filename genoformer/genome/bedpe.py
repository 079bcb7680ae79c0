"""Rows of a table -> BEDPE or not: pairs of regions, told from counts and other numbers behind one region."""

from __future__ import annotations

import re
from collections.abc import Sequence

from genoformer.genome.bed_layout import STRANDS, is_number, most
from genoformer.genome.digits import is_count

_CONTIG = re.compile(r"chr\w+(\.\d+)?|\d{1,2}|[XYMWZ]|MT|[1-9]?\d[LR]", re.ASCII | re.IGNORECASE)
_UNKNOWN = [".", "-1", "-1"]
_NAME = re.compile(r"[^,]*[A-Za-z][^,]*")  # no list, such as bedtools map -o collapse writes
_FAR = 10_000  # bases from the begin of a contig: few counts are so large


def are_pairs(rows: Sequence[list[str]]) -> bool:
    """Return True where columns 4 to 6 of the first rows are a region as well.

    A contig that is called 5 looks like a count of 5. Such rows are pairs where START2 is before END2 in all, and where besides
    a name or two strands follow, both contigs are the same in two rows and more, or all positions are too large for counts.

    >>> are_pairs([["chr1", "1", "9", "chr5", "20", "30"]]), are_pairs([["1", "1", "9", "5", "20", "30"]])
    (True, False)
    """
    if not most(rows, _may_be_pair):
        return False
    pairs = [row for row in rows if _may_be_pair(row)]
    if any(not row[3].isdigit() for row in pairs):
        return True
    if len(pairs) < len(rows) or any(int(row[4]) >= int(row[5]) for row in pairs):
        return False
    same = len(pairs) > 1 and all(row[0] == row[3] for row in pairs)
    return same or all(map(_has_more_of_bedpe, pairs)) or all(map(_is_far, pairs))


def _may_be_pair(row: list[str]) -> bool:
    """Columns 4 to 6 may be a region, and column 4 is no name of a region."""
    if len(row) < 6 or not all(map(is_count, row[1:3])):
        return False
    if row[3:6] == _UNKNOWN:  # the other one is not known
        return True
    same = row[3] == row[0] and not row[0].isdigit()
    return all(map(is_count, row[4:6])) and (same or _are_contigs(row[0], row[3]))


def _has_more_of_bedpe(row: list[str]) -> bool:
    """A name, or two strands, follow as BEDPE has them."""
    strands = len(row) >= 10 and row[8] in STRANDS and row[9] in STRANDS
    name = len(row) > 6 and bool(_NAME.fullmatch(row[6])) and not is_number(row[6])
    return strands or name


def _is_far(row: list[str]) -> bool:
    """The second region lies where few counts reach, and not inside of the first one, as the least and largest START do."""
    start, end, start2, end2 = (int(row[i]) for i in (1, 2, 4, 5))
    return start2 >= _FAR and not start <= start2 <= end2 <= end


def _are_contigs(first: str, second: str) -> bool:
    """Names of contigs of one file: both begin with chr, or neither does."""
    alike = first.lower().startswith("chr") == second.lower().startswith("chr")
    return alike and all(map(_CONTIG.fullmatch, (first, second)))
