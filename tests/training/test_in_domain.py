"""In-domain pre-training: which tokens are masked, that every sequence comes once an epoch, and that the encoder learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genoformer.errors import ConfigError
from genoformer.genome.codes import reverse_complement
from genoformer.models import registry
from genoformer.models.hybrid.model import Hybrid
from genoformer.tokenizers import BaseTokenizer
from genoformer.training.config import FinetuneConfig
from genoformer.training.in_domain import InDomainRecipe, MaskedSequences
from genoformer.training.log import LOG, read_log
from genoformer.training.objectives import IGNORED, MaskedLM
from genoformer.training.recipe import Run, run_recipe
from genoformer.training.stage_config import InDomainConfig

SMALL = {"width": 8, "n_heads": 2, "n_layers": 1, "ffn_width": 8}
MODEL = {"family": "hybrid", "width": 16, "n_heads": 2, "ffn_width": 16, "n_layers": 1, "stem_kernel": 5}


def config(**pretrain: Any) -> FinetuneConfig:
    return FinetuneConfig({"tokenizer": "base"}, MODEL, pretrain=InDomainConfig(**pretrain))


def repeats(n: int) -> list[np.ndarray]:
    """Sequences of 30 bases in which each base follows from the one before."""
    return [(np.arange(30) + i).astype(np.uint8) % 4 for i in range(n)]


def test_every_sequence_comes_once_an_epoch_on_either_strand() -> None:
    random = np.random.default_rng(0)
    windows = [random.integers(0, 4, n).astype(np.uint8) for n in random.integers(5, 12, 23)]
    tokenizer = BaseTokenizer()
    drawn = MaskedSequences(windows, tokenizer, InDomainConfig(batch_size=5), MaskedLM(tokenizer, 0.3))
    forward, backward, masked, n_bases = 0, 0, 0, 0
    for epoch in range(2):
        left = {codes.tobytes(): codes for codes in windows}
        for i in range(epoch * drawn.n_batches, (epoch + 1) * drawn.n_batches):
            batch = drawn(i)
            assert batch.rows is not None
            for row in range(len(batch.inputs)):
                ids, labels = batch.inputs[row].clone(), batch.labels[row]
                real = labels != IGNORED
                masked, n_bases = masked + int(real.sum()), n_bases + int((ids != 0).sum())
                ids[batch.rows[row][real]] = labels[real]  # what was masked is put back
                keep = batch.keep[row] if batch.keep is not None else np.ones(len(ids), bool)
                codes = BaseTokenizer().encode(np.arange(4, dtype=np.uint8)[None]).ids[0, 1:5].tolist()
                bases = np.array([codes.index(t) for t in ids[keep].tolist()[1:-1]], dtype=np.uint8)
                is_forward = bases.tobytes() in left
                forward, backward = forward + is_forward, backward + (not is_forward)
                left.pop((bases if is_forward else reverse_complement(bases)).tobytes())
        assert not left
    assert min(forward, backward) > 10
    assert 0.2 < masked / n_bases < 0.4


def test_the_encoder_learns_the_sequences_and_is_saved(tmp_path: Path) -> None:
    plan = config(epochs=15, learning_rate=1e-2, batch_size=16)
    folder = run_recipe(lambda: InDomainRecipe(plan, repeats(64), {}), Run(tmp_path / "run", 0))
    assert folder == tmp_path / "run"
    losses = [row["train_loss"] for row in read_log(folder / LOG) if "train_loss" in row]
    assert losses[-1] < 0.7 < np.log(4)
    model = registry.load(folder)
    assert isinstance(model, Hybrid)
    assert (model.config.context_length, model.config.dropout) == (30, 0.0)
    log2_p = model.base_log2_probs(repeats(1)[0][None], np.array([12]), np.array([13])).exp2()
    assert int(log2_p.argmax()) == 12 % 4


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"epochs = 0: give a number above 0; change the \[pretrain\] table"):
        config(epochs=0)
    with pytest.raises(ConfigError, match=r"\[pretrain\] predicts masked tokens, which a causal model cannot"):
        InDomainRecipe(
            FinetuneConfig({"tokenizer": "base"}, {**SMALL, "causal": True}, pretrain=InDomainConfig()), repeats(2), {}
        )
    with pytest.raises(ConfigError, match="mask_rate = 0: give a fraction of the tokens between 0 and 1"):
        InDomainRecipe(config(mask_rate=0), repeats(2), {}).trainable  # noqa: B018
