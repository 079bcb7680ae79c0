"""Figures of results in notebooks: axes that pyplot shows, and a figure as HTML."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from genoformer.plots.style import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DPI = 144  # of figures in HTML, for screens with two dots per pixel


def shown_axes(ax: Axes | None, width: float, height: float) -> Axes:
    """Return the axes of the caller, or those of a new figure of a size in inches, which notebooks and `pyplot.show` show."""
    return shown_panels(width, height)[0] if ax is None else ax


def shown_panels(width: float, height: float, heights: tuple[float, ...] = (1.0,)) -> list[Axes]:
    """Return panels, one above the other, of a new figure of pyplot; heights: their relative heights."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(width, height), layout="constrained")
    return list(figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0])


def as_html(
    caption: str, draw: Callable[[list[Axes]], Any], size: tuple[float, float], heights: tuple[float, ...] = (1,)
) -> str:
    """Return a caption and a figure as HTML, the figure as an embedded PNG; size: width and height in inches.

    >>> as_html("two points", lambda axes: axes[0].plot([0, 1]), (2, 1))[:44]
    '<figure><figcaption>two points</figcaption><'
    """
    figure = new_figure(*size)
    draw(list(figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]))
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=_DPI)
    source = f"data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()}"
    image = f'<img src="{source}" alt="{escape(caption, quote=True)}" width="{round(96 * size[0])}">'
    return f"<figure><figcaption>{escape(caption)}</figcaption>{image}</figure>"
