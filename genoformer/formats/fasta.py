"""FASTA file (plain, bgzip or gzip) -> index (.fai, .gzi), built if it is missing -> bytes of any interval."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import mmap
import os
import shutil
import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import FileFormatError, MissingFileError
from genoformer.files import atomic_write, cache_folder
from genoformer.formats.file_kinds import format_of_bytes
from genoformer.formats.pointers import refuse_pointer

N_CACHED_BLOCKS = 1024  # bgzip blocks of 64 KiB each: 64 MiB per process, 30 disjoint windows of 196,608 bp
SPARE = 1 << 29  # bytes of disk space that a decompressed copy leaves free
INDEX_BYTES = 1 << 22  # read at a time while the index is built
_BOM = b"\xef\xbb\xbf"
_LONG_NAME = 1 << 16  # bytes of a > line

_Places = list[tuple[int, int]]  # per block of a bgzip file: its offset in the file, and in the text
_Found = TypeVar("_Found")
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_HINTS = {  # format -> advice for a file of this format given as a FASTA
    "BAM": " It is a BAM; give the FASTA of its reference.",
    "2bit": " It is a 2bit file: convert it with twoBitToFa.",
    "zip": " It is a zip archive: unpack it first.",
}


class Contig(NamedTuple):
    """Row of a .fai: number of bases, offset in the (decompressed) file, bases per line, bytes per line."""

    length: int
    offset: int
    line_bases: int
    line_width: int

    def place(self, base: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the offsets of bases in the (decompressed) file."""
        line, column = np.divmod(base, self.line_bases)
        return line * self.line_width + column + self.offset


Index = dict[str, Contig]  # in file order


class Fasta:
    """FASTA file with its index. The file stays closed until `opened` is called; each process opens its own handle.

    Attributes: index (name -> Contig, in file order), notes (sentences on what was done in addition to opening the file).

    Raises: FileFormatError if the file is missing, empty, truncated, or not FASTA.
    """

    def __init__(self, path: Path) -> None:
        self.notes: list[str] = []
        kind = _kind(path)
        self._path = _decompressed(path, self.notes) if kind == "gzip" else path  # the file that bases are read from
        self._size = self._path.stat().st_size
        self.index, self._places = _indexed(self._path, kind == "bgzip", self.notes)
        self._source: Source | None = None
        self._pid = 0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_source": None, "_pid": 0}

    def opened(self) -> Source:
        """Return the file, opened by this process."""
        source = self._source
        if source is None or self._pid != os.getpid():
            if not self._path.is_file() or self._path.stat().st_size != self._size:
                raise FileFormatError(f"{self._path} changed since it was opened. Open it again.")
            source = _source(self._path, self._places)
            self._source, self._pid = source, os.getpid()
        return source

    def close(self) -> None:
        """Close the file; `opened` opens it again."""
        self._source = None


# --- bytes of the file, plain or bgzipped; neither class keeps a file position, so threads do not interfere


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


class Blocks:
    """Blocks of a bgzip file. Recently used blocks stay decompressed, because sorted variants read the same ones again."""

    def __init__(self, path: Path, places: _Places) -> None:
        self._path = path
        self._map = _mapped(path)
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


Source = Plain | Blocks


def _source(path: Path, places: _Places) -> Source:
    return Blocks(path, places) if places else Plain(path)


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _block_size(head: bytes) -> int:
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


# --- what kind of file it is


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
                kind = "bgzip" if _block_size(head) else "gzip"
                file.seek(0)
                text = gzip.GzipFile(fileobj=file).read(512)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileFormatError(f"{path} is cut short or damaged ({error}). Copy or make it again.") from error
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror or error}.") from error
    refuse_pointer(path)
    first = text.lstrip()[:1]
    if text.startswith(_BOM) and text.removeprefix(_BOM).lstrip()[:1] == b">":
        packed = f"gzip -dc {path.name}" if kind != "plain" else f"cat {path.name}"
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


# --- cached files, written once and atomically


