"""genoformer embed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pathlib import Path

    from genoformer.labelled.read import LabelledSequences
    from genoformer.models.encoder import Encoder


@click.command()
@click.argument("data", type=click.Path())
@click.option("-m", "--model", "model_name", metavar="MODEL", required=True,
              help="A language model or a fine-tuned one (its encoder): a folder, or a shipped name.")  # fmt: skip
@click.option("-f", "--fasta", type=click.Path(), help="The genome, where DATA is a BED.")
@click.option("-o", "--output", type=click.Path(), help=".npy (with .names.tsv beside it) or .parquet.")
@click.option("--pooling", type=click.Choice(["mean", "max", "cls", "tokens"]), default="mean", show_default=True,
              help="One vector a sequence, or one a token (Parquet only).")  # fmt: skip
@click.option("--layer", "layers", type=click.IntRange(min=0), multiple=True, metavar="N",
              help="After how many layers, 0 the embeddings; may be repeated.  [default: all]")  # fmt: skip
@click.option("--both-strands", is_flag=True, help="Mean of a sequence and its reverse complement.")
@click.option("--window", type=click.IntRange(min=1), metavar="BASES", help="Longer sequences are cut; the model's own.")
@click.option("--overlap", type=click.IntRange(min=0), metavar="BASES", help="Shared by two windows.  [default: half]")
@click.option("--pca", type=click.Path(), metavar="PNG", help="Draw the first two principal components.")
@click.option("--probe", is_flag=True, help="How well a linear model predicts the labels: JSON on stdout.")
@click.option("--valid", type=click.Path(), metavar="DATA", help="What the probe predicts, in place of a held-out fifth.")
@click.option("--task", type=click.Choice(["classify", "regress"]), default="classify", show_default=True,
              help="Of the probe.")  # fmt: skip
@click.option("--label", metavar="COLUMN", multiple=True, help="Label column; by default all whose name begins with label.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1 ...; auto takes a GPU where there is one.")
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]), default="float32", show_default=True)
def embed(
    data: str, model_name: str, fasta: str | None, output: str | None, layers: tuple[int, ...], pca: str | None, probe: bool,
    valid: str | None, task: str, label: tuple[str, ...], **options: Any,
) -> None:  # fmt: skip
    """Vectors of sequences: of DATA, a CSV or TSV (column sequence), a FASTA, or a BED with -f; labels are not needed.

    \b
    genoformer embed promoters.csv -m demo -o promoters.parquet --pca promoters.png
    genoformer embed train.csv -m demo --probe --valid dev.csv > probe.json
    genoformer embed peaks.bed -f genome.fa -m demo --layer 2 --layer 4 -o peaks.npy

    .npy is float32 [N, D], or [N, layers, D] for several; the names and labels of its rows are in .names.tsv. Parquet has
    columns name, the labels, and e0, e1 ..., and a row for each sequence, or token (with the bases it covers, start and
    end), and each layer. Sequences longer than the window (for a fine-tuned model its own, else what the model can hold)
    are cut into overlapping windows: the mean is over all their tokens, the maximum over all, cls the mean of theirs, and
    a token comes from the window in which it is farthest from an end.
    """
    import json
    from pathlib import Path

    from genoformer.errors import ConfigError
    from genoformer.labelled.read import read_labelled, read_sequences

    from .embedding_files import SUFFIXES, check_output, label_columns, write_vectors

    pooling, columns = options["pooling"], list(label) or None
    if not (output or pca or probe):
        raise ConfigError("nothing is asked for; name a file with -o or --pca, or give --probe.")
    if valid and not probe:
        raise ConfigError("--valid is what the probe predicts; give --probe too, or leave it out.")
    if pooling == "tokens" and (pca or probe):
        raise ConfigError("--pca and --probe need one vector a sequence; pool with mean, max or cls.")
    for path, suffixes in ((output, SUFFIXES if pooling != "tokens" else (".parquet",)), (pca, (".png",))):
        if path:
            check_output(Path(path), suffixes)
    given = (read_labelled if probe else read_sequences)(data, fasta=fasta, label=columns)
    held_out = read_labelled(valid, fasta=fasta, label=columns) if valid else None
    for note in [*given.notes, *(held_out.notes if held_out else ())]:
        click.echo(note, err=True)
    label_columns(given)  # refuses, before anything is computed, those that the output cannot hold

    model, options["window"], options["overlap"] = _encoder(model_name, options["window"], options["overlap"])
    chosen = list(dict.fromkeys(layers)) or [len(model.layers)]
    if pooling == "tokens":
        assert output
        _tokens(model, given, Path(output), chosen, options)
        return
    values = _vectors(model, given, chosen, options)
    if output:
        write_vectors(Path(output), given, values, chosen)
        click.echo(f"{output}: {len(given):,} sequences, {len(chosen)} x {values.shape[-1]} numbers each", err=True)
    if pca:
        _draw(Path(pca), values, given, chosen)
    if probe:
        others = _vectors(model, held_out, chosen, options) if held_out else None
        found = [
            {"layer": layer, **_probe(values[:, i], given, task, None if others is None else (others[:, i], held_out))}
            for i, layer in enumerate(chosen)
        ]
        click.echo(json.dumps(found[0] if len(found) == 1 else {"layers": found}, indent=1, allow_nan=False))


def _encoder(name: str, window: int | None, overlap: int | None) -> tuple[Encoder, int, int]:
    """The encoder of a model with its tokenizer, and the window and overlap: as asked, else the model's own."""
    from genoformer.errors import ConfigError
    from genoformer.inference import embedding_window
    from genoformer.models import checkpoint
    from genoformer.models.heads import Predictor

    if (checkpoint.find(name) / checkpoint.ENSEMBLE).is_file():
        raise ConfigError(f"{name} is a run of several models, whose vectors differ; name one of the folders in it.")
    model = checkpoint.load_any(name)
    if isinstance(model, Predictor):
        if window is None:
            window, overlap = model.config.window, model.config.overlap if overlap is None else overlap
        model.encoder.tokenizer = model.tokenizer
        model = model.encoder
    return model, *embedding_window(model, window, overlap)


