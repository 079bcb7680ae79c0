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
from genoformer.genome.genes import VisibleAnnotation
from genoformer.interpretation.explain import VariantExplanation
from genoformer.interpretation.ism import Mutagenesis
from genoformer.interpretation.loci import Locus
from genoformer.interpretation.motifs import Matrix
from genoformer.interpretation.run import letters
from genoformer.scoring.scores import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READABLE = 120  # maximum number of letters side by side
_LETTER = 0.06  # width of a letter in inches
_WIDEST = 7.2  # width of a figure in inches: two columns of a journal


def draw_map(
    path: Path, place: Locus, values: Floats, *, label: str, seen: VisibleAnnotation | None = None, note: str = ""
) -> None:
    """Draw a map [L] of a locus; the note, such as the result of an audit, is below the name."""
    figure, axes = _panels(place, seen, [1.35])
    _letters_or_curve(axes[-1], place, np.asarray(values, dtype=float), label)
    _title(axes[0], place.name, note)
    _coordinates(axes[-1], place)
    _save(figure, path)


def draw_alleles(path: Path, place: Locus, ref: Floats, alt: Floats, *, label: str, note: str = "") -> None:
    """Draw the maps [L] of the reference and alternative alleles of a variant, one above the other."""
    assert place.alleles is not None
    alleles = place.alleles
    figure, axes = _panels(place, None, [1.25, 1.25] if alleles.ref_length == alleles.alt_length else [1.45, 1.45])
    changed = (alleles.ref_start, alleles.ref_length, alleles.alt_length)
    if len(ref) <= READABLE:
        rows = [letters(of.codes, values) for of, values in ((place, ref), (place.alternative, alt))]
        plots.allele_logos(axes, *rows, first=place.start + 1, changed=changed, label=label, alt_start=alleles.alt_start)
    else:
        top = 1.1 * max(float(np.nanmax(ref)), float(np.nanmax(alt)), 0)
        for ax, values, name in zip(axes, (ref, alt), ("REF", "ALT"), strict=True):
            _letters_or_curve(ax, place, np.asarray(values, dtype=float), label)
            ax.set_ylim(ax.get_ylim()[0], top or 1)
            at = alleles.ref_start if name == "REF" else alleles.alt_start
            ax.axvline(place.start + 1 + at, color="black", lw=0.8, ls=":")
            ax.text(0.004, 0.97, name, transform=ax.transAxes, va="top", fontsize="small", weight="bold")
    _title(axes[0], place.name, note)
    plots.allele_coordinates(axes, place.start + 1, len(alt), changed, place.chrom, alt_start=alleles.alt_start)
    _save(figure, path)


def draw_mutagenesis(
    path: Path,
    place: Locus,
    found: Mutagenesis,
    *,
    seen: VisibleAnnotation | None = None,
    note: str = "",
    shaded: tuple[int, int] | None = None,
) -> None:
    """Draw the first ISM map, and above it the importance of each base: minus the mean of its three changes.

    shaded: bases [start, end) of the contig to highlight, such as those of a variant.
    """
    here = Locus(place.name, found.chrom, found.start, found.codes)
    figure, axes = _panels(here, seen, [1.35, 1.2])
    axes[-2].sharex(axes[-1])
    own = found.importance[0][np.arange(len(found.codes)), np.minimum(found.codes, 3)]
    _letters_or_curve(axes[-2], here, own, "importance")
    axes[-2].tick_params(labelbottom=False)
    if shaded is not None:
        axes[-2].axvspan(shaded[0] + 0.5, shaded[1] + 0.5, color="#F0E442", alpha=0.45, lw=0, zorder=-1)
    plots.heat_map(axes[-1], found.values[0], found.codes, first=here.start + 1, label=found.names[0])
    axes[-1].set_xlim(axes[-2].get_xlim())
    _title(axes[0], f"{place.name}: {found.names[0]}", note)
    _coordinates(axes[-1], here)
    _save(figure, path)


def draw_attention(
    path: Path, place: Locus, weights: Floats, edges: Sequence[int], *, seen: VisibleAnnotation | None = None, note: str = ""
) -> None:
    """Draw an attention matrix [T, T], queries in rows, over the base edges of its tokens or bins in the locus, [T + 1]."""
    figure = _figure(4.4, 4.0)
    ax = figure.subplots()
    at = place.start + np.asarray(edges) + 0.5  # a base is centred over its 1-based number
    elements = {name: of + 0.5 for name, of in seen.elements.items()} if seen else None
    plots.attention_map(ax, weights, at, at, elements=elements)
    _coordinates(ax, place)
    figure.suptitle(f"{place.name}\n{note}", x=0.01, ha="left", fontsize="small")
    _save(figure, path)


