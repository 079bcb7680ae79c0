"""Rows and arrays -> one Parquet file, row group by row group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from genoformer.extras import require_extra

Row = tuple[Any, ...]


class ParquetRows:
    """Writer of a Parquet file: typed columns, then float32 columns, in which NaN becomes null. A context manager.

    Rows are collected until there are `n_group`, and then written as a row group. When the block ends without an error, the
    remaining rows are written.

    path: file to write, which is complete only after the block; `files.atomic_write` gives it its name.
    columns: name and pyarrow type (an object or its name) of each typed column.
    numbers: names of the float32 columns.
    exact: rows beyond `n_group` begin the next row group; else they belong to this one.
    dictionary: columns with dictionary encoding; None: all.
    metadata: text by key, for the schema.

    Raises MissingExtraError without pyarrow (extra `parquet`).
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[tuple[str, Any]],
        numbers: Sequence[str] = (),
        *,
        n_group: int,
        exact: bool = False,
        dictionary: Sequence[str] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        require_extra("parquet", "Parquet", "pyarrow")
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.schema = pa.schema([*columns, *((name, pa.float32()) for name in numbers)], metadata=metadata)
        self._n_typed, self._n_group, self._most = len(columns), n_group, n_group if exact else None
        self._rows: list[Row] = []
        self._values: list[NDArray[Any]] = []
        use_dictionary = True if dictionary is None else list(dictionary)
        self._file = pq.ParquetWriter(str(path), self.schema, compression="zstd", use_dictionary=use_dictionary)

    def add(self, rows: Sequence[Row], values: NDArray[Any] | None = None) -> bool:
        """Add rows: the typed columns of each as a tuple, and its numbers [n, K]; True if no rows wait to be written."""
        self._rows += rows
        if values is not None:
            self._values.append(values)
        if len(self._rows) >= self._n_group:
            self.flush()
        return not self._rows

    def flush(self) -> None:
        """Write the collected rows."""
        import pyarrow as pa

        if not self._rows:
            return
        types = self.schema.types[: self._n_typed]
        arrays = [pa.array(column, type=kind) for column, kind in zip(zip(*self._rows, strict=True), types, strict=True)]
        if self._values:
            numbers = np.ascontiguousarray(np.concatenate(self._values).T, dtype=np.float32)  # [K, n]
            arrays += [pa.array(column, mask=np.isnan(column)) for column in numbers]
        self._rows, self._values = [], []
        self._file.write_table(pa.Table.from_arrays(arrays, schema=self.schema), row_group_size=self._most)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self._file.close()
