"""What stands on the encoder: pooling by hand, padding that changes nothing, what is trained, adapters, outcomes."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import small_models
import torch
from torch import Tensor

from genoformer.errors import ConfigError
from genoformer.genome.codes import encode
from genoformer.inference.windows import tokenize_windows
from genoformer.models.heads import (
    ClassifierConfig,
    SequenceClassifier,
    pool,
)
from genoformer.models.layers import Linear
from genoformer.models.lora import LowRank, add_adapters, merge_adapters
from genoformer.models.transformer.config import EncoderConfig
from genoformer.models.tuning import set_trainable
from genoformer.tokenizers import BaseTokenizer

POOLINGS = ["mean-max", "mean", "max", "cls"]
SHAPE = {**small_models.SHAPE, "n_vocab": 9, "max_tokens": 64, "init_std": 0.3}


def make(pooling="mean-max", task="classification", classes=("no", "yes"), seed=0, **fields) -> SequenceClassifier:
    """A tiny predictor; centre 10, 20 ... and spread 1, 2 ... where it gives values."""
    numbers = {}
    if task == "regression":
        n = len(classes)
        numbers = {"target_mean": tuple(10.0 * (i + 1) for i in range(n)), "target_std": tuple(1.0 * (i + 1) for i in range(n))}
    torch.manual_seed(seed)
    shape = EncoderConfig(**{**SHAPE, "norm": "pre", "conv_kernel": 5, **fields})
    model = SequenceClassifier(ClassifierConfig(shape, task, classes, window=32, pooling=pooling, **numbers)).eval()
    model.tokenizer = BaseTokenizer()
    return model


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_logits_of_codes_are_those_of_their_tokens(pooling, norm) -> None:
    """With [CLS] alone the last layer computes one token; padding of BPE tokens changes nothing."""
    from genoformer.tokenizers import BPETokenizer

    codes = np.random.default_rng(1).integers(0, 4, (5, 30), dtype=np.uint8)
    bpe = BPETokenizer.train(codes, n_vocab=20)
    model = make(pooling, norm=norm, n_vocab=bpe.n_vocab)
    model.tokenizer = bpe
    with torch.no_grad():
        alone = []
        for row in codes:
            encoding = bpe.encode(row[None])
            alone.append(model(torch.from_numpy(encoding.ids), torch.from_numpy(encoding.is_base))[0])
        assert len({len(bpe.encode(row[None]).ids[0]) for row in codes}) > 1
        torch.testing.assert_close(model.logits(codes), torch.stack(alone), atol=1e-5, rtol=1e-5)


def test_a_plain_head_is_one_layer_on_mean_and_maximum() -> None:
    model = small_models.small_classifier(BaseTokenizer(), head="plain", dropout=0.5)
    x, is_base = torch.randn(2, 7, 16), torch.ones(2, 7, dtype=torch.bool)
    features = torch.cat([x.mean(1), x.amax(1)], dim=1)
    with torch.no_grad():
        torch.testing.assert_close(model.head(x, is_base), features @ model.out.weight.T + model.out.bias)
    assert {name.split(".")[0] for name, _ in model.named_parameters()} == {"encoder", "out"}
    assert not torch.equal(*(model.train().head(x, is_base) for _ in range(2)))  # with dropout


# --- pooling


# a row of states for [CLS] A N [MASK] C [SEP] [PAD]: only the four in the middle are of bases
IS_BASE = torch.tensor([[False, True, True, True, True, False, False]])
STATES = torch.tensor([[[9.0, 9.0], [1.0, -8.0], [2.0, -4.0], [3.0, -2.0], [6.0, -6.0], [99.0, 99.0], [77.0, 77.0]]])


@pytest.mark.parametrize(
    ("how", "pooled"), [("mean", [3, -5]), ("max", [6, -2]), ("mean-max", [3, -5, 6, -2]), ("cls", [9, 9])]
)
def test_pooling_by_hand(how, pooled) -> None:
    """Means (1 + 2 + 3 + 6) / 4 and -(8 + 4 + 2 + 6) / 4; [CLS], [SEP] and [PAD] have no part, N and [MASK] do."""
    assert pool(STATES, IS_BASE, how)[0].tolist() == pooled


def naive_pool(x: Tensor, ids: Tensor, how: str) -> list[list[float]]:
    rows = []
    for states, tokens in zip(x.tolist(), ids.tolist(), strict=True):
        body = [state for state, token in zip(states, tokens, strict=True) if token not in (0, 2, 3)]
        columns = list(zip(*body, strict=True))
        mean, most = [sum(c) / len(c) for c in columns], [max(c) for c in columns]
        rows.append({"mean": mean, "max": most, "mean-max": mean + most, "cls": states[0]}[how])
    return rows


@pytest.mark.parametrize("how", POOLINGS)
def test_pooling_is_the_loop_over_tokens(how) -> None:
    torch.manual_seed(1)
    x = torch.randn(5, 12, 3)
    ids = torch.randint(4, 9, (5, 12))
    ids[ids == 4] = 1  # some N
    ids[:, 0] = 2
    for row, length in enumerate((3, 12, 7, 4, 12)):
        ids[row, length - 1], ids[row, length:] = 3, 0
    torch.testing.assert_close(pool(x, (ids != 0) & (ids != 2) & (ids != 3), how), torch.tensor(naive_pool(x, ids, how)))


# --- the predictor


@pytest.mark.parametrize("how", POOLINGS)
@pytest.mark.parametrize("position", ["rotary", "learned", "alibi"])
def test_padding_does_not_change_logits(how, position) -> None:
    model = make(how, position=position)
    windows = [encode(text) for text in ("ACGTACGTACGTAAA", "GGG", "TTTACGN", "C")]
    ids, keep, is_base = (torch.from_numpy(x) for x in tokenize_windows(model.tokenizer, windows))
    encodings = [model.tokenizer.encode(codes[None]) for codes in windows]
    with torch.no_grad():
        together = model(ids, is_base, keep)
        alone = [model(torch.from_numpy(x.ids), torch.from_numpy(x.is_base)) for x in encodings]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-4)
    assert (together[0] - together[1]).abs().max() > 1e-3  # the sequences differ, and so do their logits


@pytest.mark.parametrize(
    ("task", "classes", "outcome"),
    [
        ("classification", ("a", "b"), [0.25, 0.75]),  # e^0 : e^(log 3)
        ("multilabel", ("a", "b"), [0.5, 0.75]),
        ("regression", ("x", "y"), [10 + 0 * 1, 20 + np.log(3) * 2]),
    ],
)
def test_outcomes_by_hand(task, classes, outcome) -> None:
    model = make(task=task, classes=classes)
    assert model.task.values(torch.tensor([[0.0, np.log(3)]]))[0].tolist() == pytest.approx(outcome, rel=1e-6)


@pytest.mark.parametrize(
    ("task", "classes"), [("classification", ("a", "b", "c")), ("multilabel", ("a",)), ("regression", ("x", "y"))]
)
def test_a_configuration_goes_through_json(task, classes) -> None:
    config = make("max", task=task, classes=classes).config
    again = ClassifierConfig.from_dict(json.loads(json.dumps(asdict(config))))
    assert again == config
    assert (again.classes, again.target_mean) == (classes, config.target_mean)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"task": "classes"}, "allowed are classification, multilabel, regression"),
        ({"pooling": "median"}, "allowed are mean-max, mean, max, cls"),
        ({"classes": ()}, "name its classes, labels or values"),
        ({"classes": ("a",)}, "at least two"),
        ({"classes": ("a", "a")}, "names must differ"),
        ({"overlap": 32}, "up to, not including, the window of 32"),
        ({"overlap": -1}, "up to, not including"),
        ({"window": 0}, "up to, not including"),
        ({"dropout": 1.0}, "not including, 1"),
        ({"task": "regression"}, "0 in target_mean and 0 in target_std for 2 outputs"),
        ({"target_mean": (1.0, 2.0)}, "2 in target_mean and 0 in target_std"),
        ({"pooling": "cls", "encoder": EncoderConfig(**SHAPE, causal=True)}, "knows none of them"),
    ],
)
def test_configurations_that_cannot_work_are_refused(fields, words) -> None:
    with pytest.raises(ConfigError, match=words):
        replace(make().config, **fields)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"heads": 3}, "unknown fields heads"),
        ({"window": "long"}, "give a whole number"),
        ({"classes": [1, 2]}, "give a list of names"),
        ({"both_strands": "no"}, "true or false"),
        ({"encoder": {"layers": 2}}, "unknown fields layers"),
    ],
)
def test_tables_that_are_no_configuration_are_refused(changed, words) -> None:
    with pytest.raises(ConfigError, match=words):
        ClassifierConfig.from_dict({**asdict(make().config), **changed})


# --- what is trained

HEAD = {"norm.weight", "norm.bias", "hidden.weight", "hidden.bias", "out.weight", "out.bias"}
LM_HEAD = {"transform.weight", "transform.bias", "norm_transform.weight", "norm_transform.bias", "decoder.bias"}
PARTS = ("attention.qkv", "attention.out", "norm_attention", "up", "down", "norm_feed")


def layer(i: int) -> set[str]:
    return {f"encoder.layers.{i}.{part}.{what}" for part in PARTS for what in ("weight", "bias")}


BELOW = {f"encoder.{name}" for name in ("tokens.weight", "segments.weight", "stem.norm.weight", "stem.norm.bias")} | {
    f"encoder.stem.convolution.{what}" for what in ("weight", "bias")
}
NORM = {"encoder.norm.weight", "encoder.norm.bias"}
ADAPTERS = {
    f"encoder.layers.{i}.{part}.{side}"
    for i in (0, 1)
    for part in ("attention.qkv", "attention.out", "up", "down")
    for side in "ab"
}


@pytest.mark.parametrize(
    ("tune", "norm", "trained"),
    [
        ("full", "pre", BELOW | NORM | layer(0) | layer(1)),
        ("last", "pre", NORM | layer(1)),  # the norm after the last layer
        ("last", "post", layer(1)),  # here the norm is that of the embeddings, below all layers
        ("frozen", "pre", set()),
        ("lora", "pre", ADAPTERS),
    ],
)
def test_what_each_mode_trains(tune, norm, trained) -> None:
    model = make(norm=norm)
    set_trainable(model.encoder, tune, n_last=1, rank=2)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == trained | HEAD


@pytest.mark.parametrize("tune", ["full", "last", "frozen", "lora"])
def test_what_is_chosen_has_gradients_and_nothing_else(tune) -> None:
    """Every chosen weight moves the logits; the language model's own head never does."""
    model = make(pooler=True)
    set_trainable(model.encoder, tune, n_last=1, rank=2)
    for p in (module.b for module in model.modules() if isinstance(module, LowRank)):
        torch.nn.init.normal_(p)  # at 0 the gradient of A is 0
    model.logits(encode("ATCGA")[None]).square().sum().backward()
    moved = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert moved == {name for name, p in model.named_parameters() if p.requires_grad}
    never = {f"encoder.{name}" for name in (*LM_HEAD, "pooler.weight", "pooler.bias")}
    assert not moved & never
    assert never <= {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tune": "half"}, "allowed are full, last, norms, frozen, lora"),
        ({"tune": "last", "n_last": 3}, "layers 1 to 2"),
        ({"tune": "last", "n_last": 0}, "layers 1 to 2"),
        ({"tune": "lora", "rank": 17}, "give 1 to 16"),
        ({"tune": "lora", "rank": 0}, "give 1 to 16"),
    ],
)
def test_choices_that_cannot_be_are_refused(options, words) -> None:
    with pytest.raises(ConfigError, match=words):
        set_trainable(make().encoder, **options)


