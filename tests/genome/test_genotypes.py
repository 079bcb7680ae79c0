"""Genotypes in every spelling of VCF 4.1 to 4.5."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoformer.formats.vcf import Record
from genoformer.genome.genotypes import genotypes
from genoformer.scoring.phasing import phase


def record_of(form: str, *samples: str, alt: str = "C,G") -> Record:
    line = "\t".join(["c", "1", ".", "A", alt, ".", ".", ".", form, *samples])
    return Record(line, "c", 1, ".", "A", tuple(alt.split(",")))


def genotype_of(text: str):
    (found,) = genotypes(record_of("GT", text))
    return found


@pytest.mark.parametrize(
    ("text", "chromosomes", "left_out"),
    [
        ("0|1", (0, 1), {}),
        ("|0|1", (0, 1), {}),
        ("|1|0", (1, 0), {}),
        ("/0|1", (0, 1), {}),  # the second is phased, so the first is on the chromosome that is left
        ("/1|0", (1, 0), {}),
        ("|0/1", (0, 1), {}),
        ("0/1", (0, 0), {"without phase": 1}),
        ("/0/1", (0, 0), {"without phase": 1}),
        ("1/2", (0, 0), {"without phase": 2}),
        ("1/1", (1, 1), {}),  # alike on both
        ("/1|1", (1, 1), {}),
        ("1", (1,), {}),
        ("|1", (1,), {}),
        ("/1", (1,), {}),  # there is no other chromosome
        ("0", (0,), {}),
        (".", (0,), {"not known": 1}),
        ("", (0,), {"not known": 1}),
        (" ", (0,), {"not known": 1}),
        ("./.", (0, 0), {"not known": 2}),
        (".|.", (0, 0), {"not known": 2}),
        (".|1", (0, 1), {"not known": 1}),
        ("1|.", (1, 0), {"not known": 1}),
        ("1/.", (0, 0), {"without phase": 1, "not known": 1}),  # on one of the two
        ("./0", (0, 0), {"not known": 1}),
        ("/1|.", (1, 0), {"not known": 1}),
        ("0|3", (0, 3), {"no such ALT": 1}),
        ("0|0|1|1", (0, 0, 1, 1), {}),
        ("/0|0|1|1", (0, 0, 1, 1), {}),
        ("0/0|1|1", (0, 0, 1, 1), {}),  # the two that are not phased are alike
        ("0/1|1|1", (0, 0, 1, 1), {"without phase": 1}),
        ("0/1/1/1", (0, 0, 0, 0), {"without phase": 3}),
        ("1/1/1/1", (1, 1, 1, 1), {}),
        ("0/1|2", (0, 0, 2), {"without phase": 1}),
        ("|0/1|2", (0, 1, 2), {}),
        ("|0|1/2/1", (0, 1, 0, 0), {"without phase": 2}),
        ("10|0", (10, 0), {"no such ALT": 1}),
        ("0|x", (), {"unreadable GT": 1}),
        ("0||1", (), {"unreadable GT": 1}),
        ("0|1|", (), {"unreadable GT": 1}),
        ("-1|0", (), {"unreadable GT": 1}),
        ("A/C", (), {"unreadable GT": 1}),
        ("0|²", (), {"unreadable GT": 1}),
        (f"0|{'9' * 30}", (), {"unreadable GT": 1}),
    ],
)
def test_a_genotype_says_which_chromosome_has_which_allele(text: str, chromosomes: tuple[int, ...], left_out: dict) -> None:
    found = genotype_of(text)
    assert found.chromosomes == chromosomes
    assert found.left_out(2) == left_out


ALLELES = st.lists(st.sampled_from(["0", "1", "2", "."]), min_size=1, max_size=6)


@given(alleles=ALLELES, signs=st.lists(st.sampled_from("/|"), min_size=6, max_size=6), prefix=st.sampled_from(["", "/", "|"]))
def test_every_alt_allele_has_a_chromosome_or_is_counted(alleles: list[str], signs: list[str], prefix: str) -> None:
    text = prefix + alleles[0] + "".join(s + a for s, a in zip(signs, alleles[1:], strict=False))
    found = genotype_of(text)
    counted = found.left_out(2)
    assert len(found.chromosomes) == len(alleles)
    assert counted["not known"] == alleles.count(".")
    assert sum(c > 0 for c in found.chromosomes) + counted["without phase"] == sum(a in "12" for a in alleles)
    for allele, c in zip(alleles, found.chromosomes, strict=True):  # in its own place, or nowhere
        assert str(c) == allele or c == 0


@given(alleles=ALLELES.filter(lambda alleles: len(alleles) > 1))
def test_the_first_phase_may_be_left_out(alleles: list[str]) -> None:
    for sign in "/|":
        assert genotype_of(sign.join(alleles)) == genotype_of(sign + sign.join(alleles))


def test_gt_and_phase_sets_are_found_by_their_keys() -> None:
    found = list(genotypes(record_of("DP:PS:GT", "3:7:0|1", "3:.:0|1", "3", "3:7", "3:7:1/1", ".")))
    assert [x.chromosomes for x in found] == [(0, 1), (0, 1), (0,), (0,), (1, 1), (0,)]
    assert [x.phase_sets[0] for x in found] == ["7", "", "", "7", "7", ""]
    psl = list(genotypes(record_of("GT:PSL", "|0/1:a,.", "0|1:a,b", "0|1:a", "0|1:.", "0|1:a,a", "0|1")))
    assert [x.phase_sets for x in psl] == [("a", ""), ("a", "b"), ("a", ""), ("", ""), ("a", "a"), ("", "")]
    assert [x.by_allele for x in psl] == [True, True, True, False, False, False]


def test_a_record_without_gt_says_so_of_every_sample() -> None:
    assert [x.left_out(2) for x in genotypes(record_of("DP", "3", "4"))] == [{"without GT": 1}] * 2
    assert not list(genotypes(Record("c\t1\t.\tA\tC", "c", 1, ".", "A", ("C",))))


TEXT = st.text(st.characters(blacklist_characters="\t\n\r", blacklist_categories=("Cs",)), max_size=12)
CALL = st.from_regex(r"[/|]?[0-9.]([/|][0-9.]){0,3}(:[a-c,.*]{0,6}){0,2}", fullmatch=True)


@given(
    form=st.lists(st.sampled_from(["GT", "PS", "PSL", "DP", "LEN", ""]), max_size=4).map(":".join),
    samples=st.lists(st.one_of(TEXT, CALL), max_size=4),
    ploidy=st.integers(1, 4),
)
def test_no_text_is_too_odd(form: str, samples: list[str], ploidy: int) -> None:
    found = list(genotypes(record_of(form, *samples)))
    assert len(found) == len(samples)
    for genotype in found:
        genotype.left_out(2)
    chromosomes, _ = phase(found, [(1, 2)] * len(found), ploidy)
    assert all(len(each) == ploidy and set(each) <= {0, 1, 2} for each in chromosomes)
