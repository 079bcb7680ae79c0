"""Weights are read into memory once, completely, and independent of their file afterwards."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_models import small_encoder
from torch import Tensor, nn

from genoformer.errors import CheckpointError
from genoformer.models import registry
from genoformer.models.base import Model
from genoformer.models.transformer.config import EncoderConfig
from genoformer.models.transformer.model import Encoder
from genoformer.models.weights import empty_model, load_checked, read_tensors
from genoformer.tokenizers import KmerTokenizer

PEAK = """
import re, sys
import torch
from genoformer.models import registry
from genoformer.models.transformer.weights import bert
def megabytes(key): return int(re.search(key + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
before = megabytes("VmRSS")
model = registry.load(sys.argv[1])
print(megabytes("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the peak memory of a process is read in /proc (Linux)")
@pytest.mark.parametrize("layout", ["dnabert", "genoformer"])
def test_weights_are_in_memory_once(layout: str, tmp_path: Path) -> None:
    """The bound is 1.1 times the file, and 30 MB for everything else; with a second copy it is 2 times the file."""
    model = Encoder(EncoderConfig(n_layers=3))
    model.tokenizer = KmerTokenizer(6)
    registry.save(model, tmp_path / "m", layout=layout)
    size = (tmp_path / "m" / "model.safetensors").stat().st_size / 2**20
    run = subprocess.run([sys.executable, "-c", PEAK, str(tmp_path / "m")], capture_output=True, text=True, check=True)
    assert 90 < size < float(run.stdout) < 1.1 * size + 30


@pytest.mark.parametrize("layout", ["dnabert", "genoformer"])
def test_a_model_does_not_change_with_its_file(layout: str, tmp_path: Path) -> None:
    model = small_encoder(KmerTokenizer(3), position="learned", n_token_types=2, max_tokens=64)
    registry.save(model, tmp_path / "m", layout=layout)
    loaded = registry.load(tmp_path / "m")
    path = tmp_path / "m" / "model.safetensors"
    with path.open("r+b") as file:  # in place, as another program could
        file.write(bytes(path.stat().st_size))
        file.truncate(10)
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_a_tied_decoder_stays_tied(tmp_path: Path) -> None:
    model = small_encoder(KmerTokenizer(3), position="learned", n_token_types=2, max_tokens=64)
    for layout in ("dnabert", "genoformer"):
        registry.save(model, tmp_path / layout, layout=layout)
        loaded = registry.load(tmp_path / layout)
        assert loaded.decoder.weight is loaded.tokens.weight
        assert all(p.requires_grad and not p.is_meta for p in loaded.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_tensors_are_those_that_safetensors_reads(dtype: torch.dtype, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    tensors = {
        "a": torch.randn(3, 5).to(dtype),
        "empty": torch.zeros(0, 3, dtype=dtype),
        "scalar": torch.tensor(2.5, dtype=dtype),
        "whole": torch.arange(7),
        "flags": torch.tensor([True, False]),
    }
    save_file(tensors, path)
    read, expected = read_tensors(path), load_file(path)
    assert read.keys() == expected.keys()
    for name, tensor in expected.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.randn(100)}, path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_tensors(path)


# --- models of other packages


@dataclass(frozen=True)
class Config:
    width: int = 4


class Computed(Model):
    """Has a buffer that is not saved, and a tensor that is no buffer: only the constructor knows them."""

    config_type: ClassVar = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.linear = nn.Linear(config.width, 2)
        self.register_buffer("angles", torch.arange(float(config.width)), persistent=False)
        self.offset = torch.tensor(3.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x * self.angles) + self.offset


def test_tensors_outside_the_file_have_the_values_of_the_constructor() -> None:
    torch.manual_seed(0)
    model = Computed(Config())
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    loaded = load_checked(empty_model(Computed, Config()), dict(tensors), Path("x"), "hash")
    assert torch.equal(loaded(torch.ones(1, 4)), model(torch.ones(1, 4)))


def test_tensors_that_share_memory_in_a_pickle_do_not_in_the_model() -> None:
    both = torch.randn(2, 4)
    bias = both.view(-1)[:2]
    expected = bias.clone()
    loaded = load_checked(empty_model(Computed, Config()), {"linear.weight": both, "linear.bias": bias}, Path("x"), "hash")
    with torch.no_grad():
        loaded.linear.weight.zero_()
    assert torch.equal(loaded.linear.bias, expected)


def test_nothing_is_drawn_for_a_model_that_is_loaded(tmp_path: Path) -> None:
    model = small_encoder(KmerTokenizer(3))
    registry.save(model, tmp_path / "m")
    state = torch.random.get_rng_state()
    registry.load(tmp_path / "m")
    assert torch.equal(torch.random.get_rng_state(), state)
