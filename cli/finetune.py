"""Define the command genoformer finetune."""

from __future__ import annotations

from typing import Any

import click

from . import options as shared
from .json_output import json_option, metric, print_json
from .training import command_line, logger_option, training_bar, training_imports
from .verbosity import Command, print_note


@click.command(cls=Command, short_help="Train a classifier, a regression or a track model.")
@click.argument("train", metavar="DATA", type=click.Path())
@click.option("-m", "--model", type=shared.MODEL, multiple=True, help="Model to start from; several give an ensemble.")
@click.option("-o", "--output", type=click.Path(), help="Folder for the fine-tuned model.")
@click.option(
    "--task",
    type=click.Choice(["classify", "regress", "tracks"]),
    default="classify",
    show_default=True,
    help="Kind of target: classes, values or tracks.",
)
@click.option("--valid", type=click.Path(), help="Labelled sequences to validate on; without it, a tenth of DATA is held out.")
@click.option(
    "-f",
    "--fasta",
    type=click.Path(),
    help="Reference genome (FASTA) of a BED; with --task tracks and [distil], genome of unlabelled windows.",
)
@shared.label
@click.option(
    "--multi-label",
    is_flag=True,
    default=None,
    help="Allow any number of classes per sequence: a;b is both, an empty label or ; is none. Detected automatically if "
    "a label contains a semicolon.",
)
@click.option(
    "--seeds", default=1, show_default=True, help="Number of seeds to train with; several give a mean and an interval."
)
@click.option(
    "-c",
    "--config",
    type=click.Path(),
    help="TOML with the table [finetune]; from scratch also [tokenizer] and [model], and [pretrain] and [distil] as stages.",
)
@click.option(
    "--recipe",
    metavar="NAME",
    help="Bundled configuration in place of -c: short, short-few, middle, middle-few, long, long-few (by length and number of "
    "sequences), prom_core_all, prom_300_tata, tf_0, mouse_0 (sets of GUE).  [default without -m and -c: by DATA]",
)
@click.option(
    "--distil",
    type=shared.MODEL,
    help="Trained model, or run of several, whose predictions become part of the labels or tracks, by [distil] weight.",
)
@click.option(
    "--tune",
    type=click.Choice(["full", "last", "norms", "frozen", "lora"]),
    help="Parameters trained in addition to the head; norms: the layer norms.",
)
@click.option("--epochs", type=float, help="Maximum number of passes over DATA.")
@click.option("--learning-rate", type=float, help="Peak learning rate, reached after the warm-up.")
@click.option("--batch-size", type=int, help="Examples per training step.")
@shared.strand_with_default("forward, for tracks both", "Train on either strand and average both")
@click.option(
    "--class-weights",
    type=click.Choice(["none", "balanced"]),
    help="Class weights; balanced gives rare classes a larger weight.",
)
@click.option(
    "--contexts",
    type=click.Path(),
    metavar="TSV",
    help="Table of contexts, such as cell types, for --task tracks: train a head that predicts the tracks of a context from "
    "its numbers, also for new contexts. Columns: context, a name that is part of the names of its tracks, and numbers.",
)
@click.option(
    "--context-head",
    type=click.Choice(["linear", "attention"]),
    help="Head for --contexts: a linear head whose weights the numbers generate, or bins that attend to the numbers.  "
    "[default: linear]",
)
@click.option(
    "--organism", metavar="NAME", help="Organism of the tracks, for AlphaGenome: human or mouse.  [default: its first]"
)
@click.option("--monitor", metavar="METRIC", help="Metric for checkpoint selection: mcc, auroc, f1, pearson, loss ...")
@click.option("--precision", metavar="NAME", help="Training precision: 32-true, bf16-mixed ..., or auto.")
@click.option("--seed", type=int, help="Random seed of the sampling and of new weights.")
@click.option("--plan", is_flag=True, help="Print parameters, memory and time of a step, then exit; only with --task tracks.")
@logger_option
@json_option
def finetune(train: str, output: str | None, task: str, plan: bool, as_json: bool, **options: Any) -> None:
    """Train a model to classify sequences, to predict a value for each sequence, or to predict tracks.

    DATA is CSV or TSV (columns sequence and label), FASTA (>name label=promoter, >name|promoter, or >name|0|1|1 for three
    labels), or BED with -f. Classes are taken from the labels. Sequences longer than the model's window are cut into
    overlapping windows. A run that predicts one class for all sequences is reported as failed, with status 1. Repeat the
    same command to resume a run that was stopped or killed. Without -m and -c, a recipe for the number and the length of
    the sequences trains a model from scratch.

    With --task tracks, DATA is a folder written by `genoformer data tracks`, which defines the validation windows. -m is a
    track model to start from, and the TOML has [tracks], from scratch [model], and [distil] to learn from the mean of
    several models. The command prints Pearson's r of each group of tracks on the validation windows, over positions and
    over windows.

    \b
    genoformer finetune train.tsv --valid valid.tsv -m mini-human -o promoters
    genoformer finetune train.tsv -m mini-human -o lora --tune lora --seeds 3
    genoformer finetune train.tsv --valid valid.tsv -o promoters --recipe short
    genoformer finetune set --task tracks -c tracks.toml -o run
    genoformer finetune set --task tracks -m run/ --tune frozen --contexts cells.tsv -o cells
    """
    if output is None and not plan:
        raise click.UsageError("Missing option '-o' / '--output'.")
    if task == "tracks":
        _tracks(train, None if plan else output, options, as_json=as_json)
    elif plan:
        raise click.UsageError("--plan is for --task tracks.")
    else:
        assert output is not None
        _classes_or_values(train, output, {"task": task, **options}, as_json=as_json)