# --- adapters


def test_an_adapter_by_hand() -> None:
    """W = 2 I, A = (1, 0), B = (0, 3)^T, alpha / r = 4: W + 4 B A = [[2, 0], [12, 2]]."""
    base = Linear(2, 2)
    adapter = LowRank(base, rank=1, alpha=4.0)
    with torch.no_grad():
        base.weight.copy_(2 * torch.eye(2))
        base.bias.copy_(torch.tensor([0.5, -0.5]))
        adapter.a.copy_(torch.tensor([[1.0, 0.0]]))
        adapter.b.copy_(torch.tensor([[0.0], [3.0]]))
    assert adapter.weight.tolist() == [[2, 0], [12, 2]]
    assert adapter(torch.tensor([1.0, 1.0])).tolist() == [2.5, 13.5]


@pytest.mark.parametrize("activation", ["gelu", "geglu"])
def test_adapters_start_as_nothing_and_merge_into_the_same_function(activation) -> None:
    model = make(activation=activation)
    ids, is_base = torch.randint(5, 9, (3, 20)), torch.ones(3, 20, dtype=torch.bool)
    names = list(model.state_dict())
    with torch.no_grad():
        base = model(ids, is_base)
        add_adapters(model.encoder.layers, rank=2)
        torch.testing.assert_close(model(ids, is_base), base, atol=1e-6, rtol=1e-6)
        for module in model.modules():
            if isinstance(module, LowRank):
                torch.nn.init.normal_(module.b, std=0.1)
        adapted = model(ids, is_base)
        rows = torch.tensor([[0, 3], [19, 1], [4, 4]])  # the way that takes the weights of the adapter themselves
        at_rows = model.encoder.embed(ids, rows=rows)
        merge_adapters(model.encoder)
        torch.testing.assert_close(model(ids, is_base), adapted, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(model.encoder.embed(ids, rows=rows), at_rows, atol=1e-5, rtol=1e-5)
    assert (adapted - base).abs().max() > 1e-2
    assert list(model.state_dict()) == names
    assert not any(isinstance(module, LowRank) for module in model.modules())


def test_a_model_without_adapters_is_merged_into_itself() -> None:
    model = make()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    merge_adapters(model.encoder)
    assert list(before) == list(model.state_dict())
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
