"""Where things of the catalog are kept: one folder for each entry, with a receipt beside its files."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from genoformer.catalog.entries import RECEIPT, Entry, Kind, Remote, is_name, read_catalog
from genoformer.errors import CatalogError
from genoformer.whole import cache_folder


def folder_of(entry: Entry) -> Path:
    """Where the files of an entry lie, or would lie."""
    return cache_folder() / entry.kind / entry.name


def staging_of(entry: Entry) -> Path:
    """Where its files are gathered until all are there."""
    return cache_folder() / entry.kind / f".{entry.name}.part"


def read_receipt(folder: Path) -> dict[str, Any]:
    """What a folder's receipt says of each file; empty where there is none that can be read."""
    try:
        receipt = json.loads((folder / RECEIPT).read_text())
    except (OSError, ValueError):
        return {}
    return receipt if isinstance(receipt, dict) and isinstance(receipt.get("files"), dict) else {}


def is_here(entry: Entry) -> bool:
    """Whether all files of an entry are kept here, each with the size that it was fetched with."""
    folder = folder_of(entry)
    files = read_receipt(folder).get("files", {})
    return all(is_whole(entry, file, folder / file.name, files.get(file.name)) for file in entry.files)


def is_whole(entry: Entry, file: Remote, path: Path, said: Any) -> bool:
    """Whether a file is there as its receipt says, and the receipt is of what the entry names: source, size, checksum."""
    if not isinstance(said, dict) or said.get("of") != source_of(entry, file):
        return False
    if any(getattr(file, key) not in (None, said.get(key)) for key in ("size", "sha256", "md5")):
        return False
    try:
        return path.stat().st_size == said.get("size")
    except OSError:
        return False


def source_of(entry: Entry, file: Remote) -> str:
    """Where a file is to come from, whatever folder it was carried in."""
    return file.url or f"{entry.hub}@{entry.revision}"


def _of_another_catalog(kind: Kind, name: str) -> Path | None:
    """The folder of what was pulled under a name that only a catalog of --catalog has, where all of it is here."""
    folder = cache_folder() / kind / name if is_name(name) else None
    files = read_receipt(folder).get("files", {}) if folder is not None else {}
    try:
        whole = (
            all((folder / file).stat().st_size == said["size"] for file, said in files.items()) if folder is not None else False
        )
    except (OSError, KeyError, TypeError):
        return None
    return folder if files and whole else None


def shipped() -> dict[str, Path]:
    """Name -> folder of the models that come with genoformer."""
    models = Path(str(files("genoformer_data"))) / "models"
    return {config.parent.name: config.parent for config in sorted(models.glob("*/config.json"))}


def pulled_model(name: str) -> Path | None:
    """The folder of a model of the catalog that was pulled, or None; CatalogError for one that is only named there."""
    kind: Kind = "models"
    entry = read_catalog()[kind].get(name)
    if entry is None:
        return _of_another_catalog(kind, name)
    if is_here(entry):
        return folder_of(entry)
    size = f" ({entry.size / 1e6:,.0f} MB)" if entry.size else ""
    raise CatalogError(f"{name} is in the catalog, but not on this machine; genoformer models pull {name} fetches it{size}.")
