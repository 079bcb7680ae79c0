"""Dinucleotide shuffles: exact counts, and every possible sequence as likely as any other."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, permutations

import numpy as np
import pytest
from amounts import examples
from hypothesis import given
from hypothesis import strategies as st

from genoformer.datasets.shuffle import dinucleotide_shuffle
from genoformer.genome.codes import decode, encode


def dinucleotides(text: str) -> Counter[tuple[str, str]]:
    return Counter(pairwise(text))


@given(st.lists(st.text(alphabet="ACGTN", min_size=12, max_size=12), min_size=1, max_size=8), st.integers(0, 99))
@examples(100)
def test_every_dinucleotide_is_as_frequent_as_before(texts: list[str], seed: int) -> None:
    codes = np.stack([encode(text) for text in texts])
    before = codes.copy()
    found = dinucleotide_shuffle(codes, np.random.default_rng(seed))
    assert (codes == before).all()
    for text, row in zip(texts, found, strict=True):
        new = decode(row)
        assert dinucleotides(new) == dinucleotides(text)
        assert (new[0], new[-1]) == (text[0], text[-1])


@pytest.mark.parametrize("text", ["ACAGATCA", "AACACCAGA", "ACGTACGNA", "AAAAAAC", "ACCACGATT"])
def test_every_sequence_with_these_dinucleotides_is_as_likely(text: str) -> None:
    possible = {
        word
        for middle in set(permutations(text[1:-1]))
        if dinucleotides(word := text[0] + "".join(middle) + text[-1]) == dinucleotides(text)
    }
    n = 400 * len(possible)
    found = Counter(map(decode, dinucleotide_shuffle(np.tile(encode(text), (n, 1)), np.random.default_rng(1))))
    assert set(found) == possible
    chi2 = sum((found[word] - 400) ** 2 / 400 for word in possible)
    freedom = len(possible) - 1
    assert chi2 <= freedom + 4 * (2 * freedom) ** 0.5  # four standard deviations


def test_long_rows_are_really_shuffled() -> None:
    codes = np.random.default_rng(0).integers(4, size=(50, 1000), dtype=np.uint8)
    found = dinucleotide_shuffle(codes, np.random.default_rng(2), batch_size=7)
    assert (found == dinucleotide_shuffle(codes, np.random.default_rng(2), batch_size=7)).all()
    assert 0.2 < (found == codes).mean() < 0.3  # as often as by chance
    for row, new in zip(codes, found, strict=True):
        assert dinucleotides(decode(row)) == dinucleotides(decode(new))


@pytest.mark.parametrize("length", [0, 1, 2])
def test_too_short_to_shuffle(length: int) -> None:
    codes = np.zeros((3, length), dtype=np.uint8)
    assert (dinucleotide_shuffle(codes, np.random.default_rng(0)) == codes).all()
    assert dinucleotide_shuffle(np.zeros((0, 9), dtype=np.uint8), np.random.default_rng(0)).shape == (0, 9)
