"""Sampled sequences: likelihoods by a loop over bases, frequencies, greedy choice, prompts, seeds, and kept keys and values."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from small_models import small_encoder

import genoformer as gf
from genoformer.errors import CheckpointError, ConfigError
from genoformer.models.transformer.config import SHAPES
from genoformer.tokenizers import BaseTokenizer, BlockTokenizer, BPETokenizer, KmerTokenizer

RANDOM = np.random.default_rng(0)
BPE = BPETokenizer.train([RANDOM.integers(0, 4, 800, dtype=np.uint8) for _ in range(3)], 40)


def make(tokenizer, **fields):
    return small_encoder(tokenizer, **{"init_std": 0.3, "context_length": 64, **fields, "causal": True})


def naive_log_p(model, text: str, n_given: int) -> float:
    """Sum of ln P of the tokens of a text after its first `n_given` bases: a forward pass for each, over the tokens allowed."""
    tokenizer = model.tokenizer
    encoding = tokenizer.encode(gf.genome.codes.encode(text)[None])
    ids, spans = encoding.ids[0].tolist(), encoding.spans[0].tolist()
    names = {i: token for token, i in tokenizer.vocab.items()}
    bases = [i for i, token in names.items() if set(token) <= set("ACGT")]
    total = 0.0
    for t, (start, end) in enumerate(spans):
        if end == start or end <= n_given:
            continue
        with torch.no_grad():
            logits = model(torch.tensor([ids[:t]]))[0, -1].double()
        before = names[ids[t - 1]]
        overlaps = tokenizer.sliding and set(before) <= set("ACGT")
        allowed = [i for i in bases if names[i][:-1] == before[1:] or not overlaps]
        log_p = {i: float(x) for i, x in zip(allowed, logits[allowed].log_softmax(-1), strict=True)}
        total += log_p[ids[t]]
    return total


@pytest.mark.parametrize("tokenizer", [BaseTokenizer(), KmerTokenizer(3), KmerTokenizer(4, stride=4)], ids=["1", "3", "4 by 4"])
@pytest.mark.parametrize("prompt", ["", "ACGTACGT"])
def test_the_log_likelihood_is_that_of_a_loop_over_tokens(tokenizer, prompt: str) -> None:
    model = make(tokenizer)
    samples = gf.sample(model, number=3, length=24, prompt=prompt, temperature=0.7, device="cpu")
    for bases, log_likelihood in samples:
        assert len(bases) == 24
        assert set(bases) <= set("ACGT")
        assert bases.startswith(prompt)
        assert log_likelihood == pytest.approx(naive_log_p(model, bases, len(prompt)), abs=1e-4)
    assert len({bases for bases, _ in samples}) == 3


@pytest.mark.parametrize("tokenizer", [BPE, BlockTokenizer.new(3)], ids=["bpe", "blocks"])
def test_tokens_of_other_lengths_fill_the_length(tokenizer, monkeypatch) -> None:
    """The tokens of a sequence are those that the model drew; a text may have others."""
    model = make(tokenizer)
    drawn: list[torch.Tensor] = []
    real = model.sample
    monkeypatch.setattr(model, "sample", lambda *a: drawn.append(real(*a)) or drawn[-1])
    samples = gf.sample(model, number=5, length=25, prompt="ACG", device="cpu")
    names = {i: token for token, i in tokenizer.vocab.items()}
    bases = [i for i, token in names.items() if set(token) <= set("ACGT")]
    for (text, log_likelihood), row in zip(samples, drawn[-1].tolist(), strict=True):
        n_start = len(tokenizer("ACG")["input_ids"]) - (tokenizer is BPE)  # without [SEP]
        with torch.no_grad():
            logits = model(torch.tensor([row]))[0].double()
        whole, expected, t = "ACG", 0.0, n_start
        while len(whole) < 25:
            whole += names[row[t]]
            expected += float(logits[t - 1][bases].log_softmax(-1)[bases.index(row[t])])
            t += 1
        assert text == whole[:25]
        assert log_likelihood == pytest.approx(expected, abs=1e-4)


def test_all_likelihoods_of_a_length_add_up_to_1() -> None:
    """Every sequence of 3 bases after a prompt is drawn in the end, with its own likelihood."""
    model = make(BaseTokenizer(), init_std=0.2)
    samples = gf.sample(model, number=2_000, length=5, prompt="AC", device="cpu")
    likelihood = {bases: math.exp(log_likelihood) for bases, log_likelihood in samples}
    assert set(likelihood) <= {"AC" + "".join(tail) for tail in itertools.product("ACGT", repeat=3)}
    assert sum(likelihood.values()) == pytest.approx(1, abs=0.02)
    for bases, p in likelihood.items():
        n = sum(text == bases for text, _ in samples)
        assert abs(n / 2_000 - p) <= 4.5 * math.sqrt(p * (1 - p) / 2_000) + 1e-3


def test_temperature_0_takes_the_most_probable_base_and_small_ones_come_close() -> None:
    model = make(KmerTokenizer(2))
    (greedy,) = gf.sample(model, number=1, length=20, prompt="ACG", temperature=0, device="cpu")
    text = "ACG"
    while len(text) < 20:
        text += max("ACGT", key=lambda base: naive_log_p(model, text + base, len(text)))
    assert greedy.bases == text
    cold = gf.sample(model, number=4, length=20, prompt="ACG", temperature=1e-4, seed=3, device="cpu")
    assert {sequence.bases for sequence in cold} == {text}
    assert cold[0].log_likelihood == pytest.approx(greedy.log_likelihood, abs=1e-5)  # untempered
    hot = gf.sample(model, number=4, length=20, prompt="ACG", seed=3, device="cpu")
    assert len({sequence.bases for sequence in hot}) == 4
    assert max(sequence.log_likelihood for sequence in hot) < greedy.log_likelihood


@pytest.mark.parametrize("shape", ["bert", "llama", "qwen3"])
@pytest.mark.parametrize("position", ["rotary", "learned", "alibi", "sinusoidal"])
def test_kept_keys_and_values_change_nothing(shape: str, position: str, monkeypatch) -> None:
    fields = {**SHAPES[shape], "position": position, "max_tokens": 64}
    model = make(BaseTokenizer(), **fields)
    assert model.new_past() is not None
    options = {"number": 3, "length": 40, "prompt": "ACGT", "device": "cpu"}
    kept = gf.sample(model, **options)
    monkeypatch.setattr(type(model), "new_past", lambda self: None)
    for (bases, log_p), (naive_bases, naive) in zip(kept, gf.sample(model, **options), strict=True):
        assert bases == naive_bases
        assert log_p == pytest.approx(naive, abs=1e-4)


def test_a_model_with_a_convolution_reads_all_tokens_again() -> None:
    model = make(BaseTokenizer(), conv_kernel=5)
    assert model.new_past() is None
    (sequence,) = gf.sample(model, number=1, length=20, device="cpu")
    assert sequence.log_likelihood == pytest.approx(naive_log_p(model, sequence.bases, 0), abs=1e-4)


def test_a_seed_gives_the_same_sequences_and_more_of_them_begin_alike() -> None:
    model = make(BaseTokenizer())
    torch.manual_seed(5)
    first = gf.sample(model, number=35, length=20, seed=1, device="cpu")
    torch.manual_seed(6)
    assert gf.sample(model, number=35, length=20, seed=1, device="cpu") == first
    assert gf.sample(model, number=32, length=20, seed=1, device="cpu") == first[:32]
    assert gf.sample(model, number=35, length=20, seed=2, device="cpu") != first


def test_a_model_in_training_is_handed_back_in_training() -> None:
    model = make(BaseTokenizer(), dropout=0.5).train()
    assert gf.sample(model, number=2, length=9, device="cpu") == gf.sample(model, number=2, length=9, device="cpu")
    assert model.training


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": "ACGN"}, "the prompt is 'ACGN'; give bases A, C, G and T"),
        ({"prompt": "A" * 20, "length": 20}, "length = 20: the prompt alone has 20 bases; give more"),
        ({"temperature": -1.0}, "temperature = -1: give 0"),
        ({"temperature": float("nan")}, "temperature = nan"),
        ({"number": 0}, "number = 0: give 1 sequence or more"),
        ({"prompt": "AC", "length": 9}, "a sequence of 2 bases has no 3-mer"),
        ({"length": 2}, "length = 2: a token has 3 bases"),
        ({"length": 70}, "length = 70: the model reads 64 bases; give up to that"),
    ],
)
def test_wrong_options_are_refused(options, message: str) -> None:
    model = make(KmerTokenizer(3), position="learned", max_tokens=64)
    with pytest.raises(ConfigError, match=message):
        gf.sample(model, device="cpu", **options)


@pytest.mark.parametrize("temperature", [1e-40, 1e-31, 5e-324])
@pytest.mark.parametrize("tokenizer", [BaseTokenizer(), KmerTokenizer(3), BPE], ids=["1", "3", "bpe"])
def test_a_temperature_that_underflows_takes_the_most_probable_token(tokenizer, temperature: float) -> None:
    options = {"number": 2, "length": 30, "device": "cpu"}
    model = make(tokenizer, init_std=3.0)
    assert gf.sample(model, temperature=temperature, **options) == gf.sample(model, temperature=0, **options)
    assert gf.sample(model, temperature=1e-29, **options) == gf.sample(model, temperature=0, **options)


def test_models_that_cannot_be_sampled_are_refused_in_a_sentence() -> None:
    with pytest.raises(
        CheckpointError, match="demo is a masked model, which has no likelihood of a sequence; give a causal lang"
    ):
        gf.sample("demo")
    with pytest.raises(CheckpointError, match=r"mini-tracks is .*; give a causal language model"):
        gf.sample("mini-tracks")
    with pytest.raises(ConfigError, match="tokens overlap by less than k - 1 bases"):
        gf.sample(make(KmerTokenizer(4, stride=2)), device="cpu")


def test_a_prompt_that_ends_within_a_block_needs_single_letters() -> None:
    """GENERator's vocabulary has blocks only; the Nucleotide Transformer's has letters, too."""
    blocks = ["".join(bases) for bases in itertools.product("ACGT", repeat=3)]
    without = make(BlockTokenizer(["<oov>", "<s>", "</s>", "<pad>", "<mask>", *blocks]))
    message = "the prompt has 5 bases, and the model reads blocks of 3 and no single letters; give a multiple of 3"
    with pytest.raises(ConfigError, match=message):
        gf.sample(without, number=1, length=20, prompt="ACGTA", device="cpu")
    (whole,) = gf.sample(without, number=1, length=20, prompt="ACGTAC", device="cpu")
    assert whole.bases.startswith("ACGTAC")
    letters = make(BlockTokenizer.new(3))
    seen: list[torch.Tensor] = []
    letters.sample, real = (lambda ids, *rest: seen.append(ids) or real(ids, *rest)), letters.sample  # type: ignore[method-assign]
    gf.sample(letters, number=1, length=20, prompt="ACGTA", device="cpu")
    assert [letters.tokenizer.tokens[i] for i in seen[0][0].tolist()] == ["<cls>", "ACG", "T", "A"]
