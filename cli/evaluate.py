"""genoformer evaluate."""

from __future__ import annotations

import click

KNOWN = ("kmer_regression", "cnn", "lstm_attention")


@click.command()
@click.argument("data", type=click.Path())
@click.option("-m", "--model", "runs", metavar="RUN", multiple=True, required=True, help="Fine-tuned; several are averaged.")
@click.option("-o", "--output", type=click.Path(),
              help="Folder for metrics.json and the figures; a report there is replaced, nothing else.")  # fmt: skip
@click.option("-f", "--fasta", type=click.Path(), help="The genome, where DATA is a BED.")
@click.option("--label", metavar="COLUMN", multiple=True, help="Label column; by default all whose name begins with label.")
@click.option("--train", type=click.Path(), help="What the model was trained on: the baselines are trained on it too.")
@click.option("--baselines", help=f"Which, separated by commas; they need --train.  [default: {','.join(KNOWN)}]")
@click.option("--device", default="auto", show_default=True)
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]), default="float32", show_default=True)
def evaluate(
    data: str,
    runs: tuple[str, ...],
    output: str | None,
    fasta: str | None,
    label: tuple[str, ...],
    train: str | None,
    baselines: str | None,
    device: str,
    precision: str,
) -> None:
    """Metrics of a fine-tuned model on labelled sequences, as JSON, each with its bootstrap interval.

    With --train, a logistic regression on k-mers, a small CNN and a BiLSTM with attention are trained on the same
    sequences, so that it shows what the transformer buys. Exit status 1 if the model predicts one class for everything.

    \b
    genoformer evaluate test.tsv -m promoters -o report --train train.tsv > metrics.json
    """
    import json
    from pathlib import Path

    from genoformer import inference
    from genoformer.evaluation.run import evaluate_models, named
    from genoformer.labelled.read import read_labelled

    columns = list(label) or None
    models = named(runs)
    several = any(model.config.kind == "multilabel" for model in models.values())
    given = read_labelled(data, fasta=fasta, label=columns, multi_label=several)
    for note in given.notes:
        click.echo(note, err=True)
    found = evaluate_models(
        models, given,
        train=read_labelled(train, fasta=fasta, label=columns, multi_label=several) if train else None,
        baselines=(KNOWN if train else ()) if baselines is None else [n for n in baselines.split(",") if n],
        out=Path(output) if output else None,
        device=inference.best_device() if device == "auto" else device, precision=precision,
        tell=lambda text: click.echo(text, err=True),
    )  # fmt: skip
    click.echo(json.dumps(found, indent=1, allow_nan=False))
    for note in [*found["warnings"], *found["notes"]]:
        click.echo(note, err=True)
    for name, n in found["windowed"].items():
        if n:
            click.echo(f"{n:,} sequences were longer than the window of {name} and were cut into overlapping windows", err=True)
    if found["collapsed"]:
        raise SystemExit(1)
