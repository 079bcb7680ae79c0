"""Panels along the coordinates of a locus: tracks, genes and elements, attention between positions."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer.plots.style import BLUE, GREY, MANY, ORANGE, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def tracks(
    axes: Sequence[Axes],
    edges: ArrayLike,
    values: ArrayLike,
    *,
    labels: Sequence[str],
    chrom: str,
    groups: Sequence[str] = (),
    minus: Sequence[int] = (),
) -> Sequence[Axes]:
    """Draw tracks [K, N], one panel each, over the bin edges on a contig [N + 1], 0-based.

    Tracks of a group have one colour and one scale, so that their panels are comparable; tracks without a group have scales
    of their own. minus: indices of tracks of the minus strand, drawn downwards. The axes share x, and the last axis has the
    coordinates.
    """
    x, rows = np.asarray(edges, dtype=np.float64), np.asarray(values, dtype=np.float64)
    kinds, of = list(dict.fromkeys(groups)), list(groups) or [str(i) for i in range(len(rows))]
    for i, (ax, row, label) in enumerate(zip(axes, rows, labels, strict=True)):
        colour = MANY[(kinds.index(groups[i]) if len(kinds) > 1 else 0) % len(MANY)]
        same = rows[[j for j, group in enumerate(of) if group == of[i]]]
        top, bottom = max(float(same.max(initial=0)), 0.0) or 1.0, min(float(same.min(initial=0)), 0.0)
        down = i in minus
        ax.stairs(row, x, fill=True, color=colour, lw=0)
        limits = (1.1 * bottom, 1.35 * top)  # room for the label
        ax.set(xlim=(x[0], x[-1]), ylim=limits[::-1] if down else limits)
        ax.set_yticks([0, top], ["0", f"{top:,.0f}" if top >= 100 else f"{top:.3g}"], fontsize="x-small")
        y, va = (0.03, "bottom") if down else (0.97, "top")
        ax.text(0.004, y, label, transform=ax.transAxes, va=va, fontsize="small")
        ax.tick_params(labelbottom=i == len(rows) - 1)
        plain(ax)
        if down:
            ax.spines["bottom"].set_visible(i == len(rows) - 1)
            ax.axhline(0, color="black", lw=0.8)
    coordinates(axes[-1], x[0], x[-1], chrom)
    return axes


def coordinates(ax: Axes, start: float, end: float, chrom: str = "") -> Axes:
    """Label x with whole bases, and the region [start, end) below in 1-based coordinates; "base" without a contig."""
    from matplotlib.ticker import FuncFormatter

    from genoformer.plots.ticks import PositionLocator

    ax.xaxis.set_major_locator(PositionLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(_grouped))
    ax.set_xlabel(f"{chrom}:{start + 1:,.0f}-{end:,.0f}" if chrom else "base", fontsize="small")
    ax.tick_params(axis="x", labelsize="small")
    return ax


def allele_coordinates(
    axes: Sequence[Axes],
    first: int,
    n_alt: int,
    changed: tuple[int, int, int],
    chrom: str = "",
    *,
    alt_start: int | None = None,
) -> Sequence[Axes]:
    """Label the coordinates of the two panels of `allele_logos`; for an indel each panel has its own ticks.

    first: the 1-based coordinate of the first base; n_alt: number of drawn bases of ALT; changed and alt_start: as in
    `allele_logos`. The axis of ALT has the coordinates of the reference; inserted bases have none.
    """
    from genoformer.plots.ticks import Change, alt_coordinates

    start, n_ref, n_of_alt = changed
    if n_ref == n_of_alt:
        _share(*axes)
        axes[0].tick_params(labelbottom=False)
        coordinates(axes[1], first - 1, first - 1 + n_alt, chrom)
    else:
        low, high = axes[0].get_xlim()
        coordinates(axes[0], low - 0.5, high - 0.5, chrom)
        alt_coordinates(axes[1], first, n_alt, Change(start, start if alt_start is None else alt_start, n_ref, n_of_alt), chrom)
    return axes


def allele_tracks(
    axes: Sequence[Axes], edges: ArrayLike, ref: ArrayLike, alt: ArrayLike, *, label: str, chrom: str, at: float | None = None
) -> Sequence[Axes]:
    """Draw a track [N] of the reference and alternative alleles over its bin edges [N + 1], and ALT - REF below.

    at: position of the variant. The difference has its own scale, symmetric around 0.
    """
    top, below = axes
    _share(top, below)
    x, before, after = np.asarray(edges, dtype=float), np.asarray(ref, dtype=float), np.asarray(alt, dtype=float)
    top.stairs(before, x, color=GREY, fill=True, alpha=0.45, lw=0, label="REF")
    top.stairs(after, x, color=ORANGE, lw=1.0, label="ALT")
    highest = max(before.max(initial=0), after.max(initial=0))
    lowest = min(0.0, before.min(initial=0), after.min(initial=0))
    top.set(xlim=(x[0], x[-1]), ylim=(lowest, 1.3 * (highest or 1.0)))
    top.set_title(_wrapped(label, top), loc="left", fontsize="small")  # above the panel, clear of the legend
    top.legend(frameon=False, fontsize="x-small", ncols=2, loc="upper right", borderaxespad=0)
    top.locator_params(axis="y", nbins=3)
    top.tick_params(labelbottom=False, axis="both", labelsize="x-small")
    difference = after - before
    most = float(np.abs(difference).max(initial=0)) or 1.0
    below.stairs(difference, x, color=BLUE, fill=True, lw=0)
    below.axhline(0, color=GREY, lw=0.5)
    below.set(xlim=(x[0], x[-1]), ylim=(-1.15 * most, 1.15 * most))
    below.set_yticks([-most, 0, most], [f"\N{MINUS SIGN}{most:.2g}", "0", f"{most:.2g}"], fontsize="x-small")
    below.set_ylabel("ALT \N{MINUS SIGN} REF", fontsize="x-small")
    for ax in axes:
        if at is not None:
            ax.axvline(at, color="black", lw=0.8, ls=":")
        plain(ax)
    coordinates(below, float(x[0]), float(x[-1]), chrom)
    return axes


def landmarks(
    ax: Axes,
    start: int,
    end: int,
    *,
    genes: Sequence[tuple[str, str, ArrayLike]] = (),
    elements: Mapping[str, ArrayLike] | None = None,
) -> Axes:
    """Draw genes (name, strand, exons [n, 2]) over rows of elements (name -> intervals [n, 2]) in [start, end), 0-based.

    Exons are boxes on a line. An arrow at the TSS shows the direction. Overlapping genes are in separate rows.
    """
    rows: list[float] = []  # the end of the last gene of each row
    for name, strand, exons in sorted(genes, key=lambda gene: float(np.min(np.asarray(gene[2])))):
        _gene(ax, rows, start, end, name, strand, np.asarray(exons, dtype=float))
    ticks = [0.0] if rows else []
    labels = ["genes"] if rows else []
    y = float(-len(rows))
    for i, (kind, intervals) in enumerate((elements or {}).items()):
        colour = MANY[(i + 1) % len(MANY)]
        ax.broken_barh(
            [(a, b - a) for a, b in np.asarray(intervals, dtype=float).reshape(-1, 2).tolist()],
            (y - 0.2, 0.4),
            color=colour,
            lw=0,
        )
        ticks.append(y)
        labels.append(kind)
        y -= 0.75
    ax.set(xlim=(start, end), ylim=(y + 0.2, 0.65))
    ax.set_yticks(ticks, labels, fontsize="x-small")
    ax.tick_params(length=0, labelbottom=False, bottom=False)
    ax.spines[:].set_visible(False)
    return ax


def _gene(ax: Axes, rows: list[float], start: int, end: int, name: str, strand: str, exons: NDArray[np.float64]) -> None:
    """Draw a gene in the first row with room for it and its name; rows: the end of the last gene of each row, updated."""
    wide = end - start
    low, high = max(float(exons.min()), start), min(float(exons.max()), end)
    text = low - 0.012 * wide * (len(name) + 1) if strand == "-" else low  # room for the name
    row = next((i for i, last in enumerate(rows) if last < text), len(rows))
    rows[row:] = [max(high, low + 0.012 * wide * (len(name) + 2)), *rows[row + 1 :]]
    y = -row
    ax.plot([low, high], [y, y], color=BLUE, lw=1, solid_capstyle="butt")
    ax.broken_barh([(a, b - a) for a, b in exons.tolist()], (y - 0.17, 0.34), color=BLUE, lw=0)
    at, step = (high, -1) if strand == "-" else (low, 1)
    inside = start < (exons.max() if strand == "-" else exons.min()) < end
    if strand in "+-" and inside:
        arrow = {"arrowstyle": "-|>", "color": BLUE, "lw": 1, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (at + step * 0.02 * wide, y + 0.3), (at, y + 0.3), annotation_clip=False, arrowprops=arrow)
    fits = low + 0.012 * wide * len(name) < end
    x, ha = (low, "left") if fits else (end, "right")
    ax.text(x, y - 0.24, name, fontsize="x-small", va="top", ha=ha, clip_on=True, style="italic")


def n_rows(genes: Sequence[tuple[str, str, ArrayLike]], elements: Mapping[str, ArrayLike] | None = None) -> float:
    """Return the approximate number of rows of `landmarks`, for the height of its panel."""
    return min(len(genes), 3) + 0.75 * len(elements or {})


def attention_map(
    ax: Axes,
    weights: ArrayLike,
    queries: ArrayLike,
    keys: ArrayLike,
    *,
    chrom: str = "",
    elements: Mapping[str, ArrayLike] | None = None,
) -> Axes:
    """Draw attention weights, query x key [M, K], over their edges in bases, [M + 1] and [K + 1]; queries are rows.

    The colour scale ends at the 99.5th percentile, with a point where there are values beyond. elements: name -> intervals
    [n, 2], drawn as bars at the top and left.
    """
    matrix, y, x = np.asarray(weights, dtype=float), np.asarray(queries, dtype=float), np.asarray(keys, dtype=float)
    top = float(np.quantile(matrix, 0.995)) or 1.0
    image = ax.pcolormesh(x, y, matrix, cmap="viridis", vmin=0, vmax=top, rasterized=True)
    ax.set(xlim=(x[0], x[-1]), ylim=(y[-1], y[0]))
    for i, (name, spans) in enumerate((elements or {}).items()):
        colour, low = MANY[(i + 1) % len(MANY)], 1.012 + 0.03 * i
        for a, b in np.asarray(spans, dtype=float).reshape(-1, 2).tolist():
            if a < x[-1] and b > x[0]:
                ax.plot(
                    [max(a, x[0]), min(b, x[-1])],
                    [low, low],
                    color=colour,
                    lw=3.5,
                    solid_capstyle="butt",
                    transform=ax.get_xaxis_transform(),
                    clip_on=False,
                )
            if a < y[-1] and b > y[0]:
                ax.plot(
                    [1 - low] * 2,
                    [max(a, y[0]), min(b, y[-1])],
                    color=colour,
                    lw=3.5,
                    solid_capstyle="butt",
                    transform=ax.get_yaxis_transform(),
                    clip_on=False,
                )
        ax.plot([], [], color=colour, lw=3.5, label=name)
    if elements:
        ax.legend(
            frameon=False,
            fontsize="x-small",
            loc="lower right",
            bbox_to_anchor=(1, 1.02 + 0.03 * len(elements)),
            ncols=3,
            borderaxespad=0,
        )
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    coordinates(ax, float(x[0]), float(x[-1]), chrom)
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    ax.yaxis.set_major_formatter(FuncFormatter(_grouped))
    ax.tick_params(axis="y", labelsize="small", pad=3 + 3.5 * len(elements or {}))
    ax.set_ylabel("query position", fontsize="small")
    ax.set_xlabel(f"key position on {chrom}" if chrom else "key position", fontsize="small")
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02, fraction=0.045, extend="max" if (matrix > top).any() else "neither")
    bar.set_label("attention weight\n(rows of the whole window sum to 1)", fontsize="small")
    bar.ax.tick_params(labelsize="x-small")
    return ax


def contact_map(
    ax: Axes, edges: ArrayLike, values: ArrayLike, *, label: str = "", chrom: str = "", unit: str = "contacts"
) -> Axes:
    """Draw contacts of consecutive bins, [n, n], with the edges [n + 1] on both axes; the scale is symmetric around 0.

    unit: label of the colour scale.
    """
    bins, matrix = np.asarray(edges, dtype=float), np.asarray(values, dtype=float)
    top = float(np.abs(matrix).max(initial=0)) or 1.0
    image = ax.pcolormesh(bins, bins, matrix, cmap="RdBu_r", vmin=-top, vmax=top, rasterized=True)
    ax.set(aspect="equal", xlim=(bins[0], bins[-1]), ylim=(bins[-1], bins[0]), title=label)
    ax.title.set_fontsize("small")
    coordinates(ax, bins[0], bins[-1], chrom)
    ax.set_yticks([])
    ax.tick_params(labelsize="x-small")
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02, fraction=0.045)
    bar.set_label(unit, fontsize="x-small")
    bar.ax.tick_params(labelsize="x-small")
    return ax


def contacts(ax: Axes, pairs: Sequence[tuple[float, float, float]], *, start: float, end: float, label: str = "") -> Axes:
    """Draw arcs between positions (from, to, strength), 0-based; width and opacity are relative to the strongest arc.

    Arcs of at most 5 % of the largest strength are left out. label: description of the strongest arc.
    """
    from matplotlib.patches import Arc

    top = max((strength for *_, strength in pairs), default=0.0)
    wide = max((abs(b - a) for a, b, strength in pairs if strength > 0.05 * top), default=1.0) or 1.0
    for a, b, strength in sorted(pairs, key=lambda pair: pair[2]):
        relative = strength / top if top > 0 else 0.0
        if relative > 0.05:
            ax.add_patch(
                Arc(
                    ((a + b) / 2, 0),
                    abs(b - a),
                    2 * abs(b - a) / wide,
                    theta1=0,
                    theta2=180,
                    color=ORANGE,
                    lw=0.4 + 2.2 * relative,
                    alpha=0.25 + 0.75 * relative,
                )
            )
    for position in {a for a, *_ in pairs}:
        ax.plot([position], [0], marker="^", ms=5, color=BLUE, clip_on=False, zorder=5)
    ax.set(xlim=(start, end), ylim=(0, 1.05))
    ax.set_yticks([])
    ax.set_title(label, loc="left", fontsize="x-small", color="#555555", style="italic")
    ax.spines[["left", "top", "right"]].set_visible(False)
    ax.tick_params(labelbottom=False)
    return ax


def _share(upper: Axes, lower: Axes) -> None:
    """Share the x axis of two panels."""
    if not upper.get_shared_x_axes().joined(upper, lower):
        upper.sharex(lower)


def _wrapped(text: str, ax: Axes) -> str:
    """Return a text wrapped to the width of the figure."""
    inches = ax.figure.figure.get_figwidth() - 0.8
    return "\n".join(textwrap.wrap(text, max(20, int(15 * inches))))


def _grouped(position: float, _: object) -> str:
    return f"{position:,.0f}"
