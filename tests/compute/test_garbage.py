"""Searches for reference cycles are rarer in a block, and afterwards as before."""

from __future__ import annotations

import gc

import pytest

from genoformer.compute.garbage import rare_collections


@pytest.mark.parametrize(("before", "inside"), [((700, 10, 10), 100_000), ((200_000, 5, 5), 200_000), ((0, 10, 10), 0)])
def test_searches_are_rare_and_the_setting_of_the_user_comes_back(before: tuple[int, int, int], inside: int) -> None:
    at_first = gc.get_threshold()
    try:
        gc.set_threshold(*before)
        with rare_collections():
            assert gc.get_threshold() == (inside, *before[1:])
        assert gc.get_threshold() == before
    finally:
        gc.set_threshold(*at_first)
