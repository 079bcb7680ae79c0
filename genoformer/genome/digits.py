"""Texts of whole numbers that fit into 64 bits: at most 18 ASCII digits."""

from __future__ import annotations

import re

DIGITS = 18  # in positions, which are 64-bit
WHOLE = re.compile(rf"-?\d{{1,{DIGITS}}}", re.ASCII)


def is_count(text: str) -> bool:
    """True for a whole number without a sign.

    >>> is_count("7"), is_count("-7"), is_count("\\u0667"), is_count("1" * 19)
    (True, False, False, False)
    """
    return text.isascii() and text.isdecimal() and len(text) <= DIGITS
