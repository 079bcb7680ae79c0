"""genoformer calibrate."""

from __future__ import annotations

from typing import Any

import click

from .of_tracks import of_tracks, track_options


@click.command()
@click.argument("vcf", metavar="BACKGROUND", type=click.Path())
@click.option("-f", "--fasta", required=True, type=click.Path(), help="The reference, plain or bgzipped FASTA.")
@click.option("-m", "--model", "model_name", metavar="MODEL", required=True, help="A model folder.")
@click.option("-s", "--scores", metavar="NAMES", help="Comma-separated.  [default: LLR,PLL, of a model of tracks SAD,SAR501]")
@click.option("-o", "--output", type=click.Path(), metavar="FILE", help="[default: calibration.npz in the model's folder]")
@click.option("--context", type=click.IntRange(min=1), metavar="BASES", help="Bases in a window; the model's own by default.")
@click.option("--strand", type=click.Choice(["both", "forward"]), default="both", show_default=True)
@track_options
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Processes, each with the model and some cores.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1 ...; auto takes a GPU where there is one.")
@click.pass_context
def calibrate(
    ctx: click.Context, vcf: str, fasta: str, model_name: str, scores: str | None, output: str | None, **options: Any
) -> None:
    """Keep with MODEL how its scores are distributed over BACKGROUND, a VCF such as common variants.

    \b
    genoformer calibrate common.vcf.gz -f hg38.fa -m my_model/
    genoformer score in.vcf.gz -f hg38.fa -m my_model/ -o out.vcf.gz      # now with GF_SAD_Q

    Scores by the same settings then come with the share of the background whose score, of the same track, is not larger.
    """
    from pathlib import Path

    from genoformer import inference
    from genoformer.genome.reference import Genome
    from genoformer.models import checkpoint
    from genoformer.scoring.calibration import calibrate as calibrated
    from genoformer.scoring.quantiles import FILE
    from genoformer.scoring.scorers import default_scores
    from genoformer.scoring.scores import choose

    from .progress import progress_bar

    genome = Genome(fasta)
    model = checkpoint.load_scoring(model_name)
    chosen = choose(scores) if scores else default_scores(model)
    path = Path(output) if output else checkpoint.find(model_name) / FILE
    device = inference.best_device() if options["device"] == "auto" else options["device"]
    with progress_bar("records") as watch:
        found, summary = calibrated(
            vcf, genome, model, chosen, path, model_name=model_name, context=options["context"],
            both_strands=options["strand"] == "both", device=device, workers=options["workers"],
            of_tracks=of_tracks(ctx, model, genome), progress=watch,
        )  # fmt: skip
    click.echo(f"{path}: {', '.join(found.grids)} of {found.n_alleles:,} alleles of {summary.records:,} records", err=True)
