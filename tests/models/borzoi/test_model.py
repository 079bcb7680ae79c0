"""Borzoi, Flashzoi and Prime: against formulas in float64; bins, windows and refusals."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import torch
from borzoi_models import KINDS, naive, small_borzoi
from small_models import random_onehot

from genoformer.errors import ConfigError
from genoformer.genome.codes import encode
from genoformer.models import registry
from genoformer.models.base import Attends, Bins, PredictsTracks, has
from genoformer.models.borzoi.config import BorzoiConfig, preset
from genoformer.models.borzoi.model import Borzoi
from genoformer.models.plain_engine import PlainEngine


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_units", [1, 2, 9])
def test_tracks_are_those_of_the_formula(kind, n_units) -> None:
    model = small_borzoi(kind)
    onehot = random_onehot(2, n_units * model.config.unit, n_units)
    with torch.no_grad():
        for head in model.config.heads:
            found, expected = model(onehot, head, 0), naive(model, onehot, head)
            assert found.shape == expected.shape
            assert found.dtype == torch.float32
            if n_units > 2:
                assert expected.std(-1).mean() > 0.05  # over the bins: else there is nothing to compare
            assert relative(found, expected) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_of_the_bins_is_cut_from_the_whole(kind) -> None:
    """The decoder computes the requested bins and their neighbours only; at the ends of the window there are none."""
    model = small_borzoi(kind)
    onehot = random_onehot(1, 2 * model.config.unit, 3)
    with torch.no_grad():
        whole = model.embed(onehot, 0)
        n_all = whole.shape[-1]
        assert n_all == onehot.shape[-1] // model.config.bin_size
        for first in range(n_all):
            for n in range(1, n_all - first + 1):
                part = model.embed(onehot, Bins(first, n))
                assert part.shape[-1] == n
                assert relative(part, whole[..., first : first + n]) < 1e-5, (first, n)


def test_bins_in_the_middle_by_hand() -> None:
    model = small_borzoi(target_bins=10)
    assert model.bins_of(2048) == (27, 10)  # of 64
    assert model.bins_of(1280, 1) == (19, 1)  # of 40: one more behind
    assert model.bins_of(128, 0) == (0, 4)
    with torch.no_grad():
        assert model(random_onehot(1, 2048), "human").shape == (1, 4, 10)
        assert model(random_onehot(1, 1280), "mouse", 1).shape == (1, 2, 1)
    head = model.track_heads["human"]
    assert (head.n_tracks, head.bin_size, model.window_unit_of(model.config)) == (4, 32, 128)
    assert small_borzoi("prime").track_heads["mouse"].bin_size == 16


def test_windows_are_whole_bins_of_the_transformer() -> None:
    model = small_borzoi()
    with pytest.raises(ConfigError, match=r"a window of 1,056 bases .*; give a multiple of 128, such as 1,024"):
        model.embed(random_onehot(1, 1056), 0)
    with pytest.raises(ConfigError, match="found n_bins = 5, but a window of 128 bases has 4 bins of 32"):
        model.embed(random_onehot(1, 128), 5)
    with pytest.raises(ConfigError, match="give one-hot DNA"):
        model.embed(torch.zeros(1, 128, 4), 0)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_models_are_equal(kind, tmp_path) -> None:
    model = small_borzoi(kind)
    registry.save(model, tmp_path / "m")
    again = registry.load(tmp_path / "m", PredictsTracks, Attends)
    assert again.config == model.config
    assert type(again.config.tower_widths) is tuple
    first, second = model.state_dict(), again.state_dict()
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kind", ["borzoi", "flashzoi"])
def test_attention_weights_are_those_of_the_blocks(kind) -> None:
    """A row of weights sums to 1; with values of one channel each, out of the weights comes what the block computes."""
    model = small_borzoi(kind)
    codes = encode("ACGTTGCA" * 128)[None]
    with torch.no_grad():
        layers = list(model.attention(codes))
        assert len(layers) == 2
        first = layers[0](0, 8)
        assert first.shape == (1, 4, 8, 8)
        assert torch.allclose(first.sum(-1), torch.ones(1, 4, 8), atol=1e-5)
        assert torch.allclose(layers[0](3, 2), first[:, :, 3:5], atol=1e-6)
        x = torch.randn(1, 8, 24)
        positions = model.positions(x)
        attention = model.blocks[1].attention
        weights = attention.weights(x, positions, 0, 8)
        if kind == "flashzoi":
            value = attention.qkv(x)[..., -12:].unflatten(-1, (2, 6)).repeat_interleave(2, -2)
        else:
            value = attention.value(x).unflatten(-1, (4, 7))
        expected = attention.out(torch.einsum("bhij,bjhv->bihv", weights, value).flatten(2))
        assert relative(attention(x, positions), expected) < 1e-5
    assert has(model, Attends)
    assert model.spans(codes)[0, 1].tolist() == [128, 256]


def test_training_recomputes_the_blocks_and_keeps_frozen_statistics() -> None:
    model = small_borzoi(dropout=0.0, attention_dropout=0.0, position_dropout=0.0)
    for block in model.blocks:
        block.attention_dropout.p = 0.0
    model.final_dropout.p = 0.0
    model.requires_grad_(False)
    for parameter in model.blocks.parameters():
        parameter.requires_grad_(True)
    model.train()
    before = model.final.norm.running_mean.clone()
    gradients = []
    for model.activation_checkpointing in (False, True):
        model.zero_grad()
        model(random_onehot(1, 512), "human", 0).sum().backward()
        gradients.append(model.blocks[0].up.weight.grad.clone())
    assert gradients[0].abs().max() > 0
    assert torch.allclose(*gradients, rtol=1e-4)
    assert torch.equal(model.final.norm.running_mean, before)


def test_published_shapes_have_the_published_sizes() -> None:
    """744 and 705 MB of float32, as on the hub."""
    sizes = {}
    for name, fields in {"borzoi": {"heads": {"human": 7611}}, "mouse": {"heads": {"mouse": 2608}}}.items():
        with torch.device("meta"):
            sizes[name] = round(4e-6 * sum(t.numel() for t in Borzoi(BorzoiConfig(**fields)).state_dict().values()))
    assert sizes == {"borzoi": 744, "mouse": 705}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"attention": "linear"}, "attention = 'linear': allowed are relative, rotary"),
        ({"n_upsamples": 7}, "the tower has 6 stages"),
        ({"context_length": 2000}, "give a multiple of 128"),
        ({"target_bins": 65}, "has 64 bins of 32; give at most that"),
        ({"squashed_scale": "log"}, "squashed_scale = 'log': allowed are borzoi, prime"),
        ({"heads": {}}, "name at least one head"),
        ({"heads": {"keys": 3}}, "'keys' is no name"),
        ({"n_features": 5}, "give an even number"),
        ({"tower_widths": (8, 0)}, "whole numbers of at least 1"),
        ({"attention": "rotary", "n_kv_heads": 3}, "a multiple of n_kv_heads = 3"),
        ({"attention": "rotary", "rotary_width": 8}, "an even number up to the 6 channels of a head"),
        ({"dropout": 1.0}, "dropout = 1.0"),
        ({"n_blocks": -1}, "at least 0"),
    ],
)
def test_wrong_shapes_are_refused(fields, message) -> None:
    with pytest.raises(ConfigError, match=message):
        small_borzoi(**fields)


def test_configurations_of_another_form_are_refused() -> None:
    table = asdict(preset("tiny"))
    assert BorzoiConfig.from_dict({**table, "tower_widths": list(table["tower_widths"])}) == preset("tiny")
    with pytest.raises(ConfigError, match="give a list of whole numbers"):
        BorzoiConfig.from_dict({**table, "tower_widths": ["8"]})
    with pytest.raises(ConfigError, match="unknown fields depth"):
        BorzoiConfig.from_dict({**table, "depth": 3})
    with pytest.raises(ConfigError, match="preset 'huge': allowed are borzoi, flashzoi, prime"):
        preset("huge")


def test_the_plain_engine_reads_windows_one_by_one() -> None:
    model = small_borzoi()
    codes = encode("ACGTTGCAAT" * 205)[:2048]
    engine = model.engine("human")
    plain = PlainEngine(model, "human")
    with torch.no_grad():
        window = engine.stretch(codes).window(4, 32)
        edited = codes[128:1152].copy()
        edited[500] = (edited[500] + 1) % 4
        found = window.embed([None, edited], Bins(3, 9))
        expected = plain.embed(np.stack([codes[128:1152], edited]), Bins(3, 9))
    assert relative(found, expected) < 1e-5
