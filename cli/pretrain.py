"""Define the command genoformer pretrain."""

from __future__ import annotations

from typing import Any

import click

from . import options as shared
from .json_output import json_option, metric, print_json
from .training import command_line, logger_option, training_bar, training_imports
from .verbosity import Command, print_note


@click.command(cls=Command, short_help="Train a language model on genomes.")
@click.option("-f", "--fasta", multiple=True, type=click.Path(), help="Genome (FASTA) to train on; may be repeated.")
@click.option("-o", "--output", required=True, type=click.Path(), help="Folder for the model, its logs and figures.")
@click.option("-c", "--config", type=click.Path(), help="TOML with the tables [tokenizer], [model], [training], [genome].")
@click.option("-m", "--model", "start", type=shared.MODEL, help="Model to start from: its weights and its shape are used.")
@logger_option
@json_option
def pretrain(
    fasta: tuple[str, ...], output: str, config: str | None, start: str | None, loggers: tuple[str, ...], as_json: bool
) -> None:
    """Train a masked (or causal) language model on genomes.

    Repeat the same command to resume a run that was stopped or killed. A run that learned nothing, or got worse, is
    reported as failed, with status 1. To use several processes or machines:
    torchrun --nproc-per-node 8 -m genoformer_cli pretrain ...

    \b
    genoformer pretrain -f genome.fa -o my_model -c config.toml

    \b
    [tokenizer]
    tokenizer = "kmer"        # or "base", "blocks", "bpe"; alone: file = "tokenizer.json" of a model
    k = 6
    [model]                   # of EncoderConfig; family = "modernbert", "hybrid" ...: other shapes
    width = 160
    n_layers = 4
    n_heads = 5
    ffn_width = 480
    context_length = 192
    position = "rotary"
    norm = "pre"
    [training]                # any field of TrainingConfig
    max_steps = 5000
    batch_size = 48
    learning_rate = 2e-3
    precision = "bf16-mixed"
    [genome]                  # or [[genome]] for each of several
    valid_contigs = ["chr22"] # held out; by default the last contig, or the end of a single contig
    blacklist = "blacklist.bed"
    """
    from pathlib import Path

    from .output_lock import lock_outputs

    lock_outputs(output)
    with training_imports():
        from genoformer.training.config import PretrainConfig
        from genoformer.training.loggers import logged_to
        from genoformer.training.pretrain import pretrain as run
    plan = PretrainConfig.read(Path(config) if config else None).with_fastas([Path(path) for path in fasta])
    if config is None and start is None:
        print_note(
            f"no configuration is given: the model is DNABERT-6, 12 layers of 768, for {plan.training.max_steps:,} steps; "
            "on a laptop take a smaller one, -c with the TOML of genoformer pretrain -h."
        )
    with logged_to(loggers), training_bar(output) as hear:
        manifest = run(plan, Path(output), start=start, command=command_line(), progress=hear)
    if manifest is None:  # with several processes, only the first reports
        return
    if as_json:
        print_json(_numbers(output, manifest))
    else:
        click.echo(f"{output}: train_loss {manifest['metrics']['train_loss']:.4f}")
    if not as_json and (found := manifest.get("held_out")):
        own, best = found["model"], found["best_count_model"]
        click.echo(
            f"{output}: bits per base {_with_error(own)} on {own['bases']:,} held-out bases; "
            f"the best k-mer or Markov baseline, {best['name']}, {_with_error(best)}"
        )
    for warning in manifest["warnings"]:
        print_note(f"{output}: {warning}")
    for note in manifest["notes"]:
        click.echo(f"{output} FAILED: {note}", err=True)
    if manifest["notes"]:
        raise SystemExit(1)


def _numbers(output: str, manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the metrics of a run: the loss, and bits per base of the model and of the best baseline."""
    numbers = {"output": output, "train_loss": metric(manifest["metrics"]["train_loss"])}
    if held_out := manifest.get("held_out"):
        rows = {"model": held_out["model"], held_out["best_count_model"]["name"]: held_out["best_count_model"]}
        numbers["bits_per_base"] = {name: _interval(row) for name, row in rows.items()}
        numbers["held_out_bases"] = held_out["model"]["bases"]
    return numbers | {"failed": manifest["notes"]}


def _interval(row: dict[str, Any]) -> dict[str, float | None]:
    """Return bits per base with the 95 % interval of the normal distribution, 1.96 standard errors on either side."""
    bits, error = row["bits"], row["standard_error"]
    return metric(bits) if error is None else metric(bits, bits - 1.96 * error, bits + 1.96 * error)


def _with_error(row: dict[str, Any]) -> str:
    return f"{row['bits']:.4f}" + ("" if row["standard_error"] is None else f" ± {row['standard_error']:.4f}")
