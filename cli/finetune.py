"""genoformer finetune."""

from __future__ import annotations

from typing import Any

import click


@click.command()
@click.argument("train", metavar="DATA", type=click.Path())
@click.option("-m", "--model", "starts", metavar="MODEL", multiple=True, help="Go on from it; several give an ensemble.")
@click.option("-o", "--output", required=True, type=click.Path(), help="Folder for the fine-tuned model.")
@click.option("--task", type=click.Choice(["classify", "regress"]), default="classify", show_default=True)
@click.option("--valid", type=click.Path(), help="Labelled sequences to validate with; without it a tenth of DATA is held out.")
@click.option("-f", "--fasta", type=click.Path(), help="The genome, where DATA is a BED.")
@click.option("--label", metavar="COLUMN", multiple=True, help="Label column; by default all whose name begins with label.")
@click.option("--multi-label", is_flag=True, default=None,
              help="Any number of classes a sequence: a;b is both, an empty label or ; none. Seen by itself where a label "
              "holds a semicolon.")  # fmt: skip
@click.option("--seeds", default=1, show_default=True, help="Train with so many seeds; gives mean and interval.")
@click.option("-c", "--config", type=click.Path(), help="TOML: [finetune]; from scratch also [tokenizer], [encoder].")
@click.option("--tune", type=click.Choice(["full", "last", "frozen", "lora"]), help="What is trained beside the head.")
@click.option("--epochs", type=float, help="Passes over DATA, at most.")
@click.option("--learning-rate", type=float)
@click.option("--batch-size", type=int)
@click.option("--both-strands", is_flag=True, default=None, help="The label does not depend on the strand.")
@click.option("--class-weights", type=click.Choice(["none", "balanced"]))
@click.option("--monitor", metavar="METRIC", help="What the best step is chosen by: mcc, auroc, f1, pearson, loss ...")
@click.option("--precision", metavar="NAME", help="32-true, bf16-mixed ...")
@click.option("--seed", type=int)
def finetune(
    train: str,
    starts: tuple[str, ...],
    output: str,
    task: str,
    valid: str | None,
    fasta: str | None,
    label: tuple[str, ...],
    multi_label: bool | None,
    seeds: int,
    config: str | None,
    **changed: Any,
) -> None:
    """Train a model to classify sequences, or to predict values of them.

    DATA is CSV or TSV (columns sequence and label), FASTA (>name label=promoter), or BED with -f. Classes are taken
    from the labels. Sequences longer than the model's window are cut into overlapping windows. The run is reported
    as failed, with status 1, if it predicts one class for everything.

    \b
    genoformer finetune train.tsv --valid valid.tsv -m mini-human -o promoters
    genoformer finetune train.tsv -m mini-human -o lora --tune lora --seeds 3
    """
    from pathlib import Path

    from .progress import progress_bar
    from .score import command_line
    from .training import training_imports

    with training_imports():
        from genoformer.training.config import FinetuneConfig
        from genoformer.training.finetune import finetune as run
    from genoformer.labelled.read import read_labelled

    given = {name: value for name, value in changed.items() if value is not None}
    plan = FinetuneConfig.read(Path(config) if config else None, **given)
    columns = list(label) or None
    data = read_labelled(train, fasta=fasta, label=columns, multi_label=bool(multi_label))
    held = read_labelled(valid, fasta=fasta, label=columns, multi_label=bool(multi_label)) if valid else None
    for note in [*data.notes, *(held.notes if held else ())]:
        click.echo(note, err=True)
    with progress_bar("steps") as listen:
        done = run(
            plan, data, held, Path(output), task=task, starts=starts, n_seeds=seeds, multi_label=multi_label,
            command=command_line(), listen=listen,
        )  # fmt: skip
    if done is None:  # of several processes only the first reports
        return
    for note in done.notes:
        click.echo(note, err=True)
    main = next(iter(m for m in ("mcc", "auroc", "pearson") if m in done.ensemble))
    for member in done.members:
        click.echo(f"{member.folder}\t{main}\t{member.metrics[main]}")
    if len(done.members) > 1:
        mean = done.over_members[main]
        click.echo(f"mean of {len(done.members)} models\t{main}\t{mean}")
        click.echo(f"their average prediction\t{main}\t{done.ensemble[main]}")
    for member in done.failed:
        click.echo(f"{member.folder} FAILED: {' '.join(member.notes)}", err=True)
    if done.failed:
        raise SystemExit(1)
