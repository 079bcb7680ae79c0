"""Predicted and measured tracks -> Pearson correlations of each track, over positions and over windows, in float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Correlation:
    """Pearson's r of K pairs of variables, with cases added block by block (Chan, Golub and LeVeque 1979).

    Plain sums of squares lose all digits if a mean is far from 0; deviations from the mean do not.

    >>> r = Correlation(1)
    >>> r.add([[1.0, 2.0]], [[2.0, 4.0]])
    >>> r.add([[3.0]], [[9.0]])
    >>> r.value.round(4).tolist()
    [0.9707]
    """

    def __init__(self, n_variables: int) -> None:
        self.n = 0
        self.means = np.zeros((2, n_variables))
        self.moments = np.zeros((3, n_variables))  # sums of the squared deviations of x, of y, and of their products

    def add(self, x: ArrayLike, y: ArrayLike) -> None:
        """Add cases [K, M] of both variables."""
        pair = np.stack([np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)])  # [2, K, M]
        m = pair.shape[-1]
        if not m:
            return
        means = pair.mean(-1)
        dx, dy = pair - means[..., None]
        moments = np.stack([(dx * dx).sum(-1), (dy * dy).sum(-1), (dx * dy).sum(-1)])
        apart, n = means - self.means, self.n + m
        between = np.stack([apart[0] ** 2, apart[1] ** 2, apart[0] * apart[1]])
        self.moments += moments + between * (self.n * m / n)
        self.means += apart * (m / n)
        self.n = n

    @property
    def value(self) -> Floats:
        """Pearson's r of each pair, [K]; NaN if one of its variables does not vary."""
        xx, yy, xy = self.moments
        least = 1e-28 * self.n * np.maximum(self.means**2, 1e-300)  # rounding error of a constant
        defined = (xx > least[0]) & (yy > least[1])
        return np.where(defined, xy / np.sqrt(np.where(defined, xx * yy, 1.0)), np.nan)


class TrackFit(NamedTuple):
    """Pearson's r of each track [K]: over all bins of all windows, and over the sums of windows; NaN if undefined."""

    positions: Floats
    windows: Floats

    def by_group(self, groups: Sequence[str]) -> dict[str, tuple[int, float, float]]:
        """Return for each group its number of tracks and the means of both correlations over them; "all" comes first."""
        names = ["all", *dict.fromkeys(groups)]
        of = np.asarray(groups)
        found = {}
        for name in names:
            rows = np.ones(len(of), dtype=bool) if name == "all" else of == name
            found[name] = (int(rows.sum()), _mean(self.positions[rows]), _mean(self.windows[rows]))
        return found


class TrackFitting:
    """Accumulator of a `TrackFit` from batches of predicted and measured tracks [B, K, N]."""

    def __init__(self, n_tracks: int, *, log: bool = False) -> None:
        self.log = log  # correlate log(1 + x)
        self.positions, self.windows = Correlation(n_tracks), Correlation(n_tracks)

    def add(self, predicted: ArrayLike, measured: ArrayLike) -> None:
        pair = [np.asarray(x, dtype=np.float64) for x in (predicted, measured)]
        sums = [x.sum(-1).T for x in pair]  # [K, B]
        if self.log:
            pair, sums = [np.log1p(x) for x in pair], [np.log1p(x) for x in sums]
        self.positions.add(*(x.transpose(1, 0, 2).reshape(x.shape[1], -1) for x in pair))
        self.windows.add(*sums)

    @property
    def fit(self) -> TrackFit:
        return TrackFit(self.positions.value, self.windows.value)


def _mean(x: Floats) -> float:
    """Return the mean of the finite values."""
    return float(np.nanmean(x)) if np.isfinite(x).any() else float("nan")
