"""Figures of variants by annotation and of controls: stacked fractions, boxes, a matrix of traits by annotations."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer.plots.style import GREY, MANY, RED, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW = 3  # overlaps below which a cell is pale
_STRONG = 3  # log2 of a fold at which the colour scale of traits ends
_TWENTY = (  # matplotlib's tab20
    "#1F77B4",
    "#AEC7E8",
    "#FF7F0E",
    "#FFBB78",
    "#2CA02C",
    "#98DF8A",
    "#D62728",
    "#FF9896",
    "#9467BD",
    "#C5B0D5",
    "#8C564B",
    "#C49C94",
    "#E377C2",
    "#F7B6D2",
    "#7F7F7F",
    "#C7C7C7",
    "#BCBD22",
    "#DBDB8D",
    "#17BECF",
    "#9EDAE5",
)
_LETTER = 5.2  # width of a letter of the notes in points
_NARROW = 0.03  # smallest fraction of a bar that gets a label


def stacked_fractions(
    ax: Axes,
    counts: Mapping[str, Mapping[str, int]],
    totals: Mapping[str, int],
    colours: Mapping[str, str] | None = None,
    *,
    names: Mapping[str, str] | None = None,
    legend: str = "",
) -> Axes:
    """Draw stacked bars of the fractions counts[bar][kind] / totals[bar]; the label of each bar has its n.

    colours: colours of kinds; other kinds get default colours. names: kinds as the legend describes them; legend: its title.
    Kinds are drawn in the order of their first appearance.
    """
    kinds = list(dict.fromkeys(kind for by_kind in counts.values() for kind in by_kind))
    palette = MANY if len(kinds) <= len(MANY) else _TWENTY
    colour = {kind: (colours or {}).get(kind, palette[i % len(palette)]) for i, kind in enumerate(kinds)}
    rows = np.arange(len(counts))
    left = np.zeros(len(counts))
    for kind in kinds:
        fractions = np.array([by_kind.get(kind, 0) / max(1, totals[bar]) for bar, by_kind in counts.items()])
        label = (names or {}).get(kind, kind)
        ax.barh(rows, fractions, left=left, color=colour[kind], label=label, height=0.72, edgecolor="white", lw=0.6)
        for y, (x, width) in enumerate(zip(left.tolist(), fractions.tolist(), strict=True)):
            if width > _NARROW:
                ax.text(x + width / 2, y, f"{width:.0%}", ha="center", va="center", fontsize="x-small", color=_on(colour[kind]))
        left = left + fractions
    ax.set_yticks(rows, [f"{bar}\nn = {totals[bar]:,}" for bar in counts])
    ax.set(xlim=(0, 1), ylim=(len(counts) - 0.5, -0.5), xlabel="fraction of records")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.tick_params(axis="y", length=0)
    n_columns = 1 if len(kinds) > 4 else len(kinds)
    look: dict[str, Any] = {"frameon": False, "fontsize": "small", "title": legend or None, "title_fontsize": "small"}
    if n_columns == 1:
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), alignment="left", **look)
    else:
        ax.legend(ncols=n_columns, alignment="left", loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2, **look)
    return plain(ax)


def over_controls(
    ax: Axes,
    names: Sequence[str],
    folds: ArrayLike,
    controls: Sequence[ArrayLike],
    notes: Mapping[str, Sequence[str]],
    *,
    xlabel: str,
    intervals: ArrayLike | None = None,
) -> Axes:
    """Draw a row for each name on a log2 axis: the observed fold in red, and behind it a box of the controls.

    folds [A] and controls [A][R] are relative to the expected value. intervals: bounds of the folds [A, 2], drawn as lines.
    The box is the middle half of the controls, its whiskers 2.5 to 97.5 %. A fold that is 0, or beyond the axis, is an
    arrowhead at its end, and an interval that leaves the axis a small one. notes: columns of text to the right of the axis,
    heading -> text of each row.
    """
    observed = np.asarray(folds, dtype=float)
    bounds = None if intervals is None else np.asarray(intervals, dtype=float)
    quantiles = np.array([np.percentile(np.asarray(values, dtype=float), [2.5, 25, 50, 75, 97.5]) for values in controls])
    low, high = _limits(np.concatenate([observed, quantiles.ravel()]))
    rows = np.arange(len(names))
    for y, (least, quarter, middle, three, most) in zip(rows.tolist(), np.clip(quantiles, low, high).tolist(), strict=True):
        ax.plot([least, most], [y, y], color=GREY, lw=1.2, zorder=1)
        ax.barh(y, three - quarter, left=quarter, height=0.56, color="#E3E3E3", edgecolor=GREY, lw=0.8, zorder=2)
        ax.plot([middle, middle], [y - 0.28, y + 0.28], color=GREY, lw=1.6, zorder=3)
    if bounds is not None:
        ends = np.nan_to_num(bounds, nan=1.0, posinf=np.inf)
        ax.hlines(rows, *np.clip(ends, low, high).T, color=RED, lw=1.4, zorder=4)
        small: dict[str, Any] = {"color": RED, "s": 14, "zorder": 4, "clip_on": False, "linewidths": 0}
        for marker, end, beyond in (("<", low, ends[:, 0] < low), (">", high, ends[:, 1] > high)):
            ax.scatter([end] * int(beyond.sum()), rows[beyond], marker=marker, **small)
    inside = (observed >= low) & (observed <= high)
    ax.scatter(observed[inside], rows[inside], color=RED, s=30, zorder=5, clip_on=False, label="observed")
    for marker, end, beyond in (("<", low, observed < low), (">", high, observed > high)):
        at = np.full(int(beyond.sum()), end)
        ax.scatter(at, rows[beyond], facecolor="white", edgecolor=RED, marker=marker, s=34, zorder=5, clip_on=False)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:g}")
    ax.axvline(1, color="black", lw=0.8, ls=":", zorder=0)
    ax.set_yticks(rows, names)
    ax.set(xlim=(low, high), ylim=(len(names) - 0.4, -0.6), xlabel=xlabel)
    indent = 12.0
    for heading, texts in notes.items():
        for height, text in zip([-0.9, *rows.tolist()], [heading, *texts], strict=True):
            ax.annotate(
                text,
                (1, height),
                (indent, 0),
                xycoords=ax.get_yaxis_transform(),
                textcoords="offset points",
                va="center",
                fontsize="small",
                weight="bold" if text == heading else "normal",
                annotation_clip=False,
            )
        indent += (max(len(text) for text in (heading, *texts)) + 2) * _LETTER
    ax.tick_params(axis="y", length=0, pad=7)  # room for arrowheads
    ax.grid(axis="x", color="#EEEEEE", zorder=0)
    ax.set_axisbelow(True)
    return plain(ax)


def _limits(folds: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of a log2 axis of folds: powers of 2, from 1/2 and 2 to 1/16 and 64; values of 0 need a power more."""
    positive = folds[np.isfinite(folds) & (folds > 0)]
    low = np.floor(np.log2(min(0.5, positive.min(initial=1.0))))
    high = np.ceil(np.log2(max(2.0, positive.max(initial=1.0))))
    return float(2.0 ** max(low, -4.0)), float(2.0 ** min(high, 6.0))


