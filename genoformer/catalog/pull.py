"""Download a catalog entry: entry -> files in a staging folder -> check -> move the folder into the cache."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from genoformer.catalog import hub
from genoformer.catalog.cache import folder_of, is_here, is_whole, read_receipt, source_of, staging_of
from genoformer.catalog.entries import RECEIPT, Entry, Remote
from genoformer.catalog.http import download, forget, read_list
from genoformer.errors import CatalogError, DownloadError
from genoformer.files import BusyError, atomic_write, lock_folder, sha256_of
from genoformer.progress import Progress, ProgressCallback

PART = ".part"
_TEXTS = (".txt", ".tsv", ".csv", ".bed", ".meme", ".gtf", ".vcf", ".fa")
NOTHING = "nothing published"  # in a receipt: the source publishes no checksum


class Pulled(NamedTuple):
    """Paths of an entry's files, in the catalog's order, and notes for the user."""

    folder: Path
    paths: list[Path]
    fetched: bool  # False: the files were already in the cache
    notes: list[str]


def pull(
    entry: Entry,
    *,
    again: bool = False,
    source: Path | None = None,
    progress: ProgressCallback = None,
    endpoint: str | None = None,
    pause: float = 1.0,
) -> Pulled:
    """Download a catalog entry, unless it is in the cache; an interrupted or killed run resumes.

    Args:
        again: download again, for files that the source updates; the old files stay until the new ones are complete.
        source: folder with the files, instead of a network; they are still checked.
        progress: callback with the name of the file and the megabytes received.
        endpoint: another address of the Hugging Face hub.
        pause: seconds before a lost connection is tried again.

    Raises: DownloadError if a file cannot be downloaded or fails its checksum, CatalogError if `source` lacks a file.
    """
    folder, staging = folder_of(entry), staging_of(entry)
    if entry.by_hand:
        raise CatalogError(f"{entry.name} is not downloaded by genoformer: {entry.by_hand}. Licence: {entry.licence}.")
    if is_here(entry) and not again:
        return _pulled(entry, False, [])
    try:
        staging.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CatalogError(
            f"{staging.parent} cannot be written ({error.strerror}); set GENOFORMER_CACHE to a folder that can."
        ) from error
    notes: list[str] = []
    with _alone(staging, folder):
        if is_here(entry) and not again:  # another process downloaded it in the meantime
            shutil.rmtree(staging, ignore_errors=True)
            return _pulled(entry, False, [])
        before, done = read_receipt(folder).get("files", {}), read_receipt(staging).get("files", {})
        for file in entry.files:
            path = staging / file.name
            if not is_whole(entry, file, path, done.get(file.name)):
                if source is not None:
                    receipt = _copied(entry, file, source, path)
                elif entry.hub is not None and file.url is None:
                    receipt = _from_hub(entry, entry.hub, file, staging, endpoint, progress)
                else:
                    receipt = _from_address(entry, file, path, pause, progress)
                _compare_with_earlier(entry, file, path, receipt, before.get(file.name), notes)
                notes += _doubts(file, path) if receipt["checked"] == NOTHING else []
                done[file.name] = receipt
                _write_receipt(staging, entry, done)
        shutil.rmtree(staging / ".cache", ignore_errors=True)  # written by huggingface_hub
        folder = folder.resolve() if folder.is_symlink() else folder  # such as a link to a larger disk
        if folder.exists():
            shutil.rmtree(folder)
        shutil.move(staging, folder)
    return _pulled(entry, True, notes)


@contextmanager
def _alone(staging: Path, folder: Path) -> Iterator[None]:
    """Lock the staging folder; raise CatalogError if another process downloads the same entry."""
    try:
        with lock_folder(staging, folder):
            yield
    except (BusyError, FileNotFoundError) as error:
        if isinstance(error, FileNotFoundError) and staging.exists():
            raise
        raise CatalogError(
            f"another process downloads {folder.name}; wait until it has finished and run the command again."
        ) from error


def _pulled(entry: Entry, fetched: bool, notes: list[str]) -> Pulled:
    folder = folder_of(entry)
    return Pulled(folder, [folder / file.name for file in entry.files], fetched, notes)


def _from_address(entry: Entry, file: Remote, path: Path, pause: float, progress: ProgressCallback) -> dict[str, Any]:
    """Download over HTTP into a partial file, and rename it once its checksum is correct."""
    assert file.url is not None
    part = path.with_name(path.name + PART)
    expected = dict(_published(file, pause))
    resumed = part.exists()

    def report(event: Progress) -> None:
        if progress is not None:
            progress(Progress(file.name, event.done >> 20, event.total >> 20 if event.total else None))

    while True:
        download(file.url, part, size=file.size, checked=bool(expected), progress=report, pause=pause)
        try:
            receipt = _checked(entry, file, part, expected, file.url)
            break
        except DownloadError:
            forget(part)
            if not resumed:
                raise
            resumed = False  # the part of an earlier run was wrong: restart once from the beginning
    part.replace(path)
    forget(part)
    return receipt


def _from_hub(
    entry: Entry, repository: str, file: Remote, staging: Path, endpoint: str | None, progress: ProgressCallback
) -> dict[str, Any]:
    if progress is not None:
        progress(Progress(file.name, 0, file.about >> 20 if file.about else None))
    got = hub.fetch(repository, file.name, staging, revision=entry.revision, endpoint=endpoint)
    expected = {"sha256": file.sha256} if file.sha256 else {got.algorithm: got.checksum} if got.checksum else {}
    try:
        return _checked(entry, file, got.path, expected, repository) | {"commit": got.commit}
    except DownloadError:
        got.path.unlink()
        raise


def _copied(entry: Entry, file: Remote, source: Path, path: Path) -> dict[str, Any]:
    """Copy a file from a folder, for machines without a network; lists of checksums are not available there."""
    original = source / file.name
    if not original.is_file():
        names = ", ".join(each.name for each in entry.files)
        raise CatalogError(f"{source} has no {file.name}; the files of {entry.name} are {names}.")
    expected = {key: value for key in ("sha256", "md5") if (value := getattr(file, key))}
    with atomic_write(path) as part:
        shutil.copyfile(original, part)
        receipt = _checked(entry, file, part, expected, str(original))
    return receipt


def _published(file: Remote, pause: float) -> list[tuple[str, str]]:
    """Return the checksums of a file by algorithm: from the catalog, else downloaded from the source's list."""
    own = [(key, value) for key in ("sha256", "md5") if (value := getattr(file, key))]
    if own or file.checksums is None:
        return own
    for line in read_list(file.checksums, pause=pause).splitlines():
        words = line.replace("*", " ").split()
        if len(words) >= 2 and Path(words[-1]).name == file.name and len(words[0]) in (32, 64):
            return [("sha256" if len(words[0]) == 64 else "md5", words[0].lower())]
    raise DownloadError(f"{file.checksums} has no checksum of {file.name}, which could not be checked; it was not downloaded.")


