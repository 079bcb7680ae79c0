"""Tables of scored or annotated records: TSV and Parquet, one row per ALT."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any

from genoformer.errors import ConfigError
from genoformer.formats.vcf import Record
from genoformer.genome.variants import Status
from genoformer.tables import MISSING, tsv_line
from genoformer.writers.base import (
    MOST_WAITING,
    NO_CELLS,
    Cells,
    Field,
    Floats,
    Header,
    Sink,
    TextSink,
    UnfitRecordError,
    columns_of,
    utf8,
)

_COLUMNS = ("chrom", "pos", "id", "ref", "alt", "qual", "filter", "info")
_QUAL = _COLUMNS.index("qual")


def _refuse_twins(header: Header) -> None:
    """Raise ConfigError if two columns of the table would have the same name."""
    scores = ["status", *(column.name for column in header.columns)] if header.columns else []
    names = [*_COLUMNS, *scores, *header.lines[-1].split("\t")[8:]]
    if both := [field.key for field in header.fields if field.key in names]:
        raise ConfigError(
            f"the table has a column {both[0]} already (of the VCF, a score or a sample); give that annotation another name "
            "(-a NAME=FILE)."
        )


class TSVSink(TextSink):
    """Tab-separated table, one row per ALT: all columns of the VCF, the status, one column per score.

    The columns of the VCF are copied with their dots. Missing values of QUAL and of the added columns are empty, so that
    number columns are read as numbers. Quotes are written as in RFC 4180 (`tables.tsv_cell`).
    """

    def check(self, header: Header) -> None:
        _refuse_twins(header)

    def _head(self, header: Header) -> Iterable[str]:
        self.check(header)
        self.names = header.lines[-1].split("\t")[8:]
        scores = ["status", *(column.name for column in header.columns)] if header.columns else []
        columns = [*_COLUMNS, *scores, *(field.key for field in header.fields), *self.names]
        self.texts = [column.text for column in header.columns]
        return [tsv_line(columns)]

    def write(self, record: Record, statuses: Sequence[Status], values: Floats, cells: Cells = NO_CELLS) -> None:
        fixed, rest = columns_of(record)
        if fixed[_QUAL] == ".":
            fixed[_QUAL] = MISSING
        rest += ["."] * (len(self.names) - len(rest))
        given = [_cell(cells.get(i, ())) for i in range(len(self.header.fields))]
        for i, alt in enumerate(record.alts or (".",)):
            fixed[4] = alt
            scores = [text(value) for text, value in zip(self.texts, values[i].tolist(), strict=True)] if self.texts else []
            status = [statuses[i].value] if self.texts else []
            self._say([tsv_line([*fixed, *status, *scores, *given, *rest])])


class ParquetSink(Sink):
    """Parquet table, one row per ALT, with the columns of the TSV; scores are float32; a missing score or QUAL is null."""

    _ROWS = 65_536  # rows in a row group

    def check(self, header: Header) -> None:
        _refuse_twins(header)
        scores = ["status", *(column.name for column in header.columns)] if header.columns else []
        names = [*_COLUMNS, *scores, *(field.key for field in header.fields), *map(utf8, header.lines[-1].split("\t")[8:])]
        if both := [name for name, n in Counter(names).items() if n > 1]:
            raise ConfigError(
                f"the table would have two columns {both[0]}, which Parquet cannot hold; rename the sample "
                "(bcftools reheader), or write VCF."
            )

    def begin(self, header: Header) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self.path is None:
            raise ConfigError("Parquet cannot be written to standard output; name a file with -o.")
        self.check(header)
        self.columns = header.columns
        self.names = list(map(utf8, header.lines[-1].split("\t")[8:]))
        text = [(name, pa.string()) for name in _COLUMNS if name != "pos"]
        text.insert(1, ("pos", pa.int64()))
        kinds = {"String": pa.string(), "Integer": pa.int64(), "Float": pa.float64()}
        self.fields = header.fields
        columns = [
            *text,
            *([("status", pa.string())] if self.columns else []),
            *((column.name, pa.string() if column.words else pa.float32()) for column in self.columns),
            *((field.key, pa.list_(kinds[field.type]) if field.many else kinds[field.type]) for field in self.fields),
        ]
        made = {key: value for key, value in header.provenance._asdict().items() if value}
        made |= {"noise": header.noise} if header.noise else {}
        made |= {f"annotation_{source.name}": f"{source.file} {source.sha256}" for source in header.sources}
        self.schema = pa.schema([*columns, *((name, pa.string()) for name in self.names)]).with_metadata(
            {f"genoformer_{key}": utf8(value) for key, value in made.items()}
        )
        self.writer = pq.ParquetWriter(str(self.temporary), self.schema, compression="zstd")
        self.rows: list[tuple[Any, ...]] = []
        self.size = 0  # letters in `rows`

    def write(self, record: Record, statuses: Sequence[Status], values: Floats, cells: Cells = NO_CELLS) -> None:
        fixed, samples = (list(map(utf8, fields)) for fields in columns_of(record))
        qual = None if fixed[_QUAL] == "." else fixed[_QUAL]
        rest: list[str | None] = [*samples, *[None] * (len(self.names) - len(samples))]
        if len(rest) > len(self.names):
            raise UnfitRecordError(
                f"the record at {fixed[0]}:{record.pos} has {8 + len(rest)} columns and the header names "
                f"{8 + len(self.names)}, which Parquet cannot hold; correct the VCF, or write VCF or TSV."
            )
        given = [_typed(field, cells.get(i, ())) for i, field in enumerate(self.fields)]
        size = len(record.line)
        for i, alt in enumerate(record.alts or (".",)):
            scores = (
                None if math.isnan(value) else column.words[int(value)] if column.words else value
                for column, value in zip(self.columns, values[i].tolist() if self.columns else (), strict=True)
            )
            status = [statuses[i].value] if self.columns else []
            if self.size > MOST_WAITING:  # a record may have 10,000 ALTs, and a megabyte in INFO
                self._flush()
            self.size += size
            self.rows.append((fixed[0], record.pos, *fixed[2:4], utf8(alt), qual, *fixed[6:], *status, *scores, *given, *rest))
        if len(self.rows) >= self._ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self.rows:
            columns = zip(*self.rows, strict=True)
            arrays = [pa.array(column, type=field.type) for column, field in zip(columns, self.schema, strict=True)]
            self.writer.write_table(pa.Table.from_arrays(arrays, schema=self.schema))
            self.rows.clear()
            self.size = 0

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


def _cell(values: Sequence[str]) -> str:
    """Join the values of a field for a text table; a comma in a value becomes a semicolon, a lone dot is a missing number."""
    text = ",".join(" ".join(value.split()).replace(",", ";") for value in values)
    return MISSING if text == "." else text


def _typed(field: Field, values: Sequence[str]) -> Any:
    """Convert the values of a field to its type; None if there are none."""
    as_type: Callable[[str], Any] = {"String": utf8, "Integer": int, "Float": float}[field.type]  # type: ignore[assignment]
    typed = [None if value == "." and field.type != "String" else as_type(value) for value in values]
    return (typed if field.many else typed[0]) if typed else None
