"""Attention of Borzoi and Flashzoi: relative positions of central masks, or rotary positions with shared keys and values."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from genoformer.models.borzoi.config import BorzoiConfig
from genoformer.models.layers import Linear, attend, for_each_query
from genoformer.models.track_layers import attend_rows, rows_pay_off


def central_mask_features(n_bins: int, n_features: int, position_range: int) -> Tensor:
    """Return the features of each distance -T+1 ... T-1 between two of T bins, float32 [2 T - 1, F].

    Feature i of F / 2 is 1 where |d| < (position_range + 1)^((i + 1) / (F / 2)) - 1, else 0; then the same times the sign of d.
    The widths do not depend on T, so that a window of any length has the positions that the weights were trained with.
    """
    n = n_features // 2
    distance = torch.arange(-n_bins + 1, n_bins, dtype=torch.float64)
    rate = torch.tensor(position_range + 1.0, dtype=torch.float64)
    widths = rate ** (torch.arange(1, n + 1, dtype=torch.float64) / n) - 1
    widths[-1] = position_range  # exactly
    mask = (widths > distance.abs()[:, None]).double()
    return torch.cat([mask, distance.sign()[:, None] * mask], dim=1).float()


class Rotation(NamedTuple):
    """Cosine and sine of the angles of rotary positions, each [T, R / 2]."""

    cosine: Tensor
    sine: Tensor


def rotary_angles(n_bins: int, width: int, base: float) -> Tensor:
    """Return the angles of T positions, position * base^(-2 i / R) for i = 0 ... R / 2 - 1, float64 [T, R / 2]."""
    frequencies = base ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    return torch.arange(n_bins, dtype=torch.float64)[:, None] * frequencies


def rotated(x: Tensor, rotation: Rotation) -> Tensor:
    """Rotate the first R channels of x [B, H, T, K]; channel i of R / 2 forms a pair with channel i + R / 2."""
    half = rotation.cosine.shape[-1]
    first, second, others = x.split([half, half, x.shape[-1] - 2 * half], dim=-1)
    cosine, sine = rotation
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine, others], dim=-1)


class RotaryAttention(nn.Module):
    """Attention with rotary positions, whose heads of keys and values are each read by several heads of queries.

    The rows of `qkv` are the queries of all heads, then their keys, then their values. [B, T, C] -> [B, M, C], for M queries.
    """

    def __init__(self, config: BorzoiConfig) -> None:
        super().__init__()
        self.n_heads, self.n_kv_heads = config.n_heads, config.n_kv_heads
        self.head_width = config.width // config.n_heads
        self.qkv = Linear(config.width, (config.n_heads + 2 * config.n_kv_heads) * self.head_width)
        self.out = Linear(config.width, config.width)
        self.dropout = config.attention_dropout
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, rotation: Rotation, rows: slice = slice(None)) -> Tensor:
        query, key, value = self._projected(x, rotation)
        query = query[:, :, rows]
        dropout = self.dropout if self.training else 0.0
        if not dropout and rows_pay_off(query, key):
            out = attend_rows(query, key, value)
        else:
            out = attend(query, key, value, None, causal=False, dropout=dropout)
        return self.out(out.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, rotation: Rotation, first: int, n: int) -> Tensor:
        """Return the attention weights of n query bins, from number `first`: [B, H, n, T]."""
        query, key, _ = self._projected(x, rotation)
        logits = query[:, :, first : first + n] @ for_each_query(key, self.n_heads).transpose(-1, -2)
        return (logits * self.head_width**-0.5).softmax(-1)

    def _projected(self, x: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries [B, H, T, K], keys and values [B, G, T, K]; queries and keys are rotated."""
        heads = self.qkv(x).unflatten(-1, (-1, self.head_width)).transpose(1, 2)
        query, key, value = heads.split([self.n_heads, self.n_kv_heads, self.n_kv_heads], dim=1)
        return rotated(query, rotation), rotated(key, rotation), value
