"""A linear model that does not converge is reported."""

from __future__ import annotations

import numpy as np
import pytest

from genoformer.evaluation.linear import Penalties, Table, fit_linear
from genoformer.tasks import Classification


@pytest.mark.parametrize(("max_iter", "stopped"), [(1, ["lbfgs was stopped after 1 iterations"]), (300, [])])
def test_a_regression_that_was_stopped_is_reported(max_iter: int, stopped: list[str]) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 3))
    y = (x @ [1.0, -2.0, 0.5] + random.normal(size=200) > 0).astype(np.int64)
    fitted = fit_linear(Table(x, y), None, Classification(("no", "yes")), Penalties((0.1, 1.0), (), max_iter))
    assert fitted.warnings == stopped
