"""Attention weights, reduced while they are computed: memory holds the weights of a few queries, never all heads x T x T.

The functions take the output of `Attends.attention`: for each layer, a function of queries. The full softmax gives the same
sums. `AttentionReader` applies the functions to sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes
from genoformer.inference.runtime import Floats, run_batched
from genoformer.models.base import Attends, AttentionWeights, Ints, Model, has, require

_ENOUGH = 50  # minimum number of weights behind an expected value
MAX_WEIGHTS = 1 << 24  # attention weights in memory at a time: 64 MB


def row(steps: Iterable[AttentionWeights], layers: Sequence[int], query: int) -> Tensor:
    """Return the attention weights of one query: [B, layers, H, T]."""
    return torch.stack([weights(query, 1)[:, :, 0] for weights in _chosen(steps, layers)], dim=1)


def attention_received(
    steps: Iterable[AttentionWeights], layers: Sequence[int], n_tokens: int, max_weights: int = MAX_WEIGHTS
) -> Tensor:
    """Return the attention that each key receives, the mean over all queries: [B, layers, H, T]."""
    means = [
        sum(part.sum(2) for part in _parts(weights, n_tokens, max_weights)) / n_tokens for weights in _chosen(steps, layers)
    ]
    return torch.stack(means, dim=1)  # type: ignore[arg-type]


def entropy(steps: Iterable[AttentionWeights], layers: Sequence[int], n_tokens: int, max_weights: int = MAX_WEIGHTS) -> Tensor:
    """Return the entropy of the attention of each query in bits, [B, layers, H, T]: 0 for one key, log2 T for equal weights."""
    by_layer = []
    for weights in _chosen(steps, layers):
        parts = [-torch.xlogy(part, part).sum(-1) for part in _parts(weights, n_tokens, max_weights)]
        by_layer.append(torch.cat(parts, dim=-1) / np.log(2))
    return torch.stack(by_layer, dim=1)


def block(
    steps: Iterable[AttentionWeights], layers: Sequence[int], queries: slice, keys: slice, max_weights: int = MAX_WEIGHTS
) -> Tensor:
    """Return the attention weights from some queries to some keys, the mean over heads: [B, layers, M, K]."""
    by_layer = []
    for weights in _chosen(steps, layers):
        parts = _parts(weights, queries.stop - queries.start, max_weights, queries.start)
        by_layer.append(torch.cat([part[..., keys].mean(1) for part in parts], dim=1))
    return torch.stack(by_layer, dim=1)


def rollout(steps: Iterable[AttentionWeights], n_tokens: int, query: int, max_weights: int = MAX_WEIGHTS) -> Tensor:
    """Return the attention rollout of one query through all layers: [B, T], each row sums to 1 (Abnar and Zuidema 2020).

    Each layer is a matrix: half the identity (its input), half the mean attention over heads. The rollout is the product of
    these matrices from the last layer to the first. Memory holds T x T of each layer, without heads.
    """
    means = [torch.cat([part.mean(1) for part in _parts(weights, n_tokens, max_weights)], dim=1) for weights in steps]
    flow = torch.zeros(len(means[0]), n_tokens, dtype=means[0].dtype, device=means[0].device)
    flow[:, query] = 1
    for mean in reversed(means):
        flow = flow / 2 + (flow[:, None] @ mean)[:, 0] / 2
    return flow


def _chosen(steps: Iterable[AttentionWeights], layers: Sequence[int]) -> Iterator[AttentionWeights]:
    """Yield the attention weights of some layers; the layers after the last of them are not computed."""
    for i, weights in enumerate(steps):
        if i in layers:
            yield weights
        if i >= max(layers):
            return


def _parts(weights: AttentionWeights, n: int, max_weights: int, first: int = 0) -> Iterator[Tensor]:
    """Yield the weights [B, H, m, T] of n queries in chunks of limited size; the first chunk, of one query, gives the shape."""
    one = weights(first, 1)
    yield one
    size = max(1, max_weights // max(1, one.numel()))
    for at in range(first + 1, first + n, size):
        yield weights(at, min(size, first + n - at))


class AttentionReader:
    """Reader of the attention of a model on sequences of one length, codes [B, L], in batches.

    layers: numbers from 0, negative numbers count from the last layer; the last layer by default.
    heads: numbers from 0, all by default. max_weights: number of attention weights in memory at a time.
    Raises ConfigError for an unknown layer or head.
    """

    def __init__(
        self, model: Model, layers: Sequence[int] = (-1,), heads: Sequence[int] = (), *, max_weights: int = MAX_WEIGHTS
    ) -> None:
        core: Any = (
            model if has(model, Attends) else getattr(model, "encoder", model)
        )  # a fine-tuned model reads with its encoder
        require(core, Attends)
        self.model: Attends = core
        self.n_layers, n_heads = core.n_layers, core.n_heads
        if unknown := [i for i in layers if not -self.n_layers <= i < self.n_layers]:
            raise ConfigError(f"layer {unknown[0]}: this model has layers 0 to {self.n_layers - 1}.")
        if unknown := [i for i in heads if not 0 <= i < n_heads]:
            raise ConfigError(f"head {unknown[0]}: this model has heads 0 to {n_heads - 1} in each layer.")
        self.layers = sorted({i % self.n_layers for i in layers})
        self.heads = sorted(set(heads)) or list(range(n_heads))
        self.n_heads, self.has_all_heads = len(self.heads), len(self.heads) == n_heads
        self.max_weights = max_weights

    def n_units(self, length: int) -> int:
        """Return the number of tokens or bins of a sequence, or the largest number if it depends on the bases."""
        return self.model.n_units(length)

    def spans(self, codes: Codes) -> Ints:
        """Return the bases [start, end) of each token or bin, [B, T, 2]; special tokens and missing tokens have empty spans."""
        spans = self.model.spans(codes)
        return np.pad(spans, ((0, 0), (0, self.n_units(codes.shape[1]) - spans.shape[1]), (0, 0)))

    def query(self, query: int | None, n: int) -> int:
        """Return the number of a query among n tokens or bins; None is the model's default. Raises ConfigError if n or more."""
        number = self.model.default_query(n) if query is None else query
        if not 0 <= number < n:
            raise ConfigError(f"query {number}: the sequences have {n} tokens or bins, numbered from 0.")
        return number

    def rows(self, codes: Codes, query: int = 0) -> Floats:
        """Return the attention weights of one query, such as [CLS] (0) or the bin of a TSS: [B, layers, H, T]."""
        return self._run(codes, lambda steps, n: row(steps, self.layers, query), (len(self.layers), self.n_heads))

    def attention_received(self, codes: Codes) -> Floats:
        """Return the attention that each token or bin receives, the mean over all queries: [B, layers, H, T]."""
        return self._run(
            codes,
            lambda steps, n: attention_received(steps, self.layers, n, self.max_weights),
            (len(self.layers), self.n_heads),
        )

    def entropy(self, codes: Codes) -> Floats:
        """Return the entropy of the attention of each query in bits: [B, layers, H, T]."""
        return self._run(
            codes, lambda steps, n: entropy(steps, self.layers, n, self.max_weights), (len(self.layers), self.n_heads)
        )

    def rollout(self, codes: Codes, query: int = 0) -> Floats:
        """Return the attention rollout of one query through all layers: [B, T]."""
        return self._run(codes, lambda steps, n: rollout(steps, n, query, self.max_weights), ())

    def block(self, codes: Codes, queries: slice, keys: slice) -> Floats:
        """Return the attention weights from some queries to some keys, the mean over heads: [B, layers, M, K]."""
        n = self.n_units(codes.shape[1])
        for name, part in (("queries", queries), ("keys", keys)):
            if not 0 <= part.start < part.stop <= n:
                raise ConfigError(f"{name} {part.start} to {part.stop}: the sequences have {n} of them, numbered from 0.")
        shape = (len(self.layers), queries.stop - queries.start, keys.stop - keys.start)
        return self._run(
            codes, lambda steps, _: block(steps, self.layers, queries, keys, self.max_weights), shape[:-1], shape[-1]
        )

    def matrix(self, codes: Codes) -> tuple[Floats, NDArray[np.int64]]:
        """Return the attention of one sequence [L], query x key [T, T], and the base edges of its tokens or bins [T + 1].

        The weights are the mean over heads and layers. Special tokens are left out. A token of several bases starts at its
        first base.
        """
        spans = self.spans(codes[None])[0]
        units = np.flatnonzero(spans[:, 1] > spans[:, 0])
        part = slice(int(units[0]), int(units[-1]) + 1)
        edges = np.append(spans[units, 0], spans[units[-1], 1])
        return self.block(codes[None], part, part)[0].mean(0), edges

    def _run(
        self,
        codes: Codes,
        reduce: Callable[[Iterator[AttentionWeights], int], Tensor],
        shape: tuple[int, ...],
        last: int | None = None,
    ) -> Floats:
        n, fixed = self.n_units(codes.shape[1]), self.model.fixed_length
        width = last or n

        def run(part: slice) -> Tensor:
            steps = map(self._of_heads, self.model.attention(codes[part]))
            reduced = reduce(steps, n if fixed else self.model.spans(codes[part]).shape[1])
            return torch.nn.functional.pad(reduced, (0, width - reduced.shape[-1]))  # fewer tokens than the maximum

        batch_size = max(1, self.max_weights // (self.n_heads * n * 64)) if fixed else 1  # BPE: no attention to padding
        return run_batched(run, len(codes), batch_size, (*shape, width))

    def _of_heads(self, weights: AttentionWeights) -> AttentionWeights:
        return weights if self.has_all_heads else lambda first, n: weights(first, n)[:, self.heads]


def base_scores(tokens: Floats, offsets: NDArray[np.int64], length: int) -> Floats:
    """Return scores of bases [B, L] from scores of tokens [B, T]: the mean over the tokens that cover a base, 0 without one.

    offsets: the bases [start, end) of each token, [B, T, 2] or [T, 2]; special tokens have empty offsets and cover no base.
    """
    spans = np.broadcast_to(offsets, (*tokens.shape, 2))
    rows = np.arange(len(tokens))[:, None]
    total, n = (np.zeros((len(tokens), length + 1), dtype=np.float64) for _ in range(2))
    for sign, edge in ((1, spans[..., 0]), (-1, spans[..., 1])):
        np.add.at(total, (rows, edge), sign * tokens)
        np.add.at(n, (rows, edge), sign)
    covered = n.cumsum(1)[:, :-1]
    return np.where(covered > 0, total.cumsum(1)[:, :-1] / np.maximum(covered, 1), 0)


def viz(rows: Floats, offsets: NDArray[np.int64], length: int) -> Floats:
    """Return DNABERT-viz's scores of bases [B, L] from the attention weights of [CLS], [B, layers, H, T].

    The scores are summed over heads and layers, averaged over the tokens of a base and divided by the L2 norm of the sequence
    (Ji et al. 2021, `visualize.py`, whose default is the last layer). Scores of several k are added.
    """
    scores = base_scores(rows.sum((1, 2)), offsets, length)
    return scores / np.maximum(np.linalg.norm(scores, axis=1, keepdims=True), 1e-30)


def observed_over_expected(
    weights: Floats, edges: NDArray[np.int64], sites: Sequence[int], intervals: NDArray[np.int64]
) -> Floats:
    """Return the observed / expected attention from bins at `sites` to intervals: [sites, intervals], 1 is the expected value.

    weights [T, T]; edges [T + 1] of the bins; intervals [n, 2]; all in the same coordinates. Each weight is divided by the mean
    of all weights at its distance on either side, as observed over expected in Hi-C. A distance with fewer than 50 weights is
    pooled with the next shorter distances. The bins of an interval are averaged; an interval without bins gives NaN.
    """
    n = len(weights)
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    total = np.bincount(distance.ravel(), weights.ravel().astype(float), minlength=n)
    count = np.bincount(distance.ravel(), minlength=n)
    sums, counts = (np.concatenate([[0], x.cumsum()]) for x in (total, count))
    ends = np.arange(1, n + 1)
    low = np.minimum(np.searchsorted(counts, np.maximum(counts[ends] - _ENOUGH, 0), side="right") - 1, ends - 1).clip(0)
    expected = (sums[ends] - sums[low]) / (counts[ends] - counts[low])
    ratio = weights / np.maximum(expected[distance], 1e-12)
    result = np.full((len(sites), len(intervals)), np.nan)
    rows = np.searchsorted(edges, sites, side="right") - 1
    for j, (start, end) in enumerate(intervals):
        columns = (edges[:-1] < end) & (edges[1:] > start)
        if columns.any():
            result[:, j] = ratio[rows][:, columns].mean(1)
    return result
