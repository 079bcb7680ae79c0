"""Columns of a published table: TSV, CSV or Parquet, plain or gzipped -> column name -> values as text."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import FileFormatError, MissingFileError
from genoformer.extras import require_parquet
from genoformer.formats.text import long_fields, numbered_lines
from genoformer.genome.contigs import join_names

_TRUE, _FALSE = {"true", "t", "yes", "1", "1.0"}, {"false", "f", "no", "0", "0.0", "-1", "-1.0"}
_MISSING = {"", "na", "nan", "none", "null", "."}


class Table(NamedTuple):
    """Columns of a file, as text; missing values are empty. A name in other case finds a column, if only one fits."""

    path: Path
    columns: dict[str, list[str]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Table:
        """Return the table with these rows, in this order."""
        numbers = [int(row) for row in rows]
        return Table(self.path, {name: [values[i] for i in numbers] for name, values in self.columns.items()})

    def find(self, *names: str) -> str | None:
        """Return the first column with one of these names, or None."""
        for name in names:
            if name in self.columns:
                return name
            found = [column for column in self.columns if column.lower() == name.lower()]
            if len(found) == 1:
                return found[0]
        return None

    def has(self, *names: str) -> bool:
        """True if the file has all of these columns."""
        return all(self.find(name) for name in names)

    def text(self, name: str) -> list[str]:
        """Return a column; raise FileFormatError if the file lacks it."""
        column = self.find(name)
        if column is None:
            raise FileFormatError(
                f"{self.path} has no column {name}; its columns are {join_names(list(self.columns))}; rename one, or give the "
                "file that the authors publish."
            )
        return self.columns[column]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column as numbers, NaN where missing; raise FileFormatError for other text."""
        values = self.text(name)
        try:
            return np.array([np.nan if text.lower() in _MISSING else float(text) for text in values], dtype=np.float64)
        except ValueError:
            wrong = next(text for text in values if not _is_number(text))
            raise FileFormatError(f"{self.path}: {name} is {wrong[:24]!r}, expected a number; correct it.") from None

    def whole(self, name: str) -> list[int]:
        """Return a column of positions."""
        numbers = self.numbers(name)
        if not np.isfinite(numbers).all() or (numbers != np.floor(numbers)).any():
            raise FileFormatError(f"{self.path}: {name} has values that are no whole numbers; correct them.")
        return numbers.astype(np.int64).tolist()

    def flags(self, name: str, *, may_be_missing: bool = False) -> NDArray[np.bool_]:
        """Return a column of True and False, 1 and 0, or 1 and -1; with `may_be_missing`, missing values are False."""
        values = [text.strip().lower() for text in self.text(name)]
        missing = [text in _MISSING for text in values]
        if any(missing) and not may_be_missing:
            raise FileFormatError(
                f"{self.path}: {name} is missing in {sum(missing):,} of {len(values):,} rows, expected True or False; "
                "remove these rows."
            )
        if unknown := set(values) - _TRUE - _FALSE - _MISSING:
            raise FileFormatError(
                f"{self.path}: {name} is {min(unknown)[:24]!r}, expected True or False, or 1 or 0; correct it."
            )
        return np.array([text in _TRUE for text in values], dtype=bool)


def read_table(path: Path, fewest: int = 2) -> Table:
    """Read all columns of a table with a header, whose first line may begin with #; lines before it that do are skipped.

    fewest: smallest number of columns.
    """
    if not path.is_file():
        raise MissingFileError(f"There is no file {path}; give the file that the authors of the benchmark publish.")
    if path.suffix == ".parquet":
        return Table(path, _parquet(path))
    lines = _rows(path)
    delimiter = "," if ".csv" in path.suffixes else "\t"
    try:
        with long_fields():
            reader = csv.reader(lines, delimiter=delimiter)
            header = [name.strip().lstrip("#") for name in next(reader, [])]
            rows = [row for row in reader if row]
    except csv.Error as error:
        raise FileFormatError(f"{path}: {error}; correct the quotes.") from error
    if not rows or len(header) < fewest:
        kind = "commas" if delimiter == "," else "tabs"
        raise FileFormatError(
            f"{path} has no table with a header, rows and {kind} between columns; give the file that the authors publish."
        )
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise FileFormatError(
                f"{path}: row {number:,} has {len(row)} fields, but the header has {len(header)}; correct it."
            )
    return Table(path, {name: [row[i].strip() for row in rows] for i, name in enumerate(header)})


def _rows(path: Path) -> Iterator[str]:
    """Yield the lines of a table from its header on: the last line that begins with #, or the first line."""
    comment = ""
    seen = False
    for _, text in numbered_lines(path, "a table"):
        if not seen and text.startswith("#"):
            comment = text
            continue
        if not seen and comment.count("\t") == text.count("\t") and comment:
            yield comment + "\n"
        seen = True
        yield text + "\n"


def _parquet(path: Path) -> dict[str, list[str]]:
    require_parquet(path)
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise FileFormatError(f"{path} is not a complete Parquet file ({error}); download it again.") from error
    return {name: ["" if x is None else str(x) for x in table[name].to_pylist()] for name in table.schema.names}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.lower() in _MISSING
    return True


def file_in(data: Path, names: Sequence[str]) -> Path:
    """Return the file of a benchmark: `data` itself, or the first of the names, or patterns, in the folder `data`."""
    if data.is_file():
        return data
    for name in names:
        if found := sorted(data.glob(name)):
            return found[0]
    raise MissingFileError(f"{data} has no {' or '.join(names)}; give the file or the folder that the authors publish.")
