"""Speed of a long-range model on this device: multiply-adds per second, measured in about a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import torch

from genoformer.inference.runtime import PRECISIONS, evaluating
from genoformer.inference.tracks import TrackPredictor
from genoformer.models.enformer.cost import Training, forward_products, step_products
from genoformer.models.enformer.model import Enformer, EnformerConfig
from genoformer.models.track_model import one_hot

_PRODUCTS = {"cpu": 2e9}  # multiply-adds of the timed forward pass
_MANY = 2e11  # on a GPU
_TIMES = 3  # timed runs; the fastest counts


def measured_rate(config: EnformerConfig, *, training: bool, device: str = "cpu", precision: str = "float32") -> float:
    """Return the multiply-adds per second of a short window through a model of this width, with one block and random weights.

    training: measure a forward and a backward pass, else a prediction. precision: float32 or bfloat16, in training as autocast.
    The measured time includes operations that are not products (norms, activations, memory). Raises ConfigError for a missing
    device.
    """
    products = _PRODUCTS.get(device.partition(":")[0], _MANY)
    one = replace(config, n_blocks=min(config.n_blocks, 1), heads={"track": 1}, target_bins=0)
    most = config.context_length // config.bin_size
    per_bin = sum(forward_products(one, most * config.bin_size, most, 1).values()) / most
    n_bins = int(min(most, max(4, products // per_bin)))
    one = replace(one, context_length=n_bins * config.bin_size)
    codes = np.random.default_rng(0).integers(0, 4, (1, one.context_length), dtype=np.uint8)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):  # weights and dropout
        model = Enformer(one)
        if training:
            n = step_products(one, one.context_length, n_bins, 1, Training())
            with evaluating(model, device) as lent:
                return n / _fastest(_step(lent.train(), codes, precision), device)
        n = sum(forward_products(one, one.context_length, n_bins, 1).values())
        with evaluating(model, device, precision) as lent:
            reader = TrackPredictor(lent)
            return n / _fastest(lambda: reader(codes), device)


def _step(model: Enformer, codes: np.ndarray, precision: str) -> Callable[[], object]:
    place = next(model.parameters()).device
    onehot = one_hot(torch.from_numpy(codes).to(place))
    half = PRECISIONS[precision] != torch.float32

    def run() -> None:
        with torch.autocast(place.type, torch.bfloat16) if half else nullcontext():
            model(onehot).float().sum().backward()

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
