"""Several labels in one field ("0,1,1", "[0, 1, 1]"): one column of texts -> several columns; other lists are refused."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LIST = re.compile(r"[\[(].*[\])]")
_BETWEEN = re.compile(r"\s*[,;|]\s*|\s+")
_FLAGS = {"0": "0", "1": "1", "0.0": "0", "1.0": "1"}
_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")  # a number with a decimal comma
_INTEGERS = re.compile(r"\d+(?:\s*,\s*\d+)+")


def parse_flags(text: str) -> tuple[str, ...]:
    """Return the list of 0 and 1 in a label; () for any other text, and for a single number.

    >>> parse_flags("[0, 1, 1.0]"), parse_flags("0 1"), parse_flags("1"), parse_flags("a,b")
    (('0', '1', '1'), ('0', '1'), (), ())
    """
    inside = text[1:-1] if _LIST.fullmatch(text) else text
    parts = [_FLAGS.get(part, "") for part in _BETWEEN.split(inside.strip())]
    return tuple(parts) if len(parts) > 1 and all(parts) else ()


def split_labels(texts: Sequence[str]) -> list[tuple[str, ...]] | None:
    """Return the labels of each row if every row lists the same number of 0 and 1; None to use the texts unchanged.

    "0;1" is a set of the classes 0 and 1, unless some row repeats a number. Raises ValueError with the number of the row (from
    0) and the problem, for a list that cannot be read.
    """
    first = parse_flags(texts[0]) if texts else ()
    if first:
        rows = [parse_flags(text) for text in texts]
        n = len(first)
        if all(len(row) == n for row in rows):
            if any(";" not in text for text in texts) or any(len(set(row)) < n for row in rows):
                return rows
            return None
    decimal = decimal_comma(texts)
    for i, text in enumerate(texts):
        listed = (_LIST.fullmatch(text) and "," in text) or _INTEGERS.fullmatch(text) or (first and ";" not in texts[0])
        if listed or i == decimal:
            if first and len(parse_flags(text)) == len(first):
                continue
            than = f", the first row {len(first)} labels" if first else ""
            point = f", or a decimal point ({text[:40].replace(',', '.')})" if _COMMA.fullmatch(text) else ""
            raise ValueError(
                i,
                f"label is {text[:40]!r}{than}; write as many 0 and 1 in every row, or names with ; between them (a;b){point}",
            )
    return None


def decimal_comma(texts: Sequence[str]) -> int | None:
    """Return the first row, from 0, with a decimal comma if all texts are numbers; else None.

    >>> decimal_comma(["2", "-1,5"]), decimal_comma(["0,1", "1,0"]), decimal_comma(["1,5", "a"])
    (1, None, None)
    """
    if not all(_COMMA.fullmatch(text) or _is_number(text) for text in texts):
        return None
    return next((i for i, text in enumerate(texts) if _COMMA.fullmatch(text) and not parse_flags(text)), None)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
