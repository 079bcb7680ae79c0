"""genoformer report."""

from __future__ import annotations

import click

from . import options as shared
from .talk import Command, print_note


@click.command(cls=Command)
@click.argument("scored", type=click.Path())
@click.option("-o", "--output", required=True, type=click.Path(), help="The page, such as report.html.")
@click.option("--title", help="[default: the name of SCORED]")
@click.option("-f", "--fasta", type=click.Path(), help="The genome: the page says how the VCF fits it.")
@click.option(
    "-m",
    "--model",
    type=shared.MODEL,
    multiple=True,
    help="With -f: draws what this model says of both alleles of the strongest; several for an ensemble.",
)
@click.option("--top", type=click.IntRange(min=0), default=6, show_default=True, help="Variants that are drawn.")
@click.option("--flank", type=click.IntRange(min=5, max=50), default=25, show_default=True, help="Bases on either side.")
def report(
    scored: str, output: str, title: str | None, fasta: str | None, model: tuple[str, ...], top: int, flank: int
) -> None:
    """One HTML page of a scored VCF, which needs no server and no network: summary, distributions, a table, figures.

    \b
    genoformer report scored.vcf.gz -o report.html
    genoformer report scored.vcf.gz -o report.html -m mini-human -f hg38.fa

    The table sorts and filters; the keys of INFO that most records have are columns of it. Windows, strands, shifts and tracks
    of the figures are those of the scores, as the header has them. Scores of tracks below the noise floor are grey, and drawn
    only where none is above it.
    """
    from pathlib import Path

    from genoformer.report import make_report

    from .outputs import lock_outputs
    from .progress import progress_bar

    lock_outputs(output)
    with progress_bar("variants") as listen:
        done = make_report(
            Path(scored),
            Path(output),
            title=title,
            model=model or None,
            fasta=Path(fasta) if fasta else None,
            top=top,
            flank=flank,
            progress=listen,
        )
    drawn = f", {done.n_figures} drawn" if done.n_figures else ""
    print_note(f"{output}: {done.n_rows:,} of {done.n_alleles:,} alleles{drawn}")
