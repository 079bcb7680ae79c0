"""Tables of scored or annotated records: TSV and Parquet, one row per ALT."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from genoformer.errors import ConfigError
from genoformer.extras import require_parquet
from genoformer.formats.input_columns import InputColumn, input_values, read_input_columns
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
    RecordWriter,
    Sink,
    TextSink,
    TextWriter,
    UnfitRecordError,
    split_columns,
    utf8,
)
from genoformer.writers.parquet import ParquetRows, Row

_COLUMNS = ("chrom", "pos", "id", "ref", "alt", "qual", "filter", "info")
_QUAL, _INFO = _COLUMNS.index("qual"), _COLUMNS.index("info")
EXACT = 17  # significant digits that give a float back
_N_GROUP = 65_536  # rows in a row group


def _names(header: Header) -> list[str]:
    """Return the names of the columns before those of the annotations and the samples."""
    return [*_COLUMNS, *(["status", *(column.name for column in header.columns)] if header.columns else [])]


def _input_columns(header: Header) -> tuple[list[InputColumn], list[str]]:
    """Return the columns of the table that the VCF was made of, and their names in the output, each different."""
    columns = read_input_columns(header.lines)
    taken = {*_names(header), *(field.key for field in header.fields), *_samples(header)}
    names: list[str] = []
    for column in columns:
        name = f"input_{column.name}" if column.name in taken else column.name
        while name in taken:
            name = f"{name}_"
        taken.add(name)
        names.append(name)
    return columns, names


def _samples(header: Header) -> list[str]:
    """Return FORMAT and the names of the samples."""
    return header.lines[-1].split("\t")[8:]


def _check_annotations(header: Header) -> None:
    """Raise ConfigError if an annotation would have the name of another column of the table."""
    names = [*_names(header), *_samples(header)]
    if twice := [field.key for field in header.fields if field.key in names]:
        raise ConfigError(
            f"the table already has a column {twice[0]} (of the VCF, a score or a sample); give that annotation another name "
            "(-a NAME=FILE)."
        )


class TSVWriter(TextWriter):
    """Writer of a TSV, one row per ALT."""

    def __init__(self, sink: TSVSink, file: Any, header: Header) -> None:
        super().__init__(sink, file, header)
        self.samples = _samples(header)
        self.input_columns, self.input_names = _input_columns(header)
        n_digits = sink.n_digits
        self.texts = [partial(column.text, n_digits=n_digits) for column in header.columns]

    def head(self) -> Iterable[str]:
        fields = (field.key for field in self.header.fields)
        return [tsv_line([*_names(self.header), *fields, *self.input_names, *self.samples])]

    def write(self, record: Record, statuses: Sequence[Status], values: Floats, cells: Cells = NO_CELLS) -> None:
        fixed, samples = split_columns(record)
        if fixed[_QUAL] == ".":
            fixed[_QUAL] = MISSING
        samples += ["."] * (len(self.samples) - len(samples))
        if self.input_columns:
            fixed[_INFO], values_of_input = input_values(fixed[_INFO], self.input_columns)
            samples = [*values_of_input, *samples]
        values_of_fields = [cells.get(i, ()) for i in range(len(self.header.fields))]
        for i, alt in enumerate(record.alts or (".",)):
            fixed[4] = alt
            annotations = [_cell(_of_alt(*pair, i)) for pair in zip(self.header.fields, values_of_fields, strict=True)]
            scores = [text(value) for text, value in zip(self.texts, values[i].tolist(), strict=True)] if self.texts else []
            status = [statuses[i].value] if self.texts else []
            self.write_lines([tsv_line([*fixed, *status, *scores, *annotations, *samples])])


class TSVSink(TextSink):
    """Tab-separated table, one row per ALT: all columns of the VCF, the status, one column per score.

    If the variants came from a table, its other columns follow under their names.

    The columns of the VCF are copied with their dots. Missing values of QUAL and of the added columns are empty, so that
    number columns are read as numbers. Quotes are written as in RFC 4180 (`tables.tsv_cell`).

    n_digits: significant digits of a score; EXACT gives the float32 that Parquet has.
    """

    writer = TSVWriter

    def __init__(self, path: str | Path, n_digits: int = 5) -> None:
        super().__init__(path)
        self.n_digits = n_digits

    def check(self, header: Header) -> None:
        _check_annotations(header)


class ParquetWriter(RecordWriter):
    """Writer of a Parquet table, one row per ALT."""

    def __init__(self, rows: ParquetRows, header: Header) -> None:
        self.rows, self.columns, self.fields, self.n_samples = rows, header.columns, header.fields, len(_samples(header))
        self.input_columns, _ = _input_columns(header)
        self._size = 0  # letters of the rows that wait

    def write(self, record: Record, statuses: Sequence[Status], values: Floats, cells: Cells = NO_CELLS) -> None:
        fixed, samples = (list(map(utf8, fields)) for fields in split_columns(record))
        qual = None if fixed[_QUAL] == "." else fixed[_QUAL]
        padded: list[str | None] = [*samples, *[None] * (self.n_samples - len(samples))]
        if len(padded) > self.n_samples:
            raise UnfitRecordError(
                f"the record at {fixed[0]}:{record.pos} has {8 + len(padded)} columns and the header names "
                f"{8 + self.n_samples}, which Parquet cannot hold; correct the VCF, or write VCF or TSV."
            )
        values_of_fields = [cells.get(i, ()) for i in range(len(self.fields))]
        of_input: list[float | str | None] = []
        if self.input_columns:
            fixed[_INFO], texts = input_values(fixed[_INFO], self.input_columns)
            of_input = [
                (float(text) if column.is_number else text) if text else None
                for column, text in zip(self.input_columns, texts, strict=True)
            ]
        rows: list[Row] = []
        for i, alt in enumerate(record.alts or (".",)):
            annotations = [
                _typed(field, _of_alt(field, of, i)) for field, of in zip(self.fields, values_of_fields, strict=True)
            ]
            scores = (
                None if math.isnan(value) else column.words[int(value)] if column.words else value
                for column, value in zip(self.columns, values[i].tolist() if self.columns else (), strict=True)
            )
            status = [statuses[i].value] if self.columns else []
            if self._size > MOST_WAITING:  # a record may have 10,000 ALTs, and a megabyte in INFO
                self.rows.add(rows)
                self.rows.flush()
                rows, self._size = [], 0
            self._size += len(record.line)
            place = (fixed[0], record.pos, *fixed[2:4], utf8(alt), qual, *fixed[6:])
            rows.append((*place, *status, *scores, *annotations, *of_input, *padded))
        if self.rows.add(rows):
            self._size = 0


class ParquetSink(Sink):
    """Parquet table, one row per ALT, with the columns of the TSV; scores are float32; a missing score or QUAL is null."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        require_parquet(path)

    def check(self, header: Header) -> None:
        if self.path is None:
            raise ConfigError("Parquet cannot be written to standard output; name a file with -o.")
        _check_annotations(header)
        fields = (field.key for field in header.fields)
        names = [*_names(header), *fields, *_input_columns(header)[1], *map(utf8, _samples(header))]
        if twice := [name for name, n in Counter(names).items() if n > 1]:
            raise ConfigError(
                f"the table would have two columns {twice[0]}, which Parquet cannot hold; rename the sample "
                "(bcftools reheader), or write VCF."
            )

    @contextmanager
    def _open(self, part: Path | None, header: Header) -> Iterator[ParquetWriter]:
        import pyarrow as pa

        assert part is not None
        kinds = {"String": "string", "Integer": "int64", "Float": "float64"}
        columns = [
            *((name, "int64" if name == "pos" else "string") for name in _COLUMNS),
            *([("status", "string")] if header.columns else []),
            *((column.name, "string" if column.words else "float32") for column in header.columns),
            *(
                (f.key, pa.list_(pa.type_for_alias(kinds[f.type])) if f.many and not f.is_per_alt else kinds[f.type])
                for f in header.fields
            ),
            *((name, "float64" if of.is_number else "string") for of, name in zip(*_input_columns(header), strict=True)),
            *((utf8(name), "string") for name in _samples(header)),
        ]
        origin = {key: value for key, value in header.provenance._asdict().items() if value}
        origin |= {"noise": header.noise} if header.noise else {}
        for source in header.sources:
            of_index = "" if source.hashed == "sha256" else f" (of its {source.hashed.removesuffix('_sha256')})"
            origin[f"annotation_{source.name}"] = f"{source.file} {source.sha256}{of_index}"
        metadata = {f"genoformer_{key}": utf8(value) for key, value in origin.items()}
        with ParquetRows(part, columns, n_group=_N_GROUP, metadata=metadata) as rows:
            yield ParquetWriter(rows, header)


def _cell(values: Sequence[str]) -> str:
    """Join the values of a field for a text table; a comma in a value becomes a semicolon, a lone dot is a missing number."""
    text = ",".join(" ".join(value.split()).replace(",", ";") for value in values)
    return MISSING if text == "." else text


def _typed(field: Field, values: Sequence[str]) -> Any:
    """Convert the values of a field to its type; None if there are none."""
    as_type: Callable[[str], Any] = {"String": utf8, "Integer": int, "Float": float}[field.type]  # type: ignore[assignment]
    try:
        typed = [None if value == "." and field.type != "String" else as_type(value) for value in values]
    except ValueError as error:
        raise UnfitRecordError(
            f"{field.key} is {','.join(values)[:60]!r}, which Parquet cannot hold as {field.type}; correct the file "
            "that it comes from, or write VCF or TSV."
        ) from error
    return (typed if field.many and not field.is_per_alt else typed[0]) if typed else None


def _of_alt(field: Field, values: Sequence[str], i: int) -> Sequence[str]:
    """Return the values that belong into the row of an ALT: its own one, or all that are not per ALT."""
    return values[i : i + 1] if field.is_per_alt else values
