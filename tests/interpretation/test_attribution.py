"""Attributions against finite differences, captum's completeness, and models whose attribution is known by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import random_onehot, small_classifier, small_encoder, small_enformer
from torch import nn

from genoformer.errors import ConfigError
from genoformer.genome.codes import encode
from genoformer.interpretation.attribution import gradient_times_input, integrated_gradients
from genoformer.models.onehot import OneHotModel, TrackSum
from genoformer.models.plain_engine import one_hot
from genoformer.tokenizers import BaseTokenizer, BlockTokenizer, BPETokenizer, KmerTokenizer

CODES = np.random.default_rng(1).integers(0, 5, (3, 30), dtype=np.uint8)
ONEHOT = one_hot(torch.from_numpy(CODES))


TOKENIZERS = [BaseTokenizer(), KmerTokenizer(3), KmerTokenizer(3, stride=2), KmerTokenizer(6)]


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
def test_one_hot_dna_gives_what_its_tokens_give(tokenizer) -> None:
    """Ns too: their k-mers are [UNK]."""
    encoder, model = small_encoder(tokenizer, context_length=40), small_classifier(tokenizer)
    ids = torch.from_numpy(tokenizer.encode(CODES).ids)
    with torch.no_grad():
        torch.testing.assert_close(OneHotModel(model)(ONEHOT), model.logits(CODES), atol=1e-5, rtol=1e-4)
        mean = encoder.embed(ids)[:, 1:-1].mean(1)
        torch.testing.assert_close(OneHotModel(encoder)(ONEHOT), mean, atol=1e-5, rtol=1e-4)


PIECES = BPETokenizer.train([np.random.default_rng(3).integers(0, 4, 3000, dtype=np.uint8)], n_vocab=40)


@pytest.mark.parametrize("tokenizer", [PIECES, BlockTokenizer.new(1), BlockTokenizer.new(3)])
def test_pieces_and_blocks_have_no_one_hot_form(tokenizer) -> None:
    with pytest.raises(ConfigError, match=r"one-hot DNA needs overlapping k-mers .*, and this model reads BPE or blocks"):
        OneHotModel(small_encoder(tokenizer, context_length=40))


LONG = small_enformer(seed=2)
MODELS = {
    "bases": (OneHotModel(small_classifier(BaseTokenizer())), ONEHOT),
    "kmers": (OneHotModel(small_classifier(KmerTokenizer(3))), ONEHOT),
    "tracks": (TrackSum(LONG, "human", torch.tensor([1, 3]), 10, 4), random_onehot(2, 256)),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_gradient_is_that_of_finite_differences_without_its_mean(name) -> None:
    model, onehot = MODELS[name]
    model, x = model.double(), onehot.double()
    found = gradient_times_input(model, x, 1, batch_size=2)
    step = 1e-5
    for b, base in ((0, 7), (1, 20)):
        slopes = []
        for i in range(4):
            moved = x.clone()
            moved[b, i, base] += step
            with torch.no_grad():
                slopes.append((model(moved)[b, 1] - model(x)[b, 1]).item() / step)
        expected = np.array(slopes) - np.mean(slopes)
        np.testing.assert_allclose(found.hypothetical[b, base], expected, atol=1e-3 * max(1, np.abs(slopes).max()))
        np.testing.assert_allclose(found.values[b, base], found.hypothetical[b, base] * x[b, :, base].numpy())
    np.testing.assert_allclose(found.hypothetical.sum(-1), 0, atol=1e-9)
    with torch.no_grad():
        np.testing.assert_allclose(found.output, model(x)[:, 1].numpy(), atol=1e-9)
    model.float()


@pytest.mark.parametrize("baseline", [0.25, 0.0])
@pytest.mark.parametrize("name", MODELS)
def test_integrated_gradients_sum_to_the_difference(name, baseline) -> None:
    pytest.importorskip("captum", reason="captum is an extra: pip install genoformer[interpret]")
    model, onehot = MODELS[name]
    onehot = onehot.clone()
    onehot[:, :, :] = one_hot(onehot.argmax(1))  # every base known
    found = integrated_gradients(model, onehot, 1, n_steps=200, baseline=baseline)
    with torch.no_grad():
        wanted = (model(onehot) - model(torch.full_like(onehot, baseline)))[:, 1].numpy()
    total = found.values.sum((1, 2))
    np.testing.assert_allclose(found.error, np.abs(total - wanted) / np.abs(wanted), atol=1e-4)
    assert found.error.max() < 0.05
    np.testing.assert_allclose(found.values, found.hypothetical * onehot.transpose(1, 2).numpy(), atol=1e-5)


class Counts(nn.Module):
    """3 for every A at base 2, -1 for every G at base 5."""

    def forward(self, onehot: torch.Tensor) -> torch.Tensor:
        return (3 * onehot[:, 0, 2] - onehot[:, 2, 5])[:, None]


def test_of_a_linear_model_the_attribution_is_its_weight() -> None:
    x = one_hot(torch.from_numpy(np.stack([encode("CCACCGCC"), encode("CCCCCGCC")])))
    found = gradient_times_input(Counts(), x)
    expected = np.zeros((2, 8, 4))
    expected[0, 2, 0], expected[:, 5, 2], expected[1, 2, 1] = 3 - 3 / 4, -1 + 1 / 4, -3 / 4
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    pytest.importorskip("captum", reason="captum is an extra: pip install genoformer[interpret]")
    whole = integrated_gradients(Counts(), x)
    np.testing.assert_allclose(whole.values, expected, atol=1e-6)
    assert whole.error is not None
    assert whole.error.max() < 1e-5
