"""Shared style of all figures, with colours that suit readers with red-green colour blindness."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN, PAGE = 3.35, 7.09  # width of figures in inches: one column (85 mm) and two columns (180 mm) of a journal
BASE_COLOURS = {"A": "#109648", "C": "#255C99", "G": "#F7B32B", "T": "#D62839"}  # as in JASPAR and most logos
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8A8A8A"  # Okabe and Ito 2008
RED = "#D7191C"  # observed values, over controls in grey
MANY = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # theirs without the pale yellow


def plain(ax: Axes) -> Axes:
    """Remove the top and right spines."""
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, in which panels and labels make room for each other."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def panel_letter(ax: Axes, letter: str) -> Axes:
    """Write the letter of a panel (A, B ...) at its upper left corner, outside of the axes."""
    ax.annotate(
        letter,
        (0, 1),
        xycoords="axes fraction",
        xytext=(-30, 6),
        textcoords="offset points",
        fontsize="large",
        weight="bold",
        va="bottom",
    )
    return ax
