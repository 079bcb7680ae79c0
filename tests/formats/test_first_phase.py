"""Genotypes of a BCF against those of the VCF it was made of: the text that is written back, and the phase that is read."""

from __future__ import annotations

from pathlib import Path

import pysam
import pytest

from genoformer.formats.vcf import open_vcf
from genoformer.genome.genotypes import genotypes

needs_prefixes = pytest.mark.skipif(
    tuple(map(int, pysam.version.__htslib_version__.split(".")[:2])) < (1, 22), reason="htslib before 1.22 knows no prefixes"
)
HEAD = """##fileformat=VCFv{version}
##contig=<ID=1,length=1000>
##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="depth">
#CHROM	POS	ID	REF	ALT	QUAL	FILTER	INFO	FORMAT	a
"""
PLAIN = [
    *("0|1", "1|0", "0/1", "1/1", "1|1", "1", "0", ".", "./."),
    *(".|.", ".|1", "1|.", "./1"),
    *("0|0|1|1", "0/0|1|1", "0/1|2", "0/1/1/1"),
]
PREFIXED = {  # a prefix that says what is so without it is not in a BCF
    "/0|1": "/0|1",
    "/1|1": "/1|1",
    "|0/1": "|0/1",
    "/1": "/1",
    "|.": "|.",
    "/.|.": "/.|.",
    "|0/1|2": "|0/1|2",
    "/0|0|1|1": "/0|0|1|1",
    "|0|1": "0|1",
    "/0/1": "0/1",
    "|1": "1",
    "/.": ".",
    "|0|0|1": "0|0|1",
    "/0/0|1": "0/0|1",
}


def write_vcf(path: Path, version: str, texts: list[str], form: str = "GT", template: str = "{}") -> Path:
    lines = [f"1\t{i + 1}\t.\tA\tC,G\t.\t.\t.\t{form}\t{template.format(text)}\n" for i, text in enumerate(texts)]
    path.write_text(HEAD.format(version=version) + "".join(lines))
    return path


def write_bcf(vcf: Path) -> Path:
    with pysam.VariantFile(str(vcf)) as file, pysam.VariantFile(str(vcf.with_suffix(".bcf")), "wb", header=file.header) as out:
        for record in file:
            out.write(record)
    return vcf.with_suffix(".bcf")


def assign_bcf(path: Path, version: str, texts: list[str]) -> Path:
    """A BCF in which the phase of the first allele is never set."""
    write_vcf(path.with_suffix(".vcf"), version, [])
    with pysam.VariantFile(str(path.with_suffix(".vcf"))) as file:
        header = file.header
    with pysam.VariantFile(str(path), "wb", header=header) as out:
        for i, text in enumerate(texts):
            record = out.new_record(contig="1", start=i, alleles=("A", "C", "G"))
            record.samples["a"]["GT"] = tuple(None if x == "." else int(x) for x in text.replace("|", "/").split("/"))
            record.samples["a"].phased = "|" in text
            out.write(record)
    return path


def texts_of(path: Path, key: int = 0) -> list[str]:
    with open_vcf(path) as file:
        return [record.line.split("\t")[9].split(":")[key] for record in file]


def calls_of(path: Path) -> list:
    with open_vcf(path) as file:
        return [call for record in file for call in genotypes(record)]


@pytest.mark.parametrize("version", ["4.1", "4.2", "4.3", "4.4", "4.5"])
def test_a_bcf_has_the_genotypes_of_its_vcf(tmp_path: Path, version: str) -> None:
    vcf = write_vcf(tmp_path / "a.vcf", version, PLAIN)
    bcf = write_bcf(vcf)
    assert texts_of(bcf) == PLAIN
    assert calls_of(bcf) == calls_of(vcf)


@needs_prefixes
@pytest.mark.parametrize("version", ["4.4", "4.5"])
def test_prefixes_that_a_bcf_keeps_come_back(tmp_path: Path, version: str) -> None:
    vcf = write_vcf(tmp_path / "a.vcf", version, ["0|1", *PREFIXED])
    bcf = write_bcf(vcf)
    assert texts_of(bcf) == ["0|1", *PREFIXED.values()]
    assert calls_of(bcf) == calls_of(vcf)


@needs_prefixes
@pytest.mark.parametrize("text", [*PLAIN, *PREFIXED])
def test_every_genotype_is_read_as_in_the_vcf_when_it_is_alone(tmp_path: Path, text: str) -> None:
    vcf = write_vcf(tmp_path / "a.vcf", "4.4", [text])
    assert calls_of(write_bcf(vcf)) == calls_of(vcf)


@needs_prefixes
@pytest.mark.parametrize("version", ["4.2", "4.3", "4.4", "4.5"])
def test_phases_that_no_program_has_set_are_not_printed(tmp_path: Path, version: str) -> None:
    texts = ["0|1", "1|0", "1|1", "0/1", "1", "0|0|1|1", ".|.", "."]
    bcf = assign_bcf(tmp_path / "b.bcf", version, texts)
    with pysam.VariantFile(str(bcf)) as file:
        printed = [str(record).rstrip("\n").split("\t")[9] for record in file]
    assert (printed == texts) == (version < "4.4")  # the case that this is about
    assert texts_of(bcf) == texts
    assert calls_of(bcf) == calls_of(write_vcf(tmp_path / "a.vcf", version, texts))


@needs_prefixes
def test_gt_need_not_be_the_first_key(tmp_path: Path) -> None:
    for template, texts in (("3:{}", ["0|1", "/1|0", "/1"]), ("3:{}", ["/0|1", "/1"])):
        vcf = write_vcf(tmp_path / "a.vcf", "4.4", texts, "DP:GT", template)
        expected = texts if "0|1" in texts else [text.removeprefix("/") for text in texts]
        bcf = write_bcf(vcf)
        assert texts_of(bcf, key=1) == expected
        assert texts_of(bcf) == ["3"] * len(texts)
        assert calls_of(bcf) == calls_of(vcf)


def test_records_without_samples_or_gt_stay(tmp_path: Path) -> None:
    vcf = write_vcf(tmp_path / "a.vcf", "4.4", ["3", "."], "DP")
    assert texts_of(write_bcf(vcf)) == ["3", "."]
