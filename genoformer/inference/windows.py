"""Sequences of any length -> windows of limited length -> padded batches of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N
from genoformer.tokenizers import Tokenizer

MOST_TIMES = 16  # largest ratio of a window to the model's own window


class Windows(NamedTuple):
    """Windows of sequences: codes of each (not longer than the window), and the number of its sequence, [W]."""

    codes: list[Codes]
    owner: NDArray[np.int64]


class Tokens(NamedTuple):
    """A padded batch: ids [B, T]; keep [B, T], False at padding, or None without padding; is_base [B, T], as in Encoding."""

    ids: NDArray[np.int64]
    keep: NDArray[np.bool_] | None
    is_base: NDArray[np.bool_]


def require_length(length: int, made_for: int) -> None:
    """Raise ConfigError for windows that are much longer than the windows of the model.

    Memory could not hold them.
    """
    if length > MOST_TIMES * made_for:
        raise ConfigError(
            f"windows of {length:,} bases, and the model is made for {made_for:,}; give {MOST_TIMES * made_for:,} at the most."
        )


def window_starts(length: int, window: int, overlap: int) -> list[int]:
    """Return the starts of the windows of a sequence: every window - overlap bases, the last flush with the end.

    >>> window_starts(10, 6, 2), window_starts(5, 6, 2)
    ([0, 4], [0])
    """
    if not 0 <= overlap < window:
        raise ConfigError(f"overlap = {overlap}: give 0 up to, not including, the window of {window} bases.")
    if length <= window:
        return [0]
    starts = list(range(0, length - window, window - overlap))
    return [*starts, length - window]


def cut_windows(sequences: Sequence[Codes], window: int, overlap: int, shortest: int = 1) -> Windows:
    """Return windows that cover every base of every sequence; a sequence below `shortest` bases gets N at its end."""
    codes: list[Codes] = []
    owner: list[int] = []
    for i, sequence in enumerate(sequences):
        if len(sequence) < shortest:
            sequence = np.append(sequence, np.full(shortest - len(sequence), N, dtype=np.uint8))
        for start in window_starts(len(sequence), window, overlap):
            codes.append(sequence[start : start + window])
            owner.append(i)
    return Windows(codes, np.array(owner, dtype=np.int64))


def tokenize_windows(tokenizer: Tokenizer, codes: Sequence[Codes]) -> Tokens:
    """Return tokens of windows of any lengths, padded to the longest."""
    lengths = np.array([len(c) for c in codes])
    encoded = {n: tokenizer.encode(np.stack([c for c in codes if len(c) == n])) for n in np.unique(lengths).tolist()}
    if len(encoded) == 1:
        (encoding,) = encoded.values()
        ids, is_base = encoding.ids, encoding.is_base
    else:
        ids = np.full((len(codes), max(part.ids.shape[1] for part in encoded.values())), tokenizer.pad_id, dtype=np.int64)
        is_base = np.zeros(ids.shape, dtype=np.bool_)
        for n, part in encoded.items():
            rows, width = np.flatnonzero(lengths == n), part.ids.shape[1]
            ids[rows, :width], is_base[rows, :width] = part.ids, part.is_base
    keep = ids != tokenizer.pad_id
    return Tokens(ids, None if keep.all() else keep, is_base)
