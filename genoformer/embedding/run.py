"""embed_sequences(): sequences + a language model -> their vectors -> files, a figure, a linear probe of the labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer import inference, plots
from genoformer.datasets.sequences import LabelledSequences
from genoformer.datasets.targets import Targets, targets_of
from genoformer.embedding.files import SUFFIXES, check_output, label_columns, write_tokens, write_vectors
from genoformer.errors import ConfigError
from genoformer.evaluation.examples import Kind
from genoformer.evaluation.probe import check_probe, probe
from genoformer.files import save_figure
from genoformer.models import registry
from genoformer.models.base import READS_TOKENS
from genoformer.models.heads import SequenceClassifier
from genoformer.models.token_model import TokenModel
from genoformer.models.transformer.model import Encoder
from genoformer.progress import Progress, ProgressCallback

_MEANING = {"mean": "mean over tokens", "max": "maximum over tokens", "cls": "[CLS]", "tokens": "each token"}


@dataclass(frozen=True)
class EmbeddingOptions:
    """Vectors to compute and outputs to write; options that conflict or cannot be written raise ConfigError."""

    output: Path | None = None  # .npy (with a .names.tsv) or .parquet; only .parquet for tokens
    pca: Path | None = None  # .png
    probe: Literal["classify", "regress"] | None = None  # linear model of the labels
    pooling: Literal["mean", "max", "cls", "tokens"] = "mean"  # as in `inference.sequence_embeddings`, or one vector per token
    layers: tuple[int, ...] = ()  # output after this many layers, 0 = embeddings; empty = after all
    window: int | None = None  # bases; None: the model's own
    overlap: int | None = None  # bases that two windows share; None: the model's own, or half
    both_strands: bool = False  # mean of a sequence and its reverse complement
    device: str = "cpu"
    precision: str = "float32"

    def __post_init__(self) -> None:
        if not (self.output or self.pca or self.probe):
            raise ConfigError("nothing is asked for; name a file with -o or --pca, or give --probe.")
        if self.pooling == "tokens" and (self.pca or self.probe):
            raise ConfigError("--pca and --probe need one vector a sequence; pool with mean, max or cls.")
        if self.output:
            check_output(self.output, SUFFIXES if self.pooling != "tokens" else (".parquet",))
        if self.pca:
            check_output(self.pca, (".png",))


class Embedded(NamedTuple):
    """Notes on the run, and for each layer the result of `evaluation.probe.probe` with "layer"; empty without a probe."""

    notes: list[str]
    probes: list[dict[str, Any]]


def embed_sequences(
    data: LabelledSequences,
    model: str | Path | Encoder,
    options: EmbeddingOptions,
    *,
    valid: LabelledSequences | None = None,
    progress: ProgressCallback = None,
) -> Embedded:
    """Embed sequences of any length; write, draw and probe the vectors as `options` request.

    model: a language model or a fine-tuned one (its encoder, and its window), or the name or folder of one. valid: sequences
    on which the probe is tested, in place of a held-out fifth of `data`. progress: called after windows, or after sequences
    if each token has a vector. Memory holds all vectors [N, n_layers, D], but not vectors of tokens, which are written as
    they are computed.

    Raises ConfigError, before anything is computed, for options that the model or the data do not support.

    >>> import tempfile
    >>> from genoformer.datasets.sequences import read_sequences
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fasta, output = Path(folder, "a.fa"), Path(folder, "a.npy")
    ...     _ = fasta.write_text(">one\\nGATTACA\\n>two\\nACGT\\n")
    ...     made = embed_sequences(read_sequences(fasta), "demo", EmbeddingOptions(output))
    ...     np.load(output).shape, made.notes[0][:60]
    ((2, 160), 'a.fa: 2 sequences, width 160, mean over tokens after layer 4')
    """
    if valid is not None and options.probe is None:
        raise ConfigError("--valid is what the probe predicts; give --probe too, or leave it out.")
    label_columns(data)  # refuses labels that the output cannot hold
    reader = _reader(model, options)
    if options.pca and min(len(data), reader.model.config.width) < 2:
        raise ConfigError(
            f"{len(data):,} sequences of width {reader.model.config.width} have no two components; leave out --pca."
        )
    asked = _asked(options.probe, data, valid) if options.probe else None
    if options.pooling == "tokens":
        return Embedded(_tokens(reader, data, options, progress), [])
    values, notes = _vectors(reader, data, options, progress)
    if options.output:
        write_vectors(options.output, data, values, reader.layers)
        notes.append(f"{options.output}: {len(data):,} sequences, {len(reader.layers)} x {values.shape[-1]} numbers each")
    if options.pca:
        _draw(options.pca, values, data, reader.layers)
        notes.append(f"{options.pca}: principal components")
    if asked is None:
        return Embedded(notes, [])
    others = None
    if valid is not None:
        others, said = _vectors(reader, valid, options, progress, "valid, ")
        notes += said
    probes = []
    for i, layer in enumerate(reader.layers):
        held_out = None if others is None or asked.valid is None else (others[:, i], asked.valid)
        found = probe(values[:, i], asked.targets.values, asked.targets.classes, kind=asked.kind, valid=held_out)
        probes.append({"layer": layer, **found})
    return Embedded(notes, probes)


class _Reader(NamedTuple):
    """A model with its tokenizer, the layers whose output is used, and the windows of its input."""

    model: Encoder
    layers: list[int]
    window: int
    overlap: int
    made_for: int  # bases of the windows in its training


def _reader(model: str | Path | Encoder, options: EmbeddingOptions) -> _Reader:
    window, overlap, made_for = options.window, options.overlap, 0
    if not isinstance(model, Encoder):
        loaded = registry.load(model, READS_TOKENS)
        if isinstance(loaded, SequenceClassifier):
            made_for = loaded.config.window
            if window is None:
                window, overlap = loaded.config.window, loaded.config.overlap if overlap is None else overlap
        model = loaded.encoder
    assert isinstance(model, TokenModel)
    window, overlap = inference.embedding_window(model, window, overlap)
    made_for = max(made_for, model.config.context_length)
    n_layers = len(model.layers)
    if bad := [layer for layer in options.layers if not 0 <= layer <= n_layers]:
        raise ConfigError(f"layer {bad[0]}: this model has layers 0 (the embeddings) to {n_layers}.")
    return _Reader(model, list(dict.fromkeys(options.layers)) or [n_layers], window, overlap, made_for)


def _vectors(
    reader: _Reader, data: LabelledSequences, options: EmbeddingOptions, progress: ProgressCallback, stage: str = ""
) -> tuple[inference.Floats, list[str]]:
    """Return vectors [N, n_layers, D] and notes on them."""
    assert options.pooling != "tokens"
    found = []
    with inference.evaluating(reader.model, options.device, options.precision) as model:
        for layer in reader.layers:
            name = f"{stage}layer {layer}"
            tell = None if progress is None else lambda done, n, name=name: progress(Progress(name, done, n))
            one = inference.sequence_embeddings(
                model,
                data.sequences,
                pooling=options.pooling,
                layer=layer,
                window=reader.window,
                overlap=reader.overlap,
                both_strands=options.both_strands,
                progress=tell,
            )
            found.append(one)
    return np.stack([one.values for one in found], axis=1), _summary(reader, data, options, found[0].n_windowed)


def _tokens(reader: _Reader, data: LabelledSequences, options: EmbeddingOptions, progress: ProgressCallback) -> list[str]:
    """Write a vector for each token as it is computed, and return notes."""
    assert options.output is not None
    with inference.evaluating(reader.model, options.device, options.precision) as model:
        streams = [
            inference.token_embeddings(
                model,
                data.sequences,
                layer=layer,
                window=reader.window,
                overlap=reader.overlap,
                both_strands=options.both_strands,
            )
            for layer in reader.layers
        ]

        def each() -> Iterator[tuple[inference.TokenEmbeddings, ...]]:
            for i, found in enumerate(zip(*streams, strict=True), 1):
                yield found
                if progress is not None:
                    progress(Progress("embed", i, len(data)))

        n = write_tokens(options.output, data, each(), reader.layers, model.config.width)
    n_windowed = sum(len(codes) > reader.window for codes in data.sequences)
    return [*_summary(reader, data, options, n_windowed), f"{options.output}: {n:,} rows"]


def _summary(reader: _Reader, data: LabelledSequences, options: EmbeddingOptions, n_windowed: int) -> list[str]:
    config, window = reader.model.config, reader.window
    cut = f", cut into windows that share {reader.overlap:,}" if n_windowed else ""
    notes = [
        f"{data.path.name}: {len(data):,} sequences, width {config.width}, {_MEANING[options.pooling]} after layer "
        f"{', '.join(map(str, reader.layers))} of {len(reader.model.layers)}{', both strands' * options.both_strands}; "
        f"{n_windowed:,} longer than the window of {window:,} bases{cut}"
    ]
    longest = min(window, max(map(len, data.sequences)))
    if longest > reader.made_for:
        notes.append(
            f"windows of up to {longest:,} bases, but the model is made for {reader.made_for:,}: it may not know what "
            "to do; --window sets a shorter one"
        )
    return notes


def _draw(path: Path, values: inference.Floats, data: LabelledSequences, layers: list[int]) -> None:
    """Draw principal components of vectors [N, n_layers, D]: a panel per layer, three in a row."""
    from matplotlib.figure import Figure

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
    save_figure(figure, path)


class _Asked(NamedTuple):
    """Targets of the probe, and the targets of the held-out data if there are any."""

    kind: Kind
    targets: Targets
    valid: NDArray[Any] | None


def _asked(task: str, data: LabelledSequences, valid: LabelledSequences | None) -> _Asked:
    targets = targets_of(data.labels, task, columns=data.columns)
    kind: Any = targets.kind
    check_probe(targets.values, kind=kind, n_outputs=targets.n_outputs, held_out=valid is None)
    if valid is None:
        return _Asked(kind, targets, None)
    multi = kind == "multilabel"
    known = targets_of(valid.labels, task, targets.classes, columns=valid.columns, multi_label=multi)
    return _Asked(kind, targets, known.values)
