"""Published tables of a model's tracks: folder of a model -> entry of the catalog -> files of data sets in the cache."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from genoformer.catalog.cache import read_receipt
from genoformer.catalog.entries import Entry, entry_named, read_catalog
from genoformer.files import cache_folder


class PublishedTable(NamedTuple):
    """Table of the tracks of a head, or of all heads of an organism, in a data set of the catalog."""

    head: str  # or organism
    data: str  # name of the data set
    path: Path  # in the cache
    of_name: bool  # True: the folder of the model was made by hand, and has only the name of an entry

    @property
    def is_here(self) -> bool:
        """True if the file is in the cache, with the size that was recorded at its download."""
        receipt = read_receipt(self.path.parent).get("files", {}).get(self.path.name)
        try:
            return isinstance(receipt, dict) and self.path.stat().st_size == receipt.get("size")
        except OSError:
            return False


def published_tables(folder: Path) -> list[PublishedTable]:
    """Return the tables that the catalog has for the model in a folder, downloaded or not.

    The folder is one that `pull` made, or has the name of an entry that is to be made by hand, such as alphagenome.
    """
    receipt = read_receipt(folder)
    kind, _, name = str(receipt.get("catalog", "")).partition(".")
    tables = receipt.get("tables")
    of_name = kind != "models"
    if not isinstance(tables, dict):  # by hand, or of an earlier version
        entry = read_catalog()["models"].get(folder.name if of_name else name)
        tables = {} if entry is None or (of_name and not entry.by_hand) else entry.tables
    found = []
    for head, text in tables.items():
        data, _, file = str(text).partition("/")
        found.append(PublishedTable(str(head), data, cache_folder() / "data" / data / file, of_name))
    return found


def with_tables(entry: Entry, catalog: str | Path | None = None) -> list[Entry]:
    """Return an entry, and the data entries with the tables of its tracks: what is downloaded together.

    >>> [entry.name for entry in with_tables(entry_named("flashzoi", "models"))]
    ['flashzoi', 'borzoi-tracks']
    """
    return [entry, *(entry_named(name, "data", catalog) for name in entry.table_entries)]
