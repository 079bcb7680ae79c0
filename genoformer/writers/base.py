"""Base classes of sinks: score columns, annotation fields, and an output file that is complete or absent."""

from __future__ import annotations

import gzip
import io
import re
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.addresses import refuse_address
from genoformer.errors import ConfigError, FileFormatError, GenoformerError
from genoformer.files import atomic_write, locked, partial_path, resolve_link
from genoformer.formats.vcf import Record
from genoformer.formats.vcf_text import ENCODING, ERRORS, escaped
from genoformer.genome.variants import Status
from genoformer.tables import MISSING, rounded

Floats = NDArray[np.floating]
Cells = Mapping[int, Sequence[str]]  # of one record: field number -> its values as text; fields without values are absent
NO_CELLS: Cells = {}
NO_RECORDS: Mapping[int, Cells] = {}

STATUS_KEY = "GF_STATUS"
FIX_KEY = "GF_FIX"  # correction of an ALT; written with the scores
NUMBER = "%.5g"  # of a score in INFO
_LINES_AT_ONCE = 2_000
MOST_WAITING = 1 << 26  # letters of buffered records before they are written


def info_key(name: str) -> str:
    """Return a name with only the characters that VCF allows in INFO keys; two names may give the same key.

    >>> info_key("SAD_CNhs10752+"), info_key("SAD_CAGE:liver, adult-")
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
    belongs_to: str = ""  # the score column to which this error, flag or quantile belongs

    @property
    def key(self) -> str:
        """Key in INFO; for a stranded track such as CAGE+, _plus or _minus replaces the sign, before any _SE or _NOISE."""
        return (
            f"GF_{info_key(self.belongs_to)}{self.name.removeprefix(self.belongs_to)}"
            if self.belongs_to
            else f"GF_{info_key(self.name)}"
        )

    def text(self, value: float, n_digits: int = 5) -> str:
        """Format a value for a text table: its significant digits, or a word; empty if missing."""
        if not self.words:
            return rounded(value, f".{n_digits}g")
        return MISSING if value != value else " ".join(self.words[int(value)].split())


class Field(NamedTuple):
    """Annotation field of a record, for all its ALTs: an INFO key with any number of values, or with one."""

    key: str
    type: Literal["String", "Integer", "Float"]
    meaning: str
    many: bool = True  # True: a list of values, False: one
    number: str = "."  # Number in the VCF header if there are many: "." any, A per ALT, R per allele, G per genotype

    @property
    def is_per_alt(self) -> bool:
        """True if each ALT has one value; tables have a row per ALT, and its own value in it."""
        return self.many and self.number == "A"


class Source(NamedTuple):
    """Annotation file for the header, and the INFO keys that it fills."""

    name: str
    file: str
    sha256: str
    keys: tuple[str, ...]
    hashed: str = "sha256"  # "index_sha256" of the index of a very large file, "header_sha256" of a file at an address


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
    caution: str = ""  # what the model's card warns of


class Header(NamedTuple):
    """All that a sink needs before the first record."""

    lines: Sequence[str]  # of the input, the #CHROM line last
    contigs: dict[str, int]  # of the input, with their lengths in the reference
    columns: Sequence[Column]  # added scores; empty if records are only annotated
    provenance: Provenance
    fields: Sequence[Field] = ()  # added annotations
    sources: Sequence[Source] = ()  # files of the fields
    noise: str = ""  # noise floors of track scores, for the flags


class RecordWriter(ABC):
    """Writer of records, in their order, to an open output; `Sink.writing` makes it."""

    @abstractmethod
    def write(self, record: Record, statuses: Sequence[Status], values: Floats, cells: Cells = NO_CELLS) -> None:
        """Write one record.

        statuses: one per ALT (one NO_ALT for a record without ALT). values: [ALTs, columns], NaN if missing. cells: the values
        of the fields that have any.
        """

    def write_all(
        self, records: Sequence[Record], statuses: Sequence[Status], values: Floats, cells: Mapping[int, Cells] = NO_RECORDS
    ) -> None:
        """Write consecutive records, as `write` does one by one.

        statuses [R] and values [R, columns]: of all ALTs of the records; a record without ALT has one row. cells: those of
        records that have any, by their index.
        """
        first = 0
        for i, record in enumerate(records):
            rows = slice(first, first + max(1, len(record.alts)))
            self.write(record, statuses[rows], values[rows], cells.get(i, NO_CELLS))
            first = rows.stop

    def index(self, part: Path) -> Path | None:
        """Write an index of a complete temporary file, if the format has one, and return its path."""
        return None


class Sink(ABC):
    """Output of records: its path (None for standard output) and format."""

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

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Lock the output against other processes; BusyError if another process holds the lock. No lock file remains."""
        with nullcontext() if self.path is None else locked(partial_path(self.path), self.path):
            yield

    @abstractmethod
    def check(self, header: Header) -> None:
        """Raise ConfigError if two columns or keys would have the same name.

        `writing` calls this; callers with long work before `writing` call it earlier.
        """

    @contextmanager
    def writing(self, header: Header) -> Iterator[RecordWriter]:
        """Yield a writer of records; a file gets its name if the block ends without an error, else it does not appear."""
        self.check(header)
        if self.path is None:
            with self._open(None, header) as writer:
                yield writer
            return
        with atomic_write(self.path, exclusive=True) as part:
            with self._open(part, header) as writer:
                yield writer
            index = writer.index(part)
            for suffix in self.indexes:  # an index of an earlier output would not match
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        if index is not None:
            shutil.move(index, f"{self.path}{index.suffix}")  # if the output is a link, the index is next to the link

    @property
    def indexes(self) -> tuple[str, ...]:
        """Suffixes of index files that belong to an output of this format."""
        return ()

    @abstractmethod
    def _open(self, part: Path | None, header: Header) -> AbstractContextManager[RecordWriter]:
        """Open the temporary file, or standard output, until the end of the block."""


