"""Low-rank adapters (LoRA, Hu et al. 2021) on the linear layers of a model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genoformer.errors import ConfigError
from genoformer.models.layers import linear


class LowRank(nn.Module):
    """A linear layer with weight W + (alpha / r) B A, where only A and B are trained (LoRA, Hu et al. 2021); B starts at 0."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        if not 1 <= rank <= min(base.weight.shape):
            raise ConfigError(f"lora_rank = {rank}: give 1 to {min(base.weight.shape)}, the narrowest side of the weights.")
        self.base, self.scale = base, alpha / rank
        self.a = nn.Parameter(torch.empty(rank, base.in_features))
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.normal_(self.a, std=base.in_features**-0.5)

    @property
    def weight(self) -> Tensor:
        return self.base.weight + self.scale * (self.b @ self.a)

    @property
    def bias(self) -> Tensor | None:
        return self.base.bias

    @property
    def out_features(self) -> int:
        return self.base.out_features

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.base.weight, self.base.bias) + self.scale * ((x @ self.a.T) @ self.b.T)


def add_adapters(layers: nn.Module, rank: int, alpha: float = 16.0) -> int:
    """Add a low-rank adapter to every linear layer of some layers, freeze that layer, and return the number of adapters.

    layers: the repeated layers of a model (`Model.layers`); other parameters do not change.
    """
    linear_layers = [(name, module) for name, module in layers.named_modules() if isinstance(module, nn.Linear)]
    for name, base in linear_layers:
        adapter = LowRank(base, rank, alpha)
        base.requires_grad_(False)
        _replace(layers, name, adapter)
    return len(linear_layers)


def merge_adapters(layers: nn.Module) -> None:
    """Merge the adapters into the weights that they adapt, and remove them: the function stays the same."""
    for name, adapter in list(layers.named_modules()):
        if isinstance(adapter, LowRank):
            with torch.no_grad():
                adapter.base.weight.copy_(adapter.weight)
            _replace(layers, name, adapter.base)


def _replace(layers: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(layers.get_submodule(parent), last, module)
