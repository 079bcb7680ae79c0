"""Average: an exponential moving average of a model's weights, which often predicts better than the last weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of weights: mean <- share * mean + (1 - share) * weights after each step.

    The method is that of Polyak and Juditsky 1992, in its exponential form. Early steps use (1 + step) / (10 + step) if that
    is less than `share`, so that the first weights are soon forgotten. The average covers all floating-point entries of the
    state dict, including the statistics of batch norm.
    """

    def __init__(self, model: nn.Module, share: float) -> None:
        self.model, self.share = model, share
        self.mean = {name: t.detach().clone() for name, t in model.state_dict().items() if t.is_floating_point()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average with the weights after step 1, 2, ..."""
        share, now = min(self.share, (1 + step) / (10 + step)), self.model.state_dict()
        for name, mean in self.mean.items():
            mean.lerp_(now[name], 1 - share)

    def load(self, mean: dict[str, Tensor]) -> None:
        """Restore the average of an interrupted run."""
        for name, tensor in self.mean.items():
            tensor.copy_(mean[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the model the averaged weights, and restore its own weights when the block ends."""
        now = self.model.state_dict()
        own = [(now[name], now[name].clone()) for name in self.mean]
        with torch.no_grad():
            for name, mean in self.mean.items():
                now[name].copy_(mean)
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor, value in own:
                    tensor.copy_(value)
