"""Text files, plain or gzipped -> numbered lines."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from genoformer.errors import FileFormatError, MissingFileError


def numbered_lines(path: str | os.PathLike[str], kind: str) -> Iterator[tuple[int, str]]:
    """Lines of a text file with their numbers from 1, without line ends; streamed. Gzip is known by its first bytes.

    Parameters: kind, what the file should be, for the error ("a BED or narrowPeak file").

    Raises: MissingFileError, or FileFormatError if the file is damaged or no text.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist or is no file; give {kind}.")
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rt", encoding="utf-8-sig") if zipped else path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                yield number, line.rstrip("\r\n")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise FileFormatError(f"{path} cannot be read ({error}); give {kind}.") from error
