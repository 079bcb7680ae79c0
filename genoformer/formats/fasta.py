"""FASTA file (plain, bgzip or gzip) -> index (.fai, .gzi), built if it is missing -> bytes of any interval."""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import shutil
import zlib
from pathlib import Path
from typing import Any

from genoformer.addresses import how_to_download, readable_address
from genoformer.errors import FileFormatError, MissingFileError
from genoformer.files import atomic_write
from genoformer.formats.fasta_bytes import Source, block_size, open_source
from genoformer.formats.fasta_index import INDEX_BYTES, cached_path, read_index, read_remote_index
from genoformer.formats.file_kinds import format_of_bytes
from genoformer.formats.pointers import refuse_pointer
from genoformer.formats.remote import RemoteFile

SPARE = 1 << 29  # bytes of disk space that a decompressed copy leaves free
_BOM = b"\xef\xbb\xbf"

_HINTS = {  # format -> advice for a file of this format given as a FASTA
    "BAM": " It is a BAM; give the FASTA of its reference.",
    "2bit": " It is a 2bit file: convert it with twoBitToFa.",
    "zip": " It is a zip archive: unpack it first.",
}


class Fasta:
    """FASTA file with its index. The file stays closed until `opened` is called; each process opens its own handle.

    index_bytes: number of bytes that are read at a time while an index is built.

    Attributes: address (None for a file), index (name -> Contig, in file order), notes (sentences on what was done in
    addition to opening the file).

    Raises: FileFormatError if the file is missing, empty, truncated, or not FASTA.
    """

    def __init__(self, path: Path, *, index_bytes: int = INDEX_BYTES) -> None:
        self.notes: list[str] = []
        self._source: Source | None = None
        self._pid = 0
        self.address = readable_address(path)
        self.signature = ""  # of a FASTA at an address
        if self.address is not None:
            self._path, self._size = path, 0
            self.index, self._places, self.signature = read_remote_index(self.address, _remote_kind(self.address) == "bgzip")
            return
        kind = _kind(path)
        self._path = _decompressed(path, self.notes) if kind == "gzip" else path  # the file that bases are read from
        self._size = self._path.stat().st_size
        self.index, self._places = read_index(self._path, kind == "bgzip", self.notes, n_bytes=index_bytes)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_source": None, "_pid": 0}

    def opened(self) -> Source:
        """Return the file, opened by this process."""
        source = self._source
        if source is None or self._pid != os.getpid():
            if self.address is None and (not self._path.is_file() or self._path.stat().st_size != self._size):
                raise FileFormatError(f"{self._path} changed since it was opened. Open it again.")
            source = open_source(self._path, self._places)
            self._source, self._pid = source, os.getpid()
        return source

    def close(self) -> None:
        """Close the file; `opened` opens it again."""
        self._source = None


# --- kind of the file


def _kind(path: Path) -> str:
    """Return "plain", "bgzip" or "gzip", detected from the first bytes of the file."""
    if not path.exists():
        raise MissingFileError(f"There is no file {path}. Check the path of the FASTA.")
    if not path.is_file():
        raise FileFormatError(f"{path} is not a file but a folder or a pipe. Give the path of a FASTA file.")
    if not path.stat().st_size:
        raise FileFormatError(f"{path} is empty. Copy or download the FASTA again.")
    try:
        with path.open("rb") as file:
            head = file.read(512)
            if head[:2] != b"\x1f\x8b":
                kind, text = "plain", head
            else:
                kind = "bgzip" if block_size(head) else "gzip"
                file.seek(0)
                text = gzip.GzipFile(fileobj=file).read(512)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileFormatError(f"{path} is cut short or damaged ({error}). Copy or make it again.") from error
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror or error}.") from error
    refuse_pointer(path)
    first = text.lstrip()[:1]
    if text.startswith(_BOM) and text.removeprefix(_BOM).lstrip()[:1] == b">":
        packed = f"{'cat' if text is head else 'gzip -dc'} {path.name}"
        raise FileFormatError(
            f"{path} begins with a byte order mark, as some editors write it, and a FASTA with a > line. Remove its three "
            f"bytes: {packed} | tail -c +4 > new.fa"
        )
    if first != b">":
        raise FileFormatError(f"{path} is not FASTA: it begins with {text[:20]!r}, not with a > line.{_guess(text)}")
    return kind


def _guess(text: bytes) -> str:
    if of_format := _HINTS.get(format_of_bytes(text) or ""):
        return of_format
    if text.startswith(b"@"):
        return " It looks like FASTQ or SAM."
    return " It is a VCF; give the FASTA of its reference." if text.startswith(b"##fileformat=VCF") else " Give a FASTA file."


def _remote_kind(address: str) -> str:
    """Return "plain" or "bgzip" for a FASTA at an address; a gzipped one cannot be read in parts."""
    head = RemoteFile(address)[: 1 << 16]
    text = head
    if head[:2] == b"\x1f\x8b":
        if not block_size(head):
            raise FileFormatError(
                f"{address} is gzipped, not bgzipped, and cannot be read in parts; {how_to_download(address)}."
            )
        with contextlib.suppress(zlib.error):
            text = zlib.decompressobj(wbits=31).decompress(head, 512)
    if text.lstrip()[:1] != b">":
        raise FileFormatError(f"{address} is not FASTA: it begins with {text[:20]!r}, not with a > line.{_guess(text)}")
    return "plain" if text is head else "bgzip"


# --- decompressed copy, written once and atomically


def _decompressed(path: Path, notes: list[str]) -> Path:
    copy = cached_path(path).with_suffix("" if path.suffix == ".gz" else ".fa")
    if not copy.is_file():
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
            for other in copy.parent.parent.iterdir():
                if other != copy.parent:  # from an earlier version of the file; it takes gigabytes
                    shutil.rmtree(other, ignore_errors=True)
            with gzip.open(path, "rb") as packed, atomic_write(copy) as part, part.open("wb") as file:
                while chunk := packed.read(1 << 24):
                    if shutil.disk_usage(copy.parent).free < SPARE:  # gaps compress so well that only disk space sets a limit
                        raise OSError(errno.ENOSPC, f"less than {SPARE >> 20:,} MB would be left of the disk")
                    file.write(chunk)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FileFormatError(f"{path} is cut short or damaged ({error}). Copy or download it again.") from error
        except OSError as error:
            raise FileFormatError(
                f"{path} is gzipped, not bgzipped, and cannot be decompressed to {copy.parent}: "
                f"{error.strerror or error}. Compress it with bgzip, or set GENOFORMER_CACHE to a folder with room."
            ) from error
    notes.append(f"{path.name} is gzipped, not bgzipped: it is read from a decompressed copy, {copy}.")
    return copy