def _cached_as(path: Path) -> Path:
    """Return the cache path for files derived from this version of a file."""
    real = path.resolve()
    stat = real.stat()
    place = hashlib.sha256(os.fsencode(real)).hexdigest()[:16]
    return cache_folder() / "fasta" / place / f"{stat.st_size}-{stat.st_mtime_ns}" / path.name


def _decompressed(path: Path, notes: list[str]) -> Path:
    copy = _cached_as(path).with_suffix("" if path.suffix == ".gz" else ".fa")
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


# --- the index: .fai as samtools writes it, and .gzi for a bgzip file


def _indexed(path: Path, bgzipped: bool, notes: list[str]) -> tuple[Index, _Places]:
    """Return the index of a FASTA and its block offsets; build and store each of them if it is missing or wrong."""
    made: dict[str, bytes] = {}
    places: _Places = []
    if bgzipped:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - len(_BGZF_END)))
            if file.read() != _BGZF_END:
                raise FileFormatError(f"{path} is cut short: bgzip's end mark is missing. Copy or make it again.")
        found = _first_valid_index(path, ".gzi", lambda gzi: _parsed_gzi(gzi, path), notes)
        places = found or _scan_blocks(path)
        if not found:
            numbers = [number for place in places[1:] for number in place]
            made[".gzi"] = struct.pack(f"<{1 + len(numbers)}Q", len(places) - 1, *numbers)
    source = _source(path, places)
    index = _first_valid_index(path, ".fai", lambda fai: _parsed_fai(fai, source), notes)
    if not index:
        index = _built(path, source)
        rows = ["\t".join(map(str, (name, *contig))) for name, contig in index.items()]
        made[".fai"] = "".join(row + "\n" for row in rows).encode()
    if made:
        _keep(path, made, notes)
    return index, places


def _first_valid_index(path: Path, suffix: str, parsed: Callable[[Path], _Found | None], notes: list[str]) -> _Found | None:
    beside = path.with_name(path.name + suffix)
    for place in (beside, _cached_as(path).with_name(beside.name)):
        if not place.is_file():
            continue
        if place == beside and place.stat().st_mtime_ns < path.stat().st_mtime_ns:
            notes.append(f"{place.name} is older than {path.name}: the index was made again.")
            continue
        with contextlib.suppress(OSError, ValueError, TypeError, LookupError, struct.error):
            if found := parsed(place):
                return found
        notes.append(f"{place.name} does not fit {path.name}: the index was made again.")
    return None


def _keep(path: Path, made: dict[str, bytes], notes: list[str]) -> None:
    """Write index files next to the FASTA, or into the cache folder if that fails."""
    cache = _cached_as(path).parent
    for folder in (path.parent, cache):
        try:
            if folder == cache:
                folder.mkdir(parents=True, exist_ok=True)
            for suffix, content in made.items():
                with atomic_write(folder / (path.name + suffix)) as part:
                    part.write_bytes(content)
        except OSError:
            continue
        if folder == cache:
            notes.append(f"The folder of {path.name} cannot be written to: its index is in {folder}.")
        return
    notes.append(f"The index of {path.name} can be kept nowhere and is made each time: set GENOFORMER_CACHE.")


def _parsed_gzi(gzi: Path, path: Path) -> _Places | None:
    """Return the block offsets, or None if they do not match this file; only the first and last blocks are checked."""
    raw = gzi.read_bytes()
    numbers = struct.unpack(f"<{len(raw) // 8}Q", raw)
    if numbers[0] * 2 + 1 != len(numbers):
        return None
    places = [(0, 0), *zip(numbers[1::2], numbers[2::2], strict=True)]
    end = path.stat().st_size
    with path.open("rb") as file:
        for (at, text), (after, text_after) in [*pairwise(places[:2]), (places[-1], (end, -1))]:
            while at < after:  # the last entry may precede the empty block that ends the file
                file.seek(at)
                size = _block_size(file.read(512))
                if not size or at + size > after:
                    return None
                file.seek(at + size - 4)
                text += int.from_bytes(file.read(4), "little")
                at += size
            if text_after not in (-1, text):
                return None
    return places


