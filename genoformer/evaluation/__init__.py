"""Scores and truth -> how good, with an interval; metrics from scikit-learn, intervals by the bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer.errors import ConfigError

Metric = Callable[[NDArray[np.bool_], NDArray[np.float64]], float]


class Estimate(NamedTuple):
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} (95 % interval {self.low:.3f} to {self.high:.3f})"


def auroc(truth: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Area under the ROC curve: the chance that a true case scores above a false one, ties counted half."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, score))


def bootstrap(metric: Metric, truth: ArrayLike, score: ArrayLike, *, n: int = 1000, seed: int = 0) -> Estimate:
    """A metric with its 2.5 % and 97.5 % quantiles over n resamplings of the cases (Efron 1979), each class in itself.

    >>> bootstrap(auroc, [False, False, True, True], [0.1, 0.4, 0.8, 0.9], n=10).value
    1.0
    """
    true, value = np.asarray(truth, dtype=bool), np.asarray(score, dtype=np.float64)
    if true.all() or not true.any() or not np.isfinite(value).all():
        raise ConfigError(
            f"{int(true.sum())} true and {int((~true).sum())} false cases with {int((~np.isfinite(value)).sum())} "
            "missing scores: at least one of each and no missing score are needed; drop the missing ones first."
        )
    random = np.random.default_rng(seed)
    cases = [np.flatnonzero(true), np.flatnonzero(~true)]
    draws = (np.concatenate([random.choice(rows, len(rows)) for rows in cases]) for _ in range(n))
    values = [metric(true[rows], value[rows]) for rows in draws]
    low, high = np.quantile(values, [0.025, 0.975])
    return Estimate(metric(true, value), float(low), float(high))
