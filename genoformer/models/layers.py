"""Layers that several models share: linear layers and attention, with faster forms on CPUs (`cpu_kernels`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genoformer.models.cpu_kernels import (
    AttentionWithDropout,
    attend_causal_blocks,
    attend_window_by_window,
    causal_blocks_pay_off,
    convolution_pays_off,
    linear_as_convolution,
    windows_pay_off,
)

_FEW_KEYS = 256


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return x W^T + b, [..., D] -> [..., E], as `F.linear`; on a CPU as a 1 x 1 convolution where that is faster."""
    if convolution_pays_off(x, weight, bias):
        return linear_as_convolution(x, weight, bias)
    return F.linear(x, weight, bias)


def for_each_query(x: Tensor, n_heads: int) -> Tensor:
    """Repeat keys or values [B, G, T, K] for the queries that share them: [B, H, T, K]."""
    return x if x.shape[1] == n_heads else x.repeat_interleave(n_heads // x.shape[1], dim=1)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, *, causal: bool, dropout: float) -> Tensor:
    """Return softmax(q k^T / sqrt(K) + bias) v with dropout of the softmax, [B, H, T, K]; bias has no gradient.

    k and v are [B, G, T, K]; where G < H, each head of them is read by H / G heads of queries.

    This is torch's SDPA, except on a CPU in three cases. With dropout, SDPA there switches from its fast kernel to one that
    stores the logits of the whole batch several times (three times as slow as `AttentionWithDropout`). In bfloat16 inference
    on a processor without a matrix unit SDPA runs at the speed of float32; two matrix products for one window at a time take
    half the time. Causal attention goes by blocks of queries in training and in bfloat16 (`attend_causal_blocks`).
    """
    if q.device.type == "cpu" and causal and not dropout and causal_blocks_pay_off(q.shape, v.dtype):
        k, v = for_each_query(k, q.shape[1]), for_each_query(v, q.shape[1])
        with torch.autocast("cpu", enabled=False):
            return attend_causal_blocks(q.to(v.dtype), k.to(v.dtype), v)
    if q.device.type == "cpu" and not causal:
        if dropout:
            k, v = for_each_query(k, q.shape[1]), for_each_query(v, q.shape[1])
            with torch.autocast("cpu", enabled=False):  # v has its dtype; rotary positions leave q and k in float32
                return AttentionWithDropout.apply(q.to(v.dtype), k.to(v.dtype), v, bias, dropout)
        if windows_pay_off(q.dtype) and not torch.is_grad_enabled():
            return attend_window_by_window(q, for_each_query(k, q.shape[1]), for_each_query(v, q.shape[1]), bias)
    grouped = k.shape[1] != q.shape[1]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout, is_causal=causal, enable_gqa=grouped)


def attend_few_keys(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, *, causal: bool, dropout: float) -> Tensor:
    """Return what `attend` returns; in training on a CPU, for few keys, by three products that store all logits.

    The backward pass of SDPA there takes ten times as long for sequences of some tens of tokens.
    """
    if q.device.type != "cpu" or not torch.is_grad_enabled() or causal or dropout or k.shape[2] > _FEW_KEYS:
        return attend(q, k, v, bias, causal=causal, dropout=dropout)
    k, v = for_each_query(k, q.shape[1]), for_each_query(v, q.shape[1])
    logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)  # [B, H, T, T]
    return (logits if bias is None else logits + bias).softmax(-1).to(v.dtype) @ v


class Linear(nn.Linear):
    """`nn.Linear` computed by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


class FirstConv(nn.Conv1d):
    """One of the first convolutions of a model: it remembers its weights in float32 when the model is converted to 16 bits.

    All later layers enlarge the error of their few weights, and they take little time in float32.
    """

    in_full: tuple[Tensor, Tensor] | None = None  # weight and bias, if those of the module are in 16 bits

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        assert self.bias is not None
        before = self.in_full or (self.weight.data, self.bias.data)
        super()._apply(fn, recurse)
        is_short = self.weight.dtype in (torch.float16, torch.bfloat16)
        weight, bias = before
        self.in_full = (weight.to(self.weight.device), bias.to(self.weight.device)) if is_short else None
        return self

    @property
    def best_weights(self) -> tuple[Tensor, Tensor]:
        """Weight and bias in float32 if they are known and still those of the module, else as in the module."""
        assert self.bias is not None
        own = (self.weight.detach(), self.bias.detach())
        if self.in_full is None or not all(map(torch.equal, own, (x.to(self.weight.dtype) for x in self.in_full))):
            return own
        return self.in_full


class RMSNorm(nn.RMSNorm):
    """`nn.RMSNorm` over the last dimension; on a CPU without gradients in fewer passes over memory."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or torch.is_grad_enabled() or self.eps is None:
            return super().forward(x)
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32))
        scale = norm.square_().div_(x.shape[-1]).add_(self.eps).rsqrt_()
        scaled = (x * scale).to(x.dtype)
        return scaled.mul_(self.weight) if self.weight.dtype == x.dtype else scaled * self.weight
