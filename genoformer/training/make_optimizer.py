"""make_optimizer(): parameters -> AdamW, or Muon for the matrices of the layers and AdamW for all others, as one optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from genoformer.training.optimizer import OptimizerConfig


class MuonAdamW(torch.optim.Optimizer):
    """Steps of Muon (Jordan et al. 2024) and of AdamW together.

    Muon makes the momentum of a matrix orthogonal, so that all its directions change alike; with a learning rate of 0.02 for
    matrices it needs fewer steps than AdamW. `param_groups` are those of both, so that a schedule sets all learning rates.
    """

    def __init__(self, muon: torch.optim.Muon, adamw: torch.optim.AdamW | None) -> None:
        self.parts = [part for part in (muon, adamw) if part is not None]
        super().__init__([{"params": group["params"]} for part in self.parts for group in part.param_groups], {})
        self._share_groups()

    def _share_groups(self) -> None:
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step of both; closure: computes the loss and its gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share_groups()


def is_layer_matrix(name: str, parameter: Tensor) -> bool:
    """True for a matrix of the repeated layers, which Muon steps; embeddings, convolutions and heads are AdamW's."""
    return parameter.ndim == 2 and name.partition("layers.")[1] != ""


def make_optimizer(model: nn.Module, config: OptimizerConfig, rates: Callable[[str], float]) -> torch.optim.Optimizer:
    """Return the optimizer of the parameters that are trained; rates: name of a parameter -> factor of its learning rate."""
    groups: dict[tuple[bool, float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            by_muon = config.optimizer == "muon" and is_layer_matrix(name, parameter)
            decay = config.weight_decay if parameter.ndim >= 2 else 0.0
            groups.setdefault((by_muon, decay, rates(name)), []).append(parameter)
    of_muon, of_adamw = (
        [
            {"params": parameters, "weight_decay": decay, "lr": learning_rate * rate}
            for (by_muon, decay, rate), parameters in groups.items()
            if by_muon is wanted
        ]
        for wanted, learning_rate in ((True, config.muon_learning_rate), (False, config.learning_rate))
    )
    adamw = torch.optim.AdamW(of_adamw, betas=(0.9, config.beta2), eps=config.epsilon) if of_adamw else None
    if not of_muon and adamw is not None:
        return adamw
    muon = torch.optim.Muon(of_muon, momentum=0.95, adjust_lr_fn="original")
    return MuonAdamW(muon, adamw)
