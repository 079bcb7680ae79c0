"""The one Parquet writer: row groups, missing values and metadata, as pyarrow reads them again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genoformer.writers.parquet import ParquetRows

pq = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra: pip install genoformer[parquet]")

COLUMNS = [("name", "string"), ("start", "int64")]


def group_sizes(path: Path) -> list[int]:
    file = pq.ParquetFile(path)
    return [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]


@pytest.mark.parametrize(("exact", "expected"), [(False, [3, 3, 1]), (True, [2, 1, 2, 1, 1])])
def test_rows_are_written_in_groups(tmp_path: Path, exact: bool, expected: list[int]) -> None:
    """Blocks of 3, 1, 2 and 1 rows with groups of 2: three rows are at hand after the first, and three after the third."""
    blocks = [["a", "b", "c"], ["d"], ["e", "f"], ["g"]]
    with ParquetRows(tmp_path / "x", COLUMNS, n_group=2, exact=exact) as rows:
        written = [rows.add([(name, i) for name in names]) for i, names in enumerate(blocks)]
    assert written == [True, False, True, False]
    assert group_sizes(tmp_path / "x") == expected
    assert pq.read_table(tmp_path / "x").to_pydict() == {"name": list("abcdefg"), "start": [0, 0, 0, 1, 2, 2, 3]}


def test_nan_and_none_are_missing(tmp_path: Path) -> None:
    with ParquetRows(tmp_path / "x", COLUMNS, ["u", "v"], n_group=10) as rows:
        rows.add([("a", 1), (None, None)], np.array([[1, np.nan], [np.nan, np.inf]], dtype=np.float32))
    table = pq.read_table(tmp_path / "x")
    assert table.to_pydict() == {"name": ["a", None], "start": [1, None], "u": [1, None], "v": [None, np.inf]}
    assert str(table.schema.field("v").type) == "float"


def test_a_file_without_rows_has_its_columns_and_its_metadata(tmp_path: Path) -> None:
    with ParquetRows(tmp_path / "x", COLUMNS, ["u"], n_group=10, metadata={"version": "1"}):
        pass
    table = pq.read_table(tmp_path / "x")
    assert (table.num_rows, table.column_names, table.schema.metadata) == (0, ["name", "start", "u"], {b"version": b"1"})


def test_waiting_rows_are_not_written_after_an_error(tmp_path: Path) -> None:
    def failing() -> None:
        with ParquetRows(tmp_path / "x", COLUMNS, n_group=2) as rows:
            rows.add([("a", 1), ("b", 2)])
            rows.add([("c", 3)])
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        failing()
    assert group_sizes(tmp_path / "x") == [2]
