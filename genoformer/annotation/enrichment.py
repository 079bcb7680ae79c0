"""Overlaps of variants beside those of matched controls: counts -> fold with its interval, empirical P, q."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CONFIDENCE = 0.95


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
    controls: Integers  # [A, R], overlaps of each resampling

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


class Draws:
    """Controls drawn for variants, one for each from its stratum, again and again.

    Each resampling first draws every stratum of controls anew from itself, with replacement, and then the controls from that:
    the controls are a sample, too, and how well they know the share of a small stratum is part of the chance. Only the
    entries that are drawn are made.
    """

    def __init__(self, variants: Integers, controls: Integers, n_resamplings: int, rng: np.random.Generator) -> None:
        """variants [n] and controls [N]: strata; each stratum of a variant has controls."""
        self.order = np.argsort(controls, kind="stable")
        strata = controls[self.order]
        self.first = np.searchsorted(strata, variants, side="left")
        self.size = np.searchsorted(strata, variants, side="right") - self.first
        assert (self.size > 0).all()
        self.n, self.rng = n_resamplings, rng

    def __iter__(self) -> Iterator[Integers]:
        """The controls (by row) of each resampling, [n]."""
        for _ in range(self.n):
            slot = self.first + self._below(self.size)
            slots, at, back = np.unique(slot, return_index=True, return_inverse=True)
            content = self.first[at] + self._below(self.size[at])
            assert len(slots) == len(content)
            yield self.order[content[back.reshape(-1)]]

    def _below(self, sizes: Integers) -> Integers:
        """A random number from 0 to below each size."""
        return (self.rng.random(len(sizes)) * sizes).astype(np.int64)


def enrich(
    overlaps: Flags, strata: Integers, control_overlaps: Flags, control_strata: Integers, could: Flags,
    *, n_resamplings: int = 1_000, seed: int = 0, members: tuple[Integers, Integers, int] | None = None,
) -> tuple[Enrichment, TraitMatrix | None]:  # fmt: skip
    """Compare n variants with N controls in A annotations.

    overlaps [n, A], strata [n]; control_overlaps [N, A], control_strata [N]: every stratum of a variant has controls. could
    [n, A]: whether the annotation has the contig of a variant, which strata are to keep apart. members: (trait, variant, number
    of traits), pairs of them, for the matrix of traits.

    Observed: variants that overlap. Expected: the sum over variants of the share of overlapping controls in their stratum.
    P: (1 + resamplings with at least as many overlaps) / (1 + resamplings), never 0 (Davison and Hinkley 1997, 4.2). Interval
    of the fold: what is observed varies as a binomial (Clopper and Pearson 1934), what is expected as strata drawn anew.
    """
    rng = np.random.default_rng(seed)
    n_annotations = overlaps.shape[1]
    hits = overlaps & could
    observed = hits.sum(axis=0)
    share, rates = _rates(strata, control_overlaps, control_strata, n_resamplings, rng)
    weights = could.astype(np.float64)
    expected = np.einsum("na,na->a", share, weights)
    controls = np.zeros((n_annotations, n_resamplings), dtype=np.int64)
    matrix = _Members(members, hits, share * weights, could) if members is not None else None
    for r, rows in enumerate(Draws(strata, control_strata, n_resamplings, rng)):
        drawn = control_overlaps[rows] & could
        controls[:, r] = drawn.sum(axis=0)
        if matrix is not None:
            matrix.count(drawn)
    at_least = (controls >= observed[:, None]).sum(axis=1)
    at_most = (controls <= observed[:, None]).sum(axis=1)
    p, p_depletion = ((1 + count) / (1 + n_resamplings) for count in (at_least, at_most))
    low, high = _interval(observed, could.sum(axis=0), rates(could), rng)
    found = Enrichment(
        could.sum(axis=0), observed, expected, low, high, p, p_depletion, benjamini_hochberg(p), controls
    )  # fmt: skip
    return found, matrix.found(n_resamplings) if matrix is not None else None


class _Members:
    """Counts of traits, each over its variants."""

    def __init__(self, members: tuple[Integers, Integers, int], hits: Flags, share: Floats, could: Flags) -> None:
        trait, variant, n_traits = members
        order = np.argsort(trait, kind="stable")
        self.variant, of = variant[order], trait[order]
        self.edges = np.searchsorted(of, np.arange(n_traits))
        self.some = np.bincount(of, minlength=n_traits) > 0
        self.n, self.observed = self._sum(could), self._sum(hits)
        self.expected = self._sum(share)
        self.at_least = np.zeros(self.observed.shape, dtype=np.int64)

    def _sum(self, values: NDArray[Any]) -> NDArray[Any]:
        """[n, A] over the variants of each trait, [T, A]."""
        kind = np.float64 if values.dtype.kind == "f" else np.int64
        sums = np.zeros((len(self.edges), values.shape[1]), dtype=kind)
        sums[self.some] = np.add.reduceat(values[self.variant].astype(kind), self.edges[self.some], axis=0)
        return sums

    def count(self, drawn: Flags) -> None:
        self.at_least += self._sum(drawn) >= self.observed

    def found(self, n_resamplings: int) -> TraitMatrix:
        p = (1 + self.at_least) / (1 + n_resamplings)
        return TraitMatrix(self.n, self.observed, self.expected, p)


def _rates(
    strata: Integers, overlaps: Flags, control_strata: Integers, n: int, rng: np.random.Generator
) -> tuple[Floats, Callable[[Flags], Floats]]:
    """The share of overlapping controls in the stratum of each variant, [n, A], and a function that draws sums of it anew."""
    used, where = np.unique(strata, return_inverse=True)
    at = np.searchsorted(used, control_strata)
    mine = (at < len(used)) & (used[np.minimum(at, len(used) - 1)] == control_strata)
    size = np.bincount(at[mine], minlength=len(used))
    hits = np.stack([np.bincount(at[mine], overlaps[mine, a], minlength=len(used)) for a in range(overlaps.shape[1])], axis=1)
    share = hits / size[:, None]

    def sums(could: Flags) -> Floats:
        """Expected overlaps with every stratum of controls drawn anew, [A, n]."""
        found = np.zeros((overlaps.shape[1], n))
        for a in range(overlaps.shape[1]):
            n_variants = np.bincount(where.reshape(-1)[could[:, a]], minlength=len(used))
            some = (n_variants > 0) & (hits[:, a] > 0)
            drawn = rng.binomial(size[some], share[some, a], size=(n, int(some.sum())))
            found[a] = drawn @ (n_variants[some] / size[some])
        return found

    return share[where.reshape(-1)], sums


def _interval(observed: Integers, n: Integers, expected: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The interval of observed / expected, [A] and [A]; expected [A, R] as drawn anew. Not finite where nothing is expected."""
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.zeros(len(n)), np.zeros(len(n))
    with np.errstate(divide="ignore", invalid="ignore"):
        for a, (hits, total) in enumerate(zip(observed.tolist(), n.tolist(), strict=True)):
            below = rng.beta(hits, total - hits + 1, expected.shape[1]) if hits else np.zeros(expected.shape[1])
            above = rng.beta(hits + 1, total - hits, expected.shape[1]) if hits < total else np.ones(expected.shape[1])
            low[a] = np.nan_to_num(np.percentile(total * below / expected[a], tail), nan=0.0)
            high[a] = np.nan_to_num(np.percentile(total * above / expected[a], 100 - tail), nan=np.inf)
    return low, high


def fold_of(observed: NDArray[Any], expected: Floats) -> Floats:
    """observed / expected; NaN where nothing is expected and nothing observed, infinite where something is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(observed, dtype=np.float64) / expected


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
