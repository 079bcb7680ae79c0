"""calibrate(): background VCF -> scores -> quantiles of each score and track, in a file next to the model."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from genoformer import __version__
from genoformer.errors import ConfigError
from genoformer.extras import require_extra
from genoformer.files import sha256_of
from genoformer.progress import ProgressCallback
from genoformer.scoring.calibration import Calibration, compared_options, quantile_grids
from genoformer.scoring.job import CalibrationJob, Outputs, ScoringJob
from genoformer.scoring.plan import Summary, score_variants
from genoformer.scoring.scorers import make_scorer


def calibrate(job: CalibrationJob, *, progress: ProgressCallback = None) -> tuple[Calibration | None, Summary]:
    """Score a background VCF and write the quantiles of every score and track; an interrupted run resumes.

    A shard computes its parts only, and returns no calibration.

    Raises ConfigError if no allele of the background has a score, and MissingExtraError without pyarrow (extra `parquet`).
    """
    require_extra("parquet", "calibrate", "pyarrow")  # its table of the background's scores is Parquet
    path, scoring = job.output, job.scoring.of_all_outputs()
    scorer = make_scorer(job.genome, scoring)
    folder = path.with_name(f".{path.name}.work")
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "scores.parquet"
    matrix = None if scorer.layout is None else folder / "matrix.parquet"
    summary = score_variants(
        ScoringJob(
            job.background,
            job.genome,
            scoring,
            Outputs(table, matrix),
            job.runtime,
            replace(job.checks, n_noise=0),
            job.region,
            shard=job.shard,
            assemble=job.assemble,
            command=job.command,
            model_name=job.model_name,
        ),
        progress=progress,
    )
    if job.shard is not None:
        return None, summary
    if not summary.scored:
        raise ConfigError(f"no allele of {job.background} has a score; give a background of variants of this genome.")
    names = [] if scorer.matrix_layout is None else scorer.matrix_layout.unique_names
    grids = quantile_grids(matrix or table, scoring.scores, names)
    calibration = Calibration(
        Path(job.background).name,
        summary.scored,
        scoring.sha256,
        compared_options(scorer),
        scorer.inputs,
        grids,
        {
            "VCF": str(job.background),
            "sha256 of the VCF": sha256_of(Path(job.background)) if Path(job.background).is_file() else "unknown",
            "records": str(summary.records),
            "FASTA": job.genome.name,
            "models": job.model_name,
            "genoformer": __version__,
        },
    )
    calibration.save(path)
    shutil.rmtree(folder)
    return calibration, summary
