"""The log of a training run and its bits per base -> loss.png, and a table and a figure compared with Markov baselines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer import plots
from genoformer.errors import ConfigError, FileFormatError, MissingFileError
from genoformer.files import make_folder, save_figures, write_text
from genoformer.tables import MISSING, tsv_line
from genoformer.training.bits_per_base import VALIDATION_BASES
from genoformer.training.log import LOG, read_log

ALL = "all"  # the column of all contigs together
_MOST_PANELS = 4
_ORDER, _AROUND = re.compile(r"order (\d+)"), re.compile(r"(\d+)\+(\d+)")  # as counts.Context.name


class BitsRow(NamedTuple):
    """Mean -log2 P(true base) of a model over n bases of a held-out contig, and its standard error.

    A Markov baseline has the name of its context (`Context.name`), "order 5" or "5+5"; any other name is a trained model.
    """

    model: str
    contig: str
    bits: float
    error: float
    n: int


def bits_rows(models: Sequence[str], contig: str, bits: ArrayLike) -> list[BitsRow]:
    """Return a row for each model from its bits at the same bases of a contig, [n_models, B].

    A base at which any model is NaN is left out for all models. The standard error treats the bases as independent: this
    is right for targets drawn at random, and too small for neighbouring bases.

    Raises: ConfigError if no base is left.

    >>> bits_rows(["mine", "order 0"], "chr1", [[1.0, 2.0, 1.5], [2.0, 2.0, np.nan]])[0]
    BitsRow(model='mine', contig='chr1', bits=1.5, error=0.5, n=2)
    """
    values = np.asarray(bits, dtype=np.float64)  # [n_models, B]
    values = values[:, np.isfinite(values).all(axis=0)]
    n = values.shape[1]
    if not n:
        raise ConfigError(f"no base of {contig} has an answer from every model; measure on sequence that is not N.")
    errors = values.std(axis=1, ddof=1) / np.sqrt(n) if n > 1 else np.full(len(values), np.nan)
    means = values.mean(axis=1)
    return [
        BitsRow(model, contig, mean, error, n)
        for model, mean, error in zip(models, means.tolist(), errors.tolist(), strict=True)
    ]


def pooled(rows: Sequence[BitsRow]) -> BitsRow:
    """Pool one model over several contigs: every base has the same weight, and the errors of the contigs are independent.

    >>> pooled([BitsRow("mine", "chr1", 1.5, 0.03, 300), BitsRow("mine", "chr2", 1.9, 0.12, 100)])
    BitsRow(model='mine', contig='all', bits=1.6, error=0.0375, n=400)
    """
    n = np.array([row.n for row in rows])
    bits = float((n * [row.bits for row in rows]).sum() / n.sum())
    error = float(np.hypot.reduce(n * [row.error for row in rows]) / n.sum())
    return BitsRow(rows[0].model, ALL, bits, error, int(n.sum()))


def write_report(folder: Path, rows: Sequence[BitsRow]) -> None:
    """Write bits_per_base.tsv, a row for each model, and bits_per_base.png, a panel for each contig.

    The table has the bits per base, its standard error and the number of bases, for each contig and for all together. A model
    without a measurement on a contig has empty cells there and under `all`, so that `all` compares models
    on the same bases. With more than four contigs the figure shows all together and the three contigs with most bases.

    Raises: ConfigError if there is no row, or if two rows have the same model and contig.
    """
    found = {(row.model, row.contig): row for row in rows}
    if not found or len(found) < len(rows):
        raise ConfigError(f"{len(rows)} rows of {len(found)} models and contigs: give one for each model and contig.")
    models, contigs = (list(dict.fromkeys(values)) for values in zip(*found, strict=True))
    for model in models:
        if all((model, contig) in found for contig in contigs):
            found[model, ALL] = pooled([found[model, contig] for contig in contigs])
    make_folder(folder)
    write_text(folder / "bits_per_base.tsv", _table(found, models, [*contigs, ALL]))
    most = sorted(contigs, key=lambda contig: -max(row.n for row in rows if row.contig == contig))
    shown = contigs if len(contigs) <= _MOST_PANELS else [ALL, *most[: _MOST_PANELS - 1]]
    panels = [[row for row in found.values() if row.contig == contig] for contig in shown]
    _draw_report(folder / "bits_per_base.png", [rows for rows in panels if rows])


def loss_curve(folder: Path, *, tokens_per_step: int | None = None) -> None:
    """Draw loss.png from the log.csv of a run: the training loss and the bits per base of validation.

    Parameters: folder, with a log.csv that has the columns step, train_loss and, after a validation, valid_bits_per_base;
    tokens_per_step, to show tokens instead of steps on the axis.

    Raises: MissingFileError if there is no such file, FileFormatError if it has no loss.
    """
    log = folder / LOG
    if not log.is_file():
        raise MissingFileError(f"{folder} has no {LOG}; name the folder of a training run.")
    rows = read_log(log)
    step, loss = _series(rows, "train_loss")
    if not len(loss):
        raise FileFormatError(f"{log} has no finite train_loss; draw the curve once the run has logged a step.")
    _draw_loss(folder / "loss.png", (step, loss), _series(rows, "valid_bits_per_base"), tokens_per_step)


def _series(rows: Sequence[Mapping[str, float]], column: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the steps [n] and the values [n] of a column of a log, without empty and non-finite cells."""
    found = [(int(row["step"]), row[column]) for row in rows if np.isfinite(row.get(column, np.nan))]
    return np.array([step for step, _ in found], dtype=np.int64), np.array([value for _, value in found])


