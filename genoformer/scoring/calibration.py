"""calibrate(): background VCF -> scores -> quantiles of each score and track, in a file next to the model."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.genome.reference import Genome
from genoformer.models.enformer.model import Enformer
from genoformer.scoring.quantiles import GRID, NOT_COMPARED, Calibration
from genoformer.scoring.run import Summary, score_variants
from genoformer.scoring.scorers import Model, TrackOptions, make_scorer, sha256_of_models
from genoformer.scoring.scores import Score
from genoformer.scoring.track_scorer import TrackScorer


def calibrate(
    background: str | Path,
    genome: Genome,
    models: Model | Sequence[Model],
    scores: Sequence[Score],
    path: Path,
    *,
    of_tracks: TrackOptions | None = None,
    **options: Any,
) -> tuple[Calibration, Summary]:
    """Score a background VCF and write the quantiles of every score and track to `path`.

    options: keyword arguments of `score_variants`. An interrupted run resumes. All tracks of the head are scored, also if
    `of_tracks` selects some. Raises ConfigError if no allele of the background has a score.
    """
    work = path.with_name(f".{path.name}.work")
    work.mkdir(parents=True, exist_ok=True)
    table, matrix = work / "scores.parquet", work / "matrix.parquet"
    of_all = None if of_tracks is None else of_tracks._replace(tracks=None)
    given = list(models) if isinstance(models, Sequence) else [models]
    is_matrix = isinstance(given[0], Enformer)
    summary = score_variants(
        background, genome, given, scores, table, of_tracks=of_all, matrix=matrix if is_matrix else None, n_noise=0, **options
    )
    if not summary.scored:
        raise ConfigError(f"no allele of {background} has a score; give a background of variants of this genome.")
    scorer = make_scorer(
        given, genome, scores, context=options.get("context"), both_strands=options.get("both_strands", True), of_tracks=of_all
    )
    names = scorer.layout.unique_names if isinstance(scorer, TrackScorer) else []
    compared = {name: value for name, value in scorer.options.items() if name not in NOT_COMPARED}
    grids = grids_of(matrix if is_matrix else table, scores, names)
    found = Calibration(Path(background).name, summary.scored, sha256_of_models(given), compared, scorer.inputs, grids)
    found.save(path)
    shutil.rmtree(work)
    return found, summary


def grids_of(table: Path, scores: Sequence[Score], tracks: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """Return the quantiles of |value| of each score, from a Parquet table or, with `tracks`, a Parquet matrix of scores."""
    import pyarrow.parquet as pq

    def column(name: str) -> NDArray[np.float64]:
        return np.abs(np.array(pq.read_table(table, columns=[name])[name].to_numpy(), dtype=np.float64))

    def grid(values: NDArray[np.float64]) -> NDArray[np.float64]:
        known = values[np.isfinite(values)]
        return np.quantile(known, GRID) if len(known) else np.full(len(GRID), np.inf)

    if not tracks:
        return {score.name: grid(column(score.name))[None].astype(np.float32) for score in scores}
    whose = pq.read_table(table, columns=["score"])["score"].to_numpy()
    counts = np.ones(len(whose), dtype=bool)  # for gene scores only the strongest gene, as in the output
    if "strongest" in pq.read_schema(table).names:
        counts = pq.read_table(table, columns=["strongest"])["strongest"].to_numpy()
    rows: dict[str, list[NDArray[np.float64]]] = {score.name: [] for score in scores}
    for place, track in enumerate(tracks):
        values = column(track)
        for score in scores:
            if score.of_tracks or not place:
                rows[score.name].append(grid(values[(whose == score.name) & counts]))
    return {name: np.array(of, dtype=np.float32) for name, of in rows.items()}
