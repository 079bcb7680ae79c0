"""Capabilities: what each kind of model has, and the refusal of a model without one."""

from __future__ import annotations

import pytest
from small_models import small_classifier, small_encoder, small_enformer

from genoformer.errors import CheckpointError
from genoformer.genome.codes import encode
from genoformer.models.base import (
    READS_TOKENS,
    SCORES_HAPLOTYPES,
    SCORES_VARIANTS,
    Attends,
    Bins,
    Classifies,
    Embeds,
    Model,
    PredictsBases,
    PredictsTracks,
    SequenceLikelihood,
    has,
    require,
)
from genoformer.models.enformer.model import Enformer
from genoformer.models.transformer.model import Encoder
from genoformer.tokenizers import BaseTokenizer, BPETokenizer, KmerTokenizer

MASKED = small_encoder(KmerTokenizer(3))
CAUSAL = small_encoder(BaseTokenizer(), causal=True)
BPE = small_encoder(BPETokenizer.train([encode("ACGTACGTTTGACA" * 20)], 16))
TRACKS = small_enformer()
CLASSIFIER = small_classifier(BaseTokenizer())


@pytest.mark.parametrize(
    ("model", "capabilities"),
    [
        (MASKED, {PredictsBases, Embeds, Attends}),
        (CAUSAL, {SequenceLikelihood, Embeds, Attends}),
        (BPE, {Embeds, Attends}),
        (TRACKS, {PredictsTracks, Attends}),
        (CLASSIFIER, {Classifies}),
    ],
    ids=["masked", "causal", "bpe", "tracks", "classifier"],
)
def test_a_model_has_these_capabilities_and_no_others(model: Model, capabilities: set[type]) -> None:
    every = (PredictsBases, SequenceLikelihood, Embeds, Attends, PredictsTracks, Classifies)
    assert {kind for kind in every if has(model, kind)} == capabilities


def test_a_tuple_stands_for_any_of_its_members() -> None:
    assert has(MASKED, SCORES_VARIANTS)
    assert has(TRACKS, SCORES_VARIANTS)
    assert has(CLASSIFIER, SCORES_VARIANTS)
    assert has(CLASSIFIER, SCORES_HAPLOTYPES)
    assert not has(MASKED, SCORES_HAPLOTYPES)
    assert has(CLASSIFIER, READS_TOKENS)
    assert not has(TRACKS, READS_TOKENS)
    assert has(MASKED, PredictsBases, Embeds)
    assert not has(MASKED, PredictsBases, SequenceLikelihood)


def test_a_class_can_be_asked_before_its_weights_are_read() -> None:
    assert has(Enformer, PredictsTracks)
    assert not has(Encoder, PredictsTracks)


def test_the_refusal_names_the_model_found_the_reason_and_the_model_needed() -> None:
    with pytest.raises(CheckpointError, match=r"x is a track model, which predicts tracks .*; give a language model"):
        require(TRACKS, Embeds, name="x")
    with pytest.raises(CheckpointError, match="x is a causal model, which sees one side of a base; give a language model"):
        require(CAUSAL, PredictsBases, name="x")
    with pytest.raises(CheckpointError, match="x was fine-tuned to predict a, b, c; give a language model or a model"):
        require(CLASSIFIER, (Embeds, PredictsTracks), name="x")
    require(MASKED, PredictsBases, name="x")


def test_the_bins_of_the_other_strand_by_hand() -> None:
    assert Bins(1, 2).reversed(6) == Bins(3, 2)  # bins 1 and 2 of 0 to 5 are bins 4 and 3 from the other end
    assert Bins(0, 6).reversed(6) == Bins(0, 6)
