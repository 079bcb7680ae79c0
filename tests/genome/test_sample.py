"""A sample of records that does not depend on the batches, evenly spread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoformer.formats.vcf import Record
from genoformer.genome.sample import Sample

RECORDS = [Record("", "a" if i % 2 else "b", i + 1, ".", "acgt"[i // 2 % 4], ("N",)) for i in range(70_000)]


def sample_of(n: int, size: int) -> Sample:
    sample = Sample()
    for i in range(0, n, size):
        sample.add(RECORDS[i : min(n, i + size)])
    return sample


@pytest.mark.parametrize(("n", "step"), [(1, 1), (1_024, 1), (1_025, 2), (8_192, 8), (8_193, 2 * 5), (70_000, 16 * 5)])
def test_places_are_evenly_spread(n: int, step: int) -> None:
    starts = [start for _, start in sample_of(n, 16_384).places({"a": "a", "b": "b"})]
    assert starts == list(range(0, n, step))


def test_places_are_of_contigs_that_the_genome_has() -> None:
    assert sample_of(6, 4).places({"a": None, "b": "chrB"}) == [("b", 0), ("b", 2), ("b", 4)]


def test_letters_are_upper_case() -> None:
    assert sample_of(8, 3).letters == "AACCGGTT"


@given(st.integers(0, 40_000), st.sampled_from([997, 8_192, 8_193, 16_384]))
def test_a_sample_does_not_depend_on_the_batches(n: int, size: int) -> None:
    one, other = sample_of(n, size), sample_of(n, 40_000)
    names = {"a": "a", "b": "b"}
    assert (one.places(names), one.letters) == (other.places(names), other.letters)


def test_places_with_bases_are_those_of_alleles_that_spell_a_sequence() -> None:
    sample = Sample()
    rows = [("A", "G"), ("A", "]b:5]A"), ("A", "<DEL>"), ("N", "A"), ("A", "*"), ("A", "."), ("AC", "a"), ("A", "<DUP>,AT")]
    sample.add([Record("", "a", i, ".", ref, tuple(alt.split(","))) for i, (ref, alt) in enumerate(rows, 1)])
    assert len(sample.places({"a": "a"})) == 8
    assert sample.places({"a": "a"}, with_bases=True) == [("a", 0), ("a", 6), ("a", 7)]
