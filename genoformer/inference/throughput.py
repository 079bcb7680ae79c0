"""Speed of a track model on this device: multiply-adds per second, measured in about a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, cast

import numpy as np
import torch

from genoformer.inference.runtime import PRECISIONS, evaluating
from genoformer.inference.tracks import TrackPredictor
from genoformer.models import cost
from genoformer.models.plain_engine import one_hot
from genoformer.models.track_model import TrackModel

_MULTIPLY_ADDS = {"cpu": 2e9}  # of the timed forward pass
_MULTIPLY_ADDS_OF_GPU = 2e11
_TIMES = 3  # timed runs; the fastest counts


def measured_rate(
    family: type[TrackModel], config: Any, *, training: bool, device: str = "cpu", precision: str = "float32"
) -> float:
    """Return the multiply-adds per second of a short window through a small model of this width, with random weights.

    training: measure a forward and a backward pass, else a prediction. precision: float32 or bfloat16, in training as autocast.
    The measured time includes operations that are not products (norms, activations, memory). Raises ConfigError for a missing
    device.
    """
    unit = family.window_unit_of(config)
    available = config.context_length // unit
    whole = family.timing_config(config, available * unit)
    wanted = _MULTIPLY_ADDS.get(device.partition(":")[0], _MULTIPLY_ADDS_OF_GPU)
    n_units = min(available, max(4, int(wanted * available // _multiply_adds(family, whole, training=False))))
    short = family.timing_config(config, n_units * unit)
    n = _multiply_adds(family, short, training=training)
    codes = np.random.default_rng(0).integers(0, 4, (1, short.context_length), dtype=np.uint8)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):  # weights and dropout
        model = cast(Any, family)(short)
        if training:
            with evaluating(model, device) as lent:
                return n / _fastest(_step(lent.train(), codes, precision), device)
        with evaluating(model, device, precision) as lent:
            reader = TrackPredictor(lent, next(iter(lent.track_heads)), 0)
            return n / _fastest(lambda: reader(codes), device)


def _multiply_adds(family: type[TrackModel], config: Any, *, training: bool) -> int:
    """Return the multiply-adds of a whole window: of a prediction, or of a forward and a backward pass."""
    model = cost.meta_model(family, config).train(training)
    name, head = next(iter(model.track_heads.items()))
    run = cost.track_run(model, name, config.context_length, config.context_length // head.bin_size)
    return cost.trace(model, run, backward=training).multiply_adds


def _step(model: TrackModel, codes: np.ndarray, precision: str) -> Callable[[], object]:
    place = next(model.parameters()).device
    onehot = one_hot(torch.from_numpy(codes).to(place))
    half = PRECISIONS[precision] != torch.float32

    def run() -> None:
        with torch.autocast(place.type, torch.bfloat16) if half else nullcontext():
            model(onehot, next(iter(model.track_heads)), 0).float().sum().backward()

    return run


def _fastest(run: Callable[[], object], device: str) -> float:
    """Return the seconds of the fastest run."""
    seconds = []
    for _ in range(1 + _TIMES):
        begun = time.perf_counter()
        run()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begun)
    return min(seconds[1:])
