"""Variants of a user: files, pipes, tables and ids as one VCF."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from genoformer.errors import FileFormatError, MissingFileError
from genoformer.formats.vcf import read_variants
from genoformer.genome.variant_input import input_name, is_variant, variant_file

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
