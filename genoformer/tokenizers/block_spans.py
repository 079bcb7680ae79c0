"""Bases [start, end) of the blocks and single letters into which a sequence is cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from genoformer.genome.codes import Codes, N


def starts_of_known(first: int, after: int, k: int, *, grid: bool = False) -> NDArray[np.int64]:
    """Return the starts of tokens in a run [first, after) without N: blocks of k, then single letters.

    grid: the bases after the last block are one token.

    >>> starts_of_known(0, 8, 3).tolist(), starts_of_known(0, 8, 3, grid=True).tolist()
    ([0, 3, 6, 7], [0, 3, 6])
    """
    if grid:
        return np.arange(first, after, k)
    tail = first + (after - first) // k * k
    return np.concatenate([np.arange(first, tail, k), np.arange(tail, after)])


def starts_around_n(row: Codes, k: int) -> NDArray[np.int64]:
    """Return the first base of each token of a sequence [L]: an N is a token, after which blocks start again.

    >>> starts_around_n(np.array([0, 1, 4, 2, 3, 0]), 2).tolist()  # AC N GT A
    [0, 2, 3, 5]
    """
    unknown = np.flatnonzero(row >= N)
    bounds = np.concatenate([[-1], unknown, [len(row)]])
    starts: list[NDArray[np.int64]] = []
    for before, after in pairwise(bounds):
        starts.append(starts_of_known(before + 1, after, k))
        starts.append(np.array([after]))
    return np.concatenate(starts)[:-1]


def spans_from_starts(starts: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Return the bases [start, end) of tokens that follow one another, [T] -> [T, 2]."""
    return np.column_stack([starts, np.append(starts[1:], length)])


def spans_near_the_middle(spans: NDArray[np.int64], length: int, n: int) -> NDArray[np.int64]:
    """Return the n neighbouring tokens of [T, 2] that reach least far from the middle of a sequence; all if there are fewer.

    >>> spans_near_the_middle(np.array([[0, 3], [3, 6], [6, 7], [7, 8]]), 8, 2).tolist()
    [[3, 6], [6, 7]]
    """
    if len(spans) <= n:
        return spans
    n_choices = len(spans) - n + 1
    reach = np.maximum(length - 2 * spans[:n_choices, 0], 2 * spans[n - 1 :, 1] - length)
    first = int(reach.argmin())
    return spans[first : first + n]
