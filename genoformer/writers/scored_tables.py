"""Table that `score` has written (TSV or Parquet) -> a temporary VCF with its columns in INFO, for what reads scored VCFs."""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from genoformer.errors import FileFormatError
from genoformer.extras import require_parquet
from genoformer.formats.text import long_fields, numbered_lines
from genoformer.formats.vcf_text import ENCODING, ERRORS, escaped
from genoformer.writers.base import STATUS_KEY, Column, info_key, quoted
from genoformer.writers.vcf import model_line

FIRST = ("chrom", "pos", "id", "ref", "alt", "qual", "filter", "info", "status")  # columns of every table of scores
_TABLE = "a table that `genoformer score` wrote"
_COMPANION = re.compile(r"(.+)(_(?:SE|NOISE|TRACK|GENE|TRANSCRIPT|CLASS|Q))")  # column that belongs to another one
_HEADER = ("version", "options", "caution", "noise")  # entries of Parquet that are header lines of a VCF as they are

Row = Sequence[str]  # texts; empty if missing


class _Table(NamedTuple):
    """Columns after the first ones with their types, entries on the scoring run, and the rows."""

    names: list[str]
    are_numbers: list[bool]
    origin: Mapping[str, str]
    rows: Iterator[Row]


@contextmanager
def scored_vcf(path: str | Path, scores: Mapping[str, str] | None = None) -> Iterator[Path]:
    """Yield the path of a VCF with the rows of a table of scores, a record for each; any other file is yielded as it is.

    scores: meaning of each score by name. A column of one of them, of one of its tracks, and what belongs to it, has the key
    and the declaration that `score` gives it in a VCF; other columns keep their names. None: all keep their names. Samples are
    left out. A TSV does not tell how the scores were made, and a Parquet file does.

    Raises FileFormatError for a table that cannot be read to its end.
    """
    path = Path(path)
    if not _is_scored(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="genoformer-") as folder:
        copy = Path(folder, path.name)  # messages have the name of the table
        with copy.open("w", encoding=ENCODING, errors=ERRORS, newline="\n") as file, long_fields():
            file.writelines(f"{line}\n" for line in _vcf_lines(_open(path), scores))
        yield copy


def declared_key(header: Sequence[str], key: str) -> str:
    """Return the INFO key of a score: LLR also means GF_LLR, and GF_LLR also LLR, if the header declares only that one.

    >>> declared_key(['##INFO=<ID=GF_LLR,Number=A,Type=Float,Description="x">'], "LLR")
    'GF_LLR'
    """
    declared = {line.partition("##INFO=<ID=")[2].partition(",")[0] for line in header}
    other = key.removeprefix("GF_") if key.startswith("GF_") else f"GF_{key}"
    return other if other in declared and key not in declared else key


def _is_scored(path: Path) -> bool:
    """True for a Parquet file and for a TSV whose header begins with the columns of a table of scores."""
    name = path.name.lower()
    if not path.is_file() or not name.endswith((".parquet", ".tsv", ".tsv.gz", ".txt", ".txt.gz")):
        return False
    return name.endswith(".parquet") or tuple(next(numbered_lines(path, _TABLE), (0, ""))[1].split("\t")[: len(FIRST)]) == FIRST


def _open(path: Path) -> _Table:
    return _open_parquet(path) if path.name.lower().endswith(".parquet") else _open_tsv(path)


def _open_tsv(path: Path) -> _Table:
    """Open a TSV; a first pass tells which columns hold numbers only."""
    rows = _tsv_rows(path)
    names = _without_samples(list(next(rows))[len(FIRST) :])
    are_numbers = [True] * len(names)
    for row in rows:
        for i, text in enumerate(row[len(FIRST) : len(FIRST) + len(names)]):
            are_numbers[i] = are_numbers[i] and (not text or _is_number(text))
    again = _tsv_rows(path)
    next(again)
    return _Table(names, are_numbers, {}, again)


def _tsv_rows(path: Path) -> Iterator[Row]:
    """Yield the header and the rows of a TSV. Raises FileFormatError with the line of a row with other columns."""
    number, n_columns = 0, 0

    def lines() -> Iterator[str]:
        nonlocal number
        for at, line in numbered_lines(path, _TABLE):
            number = at
            yield line + "\n"

    try:
        for row in csv.reader(lines(), delimiter="\t"):
            n_columns = n_columns or len(row)
            if len(row) != n_columns:
                raise FileFormatError(
                    f"{path}, line {number}: found {len(row)} columns, expected {n_columns} as in the header; give {_TABLE}."
                )
            yield row
    except csv.Error as error:
        raise FileFormatError(f"{path}, line {number}: {error}; give {_TABLE}.") from error


