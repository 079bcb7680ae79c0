"""Windows of equal length -> logits of a model that classifies, in batches sorted by the number of tokens."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from genoformer.genome.codes import Codes, N
from genoformer.inference.runtime import Floats, run_batched, tokens_at_once
from genoformer.inference.windows import window_starts

_ENCODED = 1 << 12  # windows that are encoded together to count their tokens


def class_logits(model: Any, codes: Codes, batch_size: int | None = None) -> Floats:
    """Return the logits of windows of equal length: codes [B, L] -> [B, C].

    A window longer than that of the model is cut into overlapping windows, whose logits are averaged, as in `evaluate`.
    Windows with similar numbers of tokens form a batch. batch_size: windows in a batch; None: chosen by `tokens_at_once`.
    """
    pieces, n_pieces = _pieces(model, codes)
    n_tokens = _numbers_of_tokens(model, pieces)
    order = np.argsort(-n_tokens, kind="stable")
    at_once = batch_size or max(1, tokens_at_once(model) // int(n_tokens.max(initial=1)))

    def run(part: slice) -> Tensor:
        return cast(Tensor, model.logits(pieces[order[part]]))

    logits = np.empty((len(pieces), model.task.n_outputs), dtype=np.float32)
    logits[order] = run_batched(run, len(pieces), at_once, logits.shape[1:])
    return _mean_of_pieces(logits, n_pieces)


def plain_class_logits(model: Any, codes: Codes) -> Floats:
    """Return the same as `class_logits`, one window at a time."""
    pieces, n_pieces = _pieces(model, codes)
    logits = run_batched(lambda part: cast(Tensor, model.logits(pieces[part])), len(pieces), 1, (model.task.n_outputs,))
    return _mean_of_pieces(logits, n_pieces)


def tokens_differ(model: Any, codes: Codes, others: Codes) -> NDArray[np.bool_]:
    """Return True where a model reads other tokens of codes [B, L] than of others [B, L], or no N is in either, [B].

    Tokens that N leave out, and tokens with an N, are the same whatever the bases are.
    """
    differ = np.ones(len(codes), dtype=bool)
    rows = np.flatnonzero(((codes >= N) | (others >= N)).any(axis=1))
    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is None or not len(rows):
        return differ
    pieces, n_pieces = _pieces(model, np.concatenate([codes[rows], others[rows]]))
    ids = tokenizer.encode(pieces).ids.reshape(2, len(rows), n_pieces, -1)
    differ[rows] = (ids[0] != ids[1]).any(axis=(1, 2))
    return differ


def _pieces(model: Any, codes: Codes) -> tuple[Codes, int]:
    """Return windows [B * P, l] of at most the length of the model's, and their number P for each of codes [B, L]."""
    length, window = codes.shape[1], model.config.context_length
    if length <= window:
        return codes, 1
    starts = window_starts(length, window, getattr(model.config, "overlap", 0))
    pieces = np.stack([codes[:, start : start + window] for start in starts], axis=1)  # [B, P, l]
    return pieces.reshape(-1, window), len(starts)


def _mean_of_pieces(logits: Floats, n_pieces: int) -> Floats:
    """Return the mean over the pieces of each window: [B * P, C] -> [B, C]."""
    if n_pieces == 1:
        return logits
    return logits.reshape(-1, n_pieces, logits.shape[1]).mean(1, dtype=np.float64).astype(np.float32)


def _numbers_of_tokens(model: Any, codes: Codes) -> NDArray[np.int64]:
    """Return the number of tokens of each window; of a model without a tokenizer the number of its bases."""
    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is None:
        return np.full(len(codes), codes.shape[1], dtype=np.int64)
    if tokenizer.fixed_length:
        return np.full(len(codes), tokenizer.n_tokens(codes.shape[1]), dtype=np.int64)
    parts = (codes[first : first + _ENCODED] for first in range(0, len(codes), _ENCODED))
    return np.concatenate([(tokenizer.encode(part).ids != tokenizer.pad_id).sum(1) for part in parts], dtype=np.int64)
