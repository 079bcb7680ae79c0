"""AlphaGenome's transformer: sequence [B, T, C] in bins of 128 bases, and pairs [B, P, P, F] of bins of 2,048 bases."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genoformer.models.alphagenome.config import BIN, PAIR_BIN, PAIR_POOL, AlphaGenomeConfig
from genoformer.models.alphagenome.layers import RMSBatchNorm, RMSNorm
from genoformer.models.layers import Linear

SOFT_CAP = 5.0  # of attention logits
_CACHE = 2 << 20  # bytes of the logits that are computed together


def rotary_angles(positions: Tensor, width: int, longest: int) -> Tensor:
    """Return the angle of each position and pair of channels, float64 [..., K / 2].

    The frequencies are 1 / (i + g_i), i = 0 ... K / 2 - 1, where g runs geometrically from 1 to longest - K / 2 + 1.
    """
    n = width // 2
    geometric = np.geomspace(1, longest - n + 1, n) if n <= longest else np.ones(n)
    frequencies = torch.from_numpy(1 / (np.arange(n) + geometric)).to(positions.device)
    return positions.double()[..., None] * frequencies


def rotated(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate each pair of neighbouring channels (2 i, 2 i + 1) of x [..., K] by angles [..., K / 2]."""
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, odd * cos + even * sin], dim=-1).flatten(-2)


def mask_features(n: int, n_features: int, longest: int) -> Tensor:
    """Return the features of the distances -n ... n - 1 between pair bins, float64 [2 n, D].

    Half of them are 1 for distances below a threshold and else 0, the other half are the same times the sign of the distance.
    The thresholds are i + g_i, i = 0 ... D / 2 - 1, where g runs geometrically from 1 towards longest - D / 2 + 1.
    """
    half = n_features // 2
    geometric = np.geomspace(1, longest - half + 1, half, endpoint=False) if half <= longest else np.ones(half)
    distance = np.arange(-n, n)[:, None]
    inside = (np.arange(half) + geometric > np.abs(distance)).astype(np.float64)
    return torch.from_numpy(np.concatenate([inside, np.sign(distance) * inside], axis=1))


class PairProjection(nn.Module):
    """Pairs from a sequence: [B, T, C] -> [B, P, P, F], from products of queries, keys and relative positions."""

    def __init__(self, config: AlphaGenomeConfig) -> None:
        super().__init__()
        c, f, h = config.trunk_width, config.pair_width, config.n_pair_heads
        self.n_heads, self.n_features = h, config.n_pair_features
        self.longest = config.longest_window // PAIR_BIN
        self.norm = RMSNorm(c)
        self.query = Linear(c, h * f, bias=False)
        self.key = Linear(c, h * f, bias=False)
        self.position = Linear(config.n_pair_features, h * f)
        self.query_bias = nn.Parameter(torch.zeros(h, f))
        self.key_bias = nn.Parameter(torch.zeros(h, f))
        self.row = Linear(c, f, bias=False)
        self.column = Linear(c, f, bias=False)
        self.mix = Linear(h, f)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x.unflatten(1, (-1, PAIR_POOL)).mean(2))  # [B, P, C]
        n = x.shape[1]
        query, key = self._heads(self.query(x)), self._heads(self.key(x))  # [B, H, P, F]
        features = mask_features(n, self.n_features, self.longest).to(x)
        position = self.position(features).unflatten(-1, (self.n_heads, -1)).transpose(0, 1)  # [H, 2 P, F]
        from_query = self._by_key((query + self.query_bias[:, None]) @ position.mT)
        from_key = self._by_key((key + self.key_bias[:, None]) @ position.mT).mT
        products = query @ key.mT + 0.5 * (from_query + from_key)  # [B, H, P, P]
        active = F.gelu(x, approximate="tanh")
        return self.mix(products.movedim(1, -1)) + self.row(active)[:, :, None] + self.column(active)[:, None]

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)

    @staticmethod
    def _by_key(products: Tensor) -> Tensor:
        """Take column j - i of the distances from each row: [B, H, P, 2 P] -> [B, H, P, P]."""
        n = products.shape[-2]
        at = torch.arange(n, device=products.device)
        return products.gather(-1, (n + at - at[:, None]).expand(*products.shape[:-1], n))


class PairUpdate(nn.Module):
    """Update of the pairs from the sequence, by attention along rows and by a feed-forward part."""

    def __init__(self, config: AlphaGenomeConfig) -> None:
        super().__init__()
        f = config.pair_width
        self.projection = PairProjection(config)
        self.norm_rows = RMSNorm(f)
        self.query = Linear(f, f, bias=False)
        self.key = Linear(f, f, bias=False)
        self.value = Linear(f, f)
        self.norm_feed = RMSNorm(f)
        self.up = Linear(f, 2 * f)
        self.down = Linear(2 * f, f)

    def forward(self, x: Tensor, pairs: Tensor | None) -> Tensor:
        """Map the sequence [B, T, C] and the pairs so far to new pairs [B, P, P, F]."""
        update = self.projection(x)
        pairs = update if pairs is None else pairs + update
        y = self.norm_rows(pairs)
        pairs = pairs + F.scaled_dot_product_attention(self.query(y), self.key(y), self.value(y))  # rows as heads
        feed: Tensor = self.down(F.relu(self.up(self.norm_feed(pairs))))
        return pairs + feed


