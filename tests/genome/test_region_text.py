"""Regions as text: a table with visible answers; names with colons."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoformer.errors import ConfigError
from genoformer.genome.region_text import Interval, parse_region

HLA = "HLA-A*01:01:01:01"
END = sys.maxsize


@pytest.mark.parametrize(
    ("text", "known", "region"),
    [
        ("chr20:1,000,001-2,000,000", (), ("chr20", 1_000_000, 2_000_000)),
        ("20", (), ("20", 0, END)),
        ("20:5", (), ("20", 4, 5)),  # one base
        ("20:5-", (), ("20", 4, END)),
        ("20:-5", (), ("20", 0, 5)),
        (" 20:5-6 ", (), ("20", 4, 6)),
        ("20:1-99999999999999999", (), ("20", 0, 99999999999999999)),
        ("20:5-6", ["chr20"], ("20", 4, 6)),
        (HLA, [HLA], (HLA, 0, END)),
        (f"{HLA}:1-100", [HLA], (HLA, 0, 100)),
        (f"{HLA}:1-1,000", [HLA], (HLA, 0, 1000)),
        (f"{HLA}:7", [HLA], (HLA, 6, 7)),
        (f"{HLA}:7-", [HLA], (HLA, 6, END)),
        (f"{HLA}:-7", [HLA], (HLA, 0, 7)),
        (HLA, ["chr6"], (HLA, 0, END)),  # an unknown name is not cut
        (f"{HLA}:1-100", ["chr6"], (HLA, 0, 100)),
        (HLA, [HLA, "HLA-A*01"], (HLA, 0, END)),
        ("HLA-DRB1*04:03:01", ["HLA-DRB1*04:03:01"], ("HLA-DRB1*04:03:01", 0, END)),
        ("HLA-A*24:09N", ["HLA-A*24:09N"], ("HLA-A*24:09N", 0, END)),
        ("HLA-A*24:09N:3-4", ["HLA-A*24:09N"], ("HLA-A*24:09N", 2, 4)),
        (f"{{{HLA}}}:1-100", [HLA], (HLA, 0, 100)),
        (f"{{{HLA}}}", [HLA], (HLA, 0, END)),
        ("{chr1}:5", ["chr1"], ("chr1", 4, 5)),
        ("{a:1-100}", ["a", "a:1-100"], ("a:1-100", 0, END)),
        ("{a}:1-100", ["a", "a:1-100"], ("a", 0, 100)),
        ("a:1-100", ["a:1-100"], ("a:1-100", 0, END)),
        ("a:1-100:2-3", ["a", "a:1-100"], ("a:1-100", 1, 3)),
        ("chr1:x", ["chr1", "chr1:x"], ("chr1:x", 0, END)),
    ],
)
def test_what_a_region_is(text: str, known: list[str], region: tuple[str, int, int]) -> None:
    assert parse_region(text, known) == Interval(*region)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not understood"),
        ("20:", "not understood"),
        (":5", "not understood"),
        ("20:a-b", "not understood"),
        ("20:5..9", "not understood"),
        ("20:1-2-3", "not understood"),
        ("20:-", "not understood"),
        ("20:,", "not understood"),
        ("20:1k-2k", "not understood"),
        ("20:١-٢", "not understood"),  # digits, but not ASCII's
        ("20:1-" + "9" * 30, "not understood"),
        ("20:1-200,21", "not understood"),  # bcftools has two regions here
        ("20:1,00-2,000", "not understood"),
        ("20:1-5,21:3-4", "not understood"),
        ("a b", "not understood"),
        ("20 5 6", "not understood"),
        ("{20", "not understood"),
        ("{20}:", "not understood"),
        ("{20}5", "not understood"),
        ("{}:1-2", "not understood"),
        ("{a b}:1-2", "not understood"),
        ("20:0", "runs from 0 to 0"),
        ("20:0-5", "runs from 0 to 5"),
        ("20:9-5", "runs from 9 to 5"),
    ],
)
def test_what_is_no_region_is_refused_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match="region") as refused:
        parse_region(text, ["20"])
    assert said in str(refused.value)


def test_a_text_that_could_be_two_things_is_refused_with_both_spellings() -> None:
    with pytest.raises(ConfigError, match="is a contig, and also a part of contig a") as refused:
        parse_region("a:1-100", ["a", "a:1-100"])
    assert "write {a:1-100} for the contig, or {a}:1-100 for the part" in str(refused.value)


@given(
    name=st.text("aB1:*-,_", min_size=1, max_size=12),
    others=st.lists(st.text("aB1:*-", min_size=1, max_size=6), max_size=3),
    first=st.integers(1, 10**9),
    n=st.integers(0, 10**6),
    commas=st.booleans(),
)
def test_braces_hold_any_name(name: str, others: list[str], first: int, n: int, commas: bool) -> None:
    span = f"{first:,}-{first + n:,}" if commas else f"{first}-{first + n}"
    assert parse_region(f"{{{name}}}:{span}", [name, *others]) == Interval(name, first - 1, first + n)
