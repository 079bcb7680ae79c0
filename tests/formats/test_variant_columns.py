"""Columns of tables of variants under the names that programs and catalogues write."""

from __future__ import annotations

import pytest

from genoformer.errors import FileFormatError
from genoformer.formats.variant_columns import is_vcf_header, layout_of_header, layout_without_header

TABLES = {  # header -> names of the columns of contig, position, REF or other allele, ALT or effect allele, id
    "GWAS Catalog": (
        "chromosome base_pair_location effect_allele other_allele beta standard_error p_value rsid",
        ("chromosome", "base_pair_location", "other_allele", "effect_allele", "rsid"),
    ),
    "harmonised": (
        "hm_variant_id hm_rsid hm_chrom hm_pos hm_other_allele hm_effect_allele chromosome base_pair_location other_allele "
        "effect_allele",
        ("hm_chrom", "hm_pos", "hm_other_allele", "hm_effect_allele", "hm_rsid"),
    ),
    "PLINK 1": ("CHR SNP BP A1 A2 OR P", ("CHR", "BP", "A2", "A1", "SNP")),
    "PLINK 2": ("#CHROM POS ID REF ALT PROVISIONAL_REF? A1 TEST BETA P", ("#CHROM", "POS", "REF", "ALT", "ID")),
    "REGENIE": ("CHROM GENPOS ID ALLELE0 ALLELE1 A1FREQ BETA", ("CHROM", "GENPOS", "ALLELE0", "ALLELE1", "ID")),
    "SAIGE": ("CHR POS MarkerID Allele1 Allele2 BETA", ("CHR", "POS", "Allele2", "Allele1", None)),
    "FinnGen": ("#chrom pos ref alt rsids pval", ("#chrom", "pos", "ref", "alt", None)),
    "LDSC": ("SNP CHR BP EA NEA Z", ("CHR", "BP", "NEA", "EA", "SNP")),
    "BOLT": ("SNP CHR BP GENPOS ALLELE1 ALLELE0 BETA", ("CHR", "BP", "ALLELE0", "ALLELE1", "SNP")),
    "MAF": (
        "Hugo_Symbol Chromosome Start_Position Reference_Allele Tumor_Seq_Allele2",
        ("Chromosome", "Start_Position", "Reference_Allele", "Tumor_Seq_Allele2", None),
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_usual_headers(name: str) -> None:
    header, expected = TABLES[name]
    names = header.split()
    layout = layout_of_header(names, [], "t.tsv")
    assert layout is not None
    chrom, pos, at_id, ref, alt, _ = layout.read
    assert tuple(None if i is None else names[i] for i in (chrom, pos, ref, alt, at_id)) == expected
    assert layout.oriented == (name in ("PLINK 2", "FinnGen", "MAF"))


def test_columns_of_ids_are_read_where_positions_or_alleles_are_missing() -> None:
    names = ["variant", "minor_allele", "beta"]
    layout = layout_of_header(names, ["1:15791:C:T", "T", "0.1"], "t.tsv")
    assert layout is not None
    assert (layout.word, layout.chrom, layout.ref) == (0, None, None)
    metal = layout_of_header(["MarkerName", "Allele1", "Allele2"], ["20:5", "a", "g"], "t.tsv")
    assert metal is not None
    assert (metal.word, metal.effect, metal.other) == (0, 1, 2)
    assert layout_of_header(["gene", "beta"], ["BRCA1", "1"], "t.tsv") is None
    assert layout_of_header(["chrom", "start", "end", "name"], ["1", "5", "9", "x"], "t.bed") is None


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("SNP BETA P", "rs1 1 1", "has rsIDs and no positions"),
        ("rsid effect_allele other_allele beta", "rs1 A G 1", "has rsIDs and no positions"),
        ("CHR BP effect_allele beta", "1 5 A 1", "has one allele of each variant"),
        ("CHR BP SNP P", "1 5 rs1 1", "has no alleles"),
    ],
)
def test_tables_that_lack_something_are_refused(header: str, row: str, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        layout_of_header(header.split(), row.split(), "t.tsv")


def test_files_without_a_header() -> None:
    ids = layout_without_header(["chr1:5:A:G"], "t.txt", " ")
    assert ids is not None
    assert (ids.word, ids.has_header) == (0, False)
    four = layout_without_header(["chr1", "5", "A", "G"], "t.tsv", "\t")
    assert four is not None
    assert four.read[:2] == (0, 1)
    assert layout_without_header(["chr1", "5", "9"], "t.bed", "\t") is None
    assert layout_without_header(["chr1", "5", "9", "name"], "t.bed", "\t") is None
    with pytest.raises(FileFormatError, match="rsIDs and no positions"):
        layout_without_header(["rs5"], "t.txt", " ")


def test_headers_of_a_vcf() -> None:
    assert is_vcf_header(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"])
    assert is_vcf_header(["#CHROM", "POS", "ID", "REF", "ALT"])
    assert not is_vcf_header(["#CHROM", "POS", "ID", "REF", "ALT", "A1", "TEST"])
    assert not is_vcf_header(["CHROM", "POS", "ID", "REF", "ALT", "QUAL"])
