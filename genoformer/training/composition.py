"""Composition: GC, CpG, 4-mers and motifs in and around each bin -> tracks, by ridge regression: one more teacher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.datasets.track_set import TrackSet
from genoformer.formats.motif_matrix import Matrix
from genoformer.genome.codes import Codes
from genoformer.genome.minhash import canonical_kmers

WIDTHS = (1, 3, 5, 9, 17, 65)  # bins over which GC and CpG are averaged; 65 bins of 128 bases are 8 kb
K, WIDTHS_OF_KMERS, WIDTHS_OF_MOTIFS = 4, (1, 5, 17, 65), (1, 3, 17)
WEAK, STRONG = 0.6, 0.85  # scores of hits, as fractions of the best possible score of a motif
_LEAST = 0.01  # probability of a base of a motif
_PENALTY = 30_000.0  # of squared weights, for features of variance 1 and the sum over all bins

Floats = NDArray[np.float64]


def composition(codes: Codes, data: TrackSet, motifs: Sequence[Matrix] = ()) -> Floats:
    """Return the features [N, F] of the middle bins of a sequence [L], which is as long as the windows of a set.

    They are the fractions of GC and of CpG, their product and the square of CpG, averaged over WIDTHS bins around each bin, and
    the frequencies of 4-mers, of both strands together, over WIDTHS_OF_KMERS bins; with motifs also `motif_hits` over
    WIDTHS_OF_MOTIFS bins. Bases after the last whole bin do not count.
    """
    n, size = len(codes) // data.bin_size, data.bin_size
    whole = codes[: n * size]
    gc = np.isin(whole, (1, 2)).reshape(n, size).mean(1)
    cpg = np.append((whole[:-1] == 1) & (whole[1:] == 2), False).reshape(n, size).mean(1)
    bins = np.stack([gc, cpg, gc * cpg, cpg**2], axis=1)  # [T, 4]
    kmers, is_known = canonical_kmers(whole, K)
    kinds = _kinds(K)
    cells = np.arange(len(kmers)) // size * len(kinds) + np.searchsorted(kinds, kmers)
    counts = np.bincount(cells[is_known], minlength=n * len(kinds)).reshape(n, -1) / size  # [T, 136]
    features = [_mean_around(bins, width) for width in WIDTHS] + [_mean_around(counts, width) for width in WIDTHS_OF_KMERS]
    if motifs:
        hits = motif_hits(whole, size, motifs)
        features += [_mean_around(hits, width) for width in WIDTHS_OF_MOTIFS]
    return np.concatenate(features, axis=1)[data.first_bin : data.first_bin + data.n_bins]


def motif_hits(codes: Codes, bin_size: int, motifs: Sequence[Matrix]) -> Floats:
    """Return two features of the best hit of each motif in each bin, on either strand: codes [L] -> [T, 2 M].

    The score of a hit is the sum of its log-odds, as a fraction of the best possible sum. The features are the score above
    WEAK, or 0, and 1 for a score above STRONG. A hit is in the bin of its middle; a base N has log-odds of -2.
    """
    n = len(codes) // bin_size
    found = np.zeros((n, 2 * len(motifs)))
    for i, (_, p, _) in enumerate(motifs):
        odds = np.log2(np.maximum(p, _LEAST) / 0.25)  # [W, 4]
        width = len(odds)
        scores = np.full(n * bin_size, -np.inf, dtype=np.float32)
        if width > len(codes):
            continue
        middle = slice(width // 2, width // 2 + len(codes) - width + 1)
        for strand in (odds, odds[::-1, ::-1]):
            table = np.pad(strand, ((0, 0), (0, 1)), constant_values=-2.0).astype(np.float32)
            sums = sum(row[codes[j : len(codes) - width + 1 + j]] for j, row in enumerate(table))
            scores[middle] = np.maximum(scores[middle], sums)
        best = scores.reshape(n, bin_size).max(1) / odds.max(1).sum()
        found[:, 2 * i], found[:, 2 * i + 1] = np.maximum(best - WEAK, 0), best > STRONG
    return found


class CompositionRidge(NamedTuple):
    """Ridge regression of tracks on composition: weights [F, K] of features minus their mean [F], and the level [K]."""

    mean: Floats
    weights: Floats
    level: Floats
    motifs: Sequence[Matrix] = ()

    @classmethod
    def fit(
        cls, data: TrackSet, to_scale: Callable[[Any], Any], motifs: Sequence[Matrix] = (), penalty: float = _PENALTY
    ) -> CompositionRidge:
        """Fit the tracks, on a scale, of the training windows of a set; memory does not grow with their number."""
        n, moments = 0, list[Any]([0.0] * 4)
        for row in data.rows("train"):
            x = composition(np.asarray(data.sequence[row]), data, motifs)  # [N, F]
            y = to_scale(data.tracks[row].astype(np.float64)).T  # [N, K]
            n += len(x)
            moments = [total + more for total, more in zip(moments, (x.sum(0), y.sum(0), x.T @ x, x.T @ y), strict=True)]
        mean, level = moments[0] / n, moments[1] / n
        xx, xy = moments[2] - n * np.outer(mean, mean), moments[3] - n * np.outer(mean, level)
        spread = np.sqrt(np.maximum(np.diag(xx) / n, 1e-12))
        scaled = xx / np.outer(spread, spread) + penalty * np.eye(len(spread))
        return cls(mean, np.linalg.solve(scaled, xy / spread[:, None]) / spread[:, None], level, motifs)

    def predict(self, codes: Codes, data: TrackSet) -> NDArray[np.float32]:
        """Return the predicted tracks [K, N] of the middle of a sequence [L], on the scale of the fit, at least 0."""
        found = (composition(codes, data, self.motifs) - self.mean) @ self.weights + self.level
        return np.maximum(found.T, 0).astype(np.float32)


@cache
def _kinds(k: int) -> NDArray[np.uint64]:
    """Return the numbers of all k-mers, each of which is the smaller one of its two strands, in order."""
    every = (np.arange(4**k)[:, None] >> (2 * np.arange(k))) & 3
    return np.unique(np.concatenate([canonical_kmers(word.astype(np.uint8), k)[0] for word in every]))


def _mean_around(values: Floats, width: int) -> Floats:
    """Return the means of `width` rows around each row of [T, F]; beyond the ends there are none."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(0)])
    middle = np.arange(len(values))
    first, last = np.maximum(middle - width // 2, 0), np.minimum(middle + width // 2 + 1, len(values))
    return np.asarray((sums[last] - sums[first]) / (last - first)[:, None])
