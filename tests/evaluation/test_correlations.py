"""r of several predictions: numpy's r, intervals of a naive bootstrap of groups, differences on the same samples."""

from __future__ import annotations

import numpy as np
import pytest

from genoformer.errors import ConfigError, OptionError
from genoformer.evaluation.correlations import correlate

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(size=60)
NEAR, FAR = TRUTH + RNG.normal(size=60), TRUTH + 2 * RNG.normal(size=60)
GROUPS = np.repeat([f"g{i}" for i in range(20)], 3)


def test_r_is_that_of_numpy() -> None:
    found = correlate({"near": NEAR, "far": FAR}, TRUTH, groups=GROUPS)
    for name, values in (("near", NEAR), ("far", FAR)):
        assert found[name].value == pytest.approx(np.corrcoef(values, TRUTH)[0, 1])
    assert found.difference("near", "far").value == pytest.approx(found["near"].value - found["far"].value)
    assert (found.n, found.n_groups) == (60, 20)
    assert found.to_frame()["name"].tolist() == ["near", "far"]


def test_intervals_are_those_of_samples_of_groups() -> None:
    """Draw groups naively, with all their cases, and compare the quantiles; cases alone would give a narrower interval."""
    rng = np.random.default_rng(5)
    truth = np.repeat(RNG.normal(size=20), 3)  # all cases of a group alike
    values = truth + np.repeat(RNG.normal(size=20), 3)
    drawn = []
    for _ in range(4_000):
        rows = np.concatenate([np.flatnonzero(f"g{i}" == GROUPS) for i in rng.integers(0, 20, 20)])
        drawn.append(np.corrcoef(values[rows], truth[rows])[0, 1])
    found = correlate({"x": values}, truth, groups=GROUPS, resamplings=4_000)["x"]
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.02)
    alone = correlate({"x": values}, truth, resamplings=4_000)["x"]
    assert alone.high - alone.low < 0.8 * (found.high - found.low)


def test_two_predictions_are_compared_on_the_same_samples() -> None:
    """The interval of the difference of nearly equal predictions is much narrower than either interval."""
    found = correlate({"near": NEAR, "same": NEAR + 1e-3 * FAR}, TRUTH, groups=GROUPS)
    difference = found.difference("near", "same")
    assert difference.high - difference.low < 0.05 * (found["near"].high - found["near"].low)


def test_what_cannot_be_correlated_is_refused() -> None:
    with pytest.raises(ConfigError, match="near has 1 values that are not finite"):
        correlate({"near": np.where(np.arange(60) == 5, np.nan, NEAR)}, TRUTH)
    with pytest.raises(ConfigError, match=r"near has shape \(59,\), but measured \(60,\)"):
        correlate({"near": NEAR[1:]}, TRUTH)
    with pytest.raises(ConfigError, match="groups have shape"):
        correlate({"near": NEAR}, TRUTH, groups=GROUPS[1:])
    with pytest.raises(OptionError, match="name is 'nera', expected 'near'; give one of them"):
        correlate({"near": NEAR}, TRUTH)["nera"]


def test_it_is_drawn_with_its_number_of_cases_and_groups() -> None:
    found = correlate({"near": NEAR}, TRUTH, groups=GROUPS, resamplings=50)
    assert found.plot().get_xlabel() == "Pearson's r with 95 % interval (n = 60, 20 groups)"
    assert "Correlations(n = 60: near 0." in found._repr_html_()
