"""Names of temporary files and folders that tell which process made them, so that those of killed processes can be removed."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path


def temporary_path(path: Path) -> Path:
    """Return a new hidden name next to `path`, of this machine and this process; it ends in .part."""
    pid = os.getpid()
    return path.with_name(f".{path.name}.{_machine()}-{pid}-{_started(pid) or 0}-{uuid.uuid4().hex[:8]}.part")


def remove_abandoned(path: Path) -> None:
    """Remove the temporary files and folders of `path` whose process is gone: it was killed while it wrote `path`.

    Those of other machines and of other containers stay, because their processes cannot be seen from here.
    """
    name = re.compile(rf"\.{re.escape(path.name)}\.{_machine()}-(\d+)-(\d+)-[0-9a-f]{{8}}\.part")
    with suppress(OSError):
        for entry in list(path.parent.iterdir()):
            match = name.fullmatch(entry.name)
            if match and not _is_running(int(match[1]), int(match[2])):
                _remove(entry)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()


@cache
def _machine() -> str:
    """Return a word for the machine, or the container: its name, and the namespace of its process numbers."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return hashlib.blake2b(f"{platform.node()} {namespace}".encode(), digest_size=4).hexdigest()


def _started(pid: int) -> int | None:
    """Return when a process began, in ticks since the machine did; 0 if it was killed and not reaped; None if unknown."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return None
    return 0 if fields[0] == "Z" else int(fields[19])


def _is_running(pid: int, started: int) -> bool:
    """True if the process with this number is the one that began at this time, or if that is not known."""
    now = _started(pid)
    if now is not None and started:
        return now == started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # a process of another user
        return True
    return True
