"""Attributions by gradients: of each base of one-hot DNA, how much it adds to an output of a model."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from genoformer.errors import ConfigError
from genoformer.scoring.scores import Floats


class Attribution(NamedTuple):
    """Of sequences [B, 4, L] and one output of a model."""

    values: Floats  # [B, L, 4]: of the bases that are there, 0 at the others
    hypothetical: Floats  # [B, L, 4]: of each base if it were there
    output: Floats  # [B]
    error: Floats | None  # [B]: sum of values less what they should sum to, |.| over the latter; None where none is known


def gradient_times_input(model: nn.Module, onehot: Tensor, output: int = 0, *, batch_size: int = 8) -> Attribution:
    """The gradient at each base, less its mean over the four, times the one-hot input.

    One-hot DNA lies on a simplex: what a gradient says in the direction off it, where all four bases grow, means nothing, and
    is taken away (Majdandzic et al. 2023, doi:10.1186/s13059-023-02956-3). model: [B, 4, L] -> [B, C].
    """
    gradients, outputs = [], []
    for part in onehot.split(batch_size):
        gradient, value = _gradient(model, part, output)
        gradients.append(gradient)
        outputs.append(value)
    corrected = torch.cat(gradients)
    corrected = corrected - corrected.mean(1, keepdim=True)
    return Attribution(_array(corrected * onehot), _array(corrected), torch.cat(outputs).cpu().numpy(), None)


def integrated_gradients(
    model: nn.Module, onehot: Tensor, output: int = 0, *, n_steps: int = 50, batch_size: int = 8, baseline: float = 0.25
) -> Attribution:
    """Integrated gradients (Sundararajan et al. 2017) from a sequence of which nothing is known, by captum.

    The values sum to the output less that at the baseline, but for the steps of the integral: `error` says how far they are
    from it, as a share; above 5 % take more steps. baseline: the value of all four bases at every place, 0.25 or 0.
    Raises ConfigError without captum (extra `interpret`).
    """
    try:
        from captum.attr import IntegratedGradients
    except ImportError as missing:
        raise ConfigError("captum is not installed; install genoformer[interpret], or take gradient x input.") from missing
    method = IntegratedGradients(model, multiply_by_inputs=False)
    empty = torch.full_like(onehot, baseline)
    means = []
    for part, base in zip(onehot.split(batch_size), empty.split(batch_size), strict=True):
        means.append(
            method.attribute(part, baselines=base, target=output, n_steps=n_steps, internal_batch_size=batch_size).detach()
        )
    mean = torch.cat(means)  # the gradient along the way
    values = mean * (onehot - empty)
    with torch.no_grad():
        here, there = (torch.cat([model(part)[:, output] for part in x.split(batch_size)]) for x in (onehot, empty))
    wanted = here - there
    # the share of all four bases of a place belongs to the base that is there: the others are the baseline in both
    own = values.sum(1, keepdim=True) * onehot
    error = (own.sum((1, 2)) - wanted).abs() / wanted.abs().clamp(min=1e-12)
    corrected = mean - (mean * empty).sum(1, keepdim=True) / empty.sum(1, keepdim=True).clamp(min=1e-12)
    if baseline == 0:
        corrected = mean
    return Attribution(_array(own), _array(corrected), here.cpu().numpy(), error.cpu().numpy())


def _gradient(model: nn.Module, onehot: Tensor, output: int) -> tuple[Tensor, Tensor]:
    x = onehot.detach().clone().requires_grad_()
    with torch.enable_grad():
        value = model(x)[:, output]
        (gradient,) = torch.autograd.grad(value.sum(), x)
    return gradient, value.detach()


def _array(x: Tensor) -> Floats:
    """[B, 4, L] -> [B, L, 4]."""
    return x.detach().transpose(1, 2).cpu().numpy()
