"""Counts and percentages as they appear in sentences."""

from __future__ import annotations

import re


def counted(n: int, noun: str, plural: str = "") -> str:
    """Return a counted noun; plural: that of a noun which takes no s.

    >>> counted(1, "record"), counted(1200, "record"), counted(8, "locus", "loci")
    ('1 record', '1,200 records', '8 loci')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def without_empty_items(text: str) -> str:
    """Return the description of a track without commas that separate nothing, as published tables of tracks have them.

    >>> without_empty_items("CAGE:CD4+ T Cells,"), without_empty_items("CAGE:CD8+ T Cells, , donor2")
    ('CAGE:CD4+ T Cells', 'CAGE:CD8+ T Cells, donor2')
    """
    return ", ".join(item for item in re.split(r"\s*,\s+|\s*,$", text) if item)


def counted_with(n: int, noun: str, one: str, several: str) -> str:
    """Return a counted noun and its verb.

    >>> counted_with(1, "row", "has", "have"), counted_with(2, "row", "has", "have")
    ('1 row has', '2 rows have')
    """
    return f"{counted(n, noun)} {one if n == 1 else several}"


def rate_text(n: int, seconds: float) -> str:
    """Return a rate, per minute if it is below one per second.

    >>> rate_text(30, 2.0), rate_text(6, 20.0)
    ('15 per second', '18 per minute')
    """
    rate = n / max(seconds, 1e-9)
    return f"{rate:,.0f} per second" if rate >= 1 else f"{60 * rate:,.0f} per minute"


def percent(part: int, total: int) -> str:
    """Return a percentage, rounded down, so that 89.99 % is not shown as 90 %.

    >>> percent(8999, 10000), percent(1, 4), percent(0, 0)
    ('89.9 %', '25 %', '0 %')
    """
    return f"{1000 * part // total / 10:g} %" if total else "0 %"


def signal_of_bins(size: int) -> str:
    """Return the unit of predicted tracks in bins of `size` bases.

    >>> signal_of_bins(1), signal_of_bins(128)
    ('predicted signal of 1 bp', 'predicted signal of 128 bp bins')
    """
    return "predicted signal of 1 bp" if size == 1 else f"predicted signal of {size:,} bp bins"
