"""Mixup: the loss of a mixed batch against the losses of both sequences, added up by hand; other parts in test_finetune.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from genoformer.errors import ConfigError
from genoformer.models.heads import ClassifierConfig, SequenceClassifier
from genoformer.models.hybrid.config import HybridConfig
from genoformer.models.transformer.config import EncoderConfig
from genoformer.tokenizers import BaseTokenizer
from genoformer.training.config import TuningConfig
from genoformer.training.supervised import Batch, LabelledBatches, mixed_inputs, predictor_loss

SCALE = {"target_mean": (0.5, 0.1), "target_std": (2.0, 3.0)}


def tiny(task: str = "classification", window: int = 12, **shape: Any) -> SequenceClassifier:
    torch.manual_seed(0)
    config = HybridConfig(width=8, n_heads=2, ffn_width=8, conv_norm="layer", dropout=0.0, pool=2)
    encoder: Any = EncoderConfig(n_vocab=9, width=8, n_layers=1, n_heads=2, ffn_width=8, **shape) if shape else config
    family = "transformer" if shape else "hybrid"
    scale = SCALE if task == "regression" else {}
    head = ClassifierConfig(encoder, task, ("a", "b"), window=window, dropout=0.0, family=family, **scale)
    model = SequenceClassifier(head).eval()
    model.tokenizer = BaseTokenizer()
    return model


def batches(targets: np.ndarray, lengths: list[int], model: SequenceClassifier, **plan: Any) -> LabelledBatches:
    random = np.random.default_rng(0)
    sequences = [random.integers(0, 4, n).astype(np.uint8) for n in lengths]
    weights = np.linspace(0.5, 2, len(lengths)).astype(np.float32)
    return LabelledBatches(sequences, targets, weights, model, TuningConfig(batch_size=8, **plan))


TARGETS = {
    "classification": np.eye(2, dtype=np.float32)[[0, 1, 1, 0, 1]],
    "multilabel": np.array([[0, 1], [1, 1], [0, 0], [1, 0], [1, 1]], dtype=np.float32),
}


@pytest.mark.parametrize("task", TARGETS)
def test_the_loss_of_a_mixture_is_the_mixture_of_losses(task: str) -> None:
    """share w l(own label) + (1 - share) w' l(label of the partner), of the logits of the mixed embeddings."""
    model, lengths = tiny(task), [12, 9, 12, 7, 12]
    drawn = batches(TARGETS[task], lengths, model, mixup=0.4)
    mixed, plain = drawn(3), batches(TARGETS[task], lengths, model)(3)
    assert mixed.partner is not None
    assert mixed.share is not None
    with torch.no_grad():
        found = predictor_loss(model, mixed, 8)
        total = weight = 0.0
        for i, (j, share) in enumerate(zip(mixed.partner.tolist(), mixed.share.tolist(), strict=True)):
            keep = [plain.keep[k] if plain.keep is not None else torch.ones_like(plain.is_base[k]) for k in (i, j)]
            own, other = (model.encoder.tokens(plain.ids[k]) * kept[:, None] for k, kept in zip((i, j), keep, strict=True))
            x = (share * own + (1 - share) * other)[None]
            logits = model(x, (plain.is_base[i] | plain.is_base[j])[None], (keep[0] | keep[1])[None])[0]
            p = logits.softmax(-1) if task == "classification" else logits.sigmoid()
            losses = []
            for k in (i, j):
                y = plain.targets[k]
                terms = -y * p.log() if task == "classification" else -(y * p.log() + (1 - y) * (1 - p).log()) / 2
                losses.append(float(terms.sum()))
            w, v = share * float(plain.weights[i]), (1 - share) * float(plain.weights[j])
            total, weight = total + w * losses[0] + v * losses[1], weight + w + v
    assert float(found.total) == pytest.approx(total, rel=1e-4)
    assert float(found.weight) == pytest.approx(weight, rel=1e-5)


def test_mixtures_depend_on_the_seed_and_the_batch_alone() -> None:
    model = tiny()
    shares = [
        batches(TARGETS["classification"], [12] * 5, model, mixup=0.4, seed=seed)(i).share
        for seed, i in ((1, 0), (1, 0), (1, 1), (2, 0))
    ]
    assert torch.equal(shares[0], shares[1])
    assert not torch.equal(shares[0], shares[2])
    assert not torch.equal(shares[0], shares[3])
    many = [batches(TARGETS["classification"], [12] * 5, model, mixup=0.4)(i).share for i in range(200)]
    drawn = torch.cat([share for share in many if share is not None])
    assert float(drawn.mean()) == pytest.approx(0.5, abs=0.05)
    assert float(drawn.var()) == pytest.approx(0.25 / (2 * 0.4 + 1), rel=0.1)  # of Beta(a, a)


def test_without_mixup_a_batch_has_its_own_tokens() -> None:
    model = tiny()
    batch = batches(np.array([0, 1, 0]), [12, 9, 12], model)(0)
    assert batch.partner is batch.share is None
    assert batch.targets.dtype == torch.int64
    assert mixed_inputs(model, batch) == (batch.ids, batch.is_base, batch.keep)
    assert isinstance(batch, Batch)


def test_models_and_sequences_that_cannot_be_mixed_are_refused() -> None:
    targets = TARGETS["classification"]
    with pytest.raises(ConfigError, match="mixup mixes whole sequences, found one of 13 bases in windows of 12; set it to 0"):
        batches(targets, [12, 13, 12, 12, 12], tiny(), mixup=0.2)
    with pytest.raises(ConfigError, match="mixup does not fit a model that scales its embeddings"):
        batches(targets, [12] * 5, tiny(masked_in_training=0.12), mixup=0.2)
    with pytest.raises(ConfigError, match=r"mixup = -1\.0: give a number above 0"):
        TuningConfig(mixup=-1.0)
