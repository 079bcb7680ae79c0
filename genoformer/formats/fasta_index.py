"""FASTA file -> index (.fai as samtools writes it, and .gzi for a bgzip file), built and stored if it is missing or wrong."""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from genoformer.addresses import how_to_download
from genoformer.errors import FileFormatError, MissingFileError
from genoformer.files import atomic_write, cache_folder
from genoformer.formats.fasta_bytes import BlockOffsets, Plain, Source, block_size, open_source, scan_blocks
from genoformer.formats.remote import read_remote

INDEX_BYTES = 1 << 22  # bytes read at a time while the index is built
_LONG_NAME = 1 << 16  # bytes of a > line
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_Found = TypeVar("_Found")


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


def read_index(path: Path, bgzipped: bool, notes: list[str], *, n_bytes: int = INDEX_BYTES) -> tuple[Index, BlockOffsets]:
    """Return the index of a FASTA and its block offsets; build and store each of them if it is missing or wrong.

    n_bytes: number of bytes that are read at a time.
    """
    made: dict[str, bytes] = {}
    places: BlockOffsets = []
    if bgzipped:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - len(_BGZF_END)))
            if file.read() != _BGZF_END:
                raise FileFormatError(f"{path} is cut short: bgzip's end mark is missing. Copy or make it again.")
        stored = _first_valid_index(path, ".gzi", lambda gzi: _parsed_gzi(gzi, path), notes)
        places = stored or scan_blocks(path)
        if not stored:
            numbers = [number for place in places[1:] for number in place]
            made[".gzi"] = struct.pack(f"<{1 + len(numbers)}Q", len(places) - 1, *numbers)
    source = open_source(path, places)
    index = _first_valid_index(path, ".fai", lambda fai: _parsed_fai(fai, source), notes)
    if not index:
        index = _built(path, source, n_bytes)
        rows = ["\t".join(map(str, (name, *contig))) for name, contig in index.items()]
        made[".fai"] = "".join(row + "\n" for row in rows).encode()
    if made:
        _keep(path, made, notes)
    return index, places


def read_remote_index(address: str, bgzipped: bool) -> tuple[Index, BlockOffsets, str]:
    """Return the index and block offsets of a FASTA at an address, and a text that differs if the FASTA does.

    Raises MissingFileError if there is no index next to it; FileFormatError for one that does not fit.
    """
    raw = {suffix: read_remote(address + suffix) for suffix in (".fai", *([".gzi"] if bgzipped else []))}
    if absent := [suffix for suffix, content in raw.items() if content is None]:
        raise MissingFileError(
            f"{address} has no index {address}{absent[0]}, without which no part can be read; {how_to_download(address)}, or "
            "put the index of samtools faidx next to it."
        )
    try:
        places = _offsets_in(raw[".gzi"] or b"") if bgzipped else []
        source = open_source(Path(address), places)
        index = _rows_in((raw[".fai"] or b"").decode())
        sample = {name: index[name] for name in list(index)[:1]}
        if not index or not _fits(index, source, sample):
            raise ValueError
    except (OSError, ValueError, TypeError, LookupError, struct.error) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"{address}.fai does not fit {address}; make it again with samtools faidx.") from error
    digest = hashlib.sha256(raw[".fai"] or b"").hexdigest()
    return index, places, f"{address} {source.size} {digest}"


def _first_valid_index(path: Path, suffix: str, parsed: Callable[[Path], _Found | None], notes: list[str]) -> _Found | None:
    beside = path.with_name(path.name + suffix)
    for place in (beside, cached_path(path).with_name(beside.name)):
        if not place.is_file():
            continue
        if place == beside and place.stat().st_mtime_ns < path.stat().st_mtime_ns:
            notes.append(f"{place.name} is older than {path.name}: the index was rebuilt.")
            continue
        with contextlib.suppress(OSError, ValueError, TypeError, LookupError, struct.error):
            if content := parsed(place):
                return content
        notes.append(f"{place.name} does not fit {path.name}: the index was rebuilt.")
    return None


def _keep(path: Path, made: dict[str, bytes], notes: list[str]) -> None:
    """Write index files next to the FASTA, or into the cache folder if that fails."""
    cache = cached_path(path).parent
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
    notes.append(f"The index of {path.name} cannot be stored and is built each time: set GENOFORMER_CACHE.")


