"""Natural sort order of names that hold numbers: 1_TssA, 2_TssFlnk, 10_TssBiv."""

from __future__ import annotations

import re


def natural(text: str) -> tuple[list[str | int], str]:
    """Return a sort key in which runs of digits are numbers.

    >>> sorted(["10_TssBiv", "E2", "1_TssA", "E10", "3UTR"], key=natural)
    ['1_TssA', '3UTR', '10_TssBiv', 'E2', 'E10']
    """
    parts = re.split(r"([0-9]+)", text)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], text
