"""Layers of track models: convolutions on images, and attention with relative positions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genoformer.models.cpu_kernels import has_matrix_unit, is_intel
from genoformer.models.layers import Linear, linear

_CACHE = 2 << 20  # bytes of the logits that are computed together; oneDNN's products are worth twice as many
_LEAST_ROWS = 64
_ROWS_OF_SDPA = 512
_WIDE, _MANY_KEYS = 128, 1024  # channels of a head, and keys, from which products by rows are faster than SDPA
_LEAST_SUM = 1e-20  # of powers of logits; the largest of 4,096 is then above e^-55, and float32 holds e^-32 of that in full
_LEAST_SHARING = 16  # distances that share features; with fewer a product of matrices is as fast
_LARGEST = 80.0  # exponent whose power is finite in float32


def image(x: Tensor) -> Tensor:
    """Convert [B, C, L] to [B, C, 1, L], channels last: the layout with the fastest convolutions on CPUs and GPUs."""
    return x[:, :, None].contiguous(memory_format=torch.channels_last)


def conv1d_as_image(x: Tensor, conv: nn.Conv1d) -> Tensor:
    """Apply a one-dimensional convolution to an image [B, C, 1, L]."""
    if conv.kernel_size[0] == 1:
        return conv1x1(x, conv.weight[..., 0], conv.bias)
    (kernel,), (dilation,) = conv.kernel_size, conv.dilation
    return F.conv2d(x, conv.weight[:, :, None], conv.bias, padding=(0, dilation * (kernel // 2)), dilation=(1, dilation))


def conv1x1(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return W x + b at each position of an image: [B, C, 1, L] -> [B, C', 1, L]."""
    return linear(x.permute(0, 2, 3, 1), weight, bias).permute(0, 3, 1, 2)


