"""Colours that are readable without telling red from green, and what all figures share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BASE_COLOURS = {"A": "#109648", "C": "#255C99", "G": "#F7B32B", "T": "#D62839"}  # as JASPAR and most logos
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8A8A8A"  # Okabe and Ito 2008
RED = "#D7191C"  # what is observed, over controls in grey
MANY = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # theirs without yellow, too pale for a line


def plain(ax: Axes) -> Axes:
    """Take away the frame at the top and right."""
    ax.spines[["top", "right"]].set_visible(False)
    return ax
