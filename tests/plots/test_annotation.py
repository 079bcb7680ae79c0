"""Figures of annotations: folds over controls on a log2 axis, and stacked fractions."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from genoformer import plots
from genoformer.files import save_figures


@pytest.fixture
def ax():
    return plots.new_figure(plots.PAGE, 2).subplots()


def drawn(ax):
    """The points of each marker, as (x, y)."""
    return [points.get_offsets().tolist() for points in ax.collections if len(points.get_offsets())]


def test_folds_lie_over_their_controls_and_what_is_zero_is_an_arrowhead(ax) -> None:
    controls = [np.linspace(0.5, 1.5, 101), np.linspace(0, 2, 101), np.linspace(0.5, 1.5, 101)]
    notes = {"observed": ["8 of 9", "0 of 9", "9 of 9"], "P": ["0.01", "0.5", "≤ 0.001"]}
    bounds = [(1.0, 8.0), (0.0, 3.0), (2.0, np.inf)]
    plots.over_controls(ax, ["a", "b", "c"], [4.0, 0.0, 100.0], controls, notes, xlabel="fold", intervals=bounds)
    low, high = ax.get_xlim()
    assert (low, high) == (1 / 16, 64.0)
    points = [xy for xy in drawn(ax) if len(xy)]
    assert [[4.0, 0]] in points
    assert [[low, 1]] in points
    assert [[high, 2]] in points
    boxes = [(box.get_x(), box.get_x() + box.get_width()) for box in ax.patches]
    assert boxes[0] == pytest.approx((0.75, 1.25))  # the middle half of 0.5 to 1.5
    assert [text.get_text() for text in ax.texts] == ["observed", *notes["observed"], "P", *notes["P"]]
    assert [ax.xaxis.get_major_formatter()(x, 0) for x in (0.25, 1, 8)] == ["1/4", "1", "8"]


def test_an_interval_that_leaves_the_axis_has_a_small_arrowhead_there(ax) -> None:
    bounds = [(0.0, 1.9), (1.5, np.inf), (1.5, 1.9)]
    controls = [np.linspace(0.5, 1.5, 20)] * 3
    plots.over_controls(ax, ["a", "b", "c"], [1.2, 1.8, 1.7], controls, {}, xlabel="fold", intervals=bounds)
    low, high = ax.get_xlim()
    assert drawn(ax)[-3:] == [[[low, 0]], [[high, 1]], [[1.2, 0], [1.8, 1], [1.7, 2]]]


@pytest.mark.parametrize(
    ("fold", "ends"), [([[1, 2]], "neither"), ([[0.01, 2]], "min"), ([[1, 99]], "max"), ([[0.01, np.inf]], "both")]
)
def test_the_colours_of_traits_have_pointed_ends_where_folds_lie_beyond(ax, fold, ends: str) -> None:
    plots.trait_matrix(ax, ["height"], ["liver", "bone"], fold, [[5, 5]], [[False, False]])
    (image,) = ax.images
    assert image.colorbar.extend == ends
    assert abs(image.get_array()).max() <= 3


@pytest.mark.parametrize("fold", [0.9, 0.0])
def test_the_axis_has_room_for_a_factor_of_two_on_either_side(ax, fold) -> None:
    plots.over_controls(ax, ["a"], [fold], [np.full(20, 1.0)], {}, xlabel="fold")
    assert ax.get_xlim() == (0.5, 2.0)


def test_kinds_have_names_in_the_legend_and_percentages_in_the_bars(ax) -> None:
    counts, totals = {"all": {"E": 3, "R": 1}, "rare": {"R": 2}}, {"all": 4, "rare": 2}
    plots.stacked_fractions(ax, counts, totals, names={"E": "E: enhancer"}, legend="state")
    legend = ax.get_legend()
    assert legend is not None
    assert legend.get_title().get_text() == "state"
    assert [text.get_text() for text in legend.get_texts()] == ["E: enhancer", "R"]
    assert [text.get_text() for text in ax.texts] == ["75%", "25%", "100%"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["all\nn = 4", "rare\nn = 2"]


def test_notes_lie_within_the_figure_in_both_formats(tmp_path) -> None:
    figure: Figure = plots.new_figure(plots.PAGE, 2)
    ax = figure.subplots()
    notes = {"observed": ["1,000 of 2,000"], "expected": ["1,234.5"], "P": ["≤ 0.001"], "q": ["0.005"]}
    plots.over_controls(ax, ["STATE:E"], [2.0], [np.linspace(0.5, 1.5, 20)], notes, xlabel="fold")
    written = save_figures(figure, tmp_path / "a.png")
    assert [path.name for path in written] == ["a.png", "a.svg"]
    assert all(path.stat().st_size > 5_000 for path in written)
    right = max(text.get_window_extent().x1 for text in ax.texts)
    assert right <= figure.bbox.x1
    assert ax.get_position().width > 0.3