def _checked(entry: Entry, file: Remote, path: Path, expected: dict[str, str], came_from: str) -> dict[str, Any]:
    """Return the receipt of a file; raise DownloadError if it is not the published file."""
    if file.size is not None and path.stat().st_size != file.size:
        raise DownloadError(
            f"{came_from} has {path.stat().st_size:,} bytes, expected {file.size:,} ({file.name} of {entry.name}); not stored."
        )
    if not expected:
        _refuse_doubtful(file, path, came_from)
    sha256 = sha256_of(path)
    for algorithm, value in expected.items():
        own = {"sha256": lambda: sha256, "md5": lambda: _md5(path), "git sha1": lambda: hub.git_sha1(path)}[algorithm]()
        if own != value:
            raise DownloadError(
                f"{came_from}: {algorithm} of the download is {own}; that of {file.name} is {value}. It was not stored. Run "
                "the same command again; if the checksum differs again, the file has changed and should not be used."
            )
    by = ", ".join(expected) or NOTHING
    receipt = {"of": source_of(entry, file), "from": came_from, "size": path.stat().st_size, "sha256": sha256, "checked": by}
    return receipt | ({"md5": expected["md5"]} if "md5" in expected else {})


def _refuse_doubtful(file: Remote, path: Path, came_from: str) -> None:
    """Raise DownloadError for a file without a checksum that is empty, a login page, or a truncated gzip."""
    with path.open("rb") as opened:
        head = opened.read(256).lstrip().lower()
    if not head or head.startswith((b"<!doctype html", b"<html")):
        what = "an HTML page" if head else "empty"
        raise DownloadError(f"{came_from} is {what}; expected {file.name}. It was not stored.")
    if file.name.endswith((".gz", ".bgz")):
        try:
            with gzip.open(path) as unpacked:
                while unpacked.read(1 << 20):
                    pass
        except (OSError, EOFError, zlib.error) as error:
            raise DownloadError(
                f"{came_from} is not a complete gzip file ({error}) and was not stored; run the command again."
            ) from error


def _compare_with_earlier(
    entry: Entry, file: Remote, path: Path, receipt: dict[str, Any], before: Any, notes: list[str]
) -> None:
    """Compare a file with its earlier download; without a published checksum, that of the first download is the reference."""
    changed = isinstance(before, dict) and before.get("sha256") != receipt["sha256"]
    if receipt["checked"] != NOTHING:
        if changed:
            notes.append(f"{file.name} differs from the earlier download.")
        return
    if changed and not file.moves:
        path.unlink()
        raise DownloadError(
            f"{file.name} has changed: sha256 {receipt['sha256']}, and {before['sha256']} at its first download. "
            f"The earlier file is kept. To take the new one, remove {folder_of(entry)} and pull again."
        )
    notes.append(f"{file.name}: its source publishes no checksum; sha256 {receipt['sha256']} is recorded for later downloads.")


def _doubts(file: Remote, path: Path) -> list[str]:
    """Return notes on oddities of a file without a checksum: an unexpected size, or a missing line end."""
    size, doubts = path.stat().st_size, []
    if file.about is not None and not file.about / 3 < size < file.about * 3:
        doubts.append(f"{file.name} has {size:,} bytes; expected about {file.about:,}. Is it the right file?")
    if file.name.endswith(_TEXTS):
        with path.open("rb") as text:
            text.seek(-1, os.SEEK_END)
            if text.read() != b"\n":
                doubts.append(f"{file.name} does not end with a line break; it may be truncated.")
    return doubts


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _write_receipt(staging: Path, entry: Entry, files: dict[str, Any]) -> None:
    receipt = {
        "catalog": f"{entry.kind}.{entry.name}",
        "title": entry.title,
        "licence": entry.licence,
        "citation": entry.citation,
        "date": date.today().isoformat(),
        **({"tables": dict(entry.tables)} if entry.tables else {}),
        "files": files,
    }
    with atomic_write(staging / RECEIPT) as part:
        part.write_text(json.dumps(receipt, indent=1) + "\n")
