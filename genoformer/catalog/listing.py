"""Entries of the catalog with their state: bundled, downloaded, or to download."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genoformer.catalog.cache import folder_of, is_here
from genoformer.catalog.cards import use_in
from genoformer.catalog.entries import Entry, Kind, read_catalog

if TYPE_CHECKING:
    import pandas as pd

BUNDLED, HERE, BY_HAND, ABSENT = "bundled", "downloaded", "by hand", "to download"  # states
_COLUMNS: dict[Kind, list[str]] = {
    "models": ["name", "state", "title", "family", "use", "licence", "size", "folder"],
    "data": ["name", "state", "title", "assembly", "licence", "size", "folder"],
}


def list_entries(
    kind: Kind, catalog: str | Path | None = None, bundled: Mapping[str, tuple[Path, str]] | None = None
) -> list[dict[str, Any]]:
    """Return a row for each entry of the catalog: its description, state and folder.

    bundled: name -> folder and title of bundled models, which come first.

    >>> list_entries("models", bundled={"mine": (Path("mine"), "a model")})[0]["state"]
    'bundled'
    """
    rows: list[dict[str, Any]] = [
        {"name": name, "state": BUNDLED, "folder": str(folder), "title": title.removeprefix(f"{name}: "), "use": use_in(folder)}
        for name, (folder, title) in (bundled or {}).items()
    ]
    for entry in read_catalog(catalog)[kind].values():
        here = is_here(entry)
        absent = BY_HAND if entry.by_hand else ABSENT
        state = {"state": HERE, "folder": str(folder_of(entry))} if here else {"state": absent, "folder": ""}
        rows.append(described(entry) | state)
    return rows


def table_of(kind: Kind, bundled: Mapping[str, tuple[Path, str]] | None = None) -> pd.DataFrame:
    """Return the rows of `list_entries` with the columns for people; size is in bytes.

    >>> table_of("data").set_index("name").loc["hg38", "assembly"]
    'hg38'
    """
    import pandas as pd

    return pd.DataFrame(list_entries(kind, bundled=bundled)).reindex(columns=_COLUMNS[kind])


def described(entry: Entry) -> dict[str, Any]:
    """Return an entry as a JSON object: title, licence, citation, sources and sizes."""
    fields = {key: value for key, value in entry._asdict().items() if value and key != "files"}
    files = [{key: value for key, value in file._asdict().items() if value} for file in entry.files]
    return fields | {"size": entry.size, "files": files}