def _table(found: dict[tuple[str, str], BitsRow], models: Sequence[str], contigs: Sequence[str]) -> str:
    lines = [["model", *(f"{contig}{field}" for contig in contigs for field in ("", "_se", "_n"))]]
    for model in models:
        cells = [model]
        for contig in contigs:
            row = found.get((model, contig))
            error = MISSING if row is None or not np.isfinite(row.error) else f"{row.error:.4f}"
            cells += [MISSING] * 3 if row is None else [f"{row.bits:.4f}", error, str(row.n)]
        lines.append(cells)
    return "".join(tsv_line(cells) + "\n" for cells in lines)


def _draw_report(path: Path, panels: Sequence[Sequence[BitsRow]]) -> None:
    from matplotlib.figure import Figure

    n_columns = min(2, len(panels))
    n_lines = -(-len(panels) // n_columns)
    figure = Figure(figsize=(3.5 * n_columns, 3.1 * n_lines), layout="constrained")  # a journal's column is 3.5 inches
    axes = figure.subplots(n_lines, n_columns, sharey=True, squeeze=False).ravel()
    for ax, rows in zip(axes, panels, strict=False):
        one_sided = {int(m[1]): row.bits for row in rows if (m := _ORDER.fullmatch(row.model))}
        two_sided = {int(m[1]): row.bits for row in rows if (m := _AROUND.fullmatch(row.model)) and m[1] == m[2]}
        others = [row for row in rows if not _ORDER.fullmatch(row.model) and not _AROUND.fullmatch(row.model)]
        plots.context_curve(ax, one_sided, two_sided, {row.model: (row.bits, row.error) for row in others})
        ax.set_title(f"{rows[0].contig} ({max(row.n for row in rows):,} bases)", loc="left", fontsize="medium")
        ax.legend(frameon=False, fontsize="x-small")
    for i, ax in enumerate(axes):
        ax.set_visible(i < len(panels))
        if i % n_columns:
            ax.set_ylabel("")
    save_figures(figure, path)


def _draw_loss(
    path: Path,
    training: tuple[NDArray[np.int64], NDArray[np.float64]],
    validation: tuple[NDArray[np.int64], NDArray[np.float64]],
    tokens_per_step: int | None,
) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    unit = tokens_per_step or 1
    figure = Figure(figsize=(5, 4.6 if len(validation[0]) else 2.6), layout="constrained")
    axes = figure.subplots(1 + bool(len(validation[0])), 1, sharex=True, squeeze=False).ravel()
    plots.loss_with_trend(axes[0], training[0] * unit, training[1], ylabel="training loss\n(nats per token)")
    if len(axes) > 1:
        plots.loss_with_trend(axes[1], validation[0] * unit, validation[1], ylabel="validation\n(bits per base)", points=True)
        best = int(np.argmin(validation[1]))
        lowest = f"minimum {validation[1][best]:.3f}, n = {VALIDATION_BASES} bases"
        axes[1].set_title(lowest, loc="right", fontsize="small", color=plots.GREY)
    axes[-1].set_xlabel("tokens" if tokens_per_step else "step")
    axes[-1].xaxis.set_major_formatter(EngFormatter(sep=""))
    save_figures(figure, path)
