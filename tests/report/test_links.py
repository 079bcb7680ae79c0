"""Links of variants: only chromosomes of hg19 and hg38, each database with the assembly of the file."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from genoformer.report.links import human_build, variant_links

LENGTHS = {"hg19": {"chr20": 63_025_520, "chr1": 249_250_621}, "hg38": {"20": 64_444_167}, None: {"chr20": 5000, "chrS1": 9}}


@pytest.mark.parametrize(("build", "dataset"), [("hg19", "gnomad_r2_1"), ("hg38", "gnomad_r4")])
@pytest.mark.parametrize("chrom", ["20", "chr20"])
def test_a_deletion_has_three_links(build: str, dataset: str, chrom: str) -> None:
    ucsc, gnomad, dbsnp = variant_links(build, chrom, 1_042_261, ("CCCTG", "c"), "rs10597473")
    parts = parse_qs(urlsplit(ucsc.address).query)
    assert parts["db"] == [build]
    assert parts["position"] == ["chr20:1042161-1042365"]
    assert parts["highlight"] == [f"{build}.chr20:1042261-1042265"]
    assert gnomad.address == f"https://gnomad.broadinstitute.org/variant/20-1042261-CCCTG-C?dataset={dataset}"
    assert dbsnp.address == "https://www.ncbi.nlm.nih.gov/snp/rs10597473"


def test_what_a_database_does_not_have_gets_no_link() -> None:
    assert [link.text for link in variant_links("hg38", "chr2", 50, ("A", "<DEL>"), "esv1")] == ["UCSC"]
    assert "position=chr2%3A1-150" in variant_links("hg38", "chr2", 50, ("A", "<DEL>"))[0].address
    assert [link.text for link in variant_links("hg38", "X", 5, ("A", "G"), "rs1;rs22;x3")][2:] == ["dbSNP rs1", "dbSNP rs22"]
    for build, chrom in (
        ("hg38", "chrS1"),
        ("hg38", "chr1_KI270706v1_random"),
        ("mm10", "chr1"),
        (None, "chr1"),
        ("hg19", "chrM"),
    ):
        assert variant_links(build, chrom, 5, ("A", "G"), "rs1") == []


def test_an_id_cannot_change_an_address() -> None:
    assert len(variant_links("hg38", "chr2", 5, ("A", "G"), "rs1/../evil")) == 2


@pytest.mark.parametrize("build", LENGTHS)
def test_the_lengths_of_contigs_tell_the_assembly(build: str | None) -> None:
    assert human_build(LENGTHS[build]) == build


def test_a_mouse_is_no_human() -> None:
    assert human_build({"chr1": 195_471_971, "chr2": 182_113_224}) is None
