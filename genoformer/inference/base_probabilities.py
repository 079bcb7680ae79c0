"""Windows of codes -> posteriors of masked bases, likelihoods of windows, embeddings of a stretch in them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genoformer.genome.codes import Codes, N, reverse_complement
from genoformer.genome.reference import Genome
from genoformer.inference.runtime import Floats, choose_batch_size, run_batched, to_device, tokens_at_once
from genoformer.models.base import has
from genoformer.models.predicts_sliding import PredictsSliding
from genoformer.models.token_model import TokenModel, base_posteriors
from genoformer.progress import Stage
from genoformer.tokenizers.base import MaskedWindows, Tokenizer

_BATCHES = 8  # of windows whose shared work is done together on a CPU


def posteriors(
    model: TokenModel,
    codes: Codes,
    target: NDArray[np.int64],
    end: NDArray[np.int64] | None = None,
    *,
    batch_size: int | None = None,
    on_windows: Callable[[int], None] | None = None,
) -> Floats:
    """Return log2 P(A), P(C), P(G), P(T) at base `target` of each window with [target, end) masked; [B, L] -> [B, 4].

    on_windows: receives the number of windows of each batch.
    """
    end = target + 1 if end is None else end

    def run(part: slice) -> Tensor:
        log2_p = model.base_log2_probs(codes[part], target[part], end[part])
        if on_windows is not None:
            on_windows(len(log2_p))
        return log2_p

    return run_batched(run, len(codes), choose_batch_size(model, codes, batch_size), (4,))


def sliding_posteriors(
    model: Any,
    codes: Codes,
    target: NDArray[np.int64],
    starts: NDArray[np.int64] | None = None,
    *,
    batch_size: int | None = None,
) -> Floats:
    """Return the same as `posteriors`; windows of one sequence that overlap share work if the model can.

    starts: first base of each window; None: they follow each other base by base.
    """
    size = choose_batch_size(model, codes, batch_size)
    if size == 1 or not has(model, PredictsSliding) or len(target) < 2 or (target != target[0]).any():
        return posteriors(model, codes, target, batch_size=size)

    def run(part: slice) -> Tensor:
        places = starts if starts is None else starts[part]
        log2_p = model.sliding_log2_probs(codes[part], int(target[0]), places, size)
        if log2_p is not None:
            return torch.as_tensor(log2_p)
        batches = (slice(at, min(at + size, part.stop)) for at in range(part.start, part.stop, size))
        return torch.cat([model.base_log2_probs(codes[of], target[of], target[of] + 1) for of in batches])

    return run_batched(run, len(codes), size * (_BATCHES if next(model.parameters()).device.type == "cpu" else 1), (4,))


def posteriors_together(
    model: TokenModel, codes: Codes, targets: NDArray[np.int64], *, batch_size: int | None = None
) -> Floats:
    """Return log2 P(A, C, G, T) at several bases of each window, which one pass masks together; [B, L] -> [B, m, 4].

    targets: their positions [B, m], so far apart that no token covers two of them. NaN at an N, which is not masked. A model
    whose states do not depend on their own tokens reads the window without masks, so that each is given all other bases.
    """

    def run(part: slice) -> Tensor:
        masked = _mask_together(model.tokenizer, codes[part], targets[part])
        if not model.sees_itself:
            masked = masked._replace(ids=model.tokenizer.encode(codes[part]).ids)
        ids, rows, candidates, valid = (to_device(model, field) for field in masked)
        return base_posteriors(model, ids, rows, candidates, valid, model.keep(ids))

    shape = (targets.shape[1], 4)
    return run_batched(run, len(codes), choose_batch_size(model, codes, batch_size), shape)


def _mask_together(tokenizer: Tokenizer, codes: Codes, targets: NDArray[np.int64]) -> MaskedWindows:
    """Return windows with several masked bases: rows [B, m, M], candidates [B, m, M, ...] and valid [B, m, M]."""
    ids = tokenizer.encode(codes).ids
    known = np.take_along_axis(codes, targets, axis=1) < N  # [B, m]
    each = [tokenizer.mask_bases(codes, target) for target in targets.T]
    for masked, is_known in zip(each, known.T, strict=True):
        ids = np.where(is_known[:, None] & (masked.ids == tokenizer.mask_id), tokenizer.mask_id, ids)
    rows = np.stack([masked.rows for masked in each], axis=1)
    candidates = np.stack([masked.candidates for masked in each], axis=1)
    valid = np.stack([masked.valid for masked in each], axis=1) & known[..., None]
    return MaskedWindows(ids, rows, candidates, valid)


def predict_bases(
    model: TokenModel,
    codes: Codes,
    start: int,
    end: int,
    *,
    window: int | None = None,
    both_strands: bool = True,
    stage: Stage | None = None,
) -> Floats:
    """Return log2 P(A, C, G, T) of each base [start, end) of a sequence [L] given all others, [end - start, 4].

    The result is the mean over strands, or the forward strand if both_strands is False. Each base is in the middle of a window
    of the model's length, or of `window` bases; the window has N beyond the ends of the sequence. stage: receives the finished
    bases.
    """
    length = window or model.config.context_length
    centre = length // 2
    padded = np.pad(codes, length, constant_values=N)
    windows = np.lib.stride_tricks.sliding_window_view(padded, length)[start - centre + length : end - centre + length]
    at = np.full(len(windows), centre)
    is_single = not both_strands or model.strands_agree
    forward = posteriors(model, windows, at, on_windows=stage.add if stage is not None and is_single else None)
    if is_single:
        return forward
    backward = posteriors(
        model, reverse_complement(windows), length - 1 - at, on_windows=stage.add if stage is not None else None
    )[:, ::-1]
    mean = (forward + backward) / 2
    with np.errstate(invalid="ignore"):  # of NaN: a base without a token of known bases, such as in a block with an N
        total = np.logaddexp2.reduce(mean, axis=1, keepdims=True)
    return np.asarray(mean - total, dtype=np.float32)


def posteriors_in(model: TokenModel, genome: Genome, chrom: str, start: int, end: int, stage: Stage | None = None) -> Floats:
    """Run `predict_bases` on the bases [start, end) of a contig, each with the full context length of the model."""
    flank = model.config.context_length
    codes = genome.window(chrom, start - flank, end - start + 2 * flank)
    return predict_bases(model, codes, flank, flank + end - start, stage=stage)


def likelihoods(model: TokenModel, codes: Codes, *, batch_size: int | None = None) -> Floats:
    """Return log2 P(window) of a causal model, [B, L] -> [B]."""

    def run(part: slice) -> Tensor:
        return model.sequence_log2_prob(codes[part])

    return run_batched(run, len(codes), choose_batch_size(model, codes, batch_size), ())


def token_log2_probs(
    model: TokenModel,
    ids: NDArray[np.int64],
    rows: NDArray[np.int64],
    tokens: NDArray[np.int64] | None = None,
    *,
    batch_size: int | None = None,
) -> Floats:
    """Return log2 P of every token of the vocabulary at one position of each window, or of one token there.

    ids: [n, T], with [MASK] where the model must not see a token. rows: the position, [n]. Result: [n, V], or [n] for
    tokens [n].
    """
    size = batch_size or max(1, tokens_at_once(model) // ids.shape[1])

    def run(part: slice) -> Tensor:
        x = to_device(model, ids[part])
        logits = model.logits_at(x, to_device(model, rows[part, None]), keep=model.keep(x))[:, 0].float()
        log2_p = logits.log_softmax(-1) / math.log(2)
        return log2_p if tokens is None else log2_p.gather(-1, to_device(model, tokens[part, None]))[:, 0]

    return run_batched(run, len(ids), size, () if tokens is not None else (model.config.n_vocab,))


def allele_embeddings(
    model: TokenModel,
    codes: Codes,
    first: NDArray[np.int64],
    after: NDArray[np.int64],
    *,
    batch_size: int | None = None,
) -> Floats:
    """Return the mean of the last layer over tokens that overlap the bases [first, after) of each window; [B, L] -> [B, D].

    NaN for a window without such a token.
    """

    def run(part: slice) -> Tensor:
        encoding = model.tokenizer.encode(codes[part])
        offsets = encoding.spans
        touch = (offsets[..., 0] < after[part, None]) & (offsets[..., 1] > first[part, None])
        n_rows = max(1, int(touch.sum(1).max()))
        rows = np.argsort(~touch, axis=1, kind="stable")[:, :n_rows]  # the touching tokens first
        weight = np.take_along_axis(touch, rows, axis=1).astype(np.float32)
        n_touching = weight.sum(1, keepdims=True)
        weight /= np.where(n_touching > 0, n_touching, np.nan)
        ids = to_device(model, encoding.ids)
        x = model.embed(ids, model.keep(ids), to_device(model, rows)).float()  # [B, M, D]
        return (x * to_device(model, weight)[..., None]).sum(1)

    return run_batched(run, len(codes), choose_batch_size(model, codes, batch_size), (model.config.width,))
