"""Counts and percentages as they appear in sentences."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """Return a counted noun.

    >>> counted(1, "record"), counted(1200, "record")
    ('1 record', '1,200 records')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def percent(part: int, total: int) -> str:
    """Return a percentage, rounded down, so that 89.99 % is not shown as 90 %.

    >>> percent(8999, 10000), percent(1, 4), percent(0, 0)
    ('89.9 %', '25 %', '0 %')
    """
    return f"{1000 * part // total / 10:g} %" if total else "0 %"
