"""Define the command genoformer calibrate."""

from __future__ import annotations

from typing import Any

import click

from . import options as shared
from .track_options import of_tracks, track_options
from .verbosity import Command, print_note


@click.command(cls=Command)
@click.argument("vcf", metavar="BACKGROUND", type=click.Path())
@shared.reference
@click.option(
    "-m",
    "--model",
    "model_names",
    type=shared.MODEL,
    required=True,
    multiple=True,
    help="Model folder; several form an ensemble and need -o.",
)
@click.option(
    "-s", "--scores", metavar="NAMES", help="Scores, separated by commas.  [default: LLR,PLL; for a track model SAD,SAR501]"
)
@click.option(
    "-o", "--output", type=click.Path(), metavar="FILE", help="File to write.  [default: calibration.npz in the model's folder]"
)
@shared.context
@shared.strand
@track_options
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="Number of processes, each with the model and some of the cores."
)
@shared.device
@click.pass_context
def calibrate(
    ctx: click.Context,
    vcf: str,
    fasta: str,
    model_names: tuple[str, ...],
    scores: str | None,
    output: str | None,
    **options: Any,
) -> None:
    """Store MODEL's score distribution on BACKGROUND, a VCF such as common variants, for later quantiles.

    \b
    genoformer calibrate common.vcf.gz -f hg38.fa -m my_model/
    genoformer score in.vcf.gz -f hg38.fa -m my_model/ -o out.vcf.gz      # now with GF_SAD_Q

    `score` with the same settings then adds the empirical quantile of each score: the fraction of background scores of the
    same track that are not larger.
    """
    from pathlib import Path

    from genoformer import inference
    from genoformer.errors import ConfigError
    from genoformer.genome.reference import Genome
    from genoformer.models import registry
    from genoformer.models.base import SCORES_VARIANTS
    from genoformer.scoring.calibration import calibrate as calibrated
    from genoformer.scoring.quantiles import FILE
    from genoformer.scoring.scorers import default_scores
    from genoformer.scoring.scores import parse_scores

    from .output_lock import lock_outputs
    from .progress import progress_bar

    lock_outputs(output or registry.resolve_model(model_names[0]) / FILE)
    genome = Genome(fasta)
    models = [registry.load(name, SCORES_VARIANTS) for name in model_names]
    chosen = parse_scores(scores) if scores else default_scores(models[0])
    if output is None and len(models) > 1:
        raise ConfigError("the calibration of an ensemble belongs to none of its models; name a file with -o.")
    path = Path(output) if output else registry.resolve_model(model_names[0]) / FILE
    device = inference.resolve_device(options["device"])
    with progress_bar("records") as watch:
        found, summary = calibrated(
            vcf,
            genome,
            models,
            chosen,
            path,
            model_name="+".join(model_names),
            context=options["context"],
            both_strands=options["strand"] == "both",
            device=device,
            workers=options["workers"],
            of_tracks=of_tracks(ctx, models[0], genome),
            progress=watch,
        )
    print_note(f"{path}: {', '.join(found.grids)} of {found.n_alleles:,} alleles of {summary.records:,} records")
