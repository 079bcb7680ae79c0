"""Predictions of the same cases and what was measured -> Pearson's r of each with intervals, and differences between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer import plots
from genoformer.errors import ConfigError, OptionError
from genoformer.evaluation.intervals import Estimate, Floats, estimate
from genoformer.evaluation.intervals import resamplings as weights_of_samples
from genoformer.evaluation.weighted import pearson

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class Correlations:
    """Pearson's r of several predictions, on the cases and on the same bootstrap samples of them; see `correlate`."""

    def __init__(self, values: Mapping[str, Floats], n: int, n_groups: int) -> None:
        """values: name -> r [1 + samples], that of the cases first. n, n_groups: numbers of cases and of groups of them."""
        self._values, self.n, self.n_groups = dict(values), n, n_groups

    def __getitem__(self, name: str) -> Estimate:
        """Return r of a prediction with its 95 % interval."""
        return estimate(self._named(name))

    def difference(self, first: str, second: str) -> Estimate:
        """Return r of the first minus r of the second, with the 95 % interval over common bootstrap samples."""
        return estimate(self._named(first) - self._named(second))

    def _named(self, name: str) -> Floats:
        if name not in self._values:
            raise OptionError("name", f"is {name!r}, expected {' or '.join(map(repr, self._values))}; give one of them.")
        return self._values[name]

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each prediction: name, r, and the ends of its interval."""
        import pandas as pd

        return pd.DataFrame([(name, *self[name]) for name in self._values], columns=["name", "r", "low", "high"])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw r of each prediction with its interval, in the axes of the caller or of a new figure."""
        panel = plots.shown_axes(ax, *self._size)
        self._draw([panel])
        return panel

    @property
    def _size(self) -> tuple[float, float]:
        return 5.2, 1.0 + 0.34 * len(self._values)

    def _draw(self, panels: list[Axes]) -> None:
        points: dict[str, tuple[float, float, float]] = {name: self[name] for name in self._values}
        groups = f", {self.n_groups:,} groups" if self.n_groups != self.n else ""
        plots.comparison(panels[0], points, xlabel=f"Pearson's r with 95 % interval (n = {self.n:,}{groups})", chance=0)

    def __repr__(self) -> str:
        values = ", ".join(f"{name} {self[name].value:.3f}" for name in self._values)
        return f"Correlations(n = {self.n:,}: {values})"

    def _repr_html_(self) -> str:
        return plots.as_html(repr(self), self._draw, self._size)


def correlate(
    predictions: Mapping[str, ArrayLike] | pd.DataFrame,
    measured: ArrayLike,
    *,
    groups: Any = None,
    resamplings: int = 2_000,
    seed: int = 0,
) -> Correlations:
    """Return Pearson's r of each prediction with the measured values, with intervals; pass the logarithms of skewed values.

    predictions: a dict or a DataFrame, name -> values [N]. measured: values [N]. groups: [N], names of the units that are
    resampled for the intervals, such as the gene of each case; by default each case. resamplings: number of bootstrap samples.
    Two predictions are compared on the same samples.

    The result has `["name"]` (an `Estimate`: value, low, high), `.difference(first, second)`, `.to_frame()` and `.plot()`.
    Raises ConfigError for other lengths and for values that are not finite.

    >>> found = correlate({"twice": [2, 4, 6, 8], "noise": [1, -1, -1, 1]}, [1, 2, 3, 4], groups=["a", "a", "b", "c"])
    >>> found, round(found.difference("twice", "noise").value, 3)
    (Correlations(n = 4: twice 1.000, noise 0.000), 1.0)
    """
    truth = np.asarray(measured, dtype=np.float64)
    arrays = {str(name): np.asarray(values, dtype=np.float64) for name, values in predictions.items()}
    labels = np.arange(len(truth)) if groups is None else np.asarray(groups)
    for name, values in {"measured": truth, **arrays}.items():
        if values.shape != truth.shape or values.ndim != 1:
            raise ConfigError(f"{name} has shape {values.shape}, but measured {truth.shape}; give one value for each case.")
        if missing := int((~np.isfinite(values)).sum()):
            raise ConfigError(f"{name} has {missing:,} values that are not finite; leave these cases out.")
    if labels.shape != truth.shape or not len(truth):
        raise ConfigError(
            f"groups have shape {labels.shape}, but measured {truth.shape}; give one for each case, of at least one."
        )
    _, group = np.unique(labels, return_inverse=True)
    return Correlations(_sampled(arrays, truth, group, resamplings, seed), len(truth), int(group.max()) + 1)


def _sampled(arrays: Mapping[str, Floats], truth: Floats, group: NDArray[np.int64], n: int, seed: int) -> dict[str, Floats]:
    """Return name -> r [1 + n]: on the cases, and on n samples of their groups."""
    parts: dict[str, list[Floats]] = {name: [] for name in arrays}
    for block in weights_of_samples(np.zeros(int(group.max()) + 1, dtype=np.int64), n, seed):
        for rows in np.array_split(block, max(1, len(block) * len(truth) // (1 << 22))):
            weights = rows[:, group]
            for name, values in arrays.items():
                parts[name].append(pearson(weights, values, truth))
    return {name: np.concatenate(of) for name, of in parts.items()}
