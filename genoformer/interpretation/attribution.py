"""Gradient attributions: the contribution of each base to an output of a model, for one-hot DNA and for loci."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from genoformer.errors import ConfigError
from genoformer.inference.runtime import Floats, evaluating
from genoformer.interpretation.input_windows import InputWindow, InputWindows, batches_of_windows
from genoformer.interpretation.loci import Locus
from genoformer.interpretation.request import N_STEPS, Method
from genoformer.interpretation.targets import AttributionTarget
from genoformer.models.base import Model
from genoformer.models.plain_engine import one_hot
from genoformer.progress import ProgressCallback, Stage

_LARGEST_BATCH = 1 << 18  # bases whose gradients are computed together


class Attribution(NamedTuple):
    """Attribution of one output of a model to the bases of sequences [B, 4, L]."""

    values: Floats  # [B, L, 4]: contribution of the observed base, 0 for the other bases
    hypothetical: Floats  # [B, L, 4]: contribution of each base if it were present
    output: Floats  # [B]
    error: Floats | None  # [B]: |sum of values - expected sum| / |expected sum|; None without an expected sum

    def row(self, i: int) -> Attribution:
        """Return the attribution of sequence i alone, with B = 1."""
        error = None if self.error is None else self.error[i : i + 1]
        return Attribution(self.values[i : i + 1], self.hypothetical[i : i + 1], self.output[i : i + 1], error)

    def cut(self, start: int, end: int) -> Attribution:
        """Return the attribution of some bases of the sequences; output and error stay those of the whole sequences."""
        return self._replace(values=self.values[:, start:end].copy(), hypothetical=self.hypothetical[:, start:end].copy())


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
        raise ConfigError("captum is not installed; install genoformer[interpret], or use the method gradient.") from missing
    method = IntegratedGradients(model, multiply_by_inputs=False)
    empty = torch.full_like(onehot, baseline)
    means = []
    for part, start in zip(onehot.split(batch_size), empty.split(batch_size), strict=True):
        means.append(
            method.attribute(part, baselines=start, target=output, n_steps=n_steps, internal_batch_size=batch_size).detach()
        )
    mean = torch.cat(means)  # mean gradient along the path
    values = mean * (onehot - empty)
    with torch.no_grad():
        outputs, at_baseline = (torch.cat([model(part)[:, output] for part in x.split(batch_size)]) for x in (onehot, empty))
    expected = outputs - at_baseline
    # the contribution of all four channels belongs to the observed base; the other bases are the baseline in both
    observed = values.sum(1, keepdim=True) * onehot
    error = (observed.sum((1, 2)) - expected).abs() / expected.abs().clamp(min=1e-12)
    corrected = mean - (mean * empty).sum(1, keepdim=True) / empty.sum(1, keepdim=True).clamp(min=1e-12)
    if baseline == 0:
        corrected = mean
    return Attribution(_array(observed), _array(corrected), outputs.cpu().numpy(), error.cpu().numpy())


def attributions(
    model: Model,
    loci: Sequence[Locus],
    *,
    method: Method = "gradient",
    output: AttributionTarget | Sequence[AttributionTarget] | None = None,
    windows: InputWindows | None = None,
    n_steps: int = N_STEPS,
    device: str = "cpu",
    progress: ProgressCallback = None,
) -> list[Attribution]:
    """Return the contribution of each base of each locus to one output: a class of a fine-tuned model, or a sum of tracks.

    output: by default the first class, or the sum of all tracks; several: that of each locus. windows: the sequences around
    the loci that the model reads; by default the loci alone. Raises ConfigError for a language model, which has no single
    output, and for an unknown output.
    """
    targets = [output or AttributionTarget()] * len(loci) if isinstance(output, AttributionTarget | None) else list(output)
    around = windows or InputWindows()
    by_locus: dict[int, Attribution] = {}
    stage = Stage(progress, "attribution", len(loci))
    with evaluating(model, device) as ready:
        for numbers in batches_of_windows([around.size(locus) for locus in loci], [each.key for each in targets]):
            read = [around.of(loci[i]) for i in numbers]
            codes = np.stack([one.codes for one in read])
            module, length = targets[numbers[0]].module(ready, codes.shape[1]), codes.shape[1]
            onehot = one_hot(torch.from_numpy(codes)).to(next(ready.parameters()).device)
            batch_size = max(1, min(4, _LARGEST_BATCH // length))
            if method == "integrated":
                batch = integrated_gradients(module, onehot, n_steps=n_steps, batch_size=batch_size)
            else:
                batch = gradient_times_input(module, onehot, batch_size=batch_size)
            for row, (i, window) in enumerate(zip(numbers, read, strict=True)):
                by_locus[i] = _of_locus(batch.row(row), window, len(loci[i].codes))
            stage.report(len(by_locus))
    return [by_locus[i] for i in range(len(loci))]


def _of_locus(attribution: Attribution, window: InputWindow, length: int) -> Attribution:
    """Return the part of the attribution of a window that is of the locus."""
    whole = len(window.codes) == length
    return attribution if whole else attribution.cut(window.start, window.start + length)


def _gradient(model: nn.Module, onehot: Tensor, output: int) -> tuple[Tensor, Tensor]:
    x = onehot.detach().clone().requires_grad_()
    with torch.enable_grad():
        value = model(x)[:, output]
        (gradient,) = torch.autograd.grad(value.sum(), x)
    return gradient, value.detach()


def _array(x: Tensor) -> Floats:
    """Return an array [B, L, 4] from a tensor [B, 4, L]."""
    return x.detach().transpose(1, 2).cpu().numpy()
