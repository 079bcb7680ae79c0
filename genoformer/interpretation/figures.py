"""Figures of maps as PNG and SVG: letters for short loci, a curve for long ones; genes and elements above.

`plots` draws the panels. This module combines them and adds the coordinates of the locus.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genoformer import plots
from genoformer.files import save_figure
from genoformer.formats.motif_matrix import Matrix
from genoformer.genome.genes import VisibleAnnotation
from genoformer.inference import Floats
from genoformer.interpretation.explain import VariantExplanation
from genoformer.interpretation.ism import Mutagenesis
from genoformer.interpretation.loci import Locus
from genoformer.scoring.scores import SCORES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = ("png", "svg")  # formats of a figure
READABLE = 120  # maximum number of letters side by side
_LETTER = 0.06  # width of a letter in inches
_WIDEST = 7.2  # width of a figure in inches: two columns of a journal


def draw_map(
    path: Path, locus: Locus, values: Floats, *, label: str, visible: VisibleAnnotation | None = None, note: str = ""
) -> list[Path]:
    """Draw a map [L] of a locus; the note, such as the result of sanity checks, is below the name."""
    figure, axes = _panels(locus, visible, [1.35])
    _letters_or_curve(axes[-1], locus, np.asarray(values, dtype=float), label)
    _title(axes[0], locus.name, note)
    _coordinates(axes[-1], locus)
    return _save(figure, path)


def draw_alleles(path: Path, locus: Locus, ref: Floats, alt: Floats, *, label: str, note: str = "") -> list[Path]:
    """Draw the maps [L] of the reference and alternative alleles of a variant, one above the other."""
    assert locus.alleles is not None
    alleles = locus.alleles
    figure, axes = _panels(locus, None, [1.25, 1.25] if alleles.ref_length == alleles.alt_length else [1.45, 1.45])
    changed = (alleles.ref_start, alleles.ref_length, alleles.alt_length)
    if len(ref) <= READABLE:
        rows = [plots.letters(allele.codes, values) for allele, values in ((locus, ref), (locus.alternative, alt))]
        plots.allele_logos(axes, *rows, first=locus.start + 1, changed=changed, label=label, alt_start=alleles.alt_start)
    else:
        top = 1.1 * max(float(np.nanmax(ref)), float(np.nanmax(alt)), 0)
        for ax, values, name in zip(axes, (ref, alt), ("REF", "ALT"), strict=True):
            _letters_or_curve(ax, locus, np.asarray(values, dtype=float), label)
            ax.set_ylim(ax.get_ylim()[0], top or 1)
            at = alleles.ref_start if name == "REF" else alleles.alt_start
            ax.axvline(locus.start + 1 + at, color="black", lw=0.8, ls=":")
            ax.text(0.004, 0.97, name, transform=ax.transAxes, va="top", fontsize="small", weight="bold")
    _title(axes[0], locus.name, note)
    plots.allele_coordinates(axes, locus.start + 1, len(alt), changed, locus.chrom, alt_start=alleles.alt_start)
    return _save(figure, path)


def draw_mutagenesis(
    path: Path,
    locus: Locus,
    mutagenesis: Mutagenesis,
    *,
    visible: VisibleAnnotation | None = None,
    note: str = "",
    shaded: tuple[int, int] | None = None,
) -> list[Path]:
    """Draw the first ISM map of a locus, and above it the importance of each base: minus the mean of its three changes.

    shaded: bases [start, end) of the contig to highlight, such as those of a variant.
    """
    figure, axes = _panels(locus, visible, [1.35, 1.2])
    mutagenesis_panels(axes[-2], axes[-1], locus, mutagenesis)
    if shaded is not None:
        axes[-2].axvspan(shaded[0] + 0.5, shaded[1] + 0.5, color="#F0E442", alpha=0.45, lw=0, zorder=-1)
    _title(axes[0], f"{locus.name}: {mutagenesis.names[0]}", note)
    return _save(figure, path)


def mutagenesis_panels(upper: Axes, lower: Axes, locus: Locus, mutagenesis: Mutagenesis) -> None:
    """Draw the importance of each base in the upper panel, and the first ISM map below it."""
    if not upper.get_shared_x_axes().joined(upper, lower):
        upper.sharex(lower)
    importance = mutagenesis.importance[0].sum(-1)
    score = mutagenesis.names[0].partition(" ")[0].rstrip(",:")
    unit = f" ({SCORES[score].unit})" if score in SCORES and "units" not in SCORES[score].unit else ""
    _letters_or_curve(upper, locus, importance, f"−mean {score}\n{unit.strip()}".rstrip())
    upper.tick_params(labelbottom=False)
    plots.heat_map(lower, mutagenesis.values[0], mutagenesis.codes, first=locus.start + 1, label=f"{score}{unit}")
    lower.set_xlim(upper.get_xlim())
    _coordinates(lower, locus)


def map_panel(ax: Axes, locus: Locus, values: Floats, label: str) -> None:
    """Draw a map [L] of a locus: letters if it is short, else a curve."""
    _letters_or_curve(ax, locus, np.asarray(values, dtype=float), label)
    _coordinates(ax, locus)


def draw_attention(
    path: Path, locus: Locus, weights: Floats, edges: Sequence[int], *, visible: VisibleAnnotation | None = None, note: str = ""
) -> list[Path]:
    """Draw an attention matrix [T, T], queries in rows, over the base edges of its tokens or bins in the locus, [T + 1]."""
    figure = _figure(4.4, 4.0)
    ax = figure.subplots()
    at = locus.start + np.asarray(edges) + 0.5  # a base is centred over its 1-based number
    elements = {name: intervals + 0.5 for name, intervals in visible.elements.items()} if visible else None
    plots.attention_map(ax, weights, at, at, elements=elements)
    _coordinates(ax, locus)
    ax.set_xlabel(f"key position, {ax.get_xlabel()}", fontsize="small")
    figure.suptitle(f"{locus.name}\n{note}", x=0.01, ha="left", fontsize="small")
    return _save(figure, path)


def draw_contacts(
    path: Path, locus: Locus, pairs: Sequence[tuple[float, float, float]], visible: VisibleAnnotation, label: str
) -> list[Path]:
    """Draw attention from TSSs to elements as arcs over genes and elements."""
    figure = _figure(6.0, 2.6 + 0.25 * plots.n_rows(visible.drawn, visible.elements))
    top, below = figure.subplots(
        2, 1, sharex=True, height_ratios=[1.6, 0.35 + 0.3 * plots.n_rows(visible.drawn, visible.elements)]
    )
    plots.contacts(top, pairs, start=locus.start, end=locus.end)
    plots.landmarks(below, locus.start, locus.end, genes=visible.drawn, elements=visible.elements)
    below.tick_params(labelbottom=True, bottom=True, axis="x")
    _title(top, locus.name, label)
    _coordinates(below, locus)
    return _save(figure, path)


def draw_explained(
    path: Path, explanation: VariantExplanation, suffixes: Sequence[str] = SUFFIXES, dpi: int = 300
) -> list[Path]:
    """Draw the logos of both alleles and, for a track model, the track above them, in the format of each suffix."""
    locus, tracks = explanation.locus, explanation.tracks
    alleles = locus.alleles
    assert alleles is not None
    width = float(np.clip(_LETTER * len(explanation.ref) + 0.9, 4.2, _WIDEST))
    heights = [1.2, 0.7, 1.15, 1.15] if tracks else [1.15, 1.15]
    indel = alleles.ref_length != alleles.alt_length
    figure = _figure(width, 0.5 + sum(heights) + (0.7 if tracks else 0) + (0.4 if indel else 0))
    panels = list(figure.subplots(len(heights), 1, height_ratios=heights))
    if tracks:
        at = locus.start + alleles.ref_start
        plots.allele_tracks(panels[:2], tracks.edges, tracks.ref, tracks.alt, label=tracks.label, chrom=locus.chrom, at=at)
    axes = panels[-2:]
    changed = (alleles.ref_start, alleles.ref_length, alleles.alt_length)
    first, alt_start = locus.start + 1, alleles.alt_start
    plots.allele_logos(
        axes, explanation.ref, explanation.alt, first=first, changed=changed, label=explanation.label, alt_start=alt_start
    )
    for ax, allele in zip(axes, explanation.shown, strict=True):
        ax.texts[-1].set_text(f"{ax.texts[-1].get_text()} {allele}")
    plots.allele_coordinates(axes, first, len(explanation.alt), changed, locus.chrom, alt_start=alt_start)
    return _save(figure, path, suffixes, dpi)


def draw_motif(path: Path, matrix: Matrix, title: str) -> list[Path]:
    """Draw the information logo of a matrix."""
    figure = _figure(max(2.4, 0.22 * len(matrix.p) + 0.8), 1.7)
    ax = figure.subplots()
    plots.logo(ax, plots.information(np.log2(np.maximum(matrix.p, 1e-9))), first=1)
    ax.set(ylim=(0, 2))
    ax.set_title(title, loc="left", fontsize="small")
    return _save(figure, path)


def file_name(i: int, name: str) -> str:
    """Return a file name for locus `i` that is valid on every file system."""
    return f"{i + 1:03d}_{re.sub('[^0-9A-Za-z._+-]+', '_', name)[:60]}"


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _panels(locus: Locus, visible: VisibleAnnotation | None, heights: Sequence[float]) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels of these heights in inches, with a panel of genes and elements above them if there are any."""
    shown = visible is not None and bool(visible.genes or visible.elements)
    above = [0.2 + 0.22 * plots.n_rows(visible.drawn, visible.elements)] if shown and visible else []
    all_heights = [*above, *heights]
    figure = _figure(float(np.clip(_LETTER * len(locus.codes) + 0.9, 3.4, _WIDEST)), 0.55 + sum(all_heights))
    axes = list(figure.subplots(len(all_heights), 1, squeeze=False, height_ratios=all_heights)[:, 0])
    if shown and visible is not None:
        plots.landmarks(axes[0], locus.start, locus.end, genes=visible.drawn, elements=visible.elements)
    return figure, axes


