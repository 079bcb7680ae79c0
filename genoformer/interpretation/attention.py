"""Attention weights, reduced while they are computed: memory holds the weights of a few queries, never all heads x T x T.

The functions take the output of `Encoder.attentions` or `Enformer.attentions`: for each layer, a function of queries. The
full softmax gives the same sums. `AttentionReader` applies the functions to sequences.
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
from genoformer.inference.runtime import Floats, run_batched, to_device
from genoformer.models.base import AttentionWeights
from genoformer.models.enformer.model import Enformer
from genoformer.models.heads import SequenceClassifier
from genoformer.models.transformer.model import Encoder

_ENOUGH = 50  # minimum number of weights behind an expected value
HELD = 1 << 24  # attention weights in memory at a time: 64 MB


def row(steps: Iterable[AttentionWeights], layers: Sequence[int], query: int) -> Tensor:
    """Return the attention weights of one query: [B, layers, H, T]."""
    return torch.stack([weights(query, 1)[:, :, 0] for weights in _chosen(steps, layers)], dim=1)


def attention_received(steps: Iterable[AttentionWeights], layers: Sequence[int], n_tokens: int) -> Tensor:
    """Return the attention that each key receives, the mean over all queries: [B, layers, H, T]."""
    found = []
    for weights in _chosen(steps, layers):
        found.append(sum(part.sum(2) for part in _parts(weights, n_tokens)) / n_tokens)
    return torch.stack(found, dim=1)  # type: ignore[arg-type]


def entropy(steps: Iterable[AttentionWeights], layers: Sequence[int], n_tokens: int) -> Tensor:
    """Return the entropy of the attention of each query in bits, [B, layers, H, T]: 0 for one key, log2 T for equal weights."""
    found = []
    for weights in _chosen(steps, layers):
        parts = [-torch.xlogy(part, part).sum(-1) for part in _parts(weights, n_tokens)]
        found.append(torch.cat(parts, dim=-1) / np.log(2))
    return torch.stack(found, dim=1)


def block(steps: Iterable[AttentionWeights], layers: Sequence[int], queries: slice, keys: slice) -> Tensor:
    """Return the attention weights from some queries to some keys, the mean over heads: [B, layers, M, K]."""
    found = []
    for weights in _chosen(steps, layers):
        parts = _parts(weights, queries.stop - queries.start, queries.start)
        found.append(torch.cat([part[..., keys].mean(1) for part in parts], dim=1))
    return torch.stack(found, dim=1)


def rollout(steps: Iterable[AttentionWeights], n_tokens: int, query: int) -> Tensor:
    """Return the attention rollout of one query through all layers: [B, T], each row sums to 1 (Abnar and Zuidema 2020).

    Each layer is a matrix: half the identity (its input), half the mean attention over heads. The rollout is the product of
    these matrices from the last layer to the first. Memory holds T x T of each layer, without heads.
    """
    means = [torch.cat([part.mean(1) for part in _parts(weights, n_tokens)], dim=1) for weights in steps]
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


def _parts(weights: AttentionWeights, n: int, first: int = 0) -> Iterator[Tensor]:
    """Yield the weights [B, H, m, T] of n queries in chunks of limited size; the first chunk, of one query, gives the shape."""
    one = weights(first, 1)
    yield one
    size = max(1, HELD // max(1, one.numel()))
    for at in range(first + 1, first + n, size):
        yield weights(at, min(size, first + n - at))


class AttentionReader:
    """Reader of the attention of a model on sequences of one length, codes [B, L], in batches.

    layers: numbers from 0, negative numbers count from the last layer; the last layer by default.
    heads: numbers from 0, all by default.
    Raises ConfigError for an unknown layer or head.
    """

    def __init__(
        self, model: Encoder | SequenceClassifier | Enformer, layers: Sequence[int] = (-1,), heads: Sequence[int] = ()
    ) -> None:
        self.tokenizer: Any = getattr(model, "tokenizer", None)  # a fine-tuned model has it, its encoder does not
        model = model.encoder if isinstance(model, SequenceClassifier) else model
        self.model = model
        n = model.config.n_layers if isinstance(model, Encoder) else model.config.n_blocks
        if bad := [i for i in layers if not -n <= i < n]:
            raise ConfigError(f"layer {bad[0]}: this model has layers 0 to {n - 1}.")
        self.layers = sorted({i % n for i in layers})
        if missing := [i for i in heads if not 0 <= i < model.config.n_heads]:
            raise ConfigError(f"head {missing[0]}: this model has heads 0 to {model.config.n_heads - 1} in each layer.")
        self.heads = sorted(set(heads)) or list(range(model.config.n_heads))
        self.n_layers, self.n_heads = n, len(self.heads)

    def n_tokens(self, length: int) -> int:
        """Return the number of tokens or bins of a sequence of this length."""
        if isinstance(self.model, Encoder):
            return int(self.tokenizer.n_tokens(length))
        return self.model.bins_of(length, 0).n

    def rows(self, codes: Codes, query: int = 0) -> Floats:
        """Return the attention weights of one query, such as [CLS] (0) or the bin of a TSS: [B, layers, H, T]."""
        return self._run(codes, lambda steps, n: row(steps, self.layers, query), (len(self.layers), self.n_heads))

    def attention_received(self, codes: Codes) -> Floats:
        """Return the attention that each token or bin receives, the mean over all queries: [B, layers, H, T]."""
        return self._run(codes, lambda steps, n: attention_received(steps, self.layers, n), (len(self.layers), self.n_heads))

    def entropy(self, codes: Codes) -> Floats:
        """Return the entropy of the attention of each query in bits: [B, layers, H, T]."""
        return self._run(codes, lambda steps, n: entropy(steps, self.layers, n), (len(self.layers), self.n_heads))

    def rollout(self, codes: Codes, query: int = 0) -> Floats:
        """Return the attention rollout of one query through all layers: [B, T]."""
        return self._run(codes, lambda steps, n: rollout(steps, n, query), ())

    def block(self, codes: Codes, queries: slice, keys: slice) -> Floats:
        """Return the attention weights from some queries to some keys, the mean over heads: [B, layers, M, K]."""
        n = self.n_tokens(codes.shape[1])
        for name, part in (("queries", queries), ("keys", keys)):
            if not 0 <= part.start < part.stop <= n:
                raise ConfigError(f"{name} {part.start} to {part.stop}: the sequences have {n} of them, from 0.")
        shape = (len(self.layers), queries.stop - queries.start, keys.stop - keys.start)
        return self._run(codes, lambda steps, _: block(steps, self.layers, queries, keys), shape[:-1], shape[-1])

    def whole(self, codes: Codes) -> tuple[Floats, NDArray[np.int64]]:
        """Return the attention of one sequence [L], query x key [T, T], and the base edges of its tokens or bins [T + 1].

        The weights are the mean over heads and layers. Special tokens are left out. A token of several bases starts at its
        first base.
        """
        n = self.n_tokens(len(codes))
        if isinstance(self.model, Encoder):
            offsets = self.tokenizer.encode(codes[None]).spans[0]
            bases = np.flatnonzero(offsets[:, 1] > offsets[:, 0])
            some = slice(int(bases[0]), int(bases[-1]) + 1)
            edges = np.append(offsets[bases, 0], offsets[bases[-1], 1])
        else:
            some, edges = slice(0, n), np.arange(n + 1) * self.model.config.bin_size
        return self.block(codes[None], some, some)[0].mean(0), edges

    def _run(
        self,
        codes: Codes,
        reduce: Callable[[Iterator[AttentionWeights], int], Tensor],
        shape: tuple[int, ...],
        last: int | None = None,
    ) -> Floats:
        n = self.n_tokens(codes.shape[1])
        wide = last or n

        def run(part: slice) -> Tensor:
            found = reduce(*self._steps(codes[part]))
            return torch.nn.functional.pad(found, (0, wide - found.shape[-1]))  # fewer tokens than the maximum

        fixed = not isinstance(self.model, Encoder) or self.tokenizer.fixed_length
        at_once = max(1, HELD // (self.n_heads * n * 64)) if fixed else 1  # BPE: no attention to padding
        return run_batched(run, len(codes), at_once, (*shape, wide))

    def _steps(self, codes: Codes) -> tuple[Iterator[AttentionWeights], int]:
        if isinstance(self.model, Encoder):
            ids = to_device(self.model, self.tokenizer.encode(codes).ids)
            return map(self._of_heads, self.model.attentions(ids)), ids.shape[1]
        return map(self._of_heads, self.model.attention(codes)), self.n_tokens(codes.shape[1])

    def _of_heads(self, weights: AttentionWeights) -> AttentionWeights:
        if len(self.heads) == self.model.config.n_heads:
            return weights
        return lambda first, n: weights(first, n)[:, self.heads]


def base_scores(tokens: Floats, offsets: NDArray[np.int64], length: int) -> Floats:
    """Return scores of bases [B, L] from scores of tokens [B, T]: the mean over the tokens that cover a base, 0 without one.

    offsets: the bases [start, end) of each token, [B, T, 2] or [T, 2]; special tokens have empty offsets and cover no base.
    """
    spans = np.broadcast_to(offsets, (*tokens.shape, 2))
    which = np.arange(len(tokens))[:, None]
    total, n = (np.zeros((len(tokens), length + 1), dtype=np.float64) for _ in range(2))
    for sign, edge in ((1, spans[..., 0]), (-1, spans[..., 1])):
        np.add.at(total, (which, edge), sign * tokens)
        np.add.at(n, (which, edge), sign)
    covered = n.cumsum(1)[:, :-1]
    return np.where(covered > 0, total.cumsum(1)[:, :-1] / np.maximum(covered, 1), 0)


def viz(rows: Floats, offsets: NDArray[np.int64], length: int) -> Floats:
    """Return DNABERT-viz's scores of bases [B, L] from the attention weights of [CLS], [B, layers, H, T].

    The scores are summed over heads and layers, averaged over the tokens of a base and divided by the L2 norm of the sequence
    (Ji et al. 2021, `visualize.py`, whose default is the last layer). Scores of several k are added.
    """
    found = base_scores(rows.sum((1, 2)), offsets, length)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-30)


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
    usual = (sums[ends] - sums[low]) / (counts[ends] - counts[low])
    over = weights / np.maximum(usual[distance], 1e-12)
    found = np.full((len(sites), len(intervals)), np.nan)
    rows = np.searchsorted(edges, sites, side="right") - 1
    for j, (start, end) in enumerate(intervals):
        columns = (edges[:-1] < end) & (edges[1:] > start)
        if columns.any():
            found[:, j] = over[rows][:, columns].mean(1)
    return found
