"""Ticks at round coordinates of a contig, as many as their labels allow, and the ticks of an allele with an indel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.ticker import FuncFormatter, Locator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 5  # maximum number of intervals between ticks
_POINT, _WIDE = 8.3, 0.65  # of a "small" label: height of a letter in points, and its width as a fraction of the height


class PositionLocator(Locator):
    """Tick locator at round whole numbers, spaced so that the labels (1,042,250) do not touch."""

    def __call__(self) -> Any:
        low, high = sorted(self.axis.get_view_interval()) if self.axis is not None else (0.0, 1.0)
        return self.tick_values(low, high)

    def tick_values(self, vmin: float, vmax: float) -> Any:
        least = max((vmax - vmin) / _MOST, self.room(vmin, vmax), 1)
        power = 10 ** int(np.floor(np.log10(least)))
        step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= least * (1 - 1e-9))
        return np.arange(np.ceil(vmin / step), np.floor(vmax / step) + 1) * step

    def room(self, vmin: float, vmax: float) -> float:
        """Return the width of a label in bases."""
        axes: Any = getattr(self.axis, "axes", None)
        if axes is None:
            return 1.0
        points = 72 * axes.get_window_extent().width / axes.figure.figure.dpi
        label = _POINT * _WIDE * (len(f"{max(abs(vmin), abs(vmax)):,.0f}") + 1)  # with a gap
        return float((vmax - vmin) * label / max(points, label))


class Change(NamedTuple):
    """Start indices of the alleles of a variant in two sequences with a common first coordinate, and their lengths."""

    ref_start: int
    alt_start: int
    n_ref: int
    n_alt: int

    def on_alt(self, position: float) -> float | None:
        """Return the index in the ALT sequence of a base of the reference; None for a deleted base.

        >>> deletion = Change(25, 25, n_ref=7, n_alt=1)
        >>> [deletion.on_alt(position) for position in (24, 25, 26, 31, 32, 40)]
        [24, 25, None, None, 26, 34]
        """
        if position < self.ref_start + min(self.n_ref, self.n_alt):
            return position - self.ref_start + self.alt_start
        if position < self.ref_start + self.n_ref:
            return None
        return position - self.ref_start - self.n_ref + self.alt_start + self.n_alt

    def on_ref(self, at: int, *, right: bool = False) -> int:
        """Return the reference index of a base of ALT; for an inserted base the last before it, or the first after it (right).

        >>> insertion = Change(25, 25, n_ref=1, n_alt=3)
        >>> [insertion.on_ref(at) for at in (24, 25, 26, 27, 28)], insertion.on_ref(26, right=True)
        ([24, 25, 25, 25, 26], 26)
        """
        at -= self.alt_start
        shared = min(self.n_ref, self.n_alt)
        if at < shared:
            return self.ref_start + at
        if at < self.n_alt:
            return self.ref_start + (self.n_ref if right else shared - 1)
        return self.ref_start + at - self.n_alt + self.n_ref


class _AltLocator(PositionLocator):
    """Tick locator for reference coordinates along the ALT sequence."""

    def __init__(self, first: int, n: int, change: Change) -> None:
        super().__init__()
        self.first, self.n, self.change = first, n, change

    def tick_values(self, vmin: float, vmax: float) -> Any:
        low, high = self.change.on_ref(0, right=True), self.change.on_ref(self.n - 1)
        positions = super().tick_values(self.first + low - 0.5, self.first + high + 0.5)
        room, ticks = self.room(vmin, vmax), list[float]()
        for position in positions:
            at = self.change.on_alt(position - self.first)
            if at is not None and (not ticks or self.first + at - ticks[-1] >= room):  # a deletion moves ticks close together
                ticks.append(self.first + at)
        return np.array(ticks)


def alt_coordinates(ax: Axes, first: int, n: int, change: Change, chrom: str) -> Axes:
    """Label the ALT sequence of n bases with reference coordinates; inserted bases have none.

    first: the 1-based coordinate of the first base of the reference's sequence.
    """
    low, high = change.on_ref(0, right=True), change.on_ref(n - 1)
    ax.xaxis.set_major_locator(_AltLocator(first, n, change))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{first + change.on_ref(round(x) - first):,}"))
    ax.set_xlabel(f"{chrom}:{first + low:,}-{first + high:,}" if chrom else "base", fontsize="small")
    ax.tick_params(axis="x", labelsize="small")
    return ax
