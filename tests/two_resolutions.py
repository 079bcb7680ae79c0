"""A family of track models whose heads have bins of different sizes: 32 bases (coarse) and 8 bases (fine)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genoformer.config import checked
from genoformer.models.base import Bins, Head
from genoformer.models.track_model import TrackModel


@dataclass(frozen=True)
class TwoConfig:
    width: int = 6
    context_length: int = 256
    fine_targets: int = 24

    @property
    def min_layers(self) -> int:
        return 1

    @property
    def min_parameters(self) -> int:
        return 32 * self.width

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TwoConfig:
        return cls(**checked(cls, values, "model of two resolutions"))


class TwoResolutions(TrackModel):
    """Convolutions on bins of 8 bases; the coarse head reads means of four of them."""

    config_type = TwoConfig

    def __init__(self, config: TwoConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Conv1d(4, config.width, 8, stride=8)
        self.layers = nn.ModuleList([nn.Conv1d(config.width, config.width, 9, padding=4)])
        self.out = nn.ModuleDict({name: nn.Linear(config.width, n) for name, n in (("coarse", 2), ("fine", 3))})

    @classmethod
    def heads_of(cls, config: TwoConfig) -> dict[str, Head]:
        return {"coarse": Head(2, 32), "fine": Head(3, 8, target_bins=config.fine_targets)}

    def embed(self, onehot: Tensor, n_bins: int | Bins | None = None, head: str | None = None) -> Tensor:
        name = self.head_named(head)
        bins = n_bins if isinstance(n_bins, Bins) else self.bins_of(onehot.shape[-1], n_bins, name)
        x = F.gelu(self.stem(onehot))  # [B, D, L / 8]
        x = x + F.gelu(self.layers[0](x))
        if name == "coarse":
            x = F.avg_pool1d(x, 4)
        return x[..., bins.first : bins.first + bins.n]

    def output_parts(self) -> list[nn.Module | nn.Parameter]:
        return [self.out]

    def tracks(self, embedding: Tensor, head: str | None = None, only: Tensor | None = None) -> Tensor:
        tracks = F.softplus(self.out[self.head_named(head)](embedding.transpose(1, 2))).transpose(1, 2)
        return tracks if only is None else tracks[:, only]


def two_resolutions(**fields: Any) -> TwoResolutions:
    """A model in eval mode with random weights."""
    torch.manual_seed(7)
    model = TwoResolutions(TwoConfig(**fields)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    return model
