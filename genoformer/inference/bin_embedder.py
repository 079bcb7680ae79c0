"""BinEmbedder: a track model -> the embedding of bins, the input of its heads -> vectors of sequences of any length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from genoformer.datasets.sequence_rows import LabelledSequences
from genoformer.errors import ConfigError, OptionError
from genoformer.genome.codes import Codes, N, reverse_complement
from genoformer.genome.wording import counted
from genoformer.inference.embedder import Embedder, EmbeddingRequest
from genoformer.inference.embeddings import TokenEmbeddings
from genoformer.inference.runtime import Floats, evaluating, run_batched
from genoformer.models.base import Bins
from genoformer.models.track_model import TrackModel
from genoformer.progress import Progress, ProgressCallback

_POOLED = {"mean": np.mean, "max": np.max}


class Placed(NamedTuple):
    """Window that begins at base `start` of a sequence, and the bins of the sequence that are taken from it."""

    start: int  # may be negative
    bins: Bins


class BinEmbedder(Embedder):
    """A track model in windows, which gives a vector for each bin of a sequence; bins begin at its first base.

    A sequence that is shorter than the window is in its middle, with N on both sides. A longer one is cut into overlapping
    windows, and a bin comes from the window in which it is farthest from an end.

    Raises ConfigError for windows, heads and options that the model does not support.
    """

    def __init__(self, request: EmbeddingRequest, model: TrackModel) -> None:
        self.request, self.model, self.head, self.layers = request, model, request.head, [len(model.layers)]
        if request.layers:
            raise OptionError(
                "layers", "is for language models, and the vectors of a track model are the input of its heads; leave it out."
            )
        if request.pooling == "cls":
            raise OptionError("pooling", "is cls, expected mean, max or tokens (bins) for a track model; give one of them.")
        self.window = request.window or int(model.config.context_length)
        self.least_bases = self.window
        self.n_bins = model.bins_of(self.window, 0, self.head).n
        self.bin_size = model.bin_size_of(self.head)
        self.overlap = self.window // 2 // self.bin_size * self.bin_size if request.overlap is None else request.overlap
        if not 0 <= self.overlap < self.window or self.overlap % self.bin_size:
            raise ConfigError(
                f"overlap = {self.overlap:,}: give a multiple of the bin of {self.bin_size} bases, below the window of "
                f"{self.window:,}."
            )

    @property
    def width(self) -> int:
        return self.model.embedding_width(self.head or next(iter(self.model.track_heads)))

    @property
    def sha256(self) -> str | None:
        return self.model.sha256

    def vectors(self, sequences: Sequence[Codes], progress: ProgressCallback = None, stage: str = "") -> Floats:
        pool: Any = _POOLED[self.request.pooling]
        vectors = np.empty((len(sequences), 1, self.width), dtype=np.float32)
        for i, (found,) in enumerate(self.tokens(sequences)):
            vectors[i, 0] = pool(found.values, axis=0)
            if progress is not None:
                progress(Progress(f"{stage}embed", i + 1, len(sequences)))
        return vectors

    def tokens(self, sequences: Sequence[Codes]) -> Iterator[tuple[TokenEmbeddings, ...]]:
        runtime = self.request.runtime
        with evaluating(self.model, runtime.device, runtime.precision) as model:
            engine = model.engine(self.head)
            for codes in sequences:
                values = [self._embed(engine, codes, placed) for placed in self.place(len(codes))]
                edges = np.arange(0, len(codes) + self.bin_size, self.bin_size).clip(max=len(codes))
                edges = edges[: sum(map(len, values)) + 1]
                yield (TokenEmbeddings(np.concatenate(values), np.stack([edges[:-1], edges[1:]], axis=1)),)

    def place(self, length: int) -> list[Placed]:
        """Return the windows of a sequence, and the bins that are taken from each; together they are all bins, in order."""
        size, n_all = self.bin_size, max(1, -(-length // self.bin_size))
        if n_all <= self.n_bins:
            before = (self.n_bins - n_all) // 2
            return [Placed(-before * size, Bins(before, n_all))]
        last, step = n_all - self.n_bins, (self.window - self.overlap) // size
        firsts = [*range(0, last, step), last]
        middles = [(first + self.n_bins + after) // 2 for first, after in pairwise(firsts)]
        edges = [0, *middles, n_all]
        return [
            Placed(first * size, Bins(start - first, end - start))
            for first, start, end in zip(firsts, edges[:-1], edges[1:], strict=True)
        ]

    def summary(self, data: LabelledSequences) -> list[str]:
        n_windowed = sum(len(codes) > self.window for codes in data.sequences)
        cut = f", cut into windows that share {self.overlap:,}" if n_windowed else ""
        pooled = {"mean": "mean over bins", "max": "maximum over bins", "tokens": "each bin"}[self.request.pooling]
        return [
            f"{data.path.name}: {counted(len(data), 'sequence')}, width {self.width}, {pooled} of {self.bin_size} bases"
            f"{', both strands' * self.request.both_strands}; {n_windowed:,} longer than the window of {self.window:,} bases"
            f"{cut}"
        ]

    def _embed(self, engine: Any, codes: Codes, placed: Placed) -> Floats:
        """Return the vectors of the bins of a window, [n, D]."""
        window = np.full(self.window, N, dtype=np.uint8)
        first, end = max(0, placed.start), min(len(codes), placed.start + self.window)
        window[first - placed.start : end - placed.start] = codes[first:end]
        values = run_batched(lambda part: engine.embed(window[None], placed.bins), 1, 1)[0].T
        if not self.request.both_strands:
            return np.ascontiguousarray(values)
        turned = reverse_complement(window)[None]
        backward = run_batched(lambda part: engine.embed(turned, placed.bins.reversed(self.n_bins)), 1, 1)[0].T
        return np.asarray((values + backward[::-1]) / 2, dtype=np.float32)
