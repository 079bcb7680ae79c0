"""genoformer pretrain."""

from __future__ import annotations

import click


@click.command()
@click.option("-f", "--fasta", required=True, type=click.Path(), help="The genome, plain or bgzipped FASTA.")
@click.option("-o", "--output", required=True, type=click.Path(), help="Folder for the model.")
@click.option("-c", "--config", type=click.Path(), help="TOML with the tables [tokenizer], [encoder], [training].")
@click.option("-m", "--model", "start", metavar="MODEL", help="Go on from the weights of this model, in its shape.")
def pretrain(fasta: str, output: str, config: str | None, start: str | None) -> None:
    """Train a masked (or causal) language model on a genome.

    \b
    genoformer pretrain -f genome.fa -o my_model -c config.toml

    \b
    [tokenizer]
    tokenizer = "kmer"        # or "base", "bpe"
    k = 6
    [encoder]                 # every field of EncoderConfig
    width = 160
    n_layers = 4
    n_heads = 5
    hidden = 480
    context_length = 192
    position = "rotary"
    norm = "pre"
    [training]                # every field of TrainingConfig
    steps = 5000
    batch_size = 48
    learning_rate = 2e-3
    valid_contigs = ["chr22"] # held out; by default the last contig
    """
    from pathlib import Path

    from genoformer.errors import ConfigError

    from .score import command_line

    try:
        from genoformer.training.loop import PretrainConfig
        from genoformer.training.loop import pretrain as run
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] != "lightning":
            raise
        raise ConfigError("training needs Lightning, which is not installed; pip install 'genoformer[train]'.") from error
    plan = PretrainConfig.read(Path(config) if config else None)
    manifest = run(Path(fasta), Path(output), plan, start=start, command=command_line())
    numbers = ", ".join(f"{name} {value:.4f}" for name, value in manifest["metrics"].items())
    click.echo(f"{output}: {numbers}")