def _open_parquet(path: Path) -> _Table:
    require_parquet(path)
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise FileFormatError(f"{path} is not a complete Parquet file ({error}); give {_TABLE}.") from error
    schema = file.schema_arrow
    if tuple(schema.names[: len(FIRST)]) != FIRST:
        raise FileFormatError(f"{path} has other columns than {', '.join(FIRST)} at its beginning; give {_TABLE}.")
    names = _without_samples(schema.names[len(FIRST) :])
    kinds = [schema.field(len(FIRST) + i).type for i in range(len(names))]
    origin = {key.decode(errors="replace"): value.decode(errors="replace") for key, value in (schema.metadata or {}).items()}

    def rows() -> Iterator[Row]:
        try:
            for batch in file.iter_batches(columns=[*FIRST, *names]):
                values = [_texts(column) for column in batch.columns]
                yield from zip(*values, strict=True)
        except (OSError, pa.ArrowException) as error:
            raise FileFormatError(f"{path} cannot be read ({error}); give {_TABLE}.") from error

    of_numbers = [pa.types.is_floating(kind) or pa.types.is_integer(kind) for kind in kinds]
    return _Table(names, of_numbers, {key.removeprefix("genoformer_"): value for key, value in origin.items()}, rows())


def _texts(column: Any) -> list[str]:
    """Return the values of an Arrow column as text; float32 with the fewest digits that give it back."""
    import numpy as np
    import pyarrow as pa

    if pa.types.is_float32(column.type):
        return ["" if value is None else str(np.float32(value)).removesuffix(".0") for value in column.to_pylist()]
    if pa.types.is_list(column.type):
        return ["" if values is None else ",".join(str(value) for value in values) for values in column.to_pylist()]
    return ["" if value is None else str(value) for value in column.to_pylist()]


def _without_samples(names: Sequence[str]) -> list[str]:
    """Return the columns before FORMAT."""
    return list(names[: names.index("FORMAT")] if "FORMAT" in names else names)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _vcf_lines(table: _Table, scores: Mapping[str, str] | None) -> Iterator[str]:
    """Yield the header and the records of a VCF."""
    yield "##fileformat=VCFv4.2"
    keys: list[tuple[str, bool]] = []  # True: one value for the ALT; False: any number
    for name, is_number in zip(table.names, table.are_numbers, strict=True):
        key, line = _declared(name, scores or {}, table.names, is_number=is_number)
        keys.append((key, ",Number=A," in line))
        yield line
    origin = table.origin
    yield from (f"##genoformer_{name}={origin[name]}" for name in _HEADER if name in origin)
    if "model" in origin:
        yield model_line(origin["model"], origin.get("sha256", ""))
    yield "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    for row in table.rows:
        *place, info, status = (row[i] or "." for i in range(len(FIRST)))
        cells = [f"{STATUS_KEY}={status}"] if status not in ("OK", ".") else []
        of_keys = zip(keys, row[len(FIRST) :], strict=False)
        cells += [f"{key}={escaped(text) if is_one else _values(text)}" for (key, is_one), text in of_keys if text]
        yield "\t".join([*place, ";".join([*([info] if info != "." else []), *cells]) or "."])


def _declared(name: str, scores: Mapping[str, str], names: Sequence[str], *, is_number: bool) -> tuple[str, str]:
    """Return the key of a column and its header line."""
    score = max((score for score in scores if name == score or name.startswith(f"{score}_")), key=len, default=None)
    kind = "Float" if is_number else "String"
    if score is None and name != "FIX":
        return info_key(name), f'##INFO=<ID={info_key(name)},Number=.,Type={kind},Description="{quoted(name)}">'
    companion = _COMPANION.fullmatch(name)
    belongs_to = companion[1] if companion and companion[1] in names else ""
    key = Column(name, "", "", belongs_to=belongs_to).key
    meaning = scores.get(score or "", "Correction with which the allele was scored")
    meaning = meaning if name == score else f"{name}: {meaning}"
    return key, f'##INFO=<ID={key},Number=A,Type={kind},Description="{quoted(meaning)}">'


def _values(text: str) -> str:
    """Return comma-separated values as INFO has them."""
    return ",".join(escaped(value) for value in text.split(","))
