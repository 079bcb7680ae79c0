"""Embeddings -> .npy with a table of names, or Parquet; each file appears complete or not at all."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib import format as npy
from numpy.typing import NDArray

from genoformer.datasets.sequences import LabelledSequences
from genoformer.errors import ConfigError
from genoformer.files import atomic_write
from genoformer.inference import Floats, TokenEmbeddings

SUFFIXES = (".npy", ".parquet")
_ROWS = 16_384  # in a row group: 50 MB at a width of 768


def check_output(path: Path, suffixes: Sequence[str]) -> None:
    """Refuse, before anything is computed, an unknown output format and a missing folder."""
    if path.suffix not in suffixes:
        raise ConfigError(f"{path}: the format is not known by its name; end it in {' or '.join(suffixes)}.")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: there is no folder {path.parent}; make it first.")


def write_vectors(path: Path, data: LabelledSequences, values: Floats, layers: Sequence[int]) -> None:
    """Write vectors [N, n_layers, D]: .npy float32 [N, D] ([N, n_layers, D] for several layers) and X.names.tsv, or Parquet.

    Parquet has the columns name, the labels, layer if there are several, e0 to e{D-1}; one row per sequence and layer.
    """
    if path.suffix == ".npy":
        _write_names(path.with_suffix(".names.tsv"), data)
        with atomic_write(path) as part, part.open("wb") as file:
            _save(file, values[:, 0] if len(layers) == 1 else values)
        return
    columns = label_columns(data)
    with _ParquetRows(path, columns, ["layer"] * (len(layers) > 1), values.shape[-1]) as rows:
        at_once = max(1, _ROWS // len(layers))
        for first in range(0, len(data), at_once):
            block = values[first : first + at_once]  # [B, n_layers, D]
            of = np.repeat(np.arange(first, first + len(block)), len(layers))
            rows.add(data, of, {"layer": np.tile(np.array(layers), len(block))}, block.reshape(len(of), -1))


def _save(file: BinaryIO, values: Floats) -> None:
    """Write the array as np.save does, but raise an error if the disk is full."""
    npy.write_array_header_1_0(file, npy.header_data_from_array_1_0(values))
    for row in range(0, len(values), _ROWS):
        file.write(np.ascontiguousarray(values[row : row + _ROWS]).tobytes())


def write_tokens(
    path: Path, data: LabelledSequences, found: Iterable[Sequence[TokenEmbeddings]], layers: Sequence[int], width: int
) -> int:
    """Write one row per token (and layer) with its bases [start, end), and return the number of rows.

    `found` has each layer of a sequence. The format is Parquet only: rows are written while they are computed, and each row
    names
    the sequence, bases and layer of its vector.
    """
    n = 0
    numbers = ["start", "end", *["layer"] * (len(layers) > 1)]
    with _ParquetRows(path, label_columns(data), numbers, width) as rows:
        for i, each_layer in enumerate(found):
            for layer, one in zip(layers, each_layer, strict=True):
                start, end = one.spans.T
                n += len(start)
                rows.add(
                    data, np.full(len(start), i), {"start": start, "end": end, "layer": np.full(len(start), layer)}, one.values
                )
    return n


def label_columns(data: LabelledSequences) -> list[str]:
    """Return the names of the label columns in the output; `name`, as in BED, is reserved and becomes `label`."""
    columns = ["label" if column == "name" else column for column in data.columns]
    ours = re.compile(r"layer|start|end|e\d+")
    if bad := [column for column in columns if ours.fullmatch(column) or columns.count(column) > 1]:
        raise ConfigError(f"{data.path}: the label column {bad[0]} cannot be told from others in the output; rename it.")
    return columns


def _write_names(path: Path, data: LabelledSequences) -> None:
    with atomic_write(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(["name", *label_columns(data)])
        table.writerows((name, *labels) for name, labels in zip(data.names, data.labels, strict=True))


class _ParquetRows:
    """Rows collected into row groups, in a temporary file that gets its name when the block ends without an error."""

    def __init__(self, path: Path, labels: Sequence[str], numbers: Sequence[str], width: int) -> None:
        self.path, self.labels, self.numbers = path, labels, numbers
        texts = [(column, pa.string()) for column in ("name", *labels)]
        places = [(column, pa.int32() if column == "layer" else pa.int64()) for column in numbers]
        self.schema = pa.schema([*texts, *places, *((f"e{i}", pa.float32()) for i in range(width))])
        self.tables: list[Any] = []

    def __enter__(self) -> _ParquetRows:
        with ExitStack() as stack:
            part = stack.enter_context(atomic_write(self.path))
            self.writer = stack.enter_context(pq.ParquetWriter(str(part), self.schema, compression="zstd"))
            stack.push(lambda kind, *_: self._flush() if kind is None else None)
            self.closing = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self.closing.__exit__(*error)

    def add(self, data: LabelledSequences, of: NDArray[Any], numbers: dict[str, NDArray[Any]], x: NDArray[Any]) -> None:
        """Add the vectors [B, D] of the sequences `of` [B]."""
        texts = [[data.names[i] for i in of], *([data.labels[i][j] for i in of] for j in range(len(self.labels)))]
        columns = [*texts, *(numbers[column] for column in self.numbers), *x.T]
        arrays = [pa.array(column, type=field.type) for column, field in zip(columns, self.schema, strict=True)]
        self.tables.append(pa.Table.from_arrays(arrays, schema=self.schema))
        if sum(len(table) for table in self.tables) >= _ROWS:
            self._flush()

    def _flush(self) -> None:
        if self.tables:
            self.writer.write_table(pa.concat_tables(self.tables).combine_chunks(), row_group_size=_ROWS)
            self.tables.clear()
