"""Quantiles of scores among those of a background, for each score and track, in a file next to the model.

Background scores -> grids of quantiles -> Calibration -> quantile columns of a scorer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import CheckpointError, MissingFileError
from genoformer.files import atomic_write
from genoformer.formats.arrays import read_arrays
from genoformer.formats.vcf import Record
from genoformer.scoring.score_types import Score
from genoformer.scoring.variant_scorer import VariantScorer
from genoformer.writers import Column, Floats

FILE = "calibration.npz"  # in the model folder, the first one; others are calibration.HEAD.npz, calibration.HEAD.2.npz ...
GRID = np.linspace(0, 1, 1001)
GENES = "GTF"  # key in the inputs of a scorer
_FEW = 500  # alleles; a smaller background gets a warning
NOT_COMPARED = ("tracks", "targets", "classes", "genes", "matrix")  # options that do not change the values of a track


_FIELDS = {"background": str, "n_alleles": int, "model": str, "options": dict, "inputs": dict, "made_from": dict}


class Calibration(NamedTuple):
    """Quantiles GRID of |value| over a background for each score: [K, 1001], or [1, 1001] if the score has no tracks."""

    background: str
    n_alleles: int
    model: str  # sha256 of its weights
    options: dict[str, str]
    inputs: dict[str, str]  # hashes of the other files that the scores depend on
    grids: dict[str, NDArray[np.float32]]
    made_from: dict[str, str] | None = None  # background, genome, records and model; None: not recorded

    def save(self, path: Path) -> None:
        about = json.dumps({name: value for name, value in self._asdict().items() if name != "grids"})
        with atomic_write(path) as part, part.open("wb") as file:
            np.savez_compressed(file, about=np.array(about), **self.grids)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read a calibration; MissingFileError without a file, CheckpointError if it is not a calibration."""
        if not path.is_file():
            raise MissingFileError(f"{path} does not exist, expected a calibration; make one with `calibrate`.")
        try:
            grids = read_arrays(path)
            about = json.loads(str(grids.pop("about")))
            if any(grid.ndim != 2 or grid.shape[1] != len(GRID) or grid.dtype.kind != "f" for grid in grids.values()):
                raise ValueError(f"its grids are not {len(GRID):,} quantiles each")
            kinds = {name: type(value) for name, value in about.items()}
            if kinds | {"made_from": dict} != _FIELDS:
                raise ValueError("its background, model and options are not recorded")
            return cls(**about, grids=grids)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CheckpointError(f"{path} is not a calibration of genoformer: {error}; make one with `calibrate`.") from error

    @property
    def about(self) -> dict[str, Any]:
        """Scores, settings and what the calibration was made from, for `models info`."""
        return {name: value for name, value in self._asdict().items() if name != "grids"} | {"scores": list(self.grids)}

    def incompatibility(self, scorer: VariantScorer, sha256: str) -> str | None:
        """Return the reason why the scores of a scorer cannot be compared with the background; None if they can."""
        if self.model != sha256:
            return "it was made with other weights"
        of_scorer = compared_options(scorer) | {name: value for name, value in scorer.inputs.items() if name != GENES}
        of_background = self.options | {name: value for name, value in self.inputs.items() if name != GENES}
        names = sorted({*of_scorer, *of_background})
        changed = [name for name in names if of_scorer.get(name) != of_background.get(name)]
        return f"it was made with another {', '.join(changed)}" if changed else None

    def covers(self, score: Score, scorer: VariantScorer) -> bool:
        """True if the calibration has this score, for the same genes, and for all tracks if the score joins tracks."""
        same = not score.input.per_gene or self.inputs.get(GENES) == scorer.inputs.get(GENES)
        same = same and not (score.joins_tracks and "tracks" in scorer.options)
        return score.name in self.grids and same

    def notes(self, scorer: VariantScorer) -> list[str]:
        """Return warnings on scores without quantiles and on a background that is too small."""
        notes = []
        if unknown := [score.name for score in scorer.scores if not self.covers(score, scorer)]:
            names = ", ".join(unknown)
            notes.append(f"no quantiles of {names}: the calibration with {self.background} has none, or of other genes.")
        if self.n_alleles < _FEW:
            n = f"{self.n_alleles:,}"
            notes.append(f"quantiles: {self.background} has {n} alleles; take thousands to tell rare from common.")
        return notes

    def quantile(self, score: str, rows: NDArray[np.int64], values: Floats) -> Floats:
        """Return the fraction [n] of the background whose |value| on the same track is not larger; NaN for NaN.

        rows: row of the grid for each value.
        """
        quantiles = np.full(len(values), np.nan, dtype=np.float32)
        for row in np.unique(rows[np.isfinite(values)]).tolist():
            known = (rows == row) & np.isfinite(values)
            grid = self.grids[score][row]
            quantiles[known] = GRID[(np.searchsorted(grid, np.abs(values[known]), side="right") - 1).clip(0)]
        return quantiles


def calibrations_in(folder: Path) -> dict[Path, Calibration]:
    """Return the calibrations in the folder of a model by path, FILE first; CheckpointError for a damaged one."""
    return {path: Calibration.load(path) for path in _files_in(folder)}


