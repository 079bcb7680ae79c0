"""VCF or BCF (plain, gzip, bgzip, BCF or a pipe) -> decompressed VCF text in chunks of bytes."""

from __future__ import annotations

import gzip
import re
import shutil
import stat
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NoReturn

from genoformer.errors import FileFormatError, MissingFileError
from genoformer.formats import pointers
from genoformer.formats.file_kinds import format_of_bytes
from genoformer.formats.first_phase import FirstPhase

ENCODING = "utf-8"
ERRORS = "surrogateescape"  # bytes that are not UTF-8 survive decoding and encoding unchanged

MAX_BATCH_BYTES = 1 << 26  # characters of records in one batch; few records fit if alleles have 1 MB
_NOT_IN_INFO = re.compile(r"[\s,;=%]")
_ESCAPED = re.compile(r"%([0-9A-F]{2})")
_CHUNK = 1 << 20  # bytes read at a time: large enough that work per chunk is negligible compared with work per line
_BGZF_EOF = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")  # SAM specification, 4.1.2


class VcfText:
    """Text of a VCF or BCF. path: a file that can be read twice; name: its name in messages; closing: closes what is opened.

    format: "vcf", "gzip", "bgzip" or "bcf", detected from the first bytes and never from the name. chunks: the decompressed
    text in chunks, once.

    Raises: FileFormatError, also while iterating over the chunks.
    """

    def __init__(self, path: Path, name: str, closing: ExitStack) -> None:
        self._path, self._name, self._closing = path, name, closing
        self.format, self.chunks = self._sniff()

    def _sniff(self) -> tuple[str, Iterator[bytes]]:
        try:
            file: BinaryIO = self._closing.enter_context(self._path.open("rb"))
        except OSError as error:
            raise FileFormatError(f"{self._name} cannot be opened ({error.strerror}); check its permissions.") from error
        head = file.read(18)
        file.seek(0)
        if head[:2] != b"\x1f\x8b":
            kind, stream = "vcf", file
        else:
            kind = "gzip"
            if len(head) == 18 and head[3] & 4 and head[12:14] == b"BC":
                kind = "bgzip"
                self._refuse_cut_bgzip(file)
            stream = self._closing.enter_context(gzip.GzipFile(fileobj=file))  # type: ignore[assignment]
        chunks = self._chunks(stream)
        first = next(chunks, b"")
        if not first:
            raise FileFormatError(f"{self._name} is empty; a VCF has at least the lines ##fileformat and #CHROM.")
        if first[:4] == b"BCF\x02":
            return "bcf", self._bcf_chunks()
        if first.startswith(pointers.MAGIC):
            raise FileFormatError(f"{self._name} is {pointers.WHAT}; {pointers.REMEDY}.")
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

    def _cut_short(self, problem: str) -> NoReturn:
        raise FileFormatError(f"{self._name} is truncated or damaged ({problem}); copy or download it again.")

    def _not_text(self) -> NoReturn:
        raise FileFormatError(
            f"{self._name} is damaged, or holds text that is not UTF-8, which cannot be read from a BCF; convert it to VCF "
            "(bcftools view), where any text is read."
        )

    def _not_vcf(self, kind: str) -> NoReturn:
        raise FileFormatError(f"{self._name} is {kind}, not VCF or BCF; give a VCF (plain, gzip, bgzip) or a BCF.")

    def _chunks(self, stream: BinaryIO) -> Iterator[bytes]:
        while True:
            try:
                chunk = stream.read(_CHUNK)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                self._cut_short(str(error).rstrip("."))
            except OSError as error:
                raise FileFormatError(f"{self._name} cannot be read ({error.strerror or error}).") from error
            if not chunk:
                return
            yield chunk

    def _bcf_chunks(self) -> Iterator[bytes]:
        """Yield BCF as the VCF text of `bcftools view`, except for phases that no program has set (`first_phase`)."""
        import pysam  # imported here, because reading VCF does not need it

        verbosity = pysam.set_verbosity(0)  # htslib would print that the index is missing; none is needed
        try:
            file = pysam.VariantFile(str(self._path))
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


def escaped(word: str) -> str:
    """Escape a word for INFO: separators and white space become %XX, as in VCF 4.3."""
    return _NOT_IN_INFO.sub(lambda match: f"%{ord(match.group()):02X}", word)


def unescaped(word: str) -> str:
    """Return a word of INFO with %XX read as `escaped` writes it.

    >>> unescaped(escaped("a b;c=5%"))
    'a b;c=5%'
    """
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), word)


@contextmanager
def seekable_copy(path: str | Path) -> Iterator[Path]:
    """Yield a path that can be read twice: a temporary copy of standard input ("-") or of a pipe, otherwise the path itself."""
    if str(path) == "-":
        if sys.stdin is None:
            raise FileFormatError("standard input is closed; open it, or give a file.")
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


def _open_if_pipe(path: Path) -> BinaryIO | None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise MissingFileError(
            f"{path} does not exist; check the name of the VCF, or write a variant such as chr20:1050100:A:G."
        ) from error
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    if stat.S_ISDIR(mode):
        raise FileFormatError(f"{path} is a folder; give the VCF or BCF file in it.")
    return None if stat.S_ISREG(mode) else path.open("rb")
