"""Means, means of ranks and the linear probe, against scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from genoformer.benchmarking.ensembles import linear_probe, mean_of_ranks, mean_of_scores
from genoformer.benchmarking.truth_set import Allele, variant_set
from genoformer.errors import ConfigError, OptionError

random = np.random.default_rng(0)
N = 300
LABEL = random.random(N) < 0.3
CHROMS = [str(i) for i in random.integers(1, 5, N)]
TRUTH = variant_set([Allele(chrom, i + 1, "A", "G") for i, chrom in enumerate(CHROMS)], label=LABEL)
SCORES = {"a": random.normal(size=N) + LABEL, "b": random.normal(size=N) - LABEL, "c": random.normal(size=N)}


def test_mean_and_mean_of_ranks() -> None:
    assert mean_of_scores(SCORES) == pytest.approx(sum(SCORES.values()) / 3)
    expected = sum((rankdata(values) - 1) / (N - 1) for values in SCORES.values()) / 3
    assert mean_of_ranks(SCORES) == pytest.approx(expected)


def test_ranks_are_among_the_items_with_all_scores() -> None:
    a, b = np.array([3.0, np.nan, 1.0, 2.0]), np.array([1.0, 9.0, 2.0, 3.0])
    found = mean_of_ranks({"a": a, "b": b})
    assert np.isnan(found).tolist() == [False, True, False, False]
    assert found[[0, 2, 3]] == pytest.approx([0.5, 0.25, 0.75])


def test_one_score_is_no_ensemble() -> None:
    for call in (mean_of_scores, mean_of_ranks):
        with pytest.raises(OptionError, match="needs two scores or more, found 1"):
            call({"a": SCORES["a"]})


def test_the_probe_is_the_grid_search_of_scikit_learn_on_the_other_chromosomes() -> None:
    scores = {name: values.copy() for name, values in SCORES.items()}
    scores["c"][::7] = np.nan
    found = linear_probe(TRUTH, scores)
    x, chroms = np.stack(list(scores.values()), axis=1), np.array(TRUTH.chrom)
    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(class_weight="balanced", random_state=42))
    grid = {"logisticregression__C": np.logspace(-8, 0, 10)}
    for chrom in ("1",):
        train = chroms != chrom
        search = GridSearchCV(model, grid, scoring="average_precision", cv=GroupKFold(3))
        search.fit(x[train], LABEL[train], groups=chroms[train])
        assert found[~train] == pytest.approx(search.predict_proba(x[~train])[:, 1], rel=1e-3)
    assert roc_auc_score(LABEL, found) > max(roc_auc_score(LABEL, SCORES["a"]), 0.75)


def test_the_probe_does_not_see_its_own_chromosome() -> None:
    """A score that is the label on one chromosome and noise elsewhere does not help there."""
    chroms = np.array(TRUTH.chrom)
    leak = np.where(chroms == "3", LABEL * 10.0, SCORES["c"])
    rows = chroms == "3"
    found = linear_probe(TRUTH, {"a": SCORES["a"], "leak": leak})
    without = linear_probe(TRUTH, {"a": SCORES["a"], "c": np.where(rows, leak, SCORES["c"])})
    assert found[rows] == pytest.approx(without[rows])


def test_a_probe_needs_labels_on_two_chromosomes() -> None:
    with pytest.raises(ConfigError, match="needs labels"):
        linear_probe(variant_set(TRUTH.alleles, effect=SCORES["a"]), SCORES)
    with pytest.raises(ConfigError, match="lie on one chromosome"):
        linear_probe(variant_set(TRUTH.alleles, label=np.array(TRUTH.chrom) == "3"), SCORES)
