"""Define the command genoformer demo."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from .json_output import json_option, print_json
from .verbosity import Command, print_note, program_name


@click.command(cls=Command, short_help="Run the full pipeline on bundled data.")
@click.option("-o", "--output", default="demo_out", show_default=True, type=click.Path(), help="Folder for the outputs.")
@json_option
def demo(output: str, as_json: bool) -> None:
    """Score the bundled simulated VCF, and report how well the score finds the variants that break a motif.

    \b
    genoformer demo -o demo_out
    """
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
        f"next: {report_command(result.folder / 'scored.vcf.gz')}\n"
        f"then your variants: {program_name()} score YOUR.vcf.gz -f YOUR_GENOME.fa    # lists the models to choose with -m"
    )


def report_command(scored: Path) -> str:
    """Return the command that writes a report of the demo with figures; the genome is relative to the folder if it is in it."""
    from importlib.resources import files

    fasta, here = (Path(str(files("genoformer_data"))) / "demo" / "genome.fa.gz").resolve(), Path.cwd()
    shown = fasta.relative_to(here) if fasta.is_relative_to(here) else fasta
    return shlex.join([program_name(), "report", str(scored), "-f", str(shown), "-m", "demo", "-o", "report.html"])
