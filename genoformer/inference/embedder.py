"""EmbeddingRequest, and embedders: a model and its windows -> vectors of sequences -> files, a figure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import numpy as np

from genoformer import __version__, plots
from genoformer.compute import IN_PROCESS, THREADS, Compute, InputParts, MemoryStore, PartedRun, resumable, resumed_threads
from genoformer.compute.partition import reused_note
from genoformer.datasets.sequence_rows import LabelledSequences
from genoformer.errors import ConfigError, OptionError
from genoformer.files import save_figure
from genoformer.genome.codes import Codes
from genoformer.genome.wording import counted
from genoformer.inference.class_windows import ValueFolder
from genoformer.inference.embedding_parts import TokenFolder, TokenPart, TokenTask, VectorTask, sequence_parts
from genoformer.inference.embeddings import TokenEmbeddings, WindowSize, embedding_window, sequence_embeddings, token_embeddings
from genoformer.inference.runtime import CPU, Floats, Runtime, evaluating, n_cores, sha256_of_arrays
from genoformer.models.base import Classifies, Model, has
from genoformer.models.token_model import TokenModel
from genoformer.option_checks import Strand, check_choice, check_kind, check_number, whole_numbers
from genoformer.progress import Progress, ProgressCallback, Stage
from genoformer.resume_folder import ResumeFolder
from genoformer.writers.embeddings import SUFFIXES, check_output, label_columns, write_tokens, write_vectors

Folder = TypeVar("Folder", bound=ResumeFolder)
Pooling = Literal["mean", "max", "cls", "tokens"]
_MEANING = {"mean": "mean over tokens", "max": "maximum over tokens", "cls": "[CLS]", "tokens": "each token"}


@dataclass(frozen=True)
class EmbeddingRequest:
    """Vectors to compute and files to write; options that conflict or cannot be written raise ConfigError."""

    model: str | Path | Model  # of a fine-tuned model: its encoder, and its window; of a track model: the input of its heads
    pooling: Pooling = "mean"  # to one vector per sequence as in `sequence_embeddings`; "tokens": one vector per token
    layers: tuple[int, ...] = ()  # output after this many layers, 0 = embeddings; empty = after all
    window: int | None = None  # bases; None: the model's own
    overlap: int | None = None  # bases that two windows share; None: the model's own, or half
    head: str | None = None  # of a track model, whose bins have the vectors; None: any, if all have the same bins
    strand: Strand = "forward"  # "both": mean of a sequence and its reverse complement
    output: str | Path | None = None  # .npy (with a .names.tsv) or .parquet; only .parquet for tokens
    pca: str | Path | None = None  # .png or .svg
    part_size: int | None = None  # sequences in a part; None: at most 4,096, fewer if they are long
    runtime: Runtime = CPU
    compute: Compute = IN_PROCESS

    def __post_init__(self) -> None:
        check_number("part_size", self.part_size, 1, "sequences")
        for name in ("output", "pca"):
            check_kind(name, getattr(self, name), (str, Path), "the path of a file")
        check_kind("head", self.head, str, "the name of a head")
        check_choice("pooling", self.pooling, _MEANING)
        check_number("window", self.window, 1, "bases")
        check_number("overlap", self.overlap, 0, "bases")
        check_choice("strand", self.strand, get_args(Strand))
        whole_numbers("layers", self.layers or (0,), "0,4")
        if self.pooling == "tokens" and self.pca:
            raise OptionError("pca", "needs one vector per sequence, found one per token; pool with mean, max or cls.")
        if self.output:
            check_output(Path(self.output), SUFFIXES if self.pooling != "tokens" else (".parquet",))
        if self.pca:
            check_output(Path(self.pca), (".png", ".svg"))

    @property
    def both_strands(self) -> bool:
        """True for the mean of both strands."""
        return self.strand == "both"


class Embeddings(NamedTuple):
    """Vectors [N, n_layers, D] of sequences after some layers, and notes on the run; None if each token has a vector."""

    layers: list[int]
    values: Floats | None
    notes: list[str]


class Embedder(ABC):
    """A model, the windows of its input, and vectors of sequences or of their tokens or bins."""

    request: EmbeddingRequest
    layers: list[int]  # numbers of the layers after which vectors are taken
    least_bases = 0  # bases that a short sequence costs

    @property
    @abstractmethod
    def width(self) -> int:
        """Number of channels of a vector."""

    @abstractmethod
    def vectors(self, sequences: Sequence[Codes], progress: ProgressCallback = None, stage: str = "") -> Floats:
        """Return one vector per sequence and layer, [N, n_layers, D]; `stage` is the beginning of the stages of progress."""

    @abstractmethod
    def tokens(self, sequences: Sequence[Codes]) -> Iterator[tuple[TokenEmbeddings, ...]]:
        """Yield the vectors of the tokens or bins of each sequence, one for each layer."""

    @abstractmethod
    def summary(self, data: LabelledSequences) -> list[str]:
        """Return notes on the vectors of the sequences."""

    def check(self, data: LabelledSequences) -> None:
        """Raise ConfigError for data whose vectors could not be written or drawn."""
        label_columns(data)
        width = self.width
        if self.request.pca and min(len(data), width) < 2:
            problem = f"needs two components, but {len(data):,} sequences of width {width} have no two; leave it out."
            raise OptionError("pca", problem)

    @property
    @abstractmethod
    def sha256(self) -> str | None:
        """Hash of the weights; None for a model that is not from a file."""

    def embed(self, data: LabelledSequences, progress: ProgressCallback = None, *, keep: bool = True) -> Embeddings:
        """Compute the vectors of all sequences; write and draw them as the request says.

        Finished parts are kept next to the output until it is complete, so that the same request resumes an interrupted run.
        A shard computes its parts only. keep: return the vectors; without it, memory holds one part of them.
        """
        request, is_shard = self.request, self.request.compute.shard is not None
        anchor = request.output or request.pca
        output = Path(anchor) if anchor else None
        n_threads = request.compute.n_threads(resumed_threads(output), n_cores())
        if request.pooling == "tokens":
            if output is None:
                raise OptionError("output", "is None, expected a .parquet for the many vectors of tokens; name one.")
            with self._store(TokenFolder, data, output, n_threads) as tokens_store:
                run = self._token_run(data, tokens_store, n_threads)
                stage = Stage(progress, "embed", len(data))
                if is_shard:
                    return Embeddings(self.layers, None, [run.compute_shard(output, stage)])
                tokens = (of_layers for _, part in run.results(stage) for of_layers in part)
                n = write_tokens(output, data, tokens, self.layers, self.width)
            return Embeddings(self.layers, None, [*self._resumed(tokens_store), *self.summary(data), f"{output}: {n:,} rows"])
        with self._store(ValueFolder, data, output, n_threads) as store:
            windows = progress if self._shows_windows(data) else None
            vectors = self._vector_run(data, store, VectorTask(self, n_threads, windows))
            stage = Stage(None if windows else progress, "embed", len(data))
            if is_shard:
                assert output is not None  # the store has refused it
                return Embeddings(self.layers, None, [vectors.compute_shard(output, stage)])
            values, notes = self._write(data, (part for _, part in vectors.results(stage)), keep=keep)
        return Embeddings(self.layers, values, [*self._resumed(store), *notes])

    def vectors_of(self, sequences: Sequence[Codes], progress: ProgressCallback = None) -> Floats:
        """Return one vector per sequence and layer, [N, n_layers, D], computed by the processes of the request.

        progress: called after windows; with several processes after parts of the sequences.
        """
        compute = self.request.compute
        if not compute.is_parallel:
            return self.vectors(sequences, progress)
        compute.refuse_shard("an array in memory")
        names = tuple(map(str, range(1, len(sequences) + 1)))
        data = LabelledSequences(names, tuple(sequences), ((),) * len(names), (), Path("sequences"))
        run = self._vector_run(data, MemoryStore(), VectorTask(self, compute.n_threads(None, n_cores())))
        return np.concatenate([part for _, part in run.results(Stage(progress, "embed", len(data)))])

    def _write(self, data: LabelledSequences, parts: Iterator[Floats], *, keep: bool) -> tuple[Floats | None, list[str]]:
        """Write and draw the vectors of all parts; return the vectors, if they are kept, and notes."""
        request, notes, n_layers = self.request, self.summary(data), len(self.layers)
        values = None
        if keep or request.pca or not request.output:
            values = np.concatenate(list(parts))
            parts = iter([values])
        if request.output:
            write_vectors(Path(request.output), data, parts, self.layers, self.width)
            notes.append(f"{request.output}: {counted(len(data), 'sequence')}, {n_layers} x {self.width} numbers each")
        if request.pca:
            assert values is not None
            draw_components(Path(request.pca), values, data, self.layers)
            notes.append(f"{request.pca}: principal components")
        return values, notes

    def _parts(self, data: LabelledSequences) -> InputParts[Sequence[Codes]]:
        request = self.request
        tokens, least = request.pooling == "tokens", self.least_bases
        return InputParts(
            lambda: sequence_parts(data.sequences, n=request.part_size, tokens=tokens, at_least=least), request.compute.shard
        )

    def _shows_windows(self, data: LabelledSequences) -> bool:
        """True if progress counts the windows of the only part, not the sequences of finished parts."""
        return not self.request.compute.is_parallel and len(list(islice(self._parts(data).parts(), 2))) < 2

    def _vector_run(
        self, data: LabelledSequences, store: ValueFolder | MemoryStore[Floats], task: VectorTask
    ) -> PartedRun[Sequence[Codes], Floats]:
        return PartedRun(self._parts(data), task, store, self.request.compute)

    def _token_run(
        self, data: LabelledSequences, store: TokenFolder | MemoryStore[TokenPart], n_threads: int
    ) -> PartedRun[Sequence[Codes], TokenPart]:
        return PartedRun(self._parts(data), TokenTask(self, n_threads), store, self.request.compute)

    @contextmanager
    def _store(
        self, kind: type[Folder], data: LabelledSequences, output: Path | None, n_threads: int
    ) -> Iterator[Folder | MemoryStore[Any]]:
        """Yield the resume folder of an output, removed after success; without an output or weights from a file, memory."""
        compute = self.request.compute
        if output is None or not self.sha256:
            compute.refuse_shard("no output file" if output is None else "a model in memory")
            yield MemoryStore()
            return
        with resumable(kind(output, self._fingerprint(data, n_threads)), output, compute) as folder:
            yield folder

    def _fingerprint(self, data: LabelledSequences, n_threads: int) -> dict[str, str]:
        """Return what the vectors depend on."""
        request = self.request
        names = ("pooling", "window", "overlap", "head", "strand", "part_size")
        return {
            "sequences": sha256_of_arrays(data.sequences),
            "model": self.sha256 or "",
            "layers": ",".join(map(str, self.layers)),
            **{name.replace("_", " "): str(getattr(request, name)) for name in names},
            **request.runtime.fingerprint(),
            THREADS: str(n_threads) if request.runtime.device == "cpu" else "any",
            "version": __version__,
        }

    def _resumed(self, store: object) -> list[str]:
        n_found = getattr(store, "n_found", 0)
        return [f"{reused_note(n_found, self.request.compute.assemble)}."] if n_found else []


class TokenEmbedder(Embedder):
    """A language model, the layers after which vectors are taken, and the windows of its input.

    Raises ConfigError for layers and windows that the model does not support.
    """

    def __init__(self, request: EmbeddingRequest, loaded: Any) -> None:
        self.request = request
        if request.head is not None:
            raise OptionError("head", "needs a track model, found a language model; leave it out.")
        self.model: TokenModel = loaded.encoder
        self._sha256 = loaded.sha256
        window, overlap, trained = request.window, request.overlap, 0
        if has(loaded, Classifies):
            trained = loaded.config.window
            if window is None:
                window, overlap = trained, loaded.config.overlap if overlap is None else overlap
        self.window, self.overlap = embedding_window(self.model, WindowSize(window, overlap))
        self.trained_window = max(trained, self.model.config.context_length)
        n_layers = len(self.model.layers)
        if bad := [layer for layer in request.layers if not 0 <= layer <= n_layers]:
            raise ConfigError(f"layer {bad[0]}: this model has layers 0 (the embeddings) to {n_layers}.")
        self.layers = list(dict.fromkeys(request.layers)) or [n_layers]

    @property
    def width(self) -> int:
        return int(self.model.config.width)

    @property
    def sha256(self) -> str | None:
        return self._sha256

    def vectors(self, sequences: Sequence[Codes], progress: ProgressCallback = None, stage: str = "") -> Floats:
        """Return one vector per sequence and layer, [N, n_layers, D]; `stage` is the beginning of the stages of progress."""
        pooling = self.request.pooling
        if pooling == "tokens":
            raise ConfigError("pooling 'tokens' gives one vector per token; pool with mean, max or cls.")
        of_layers = []
        with evaluating(self.model, self.request.runtime.device, self.request.runtime.precision) as model:
            for layer in self.layers:

                def report(event: Progress, layer: int = layer) -> None:
                    if progress is not None:
                        progress(event._replace(stage=f"{stage}layer {layer}"))

                embeddings = sequence_embeddings(
                    model,
                    sequences,
                    pooling=pooling,
                    layer=layer,
                    windows=WindowSize(self.window, self.overlap),
                    both_strands=self.request.both_strands,
                    batch_size=self.request.runtime.batch_size,
                    progress=report,
                )
                of_layers.append(embeddings.values)
        return np.stack(of_layers, axis=1)

    def tokens(self, sequences: Sequence[Codes]) -> Iterator[tuple[TokenEmbeddings, ...]]:
        """Yield the vectors of the tokens of each sequence, one for each layer."""
        with evaluating(self.model, self.request.runtime.device, self.request.runtime.precision) as model:
            streams = [
                token_embeddings(
                    model,
                    sequences,
                    layer=layer,
                    windows=WindowSize(self.window, self.overlap),
                    both_strands=self.request.both_strands,
                    batch_size=self.request.runtime.batch_size,
                )
                for layer in self.layers
            ]
            yield from zip(*streams, strict=True)

    def summary(self, data: LabelledSequences) -> list[str]:
        """Return notes on the vectors of the sequences."""
        window, request = self.window, self.request
        n_windowed = sum(len(codes) > window for codes in data.sequences)
        cut = f", cut into windows that share {self.overlap:,}" if n_windowed else ""
        notes = [
            f"{data.path.name}: {counted(len(data), 'sequence')}, width {self.model.config.width}, {_MEANING[request.pooling]} "
            f"after layer {', '.join(map(str, self.layers))} of {len(self.model.layers)}"
            f"{', both strands' * request.both_strands}; {n_windowed:,} longer than the window of {window:,} bases{cut}"
        ]
        longest = min(window, max(map(len, data.sequences)))
        if longest > self.trained_window:
            notes.append(
                f"windows have up to {longest:,} bases, but the model was trained with {self.trained_window:,}, and its "
                "vectors may be poor; set a shorter window"
            )
        return notes


def draw_components(path: Path, values: Floats, data: LabelledSequences, layers: list[int]) -> None:
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
