"""Gradient attributions: the contribution of each base of one-hot DNA to an output of a model."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from genoformer.errors import ConfigError
from genoformer.scoring.scores import Floats


class Attribution(NamedTuple):
    """Attribution of one output of a model to the bases of sequences [B, 4, L]."""

    values: Floats  # [B, L, 4]: contribution of the observed base, 0 for the other bases
    hypothetical: Floats  # [B, L, 4]: contribution of each base if it were present
    output: Floats  # [B]
    error: Floats | None  # [B]: |sum of values - expected sum| / |expected sum|; None without an expected sum


def gradient_times_input(model: nn.Module, onehot: Tensor, output: int = 0, *, batch_size: int = 8) -> Attribution:
    """Return the gradient at each base, minus its mean over the four bases, times the one-hot input.

    One-hot DNA lies on a simplex. The gradient component off the simplex, along which all four bases grow, has no meaning and
    is subtracted (Majdandzic et al. 2023, doi:10.1186/s13059-023-02956-3). model: [B, 4, L] -> [B, C].
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
    """Return integrated gradients (Sundararajan et al. 2017) from an uninformative baseline sequence, by captum.

    The values sum to the output minus the output at the baseline, up to the discretisation of the integral. `error` is the
    relative difference; use more steps if it is above 5 %. baseline: the value of all four bases at every position, 0.25 or 0.
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
    mean = torch.cat(means)  # mean gradient along the path
    values = mean * (onehot - empty)
    with torch.no_grad():
        here, there = (torch.cat([model(part)[:, output] for part in x.split(batch_size)]) for x in (onehot, empty))
    wanted = here - there
    # the contribution of all four channels belongs to the observed base; the other bases are the baseline in both
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
    """Return an array [B, L, 4] from a tensor [B, 4, L]."""
    return x.detach().transpose(1, 2).cpu().numpy()
