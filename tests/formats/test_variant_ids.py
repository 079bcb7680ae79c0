"""Variants as one word, in the spellings that people use."""

from __future__ import annotations

import pytest

from genoformer.formats.variant_ids import is_rsid, parse_place, parse_variant_id


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("chr20:1050100:A:G", ("chr20", 1050100, "A", "G")),
        ("chr20-1050100-A-G", ("chr20", 1050100, "A", "G")),
        ("chr20:1050100:A>G", ("chr20", 1050100, "A", "G")),
        ("chr20:1050100A>G", ("chr20", 1050100, "A", "G")),
        ("20:g.1050100A>G", ("20", 1050100, "A", "G")),
        ("NC_000020.11:g.1050100A>G", ("NC_000020.11", 1050100, "A", "G")),
        ("20_1050100_A_G", ("20", 1050100, "A", "G")),
        ("chr1_100_at_a_b38", ("chr1", 100, "AT", "A")),  # GTEx
        ("1:1,050,100:A/G", ("1", 1050100, "A", "G")),
        ("HLA-A*01:01:01:01:5:A:G", ("HLA-A*01:01:01:01", 5, "A", "G")),
        ("chr1_KI270706v1_random:7:C:CA", ("chr1_KI270706v1_random", 7, "C", "CA")),
        (" chrM:1:A:N ", ("chrM", 1, "A", "N")),
    ],
)
def test_spellings(text: str, parts: tuple[str, int, str, str]) -> None:
    assert parse_variant_id(text) == parts


@pytest.mark.parametrize(
    "text",
    ["", "rs123", "chr20", "chr20:5", "chr20:5:A", "chr20:5:A:", "chr20:5:A:Z", "chr20:x:A:G", "in.vcf", "chr20:5:A:<DEL>"],
)
def test_other_texts_are_none(text: str) -> None:
    assert parse_variant_id(text) is None


def test_places_and_rsids() -> None:
    assert parse_place("20:5") == ("20", 5)
    assert parse_place("20:5:A:G") == ("20", 5)
    assert parse_place("rs5") is None
    assert (is_rsid("rs5"), is_rsid("RS5"), is_rsid("rs5a"), is_rsid("chr1:5:A:G")) == (True, True, False, False)
