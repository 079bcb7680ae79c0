"""Faster forms of two operations on a CPU: a matrix product as a convolution, and attention by parts."""

from __future__ import annotations

import platform
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_IMAGES, _PIXELS = 16, 4  # least images for which torch gives a 1 x 1 convolution to oneDNN; with fewer pixels it is slow

_BLOCK = 192  # queries of a block of causal attention
_LOGITS = 1 << 26  # of a layer; they are kept for the backward pass
_CHANCES = 1 << 16  # dropout is drawn with 16 bits: a rate of 0.1 is 6554 / 65536


@lru_cache(maxsize=4096)
def _images(n_rows: int) -> int | None:
    """Return the least number of images, of at least 4 pixels each, into which n_rows can be divided, or None."""
    return next((n for n in range(_IMAGES, n_rows // _PIXELS + 1) if n_rows % n == 0), None)


@lru_cache(maxsize=1)
def is_intel() -> bool:
    """Return True for a processor of Intel, on which MKL, and so `F.linear` in float32, is faster than the convolution."""
    try:
        return "GenuineIntel" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "Intel" in platform.processor()


@lru_cache(maxsize=1)
def has_matrix_unit() -> bool:
    """Return True for a processor with AMX, on which torch's own kernels are the fastest in bfloat16."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False


def has_bfloat16() -> bool:
    """Return True for a processor with instructions for products in bfloat16, without which they are slower than in float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return not {"amx_bf16", "avx512_bf16", "bf16"}.isdisjoint(flags)


def convolution_pays_off(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Return True if `linear_as_convolution` is possible for x [..., D] and faster than `F.linear`."""
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.bfloat16) or torch.is_autocast_enabled("cpu"):
        return False
    if (x.dtype == torch.float32 and is_intel()) or (x.dtype == torch.bfloat16 and has_matrix_unit()):
        return False
    n_rows = x.shape[:-1].numel()
    small = n_rows * weight.numel() < 1 << 25  # multiply-adds: the convolution costs more than it saves
    if small or (bias is None and x.dtype == torch.bfloat16):
        return False
    return x.is_contiguous() and _images(n_rows) is not None


def linear_as_convolution(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return x W^T + b, [..., D] -> [..., E], the same sum as `F.linear`, as a 1 x 1 convolution.

    Torch gives a float32 matrix product to MKL, which on processors of other makers than Intel runs at about half the rate of
    oneDNN, and there is no public switch; a channels-last convolution goes to oneDNN, without a copy, forward and backward. In
    bfloat16 it saves the copy of the bias into the output.
    """
    n_rows = x.shape[:-1].numel()
    n = _images(n_rows)
    assert n is not None
    image = x.view(n, 1, n_rows // n, x.shape[-1]).permute(0, 3, 1, 2)  # [n, D, 1, rows/n], channels last
    out = F.conv2d(image, weight[:, :, None, None], bias).permute(0, 2, 3, 1)
    return out.reshape(*x.shape[:-1], weight.shape[0])


def windows_pay_off(dtype: torch.dtype) -> bool:
    """Return True if `attend_window_by_window` is faster than SDPA: in bfloat16, unless the processor has AMX."""
    return dtype == torch.bfloat16 and not has_matrix_unit()


def attend_window_by_window(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """Compute attention window by window, so that the logits stay in the cache; all [B, H, T, K]."""
    out = torch.empty(q.shape[0], q.shape[2], q.shape[1], q.shape[3], dtype=q.dtype).transpose(1, 2)
    scale = q.shape[-1] ** -0.5
    for i in range(q.shape[0]):
        logits = torch.matmul(q[i] * scale, k[i].transpose(-1, -2))  # [H, M, T]
        if bias is not None:
            logits += bias[i if bias.shape[0] > 1 else 0]
        out[i] = torch.matmul(logits.softmax(-1), v[i])
    return out


def causal_blocks_pay_off(shape: torch.Size, dtype: torch.dtype) -> bool:
    """Return True if `attend_causal_blocks` is faster than SDPA, for queries [B, H, T, K]: in training, and in bfloat16.

    In training only for few logits, which are kept for the backward pass.
    """
    if not torch.is_grad_enabled():
        return windows_pay_off(dtype)
    n_windows, n_heads, n_tokens, _ = shape
    return n_windows * n_heads * n_tokens**2 <= _LOGITS


def attend_causal_blocks(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Compute causal attention by matrix products of a block of queries with the keys up to its end; all [B, H, T, K].

    Training of a cloze model with windows of 512 bases takes 0.6 of the time: half of it was SDPA and its backward pass.
    """
    hidden = torch.full((_BLOCK, _BLOCK), -torch.inf, dtype=q.dtype).triu(1)
    q = q * q.shape[-1] ** -0.5
    parts = []
    for first in range(0, q.shape[2], _BLOCK):
        end = min(first + _BLOCK, q.shape[2])
        logits = q[:, :, first:end] @ k[:, :, :end].transpose(-1, -2)
        own = hidden[: end - first, : end - first]
        parts.append((logits + F.pad(own, (first, 0))).softmax(-1) @ v[:, :, :end])
    return torch.cat(parts, dim=2)


class AttentionWithDropout(torch.autograd.Function):
    """Attention with dropout, one window at a time; a dropped probability is stored as a negative number."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, rate: float) -> Tensor:
        (n_windows, n_heads, n_asked, width), n_keys, dtype = q.shape, k.shape[2], q.dtype
        n_dropped = round(rate * _CHANCES)
        ctx.factor, ctx.scale = _CHANCES / (_CHANCES - n_dropped), width**-0.5
        kept = torch.empty(n_windows, n_heads, n_asked, n_keys, dtype=dtype)
        out = torch.empty(n_windows, n_asked, n_heads, width, dtype=dtype).transpose(1, 2)
        logits, used = (torch.empty(n_heads, n_asked, n_keys, dtype=dtype) for _ in range(2))
        bits = torch.empty((logits.numel() + 3) // 4, dtype=torch.int64)  # 16 random bits for each probability
        draw = bits.view(torch.int16)[: logits.numel()].view_as(logits)
        for i in range(n_windows):
            bits.random_(-(2**63), None)
            torch.bmm(q[i] * ctx.scale, k[i].transpose(1, 2), out=logits)
            if bias is not None:
                logits += bias[i if bias.shape[0] > 1 else 0]
            p = kept[i]
            torch.softmax(logits, -1, out=p)
            torch.where(draw < n_dropped - _CHANCES // 2, p.neg(), p, out=p)
            torch.clamp_min(p, 0, out=used)
            out[i] = torch.bmm(used, v[i]).mul_(ctx.factor)
        ctx.save_for_backward(q, k, v, kept)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, kept = ctx.saved_tensors
        (n_windows, n_heads, n_asked, width), n_keys, dtype = q.shape, k.shape[2], q.dtype
        dq = torch.empty(n_windows, n_asked, n_heads, width, dtype=dtype).transpose(1, 2)
        dk, dv = (torch.empty(n_windows, n_keys, n_heads, width, dtype=dtype).transpose(1, 2) for _ in range(2))
        dp, used = (torch.empty(n_heads, n_asked, n_keys, dtype=dtype) for _ in range(2))
        g = gradients[0] * ctx.factor
        for i in range(n_windows):
            p = kept[i]
            torch.clamp_min(p, 0, out=used)
            dv[i] = torch.bmm(used.transpose(1, 2), g[i])
            torch.bmm(g[i], v[i].transpose(1, 2), out=dp)
            dp.mul_(used)  # p dL/dp, 0 where dropped
            ds = dp.sub_(p.abs() * dp.sum(-1, keepdim=True))  # of the softmax: p (dL/dp - sum p dL/dp)
            dq[i] = torch.bmm(ds, k[i]).mul_(ctx.scale)
            dk[i] = torch.bmm(ds.transpose(1, 2), q[i]).mul_(ctx.scale)
        return dq, dk, dv, None, None
