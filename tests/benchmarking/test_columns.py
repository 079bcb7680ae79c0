"""Tables as benchmarks publish them: comments, gzip, Parquet, missing values, wrong values."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from genoformer.benchmarking.columns import file_in, read_table
from genoformer.errors import FileFormatError, MissingFileError

pa = pytest.importorskip("pyarrow", reason="Parquet is an extra: pip install genoformer[parquet]")
pq = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra: pip install genoformer[parquet]")


def test_comments_before_the_header_are_skipped_and_its_mark_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("## F9 promoter\n#element\tF9\n#Chrom\tPos\tValue\nX\t5\t-0.5\nX\t6\tNA\n")
    table = read_table(path)
    assert list(table.columns) == ["Chrom", "Pos", "Value"]
    assert table.whole("Pos") == [5, 6]
    assert np.isnan(table.numbers("Value")).tolist() == [False, True]


def test_gzip_csv_and_parquet_have_the_same_columns(tmp_path: Path) -> None:
    csv, parquet = tmp_path / "a.csv.gz", tmp_path / "a.parquet"
    csv.write_bytes(gzip.compress(b"chrom,pos,label\n1,10,True\n2,20,False\n"))
    pq.write_table(pa.table({"chrom": ["1", "2"], "pos": [10, 20], "label": [True, False]}), parquet)
    for path in (csv, parquet):
        table = read_table(path)
        assert (table.text("chrom"), table.whole("pos"), table.flags("label").tolist()) == (["1", "2"], [10, 20], [True, False])
        assert len(table) == 2


@pytest.mark.parametrize(("values", "flags"), [(["1", "-1"], [True, False]), (["True", "FALSE"], [True, False])])
def test_labels_of_one_and_minus_one_or_words(tmp_path: Path, values: list[str], flags: list[bool]) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("a\tlabel\n" + "".join(f"x\t{value}\n" for value in values))
    assert read_table(path).flags("label").tolist() == flags


@pytest.mark.parametrize(
    ("text", "call", "message"),
    [
        ("a\tb\n1\tx\n", lambda t: t.numbers("b"), "b is 'x', expected a number"),
        ("a\tb\n1\t0.5\n", lambda t: t.whole("b"), "no whole numbers"),
        ("a\tb\n1\tmaybe\n", lambda t: t.flags("b"), "b is 'maybe', expected True or False"),
        ("a\tb\n1\t2\n", lambda t: t.text("c"), "has no column c; its columns are a, b"),
    ],
)
def test_wrong_values_are_refused_with_the_column(tmp_path: Path, text: str, call, message: str) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        call(read_table(path))


def test_a_name_in_other_case_finds_its_column(tmp_path: Path) -> None:
    path = tmp_path / "cadd.tsv"
    path.write_text("## CADD\n#Chrom\tPos\tRef\tref\n1\t5\tA\tC\n")
    table = read_table(path)
    assert (table.find("CHROM"), table.find("chr", "pos"), table.find("x")) == ("Chrom", "Pos", None)
    assert (table.text("ref"), table.text("Ref")) == (["C"], ["A"])
    assert not table.has("REF")  # two columns fit
    assert table.take([0]).columns == table.columns


def test_a_missing_flag_is_no_negative_label(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("a\tlabel\nx\t1\nx\t\nx\tNA\n")
    with pytest.raises(FileFormatError, match="label is missing in 2 of 3 rows, expected True or False"):
        read_table(path).flags("label")
    assert read_table(path).flags("label", may_be_missing=True).tolist() == [True, False, False]


def test_a_short_row_no_rows_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("a\tb\n1\n")
    with pytest.raises(FileFormatError, match="row 1 has 1 fields, but the header has 2"):
        read_table(path)
    path.write_text("a\tb\n")
    with pytest.raises(FileFormatError, match="no table with a header, rows and tabs between columns"):
        read_table(path)
    with pytest.raises(MissingFileError, match=r"has no test\.parquet"):
        file_in(tmp_path, ["test.parquet"])
    assert file_in(tmp_path, ["test.parquet", "*.tsv"]) == path
