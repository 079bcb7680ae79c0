"""Muon with AdamW: which parameters each steps, the size of a step, schedules, states, and settings that are refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from small_models import small_encoder

from genoformer.errors import ConfigError
from genoformer.tokenizers import BaseTokenizer
from genoformer.training.make_optimizer import MuonAdamW, make_optimizer
from genoformer.training.optimizer import LoopConfig

IDS = torch.arange(60).reshape(3, 20) % 9


def config(**fields: Any) -> LoopConfig:
    return LoopConfig(**{"optimizer": "muon", "weight_decay": 0.0, **fields})


def step(model: Any, optimizer: Any) -> None:
    optimizer.zero_grad()
    model(IDS).log_softmax(-1)[..., 5].mean().neg().backward()
    optimizer.step()


def test_muon_steps_the_matrices_of_the_layers_and_adamw_all_others() -> None:
    model = small_encoder(BaseTokenizer())
    optimizer = make_optimizer(model, config(), lambda name: 1.0)
    assert isinstance(optimizer, MuonAdamW)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    of_muon, of_adamw = ({names[id(p)] for group in part.param_groups for p in group["params"]} for part in optimizer.parts)
    matrices = ("attention.qkv", "attention.out", "up", "down")
    assert of_muon == {f"layers.{i}.{name}.weight" for i in range(2) for name in matrices}
    assert of_muon | of_adamw == set(names.values())
    assert not of_muon & of_adamw
    assert isinstance(make_optimizer(model, config(optimizer="adamw"), lambda name: 1.0), torch.optim.AdamW)


def test_a_step_of_muon_is_nearly_orthogonal() -> None:
    """Its singular values are within 0.6 to 1.3 of the learning rate, times the root of rows by columns if these are fewer."""
    model = small_encoder(BaseTokenizer())
    before = copy.deepcopy(model.state_dict())
    step(model, make_optimizer(model, config(muon_learning_rate=0.01), lambda name: 1.0))
    for name in ("layers.0.up.weight", "layers.1.down.weight"):
        change = model.state_dict()[name] - before[name]
        n_rows, n_columns = change.shape
        size = torch.linalg.svdvals(change) / (0.01 * max(1, n_rows / n_columns) ** 0.5)
        large = size[size > 0.3]  # a gradient of few tokens has directions that are hardly there
        assert len(large) >= 8
        assert large.max() < 1.3


def test_rates_and_the_schedule_reach_both() -> None:
    model = small_encoder(BaseTokenizer())
    optimizer = make_optimizer(model, config(learning_rate=1e-3, muon_learning_rate=0.02), lambda name: 0.5)
    assert {group["lr"] for group in optimizer.param_groups} == {5e-4, 0.01}
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: 1 / (n + 1))
    step(model, optimizer)
    schedule.step()
    assert isinstance(optimizer, MuonAdamW)
    assert {group["lr"] for part in optimizer.parts for group in part.param_groups} == {2.5e-4, 0.005}


def test_a_saved_state_goes_on_as_if_nothing_had_happened() -> None:
    undisturbed = small_encoder(BaseTokenizer())
    optimizer = make_optimizer(undisturbed, config(), lambda name: 1.0)
    step(undisturbed, optimizer)
    again = copy.deepcopy(undisturbed)
    state = copy.deepcopy(optimizer.state_dict())
    resumed = make_optimizer(again, config(learning_rate=1.0), lambda name: 1.0)  # the state has the rate
    resumed.load_state_dict(state)
    for model, of in ((undisturbed, optimizer), (again, resumed)):
        for group in of.param_groups:
            group["lr"] *= 0.5
        step(model, of)
    assert all(torch.equal(a, b) for a, b in zip(undisturbed.parameters(), again.parameters(), strict=True))


def test_a_model_without_matrices_in_layers_has_adamw() -> None:
    assert isinstance(make_optimizer(torch.nn.Linear(3, 2), config(), lambda name: 1.0), torch.optim.AdamW)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"optimizer": "sgd"}, "optimizer = 'sgd': allowed are adamw, muon"),
        ({"muon_learning_rate": 0.0}, "muon_learning_rate = 0.0: give a number above 0, such as 0.02"),
        ({"strategy": "fsdp"}, "optimizer = 'muon' with strategy fsdp: Muon needs whole matrices"),
    ],
)
def test_settings_that_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**fields)
