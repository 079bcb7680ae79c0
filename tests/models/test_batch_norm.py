"""Batch norm over processes: the mean of squares of one process, and of two with other batches."""

from __future__ import annotations

import pytest
import torch
from torch import distributed

from genoformer.models.batch_norm import mean_square


def test_the_mean_of_squares_is_over_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process has half the positions, whose squares sum to 30 in each of the two channels."""
    x = torch.tensor([[[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 2.0, 2.0]]])
    torch.testing.assert_close(mean_square(x, [0, 2]), torch.tensor([7.5, 2.0]))
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_reduce", lambda values: values.add_(2.0 if len(values) == 1 else 30.0))
    torch.testing.assert_close(mean_square(x, [0, 2]), torch.tensor([60 / 6, 38 / 6]))
