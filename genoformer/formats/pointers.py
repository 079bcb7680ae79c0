"""Git LFS pointers: three lines of text that replace a large file in a clone."""

from __future__ import annotations

from pathlib import Path

from genoformer.errors import FileFormatError, GenoformerError

MAGIC = b"version https://git-lfs"
WHAT = "a Git LFS pointer, which stands for the file"
REMEDY = "run `git lfs pull` in the clone, or download the file itself"


def refuse_pointer(path: Path, error: type[GenoformerError] = FileFormatError) -> None:
    """Raise an error if a file is a Git LFS pointer; unreadable files are left to the caller."""
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
    except OSError:
        return
    if head == MAGIC:
        raise error(f"{path} is {WHAT}; {REMEDY}.")
