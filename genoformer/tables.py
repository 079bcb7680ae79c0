"""Rows -> lines of a TSV that pandas, R, polars and spreadsheets read identically: missing is empty, quotes follow RFC 4180."""

from __future__ import annotations

from collections.abc import Iterable

MISSING = ""  # NA to pandas, R and polars in a column of numbers; a dot would make it a column of text


def tsv_cell(text: str) -> str:
    """Return a cell of a table; a text with a quote, tab or line break is quoted, and its quotes are doubled.

    >>> print(tsv_cell("rs1"), tsv_cell('5" UTR'))
    rs1 "5"" UTR"
    """
    if '"' in text or "\t" in text or "\n" in text or "\r" in text:
        return '"' + text.replace('"', '""') + '"'
    return text


def tsv_line(fields: Iterable[str]) -> str:
    """Return a row without its end of line."""
    cells = list(fields)
    text = "\t".join(cells)
    plain = '"' not in text and "\n" not in text and "\r" not in text and text.count("\t") == len(cells) - 1
    return text if plain else "\t".join(map(tsv_cell, cells))


def rounded(value: float | None, form: str = ".5g") -> str:
    """Format a number; return MISSING for NaN and None.

    >>> rounded(1 / 3), rounded(float("nan")), rounded(2.0, ".2f")
    ('0.33333', '', '2.00')
    """
    return MISSING if value is None or value != value else format(value + 0.0, form)
