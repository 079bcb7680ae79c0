"""Arrays of windows -> batches -> model -> arrays: the only place with no_grad, precision, devices and batch sizes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes
from genoformer.models.encoder import Encoder
from genoformer.models.posterior import base_posterior, window_log2_likelihood

Floats = NDArray[np.float32]

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_CPU_TOKENS = 8_192  # tokens in a batch: more no longer make two to sixteen cores faster
_GPU_TOKENS = 262_144  # halved when the memory does not hold them


@contextmanager
def borrowed(model: Encoder, device: str = "cpu", precision: str = "float32") -> Iterator[Encoder]:
    """The model in eval mode, on a device, in a precision; the one that was passed in is left as it was found."""
    if precision not in PRECISIONS:
        raise ConfigError(f"precision {precision!r}: allowed are {', '.join(PRECISIONS)}.")
    here = next(model.parameters())
    wanted, dtype = _device(device), PRECISIONS[precision]
    training = model.training
    if here.device != wanted or here.dtype != dtype:
        yield copy.deepcopy(model).eval().to(wanted, dtype)
        return
    try:
        yield model.eval()
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


def _to(model: Encoder, array: NDArray[np.generic]) -> Tensor:
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
