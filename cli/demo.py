"""Define the command genoformer demo."""

from __future__ import annotations

import shlex

import click

from .json_output import json_option, print_json
from .verbosity import Command, print_note


@click.command(cls=Command, short_help="Run the full pipeline on bundled data.")
@click.option("-o", "--output", default="demo_out", show_default=True, type=click.Path(), help="Folder for the outputs.")
@json_option
def demo(output: str, as_json: bool) -> None:
    """Score the bundled simulated VCF, and report how well the score finds the variants that break a motif.

    \b
    genoformer demo -o demo_out
    """
    from pathlib import Path

    from genoformer.demo import run_demo

    from .output_lock import lock_outputs
    from .progress import progress_bar

    lock_outputs(output)
    with progress_bar("records") as watch:
        result = run_demo(Path(output), progress=watch)
    if as_json:
        summary = result._asdict()
        auroc = {"snvs": summary.pop("snvs"), "indels": summary.pop("indels")}
        print_json({"auroc": auroc, **summary})
        return
    click.echo(result.text())
    print_note(
        f"next: genoformer report {shlex.quote(str(result.folder / 'scored.vcf.gz'))} -o report.html\n"
        "then your variants: genoformer score YOUR.vcf.gz -f YOUR_GENOME.fa    # lists the models to choose with -m"
    )
