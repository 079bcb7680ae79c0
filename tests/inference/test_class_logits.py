"""Logits in batches against one window at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import small_classifier

from genoformer.inference.class_logits import class_logits, plain_class_logits
from genoformer.models.heads import SequenceClassifier
from genoformer.tokenizers import BaseTokenizer, BPETokenizer, KmerTokenizer

CODES = np.random.default_rng(2).integers(0, 5, (11, 40), dtype=np.uint8)
TOKENIZERS = {"base": BaseTokenizer(), "3-mers": KmerTokenizer(3), "bpe": BPETokenizer.train(CODES, n_vocab=30)}


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("batch_size", [None, 1, 4])
def test_batches_are_one_window_at_a_time(tokenizer, batch_size) -> None:
    model = small_classifier(TOKENIZERS[tokenizer], std=0.6)
    with torch.no_grad():
        expected = np.stack([model.logits(row[None])[0].numpy() for row in CODES])
    assert class_logits(model, CODES, batch_size) == pytest.approx(expected, abs=1e-4)
    assert plain_class_logits(model, CODES) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("run", [class_logits, plain_class_logits])
def test_a_long_window_is_cut_and_its_logits_are_averaged(run) -> None:
    model = small_classifier(KmerTokenizer(3), window=20, overlap=5)
    with torch.no_grad():  # windows begin every 15 bases, the last is flush with the end
        pieces = [model.logits(CODES[:, start : start + 20]).numpy() for start in (0, 15, 20)]
    assert run(model, CODES) == pytest.approx(np.mean(pieces, axis=0), abs=1e-5)


def test_windows_of_similar_numbers_of_tokens_form_a_batch(monkeypatch) -> None:
    tokenizer = TOKENIZERS["bpe"]
    lengths: list[list[int]] = []
    logits = SequenceClassifier.logits

    def seen(self: SequenceClassifier, codes: np.ndarray) -> torch.Tensor:
        lengths.append([int((tokenizer.encode(row[None]).ids != 0).sum()) for row in codes])
        return logits(self, codes)

    monkeypatch.setattr(SequenceClassifier, "logits", seen)
    class_logits(small_classifier(tokenizer), CODES, 3)
    assert [len(batch) for batch in lengths] == [3, 3, 3, 2]
    in_order = [length for batch in lengths for length in batch]
    assert in_order == sorted(in_order, reverse=True)
    assert len(set(in_order)) > 1


def test_no_windows_have_no_logits() -> None:
    assert class_logits(small_classifier(BaseTokenizer()), CODES[:0]).shape == (0, 3)
