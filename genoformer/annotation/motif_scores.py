"""Motifs -> scores in whole units -> best scores of windows that touch a stretch, and P of scores and of changes.

Scores are log2(p + 0.0001) - log2(1/4), as those of FIMO (Grant et al. 2011), in units of 1/20 bit. Whole units make sums exact
in any order, and the distribution of the score of random bases is computed exactly, base by base.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.formats.motif_matrix import Matrix
from genoformer.genome.codes import Codes, N

UNIT = 0.05  # bits
_PSEUDO = 1e-4  # added to probabilities, as FIMO does
_VALUES = 1 << 20  # scores in memory at a time: they stay in the cache

Units = NDArray[np.float32]  # whole numbers; -inf where no window has a score
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class _Group(NamedTuple):
    """Motifs of one width."""

    width: int
    numbers: Integers  # [n]
    weights: Units  # [4 * width, 2 * n]: both strands


class Distribution:
    """Distribution of the score of a motif over windows of random bases, each of A, C, G and T with 1/4.

    threshold: largest P of a hit. The score of a hit is positive, too: wide motifs have windows with a smaller P that fit
    random bases better than the motif.
    """

    def __init__(self, units: Integers, threshold: float) -> None:
        self.units, self._lowest = units, int(units.min(axis=1).sum())  # [W, 4]
        self._at_least = _at_least(units)
        rare = np.flatnonzero(self._at_least[:-1] <= threshold)
        least = max(rare[0] + self._lowest, 1) if len(rare) else np.inf
        self.least_hit = float(least) if least <= units.max(axis=1).sum() else np.inf  # no window is a hit

    def p_at_least(self, scores: NDArray[np.generic]) -> Floats:
        """Return P(score >= s) of scores [n]."""
        at = np.clip(np.asarray(scores, dtype=np.float64) - self._lowest, 0, len(self._at_least) - 1)
        return self._at_least[at.astype(np.int64)]

    @cached_property
    def _without_each(self) -> tuple[Integers, Floats]:
        """First scores [W] and P(score >= s) [W, R] of the motif without each position, from the least that hits need on."""
        best = self.units.max(axis=1)
        n = int(best.sum() - self.least_hit) + 1  # what the others may lack of their highest score, and 0
        p = np.zeros((len(best), n))
        p[:, 0] = 1
        for i, lacks in enumerate((best[:, None] - self.units).tolist()):
            after = np.zeros_like(p)
            for lack in lacks:
                after[:, lack:] += p[:, : max(0, n - lack)] / 4
            after[i] = p[i]
            p = after
        table = np.zeros((len(best), n + 1))
        table[:, :n] = np.cumsum(p, axis=1)[:, ::-1]
        return int(self.least_hit) - best, table

    def p_of_substitutions(self, low: Integers, high: Integers) -> Floats:
        """Return P that one random substitution of a random window takes its score from at most low to at least high, [n].

        The position, its base and its new base are equally likely. One direction is counted. high: scores of hits; low < high.
        """
        least, table = self._without_each
        position = np.arange(len(table))[:, None]

        def p(scores: Integers) -> Floats:
            """Return P(the others sum to s or more) [n, W, 4] of sums s after subtracting each base."""
            at = scores[:, None, None] - self.units - least[:, None]
            return table[position, np.clip(at, 0, table.shape[1] - 1)]

        too_high, high_enough = p(low + 1), p(high)
        total = np.zeros(len(low))
        for base in range(4):
            for other in range(4):
                if base != other:
                    total += np.maximum(0, high_enough[..., other] - too_high[..., base]).sum(axis=1)
        return total / (12 * len(table))


def _at_least(units: Integers) -> Floats:
    """Return P(score >= s) of random bases for s from the lowest score on; the last is 0."""
    return np.append(np.cumsum(_probabilities(units)[::-1])[::-1], 0.0)


def _probabilities(units: Integers) -> Floats:
    """Return the probabilities of the scores of random bases, from the lowest on."""
    p = np.ones(1)
    for row in units - units.min(axis=1, keepdims=True):
        after = np.zeros(len(p) + int(row.max()))
        for unit in row.tolist():
            after[unit : unit + len(p)] += p / 4
        p = after
    return p


class MotifSet:
    """Motifs with their scores; a window is a hit if its score is positive, and P of the score up to a threshold."""

    def __init__(self, matrices: Sequence[Matrix], threshold: float = 1e-4) -> None:
        self.names = [matrix.name for matrix in matrices]
        units = [np.rint((np.log2(matrix.p + _PSEUDO) + 2) / UNIT).astype(np.int64) for matrix in matrices]
        self.distributions = [Distribution(of, threshold) for of in units]
        self.least_hits = np.array([of.least_hit for of in self.distributions], dtype=np.float32)
        self.flank = max(map(len, units)) - 1  # bases on either side of a stretch that windows reach
        widths: dict[int, list[int]] = {}
        for number, of in enumerate(units):
            widths.setdefault(len(of), []).append(number)
        self._groups = [
            _Group(width, np.array(numbers), _weights([units[i] for i in numbers])) for width, numbers in widths.items()
        ]

    def best_scores(self, codes: Codes, n: int) -> Units:
        """Return the best score of each motif, on either strand, over the windows that touch n bases: [B, M].

        codes: [B, flank + n + flank]. For n = 0 these are the windows with bases on both sides of the middle. A window with an
        N has no score; -inf without a window.
        """
        best = np.full((len(codes), len(self.names)), -np.inf, dtype=np.float32)
        onehot = np.eye(N + 1, N, dtype=np.float32)[codes]  # [B, L, 4]; nothing at an N
        for width, numbers, weights in self._groups:
            n_windows = width + n - 1
            if n_windows < 1:
                continue
            first = self.flank - width + 1
            part = slice(first, first + n_windows + width - 1)
            letters = onehot[:, part].reshape(len(codes), -1)  # [B, 4 l]
            windows = np.lib.stride_tricks.sliding_window_view(letters, 4 * width, axis=1)[:, ::4]
            is_unknown = np.lib.stride_tricks.sliding_window_view(codes[:, part] >= N, width, axis=1)  # [B, K, W]
            unknown = np.logical_or.reduce(is_unknown, axis=-1)
            size = max(1, _VALUES // (n_windows * weights.shape[1]))
            for i in range(0, len(codes), size):
                scores = windows[i : i + size].reshape(-1, 4 * width) @ weights
                if unknown[i : i + size].any():
                    scores[unknown[i : i + size].ravel()] = -np.inf
                of_strands = scores.reshape(-1, n_windows, weights.shape[1]).max(axis=1)
                best[i : i + size, numbers] = np.maximum(of_strands[:, : len(numbers)], of_strands[:, len(numbers) :])
        return best


def _weights(units: Sequence[Integers]) -> Units:
    """Return the columns of motifs of one width, and then those of their reverse complements, [4 W, 2 n]."""
    columns = [of.ravel() for of in units] + [of[::-1, ::-1].ravel() for of in units]
    return np.stack(columns, axis=1).astype(np.float32)
