"""Sizes of batches: by the tokens that windows of known bases have, worked out by hand; values do not depend on them."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import small_classifier, small_encoder

from genoformer.inference.base_probabilities import posteriors
from genoformer.inference.runtime import choose_batch_size, tokens_at_once, typical_tokens
from genoformer.tokenizers import BaseTokenizer, BlockTokenizer, KmerTokenizer


@pytest.mark.parametrize(
    ("tokenizer", "n_tokens"),
    [(BlockTokenizer.new(6), 1 + 16 + 3), (KmerTokenizer(3), 97 + 2), (BaseTokenizer(), 99 + 2)],
    ids=["blocks", "k-mers", "bases"],
)
def test_batches_by_the_tokens_of_known_bases(tokenizer, n_tokens) -> None:
    """99 bases: <cls>, 16 blocks of 6 and three letters; [CLS], 97 3-mers, [SEP]; 99 bases and two more."""
    codes = np.zeros((3, 99), dtype=np.uint8)
    for model in (small_encoder(tokenizer), small_classifier(tokenizer)):
        assert typical_tokens(model, 99) == n_tokens
        assert choose_batch_size(model, codes, None) == tokens_at_once(model) // n_tokens
        assert choose_batch_size(model, codes, 7) == 7


def test_narrow_models_read_more_tokens_at_once() -> None:
    """The hidden values of 1,024 tokens of 128 columns: 4,096 tokens of 32 columns, and never more than 16,384 tokens."""
    sizes = {width: tokens_at_once(small_encoder(BaseTokenizer(), width=width)) for width in (4, 32, 128, 256)}
    assert [sizes[width] / sizes[256] for width in (4, 32, 128)] == [16, 4, 1]


def test_windows_with_more_tokens_than_typical_have_the_same_values() -> None:
    """An N before each second base leaves no block: six times the tokens, in batches of typical windows."""
    model = small_encoder(BlockTokenizer.new(6), context_length=96)
    codes = np.random.default_rng(0).integers(0, 4, (40, 96), dtype=np.uint8)
    codes[::2, ::2] = 4
    target = np.full(40, 51)
    alone = posteriors(model, codes, target, batch_size=1)
    assert posteriors(model, codes, target) == pytest.approx(alone, abs=1e-5)
