"""Figures of maps: a logo where letters can be read, else a curve; mutagenesis as a heat map over its logo."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genoformer import plots
from genoformer.interpretation.ism import Mutagenesis
from genoformer.interpretation.matrices import Matrix
from genoformer.interpretation.places import Place
from genoformer.interpretation.run import letters
from genoformer.scoring.scores import Floats
from genoformer.whole import whole_file

READABLE = 160  # letters side by side


def draw_map(path: Path, place: Place, values: Floats, *, label: str) -> None:
    """A map [L] of a place."""
    figure, axes = _figure(len(place.codes), 1)
    _letters_or_curve(axes[0], place, np.asarray(values, dtype=float), label)
    axes[0].set_title(place.name, loc="left", fontsize="small")
    _coordinates(axes[-1], place)
    _save(figure, path)


def draw_mutagenesis(path: Path, place: Place, found: Mutagenesis, which: int = 0) -> None:
    """What each change does, and above it the importance of each base: minus the mean of its three changes."""
    figure, axes = _figure(len(found.codes), 2)
    here = Place(place.name, found.chrom, found.start, found.codes)
    own = found.importance[which][np.arange(len(found.codes)), np.minimum(found.codes, 3)]
    _letters_or_curve(axes[0], here, own, "importance")
    axes[0].set_title(f"{place.name}: {found.names[which]}", loc="left", fontsize="small")
    axes[0].tick_params(labelbottom=False)
    plots.heat_map(axes[1], found.values[which], found.codes, first=here.start + 1, label=found.names[which])
    axes[1].set_xlim(axes[0].get_xlim())
    _coordinates(axes[-1], here)
    _save(figure, path)


def draw_motif(path: Path, matrix: Matrix, title: str) -> None:
    """The information logo of a matrix."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, ax = plt.subplots(figsize=(max(2.4, 0.22 * len(matrix.p) + 0.8), 1.7), layout="constrained")
    plots.logo(ax, plots.information(np.log2(np.maximum(matrix.p, 1e-9))), first=1)
    ax.set(ylim=(0, 2))
    ax.set_title(title, loc="left", fontsize="small")
    _save(figure, path)


def file_name(i: int, name: str) -> str:
    """A name of a place that every file system takes."""
    return f"{i + 1:03d}_{re.sub('[^0-9A-Za-z._+-]+', '_', name)[:60]}"


def _figure(length: int, n_rows: int) -> tuple[Any, Sequence[Any]]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    width = float(np.clip(0.075 * length + 1, 3.5, 12.0))
    figure, axes = plt.subplots(n_rows, 1, figsize=(width, 0.5 + 1.35 * n_rows), layout="constrained", squeeze=False)
    return figure, list(axes[:, 0])


def _letters_or_curve(ax: Any, place: Place, values: Floats, label: str) -> None:
    if len(values) <= READABLE:
        plots.logo(ax, letters(place.codes, np.nan_to_num(values)), first=place.start + 1, label=label)
        ax.axhline(0, color=plots.GREY, lw=0.5)
    else:
        ax.fill_between(np.arange(place.start + 1, place.end + 1), np.nan_to_num(values), color=plots.BLUE, lw=0, step="mid")
        ax.set_ylabel(label)
        plots.plain(ax)
    ax.set_xlim(place.start + 0.5, place.end + 0.5)


def _coordinates(ax: Any, place: Place) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:,.0f}"))
    ax.set_xlabel(f"{place.chrom}:{place.start + 1:,}-{place.end:,}" if place.chrom else "base", fontsize="small")


def _save(figure: Any, path: Path) -> None:
    from matplotlib import pyplot as plt

    for suffix in ("png", "svg"):
        with whole_file(path.with_name(f"{path.name}.{suffix}")) as part:
            figure.savefig(part, dpi=200, format=suffix)
    plt.close(figure)
