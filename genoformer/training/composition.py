"""Composition: GC and CpG of bins and of their surroundings -> tracks, by ridge regression, as one more model that teaches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.datasets.track_set import TrackSet
from genoformer.genome.codes import Codes

WIDTHS = (1, 3, 5, 9, 17, 65)  # bins over which features are averaged; 65 bins of 128 bases are 8 kb
_PENALTY = 1000.0  # of squared weights, for features of variance 1 and the sum over all bins

Floats = NDArray[np.float64]


def composition(codes: Codes, data: TrackSet) -> Floats:
    """Return the features [N, F] of the middle bins of a sequence [L], which is as long as the windows of a set.

    They are the fractions of GC and of CpG, their product and the square of CpG, averaged over WIDTHS bins around each bin. The
    last bases that fill no bin count nowhere.
    """
    n = len(codes) // data.bin_size
    whole = codes[: n * data.bin_size]
    gc = np.isin(whole, (1, 2))
    cpg = np.append((whole[:-1] == 1) & (whole[1:] == 2), False)
    shares = [of.reshape(n, data.bin_size).mean(1) for of in (gc, cpg)]
    bins = np.stack([*shares, shares[0] * shares[1], shares[1] ** 2], axis=1)  # [T, 4]
    features = [np.stack([_mean_around(column, width) for column in bins.T], axis=1) for width in WIDTHS]
    return np.concatenate(features, axis=1)[data.first_bin : data.first_bin + data.n_bins]


class CompositionRidge(NamedTuple):
    """Ridge regression of tracks on composition: weights [F, K] of features minus their mean [F], and the level [K]."""

    mean: Floats
    weights: Floats
    level: Floats

    @classmethod
    def fit(cls, data: TrackSet, to_scale: Callable[[Any], Any], penalty: float = _PENALTY) -> CompositionRidge:
        """Fit the tracks, on a scale, of the training windows of a set; memory does not grow with their number."""
        n, moments = 0, list[Any]([0.0] * 4)
        for row in data.rows("train"):
            x = composition(np.asarray(data.sequence[row]), data)  # [N, F]
            y = to_scale(data.tracks[row].astype(np.float64)).T  # [N, K]
            n += len(x)
            moments = [total + more for total, more in zip(moments, (x.sum(0), y.sum(0), x.T @ x, x.T @ y), strict=True)]
        mean, level = moments[0] / n, moments[1] / n
        xx, xy = moments[2] - n * np.outer(mean, mean), moments[3] - n * np.outer(mean, level)
        spread = np.sqrt(np.maximum(np.diag(xx) / n, 1e-12))
        scaled = xx / np.outer(spread, spread) + penalty * np.eye(len(spread))
        return cls(mean, np.linalg.solve(scaled, xy / spread[:, None]) / spread[:, None], level)

    def predict(self, codes: Codes, data: TrackSet) -> NDArray[np.float32]:
        """Return the predicted tracks [K, N] of the middle of a sequence [L], on the scale of the fit, at least 0."""
        found = (composition(codes, data) - self.mean) @ self.weights + self.level
        return np.maximum(found.T, 0).astype(np.float32)


def _mean_around(values: Floats, width: int) -> Floats:
    """Return the mean of `width` values around each value; beyond the ends there are none."""
    ones = np.ones(min(width, 2 * len(values) - 1))
    middle = slice((len(ones) - 1) // 2, (len(ones) - 1) // 2 + len(values))
    sums, counts = (np.convolve(of, ones)[middle] for of in (values, np.ones_like(values)))
    return np.asarray(sums / counts)
