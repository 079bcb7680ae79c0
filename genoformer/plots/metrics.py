"""Figures of prediction quality: curves, intervals, confusion, calibration, agreement and embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer.plots.style import BLUE, GREY, MANY, ORANGE, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW = 5  # minimum number of cases for a meaningful fraction
_ROOM = 0.25  # of the width of a histogram, on either side, for values beyond the middle 99.8 %


def roc(ax: Axes, truth: ArrayLike, score: ArrayLike, *, label: str) -> Axes:
    """Draw the ROC curve of a score that is high for true cases."""
    from sklearn.metrics import roc_curve

    false_rate, true_rate, _ = roc_curve(np.asarray(truth, dtype=bool), np.asarray(score))
    ax.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
    ax.plot(false_rate, true_rate, color=BLUE, lw=1.8, label=label)
    ax.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    ax.legend(loc="lower right", frameon=False, fontsize="small")
    return plain(ax)


def confusion(ax: Axes, counts: ArrayLike, classes: Sequence[object]) -> Axes:
    """Draw the confusion matrix [C, C], true classes in rows: the count of each cell, and its fraction of the row as colour.

    Cells have text for at most 12 classes; for more classes the figure has a colour scale instead.
    """
    n = np.asarray(counts, dtype=np.int64)
    fraction = n / np.maximum(n.sum(axis=1, keepdims=True), 1)
    image = ax.imshow(fraction, cmap="Blues", vmin=0, vmax=1)
    places = np.arange(len(n))
    if len(n) <= 12:
        size = "medium" if len(n) <= 4 else "x-small"
        for i, j in np.ndindex(n.shape):
            ax.text(
                j,
                i,
                f"{n[i, j]:,}\n{fraction[i, j]:.0%}",
                ha="center",
                va="center",
                fontsize=size,
                color="white" if fraction[i, j] > 0.55 else "black",
            )
    else:
        ax.figure.colorbar(image, ax=ax, label="fraction of the true class", fraction=0.046, pad=0.03)
        places = places[:: -(-len(n) // 25)]
    names = [str(classes[i]) for i in places.tolist()]
    sideways = max(map(len, names)) * len(names) > 40
    ax.set_xticks(places, names, rotation=90 if sideways else 0)
    ax.set_yticks(places, names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlabel="predicted class", ylabel="true class")
    return ax


def roc_curves(ax: Axes, curves: Mapping[str, tuple[ArrayLike, ArrayLike]], *, first_leads: bool = True) -> Axes:
    """Draw ROC curves of several scores, name -> (truth, score high for true cases), the first in front, and the chance line.

    first_leads: draw the first curve bold, as the subject of the figure. False for equal curves, such as classes of a model.
    """
    from sklearn.metrics import roc_curve

    ax.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":", label="chance")
    for i, (name, (truth, score)) in reversed(list(enumerate(curves.items()))):
        false_rate, true_rate, _ = roc_curve(np.asarray(truth, dtype=bool), np.asarray(score))
        ax.plot(false_rate, true_rate, label=name, **_line(i, first_leads))
    ax.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    return _legend(plain(ax))


def precision_recall(ax: Axes, curves: Mapping[str, tuple[ArrayLike, ArrayLike]], *, first_leads: bool = True) -> Axes:
    """Draw precision-recall curves, name -> (truth, score); a dotted line is the fraction of true cases, the chance level.

    first_leads: as in `roc_curves`. If the fractions differ, as for several labels, each line has the colour of its curve.
    """
    from sklearn.metrics import precision_recall_curve

    fractions = {name: float(np.mean(np.asarray(truth, dtype=bool))) for name, (truth, _) in curves.items()}
    is_common = len(set(fractions.values())) == 1
    for i, fraction in enumerate([*fractions.values()][:1] if is_common else fractions.values()):
        colour = GREY if is_common else _line(i, first_leads)["color"]
        ax.axhline(fraction, color=colour, lw=0.8 if is_common else 1.0, ls=":", label=None if i else "chance")
    for i, (name, (truth, score)) in reversed(list(enumerate(curves.items()))):
        precision, recall, _ = precision_recall_curve(np.asarray(truth, dtype=bool), np.asarray(score))
        ax.plot(recall, precision, drawstyle="steps-post", label=name, **_line(i, first_leads))
    ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    return _legend(plain(ax))


def calibration(
    ax: Axes,
    confidence: ArrayLike,
    correct: ArrayLike,
    *,
    n_bins: int = 15,
    xlabel: str = "predicted probability",
    ylabel: str = "observed accuracy",
    low: float = 0.0,
) -> Axes:
    """Draw the fraction of correct cases by confidence [N] in equal bins, with 95 % intervals (Wilson 1927); counts are below.

    Bins of fewer than 5 cases are pale and not part of the line. low: the smallest possible confidence, where the axes begin;
    they end at 1.
    """
    p, hit = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    edges = np.linspace(low, 1, n_bins + 1)
    bins = np.clip(np.ceil((p - low) / (1 - low) * n_bins).astype(int) - 1, 0, n_bins - 1)
    n, hits, sums = (np.bincount(bins, weights=w, minlength=n_bins) for w in (np.ones_like(p), hit, p))
    filled = n > 0
    n, fraction, mean = n[filled], hits[filled] / n[filled], sums[filled] / n[filled]
    z = 1.96
    middle = (fraction + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(fraction * (1 - fraction) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    few = n < _FEW
    ax.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
    for rows, line, alpha in ((few, "o", 0.3), (~few, "o-", 1.0)):
        ax.vlines(mean[rows], (middle - half)[rows], (middle + half)[rows], color=BLUE, lw=1.2, alpha=alpha)
        ax.plot(mean[rows], fraction[rows], line, color=BLUE, ms=4.5, lw=1.2, alpha=alpha, mew=0)
    bottom = min(low, float((middle - half).min(initial=1.0)))
    room = 0.02 * (1 - bottom)
    ax.set(ylabel=ylabel, xlim=(low, 1), ylim=(bottom - room, 1 + room))  # room for the points at 0 and 1
    ax.tick_params(labelbottom=False)
    below = ax.inset_axes((0, -0.3, 1, 0.25), sharex=ax)
    below.bar(edges[:-1][filled], n, width=(1 - low) / n_bins, align="edge", color=GREY, edgecolor="white", lw=0.5)
    below.set(xlabel=f"{xlabel} (pale: fewer than {_FEW} cases)" if few.any() else xlabel, ylabel="cases")
    below.locator_params(axis="y", nbins=2, integer=True)
    plain(below)
    return plain(ax)


def comparison(
    ax: Axes, estimates: Mapping[str, tuple[float, float, float]], *, xlabel: str, chance: float | None = None
) -> Axes:
    """Draw values with intervals, name -> (value, low, high), the first on top, in the colours of `roc_curves`.

    A NaN value has no point; its text is "not defined".
    """
    names = list(estimates)
    for i, (value, low, high) in enumerate(estimates.values()):
        colour, y = MANY[i % len(MANY)], len(names) - 1 - i
        ax.hlines(y, low, high, color=colour, lw=2)
        ax.plot(value, y, "o", color=colour, ms=6)
        text = f"{value:.3f}" if np.isfinite(value) else "not defined"
        if np.isfinite(low) and high > low:
            text += f" [{low:.3f}, {high:.3f}]"
        text = text.replace("-", "\N{MINUS SIGN}")
        ax.annotate(
            text, (1, y), (6, 0), xycoords=ax.get_yaxis_transform(), textcoords="offset points", va="center", fontsize="small"
        )
    if chance is not None:
        ax.axvline(chance, color=GREY, lw=0.8, ls=":")
        ax.annotate(
            "chance",
            (chance, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, 0),
            textcoords="offset points",
            fontsize="x-small",
            color=GREY,
            va="top",
        )
    ax.set_yticks(range(len(names)), names[::-1])
    ax.set(xlabel=xlabel, ylim=(-0.6, len(names) - 0.4))
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color=GREY, alpha=0.25, lw=0.6)
    ax.set_axisbelow(True)
    return plain(ax)


def intervals_by_row(
    ax: Axes, columns: Mapping[str, Mapping[str, tuple[float, float, float]]], *, xlabel: str, chance: float | None = None
) -> Axes:
    """Draw values with intervals, name -> row -> (value, low, high), the first row on top; each name has a colour."""
    rows = list(dict.fromkeys(row for of in columns.values() for row in of))
    step = 0.8 / max(len(columns), 1)
    for i, (name, of) in enumerate(columns.items()):
        colour = MANY[i % len(MANY)]
        at = {row: len(rows) - 1 - j + 0.4 - (i + 0.5) * step for j, row in enumerate(rows)}
        ax.hlines([at[row] for row in of], [x[1] for x in of.values()], [x[2] for x in of.values()], color=colour, lw=1.4)
        ax.plot([x[0] for x in of.values()], [at[row] for row in of], "o", color=colour, ms=3.5, label=name)
    for edge in range(1, len(rows)):
        ax.axhline(edge - 0.5, color=GREY, alpha=0.2, lw=0.6)
    if chance is not None:
        ax.axvline(chance, color=GREY, lw=0.8, ls=":")
    ax.set_yticks(range(len(rows)), rows[::-1])
    ax.set(xlabel=xlabel, ylim=(-0.6, len(rows) - 0.4))
    ax.tick_params(axis="y", length=0)
    if len(columns) > 1:
        ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))
    else:
        ax.set_title(next(iter(columns)), loc="left", fontsize="medium")
    return plain(ax)


def agreement(ax: Axes, measured: ArrayLike, predicted: ArrayLike, *, label: str = "") -> Axes:
    """Draw predicted against measured values, [N] each, and the dotted line of equality."""
    x, y = np.asarray(measured, dtype=float), np.asarray(predicted, dtype=float)
    scatter(ax, x, y, xlabel="measured", ylabel="predicted", colour=MANY[0])  # the model's colour, as in `comparison`
    ax.collections[-1].set_alpha(float(np.clip(500 / len(x), 0.05, 0.5)))  # dense regions stay visible
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    ax.plot([low, high], [low, high], color="black", lw=0.8, ls=":")
    ax.set_title(f"{label}{' · ' if label else ''}n = {len(x):,}", fontsize="small", loc="left")
    return ax


def two_histograms(ax: Axes, groups: Mapping[str, ArrayLike], *, xlabel: str, bins: int = 40) -> Axes:
    """Draw the histograms of two groups as fractions over common bins; each label has its n.

    Values far beyond the middle 99.8 % are counted in the bars at the ends, and the x label has their number.
    """
    arrays = {name: np.asarray(values, dtype=float) for name, values in groups.items()}
    everything = np.concatenate(list(arrays.values()))
    low, high = np.quantile(everything, [0.001, 0.999])
    room = _ROOM * (high - low)
    low, high = max(low - room, everything.min()), min(high + room, everything.max())
    n_beyond = int(((everything < low) | (everything > high)).sum())
    if n_beyond:
        xlabel = f"{xlabel}; end bars: {n_beyond:,} beyond"
    edges = np.linspace(low, high, bins).tolist()
    for (name, values), colour in zip(arrays.items(), (ORANGE, BLUE), strict=True):
        weights = np.full(len(values), 1 / len(values))
        ax.hist(
            np.clip(values, edges[0], edges[-1]),
            edges,
            weights=weights,
            color=colour,
            alpha=0.55,
            label=f"{name} (n = {len(values):,})",
        )
    ax.set(xlabel=xlabel, ylabel="fraction of variants", ylim=(0, 1.3 * ax.get_ylim()[1]))  # room for the legend
    ax.legend(frameon=False, fontsize="small", loc="upper left")
    return plain(ax)


def scatter(ax: Axes, x: ArrayLike, y: ArrayLike, *, xlabel: str, ylabel: str, colour: str = ORANGE) -> Axes:
    """Draw points of two measured quantities."""
    ax.scatter(x, y, s=7, color=colour, alpha=0.5, linewidths=0)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return plain(ax)


def principal_components(
    ax: Axes, embeddings: ArrayLike, labels: Sequence[str] | None = None, *, name: str = "label", legend: bool = True
) -> Axes:
    """Draw embeddings [N, D] along their first two principal components; axis labels give the fraction of the variance.

    labels: a text for each point, shown as colours. The 7 most frequent labels have a colour each, the rest are "other". More
    than 7 different numbers have a colour scale. Labels that are mostly unique are not shown. name: description of the labels.
    """
    from sklearn.decomposition import PCA

    x = np.asarray(embeddings, dtype=np.float64)
    fitted = PCA(2, random_state=0).fit(x)
    points, fractions = fitted.transform(x), fitted.explained_variance_ratio_
    order = np.random.default_rng(0).permutation(len(x))  # no class covers the others
    look: dict[str, Any] = {"s": float(np.clip(9_000 / len(x), 3, 28)), "linewidths": 0}
    look["alpha"] = float(np.clip(1_500 / len(x), 0.15, 0.8))
    names, of, n = np.unique([] if labels is None else labels, return_inverse=True, return_counts=True)
    values = _as_numbers(names) if len(names) > len(MANY) else None
    if values is not None:
        shades = ax.scatter(points[order, 0], points[order, 1], c=values[of][order], cmap="viridis", **look)
        bar = ax.figure.colorbar(shades, ax=ax, label=name, pad=0.02)
        if bar.solids is not None:
            bar.solids.set_alpha(1)
    elif len(names) < 2 or len(names) > len(x) / 2 + 1:
        ax.scatter(points[order, 0], points[order, 1], color=BLUE, **look)
    else:
        place = _as_numbers(names)
        rank = np.argsort(-n, kind="stable")[: len(MANY)]
        shown = sorted(rank.tolist(), key=lambda i: i if place is None else place[i])
        colours = {names[i]: MANY[j] for j, i in enumerate(shown)}
        each = [colours.get(names[i], GREY) for i in of[order]]
        ax.scatter(points[order, 0], points[order, 1], color=each, **look)
        n_other = int(n.sum() - n[shown].sum())
        entries = {f"{names[i]} (n = {n[i]:,})": colours[names[i]] for i in shown}
        entries |= {f"other (n = {n_other:,}, {len(names) - len(shown)} classes)": GREY} if n_other else {}
        for text, colour in entries.items() if legend else ():
            ax.scatter([], [], s=28, color=colour, linewidths=0, label=text)
        if legend:
            ax.legend(
                title=name,
                frameon=False,
                fontsize="small",
                title_fontsize="small",
                alignment="left",
                loc="upper left",
                bbox_to_anchor=(1.0, 1.0),
                borderaxespad=0,
            )
    ax.set(xlabel=f"PC 1 ({fractions[0]:.0%} of the variance)", ylabel=f"PC 2 ({fractions[1]:.0%})")
    ax.locator_params(nbins=6)
    return plain(ax)


def _as_numbers(texts: NDArray[Any]) -> NDArray[np.float64] | None:
    try:
        values = texts.astype(np.float64)
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def _line(i: int, first_leads: bool) -> dict[str, Any]:
    """Return the line style of the i-th of several curves: the first is bold if it leads, else all are translucent."""
    width = {"lw": 2.0 if i == 0 else 1.3} if first_leads else {"lw": 1.5, "alpha": 0.7}
    return {"color": MANY[i % len(MANY)], "ls": "-" if i < len(MANY) else "--", **width}


def _legend(ax: Axes) -> Axes:
    """Add the legend below the axes, in the order of the given curves; they are drawn in reverse order."""
    from matplotlib import rcParams
    from matplotlib.transforms import ScaledTranslation

    room = 3.3 * rcParams["font.size"] / 72  # inches of tick labels and axis label, whatever the height of the axes
    below = ScaledTranslation(0, -room, ax.figure.figure.dpi_scale_trans)
    handles, labels = ax.get_legend_handles_labels()
    last = [i for i, label in enumerate(labels) if label == "chance"]
    order = [i for i in reversed(range(len(labels))) if i not in last] + last
    ax.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        bbox_transform=ax.transAxes + below,
        frameon=False,
        fontsize="small",
    )
    return ax
