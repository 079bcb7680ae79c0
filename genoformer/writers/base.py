"""Base classes of sinks: score columns, annotation fields, and an output file that is complete or absent."""

from __future__ import annotations

import gzip
import io
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.addresses import refuse_address
from genoformer.errors import ConfigError, FileFormatError, GenoformerError
from genoformer.files import locked, resolve_link
from genoformer.formats.vcf import ENCODING, ERRORS, Record
from genoformer.genome.variants import Status
from genoformer.tables import MISSING, rounded

Floats = NDArray[np.floating]
Cells = Mapping[int, Sequence[str]]  # of one record: field number -> its values as text; fields without values are absent
NO_CELLS: Cells = {}

STATUS_KEY = "GF_STATUS"
FIX_KEY = "GF_FIX"  # correction of an ALT; written with the scores
MOST_WAITING = 1 << 26  # letters of buffered records before they are written


def key_of(name: str) -> str:
    """Return a name with only the characters that VCF allows in INFO keys; two names may give the same key.

    >>> key_of("SAD_CNhs10752+"), key_of("SAD_CAGE:liver, adult-")
    ('SAD_CNhs10752_plus', 'SAD_CAGE_liver__adult_minus')
    """
    strand = {"+": "_plus", "-": "_minus"}.get(name[-1:], "")
    return re.sub("[^0-9A-Za-z_.]", "_", name[: -1 if strand else None]) + strand


class Column(NamedTuple):
    """Output column with one value per ALT, in INFO as GF_<name>; values of a column of words are indices of `words`."""

    name: str
    unit: str
    meaning: str
    words: tuple[str, ...] = ()
    of: str = ""  # the score column to which this error, flag or quantile belongs

    @property
    def key(self) -> str:
        """Key in INFO; for a stranded track such as CAGE+, _plus or _minus replaces the sign, before any _SE or _NOISE."""
        return f"GF_{key_of(self.of)}{self.name.removeprefix(self.of)}" if self.of else f"GF_{key_of(self.name)}"

    def text(self, value: float) -> str:
        """Format a value for a text table: five significant digits, or a word; empty if missing."""
        if not self.words:
            return rounded(value)
        return MISSING if value != value else " ".join(self.words[int(value)].split())


class Field(NamedTuple):
    """Annotation field of a record, for all its ALTs: an INFO key with any number of values, or with one."""

    key: str
    type: Literal["String", "Integer", "Float"]
    meaning: str
    many: bool = True  # True: Number=., False: Number=1


class Source(NamedTuple):
    """Annotation file for the header, and the INFO keys that it fills."""

    name: str
    file: str
    sha256: str
    keys: tuple[str, ...]


class WriteError(GenoformerError, OSError):
    """The output could not be written completely."""


class UnfitRecordError(FileFormatError):
    """The format of the output cannot hold a record of the input."""


class Provenance(NamedTuple):
    """Version, model and options of the scores, for the header; model is "" if records are only annotated."""

    version: str
    model: str = ""
    sha256: str = ""  # of the weights
    options: str = ""


class Header(NamedTuple):
    """All that a sink needs before the first record."""

    lines: Sequence[str]  # of the input, the #CHROM line last
    contigs: dict[str, int]  # of the input, with their lengths in the reference
    columns: Sequence[Column]  # added scores; empty if records are only annotated
    provenance: Provenance
    fields: Sequence[Field] = ()  # added annotations
    sources: Sequence[Source] = ()  # files of the fields
    noise: str = ""  # noise floors of track scores, for the flags


