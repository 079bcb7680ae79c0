"""Synchronised batch norm of images that also runs on CPUs: in training, mean and variance are over all processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn


def sync_batch_norm(x: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """Apply batch norm to an image, as the module does to [B, C, L], or to rows [n, C]; in training over all processes."""
    if norm.training and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    momentum = norm.momentum or 0.0
    if norm.training and distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
        if x.dim() == 2:
            return _normalise_together(x.T[None, :, None], norm, momentum)[0, :, 0].T
        return _normalise_together(x, norm, momentum)
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.training, momentum, norm.eps)


def scale_rows(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return scale x + shift of rows [n, C] in their precision; if it is lower than that of scale and shift, rounded once."""
    if x.dtype == scale.dtype:
        return torch.addcmul(shift, x, scale)
    zeros = torch.zeros_like(scale)
    return F.batch_norm(x.T[None, :, None], zeros, zeros + 1, scale, shift, eps=0.0)[0, :, 0].T


class WideBatchNorm(nn.BatchNorm1d):
    """Batch norm that stays in float32 when its model is converted to 16 bits: its few numbers scale all others."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = {name: x.data for name, x in (*self.named_parameters(), *self.named_buffers())}
        super()._apply(fn, recurse)
        for name, x in (*self.named_parameters(), *self.named_buffers()):
            if x.dtype in (torch.float16, torch.bfloat16):
                x.data = before[name].to(x.device, torch.float32)
        return self


def _normalise_together(x: Tensor, norm: nn.BatchNorm1d, momentum: float) -> Tensor:
    """Apply batch norm with the mean and variance over all processes (torch's SyncBatchNorm requires a GPU)."""
    n = _SumOfProcesses.apply(x.new_tensor([x.numel() / x.shape[1]], dtype=torch.float32))
    wide = x.float()
    mean = _SumOfProcesses.apply(wide.sum((0, 2, 3))) / n  # [C]
    centred = wide - mean[:, None, None]
    variance = _SumOfProcesses.apply(centred.square().sum((0, 2, 3))) / n
    with torch.no_grad():
        for running, now in ((norm.running_mean, mean), (norm.running_var, variance * n / (n - 1))):
            if running is not None:
                running.lerp_(now.to(running.dtype), momentum)
    y = centred * (torch.rsqrt(variance + norm.eps) * norm.weight)[:, None, None] + norm.bias[:, None, None]
    return y.to(x.dtype)


def mean_square(x: Tensor, dims: list[int]) -> Tensor:
    """Return the mean of the squares over some dimensions, float32, and over all processes of a training run."""
    mean = x.float().square().mean(dims)
    if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
        n = x.numel() // mean.numel()
        counts: Tensor = _SumOfProcesses.apply(mean.new_tensor([float(n)]))
        total: Tensor = _SumOfProcesses.apply(mean * n)
        return total / counts
    return mean


class _SumOfProcesses(torch.autograd.Function):
    """Sum of a tensor over all processes; the gradient is summed in the same way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.contiguous().clone()
        distributed.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous().clone()
        distributed.all_reduce(gradient)
        return gradient
