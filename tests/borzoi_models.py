"""Small models of the Borzoi family, and the same computed in float64 by formulas that follow the papers step by step."""

from __future__ import annotations

import math
from typing import Any

import torch
from small_models import random_onehot, shaken
from torch import Tensor

from genoformer.formats.track_table import Track, TrackTable
from genoformer.models.borzoi.config import preset
from genoformer.models.borzoi.model import Borzoi

SMALL: dict[str, Any] = {
    "width": 24,
    "n_blocks": 2,
    "n_heads": 4,
    "key_width": 5,
    "value_width": 7,
    "n_kv_heads": 2,
    "rotary_width": 4,
    "stem_width": 8,
    "tower_widths": (10, 12, 14, 16, 18),
    "final_width": 20,
    "context_length": 2048,
    "target_bins": 0,
    "heads": {"human": 4, "mouse": 2},
}
TABLE_OF_FOUR = TrackTable(tuple(Track(i, f"t{i}", strand_pair=i ^ 1) for i in range(4)))
KINDS: dict[str, dict[str, Any]] = {
    "borzoi": {},
    "flashzoi": {"attention": "rotary"},
    "prime": {"n_upsamples": 3, "final_width": 0},
    "wide": {"width": 36, "stem_width": 32, "tower_widths": (32, 34, 36, 38, 40)},  # convolutions with fewer products
    "short tower": {"tower_widths": (10, 12), "n_upsamples": 1, "n_features": 6},
}


def small_borzoi(kind: str = "borzoi", **fields: Any) -> Borzoi:
    """A model in eval mode, whose every weight shows in its tracks."""
    torch.manual_seed(5)
    model = Borzoi(preset("tiny", **{**SMALL, **KINDS[kind], **fields}))
    onehot = random_onehot(2, 2048, 9)
    shaken(model, lambda: model.embed(onehot, 0))
    with torch.no_grad():
        for head in model.heads.values():
            head.weight.mul_(4)
    return model


