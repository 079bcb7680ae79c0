"""Variants of a user: files, pipes, tables and ids as one VCF."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from genoformer.errors import ConfigError, ContigError, FileFormatError, MissingFileError
from genoformer.formats.vcf import open_vcf, read_variants
from genoformer.genome.reference import Genome
from genoformer.genome.variant_input import input_name, is_variant, selected_variants, variant_file

VCF = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n1\t5\t.\tA\tG\t.\t.\t.\n"


def test_a_vcf_is_used_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.vcf").write_text(VCF)
    with variant_file(tmp_path / "a.vcf") as found:
        assert found == (tmp_path / "a.vcf", str(tmp_path / "a.vcf"), ())


@pytest.mark.parametrize("text", [VCF, "chrom\tpos\tref\talt\n1\t5\tA\tG\n", "1:5:A:G\n"])
def test_standard_input(monkeypatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    with variant_file("-") as found:
        assert [(record.chrom, record.pos) for record in read_variants(found.path)] == [("1", 5)]
        path = found.path
    assert not path.exists()


def test_ids(tmp_path: Path, monkeypatch) -> None:
    for source in ("1:5:A:G", ["1:5:A:G"]):
        with variant_file(source) as found:
            assert (found.name, [record.id for record in read_variants(found.path)]) == ("1:5:A:G", ["1:5:A:G"])
    assert input_name(("1:5:A:G", "2:7:A:C")) == "2 variants"
    with pytest.raises(FileFormatError, match="rs5 is an rsID"), variant_file("rs5"):
        pass
    monkeypatch.chdir(tmp_path)
    Path("1:5:A:G").write_text(VCF)
    assert not is_variant("1:5:A:G")  # a file of this name comes first
    with pytest.raises(MissingFileError), variant_file("absent.tsv"):
        pass


def test_a_data_frame() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"chrom": ["1", "2"], "pos": [5, 7], "ref": ["A", "C"], "alt": ["G", "T"], "beta": [0.5, -1.0]})
    with variant_file(frame) as found:
        lines = [record.line.split("\t") for record in read_variants(found.path)]
    assert [(line[0], line[1], line[7]) for line in lines] == [("1", "5", "beta=0.5"), ("2", "7", "beta=-1.0")]
    assert input_name(frame) == "the table of variants"
    with pytest.raises(ConfigError, match="has no columns of variants"), variant_file(frame[["beta"]]):
        pass


# Positions 5 (two bases), 10, 20 of contig 1, 5 of contig 2
SEVERAL = """##fileformat=VCFv4.2
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
1\t5\ta\tAC\tA\t.\t.\t.
1\t10\tb\tC\tG\t.\t.\tX=1
1\t20\tc\tA\tG\t.\t.\t.
2\t5\td\tA\tG\t.\t.\t.
"""


@pytest.mark.parametrize(
    ("regions", "ids"),
    [
        (None, "abcd"),
        ("1:6", "a"),  # REF of the first record covers the bases 5 and 6
        ("1:7-9", ""),
        ("chr1:10-20", "bc"),
        (["1:10", "1:8-12", "2"], "bd"),
        (["some.bed", "1:20"], "cd"),
    ],
)
@pytest.mark.parametrize("with_genome", [False, True])
def test_selected_records_are_those_whose_ref_overlaps(make_fasta, tmp_path: Path, regions, ids: str, with_genome) -> None:
    (tmp_path / "a.vcf").write_text(SEVERAL)
    (tmp_path / "some.bed").write_text("chr2\t4\t5\n")
    genome = Genome(make_fasta(chr1="A" * 50, chr2="A" * 50)) if with_genome else None
    if isinstance(regions, list):
        regions = [tmp_path / region if region.endswith(".bed") else region for region in regions]
    with selected_variants(tmp_path / "a.vcf", genome, regions) as found, open_vcf(found.path) as file:
        assert "".join(record.id for record in file) == ids
        assert file.header == SEVERAL.splitlines()[:2]
        assert found.name == str(tmp_path / "a.vcf")
    assert any("no record of" in note for note in found.notes) == (not ids)


def test_records_of_a_table_are_selected(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("chrom\tpos\tref\talt\n1\t5\tA\tG\n1\t9\tA\tG\n")
    with selected_variants(tmp_path / "a.tsv", None, "1:6-100") as found:
        assert [record.pos for record in read_variants(found.path)] == [9]


def test_regions_that_are_nowhere_are_refused(make_fasta, tmp_path: Path) -> None:
    (tmp_path / "a.vcf").write_text(SEVERAL)
    genome = Genome(make_fasta(chr1="A" * 50, chr2="A" * 50))
    with (
        pytest.raises(ContigError, match="has no contig 3, its contigs are 1, 2"),
        selected_variants(tmp_path / "a.vcf", None, "3"),
    ):
        pass
    with pytest.raises(ContigError, match="3"), selected_variants(tmp_path / "a.vcf", genome, "3:1-5"):
        pass
    with pytest.raises(ConfigError, match="begins at chr1:51"), selected_variants(tmp_path / "a.vcf", genome, "1:51-60"):
        pass
