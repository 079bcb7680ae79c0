"""Text files, plain or gzipped -> numbered lines."""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from genoformer.addresses import refuse_address
from genoformer.errors import FileFormatError, MissingFileError
from genoformer.formats.file_kinds import HEAD, binary_kind

LONGEST = 1 << 26  # bytes in a line
_BUFFER = 1 << 17  # read at a time
_MOST_UNPACKED, _SMALL = 100, 1 << 26  # ratio to the gzip size (tables reach 30), for output larger than _SMALL


class _Bytes(io.RawIOBase):
    """Text of an open file; refuses damage, an overlong line, and a gzip that expands far beyond its size."""

    def __init__(self, file: Any, path: Path, kind: str, most: int | None) -> None:
        self._file, self._path, self._kind, self._most = file, path, kind, most
        self._n = self._line = 0  # bytes read in total, and in the current line

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._n = self._line = 0
        return int(self._file.seek(offset, whence))

    def readinto(self, buffer: Any) -> int:
        try:
            text = self._file.read(len(buffer))
        except (OSError, EOFError, zlib.error) as error:
            raise FileFormatError(f"{self._path} cannot be read ({error}); give {self._kind}.") from error
        buffer[: len(text)] = text
        self._n += len(text)
        end = text.rfind(b"\n")
        self._line = self._line + len(text) if end < 0 else len(text) - end - 1
        if self._line > LONGEST:
            raise FileFormatError(f"{self._path} has a line of more than {LONGEST:,} bytes; give {self._kind}.")
        if self._most is not None and self._n > self._most:
            raise FileFormatError(
                f"{self._path} unpacks to more than {_MOST_UNPACKED} times its size, as no such file does; give {self._kind}, "
                "or unpack it first (gunzip) if this is intended."
            )
        return len(text)

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def opened(path: str | os.PathLike[str], kind: str) -> Iterator[BinaryIO]:
    """Open the text of a file as bytes; gzip is detected from the first bytes. Parameters and errors: see `numbered_lines`."""
    refuse_address(path)
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist or is no file; give {kind}.")
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        file: Any = gzip.open(path, "rb") if zipped else path.open("rb", buffering=0)  # noqa: SIM115 (closed below)
        most = max(_SMALL, _MOST_UNPACKED * path.stat().st_size) if zipped else None
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error}); give {kind}.") from error
    with io.BufferedReader(_Bytes(file, path, kind, most), _BUFFER) as buffered:
        if other_kind := binary_kind(buffered.peek(HEAD)):
            raise FileFormatError(f"{path} is {other_kind.name}, but should be {kind}; {other_kind.remedy}.")
        yield buffered


@contextmanager
def long_fields() -> Iterator[None]:
    """Raise the csv module's global field limit (131,072 characters) to the length of a line, temporarily."""
    before = csv.field_size_limit(LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def numbered_lines(path: str | os.PathLike[str], kind: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file with their numbers from 1, without line ends; streamed. Gzip is detected from first bytes.

    Parameters: kind, the expected kind of file, for the error message ("a BED or narrowPeak file").

    Raises: MissingFileError, or FileFormatError if the file is damaged or not text, or has a line of more than LONGEST bytes.
    """
    with opened(path, kind) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig") as file:
        try:
            for number, line in enumerate(file, 1):
                yield number, line.rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise FileFormatError(f"{path} cannot be read ({error}); give {kind}.") from error


def refuse_device(path: Path) -> None:
    """Refuse a pipe or a device with FileFormatError: reading one would block, and the other would never end."""
    if path.exists() and not path.is_file():
        raise FileFormatError(f"{path} is a pipe, a device or a folder, but should be a file; copy it again.")
