"""Tables of contexts: values by hand, columns in another order, and wrong files with their line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from genoformer.errors import ConfigError, FileFormatError, MissingFileError
from genoformer.formats.context_table import ContextTable, open_contexts, read_contexts

TEXT = "# from an atlas\nGATA1\tcontext\tHNF4A\n0\tliver\t1.5\n\n2e0\terythroid, adult\t-1\n"


def test_names_and_numbers_are_read(tmp_path: Path) -> None:
    (tmp_path / "c.tsv").write_text(TEXT)
    (tmp_path / "c.tsv.gz").write_bytes(gzip.compress(TEXT.encode()))
    for name in ("c.tsv", "c.tsv.gz"):
        table = read_contexts(tmp_path / name)
        assert table.names == ("liver", "erythroid, adult")
        assert table.columns == ("GATA1", "HNF4A")
        np.testing.assert_array_equal(table.vectors, [[0, 1.5], [2, -1]])
    assert open_contexts(table) is table
    assert open_contexts(None) is None


def test_columns_are_matched_by_name() -> None:
    table = ContextTable(("a", "b"), ("x", "y"), np.array([[1.0, 2.0], [3.0, 4.0]]))
    turned = table.with_columns(("y", "x"))
    np.testing.assert_array_equal(turned.vectors, [[2, 1], [4, 3]])
    np.testing.assert_array_equal(table.rows(["b"]).vectors, [[3, 4]])
    assert table.sha256 != turned.sha256
    assert turned.with_columns(("x", "y")).sha256 == table.sha256


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("x", "y", "z"), "2 columns of numbers and lacks the columns z; give those of the training of the model, 3: x, y, z"),
        (("x",), "has the other columns y"),
        (("X", "y"), "lacks the columns X"),
    ],
)
def test_other_columns_than_in_training_are_refused(columns, message: str) -> None:
    table = ContextTable(("a",), ("x", "y"), np.ones((1, 2)))
    with pytest.raises(ConfigError, match=message):
        table.with_columns(columns)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell\tx\nliver\t1\n", "line 1: the header is .*give a table of contexts .TSV with a column context"),
        ("context\tx\tx\nliver\t1\t1\n", "each column with a name of its own"),
        ("context\tcontext\nliver\t1\n", "each column with a name of its own"),
        ("context\t\nliver\t1\n", "each column with a name of its own"),
        ("context\nliver\n", "has no columns of numbers"),
        ("context\tx\n", "has no contexts"),
        ("\n", "is empty"),
        ("context\tx\nliver\t1\nliver\t2\n", "line 3: the context 'liver' is named twice"),
        ("context\tx\n\t1\n", "line 2: the name of the context is empty"),
        ("context\tx\nliver\tnan\n", "line 2: x is 'nan'; give a finite number"),
        ("context\tx\nliver\tinf\n", "line 2: x is 'inf'"),
        ("context\tx\nliver\t\n", "line 2: x is ''"),
        ("context\tx\nliver\thigh\n", "line 2: x is 'high'"),
        ("context\tx\nliver\t1\t2\n", "line 2: 3 fields, the header has 2"),
    ],
)
def test_wrong_files_are_refused_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.tsv").write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_contexts(tmp_path / "c.tsv")


def test_a_missing_file_and_wrong_arrays_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        read_contexts(tmp_path / "none.tsv")
    for names, vectors, message in (
        (("a",), np.ones((2, 1)), "found vectors .2, 1. for 1 contexts and 1 columns"),
        (("a", "a"), np.ones((2, 1)), "two contexts have the same name"),
        (("a",), np.array([[np.nan]]), "holds NaN or infinity"),
    ):
        with pytest.raises(ConfigError, match=message):
            ContextTable(names, ("x",), vectors)
