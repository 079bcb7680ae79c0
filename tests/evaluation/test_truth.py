"""Truth of variants: tables under the names that they use, ids, and VCFs."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from genoformer.errors import ConfigError, FileFormatError, MissingFileError
from genoformer.evaluation.truth import Truth, read_truth

TABLE = """Chrom\tPos\tRef\tAlt\tCoefficient\tElement\tRelease
1\t10\tA\tC\t0.5\te0\tnew
1\t11\ta\tg\t-1\te1\tnew
1\t10\tA\tC\t9\te0\tnew
1\tx\tA\tC\t9\te0\told
"""
FIRST, SECOND = ("1", 10, "A", "C"), ("1", 11, "A", "G")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "truth.tsv").write_text(TABLE)
    return tmp_path / "truth.tsv"


def test_a_table_is_read_by_its_columns(table: Path) -> None:
    """The first row of a variant counts, and rows without the value of `where` are not read."""
    truth = read_truth(table, "Coefficient", element="Element", where={"Release": "new"})
    assert truth == Truth({FIRST: 0.5, SECOND: -1.0}, {FIRST: "e0", SECOND: "e1"}, binary=False)
    labels = read_truth(table, "Element", positive="e1", where={"Release": "new"})
    assert labels == Truth({FIRST: 0.0, SECOND: 1.0}, {}, binary=True)


@pytest.mark.parametrize(
    ("column", "options", "message"),
    [
        ("Effect", {}, "has no column Effect; its columns are Chrom, Pos, Ref, Alt, Coefficient"),
        ("Element", {"where": {"Release": "new"}}, "has no variant with a number in Element"),
        ("Element", {"where": {"Release": "new"}, "positive": "x"}, "no row of .*truth.tsv has 'x' in Element"),
        ("Coefficient", {}, "line 5: POS is 'x'; give a whole number"),
    ],
)
def test_wrong_columns_and_rows_are_refused(table: Path, column: str, options: dict, message: str) -> None:
    with pytest.raises((ConfigError, FileFormatError), match=message):
        read_truth(table, column, **options)


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        read_truth("nothing.tsv", "a")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "chromosome,base_pair_location,reference_allele,alternate_allele,e\nchr1,10,A,C,0.5\n1,11,a,g,-1\n"),
        ("a.tsv", "variant_id\te\nchr1:10:A:C\t0.5\n1-11-A-G\t-1\n"),
        (
            "a.vcf",
            "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nchr1\t10\t.\tA\tC\t.\t.\te=0.5\n"
            "1\t11\t.\tA\tT,G\t.\t.\te=.,-1\n",
        ),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_variants_have_any_of_their_usual_spellings(tmp_path: Path, name: str, text: str, zipped: bool) -> None:
    path = tmp_path / (name + ".gz" * zipped)
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    assert read_truth(path, "e").effects == {FIRST: 0.5, SECOND: -1.0}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.tsv", "name\te\nx\t1\n", "has no columns of contig, POS, REF and ALT; its columns are name, e"),
        (
            "a.tsv",
            "chr\tpos\teffect_allele\tother_allele\te\n1\t5\tA\tC\t1\n",
            "has effect and other allele, expected columns of",
        ),
        ("a.tsv", "variant_id\te\n1:5:A:C\t1\nrs5\t1\n", "line 3: 'rs5' is no variant"),
        (
            "a.vcf",
            "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n1\t5\t.\tA\tC\t.\t.\tf=1\n",
            "no record of .*a.vcf has e in INFO; its keys are f",
        ),
    ],
)
def test_files_without_the_needed_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises((ConfigError, FileFormatError), match=message):
        read_truth(tmp_path / name, "e")
