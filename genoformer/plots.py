"""Figures: arrays in, Axes out. The caller owns the figure; colours are readable without telling red from green."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BASE_COLOURS = {"A": "#109648", "C": "#255C99", "G": "#F7B32B", "T": "#D62839"}  # as JASPAR and most logos
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8A8A8A"  # Okabe and Ito 2008


def plain(ax: Axes) -> Axes:
    """Take away the frame at the top and right."""
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def logo(ax: Axes, heights: ArrayLike, *, first: int = 0, label: str = "bits") -> Axes:
    """Letters of the given heights, [L, 4] in the order A, C, G, T; the first stands at coordinate `first`."""
    import logomaker
    import pandas as pd

    values = np.asarray(heights, dtype=float)
    table = pd.DataFrame(values, columns=list("ACGT"), index=np.arange(first, first + len(values)))
    logomaker.Logo(table, ax=ax, color_scheme=BASE_COLOURS, font_name="DejaVu Sans", vpad=0.02)
    ax.set_ylabel(label)
    return plain(ax)


def information(log2_p: ArrayLike) -> NDArray[np.float64]:
    """Heights [L, 4] of an information logo: p * (2 - entropy), from log2 p [L, 4] (Schneider and Stephens 1990)."""
    values = np.asarray(log2_p, dtype=float)
    p = np.exp2(values)
    return p * (2 + (p * values).sum(1, keepdims=True))


def roc(ax: Axes, truth: ArrayLike, score: ArrayLike, *, label: str) -> Axes:
    """ROC curve of a score that is high for true cases."""
    from sklearn.metrics import roc_curve

    false_rate, true_rate, _ = roc_curve(np.asarray(truth, dtype=bool), np.asarray(score))
    ax.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
    ax.plot(false_rate, true_rate, color=BLUE, lw=1.8, label=label)
    ax.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    ax.legend(loc="lower right", frameon=False, fontsize="small")
    return plain(ax)


def two_histograms(ax: Axes, groups: Mapping[str, ArrayLike], *, xlabel: str, bins: int = 40) -> Axes:
    """Shares of two groups over common bins; each label carries its n."""
    arrays = {name: np.asarray(values, dtype=float) for name, values in groups.items()}
    everything = np.concatenate(list(arrays.values()))
    low, high = np.quantile(everything, [0.001, 0.999])
    edges = np.linspace(low, high, bins).tolist()
    for (name, values), colour in zip(arrays.items(), (ORANGE, BLUE), strict=True):
        weights = np.full(len(values), 1 / len(values))
        ax.hist(np.clip(values, edges[0], edges[-1]), edges, weights=weights, color=colour, alpha=0.55,
                label=f"{name} (n = {len(values):,})")  # fmt: skip
    ax.set(xlabel=xlabel, ylabel="share of variants", ylim=(0, 1.3 * ax.get_ylim()[1]))  # room for the legend
    ax.legend(frameon=False, fontsize="small", loc="upper left")
    return plain(ax)


def scatter(ax: Axes, x: ArrayLike, y: ArrayLike, *, xlabel: str, ylabel: str) -> Axes:
    """Points of two measured quantities."""
    ax.scatter(x, y, s=7, color=ORANGE, alpha=0.5, linewidths=0)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return plain(ax)