def naive(model: Borzoi, onehot: Tensor, head: str) -> Tensor:
    """All bins of the tracks of a head, float64 [B, K, N], from the tensors of the model alone."""
    shape, t = model.config, {name: tensor.double() for name, tensor in model.state_dict().items()}

    def block(x: Tensor, name: str) -> Tensor:
        deviation = (t[f"{name}.norm.running_var"] + 1e-3).sqrt()[:, None]
        x = (x - t[f"{name}.norm.running_mean"][:, None]) / deviation
        return conv(gelu(x * t[f"{name}.norm.weight"][:, None] + t[f"{name}.norm.bias"][:, None]), f"{name}.conv")

    def conv(x: Tensor, name: str) -> Tensor:
        weight, n = t[f"{name}.weight"], x.shape[-1]
        padded = torch.nn.functional.pad(x, (weight.shape[-1] // 2,) * 2)
        out = sum(torch.einsum("oi,bil->bol", weight[..., k], padded[..., k : k + n]) for k in range(weight.shape[-1]))
        return out + t[f"{name}.bias"][:, None]

    def gelu(x: Tensor) -> Tensor:
        return x / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    def pool(x: Tensor) -> Tensor:
        return torch.maximum(x[..., 0::2], x[..., 1::2])

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-3).sqrt() * t[f"{name}.weight"] + t[f"{name}.bias"]

    x = conv(onehot.double(), "stem")
    outputs = []
    for i in range(len(shape.widths)):
        x = block(pool(x), f"stages.{i}")
        outputs.append(x)
    x = pool(x).transpose(1, 2)
    attention = _rotary if shape.attention == "rotary" else _relative
    for i in range(shape.n_blocks):
        name = f"blocks.{i}"
        x = x + attention(
            norm(x, f"{name}.norm_attention"), {k.removeprefix(f"{name}.attention."): v for k, v in t.items()}, shape
        )
        h = (norm(x, f"{name}.norm_feed") @ t[f"{name}.up.weight"].T + t[f"{name}.up.bias"]).clamp(min=0)
        x = x + h @ t[f"{name}.down.weight"].T + t[f"{name}.down.bias"]
    x = x.transpose(1, 2)
    for i in range(shape.n_upsamples):
        name = f"decoder.{i}"
        x = block(x, f"{name}.point")
        x = torch.stack([x, x], -1).flatten(-2) + block(outputs[-1 - i], f"{name}.skip")
        weight, padded = t[f"{name}.depthwise.weight"][:, 0], torch.nn.functional.pad(x, (1, 1))
        x = sum(weight[:, k, None] * padded[..., k : k + x.shape[-1]] for k in range(3))
        x = conv(x, f"{name}.pointwise")
    x = gelu(block(x, "final") if shape.final_width else x)
    logits = torch.einsum("ki,bin->bkn", t[f"heads.{head}.weight"], x) + t[f"heads.{head}.bias"][:, None]
    return logits.exp().log1p()


def _relative(x: Tensor, t: dict[str, Tensor], shape: Any) -> Tensor:
    """Attention of Borzoi, head by head and row by row."""
    n, h, k, v = x.shape[1], shape.n_heads, shape.key_width, shape.value_width
    heads = []
    for i in range(h):
        keys, values = slice(i * k, (i + 1) * k), slice(i * v, (i + 1) * v)
        query = x @ t["query.weight"][keys].T / math.sqrt(k)
        key, value = x @ t["key.weight"][keys].T, x @ t["value.weight"][values].T
        rows = []
        for row in range(n):
            features = torch.tensor([features_of(column - row, shape) for column in range(n)], dtype=torch.float64)
            position = features @ t["position.weight"][keys].T  # [T, K]
            content = torch.einsum("bk,btk->bt", query[:, row] + t["content_bias"][i], key)
            logits = content + (query[:, row] + t["position_bias"][i]) @ position.T
            weights = logits.exp() / logits.exp().sum(-1, keepdim=True)
            rows.append(torch.einsum("bt,btv->bv", weights, value))
        heads.append(torch.stack(rows, 1))
    return torch.cat(heads, -1) @ t["out.weight"].T + t["out.bias"]


def features_of(distance: int, shape: Any) -> list[float]:
    """The features of the distance from a query to a key."""
    n = shape.n_features // 2
    mask = [float((shape.position_range + 1) ** (i / n) - 1 > abs(distance)) for i in range(1, n + 1)]
    sign = (distance > 0) - (distance < 0)
    return mask + [sign * value for value in mask]


def _rotary(x: Tensor, t: dict[str, Tensor], shape: Any) -> Tensor:
    """Attention of Flashzoi; pairs of channels as complex numbers."""
    n, h, g, width = x.shape[1], shape.n_heads, shape.n_kv_heads, shape.width // shape.n_heads
    qkv = x @ t["qkv.weight"].T + t["qkv.bias"]
    half = shape.rotary_width // 2
    angle = torch.tensor([[p / shape.rotary_base ** (i / half) for i in range(half)] for p in range(n)], dtype=torch.float64)

    def turned(part: Tensor) -> Tensor:
        number = torch.complex(part[..., :half], part[..., half : 2 * half]) * torch.exp(1j * angle)
        return torch.cat([number.real, number.imag, part[..., 2 * half :]], -1)

    def head(i: int) -> Tensor:
        return qkv[..., i * width : (i + 1) * width]

    heads = []
    for i in range(h):
        shared = i // (h // g)
        logits = turned(head(i)) @ turned(head(h + shared)).transpose(1, 2) / math.sqrt(width)
        weights = logits.exp() / logits.exp().sum(-1, keepdim=True)
        heads.append(weights @ head(h + g + shared))
    return torch.cat(heads, -1) @ t["out.weight"].T + t["out.bias"]
