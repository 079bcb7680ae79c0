"""Counted costs compared with counts by hand, with the operations that torch runs, and with measured memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import LONG_SHAPE, SHAPE, random_onehot
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from genoformer.models import cost
from genoformer.models.enformer.config import EnformerConfig, preset
from genoformer.models.enformer.model import Enformer
from genoformer.models.heads import ClassifierConfig, SequenceClassifier
from genoformer.models.track_model import TrackModel
from genoformer.models.transformer.config import EncoderConfig
from genoformer.models.transformer.model import Encoder
from genoformer.models.tuning import set_trainable

SMALL = EnformerConfig(**LONG_SHAPE)
TINY = preset("tiny", heads={"cage": 7})
TUNES = ("full", "last", "norms", "frozen", "lora")


class Perceptron(nn.Module):
    """3 -> 5 -> 2, with dropout of half of the hidden values."""

    def __init__(self, config: Any = None) -> None:
        super().__init__()
        self.up, self.dropout, self.down = nn.Linear(3, 5), nn.Dropout(0.5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.dropout(self.up(x).relu()))


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def enformer_by_hand(config: EnformerConfig, length: int, n_bins: int, n_tracks: int) -> int:
    """Multiply-adds of a window of L bases, T = L / bin bins of which N are kept, C channels, H heads of K keys.

    stage i of l = L / 2^i positions, from a to b channels: convolution a b k l, pointwise b^2 l, pooling b^2 l / 2
    block: query and key 2 T C H K, values T C^2, positions (2 T - 1) (C / H) H K, logits T^2 H K and T (2 T - 1) H K,
           weighting T^2 C, out T C^2, feed-forward 4 T C^2
    final: N C 2 C; head: N 2 C n_tracks
    """
    t, c, keys, n = length // config.bin_size, config.width, config.n_heads * config.key_width, 0
    for i, (a, b) in enumerate(pairwise([4, *config.channels])):
        kernel = config.tower_kernel if i else config.stem_kernel
        n += (a * b * kernel + b * b) * (length >> i) + b * b * (length >> (i + 1))
    block = 2 * t * c * keys + t * c * c + (2 * t - 1) * (c // config.n_heads) * keys + t * t * keys
    block += t * (2 * t - 1) * keys + t * t * c + t * c * c + 4 * t * c * c
    return n + config.n_blocks * block + n_bins * c * 2 * c + n_bins * 2 * c * n_tracks


def encoder_by_hand(config: EncoderConfig, n_tokens: int) -> int:
    """Multiply-adds of T tokens of width D without the output layer: of a layer 4 T D^2, T^2 D twice, and 2 T D H."""
    d, t = config.width, n_tokens
    return config.n_layers * (4 * t * d * d + 2 * t * t * d + 2 * t * d * config.ffn_width)


def tuned(config: EnformerConfig, tune: str, device: str = "cpu") -> Enformer:
    """Return a model in which those parameters are trained that `train_tracks` chooses."""
    with torch.device(device):
        model = Enformer(config)
        set_trainable(model, tune, n_last=1, rank=2)
        model.heads.requires_grad_(True)
    return model.train()


@dataclass(frozen=True)
class MeansConfig:
    """The smallest track model: the mean of each bin, and a linear layer."""

    context_length: int = 64
    target_bins: int = 0
    bin_size: int = 8
    heads: Mapping[str, int] = field(default_factory=lambda: {"h": 3})


class Means(TrackModel):
    config_type = MeansConfig

    def __init__(self, config: MeansConfig) -> None:
        super().__init__()
        self.config, self.out = config, nn.Linear(4, config.heads["h"])

    def embed(self, onehot: Tensor, n_bins: Any = None, head: str | None = None) -> Tensor:
        return onehot.unflatten(-1, (-1, self.config.bin_size)).mean(-1)  # [B, 4, N]

    def tracks(self, embedding: Tensor, head: str | None = None, only: Tensor | None = None) -> Tensor:
        return self.out(embedding.transpose(1, 2)).transpose(1, 2)


# --- parameters


def test_parameters_are_counted_once() -> None:
    assert cost.count_parameters(Perceptron()) == 3 * 5 + 5 + 5 * 2 + 2
    tied = cost.meta_model(Encoder, EncoderConfig(**SHAPE, n_vocab=9))
    assert cost.count_parameters(tied) == cost.count_parameters(Encoder(EncoderConfig(**SHAPE, n_vocab=9)))
    assert {p.device.type for p in tied.parameters()} == {"meta"}


def test_parameters_of_enformer() -> None:
    assert cost.count_parameters(cost.meta_model(Enformer, preset("enformer"))) == 251_221_292  # the published weights


@pytest.mark.parametrize("tune", TUNES)
def test_trained_parameters_are_those_with_a_gradient(tune: str) -> None:
    model = tuned(SMALL, tune, "meta")
    c, k, v, heads = 24, 12, 12, 2 * 24 * 8 + 8  # channels; keys and values of a head, times heads and not
    norms, final = 4 * c, 2 * c + c * 2 * c + 2 * c
    attention = 2 * c * k + c * c + v * k + 2 * k + c * c + c
    block = norms + attention + (2 * c * c + 2 * c) + (2 * c * c + c)
    adapters = 2 * (2 * (c + k) + 2 * (c + c) + (v + k) + 2 * (c + 2 * c))  # of rank 2: both sides of each linear layer
    trunk = {
        "full": sum(p.numel() for p in Enformer(SMALL).parameters()) - heads,
        "last": block + final,
        "norms": 2 * norms,
        "frozen": 0,
        "lora": 2 * adapters,
    }
    assert cost.count_parameters(model, trained=True) == trunk[tune] + heads


# --- multiply-adds


def test_multiply_adds_of_a_perceptron_by_hand() -> None:
    """The gradient of a product's weights and that of its input take as many; the input of the network needs none."""
    model = cost.meta_model(Perceptron, None)
    assert cost.trace(model, lambda: model(empty(7, 3))).multiply_adds == 7 * (3 * 5 + 5 * 2)
    step = cost.trace(model, lambda: model(empty(7, 3)), backward=True)
    assert step.multiply_adds == 7 * (2 * 3 * 5 + 3 * 5 * 2)
    model.up.requires_grad_(False)
    assert cost.trace(model, lambda: model(empty(7, 3)), backward=True).multiply_adds == 7 * (3 * 5 + 2 * 5 * 2)


