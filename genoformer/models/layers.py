"""What at least two models share."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_IMAGES, _PIXELS = 16, 4  # from so many images on torch gives a 1 x 1 convolution to oneDNN; with fewer pixels it is slow


@lru_cache(maxsize=4096)
def _images(n_rows: int) -> int | None:
    """The least number of images, of at least 4 pixels each, that n_rows can be seen as."""
    return next((n for n in range(_IMAGES, n_rows // _PIXELS + 1) if n_rows % n == 0), None)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x W^T + b, [..., D] -> [..., E], as `F.linear`; on a CPU as a 1 x 1 convolution where that is possible.

    The two are the same sum. Torch gives a float32 matrix product to MKL, which on processors that are not Intel's runs at
    about half the rate of oneDNN, and there is no public switch; a channels-last convolution goes to oneDNN, without
    a copy, forward and backward. In bfloat16 it saves the copy of the bias into the output.
    """
    n_rows = x.shape[:-1].numel()
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.bfloat16) or torch.is_autocast_enabled("cpu"):
        return F.linear(x, weight, bias)
    n = _images(n_rows) if x.is_contiguous() else None
    if n is None or n_rows * x.shape[-1] < 1 << 17:  # for small products the detour costs more than it saves
        return F.linear(x, weight, bias)
    image = x.view(n, 1, n_rows // n, x.shape[-1]).permute(0, 3, 1, 2)  # [n, D, 1, rows/n], channels last
    out = F.conv2d(image, weight[:, :, None, None], bias).permute(0, 2, 3, 1)
    return out.reshape(*x.shape[:-1], weight.shape[0])


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, *, causal: bool, dropout: float) -> Tensor:
    """softmax(q k^T / sqrt(K) + bias) v, all [B, H, T, K]: torch's SDPA, except for bfloat16 inference on a CPU.

    There SDPA computes at the speed of float32; two matrix products for one window at a time, whose logits stay in the
    cache, take half the time.
    """
    slow = q.device.type == "cpu" and q.dtype == torch.bfloat16 and not causal and not torch.is_grad_enabled()
    if not slow or dropout:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout, is_causal=causal)
    out = torch.empty(q.shape[0], q.shape[2], q.shape[1], q.shape[3], dtype=q.dtype).transpose(1, 2)
    scale = q.shape[-1] ** -0.5
    for i in range(q.shape[0]):
        logits = torch.matmul(q[i] * scale, k[i].transpose(-1, -2))  # [H, M, T]
        if bias is not None:
            logits += bias[i if bias.shape[0] > 1 else 0]
        out[i] = torch.matmul(logits.softmax(-1), v[i])
    return out


class Linear(nn.Linear):
    """`nn.Linear` through `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)
