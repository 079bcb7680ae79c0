"""Define the command genoformer data audit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options as shared
from .json_output import json_option, print_json
from .verbosity import Command, print_note


@click.command(cls=Command, short_help="Check a labelled set for leaks and shortcuts.")
@click.argument("data", metavar="SET...", nargs=-1, required=True, type=click.Path(path_type=Path))
@shared.genome_of_bed
@shared.label
@click.option(
    "--kmer-sequences",
    "n_kmer",
    type=click.IntRange(min=100),
    default=20_000,
    show_default=True,
    help="Maximum number of sequences, drawn at random, for the k-mer baseline.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Table (TSV) of the leaked sequences: check, split, number and name, and those of the sequence in the earlier split.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help=shared.SEED_HELP)
@json_option
def audit(data: tuple[Path, ...], output: Path | None, as_json: bool, **options: Any) -> None:
    """Check a labelled set for leaks between its splits and for shortcuts.

    SET is a folder with train, and valid (dev, val) or test, as .csv, .tsv, .fa or .bed; or the files of the splits, the
    training sequences first.

    \b
    genoformer data audit promoters
    genoformer data audit train.csv dev.csv test.csv --json > audit.json
    genoformer data audit promoters -o leaks.tsv

    Leaks are exact copies, reverse complements, shifted and near copies, and overlapping regions of one split in another.
    Shortcuts are properties that tell the classes apart without motifs: length, N, lower case, GC, k-mers, contig and
    position, each as cross-validated AUROC. Each check is PASS, WARN or FAIL, with its limits and the reason for them.

    The exit status is 1 if a check is FAIL; PASS and WARN give 0.
    """
    from genoformer.audit import AuditRequest, audit_set

    from .output_lock import lock_outputs
    from .progress import progress_bar

    lock_outputs(output)
    with progress_bar("sequences") as watch:
        found = audit_set(AuditRequest(data, **options), progress=watch)
    if output is not None:
        found.write_leaks(output)
    for note in found.notes:
        print_note(f"Note: {note}")
    if as_json:
        print_json(found.to_dict())
    else:
        click.echo(", ".join(f"{n:,} {name}" for name, n in found.sizes.items()))
        for line in found.lines():
            click.echo(line)
    if found.verdict == "FAIL":
        raise SystemExit(1)