def _classes_or_values(train: str, output: str, options: dict[str, Any], *, as_json: bool) -> None:
    """Train on labelled sequences and print metrics; exit with status 1 if a model predicts one class for all sequences."""
    from .output_lock import lock_outputs

    lock_outputs(output)
    with training_imports():
        from genoformer.training.finetune import finetune as run
        from genoformer.training.jobs import FinetuneJob
        from genoformer.training.loggers import logged_to
    loggers = options.pop("loggers")
    job = FinetuneJob.from_names(train, output, command=command_line(), **options)
    for note in [*job.train.notes, *(job.valid.notes if job.valid else ())]:
        print_note(note)
    with logged_to(loggers), training_bar(output) as listen:
        done = run(job, progress=listen, on_note=print_note)
    if done is not None:  # with several processes, only the first reports
        _report(done, as_json=as_json)


def _report(done: Any, *, as_json: bool) -> None:
    """Print the metrics of the models of a run; exit with status 1 if one predicts one class for all sequences."""
    for note in done.notes:
        print_note(note)
    if as_json:
        several = {"over_members": done.over_members, "ensemble": done.ensemble} if len(done.members) > 1 else {}
        print_json({"members": done.members, **several})
    else:
        _print_metrics(done)
    for member in done.failed:
        click.echo(f"{member.folder} FAILED: {' '.join(member.notes)}", err=True)
    if done.failed:
        raise SystemExit(1)


def _print_metrics(done: Any) -> None:
    for member in done.members:
        for name in done.reported:
            click.echo(f"{member.folder}\t{name}\t{member.metrics[name]}")
    if len(done.members) > 1:
        for name in done.reported:
            click.echo(f"mean of {len(done.members)} models\t{name}\t{done.over_members[name]}")
            click.echo(f"their average prediction\t{name}\t{done.ensemble[name]}")


def _tracks(data: str, output: str | None, options: dict[str, Any], *, as_json: bool) -> None:
    """Train on a set of tracks and print Pearson's r; without an output, print parameters, memory and time instead."""
    from .output_lock import lock_outputs

    lock_outputs(output)
    with training_imports():
        from genoformer.training.jobs import TrackTrainingJob
        from genoformer.training.loggers import logged_to
        from genoformer.training.track_plan import plan_tracks
        from genoformer.training.tracks import train_tracks
    loggers = options.pop("loggers")
    job = TrackTrainingJob.from_names(data, output, command=command_line(), **options)
    if output is None:
        click.echo(plan_tracks(job).text())
        return
    with logged_to(loggers), training_bar(output) as listen:
        done = train_tracks(job, progress=listen, on_note=print_note)
    if done is None:  # with several processes, only the first reports
        return
    for note in done.notes:
        print_note(note)
    print_note(f"{done.folder}: the weights are those of step {done.step:,}")
    if as_json:
        print_json(_track_numbers(done))
        return
    if done.fit is not None or done.test is not None:
        click.echo("split\tgroup\ttracks\tpearson_positions\tpearson_windows")
    for split, fit in (("valid", done.fit), ("test", done.test)):
        for name, (n, positions, windows) in fit.by_group(done.groups).items() if fit is not None else ():
            click.echo(f"{split}\t{name or '-'}\t{n}\t{positions:.4f}\t{windows:.4f}")
    if done.fit is not None or done.test is not None:
        print_note(f"each track: {done.folder}/pearson.*.tsv")


def _track_numbers(done: Any) -> dict[str, Any]:
    """Return Pearson's r of each group of tracks in each split, over positions and over windows."""
    fits = {split: fit.by_group(done.groups) for split, fit in (("valid", done.fit), ("test", done.test)) if fit is not None}
    groups = {
        split: {
            name or "-": {"tracks": n, "pearson_positions": metric(positions), "pearson_windows": metric(windows)}
            for name, (n, positions, windows) in of.items()
        }
        for split, of in fits.items()
    }
    return {"output": done.folder, "step": done.step, "groups": groups}
