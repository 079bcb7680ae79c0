"""Quantiles of scores among those of a background, for each score and track, in a file next to the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import CheckpointError
from genoformer.files import atomic_write
from genoformer.formats.arrays import read_arrays
from genoformer.scoring.scorers import Scorer
from genoformer.scoring.scores import Score
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.writers import Column, Floats

FILE = "calibration.npz"  # in the model folder
GRID = np.linspace(0, 1, 1001)
GENES = "GTF"  # key in the inputs of a scorer
_FEW = 500  # alleles; a smaller background gets a warning
NOT_COMPARED = ("tracks", "genes", "matrix")  # options that do not change the values of a track


class Calibration(NamedTuple):
    """Quantiles GRID of |value| over a background for each score: [K, 1001], or [1, 1001] if the score has no tracks."""

    background: str
    n_alleles: int
    model: str  # sha256 of its weights
    options: dict[str, str]
    inputs: dict[str, str]  # hashes of the other files that the scores depend on
    grids: dict[str, NDArray[np.float32]]

    def save(self, path: Path) -> None:
        about = json.dumps({name: value for name, value in self._asdict().items() if name != "grids"})
        with atomic_write(path) as part, part.open("wb") as file:
            np.savez_compressed(file, about=np.array(about), **self.grids)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read a calibration; CheckpointError if the file is not one."""
        try:
            grids = read_arrays(path)
            about = json.loads(str(grids.pop("about")))
            if any(grid.ndim != 2 or grid.shape[1] != len(GRID) or grid.dtype.kind != "f" for grid in grids.values()):
                raise ValueError("grids of another length, or of no fractions")
            kinds = {name: type(value) for name, value in about.items()}
            if kinds != {"background": str, "n_alleles": int, "model": str, "options": dict, "inputs": dict}:
                raise ValueError("it does not say what it was made with")
            return cls(**about, grids=grids)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CheckpointError(f"{path} is no calibration of genoformer ({error}); make it with `calibrate`.") from error

    def incompatibility(self, scorer: Scorer, sha256: str) -> str | None:
        """Return the reason why the scores of a scorer cannot be compared with the background; None if they can."""
        if self.model != sha256:
            return "it was made with other weights"
        mine = {name: value for name, value in scorer.options.items() if name not in NOT_COMPARED}
        mine |= {name: value for name, value in scorer.inputs.items() if name != GENES}
        theirs = self.options | {name: value for name, value in self.inputs.items() if name != GENES}
        changed = sorted(name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name))
        return f"it was made with another {', '.join(changed)}" if changed else None

    def covers(self, score: Score, scorer: Scorer) -> bool:
        """True if the calibration has this score, for the same gene annotation."""
        same = score.evidence != "gene" or self.inputs.get(GENES) == scorer.inputs.get(GENES)
        return score.name in self.grids and same

    def notes(self, scorer: Scorer) -> list[str]:
        """Return warnings on scores without quantiles and on a background that is too small."""
        found = []
        if unknown := [score.name for score in scorer.scores if not self.covers(score, scorer)]:
            names = ", ".join(unknown)
            found.append(f"no quantiles of {names}: the calibration with {self.background} has none, or of other genes.")
        if self.n_alleles < _FEW:
            n = f"{self.n_alleles:,}"
            found.append(f"quantiles: {self.background} has {n} alleles; take thousands to tell rare from common.")
        return found

    def quantile(self, score: str, rows: NDArray[np.int64], values: Floats) -> Floats:
        """Return the fraction [n] of the background whose |value| on the same track is not larger; NaN for NaN.

        rows: row of the grid for each value.
        """
        found = np.full(len(values), np.nan, dtype=np.float32)
        for row in np.unique(rows[np.isfinite(values)]).tolist():
            here = (rows == row) & np.isfinite(values)
            grid = self.grids[score][row]
            found[here] = GRID[(np.searchsorted(grid, np.abs(values[here]), side="right") - 1).clip(0)]
        return found


class Quantiles(NamedTuple):
    """Quantile columns for the columns of a scorer."""

    calibration: Calibration
    sources: list[tuple[str, int, int, int]]  # (score, its column, column of its track or -1, row of the grid if -1)
    tracks: NDArray[np.int64]
    columns: list[Column]

    def of(self, values: Floats) -> Floats:
        """Return the quantiles [n, Q] of values [n, columns]."""
        found = []
        for score, column, track, row in self.sources:
            rows = np.full(len(values), row)
            if track >= 0:
                known = np.isfinite(values[:, track])
                rows[known] = self.tracks[values[known, track].astype(np.int64)]
            found.append(self.calibration.quantile(score, rows, values[:, column]))
        return np.stack(found, axis=1) if found else np.zeros((len(values), 0), dtype=np.float32)


def quantiles_of(scorer: Scorer, calibration: Calibration) -> Quantiles:
    """Return the quantile columns for all scores of a scorer that the calibration covers."""
    tracks = scorer.tracks if isinstance(scorer, TrackScorer) else np.zeros(1, dtype=np.int64)
    places = {column.name: i for i, column in enumerate(scorer.columns)}
    sources, columns = [], []

    def add(score: Score, name: str, track: int, row: int) -> None:
        sources.append((score.name, places[name], track, row))
        same = " of the same track" if score.of_tracks else ""
        of = f"{calibration.n_alleles:,} alleles of {calibration.background}"
        meaning = f"Share of the {of} whose |{score.name}|{same} is not larger."
        columns.append(Column(f"{name}_Q", "share", meaning, of=name))

    for score in scorer.scores:
        if not calibration.covers(score, scorer):
            continue
        add(score, score.name, places.get(f"{score.name}_TRACK", -1), int(tracks[0]) if score.of_tracks else 0)
        if isinstance(scorer, TrackScorer) and score.of_tracks and scorer.layout.chosen and len(tracks) > 1:
            for number, name in zip(tracks.tolist(), scorer.layout.unique_names, strict=True):
                add(score, f"{score.name}_{name}", -1, number)
    return Quantiles(calibration, sources, tracks, columns)
