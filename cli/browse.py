"""Define the command genoformer browse."""

from __future__ import annotations

from typing import Any

import click

from . import options as shared
from .model_option import model_argument
from .verbosity import Command, print_note


@click.command(cls=Command, short_help="Browse predictions of regions and variants on a local page.")
@model_argument
@click.argument("scored", type=shared.PathOrAddress(), required=False)
@shared.reference
@shared.option_group(*shared.drawn_genes)
@shared.targets
@shared.head
@shared.strand_with_default("both, or that of SCORED")
@shared.score_scale
@shared.contexts
@click.option(
    "--top", type=click.IntRange(min=0), metavar="N", default=50, show_default=True, help="Number of listed variants of SCORED."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    metavar="PORT",
    default=0,
    help="Port of the page on this machine.  [default: a free one]",
)
@click.option("--open/--no-open", "opens", default=False, show_default=True, help="Open the page in the default browser.")
@shared.device
def browse(fasta: str, opens: bool, **options: Any) -> None:
    """Show predictions for regions and variants on a local page, which computes them on request.

    \b
    genoformer browse demo -f genome.fa.gz
    genoformer browse borzoi scored.vcf.gz -f hg38.fa --gtf gencode.gtf.gz \\
        --elements peaks.bed

    The command loads MODEL and prints the address of the page, which this machine alone can open; Ctrl-C ends it. Type a region
    (chr20:1,000,001-1,100,000), a variant (chr20:1050100:A:G) or, with --gtf, a gene. A track model shows its tracks, of a
    variant those of both alleles and their difference; a language model shows the entropy of its prediction along a region;
    every model shows logos of both alleles, and on request ISM and attention. The numbers are those of `score`, `predict` and
    `interpret`. SCORED, an output of `score`, adds a list of its strongest variants; windows, strands, head and tracks are
    then those in its header.

    It needs the extra browse: pip install 'genoformer[browse]'.
    """
    from pathlib import Path

    from genoformer.browse import BrowseRequest
    from genoformer.browse.server import serve
    from genoformer.option_checks import with_strand

    from .model_option import print_cautions

    scored = Path(path) if (path := options.pop("scored")) else None
    request = BrowseRequest(fasta=fasta, scored=scored, **with_strand(options))

    def ready(address: str) -> None:
        print_cautions(request.model, fasta, of_variants=True)
        click.echo(address)
        print_note("Open this address in a browser on this machine; Ctrl-C ends the page.")
        if opens:
            click.launch(address)

    print_note(f"Loading {request.model} ...")
    try:
        serve(request, ready)
    except KeyboardInterrupt as stop:
        print_note("The page has ended.")
        if getattr(stop, "status", 130) != 130:  # another signal than Ctrl-C
            raise
