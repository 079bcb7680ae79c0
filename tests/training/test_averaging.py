"""Averages of weights: the formula worked out by hand, the model left as it was found, batch norm, and a run that uses one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from genoformer.errors import ConfigError
from genoformer.training.averaging import Average
from genoformer.training.loop import Trainable, fit
from genoformer.training.losses import Loss
from genoformer.training.optimizer import LoopConfig


def scalar(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


def test_the_mean_is_the_one_worked_out_by_hand() -> None:
    """Shares: step 1 2/11, step 2 3/12, step 3 4/13, then at most 0.3."""
    model = scalar(0.0)
    average = Average(model, 0.3)
    expected = 0.0
    for step, (value, share) in enumerate([(1.0, 2 / 11), (3.0, 3 / 12), (-2.0, 0.3), (5.0, 0.3)], 1):
        nn.init.constant_(model.weight, value)
        average.update(step)
        expected = share * expected + (1 - share) * value
        assert average.mean["weight"].item() == pytest.approx(expected, rel=1e-6)


def test_the_model_gets_its_own_weights_back_even_after_an_error() -> None:
    model = scalar(1.0)
    average = Average(model, 0.9)
    nn.init.constant_(model.weight, 7.0)
    inside = []

    def fails() -> None:
        with average.in_place():
            inside.append(model.weight.item())
            raise RuntimeError("in the block")

    with pytest.raises(RuntimeError, match="in the block"):
        fails()
    assert inside == [1.0]
    assert model.weight.item() == 7.0
    assert average.mean["weight"].item() == 1.0


def test_tied_weights_are_given_back_too() -> None:
    model = nn.ModuleDict({"a": scalar(1.0), "b": scalar(1.0)})
    model["b"].weight = model["a"].weight
    average = Average(model, 0.9)
    nn.init.constant_(model["a"].weight, 7.0)
    with average.in_place():
        assert model["b"].weight.item() == 1.0
    assert model["a"].weight.item() == model["b"].weight.item() == 7.0


def test_statistics_of_batch_norm_are_averaged_and_its_counter_is_not() -> None:
    model = nn.BatchNorm1d(1)
    average = Average(model, 0.5)
    model(torch.tensor([[10.0], [30.0]]))  # running mean 0.1 * 20
    average.update(100)
    assert average.mean["running_mean"].item() == pytest.approx(1.0)
    assert "num_batches_tracked" not in average.mean


def quadratic(model: nn.Linear, target: torch.Tensor) -> Loss:
    return Loss(((model.weight - target) ** 2).sum(), torch.tensor(1.0), 1.0)


def trained(folder, average: float, steps: int = 40) -> tuple[float, list[float]]:
    """The weight that a noisy quadratic ends with, and what the model's own weight was at each validation."""
    seen: list[float] = []

    def validate(model: nn.Module) -> dict[str, float]:
        seen.append(model.weight.item())
        return {"valid_loss": 0.0}

    config = LoopConfig(
        max_steps=steps, learning_rate=0.3, warmup_fraction=0.0, weight_decay=0.0, eval_every=10, ema_decay=average
    )
    targets = torch.tensor([1.0, -1.0])
    found = fit(Trainable(scalar(3.0), lambda i: targets[i % 2], quadratic, validate), folder, config)
    assert found is not None
    return found.weights["weight"].item(), seen


def test_a_run_validates_and_ends_with_the_averaged_weights(tmp_path) -> None:
    plain, of_plain = trained(tmp_path / "plain", 0.0)
    mean, of_mean = trained(tmp_path / "mean", 0.5)
    assert of_plain[-1] == plain
    assert of_mean[-1] == mean
    assert mean != plain


@pytest.mark.parametrize("fields", [{"ema_decay": 1.0}, {"ema_decay": -0.1}, {"ema_decay": 0.9, "strategy": "fsdp"}])
def test_what_cannot_be_averaged_is_refused(fields) -> None:
    with pytest.raises(ConfigError, match=r"^ema_decay"):
        LoopConfig(**fields)
