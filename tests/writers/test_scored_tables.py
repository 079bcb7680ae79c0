"""Tables of scores as VCF: the same alleles, scores and declarations as the VCF that the same run writes."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genoformer.errors import FileFormatError
from genoformer.formats.vcf import Record, open_vcf
from genoformer.formats.vcf_records import parse_info
from genoformer.genome.variants import Status
from genoformer.writers import Column, Field, Header, Provenance, open_sink
from genoformer.writers.scored_tables import scored_vcf

NAN = float("nan")
MEANINGS = {"LLR": "log ratio", "SAD": "sum of differences"}
LLR, SAD = Column("LLR", "bits", "log ratio"), Column("SAD", "x", "sum of differences")
TRACK = Column("SAD_TRACK", "", "strongest", ("CAGE:liver, adult", "DNASE"), "SAD")
PLUS = Column("SAD_CAGE+", "x", "sum of differences")
PLUS_SE = Column("SAD_CAGE+_SE", "x", "error", belongs_to="SAD_CAGE+")
COLUMNS = [LLR, SAD, TRACK, PLUS, PLUS_SE]
FIELDS = [Field("STATE", "String", "states"), Field("CADD_PHRED", "Float", "score", number="A")]
LINES = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tann"]
HEADER = Header(
    LINES, {}, COLUMNS, Provenance("1.2", "tiny", "c0ffee", "scores=LLR,SAD", "caution: x."), FIELDS, noise="SAD=0.1/0.2"
)
ROWS = [
    ("chr1\t5\trs1\tA\tC,G\t50\tPASS\tDP=7\tGT\t0/1", [[0.1, 1.5, 0, 2.5, 0.5], [NAN, -2, 1, NAN, NAN]], [Status.OK] * 2),
    ("chr1\t9\t.\tA\t<DEL>\t.\t.\t.\tGT\t0/1", [[NAN] * 5], [Status.SYMBOLIC]),
]
CELLS = {0: ["E,1", "T"], 1: ["3.25", "."]}


def write(path: Path) -> Path:
    with open_sink(path).writing(HEADER) as out:
        for i, (line, values, statuses) in enumerate(ROWS):
            chrom, pos, name, ref, alts, *_ = line.split("\t")
            record = Record(line, chrom, int(pos), name, ref, tuple(alts.split(",")))
            out.write(record, statuses, np.array(values, dtype=np.float32), CELLS if i == 0 else {})
    return path


def info(path: Path) -> list[tuple[str, int, str, str, dict[str, str]]]:
    with open_vcf(path) as file:
        return [(r.chrom, r.pos, r.ref, ",".join(r.alts), parse_info(r)) for r in file]


@pytest.mark.parametrize("name", ["s.tsv", "s.tsv.gz", "s.parquet"])
def test_records_and_keys_are_those_of_the_vcf(tmp_path: Path, name: str) -> None:
    table, vcf = write(tmp_path / name), write(tmp_path / "s.vcf")
    with scored_vcf(table, MEANINGS) as copy, open_vcf(copy) as made, open_vcf(vcf) as written:
        assert copy.name == name
        keys = [line for line in written.header if line.startswith("##INFO=<ID=GF_") and "_STATUS" not in line]
        for line in keys:  # the same keys, numbers and types
            assert any(other.startswith(line.partition(",Description")[0]) for other in made.header), line
        rows = info(copy)
    assert [row[:4] for row in rows] == [("chr1", 5, "A", "C"), ("chr1", 5, "A", "G"), ("chr1", 9, "A", "<DEL>")]
    first, second, third = (row[4] for row in rows)
    per_allele = {key: values.split(",") for key, values in info(vcf)[0][4].items() if key.startswith("GF_")}
    for i, found in enumerate((first, second)):
        wanted = {key: values[i] for key, values in per_allele.items() if values[i] != "."}
        assert {key: value for key, value in found.items() if key.startswith("GF_")} == wanted
        assert found["DP"] == "7"
    assert (first["CADD_PHRED"], first["GF_SAD_TRACK"]) == ("3.25", "CAGE:liver%2C adult".replace(" ", "%20"))
    assert "CADD_PHRED" not in second
    assert third == {"GF_STATUS": "SYMBOLIC"}
    assert not copy.exists()


def test_a_parquet_file_tells_how_the_scores_were_made(tmp_path: Path) -> None:
    with scored_vcf(write(tmp_path / "s.parquet"), MEANINGS) as copy, open_vcf(copy) as file:
        lines = [line for line in file.header if line.startswith("##genoformer")]
    with open_vcf(write(tmp_path / "s.vcf")) as file:
        assert sorted(lines) == sorted(line for line in file.header if line.startswith("##genoformer"))


def test_without_names_of_scores_columns_keep_their_names(tmp_path: Path) -> None:
    with scored_vcf(write(tmp_path / "s.tsv")) as copy:
        assert info(copy)[0][4]["LLR"] == "0.1"


def test_other_files_are_yielded_as_they_are(tmp_path: Path) -> None:
    vcf = write(tmp_path / "s.vcf")
    other = tmp_path / "variants.tsv"
    other.write_text("chrom\tpos\tref\talt\nchr1\t5\tA\tC\n")
    empty = tmp_path / "empty.tsv"
    empty.write_text("")
    for path in (vcf, other, empty, tmp_path / "nothing.tsv", tmp_path):
        with scored_vcf(path) as same:
            assert same == path


def test_damaged_tables_are_refused_with_the_line(tmp_path: Path) -> None:
    text = write(tmp_path / "s.tsv").read_text().splitlines()
    (tmp_path / "cut.tsv").write_text("\n".join([*text[:2], text[2][:20]]))
    with pytest.raises(FileFormatError, match=r"cut\.tsv, line 3: found \d+ columns"), scored_vcf(tmp_path / "cut.tsv"):
        pass
    (tmp_path / "cut.parquet").write_bytes(write(tmp_path / "s.parquet").read_bytes()[:-9])
    with pytest.raises(FileFormatError, match="not a complete Parquet file"), scored_vcf(tmp_path / "cut.parquet"):
        pass
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(FileFormatError, match="other columns than chrom, pos"), scored_vcf(tmp_path / "other.parquet"):
        pass
    with gzip.open(tmp_path / "cut.tsv.gz", "wb") as file:
        file.write("\n".join(text).encode() * 50)
    cut = tmp_path / "cut.tsv.gz"
    cut.write_bytes(cut.read_bytes()[:-20])
    with pytest.raises(FileFormatError), scored_vcf(cut):
        pass
