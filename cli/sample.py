"""Define the command genoformer sample."""

from __future__ import annotations

from typing import Any

import click

from . import options as shared
from .verbosity import Command, print_note


@click.command(cls=Command, short_help="Sample DNA sequences from a causal language model.")
@click.argument("model", type=shared.MODEL)
@click.option("-n", "--number", type=click.IntRange(min=1), default=10, show_default=True, help="Number of sequences.")
@click.option(
    "--length",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    metavar="BASES",
    help="Length of each sequence, prompt included.",
)
@click.option(
    "--prompt",
    default="",
    metavar="DNA",
    help="First bases of every sequence. A model of blocks reads the bases after the last whole block as single letters, or "
    "refuses them if its vocabulary has none.",
)
@click.option(
    "--temperature",
    type=float,
    default=1.0,
    show_default=True,
    help="Divisor of the logits: below 1, probable bases are drawn more often; 0 takes the most probable.",
)
@click.option("--seed", type=int, default=0, show_default=True, help=shared.SEED_HELP)
@click.option("-o", "--output", default="-", show_default=True, type=click.Path(), help="FASTA, or - for stdout.")
@shared.device
@shared.precision
def sample(output: str, **options: Any) -> None:
    """Sample DNA sequences from a causal language model, as FASTA.

    \b
    genoformer sample MODEL -n 10 --length 200 > samples.fa
    genoformer sample MODEL --prompt TATAAA --temperature 0.8 --seed 1 -o samples.fa

    The header line of a sequence has its log_likelihood: the sum of ln P(token | tokens before) of the sampled tokens. P is at
    temperature 1 for every --temperature, and over the tokens that can follow (four for overlapping k-mers, else all tokens
    of A, C, G, T). The bases of the prompt do not count. The same seed gives the same sequences.
    """
    from pathlib import Path

    from genoformer.files import atomic_write
    from genoformer.inference import with_runtime
    from genoformer.inference.sampling import SamplingRequest, write_samples

    from .output_lock import lock_outputs
    from .progress import progress_bar

    request = with_runtime(SamplingRequest, **options)
    if output == "-":
        with progress_bar("sequences") as progress:
            for line in write_samples(request, progress=progress, tell=print_note):
                click.echo(line, nl=False)
        return
    lock_outputs(output)
    with progress_bar("sequences") as progress, atomic_write(Path(output)) as part, part.open("w", encoding="utf-8") as file:
        file.writelines(write_samples(request, progress=progress, tell=print_note))
