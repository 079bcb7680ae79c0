"""Overlaps of variants beside those of matched controls: counts -> fold with its interval, empirical P, q."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CONFIDENCE = 0.95
_DRAWS = 10_000  # of the ratio whose quantiles are the interval


class Enrichment(NamedTuple):
    """A annotations, each over the variants that it could overlap."""

    n: Integers  # [A], variants
    observed: Integers  # [A], variants that overlap
    expected: Floats  # [A], what as many matched controls have in the mean
    low: Floats  # [A], of the fold, observed / expected
    high: Floats  # [A]
    p: Floats  # [A], of at least so many overlaps among controls
    p_depletion: Floats  # [A], of at most so many
    q: Floats  # [A], by Benjamini and Hochberg over the annotations
    controls: Integers  # [A, R], overlaps of the controls of each resampling

    @property
    def fold(self) -> Floats:
        """[A]; NaN where nothing is expected."""
        return fold_of(self.observed, self.expected)


class TraitMatrix(NamedTuple):
    """Traits by annotations."""

    n: Integers  # [T, A], variants of the trait
    observed: Integers  # [T, A]
    expected: Floats  # [T, A]
    p: Floats  # [T, A]
    q: Floats  # [T, A], over all cells in which something overlaps; NaN in the others


class Counts(NamedTuple):
    """Variants and controls of B strata in one annotation, all [B]."""

    variants: Integers
    hits: Integers  # variants that overlap
    controls: Integers
    control_hits: Integers

    @property
    def expected(self) -> float:
        """What as many controls have in the mean."""
        return float((self.variants * self.control_hits / self.controls).sum())

    def drawn(self, n: int, rng: np.random.Generator) -> Integers:
        """Overlaps of controls, of which one is drawn for each variant from its stratum, with replacement, [n]."""
        some = self.control_hits > 0
        shares = self.control_hits[some] / self.controls[some]
        return rng.binomial(self.variants[some], shares, size=(n, int(some.sum()))).sum(axis=1)

    def shuffled(self, n: int, rng: np.random.Generator) -> Integers:
        """Overlaps of the variants when variants and controls of a stratum change places at random, [n]."""
        every = self.hits + self.control_hits
        some = (every > 0) & (self.variants > 0)
        others = (self.variants + self.controls - every)[some]
        return rng.hypergeometric(every[some], others, self.variants[some], size=(n, int(some.sum()))).sum(axis=1)


def enrich(
    overlaps: Flags,
    strata: Integers,
    control_overlaps: Flags,
    control_strata: Integers,
    could: Flags,
    *,
    n_resamplings: int = 1_000,
    seed: int = 0,
) -> Enrichment:
    """Compare n variants with N controls in A annotations.

    overlaps [n, A], strata [n]; control_overlaps [N, A], control_strata [N]: every stratum of a variant has controls. could
    [n, A]: whether the annotation has the contig of a variant, which strata are to keep apart.

    Observed: variants that overlap. Expected: the sum over variants of the share of overlapping controls in their stratum.
    P: variants and controls of each stratum are shuffled, n_resamplings times; (1 + shuffles with at least as many overlaps) /
    (1 + shuffles), never 0 (Davison and Hinkley 1997, 4.3): however few the controls, it is a P. Interval: `interval_of`. q is
    over the annotations in which something overlaps, and NaN for the others.
    """
    rng = np.random.default_rng(seed)
    n_annotations = overlaps.shape[1]
    controls = np.zeros((n_annotations, n_resamplings), dtype=np.int64)
    known = _Strata.of_controls(strata, control_overlaps, control_strata)
    columns = []
    for a in range(n_annotations):
        counts = known.counts(np.flatnonzero(could[:, a]), overlaps[:, a], a)
        controls[a] = counts.drawn(n_resamplings, rng)
        observed = int(counts.hits.sum())
        shuffled = counts.shuffled(n_resamplings, rng)
        p, p_depletion = ((1 + int(side.sum())) / (1 + n_resamplings) for side in (shuffled >= observed, shuffled <= observed))
        columns.append((int(counts.variants.sum()), observed, counts.expected, *interval_of(counts, rng), p, p_depletion))
    n, observed_all, expected, low, high, p_all, p_less = (np.array(column) for column in zip(*columns, strict=True))
    q = q_of(p_all, (expected > 0) | (observed_all > 0))
    return Enrichment(n, observed_all, expected, low, high, p_all, p_less, q, controls)


def enrich_traits(
    overlaps: Flags,
    strata: Integers,
    control_overlaps: Flags,
    control_strata: Integers,
    could: Flags,
    members: tuple[Integers, Integers, int],
    *,
    n_resamplings: int = 1_000,
    seed: int = 0,
) -> TraitMatrix:
    """Each trait beside the controls of its variants, as `enrich` does; P of a cell without overlaps is 1.

    members: (trait, variant, number of traits), pairs of them.
    """
    rng = np.random.default_rng([seed, 1])
    known = _Strata.of_controls(strata, control_overlaps, control_strata)
    trait, variant, n_traits = members
    order = np.argsort(trait, kind="stable")
    edges = np.searchsorted(trait[order], np.arange(n_traits + 1))
    shape = (n_traits, overlaps.shape[1])
    n, observed = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    expected, p = np.zeros(shape), np.ones(shape)
    for t, a in np.ndindex(shape):
        mine = variant[order[edges[t] : edges[t + 1]]]
        rows = mine[could[mine, a]]
        counts = known.counts(rows, overlaps[:, a], a)
        n[t, a], observed[t, a], expected[t, a] = len(rows), counts.hits.sum(), counts.expected
        if observed[t, a]:
            p[t, a] = (1 + (counts.shuffled(n_resamplings, rng) >= observed[t, a]).sum()) / (1 + n_resamplings)
    q = q_of(p.reshape(-1), ((expected > 0) | (observed > 0)).reshape(-1)).reshape(shape)
    return TraitMatrix(n, observed, expected, p, q)


class _Strata(NamedTuple):
    """The stratum of each variant, and the controls of each."""

    of: Integers  # [n], of B
    controls: Integers  # [B]
    control_hits: Integers  # [B, A]

    def counts(self, rows: Integers, overlaps: Flags, annotation: int) -> Counts:
        """Of some variants in one annotation; strata without any of them are left out."""
        variants = np.bincount(self.of[rows], minlength=len(self.controls))
        hits = np.bincount(self.of[rows], overlaps[rows], minlength=len(self.controls)).astype(np.int64)
        some = variants > 0
        return Counts(variants[some], hits[some], self.controls[some], self.control_hits[some, annotation])

    @classmethod
    def of_controls(cls, strata: Integers, overlaps: Flags, control_strata: Integers) -> _Strata:
        """Of variants in some strata, and of controls in those and others."""
        used, where = np.unique(strata, return_inverse=True)
        at = np.minimum(np.searchsorted(used, control_strata), len(used) - 1)
        mine = used[at] == control_strata
        hits = [np.bincount(at[mine], overlaps[mine, a], minlength=len(used)) for a in range(overlaps.shape[1])]
        size = np.bincount(at[mine], minlength=len(used))
        assert (size > 0).all()
        return cls(where.reshape(-1), size, np.stack(hits, axis=1).astype(np.int64))


def interval_of(counts: Counts, rng: np.random.Generator) -> tuple[float, float]:
    """The interval of observed / expected: quantiles of draws of a ratio.

    What is observed: the binomial of Clopper and Pearson (1934). What is expected is a sum of counts of controls with weights,
    variants / controls of each stratum: the gamma of Fay and Feuer (1997), widened at the upper end by the mean weight (Tiwari
    et al. 2006). The high end is infinite where no control overlaps.
    """
    n, total, hits = _DRAWS, int(counts.variants.sum()), int(counts.hits.sum())
    if not total:
        return 0.0, np.inf
    tail = 50 * (1 - CONFIDENCE)
    weights = counts.variants / counts.controls
    mean = float((weights * counts.control_hits).sum())
    variance = float((weights**2 * counts.control_hits * (1 - counts.control_hits / counts.controls)).sum())
    low = high = 0.0
    if hits:
        above = _gamma(mean + weights.mean(), variance + float((weights**2).mean()), n, rng)
        low = float(np.percentile(total * rng.beta(hits, total - hits + 1, n) / above, tail))
    if not mean:
        return low, np.inf
    observed = rng.beta(hits + 1, total - hits, n) if hits < total else np.ones(n)
    with np.errstate(divide="ignore"):
        high = float(np.percentile(total * observed / _gamma(mean, variance, n, rng), 100 - tail))
    return low, high


def _gamma(mean: float, variance: float, n: int, rng: np.random.Generator) -> Floats:
    """Draws of a gamma distribution; of the mean itself where it does not vary."""
    return rng.gamma(mean**2 / variance, variance / mean, n) if variance else np.full(n, mean)


def fold_of(observed: NDArray[Any], expected: Floats) -> Floats:
    """observed / expected; NaN where nothing is expected and nothing observed, infinite where something is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(observed, dtype=np.float64) / expected


def q_of(p: Floats, tested: Flags) -> Floats:
    """q of those that were tested, NaN of the others."""
    q = np.full(len(p), np.nan)
    q[tested] = benjamini_hochberg(p[tested])
    return q


def benjamini_hochberg(p: Floats) -> Floats:
    """q of each P (Benjamini and Hochberg 1995).

    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.5])).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    order = np.argsort(p)[::-1]
    n = len(p)
    scaled = p[order] * n / np.arange(n, 0, -1)
    q = np.empty(n)
    q[order] = np.minimum(np.minimum.accumulate(scaled), 1)
    return q
