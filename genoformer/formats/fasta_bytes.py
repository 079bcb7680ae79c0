"""FASTA file, plain or bgzipped -> bytes of the (decompressed) file at any offset."""

from __future__ import annotations

import mmap
import zlib
from bisect import bisect_right
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genoformer.addresses import readable_address
from genoformer.errors import FileFormatError
from genoformer.formats.remote import RemoteFile, remote_file

N_CACHED_BLOCKS = 1024  # bgzip blocks of 64 KiB each: 64 MiB per process, 30 disjoint windows of 196,608 bp

BlockOffsets = list[tuple[int, int]]  # per block of a bgzip file: its offset in the file, and in the text


# No class keeps a file position, so threads do not interfere.


class Plain:
    def __init__(self, path: Path) -> None:
        self._map = _mapped(path)
        self._letters = np.frombuffer(self._map, dtype=np.uint8)
        self.size = len(self._map)

    def read(self, begin: int, end: int) -> bytes:
        return self._map[begin:end]

    def letters(self, begin: int, end: int) -> NDArray[np.uint8]:
        return self._letters[begin:end]

    def forget(self, begin: int, end: int) -> None:
        """Release the memory of this byte range; the next read loads it again."""
        begin -= begin % mmap.ALLOCATIONGRANULARITY
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED, begin, end - begin)


class PlainRemote:
    """Plain FASTA at an address."""

    def __init__(self, path: Path) -> None:
        self._bytes = mapped(path)
        self.size = len(self._bytes)

    def read(self, begin: int, end: int) -> bytes:
        return self._bytes[begin:end]

    def letters(self, begin: int, end: int) -> NDArray[np.uint8]:
        return np.frombuffer(self.read(begin, end), dtype=np.uint8)


class Blocks:
    """Blocks of a bgzip file. Recently used blocks stay decompressed, because sorted variants read the same ones again."""

    def __init__(self, path: Path, places: BlockOffsets) -> None:
        self._path = path
        self._map = mapped(path)
        self._begins = [text for _, text in places]
        self._places = [*(place for place, _ in places), len(self._map)]
        self.size = places[-1][1] + len(self._inflated(len(places) - 1))
        self._block = lru_cache(N_CACHED_BLOCKS)(self._inflated)

    def _inflated(self, i: int) -> bytes:
        try:
            return zlib.decompress(self._map[self._places[i] : self._places[i + 1]], wbits=31)
        except zlib.error as error:
            raise FileFormatError(
                f"{self._path} is damaged at byte {self._places[i]} ({error}). Copy or make it again."
            ) from error

    def read(self, begin: int, end: int) -> bytes:
        i = bisect_right(self._begins, begin) - 1
        origin = self._begins[i]
        text = self._block(i)
        if end - origin <= len(text):
            return text[begin - origin : end - origin]
        parts = [text[begin - origin :]]
        have = origin + len(text)
        while have < end and i + 1 < len(self._begins):
            i += 1
            parts.append(self._block(i)[: end - have])
            have += len(parts[-1])
        return b"".join(parts)

    def letters(self, begin: int, end: int) -> NDArray[np.uint8]:
        return np.frombuffer(self.read(begin, end), dtype=np.uint8)


Source = Plain | PlainRemote | Blocks


def open_source(path: Path, places: BlockOffsets) -> Source:
    if places:
        return Blocks(path, places)
    return PlainRemote(path) if readable_address(path) is not None else Plain(path)


def mapped(path: Path) -> mmap.mmap | RemoteFile:
    """Return the bytes of a file: a memory map, or a file at an address that is read in parts."""
    return remote_file(path) or _mapped(path)


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def block_size(head: bytes) -> int:
    """Return the size in bytes of the bgzip block that starts at `head`, or 0 for no block (SAM specification, section 4.1)."""
    if len(head) < 18 or head[:3] != b"\x1f\x8b\x08" or not head[3] & 4:
        return 0
    at, end = 12, 12 + int.from_bytes(head[10:12], "little")
    while at + 4 <= end:
        n = int.from_bytes(head[at + 2 : at + 4], "little")
        if head[at : at + 2] == b"BC" and n == 2:
            return int.from_bytes(head[at + 4 : at + 6], "little") + 1
        at += 4 + n
    return 0


def scan_blocks(path: Path) -> BlockOffsets:
    """Return the block offsets of a bgzip file, read from the block headers."""
    blocks = _mapped(path)
    places: BlockOffsets = []
    at = text = 0
    while at < len(blocks):
        size = block_size(blocks[at : at + 512])
        if not size or at + size > len(blocks):
            raise FileFormatError(f"{path} is damaged at byte {at}: no whole bgzip block. Copy or make it again.")
        places.append((at, text))
        text += int.from_bytes(blocks[at + size - 4 : at + size], "little")
        at += size
    return places[:-1] if len(places) > 1 and places[-1][1] == text else places  # without the empty last block, as bgzip does
