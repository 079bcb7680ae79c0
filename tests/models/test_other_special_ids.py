"""A tokenizer whose special ids are not BERT's: masking, pooling, padding and embeddings ask the tokenizer, not constants."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch

from genoformer.genome.codes import encode
from genoformer.inference.classes import predictions
from genoformer.inference.embeddings import sequence_embeddings, token_embeddings
from genoformer.models.heads import ClassifierConfig, SequenceClassifier
from genoformer.models.transformer.config import EncoderConfig
from genoformer.models.transformer.model import Encoder
from genoformer.tokenizers import Encoding
from genoformer.training.config import TuningConfig
from genoformer.training.objectives import IGNORED, CausalLM, MaskedLM
from genoformer.training.supervised import LabelledBatches


class OtherIds:
    """Single bases in another order: A 4, C 5, G 6, T 7, N 0; <pad> 1, <mask> 2, <cls> 3 in front and nothing behind."""

    name: ClassVar[str] = "other"
    options: ClassVar[tuple[str, ...]] = ()
    pad_id: ClassVar[int] = 1
    mask_id: ClassVar[int] = 2
    special_ids: ClassVar[frozenset[int]] = frozenset(range(4))
    n_added: ClassVar[int] = 1
    fixed_length: ClassVar[bool] = True
    masks_bases: ClassVar[bool] = False
    min_bases: ClassVar[int] = 1
    sliding: ClassVar[bool] = True
    n_vocab: ClassVar[int] = 8
    _ids = np.array([4, 5, 6, 7, 0])

    def n_tokens(self, length: int) -> int:
        return length + 1

    n_typical_tokens = n_tokens

    def max_bases(self, n_tokens: int) -> int:
        return n_tokens - 1

    def names_bases(self, ids):
        return ids >= 4

    def encode(self, codes) -> Encoding:
        codes = np.atleast_2d(codes)
        n, length = codes.shape
        ids = np.concatenate([np.full((n, 1), 3), self._ids[codes]], axis=1)
        ends = np.arange(length + 1)
        return Encoding(ids, np.broadcast_to(np.stack([np.maximum(ends - 1, 0), ends], axis=1), (n, length + 1, 2)))


TEXTS = ["ACGTN", "GG", "TTTACGNACGT", "C"]
SHAPE = EncoderConfig(
    n_vocab=8, width=16, n_layers=2, n_heads=2, ffn_width=32, max_tokens=64, context_length=16, position="rotary"
)


def classifier() -> SequenceClassifier:
    torch.manual_seed(0)
    model = SequenceClassifier(ClassifierConfig(SHAPE, "classification", ("no", "yes"), window=16)).eval()
    model.tokenizer = OtherIds()
    return model


def encoder() -> Encoder:
    torch.manual_seed(0)
    model = Encoder(SHAPE).eval()
    model.tokenizer = OtherIds()
    return model


def test_masked_tokens_get_the_mask_of_the_tokenizer() -> None:
    encoding = OtherIds().encode(np.stack([encode("ACGTACGTAC")] * 200))
    random = np.random.default_rng(0)
    inputs, labels = MaskedLM(OtherIds(), mask_rate=0.5)(encoding, lambda n: random.random((200, n)))  # type: ignore[arg-type]
    masked = labels != IGNORED
    assert 0.7 < (inputs[masked] == 2).mean() < 0.9
    assert np.array_equal(inputs[~masked], encoding.ids[~masked])
    assert not masked[:, 0].any()


def test_unknown_bases_are_masked_but_have_no_label() -> None:
    encoding = OtherIds().encode(np.full((50, 20), 4, dtype=np.uint8))
    random = np.random.default_rng(0)
    inputs, labels = MaskedLM(OtherIds(), mask_rate=0.5)(encoding, lambda n: random.random((50, n)))  # type: ignore[arg-type]
    assert (inputs[:, 1:] == 2).any()
    assert (labels == IGNORED).all()


def test_causal_labels_are_the_next_known_bases() -> None:
    _, labels = CausalLM(OtherIds())(OtherIds().encode(encode("ACNT")), lambda n: np.zeros((1, n)))  # type: ignore[arg-type]
    assert labels.tolist() == [[4, 5, IGNORED, 7, IGNORED]]


def test_fine_tuning_masks_known_bases_only() -> None:
    drawn = LabelledBatches(
        [encode("ACGTNNACGT")] * 64,
        np.zeros(64, dtype=np.int64),
        np.ones(64, dtype=np.float32),
        classifier(),
        TuningConfig(batch_size=64, seed=0, token_dropout=0.5),
    )
    ids = drawn(0).ids.numpy()
    assert (ids[:, 0] == 3).all()
    assert (ids[:, 5:7] == 0).all()
    assert 0.4 < (np.delete(ids, [0, 5, 6], axis=1) == 2).mean() < 0.6


@pytest.mark.parametrize("pooling", ["mean", "max", "cls"])
def test_embeddings_of_a_padded_batch_are_those_of_each_sequence_alone(pooling) -> None:
    model = encoder()
    together = sequence_embeddings(model, [encode(text) for text in TEXTS], pooling=pooling).values
    for text, vector in zip(TEXTS, together, strict=True):
        with torch.no_grad():
            states = model.embed(torch.from_numpy(OtherIds().encode(encode(text)).ids))[0].numpy()
        expected = {"mean": states[1:].mean(0), "max": states[1:].max(0), "cls": states[0]}[pooling]
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_every_base_has_its_token_embedding() -> None:
    model = encoder()
    sequences = [encode(text) for text in TEXTS]
    for codes, found in zip(sequences, token_embeddings(model, sequences), strict=True):
        with torch.no_grad():
            states = model.embed(torch.from_numpy(OtherIds().encode(codes).ids))[0].numpy()
        np.testing.assert_allclose(found.values, states[1:], atol=1e-5)
        assert found.spans.tolist() == [[i, i + 1] for i in range(len(codes))]


def test_predictions_of_a_padded_batch_are_those_of_each_sequence_alone() -> None:
    model = classifier()
    sequences = [encode(text) for text in TEXTS]
    together = predictions(model, sequences).values
    alone = np.concatenate([predictions(model, [codes]).values for codes in sequences])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.ptp(together[:, 1]) > 1e-4