def draw_contacts(
    path: Path, place: Locus, pairs: Sequence[tuple[float, float, float]], seen: VisibleAnnotation, label: str
) -> None:
    """Draw attention from TSSs to elements as arcs over genes and elements."""
    figure = _figure(6.0, 2.6 + 0.25 * plots.n_rows(seen.drawn, seen.elements))
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=[1.6, 0.35 + 0.3 * plots.n_rows(seen.drawn, seen.elements)])
    plots.contacts(top, pairs, start=place.start, end=place.end)
    plots.landmarks(below, place.start, place.end, genes=seen.drawn, elements=seen.elements)
    below.tick_params(labelbottom=True, bottom=True, axis="x")
    _title(top, place.name, label)
    _coordinates(below, place)
    _save(figure, path)


def draw_explained(path: Path, found: VariantExplanation) -> None:
    """Draw the logos of both alleles and, for a track model, the track above them."""
    alleles, tracks = found.place.alleles, found.tracks
    assert alleles is not None
    width = float(np.clip(_LETTER * len(found.ref) + 0.9, 4.2, _WIDEST))
    heights = [1.2, 0.7, 1.15, 1.15] if tracks else [1.15, 1.15]
    indel = alleles.ref_length != alleles.alt_length
    figure = _figure(width, 0.5 + sum(heights) + (0.7 if tracks else 0) + (0.4 if indel else 0))
    every = list(figure.subplots(len(heights), 1, height_ratios=heights))
    if tracks:
        at = found.place.start + alleles.ref_start
        plots.allele_tracks(every[:2], tracks.edges, tracks.ref, tracks.alt, label=tracks.label, chrom=found.place.chrom, at=at)
    axes = every[-2:]
    changed = (alleles.ref_start, alleles.ref_length, alleles.alt_length)
    first, alt_start = found.place.start + 1, alleles.alt_start
    plots.allele_logos(axes, found.ref, found.alt, first=first, changed=changed, label=found.label, alt_start=alt_start)
    for ax, allele in zip(axes, found.shown, strict=True):
        ax.texts[-1].set_text(f"{ax.texts[-1].get_text()} {allele}")
    plots.allele_coordinates(axes, first, len(found.alt), changed, found.place.chrom, alt_start=alt_start)
    _save(figure, path)


def draw_motif(path: Path, matrix: Matrix, title: str) -> None:
    """Draw the information logo of a matrix."""
    figure = _figure(max(2.4, 0.22 * len(matrix.p) + 0.8), 1.7)
    ax = figure.subplots()
    plots.logo(ax, plots.information(np.log2(np.maximum(matrix.p, 1e-9))), first=1)
    ax.set(ylim=(0, 2))
    ax.set_title(title, loc="left", fontsize="small")
    _save(figure, path)


def file_name(i: int, name: str) -> str:
    """Return a file name for locus `i` that is valid on every file system."""
    return f"{i + 1:03d}_{re.sub('[^0-9A-Za-z._+-]+', '_', name)[:60]}"


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _panels(place: Locus, seen: VisibleAnnotation | None, heights: Sequence[float]) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels of these heights in inches, with a panel of genes and elements above them if there are any."""
    shown = seen is not None and bool(seen.genes or seen.elements)
    above = [0.2 + 0.22 * plots.n_rows(seen.drawn, seen.elements)] if shown and seen else []
    every = [*above, *heights]
    figure = _figure(float(np.clip(_LETTER * len(place.codes) + 0.9, 3.4, _WIDEST)), 0.55 + sum(every))
    axes = list(figure.subplots(len(every), 1, squeeze=False, height_ratios=every)[:, 0])
    if shown and seen is not None:
        plots.landmarks(axes[0], place.start, place.end, genes=seen.drawn, elements=seen.elements)
    return figure, axes


def _title(ax: Axes, name: str, note: str) -> None:
    if note:
        inches = ax.figure.figure.get_figwidth() - 0.8
        lines = "\n".join(textwrap.wrap(note, max(20, int(15 * inches))))
        ax.set_title(lines, loc="left", fontsize="x-small", color="#555555", style="italic")
        ax.figure.suptitle(name, x=0.01, ha="left", fontsize="small")
    else:
        ax.set_title(name, loc="left", fontsize="small")


def _letters_or_curve(ax: Any, place: Locus, values: Floats, label: str) -> None:
    if len(values) <= READABLE:
        plots.logo(ax, letters(place.codes, np.nan_to_num(values)), first=place.start + 1, label=label)
        ax.axhline(0, color=plots.GREY, lw=0.5)
    else:
        ax.fill_between(np.arange(place.start + 1, place.end + 1), np.nan_to_num(values), color=plots.BLUE, lw=0, step="mid")
        ax.set_ylabel(label)
        plots.plain(ax)
    ax.set_xlim(place.start + 0.5, place.end + 0.5)


def _coordinates(ax: Axes, place: Locus) -> None:
    plots.coordinates(ax, place.start, place.end, place.chrom)


def _save(figure: Figure, path: Path) -> None:
    for suffix in ("png", "svg"):
        save_figure(figure, path.with_name(f"{path.name}.{suffix}"), dpi=200)
