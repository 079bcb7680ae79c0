"""Table of contexts, such as cell types or factors: a name and the numbers that describe it."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError, FileFormatError
from genoformer.formats.text import numbered_lines

NAME = "context"  # the column with the names
_KIND = "a table of contexts (TSV with a column context, and columns of numbers)"


@dataclass(frozen=True, eq=False)
class ContextTable:
    """Contexts by name, each with a vector of D numbers, one for each column."""

    names: tuple[str, ...]
    columns: tuple[str, ...]
    vectors: NDArray[np.float64]  # [K, D]

    def __post_init__(self) -> None:
        if self.vectors.shape != (len(self.names), len(self.columns)) or not self.vectors.size:
            raise ConfigError(
                f"found vectors {list(self.vectors.shape)} for {len(self.names)} contexts and {len(self.columns)} columns; "
                "give each context a number for each column."
            )
        if not np.isfinite(self.vectors).all():
            raise ConfigError("a vector of the contexts holds NaN or infinity; give finite numbers.")
        if len(set(self.names)) < len(self.names):
            raise ConfigError("two contexts have the same name; name each context once.")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def sha256(self) -> str:
        """Hash of the names, the columns and the numbers."""
        text = repr((self.names, self.columns)).encode()
        return hashlib.sha256(text + self.vectors.astype("<f8").tobytes()).hexdigest()

    def rows(self, names: Sequence[str]) -> ContextTable:
        """Return the contexts with these names, in their order."""
        at = [self.names.index(name) for name in names]
        return ContextTable(tuple(names), self.columns, self.vectors[at])

    def with_columns(self, columns: Sequence[str]) -> ContextTable:
        """Return the table with its columns in another order.

        Raises ConfigError for a table that has not the same columns.
        """
        missing = [name for name in columns if name not in self.columns]
        unknown = [name for name in self.columns if name not in columns]
        if missing or unknown:
            problem = f"lacks the columns {_few(missing)}" if missing else f"has the other columns {_few(unknown)}"
            raise ConfigError(
                f"the table of contexts has {len(self.columns)} columns of numbers and {problem}; give those of the "
                f"training of the model, {len(columns)}: {_few(columns)}."
            )
        at = [self.columns.index(name) for name in columns]
        return ContextTable(self.names, tuple(columns), self.vectors[:, at])


def read_contexts(path: str | os.PathLike[str]) -> ContextTable:
    """Read a tab-separated table with a header: the column `context` with a name, and columns with numbers, in any order.

    Lines that begin with # and empty lines are left out. Raises MissingFileError; FileFormatError, with the line, for a table
    without names or numbers, for a name that occurs twice, and for a value that is no finite number.
    """
    path = Path(path)
    lines = [(number, line) for number, line in numbered_lines(path, _KIND) if line.strip() and not line.startswith("#")]
    if not lines:
        raise FileFormatError(f"{path} is empty; give {_KIND}.")
    number, head = lines[0]
    header = [name.strip() for name in head.split("\t")]
    if header.count(NAME) != 1 or len(set(header)) < len(header) or "" in header:
        raise FileFormatError(
            f"{path}, line {number}: the header is {head[:80]!r}; give {_KIND}, each column with a name of its own."
        )
    at = header.index(NAME)
    columns = [name for name in header if name != NAME]
    if not columns or len(lines) == 1:
        missing = "columns of numbers" if not columns else "contexts"
        raise FileFormatError(f"{path} has no {missing}; give {_KIND}.")
    rows: dict[str, list[float]] = {}
    for number, line in lines[1:]:
        texts = [text.strip() for text in line.split("\t")]
        if len(texts) != len(header):
            raise FileFormatError(
                f"{path}, line {number}: {len(texts)} fields, the header has {len(header)}; correct the line."
            )
        name = texts.pop(at)
        if not name or name in rows:
            problem = f"the context {name!r} is named twice" if name else "the name of the context is empty"
            raise FileFormatError(f"{path}, line {number}: {problem}; give each context one name of its own.")
        rows[name] = [_number(text, column, f"{path}, line {number}") for text, column in zip(texts, columns, strict=True)]
    return ContextTable(tuple(rows), tuple(columns), np.array(list(rows.values())))


def open_contexts(contexts: str | os.PathLike[str] | ContextTable | None) -> ContextTable | None:
    """Return a table of contexts, read from its path; a table and None are returned as they are."""
    return read_contexts(contexts) if isinstance(contexts, str | os.PathLike) else contexts


def _number(text: str, column: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FileFormatError(f"{place}: {column} is {text!r}; give a finite number.")
    return value


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