def _vectors(model: Encoder, data: LabelledSequences, layers: list[int], options: dict[str, Any]) -> Any:
    """Vectors [N, n_layers, D]; says how many sequences were cut into windows."""
    import numpy as np

    from genoformer import inference
    from genoformer.progress import Progress

    from .progress import progress_bar

    found = []
    with progress_bar("windows") as watch, inference.borrowed(model, *_place(options)) as ready:
        for layer in layers:
            tell = (lambda done, n, stage=f"layer {layer}": watch(Progress(stage, done, n))) if watch else None
            found.append(
                inference.sequence_embeddings(
                    ready, data.sequences, layer=layer, on_done=tell,
                    **{key: options[key] for key in ("pooling", "window", "overlap", "both_strands")},
                )
            )
    _summary(model, data, layers, options, found[0].n_windowed)
    return np.stack([one.values for one in found], axis=1)


def _tokens(model: Encoder, data: LabelledSequences, output: Path, layers: list[int], options: dict[str, Any]) -> None:
    from genoformer import inference
    from genoformer.progress import Progress

    from .embedding_files import write_tokens
    from .progress import progress_bar

    keys = ("window", "overlap", "both_strands")
    with progress_bar("sequences") as watch, inference.borrowed(model, *_place(options)) as ready:
        streams = [
            inference.token_embeddings(ready, data.sequences, layer=layer, **{key: options[key] for key in keys})
            for layer in layers
        ]

        def each() -> Any:
            for i, found in enumerate(zip(*streams, strict=True), 1):
                yield found
                if watch:
                    watch(Progress("embed", i, len(data)))

        n = write_tokens(output, data, each(), layers, model.config.width)
    _summary(model, data, layers, options, sum(len(codes) > options["window"] for codes in data.sequences))
    click.echo(f"{output}: {n:,} rows", err=True)


def _place(options: dict[str, Any]) -> tuple[str, str]:
    from genoformer import inference

    return inference.best_device() if options["device"] == "auto" else options["device"], options["precision"]


def _summary(model: Encoder, data: LabelledSequences, layers: list[int], options: dict[str, Any], n_windowed: int) -> None:
    what = {"mean": "mean over tokens", "max": "maximum over tokens", "cls": "[CLS]", "tokens": "each token"}
    window, trained = options["window"], model.config.context_length
    cut = f", cut into windows that share {options['overlap']:,}" if n_windowed else ""
    click.echo(
        f"{data.path.name}: {len(data):,} sequences, width {model.config.width}, {what[options['pooling']]} after layer "
        f"{', '.join(map(str, layers))} of {len(model.layers)}{', both strands' * options['both_strands']}; "
        f"{n_windowed:,} longer than the window of {window:,} bases{cut}",
        err=True,
    )
    longest = min(window, max(map(len, data.sequences)))
    if longest > 2 * trained:
        click.echo(f"windows of up to {longest:,} bases, but the model is made for {trained:,}: it may not know what to do; "
                   "--window sets a shorter one", err=True)  # fmt: skip


def _draw(path: Path, values: Any, data: LabelledSequences, layers: list[int]) -> None:
    """A panel for each layer, three in a row."""
    from matplotlib.figure import Figure

    from genoformer import plots
    from genoformer.errors import ConfigError
    from genoformer.whole import whole_file

    if min(len(values), values.shape[-1]) < 2:
        raise ConfigError(f"{len(values):,} sequences of width {values.shape[-1]} have no two components; leave out --pca.")
    across = min(len(layers), 3)
    down = -(-len(layers) // across)
    figure = Figure(figsize=(4.4 * across + 1.6 * bool(data.columns), 4.2 * down), layout="constrained")
    labels = [row[0] for row in data.labels] if data.columns else None
    for i, layer in enumerate(layers):
        ax = figure.add_subplot(down, across, i + 1)
        plots.principal_components(
            ax, values[:, i], labels, name=data.columns[0] if data.columns else "", legend=i == min(across, len(layers)) - 1
        )
        ax.set_title(f"layer {layer}, n = {len(values):,}", loc="left", fontsize="small")
    with whole_file(path) as part:
        figure.savefig(part, dpi=150, format="png", metadata={"Software": None})  # the same bytes from the same numbers
    click.echo(f"{path}: principal components", err=True)


def _probe(values: Any, data: LabelledSequences, task: str, valid: tuple[Any, Any] | None) -> dict[str, Any]:
    from genoformer.evaluation.probe import probe
    from genoformer.labelled.targets import targets_of

    target = targets_of(data.labels, task, columns=data.columns)
    held_out = None
    if valid is not None:
        x, other = valid
        multi = target.kind == "multilabel"
        held_out = x, targets_of(other.labels, task, target.classes, columns=other.columns, multi_label=multi).values
    kind: Any = target.kind
    return probe(values, target.values, target.classes, kind=kind, valid=held_out)
