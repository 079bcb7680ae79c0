"""Embeddings -> .npy with a table of names, or Parquet; each file appears complete or not at all."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from genoformer.datasets.sequence_rows import LabelledSequences
from genoformer.errors import ConfigError
from genoformer.extras import require_parquet
from genoformer.files import atomic_write
from genoformer.writers.parquet import ParquetRows

SUFFIXES = (".npy", ".parquet")
_N_GROUP = 16_384  # rows in a row group: 50 MB at a width of 768

Floats = NDArray[np.float32]
Spans = NDArray[np.int64]


def check_output(path: Path, suffixes: Sequence[str]) -> None:
    """Raise ConfigError, before anything is computed, for an unknown output format and a missing folder.

    Raises MissingExtraError for Parquet without pyarrow.
    """
    if path.suffix not in suffixes:
        raise ConfigError(f"{path}: the suffix names no known format; end the name in {' or '.join(suffixes)}.")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: the folder {path.parent} does not exist; create it first.")
    require_parquet(path)


def write_vectors(
    path: Path,
    data: LabelledSequences,
    parts: Iterable[Floats],
    layers: Sequence[int],
    width: int,
    *,
    n_group: int = _N_GROUP,
) -> None:
    """Write vectors: .npy float32 [N, D] ([N, n_layers, D] for several layers) and X.names.tsv, or Parquet.

    parts: vectors [n, n_layers, D] of some sequences at a time, in their order; together they are those of all sequences.
    Parquet has the columns name, the labels, layer if there are several, e0 to e{D-1}; one row per sequence and layer, and
    `n_group` rows in a row group.
    """
    n, n_layers = len(data), len(layers)
    if path.suffix == ".npy":
        with atomic_write(path) as part:
            with part.open("wb") as file:
                _write_header(file, (n, width) if n_layers == 1 else (n, n_layers, width))
                for block in parts:
                    file.write(np.ascontiguousarray(block, dtype=np.float32).tobytes())
            _write_names(path.with_suffix(".names.tsv"), data)
        return
    columns = [("layer", "int32")] * (n_layers > 1)
    numbers = [(layer,) if n_layers > 1 else () for layer in layers]
    with atomic_write(path) as part, _parquet(part, data, columns, width, n_group) as rows:
        first = 0
        for block in _blocks(parts, max(1, n_group // n_layers)):  # [B, n_layers, D]
            keys = [(*_texts(data, i), *number) for i in range(first, first + len(block)) for number in numbers]
            rows.add(keys, block.reshape(len(keys), -1))
            first += len(block)


def _blocks(parts: Iterable[Floats], n: int) -> Iterator[Floats]:
    """Yield the rows of arrays in blocks of n, the last with fewer."""
    waiting: list[Floats] = []
    n_waiting = 0
    for part in parts:
        while n_waiting + len(part) >= n:
            yield np.concatenate([*waiting, part[: n - n_waiting]])
            part, waiting, n_waiting = part[n - n_waiting :], [], 0
        waiting.append(part)
        n_waiting += len(part)
    if n_waiting:
        yield np.concatenate(waiting)


def write_tokens(
    path: Path,
    data: LabelledSequences,
    tokens: Iterable[Sequence[tuple[Floats, Spans]]],
    layers: Sequence[int],
    width: int,
    *,
    n_group: int = _N_GROUP,
) -> int:
    """Write one row per token (and layer) with its bases [start, end), and return the number of rows.

    tokens: for each sequence, for each layer, the vectors [T, D] and the bases [T, 2]. The format is Parquet only: rows are
    written while they are computed, and each row names the sequence, bases and layer of its vector.
    """
    n = 0
    columns = [("start", "int64"), ("end", "int64"), *[("layer", "int32")] * (len(layers) > 1)]
    with atomic_write(path) as part, _parquet(part, data, columns, width, n_group) as rows:
        for i, of_layers in enumerate(tokens):
            texts = _texts(data, i)
            for layer, (values, spans) in zip(layers, of_layers, strict=True):
                number = (layer,) if len(layers) > 1 else ()
                rows.add([(*texts, start, end, *number) for start, end in spans.tolist()], values)
                n += len(spans)
    return n


def label_columns(data: LabelledSequences) -> list[str]:
    """Return the names of the label columns in the output; `name`, as in BED, is reserved and becomes `label`.

    Raises ConfigError for a label column that has the name of a column of the output.
    """
    columns = ["label" if column == "name" else column for column in data.columns]
    reserved = re.compile(r"layer|start|end|e\d+")
    if bad := [column for column in columns if reserved.fullmatch(column) or columns.count(column) > 1]:
        raise ConfigError(f"{data.path}: the output already has a column {bad[0]}; rename that label column.")
    return columns


def _texts(data: LabelledSequences, i: int) -> tuple[str, ...]:
    """Return the name and the labels of a sequence."""
    return (data.names[i], *data.labels[i]) if data.columns else (data.names[i],)


def _parquet(path: Path, data: LabelledSequences, columns: Sequence[tuple[str, str]], width: int, n_group: int) -> ParquetRows:
    texts = list(zip(["name", *label_columns(data)], repeat("string")))
    return ParquetRows(path, [*texts, *columns], [f"e{i}" for i in range(width)], n_group=n_group, exact=True)


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """Write the header of a .npy as np.save does."""
    header = npy.header_data_from_array_1_0(np.empty((0,), dtype=np.float32)) | {"shape": shape}
    npy.write_array_header_1_0(file, header)


def _write_names(path: Path, data: LabelledSequences) -> None:
    with atomic_write(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(["name", *label_columns(data)])
        table.writerows((name, *labels) for name, labels in zip(data.names, data.labels, strict=True))
