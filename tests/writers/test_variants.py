"""Variants of a program -> a VCF: rows of every kind, and values that a VCF cannot hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from genoformer.errors import ConfigError
from genoformer.formats.vcf import read_variants
from genoformer.genome.variants import Variant
from genoformer.writers.variants import write_variants

ROWS = [("chr1", 5, "A", "T"), ("2", 7, "AC", "<DEL>")]


@pytest.mark.parametrize(
    "variants",
    [
        [Variant(*row) for row in ROWS],
        ROWS,
        iter(ROWS),
        pd.DataFrame(ROWS, columns=["chrom", "pos", "ref", "alt"])[["alt", "pos", "chrom", "ref"]].assign(other=1),
    ],
)
def test_every_kind_of_row_is_written_in_its_order(tmp_path: Path, variants: Any) -> None:
    path = write_variants(tmp_path / "a.vcf", variants)
    assert [(v.chrom, v.pos, v.ref, v.alts) for v in read_variants(path)] == [
        ("chr1", 5, "A", ("T",)),
        ("2", 7, "AC", ("<DEL>",)),
    ]


def test_one_variant_is_a_list_of_one(tmp_path: Path) -> None:
    (record,) = read_variants(write_variants(tmp_path / "a.vcf", Variant("1", 5, "A", "T")))
    assert (record.chrom, record.pos) == ("1", 5)


@pytest.mark.parametrize(
    ("variants", "words"),
    [
        ([("chr1", 5, "A")], "give Variant"),
        ([("chr1", "five", "A", "T")], "1-based pos"),
        ([("chr1", 5, "A", "T,C")], "words without blanks or commas"),
        ([("chr 1", 5, "A", "T")], "words without blanks or commas"),
        ([("chr1", 5, "", "T")], "words without blanks or commas"),
        (pd.DataFrame({"chrom": ["1"], "pos": [5]}), "has no column ref, alt"),
    ],
)
def test_values_that_a_vcf_cannot_hold_are_refused(tmp_path: Path, variants: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        write_variants(tmp_path / "a.vcf", variants)
    assert not (tmp_path / "a.vcf").exists()
