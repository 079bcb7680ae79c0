"""Predictions of sequences -> TSV or Parquet, a row per sequence; the file appears complete or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoformer.datasets.sequences import LabelledSequences
from genoformer.files import atomic_write
from genoformer.formats.track_table import Track
from genoformer.tables import rounded, tsv_line
from genoformer.writers.parquet import ParquetRows
from genoformer.writers.tracks import unique_names

SUFFIXES = (".tsv", ".parquet")
_N_GROUP = 65_536  # rows in a row group

Floats = NDArray[np.float32]


def key_columns(data: LabelledSequences) -> dict[str, Sequence[Any]]:
    """Return the columns that identify the sequences: name, or chrom, start, end, name and strand of the rows of a BED."""
    if not data.regions:
        return {"name": data.names}
    names = ("chrom", "start", "end", "name", "strand")
    return {name: [getattr(region, name) for region in data.regions] for name in names}


def class_columns(data: LabelledSequences, classes: Sequence[Track]) -> list[str]:
    """Return a column name for each class: its name, with its number if another column has that name."""
    return unique_names([track.identifier for track in classes], classes, list(key_columns(data)))


def write_classes(path: Path, data: LabelledSequences, classes: Sequence[Track], batches: Iterable[Floats]) -> None:
    """Write the values [n, K] of batches of sequences, in the order of the data; a column for each class."""
    keys, names = key_columns(data), class_columns(data, classes)
    rows = zip(*keys.values(), strict=True)
    with atomic_write(path) as part:
        if path.suffix == ".parquet":
            kinds = [(name, "int64" if name in ("start", "end") else "string") for name in keys]
            with ParquetRows(part, kinds, names, n_group=_N_GROUP, exact=True) as table:
                for values in batches:
                    table.add(list(islice(rows, len(values))), values)
            return
        with part.open("w", encoding="utf-8", newline="") as file:
            file.write(tsv_line([*keys, *names]) + "\n")
            for values in batches:
                for numbers in values.tolist():
                    file.write(tsv_line([*map(str, next(rows)), *map(rounded, numbers)]) + "\n")
