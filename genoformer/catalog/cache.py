"""Cache of catalog entries: one folder for each entry, with a receipt next to its files."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from genoformer.catalog.entries import RECEIPT, Entry, Kind, Remote, is_name, read_catalog
from genoformer.errors import CatalogError
from genoformer.files import cache_folder


def folder_of(entry: Entry) -> Path:
    """Return the folder of an entry's files, downloaded or not."""
    return cache_folder() / entry.kind / entry.name


def staging_of(entry: Entry) -> Path:
    """Return the folder that collects the files of an entry until all are complete."""
    return cache_folder() / entry.kind / f".{entry.name}.part"


def read_receipt(folder: Path) -> dict[str, Any]:
    """Return the receipt of a folder, with an entry for each file; empty if there is no readable receipt."""
    try:
        receipt = json.loads((folder / RECEIPT).read_text())
    except (OSError, ValueError):
        return {}
    return receipt if isinstance(receipt, dict) and isinstance(receipt.get("files"), dict) else {}


def is_here(entry: Entry) -> bool:
    """True if all files of an entry are in the cache, each with the size recorded at its download."""
    folder = folder_of(entry)
    files = read_receipt(folder).get("files", {})
    return bool(entry.files) and all(is_whole(entry, file, folder / file.name, files.get(file.name)) for file in entry.files)


def is_whole(entry: Entry, file: Remote, path: Path, receipt: Any) -> bool:
    """True if a file matches its receipt, and the receipt matches source, size and checksum of the entry."""
    if not isinstance(receipt, dict) or receipt.get("of") != source_of(entry, file):
        return False
    if any(getattr(file, key) not in (None, receipt.get(key)) for key in ("size", "sha256", "md5")):
        return False
    try:
        return path.stat().st_size == receipt.get("size")
    except OSError:
        return False


def source_of(entry: Entry, file: Remote) -> str:
    """Return the source of a file: its URL, or repository@revision, also if the file was copied from a folder."""
    return file.url or f"{entry.hub}@{entry.revision}"


def _of_another_catalog(kind: Kind, name: str) -> Path | None:
    """Return the folder of a complete entry that only another catalog (--catalog) names; None if there is none."""
    folder = cache_folder() / kind / name if is_name(name) else None
    files = read_receipt(folder).get("files", {}) if folder is not None else {}
    try:
        complete = (
            all((folder / file).stat().st_size == row["size"] for file, row in files.items()) if folder is not None else False
        )
    except (OSError, KeyError, TypeError):
        return None
    return folder if files and complete else None


def shipped() -> dict[str, Path]:
    """Return name -> folder of the bundled models."""
    models = Path(str(files("genoformer_data"))) / "models"
    return {config.parent.name: config.parent for config in sorted(models.glob("*/config.json"))}


def pulled_model(name: str) -> Path | None:
    """Return the folder of a downloaded model, or None; raise CatalogError for a catalog model that is not downloaded."""
    kind: Kind = "models"
    entry = read_catalog()[kind].get(name)
    if entry is None:
        return _of_another_catalog(kind, name)
    if is_here(entry):
        return folder_of(entry)
    if entry.by_hand:
        raise CatalogError(f"{name} is in the catalog and not downloaded by genoformer: {entry.by_hand}")
    size = f" ({entry.size / 1e6:,.0f} MB)" if entry.size else ""
    raise CatalogError(f"{name} is in the catalog but not downloaded{size}; run genoformer models pull {name}.")
