"""Figures of variants by annotation and of controls: stacked fractions, boxes, a matrix of traits by annotations."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from genoformer.plots.style import GREY, MANY, RED, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW = 3  # overlaps below which a cell is pale
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
_NARROW = 0.03  # smallest fraction of a bar that gets a label


def stacked_fractions(
    ax: Axes, counts: Mapping[str, Mapping[str, int]], totals: Mapping[str, int], colours: Mapping[str, str] | None = None
) -> Axes:
    """Draw stacked bars of the fractions counts[bar][kind] / totals[bar]; the label of each bar has its n.

    colours: colours of kinds; other kinds get default colours. Kinds are drawn in the order of their first appearance.
    """
    kinds = list(dict.fromkeys(kind for by_kind in counts.values() for kind in by_kind))
    palette = MANY if len(kinds) <= len(MANY) else _TWENTY
    colour = {kind: (colours or {}).get(kind, palette[i % len(palette)]) for i, kind in enumerate(kinds)}
    rows = np.arange(len(counts))
    left = np.zeros(len(counts))
    for kind in kinds:
        fractions = np.array([by_kind.get(kind, 0) / max(1, totals[bar]) for bar, by_kind in counts.items()])
        ax.barh(rows, fractions, left=left, color=colour[kind], label=kind, height=0.72, edgecolor="white", lw=0.6)
        for y, (x, width) in enumerate(zip(left.tolist(), fractions.tolist(), strict=True)):
            if width > _NARROW:
                ax.text(x + width / 2, y, f"{width:.0%}", ha="center", va="center", fontsize="x-small", color=_on(colour[kind]))
        left = left + fractions
    ax.set_yticks(rows, [f"{bar}\nn = {totals[bar]:,}" for bar in counts])
    ax.set(xlim=(0, 1), ylim=(len(counts) - 0.5, -0.5), xlabel="fraction of records")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.tick_params(axis="y", length=0)
    n_columns = 1 if len(kinds) > 4 else len(kinds)
    if n_columns == 1:
        ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    else:
        ax.legend(frameon=False, fontsize="small", ncols=n_columns, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0)
    return plain(ax)


def over_controls(
    ax: Axes, names: Sequence[str], observed: ArrayLike, controls: Sequence[ArrayLike], notes: Sequence[str], *, xlabel: str
) -> Axes:
    """Draw a row for each name: a box of the controls (middle half, whiskers 2.5 to 97.5 %) and the observed value in red.

    observed [A] and controls [A][R] have the same unit. notes: text at the end of each row.
    """
    values_observed = np.asarray(observed, dtype=float)
    rows = np.arange(len(names))
    for y, values in zip(rows.tolist(), controls, strict=True):
        low, quarter, middle, three, high = np.percentile(np.asarray(values, dtype=float), [2.5, 25, 50, 75, 97.5])
        ax.plot([low, high], [y, y], color=GREY, lw=1.2, zorder=1)
        ax.barh(y, three - quarter, left=quarter, height=0.5, color="#D9D9D9", edgecolor=GREY, lw=0.8, zorder=2)
        ax.plot([middle, middle], [y - 0.25, y + 0.25], color="black", lw=1.2, zorder=3)
    ax.scatter(values_observed, rows, color=RED, s=34, zorder=4, clip_on=False, label="observed")
    ax.set_yticks(rows, names)
    ax.set(ylim=(len(names) - 0.4, -0.6), xlabel=xlabel)
    ax.set_xlim(left=0)
    for y, note in zip(rows.tolist(), notes, strict=True):
        ax.text(1.01, y, note, transform=ax.get_yaxis_transform(), va="center", fontsize="small")
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color="#EEEEEE", zorder=0)
    ax.set_axisbelow(True)
    return plain(ax)


def trait_matrix(
    ax: Axes,
    rows: Sequence[str],
    columns: Sequence[str],
    fold: ArrayLike,
    overlaps: ArrayLike,
    marked: ArrayLike,
) -> Axes:
    """Draw traits by annotations, [T, A]: colour is log2 of observed / expected, text is overlaps, marked cells have a frame.

    fold is NaN if nothing is expected. Cells without overlaps are white; cells with fewer than 3 overlaps are pale.
    """
    from matplotlib.colors import TwoSlopeNorm
    from matplotlib.patches import Rectangle

    n, framed = np.asarray(overlaps), np.asarray(marked, dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        shade = np.log2(np.asarray(fold, dtype=float))
    shade = np.where(n > 0, np.clip(shade, -3, 3), np.nan)
    image = ax.imshow(shade, cmap="RdBu_r", norm=TwoSlopeNorm(0, -3, 3), aspect="auto")
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
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.03, pad=0.02, aspect=14, shrink=min(1.0, 14 / len(rows)))
    bar.set_label("log2 observed / expected")
    return ax


def _on(colour: str) -> str:
    """Return black or white, the text colour that is readable on a colour."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"
