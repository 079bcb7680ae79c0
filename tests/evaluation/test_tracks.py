"""Correlations of tracks: numpy's r whatever the blocks, values by hand, constants, means far from 0, groups."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoformer.evaluation.tracks import Correlation, TrackFit, TrackFitting


@given(
    blocks=st.lists(st.integers(0, 7), min_size=1, max_size=6),
    offset=st.sampled_from([0.0, -3.0, 1e6]),
    seed=st.integers(0, 99),
)
def test_r_is_that_of_numpy_however_the_cases_are_cut(blocks, offset, seed) -> None:
    n = sum(blocks)
    x, y = np.random.default_rng(seed).normal(offset, 1.0, (2, 3, n))
    y = y + x
    found = Correlation(3)
    for start, size in zip(np.cumsum([0, *blocks]), blocks, strict=False):
        found.add(x[:, start : start + size], y[:, start : start + size])
    if n < 2:
        assert np.isnan(found.value).all()
    else:
        expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(x, y, strict=True)]
        np.testing.assert_allclose(found.value, expected, atol=1e-6)


def test_what_does_not_vary_has_no_correlation() -> None:
    found = Correlation(3)
    found.add([[5.1] * 4, [1, 2, 3, 4], [1, 2, 3, 4]], [[1, 2, 3, 4], [0.3] * 4, [8, 6, 4, 2]])
    assert np.isnan(found.value[:2]).all()
    assert found.value[2] == pytest.approx(-1)


def test_positions_and_windows_are_two_things() -> None:
    """Two windows of two bins: bins 1 2 | 3 4 beside 1 2 | 4 3, sums 3, 7 beside 3, 7."""
    fitting = TrackFitting(1)
    fitting.add([[[1.0, 2.0]]], [[[1.0, 2.0]]])
    fitting.add([[[3.0, 4.0]]], [[[4.0, 3.0]]])
    assert fitting.fit.positions[0] == pytest.approx(0.8)  # deviations -1.5 -0.5 0.5 1.5 beside -1.5 -0.5 1.5 0.5: 4 / 5
    assert fitting.fit.windows[0] == pytest.approx(1.0)


def test_in_logarithms_it_is_log_of_1_plus_x() -> None:
    x, y = np.random.default_rng(0).exponential(size=(2, 1, 1, 50))
    plain, log = TrackFitting(1), TrackFitting(1, log=True)
    log.add(np.expm1(x), np.expm1(y))
    plain.add(x, y)
    np.testing.assert_allclose(log.fit.positions, plain.fit.positions)


def test_groups_are_means_over_their_tracks_that_are_defined() -> None:
    fit = TrackFit(np.array([0.2, 0.4, np.nan]), np.array([0.1, 0.3, np.nan]))
    found = fit.by_group(["CAGE", "CAGE", "DNASE"])
    assert found["all"] == (3, pytest.approx(0.3), pytest.approx(0.2))
    assert found["CAGE"][0] == 2
    assert np.isnan(found["DNASE"][1])
