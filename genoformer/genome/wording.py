"""Counts and percentages as they appear in sentences."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """Return a counted noun.

    >>> counted(1, "record"), counted(1200, "record")
    ('1 record', '1,200 records')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def counted_with(n: int, noun: str, one: str, several: str) -> str:
    """Return a counted noun and its verb.

    >>> counted_with(1, "row", "has", "have"), counted_with(2, "row", "has", "have")
    ('1 row has', '2 rows have')
    """
    return f"{counted(n, noun)} {one if n == 1 else several}"


def percent(part: int, total: int) -> str:
    """Return a percentage, rounded down, so that 89.99 % is not shown as 90 %.

    >>> percent(8999, 10000), percent(1, 4), percent(0, 0)
    ('89.9 %', '25 %', '0 %')
    """
    return f"{1000 * part // total / 10:g} %" if total else "0 %"
