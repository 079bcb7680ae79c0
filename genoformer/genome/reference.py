"""Reference genome: FASTA (plain, bgzip or gzip) -> index -> windows of codes, N beyond the ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer.addresses import refuse_address
from genoformer.errors import ConfigError, ContigError, FileFormatError
from genoformer.formats.fasta import Fasta
from genoformer.formats.fasta_bytes import Source
from genoformer.formats.fasta_index import Contig
from genoformer.formats.text import numbered_lines
from genoformer.genome import codes
from genoformer.genome.codes import Codes
from genoformer.genome.contigs import ContigMap, join_names
from genoformer.genome.region_text import parse_region

SHORT = 4096  # bases; Python overhead dominates shorter windows, so they are read and decoded together
BATCH_BYTES = 1 << 18  # decoded together; they stay in the processor's cache
DECODE_BYTES = 1 << 17

_CODE = np.frombuffer(codes.TO_CODE_TABLE, dtype=np.uint8)
_BASES = "genome.fetch(chrom, start, end), 0-based, or genome['chr1:101-200']"
_INSTEAD = dict.fromkeys(("sequence", "get_sequence", "get_seq", "getSeq", "seq", "subseq"), _BASES) | dict.fromkeys(
    ("chroms", "chromosomes", "chrom_sizes", "references", "lengths", "keys", "items"), "genome.contigs, name -> length"
)

Convert = Callable[[NDArray[np.uint8], NDArray[np.uint8]], None]  # letters [n], out [n]


class Genome:
    """FASTA file as windows of codes; also a kipoiseq extractor.

    The file may be plain, bgzipped, or gzipped (it is then decompressed once into the cache folder). At an https, http or s3
    address, plain or bgzipped, only what is needed is read, through the index next to it. A missing, outdated or
    wrong index is built once, in the FASTA's folder or else in the cache folder ($GENOFORMER_CACHE,
    $XDG_CACHE_HOME/genoformer or ~/.cache/genoformer). The file stays closed until the first window; forked and spawned
    processes open their own handles, and threads may share a Genome.

    Attributes: path (as passed), name (its last part), contigs (name -> length in bases, in file order), notes (sentences on
    what was done in addition to opening the file).

    Raises: FileFormatError if the file is missing, empty, truncated, or not FASTA.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fasta = pathlib.Path(folder, "tiny.fa")
    ...     _ = fasta.write_text(">chr1\\nACGT\\nacR\\n")
    ...     genome = Genome(fasta)
    ...     genome.contigs, genome.windows("chr1", [-2, 3], 6).tolist()
    ({'chr1': 7}, [[4, 4, 0, 1, 2, 3], [3, 0, 1, 4, 4, 4]])
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        refuse_address(path, readable=True)
        self.path = Path(path)
        self.name = self.path.name
        self._fasta = Fasta(self.path)
        self.notes = self._fasta.notes
        self.contigs = {name: contig.length for name, contig in self._fasta.index.items()}

    if not TYPE_CHECKING:  # type checkers report the names themselves

        def __getattr__(self, name: str) -> Any:
            instead = f"; write {_INSTEAD[name]}." if name in _INSTEAD else ""
            raise AttributeError(f"Genome has no {name!r}{instead}", name=name, obj=self)

    def __repr__(self) -> str:
        return f"Genome({str(self.path)!r})"

    def __contains__(self, chrom: object) -> bool:
        return chrom in self.contigs

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def signature(self) -> str:
        """Return the path, size and time of the file, or address, size and index; they differ after a change of the file."""
        if self._fasta.address is not None:
            return self._fasta.signature
        stat = self.path.stat()
        return f"{self.path.resolve()} {stat.st_size} {stat.st_mtime_ns}"

    def close(self) -> None:
        """Close the file; the next window opens it again."""
        self._fasta.close()

    def resolve(self, chrom: str) -> str:
        """Return this FASTA's own name of a contig with any known spelling: 20, chr20 and NC_000020.10 are one contig.

        Raises: ContigError if no contig fits, or if several do and `ContigIndex` has no rule for them.
        """
        names = self.contig_map([chrom])
        name = names.get(chrom)
        if name is None and chrom in names.ambiguous:
            raise ContigError(
                f"Contig {chrom} fits more than one contig of {self.name} ({join_names(names.ambiguous[chrom])}). "
                "Use one of these names."
            )
        if name is None:
            hint = "".join(f" {remark[0].upper()}{remark[1:]}" for remark in names.remarks(self.name))
            raise ContigError(
                f"There is no contig {chrom} in {self.name}, which has {join_names(self.contigs)}. Is it the right FASTA?{hint}"
            )
        return name

    def contig_map(self, names: Iterable[str]) -> ContigMap:
        """Return this FASTA's own names of contigs with any known spelling; `notes` lists names that fit several contigs."""
        contig_map = ContigMap(names, self.contigs)
        self.notes += [remark for remark in contig_map.remarks(self.name) if remark not in self.notes]
        return contig_map

    def windows(self, chrom: str, starts: ArrayLike, length: int) -> Codes:
        """Return the codes of the windows [start, start + length), uint8 [B, L]; N beyond the ends of the contig.

        Parameters: chrom, a name in `contigs`; starts, whole numbers [B], 0-based, may be negative; length, L in bases.

        Raises: ContigError if the FASTA has no contig of this name.
        """
        return self._filled(chrom, starts, length, codes.N, _to_codes)

    def soft_masked(self, chrom: str, starts: ArrayLike, length: int) -> NDArray[np.bool_]:
        """True for lower-case bases, which mark repeats in UCSC's files; bool [B, L], as `windows`, False beyond the ends."""
        return self._filled(chrom, starts, length, 0, _lower_case).view(np.bool_)

    def _filled(self, chrom: str, starts: ArrayLike, length: int, beyond: int, convert: Convert) -> NDArray[np.uint8]:
        """Return the converted letters of windows, uint8 [B, L]; `beyond` fills positions beyond the ends of the contig."""
        contig = self._contig(chrom)
        begin = np.asarray(starts)
        if begin.ndim != 1 or (begin.size and begin.dtype.kind not in "iu") or length < 0:
            raise ValueError(
                f"Windows need a list of whole-number starts and a length of 0 or more, not {starts!r}, {length!r}."
            )
        begin = begin.astype(np.int64)  # [B]
        first = np.clip(begin, 0, contig.length)  # [B]; [first, last) lies inside the contig
        last = np.clip(np.clip(begin, -length, contig.length) + length, 0, contig.length)  # [B]
        is_inside = (last - first) == length
        if not length or not begin.size:
            return np.empty((begin.size, length), dtype=np.uint8)
        source = self._fasta.opened()
        if is_inside.all():
            out = np.empty((begin.size, length), dtype=np.uint8)  # [B, L]
            self._read(source, contig, first, out, convert)
            return out
        out = np.full((begin.size, length), beyond, dtype=np.uint8)  # [B, L]
        inside = np.empty((int(is_inside.sum()), length), dtype=np.uint8)
        self._read(source, contig, first[is_inside], inside, convert)
        out[is_inside] = inside
        for row in np.flatnonzero(~is_inside & (last > first)):
            offset = int(first[row] - begin[row])
            part = out[row, offset : offset + int(last[row] - first[row])]
            self._read(source, contig, first[row : row + 1], part[None], convert)
        return out

    def window(self, chrom: str, start: int, length: int) -> Codes:
        """Return the codes of one window [start, start + length), uint8 [L]."""
        return self.windows(chrom, [start], length)[0]

    def fetch(self, chrom: str, start: int | None = None, end: int | None = None) -> str:
        """Return the bases [start, end) of a contig as upper-case text, 0-based as in pysam; all of it by default.

        chrom: in any known spelling, or a region such as "chr1:1,001-2,000", 1-based, without start and end. Letters other than
        A, C, G and T are N.

        Raises: ContigError if no contig fits; ConfigError for bases beyond the ends, where `window` has N.

        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = pathlib.Path(folder, "tiny.fa").write_text(">chr1\\nACGTacR\\n")
        ...     genome = Genome(pathlib.Path(folder, "tiny.fa"))
        ...     genome.fetch("chr1", 2, 6), genome["1", 2:6], genome["chr1:3-6"], genome["chr1"]
        ('GTAC', 'GTAC', 'GTAC', 'ACGTACN')
        """
        if start is None and end is None and ":" in chrom and chrom not in self.contigs:
            region = parse_region(chrom, self.contigs)
            chrom, start, end = region.chrom, region.start, None if region.end == sys.maxsize else region.end
        name = self.resolve(chrom)
        length = self.contigs[name]
        first, last = (0 if start is None else start), (length if end is None else end)
        if not 0 <= first <= last <= length:
            raise ConfigError(
                f"bases {first} to {last} of {name} are not on the contig, which has {length:,}; give 0 <= start <= end <= "
                f"{length}, or use `window`, which has N beyond the ends."
            )
        return codes.decode(self.window(name, first, last - first))

    def __getitem__(self, place: str | tuple[str, slice | int]) -> str:
        """Return bases as text, as `fetch` does: genome["chr1", 100:200], 0-based, genome["chr1:101-200"], or a contig."""
        if isinstance(place, str):
            return self.fetch(place)
        if not isinstance(place, tuple) or len(place) != 2 or not isinstance(place[0], str):
            raise ConfigError(f"a genome has no {place!r}; write genome['chr1', 100:200] or genome['chr1:101-200'].")
        chrom, bases = place
        if isinstance(bases, slice):
            if bases.step not in (None, 1):
                raise ConfigError(f"the step of the bases is {bases.step}, expected none; give start and end only.")
            return self.fetch(chrom, bases.start or 0, bases.stop)
        return self.fetch(chrom, bases, bases + 1)

    __iter__ = None  # with `__getitem__` alone, Python would ask a genome for its item 0

    def extract(self, interval: Any, *_: Any, **__: Any) -> str:
        """Return the upper-case text of a `kipoiseq.Interval`, exactly `interval.width()` long, on the interval's strand.

        Bases beyond the ends, and IUPAC codes, are N.
        """
        width = int(interval.end) - int(interval.start)
        if width < 0:
            raise ValueError(f"{interval}: the end lies before the start.")
        bases = self.window(interval.chrom, int(interval.start), width)
        backward = getattr(interval, "strand", ".") == "-" or getattr(interval, "neg_strand", False) is True
        return codes.decode(codes.reverse_complement(bases) if backward else bases)

    def _contig(self, chrom: str) -> Contig:
        try:
            return self._fasta.index[chrom]
        except KeyError:
            name = self.resolve(chrom)  # raises if no contig fits
        raise ContigError(f"{self.name} calls contig {chrom} {name}: use {name}, or genome.resolve({chrom!r}).")

    @staticmethod
    def _read(source: Source, contig: Contig, first: NDArray[np.int64], out: NDArray[np.uint8], convert: Convert) -> None:
        """Fill out [B, L] with the converted letters at [first, first + L), all inside the contig."""
        length = out.shape[1]
        begin = contig.place(first)  # [B], in bytes of the (decompressed) file
        end = contig.place(first + length - 1) + 1
        if length >= SHORT:
            letters = np.empty(length, dtype=np.uint8)
            for row, lo, a, b in zip(out, first.tolist(), begin.tolist(), end.tolist(), strict=True):
                _unwrap(source.letters(a, b), contig, lo, letters)
                convert(letters, row)
            return
        step = max(1, BATCH_BYTES // length)
        for i in range(0, len(out), step):
            spans = zip(begin[i : i + step].tolist(), end[i : i + step].tolist(), strict=True)
            text = b"".join([source.read(a, b) for a, b in spans]).replace(b"\n", b"")
            if contig.line_width - contig.line_bases > 1:
                text = text.replace(b"\r", b"")
            rows = out[i : i + step]
            convert(np.frombuffer(text, dtype=np.uint8), rows.reshape(-1))


# --- records without bases


def require_bases(fasta: Genome) -> None:
    """Raise FileFormatError, with the line of its header, for the first record of a FASTA that has no bases.

    A genome may have empty contigs, because no feature lies on them. In a FASTA of sequences to analyse, they are a mistake.
    """
    empty = [name for name, length in fasta.contigs.items() if not length]
    if empty:
        n = len(empty) - 1
        more = f", as have {n:,} others" if n > 1 else ", as has 1 other" if n else ""
        line = _header_line(fasta.path, empty[0])
        raise FileFormatError(
            f"{fasta.path}{f', line {line:,}' if line else ''}: record {empty[0]} has 0 bases{more}; complete or remove it."
        )


def _header_line(path: Path, name: str) -> int:
    """Return the line number of a record's header; 0 if it cannot be found, for example after a line of more than 64 MB."""
    try:
        for number, line in numbered_lines(path, "a FASTA file"):
            if line.startswith(">") and line[1:].split()[:1] == [name]:
                return number
    except FileFormatError:
        pass
    return 0


# --- letters to codes


def _to_codes(letters: NDArray[np.uint8], out: Codes) -> None:
    """Convert ASCII letters to codes, [n] -> [n].

    Bits 1 and 2 of A C G T, and of a c g t, are y = 00 01 11 10, so y ^ (y >> 1) numbers them 0 1 2 3. The other bits are
    0x41, or 0x50 = 0x41 ^ 0x11 for T; a letter with other bits is not a base. Three times as fast as a table.
    """
    size = min(DECODE_BYTES, letters.size)
    scratch = np.empty((3, size), dtype=np.uint8)
    for i in range(0, letters.size, DECODE_BYTES):
        piece, code = letters[i : i + DECODE_BYTES], out[i : i + DECODE_BYTES]
        y, high, other_bits = scratch[:, : piece.size]
        np.right_shift(piece, 1, out=y)
        np.bitwise_and(y, 3, out=y)
        np.right_shift(y, 1, out=high)
        np.bitwise_xor(y, high, out=code)
        np.bitwise_and(code, high, out=high)  # 1 where T
        np.multiply(high, 0x11, out=high)
        np.bitwise_and(piece, 0xD9, out=other_bits)
        np.bitwise_xor(other_bits, high, out=other_bits)
        if other_bits.min() < 0x41:  # U may be among them
            code[:] = _CODE[piece]
        elif other_bits.max() > 0x41:
            np.copyto(code, codes.N, where=other_bits != 0x41)


def _lower_case(letters: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Write 1 for ASCII letters in lower case, otherwise 0, [n] -> [n]."""
    np.right_shift(letters, 5, out=out)
    np.bitwise_and(out, 1, out=out)


def _unwrap(raw: NDArray[np.uint8], contig: Contig, first: int, out: NDArray[np.uint8]) -> None:
    """Copy the letters of raw, which starts at base `first` and holds line ends, to out."""
    bases, width = contig.line_bases, contig.line_width
    head = min(bases - first % bases, out.size)
    out[:head] = raw[:head]
    raw, out_left = raw[head + width - bases :], out[head:]
    if not out_left.size:
        return
    n_lines = (out_left.size - 1) // bases  # complete lines that are followed by another line
    out_left[: n_lines * bases].reshape(n_lines, bases)[:] = raw[: n_lines * width].reshape(n_lines, width)[:, :bases]
    out_left[n_lines * bases :] = raw[n_lines * width :]
