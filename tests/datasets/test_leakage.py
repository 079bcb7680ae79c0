"""Leakage: planted duplicates, reverse complements and overlaps are found, unrelated sequences are not."""

from __future__ import annotations

import numpy as np
import pytest

from genoformer.datasets.leakage import Leakage, leakage
from genoformer.genome.codes import reverse_complement


def sequences(n: int, length: int, seed: int) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(4, size=(n, length), dtype=np.uint8))


@pytest.mark.parametrize(("length", "k"), [(70, 16), (99, 16), (100, 31), (300, 31)])
def test_planted_sequences_are_found(length: int, k: int) -> None:
    train, other = sequences(200, length, 0), sequences(100, length, 1)
    other[3], other[4] = train[0], train[0]
    other[5] = reverse_complement(train[1])
    found = leakage(train, other)
    assert (found.n, found.n_leaked, found.n_duplicates, found.n_reverse_duplicates, found.k) == (100, 3, 2, 1, k)
    assert found.percent == 3
    assert leakage(train, sequences(100, length, 2)).n_leaked == 0


@pytest.mark.parametrize(("shared", "leaked"), [(150, 0), (164, 0), (166, 1), (250, 1)])
def test_half_of_the_kmers_is_the_limit(shared: int, leaked: int) -> None:
    """Of 270 31-mers of 300 bases, `shared` bases hold shared - 30: 135 are half."""
    train, other = sequences(50, 300, 0), sequences(20, 300, 1)
    other[7][20 : 20 + shared] = reverse_complement(train[9][:shared])
    found = leakage(train, other)
    assert (found.n_leaked, found.n_duplicates, found.n_reverse_duplicates) == (leaked, 0, 0)


def test_pieces_of_a_long_sequence_are_in_it() -> None:
    [chrom] = sequences(1, 20_000, 0)
    other = [chrom[100:400], reverse_complement(chrom[5000:5300]), *sequences(2, 300, 1)]
    assert leakage([chrom], other).n_leaked == 2


def test_what_is_too_short_or_unknown_is_counted() -> None:
    train = [*sequences(2, 10, 0), *sequences(2, 200, 0)]
    other = [train[0], sequences(1, 10, 5)[0], np.full(200, 4, np.uint8), *sequences(3, 200, 6)]
    found = leakage(train, other)
    assert (found.n_unchecked, found.n_leaked, found.n_duplicates) == (3, 1, 1)
    assert "3 could not be checked" in found.describe("train", "test")


def test_classes_are_told_apart() -> None:
    train, other = sequences(50, 100, 0), sequences(40, 100, 1)
    other[:3] = train[:3]
    found = leakage(train, other, ["yes"] * 20 + ["no"] * 20)
    assert found.classes == {"no": (20, 0), "yes": (20, 3)}
    assert found.as_dict()["classes"]["yes"] == {"n": 20, "n_leaked": 3, "percent": 15}
    assert found.describe().startswith("7.50 % of valid (3 of 40; 15.00 % of yes) shares half or more")


def test_of_many_classes_the_worst_three_are_named() -> None:
    """Twelve classes of ten each, of which 0, 1, 2, 3, 4 and 5 have leaked."""
    each = {f"c{i:02}": (10, max(0, i - 6)) for i in range(12)}
    found = Leakage(120, 15, 15, 0, 0, 31, 1, classes=each)
    said = "12.50 % of valid (15 of 120; 50.00 % of c11, 40.00 % of c10, 30.00 % of c09 and less of 2 more) shares"
    assert found.describe().startswith(said)
    none = Leakage(120, 0, 0, 0, 0, 31, 1, classes=dict.fromkeys(each, (10, 0)))
    assert none.describe().startswith("0.00 % of valid (0 of 120) shares")


def test_empty_sets_leak_nothing() -> None:
    assert leakage([], sequences(2, 50, 0)).percent == 0
    assert leakage(sequences(2, 50, 0), []).percent == 0


def test_large_sets_are_sampled() -> None:
    train, other = sequences(300, 1000, 0), sequences(50, 1000, 1)
    other[:5] = [reverse_complement(row) for row in train[:5]]
    found = leakage(train, other, exact_bases=30_000)
    assert (found.scale, found.n_leaked, found.n_reverse_duplicates) == (10, 5, 5)
    assert "of which 1 in 10 was checked" in found.describe()
    assert found.as_dict()["percent"] == 10
