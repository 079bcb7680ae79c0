"""Models and data sets with their state: bundled, downloaded, or to download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from genoformer.catalog.cache import folder_of, is_here, shipped
from genoformer.catalog.entries import Entry, Kind, read_catalog

if TYPE_CHECKING:
    import pandas as pd

BUNDLED_LICENCE = "Apache-2.0"  # of the bundled models, that of the package
BUNDLED, HERE, BY_HAND, ABSENT = "ships", "here", "by hand", "to pull"  # states


_COLUMNS: dict[Kind, list[str]] = {
    "models": ["name", "state", "title", "family", "use", "licence", "size", "folder"],
    "data": ["name", "state", "title", "assembly", "licence", "size", "folder"],
}


def list_models() -> pd.DataFrame:
    """Return the models by name: bundled ("ships"), downloaded ("here") or to download, with licence and size in bytes."""
    table = _table("models")
    table.loc[table["state"] == BUNDLED, "licence"] = BUNDLED_LICENCE
    return table


def list_data() -> pd.DataFrame:
    """Return the data sets to download by name, with their state, assembly, licence and size in bytes.

    >>> list_data().set_index("name").loc["hg38", "assembly"]
    'hg38'
    """
    return _table("data")


def _table(kind: Kind) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list_entries(kind)).reindex(columns=_COLUMNS[kind])


def list_entries(kind: Kind, catalog: str | Path | None = None) -> list[dict[str, Any]]:
    """Return a row for each entry of the catalog: its description, state and folder; for models the bundled ones come first.

    >>> [row["name"] for row in list_entries("models")][:2], list_entries("models")[0]["state"]
    (['demo', 'mini-human'], 'ships')
    """
    bundled = shipped() if kind == "models" else {}
    rows: list[dict[str, Any]] = [
        {"name": name, "state": BUNDLED, "folder": str(folder), "title": card_title(folder)} for name, folder in bundled.items()
    ]
    for entry in read_catalog(catalog)[kind].values():
        here = is_here(entry)
        absent = BY_HAND if entry.by_hand else ABSENT
        state = {"state": HERE, "folder": str(folder_of(entry))} if here else {"state": absent, "folder": ""}
        rows.append(described(entry) | state)
    return rows


def card_title(folder: Path) -> str:
    """Return the first line of the card in a model folder; empty if it has none."""
    path = folder / "card.md"
    card = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return card.splitlines()[0].lstrip("# ") if card else ""


def described(entry: Entry) -> dict[str, Any]:
    """Return an entry as a JSON object: title, licence, citation, sources and sizes."""
    fields = {key: value for key, value in entry._asdict().items() if value and key != "files"}
    files = [{key: value for key, value in file._asdict().items() if value} for file in entry.files]
    return fields | {"size": entry.size, "files": files}
