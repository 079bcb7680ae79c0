"""VCF or BCF (plain, gzip, bgzip, BCF or a pipe) -> header lines, and records with their raw line.

Decoding is lossless: lines written with `ENCODING` and `ERRORS` have the same bytes as the input. There are two
exceptions: line ends become LF, and empty lines are skipped because they hold no record.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from genoformer.addresses import refuse_address
from genoformer.errors import FileFormatError
from genoformer.formats.vcf_records import ALTS, Record, has_odd_line, parse_plain
from genoformer.formats.vcf_text import ENCODING, ERRORS, MAX_BATCH_BYTES, VcfText, seekable_copy
from genoformer.genome.digits import DIGITS

COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"

_AT_ONCE = 512  # records that are parsed together: they stay in the processor's cache


@dataclass(frozen=True)
class VcfLimits:
    """Maximum sizes in a VCF; a larger file is refused before it fills the memory."""

    line_bytes: int = 1 << 27  # a line of 500,000 samples with all fields has half as many
    header_lines: int = 1_000_000


VCF_LIMITS = VcfLimits()


class VariantFile:
    """Open VCF or BCF: the header immediately, the records by iterating once. Use `open_vcf` to make one.

    header: every ## line and the #CHROM line. contig_lengths: lengths from the ##contig lines that have one. samples: the
    names in the #CHROM line. format: "vcf", "gzip", "bgzip" or "bcf". notes: sentences on unusual properties of the file.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        fingerprint: bool = False,
        name: str | Path | None = None,
        limits: VcfLimits = VCF_LIMITS,
    ) -> None:
        self._limits = limits
        self._closing = ExitStack()
        self._hash = hashlib.sha256() if fingerprint else None
        self._sha256: str | None = None
        self._started = False
        self.header: list[str] = []
        self.notes: list[str] = []
        try:
            self.path = self._closing.enter_context(seekable_copy(path))
            self.name = "standard input" if str(name or path) == "-" else str(name or path)
            text = VcfText(self.path, self.name, self._closing)
            self.format = text.format
            self._blocks = self._split(text.chunks)
            self._read_header()
        except BaseException:
            self.close()
            raise
        self.contig_lengths = dict(_contig_lengths(self.header))

    def __enter__(self) -> VariantFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closing.__exit__(kind, error, trace)

    def close(self) -> None:
        self._closing.close()

    @cached_property
    def samples(self) -> list[str]:
        """Names of the samples, in order; FileFormatError for a duplicate name, which VCF forbids."""
        names = self.header[-1].split("\t")[9:]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise FileFormatError(
                f"{self.name}, line {len(self.header)}: two samples are called {twice}; give each its own name "
                "(bcftools reheader -s)."
            )
        return names

    @property
    def sha256(self) -> str:
        """SHA-256 of the decompressed text, hexadecimal; available after the last record has been read."""
        if self._sha256 is None:
            raise ValueError(f"{self.name}: the sha256 is known only after the last record, and only with fingerprint=True")
        return self._sha256

    def __iter__(self) -> Iterator[Record]:
        return chain.from_iterable(self.lists())

    def lists(self) -> Iterator[list[Record]]:
        """Yield the records in lists of some hundred, or of fewer if they are long."""
        for number, block in self.blocks():
            if has_odd_line(block):
                yield from ([record] for record in self.parse_block(number, block))
                continue
            lines = _lines(block)
            for first in range(0, len(lines), _AT_ONCE):
                records = parse_plain(lines[first : first + _AT_ONCE])
                if records is None:
                    yield from (
                        [record] for record in self.parse_block(number + first, _block(lines[first : first + _AT_ONCE]))
                    )
                else:
                    yield records

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """Yield the records as bytes, once: (number of the first line, whole lines that end in LF).

        `blocks.Block` parses them.
        """
        if self._started:
            raise ValueError(f"{self.name} has been read already: open it again to read it a second time")
        self._started = True
        yield from self._blocks

    def parse_block(self, number: int, block: bytes) -> Iterator[Record]:
        """Yield the records of one of the `blocks`, line by line; FileFormatError for a line that is not a record."""
        new, known, most = tuple.__new__, ALTS.get, DIGITS
        lines = _lines(block)
        for line in lines:
            try:
                chrom, pos, name, ref, alt, _ = line.split("\t", 5)
            except ValueError:
                if not line:
                    continue
                fields = line.split("\t")
                if len(fields) != 5:
                    self._malformed(number + lines.index(line), line)
                chrom, pos, name, ref, alt = fields
            if not (ref and chrom and chrom[0] != "#" and pos.isdecimal() and len(pos) <= most and pos.isascii()):
                self._malformed(number + lines.index(line), line)
            alts = known(alt)
            if alts is None:
                alts = tuple(alt.split(","))
            yield new(Record, (line, chrom, int(pos), name, ref, alts))

    # Lines

    def _split(self, chunks: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
        """Yield (1-based number of the first line, whole lines that end in LF) from chunks of bytes."""
        number, pending, size, most = 1, [], 0, self._limits.line_bytes
        for chunk in chunks:
            if self._hash:
                self._hash.update(chunk)
            cut = chunk.rfind(b"\n") + 1
            if cut == 0:
                pending.append(chunk)
                size += len(chunk)
                if size > most:
                    raise FileFormatError(
                        f"{self.name}, line {number}: more than {most:,} bytes without a line end; give a VCF."
                    )
                continue
            block = _unix(b"".join([*pending, chunk[:cut]]))
            pending, size = [chunk[cut:]], len(chunk) - cut
            yield number, block
            number += block.count(b"\n")
        last = b"".join(pending)
        if last:
            yield number, _unix(last + b"\n")
        if self._hash:
            self._sha256 = self._hash.hexdigest()

    # Header

    def _read_header(self) -> None:
        first, size, limits = "", 0, self._limits
        for number, block in self._blocks:
            lines = _lines(block)
            for i, line in enumerate(lines):
                if number == 1 and i == 0:
                    lines[0] = line = line.removeprefix("\ufeff")  # byte order mark, which some editors write
                if line.startswith("#"):
                    self.header.append(line)
                    size += len(line)
                    if len(self.header) > limits.header_lines or size > limits.line_bytes:
                        raise FileFormatError(
                            f"{self.name} has a header of more than {limits.header_lines:,} lines or "
                            f"{limits.line_bytes:,} letters; leave out what is not needed (bcftools annotate -x)."
                        )
                    if not line.startswith("#CHROM"):
                        continue
                    self._blocks = chain([(number + i + 1, _block(lines[i + 1 :]))], self._blocks)
                    return
                if line:
                    first = line
                    self._blocks = chain([(number + i, _block(lines[i:]))], self._blocks)
                    break
            if first:
                break
        self._make_column_line(first)

    def _make_column_line(self, first: str) -> None:
        """Make a #CHROM line for a VCF that lacks one, if nothing has to be guessed: no sample columns."""
        is_vcf = bool(self.header) and self.header[0].startswith("##fileformat=VCF")
        if "\r" in (self.header[0] if self.header else first):
            raise FileFormatError(
                f"{self.name} ends its lines in a lone carriage return (old Macintosh); convert it with: tr '\\r' '\\n'"
            )
        if not is_vcf:
            begin = (self.header[0] if self.header else first)[:40]
            raise FileFormatError(
                f"{self.name} begins with {begin!r} and has no #CHROM line, so it is not VCF; "
                "a VCF begins with ##fileformat=VCF and has a line that begins with #CHROM."
            )
        n_columns = first.count("\t") + 1
        if not first or not 5 <= n_columns <= 8:
            begin = f"and its first record has {n_columns} column(s)" if first else "and no records"
            raise FileFormatError(
                f"{self.name} has no #CHROM line, {begin}; add the line that names the columns (bcftools reheader)."
            )
        self.header.append(COLUMNS)
        self.notes.append(f"{self.name} has no #CHROM line; the eight fixed columns are assumed.")

    def _malformed(self, number: int, line: str) -> NoReturn:
        fields = line.split("\t", 8)
        if line.startswith("#"):
            problem = "a header line among the records; join files with bcftools concat"
        elif len(fields) < 5:
            problem = (
                f"{len(fields)} tab-separated column(s) where a record has 8 (CHROM POS ID REF ALT ...); "
                "is the file cut short, or are its columns separated by blanks?"
            )
        elif not fields[1].isdecimal() or len(fields[1]) > 18 or not fields[1].isascii():
            problem = f"POS is {fields[1][:20]!r}, but is a whole number of at most 18 digits; correct or remove the line"
        elif not fields[3]:
            problem = "REF is empty, but must hold at least one base; correct or remove the line"
        else:
            problem = "CHROM is empty; correct or remove the line"
        raise FileFormatError(f"{self.name}, line {number}: {problem}")


def open_vcf(
    path: str | Path, *, fingerprint: bool = False, name: str | Path | None = None, limits: VcfLimits = VCF_LIMITS
) -> VariantFile:
    """Open a VCF or BCF (plain, gzip, bgzip; "-" and named pipes are first copied to a temporary file).

    fingerprint: compute `.sha256` of the decompressed text while reading. name: name of the file in messages, if `path` is a
    copy of it ("-" for standard input).
    Raises FileFormatError, also while iterating, with the path, the problem, and the 1-based line number.

    >>> from importlib.resources import files
    >>> with open_vcf(str(files("genoformer_data") / "demo" / "variants.vcf.gz")) as file:
    ...     sum(1 for record in file)
    2000
    """
    refuse_address(path)
    return VariantFile(path, fingerprint=fingerprint, name=name, limits=limits)


def read_variants(path: str | Path) -> Iterator[Record]:
    """Yield the records of a VCF or BCF, one at a time, in order."""
    with open_vcf(path) as file:
        yield from file


def batches(records: Iterable[Record], n: int, *, n_bytes: int = MAX_BATCH_BYTES) -> Iterator[list[Record]]:
    """Yield records in lists of at most n, and shorter lists if the lines are long, so that memory stays bounded.

    n_bytes: a list ends with the record whose line brings the total to more than this number of characters.
    """
    batch: list[Record] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record.line)
        if len(batch) == n or size > n_bytes:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def joined(lists: Iterable[list[Record]], n: int, *, n_bytes: int = MAX_BATCH_BYTES) -> Iterator[list[Record]]:
    """Join consecutive lists of records until they have n records, or more than n_bytes characters; none is cut."""
    batch: list[Record] = []
    size = 0
    for records in lists:
        if not batch and len(records) >= n:
            yield records
            continue
        batch.extend(records)
        size += sum(len(record.line) for record in records)
        if len(batch) >= n or size > n_bytes:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _unix(block: bytes) -> bytes:
    """Convert the line ends of whole lines to LF."""
    return block.replace(b"\r\n", b"\n") if b"\r" in block else block


def _lines(block: bytes) -> list[str]:
    return block[:-1].decode(ENCODING, ERRORS).split("\n")


def _block(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode(ENCODING, ERRORS)


def _contig_lengths(header: Iterable[str]) -> Iterator[tuple[str, int]]:
    for line in header:
        if line.startswith("##contig=<"):
            name, length = re.search(r"[<,]ID=([^,>]+)", line), re.search(r"[<,]length=(\d+)", line)
            if name and length:
                yield name[1], int(length[1])
