"""Hash by which an output names the file that its values come from, fast also for files of many gigabytes.

A file is hashed once: its hash is kept in the cache folder with the size and the time of the file, and used again while both
stay the same. A file of more than 8 GiB with an index is not read: the hash is that of the index, which holds the places of all
records in the file and changes with them.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from genoformer.files import cache_folder, sha256_of, write_text
from genoformer.formats.remote import remote_file

MOST_HASHED = 8 << 30  # bytes
_HEADER = 1 << 16  # bytes of a file at an address
_WORTH_KEEPING = 1 << 26  # bytes that take longer to hash than a small file takes to read


def identifying_hash(path: Path, index: Path | None = None) -> tuple[str, str]:
    """Return ("sha256", hash of a file), or for a very large file ("index_sha256", hash of its index).

    Of a file at an address it is ("header_sha256", hash of its size and first bytes), which of a bigWig hold its sums.
    """
    remote = remote_file(path)
    if remote is not None:
        text = f"{len(remote)} ".encode() + remote[:_HEADER]
        remote.close()
        return "header_sha256", hashlib.sha256(text).hexdigest()
    if index is not None and path.stat().st_size > MOST_HASHED:
        return "index_sha256", sha256_of(index)
    return "sha256", _kept_sha256(path)


def _kept_sha256(path: Path) -> str:
    """Return the sha256 of a file, from the cache folder if the file has not changed since."""
    stat = path.stat()
    if stat.st_size < _WORTH_KEEPING:
        return sha256_of(path)
    key = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
    kept = cache_folder() / "sha256" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
    try:
        entry = json.loads(kept.read_text())
        if entry["file"] == key:
            return str(entry["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    digest = sha256_of(path)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_text(kept, json.dumps({"file": key, "sha256": digest}) + "\n")
    except OSError:
        pass  # a read-only cache costs time only
    return digest
