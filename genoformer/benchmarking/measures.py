"""Scores and the truth of a benchmark -> its published metrics, on the items and on bootstrap samples of them.

Each measure takes the scores [N], NaN for none, of a `TruthSet`, and returns `Draws`. The bootstrap samples depend only on the
set, the number of samples and the seed, so that the difference of two models is that of their draws (paired bootstrap).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from genoformer.benchmarking.truth_set import Bools, Floats, Ints, TruthSet
from genoformer.evaluation import weighted
from genoformer.evaluation.intervals import Estimate, estimate, resamplings

ALL = "all"
FEWEST = 10  # items of a subset
_FEWEST_PAIRS = 30  # in a mean over subsets, as in the leaderboard of matched pairs
AG_TEST = frozenset(
    {"3", "6", "9", "12", "16", "18", "19", "21"}
)  # AlphaGenome's test chromosomes, of its supplementary table 4
_EDGES = ((0.0, 1e4, "< 10 kb"), (1e4, 1e5, "10 kb to 100 kb"), (1e5, math.inf, ">= 100 kb"))


class Draws(NamedTuple):
    """A metric of a subset: values[0] on its n items, the others on bootstrap samples.

    se: standard error by the formula of the benchmark's authors, if they have one; the interval is then value +- 1.96 se.
    """

    metric: str
    subset: str
    n: int
    values: Floats  # [1 + samples]
    se: float | None = None

    @property
    def interval(self) -> Estimate:
        """Value with its 95 % interval."""
        if self.se is None:
            return estimate(self.values)
        value = float(self.values[0])
        return Estimate(value, value - 1.96 * self.se, value + 1.96 * self.se)


class Sampling(NamedTuple):
    """Number of bootstrap samples, and their seed."""

    n: int = 1000
    seed: int = 0


Measure = Callable[[TruthSet, Floats, Sampling], list[Draws]]


def _blocks(strata: Ints, sampling: Sampling) -> Iterator[Floats]:
    return resamplings(strata, sampling.n, sampling.seed)


def _areas(score: Floats, label: Bools, subset: str, sampling: Sampling, names: tuple[str, str]) -> list[Draws]:
    """Return average precision and AUROC of a score, with samples within each class."""
    if label.all() or not label.any():
        return []
    parts = [weighted.ranking(weights, label, score) for weights in _blocks(label.astype(np.int64), sampling)]
    auroc, auprc = (np.concatenate(values) for values in zip(*parts, strict=True))
    return [Draws(names[0], subset, len(label), auprc), Draws(names[1], subset, len(label), auroc)]


def _label(truth: TruthSet) -> Bools:
    assert truth.label is not None
    return truth.label


def _effect(truth: TruthSet) -> Floats:
    assert truth.effect is not None
    return truth.effect


# --- labelled variants


def by_chromosome(truth: TruthSet, values: Floats, sampling: Sampling) -> list[Draws]:
    """Return TraitGym's metric: average precision of each chromosome, weighted by its number of variants.

    Its samples draw chromosomes, as those of the authors (get_metric_by_block_weighted_average in workflow/rules/model.smk). A
    chromosome without a positive or without a negative variant does not count. AUPRC and AUROC of all variants follow, of
    samples within each class, and the first metric of each consequence with ten positive variants or more.
    """
    label, subsets = _label(truth), np.array(truth.subset)
    draws = _of_blocks(truth, values, ALL, sampling) + _areas(values, label, ALL, sampling, ("AUPRC", "AUROC"))
    for subset in dict.fromkeys(truth.subset):
        rows = subsets == subset
        if min(label[rows].sum(), (~label[rows]).sum()) >= FEWEST:
            draws += _of_blocks(truth.take(rows), values[rows], str(subset), sampling)
    return draws


def _of_blocks(truth: TruthSet, values: Floats, subset: str, sampling: Sampling) -> list[Draws]:
    """Return the average precision of each chromosome, weighted by its number of variants."""
    label, chroms = _label(truth), np.array(truth.chrom)
    sizes, precisions = [], []
    for chrom in np.unique(chroms):
        rows = chroms == chrom
        if 0 < label[rows].sum() < rows.sum():
            unit = np.ones((1, int(rows.sum())))
            precisions.append(float(weighted.ranking(unit, label[rows], values[rows])[1][0]))
            sizes.append(float(rows.sum()))
    if not sizes:
        return []
    n, x = np.array(sizes), np.array(precisions)
    weights = np.concatenate(list(_blocks(np.zeros(len(n), dtype=np.int64), sampling)))
    return [Draws("AUPRC by chromosome", subset, len(truth), (weights * n * x).sum(1) / (weights * n).sum(1))]


def areas(truth: TruthSet, values: Floats, sampling: Sampling) -> list[Draws]:
    """Return AUROC and AUPRC of all variants and of each subset with both labels."""
    label = _label(truth)
    draws = _areas(values, label, ALL, sampling, ("AUPRC", "AUROC"))
    subsets = np.array(truth.subset)
    for subset in dict.fromkeys(truth.subset):
        rows = subsets == subset
        if min(label[rows].sum(), (~label[rows]).sum()) >= FEWEST:
            draws += _areas(values[rows], label[rows], subset, sampling, ("AUPRC", "AUROC"))
    return draws


def pairwise(truth: TruthSet, values: Floats, sampling: Sampling) -> list[Draws]:
    """Return the fraction of matched pairs in which the positive variant scores higher, ties half, with its standard error.

    The standard error is that of a binomial fraction, sqrt(p (1 - p) / n); that of the mean over subsets of at least 30 pairs
    is sqrt(sum of squares) / number (marin-dna, evals/metrics.py). Groups that lack a score are left out.
    """
    label = _label(truth)
    positive, negative, subset = dict[str, int](), dict[str, int](), dict[str, str]()
    for i, group in enumerate(truth.group):
        (positive if label[i] else negative)[group] = i
        subset[group] = truth.subset[i] if truth.subset else ALL
    groups = [group for group in positive if group in negative]
    wins = np.array([np.sign(values[positive[g]] - values[negative[g]]) / 2 + 0.5 for g in groups])
    of_group = np.array([subset[g] for g in groups])
    if not len(groups):
        return []
    draws = [_accuracy(ALL, wins, sampling)]
    for name in dict.fromkeys(of_group.tolist()):
        if name != ALL and (of_group == name).sum() >= FEWEST:
            draws.append(_accuracy(str(name), wins[of_group == name], sampling))
    large = [one for one in draws[1:] if one.n >= _FEWEST_PAIRS]
    if large:
        mean = np.mean([one.values for one in large], axis=0)
        se = math.sqrt(sum((one.se or 0.0) ** 2 for one in large)) / len(large)
        draws.append(Draws("pairwise accuracy", "mean of subsets", sum(one.n for one in large), mean, se))
    return draws


def _accuracy(subset: str, wins: Floats, sampling: Sampling) -> Draws:
    weights = _blocks(np.zeros(len(wins), dtype=np.int64), sampling)
    values = np.concatenate([w @ wins / w.sum(1) for w in weights])
    p = float(values[0])
    return Draws("pairwise accuracy", subset, len(wins), values, math.sqrt(p * (1 - p) / len(wins)))


def causality_and_direction(truth: TruthSet, values: Floats, sampling: Sampling) -> list[Draws]:
    """Return auPRC of |score| for QTLs against controls, and Pearson's r of score and effect over the QTLs.

    The protocol of ChromBPNet and AlphaGenome (its supplementary table 4 has AlphaGenome's test chromosomes: 3, 6, 9, 12, 16,
    18, 19, 21, here a subset). Spearman's correlation is added.
    """
    draws = []
    for name, rows in ((ALL, np.ones(len(truth), dtype=bool)), ("test of AlphaGenome", np.isin(truth.chrom, list(AG_TEST)))):
        label = _label(truth)[rows]
        if min(label.sum(), (~label).sum()) < FEWEST:
            continue
        draws += _areas(np.abs(values[rows]), label, name, sampling, ("AUPRC of |score|", "AUROC of |score|"))
        effect = _effect(truth)[rows]
        known = label & np.isfinite(effect)
        if known.sum() >= FEWEST:
            draws += _correlations(values[rows][known], effect[known], name, sampling, sizes=False)
    return draws


# --- measured effects


def _correlations(
    score: Floats, effect: Floats, subset: str, sampling: Sampling, *, sizes: bool, suffix: str = ""
) -> list[Draws]:
    """Return Pearson's and Spearman's correlation, and with `sizes` that of |score| and |effect|."""
    found: dict[str, list[Floats]] = {}
    for weights in _blocks(np.zeros(len(score), dtype=np.int64), sampling):
        rows = {
            "Spearman": weighted.pearson(weights, weighted.ranks(weights, score), weighted.ranks(weights, effect)),
            "Pearson": weighted.pearson(weights, score, effect),
        }
        if sizes:
            x, y = np.abs(score), np.abs(effect)
            rows["Spearman of sizes"] = weighted.pearson(weights, weighted.ranks(weights, x), weighted.ranks(weights, y))
        for name, values in rows.items():
            found.setdefault(name, []).append(values)
    return [Draws(name + suffix, subset, len(score), np.concatenate(parts)) for name, parts in found.items()]


def by_element(truth: TruthSet, values: Floats, sampling: Sampling) -> list[Draws]:
    """Return Spearman's and Pearson's correlation of score and effect in each element, and their means over the elements.

    Samples draw the variants of an element; those of the mean draw elements.
    """
    return _with_mean(_of_elements(truth, values, np.ones(len(truth), dtype=bool), sampling, ""), sampling)


def of_challenge(truth: TruthSet, values: Floats, sampling: Sampling) -> list[Draws]:
    """Return the correlations of `by_element` for all substitutions, and for those with a confidence of 0.1 or more."""
    draws = by_element(truth, values, sampling)
    sure = np.zeros(len(truth), dtype=bool) if truth.confidence is None else np.nan_to_num(truth.confidence) >= 0.1
    return draws + _with_mean(_of_elements(truth, values, sure, sampling, ", confident"), sampling)


def _of_elements(truth: TruthSet, values: Floats, rows: Bools, sampling: Sampling, suffix: str) -> list[Draws]:
    elements, effect, draws = np.array(truth.subset), _effect(truth), list[Draws]()
    for element in dict.fromkeys(truth.subset):
        here = rows & (elements == element)
        if here.sum() >= FEWEST:
            draws += _correlations(values[here], effect[here], str(element), sampling, sizes=True, suffix=suffix)
    return draws


def _with_mean(draws: list[Draws], sampling: Sampling) -> list[Draws]:
    """Return the draws, and before them the mean of each metric over the elements; an undefined element does not count."""
    means = []
    for metric in dict.fromkeys(one.metric for one in draws):
        of_metric = [one for one in draws if one.metric == metric]
        x = np.array([one.values[0] for one in of_metric])
        known = np.isfinite(x)
        if known.sum() < 2:
            continue
        weights = np.concatenate(list(_blocks(np.zeros(len(x), dtype=np.int64), sampling))) * known
        mean = weighted.ratio(weights @ np.where(known, x, 0), weights.sum(1))
        means.append(Draws(metric, "mean of elements", sum(one.n for one in of_metric), mean))
    return means + draws


# --- enhancer-gene pairs


def by_distance(truth: TruthSet, values: Floats, sampling: Sampling) -> list[Draws]:
    """Return AUPRC and AUROC of all pairs and by distance to the TSS: below 10 kb, to 100 kb, and above (our limits)."""
    label = _label(truth)
    draws = _areas(values, label, ALL, sampling, ("AUPRC", "AUROC"))
    assert truth.distance is not None
    for low, high, name in _EDGES:
        rows = (truth.distance >= low) & (truth.distance < high)
        if min(label[rows].sum(), (~label[rows]).sum()) >= FEWEST:
            draws += _areas(values[rows], label[rows], name, sampling, ("AUPRC", "AUROC"))
    return draws
