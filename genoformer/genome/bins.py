"""Values per base -> values per bin: mean, sum, max, ... of each `bin_size` bases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError

Values = NDArray[np.float32]


def summarise(values: Values, bin_size: int, summary: str = "mean") -> Values:
    """Summarise values [..., L] in bins of `bin_size`, [..., L / bin_size], in float64; `summary` is a key of SUMMARIES.

    This also pools bins into wider ones: four bins of 32 bases into one of 128.

    Raises: ConfigError for an unknown summary, or if the bins do not fill the length.

    >>> summarise(np.array([1, 2, 3, 6], dtype=np.float32), 2, "sum").tolist()
    [3.0, 9.0]
    """
    if summary not in SUMMARIES:
        raise ConfigError(f"summary {summary!r} is unknown; known are {', '.join(SUMMARIES)}.")
    if bin_size < 1 or values.shape[-1] % bin_size:
        raise ConfigError(f"bins of {bin_size} do not fill {values.shape[-1]:,} values; give a divisor of that.")
    bins = values.reshape(*values.shape[:-1], -1, bin_size).astype(np.float64)  # [..., N, bin_size]
    return SUMMARIES[summary](bins).astype(np.float32)


def square_root(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sign(x) (sqrt(1 + |x|) - 1): Basenji's sqrt(1 + x) - 1, also defined for - strands with negative values."""
    return np.copysign(np.sqrt(1 + np.abs(x)) - 1, x)


def three_quarters(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sign(x) ((1 + |x|)^0.75 - 1), which baskerville's tables name exp75."""
    return np.copysign((1 + np.abs(x)) ** 0.75 - 1, x)


SUMMARIES: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "mean": lambda bins: bins.mean(axis=-1),
    "sum": lambda bins: bins.sum(axis=-1),
    "max": lambda bins: bins.max(axis=-1),
    "min": lambda bins: bins.min(axis=-1),
    "median": lambda bins: np.median(bins, axis=-1),
    "sum_sqrt": lambda bins: square_root(bins.sum(axis=-1)),
    "sum_exp75": lambda bins: three_quarters(bins.sum(axis=-1)),
    "mean_sqrt": lambda bins: square_root(bins.mean(axis=-1)),
}
