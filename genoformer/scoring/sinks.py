"""Scored records -> VCF, TSV or Parquet; every record is written as it came, with its scores added."""

from __future__ import annotations

import gzip
import io
import math
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from genoformer.errors import ConfigError, FileFormatError, GenoformerError
from genoformer.genome.variants import Status
from genoformer.genome.vcf import ENCODING, ERRORS, Record
from genoformer.scoring.scores import Column, Floats

STATUS_KEY = "GF_STATUS"
_COLUMNS = ("chrom", "pos", "id", "ref", "alt", "qual", "filter", "info")
_TABIX_LONGEST = 1 << 29  # a .tbi index ends there; longer contigs take a .csi


class WriteError(GenoformerError, OSError):
    """The output could not be written whole."""


class Provenance(NamedTuple):
    """What made the scores; it goes into the header."""

    version: str
    model: str
    sha256: str  # of the weights
    options: str


class Header(NamedTuple):
    """What a sink needs before the first record."""

    lines: Sequence[str]  # of the input, the #CHROM line last
    contigs: dict[str, int]  # of the input, with their length in the reference
    columns: Sequence[Column]  # that are added
    provenance: Provenance


class Sink(ABC):
    """Takes records in order. The file has its final name only after `close(complete=True)`."""

    def __init__(self, path: str | Path) -> None:
        self.path = None if str(path) == "-" else Path(path)
        self.notes: list[str] = []
        if self.path is not None and not self.path.parent.is_dir():
            raise ConfigError(f"the folder {self.path.parent} does not exist; create it, or write elsewhere with -o.")
        if self.path is not None and self.path.is_dir():
            raise ConfigError(f"{self.path} is a folder, not a file; remove it, or write elsewhere with -o.")

    @property
    def temporary(self) -> Path:
        assert self.path is not None
        return self.path.with_name(f".{self.path.name}.partial")

    @abstractmethod
    def begin(self, header: Header) -> None: ...

    @abstractmethod
    def write(self, record: Record, statuses: Sequence[Status], values: Floats) -> None:
        """One record; statuses of its ALTs (one NO_ALT without any), values [ALTs, columns] with NaN for missing."""

    @abstractmethod
    def close(self, *, complete: bool) -> None: ...

    def _finish(self, *, complete: bool) -> None:
        if self.path is not None and not complete:
            self.temporary.unlink(missing_ok=True)
        elif self.path is not None:
            self.temporary.replace(self.path)


class TextSink(Sink):
    """A sink of lines; plain, bgzip (.gz of a VCF) or gzip by the name, or standard output."""

    bgzip = False
    raw: Any  # what is open on the disk; `file` may compress in front of it
    file: Any

    def begin(self, header: Header) -> None:
        self.header = header
        if self.path is None:
            self.file = sys.stdout.buffer
        elif self.bgzip:
            self.raw = self.file = _Bgzip(self.temporary)
        elif self.path.suffix == ".gz":
            self.raw = self.temporary.open("wb")
            self.file = io.BufferedWriter(gzip.GzipFile("", "wb", fileobj=self.raw, mtime=0))
        else:
            self.raw = self.file = self.temporary.open("wb")
        self.lines: list[str] = []
        try:
            self._say(self._head(header))
        except BaseException:
            self.close(complete=False)
            raise

    @abstractmethod
    def _head(self, header: Header) -> Iterable[str]: ...

    def _say(self, lines: Iterable[str]) -> None:
        self.lines.extend(lines)
        if len(self.lines) > 2_000:
            self._flush()

    def _flush(self) -> None:
        if self.lines:
            self.file.write(("\n".join(self.lines) + "\n").encode(ENCODING, ERRORS))
            self.lines.clear()

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
    """pysam's BGZFile, which does not say why a write failed."""

    def __init__(self, path: Path) -> None:
        import pysam

        self.path, self.file = path, pysam.BGZFile(str(path), "wb", None)

    def write(self, data: bytes) -> None:
        self._do(lambda: self.file.write(data))

    def close(self) -> None:
        self._do(self.file.close)

    def _do(self, action: Callable[[], object]) -> None:
        import pysam

        verbosity = pysam.set_verbosity(0)  # htslib would print about it too
        try:
            action()
        except OSError as error:
            raise WriteError(
                f"{self.path} cannot be written ({error}); is the disk full? "
                "Make room and run the same command again: it goes on from there."
            ) from error
        finally:
            pysam.set_verbosity(verbosity)