def _scan_blocks(path: Path) -> _Places:
    """Return the block offsets of a bgzip file, read from the block headers."""
    blocks = _mapped(path)
    places: _Places = []
    at = text = 0
    while at < len(blocks):
        size = _block_size(blocks[at : at + 512])
        if not size or at + size > len(blocks):
            raise FileFormatError(f"{path} is damaged at byte {at}: no whole bgzip block. Copy or make it again.")
        places.append((at, text))
        text += int.from_bytes(blocks[at + size - 4 : at + size], "little")
        at += size
    return places[:-1] if len(places) > 1 and places[-1][1] == text else places  # without the empty last block, as bgzip does


def _parsed_fai(fai: Path, source: Source) -> Index | None:
    rows = [line.split("\t") for line in fai.read_text(encoding="utf-8").splitlines()]
    index = {row[0]: Contig(*map(int, row[1:5])) for row in rows}
    return index if len(index) == len(rows) and _fits(index, source) else None


def _fits(index: Index, source: Source) -> bool:
    """True if contigs end inside the file and each lies between its own header and the next; many contigs are sampled."""
    ends = {}
    for name, (length, offset, bases, width) in index.items():
        if min(length, offset) < 0 or bases < 1 or width < bases + (length > bases):
            return False
        line, column = divmod(length - 1, bases)
        ends[name] = offset + line * width + column + 1 if length else offset
        if length and ends[name] > source.size:
            return False
    names = sorted(index, key=lambda name: index[name].offset)
    for i in {*range(0, len(names), max(1, len(names) // 50)), len(names) - 1} if names else ():
        name = names[i]
        length, offset, bases, width = index[name]
        before = source.read(max(0, offset - _LONG_NAME), offset)
        line_before = before.removesuffix(b"\n").rpartition(b"\n")[2]
        if line_before[:1] != b">" or line_before[1:].split()[:1] != [name.encode()]:
            return False
        if not before.endswith(b"\n") and offset <= source.size:  # only the last line may be a header without a sequence
            return False
        after = index[names[i + 1]].offset if i + 1 < len(names) else source.size
        between = source.read(ends[name], min(after, ends[name] + _LONG_NAME))
        if length > bases and source.read(offset + bases, offset + width) not in (b"\n", b"\r\n"):
            return False
        if not i and (b"\n" + source.read(0, min(offset, _LONG_NAME))).count(b"\n>") != 1:
            return False  # another contig precedes the first one
        if (b"\n" + between).count(b"\n>") != (i + 1 < len(names)) or between.lstrip()[:1] not in (b"", b">"):
            return False  # another contig lies between the two
    return True


def _built(path: Path, source: Source) -> Index:
    """Build the index in one pass over whole lines; refuse with a line number a layout that an index cannot describe."""
    index: Index = {}
    name = ""
    length = offset = bases = width = 0
    ended = False  # after a line of another length, only empty lines may follow
    n_lines = 0
    first = 0  # line of the first record

    def finish() -> None:
        if name:
            index[name] = Contig(length, offset, bases or 1, width or 2)  # samtools would divide by zero for 0 bases per line

    def refuse(line: int, what: str, remedy: str = "Rewrite the FASTA, say with `seqkit seq -w 60`") -> FileFormatError:
        return FileFormatError(f"{path}, line {line}: {what}. {remedy}.")

    for base, text, cut in _whole_lines(source):
        letters = np.frombuffer(text, dtype=np.uint8)
        blanks = np.flatnonzero(letters <= ord(" "))  # mostly line ends
        ends = blanks[letters[blanks] == ord("\n")]  # [n lines]
        starts = np.concatenate([[0], ends[:-1] + 1])
        widths = ends - starts + 1
        if cut:  # `cut` is from the only line
            widths += cut
        returns = (widths > 1) & (letters[ends - 1] == ord("\r"))
        sizes = widths - 1 - returns
        n_blanks = np.diff(np.searchsorted(blanks, ends, side="right"), prepend=0) - 1 - returns
        heads = np.flatnonzero((sizes > 0) & (letters[starts] == ord(">")))
        for i, j in zip([-1, *heads.tolist()], [*heads.tolist(), len(ends)], strict=True):
            if i >= 0:
                finish()
                words = text[starts[i] + 1 : ends[i]].split()
                if not words or b"\r" in text[starts[i] : ends[i] - 1]:
                    raise refuse(n_lines + i + 1, "a > line without a name" if not words else "lines end in CR alone")
                name = words[0].decode(errors="replace")
                first = first or n_lines + i + 1
                if name in index:
                    raise refuse(n_lines + i + 1, f"a second contig is named {name}", "Give each its own name")
                length, offset, bases, width, ended = 0, base + int(ends[i]) + 1 + cut, 0, 0, False
            rows = slice(i + 1, j)
            full = np.flatnonzero(sizes[rows])
            if not full.size:
                ended |= j > i + 1
                continue
            if not name:
                raise refuse(n_lines + i + 1 + int(full[0]) + 1, "letters before the first > line")
            if n_blanks[rows].any():
                line = int(np.flatnonzero(n_blanks[rows])[0])
                raise refuse(n_lines + i + 1 + line + 1, "a space or control character inside the sequence")
            if not length:
                if full[0] or ended:  # empty lines before the first letter
                    raise refuse(n_lines + i + 1 + int(full[0]), "an empty line inside a contig")
                bases, width = int(sizes[i + 1]), int(widths[i + 1])
            odd = np.flatnonzero((sizes[rows] != bases) | (widths[rows] != width))
            stop = int(odd[0]) if odd.size else j - i  # the first line of another length; it may be the last line
            if ended or full[-1] > stop or sizes[rows][stop : stop + 1].max(initial=0) > bases:
                line = int(full[0]) if ended else stop
                raise refuse(n_lines + i + 1 + line + 1, f"lines of {name} differ in length")
            ended = bool(odd.size)
            length += int(sizes[rows].sum())
        n_lines += len(ends)
    finish()
    if not any(contig.length for contig in index.values()):
        name = next(iter(index), "")
        which = f": record {name} (line {first}) has 0 bases{', as all others' if len(index) > 1 else ''}" if name else ""
        raise FileFormatError(f"{path} holds no sequence{which}. Is it the whole FASTA?")
    return index


def _whole_lines(source: Source) -> Iterator[tuple[int, bytes, int]]:
    """Yield (offset, text, 0) for pieces of the file that end in a line end; one is added if the last line has none.

    A line longer than such a piece, for example a whole chromosome, loses its middle if that holds no blank. It is yielded
    alone as (offset, text, number of bytes left out).
    """
    begin, parts, cut = 0, list[bytes](), 0
    for at in range(0, source.size, INDEX_BYTES):
        text = source.read(at, min(at + INDEX_BYTES, source.size))
        if isinstance(source, Plain):
            source.forget(at, min(at + INDEX_BYTES, source.size))
        if cut and b"\n" in text:  # the long line ends
            first, _, text = text.partition(b"\n")
            yield begin, b"".join([*parts, first, b"\n"]), cut
            begin += sum(map(len, parts)) + cut + len(first) + 1
            at, parts, cut = begin, [], 0
        lines, end, rest = text.rpartition(b"\n")
        if end:
            yield begin, b"".join([*parts, lines, end]), 0
            begin, parts = at + len(lines) + 1, []
        if rest and len(parts) >= 2:
            body = rest.removesuffix(b"\r")  # the CR may be half of a line end
            blank = b" " if body and np.frombuffer(body, dtype=np.uint8).min() <= ord(" ") else b""
            parts.append(blank + rest[len(body) :])
            cut += len(body) - len(blank)
        elif rest:
            parts.append(rest)
    if parts:
        yield begin, b"".join(parts) + b"\n", cut
