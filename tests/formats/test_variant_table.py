"""Tables of variants: any separator, packed or not, DataFrames, and rows that cannot be read."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from genoformer.errors import FileFormatError
from genoformer.formats.variant_table import open_variant_table, table_of_frame, table_of_ids

ROWS = [["rs1", "chr1", "5", "A", "G", "0.1"], ["", "chr2", "70", "c", "CT", "NA"]]
NAMES = ["SNP", "CHROM", "POS", "REF", "ALT", "BETA"]
PARTS = [("chr1", 5, "rs1", "A", "G"), ("chr2", 70, "", "C", "CT")]


def parts_of(path: Path) -> list[tuple[str, int, str, str, str]]:
    table = open_variant_table(path)
    assert table is not None
    return [(row.chrom, row.pos, row.id, row.ref, row.alt) for row in table.rows()]


@pytest.mark.parametrize("separator", ["\t", ",", "  "])
@pytest.mark.parametrize("packed", [False, True])
def test_separators_and_packing(tmp_path: Path, separator: str, packed: bool) -> None:
    rows = [NAMES, *[[field or "." for field in row] for row in ROWS]]
    text = "## a comment\n" + "\r\n".join(separator.join(row) for row in rows) + "\r\n\n"
    path = tmp_path / "t.txt"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert parts_of(path) == PARTS


def test_quotes_of_a_csv(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('chrom,pos,ref,alt,"gene, symbol"\n1,5,A,"G","x, ""y"""\n')
    table = open_variant_table(tmp_path / "t.csv")
    assert table is not None
    assert table.layout.names[-1] == "gene, symbol"
    assert next(table.rows()).fields[-1] == 'x, "y"'


def test_ids_one_a_line(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("chr1:5:A:G\n\nchr2-70-C-CT\n")
    assert parts_of(tmp_path / "ids.txt") == [("chr1", 5, "chr1:5:A:G", "A", "G"), ("chr2", 70, "chr2-70-C-CT", "C", "CT")]
    (tmp_path / "ids.txt").write_text("chr1:5:A:G\nrs123\n")
    with pytest.raises(FileFormatError, match="line 2: rs123 is an rsID, which names no position"):
        parts_of(tmp_path / "ids.txt")


def test_positions_as_programs_write_them(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("chr\tpos\tref\talt\n" + "".join(f"1\t{pos}\tA\tG\n" for pos in ("5.0", "1e+05", "NA", "")))
    assert [row[1] for row in parts_of(tmp_path / "t.tsv")] == [5, 100_000, 0, 0]
    for pos in ("5.5", "x", "-5", "1e-5", "\u0665"):
        (tmp_path / "t.tsv").write_text(f"chr\tpos\tref\talt\n1\t{pos}\tA\tG\n")
        with pytest.raises(FileFormatError, match="line 2: the position, column pos, is"):
            parts_of(tmp_path / "t.tsv")


def test_a_row_with_more_columns_than_the_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("chr\tpos\tref\talt\n1\t5\tA\tG\tx\n")
    with pytest.raises(FileFormatError, match="line 2: found 5 columns, expected 4"):
        parts_of(tmp_path / "t.tsv")


@pytest.mark.parametrize(
    "content",
    [
        b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n",
        b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n1\t5\t.\tA\tG\t.\t.\t.\n",
        b"chr1\t5\t9\n",
        b">chr1\nACGT\n",
        b"",
        b"BCF\x02\x02",
        b"\x1f\x8b damaged",
        b"sequence,label\nACGT,1\n",
    ],
)
def test_other_files_are_left_to_the_reader_of_vcf(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    assert open_variant_table(tmp_path / "x") is None


def test_dataframes() -> None:
    frame = pd.DataFrame(ROWS, columns=NAMES).replace("", None)
    frame["POS"] = [5.0, 70.0]
    table = table_of_frame(frame, "the table")
    assert table is not None
    assert [(row.chrom, row.pos, row.id, row.ref, row.alt) for row in table.rows()] == PARTS
    assert [row.line for row in table.rows()] == [1, 2]
    assert table_of_frame(pd.DataFrame({"a": [1]}), "the table") is None


def test_ids_of_a_program() -> None:
    (row,) = table_of_ids(["chr1:5:A:G"], "ids").rows()
    assert (row.chrom, row.pos, row.ref, row.alt, row.id) == ("chr1", 5, "A", "G", "chr1:5:A:G")
    with pytest.raises(FileFormatError, match="'chr1:5' is no variant; write it as chr20:1050100:A:G"):
        table_of_ids(["chr1:5"], "ids")