def test_multiply_adds_of_an_encoder_and_of_a_classifier_by_hand() -> None:
    config = EncoderConfig(**SHAPE, n_vocab=9)
    ids = empty(1, 11, dtype=torch.int64)
    encoder = cost.meta_model(Encoder, config).eval()
    body, d = encoder_by_hand(config, 11), config.width
    assert cost.trace(encoder, lambda: encoder(ids)).multiply_adds == body + 11 * (d * d + d * 9)  # transform and output layer
    classifier = cost.meta_model(
        SequenceClassifier, ClassifierConfig(config, "classification", ("a", "b", "c"), window=11)
    ).eval()
    is_base = empty(1, 11, dtype=torch.bool)
    assert cost.trace(classifier, lambda: classifier(ids, is_base)).multiply_adds == body + 2 * d * d + d * 3


@pytest.mark.parametrize(
    ("config", "length", "n_bins", "n_tracks"),
    [(SMALL, 256, 20, 3), (TINY, 8192, 64, 7), (preset("enformer"), 196_608, 896, 5313), (preset("enformer"), 98_304, 5, 1)],
    ids=["small", "tiny", "enformer", "a short window"],
)
def test_multiply_adds_of_enformer_by_hand(config: EnformerConfig, length: int, n_bins: int, n_tracks: int) -> None:
    model = cost.meta_model(Enformer, config).eval()
    head = next(iter(config.heads))
    found = cost.trace(model, cost.track_run(model, head, length, n_bins, n_tracks=n_tracks))
    assert found.multiply_adds == enformer_by_hand(config, length, n_bins, n_tracks)