def _files_in(folder: Path) -> list[Path]:
    """Return the files of calibrations in a folder, FILE first."""
    return [path for path in (folder / FILE, *sorted(folder.glob("calibration.*.npz"))) if path.is_file()]


def fitting_calibration(folder: Path, head: str | None, scores: Sequence[str]) -> Calibration | None:
    """Return the calibration of a head that has the most of these scores, else the first one; None without any."""
    known = list(calibrations_in(folder).values())
    of_head = [one for one in known if one.options.get("head") == head]
    return max(of_head, key=lambda one: len({*scores} & {*one.grids}), default=known[0] if known else None)


def calibration_file(folder: Path, head: str | None, scores: Sequence[str]) -> Path:
    """Return the file in the folder of a model for a calibration of these scores of a head.

    It is the file of the same scores of the same head, or a damaged one, which is replaced; else a new one, at first FILE.
    """
    known = _files_in(folder)
    for path in known:
        try:
            one = Calibration.load(path)
        except CheckpointError:
            return path
        if one.options.get("head") == head and {*one.grids} == {*scores}:
            return path
    stem = f"calibration.{head}" if head else "calibration"
    names = chain([FILE], [f"{stem}.npz"], (f"{stem}.{i}.npz" for i in count(2)))
    return next(folder / name for name in names if folder / name not in known)


class Quantiles(NamedTuple):
    """Quantile columns for the columns of a scorer."""

    calibration: Calibration
    sources: list[tuple[str, int, int, int]]  # (score, its column, column of its track or -1, row of the grid if -1)
    tracks: NDArray[np.int64]
    columns: list[Column]

    def values(self, records: Sequence[Record], values: Floats) -> Floats:
        """Return the quantiles [n, Q] of the values [n, columns] of some records."""
        quantiles = []
        for score, column, track, row in self.sources:
            rows = np.full(len(values), row)
            if track >= 0:
                known = np.isfinite(values[:, track])
                rows[known] = self.tracks[values[known, track].astype(np.int64)]
            quantiles.append(self.calibration.quantile(score, rows, values[:, column]))
        return np.stack(quantiles, axis=1) if quantiles else np.zeros((len(values), 0), dtype=np.float32)


def compared_options(scorer: VariantScorer) -> dict[str, str]:
    """Return the options of a scorer that must be those of the background."""
    return {name: value for name, value in scorer.options.items() if name not in NOT_COMPARED}


def quantile_columns(scorer: VariantScorer, calibration: Calibration) -> Quantiles:
    """Return the quantile columns for all scores of a scorer that the calibration covers."""
    layout = scorer.layout
    tracks = np.zeros(1, dtype=np.int64) if layout is None else layout.outputs.numbers
    places = {column.name: i for i, column in enumerate(scorer.columns)}
    sources, columns = [], []

    def add(score: Score, name: str, track: int, row: int) -> None:
        sources.append((score.name, places[name], track, row))
        same = f" of the same {layout.word}" if layout is not None and score.per_output else ""
        background = f"{calibration.n_alleles:,} alleles of {calibration.background}"
        meaning = f"Fraction of the {background} whose |{score.name}|{same} is not larger."
        columns.append(Column(f"{name}_Q", "fraction", meaning, belongs_to=name))

    for score in scorer.scores:
        if not calibration.covers(score, scorer):
            continue
        track = -1 if layout is None else places.get(layout.name_column(score), -1)
        add(score, score.name, track, int(tracks[0]) if score.per_output else 0)
        if layout is not None and score.per_output and layout.has_column_per_track:
            for number, name in zip(tracks.tolist(), layout.unique_names, strict=True):
                add(score, f"{score.name}_{name}", -1, number)
    return Quantiles(calibration, sources, tracks, columns)


def quantile_grids(table: Path, scores: Sequence[Score], tracks: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """Return the quantiles of |value| of each score, from a Parquet table or, with `tracks`, a Parquet matrix of scores."""
    import pyarrow.parquet as pq

    def column(name: str) -> NDArray[np.float64]:
        return np.abs(np.array(pq.read_table(table, columns=[name])[name].to_numpy(), dtype=np.float64))

    def grid(values: NDArray[np.float64]) -> NDArray[np.float64]:
        known = values[np.isfinite(values)]
        return np.quantile(known, GRID) if len(known) else np.full(len(GRID), np.inf)

    if not tracks:
        return {score.name: grid(column(score.name))[None].astype(np.float32) for score in scores}
    names = pq.read_table(table, columns=["score"])["score"].to_numpy()
    counts = np.ones(len(names), dtype=bool)  # for gene scores only the strongest gene, as in the output
    if "strongest" in pq.read_schema(table).names:
        counts = pq.read_table(table, columns=["strongest"])["strongest"].to_numpy()
    rows: dict[str, list[NDArray[np.float64]]] = {score.name: [] for score in scores}
    for i, track in enumerate(tracks):
        values = column(track)
        for score in scores:
            if score.per_output or i == 0:
                rows[score.name].append(grid(values[(names == score.name) & counts]))
    return {name: np.array(of, dtype=np.float32) for name, of in rows.items()}