class SoftmaxPool(nn.Module):
    """Mean of two positions, weighted in each channel by softmax(W x): [B, C, 1, L] -> [B, C, 1, L / 2].

    Only the difference of the two logits matters: x1 + (x0 - x1) sigmoid(W (x0 - x1)), half of the products.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, width).fill_diagonal_(2.0))  # [C, C]; torch.eye is slow on meta

    def forward(self, x: Tensor) -> Tensor:
        second = x[..., 1::2]
        difference = x[..., 0::2] - second
        return second + difference * torch.sigmoid(conv1x1(difference, self.weight, None))


def linear_tracks(embedding: Tensor, head: nn.Module, only: Tensor | None = None) -> Tensor:
    """Return softplus(W x + b) of the embedding of bins: [B, D, N] -> tracks [B, K, N], or those with the numbers `only`."""
    assert isinstance(head, nn.Linear)
    weight, bias = (head.weight, head.bias) if only is None else (head.weight[only], head.bias[only])
    return F.softplus(linear(embedding.transpose(1, 2), weight, bias)).transpose(1, 2)


def relative_shift(x: Tensor, first: int = 0) -> Tensor:
    """Convert [..., M, 2 T - 1], a column per distance, to [..., M, T]: row i, column j is the distance j - (first + i)."""
    x = x.contiguous()
    n = (x.shape[-1] + 1) // 2
    *outer, _, _ = x.stride()
    shape = (*x.shape[:-1], n)
    return x.as_strided(shape, (*outer, 2 * n - 2, 1), x.storage_offset() + n - 1 - first)


class PositionProducts(NamedTuple):
    """Factors of the products of queries with positions."""

    columns: Tensor  # [H, F, 2 T - 1], a column per distance; [H, F, R] if distances share columns
    column: Tensor | None  # [2 T - 1], the column of each distance; None: each has its own
    to_features: Tensor | None  # [H, K, F], of queries to the features of a position, if these are fewer than K; else F = K


class HeadProducts(NamedTuple):
    """Factors of the attention of one head of one sequence, without gradients."""

    to_key: Tensor  # queries [M, K]
    keys: Tensor  # [K, T]
    to_position: Tensor  # queries [M, F]
    positions: Tensor  # [F, 2 T - 1] or [F, R], as in `PositionProducts`
    column: Tensor | None  # [2 T - 1]
    values: Tensor  # [T, V]


def attend_with_positions(head: HeadProducts, position: int, out: Tensor, log_sums: Tensor | None = None) -> None:
    """Write softmax(queries keys + queries positions) values into out [M, V], for as many rows at a time as fit the cache.

    position: of the first query among the keys. log_sums: [M], for the logarithms of the sums of the softmax; not in bfloat16.
    """
    if out.dtype == torch.bfloat16 and has_matrix_unit():
        _attend_by_sdpa(head, position, out)
        return
    n_keys, n_queries = len(head.values), len(head.to_key)
    size = min(rows_together(n_keys, out.element_size()), n_queries)
    weights, space = out.new_empty(size, n_keys), out.new_empty(size * (n_keys + size - 1))
    by_column = None if head.column is None else head.to_position @ head.positions  # [M, R]
    by_channel = head.values.T.contiguous()
    for first in range(0, n_queries, size):
        n = min(size, n_queries - first)
        logits = _products_with_positions(head, by_column, slice(first, first + n), position, space)
        logits.addmm_(head.to_key[first : first + n], head.keys)
        sums = _weighted_mean(logits, by_channel, weights[:n], out[first : first + n])
        if log_sums is not None:
            log_sums[first : first + n] = logits.logsumexp(-1) if sums is None else sums[:, 0].log()


def _attend_by_sdpa(head: HeadProducts, position: int, out: Tensor) -> None:
    """Write attention into out [M, V] in bfloat16 on a matrix unit: SDPA with the products with positions as a mask.

    It takes half the time. Its softmax is in float32, and so are products with positions that distances share. It needs keys as
    wide as values.
    """
    n_keys, n_queries = len(head.values), len(head.to_key)
    size = min(_ROWS_OF_SDPA, n_queries)
    width = max(head.values.shape[1], len(head.keys))
    query, key, value = (F.pad(x, (0, width - x.shape[1]))[None, None] for x in (head.to_key, head.keys.T, head.values))
    by_column = None if head.column is None else head.to_position.float() @ head.positions.float()
    space = torch.empty(size * (n_keys + size - 1), dtype=torch.float32 if by_column is not None else out.dtype)
    for first in range(0, n_queries, size):
        rows = slice(first, min(first + size, n_queries))
        mask = _products_with_positions(head, by_column, rows, position, space)
        mixed = F.scaled_dot_product_attention(query[:, :, rows], key, value, attn_mask=mask[None, None], scale=1.0)
        out[rows] = mixed[0, 0, :, : out.shape[1]]


def _products_with_positions(head: HeadProducts, by_column: Tensor | None, rows: slice, position: int, space: Tensor) -> Tensor:
    """Return the products of some queries with the positions of all keys, [n, T], in `space`.

    by_column: [M, R], the products with the columns that distances share, if they share them.
    """
    n_keys, n = len(head.values), rows.stop - rows.start
    n_distances = n_keys + n - 1
    by_distance = space[: n * n_distances].view(n, n_distances)
    left = n_keys - position - rows.stop  # column of the distance from the last of these rows to the first key
    if by_column is None or head.column is None:
        torch.mm(head.to_position[rows], head.positions[:, left : left + n_distances], out=by_distance)
    else:
        torch.index_select(by_column[rows], 1, head.column[left : left + n_distances], out=by_distance)
    return by_distance.as_strided((n, n_keys), (n_distances - 1, 1), space.storage_offset() + n - 1)  # `relative_shift`


def _weighted_mean(logits: Tensor, values: Tensor, weights: Tensor, out: Tensor) -> Tensor | None:
    """Write softmax(logits) values, which are given as [V, T], into out [M, V]; weights [M, T]: memory for the weights.

    Returns the sums [M, 1] of the powers, if they were taken.

    In float32 the powers are taken without subtracting the largest logit, and divided by their sum at last, in fewer passes
    over memory; if a sum is so large or small that powers may overflow or vanish, the softmax is computed instead.
    """
    if logits.dtype == torch.float32:
        sums = torch.exp(logits, out=weights).sum(-1, keepdim=True)
        least, largest = torch.aminmax(sums)
        if least > _LEAST_SUM and largest < 1 / _LEAST_SUM:  # false for NaN
            torch.div(linear(weights, values, None), sums, out=out)
            return sums
    torch.softmax(logits, -1, out=weights)
    torch.mm(weights, values.T, out=out)
    return None


def rows_pay_off(q: Tensor, k: Tensor) -> bool:
    """Return True if `attend_rows` is faster than SDPA: wide heads and many keys, where the faster products are oneDNN's."""
    wide = q.shape[-1] >= _WIDE and k.shape[2] >= _MANY_KEYS
    return wide and q.device.type == "cpu" and q.dtype == torch.float32 and not is_intel() and not torch.is_grad_enabled()


