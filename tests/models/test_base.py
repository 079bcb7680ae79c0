"""Capabilities: what each kind of model has, and the refusal of a model without one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scoring_jobs import scorer_of
from small_models import small_classifier, small_encoder, small_enformer

import genoformer as gf
from genoformer.errors import CheckpointError, OptionError
from genoformer.genome.codes import encode
from genoformer.genome.reference import Genome
from genoformer.inference.base_probabilities import predict_bases
from genoformer.models.base import (
    READS_TOKENS,
    SCORES_HAPLOTYPES,
    SCORES_VARIANTS,
    Attends,
    Bins,
    Classifies,
    Embeds,
    Hidden,
    Model,
    PredictsBases,
    PredictsTracks,
    ReadsTokens,
    SequenceLikelihood,
    has,
    require,
)
from genoformer.models.enformer.model import Enformer
from genoformer.models.token_model import TokenModel
from genoformer.models.track_model import TrackModel
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
        (MASKED, {PredictsBases, Embeds, Attends, ReadsTokens}),
        (CAUSAL, {SequenceLikelihood, Embeds, Attends, ReadsTokens}),
        (BPE, {Embeds, Attends, ReadsTokens}),
        (TRACKS, {PredictsTracks, Attends}),
        (CLASSIFIER, {Classifies}),
    ],
    ids=["masked", "causal", "bpe", "tracks", "classifier"],
)
def test_a_model_has_these_capabilities_and_no_others(model: Model, capabilities: set[type]) -> None:
    every = (PredictsBases, SequenceLikelihood, Embeds, Attends, PredictsTracks, Classifies, ReadsTokens)
    assert {kind for kind in every if has(model, kind)} == capabilities


@pytest.mark.parametrize("capability", [PredictsBases, SequenceLikelihood, Embeds, Attends, PredictsTracks, Classifies])
def test_isinstance_is_no_way_to_ask(capability: type) -> None:
    """It would see the layer `hidden` of a classifier, and the methods that a configuration does not have."""
    with pytest.raises(TypeError, match="runtime"):
        isinstance(CLASSIFIER, capability)


@dataclass(frozen=True)
class FlatConfig:
    context_length: int = 20


class Flat(Model):
    """The capabilities of a language model without tokens: base i has the probabilities of the base before it."""

    config_type = FlatConfig

    def __init__(self) -> None:
        super().__init__()
        self.config, self.table = FlatConfig(), torch.nn.Parameter(torch.eye(4).add(0.1).div(1.4).log2())

    def n_units(self, length: int) -> int:
        return length

    def hidden(self, codes, layer=None) -> Hidden:
        spans = np.stack([np.arange(codes.shape[1]), np.arange(1, codes.shape[1] + 1)], axis=-1)
        return Hidden(self.table[torch.from_numpy(codes.astype(np.int64)).clamp(max=3)], spans[None].repeat(len(codes), 0))

    def base_log2_probs(self, codes, target, end) -> torch.Tensor:
        return self.table[torch.from_numpy(codes[np.arange(len(codes)), target - 1].astype(np.int64)).clamp(max=3)]


def test_a_model_without_tokens_predicts_bases() -> None:
    assert has(Flat(), PredictsBases, Embeds)
    codes = encode("ACGTACGTAC")
    found = predict_bases(Flat(), codes, 1, 9, both_strands=False)
    for row, before in zip(found, codes[:8], strict=True):
        expected = [np.log2(1.1 / 1.4) if base == before else np.log2(0.1 / 1.4) for base in range(4)]
        np.testing.assert_allclose(row, expected, atol=1e-6)


def test_tracks_of_a_model_without_tokens(make_fasta) -> None:
    text = "ACCGTTACGG" * 6
    genome = Genome(make_fasta(chr1=text))
    table = gf.predict(genome, "chr1:21-40", Flat(), track="logprob", strand="forward")
    expected = [np.log2((1.1 if text[i] == text[i - 1] else 0.1) / 1.4) for i in range(20, 40)]
    np.testing.assert_allclose(table.logprob, expected, atol=1e-6)
    with pytest.raises(OptionError, match="stride masks tokens, and this model reads none"):
        gf.predict(genome, "chr1:21-40", Flat(), track="logprob", stride=4)


def test_scores_and_embeddings_of_many_sequences_need_a_token_model(make_fasta) -> None:
    message = "the model has no tokenizer, causal, .*, which every TokenModel has; give a language model"
    genome = Genome(make_fasta(chr1="ACGTACGTAC" * 10))
    with pytest.raises(CheckpointError, match=message):
        scorer_of(Flat(), genome, "LLR")
    with pytest.raises(CheckpointError, match=message):
        gf.embed(["ACGT"], Flat())
    with pytest.raises(CheckpointError, match=message):
        gf.score([("chr1", 50, "C", "T")], genome, Flat())


@dataclass(frozen=True)
class GuessableConfig:
    """Names of fields from which nothing follows."""

    n_vocab: int = 9
    width: int = 8
    context_length: int = 30
    max_tokens: int = 32
    causal: bool = True
    position: str = "rotary"
    dropout: float = 0.1
    target_bins: int = 0
    bin_size: int = 8
    heads: tuple[str, ...] = ()


def test_nothing_is_guessed_from_the_names_of_fields_and_parts() -> None:
    config = GuessableConfig()
    tokens = TokenModel()
    tokens.config, tokens.tokenizer = config, BaseTokenizer()
    assert not tokens.causal
    assert tokens.longest_window == 30  # bases of 32 tokens, of which two are [CLS] and [SEP]
    assert TokenModel.with_dropout(config, 0.5) is config
    tracks = TrackModel()
    tracks.heads = torch.nn.ModuleDict()
    with pytest.raises(NotImplementedError, match="TrackModel defines no output_parts"):
        tracks.output_parts()


def test_a_transformer_states_what_it_can() -> None:
    assert (CAUSAL.causal, MASKED.causal, Encoder.is_causal(CAUSAL.config)) == (True, False, True)
    assert MASKED.longest_window is None  # rotary
    assert small_encoder(BaseTokenizer(), position="learned", max_tokens=32).longest_window == 30
    assert Encoder.with_dropout(MASKED.config, 0.25).dropout == 0.25
    assert TRACKS.output_parts() == [TRACKS.heads]


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
    with pytest.raises(CheckpointError, match=r"x is a track model with the heads? .*; give a language model"):
        require(TRACKS, Embeds, name="x")
    with pytest.raises(CheckpointError, match="x is a causal model, which sees one side of a base; give a language model"):
        require(CAUSAL, PredictsBases, name="x")
    with pytest.raises(CheckpointError, match="x was fine-tuned to predict a, b, c; give a language model or a model"):
        require(CLASSIFIER, (Embeds, PredictsTracks), name="x")
    require(MASKED, PredictsBases, name="x")


def test_the_bins_of_the_other_strand_by_hand() -> None:
    assert Bins(1, 2).reversed(6) == Bins(3, 2)  # bins 1 and 2 of 0 to 5 are bins 4 and 3 from the other end
    assert Bins(0, 6).reversed(6) == Bins(0, 6)
