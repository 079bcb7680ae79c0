"""Define the command genoformer calibrate."""

from __future__ import annotations

from typing import Any

import click

from . import options as shared
from .json_output import json_option, print_json
from .merge import print_reused, print_shard
from .model_option import model_option, print_cautions
from .track_options import class_options, given_options, track_options
from .verbosity import Command, print_note


@click.command(cls=Command, short_help="Store the scores of a background, for quantiles.")
@click.argument("vcf", metavar="BACKGROUND", type=shared.PathOrAddress())
@shared.reference
@model_option("Model folder, of an ensemble too; several folders form an ensemble and need -o.", "model_names", multiple=True)
@click.option(
    "-s",
    "--scores",
    metavar="NAMES",
    help="Scores, separated by commas.  [default: LLR,PLL; for a track model SAD,SAR501; for a fine-tuned model LOGIT,DIFF]",
)
@click.option("-o", "--output", type=click.Path(), metavar="FILE", help="File to write.  [default: in the model's folder]")
@shared.regions(shared.RECORDS_IN)
@shared.context
@shared.strand
@shared.phases
@shared.share_windows
@track_options
@class_options
@shared.compute_options(
    shared.part_size(
        "Maximum number of records that a process scores and saves together; fewer suit many shards of a short VCF.", 4_096
    )
)
@shared.device
@json_option
@click.pass_context
def calibrate(
    ctx: click.Context,
    vcf: str,
    fasta: str,
    model_names: tuple[str, ...],
    output: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Store MODEL's score distribution on BACKGROUND, a VCF such as common variants, for later quantiles.

    \b
    genoformer calibrate common.vcf.gz -f hg38.fa -m my_model/
    genoformer score in.vcf.gz -f hg38.fa -m my_model/ -o out.vcf.gz      # now with GF_SAD_Q

    `score` with the same settings then adds the empirical quantile of each score: the fraction of the background whose absolute
    score on the same track is not larger. The folder keeps a calibration for each head and set of scores. A new calibration of
    the same head and scores replaces the old one.

    It needs the extra parquet: pip install 'genoformer[parquet]'.
    """
    import sys
    from dataclasses import replace

    from genoformer.genome.wording import counted
    from genoformer.scoring.background import calibrate as score_background
    from genoformer.scoring.job import CalibrationJob, calibration_path

    from .output_lock import lock_outputs
    from .progress import progress_bar

    lock_outputs(None if options["shard"] else output or calibration_path(model_names[0]))
    given = given_options(ctx, "vcf", "fasta", "model_names", "output", "assemble", "as_json")
    job = CalibrationJob.from_names(vcf, fasta, model_names, output, **given)
    job = replace(job, assemble=options["assemble"], command=tuple(sys.argv[1:]))
    print_cautions(model_names, fasta, of_variants=True)
    with progress_bar("records") as watch:
        calibration, summary = score_background(job, progress=watch)
    if calibration is None:
        print_shard(options["shard"], summary, str(job.output))
        return
    if as_json:
        counts = {"records": summary.records, "alleles": calibration.n_alleles, "skipped": summary.skipped}
        print_json({"output": job.output, "scores": list(calibration.grids), **counts, "seconds": summary.seconds})
        return
    names = ", ".join(calibration.grids)
    print_note(f"{job.output}: {names} of {counted(calibration.n_alleles, 'allele')} of {counted(summary.records, 'record')}")
    print_reused(summary.reused, joined=options["assemble"])
