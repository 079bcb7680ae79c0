"""Files that appear whole or not at all, and in folders only where they take the place of their own kind."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genoformer.addresses import refuse_address
from genoformer.errors import ConfigError, GenoformerError


@contextmanager
def atomic_write(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """A path beside `path` to write to; it takes that name when the block ends well, and is removed when it does not.

    Of several writers the last one wins. durable: the content is on the disk, not only in its cache, before that. Others
    may read it as far as the umask says, whatever a library thinks of the files that it writes. A link stays one, and what it
    leads to is replaced. Raises ConfigError for a device or a pipe, which would be replaced by a file.
    """
    path = resolve_link(path)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        part.touch()
        mode = part.stat().st_mode
        yield part
        part.chmod(mode & 0o777)
        if durable:
            with part.open("rb") as file:
                os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def resolve_link(path: str | os.PathLike[str]) -> Path:
    """Where a file is that is written to this path: links are followed, to what is not there yet, too.

    Raises ConfigError for a device or a pipe, MissingFileError for an address of the web.
    """
    refuse_address(path, to_write=True)
    found = Path(os.path.realpath(path))
    try:
        mode = found.stat().st_mode
    except OSError:
        return found
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ConfigError(f"{os.fspath(path)} is a device or a pipe, and a file would take its place; name a file with -o.")
    return found


def cache_folder() -> Path:
    """$GENOFORMER_CACHE, else $XDG_CACHE_HOME/genoformer, else ~/.cache/genoformer; it need not exist. Raises ConfigError."""
    if named := os.environ.get("GENOFORMER_CACHE"):
        return Path(named)
    if named := os.environ.get("XDG_CACHE_HOME"):
        return Path(named) / "genoformer"
    try:
        return Path.home() / ".cache" / "genoformer"
    except RuntimeError:
        raise ConfigError("there is no home folder to keep things in; set GENOFORMER_CACHE to a folder.") from None


def same_file(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Whether both are names of one regular file that is there."""
    try:
        return Path(one).is_file() and Path(one).samefile(other)
    except (OSError, ValueError):
        return False


def make_folder(folder: Path) -> None:
    """Make a folder to write into, with those above it, unless it is there.

    Raises ConfigError where a file, or a link to nothing, has its name; MissingFileError for an address of the web.
    """
    refuse_address(folder, to_write=True)
    for path in (folder, *folder.parents):
        if path.is_dir():
            break
        if os.path.lexists(path):
            what = "a link that leads nowhere" if path.is_symlink() else "a file"
            raise ConfigError(f"{path} is {what}; a folder is needed to write into: give another name.")
    folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def made_folder(folder: Path) -> Iterator[Path]:
    """A folder, made if need be with those above it; what was made is removed when the block ends in an error."""
    first = folder
    while not first.exists() and not first.parent.exists():
        first = first.parent
    new = not first.exists()
    make_folder(folder)
    try:
        yield folder
    except BaseException:
        if new:
            shutil.rmtree(first, ignore_errors=True)
        raise


def write_text(path: Path, text: str) -> None:
    """A file of text, UTF-8, whole or not at all."""
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


def save_figure(figure: Any, path: Path, *, dpi: int = 150) -> Path:
    """A figure of matplotlib, whole or not at all, as its suffix says (PNG, SVG); returns the path.

    What matplotlib adds of its version or the date is left out: the same figure gives the same PNG.
    """
    kind = path.suffix[1:].lower()
    with atomic_write(path) as part:  # without the version of matplotlib, and without the date
        figure.savefig(part, dpi=dpi, format=kind, metadata={"Software": None} if kind == "png" else {"Date": None})
    return path


class BusyError(GenoformerError):
    """Another process is writing what this one would write."""


@contextmanager
def locked(part: Path, path: Path) -> Iterator[None]:
    """Holds a file that `path` is written to first, so that of several processes one writes it; it is gone when this ends.

    Raises BusyError.
    """
    while True:
        try:
            handle = os.open(part, os.O_CREAT | os.O_RDWR, 0o666)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written ({error.strerror}); write elsewhere with -o.") from error
        try:
            _take(handle, path)
        except BusyError:
            os.close(handle)
            raise
        if _is_of(part, handle):
            break
        os.close(handle)  # it took its final name while we asked
    try:
        yield
    finally:
        if _is_of(part, handle):
            part.unlink(missing_ok=True)
        os.close(handle)


@contextmanager
def lock_folder(folder: Path, path: Path) -> Iterator[None]:
    """Holds a folder with the work for `path`, so that of several processes one goes on with it. Raises BusyError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        _take(handle, path)
        if not _is_of(folder, handle):  # who held it finished, and removed or moved it, while we asked
            raise BusyError(f"another process has just written {path}; look at it, or give the command again.")
        yield
    finally:
        os.close(handle)


@contextmanager
def lock_output(path: str | os.PathLike[str]) -> Iterator[None]:
    """Holds an output, a file or a folder, there or not, so that of several processes one writes it. Raises BusyError.

    Of a run that torchrun has divided, the first process holds it for all.
    """
    if os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) != "0":
        yield
        return
    whole = resolve_link(path)
    folder, name = whole.parent, whole.name
    while not folder.is_dir() and folder != folder.parent:
        folder, name = folder.parent, f"{folder.name}%{name}"
    inside = whole.is_dir() and not os.access(folder, os.W_OK)  # a volume that is mounted somewhere, say
    with lock_folder(whole, whole) if inside else locked(folder / f".{name}.lock", whole):
        yield


def _take(handle: int, path: Path) -> None:
    """Lock an open file or folder; the lock ends with its process, however that ends."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BusyError(f"another process is writing {path}; wait until it is done, or name another file with -o.") from None


def _is_of(path: Path, handle: int) -> bool:
    """Whether an open file is the one of that name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def check_overwrite(folder: Path, names: Iterable[str], manifest: str, is_mine: Callable[[dict[str, Any]], bool]) -> None:
    """Refuse, with ConfigError, to write files of these names where they would replace what somebody else put there.

    The file `manifest` of the folder says whose they are: they may be replaced if is_mine holds for its JSON object. A file
    of another name is in nobody's way. Raises MissingFileError for an address of the web.
    """
    refuse_address(folder, to_write=True)
    there = [name for name in names if (folder / name).exists()]
    if not there:
        return
    try:
        found = json.loads((folder / manifest).read_text(encoding="utf-8"))
        mine = isinstance(found, dict) and is_mine(found)
    except (OSError, ValueError, RecursionError):
        mine = False
    if not mine:
        raise ConfigError(
            f"{folder} holds {', '.join(there)}, which something else made, or which was changed since; "
            "name another folder, or remove it."
        )


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