def _title(ax: Axes, name: str, note: str) -> None:
    if note:
        inches = ax.figure.figure.get_figwidth() - 0.8
        lines = "\n".join(textwrap.wrap(note, max(20, int(15 * inches))))
        ax.set_title(lines, loc="left", fontsize="x-small", color="#555555", style="italic")
        ax.figure.suptitle(name, x=0.01, ha="left", fontsize="small")
    else:
        ax.set_title(name, loc="left", fontsize="small")


def _letters_or_curve(ax: Any, locus: Locus, values: Floats, label: str) -> None:
    if len(values) <= READABLE:
        plots.logo(ax, plots.letters(locus.codes, np.nan_to_num(values)), first=locus.start + 1, label=label)
        ax.axhline(0, color=plots.GREY, lw=0.5)
    else:
        ax.fill_between(np.arange(locus.start + 1, locus.end + 1), np.nan_to_num(values), color=plots.BLUE, lw=0, step="mid")
        ax.set_ylabel(label)
        plots.plain(ax)
    ax.set_xlim(locus.start + 0.5, locus.end + 0.5)


def _coordinates(ax: Axes, locus: Locus) -> None:
    plots.coordinates(ax, locus.start, locus.end, locus.chrom)


def _save(figure: Figure, path: Path, suffixes: Sequence[str] = SUFFIXES, dpi: int = 300) -> list[Path]:
    """Write the figure in the format of each suffix, and return the paths."""
    return [save_figure(figure, path.with_name(f"{path.name}.{suffix}"), dpi=dpi) for suffix in suffixes]