@pytest.mark.parametrize("tune", TUNES)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_multiply_adds_of_a_step_are_those_that_run(tune: str, checkpointing: bool) -> None:
    """The real step runs some products as convolutions of images, which does not change their number."""
    model, traced = tuned(TINY, tune), tuned(TINY, tune, "meta")
    model.activation_checkpointing = traced.activation_checkpointing = checkpointing
    with FlopCounterMode(display=False) as counter:
        model(random_onehot(1, 8192), "cage", 64).sum().backward()
    found = cost.trace(traced, cost.track_run(traced, "cage", 8192, 64), backward=True)
    assert found.multiply_adds == counter.get_total_flops() // 2
    if tune == "full":
        forward, t, keys, c = enformer_by_hand(TINY, 8192, 64, 7), 64, 96, 96
        no_gradient = TINY.stem_kernel * 4 * TINY.channels[0] * 8192  # of the sequence
        no_gradient += TINY.n_blocks * (2 * t - 1) * TINY.value_width * keys  # and of the relative positions
        again = TINY.n_blocks * (2 * t * c * keys + 6 * t * c * c + (2 * t - 1) * (c // 4 + t) * keys + t * t * (keys + c))
        again += -TINY.n_blocks * (2 * t - 1) * t * keys + TINY.n_blocks * t * (2 * t - 1) * keys
        assert found.multiply_adds == 3 * forward - no_gradient + checkpointing * again


def test_a_family_without_an_engine_of_its_own_has_a_cost() -> None:
    config = MeansConfig()
    model = cost.meta_model(Means, config).eval()
    run = cost.track_run(model, "h", 64, 8)
    assert cost.trace(model, run).multiply_adds == 8 * 4 * 3
    values = 4 * 64 + 2 * 4 * 8 + 8 * 3  # one-hot, means (and their transpose, copied by the product), tracks
    for on_cpu in (False, True):
        found = cost.prediction_memory(model, "h", 64, 8, batch=2, on_cpu=on_cpu)
        assert found == {"weights": 4 * 15, "workspace": 4 * 2 * values, "tracks": 4 * 2 * 24}
    assert Means.timing_config(config, 16).context_length == 16


# --- memory


def test_memory_of_a_perceptron_by_hand() -> None:
    """7 rows of 3 -> 5 -> 2 numbers: at the end of the forward pass, autograd keeps the input, relu, mask and dropout."""
    model = cost.meta_model(Perceptron, None).train()
    step = cost.trace(model, lambda: model(empty(7, 3)), backward=True)
    assert step.kept == 4 * 7 * (3 + 5 + 5 + 5 + 2)
    gpu = cost.trace(model, lambda: model(empty(7, 3)), backward=True, boolean_masks=True)
    assert step.kept - gpu.kept == 3 * 7 * 5
    assert gpu.peak >= gpu.kept
    assert cost.step_memory(model, step, autocast=False)["gradients"] == 4 * (3 * 5 + 5 + 5 * 2 + 2)
    plain = cost.trace(model.eval(), lambda: model(empty(7, 3)))
    assert plain.kept == 4 * 7 * 2
    assert plain.peak == 4 * 7 * (3 + 5 + 5)  # input, product and relu


@pytest.mark.parametrize("tune", TUNES)
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_bytes_that_autograd_keeps(tune: str, checkpointing: bool, dropout: float) -> None:
    """Compare with the storages that a real step holds before the backward pass, without the weights."""
    config = preset("tiny", heads={"cage": 7}, dropout=dropout, attention_dropout=dropout, position_dropout=dropout)
    model, traced = tuned(config, tune), tuned(config, tune, "meta")
    model.activation_checkpointing = traced.activation_checkpointing = checkpointing
    weights = {t.untyped_storage().data_ptr() for t in [*model.parameters(), *model.buffers()]}
    held: dict[int, tuple[int, object]] = {}

    def hold(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = (storage.nbytes(), storage)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
        loss = model(random_onehot(2, 32_768), "cage", 256).square().sum()
    assert loss.requires_grad
    run = cost.track_run(traced, "cage", 32_768, 256, batch=2)
    found = cost.trace(traced, lambda: run().square().sum(), backward=True)
    expected = sum(size for size, _ in held.values())
    if tune == "frozen" and checkpointing:  # `held` holds inputs of blocks that nothing else does
        assert found.kept < expected
    else:
        assert found.kept == pytest.approx(expected, rel=0.15)
    assert found.peak >= found.kept


def test_checkpointing_needs_less_memory() -> None:
    model = tuned(TINY, "full", "meta")
    peaks = []
    for checkpointing in (False, True):
        model.activation_checkpointing = checkpointing
        peaks.append(cost.trace(model, cost.track_run(model, "cage", 131_072, 1024), backward=True).peak)
    assert peaks[1] < 0.9 * peaks[0]


MEASURE = """
import sys, torch
sys.path.insert(0, {tests!r})
from small_models import random_onehot
from genoformer.models.enformer.config import preset
from genoformer.models.enformer.model import Enformer
from genoformer.inference.tracks import TrackPredictor

torch.set_num_threads(1)
model = Enformer(preset("tiny", heads={{"cage": 7}}))
model.activation_checkpointing = {checkpointing}

def memory(line):  # ru_maxrss would count the parent, which is copied before Python starts
    return int(open("/proc/self/status").read().partition(line + ":")[2].split()[0]) * 1024

def step(n, length):
    if {training}:
        model.train()(random_onehot(n, length), "cage", length // 128).square().mean().backward()
    else:
        codes = random_onehot(n, length).argmax(1).byte().numpy()
        TrackPredictor(model.eval(), "cage", length // 128)(codes, n)

step(1, 2048)
before = memory("VmRSS")
step({batch}, {length})
print(memory("VmHWM") - before)
"""


def peak(**options: object) -> int:
    """Bytes beyond those of the model and the libraries, in a process of its own."""
    code = MEASURE.format(tests=str(Path(__file__).parents[1]), **options)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs /proc")
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_training_step_takes_the_planned_memory(checkpointing: bool) -> None:
    length, batch = 65_536, 2
    measured = peak(training=True, batch=batch, length=length, checkpointing=checkpointing)
    model = tuned(TINY, "full", "meta")
    model.activation_checkpointing = checkpointing
    run = cost.track_run(model, "cage", length, length // 128, batch=batch)
    found = cost.trace(model, lambda: run().square(), backward=True)
    assert 0.67 < found.peak / measured < 1.5


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs /proc")
def test_a_prediction_takes_the_planned_memory() -> None:
    length = 1 << 19
    measured = peak(training=False, batch=1, length=length, checkpointing=False)
    model = cost.meta_model(Enformer, TINY).eval()
    found = cost.prediction_memory(model, "cage", length, length // 128, batch=1, on_cpu=True)
    assert 0.67 < (found["workspace"] + found["tracks"]) / measured < 1.5
    assert found["weights"] > 4 * cost.count_parameters(model)  # the engine has prepared copies
    plain = cost.prediction_memory(model, "cage", length, length // 128, batch=1, on_cpu=False)
    assert plain["weights"] == 4 * cost.count_parameters(model)
    assert plain["workspace"] > 2 * found["workspace"]


def test_bf16_halves_activations() -> None:
    steps = []
    for dtype in (torch.float32, torch.bfloat16):
        model = cost.meta_model(Enformer, TINY, dtype).train()
        steps.append(cost.trace(model, cost.track_run(model, "cage", 16_384, 128), backward=True, boolean_masks=True))
    full, half = steps
    assert full.kept / 2 < half.kept < full.kept * 0.6
    memory = cost.step_memory(model, half, autocast=True)
    assert memory["gradients"] == 4 * cost.count_parameters(model)
    assert memory["weights"] == 6 * cost.count_parameters(model)
