"""Windows that follow each other base by base share the stem of a model, and have the posteriors of single windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from small_models import small_encoder

from genoformer.genome.codes import reverse_complement
from genoformer.models.transformer.model import Encoder
from genoformer.tokenizers import BaseTokenizer, BlockTokenizer, KmerTokenizer

LENGTH, TARGET = 40, 20


def made(tokenizer: Any, **fields: Any) -> Encoder:
    fields = {"conv_kernel": 5, "norm": "pre", "init_std": 0.4, "context_length": LENGTH, **fields}
    return small_encoder(tokenizer, **fields)


def windows(n: int = 9, *, unknown: tuple[int, ...] = ()) -> np.ndarray:
    codes = np.random.default_rng(2).integers(0, 4, LENGTH + n - 1, dtype=np.uint8)
    codes[list(unknown)] = 4
    return np.lib.stride_tricks.sliding_window_view(codes, LENGTH)


@pytest.mark.parametrize("unknown", [(), (0, 1, 17, 30)], ids=["known", "with N"])
@pytest.mark.parametrize(
    ("tokenizer", "fields"),
    [
        (BaseTokenizer(), {}),
        (BaseTokenizer(), {"position": "alibi", "conv_kernel": 9}),
        (BaseTokenizer(), {"norm": "post"}),
        (BlockTokenizer.new(1), {"n_token_types": 2}),
    ],
    ids=["rotary", "alibi", "post", "blocks of one base"],
)
def test_they_have_the_posteriors_of_single_windows(tokenizer, fields, unknown) -> None:
    model, codes = made(tokenizer, **fields), windows(unknown=unknown)
    target = np.full(len(codes), TARGET)
    with torch.inference_mode():
        shared, single = model.sliding_log2_probs(codes, TARGET), model.base_log2_probs(codes, target, target + 1)
    assert shared is not None
    np.testing.assert_allclose(shared, single, atol=5e-5)
    assert single.std(0).min() > 0.02  # windows differ


@pytest.mark.parametrize(
    "starts",
    [[0, 3, 9, 20, 22], [22, 20, 9, 3, 0], [100, 0, 105, 5, 100], [61, 5, 60, 200, 80]],
    ids=["in order", "backwards", "two contigs", "alone and together"],
)
@pytest.mark.parametrize("position", ["rotary", "alibi"])
def test_windows_that_overlap_have_the_posteriors_of_single_windows(starts: list[int], position: str) -> None:
    model, sequence = made(BaseTokenizer(), position=position), np.random.default_rng(3).integers(0, 5, 300, dtype=np.uint8)
    codes, target = np.stack([sequence[start : start + LENGTH] for start in starts]), np.full(len(starts), TARGET)
    other = codes.copy()
    other[0, 25] = (other[0, 25] + 1) % 4  # in what the first window shares with another
    with torch.inference_mode():
        single = model.base_log2_probs(codes, target, target + 1)
        shared = model.sliding_log2_probs(codes, TARGET, np.array(starts))
        assert model.sliding_log2_probs(other, TARGET, np.array(starts)) is None
    assert shared is not None
    np.testing.assert_allclose(shared, single, atol=5e-5)


def test_windows_far_from_each_other_share_no_work() -> None:
    codes = np.random.default_rng(3).integers(0, 4, (3, LENGTH), dtype=np.uint8)
    assert made(BaseTokenizer()).sliding_log2_probs(codes, TARGET, np.array([0, 40, 100])) is None


@pytest.mark.parametrize(
    ("tokenizer", "fields"),
    [
        (BaseTokenizer(), {"conv_kernel": 0}),
        (BaseTokenizer(), {"position": "learned", "max_tokens": 64}),
        (BaseTokenizer(), {"position": "sinusoidal"}),
        (KmerTokenizer(3), {}),
        (BaseTokenizer(), {"conv_kernel": 23}),  # two kernels reach from end to end
    ],
    ids=["no stem", "learned positions", "sinusoidal positions", "3-mers", "a long kernel"],
)
def test_models_that_cannot_share_work_return_none(tokenizer, fields) -> None:
    assert made(tokenizer, **fields).sliding_log2_probs(windows(), TARGET) is None


def test_other_windows_share_no_work() -> None:
    model, codes = made(BaseTokenizer()), windows()
    assert model.sliding_log2_probs(codes, TARGET) is not None
    assert model.sliding_log2_probs(reverse_complement(codes), TARGET) is None  # they go the other way
    assert model.sliding_log2_probs(reverse_complement(codes[::-1]), TARGET) is not None
    assert model.sliding_log2_probs(codes[::2], TARGET) is None
    assert model.sliding_log2_probs(codes[:1], TARGET) is None
    assert model.sliding_log2_probs(codes, 3) is None  # too near the end of a window