def attend_rows(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return softmax(q k^T / sqrt(K)) v, [B, H, M, K], for as many rows at a time as fit the cache.

    k and v are [B, G, T, K]; each head of them is read by H / G heads of queries.
    """
    n_windows, n_heads, n_queries, width = q.shape
    n_keys, shared = k.shape[2], n_heads // k.shape[1]
    size = min(rows_together(n_keys, q.element_size()), n_queries)
    weights = q.new_empty(size, n_keys)
    out = q.new_empty(n_windows, n_queries, n_heads, width)
    scaled = q * width**-0.5
    for b in range(n_windows):
        for g in range(k.shape[1]):
            keys, by_channel = k[b, g].contiguous(), v[b, g].T.contiguous()
            for h in range(g * shared, (g + 1) * shared):
                for first in range(0, n_queries, size):
                    rows = slice(first, min(first + size, n_queries))
                    logits = linear(scaled[b, h, rows].contiguous(), keys, None)
                    _weighted_mean(logits, by_channel, weights[: len(logits)], out[b, rows, h])
    return out.transpose(1, 2)


def columns_of_distances(basis: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the features of different distances, [R, F], and the row of each of the 2 T - 1 distances of basis [2 T - 1, F].

    Neighbouring distances whose features are equal share a row; if few do, each has its own, and no rows are returned.
    """
    differs = (basis[1:] != basis[:-1]).any(1)
    starts = torch.cat([differs.new_ones(1), differs])
    n = int(starts.sum())
    if n * _LEAST_SHARING > len(basis):
        return basis, None
    return basis[starts], starts.cumsum(0) - 1


def rows_together(n_keys: int, n_bytes: int) -> int:
    """Return the number of queries whose logits, numbers of n_bytes, stay in the cache."""
    cache = _CACHE if n_bytes < 4 or is_intel() else 2 * _CACHE
    return max(_LEAST_ROWS, cache // (n_keys * n_bytes))


def logits_of_rows(n: int) -> int:
    """Return how many numbers the attention of n bins holds at a time: products with positions, and weights of some rows."""
    rows = min(n, rows_together(n, 4))
    return rows * (2 * n + rows)


@dataclass(frozen=True)
class AttentionShape:
    """The shape of attention with relative positions."""

    width: int  # channels of input and output
    n_heads: int
    key_width: int  # of a head
    value_width: int  # of a head
    n_features: int  # of a relative position
    dropout: float = 0.0
    position_dropout: float = 0.0
    qk_init_gain: float = 1.0  # scale of initial queries, keys and biases


class RelativeAttention(nn.Module):
    """Attention with the logits (q + u) k + (q + v) r(distance) (Dai et al. 2019): [B, T, C] -> [B, T, C]."""

    def __init__(self, shape: AttentionShape) -> None:
        super().__init__()
        keys, values = shape.n_heads * shape.key_width, shape.n_heads * shape.value_width
        self.n_heads = shape.n_heads
        self.query = Linear(shape.width, keys, bias=False)
        self.key = Linear(shape.width, keys, bias=False)
        self.value = Linear(shape.width, values, bias=False)
        self.position = Linear(shape.n_features, keys, bias=False)
        self.content_bias = nn.Parameter(torch.empty(shape.n_heads, shape.key_width))  # u
        self.position_bias = nn.Parameter(torch.empty(shape.n_heads, shape.key_width))  # v
        self.out = Linear(values, shape.width)
        self.dropout = nn.Dropout(shape.dropout)
        self.position_dropout = nn.Dropout(shape.position_dropout)
        for layer in (self.query, self.key, self.value, self.position):
            scaled_normal(layer.weight, 2.0, layer.in_features)  # TensorFlow's VarianceScaling(2.0)
        for bias in (self.content_bias, self.position_bias):
            scaled_normal(bias, 2.0, shape.n_heads)
        with torch.no_grad():
            for weight in (self.query.weight, self.key.weight, self.content_bias, self.position_bias):
                weight *= shape.qk_init_gain
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, basis: Tensor, rows: slice = slice(None)) -> Tensor:
        """Map x [B, T, C] and basis [2 T - 1, F] to [B, M, C], for the M queries `rows`."""
        if x.device.type == "cpu" and not torch.is_grad_enabled() and not self.training:
            with torch.autocast("cpu", enabled=False):  # it would mix precisions in what is written in place
                dtype = self.query.weight.dtype
                mixed = self._head_by_head(x.to(dtype), basis.to(dtype), rows)
            return self.out(mixed)
        weights = self.dropout(self.logits(x, basis, rows).softmax(-1))  # [B, H, M, T]
        value = self._heads(self.value(x))
        return self.out((weights @ value).transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, basis: Tensor, first: int, n: int) -> Tensor:
        """Return the attention weights of n query bins, from number `first`: [B, H, n, T].

        `forward` computes the same softmax but does not return it.
        """
        return self.logits(x, basis, slice(first, first + n)).softmax(-1)

    def logits(self, x: Tensor, basis: Tensor, rows: slice = slice(None)) -> Tensor:
        """Return the attention logits before the softmax, [B, H, M, T]: one row for each of M query bins."""
        query = self._queries(x[:, rows])
        key = self._heads(self.key(x))
        position = self._heads(self.position(self.position_dropout(basis))[None])  # [1, H, 2T-1, K]
        content = (query + self.content_bias[:, None]) @ key.transpose(-1, -2)
        return content + relative_shift((query + self.position_bias[:, None]) @ position.transpose(-1, -2), rows.start or 0)

    def _head_by_head(self, x: Tensor, basis: Tensor, rows: slice) -> Tensor:
        """Compute attention before `out`, [B, M, C], some rows of one head at a time, so that their logits stay in the cache.

        The products with the positions are taken of the distances that these rows have, and those with the keys are added to
        them in place. Where a position has fewer features than a key has channels, the queries are projected to the features.
        """
        query = self._queries(x[:, rows])
        key, value = self._heads(self.key(x)), self._heads(self.value(x))
        positions = self.position_products(basis)
        out = value.new_empty(len(x), query.shape[2], self.n_heads, value.shape[-1])  # [B, M, H, C/H]
        for b in range(len(x)):
            for h in range(self.n_heads):
                to_key, to_position = self.biased(query[b, h], h, positions)
                keys, values = key[b, h].T.contiguous(), value[b, h].contiguous()
                head = HeadProducts(to_key, keys, to_position, positions.columns[h], positions.column, values)
                attend_with_positions(head, rows.start or 0, out[b, :, h])
        return out.flatten(2)

    def project_rows(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the queries, scaled, the keys and the values of rows x [B, T, C]: each [B, H, T, K]."""
        return self._queries(x), self._heads(self.key(x)), self._heads(self.value(x))

    def position_products(self, basis: Tensor) -> PositionProducts:
        """Return what the products with the positions basis [2 T - 1, F] need, for `biased` queries."""
        basis, column = columns_of_distances(basis)
        if basis.shape[1] < self.query.out_features // self.n_heads:
            to_features = self.position.weight.unflatten(0, (self.n_heads, -1))  # [H, K, F]
            return PositionProducts(basis.T.contiguous().expand(self.n_heads, -1, -1), column, to_features)
        return PositionProducts(self._heads(self.position(basis)[None])[0].mT.contiguous(), column, None)  # [H, K, R]

    def biased(self, query: Tensor, head: int, positions: PositionProducts) -> tuple[Tensor, Tensor]:
        """Return the factors of the keys and of the positions for queries [M, K] of a head: [M, K] and [M, F]."""
        to_position = query + self.position_bias[head]
        if positions.to_features is not None:
            to_position = to_position @ positions.to_features[head]
        return query + self.content_bias[head], to_position

    def _queries(self, x: Tensor) -> Tensor:
        return self._heads(self.query(x)) * (self.query.out_features // self.n_heads) ** -0.5

    def _heads(self, x: Tensor) -> Tensor:
        """Split the heads: [B, T, H K] -> [B, H, T, K]."""
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)


def softplus(x: Tensor) -> Tensor:
    """Return log(1 + exp(x)); in float32 on a CPU without gradients in place of x, in a third of the time."""
    if x.device.type != "cpu" or x.dtype != torch.float32 or torch.is_grad_enabled() or not x.numel() or x.max() > _LARGEST:
        return F.softplus(x)
    return x.exp_().log1p_()


def scaled_normal(weight: Tensor, scale: float, fan_in: int) -> None:
    """Initialise with a truncated normal of variance scale / fan_in (Sonnet's VarianceScaling)."""
    deviation = math.sqrt(scale / fan_in) / 0.87962566  # corrects for the variance lost by truncation at two deviations
    nn.init.trunc_normal_(weight, std=deviation, a=-2 * deviation, b=2 * deviation)