def cached_path(path: Path) -> Path:
    """Return the cache path for files derived from this version of a file."""
    real = path.resolve()
    stat = real.stat()
    place = hashlib.sha256(os.fsencode(real)).hexdigest()[:16]
    return cache_folder() / "fasta" / place / f"{stat.st_size}-{stat.st_mtime_ns}" / path.name


def _parsed_gzi(gzi: Path, path: Path) -> BlockOffsets | None:
    """Return the block offsets, or None if they do not match this file; only the first and last blocks are checked."""
    places = _offsets_in(gzi.read_bytes())
    if not places:
        return None
    end = path.stat().st_size
    with path.open("rb") as file:
        for (at, text), (after, text_after) in [*pairwise(places[:2]), (places[-1], (end, -1))]:
            while at < after:  # the last entry may precede the empty block that ends the file
                file.seek(at)
                size = block_size(file.read(512))
                if not size or at + size > after:
                    return None
                file.seek(at + size - 4)
                text += int.from_bytes(file.read(4), "little")
                at += size
            if text_after not in (-1, text):
                return None
    return places


def _offsets_in(gzi: bytes) -> BlockOffsets:
    """Return the block offsets of a .gzi; none if its length is wrong."""
    numbers = struct.unpack(f"<{len(gzi) // 8}Q", gzi)
    return [(0, 0), *zip(numbers[1::2], numbers[2::2], strict=True)] if numbers[0] * 2 + 1 == len(numbers) else []


def _rows_in(fai: str) -> Index:
    """Return the rows of a .fai; none if two contigs have one name."""
    rows = [line.split("\t") for line in fai.splitlines()]
    index = {row[0]: Contig(*map(int, row[1:5])) for row in rows}
    return index if len(index) == len(rows) else {}


def _parsed_fai(fai: Path, source: Source) -> Index | None:
    index = _rows_in(fai.read_text(encoding="utf-8"))
    return index if _fits(index, source, index) else None


def _fits(index: Index, source: Source, checked: Index) -> bool:
    """True if contigs end inside the file and each lies between its own header and the next; many contigs are sampled.

    checked: the contigs whose headers are read.
    """
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
        if name not in checked:
            continue
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


def _built(path: Path, source: Source, n_bytes: int) -> Index:
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

    def refuse(line: int, problem: str, remedy: str = "Rewrite the FASTA, say with `seqkit seq -w 60`") -> FileFormatError:
        return FileFormatError(f"{path}, line {line}: {problem}. {remedy}.")

    for base, text, cut in _whole_lines(source, n_bytes):
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


def _whole_lines(source: Source, n_bytes: int) -> Iterator[tuple[int, bytes, int]]:
    """Yield (offset, text, 0) for pieces of the file that end in a line end; one is added if the last line has none.

    A line longer than such a piece, for example a whole chromosome, loses its middle if that holds no blank. It is yielded
    alone as (offset, text, number of bytes left out).
    """
    begin, parts, cut = 0, list[bytes](), 0
    for at in range(0, source.size, n_bytes):
        text = source.read(at, min(at + n_bytes, source.size))
        if isinstance(source, Plain):
            source.forget(at, min(at + n_bytes, source.size))
        if cut and b"\n" in text:  # the long line ends
            first, _, text = text.partition(b"\n")
            yield begin, b"".join([*parts, first, b"\n"]), cut
            begin += sum(map(len, parts)) + cut + len(first) + 1
            at, parts, cut = begin, [], 0
        lines, end, remainder = text.rpartition(b"\n")
        if end:
            yield begin, b"".join([*parts, lines, end]), 0
            begin, parts = at + len(lines) + 1, []
        if remainder and len(parts) >= 2:
            body = remainder.removesuffix(b"\r")  # the CR may be half of a line end
            blank = b" " if body and np.frombuffer(body, dtype=np.uint8).min() <= ord(" ") else b""
            parts.append(blank + remainder[len(body) :])
            cut += len(body) - len(blank)
        elif remainder:
            parts.append(remainder)
    if parts:
        yield begin, b"".join(parts) + b"\n", cut
