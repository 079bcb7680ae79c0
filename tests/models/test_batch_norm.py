"""Batch norm over processes: the mean of squares of one process, and of two with other batches."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import distributed

from genoformer.models.batch_norm import WideBatchNorm, mean_square, sync_batch_norm


def test_the_mean_of_squares_is_over_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process has half the positions, whose squares sum to 30 in each of the two channels."""
    x = torch.tensor([[[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 2.0, 2.0]]])
    torch.testing.assert_close(mean_square(x, [0, 2]), torch.tensor([7.5, 2.0]))
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_reduce", lambda values: values.add_(2.0 if len(values) == 1 else 30.0))
    torch.testing.assert_close(mean_square(x, [0, 2]), torch.tensor([60 / 6, 38 / 6]))


def test_wide_batch_norm_stays_in_float32_in_a_model_of_16_bits() -> None:
    """So it maps bfloat16 as float32 does, with one rounding; a model in float64 has it in float64."""
    torch.manual_seed(0)
    norm = WideBatchNorm(3).eval()
    for x in (norm.weight.data, norm.bias.data, norm.running_mean):
        x.normal_()
    norm.running_var.uniform_(0.001, 3)
    x = torch.randn(2, 3, 1, 50, dtype=torch.bfloat16)
    expected = sync_batch_norm(x.float(), norm)
    half = torch.nn.Sequential(torch.nn.Linear(2, 2), copy.deepcopy(norm)).to(torch.bfloat16)
    assert half[0].weight.dtype == torch.bfloat16
    assert {value.dtype for name, value in half[1].state_dict().items() if name != "num_batches_tracked"} == {torch.float32}
    assert torch.equal(half[1].running_var, norm.running_var)
    assert torch.equal(sync_batch_norm(x, half[1]), expected.bfloat16())
    assert norm.double().running_var.dtype == torch.float64


@pytest.mark.parametrize("together", [False, True])
def test_rows_have_the_batch_norm_of_an_image(monkeypatch: pytest.MonkeyPatch, together: bool) -> None:
    """Also where the statistics are of all processes; the other one has no values here."""
    if together:
        monkeypatch.setattr(distributed, "is_initialized", lambda: True)
        monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
        monkeypatch.setattr(distributed, "all_reduce", lambda values: values)
    torch.manual_seed(0)
    image, norms = torch.randn(4, 3, 1, 7), [torch.nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3)]
    rows = image[:, :, 0].transpose(1, 2).flatten(0, 1)  # [4 x 7, 3]
    expected = sync_batch_norm(image, norms[0])[:, :, 0].transpose(1, 2).flatten(0, 1)
    torch.testing.assert_close(sync_batch_norm(rows, norms[1]), expected)
    for name, value in norms[0].state_dict().items():
        torch.testing.assert_close(norms[1].state_dict()[name], value)
    assert norms[1].running_mean.any()
