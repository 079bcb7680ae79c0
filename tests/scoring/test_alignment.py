"""Tracks of insertions and deletions against a loop over bases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_alignment import realigned

from genoformer.scoring.alignment import AlignedChange, align_alternate, stitch

numbers = st.integers(0, 9)


@given(st.data(), st.integers(1, 9), st.sampled_from([1, 2, 8]))
def test_realigned_bins_are_the_means_of_their_bases(data, n, size) -> None:
    ref, alt = (np.array(data.draw(st.lists(numbers, min_size=n, max_size=n)), dtype=float) for _ in range(2))
    n_ref, n_alt = data.draw(st.integers(0, 20)), data.draw(st.integers(0, 20))
    change = AlignedChange(data.draw(st.integers(-25, n * size + 25)), n_ref, n_alt)
    found = align_alternate(np.stack([ref, alt]), np.stack([alt, ref]), [change], size)
    if n_ref == n_alt:
        assert found.tolist() == [alt.tolist(), ref.tolist()]
        return
    assert found[0] == pytest.approx(realigned(ref, alt, change, size))
    assert found[1] == pytest.approx(realigned(alt, ref, change, size))


def test_bins_of_one_base_by_hand() -> None:
    """As AlphaGenome's `align_alternate` has it, but for what an insertion pushes out."""
    ref, alt = np.array([[1.0, 1, 1, 1, 1, 1]]), np.array([[10.0, 20, 30, 40, 50, 60]])
    assert align_alternate(ref, alt, [AlignedChange(2, 0, 2)], 1).tolist() == [[10, 40, 50, 60, 1, 1]]  # A -> AXX behind base 1
    assert align_alternate(ref, alt, [AlignedChange(2, 2, 0)], 1).tolist() == [[10, 20, 0, 0, 30, 40]]


def test_a_deletion_of_whole_bins_leaves_zeros_there() -> None:
    ref = np.arange(6.0)[None]
    alt = np.array([[0.0, 1, 4, 5, 7, 8]])  # bins 2 and 3 are gone
    assert align_alternate(ref, alt, [AlignedChange(16, 16, 0)], 8).tolist() == [[0, 1, 0, 0, 4, 5]]


def test_stitching_by_hand() -> None:
    left, right = np.arange(5.0)[None], 10 + np.arange(5.0)[None]
    assert stitch(left, right, AlignedChange(17, 0, 3), 8).tolist() == [[0, 1, 2, 13, 14]]
    assert stitch(left, right, AlignedChange(-9, 0, 3), 8).tolist() == right.tolist()
    assert stitch(left, right, AlignedChange(99, 0, 3), 8).tolist() == left.tolist()
