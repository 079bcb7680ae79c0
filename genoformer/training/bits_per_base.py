"""Bits per base of a language model on held-out bases, from its exact single-base probabilities."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from genoformer.genome.codes import Codes, N
from genoformer.inference.runtime import to_device
from genoformer.models.token_model import TokenModel, successors
from genoformer.tokenizers import Tokenizer
from genoformer.training.random_streams import RandomStream
from genoformer.training.windows import RandomWindows

VALIDATION_BASES = 512  # scored during training; the final report scores more


class QueriedBases(NamedTuple):
    """Windows [B, L] and one target base in each, at position target [B]."""

    codes: Codes
    target: NDArray[np.int64]


def queried_bases(windows: RandomWindows, n: int) -> QueriedBases:
    """Draw one base in the middle half of each of the first n windows, and leave out N.

    If the sources have fewer than n bases, draw only as many windows as there are bases, so that no base counts repeatedly.
    """
    numbers = np.arange(min(n, windows.n_bases))
    codes = windows.drawn(numbers)[0]
    length = codes.shape[1]
    target = length // 4 + (RandomStream(windows.seed, numbers, stream=2)(1)[:, 0] * (length // 2)).astype(np.int64)
    known = codes[np.arange(len(codes)), target] < N
    return QueriedBases(codes[known], target[known])


def why_no_bits(tokenizer: Tokenizer, causal: bool) -> str | None:
    """Return why a model with this tokenizer has no exact single-base probability, or None if it has one."""
    if not tokenizer.masks_bases:
        return f"a {tokenizer.name} token stands for several bases, and their number depends on the sequence"
    if causal and not tokenizer.sliding:
        if (stride := tokenizer.to_dict().get("stride")) is None:
            return f"a causal model of {tokenizer.name} has no probability of one base given those before it"
        return f"with stride = {stride} a token of a causal model brings several new bases at once"
    return None


@torch.no_grad()
def true_base_bits(model: TokenModel, queried: QueriedBases, batch_size: int) -> NDArray[np.float64]:
    """Return -log2 P(true base) at each target base, [B]; NaN where an N makes it undefined.

    For a masked model, P is the exact posterior given both sides. For a causal model, P is conditional on the bases before.
    """
    bits = []
    for start in range(0, len(queried.codes), batch_size):
        some = slice(start, start + batch_size)
        bits.append((_causal_bits if model.causal else _masked_bits)(model, queried.codes[some], queried.target[some]))
    return np.concatenate(bits)


def _masked_bits(model: TokenModel, codes: Codes, target: NDArray[np.int64]) -> NDArray[np.float64]:
    log2_p = model.base_log2_probs(codes, target, target + 1).double().cpu().numpy()
    rows = np.arange(len(codes))
    return np.asarray(-log2_p[rows, codes[rows, target]])


def _causal_bits(model: TokenModel, codes: Codes, target: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the term of `window_log2_likelihood` that belongs to the target."""
    ids = model.tokenizer.encode(codes).ids
    rows = np.arange(len(codes))
    before = np.maximum(target - model.tokenizer.min_bases + 1, 0)  # the token before the target; [CLS] is token 0
    known = model.tokenizer.names_bases(ids[rows, before]) & model.tokenizer.names_bases(ids[rows, before + 1])
    at = to_device(model, before[:, None])  # [B, 1]
    tokens = to_device(model, ids)
    candidates = successors(model.tokenizer, tokens.gather(1, at))  # [B, 1, 4]
    log_p = model.logits_at(tokens, at, candidates).float().log_softmax(-1)[:, 0]  # [B, 4]
    came = candidates[:, 0] == tokens.gather(1, at + 1)
    bits = -log_p.masked_fill(~came, -torch.inf).amax(-1).double().cpu().numpy() / math.log(2)
    return np.where(known, bits, np.nan)
