"""One number of a model for each sequence: by ids, by one-hot DNA, and by what is computed again of a changed sequence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import small_classifier, small_encoder, small_enformer

from genoformer import inference
from genoformer.errors import ConfigError
from genoformer.genome.codes import N, reverse_complement
from genoformer.interpretation.ism import sequence_mutageneses, substitutions
from genoformer.interpretation.loci import Locus
from genoformer.interpretation.targets import AttributionTarget
from genoformer.models.plain_engine import one_hot
from genoformer.tokenizers import BaseTokenizer, KmerTokenizer

RNG = np.random.default_rng(4)
CODES = RNG.integers(0, 4, (3, 64), dtype=np.uint8)
LONG = small_enformer(seed=2)


@pytest.mark.parametrize("both_strands", [False, True])
@pytest.mark.parametrize("tokenizer", [BaseTokenizer(), KmerTokenizer(3)])
def test_a_class_is_its_logit(tokenizer, both_strands) -> None:
    from dataclasses import replace

    model = small_classifier(tokenizer)
    model.config = replace(model.config, both_strands=both_strands)
    found = AttributionTarget(1).compute(model, CODES)
    with torch.inference_mode():
        strands = [CODES, *([np.stack([reverse_complement(c) for c in CODES])] if both_strands else [])]
        logits = np.mean([model.logits(of)[:, 1].numpy() for of in strands], axis=0)
        np.testing.assert_allclose(found, logits, atol=1e-5)
        module = AttributionTarget(1).module(model, 64)
        np.testing.assert_allclose(module(one_hot(torch.from_numpy(CODES)))[:, 0].numpy(), logits, atol=1e-5)


@pytest.mark.parametrize("wide", [0, 1 << 30])  # whole sequences only where they are shorter
def test_tracks_of_edited_sequences_equal_those_of_full_passes(wide) -> None:
    output = AttributionTarget(head="human", tracks=(1, 3), bins=(2, 4))
    changed = np.tile(CODES[0], (5, 1))
    changed[1, 10], changed[2, 40:50] = 3 - changed[1, 10], N
    changed[3, [0, 63]], changed[4] = 3 - changed[3, [0, 63]], CODES[1]
    with torch.inference_mode():
        full = LONG(one_hot(torch.from_numpy(changed)), "human", 0)[:, [1, 3], 2:6].sum((1, 2)).numpy()
    np.testing.assert_allclose(output.track_sum(LONG, changed, CODES[0], long=wide), full, rtol=1e-4)
    np.testing.assert_allclose(output.track_sum(LONG, changed, long=wide), full, rtol=1e-4)


def test_how_well_a_language_model_knows_a_sequence() -> None:
    model = small_encoder(KmerTokenizer(3), context_length=20)
    codes = CODES[:2, :20]
    expected = [np.mean([inference.posteriors(model, row[None], np.array([i]))[0, row[i]] for i in range(20)]) for row in codes]
    np.testing.assert_allclose(AttributionTarget().compute(model, codes), expected, atol=1e-5)
    hidden = codes[:1].copy()
    hidden[0, 3:9] = N
    asked = [inference.posteriors(model, hidden, np.array([i]))[0, codes[0, i]] for i in range(20)]
    np.testing.assert_allclose(AttributionTarget().compute(model, hidden, codes[0]), [np.mean(asked)], atol=1e-5)


def test_substitutions_are_differences_of_the_number() -> None:
    codes = np.array([0, 1, N, 3], dtype=np.uint8)
    weights = RNG.normal(size=(4, 5))

    def output(made: np.ndarray) -> np.ndarray:
        return weights[np.arange(4), made].sum(1)

    for batch_size in (1, 4, 100):
        found = substitutions(codes, output, batch_size=batch_size)
        expected = (weights - weights[np.arange(4), codes][:, None])[:, :4]
        np.testing.assert_allclose(found[[0, 1, 3]], expected[[0, 1, 3]], atol=1e-12)
        assert np.isnan(found[2]).all()
    np.testing.assert_allclose(substitutions(codes, output, start=1, end=2), found[1:2])
    np.testing.assert_allclose(substitutions(codes, output, at=np.array([3, 0])), found[[3, 0]])


def test_mutagenesis_of_a_sequence_alone() -> None:
    model = small_classifier(BaseTokenizer())
    (found,) = sequence_mutageneses(model, [Locus("a", "", 0, CODES[0])], output=AttributionTarget(1))
    changed = CODES[:1].copy()
    changed[0, 7] = 3 - changed[0, 7]
    difference = AttributionTarget(1).compute(model, changed) - AttributionTarget(1).compute(model, CODES[:1])
    np.testing.assert_allclose(found.values[0, 7, changed[0, 7]], difference[0], atol=1e-5)
    assert found.names == [model.config.classes[1]]
    np.testing.assert_allclose(found.hypothetical.sum(-1), 0, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "output", "message"),
    [
        (small_classifier(BaseTokenizer()), AttributionTarget(9), "output 9: the model has"),
        (LONG, AttributionTarget(head="human", tracks=(7,)), "track 7: the head has 5 tracks"),
        (LONG, AttributionTarget(), "no head was named"),
    ],
)
def test_outputs_that_are_not_there(model, output, message) -> None:
    with pytest.raises(ConfigError, match=message):
        output.compute(model, CODES)
    with pytest.raises(ConfigError, match=message):
        output.module(model, 64)


def test_posteriors_along_are_those_in_the_middle_of_windows() -> None:
    model = small_encoder(KmerTokenizer(3), context_length=20)
    codes = CODES[0]
    found = inference.predict_bases(model, codes, 30, 33)
    for i in range(3):
        window = codes[30 + i - 10 : 30 + i + 10][None]
        forward = inference.posteriors(model, window, np.array([10]))[0]
        backward = inference.posteriors(model, reverse_complement(window), np.array([9]))[0, ::-1]
        mean = (forward + backward) / 2
        np.testing.assert_allclose(found[i], mean - np.logaddexp2.reduce(mean), atol=1e-5)
    assert np.isfinite(inference.predict_bases(model, codes, 0, 64)).all()  # beyond the ends are N


@pytest.mark.parametrize("both_strands", [True, False])
def test_bases_without_a_token_of_known_bases_are_nan_without_a_warning(both_strands) -> None:
    """Windows put base 63 in a 4-mer at an even offset, which the end of the sequence cuts; warnings fail the suite."""
    model = small_encoder(KmerTokenizer(4, stride=2), context_length=24)
    found = inference.predict_bases(model, CODES[0], 60, 64, both_strands=both_strands)
    assert np.isnan(found).all(axis=1).tolist() == [False, False, False, True]
