"""Agreement against chance: a judgement of each contig, and the cause of what disagrees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from genoformer.genome.agreement import Evidence, Judgement, belongs_as_a_whole, judge
from genoformer.genome.causes import (
    Cause,
    Counts,
    at_least,
    chance_agreement,
    find_cause,
    is_sure,
)
from genoformer.genome.readings import FLIPPED, Reading

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
    assert chance_agreement("") == chance_agreement("ACGT" * 100) == 0.28
    assert chance_agreement("AT" * 5_000) == pytest.approx(0.5, abs=0.01)
    assert chance_agreement("A" * 9) == 0.28  # few letters say little


UNKNOWN, EQUAL, OTHER = None, 1000, 1001  # length that the VCF states of a contig of 1,000 bases

# k of n records agree; P is that of k or more by chance (with fewer than 12 records, of k + 12 - n of 12)
RULE = [
    #  k,   n, unknown, equal, other
    (1, 1, True, True, True),
    (0, 1, True, True, False),  # one slip
    (0, 2, True, True, False),  # two slips
    (1, 3, True, True, False),
    (0, 3, False, False, False),  # three slips are all of the file
    (3, 3, True, True, True),
    (3, 6, True, True, False),  # as 9 of 12: P = 0.001
    (4, 8, False, True, False),  # as 8 of 12: P = 0.006
    (1, 5, False, False, False),
    (0, 8, False, False, False),
    (7, 8, True, True, False),
    (8, 10, True, True, False),
    (9, 10, True, True, True),
    (6, 11, False, False, False),  # as 7 of 12
    (7, 11, False, True, False),
    (8, 11, True, True, False),
    (6, 12, False, False, False),  # P = 0.08
    (7, 12, False, False, False),  # P = 0.03
    (8, 12, False, True, False),  # P = 0.006
    (9, 12, True, True, False),
    (11, 12, True, True, True),
    (14, 20, True, True, False),  # P = 1.2e-4
    (21, 30, True, True, False),
    (25, 40, True, True, False),
    (20, 40, False, True, False),  # P = 0.003
    (50, 100, True, True, False),  # P = 2e-6
    (49, 100, False, False, False),  # most disagree
    (60, 100, True, True, False),
    (90, 100, True, True, True),
    (28, 100, False, False, False),
    (31_000, 100_000, False, False, False),
]


@pytest.mark.parametrize(("k", "n", "unknown", "equal", "other"), RULE)
def test_a_contig_alone_belongs_by_the_rule(k: int, n: int, unknown: bool, equal: bool, other: bool) -> None:
    answers = [belongs(contig(n=n, agree=k, stated=stated))[0] for stated in (UNKNOWN, EQUAL, OTHER)]
    assert answers == [unknown, equal, other]


@pytest.mark.parametrize("q", [0.28, 0.5])
@given(data=st.data())
def test_one_more_agreeing_record_never_makes_a_contig_that_belongs_another_sequence(q: float, data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 60))
    k = data.draw(st.integers(0, n))
    ways = data.draw(st.sampled_from(["", "swap", "strand", "next"]))
    n_ways = data.draw(st.integers(0, n - k)) if ways else 0
    counts = disagreeing(n, k, outside=data.draw(st.integers(0, 30)), **({ways: n_ways} if ways else {}))
    stated = data.draw(st.sampled_from([UNKNOWN, EQUAL, OTHER]))
    beside = data.draw(st.sampled_from([[], [contig("chr2", n=100, agree=100)], [contig("chr2", n=100, agree=28)]]))
    before, after = (
        judge([contig(stated=stated)._replace(counts=c), *beside], q)[0]
        for c in (counts, counts._replace(n=n + 1, agree=k + 1))
    )
    assert after.belongs or not before.belongs


@pytest.mark.parametrize(("k", "n", "beyond"), [(8, 8, 2), (4, 4, 1), (11, 11, 2), (12, 12, 5), (7, 8, 2), (1, 1, 1)])
@pytest.mark.parametrize("beside", [[], [("chr2", 100)]])
def test_a_few_records_beyond_the_end_leave_the_others_scored(
    k: int, n: int, beyond: int, beside: list[tuple[str, int]]
) -> None:
    others = [contig(name, n=m, agree=m) for name, m in beside]
    of = judge([contig(n=n, agree=k, outside=beyond), *others], Q)[0]
    assert (of.belongs, of.is_other) == (True, False)


@pytest.mark.parametrize(
    ("k", "n", "stated", "answer"),
    [
        (0, 1, UNKNOWN, True),
        (0, 2, UNKNOWN, True),
        (0, 3, UNKNOWN, False),  # alone with three that disagree: another sequence
        (0, 1, EQUAL, True),
        (0, 4, EQUAL, True),
        (0, 5, EQUAL, False),
    ],
)
def test_a_slip_or_two_on_a_small_contig_beside_a_good_one_are_no_other_sequence(
    k: int, n: int, stated: int | None, answer: bool
) -> None:
    assert belongs(contig(n=50, agree=50), contig("chr2", n=n, agree=k, stated=stated)) == [True, answer]


def test_a_length_of_another_assembly_asks_for_records_that_cannot_agree_by_chance() -> None:
    hg19, hg38 = 63_025_520, 64_444_167  # of chromosome 20
    few = contig("chr20", length=hg38, stated=hg19, n=3, agree=3)
    assert belongs(few, few._replace(counts=Counts(n=6, agree=6))) == [False, True]
    assert belongs(few._replace(stated=hg19 + 1)) == [True]  # of no assembly: the header is wrong


def test_no_record_to_compare_is_no_judgement() -> None:
    assert belongs(contig(), contig("chr2", unknown=9)) == [None, None]


@pytest.mark.parametrize(
    ("counts", "answer"),
    [
        ({"n": 100, "agree": 95}, True),  # the header is older than a liftover, or the FASTA a part
        ({"n": 100, "agree": 85}, False),
        ({"n": 8, "agree": 8}, True),  # by chance 4e-5
        ({"n": 3, "agree": 3}, True),
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


def test_contigs_whose_every_ref_agrees_belong_however_few_their_records() -> None:
    one, many, none = contig("chr1", n=1, agree=1), contig("chr2", n=900, agree=900), contig("chr3", unknown=5)
    assert judge([one, many, none], Q, ("swap", "shift")) == [
        Judgement(one, True),
        Judgement(many, True),
        Judgement(none, None),
    ]
    assert belongs(many, contig("chrM", length=16_569, stated=16_571, n=5, agree=5)) == [True, False]  # another sequence


def test_a_contig_with_few_records_is_judged_with_others() -> None:
    good, bad = contig("chr1", n=1000, agree=1000), contig("chr1", n=1000, agree=280)
    few = contig("chr2", n=4, agree=2)
    assert belongs(good, few) == [True, True]
    assert belongs(bad, few) == [False, False]
    assert belongs(bad, few._replace(stated=1000, counts=Counts(n=4, agree=4))) == [False, True]  # its length is right
    assert belongs(good, contig("decoy", n=4, agree=1)) == [True, False]
    assert belongs(bad, contig("chr3", n=1, agree=0)) == [False, False]
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


def test_records_beyond_the_end_count_as_those_that_disagree() -> None:
    assert belongs(contig(n=9, agree=9, outside=1)) == [True]
    assert belongs(contig(n=100, agree=100, outside=900)) == [True]  # a part of the contig, from its first base
    assert belongs(contig(n=3, agree=3, outside=900)) == [False]  # by chance
    assert belongs(contig(outside=1)) == [False]
    assert belongs(contig(outside=1), contig("chr2", n=50, agree=50)) == [None, True]


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
    assert find_cause(counts) is cause


def test_few_slips_are_no_sure_cause() -> None:
    for k in (1, 2, 4):
        assert not is_sure(disagreeing(10, 10 - k, swap=k), Cause.SWAP)
    assert is_sure(disagreeing(10, 5, swap=5), Cause.SWAP)  # all of five
    assert not is_sure(disagreeing(10, 4, swap=5), Cause.SWAP)
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
    assert of.fix & ~FLIPPED == fix


@pytest.mark.parametrize(
    ("counts", "asked", "flipped"),
    [
        (disagreeing(100, 0, strand=100), ("strand",), Reading.ALL_FLIPPED),
        (disagreeing(100, 5, strand=95, mirrored=5), ("strand",), Reading.ALL_FLIPPED),  # these cannot tell
        (disagreeing(100, 5, strand=95, one_strand=5), ("strand",), Reading.ALL_FLIPPED),
        (disagreeing(100, 20, strand=80, one_strand=20), ("strand",), Reading.PART_FLIPPED),
        (disagreeing(100, 5, strand=95), ("swap", "strand"), Reading.ALL_FLIPPED),
        (disagreeing(100, 60, swap=40), ("swap", "strand"), Reading.NONE),  # no record is on the other strand
        (disagreeing(100, 60, swap=40, strand=8, either=8), ("swap", "strand"), Reading.NONE),
        (disagreeing(100, 60, swap=40, strand=9, either=8), ("swap", "strand"), Reading.PART_FLIPPED),
        (disagreeing(100, 60, swap=40, strand=40, either=40), ("swap", "strand"), Reading.PART_FLIPPED),  # A/T and C/G
        (disagreeing(100, 60, swap=20, strand=20), ("swap", "strand"), Reading.PART_FLIPPED),
        (disagreeing(100, 28, next=72), ("shift",), Reading.NONE),
        (disagreeing(100, 60, swap=40), ("swap",), Reading.NONE),
    ],
)
def test_how_much_of_a_contig_is_on_the_other_strand(counts: Counts, asked: tuple[str, ...], flipped: Reading) -> None:
    (of,) = judge([contig()._replace(counts=counts)], Q, asked)
    assert of.fix & FLIPPED == flipped


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


def test_small_contigs_follow_the_shift_of_the_file_unless_they_agree_better_without() -> None:
    whole = contig("chr1")._replace(counts=disagreeing(100, 28, next=72))
    both = contig("s1")._replace(counts=Counts(n=1, agree=1, sampled=1, next_too=1))  # agrees at both places, by chance
    mixed = contig("s2")._replace(counts=disagreeing(2, 1, next=1, sampled=1, next_too=1))
    better = contig("s3")._replace(counts=Counts(n=6, agree=6, sampled=6, next_too=2))
    judged = judge([whole, both, mixed, better], Q, ("shift",))
    assert [of.fix for of in judged] == [Reading.NEXT] * 3 + [Reading.NONE]
    assert [of.belongs for of in judged] == [True] * 4
    assert [of.belongs for of in judge([whole, both, mixed, better], Q)] == [False, False, False, True]


@pytest.mark.parametrize(
    ("counts", "asked", "fix"),
    [
        (disagreeing(5, 3, next=2, sampled=3, next_too=3), ("shift",), Reading.NEXT),
        (disagreeing(5, 3, next=2, sampled=3, next_too=2), ("shift",), Reading.NONE),  # one agrees at POS only
        (disagreeing(2, 0, next=2, previous=2), ("shift",), Reading.NONE),  # either way
        (disagreeing(3, 2, strand=1), ("strand",), Reading.NONE),  # one slip
        (disagreeing(9, 7, strand=2), ("strand",), Reading.STRAND),
        (disagreeing(9, 7, strand=1), ("strand",), Reading.NONE),
        (disagreeing(1, 0, swap=1), ("swap",), Reading.SWAP | Reading.ALL_SWAPPED),  # all there are
    ],
)
def test_few_records_are_fixed_as_asked_where_nothing_speaks_against_it(
    counts: Counts, asked: tuple[str, ...], fix: Reading
) -> None:
    (of,) = judge([contig()._replace(counts=counts)], Q, asked)
    assert of.fix & ~FLIPPED == fix