class TextWriter(RecordWriter):
    """Writer of text lines, which are collected and encoded in blocks."""

    def __init__(self, sink: Sink, file: Any, header: Header) -> None:
        self.sink, self.file, self.header = sink, file, header
        self._lines: list[str] = []
        self._size = 0  # letters in `_lines`

    @abstractmethod
    def head(self) -> Iterable[str]:
        """Return the lines before the first record."""

    def write_lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._lines.append(line)
            self._size += len(line)
            if len(self._lines) > _LINES_AT_ONCE or self._size > MOST_WAITING:
                self.flush()

    def write_list(self, lines: Sequence[str]) -> None:
        """Write many lines, in less time than `write_lines`."""
        self.flush()
        for first in range(0, len(lines), _LINES_AT_ONCE):
            self.file.write(("\n".join(lines[first : first + _LINES_AT_ONCE]) + "\n").encode(ENCODING, ERRORS))

    def flush(self) -> None:
        if self._lines:
            self.file.write(("\n".join(self._lines) + "\n").encode(ENCODING, ERRORS))
            self._lines.clear()
            self._size = 0


class TextSink(Sink):
    """Output of text lines: plain, bgzip or gzip, or standard output."""

    writer: ClassVar[type[TextWriter]]

    @property
    def bgzip(self) -> bool:
        """True if the file is bgzip, so that tabix can index it."""
        return False

    @contextmanager
    def _open(self, part: Path | None, header: Header) -> Iterator[TextWriter]:
        with self._file(part) as file:
            writer = self.writer(self, file, header)
            writer.write_lines(line.replace("\n", "\\n") for line in writer.head())  # a file name may hold a newline
            yield writer
            writer.flush()

    @contextmanager
    def _file(self, part: Path | None) -> Iterator[Any]:
        if part is None or self.path is None:
            if sys.stdout is None:
                raise WriteError("standard output is closed; open it, or name a file with -o.")
            try:
                yield sys.stdout.buffer
            finally:
                sys.stdout.buffer.flush()
        elif self.bgzip:
            with closing(Bgzip(part)) as file:
                yield file
        elif self.path.suffix == ".gz":
            with part.open("wb") as raw, io.BufferedWriter(gzip.GzipFile("", "wb", fileobj=raw, mtime=0)) as packed:
                yield packed
        else:
            with part.open("wb") as file:
                yield file


class Bgzip:
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
                "Free some space and run the same command again; the run resumes."
            ) from error
        finally:
            pysam.set_verbosity(verbosity)


def number(value: float) -> str:
    """Format a number with five significant digits; "." for NaN."""
    return "." if value != value else NUMBER % (value + 0.0)


def info_text(column: Column) -> Callable[[float], str]:
    """Return a function that formats values of a column for INFO; words are encoded as in VCF 4.3."""
    if not column.words:
        return number
    words = [escaped(word) for word in column.words]
    return lambda value: "." if value != value else words[int(value)]


def quoted(text: str) -> str:
    """Escape text for the quotes of a header line."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def utf8(text: str) -> str:
    """Convert text to valid UTF-8 for Parquet; other bytes become U+FFFD."""
    return text.encode(ENCODING, ERRORS).decode(ENCODING, "replace")


def split_columns(record: Record) -> tuple[list[str], list[str]]:
    """Return the eight fixed columns of a record, and FORMAT and the samples if present."""
    fields = record.line.split("\t")
    return [*fields[:8], *["."] * (8 - len(fields))], fields[8:]
