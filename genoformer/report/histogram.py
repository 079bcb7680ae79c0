"""Values of a score -> a histogram as SVG with axes, unit, a line at zero and marks of the top variants."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.tables import rounded

_BINS = 48
_WIDTH, _HEIGHT = 360, 170  # of the picture in its own units, about pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 20, 38  # margins for the axes and marks
_LEAST = 1.5  # height of the smallest bar, so that one value at the end of the range is visible
_APART = 11  # distance below which only the first of two numbers is written


class Mark(NamedTuple):
    """A variant on the axis: its number on the page, value and title."""

    number: int
    value: float
    title: str


def histogram(values: NDArray[np.float64], *, name: str, unit: str = "", marks: Sequence[Mark] = ()) -> str:
    """Return a figure of the distribution from its smallest to its largest value; "" if all values are equal."""
    if len(values) < 2 or np.ptp(values) == 0:
        return ""
    low, high = float(values.min()), float(values.max())
    counts, edges = np.histogram(values, _BINS, (low, high))
    middle = float(np.quantile(values, 0.5, method="inverted_cdf"))  # a score of the file, with its digits
    scale = _Scale(low, high)
    base = _HEIGHT - _BOTTOM
    parts = [
        *(_bar(scale, edges[k : k + 2], n, int(counts.max())) for k, n in enumerate(counts.tolist()) if n),
        f'<path class="line" d="M{_LEFT} {_TOP}V{base}H{_WIDTH - _RIGHT}"/>',
        *(_tick(scale, value) for value in _ticks(low, high)),
        f'<text class="count" x="{_LEFT - 5}" y="{_TOP + 4}">{int(counts.max()):,}</text>',
        f'<text class="count" x="{_LEFT - 5}" y="{base}">0</text>',
        f'<text class="count" transform="translate(11 {(_TOP + base) / 2}) rotate(-90)" text-anchor="middle">alleles</text>',
    ]
    if low < 0 < high:
        parts.append(f'<path class="zero" d="M{scale.at(0)} {_TOP}V{base}"><title>0</title></path>')
    parts += _marks(scale, marks)
    label = html.escape(f"{name} ({unit})" if unit else name)
    parts.append(f'<text class="name" x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 5}">{label}</text>')
    spoken = (
        f"Distribution of {name} of {len(values):,} alleles: from {rounded(low)} to {rounded(high)}, median {rounded(middle)}."
    )
    return (
        f'<figure class="bars"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(spoken)}">'
        f"{''.join(parts)}</svg><figcaption><b>{html.escape(name)}</b>, n = {len(values):,}: "
        f'lowest <span class="low">{rounded(low)}</span>, median {rounded(middle)}, '
        f'highest <span class="high">{rounded(high)}</span>.</figcaption></figure>'
    )


class _Scale(NamedTuple):
    low: float
    high: float

    def at(self, value: float) -> float:
        """Return the x of a value."""
        share = (value - self.low) / (self.high - self.low)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)


def _bar(scale: _Scale, edges: NDArray[np.float64], n: int, most: int) -> str:
    left, right = (scale.at(float(edge)) for edge in edges)
    height = max(_LEAST, (_HEIGHT - _BOTTOM - _TOP) * n / most)
    return (
        f'<rect x="{left}" y="{_HEIGHT - _BOTTOM - height:.1f}" width="{max(0.5, right - left - 0.6):.1f}" '
        f'height="{height:.1f}"><title>{edges[0]:.3g} to {edges[1]:.3g}: {n:,}</title></rect>'
    )


def _tick(scale: _Scale, value: float) -> str:
    x, base = scale.at(value), _HEIGHT - _BOTTOM
    text = f"{value:g}".replace("-", "\N{MINUS SIGN}")  # as in the other figures
    return f'<path class="line" d="M{x} {base}v4"/><text class="tick" x="{x}" y="{base + 15}">{text}</text>'


def _ticks(low: float, high: float) -> list[float]:
    """Return three to six round values inside a range.

    >>> _ticks(-4.29, 4.48), _ticks(0, 0.013)
    ([-4.0, -2.0, 0.0, 2.0, 4.0], [0.0, 0.005, 0.01])
    """
    power = 10.0 ** np.floor(np.log10((high - low) / 3))
    step = max((k * power for k in (1, 2, 5) if k * power <= (high - low) / 2.5), default=power)
    first, last = int(np.ceil(low / step)), int(np.floor(high / step))
    return [float(f"{k * step:.6g}") for k in range(first, last + 1)]


def _marks(scale: _Scale, marks: Sequence[Mark]) -> list[str]:
    """Return a triangle for each mark above the bars, and its number where there is room."""
    parts, last = [], -np.inf
    for mark in sorted(marks, key=lambda mark: mark.value):
        x = scale.at(mark.value)
        text = ""
        if x - last >= _APART:
            text, last = f'<text class="number" x="{x}" y="{_TOP - 9}">{mark.number}</text>', x
        title = html.escape(f"{mark.number}. {mark.title}")
        shape = f'<path d="M{x - 3.5} {_TOP - 7}h7l-3.5 6z"/>'
        parts.append(f'<g class="mark"><title>{title}</title>{shape}{text}</g>')
    return parts
