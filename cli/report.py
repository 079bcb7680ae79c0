"""Define the command genoformer report."""

from __future__ import annotations

from typing import Any

import click

from . import options as shared
from .json_output import json_option, print_json
from .verbosity import Command, print_note


@click.command(cls=Command, short_help="Write an HTML page of scored variants.")
@click.argument("scored", type=shared.PathOrAddress())
@click.option("-o", "--output", required=True, type=click.Path(), help="HTML page to write, such as report.html.")
@click.option("--title", help="Title of the page.  [default: the name of SCORED]")
@click.option(
    "-f", "--fasta", type=shared.PathOrAddress(), help="Reference genome (FASTA); the page reports how the VCF fits it."
)
@click.option(
    "-m",
    "--model",
    type=shared.MODEL,
    multiple=True,
    help="Model (with -f) to draw its predictions for both alleles of the strongest variants; several form an ensemble.",
)
@click.option("--gtf", type=click.Path(), help="Genes (GTF or GFF3), for the gene, nearest TSS and canvas of the top variants.")
@shared.drawn_elements
@shared.contexts
@click.option("--top", type=click.IntRange(min=0), default=6, show_default=True, help="Number of variants with a card.")
@click.option(
    "--flank",
    type=click.IntRange(min=5, max=50),
    default=25,
    show_default=True,
    help="Bases to draw on either side of a variant.",
)
@click.option(
    "--logos",
    type=click.Choice(["auto", "ism", "gradient"]),
    default="auto",
    show_default=True,
    help="Logos of both alleles: ISM, gradient x input (much faster), or ISM where it is quick.",
)
@shared.device
@json_option
def report(
    scored: str,
    output: str,
    title: str | None,
    fasta: str | None,
    model: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Write an HTML page of the output of `score` (VCF, TSV or Parquet), which needs no server and no network.

    \b
    genoformer report scored.vcf.gz -o report.html
    genoformer report scored.parquet -o report.html -m mini-human -f hg38.fa
    genoformer report scored.vcf.gz -o report.html -m borzoi -f hg38.fa --gtf gencode.gtf.gz

    The page has warnings, distributions, a card for each of the strongest variants (its score in words, gene and TSS with
    --gtf, annotations, links for hg19 and hg38) and a table. The table can be sorted, filtered and exported as CSV; its columns
    include the INFO keys that most records have. The figures of the cards use the windows, strands, shifts and tracks of the
    scores, as given in the header. Track scores below the noise floor are grey, and have cards only if no score is above it.
    --contexts names the contexts with which the scores were made.

    The logos of a card show ISM of both alleles: minus the mean score of the three changes of each base. A large track or
    fine-tuned model has gradient x input instead, unless --logos ism is given; a GPU makes ISM quick (--device).

    The card of a track model has a canvas with the predicted tracks of REF and ALT in the whole window, the scored track first,
    below genes (--gtf) and elements. It zooms and pans with the wheel, by dragging, with buttons and with keys.
    """
    from pathlib import Path

    from genoformer.genome.wording import counted
    from genoformer.report import ReportRequest, make_report

    from .output_lock import lock_outputs
    from .progress import progress_bar

    lock_outputs(output)
    genome, genes, table = (Path(path) if path else None for path in (fasta, options.pop("gtf"), options.pop("contexts")))
    request = ReportRequest(Path(scored), Path(output), title, models=model, fasta=genome, gtf=genes, contexts=table, **options)
    with progress_bar("variants") as watch:
        summary = make_report(request, progress=watch)
    if as_json:
        print_json({"output": output, **summary._asdict()})
        return
    drawn = f", {summary.n_figures} drawn" if summary.n_figures else ""
    print_note(f"{output}: {summary.n_rows:,} of {counted(summary.n_alleles, 'allele')}{drawn}")