class Sink(ABC):
    """Writer of records in order; the file gets its final name in `close(complete=True)`."""

    def __init__(self, path: str | Path) -> None:
        refuse_address(path, to_write=True)
        self.path = None if str(path) == "-" else Path(path)
        self.notes: list[str] = []
        if self.path is not None and not self.path.parent.is_dir():
            raise ConfigError(f"the folder {self.path.parent} does not exist; create it, or write elsewhere with -o.")
        if self.path is not None and self.path.is_dir():
            raise ConfigError(f"{self.path} is a folder, not a file; remove it, or write elsewhere with -o.")
        if self.path is not None and not resolve_link(self.path).parent.is_dir():
            raise ConfigError(
                f"{self.path} is a link to {resolve_link(self.path)}, whose folder does not exist; create or remove one."
            )

    @property
    def temporary(self) -> Path:
        assert self.path is not None
        whole = resolve_link(self.path)
        return whole.with_name(f".{whole.name}.partial")

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Lock the output against other processes; BusyError if another process holds the lock. No lock file remains."""
        if self.path is None:
            yield
            return
        with locked(self.temporary, self.path):
            yield

    @abstractmethod
    def check(self, header: Header) -> None:
        """Raise ConfigError if two columns or keys would have the same name.

        `begin` calls this; callers with long work before `begin` call it earlier.
        """

    @abstractmethod
    def begin(self, header: Header) -> None: ...

    @abstractmethod
    def write(self, record: Record, statuses: Sequence[Status], values: Floats, cells: Cells = NO_CELLS) -> None:
        """Write one record.

        statuses: one per ALT (one NO_ALT for a record without ALT). values: [ALTs, columns], NaN if missing. cells: the values
        of the fields that have any.
        """

    @abstractmethod
    def close(self, *, complete: bool) -> None: ...

    def _finish(self, *, complete: bool) -> None:
        if self.path is not None and not complete:
            self.temporary.unlink(missing_ok=True)
        elif self.path is not None:
            self.temporary.replace(resolve_link(self.path))


class TextSink(Sink):
    """Sink of text lines: plain, bgzip (.vcf.gz) or gzip by the file name, or standard output."""

    bgzip = False
    raw: Any  # the open file on disk; `file` may compress into it
    file: Any

    def begin(self, header: Header) -> None:
        self.header = header
        if self.path is None:
            if sys.stdout is None:
                raise WriteError("standard output is closed; open it, or name a file with -o.")
            self.file = sys.stdout.buffer
        elif self.bgzip:
            self.raw = self.file = _Bgzip(self.temporary)
        elif self.path.suffix == ".gz":
            self.raw = self.temporary.open("wb")
            self.file = io.BufferedWriter(gzip.GzipFile("", "wb", fileobj=self.raw, mtime=0))
        else:
            self.raw = self.file = self.temporary.open("wb")
        self.lines: list[str] = []
        self.size = 0  # letters in `lines`
        try:
            self._say(line.replace("\n", "\\n") for line in self._head(header))  # a file name may hold a newline
        except BaseException:
            self.close(complete=False)
            raise

    @abstractmethod
    def _head(self, header: Header) -> Iterable[str]: ...

    def _say(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.lines.append(line)
            self.size += len(line)
            if len(self.lines) > 2_000 or self.size > MOST_WAITING:
                self._flush()

    def _flush(self) -> None:
        if self.lines:
            self.file.write(("\n".join(self.lines) + "\n").encode(ENCODING, ERRORS))
            self.lines.clear()
            self.size = 0

    def close(self, *, complete: bool) -> None:
        whole = False
        try:
            with ExitStack() as closing:
                if self.path is not None:
                    closing.callback(self.raw.close)
                    closing.callback(self.file.close)
                if complete:
                    self._flush()
                if self.path is None:
                    self.file.flush()
            whole = complete
        finally:
            self._finish(complete=whole)


class _Bgzip:
    """Wrapper of pysam's BGZFile that adds a useful message to a failed write."""

    def __init__(self, path: Path) -> None:
        import pysam

        self.path, self.file = path, pysam.BGZFile(str(path), "wb", None)

    def write(self, data: bytes) -> None:
        self._do(lambda: self.file.write(data))

    def close(self) -> None:
        self._do(self.file.close)

    def _do(self, action: Callable[[], object]) -> None:
        import pysam

        verbosity = pysam.set_verbosity(0)  # htslib would also print a message
        try:
            action()
        except OSError as error:
            raise WriteError(
                f"{self.path} cannot be written ({error}); is the disk full? "
                "Make room and run the same command again: it goes on from there."
            ) from error
        finally:
            pysam.set_verbosity(verbosity)


def number(value: float) -> str:
    """Format a number with five significant digits; "." for NaN."""
    return "." if value != value else f"{value + 0.0:.5g}"


def info_text(column: Column) -> Callable[[float], str]:
    """Return a function that formats values of a column for INFO; words are encoded as in VCF 4.3."""
    if not column.words:
        return number
    words = [escaped(word) for word in column.words]
    return lambda value: "." if value != value else words[int(value)]


def escaped(word: str) -> str:
    """Escape a word for INFO: separators and white space become %XX."""
    return re.sub(r"[\s,;=%]", lambda found: f"%{ord(found.group()):02X}", word)


def quoted(text: str) -> str:
    """Escape text for the quotes of a header line."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def utf8(text: str) -> str:
    """Convert text to valid UTF-8 for Parquet; other bytes become U+FFFD."""
    return text.encode(ENCODING, ERRORS).decode(ENCODING, "replace")


def columns_of(record: Record) -> tuple[list[str], list[str]]:
    """Return the eight fixed columns of a record, and FORMAT and the samples if present."""
    fields = record.line.split("\t")
    return [*fields[:8], *["."] * (8 - len(fields))], fields[8:]
