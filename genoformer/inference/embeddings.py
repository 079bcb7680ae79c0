"""Sequences of any length -> vectors of a language model, one per sequence or one per token."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N, reverse_complement
from genoformer.inference.runtime import Floats, run_batched, to_device, tokens_at_once, typical_tokens
from genoformer.inference.windows import Tokens, Windows, cut_windows, require_length, tokenize_windows, window_starts
from genoformer.models.heads import pool
from genoformer.models.token_model import TokenModel
from genoformer.progress import ProgressCallback, Stage
from genoformer.tokenizers import Tokenizer

Vector = Literal["mean", "max", "cls"]  # pooling to one vector per sequence
GROUP_BASES = 32_768  # bases of sequences whose token embeddings are in memory: 100 MB at a width of 768


class SequenceEmbeddings(NamedTuple):
    """Vectors [N, D] of sequences, and the number of sequences longer than the window."""

    values: Floats
    n_windowed: int


class TokenEmbeddings(NamedTuple):
    """Vectors [T, D] of the tokens of a sequence, without special tokens, and their bases [start, end), [T, 2]."""

    values: Floats
    spans: NDArray[np.int64]

    def __repr__(self) -> str:
        return f"TokenEmbeddings({len(self.values):,} tokens, {self.values.shape[-1]:,} values each)"


class WindowSize(NamedTuple):
    """Windows into which longer sequences are cut: bases of a window, and bases that two windows share."""

    window: int | None = None  # None: that of the model's training
    overlap: int | None = None  # None: half of the window


OWN_WINDOW = WindowSize()


def embedding_window(model: TokenModel, size: WindowSize = OWN_WINDOW) -> tuple[int, int]:
    """Return the window and the overlap in bases, also where the size leaves them to the model.

    Raises ConfigError for a window without a token, a very long window, and an overlap that is not below the window.
    """
    window, overlap = size
    if window is None:
        window = min(model.config.context_length, model.tokenizer.max_bases(model.config.max_tokens))
    require_length(window, model.config.context_length)
    overlap = window // 2 if overlap is None else overlap
    shortest = model.tokenizer.min_bases
    if window < shortest:
        raise ConfigError(f"window = {window}: a token of this model has {shortest} bases; give at least as many.")
    window_starts(0, window, overlap)  # refuses an overlap that is out of range
    return window, overlap


def sequence_embeddings(
    model: TokenModel,
    sequences: Sequence[Codes],
    *,
    pooling: Vector = "mean",
    layer: int | None = None,
    windows: WindowSize = OWN_WINDOW,
    both_strands: bool = False,
    batch_size: int | None = None,
    progress: ProgressCallback = None,
) -> SequenceEmbeddings:
    """Return one vector per sequence of any length, in their order; `token_embeddings` returns one per token.

    pooling: "mean" or "max" over the tokens of bases, or "cls", the state of [CLS]. layer: number of layers, 0 for the
    embeddings, None for all. windows: size of the windows into which a longer sequence is cut; mean and maximum are over the
    tokens of all its windows, "cls" is the mean of their [CLS]. both_strands: average the vectors of the sequence and its
    reverse complement. batch_size: windows in a batch, chosen automatically if None; the result does not depend on it.
    progress: called with the numbers of finished and of all windows, of both strands.

    Raises: ConfigError for a window, overlap or layer that the model does not support, and for "cls" of a causal model.

    >>> from genoformer.models import registry
    >>> model = registry.load("demo")
    >>> found = sequence_embeddings(model, [np.zeros(90, np.uint8), np.ones(300, np.uint8)])
    >>> found.values.shape, found.n_windowed
    ((2, 160), 1)
    """
    if pooling not in get_args(Vector):
        raise ConfigError(f"pooling {pooling!r}: allowed are {', '.join(get_args(Vector))}.")
    if pooling == "cls" and model.causal:
        raise ConfigError("[CLS] of a causal model comes before all bases and knows none of them; take the mean.")
    window, overlap = embedding_window(model, windows)
    strands = [sequences, [reverse_complement(codes) for codes in sequences]] if both_strands else [sequences]
    values = np.zeros((len(sequences), model.config.width), dtype=np.float32)
    stage = Stage(progress, "embed")
    for strand in strands:
        cut = cut_windows(strand, window, overlap, shortest=model.tokenizer.min_bases)
        stage.total = len(strands) * len(cut.codes)
        values += _pooled(model, cut, len(sequences), pooling, layer, batch_size, stage) / len(strands)
    return SequenceEmbeddings(values, sum(len(codes) > window for codes in sequences))


def _pooled(
    model: TokenModel,
    windows: Windows,
    n: int,
    pooling: Vector,
    layer: int | None,
    batch_size: int | None,
    stage: Stage,
) -> Floats:
    """Return vectors [N, D] of the N owners of windows."""
    order = np.argsort([-len(codes) for codes in windows.codes], kind="stable")  # similar lengths together, the longest first
    total = np.full((n, model.config.width), -np.inf if pooling == "max" else 0, dtype=np.float64)
    weight = np.zeros(n, dtype=np.int64)
    first = 0
    while first < len(order):
        at_once = batch_size or _windows_at_once(model, windows.codes[order[first]])
        rows = order[first : first + at_once]
        tokens = tokenize_windows(model.tokenizer, [windows.codes[i] for i in rows])

        def run(part: slice, tokens: Tokens = tokens) -> Tensor:
            ids, keep, is_base = tokens
            here = to_device(model, ids[part])
            asked = here.new_zeros(len(here), 1) if pooling == "cls" else None  # the last layer is needed at [CLS] only
            x = model.embed(here, None if keep is None else to_device(model, keep[part]), asked, layer)
            return pool(x.float(), to_device(model, is_base[part]), pooling)

        found, owner = run_batched(run, len(rows), at_once, (model.config.width,)), windows.owner[rows]
        if pooling == "max":
            np.maximum.at(total, owner, found)
        n_tokens = tokens.is_base.sum(1) if pooling == "mean" else np.ones(len(rows), dtype=np.int64)
        if pooling != "max":
            np.add.at(total, owner, found * n_tokens[:, None])
            np.add.at(weight, owner, n_tokens)
        first += len(rows)
        stage.add(len(rows))
    return (total if pooling == "max" else total / weight[:, None]).astype(np.float32)


def token_embeddings(
    model: TokenModel,
    sequences: Sequence[Codes],
    *,
    layer: int | None = None,
    windows: WindowSize = OWN_WINDOW,
    both_strands: bool = False,
    batch_size: int | None = None,
    group_bases: int = GROUP_BASES,
) -> Iterator[TokenEmbeddings]:
    """Return an iterator over sequences, with a vector for each token (for single-base tokens: each base).

    Parameters as in `sequence_embeddings`. If a sequence is cut into windows, each token comes from the window in which it
    is farthest from an end. With both_strands, the vector is the mean with the token of the same bases on the other strand.
    Memory holds one sequence, or short ones of at most `group_bases` in total, at a time.

    Raises: ConfigError as there; also if windows or strands have other tokens than the sequence (true for all tokenizers
    except k-mers of stride 1), or if an overlap of less than k - 1 bases would leave tokens out.

    >>> from genoformer.models import registry
    >>> [found.values.shape for found in token_embeddings(registry.load("demo"), [np.zeros(300, np.uint8)])]
    [(300, 160)]
    """
    window, overlap = embedding_window(model, windows)
    tokenizer = model.tokenizer
    each_base, k = tokenizer.sliding, tokenizer.min_bases
    longest = max(map(len, sequences), default=0)
    if longest > window and not each_base:
        raise ConfigError(
            f"a sequence of {longest:,} bases is longer than the window of {window:,}, and its windows have other tokens "
            "than itself; give shorter sequences or a longer window."
        )
    if both_strands and not each_base:
        raise ConfigError("the strands of a sequence have other tokens, of other bases; leave out both strands, or pool.")
    if longest > window and each_base and overlap < k - 1:
        raise ConfigError(f"overlap = {overlap}: a {k}-mer across two windows is in neither; give {k - 1}.")
    vectors = partial(_token_vectors, model, sequences, layer, window, overlap, batch_size, group_bases)
    forward = vectors(backward=False)
    if not both_strands:
        return forward
    backward = vectors(backward=True)
    half = np.float32(0.5)
    pairs = zip(forward, backward, strict=True)
    return (TokenEmbeddings(half * (a.values + b.values[::-1]), a.spans) for a, b in pairs)


def _token_vectors(
    model: TokenModel,
    sequences: Sequence[Codes],
    layer: int | None,
    window: int,
    overlap: int,
    batch_size: int | None,
    group_bases: int,
    *,
    backward: bool,
) -> Iterator[TokenEmbeddings]:
    ends = np.cumsum([len(codes) for codes in sequences])
    after = 0
    while after < len(sequences):
        before = int(ends[after - 1]) if after else 0
        first, after = after, max(after + 1, int(np.searchsorted(ends, before + group_bases, side="right")))
        group = [reverse_complement(codes) if backward else codes for codes in sequences[first:after]]
        yield from _tokens_of_group(model, group, layer, window, overlap, batch_size)


def _tokens_of_group(
    model: TokenModel, group: Sequence[Codes], layer: int | None, window: int, overlap: int, batch_size: int | None
) -> list[TokenEmbeddings]:
    """Return vectors of the tokens of some sequences; windows of similar length are in one batch."""
    tokenizer, width = model.tokenizer, model.config.width
    shortest = tokenizer.min_bases
    windows = cut_windows(group, window, overlap, shortest=shortest)
    own = [span for codes in group for span in _owned(len(codes), window, overlap, shortest)]
    found = [np.empty((max(len(c), shortest) - shortest + 1 if len(c) > window else 0, width), np.float32) for c in group]
    order = np.argsort([-len(codes) for codes in windows.codes], kind="stable")
    first = 0
    while first < len(order):
        at_once = batch_size or _windows_at_once(model, windows.codes[order[first]])
        rows = order[first : first + at_once]
        ids, keep, is_base = tokenize_windows(tokenizer, [windows.codes[i] for i in rows])

        def run(part: slice, ids: NDArray[np.int64] = ids, keep: NDArray[np.bool_] | None = keep) -> Tensor:
            return model.embed(to_device(model, ids[part]), None if keep is None else to_device(model, keep[part]), layer=layer)

        x = run_batched(run, len(rows), at_once, (ids.shape[1], width))
        for states, of_bases, row in zip(x, is_base, rows, strict=True):
            i, vectors = int(windows.owner[row]), states[of_bases]
            if len(group[i]) <= window:
                found[i] = vectors
            else:
                start, low, high = own[row]
                found[i][low:high] = vectors[low - start : high - start]
        first += len(rows)
    return [TokenEmbeddings(x, _offsets(tokenizer, codes, shortest)) for x, codes in zip(found, group, strict=True)]


def _owned(length: int, window: int, overlap: int, k: int) -> list[tuple[int, int, int]]:
    """Return the start of each window, and the k-mers [low, high) whose distance to its ends is larger than in other windows.

    >>> _owned(10, 6, 4, 1)
    [(0, 0, 4), (2, 4, 6), (4, 6, 10)]
    """
    starts = window_starts(length, window, overlap)
    n_in_window, n_tokens = min(window, length) - k + 1, length - k + 1
    cuts = [0, *((a + b + n_in_window - 1) // 2 + 1 for a, b in itertools.pairwise(starts)), n_tokens]
    return [(start, low, high) for start, low, high in zip(starts, cuts, cuts[1:], strict=False)]


def _offsets(tokenizer: Tokenizer, codes: Codes, shortest: int) -> NDArray[np.int64]:
    """Return the bases [start, end) of each token except special tokens, [T, 2]."""
    padded = codes if len(codes) >= shortest else np.append(codes, np.full(shortest - len(codes), N, dtype=np.uint8))
    encoding = tokenizer.encode(padded[None])
    return np.minimum(encoding.spans[encoding.is_base], len(codes))


def _windows_at_once(model: TokenModel, longest: Codes) -> int:
    return max(1, tokens_at_once(model) // typical_tokens(model, len(longest)))
