"""Agreement against chance: a judgement of each contig, and the cause of what disagrees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from genoformer.genome.agreement import (
    Cause,
    Counts,
    Evidence,
    at_least,
    belongs_as_a_whole,
    cause_of,
    chance_of,
    is_sure,
    judge,
)
from genoformer.genome.readings import Reading

Q = 0.28


def contig(
    name: str = "chr1", *, length: int = 1000, stated: int | None = None, reference: str = "", **counts: int
) -> Evidence:
    return Evidence(name, reference or name, length, stated, Counts(**counts))


def belongs(*contigs: Evidence, asked: tuple[str, ...] = ()) -> list[bool | None]:
    return [of.belongs for of in judge(contigs, Q, asked)]


@given(st.integers(1, 400), st.floats(0.01, 0.99), st.data())
def test_the_tail_of_a_binomial_is_that_of_scipy(n: int, p: float, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    assert at_least(k, n, p) == pytest.approx(binom.sf(k - 1, n, p), rel=1e-6, abs=1e-12)


def test_the_tail_of_many_records() -> None:
    assert at_least(300_000, 1_000_000, 0.28) < 1e-100
    assert at_least(280_000, 1_000_000, 0.28) == pytest.approx(0.5, abs=0.01)


def test_chance_is_that_of_the_letters() -> None:
    assert chance_of("") == chance_of("ACGT" * 100) == 0.28
    assert chance_of("AT" * 5_000) == pytest.approx(0.5, abs=0.01)
    assert chance_of("A" * 9) == 0.28  # few letters say little


@pytest.mark.parametrize(
    ("n", "agree", "answer"),
    [
        (10, 8, True),  # two slips
        (12, 12, True),
        (12, 11, True),
        (12, 6, False),  # 6 of 12 by chance: 0.08
        (100, 100, True),
        (100, 60, True),
        (100, 50, False),  # by chance 2e-6, and nothing explains the others
        (100, 28, False),
        (100_000, 31_000, False),  # above chance, but most disagree
        (30, 8, False),
        (1, 1, True),
        (1, 0, False),
        (5, 1, False),
        (8, 0, False),
    ],
)
def test_a_contig_belongs_where_ref_agrees_more_than_by_chance(n: int, agree: int, answer: bool) -> None:
    assert belongs(contig(n=n, agree=agree)) == [answer]


def test_no_record_to_compare_is_no_judgement() -> None:
    assert belongs(contig(), contig("chr2", unknown=9)) == [None, None]


@pytest.mark.parametrize(
    ("counts", "answer"),
    [
        ({"n": 100, "agree": 95}, True),  # the header is older than a liftover, or the FASTA a part
        ({"n": 100, "agree": 85}, False),
        ({"n": 8, "agree": 8}, True),  # by chance 4e-5
        ({"n": 5, "agree": 5}, False),  # by chance 0.002
        ({"n": 8, "agree": 7}, False),
    ],
)
def test_another_length_asks_for_more(counts: dict[str, int], answer: bool) -> None:
    assert belongs(contig(length=1000, stated=1001, **counts)) == [answer]


def test_a_mitochondrion_of_another_length_never_belongs() -> None:
    other = contig("MT", reference="chrM", length=16_571, stated=16_569, n=500, agree=500)
    assert belongs(other) == [False]
    assert belongs(contig("chrM", length=16_569, stated=16_571, n=3, agree=3)) == [False]
    assert belongs(contig("MT", reference="chrM", length=16_569, stated=16_569, n=500, agree=499)) == [True]
    unstated = contig("MT", reference="chrM", length=16_571, n=20, agree=16)
    assert belongs(unstated) == [False]
    assert belongs(unstated._replace(counts=Counts(n=20, agree=20))) == [True]


def test_a_contig_with_few_records_is_judged_with_others() -> None:
    good, bad = contig("chr1", n=1000, agree=1000), contig("chr1", n=1000, agree=280)
    few = contig("chr2", n=4, agree=2)
    assert belongs(good, few) == [True, True]
    assert belongs(bad, few) == [False, False]
    assert belongs(bad, few._replace(stated=1000, counts=Counts(n=4, agree=4))) == [False, True]  # its length is right
    assert belongs(good, contig("decoy", n=4, agree=1)) == [True, False]
    assert belongs(good, contig("chr3", n=1, agree=0)) == [True, False]  # alone, it cannot be told
    many = [contig(f"s{i}", n=3, agree=3) for i in range(10)]
    assert belongs(bad, *many) == [False] + [True] * 10  # together 30 of 30
    assert belongs(bad, *[contig(f"s{i}", n=3, agree=1) for i in range(10)]) == [False] * 11


def test_a_file_of_another_build_stops_though_the_mitochondrion_is_the_same() -> None:
    other = [contig(f"chr{i}", n=500, agree=140) for i in range(1, 23)]
    same = contig("chrM", n=200, agree=200)
    assert not belongs_as_a_whole(judge([*other, same], Q))
    assert belongs_as_a_whole(judge([*other[:1], same], Q))  # one of two contigs is not a build
    assert belongs_as_a_whole(judge([contig("chr1", n=12, agree=12), contig("chr2", n=900, agree=250)], Q))
    assert belongs_as_a_whole(judge([contig()], Q))
    assert not belongs_as_a_whole(judge(other, Q))


def test_records_beyond_the_end_ask_for_more() -> None:
    assert belongs(contig(n=8, agree=8, outside=1)) == [False]
    assert belongs(contig(n=9, agree=9, outside=1)) == [True]
    assert belongs(contig(n=100, agree=100, outside=900)) == [True]  # a part of the contig, from its first base
    assert belongs(contig(outside=1)) == [False]


def disagreeing(n: int, agree: int, **ways: int) -> Counts:
    d = n - agree
    return Counts(n=n, agree=agree, **{"tests_swap": d, "tests_strand": d, **ways})


@pytest.mark.parametrize(
    ("counts", "cause"),
    [
        (disagreeing(100, 100), None),
        (disagreeing(100, 75, swap=25, strand=3, either=3), Cause.SWAP),
        (disagreeing(100, 75, swap=22, strand=1), None),
        (disagreeing(100, 50, strand=50, swap=5, either=5), Cause.STRAND),
        (disagreeing(100, 28, next=72, swap=24, strand=24, at_once=24), Cause.FROM_ZERO),
        (disagreeing(100, 28, previous=72, swap=24, strand=24, at_once=24), Cause.TOO_FAR),
        (disagreeing(100, 28, swap=24, strand=24, at_once=24), None),  # another build
        (disagreeing(100, 60, swap=18, strand=18, at_once=4), Cause.SWAP_AND_STRAND),
        (disagreeing(100, 60, swap=14, strand=13, at_once=13), None),  # slips of any kind
        (disagreeing(100, 20, swap=38, strand=38, at_once=4), None),  # hardly one agrees as it is
    ],
)
def test_a_cause_explains_nine_of_ten(counts: Counts, cause: Cause | None) -> None:
    assert cause_of(counts) is cause


def test_two_slips_are_no_sure_cause() -> None:
    assert not is_sure(disagreeing(10, 8, swap=2), Cause.SWAP)
    assert is_sure(disagreeing(10, 2, swap=8), Cause.SWAP)


def test_half_on_the_other_strand_is_the_right_genome() -> None:
    half = contig()._replace(counts=disagreeing(100, 50, strand=50))
    assert belongs(half) == [True]
    (of,) = judge([half], Q)
    assert (of.cause, of.fix, of.is_other) == (Cause.STRAND, Reading.NONE, False)


def test_a_contig_that_is_all_swapped_stops_alone_and_passes_beside_others() -> None:
    swapped = contig("chr2")._replace(counts=disagreeing(100, 0, swap=100))
    assert belongs(swapped) == [False]
    good, of = judge([contig("chr1", n=100, agree=100), swapped], Q)
    assert (good.belongs, of.is_other) == (True, False)  # its records are REF_MISMATCH, one by one
    assert belongs(swapped, asked=("swap",)) == [True]
    assert belongs(swapped, asked=("strand", "shift")) == [False]


FIXES = [
    (disagreeing(100, 75, swap=25), ("swap",), Reading.SWAP),
    (disagreeing(100, 0, swap=100), ("swap",), Reading.SWAP | Reading.ALL_SWAPPED),
    (disagreeing(100, 75, swap=25), ("strand",), Reading.NONE),
    (disagreeing(100, 75, swap=20), ("swap",), Reading.NONE),
    (disagreeing(100, 75, strand=25), ("strand",), Reading.STRAND),
    (disagreeing(100, 60, swap=18, strand=18, at_once=4), ("swap",), Reading.NONE),
    (disagreeing(100, 60, swap=18, strand=18, at_once=4), ("swap", "strand"), Reading.SWAP | Reading.STRAND | Reading.AT_ONCE),
    (disagreeing(100, 28, next=72), ("shift",), Reading.NEXT),
    (disagreeing(100, 28, previous=72), ("shift",), Reading.PREVIOUS),
    (disagreeing(100, 64, next=36), ("shift",), Reading.NONE),  # half of the file: a record that agrees cannot tell
    (disagreeing(100, 28, next=72), ("swap", "strand"), Reading.NONE),
    (disagreeing(100, 28, swap=24, strand=24, at_once=24), ("swap", "strand", "shift"), Reading.NONE),
]


@pytest.mark.parametrize(("counts", "asked", "fix"), FIXES)
def test_a_fix_is_taken_where_it_explains_what_disagrees(counts: Counts, asked: tuple[str, ...], fix: Reading) -> None:
    (of,) = judge([contig()._replace(counts=counts)], Q, asked)
    assert of.fix == fix


def test_few_records_counted_from_zero_are_found_by_those_that_agree_by_chance() -> None:
    counts = disagreeing(8, 5, next=3)._replace(sampled=5, next_too=5)
    (of,) = judge([contig()._replace(counts=counts)], Q)
    assert (of.belongs, of.cause) == (False, Cause.FROM_ZERO)
    assert belongs(contig()._replace(counts=counts), asked=("shift",)) == [True]
    assert belongs(contig()._replace(counts=counts._replace(next_too=4))) == [True]  # slips


def test_a_contig_with_few_records_has_the_cause_of_the_file() -> None:
    whole, few = contig("chr1")._replace(counts=disagreeing(100, 75, swap=25)), contig("chr2")
    few = few._replace(counts=disagreeing(5, 3, swap=2))
    assert [of.fix for of in judge([whole, few], Q, ("swap",))] == [Reading.SWAP] * 2
    lost = contig("chr3")._replace(counts=disagreeing(300, 84, swap=72, strand=72, at_once=72))
    assert [of.fix for of in judge([whole, few, lost], Q, ("swap",))] == [Reading.SWAP] * 2 + [Reading.NONE]
