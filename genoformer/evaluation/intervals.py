"""Estimates with confidence intervals, and bootstrap samples as weights of cases."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer.errors import ConfigError

Floats = NDArray[np.float64]
Metric = Callable[[NDArray[np.bool_], Floats], float]

_BLOCK = 1 << 22  # weights computed at a time: 32 MB


class Estimate(NamedTuple):
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if not math.isfinite(self.value):
            return "not defined"
        small = 0 < max(abs(x) for x in self if math.isfinite(x)) < 0.01  # for example the squared error of small values
        value, low, high = (f"{x:.3g}" if small else f"{x:.3f}" for x in self)
        if not math.isfinite(self.low):
            return f"{value} (no interval)"
        return f"{value} (95 % interval {low} to {high})"

    def to_dict(self) -> dict[str, float | None]:
        """Return a dict for JSON, with None for NaN."""
        return {name: or_none(x) for name, x in self._asdict().items()}


def or_none(x: float) -> float | None:
    """Return a number for JSON: None if it is not finite."""
    return x if math.isfinite(x) else None


def auroc(truth: NDArray[np.bool_], score: Floats) -> float:
    """Return the area under the ROC curve: P(a true case scores above a false one), with ties counted half."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, score))


def bootstrap(metric: Metric, truth: ArrayLike, score: ArrayLike, *, n: int = 1000, seed: int = 0) -> Estimate:
    """Return a metric with its 2.5 % and 97.5 % quantiles over n bootstrap samples (Efron 1979), stratified by class.

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


def resamplings(strata: NDArray[np.int64], n: int, seed: int) -> Iterator[Floats]:
    """Yield the counts of each case in n bootstrap samples, in blocks [m, N]; the first row is ones, the original cases.

    strata: int64 [N]; cases are drawn with replacement within their stratum, so that each stratum keeps its size.
    The draws depend only on (strata, n, seed): two models on the same cases are compared on the same draws.

    >>> weights = np.concatenate(list(resamplings(np.array([0, 0, 1]), n=5, seed=0)))
    >>> weights[0].tolist(), weights[:, :2].sum(1).tolist(), weights[:, 2].tolist()
    ([1.0, 1.0, 1.0], [2.0, 2.0, 2.0, 2.0, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    """
    n_cases = len(strata)
    yield np.ones((1, n_cases))
    random = np.random.default_rng(seed)
    order = np.argsort(strata, kind="stable")
    _, first, size = np.unique(strata[order], return_index=True, return_counts=True)
    first, size = np.repeat(first, size), np.repeat(size, size)  # of the stratum of each position in `order`
    at_once = max(1, _BLOCK // n_cases)
    for done in range(0, n, at_once):
        m = min(at_once, n - done)
        drawn = first + (random.random((m, n_cases)) * size).astype(np.int64)
        flat = (np.arange(m)[:, None] * n_cases + order[drawn]).ravel()
        yield np.bincount(flat, minlength=m * n_cases).reshape(m, n_cases).astype(np.float64)


def estimate(values: Floats) -> Estimate:
    """Return value and interval of a metric [1 + n]: first the value on the original cases, then those on bootstrap samples.

    The interval uses the samples in which the metric is defined; it is NaN if the value is NaN.
    """
    defined = values[1:][np.isfinite(values[1:])]
    if not np.isfinite(values[0]) or not len(defined):
        return Estimate(float(values[0]), np.nan, np.nan)
    low, high = np.quantile(defined, [0.025, 0.975])
    return Estimate(float(values[0]), float(low), float(high))


def over_runs(values: Sequence[float], within: tuple[float, float] = (-math.inf, math.inf)) -> Estimate:
    """Return the mean of a metric over runs with different seeds, with the 95 % interval of Student's t.

    within: the range of the metric (`metrics.metric_range`); the interval is clipped to it.

    >>> [round(x, 4) for x in over_runs([0.5, 0.6, 0.7])]
    [0.6, 0.3516, 0.8484]
    >>> over_runs([0.5, 0.9], within=(0, 1))
    Estimate(value=0.7, low=0, high=1)
    """
    from scipy import stats

    x = np.asarray(values, dtype=np.float64)
    mean = float(x.mean())
    if len(x) < 2:
        return Estimate(mean, math.nan, math.nan)
    half = float(stats.t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / math.sqrt(len(x)))
    low, high = max(mean - half, within[0]), min(mean + half, within[1])
    return Estimate(mean, low, high)
