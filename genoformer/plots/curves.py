"""Curves of trainings: losses, and bits per base by context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer.plots.style import BLUE, GREY, ORANGE, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def context_curve(
    ax: Axes, one_sided: Mapping[int, float], two_sided: Mapping[int, float], trained: Mapping[str, tuple[float, float]]
) -> Axes:
    """Draw bits per base of Markov baselines by context length, and of trained models as horizontal lines with their error.

    Parameters: one_sided, order k -> bits; two_sided, m -> bits of m+m, drawn at 2m; trained, name -> bits and standard error
    (NaN without one).
    """
    if one_sided:
        ax.plot(list(one_sided), list(one_sided.values()), "o-", color=BLUE, ms=4, lw=1.5, label="order-k Markov model")
    if two_sided:
        widths = [2 * m for m in two_sided]
        ax.plot(widths, list(two_sided.values()), "s--", color=ORANGE, ms=4.5, lw=1.5, label="k-mer model, m + m around")
        for m, bits in two_sided.items():
            ax.annotate(
                f"{m}+{m}",
                (2 * m, bits),
                (-5, -4),
                textcoords="offset points",
                ha="right",
                va="top",
                fontsize="x-small",
                color=ORANGE,
            )
    for (name, (bits, error)), style in zip(trained.items(), ("-", "-.", ":", (0, (6, 2))) * len(trained), strict=False):
        ax.axhline(bits, color="black", lw=1.5, ls=style, label=f"{name}: {bits:.3f}")
        if np.isfinite(error):
            ax.axhspan(bits - error, bits + error, color="black", alpha=0.15, lw=0)
    ax.set(xlabel="bases of context", ylabel="bits per base")
    ax.locator_params(axis="x", nbins=7, steps=[1, 2, 5, 10], integer=True)
    ax.margins(y=0.1)
    return plain(ax)


def loss_with_trend(ax: Axes, x: ArrayLike, y: ArrayLike, *, ylabel: str, points: bool = False) -> Axes:
    """Draw a measured series as joined points, or as a faint line with its running mean over 1/25 of the series."""
    steps, values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    half = 0 if points else len(values) // 50
    if not half:
        ax.plot(steps, values, "o-", color=BLUE, ms=3.5, lw=1.5)
    else:
        ax.plot(steps, values, color=BLUE, alpha=0.3, lw=0.8)
        ax.plot(steps, running_mean(values, half), color=BLUE, lw=1.8)
        low, high = values.min(), np.quantile(values, 0.995)  # the first steps would compress the rest of the curve
        if high > low:
            ax.set_ylim(low - 0.05 * (high - low), top := high + 0.1 * (high - low))
            if n_above := int((values > top).sum()):
                of = f"{n_above:,} value{'s' if n_above > 1 else ''} above the axis"
                ax.text(0.99, 0.99, of, transform=ax.transAxes, ha="right", va="top", fontsize="x-small", color=GREY)
    ax.set_ylabel(ylabel)
    ax.grid(axis="y", color=GREY, alpha=0.25, lw=0.6)
    return plain(ax)


def running_mean(values: ArrayLike, half: int) -> NDArray[np.float64]:
    """Return the mean of each value [n] and `half` values on either side, fewer at the ends.

    At the start, where a loss falls steeply, both sides have equally many values, so that the mean is not biased upwards.

    >>> running_mean([9.0, 3.0, 3.0, 0.0], 1).tolist()
    [9.0, 5.0, 2.0, 1.5]
    """
    array = np.asarray(values, dtype=np.float64)
    sums = np.concatenate([[0.0], array.cumsum()])
    i = np.arange(len(array))
    reach = np.minimum(i, half)
    first, last = i - reach, np.minimum(i + reach + 1, len(array))
    return np.asarray((sums[last] - sums[first]) / (last - first))
