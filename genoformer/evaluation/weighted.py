"""Weights of cases [M, N] -> one value of a metric for each row of weights; NaN if it is undefined."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Counts(NamedTuple):
    """Weighted numbers of cases for each class."""

    hit: Floats  # [M, C]: cases of the class that are called correctly
    called: Floats  # [M, C]
    true: Floats  # [M, C]


def counts(weights: Floats, truth: Bools, called: Bools) -> Counts:
    """Return the hits, calls and true cases of each class, from truth [N, C] and calls [N, C]."""
    return Counts(*(weights @ x.astype(np.float64) for x in (truth & called, called, truth)))


def ratio(above: Floats, below: Floats) -> Floats:
    """Return above / below, NaN if below is 0."""
    above, below = np.broadcast_arrays(above, below)
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)


def precision(n: Counts) -> Floats:
    """Return the fraction of correct calls, [M, C]; 0 for a class that occurs and is never called, as in scikit-learn."""
    return np.where((n.called == 0) & (n.true > 0), 0.0, ratio(n.hit, n.called))


def recall(n: Counts) -> Floats:
    """Return the fraction of true cases that are called, [M, C]."""
    return ratio(n.hit, n.true)


def f1(n: Counts) -> Floats:
    """Return the harmonic mean of precision and recall, 2 hits / (calls + true cases), [M, C]; NaN without true cases."""
    return ratio(2 * n.hit, np.where(n.true > 0, n.called + n.true, 0))


def mcc(n: Counts) -> Floats:
    """Return Matthews' correlation over all classes, [M] (Gorodkin 2004, R_K); for two classes that of Matthews 1975.

    If only one class is called, it is 0, as in scikit-learn: leaving such a bootstrap sample out would keep the lucky ones.
    If only one class is true, it is NaN.
    """
    total = n.true.sum(1)
    above = n.hit.sum(1) * total - (n.called * n.true).sum(1)
    called, true = (total**2 - (x**2).sum(1) for x in (n.called, n.true))
    return np.where((called <= 0) & (true > 0), 0.0, ratio(above, np.sqrt(np.maximum(called * true, 0))))


def ranking(weights: Floats, truth: Bools, score: Floats) -> tuple[Floats, Floats]:
    """Return AUROC [M] and average precision [M] of a score [N] that is high for true cases; ties are one threshold.

    AUROC is P(a true case scores above a false one), with ties counted half (Hanley and McNeil 1982). Average precision is the
    sum over thresholds of precision times the recall gained there, without interpolation.
    """
    order = np.argsort(-score, kind="stable")
    first = np.flatnonzero(np.diff(score[order], prepend=np.nan) != 0)  # of each threshold, from the highest
    at = np.add.reduceat(weights[:, order], first, axis=1)  # [M, thresholds]
    true_at = np.add.reduceat(np.where(truth[order], weights[:, order], 0.0), first, axis=1)
    true, passed = true_at.cumsum(1), at.cumsum(1)
    n_true, n_false = true[:, -1], passed[:, -1] - true[:, -1]
    above = ((true - true_at / 2) * (at - true_at)).sum(1)  # for each false case, the true ones above it, ties half
    gained = np.divide(true_at * true, passed, out=np.zeros_like(passed), where=passed > 0).sum(1)
    return ratio(above, n_true * n_false), np.where(n_false > 0, ratio(gained, n_true), np.nan)


def calibration_error(weights: Floats, confidence: Floats, right: Bools, n_bins: int = 15) -> Floats:
    """Return the expected calibration error [M]: mean |accuracy - mean confidence| over equal bins (Guo et al. 2017, eq. 3)."""
    bins = np.clip(np.ceil(confidence * n_bins).astype(np.int64) - 1, 0, n_bins - 1)  # (0, 1/15], (1/15, 2/15] ...
    gap = np.zeros((len(confidence), n_bins))
    gap[np.arange(len(confidence)), bins] = right - confidence
    return np.abs(weights @ gap).sum(1) / weights.sum(1)


def pearson(weights: Floats, x: Floats, y: Floats) -> Floats:
    """Return Pearson's correlation [M] of x and y, both [N] or, if they change with the weights, [M, N]."""
    total = weights.sum(1, keepdims=True)
    x = x - (weights * x).sum(1, keepdims=True) / total
    y = y - (weights * y).sum(1, keepdims=True) / total
    xx, yy, xy = ((weights * a * b).sum(1) for a, b in ((x, x), (y, y), (x, y)))
    scale = total[:, 0] * 1e-24  # smaller squares are rounding
    below = np.where((xx > scale) & (yy > scale), xx * yy, 0)
    return np.clip(ratio(xy, np.sqrt(below)), -1, 1)


def ranks(weights: Floats, x: Floats) -> Floats:
    """Return the rank of each case [M, N] among the drawn cases; ties share the mean of their ranks."""
    order = np.argsort(x, kind="stable")
    first = np.flatnonzero(np.diff(x[order], prepend=np.nan) != 0)
    at = np.add.reduceat(weights[:, order], first, axis=1)
    middle = at.cumsum(1) - at / 2 + 0.5
    group = np.empty(len(x), dtype=np.int64)
    group[order] = np.repeat(np.arange(len(first)), np.diff(first, append=len(x)))
    return middle[:, group]
