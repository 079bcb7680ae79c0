"""Masking: DNABERT's runs position by position, its shares of 80, 10 and 10 %, and its rate."""

from __future__ import annotations

import numpy as np
import pytest

from genoformer.errors import ConfigError
from genoformer.tokenizers import CLS, MASK, SEP, UNK, BaseTokenizer, Encoding, KmerTokenizer
from genoformer.training.objectives import IGNORED, CausalLM, MaskedLM

OFFSETS = {1: [0], 3: [-1, 0, 1], 4: [-1, 0, 1, 2], 5: [-2, -1, 0, 1, 2], 6: [-2, -1, 0, 1, 2, 3]}  # run_pretrain.py


class Centres:
    """Uniform numbers of which the first make chosen tokens centres, and the second mask all of them."""

    def __init__(self, centres) -> None:
        self.draws = [np.where(centres, 0.0, 1.0), np.zeros(centres.shape), np.zeros(centres.shape)]

    def __call__(self, n):
        return self.draws.pop(0)


def encoding(ids):
    """Tokens of one base each; [CLS] and [SEP] cover none."""
    ends = np.arange(1, ids.shape[1] + 1)
    starts = np.where(np.isin(ids, [CLS, SEP]), ends, ends - 1)
    return Encoding(ids, np.stack([starts, np.broadcast_to(ends, ids.shape)], axis=-1))


def uniform(n_windows, seed=0):
    random = np.random.default_rng(seed)
    return lambda n: random.random((n_windows, n))


@pytest.mark.parametrize("k", OFFSETS)
@pytest.mark.parametrize("centre", [1, 2, 10, 18, 19])
def test_a_centre_masks_dnaberts_run_clipped_at_the_special_tokens(k, centre) -> None:
    tokenizer = KmerTokenizer(k)
    ids = np.full((1, 21), 7, dtype=np.int64)
    ids[0, 0], ids[0, 20] = CLS, SEP
    centres = np.zeros((1, 21), dtype=bool)
    centres[0, centre] = True
    inputs, labels = MaskedLM(tokenizer)(encoding(ids), Centres(centres))
    expected = sorted(centre + o for o in OFFSETS[k] if 1 <= centre + o <= 19)
    assert np.flatnonzero(inputs[0] == MASK).tolist() == expected
    assert np.flatnonzero(labels[0] != IGNORED).tolist() == expected
    assert (labels[0, expected] == 7).all()


@pytest.mark.parametrize("k", [1, 3, 6])
def test_the_shares_are_15_percent_and_80_10_10(k) -> None:
    """Each share within 4 standard errors, over 400,000 tokens (a run of k counts as one draw)."""
    tokenizer = KmerTokenizer(k)
    random = np.random.default_rng(0)
    ids = random.integers(5, tokenizer.n_vocab, (800, 500))
    inputs, labels = MaskedLM(tokenizer)(encoding(ids), uniform(800))
    masked = labels != IGNORED
    n = ids.size / k
    assert abs(masked.mean() - 0.15) < 4 * np.sqrt(0.15 * 0.85 / n) + 0.001
    total = masked.sum()
    kept, mask = (inputs == ids)[masked].mean(), (inputs == MASK)[masked].mean()
    error = 4 * np.sqrt(0.25 / total)
    assert abs(mask - 0.8 - 0.1 / tokenizer.n_vocab) < error
    assert abs(kept - 0.1 - 0.1 / tokenizer.n_vocab) < error
    assert np.array_equal(inputs[~masked], ids[~masked])


def test_a_wider_span_hides_more_than_one_base() -> None:
    tokenizer = KmerTokenizer(3)
    ids = np.full((1, 21), 9, dtype=np.int64)
    centres = np.zeros((1, 21), dtype=bool)
    centres[0, 10] = True
    inputs, _ = MaskedLM(tokenizer, span_tokens=7)(encoding(ids), Centres(centres))
    assert np.flatnonzero(inputs[0] == MASK).tolist() == list(range(7, 14))


def test_unknown_tokens_are_masked_but_not_asked_for() -> None:
    ids = np.full((50, 40), UNK, dtype=np.int64)
    inputs, labels = MaskedLM(BaseTokenizer(), mask_rate=0.5)(encoding(ids), uniform(50))
    assert (inputs == MASK).any()
    assert (labels == IGNORED).all()


def test_causal_labels_are_the_next_bases() -> None:
    ids = np.array([[CLS, 5, 8, UNK, 6, SEP]])
    inputs, labels = CausalLM(BaseTokenizer())(encoding(ids), uniform(1))
    assert inputs.tolist() == ids.tolist()
    assert labels.tolist() == [[5, 8, IGNORED, 6, IGNORED, IGNORED]]


@pytest.mark.parametrize("fields", [{"mask_rate": 0}, {"mask_rate": 1.0}, {"span_tokens": 0}])
def test_refusals(fields) -> None:
    with pytest.raises(ConfigError):
        MaskedLM(BaseTokenizer(), **fields)