def trait_matrix(
    ax: Axes,
    rows: Sequence[str],
    columns: Sequence[str],
    fold: ArrayLike,
    overlaps: ArrayLike,
    marked: ArrayLike,
) -> Axes:
    """Draw traits by annotations, [T, A]: colour is log2 of observed / expected, text is overlaps, marked cells have a frame.

    fold is NaN if nothing is expected. Pointed ends of the colour scale show that there are folds beyond. Cells without
    overlaps are white; cells with fewer than 3 overlaps are pale.
    """
    from matplotlib.colors import TwoSlopeNorm
    from matplotlib.patches import Rectangle

    n, framed = np.asarray(overlaps), np.asarray(marked, dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        shade = np.log2(np.asarray(fold, dtype=float))
    shade = np.where(n > 0, shade, np.nan)
    ends = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    beyond = ends[bool((shade < -_STRONG).any()), bool((shade > _STRONG).any())]
    shade = np.clip(shade, -_STRONG, _STRONG)
    image = ax.imshow(shade, cmap="RdBu_r", norm=TwoSlopeNorm(0, -_STRONG, _STRONG), aspect="auto")
    image.set_alpha(np.where(n >= _FEW, 1.0, 0.35))
    for y, x in np.ndindex(n.shape):
        if n[y, x]:
            ax.text(
                x,
                y,
                f"{n[y, x]:,}",
                ha="center",
                va="center",
                fontsize="x-small",
                color="white" if abs(shade[y, x]) > 2.2 and n[y, x] >= _FEW else "black",
            )
        if framed[y, x]:
            ax.add_patch(Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, fill=False, edgecolor="black", lw=1.6))
    ax.set_yticks(np.arange(len(rows)), [textwrap.shorten(row, 48, placeholder=" ...") for row in rows], fontsize="small")
    ax.set_xticks(np.arange(len(columns)), columns, rotation=90, fontsize="small")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.03, pad=0.02, aspect=14, shrink=min(1.0, 14 / len(rows)), extend=beyond)
    bar.set_label("log2 observed / expected")
    return ax


def _on(colour: str) -> str:
    """Return black or white, the text colour that is readable on a colour."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"
