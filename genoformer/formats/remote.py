"""Files at addresses (https, http, s3) -> their bytes at any offset, read through htslib in ranges; nothing is stored."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from genoformer.addresses import how_to_download, readable_address
from genoformer.errors import FileFormatError, MissingFileError

_BLOCK = 1 << 18  # bytes per request; a window of 196,608 bases of a bgzipped FASTA takes one or two
_N_BLOCKS = 256  # kept in memory: 64 MiB
_MOST = 1 << 28  # bytes of an index


class RemoteFile:
    """File at an address as bytes: `file[begin:end]` and `len(file)`, as of a memory map. Threads may share it.

    Raises: MissingFileError if it cannot be opened; FileFormatError if a later read fails or returns too few bytes.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._lock = threading.Lock()
        self._file = _opened(address)
        self._size = self._measured()
        self._block = lru_cache(_N_BLOCKS)(self._read_block)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        begin, end, _ = part.indices(self._size)
        if end <= begin:
            return b""
        blocks = range(begin // _BLOCK, (end - 1) // _BLOCK + 1)
        with self._lock:
            text = b"".join(map(self._block, blocks))
        origin = blocks[0] * _BLOCK
        return text[begin - origin : end - origin]

    def chunks(self) -> Iterator[bytes]:
        """Yield all bytes in order, without keeping them."""
        for i in range(-(-self._size // _BLOCK)):
            with self._lock:
                yield self._read_block(i)

    def close(self) -> None:
        """Close the connection; after a failed read htslib reports the failure again, which is not raised."""
        with suppress(OSError):
            self._file.close()

    def _measured(self) -> int:
        try:
            return int(self._file.seek(-1, os.SEEK_END)) + 1
        except OSError as error:
            is_empty = not self._file.read(1)
            self.close()
            if is_empty:
                raise FileFormatError(f"{self.address} is empty; check the address.") from error
            raise FileFormatError(
                f"{self.address} cannot be read in parts, because its server sends no lengths or ranges; "
                f"{how_to_download(self.address)}."
            ) from error

    def _read_block(self, i: int) -> bytes:
        expected = min(_BLOCK, self._size - i * _BLOCK)
        try:
            if self._file.tell() != i * _BLOCK:
                self._file.seek(i * _BLOCK)
            text = bytes(self._file.read(expected))
        except (OSError, SystemError) as error:  # pysam raises a SystemError if a read fails
            self.close()
            reason = os.strerror(getattr(error, "errno", None) or errno.EIO)
            raise FileFormatError(
                f"{self.address} cannot be read at byte {i * _BLOCK:,} ({reason}); run the same command again, or "
                f"{how_to_download(self.address)}."
            ) from error
        if len(text) != expected:
            self.close()
            raise FileFormatError(
                f"{self.address} broke off at byte {i * _BLOCK + len(text):,} of {self._size:,}; run the same command again, "
                f"or {how_to_download(self.address)}."
            )
        return text


def remote_file(path: str | os.PathLike[str]) -> RemoteFile | None:
    """Open a file at an address that htslib reads; None for a path."""
    address = readable_address(path)
    return None if address is None else RemoteFile(address)


def read_remote(address: str) -> bytes | None:
    """Return the whole of a small file, such as an index; None if there is none."""
    try:
        file = RemoteFile(address)
    except MissingFileError:
        return None
    try:
        if len(file) > _MOST:
            raise FileFormatError(f"{address} has {len(file):,} bytes, which no index has; {how_to_download(address)}.")
        return b"".join(file.chunks())
    finally:
        file.close()


def copy_remote(address: str, path: Path) -> None:
    """Copy a file at an address to a path."""
    file = RemoteFile(address)
    try:
        with path.open("wb") as copy:
            _write(file, copy)
    finally:
        file.close()


@contextmanager
def local_copy(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path as it is, or of a file at an address (https, http, s3) a copy in a temporary folder, under its own name."""
    address = readable_address(path)
    if address is None:
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(prefix="genoformer-") as folder:
        copy = Path(folder, Path(address.partition("?")[0]).name or "file")
        copy_remote(address, copy)
        yield copy


def _write(file: RemoteFile, copy: BinaryIO) -> None:
    for chunk in file.chunks():
        copy.write(chunk)


def _opened(address: str) -> Any:
    import pysam
    from pysam.libchtslib import HFile

    verbosity = pysam.set_verbosity(0)  # htslib would print its own messages
    try:
        return HFile(address, "rb")
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise MissingFileError(f"{address} cannot be opened ({reason}); check it, or {how_to_download(address)}.") from error
    finally:
        pysam.set_verbosity(verbosity)
