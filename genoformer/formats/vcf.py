"""VCF or BCF (plain, gzip, bgzip, BCF or a pipe) -> header lines, and records with their raw line.

Decoding is lossless: lines written with `ENCODING` and `ERRORS` have the same bytes as the input. There are two
exceptions: line ends become LF, and empty lines are skipped because they hold no record.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
import stat
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, NoReturn

from genoformer.addresses import refuse_address
from genoformer.errors import FileFormatError, MissingFileError
from genoformer.formats import pointers
from genoformer.formats.file_kinds import format_of_bytes
from genoformer.formats.first_phase import FirstPhase
from genoformer.genome.contigs import ContigIndex, canonical_key
from genoformer.genome.digits import DIGITS
from genoformer.genome.region_text import Interval

ENCODING = "utf-8"
ERRORS = "surrogateescape"  # bytes that are not UTF-8 survive decoding and encoding unchanged

COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"

MAX_BATCH_BYTES = 1 << 26  # characters of records in one batch; few records fit if alleles have 1 MB
_LONGEST = 1 << 27  # bytes in a line; a line of 500,000 samples with all fields has half as many
_MOST_HEADER = 1_000_000  # lines
_CHUNK = 1 << 20  # bytes read at a time: large enough that work per chunk is negligible compared with work per line
_BGZF_EOF = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")  # SAM specification, 4.1.2
_ALTS: dict[str, tuple[str, ...]] = {".": ()} | {base: (base,) for base in "ACGTacgt"}


class Record(NamedTuple):
    """One line of a VCF: the raw line and its first five columns, parsed."""

    line: str  # without its line end
    chrom: str
    pos: int  # 1-based; 0 means the telomere
    id: str
    ref: str
    alts: tuple[str, ...]  # empty if ALT is "."


class VariantFile:
    """Open VCF or BCF: the header immediately, the records by iterating once. Use `open_vcf` to make one.

    header: every ## line and the #CHROM line. contig_lengths: lengths from the ##contig lines that have one. samples: the
    names in the #CHROM line. format: "vcf", "gzip", "bgzip" or "bcf". notes: sentences on unusual properties of the file.
    """

    def __init__(self, path: str | Path, *, fingerprint: bool = False, name: str | Path | None = None) -> None:
        self._closing = ExitStack()
        self._hash = hashlib.sha256() if fingerprint else None
        self._sha256: str | None = None
        self._started = False
        self.header: list[str] = []
        self.notes: list[str] = []
        try:
            self.path = self._closing.enter_context(seekable_copy(path))
            self.name = "standard input" if str(name or path) == "-" else str(name or path)
            self.format, chunks = self._sniff()
            self._blocks = self._split(chunks)
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
            raise ValueError(f"{self.name}: the sha256 is known after the last record, and with fingerprint=True only")
        return self._sha256

    def __iter__(self) -> Iterator[Record]:
        for number, block in self.blocks():
            yield from self.records_of(number, block)

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """Yield the records as bytes, once: (number of the first line, whole lines that end in LF).

        `blocks.Block` parses them.
        """
        if self._started:
            raise ValueError(f"{self.name} has been read already: open it again to read it a second time")
        self._started = True
        yield from self._blocks

    def records_of(self, number: int, block: bytes) -> Iterator[Record]:
        """Yield the records of one of the `blocks`, line by line; FileFormatError for a line that is not a record."""
        new, known, most = tuple.__new__, _ALTS.get, DIGITS
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

    # Bytes -> lines

    def _sniff(self) -> tuple[str, Iterator[bytes]]:
        """Return the format, detected from the first bytes and never from the name, and the decompressed text in chunks."""
        try:
            file: BinaryIO = self._closing.enter_context(self.path.open("rb"))
        except OSError as error:
            raise FileFormatError(f"{self.name} cannot be opened ({error.strerror}); check its permissions.") from error
        head = file.read(18)
        file.seek(0)
        if head[:2] != b"\x1f\x8b":
            kind, stream = "vcf", file
        else:
            kind = "bgzip" if len(head) == 18 and head[3] & 4 and head[12:14] == b"BC" else "gzip"
            if kind == "bgzip":
                self._refuse_cut_bgzip(file)
            stream = self._closing.enter_context(gzip.GzipFile(fileobj=file))  # type: ignore[assignment]
        chunks = self._chunks(stream)
        first = next(chunks, b"")
        if not first:
            raise FileFormatError(f"{self.name} is empty; a VCF has at least the lines ##fileformat and #CHROM.")
        if first[:4] == b"BCF\x02":
            return "bcf", self._bcf_chunks()
        if first.startswith(pointers.MAGIC):
            raise FileFormatError(f"{self.name} is {pointers.WHAT}; {pointers.REMEDY}.")
        if other := format_of_bytes(first):
            self._not_vcf(other)
        if first[:1] != b"#" and (b"\0" in first[:4096] or first[:2] == b"\x1f\x8b"):
            self._not_vcf("binary data")
        return kind, chain([first], chunks)

    def _refuse_cut_bgzip(self, file: BinaryIO) -> None:
        size = file.seek(0, 2)
        file.seek(max(0, size - len(_BGZF_EOF)))
        tail = file.read()
        file.seek(0)
        if tail != _BGZF_EOF:
            self._cut_short("its bgzip end marker is missing")

    def _cut_short(self, found: str) -> NoReturn:
        raise FileFormatError(f"{self.name} is truncated or damaged ({found}); copy or download it again.")

    def _not_text(self) -> NoReturn:
        raise FileFormatError(
            f"{self.name} is damaged, or holds text that is not UTF-8, which is not read of a BCF; make a VCF of it "
            "(bcftools view), of which any text is read."
        )

    def _not_vcf(self, what: str) -> NoReturn:
        raise FileFormatError(f"{self.name} is {what}, not VCF or BCF; give a VCF (plain, gzip, bgzip) or a BCF.")

    def _chunks(self, stream: BinaryIO) -> Iterator[bytes]:
        while True:
            try:
                chunk = stream.read(_CHUNK)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                self._cut_short(str(error).rstrip("."))
            except OSError as error:
                raise FileFormatError(f"{self.name} cannot be read ({error.strerror or error}).") from error
            if not chunk:
                return
            yield chunk

    def _bcf_chunks(self) -> Iterator[bytes]:
        """Yield BCF as the VCF text of `bcftools view`, except for phases that no program has set (`first_phase`)."""
        import pysam  # imported here, because reading VCF does not need it

        verbosity = pysam.set_verbosity(0)  # htslib would print that the index is missing; none is needed
        try:
            file = pysam.VariantFile(str(self.path))
        except (OSError, ValueError, NotImplementedError) as error:  # NotImplementedError if only the first blocks are bgzip
            self._cut_short(str(error))
        finally:
            pysam.set_verbosity(verbosity)

        def close(_: object, error: BaseException | None, __: object) -> None:
            try:
                file.close()
            except OSError:  # htslib reports earlier damage again
                if error is None:
                    self._cut_short("htslib found an error in it")

        self._closing.push(close)
        try:
            header = str(file.header)
        except UnicodeDecodeError:
            self._not_text()
        yield header.encode(ENCODING, ERRORS)
        first_phase = FirstPhase(header)
        lines: list[str] = []
        size = 0
        records = iter(file)
        while True:
            try:
                record = next(records, None)
                if record is not None:
                    lines.append(str(record))
                    size += len(lines[-1])
            except UnicodeDecodeError:
                self._not_text()
            except (OSError, ValueError) as error:
                self._cut_short(str(error))
            if record is None or len(lines) == 4096 or size > MAX_BATCH_BYTES:
                yield "".join(first_phase.restored(lines)).encode(ENCODING, ERRORS)
                lines, size = [], 0
            if record is None:
                return

    def _split(self, chunks: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
        """Yield (1-based number of the first line, whole lines that end in LF) from chunks of bytes."""
        number, pending, size = 1, [], 0
        for chunk in chunks:
            if self._hash:
                self._hash.update(chunk)
            cut = chunk.rfind(b"\n") + 1
            if cut == 0:
                pending.append(chunk)
                size += len(chunk)
                if size > _LONGEST:
                    raise FileFormatError(
                        f"{self.name}, line {number}: more than {_LONGEST:,} bytes without a line end; give a VCF."
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
        first, size = "", 0
        for number, block in self._blocks:
            lines = _lines(block)
            for i, line in enumerate(lines):
                if number == 1 and i == 0:
                    lines[0] = line = line.removeprefix("\ufeff")  # byte order mark, which some editors write
                if line.startswith("#"):
                    self.header.append(line)
                    size += len(line)
                    if len(self.header) > _MOST_HEADER or size > _LONGEST:
                        raise FileFormatError(
                            f"{self.name} has a header of more than {_MOST_HEADER:,} lines or {_LONGEST:,} letters; "
                            "leave out what is not needed (bcftools annotate -x)."
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
            found = (self.header[0] if self.header else first)[:40]
            raise FileFormatError(
                f"{self.name} begins with {found!r} and has no #CHROM line, so it is not VCF; "
                "a VCF begins with ##fileformat=VCF and has a line that begins with #CHROM."
            )
        n_columns = first.count("\t") + 1
        if not first or not 5 <= n_columns <= 8:
            found = f"and its first record has {n_columns} column(s)" if first else "and no records"
            raise FileFormatError(
                f"{self.name} has no #CHROM line, {found}; add the line that names the columns (bcftools reheader)."
            )
        self.header.append(COLUMNS)
        self.notes.append(f"{self.name} has no #CHROM line; the eight fixed columns are assumed.")

    def _malformed(self, number: int, line: str) -> NoReturn:
        fields = line.split("\t", 8)
        if line.startswith("#"):
            found = "a header line among the records; join files with bcftools concat"
        elif len(fields) < 5:
            found = (
                f"{len(fields)} tab-separated column(s) where a record has 8 (CHROM POS ID REF ALT ...); "
                "is the file cut short, or are its columns separated by blanks?"
            )
        elif not fields[1].isdecimal() or len(fields[1]) > 18 or not fields[1].isascii():
            found = f"POS is {fields[1][:20]!r}, but is a whole number of at most 18 digits; correct or remove the line"
        elif not fields[3]:
            found = "REF is empty, but must hold at least one base; correct or remove the line"
        else:
            found = "CHROM is empty; correct or remove the line"
        raise FileFormatError(f"{self.name}, line {number}: {found}")


def open_vcf(path: str | Path, *, fingerprint: bool = False, name: str | Path | None = None) -> VariantFile:
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
    return VariantFile(path, fingerprint=fingerprint, name=name)


def read_variants(path: str | Path) -> Iterator[Record]:
    """Yield the records of a VCF or BCF, one at a time, in order."""
    with open_vcf(path) as file:
        yield from file


def batches(records: Iterable[Record], n: int) -> Iterator[list[Record]]:
    """Yield records in lists of at most n, and shorter lists if the lines are long, so that memory stays bounded."""
    batch: list[Record] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record.line)
        if len(batch) == n or size > MAX_BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def info_of(record: Record) -> dict[str, str]:
    """Return INFO as a dict of keys and texts; "" for a flag and for the key "." of an empty INFO.

    >>> info_of(Record("1\\t5\\t.\\tA\\tC\\t.\\t.\\tAF=0.1,0.2;DB", "1", 5, ".", "A", ("C",)))
    {'AF': '0.1,0.2', 'DB': ''}
    """
    fields = record.line.split("\t", 8)
    return dict(item.partition("=")[::2] for item in fields[7].split(";")) if len(fields) > 7 else {}


@contextmanager
def seekable_copy(path: str | Path) -> Iterator[Path]:
    """Yield a path that can be read twice: a temporary copy of standard input ("-") or of a pipe, otherwise the path itself."""
    if str(path) == "-":
        if sys.stdin is None:
            raise FileFormatError("standard input is closed; open it, or name a file.")
        source: BinaryIO | None = sys.stdin.buffer
    else:
        source = _open_if_pipe(Path(path))
    if source is None:
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(prefix="genoformer-") as folder:
        copy = Path(folder) / ("standard-input" if str(path) == "-" else Path(path).name)
        with copy.open("wb") as file:
            shutil.copyfileobj(source, file, _CHUNK)
        if str(path) != "-":
            source.close()
        yield copy


def overlapping(records: Iterable[Record], region: Interval | None, contigs: Iterable[str] = ()) -> Iterator[Record]:
    """Yield the records whose REF overlaps the region; None selects all.

    Names that match the same one of `contigs` (the reference contigs) are equal: 20, chr20 and NC_000020.11. Other names are
    equal if they name the same chromosome.
    """
    if region is None:
        yield from records
        return
    index = ContigIndex(contigs)
    same: dict[str, bool] = {}
    for record in records:
        here = same.get(record.chrom)
        if here is None:
            here = same[record.chrom] = _one_contig(record.chrom, region.chrom, index)
        start = record.pos - 1
        if here and start < region.end and start + len(record.ref) > region.start:
            yield record


def _one_contig(name: str, other: str, index: ContigIndex) -> bool:
    """True if two names refer to the same contig."""
    found, others = index.get(name), index.get(other)
    if found is None and others is None:
        return name == other or (canonical_key(name) == canonical_key(other) and not index.candidates(name))
    return found == others


def _open_if_pipe(path: Path) -> BinaryIO | None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist; check the name of the VCF.") from error
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    if stat.S_ISDIR(mode):
        raise FileFormatError(f"{path} is a folder; give the VCF or BCF file in it.")
    return None if stat.S_ISREG(mode) else path.open("rb")


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
