"""Arrays of windows -> batches -> model -> arrays: the only place with no_grad, precision, devices and batch sizes."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N, reverse_complement
from genoformer.models.encoder import Encoder
from genoformer.models.heads import Predictor, pool
from genoformer.models.posterior import base_posterior, window_log2_likelihood
from genoformer.tokenizers import KmerTokenizer
from genoformer.windowing import Windows, tokens_of, window_starts, windows_of

Floats = NDArray[np.float32]
M = TypeVar("M", bound=Encoder | Predictor)
Vector = Literal["mean", "max", "cls"]  # what one vector of a sequence is

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_CPU_TOKENS = 8_192  # tokens in a batch: more no longer make two to sixteen cores faster
_GPU_TOKENS = 262_144  # halved when the memory does not hold them
_HELD_BASES = 32_768  # of sequences whose token embeddings are held at a time: 100 MB at a width of 768


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


# --- embeddings of sequences of any length


class SequenceEmbeddings(NamedTuple):
    """Vectors [N, D] of sequences, and how many of these were longer than the window."""

    values: Floats
    n_windowed: int


class TokenEmbeddings(NamedTuple):
    """Vectors [T, D] of the tokens of a sequence, without special tokens, and the bases [start, end) of each, [T, 2]."""

    values: Floats
    offsets: NDArray[np.int64]


def embedding_window(model: Encoder, window: int | None = None, overlap: int | None = None) -> tuple[int, int]:
    """Bases of a window, and how many two share: by default as many as max_tokens hold, and half of the window.

    Raises ConfigError for a window without a token, and an overlap that is not below the window.
    """
    window = model.tokenizer.length_of(model.config.max_tokens) if window is None else window
    overlap = window // 2 if overlap is None else overlap
    shortest = getattr(model.tokenizer, "k", 1)
    if window < shortest:
        raise ConfigError(f"window = {window}: a token of this model has {shortest} bases; give at least as many.")
    window_starts(0, window, overlap)  # refuses an overlap that does not fit
    return window, overlap


def sequence_embeddings(
    model: Encoder,
    sequences: Sequence[Codes],
    *,
    pooling: Vector = "mean",
    layer: int | None = None,
    window: int | None = None,
    overlap: int | None = None,
    both_strands: bool = False,
    batch_size: int | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> SequenceEmbeddings:
    """One vector for each sequence, of any length, in their order; one for each token is `token_embeddings`.

    pooling: "mean" or "max" over the tokens of bases, or "cls", the state of [CLS]. layer: after how many layers, 0 the
    embeddings, None all. A sequence of more than `window` bases is cut into windows that share `overlap`
    (`embedding_window` has the defaults): the mean is over the tokens of all of them, the maximum over all, "cls" the mean
    of theirs. both_strands: the mean of the vector and of that of the reverse complement. batch_size: windows at once,
    found by itself when None; the result does not depend on it. on_done hears how many windows are done, and of how many.

    Raises: ConfigError for a window, an overlap or a layer that the model does not have, and for "cls" of a causal model.

    >>> from genoformer.models import checkpoint
    >>> model = checkpoint.load("demo")
    >>> found = sequence_embeddings(model, [np.zeros(90, np.uint8), np.ones(300, np.uint8)])
    >>> found.values.shape, found.n_windowed
    ((2, 160), 1)
    """
    if pooling not in get_args(Vector):
        raise ConfigError(f"pooling {pooling!r}: allowed are {', '.join(get_args(Vector))}.")
    if pooling == "cls" and model.config.causal:
        raise ConfigError("[CLS] of a causal model comes before all bases and knows none of them; take the mean.")
    window, overlap = embedding_window(model, window, overlap)
    strands = [sequences, [reverse_complement(codes) for codes in sequences]] if both_strands else [sequences]
    values = np.zeros((len(sequences), model.config.width), dtype=np.float32)
    for i, strand in enumerate(strands):
        windows = windows_of(strand, window, overlap, shortest=getattr(model.tokenizer, "k", 1))
        n = len(windows.codes)
        tell = None if on_done is None else lambda done, i=i, n=n: on_done(i * n + done, len(strands) * n)
        values += _pooled(model, windows, len(sequences), pooling, layer, batch_size, tell) / len(strands)
    return SequenceEmbeddings(values, sum(len(codes) > window for codes in sequences))


def _pooled(
    model: Encoder, windows: Windows, n: int, pooling: Vector, layer: int | None, batch_size: int | None,
    on_done: Callable[[int], None] | None,
) -> Floats:  # fmt: skip
    """Vectors [N, D] of the N owners of windows."""
    order = np.argsort([-len(codes) for codes in windows.codes], kind="stable")  # alike lengths together, the longest first
    total = np.full((n, model.config.width), -np.inf if pooling == "max" else 0, dtype=np.float64)
    weight = np.zeros(n, dtype=np.int64)
    first = 0
    while first < len(order):
        at_once = batch_size or _windows_at_once(model, windows.codes[order[first]])
        rows = order[first : first + at_once]
        ids, keep = tokens_of(model.tokenizer, [windows.codes[i] for i in rows])

        def run(part: slice, ids: NDArray[np.int64] = ids, keep: NDArray[np.bool_] | None = keep) -> Tensor:
            here = _to(model, ids[part])
            asked = here.new_zeros(len(here), 1) if pooling == "cls" else None  # the last layer is needed at [CLS] only
            x = model.embed(here, None if keep is None else _to(model, keep[part]), asked, layer)
            return pool(x.float(), here, pooling)

        found, owner = _in_batches(run, len(rows), at_once, (model.config.width,)), windows.owner[rows]
        if pooling == "max":
            np.maximum.at(total, owner, found)
        n_tokens = (ids != model.tokenizer.pad_id).sum(1) - 2 if pooling == "mean" else np.ones(len(rows), dtype=np.int64)
        if pooling != "max":
            np.add.at(total, owner, found * n_tokens[:, None])
            np.add.at(weight, owner, n_tokens)
        first += len(rows)
        if on_done is not None:
            on_done(first)
    return (total if pooling == "max" else total / weight[:, None]).astype(np.float32)


def token_embeddings(
    model: Encoder,
    sequences: Sequence[Codes],
    *,
    layer: int | None = None,
    window: int | None = None,
    overlap: int | None = None,
    both_strands: bool = False,
    batch_size: int | None = None,
) -> Iterator[TokenEmbeddings]:
    """A vector for each token (of single bases: each base) of each sequence, one sequence after the other.

    Parameters as in `sequence_embeddings`. Of a sequence that is cut into windows, each token comes from the window in
    which it is farthest from an end. With both_strands it is the mean with the token of the same bases on the other strand.
    Memory holds one sequence, or some short ones, at a time.

    Raises: ConfigError as there; and where windows or strands have other tokens than the sequence itself, which all
    tokenizers have but k-mers of stride 1, or where an overlap of less than k - 1 bases would leave tokens out.

    >>> from genoformer.models import checkpoint
    >>> [found.values.shape for found in token_embeddings(checkpoint.load("demo"), [np.zeros(300, np.uint8)])]
    [(300, 160)]
    """
    window, overlap = embedding_window(model, window, overlap)
    tokenizer = model.tokenizer
    each_base = isinstance(tokenizer, KmerTokenizer) and tokenizer.stride == 1
    longest = max(map(len, sequences), default=0)
    if longest > window and not each_base:
        raise ConfigError(
            f"a sequence of {longest:,} bases is longer than the window of {window:,}, and its windows have other tokens "
            "than itself; give shorter sequences or a longer window."
        )
    if both_strands and not each_base:
        raise ConfigError("the strands of a sequence have other tokens, of other bases; leave out both strands, or pool.")
    if longest > window and each_base and overlap < tokenizer.k - 1:
        raise ConfigError(f"overlap = {overlap}: a {tokenizer.k}-mer across two windows is in neither; give {tokenizer.k - 1}.")
    forward = _token_vectors(model, sequences, layer, window, overlap, batch_size, backward=False)
    if not both_strands:
        return forward
    backward = _token_vectors(model, sequences, layer, window, overlap, batch_size, backward=True)
    half = np.float32(0.5)
    pairs = zip(forward, backward, strict=True)
    return (TokenEmbeddings(half * (a.values + b.values[::-1]), a.offsets) for a, b in pairs)


def _token_vectors(
    model: Encoder, sequences: Sequence[Codes], layer: int | None, window: int, overlap: int, batch_size: int | None,
    *, backward: bool,
) -> Iterator[TokenEmbeddings]:  # fmt: skip
    ends = np.cumsum([len(codes) for codes in sequences])
    after = 0
    while after < len(sequences):
        before = int(ends[after - 1]) if after else 0
        first, after = after, max(after + 1, int(np.searchsorted(ends, before + _HELD_BASES, side="right")))
        group = [reverse_complement(codes) if backward else codes for codes in sequences[first:after]]
        yield from _tokens_of_group(model, group, layer, window, overlap, batch_size)


def _tokens_of_group(
    model: Encoder, group: Sequence[Codes], layer: int | None, window: int, overlap: int, batch_size: int | None
) -> list[TokenEmbeddings]:
    """Vectors of the tokens of some sequences: the model sees windows, alike lengths together."""
    tokenizer, width = model.tokenizer, model.config.width
    shortest = getattr(tokenizer, "k", 1)
    windows = windows_of(group, window, overlap, shortest=shortest)
    own = [span for codes in group for span in _owned(len(codes), window, overlap, shortest)]
    found = [np.empty((max(len(c), shortest) - shortest + 1 if len(c) > window else 0, width), np.float32) for c in group]
    order = np.argsort([-len(codes) for codes in windows.codes], kind="stable")
    first = 0
    while first < len(order):
        at_once = batch_size or _windows_at_once(model, windows.codes[order[first]])
        rows = order[first : first + at_once]
        ids, keep = tokens_of(tokenizer, [windows.codes[i] for i in rows])

        def run(part: slice, ids: NDArray[np.int64] = ids, keep: NDArray[np.bool_] | None = keep) -> Tensor:
            return model.embed(_to(model, ids[part]), None if keep is None else _to(model, keep[part]), layer=layer)

        x = _in_batches(run, len(rows), at_once, (ids.shape[1], width))
        for vectors, n_tokens, row in zip(x, (ids != tokenizer.pad_id).sum(1) - 2, rows, strict=True):
            i = int(windows.owner[row])
            if len(group[i]) <= window:
                found[i] = vectors[1 : 1 + n_tokens].copy()
            else:
                start, low, high = own[row]
                found[i][low:high] = vectors[1 + low - start : 1 + high - start]
        first += len(rows)
    return [TokenEmbeddings(x, _offsets(tokenizer, codes, shortest)) for x, codes in zip(found, group, strict=True)]


def _owned(length: int, window: int, overlap: int, k: int) -> list[tuple[int, int, int]]:
    """Start of each window, and the k-mers [low, high) of the sequence that are farther from its ends than from another's.

    >>> _owned(10, 6, 4, 1)
    [(0, 0, 4), (2, 4, 6), (4, 6, 10)]
    """
    starts = window_starts(length, window, overlap)
    n_in_window, n_tokens = min(window, length) - k + 1, length - k + 1
    cuts = [0, *((a + b + n_in_window - 1) // 2 + 1 for a, b in itertools.pairwise(starts)), n_tokens]
    return [(start, low, high) for start, low, high in zip(starts, cuts, cuts[1:], strict=False)]


def _offsets(tokenizer: Any, codes: Codes, shortest: int) -> NDArray[np.int64]:
    """The bases [start, end) of each token but the special ones, [T, 2]."""
    padded = codes if len(codes) >= shortest else np.append(codes, np.full(shortest - len(codes), N, dtype=np.uint8))
    return np.minimum(tokenizer.encode(padded[None]).offsets[0, 1:-1], len(codes))


def _windows_at_once(model: Encoder, longest: Codes) -> int:
    tokens = _GPU_TOKENS if next(model.parameters()).is_cuda else _CPU_TOKENS
    return max(1, tokens // model.tokenizer.n_tokens(len(longest)))
