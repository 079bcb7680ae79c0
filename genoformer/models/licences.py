"""Licence of the weights of a model: of the package, of the catalog, or of the card of its folder."""

from __future__ import annotations

import re
from pathlib import Path

from genoformer.catalog import folder_of, read_catalog, shipped
from genoformer.models.folders import read_card

BUNDLED_LICENCE = "Apache-2.0"  # of the bundled models, that of the package
_LINE = re.compile(r"^\W*licen[cs]e\W+(.+)$", re.IGNORECASE | re.MULTILINE)  # of a card


def licence_of(folder: Path) -> str:
    """Return the licence of the weights in a folder: of the catalog, or of a line "Licence: ..." of the card; empty if unknown.

    >>> licence_of(shipped()["demo"])
    'Apache-2.0'
    """
    if folder in shipped().values():
        return BUNDLED_LICENCE
    if entry := next((entry for entry in read_catalog()["models"].values() if folder_of(entry) == folder), None):
        return entry.licence
    line = _LINE.search(read_card(folder) or "")
    return line[1].strip().rstrip(".") if line else ""
