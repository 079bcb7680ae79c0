"""Fit of a track model: Pearson's r of each track on windows of a set, as a table and by group."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoformer.datasets.track_set import TrackSet
from genoformer.evaluation.tracks import TrackFit, TrackFitting
from genoformer.files import write_text
from genoformer.inference.set_windows import predict_windows
from genoformer.models.track_model import TrackModel
from genoformer.tables import rounded, tsv_line


def measure_fit(model: TrackModel, data: TrackSet, rows: NDArray[np.int64], *, both_strands: bool, log: bool) -> TrackFit:
    """Measure how well a model's only head predicts windows of a set, in windows of the model's own length as in `predict`."""
    fitting = TrackFitting(len(data.targets), log=log)
    for row, found in zip(rows, predict_windows(model, data, rows, both_strands=both_strands), strict=True):
        fitting.add(found[None], data.tracks[row][None])
    return fitting.fit


def write_fit(path: Path, fit: TrackFit, data: TrackSet) -> None:
    """Write a table with r of each track, over positions and over windows."""
    lines = ["index\tidentifier\tgroup\tpositions\twindows\tdescription"]
    for track, position, window in zip(data.targets, fit.positions.tolist(), fit.windows.tolist(), strict=True):
        numbers = (rounded(_number(x), ".4f") for x in (position, window))
        lines.append(tsv_line([str(track.index), track.identifier, track.group, *numbers, track.description]))
    write_text(path, "\n".join(lines) + "\n")


def pearson_by_group(fit: TrackFit, data: TrackSet) -> dict[str, Any]:
    """Return the mean r of each group of tracks."""
    groups = [track.group for track in data.targets]
    return {
        name: {"tracks": n, "positions": _number(positions), "windows": _number(windows)}
        for name, (n, positions, windows) in fit.by_group(groups).items()
    }


def _number(x: float) -> float | None:
    return round(x, 4) if math.isfinite(x) else None
