"""Files that appear complete or not at all, locks on outputs, and checks before files are replaced."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genoformer.addresses import refuse_address
from genoformer.errors import ConfigError, GenoformerError
from genoformer.temporary_paths import remove_abandoned, temporary_path

_TEXT = 10.1  # points of figures' text; "x-small", the smallest, is then 7 points
_METADATA = {"png": {"Software": None}}  # of matplotlib, left out; of other formats the date


@contextmanager
def atomic_write(path: Path, *, durable: bool = False, exclusive: bool = False) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` after success, and remove it after an error.

    The umask decides who can read the file, whatever mode the writing library sets. A link stays a link, and its target is
    replaced. Raises ConfigError for a device or a pipe, because a file would replace it.

    durable: the content is on the disk, not only in its cache, before the rename.
    exclusive: only one process writes `path`, for example because it holds a lock. The temporary path is then
        `partial_path(path)`, and what a killed process left there is overwritten. Otherwise the temporary name is new, and if
        several processes write, the last one wins; what killed processes left is removed, except next to durable parts, whose
        folder is removed as a whole.
    """
    path = resolve_link(path)
    if not durable and not exclusive:
        remove_abandoned(path)
    part = partial_path(path) if exclusive else temporary_path(path)
    try:
        part.touch()
        mode = part.stat().st_mode
        yield part
        part.chmod(mode & 0o777)
        if durable:
            with part.open("rb") as file:
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: Path, *, may_replace: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """Yield a new folder next to `path`; rename it to `path` after success, and remove it after an error.

    What killed processes left of it is removed.

    Raises ConfigError if `path` exists and is not an empty folder, unless may_replace returns True for it.
    """
    is_full = path.is_dir() and any(path.iterdir())
    if (path.exists() and not path.is_dir()) or (is_full and not (may_replace and may_replace(path))):
        raise ConfigError(f"{path} exists and is not an empty folder; name another folder, or remove it.")
    path = resolve_link(path)
    remove_abandoned(path)
    part = temporary_path(path)
    part.mkdir()
    try:
        yield part
        if is_full:
            old = path.replace(temporary_path(path))
            part.replace(path)
            shutil.rmtree(old)
            return
        if path.is_dir():
            path.rmdir()
        part.replace(path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def partial_path(path: Path) -> Path:
    """Return the temporary path of a file that only one process writes."""
    return resolve_link(path).with_name(f".{resolve_link(path).name}.partial")


def resolve_link(path: str | os.PathLike[str]) -> Path:
    """Return the file that a write to this path creates or replaces: links are followed, also to missing files.

    Raises ConfigError for a device or a pipe, MissingFileError for a web address.
    """
    refuse_address(path, to_write=True)
    target = Path(os.path.realpath(path))
    try:
        mode = target.stat().st_mode
    except OSError:
        return target
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ConfigError(f"{os.fspath(path)} is a device or a pipe, and a file would take its place; name a file with -o.")
    return target


def cache_folder() -> Path:
    """Return $GENOFORMER_CACHE, else $XDG_CACHE_HOME/genoformer, else ~/.cache/genoformer; it may be missing.

    Raises ConfigError if there is no home folder.
    """
    if named := os.environ.get("GENOFORMER_CACHE"):
        return Path(named)
    if named := os.environ.get("XDG_CACHE_HOME"):
        return Path(named) / "genoformer"
    try:
        return Path.home() / ".cache" / "genoformer"
    except RuntimeError:
        raise ConfigError("this user has no home folder for the cache; set GENOFORMER_CACHE to a folder.") from None


def same_file(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """True if both paths name the same existing regular file."""
    try:
        return Path(one).is_file() and Path(one).samefile(other)
    except (OSError, ValueError):
        return False


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, unless it exists.

    Raises ConfigError if a file or a broken link has its name; MissingFileError for a web address.
    """
    refuse_address(folder, to_write=True)
    for path in (folder, *folder.parents):
        if path.is_dir():
            break
        if os.path.lexists(path):
            kind = "a link to a missing file" if path.is_symlink() else "a file"
            raise ConfigError(f"{path} is {kind}, and the outputs need a folder; give another name.")
    folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def made_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder, created with its parents if missing; after an error, remove the created folders."""
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
    """Write a file of text in UTF-8, completely or not at all."""
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


def save_figure(figure: Any, path: Path, *, dpi: int = 300) -> Path:
    """Write a matplotlib figure completely or not at all, in the format of its suffix (PNG, SVG), and return the path.

    The same figure gives the same bytes: the metadata of matplotlib (version, date) are left out, and the ids of an SVG are
    fixed, which matplotlib draws at random.
    """
    import matplotlib

    kind = path.suffix[1:].lower()
    with atomic_write(path) as part, matplotlib.rc_context({"svg.hashsalt": "genoformer", "font.size": _TEXT}):
        figure.savefig(part, dpi=dpi, format=kind, metadata=_METADATA.get(kind, {"Date": None}))
    return path


def save_figures(figure: Any, path: Path) -> list[Path]:
    """Write a figure as PNG, 300 dots per inch, and next to it as SVG, and return both paths; the layout is made once."""
    import matplotlib

    with matplotlib.rc_context({"font.size": _TEXT}):
        for _ in range(2):  # panels inside of others are in place after the first
            figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return [save_figure(figure, path.with_suffix(suffix)) for suffix in (".png", ".svg")]


class BusyError(GenoformerError):
    """Another process is writing the same output."""


@contextmanager
def locked(part: Path, path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the temporary file of `path`, and remove that file at the end.

    Only one of several processes can then write `path`. Raises BusyError.
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
        os.close(handle)  # it got its final name before we had the lock
    try:
        yield
    finally:
        if _is_of(part, handle):
            part.unlink(missing_ok=True)
        os.close(handle)


@contextmanager
def lock_folder(folder: Path, path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a folder with the work for `path`, so that only one process resumes it. Raises BusyError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        _take(handle, path)
        if not _is_of(folder, handle):  # the last owner finished, and removed or moved it, before we had the lock
            raise BusyError(f"another process has just written {path}; check it, or run the command again.")
        yield
    finally:
        os.close(handle)


@contextmanager
def lock_output(path: str | os.PathLike[str]) -> Iterator[None]:
    """Hold an exclusive lock on an output file or folder, existing or not, so that one process writes it. Raises BusyError.

    In a run that torchrun has divided, the first process holds the lock for all.
    """
    if os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) != "0":
        yield
        return
    target = resolve_link(path)
    folder, name = target.parent, target.name
    while not folder.is_dir() and folder != folder.parent:
        folder, name = folder.parent, f"{folder.name}%{name}"
    inside = target.is_dir() and not os.access(folder, os.W_OK)  # for example a mounted volume
    with lock_folder(target, target) if inside else locked(folder / f".{name}.lock", target):
        yield


def _take(handle: int, path: Path) -> None:
    """Lock an open file or folder; the lock is released when the process ends, also after a crash."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BusyError(f"another process is writing {path}; wait until it is done, or name another file with -o.") from None


def _is_of(path: Path, handle: int) -> bool:
    """True if an open file is still the file at this path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def check_overwrite(folder: Path, names: Iterable[str], manifest: str, is_mine: Callable[[dict[str, Any]], bool]) -> None:
    """Refuse, with ConfigError, to replace files of these names that another program or user wrote.

    The JSON object in the file `manifest` of the folder identifies their owner: the files may be replaced if is_mine returns
    True for it. Files of other names are ignored. Raises MissingFileError for a web address.
    """
    refuse_address(folder, to_write=True)
    existing = [name for name in names if (folder / name).exists()]
    if not existing:
        return
    try:
        record = json.loads((folder / manifest).read_text(encoding="utf-8"))
        may_replace = isinstance(record, dict) and is_mine(record)
    except (OSError, ValueError, RecursionError):
        may_replace = False
    if not may_replace:
        raise ConfigError(
            f"{folder} holds {', '.join(existing)}, which another program made, or which was changed since; "
            "name another folder, or remove it."
        )


def sha256_of(path: Path) -> str:
    """Return the hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
