"""Git LFS pointers: three lines of text that stand in a clone where a large file is due."""

from __future__ import annotations

from pathlib import Path

from genoformer.errors import FileFormatError, GenoformerError

MAGIC = b"version https://git-lfs"
WHAT = "a Git LFS pointer, which stands for the file"
REMEDY = "run `git lfs pull` in the clone, or download the file itself"


def refuse_pointer(path: Path, error: type[GenoformerError] = FileFormatError) -> None:
    """Raise an error where a file is a pointer; what cannot be read is left to who reads it."""
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
    except OSError:
        return
    if head == MAGIC:
        raise error(f"{path} is {WHAT}; {REMEDY}.")
