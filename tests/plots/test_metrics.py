"""Figures of an evaluation: what is drawn is what was given."""

from __future__ import annotations

import matplotlib.colors
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from genoformer import plots


@pytest.fixture
def ax() -> Axes:
    return Figure().add_subplot()


def legend(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_confusion_writes_the_number_and_its_share_of_the_row(ax) -> None:
    plots.confusion(ax, [[3, 1], [0, 1200]], ["no", "yes"])
    assert [text.get_text() for text in ax.texts] == ["3\n75%", "1\n25%", "0\n0%", "1,200\n100%"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["no", "yes"]


def test_confusion_of_many_classes_has_a_scale_in_place_of_numbers(ax) -> None:
    plots.confusion(ax, np.eye(60, dtype=int), range(60))
    assert not ax.texts
    assert len(ax.get_xticks()) == 20
    assert len(ax.figure.axes) == 2


@pytest.mark.parametrize("draw", [plots.roc_curves, plots.precision_recall])
def test_curves_are_named_in_the_order_given_with_chance_last(ax, draw) -> None:
    truth = np.array([0, 1, 0, 1])
    draw(ax, {"model": (truth, [0.1, 0.9, 0.2, 0.8]), "baseline": (truth, [0.1, 0.2, 0.3, 0.4])})
    assert legend(ax) == ["model", "baseline", "chance"]
    colours = {line.get_label(): line.get_color() for line in ax.lines}
    assert colours["model"] == plots.MANY[0]
    assert colours["baseline"] == plots.MANY[1]


def test_roc_by_hand(ax) -> None:
    """From the top: true, false, true, false."""
    plots.roc_curves(ax, {"model": ([0, 1, 0, 1], [1.0, 2.0, 3.0, 4.0])})
    line = next(line for line in ax.lines if line.get_label() == "model")
    assert line.get_xydata().tolist() == [[0, 0], [0, 0.5], [0.5, 0.5], [0.5, 1], [1, 1]]


@pytest.mark.parametrize("draw", [plots.roc_curves, plots.precision_recall])
def test_classes_of_one_model_are_drawn_alike(ax, draw) -> None:
    """Two curves that lie on each other: of equals neither hides the other, of a model and a baseline the model is bold."""
    curves = {"a": ([0, 1, 0, 1], [1.0, 2.0, 3.0, 4.0]), "b": ([0, 1, 0, 1], [1.0, 2.0, 3.0, 4.0])}

    def look() -> dict[str, tuple[float, float | None]]:
        return {line.get_label(): (line.get_linewidth(), line.get_alpha()) for line in ax.lines if line.get_label() in curves}

    draw(ax, curves, first_leads=False)
    assert look()["a"] == look()["b"]
    assert 0 < (look()["a"][1] or 0) < 1
    ax.clear()
    draw(ax, curves)
    assert look()["a"][0] > look()["b"][0]


def test_chance_of_precision_is_the_share_of_true_cases(ax) -> None:
    plots.precision_recall(ax, {"model": ([0, 1, 0, 0], [1.0, 2.0, 3.0, 4.0])})
    chance = next(line for line in ax.lines if line.get_label() == "chance")
    assert set(chance.get_ydata()) == {0.25}


def test_each_label_has_its_own_chance_and_the_legend_covers_none(ax) -> None:
    """One of four cases of a, two of b: chance at 1/4 and 1/2 in the colours of their curves."""
    score = [0.1, 0.2, 0.3, 0.4]
    plots.precision_recall(ax, {"a": ([0, 0, 0, 1], score), "b": ([0, 1, 0, 1], score)})
    across = [line for line in ax.lines if line.get_linestyle() == ":"]
    assert [(set(line.get_ydata()), line.get_color()) for line in across] == [({0.25}, plots.MANY[0]), ({0.5}, plots.MANY[1])]
    assert legend(ax) == ["a", "b", "chance"]
    ax.figure.draw_without_rendering()
    assert ax.get_legend().get_window_extent().y1 < ax.get_window_extent().y0


def test_calibration_by_hand(ax) -> None:
    """Ten cases of confidence 0.61, six right; six of 0.99, all right: two points on or near the diagonal."""
    plots.calibration(ax, [0.61] * 10 + [0.99] * 6, [1] * 6 + [0] * 4 + [1] * 6)
    assert ax.lines[-1].get_xydata() == pytest.approx(np.array([[0.61, 0.6], [0.99, 1.0]]))
    below = ax.child_axes[0]
    assert [patch.get_height() for patch in below.patches] == [10, 6]
    assert below.get_xlabel() == "predicted probability"


def test_few_cases_are_pale_and_all_intervals_within_the_axes(ax) -> None:
    """One wrong case of 0.03, four right of 0.5, five right of 0.95: the two bins of fewer than five are pale.

    Wilson's interval of 0 of n is 0 .. 3.84 / (n + 3.84), that of n of n is n / (n + 3.84) .. 1.
    """
    plots.calibration(ax, [0.03] + [0.5] * 4 + [0.95] * 5, [0] + [1] * 9)
    _, pale, line = ax.lines
    assert pale.get_xydata() == pytest.approx(np.array([[0.03, 0], [0.5, 1]]))
    assert pale.get_linestyle() == "None"
    assert (pale.get_alpha() or 1) < (line.get_alpha() or 1)
    assert line.get_xydata() == pytest.approx(np.array([[0.95, 1]]))
    bars = np.array([[*bar[:, 1]] for lines in ax.collections for bar in lines.get_segments()])
    assert bars == pytest.approx(np.array([[0, 0.793], [0.510, 1], [0.566, 1]]), abs=5e-4)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert (left, right) == (0, 1)
    assert bottom < bars.min() - 0.01
    assert bars.max() + 0.01 < top
    assert ax.child_axes[0].get_xlabel() == "predicted probability (pale: fewer than 5 cases)"


def test_comparison_stands_in_order_and_says_what_is_not_defined(ax) -> None:
    plots.comparison(ax, {"model": (0.6, 0.5, 0.7), "failed": (np.nan, np.nan, np.nan)}, xlabel="MCC", chance=0.0)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["failed", "model"]  # from below
    assert [text.get_text() for text in ax.texts] == ["0.600 [0.500, 0.700]", "not defined", "chance"]
    assert ax.lines[0].get_xydata().tolist() == [[0.6, 1]]


def test_a_value_below_zero_has_a_minus_sign(ax) -> None:
    plots.comparison(ax, {"model": (-0.1, -0.2, 0.1)}, xlabel="r")
    assert ax.texts[0].get_text() == "−0.100 [−0.200, 0.100]"


def heights(ax: Axes) -> list[float]:
    return [bar.get_height() for bar in ax.patches]


def test_histograms_reach_from_the_least_to_the_largest_value(ax) -> None:
    plots.two_histograms(ax, {"a": [1.0, 2.0, 3.0], "b": [2.0]}, xlabel="LLR (bits)", bins=3)
    assert heights(ax) == pytest.approx([1 / 3, 2 / 3, 0, 1])
    assert ax.get_xlabel() == "LLR (bits)"
    assert (ax.patches[0].get_x(), ax.patches[1].get_x() + ax.patches[1].get_width()) == (1, 3)


def test_histograms_count_far_values_in_the_end_bars_and_say_so(ax) -> None:
    """One value of 2,002 lies far beyond the others, which are 0 and 1."""
    plots.two_histograms(ax, {"a": [0.0, 1.0] * 1000, "b": [0.5, 1e6]}, xlabel="LLR", bins=3)
    assert ax.get_xlabel() == "LLR; end bars: 1 beyond"
    assert heights(ax)[3] == pytest.approx(0.5)
    assert ax.patches[3].get_x() < 2


def test_a_contact_map_has_the_unit_of_its_colours(ax) -> None:
    plots.contact_map(ax, [0, 10, 20], np.eye(2), label="HFF", chrom="chr1", unit="predicted contacts")
    assert ax.figure.axes[1].get_ylabel() == "predicted contacts"


def test_agreement_says_how_many(ax) -> None:
    plots.agreement(ax, np.arange(1500), np.arange(1500), label="CAGE")
    assert ax.get_title(loc="left") == "CAGE · n = 1,500"
    assert {matplotlib.colors.to_hex(colour) for colour in shades(ax)} == {plots.MANY[0].lower()}  # the model's, as elsewhere


def shades(ax: Axes) -> set[tuple[float, ...]]:
    return {tuple(colour[:3]) for points in ax.collections if len(points.get_offsets()) for colour in points.get_facecolors()}


def test_components_are_those_of_greatest_variance_with_their_share(ax) -> None:
    """Variances 16, 4 and 0 along the axes: shares 80 % and 20 %."""
    corners = np.array([[4, 2, 9], [4, -2, 9], [-4, 2, 9], [-4, -2, 9]])
    plots.principal_components(ax, corners)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("PC 1 (80% of the variance)", "PC 2 (20%)")
    assert sorted(abs(ax.collections[0].get_offsets()).tolist()) == [[4, 2]] * 4
    assert ax.get_legend() is None


def test_the_most_frequent_classes_have_colours_in_the_order_of_their_numbers(ax) -> None:
    labels = [str(i) for i in (10, 2)] * 3
    plots.principal_components(ax, np.random.default_rng(0).normal(size=(6, 3)), labels)
    assert legend(ax) == ["2 (n = 3)", "10 (n = 3)"]
    assert len(shades(ax)) == 2


def test_more_classes_than_colours_are_other(ax) -> None:
    labels = ["rare", *(name for name in "abcdefgh" for _ in range(4)), "a"]
    plots.principal_components(ax, np.random.default_rng(0).normal(size=(len(labels), 3)), labels, name="kind")
    assert legend(ax) == [
        *(f"{name} (n = {n})" for name, n in zip("abcdefg", [5, *[4] * 6], strict=True)),
        "other (n = 5, 2 classes)",
    ]
    assert len(shades(ax)) == 8
    assert ax.get_legend().get_title().get_text() == "kind"


def test_measured_labels_are_a_scale_and_names_nothing(ax) -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    plots.principal_components(ax, x, [f"peak{i}" for i in range(40)])
    assert len(shades(ax)) == 1
    assert ax.get_legend() is None
    plots.principal_components(ax, x, [str(i / 7) for i in range(40)], name="activity")
    assert ax.figure.axes[1].get_ylabel() == "activity"
