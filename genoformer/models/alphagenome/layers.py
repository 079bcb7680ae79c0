"""Layers of AlphaGenome's convolutional encoder and decoder: norms, standardised convolutions, stages down and up.

Sequences are images [B, C, 1, L], channels last: the layout with the fastest convolutions on CPUs and GPUs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genoformer.models.batch_norm import mean_square
from genoformer.models.layers import linear

EPS = 1e-5


def image(x: Tensor) -> Tensor:
    """Convert [B, C, L] to [B, C, 1, L], channels last."""
    return x[:, :, None].contiguous(memory_format=torch.channels_last)


def gelu(x: Tensor) -> Tensor:
    """Return x sigmoid(1.702 x), AlphaGenome's GELU in convolutions and embedders (layers.py, `gelu`)."""
    return x * torch.sigmoid(1.702 * x)


class RMSBatchNorm(nn.Module):
    """Batch norm without centring: x weight / sqrt(mean square of the channel + eps) + bias; channels are in dimension `dim`.

    In training the mean square is that of the batch, and the running one follows it (decay 0.9); if the weight is frozen, and
    in eval mode, the running mean square is used.
    """

    def __init__(self, width: int, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))
        self.running_var: Tensor

    def forward(self, x: Tensor) -> Tensor:
        variance = self.running_var
        if self.training and self.weight.requires_grad:
            others = [i for i in range(x.ndim) if i != self.dim % x.ndim]
            variance = mean_square(x, others)
            with torch.no_grad():
                self.running_var.lerp_(variance, 0.1)
        scale = self.weight * torch.rsqrt(variance + EPS)
        shape = [1] * x.ndim
        shape[self.dim] = -1
        return torch.addcmul(self.bias.to(x.dtype).view(shape), x, scale.to(x.dtype).view(shape))


class RMSNorm(nn.RMSNorm):
    """Norm over the last dimension without centring, with an offset: x weight / sqrt(mean square + eps) + bias."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=EPS)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.bias


class StandardisedConv(nn.Module):
    """Convolution [B, C, 1, L] -> [B, C', 1, L] whose kernels are centred and scaled to a variance of scale^2 / fan-in.

    A kernel w of fan-in n becomes (w - mean) scale / sqrt(max(n var(w), 1e-4)) (convolutions.py, `StandardizedConv1D`).
    """

    def __init__(self, n_in: int, n_out: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_out, n_in, kernel))
        self.scale = nn.Parameter(torch.ones(n_out, 1, 1))
        self.bias = nn.Parameter(torch.zeros(n_out))
        nn.init.normal_(self.weight, std=(n_in * kernel) ** -0.5)

    def kernels(self) -> Tensor:
        """Return the standardised kernels [C', C, K]."""
        variance, mean = torch.var_mean(self.weight, (1, 2), correction=0, keepdim=True)
        n = self.weight[0].numel()
        return (self.weight - mean) * (self.scale * torch.rsqrt((n * variance).clamp_min(1e-4)))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernels()[:, :, None], self.bias, padding=(0, self.weight.shape[-1] // 2))


class PointConv(nn.Conv1d):
    """Linear layer of the channels: [B, C, 1, L] -> [B, C', 1, L]."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x.permute(0, 2, 3, 1), self.weight[..., 0], self.bias).permute(0, 3, 1, 2)


class ConvBlock(nn.Module):
    """Convolution of gelu(norm): [B, C, 1, L] -> [B, C', 1, L]; a kernel of 1 is a plain linear layer."""

    def __init__(self, n_in: int, n_out: int, kernel: int) -> None:
        super().__init__()
        self.norm = RMSBatchNorm(n_in, dim=1)
        self.conv: nn.Module = StandardisedConv(n_in, n_out, kernel) if kernel > 1 else PointConv(n_in, n_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(gelu(self.norm(x)))
        return y


class Stem(nn.Module):
    """First stage: one-hot DNA [B, 4, 1, L] -> [B, C, 1, L]."""

    def __init__(self, width: int, stem_kernel: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, width, stem_kernel, padding=stem_kernel // 2)
        self.block = ConvBlock(width, width, kernel)

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.conv.weight[:, :, None], self.conv.bias, padding=(0, self.conv.kernel_size[0] // 2))
        return x + self.block(x)


class DownStage(nn.Module):
    """Further stage: [B, C, 1, L] -> [B, C', 1, L], two residual convolutions; new channels have no residual in the first."""

    def __init__(self, n_in: int, n_out: int, kernel: int) -> None:
        super().__init__()
        self.first = ConvBlock(n_in, n_out, kernel)
        self.second = ConvBlock(n_out, n_out, kernel)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.first(x)
        y[:, : x.shape[1]] += x
        return y + self.second(y)


class UpStage(nn.Module):
    """Stage of the decoder: [B, C, 1, L / 2] and the encoder's [B, C', 1, L] -> [B, C', 1, L], C' <= C."""

    def __init__(self, n_in: int, n_out: int, kernel: int) -> None:
        super().__init__()
        self.inner = ConvBlock(n_in, n_out, kernel)
        self.residual_scale = nn.Parameter(torch.full((1,), 0.9))
        self.skip = ConvBlock(n_out, n_out, 1)
        self.outer = ConvBlock(n_out, n_out, kernel)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        y = (self.inner(x) + x[:, : skip.shape[1]]) * self.residual_scale
        y = repeated(y) + self.skip(skip)
        return y + self.outer(y)


def pooled(x: Tensor) -> Tensor:
    """Return the maximum of each two positions: [B, C, 1, L] -> [B, C, 1, L / 2]."""
    return F.max_pool2d(x, (1, 2))


def repeated(x: Tensor) -> Tensor:
    """Repeat each position: [B, C, 1, L] -> [B, C, 1, 2 L]; `repeat_interleave` would not keep channels last."""
    rows = x[:, :, 0].mT  # [B, L, C]
    return rows[:, :, None].expand(-1, -1, 2, -1).flatten(1, 2).mT[:, :, None]
