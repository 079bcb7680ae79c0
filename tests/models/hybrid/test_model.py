"""The hybrid model against loops in float64, with padding, in part of its positions, and in all that takes an encoder."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from naive_families import attention, double, gelu, layer_norm, linear, turned
from small_models import shaken
from torch import Tensor

from genoformer import inference
from genoformer.errors import CheckpointError, ConfigError
from genoformer.genome.codes import N, encode
from genoformer.interpretation.attention import AttentionReader
from genoformer.models import registry
from genoformer.models.base import Attends, PredictsBases, SequenceLikelihood, has
from genoformer.models.families import family_of
from genoformer.models.heads import ClassifierConfig, SequenceClassifier
from genoformer.models.hybrid.config import HybridConfig
from genoformer.models.hybrid.model import ChannelDropout, Hybrid
from genoformer.models.onehot import OneHotModel
from genoformer.models.tuning import set_trainable
from genoformer.tokenizers import BaseTokenizer

SMALL: dict[str, Any] = {
    "width": 12,
    "token_width": 5,
    "stem_width": 8,
    "stem_kernel": 7,
    "conv_kernel": 3,
    "n_conv_blocks": 2,
    "conv_dilation": 2,
    "n_heads": 2,
    "ffn_width": 10,
    "dropout": 0.0,
    "max_tokens": 40,
    "learned_positions": True,
}
SHAPES = [
    {"pool": pool, "pool_kind": kind, "conv_norm": norm, "n_layers": n}
    for pool, kind, norm, n in product((1, 2, 4), ("max", "attention"), ("batch", "layer"), (0, 2))
    if (pool > 1 or kind == "max") and (norm == "batch" or pool == 2)
]
SHAPES += [{"pool": pool, "pool_kind": "max", "token_residual": False, "n_layers": n} for pool, n in ((1, 2), (4, 0), (4, 2))]


def small_hybrid(seed: int = 0, **fields: Any) -> Hybrid:
    """A hybrid model in eval mode with its tokenizer; no weight is 0 or 1 as it is before training."""
    torch.manual_seed(seed)
    model = Hybrid(HybridConfig(**{**SMALL, **fields}))
    model.tokenizer = BaseTokenizer()
    return shaken(model, lambda: model.embed(random_ids(8, 31)))


def random_ids(n: int, length: int, seed: int = 0) -> Tensor:
    """Token ids [n, length + 2] of random bases."""
    codes = np.random.default_rng(seed).integers(0, 5, (n, length)).astype(np.uint8)
    return torch.from_numpy(BaseTokenizer().encode(codes).ids)


# --- the same in loops


def convolution(rows: list[Tensor], tensors: dict[str, Tensor], name: str, dilation: int = 1) -> list[Tensor]:
    weight = tensors[f"{name}.weight"]  # [C', C, K]
    half, found = weight.shape[2] // 2, []
    for t in range(len(rows)):
        y = tensors[f"{name}.bias"].clone()
        for k in range(weight.shape[2]):
            at = t + (k - half) * dilation
            if 0 <= at < len(rows):
                y = y + weight[:, :, k] @ rows[at]
        found.append(y)
    return found


def norm(x: Tensor, tensors: dict[str, Tensor], name: str) -> Tensor:
    if f"{name}.running_mean" not in tensors:
        return layer_norm(x, tensors, name, 1e-5)
    x = (x - tensors[f"{name}.running_mean"]) / torch.sqrt(tensors[f"{name}.running_var"] + 1e-5)
    return x * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]


def block(rows: list[Tensor], tensors: dict[str, Tensor], name: str, dilation: int) -> list[Tensor]:
    h = convolution([norm(x, tensors, f"{name}.norm") for x in rows], tensors, f"{name}.conv", dilation)
    widen = tensors.get(f"{name}.widen.weight")
    kept = rows if widen is None else [widen @ x for x in rows]
    return [x + gelu(y) for x, y in zip(kept, h, strict=True)]


def layer(rows: list[Tensor], tensors: dict[str, Tensor], name: str, n_heads: int) -> list[Tensor]:
    qkv = [linear(layer_norm(x, tensors, f"{name}.norm_attention", 1e-5), tensors, f"{name}.attention.qkv") for x in rows]
    q, k, v = ([x.chunk(3)[i] for x in qkv] for i in range(3))
    q, k = ([turned(x, t, n_heads) for t, x in enumerate(part)] for part in (q, k))
    mixed = attention(q, k, v, n_heads)
    rows = [x + linear(y, tensors, f"{name}.attention.out") for x, y in zip(rows, mixed, strict=True)]
    feed = [gelu(linear(layer_norm(x, tensors, f"{name}.norm_feed", 1e-5), tensors, f"{name}.up")) for x in rows]
    return [x + linear(y, tensors, f"{name}.down") for x, y in zip(rows, feed, strict=True)]


def halved(rows: list[Tensor], weight: Tensor | None) -> list[Tensor]:
    found = []
    for i in range(0, len(rows), 2):
        pair = rows[i : i + 2]
        if len(pair) == 1:
            found.append(pair[0])
        elif weight is None:
            found.append(torch.maximum(*pair))
        else:
            found.append((torch.stack([weight @ x for x in pair]).softmax(0) * torch.stack(pair)).sum(0))
    return found


def naive_states(model: Hybrid, ids: list[int]) -> Tensor:
    """The states of one sequence without padding, [T, D], in float64."""
    config, tensors = model.config, double(dict(model.state_dict()))
    rows = convolution([tensors["tokens.weight"][i] for i in ids], tensors, "stem.conv")
    rows = [gelu(norm(x, tensors, "stem.norm")) + tensors["stem.positions"][t] for t, x in enumerate(rows)]
    for i in range(config.n_conv_blocks):
        rows = block(rows, tensors, f"blocks.{i}", config.conv_dilation**i)
    pooled = rows
    for i in range(int(math.log2(config.pool))):
        pooled = halved(pooled, tensors.get(f"pool.halvings.{i}.weight"))
    groups = block(pooled, tensors, "pooled_blocks.0", config.conv_dilation**config.n_conv_blocks)
    for i in range(config.n_layers):
        groups = layer(groups, tensors, f"layers.{i}", config.n_heads)
    if not config.token_residual:
        return torch.stack([layer_norm(groups[t // config.pool], tensors, "norm", 1e-5) for t in range(len(rows))])
    added = [after - before for after, before in zip(groups, pooled, strict=True)]
    rows = [x + added[t // config.pool] for t, x in enumerate(rows)]
    return torch.stack([layer_norm(x, tensors, "norm", 1e-5) for x in rows])


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape.values())))
def test_states_are_those_of_loops(shape: dict[str, Any]) -> None:
    model, ids = small_hybrid(**shape), random_ids(1, 11)
    with torch.no_grad():
        found, expected = model.embed(ids)[0], naive_states(model, ids[0].tolist())
    torch.testing.assert_close(found.double(), expected, atol=2e-5, rtol=2e-5)


# --- padding, rows, layers


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape.values())))
@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_no_state(shape: dict[str, Any], training: bool) -> None:
    """Also not in training, where the statistics of batch norm are over the tokens that are no padding."""
    model, ids = small_hybrid(**shape).train(training), random_ids(3, 19)
    padded = torch.nn.functional.pad(ids, (0, 6), value=1)  # a token that would be seen
    keep = torch.arange(padded.shape[1]).expand(3, -1) < ids.shape[1]
    with torch.no_grad():
        torch.testing.assert_close(model.embed(padded, keep)[:, : ids.shape[1]], model.embed(ids), atol=2e-5, rtol=2e-5)


def test_padding_of_one_sequence_changes_no_logit_of_a_classifier() -> None:
    model = classifier(small_hybrid(pool=4))
    sequences = [encode("ACGTTGCAGGATACCA"), encode("ACGTTGCAGGATACCAGATTACACCAGT"), encode("ACG")]
    together = inference.predictions(model, sequences, batch_size=3).values
    alone = np.concatenate([inference.predictions(model, [codes]).values for codes in sequences])
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape.values())))
def test_states_of_some_positions_are_those_of_all(shape: dict[str, Any]) -> None:
    model, ids = small_hybrid(**shape), random_ids(2, 19)
    rows = torch.tensor([[0, 20, 7], [3, 4, 5]])
    for n in (None, *range(model.n_layers + 1)):
        with torch.no_grad():
            everything = model.embed(ids, layer=n)
            some = model.embed(ids, rows=rows, layer=n)
        torch.testing.assert_close(some, everything.gather(1, rows[..., None].expand(-1, -1, 12)), atol=1e-5, rtol=1e-5)


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"layer 3: this model has layers 0 \(the convolutions\) to 2"):
        small_hybrid().embed(random_ids(1, 9), layer=3)


def test_more_tokens_than_learned_positions_are_refused() -> None:
    with pytest.raises(ConfigError, match="41 tokens, but this model has positions for 40; give shorter windows"):
        small_hybrid().embed(random_ids(1, 39))
    assert small_hybrid().longest_window == 38
    assert small_hybrid(learned_positions=False).longest_window is None


def test_batch_norm_that_is_not_trained_keeps_its_statistics() -> None:
    model = small_hybrid()
    set_trainable(model, "frozen")
    before = {name: x.clone() for name, x in model.state_dict().items() if "running" in name}
    model.train()
    assert len(before) == 8
    model.embed(random_ids(4, 20, seed=3))
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items() if name in before)
    set_trainable(model, "full")
    model.train().embed(random_ids(4, 20, seed=3))
    assert not any(torch.equal(x, before[name]) for name, x in model.state_dict().items() if name in before)


def test_dropout_is_of_whole_channels_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    dropout, x = ChannelDropout(0.25), torch.ones(500, 3, 8)
    assert dropout.eval()(x) is x
    y = dropout.train()(x)
    assert sorted(set(y.flatten().tolist())) == [0, pytest.approx(4 / 3)]
    assert (y == y[:, :1]).all()
    assert float((y == 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    model = small_hybrid(dropout=0.3).train()
    assert not torch.equal(model.embed(random_ids(2, 9)), model.embed(random_ids(2, 9)))
    assert {type(part) for name, part in model.named_modules() if name.endswith("dropout")} == {ChannelDropout}


# --- all that takes an encoder


def classifier(encoder: Hybrid) -> SequenceClassifier:
    torch.manual_seed(1)
    head = ClassifierConfig(encoder.config, "classification", ("no", "yes"), window=30, family="hybrid")
    model = SequenceClassifier(head).eval()
    model.encoder.load_state_dict(encoder.state_dict())
    model.tokenizer = encoder.tokenizer
    return model


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    model, ids = small_hybrid(pool=2, pool_kind="attention"), random_ids(2, 20)
    registry.save(model, tmp_path / "encoder")
    registry.save(classifier(model), tmp_path / "classifier")
    encoder, tuned = registry.load(tmp_path / "encoder"), registry.load(tmp_path / "classifier")
    assert (family_of(encoder), encoder.config, tuned.config.encoder) == ("hybrid", model.config, model.config)
    with torch.no_grad():
        assert torch.equal(encoder(ids), model(ids))
        assert torch.equal(tuned.encoder.embed(ids), model.embed(ids))


def test_its_capabilities_are_those_of_a_masked_model() -> None:
    model = small_hybrid()
    assert has(model, PredictsBases)
    assert has(model, Attends)
    assert not has(model, SequenceLikelihood)
    codes = encode("ACGTTGCAGGATACCA")[None]
    ids = torch.from_numpy(BaseTokenizer().encode(codes).ids)
    ids[0, 6] = model.tokenizer.mask_id
    with torch.no_grad():
        expected = model(ids)[0, 6, torch.from_numpy(model.tokenizer.encode(np.arange(4, dtype=np.uint8)[None]).ids[0, 1:5])]
        found = model.base_log2_probs(codes, np.array([5]), np.array([6]))
    torch.testing.assert_close(found[0].exp2(), expected.softmax(0), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pool", [1, 2, 4])
def test_attention_of_tokens_is_that_of_their_groups(pool: int) -> None:
    model = small_hybrid(pool=pool)
    codes = np.random.default_rng(0).integers(0, 4, (2, 17)).astype(np.uint8)
    found = AttentionReader(model, layers=(0, 1)).rows(codes, query=5)  # [B, layers, H, T]
    assert found.shape == (2, 2, 2, 19)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    starts = np.arange(0, 19, pool)
    groups = np.stack([found[..., i : i + pool] for i in starts[:-1]], axis=-2)
    assert np.ptp(groups, axis=-1).max() < 1e-7  # tokens of a group have equal weights
    with torch.no_grad():
        _, y, _ = model._groups(model._convolved(torch.from_numpy(model.tokenizer.encode(codes).ids), None), None)
        first = model.layers[0]
        weights = first.attention.weights(first.norm_attention(y), None, 5 // pool, 1)[:, :, 0]  # [B, H, P]
    np.testing.assert_allclose(np.add.reduceat(found[:, 0], starts, axis=-1), weights.numpy(), atol=1e-6)


def test_a_model_without_layers_has_no_attention() -> None:
    model = small_hybrid(n_layers=0)
    assert not has(model, Attends)
    with pytest.raises(CheckpointError, match=r"has no attention \(n_layers = 0\)"):
        AttentionReader(model)


@pytest.mark.parametrize("pool", [1, 2])
def test_one_hot_bases_have_the_logits_of_their_codes(pool: int) -> None:
    model = classifier(small_hybrid(pool=pool))
    codes = np.array([[0, 1, 2, 3, 3, 2, 0, 0, N, 1, 2]], dtype=np.uint8)
    onehot = torch.nn.functional.one_hot(torch.from_numpy(codes).long(), 5)[..., :4].float().transpose(1, 2)
    with torch.no_grad():
        torch.testing.assert_close(OneHotModel(model)(onehot), model.logits(codes), atol=1e-5, rtol=1e-5)
