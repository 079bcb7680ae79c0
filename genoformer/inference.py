"""Arrays of windows -> batches -> model -> arrays: the only place with no_grad, precision, devices and batch sizes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, reverse_complement
from genoformer.models.encoder import Encoder
from genoformer.models.heads import Predictor
from genoformer.models.posterior import base_posterior, window_log2_likelihood
from genoformer.windowing import tokens_of, windows_of

Floats = NDArray[np.float32]
M = TypeVar("M", bound=Encoder | Predictor)

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_CPU_TOKENS = 8_192  # tokens in a batch: more no longer make two to sixteen cores faster
_GPU_TOKENS = 262_144  # halved when the memory does not hold them


@contextmanager
def borrowed(model: M, device: str = "cpu", precision: str = "float32") -> Iterator[M]:
    """The model in eval mode, on a device, in a precision; the one that was passed in is left as it was found."""
    if precision not in PRECISIONS:
        raise ConfigError(f"precision {precision!r}: allowed are {', '.join(PRECISIONS)}.")
    here = next(model.parameters())
    wanted, dtype = _device(device), PRECISIONS[precision]
    training = model.training
    if here.device != wanted or here.dtype != dtype:
        elsewhere: M = copy.deepcopy(model)
        elsewhere.eval().to(wanted, dtype)
        yield elsewhere
        return
    model.eval()
    try:
        yield model
    finally:
        model.train(training)


def _device(name: str) -> torch.device:
    there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    there += ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
    if name not in there:
        raise ConfigError(f"device {name!r} is not on this machine; there are {', '.join(there)}.")
    return torch.device(name)


def best_device() -> str:
    """cuda where there is one, else cpu."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def posteriors(
    model: Encoder,
    codes: Codes,
    target: NDArray[np.int64],
    end: NDArray[np.int64] | None = None,
    *,
    batch_size: int | None = None,
) -> Floats:
    """log2 P(A), P(C), P(G), P(T) at base `target` of each window when [target, end) is hidden; [B, L] -> [B, 4]."""
    end = target + 1 if end is None else end

    def run(part: slice) -> Tensor:
        hidden = model.tokenizer.hide(codes[part], target[part], end[part])
        return base_posterior(model, *(_to(model, field) for field in hidden))

    return _in_batches(run, len(codes), _batch_size(model, codes, batch_size), (4,))


def likelihoods(model: Encoder, codes: Codes, *, batch_size: int | None = None) -> Floats:
    """log2 P(window) of a causal model, [B, L] -> [B]."""

    def run(part: slice) -> Tensor:
        ids = _to(model, model.tokenizer.encode(codes[part]).ids)
        return window_log2_likelihood(model, model.tokenizer, ids)

    return _in_batches(run, len(codes), _batch_size(model, codes, batch_size), ())


def embeddings(
    model: Encoder,
    codes: Codes,
    first: NDArray[np.int64],
    after: NDArray[np.int64],
    *,
    batch_size: int | None = None,
) -> Floats:
    """Mean of the last layer over the tokens that touch the bases [first, after) of each window; [B, L] -> [B, D]."""

    def run(part: slice) -> Tensor:
        encoding = model.tokenizer.encode(codes[part])
        offsets = encoding.offsets
        touch = (offsets[..., 0] < after[part, None]) & (offsets[..., 1] > first[part, None])
        n_rows = int(touch.sum(1).max())
        rows = np.argsort(~touch, axis=1, kind="stable")[:, :n_rows]  # the touching tokens first
        weight = np.take_along_axis(touch, rows, axis=1).astype(np.float32)
        weight /= weight.sum(1, keepdims=True)
        ids = _to(model, encoding.ids)
        keep = None if (encoding.ids != model.tokenizer.pad_id).all() else ids != model.tokenizer.pad_id
        x = model.embed(ids, keep, _to(model, rows)).float()  # [B, M, D]
        return (x * _to(model, weight)[..., None]).sum(1)

    return _in_batches(run, len(codes), _batch_size(model, codes, batch_size), (model.config.width,))


def _to(model: Encoder | Predictor, array: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(next(model.parameters()).device)


def _batch_size(model: Encoder, codes: Codes, asked: int | None) -> int:
    if asked is not None:
        return asked
    one = next(model.parameters())
    tokens = _GPU_TOKENS if one.is_cuda else _CPU_TOKENS
    return max(1, tokens // model.tokenizer.n_tokens(codes.shape[1]))


def _in_batches(run: Callable[[slice], Tensor], n: int, batch_size: int, shape: tuple[int, ...]) -> Floats:
    """Results of run over 0..n, [n, *shape]; when the memory does not hold a batch, halves are tried."""
    results = np.empty((n, *shape), dtype=np.float32)
    at = 0
    with torch.inference_mode():
        while at < n:
            part = slice(at, min(at + batch_size, n))
            try:
                results[part] = run(part).float().cpu().numpy()
            except torch.OutOfMemoryError:
                if batch_size == 1:
                    raise
                batch_size = (batch_size + 1) // 2
                torch.cuda.empty_cache()
                continue
            at = part.stop
    return results


class Predictions(NamedTuple):
    """Probabilities or values [N, C] of a fine-tuned model, and how many sequences were longer than its window."""

    values: Floats
    n_windowed: int


def predictions(
    model: Predictor, sequences: Sequence[Codes], *, batch_size: int | None = None, on_done: Callable[[int], None] | None = None
) -> Predictions:
    """What a fine-tuned model predicts for sequences of any length, in their order.

    A sequence longer than the model's window is cut into overlapping windows, whose logits are averaged; those of both
    strands too, for a model that was trained so.
    """
    config, tokenizer = model.config, model.tokenizer
    windows = windows_of(sequences, config.window, config.overlap, shortest=getattr(tokenizer, "k", 1))
    order = np.argsort([-len(codes) for codes in windows.codes], kind="stable")  # alike lengths together, the longest first
    total = np.zeros((len(sequences), len(config.classes)), dtype=np.float64)
    at_once = batch_size or max(1, (_GPU_TOKENS if next(model.parameters()).is_cuda else _CPU_TOKENS) // config.window)
    strands = (False, True) if config.both_strands else (False,)
    for first in range(0, len(order), at_once):
        rows = order[first : first + at_once]
        for backward in strands:
            codes = [reverse_complement(windows.codes[i]) if backward else windows.codes[i] for i in rows]
            ids, keep = tokens_of(tokenizer, codes)

            def run(part: slice, ids: NDArray[np.int64] = ids, keep: NDArray[np.bool_] | None = keep) -> Tensor:
                return model(_to(model, ids[part]), None if keep is None else _to(model, keep[part]))

            logits = _in_batches(run, len(rows), at_once, (len(config.classes),))
            np.add.at(total, windows.owner[rows], logits)
        if on_done is not None:
            on_done(first + len(rows))
    n_windows = np.bincount(windows.owner, minlength=len(sequences))
    mean = torch.from_numpy((total / (n_windows * len(strands))[:, None]).astype(np.float32))
    return Predictions(model.outcome(mean).numpy(), int((n_windows > 1).sum()))
