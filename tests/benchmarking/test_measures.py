"""Metrics of benchmarks against scikit-learn, scipy and naive loops; intervals and paired samples."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from genoformer.benchmarking import measures
from genoformer.benchmarking.measures import Draws, Sampling
from genoformer.benchmarking.truth_set import Allele, TruthSet, variant_set

FEW = Sampling(50, 0)
random = np.random.default_rng(0)


def labelled(n: int = 400, seed: int = 0, **fields) -> tuple[TruthSet, np.ndarray]:
    own = np.random.default_rng(seed)
    label = own.random(n) < 0.2
    alleles = [Allele(str(own.integers(1, 6)), i + 1, "A", "G") for i in range(n)]
    values = np.round(own.normal(size=n) + 0.8 * label, 1)  # with ties
    return variant_set(alleles, label=label, **fields), values


def found(draws: list[Draws]) -> dict[tuple[str, str], Draws]:
    return {(one.metric, one.subset): one for one in draws}


def test_auprc_by_chromosome_is_the_mean_weighted_by_variants() -> None:
    truth, values = labelled()
    draws = found(measures.by_chromosome(truth, values, FEW))
    chroms, total = np.array(truth.chrom), 0.0
    for chrom in set(truth.chrom):
        rows = chroms == chrom
        total += rows.sum() / len(truth) * average_precision_score(truth.label[rows], values[rows])
    assert draws["AUPRC by chromosome", "all"].values[0] == pytest.approx(total)
    assert draws["AUPRC", "all"].values[0] == pytest.approx(average_precision_score(truth.label, values))
    assert draws["AUROC", "all"].values[0] == pytest.approx(roc_auc_score(truth.label, values))
    for one in draws.values():
        assert one.values.shape == (51,)
        assert one.interval.low < one.interval.value < one.interval.high


def test_a_chromosome_without_a_positive_variant_does_not_count() -> None:
    truth, values = labelled(100)
    label = truth.label & (np.array(truth.chrom) != "3")
    changed = variant_set(truth.alleles, label=label)
    rows = np.array(truth.chrom) != "3"
    expected = measures.by_chromosome(changed.take(rows), values[rows], FEW)[0].values[0]
    assert measures.by_chromosome(changed, values, FEW)[0].values[0] == pytest.approx(expected)


def test_auprc_by_chromosome_of_each_consequence() -> None:
    truth, values = labelled()
    subset = tuple("intron" if i % 2 else "5_prime_UTR" if i % 40 else "rare" for i in range(len(truth)))
    draws = found(measures.by_chromosome(variant_set(truth.alleles, label=truth.label, subset=subset), values, FEW))
    rows = np.array(subset) == "intron"
    alone = found(measures.by_chromosome(truth.take(rows), values[rows], FEW))["AUPRC by chromosome", "all"]
    assert draws["AUPRC by chromosome", "intron"].values == pytest.approx(alone.values)
    assert {name for metric, name in draws if metric == "AUPRC by chromosome"} == {"all", "intron", "5_prime_UTR"}


def test_samples_of_chromosomes_weight_their_precision() -> None:
    """Each sample is a weighted mean of the chromosomes' precisions, so that it lies between them."""
    truth, values = labelled()
    chroms = np.array(truth.chrom)
    each = [average_precision_score(truth.label[chroms == c], values[chroms == c]) for c in set(truth.chrom)]
    draws = measures.by_chromosome(truth, values, Sampling(300, 1))[0].values
    assert min(each) - 1e-9 <= draws.min()
    assert draws.max() <= max(each) + 1e-9
    assert draws[1:].std() > 0


def test_pairwise_accuracy_counts_ties_half_and_has_the_binomial_error() -> None:
    n = 90
    alleles = [Allele(str(i % 5), i, "A", "G") for i in range(2 * n)]
    subset = tuple("distal" if i < 2 * 60 else "promoter" for i in range(2 * n))
    truth = variant_set(
        alleles, label=np.arange(2 * n) % 2 == 0, group=tuple(f"g{i // 2}" for i in range(2 * n)), subset=subset
    )
    values = np.round(random.normal(size=2 * n) + (np.arange(2 * n) % 2 == 0), 0)
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in zip(values[::2], values[1::2], strict=True)]
    draws = found(measures.pairwise(truth, values, FEW))
    one = draws["pairwise accuracy", "all"]
    p = np.mean(wins)
    assert one.values[0] == pytest.approx(p)
    assert one.se == pytest.approx(math.sqrt(p * (1 - p) / n))
    assert one.interval.low == pytest.approx(p - 1.96 * one.se)
    distal, promoter = np.mean(wins[:60]), np.mean(wins[60:])
    mean = draws["pairwise accuracy", "mean of subsets"]
    assert mean.values[0] == pytest.approx((distal + promoter) / 2)
    errors = [draws["pairwise accuracy", name].se for name in ("distal", "promoter")]
    assert mean.se == pytest.approx(math.sqrt(errors[0] ** 2 + errors[1] ** 2) / 2)


