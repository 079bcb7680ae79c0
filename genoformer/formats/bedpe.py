"""Rows of a table -> True for BEDPE: pairs of regions, as opposed to counts and other numbers after one region."""

from __future__ import annotations

import re
from collections.abc import Sequence

from genoformer.formats.bed_layout import STRANDS, is_number, most
from genoformer.genome.digits import is_count

_CONTIG = re.compile(r"chr\w+(\.\d+)?|\d{1,2}|[XYMWZ]|MT|[1-9]?\d[LR]", re.ASCII | re.IGNORECASE)
_UNKNOWN = [".", "-1", "-1"]
_NAME = re.compile(r"[^,]*[A-Za-z][^,]*")  # not a list, as written by bedtools map -o collapse
_FAR = 10_000  # bases from the start of a contig; few counts are as large


def are_pairs(rows: Sequence[list[str]]) -> bool:
    """True if columns 4 to 6 of the first rows are also a region.

    A contig called 5 looks like a count of 5. Such rows are pairs if START2 is less than END2 in all of them, and in addition a
    name or two strands follow, or both contigs are equal in at least two rows, or all positions are too large for counts.

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
    """True if columns 4 to 6 may be a region, and column 4 is not the name of a region."""
    if len(row) < 6 or not all(map(is_count, row[1:3])):
        return False
    if row[3:6] == _UNKNOWN:  # the second region is unknown
        return True
    same = row[3] == row[0] and not row[0].isdigit()
    return all(map(is_count, row[4:6])) and (same or _are_contigs(row[0], row[3]))


def _has_more_of_bedpe(row: list[str]) -> bool:
    """True if a name or two strands follow, as in BEDPE."""
    strands = len(row) >= 10 and row[8] in STRANDS and row[9] in STRANDS
    name = len(row) > 6 and bool(_NAME.fullmatch(row[6])) and not is_number(row[6])
    return strands or name


def _is_far(row: list[str]) -> bool:
    """True if the second region is too far for counts, and not inside the first one, as the smallest and largest START are."""
    start, end, start2, end2 = (int(row[i]) for i in (1, 2, 4, 5))
    return start2 >= _FAR and not start <= start2 <= end2 <= end


def _are_contigs(first: str, second: str) -> bool:
    """True if two names can be contigs of one file: both begin with chr, or neither does."""
    alike = first.lower().startswith("chr") == second.lower().startswith("chr")
    return alike and all(map(_CONTIG.fullmatch, (first, second)))
