"""Which parameters a tuning trains, in layers of any kind."""

from __future__ import annotations

import pytest
from small_models import small_encoder
from torch import nn

from genoformer.errors import ConfigError
from genoformer.models.base import Model
from genoformer.models.lora import LowRank
from genoformer.models.tuning import set_trainable, trained_names
from genoformer.tokenizers import BaseTokenizer


class OtherModel(Model):
    """A model of another package: one repeated layer of torch's own modules."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList([layer])


def test_adapters_fit_linear_layers_of_torch() -> None:
    model = OtherModel(nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 4)))
    set_trainable(model, "lora", rank=2)
    assert sum(isinstance(module, LowRank) for module in model.modules()) == 2
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == {f"layers.0.{i}.{part}" for i in (0, 2) for part in "ab"}


@pytest.mark.parametrize("tune", ["lora", "norms"])
def test_a_tuning_that_trains_nothing_is_refused(tune) -> None:
    model = OtherModel(nn.Conv1d(4, 4, 3))
    with pytest.raises(ConfigError, match=f"no parameters that tune = '{tune}' trains in a OtherModel"):
        set_trainable(model, tune)
    set_trainable(model, "frozen")
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_norms_without_a_mean_are_norms() -> None:
    model = small_encoder(BaseTokenizer(), norm="pre", norm_type="rms")
    names = trained_names(model, "norms", 1)
    assert names
    assert all("norm" in name for name in names)
