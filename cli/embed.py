"""Define the command genoformer embed."""

from __future__ import annotations

from typing import Any, Literal

import click

from . import options as shared
from .model_option import model_option, print_cautions
from .verbosity import Command, print_note


@click.command(cls=Command, short_help="Compute vectors of sequences.")
@click.argument("data", type=click.Path(), required=False)
@model_option(
    "Language model, fine-tuned model (its encoder), or track model (its bins): a folder, or a name from `models list`."
)
@shared.genome_of_bed
@shared.regions("Without DATA, embed", each=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    help="Output file, replaced if it exists: .npy (.names.tsv is written next to it) or .parquet.",
)
@click.option(
    "--pooling",
    type=click.Choice(["mean", "max", "cls", "tokens"]),
    default="mean",
    show_default=True,
    help="Pooling: one vector per sequence, or one per token (tokens; Parquet only).",
)
@click.option(
    "--layer",
    "layers",
    type=click.IntRange(min=0),
    multiple=True,
    metavar="N",
    help="Layer after which vectors are taken; 0: the embeddings; may be repeated.  [default: the last]",
)
@shared.head
@shared.strand_with_default("forward")
@click.option(
    "--window",
    type=click.IntRange(min=1),
    metavar="BASES",
    help="Window length in bases, into which longer sequences are cut.  [default: the model's own]",
)
@click.option(
    "--overlap", type=click.IntRange(min=0), metavar="BASES", help="Overlap of two windows in bases.  [default: half]"
)
@click.option("--pca", type=click.Path(), metavar="PNG", help="Draw the first two principal components.")
@click.option(
    "--probe", is_flag=True, help="Fit a linear model to the labels and print how well it predicts, as JSON on stdout."
)
@click.option(
    "--valid",
    type=click.Path(),
    metavar="DATA",
    help="Labelled sequences that the probe predicts, instead of a held-out fifth of DATA.",
)
@click.option(
    "--task", type=click.Choice(["classify", "regress"]), default="classify", show_default=True, help="Task of the probe."
)
@shared.label
@shared.device
@shared.precision
@shared.batch_size
@shared.compute_options(
    shared.part_size("Sequences that a process embeds and saves together.  [default: 4,096, fewer if they are long]")
)
def embed(
    data: str | None,
    fasta: str | None,
    output: str | None,
    pca: str | None,
    probe: bool,
    valid: str | None,
    task: Literal["classify", "regress"],
    label: tuple[str, ...],
    **options: Any,
) -> None:
    """Compute vectors of the sequences in DATA: a CSV or TSV (column sequence), a FASTA, or a BED with -f; labels are optional.

    \b
    genoformer embed promoters.csv -m demo -o promoters.parquet --pca promoters.png
    genoformer embed train.csv -m demo --probe --valid dev.csv > probe.json
    genoformer embed peaks.bed -f genome.fa -m demo --layer 2 --layer 4 -o peaks.npy
    genoformer embed -f genome.fa -r chr20:1,050,001-1,050,500 -m demo -o region.npy
    genoformer embed peaks.bed -f genome.fa -m mini-tracks --pooling tokens -o bins.parquet

    .npy is float32 [N, D], or [N, layers, D] for several layers; the names and labels of its rows are in .names.tsv. Parquet
    has the columns name, the labels, and e0, e1 ..., and one row per layer and per sequence, or per token (with the bases
    that it covers, start and end). Sequences longer than the window (by default that of the model's training) are cut into
    overlapping windows. mean and max are over the tokens of all windows, cls is the mean of their [CLS] vectors, and a token
    comes from the window in which it is farthest from an end.

    With a track model, bins take the place of tokens: their vectors are the input of the model's heads, and bins begin at the
    first base of a sequence.
    """
    import json
    from pathlib import Path

    from genoformer.datasets.sequences import read_labelled, read_sequences
    from genoformer.errors import ConfigError
    from genoformer.evaluation.embedding_probe import probe_embeddings
    from genoformer.inference import with_runtime
    from genoformer.inference.embed import embed_sequences
    from genoformer.inference.embedder import EmbeddingRequest
    from genoformer.option_checks import with_strand

    from .output_lock import lock_outputs
    from .progress import progress_bar

    compute = shared.take_compute(options)
    options = shared.with_regions(options)
    region = options.pop("region", None)
    lock_outputs(*(() if compute.shard else (output, pca)))
    if not (output or pca or probe):
        raise ConfigError("no output is named; name a file with -o or --pca, or give --probe.")
    if valid and not probe:
        raise ConfigError("--valid has the sequences that the probe predicts; give --probe too, or leave it out.")
    paths = {"output": Path(output) if output else None, "pca": Path(pca) if pca else None}
    request = with_runtime(EmbeddingRequest, compute=compute, **paths, **with_strand(options))
    columns = list(label) or None
    if data is None or region is not None:
        sequences = _of_regions(data, region, fasta, probe=probe)
    else:
        sequences = (read_labelled if probe else read_sequences)(data, fasta=fasta, label=columns)
    held_out = read_labelled(valid, fasta=fasta, label=columns, n_labels=sequences.n_labels) if valid else None
    for note in [*sequences.notes, *(held_out.notes if held_out else ())]:
        print_note(note)
    print_cautions(options["model"], fasta)
    probes: list[dict[str, Any]] = []
    with progress_bar("sequences" if request.pooling == "tokens" else "windows") as progress:
        if probe:
            notes, probes = probe_embeddings(sequences, request, task, valid=held_out, progress=progress)
        else:
            notes = embed_sequences(sequences, request, progress=progress, keep=False).notes
    for note in notes:
        print_note(note)
    if probes:
        click.echo(json.dumps(probes[0] if len(probes) == 1 else {"layers": probes}, indent=1, allow_nan=False))


def _of_regions(data: str | None, region: Any, fasta: str | None, *, probe: bool) -> Any:
    """Return the sequences of the regions of -r and -R."""
    from genoformer.datasets.region_sequences import read_region_sequences
    from genoformer.errors import ConfigError, OptionError

    if region is None:
        raise ConfigError("found no sequences, expected DATA or regions; name a file, or give -r or -R.")
    if data is not None:
        raise OptionError("region", f"stands in place of DATA, found {data}, too; leave one of them out.")
    if fasta is None:
        raise OptionError("region", "is of a genome, found none; give its FASTA with -f.")
    if probe:
        raise OptionError("probe", "needs labels, which regions do not have; give a file with labels.")
    return read_region_sequences(region, fasta)
