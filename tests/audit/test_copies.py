"""Copies across splits: planted ones of every kind are found, and the classes agree with a naive comparison of all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from amounts import examples
from hypothesis import given
from hypothesis import strategies as st

from genoformer.audit import copies as module
from genoformer.audit.copies import Copies, copies
from genoformer.genome.codes import Codes, N, reverse_complement


def sequences(n: int, length: int, seed: int) -> list[Codes]:
    return list(np.random.default_rng(seed).integers(4, size=(n, length), dtype=np.uint8))


def with_errors(sequence: Codes, fraction: float, seed: int) -> Codes:
    """The sequence with exactly this fraction of its bases changed."""
    random = np.random.default_rng(seed)
    places = random.choice(len(sequence), round(fraction * len(sequence)), replace=False)
    changed = sequence.copy()
    changed[places] = (changed[places] + random.integers(1, 4, len(places))) % 4
    return changed


def kinds(found: Copies) -> list[str]:
    """The kind of each sequence, "" for none."""
    names = ("exact", "reversed", "shifted", "near")
    return [next((name for name in names if getattr(found, name)[i]), "") for i in range(len(found.exact))]


@pytest.mark.parametrize("length", [70, 200, 300])
def test_planted_copies_of_every_kind_are_found(length: int) -> None:
    first, other, new = sequences(60, length, 0), sequences(20, length, 1), sequences(20, length, 2)
    third = length // 3
    planted = {
        0: (first[3], "exact"),
        2: (reverse_complement(first[4]), "reversed"),
        4: (np.concatenate([first[5][third:], new[0][:third]]), "shifted"),
        6: (np.concatenate([new[1][:third], first[6][: length - third]]), "shifted"),
        8: (reverse_complement(np.concatenate([first[7][third:], new[2][:third]])), "shifted"),
        10: (first[8][5:-5], "shifted"),
        11: (np.concatenate([first[11][: 2 * third], new[3][2 * third :]]), "shifted"),
        12: (with_errors(first[9], 0.08, 0), "near"),
        14: (reverse_complement(with_errors(first[10], 0.08, 1)), "near"),
    }
    for i, (sequence, _) in planted.items():
        other[i] = sequence
    assert kinds(copies(first, other)) == [planted[i][1] if i in planted else "" for i in range(20)]


def test_unrelated_sequences_are_no_copies_and_a_sequence_has_one_kind() -> None:
    found = copies(sequences(300, 200, 0), sequences(300, 200, 1))
    assert kinds(found) == [""] * 300
    assert not found.unchecked.any()


def test_sequences_without_a_kmer_are_unchecked_but_exact_copies_are_found() -> None:
    first = [*sequences(3, 9, 0), *sequences(3, 100, 1)]
    other = [first[0], sequences(1, 9, 9)[0], np.full(100, N, dtype=np.uint8), first[4]]
    found = copies(first, other)
    assert found.exact.tolist() == [True, False, False, True]
    assert found.unchecked.tolist() == [True, True, True, False]


def test_a_sample_of_kmers_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    first, other = sequences(100, 300, 0), sequences(30, 300, 1)
    for i in range(10):
        other[i] = np.concatenate([first[i][60:], other[i][:60]])
    whole = kinds(copies(first, other))
    monkeypatch.setattr(module, "MOST", 10_000)  # one k-mer in four
    assert kinds(copies(first, other)) == whole == ["shifted"] * 10 + [""] * 20


def naive(first: list[Codes], sequence: Codes) -> str:
    """The kind of a sequence by comparison with each of the first at each offset on both strands."""
    if any(np.array_equal(one, sequence) for one in first):
        return "exact"
    turned = reverse_complement(sequence)
    if any(np.array_equal(one, turned) for one in first):
        return "reversed"
    found = ""
    for one in first:
        for strand in (sequence, turned):
            for offset in range(-len(strand) + 1, len(one)):
                low, high = max(offset, 0), min(offset + len(strand), len(one))
                same = one[low:high] == strand[low - offset : high - offset]
                shorter = min(len(one), len(strand))
                half = -(-shorter // 2)
                window = max((same[i : i + half].sum() for i in range(len(same) - half + 1)), default=0) >= 0.95 * half
                near = same.mean() >= 0.8 and len(same) >= 0.8 * shorter
                if window and (offset or len(one) != len(strand) or not near):
                    return "shifted"
                if near:
                    found = "near"
    return found


def test_each_copy_names_the_sequence_that_it_is_a_copy_of() -> None:
    first, other = sequences(20, 100, 0), sequences(6, 100, 1)
    first.append(first[3])  # the first of two equal ones is named
    other[0], other[1] = first[3], reverse_complement(first[7])
    other[2] = np.concatenate([first[11][30:], other[2][:30]])
    other[3], other[4] = with_errors(first[15], 0.08, 0), reverse_complement(with_errors(first[19], 0.08, 1))
    assert copies(first, other).origin.tolist() == [3, 7, 11, 15, 19, -1]


@examples(20)
@given(st.integers(0, 10**6))
def test_kinds_are_those_of_a_naive_comparison(seed: int) -> None:
    """The copies have errors in at most 5 % of 90 bases, so that each shares 10-mers with its original."""
    random = np.random.default_rng(seed)
    first, other = sequences(6, 90, seed), sequences(6, 90, seed + 1)
    for i in range(4):
        source = with_errors(first[random.integers(6)], float(random.choice([0, 0.02, 0.05])), seed)
        shift = int(random.integers(-30, 31))
        moved = np.roll(source, shift)
        moved[: max(shift, 0)] = random.integers(4, size=max(shift, 0))
        moved[len(moved) + min(shift, 0) :] = random.integers(4, size=max(-shift, 0))
        other[i] = reverse_complement(moved) if random.integers(2) else moved
    assert kinds(copies(first, other)) == [naive(first, sequence) for sequence in other]


@examples(20)
@given(st.integers(0, 10**6))
def test_copies_do_not_depend_on_strand_or_order(seed: int) -> None:
    first, other = sequences(8, 80, seed), sequences(8, 80, seed + 1)
    other[0], other[1], other[2] = first[2], np.concatenate([first[3][20:], other[1][:20]]), with_errors(first[4], 0.05, seed)
    found = kinds(copies(first, other))
    order = np.random.default_rng(seed).permutation(8)
    assert kinds(copies(first[::-1], [other[i] for i in order])) == [found[i] for i in order]
    turned = kinds(copies([reverse_complement(one) for one in first], other))
    swap = {"exact": "reversed", "reversed": "exact"}
    assert turned == [swap.get(kind, kind) for kind in found]
