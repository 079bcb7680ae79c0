"""The measured rate of a device, and the plans that are made with one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import LONG_SHAPE

from genoformer.errors import ConfigError
from genoformer.inference import throughput
from genoformer.inference.track_plan import plan_prediction
from genoformer.models.enformer.config import EnformerConfig, preset
from genoformer.models.enformer.model import Enformer

CONFIG = EnformerConfig(**LONG_SHAPE)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_rate_is_the_products_of_a_short_window_in_the_time_they_took(monkeypatch, training, precision) -> None:
    monkeypatch.setitem(throughput._MULTIPLY_ADDS, "cpu", 1e6)
    ran = []
    monkeypatch.setattr(throughput, "_fastest", lambda run, device: (ran.append(run()), 0.5)[1])
    state = torch.get_rng_state()
    found = throughput.measured_rate(Enformer, CONFIG, training=training, precision=precision)
    assert torch.get_rng_state().equal(state)
    assert len(ran) == 1
    assert (2e6 < found < 6e6) if training else (1e6 < found < 2e6)  # per half a second, and three times as much


def test_the_fastest_run_counts_and_the_first_does_not(monkeypatch) -> None:
    times = iter([0, 1, 0, 5, 0, 3, 0, 4])
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: next(times))
    assert throughput._fastest(lambda: None, "cpu") == 3


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="is not on this machine"):
        throughput.measured_rate(Enformer, CONFIG, training=False, device="cuda:99")


def test_the_plan_of_a_prediction_by_hand() -> None:
    """Enformer on a chromosome of 64,444,167 bases, 896 x 128 = 114,688 of them in a window: 562 windows."""
    plan = plan_prediction(preset("enformer"), {"chr20": np.array([[0, 64_444_167]])}, head="human", rate=2e10)
    assert plan.n_windows == 562
    assert plan.multiply_adds == 1_505_639_104_512  # test_multiply_adds_of_enformer_by_hand
    assert plan.seconds == plan.multiply_adds / 2e10
    both = plan_prediction(preset("enformer"), {"chr20": np.array([[0, 10]])}, head="human", both_strands=True, rate=2e10)
    assert (both.n_windows, both.seconds) == (1, 2 * plan.seconds)
    assert (plan.memory["tracks"], both.memory["tracks"]) == (4 * 5313 * 896, 2 * 4 * 5313 * 896)
    assert "251,221,292" in plan.text()
    assert plan.memory["weights"] > 4 * 251_221_292
