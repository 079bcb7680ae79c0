"""Tables of scores: words stay text, a dot of the VCF and an empty score are missing."""

from __future__ import annotations

from pathlib import Path

from genoformer.formats.score_tables import read_score_table

HEAD = ["chrom", "pos", "id", "ref", "alt", "qual", "filter", "info", "status", "LLR", "SAD_TRACK", "FIX", "FORMAT", "S1"]
ROWS = [
    ["1", "5", "NA", "A", "T", ".", "PASS", "1e5", "OK", "-0.5", "CAGE", "swap", "GT", "0/1"],
    ["X", "6", ".", "nan", "G", "3.5", ".", ".", "STAR", "", "", "", "GT", "."],
]


def test_text_numbers_and_missing_values(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in [HEAD, *ROWS]))
    table = read_score_table(path)
    assert list(table.columns) == HEAD
    assert table.loc[0, ["chrom", "id", "info"]].tolist() == ["1", "NA", "1e5"]
    assert table.loc[1, "ref"] == "nan"
    assert (table.loc[0, "LLR"], table.loc[0, "pos"]) == (-0.5, 5)
    missing = table.isna()
    assert missing.columns[missing.loc[1]].tolist() == ["id", "filter", "info", "LLR", "SAD_TRACK", "FIX", "S1"]
    assert missing.columns[missing.loc[0]].tolist() == []
