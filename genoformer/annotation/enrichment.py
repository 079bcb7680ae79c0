"""Overlaps of variants and of matched controls -> counts -> fold with its interval, empirical P, q."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CONFIDENCE = 0.95
_DRAWS = 10_000  # draws of the ratio; the interval is their quantiles


class Enrichment(NamedTuple):
    """Enrichment of A annotations, each over the variants that it could overlap."""

    n: Integers  # [A], variants
    observed: Integers  # [A], variants that overlap
    expected: Floats  # [A], mean overlaps of the same number of matched controls
    low: Floats  # [A], interval of the fold, observed / expected
    high: Floats  # [A]
    p: Floats  # [A], probability of at least this many overlaps under shuffling
    p_depletion: Floats  # [A], probability of at most this many
    q: Floats  # [A], Benjamini and Hochberg over the annotations
    controls: Integers  # [A, R], overlaps of the controls in each resampling

    @property
    def fold(self) -> Floats:
        """Fold [A], observed / expected; see `overlap_ratio`."""
        return overlap_ratio(self.observed, self.expected)


class TraitMatrix(NamedTuple):
    """Enrichment of T traits in A annotations."""

    n: Integers  # [T, A], variants of the trait
    observed: Integers  # [T, A]
    expected: Floats  # [T, A]
    p: Floats  # [T, A]
    q: Floats  # [T, A], over all cells with an observed or expected overlap; NaN in the others


class Counts(NamedTuple):
    """Numbers of variants and controls in B strata for one annotation, all [B]."""

    variants: Integers
    hits: Integers  # variants that overlap
    controls: Integers
    control_hits: Integers

    @property
    def expected(self) -> float:
        """Mean overlaps of the same number of controls."""
        return float((self.variants * self.control_hits / self.controls).sum())

    def drawn(self, n: int, rng: np.random.Generator) -> Integers:
        """Return the overlaps [n] of n control sets: one control per variant, drawn from its stratum with replacement."""
        some = self.control_hits > 0
        shares = self.control_hits[some] / self.controls[some]
        return rng.binomial(self.variants[some], shares, size=(n, int(some.sum()))).sum(axis=1)

    def shuffled(self, n: int, rng: np.random.Generator) -> Integers:
        """Return the overlaps [n] of the variants after n shuffles of variants and controls within each stratum."""
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
    [n, A]: True if the annotation has the contig of a variant; strata must separate such variants from the others.

    Observed: number of overlapping variants. Expected: sum over variants of the fraction of overlapping controls in their
    stratum. P: variants and controls are shuffled within each stratum n_resamplings times; P = (1 + shuffles with at least as
    many overlaps) / (1 + shuffles), never 0 (Davison and Hinkley 1997, 4.3), and valid for any number of controls. Interval:
    `ratio_interval`. q: over the annotations with an observed or expected overlap; NaN for the others.
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
        columns.append((int(counts.variants.sum()), observed, counts.expected, *ratio_interval(counts, rng), p, p_depletion))
    n, observed_all, expected, low, high, p_all, p_less = (np.array(column) for column in zip(*columns, strict=True))
    q = q_values(p_all, (expected > 0) | (observed_all > 0))
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
    """Compare the variants of each trait with their controls, as in `enrich`; P is 1 in a cell without overlaps.

    members: trait and variant of each pair, and the number of traits.
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
        members_of_trait = variant[order[edges[t] : edges[t + 1]]]
        rows = members_of_trait[could[members_of_trait, a]]
        counts = known.counts(rows, overlaps[:, a], a)
        n[t, a], observed[t, a], expected[t, a] = len(rows), counts.hits.sum(), counts.expected
        if observed[t, a]:
            p[t, a] = (1 + (counts.shuffled(n_resamplings, rng) >= observed[t, a]).sum()) / (1 + n_resamplings)
    q = q_values(p.reshape(-1), ((expected > 0) | (observed > 0)).reshape(-1)).reshape(shape)
    return TraitMatrix(n, observed, expected, p, q)


class _Strata(NamedTuple):
    """Stratum of each variant, and numbers of controls per stratum."""

    stratum: Integers  # [n], index of one of B strata
    controls: Integers  # [B]
    control_hits: Integers  # [B, A]

    def counts(self, rows: Integers, overlaps: Flags, annotation: int) -> Counts:
        """Return the counts for some variants in one annotation; strata without these variants are left out."""
        variants = np.bincount(self.stratum[rows], minlength=len(self.controls))
        hits = np.bincount(self.stratum[rows], overlaps[rows], minlength=len(self.controls)).astype(np.int64)
        some = variants > 0
        return Counts(variants[some], hits[some], self.controls[some], self.control_hits[some, annotation])

    @classmethod
    def of_controls(cls, strata: Integers, overlaps: Flags, control_strata: Integers) -> _Strata:
        """Build the strata of variants; controls in other strata are ignored."""
        used, where = np.unique(strata, return_inverse=True)
        at = np.minimum(np.searchsorted(used, control_strata), len(used) - 1)
        inside = used[at] == control_strata
        hits = [np.bincount(at[inside], overlaps[inside, a], minlength=len(used)) for a in range(overlaps.shape[1])]
        size = np.bincount(at[inside], minlength=len(used))
        assert (size > 0).all()
        return cls(where.reshape(-1), size, np.stack(hits, axis=1).astype(np.int64))


def ratio_interval(counts: Counts, rng: np.random.Generator) -> tuple[float, float]:
    """Return the interval of observed / expected, from quantiles of draws of the ratio.

    Observed: the binomial of Clopper and Pearson (1934). Expected: a sum of control counts, weighted with variants / controls
    of each stratum; its distribution is the gamma of Fay and Feuer (1997), whose upper end is widened by the mean weight
    (Tiwari et al. 2006). The high end is infinite if no control overlaps.
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
    """Draw n values of a gamma distribution; all equal the mean if the variance is 0."""
    return rng.gamma(mean**2 / variance, variance / mean, n) if variance else np.full(n, mean)


def overlap_ratio(observed: NDArray[Any], expected: Floats) -> Floats:
    """Return observed / expected; if nothing is expected, NaN for no observed overlap, else infinite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(observed, dtype=np.float64) / expected


def q_values(p: Floats, tested: Flags) -> Floats:
    """Return q for the tested cells and NaN for the others."""
    q = np.full(len(p), np.nan)
    q[tested] = benjamini_hochberg(p[tested])
    return q


def benjamini_hochberg(p: Floats) -> Floats:
    """Return q for each P (Benjamini and Hochberg 1995).

    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.5])).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    order = np.argsort(p)[::-1]
    n = len(p)
    scaled = p[order] * n / np.arange(n, 0, -1)
    q = np.empty(n)
    q[order] = np.minimum(np.minimum.accumulate(scaled), 1)
    return q