class Attention(nn.Module):
    """Attention with one head of keys and values, a bias from the pairs, and logits capped softly: [B, T, C] -> [B, T, C]."""

    def __init__(self, config: AlphaGenomeConfig) -> None:
        super().__init__()
        c, h = config.trunk_width, config.n_heads
        self.n_heads, self.longest = h, config.longest_window // BIN
        self.norm_pairs = RMSBatchNorm(config.pair_width)
        self.bias = Linear(config.pair_width, h, bias=False)
        self.norm = RMSBatchNorm(c)
        self.query = Linear(c, h * config.key_width, bias=False)
        self.key = Linear(c, config.key_width, bias=False)
        self.value = Linear(c, config.value_width, bias=False)
        self.norm_query = nn.LayerNorm(config.key_width)
        self.norm_key = nn.LayerNorm(config.key_width)
        self.norm_value = nn.LayerNorm(config.value_width)
        self.out = Linear(h * config.value_width, c)
        self.norm_out = RMSBatchNorm(c)

    def forward(self, x: Tensor, pairs: Tensor) -> Tensor:
        x = self.norm(x)
        if x.device.type == "cpu" and not torch.is_grad_enabled():
            with torch.autocast("cpu", enabled=False):  # it would mix precisions in what is written in place
                x, pairs = (of.to(self.value.weight.dtype) for of in (x, pairs))
                y = self._by_rows(x, pairs, self.norm_value(self.value(x)))
        else:
            value = self.norm_value(self.value(x))  # [B, T, V]
            y = torch.cat([weights @ value for weights in self.weights_of_heads(x, pairs)], dim=-1)
        out: Tensor = self.norm_out(self.out(y))
        return out

    def _by_rows(self, x: Tensor, pairs: Tensor, value: Tensor) -> Tensor:
        """Compute attention before `out`, [B, T, H V], some rows of a head at a time, so that the logits stay in the cache."""
        query, key, bias = self._queries_and_keys(x, pairs)
        query, bias = query / SOFT_CAP, bias / SOFT_CAP
        n, width = x.shape[1], value.shape[-1]
        out = x.new_empty(len(x), n, self.n_heads, width)
        size = max(1, _CACHE // (n * x.element_size() * PAIR_POOL)) * PAIR_POOL
        space = x.new_empty(2, min(size, n), n)
        for b in range(len(x)):
            for head in range(self.n_heads):
                for first in range(0, n, size):
                    last = min(first + size, n)
                    logits, weights = space[:, : last - first]
                    torch.mm(query[b, head, first:last], key[b].mT, out=logits)
                    of_pairs = bias[b, first // PAIR_POOL : last // PAIR_POOL, :, head]
                    logits.unflatten(0, (-1, PAIR_POOL)).unflatten(-1, (-1, PAIR_POOL)).add_(of_pairs[:, None, :, None])
                    torch.softmax(logits.tanh_().mul_(SOFT_CAP), -1, out=weights)
                    torch.mm(weights, value[b], out=out[b, first:last, head])
        return out.flatten(2)

    def weights(self, x: Tensor, pairs: Tensor, first: int, n: int) -> Tensor:
        """Return the attention weights [B, H, n, T] of n queries from number `first` on; x: the sequence before the norm."""
        return torch.stack(list(self.weights_of_heads(self.norm(x), pairs, first, n)), dim=1)

    def weights_of_heads(self, x: Tensor, pairs: Tensor, first: int = 0, n: int | None = None) -> Iterator[Tensor]:
        """Yield the attention weights [B, n, T] of each head; x: normed sequence. One head is in memory at a time."""
        queries = slice(first, None if n is None else first + n)
        query, key, bias = self._queries_and_keys(x, pairs, queries)
        bias = bias[:, torch.arange(x.shape[1], device=x.device)[queries] // PAIR_POOL]  # [B, n, P, H]
        for head in range(self.n_heads):
            logits = (query[:, head] @ key.mT).unflatten(-1, (-1, PAIR_POOL)) + bias[..., head, None]  # [B, n, P, 16]
            yield (SOFT_CAP * torch.tanh(logits.flatten(2) / SOFT_CAP)).softmax(-1)

    def _queries_and_keys(self, x: Tensor, pairs: Tensor, queries: slice = slice(None)) -> tuple[Tensor, Tensor, Tensor]:
        """Return scaled queries [B, H, n, K], keys [B, T, K] and biases [B, P, P, H]; x: normed sequence."""
        at = torch.arange(x.shape[1], device=x.device)
        angles = rotary_angles(at, self.norm_key.weight.shape[0], self.longest)  # [T, K / 2]
        query = self.norm_query(self.query(x[:, queries]).unflatten(-1, (self.n_heads, -1))).transpose(1, 2)
        query = rotated(query, angles[queries]) * query.shape[-1] ** -0.5
        key = rotated(self.norm_key(self.key(x)), angles)
        return query, key, self.bias(F.gelu(self.norm_pairs(pairs), approximate="tanh"))


class Block(nn.Module):
    """Attention and feed-forward part, each between two norms and with a residual; `pairs` updates the pairs, if there."""

    def __init__(self, config: AlphaGenomeConfig, *, updates_pairs: bool) -> None:
        super().__init__()
        c = config.trunk_width
        self.pairs = PairUpdate(config) if updates_pairs else None
        self.attention = Attention(config)
        self.norm_feed = RMSBatchNorm(c)
        self.up = Linear(c, 2 * c)
        self.down = Linear(2 * c, c)
        self.norm_out = RMSBatchNorm(c)

    def forward(self, x: Tensor, pairs: Tensor | None) -> tuple[Tensor, Tensor]:
        if self.pairs is not None:
            pairs = self.pairs(x, pairs)
        assert pairs is not None  # the first block makes them
        return self.sequence(x, pairs), pairs

    def sequence(self, x: Tensor, pairs: Tensor) -> Tensor:
        """Apply attention and the feed-forward part to the sequence [B, T, C]."""
        x = x + self.attention(x, pairs)
        feed: Tensor = self.norm_out(self.down(F.relu(self.up(self.norm_feed(x)))))
        return x + feed
