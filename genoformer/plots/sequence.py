"""Sequence logos, and heat maps of ISM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer.plots.style import BASE_COLOURS, BLUE, GREY, ORANGE, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DOTS = 300  # maximum number of bases of a heat map with dots


def logo(ax: Axes, heights: ArrayLike, *, first: int = 0, label: str = "bits") -> Axes:
    """Draw letters of the given heights, [L, 4] in the order A, C, G, T; the first base is at coordinate `first`."""
    import logomaker
    import pandas as pd

    values = np.asarray(heights, dtype=float)
    table = pd.DataFrame(values, columns=list("ACGT"), index=np.arange(first, first + len(values)))
    if np.any(values):  # logomaker sets no limits for zero heights
        logomaker.Logo(table, ax=ax, color_scheme=BASE_COLOURS, font_name="DejaVu Sans", vpad=0.02)
    ax.set_xlim(first - 0.5, first + len(values) - 0.5)  # axes that share x would start at 0
    ax.set_ylabel(label)
    return plain(ax)


def letters(codes: ArrayLike, values: ArrayLike) -> NDArray[np.float64]:
    """Return values of bases [L] as heights [L, 4] of the observed bases, codes [L]; 0 at an N."""
    is_observed = np.asarray(codes)[:, None] == np.arange(4)
    return np.where(is_observed, np.asarray(values)[:, None], 0.0)


def heat_map(ax: Axes, values: ArrayLike, codes: ArrayLike, *, first: int = 0, label: str = "") -> Axes:
    """Draw the effect of each single-base change, [L, 4], in rows A C G T; the reference base is grey, with a dot.

    Blue lowers the output, orange raises it. The scale is symmetric and ends at the 99th percentile of |value|; pointed ends
    show that there are values beyond. Unknown bases are hatched.
    """
    from matplotlib.colors import LinearSegmentedColormap

    effects = np.asarray(values, dtype=float)
    known = np.abs(effects[np.isfinite(effects)])
    top = (float(np.quantile(known, 0.99)) if len(known) else 0.0) or 1.0
    colours = LinearSegmentedColormap.from_list("lower or raise", [BLUE, "#FFFFFF", ORANGE]).with_extremes(bad="#CCCCCC")
    extent = (first - 0.5, first + len(effects) - 0.5, 3.5, -0.5)
    bases = np.asarray(codes)
    positions = np.flatnonzero(bases < 4)
    shown = effects.copy()
    shown[positions, bases[positions]] = np.nan
    image = ax.imshow(shown.T, aspect="auto", cmap=colours, vmin=-top, vmax=top, extent=extent, interpolation="nearest")
    if len(bases) <= _DOTS:
        ax.plot(first + positions, bases[positions], ls="", marker=".", ms=3, color="#444444")
    for position in np.flatnonzero(bases >= 4).tolist():
        ax.axvspan(first + position - 0.5, first + position + 0.5, fill=False, hatch="////", ec="#888888", lw=0)
    ax.set_yticks(range(4), list("ACGT"))
    ends = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    beyond = ends[bool((effects < -top).any()), bool((effects > top).any())]
    bar = ax.figure.colorbar(image, ax=ax, pad=0.01, fraction=0.03, extend=beyond)
    bar.set_label(label, fontsize="small")
    bar.ax.tick_params(labelsize="x-small")
    return ax


def information(log2_p: ArrayLike) -> NDArray[np.float64]:
    """Return the heights [L, 4] of an information logo from log2 p [L, 4]: p * (2 - entropy) (Schneider and Stephens 1990)."""
    values = np.asarray(log2_p, dtype=float)
    p = np.exp2(values)
    return p * (2 + (p * values).sum(1, keepdims=True))


def allele_logos(
    axes: Sequence[Axes],
    ref: ArrayLike,
    alt: ArrayLike,
    *,
    first: int = 0,
    changed: tuple[int, int, int],
    label: str = "bits",
    alt_start: int | None = None,
) -> Sequence[Axes]:
    """Draw the reference logo [L, 4] above the alternative logo, on one scale; the alleles are shaded.

    changed: the start index of the alleles, and the lengths of REF and ALT. alt_start: the start index of ALT, if different
    (`place_alleles`). first: the coordinate of the first base. `allele_coordinates` labels both logos with the coordinates of
    the genome, also after an insertion or deletion.
    """
    rows = [np.nan_to_num(np.asarray(x, dtype=float)) for x in (ref, alt)]
    top = max(float(np.where(x > 0, x, 0).sum(1).max(initial=0)) for x in rows)
    bottom = min(float(np.where(x < 0, x, 0).sum(1).min(initial=0)) for x in rows)
    room = 0.22 * ((top - bottom) or 1.0)  # room for the names
    begin, *lengths = changed
    starts = (begin, begin if alt_start is None else alt_start)
    for ax, values, name, start, length in zip(axes, rows, ("REF", "ALT"), starts, lengths, strict=True):
        logo(ax, values, first=first, label=label)
        ax.set_ylabel(label, fontsize="small")
        ax.tick_params(axis="y", labelsize="x-small")
        ax.locator_params(axis="y", nbins=4)
        ax.axvspan(first + start - 0.5, first + start + length - 0.5, color="#F0E442", alpha=0.45, lw=0, zorder=-1)
        ax.set(ylim=(bottom - room * (bottom < 0), top + room))
        ax.axhline(0, color=GREY, lw=0.5)
        ax.text(0.004, 0.97, name, transform=ax.transAxes, va="top", fontsize="small", weight="bold")
    return axes