class VCFSink(TextSink):
    """VCF: scores in INFO with Number=A, the reason for what is missing in GF_STATUS; .vcf.gz is bgzip with an index."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.bgzip = self.path is not None and self.path.suffix in (".gz", ".bgz")

    def _head(self, header: Header) -> Iterable[str]:
        self.keys = [column.key for column in header.columns]
        self.texts = [_text_of(column) for column in header.columns]
        self.stale = tuple(f"{key}=" for key in (*self.keys, STATUS_KEY))
        self.sorted, self.last, self.seen, self.furthest = True, ("", 0), set[str](), 0
        ours = tuple(f"##INFO=<ID={key}," for key in (*self.keys, STATUS_KEY))
        others = [line for line in header.lines if line.startswith("##INFO=<ID=GF_") and not line.startswith(ours)]
        stale = ours if others else (*ours, "##genoformer_")  # what made other scores stays as long as they do
        yield from (line for line in header.lines[:-1] if not line.startswith(stale))
        known = {line[13:].split(",")[0].rstrip(">") for line in header.lines if line.startswith("##contig=<ID=")}
        for name, length in header.contigs.items():
            if name not in known:
                yield f"##contig=<ID={name},length={length}>"
        for column in header.columns:
            kind = "String" if column.words else "Float"
            text = _quoted(column.meaning) + ("" if column.words else f" Unit: {column.unit}.")
            yield f'##INFO=<ID={column.key},Number=A,Type={kind},Description="{text}">'
        reasons = ", ".join(status.value for status in Status if status is not Status.OK)
        text = f"Why genoformer scored this record not or only in part, of its first such ALT: {reasons}"
        yield f'##INFO=<ID={STATUS_KEY},Number=1,Type=String,Description="{text}">'
        made = header.provenance
        yield f"##genoformer_version={made.version}"
        name = re.sub(r"[^\w.+-]", "_", made.model)  # as the VCF specification wants an ID
        yield f'##genoformer_model=<ID={name},sha256="{made.sha256}">'
        yield f"##genoformer_options={made.options}"
        yield header.lines[-1]

    def write(self, record: Record, statuses: Sequence[Status], values: Floats) -> None:
        fields = record.line.split("\t", 8)
        fields += ["."] * (8 - len(fields))
        info = fields[7]
        if "GF_" in info:  # scored before: the new values take the place of the old
            info = ";".join(item for item in info.split(";") if not item.startswith(self.stale))
        added = [
            f"{key}={','.join(map(text, column))}"
            for key, text, column in zip(self.keys, self.texts, values.T.tolist(), strict=True)
            if any(value == value for value in column)
        ]
        reason = next((status.value for status in statuses if status is not Status.OK), None)
        if reason:
            added.append(f"{STATUS_KEY}={reason}")
        if added:
            fields[7] = ";".join(([] if info in (".", "") else [info]) + added)
        else:
            fields[7] = info or "."
        self._say(["\t".join(fields)])
        place = (record.chrom, record.pos)
        if place[0] != self.last[0]:
            self.sorted &= place[0] not in self.seen
            self.seen.add(place[0])
        elif place[1] < self.last[1]:
            self.sorted = False
        self.last = place
        self.furthest = max(self.furthest, record.pos + len(record.ref))

    def _finish(self, *, complete: bool) -> None:
        index = self._index() if complete and self.bgzip else None
        if complete and self.bgzip:  # one of an earlier output would not fit
            for suffix in (".tbi", ".csi"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        super()._finish(complete=complete)
        if index is not None:
            index.replace(f"{self.path}{index.suffix}")

    def _index(self) -> Path | None:
        assert self.path is not None
        if not self.sorted:
            self.notes.append(f"{self.path.name} has no index, because the input is not sorted (bcftools sort).")
            return None
        import pysam

        long = max([self.furthest, *self.header.contigs.values()]) > _TABIX_LONGEST
        index = Path(f"{self.temporary}{'.csi' if long else '.tbi'}")
        verbosity = pysam.set_verbosity(0)  # htslib would print what the note says
        try:
            pysam.tabix_index(str(self.temporary), preset="vcf", force=True, csi=long, keep_original=True)
        except OSError:
            index.unlink(missing_ok=True)
            self.notes.append(
                f"{self.path.name} has no index, because tabix cannot make one; is a POS or END far beyond its contig?"
            )
            return None
        finally:
            pysam.set_verbosity(verbosity)
        return index


class TSVSink(TextSink):
    """Tab-separated, one row an ALT: all columns of the VCF, the status, one column a score."""

    def _head(self, header: Header) -> Iterable[str]:
        self.names = header.lines[-1].split("\t")[8:]
        columns = [*_COLUMNS, "status", *(column.name for column in header.columns), *self.names]
        self.texts = [_text_of(column, escaped=False) for column in header.columns]
        return ["\t".join(columns)]

    def write(self, record: Record, statuses: Sequence[Status], values: Floats) -> None:
        fixed, rest = _columns(record)
        rest += ["."] * (len(self.names) - len(rest))
        for alt, status, row in zip(record.alts or (".",), statuses, values.tolist(), strict=True):
            fixed[4] = alt
            scores = [text(value) for text, value in zip(self.texts, row, strict=True)]
            self._say(["\t".join([*fixed, status.value, *scores, *rest])])


class ParquetSink(Sink):
    """Parquet, one row an ALT, with the columns of the TSV; scores are float32 with null for missing."""

    _ROWS = 65_536  # in a row group

    def begin(self, header: Header) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self.path is None:
            raise ConfigError("Parquet cannot be written to standard output; name a file with -o.")
        self.columns = header.columns
        self.names = list(map(_utf8, header.lines[-1].split("\t")[8:]))
        text = [(name, pa.string()) for name in _COLUMNS if name != "pos"]
        text.insert(1, ("pos", pa.int64()))
        columns = [
            *text,
            ("status", pa.string()),
            *((column.name, pa.string() if column.words else pa.float32()) for column in self.columns),
        ]
        made = header.provenance._asdict()
        self.schema = pa.schema([*columns, *((name, pa.string()) for name in self.names)]).with_metadata(
            {f"genoformer_{key}": _utf8(value) for key, value in made.items()}
        )
        self.writer = pq.ParquetWriter(str(self.temporary), self.schema, compression="zstd")
        self.rows: list[tuple[Any, ...]] = []

    def write(self, record: Record, statuses: Sequence[Status], values: Floats) -> None:
        fixed, samples = (list(map(_utf8, fields)) for fields in _columns(record))
        rest: list[str | None] = [*samples, *[None] * (len(self.names) - len(samples))]
        if len(rest) > len(self.names):
            raise FileFormatError(
                f"the record at {fixed[0]}:{record.pos} has {8 + len(rest)} columns and the header names "
                f"{8 + len(self.names)}, which Parquet cannot hold; correct the VCF, or write VCF or TSV."
            )
        for alt, status, row in zip(record.alts or (".",), statuses, values.tolist(), strict=True):
            scores = (
                None if math.isnan(value) else column.words[int(value)] if column.words else value
                for column, value in zip(self.columns, row, strict=True)
            )
            self.rows.append((fixed[0], record.pos, *fixed[2:4], _utf8(alt), *fixed[5:], status.value, *scores, *rest))
        if len(self.rows) >= self._ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self.rows:
            columns = zip(*self.rows, strict=True)
            arrays = [pa.array(column, type=field.type) for column, field in zip(columns, self.schema, strict=True)]
            self.writer.write_table(pa.Table.from_arrays(arrays, schema=self.schema))
            self.rows.clear()

    def close(self, *, complete: bool) -> None:
        whole = False
        try:
            with ExitStack() as closing:
                closing.callback(self.writer.close)
                if complete:
                    self._flush()
            whole = complete
        finally:
            self._finish(complete=whole)


def number(value: float) -> str:
    """Five significant digits; "." for NaN."""
    return "." if value != value else f"{value + 0.0:.5g}"


def _text_of(column: Column, *, escaped: bool = True) -> Callable[[float], str]:
    """How a value of a column is written; words as VCF 4.3 wants them in INFO, if `escaped`."""
    if not column.words:
        return number
    words = [_escaped(word) for word in column.words] if escaped else [" ".join(word.split()) for word in column.words]
    return lambda value: "." if value != value else words[int(value)]


def _escaped(word: str) -> str:
    """A word in INFO: what separates fields there, and white space, as %XX."""
    return re.sub(r"[\s,;=%:]", lambda found: f"%{ord(found.group()):02X}", word)


def _quoted(text: str) -> str:
    """Text in the quotes of a header line."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _utf8(text: str) -> str:
    """Text as Parquet wants it; bytes that are not UTF-8 become U+FFFD."""
    return text.encode(ENCODING, ERRORS).decode(ENCODING, "replace")


def _columns(record: Record) -> tuple[list[str], list[str]]:
    """The eight fixed columns, and FORMAT and the samples where there are any."""
    fields = record.line.split("\t")
    return [*fields[:8], *["."] * (8 - len(fields))], fields[8:]


def open_sink(path: str | Path) -> Sink:
    """The sink that the end of a name asks for; "-" is VCF on standard output."""
    name = str(path)
    if name == "-":
        return VCFSink(path)
    for suffix, kind in SINKS.items():
        if name.endswith(suffix):
            return kind(path)
    raise ConfigError(f"{name}: the format is not known by its name; end it in {', '.join(SINKS)}, or give - .")


SINKS: dict[str, type[Sink]] = {
    ".vcf": VCFSink,
    ".vcf.gz": VCFSink,
    ".vcf.bgz": VCFSink,
    ".tsv": TSVSink,
    ".tsv.gz": TSVSink,
    ".parquet": ParquetSink,
}