def test_qtl_metrics_are_of_sizes_for_all_and_of_signs_for_positives() -> None:
    truth, values = labelled(300)
    effect = np.where(truth.label, values + random.normal(size=300), np.nan)
    truth = variant_set(truth.alleles, label=truth.label, effect=effect)
    draws = found(measures.causality_and_direction(truth, values, FEW))
    assert draws["AUPRC of |score|", "all"].values[0] == pytest.approx(average_precision_score(truth.label, abs(values)))
    own = truth.label
    assert draws["Pearson", "all"].values[0] == pytest.approx(pearsonr(values[own], effect[own]).statistic)
    assert draws["Spearman", "all"].values[0] == pytest.approx(spearmanr(values[own], effect[own]).statistic)
    rows = np.array(truth.chrom) == "3"  # of AlphaGenome's test chromosomes the only one here
    slice_ = draws["AUPRC of |score|", "test of AlphaGenome"]
    assert (slice_.n, slice_.values[0]) == (
        rows.sum(),
        pytest.approx(average_precision_score(truth.label[rows], abs(values[rows]))),
    )


def test_effects_are_correlated_within_elements_and_the_mean_is_over_elements() -> None:
    n = 120
    subset = tuple(f"e{i % 3}" for i in range(n))
    effect, confidence = random.normal(size=n), random.random(n) * 0.3
    values = effect + random.normal(size=n)
    truth = variant_set([Allele("1", i, "A", "G") for i in range(n)], effect=effect, subset=subset, confidence=confidence)
    draws = found(measures.of_challenge(truth, values, FEW))
    per_element = defaultdict(list)
    for element in ("e0", "e1", "e2"):
        rows = np.array(subset) == element
        expected = {
            "Spearman": spearmanr(values[rows], effect[rows]).statistic,
            "Pearson": pearsonr(values[rows], effect[rows]).statistic,
            "Spearman of sizes": spearmanr(abs(values[rows]), abs(effect[rows])).statistic,
        }
        for metric, value in expected.items():
            assert draws[metric, element].values[0] == pytest.approx(value)
            per_element[metric].append(value)
        sure = rows & (confidence >= 0.1)
        assert draws["Pearson, confident", element].n == sure.sum()
        assert draws["Pearson, confident", element].values[0] == pytest.approx(pearsonr(values[sure], effect[sure]).statistic)
    for metric, each in per_element.items():
        assert draws[metric, "mean of elements"].values[0] == pytest.approx(np.mean(each))


def test_areas_by_subset_and_by_distance() -> None:
    truth, values = labelled(400)
    subset = tuple("intron_variant" if i % 2 else "5_prime_UTR_variant" for i in range(400))
    truth = variant_set(truth.alleles, label=truth.label, subset=subset)
    draws = found(measures.areas(truth, values, FEW))
    rows = np.arange(400) % 2 == 1
    assert draws["AUROC", "intron_variant"].values[0] == pytest.approx(roc_auc_score(truth.label[rows], values[rows]))
    distance = random.random(400) * 2e5
    keys = tuple(("1", i, i + 5, "G") for i in range(400))
    pairs = TruthSet(keys, ("1",) * 400, label=truth.label, distance=distance)
    draws = found(measures.by_distance(pairs, values, FEW))
    far = distance >= 1e5
    assert draws["AUPRC", ">= 100 kb"].values[0] == pytest.approx(average_precision_score(truth.label[far], values[far]))


def test_two_scores_are_compared_on_the_same_samples() -> None:
    truth, values = labelled()
    one = measures.by_chromosome(truth, values, FEW)
    shifted = measures.by_chromosome(truth, values + 5, FEW)
    for first, second in zip(one, shifted, strict=True):
        assert (first.values == second.values).all()


def test_a_label_that_does_not_differ_has_no_metric() -> None:
    truth, values = labelled(50)
    same = variant_set(truth.alleles, label=np.ones(50, dtype=bool))
    assert measures.by_chromosome(same, values, FEW) == []
    assert measures.areas(same, values, FEW) == []
