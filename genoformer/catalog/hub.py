"""Download files of a Hugging Face repository with huggingface_hub, and return their published checksums."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from genoformer.catalog.http import refuse_unreachable
from genoformer.errors import DownloadError


class HubFile(NamedTuple):
    """Downloaded file: its path, its commit, and its published checksum with the algorithm."""

    path: Path
    commit: str
    algorithm: str  # "sha256" for large files, "git sha1" for small ones; "" if a mirror gives neither
    checksum: str


_ALGORITHMS = {"sha256": re.compile("[0-9a-f]{64}"), "git sha1": re.compile("[0-9a-f]{40}")}


def fetch(repository: str, name: str, folder: Path, *, revision: str = "main", endpoint: str | None = None) -> HubFile:
    """Download one file of a repository into a folder, and resume an earlier attempt; none of its code is run.

    endpoint: another address of the hub, such as a mirror; by default $HF_ENDPOINT. Raises DownloadError.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url

    url = hf_hub_url(repository, name, revision=revision, endpoint=endpoint)
    by_hand = f"Without a network: download {url} on another machine and give its folder with --from."
    if constants.HF_HUB_OFFLINE:
        raise DownloadError(f"{repository} cannot be reached while HF_HUB_OFFLINE is set; unset it. {by_hand}")
    refuse_unreachable(url)
    try:
        with _quiet_unless_watched(), _without_warnings():
            metadata = get_hf_file_metadata(url, timeout=60)
            path = hf_hub_download(
                repository,
                name,
                revision=metadata.commit_hash or revision,
                local_dir=folder,
                endpoint=endpoint,
                etag_timeout=60,
            )
    except Exception as error:  # from the hub, from whichever HTTP library it uses, or from the disk
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DownloadError(
            f"{repository} on the hub: {name} could not be downloaded ({first_line(error)}). {by_hand}"
        ) from error
    checksum = (metadata.etag or "").lower()
    algorithm = next((name for name, form in _ALGORITHMS.items() if form.fullmatch(checksum)), "")
    return HubFile(Path(path), metadata.commit_hash or "", algorithm, checksum if algorithm else "")


def git_sha1(path: Path) -> str:
    """Return git's name for the content of a file: SHA-1 of "blob SIZE", a zero byte, and the bytes."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def first_line(error: Exception) -> str:
    """Return the first line of an error, whose text may be a whole page."""
    return next((line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Silence huggingface_hub's warning for each failed attempt; our error reports the outcome in one sentence."""
    from huggingface_hub.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


@contextmanager
def _quiet_unless_watched() -> Iterator[None]:
    """Turn off huggingface_hub's own progress bars if stderr is not a terminal."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    if sys.stderr.isatty() or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
