"""Truth, predictions of a model and of baselines -> one table of metrics with intervals, as JSON and figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from genoformer import plots
from genoformer.errors import ConfigError
from genoformer.evaluation import metrics
from genoformer.evaluation.cases import Cases, Floats
from genoformer.evaluation.intervals import Estimate, estimate, or_none
from genoformer.evaluation.task_metrics import METRICS, collapsed
from genoformer.files import check_overwrite, make_folder, save_figures, write_text
from genoformer.tasks import Classification, MultiLabel, Regression, Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MODEL = "model"
REPORT = "metrics.json"
_FIGURES = ("comparison", "confusion", "roc", "pr", "calibration", "scatter")
FILES = (REPORT, *(f"{name}.{suffix}" for name in _FIGURES for suffix in ("png", "svg")))
NAMES = {"kmer_regression": "k-mer regression", "cnn": "CNN", "lstm_attention": "LSTM with attention"}  # in figures
LABELS = {"mcc": "MCC", "auroc": "AUROC", "pearson": "Pearson's r"}  # of the main metrics, in figures
_PANELS = 6  # most classes, labels or targets in a figure, to keep it legible


def evaluate(
    task: Task,
    truth: ArrayLike,
    predicted: ArrayLike,
    *,
    baselines: Mapping[str, ArrayLike] | None = None,
    out: Path | None = None,
    seed: int = 0,
    n: int = 1000,
) -> dict[str, Any]:
    """Evaluate a model on a data set, as a dict ready for `json.dumps` (undefined values are None).

    task, truth, predicted, seed, n: as in `compute_metrics`. baselines: name -> predictions for the same cases.
    The result has each metric as {"value", "low", "high"} under its name (mcc, auroc, auprc, accuracy, f1 ..., or pearson,
    spearman, mse, r2), and: task, n, classes, definitions, per_class, confusion, collapsed, notes, and "models", a row with
    the same metrics for the model and for each baseline. The "difference" of a baseline is the model's MCC (Pearson for
    values, AUROC if no label is called) minus the baseline's, over the same bootstrap samples; it is above 0 if the model
    is better.
    out: a folder, created if missing, for metrics.json and figures as PNG and SVG: comparison, and confusion, roc,
    pr and calibration, or scatter for values; they replace an earlier report, and no other files.
    Raises ConfigError for input that does not fit.

    >>> from genoformer.tasks import Classification
    >>> task = Classification(("no", "yes"))
    >>> found = evaluate(task, [0, 0, 1, 1], [[.9, .1], [.4, .6], [.2, .8], [.1, .9]])
    >>> found["accuracy"]["value"], found["confusion"]
    (0.75, [[1, 1], [0, 2]])
    """
    if baselines and MODEL in baselines:
        raise ConfigError(f"a baseline is named {MODEL!r}, as the model is; give it another name.")
    if out is not None:
        check_folder(out)
    data = {name: metrics.cases(task, truth, p) for name, p in {MODEL: predicted, **(baselines or {})}.items()}
    draws = {name: metrics.resampled(one, seed, n) for name, one in data.items()}
    main = METRICS[type(task)].compared(draws[MODEL])
    rows = []
    for name, one in data.items():
        row: dict[str, Any] = {"model": name, **{metric: estimate(values).to_dict() for metric, values in draws[name].items()}}
        row |= {"collapsed": collapsed(one), "notes": metrics.notes(one)}
        if name != MODEL:
            row["difference"] = {"metric": main, **estimate(draws[MODEL][main] - draws[name][main]).to_dict()}
        rows.append(row)
    model = data[MODEL]
    found: dict[str, Any] = {key: value for key, value in rows[0].items() if key != "model"}
    found |= {"task": task.kind, "n": len(model.truth), "classes": list(task.names), "seed": seed, "resamplings": n}
    found["definitions"] = metrics.definitions(task)
    if METRICS[type(task)].has_calls:
        by_class = metrics.per_class(model)
        found["per_class"] = [{key: or_none(x) if isinstance(x, float) else x for key, x in row.items()} for row in by_class]
        found["confusion"] = metrics.confusion(model).tolist()
    found["models"] = rows
    if out is not None:
        make_folder(out)
        write_json(out, found)  # before the figures, because it identifies the folder as a report
        for name in FILES[1:]:
            (out / name).unlink(missing_ok=True)
        _draw(out, data, draws, main)
    return found


def check_folder(out: Path) -> None:
    """Refuse, with ConfigError, a folder in which a report would overwrite files that are not a report."""
    check_overwrite(out, FILES, REPORT, lambda found: found.keys() >= {"resamplings", "definitions", "models"})


def write_json(out: Path, record: Mapping[str, Any]) -> None:
    """Write metrics.json of a report."""
    write_text(out / REPORT, json.dumps(record, indent=1, allow_nan=False) + "\n")


def _draw(out: Path, data: Mapping[str, Cases], draws: Mapping[str, dict[str, Floats]], main: str) -> None:
    model = data[MODEL]
    figure, ax = _figure(5.2, 1.0 + 0.34 * len(data))
    label = f"{LABELS[main]} with 95 % interval (n = {len(model.truth):,})"
    points = {NAMES.get(name, name): estimate(values[main]) for name, values in draws.items()}
    chance = 0.5 if main == "auroc" else 0.0
    plots.comparison(ax, points, xlabel=label, chance=chance if _near(points, chance) else None)
    save_figures(figure, out / "comparison.png")
    _PREDICTIONS[type(model.task)](out, model)
    if METRICS[type(model.task)].has_calls:
        _draw_curves(out, data, draws)


def _draw_classes(out: Path, model: Cases) -> None:
    side = 3.4 if len(model.names) <= 4 else 5.5
    figure, ax = _figure(side, side)
    plots.confusion(ax, metrics.confusion(model), model.names)
    save_figures(figure, out / "confusion.png")
    figure, ax = _figure(4.2, 4.6)
    low = 1 / len(model.names)  # the smallest probability that the most probable class can have
    plots.calibration(ax, model.predicted.max(1), (model.true & model.called).any(1), low=low)
    ax.set_title(f"most probable class, n = {len(model.truth):,}", loc="left", fontsize="small")
    save_figures(figure, out / "calibration.png")


def _draw_labels(out: Path, model: Cases) -> None:
    n = metrics.confusion(model)

    def calibration(ax: Axes, i: int) -> None:
        pair = model.predicted[:, i], model.true[:, i]
        plots.calibration(ax, *pair, xlabel="probability", ylabel="observed fraction")
        ax.set_title(model.names[i], loc="left", fontsize="small")

    _each(out / "confusion.png", model, lambda ax, i: plots.confusion(ax, n[i], ("no", "yes")).set_title(model.names[i]))
    _each(out / "calibration.png", model, calibration, high=4.6)


def _draw_values(out: Path, model: Cases) -> None:
    def agreement(ax: Axes, i: int) -> None:
        label = model.names[i] if len(model.names) > 1 else ""
        plots.agreement(ax, model.truth[:, i], model.predicted[:, i], label=label)

    _each(out / "scatter.png", model, agreement)


_PREDICTIONS = {Classification: _draw_classes, MultiLabel: _draw_labels, Regression: _draw_values}  # figures of the model alone


def _draw_curves(out: Path, data: Mapping[str, Cases], draws: Mapping[str, dict[str, Floats]]) -> None:
    model = data[MODEL]
    for name, draw, metric in (("roc.png", plots.roc_curves, "auroc"), ("pr.png", plots.precision_recall, "auprc")):
        curves = _curves(data, draws, metric)
        figure, ax = _figure(4.2, 4.2 + 0.2 * len(curves))
        draw(ax, curves, first_leads=model.task.binary)
        title = f"n = {len(model.truth):,}"
        if model.task.binary:
            title += f", {int(model.true[:, 1].sum()):,} of class {model.names[1]!r}"
        elif len(curves) < len(model.names):
            title += f", the {len(curves)} most frequent of {len(model.names)} classes"
        ax.set_title(title if curves else "not defined: the truth holds one class only", loc="left", fontsize="small")
        save_figures(figure, out / name)


def _curves(data: Mapping[str, Cases], draws: Mapping[str, dict[str, Floats]], metric: str) -> dict[str, tuple[Any, Any]]:
    """Return the curves of a figure by label.

    Two classes: one curve for each model. More classes, or labels: one curve for each of them, of the model only, the most
    frequent first.
    """
    model = data[MODEL]
    varies = [i for i in range(len(model.names)) if 0 < model.truth[:, i].sum() < len(model.truth)]
    label = "{}, " + metric.upper() + " {:.3f}"
    if model.task.binary:
        of_last = {name: (one.true[:, 1], one.predicted[:, 1]) for name, one in data.items()}
        return (
            {label.format(NAMES.get(name, name), draws[name][metric][0]): pair for name, pair in of_last.items()}
            if varies
            else {}
        )
    most = sorted(varies, key=lambda i: -model.truth[:, i].sum())[:_PANELS]
    keys = [metric if len(model.names) == 1 else f"{metric}:{model.names[i]}" for i in most]
    values = [draws[MODEL][key][0] for key in keys]
    names = [label.format(model.names[i], value) for i, value in zip(most, values, strict=True)]
    return {name: (model.true[:, i], model.predicted[:, i]) for name, i in zip(names, most, strict=True)}


def _near(estimates: Mapping[str, Estimate], chance: float) -> bool:
    """True if chance is so near to the values that the figure should include it."""
    low = np.array([one.low for one in estimates.values()])
    return bool(np.isfinite(low).any() and np.nanmin(low) < chance + 0.3)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = plots.new_figure(width, height)
    return figure, figure.add_subplot()


def _each(path: Path, model: Cases, draw: Any, high: float = 3.4) -> None:
    """Draw a panel for each of the first labels or targets, three per row."""
    n = min(len(model.names), _PANELS)
    columns = min(n, 3)
    figure = plots.new_figure(3.4 * columns, high * -(-n // columns))
    for i in range(n):
        draw(figure.add_subplot(-(-n // columns), columns, i + 1), i)
    if n < len(model.names):
        figure.suptitle(f"the first {n} of {len(model.names)}", fontsize="small")
    save_figures(figure, path)
