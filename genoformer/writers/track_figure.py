"""Predicted tracks of one region -> a figure with a panel per track, under the genes and elements of the region."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genoformer import plots
from genoformer.files import save_figure
from genoformer.formats.track_table import Track
from genoformer.genome.genes import LocusAnnotation
from genoformer.genome.wording import without_empty_items

MAX_PANELS, MAX_BINS = 24, 50_000  # limits of a figure
_MINUS = ("-", "minus", "rev", "reverse")  # ends of the identifiers of tracks of the minus strand


def draw_tracks(
    path: Path,
    chrom: str,
    edges: NDArray[np.int64],
    values: NDArray[np.float32],
    tracks: Sequence[Track],
    landmarks: LocusAnnotation,
    unit: str = "",
) -> None:
    """Draw the values [K, n] of consecutive bins with the edges [n + 1] of a contig, and write the figure.

    unit: label of the y axes, which all tracks have in common.
    """
    first, last = int(edges[0]), int(edges[-1])
    visible = landmarks.over(chrom, first, last)
    above = [0.3 + 0.3 * plots.n_rows(visible.drawn, visible.elements)] if landmarks else []
    heights = [*above, *[0.72] * len(tracks)]
    figure = plots.new_figure(plots.PAGE, 0.8 + sum(heights))
    axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0].tolist()
    if landmarks:
        plots.landmarks(axes.pop(0), first, last, genes=visible.drawn, elements=visible.elements)
    minus = [
        i
        for i, track in enumerate(tracks)
        if (track.strand or ("-" if track.strand_pair != track.index and track.identifier.endswith(_MINUS) else "")) == "-"
    ]
    plots.tracks(
        axes, edges, values, labels=_labels(tracks), groups=[track.group for track in tracks], chrom=chrom, minus=minus
    )
    if unit:
        figure.supylabel(unit, fontsize="small")
    save_figure(figure, path)


def _labels(tracks: Sequence[Track]) -> list[str]:
    """Return the description of each track, or its identifier; equal descriptions get the identifier too."""
    labels = [without_empty_items(track.description) or track.identifier for track in tracks]
    return [
        f"{label} ({track.identifier})" if labels.count(label) > 1 and label != track.identifier else label
        for label, track in zip(labels, tracks, strict=True)
    ]
