"""The tiled tower: equal to the plain modules for every tile, and what an edit reaches."""

from __future__ import annotations

import copy

import pytest
import torch
from borzoi_models import KINDS, small_borzoi
from small_models import random_onehot

from genoformer.models.borzoi.model import gelu, pooled, rounded_gelu
from genoformer.models.borzoi.tiled_tower import Rows, Tower


def plain(model, onehot: torch.Tensor) -> list[torch.Tensor]:
    """The outputs of the tower from the plain modules, rows [L', C]."""
    with torch.no_grad():
        stages = model.convolve_bases(onehot[None])
        return [x[0, :, 0].T for x in (*stages, pooled(stages[-1]))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tile_bytes", [1, 20_000, 1 << 30])
def test_outputs_are_those_of_the_plain_modules(kind, tile_bytes) -> None:
    model = small_borzoi(kind)
    onehot = random_onehot(1, 5 * model.config.unit)[0]
    found = Tower(model, torch.float32, tile_bytes).outputs(onehot)
    expected = plain(model, onehot)
    assert [x.shape for x in found] == [x.shape for x in expected]
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_anywhere_gives_the_outputs_of_the_edited_window(kind) -> None:
    """At both ends, across an edge of bins, one base and many; what lies outside the patches does not change at all."""
    model = small_borzoi(kind)
    n = 6 * model.config.unit
    onehot, other = random_onehot(2, n, 1)
    tower = Tower(model)
    activations = tower.activations(onehot)
    for start, end in ((0, 1), (n - 1, n), (n // 2 - 1, n // 2 + 1), (n // 2 + 3, n // 2 + 4), (5, n - 5), (0, n)):
        edited = onehot.clone()
        edited[:, start:end] = other[:, start:end]
        patches = tower.edited(activations, Rows(start, edited[:, start:end].T))
        for x, patch, expected in zip(activations[-tower.n_outputs :], patches, tower.outputs(edited), strict=True):
            found = x.clone()
            found[patch.start : patch.end] = patch.values
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_reach_of_a_base_by_hand() -> None:
    """7 of the stem and 2 in each of six stages: 7 + 2 (2 + 4 + ... + 64) = 259 bases, in three bins of 128."""
    model = small_borzoi()
    tower = Tower(model)
    assert tower.margin == 384
    assert [stage.reach for stage in tower.stages] == [7, 2, 2, 2, 2, 2, 2, 0]
    onehot = random_onehot(1, 2048, unknown=0)[0]
    activations = tower.activations(onehot)
    first = tower.edited(activations, Rows(1024, onehot[:, 1024:1025].T))[-1]
    assert (first.start, first.end) == (5, 11)  # base 1024 - 259 = 765 is in bin 5, base 1024 + 259 = 1283 in bin 10


@pytest.mark.parametrize("offset", [0, 32])
def test_bfloat16_is_closer_to_float32_than_the_plain_modules(offset) -> None:
    """Most of all where the averages of the norms are large: they are subtracted before rounding."""
    model = small_borzoi("wide")
    convolutions = [model.stem, *(stage.conv for stage in model.stages[:4])]  # whose output only the next stage reads
    with torch.no_grad():
        for convolution, stage in zip(convolutions, model.stages[:5], strict=True):
            stage.norm.running_mean += offset - convolution.bias
            convolution.bias.fill_(offset)  # exact in bfloat16
    onehot = random_onehot(1, 40 * model.config.unit, 3)[0]
    exact = Tower(model).outputs(onehot)
    half = copy.deepcopy(model).to(torch.bfloat16)
    tower = Tower(half, torch.bfloat16)

    def error(outputs: list[torch.Tensor]) -> float:
        deviations = [(a.float() - b).norm() / (b - b.mean(0)).norm() for a, b in zip(outputs, exact, strict=True)]
        return float(max(deviations))

    found, of_plain = error(tower.outputs(onehot)), error(plain(half, onehot.to(torch.bfloat16)))
    assert found < (0.9 if offset == 0 else 0.3) * of_plain
    edited = onehot.clone()
    edited[:, 2000:2003] = edited[:, 3000:3003].flip(0)
    activations = tower.activations(onehot)
    patches = tower.edited(activations, Rows(2000, edited[:, 2000:2003].T))
    for x, patch, whole in zip(activations[-tower.n_outputs :], patches, tower.outputs(edited), strict=True):
        changed = x.clone()
        changed[patch.start : patch.end] = patch.values
        torch.testing.assert_close(changed, whole, rtol=0.05, atol=0.05)
        assert patch.values.dtype == torch.bfloat16


def test_gelu_of_bfloat16_differs_by_less_than_rounding() -> None:
    x = torch.linspace(-6, 6, 100_001)
    error = rounded_gelu(x) - gelu(x)
    assert float(error.abs().max()) < 5e-4
    rounded = gelu(x).bfloat16().float() - gelu(x)
    assert float(error.norm()) < float(rounded.norm()) / 4
