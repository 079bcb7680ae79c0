"""What a setting costs, counted from its configuration, against real models: parameters, products, what is kept, memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_models import LONG_SHAPE, random_onehot
from torch.utils.flop_counter import FlopCounterMode

from genoformer.models.enformer import cost
from genoformer.models.enformer.model import Enformer, EnformerConfig, preset
from genoformer.models.lora import add_adapters
from genoformer.models.tuning import trained_names

SMALL = EnformerConfig(**LONG_SHAPE)
TINY = preset("tiny", heads={"cage": 7})
TUNES = ("full", "last", "norms", "frozen", "lora")


def chosen(config: EnformerConfig, tune: str) -> Enformer:
    """As `train_tracks` chooses."""
    model = Enformer(config)
    names = trained_names(model, "frozen" if tune == "lora" else tune, 1)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in names or name.startswith("heads."))
    if tune == "lora":
        add_adapters(model.blocks, 2)
    return model.train()


@pytest.mark.parametrize(
    "config", [SMALL, TINY, preset("small"), preset("enformer"), preset("tiny", n_blocks=0, stem_kernel=9)],
    ids=["small test", "tiny", "small", "enformer", "no blocks"],
)  # fmt: skip
def test_parameters_are_exact(config: EnformerConfig) -> None:
    with torch.device("meta"):
        model = Enformer(config)
    found = dict.fromkeys(cost.PARTS, 0)
    for name, parameter in model.named_parameters():
        found[name.partition(".")[0]] += parameter.numel()
    assert cost.parameters(config) == found


@pytest.mark.parametrize("tune", TUNES)
def test_trained_parameters_are_exact(tune: str) -> None:
    how = cost.Training(tune, last_blocks=1, lora_rank=2)
    expected = sum(p.numel() for p in chosen(SMALL, tune).parameters() if p.requires_grad)
    assert cost.trained_parameters(SMALL, how) == expected


def counted(model: Enformer, length: int, n_bins: int, *, backward: bool, checkpointed: bool = False) -> float:
    model.activation_checkpointing = checkpointed
    head = next(iter(model.heads))
    with FlopCounterMode(display=False) as counter:
        tracks = model(random_onehot(1, length), head, n_bins)
        if backward:
            tracks.sum().backward()
    return counter.get_total_flops() / 2


@pytest.mark.parametrize(("config", "n_bins"), [(SMALL, 20), (TINY, 64)])
def test_multiply_adds_are_those_that_torch_counts(config: EnformerConfig, n_bins: int) -> None:
    length, n_tracks = 64 * config.bin_size, next(iter(config.heads.values()))
    model = chosen(config, "full")
    forward = cost.forward_products(config, length, n_bins, n_tracks)
    assert sum(forward.values()) == counted(model, length, n_bins, backward=False)
    for checkpointing in (False, True):
        how = cost.Training("full", checkpointing=checkpointing)
        expected = counted(model, length, n_bins, backward=True, checkpointed=checkpointing)
        assert cost.step_products(config, length, n_bins, n_tracks, how) == expected


@pytest.mark.parametrize("tune", ["last", "norms", "frozen", "lora"])
def test_multiply_adds_of_a_part_are_close(tune: str) -> None:
    found = cost.step_products(TINY, 8192, 64, 7, cost.Training(tune, last_blocks=1))
    assert found == pytest.approx(counted(chosen(TINY, tune), 8192, 64, backward=True), rel=0.05)


@pytest.mark.parametrize("tune", TUNES)
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_what_is_kept_for_the_backward_pass(tune: str, checkpointing: bool, dropout: float) -> None:
    """Against the storages that autograd holds, weights apart, before the backward pass."""
    config = preset("tiny", heads={"cage": 7}, dropout=dropout, attention_dropout=dropout, position_dropout=dropout)
    model, length = chosen(config, tune), 32_768
    model.activation_checkpointing = checkpointing
    weights = {t.untyped_storage().data_ptr() for t in [*model.parameters(), *model.buffers()]}
    kept: dict[int, tuple[int, object]] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = (storage.nbytes(), storage)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(random_onehot(2, length), "cage", 256).square().sum()
    held = sum(size for size, _ in kept.values())
    assert loss.requires_grad
    how = cost.Training(tune, last_blocks=1, lora_rank=2, checkpointing=checkpointing)
    found = cost.step_memory(config, length, 256, 7, 2, how, on_cpu=True)["activations"]
    if checkpointing and tune != "frozen":  # the formula has the block that is computed again, the forward pass not yet
        plain = cost.step_memory(config, length, 256, 7, 2, how._replace(checkpointing=False), on_cpu=True)["activations"]
        assert held < found
        assert found < plain or tune == "last"
    else:
        assert found == pytest.approx(held, rel=0.15)


MEASURE = """
import sys, torch
sys.path.insert(0, {tests!r})
from small_models import random_onehot
from genoformer.models.enformer.model import Enformer, preset
from genoformer.inference.tracks import TrackPredictor

torch.set_num_threads(1)
model = Enformer(preset("tiny", heads={{"cage": 7}}))
model.checkpointed = {checkpointed}

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


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs /proc")
@pytest.mark.parametrize("checkpointed", [False, True])
def test_a_training_step_takes_the_memory_that_was_planned(checkpointed: bool) -> None:
    length, batch = 131_072, 2
    measured = peak(training=True, batch=batch, length=length, checkpointed=checkpointed)
    found = cost.step_memory(TINY, length, 1024, 7, batch, cost.Training(checkpointing=checkpointed), on_cpu=True)
    assert 0.5 < (found["activations"] + found["workspace"]) / measured < 2


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs /proc")
def test_a_prediction_takes_the_memory_that_was_planned() -> None:
    length = 1 << 20
    measured = peak(training=False, batch=1, length=length, checkpointed=False)
    found = cost.prediction_memory(TINY, length, length // 128, 7, 1, on_cpu=True)
    assert 0.5 < (found["workspace"] + found["tracks"]) / measured < 2


def peak(**options: object) -> int:
    """Bytes beyond those of the model and the libraries, in a process of its own."""
    code = MEASURE.format(tests=str(Path(__file__).parents[2]), **options)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_on_a_gpu_masks_are_bytes_and_bf16_halves_activations() -> None:
    cpu, gpu, half = (
        cost.step_memory(TINY, 16_384, 128, 7, 1, cost.Training(), on_cpu=on_cpu, itemsize=size)
        for on_cpu, size in ((True, 4), (False, 4), (False, 2))
    )
    assert gpu["activations"] < cpu["activations"]
    assert gpu["activations"] / 2 < half["activations"] < gpu["activations"] * 0.6
    assert gpu["gradients"] == half["gradients"] == 4 * sum(cost.parameters(TINY).values())
