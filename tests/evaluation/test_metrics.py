"""Metrics against scikit-learn and against numbers worked by hand; intervals, undefined values and bad input."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from genoformer.evaluation import intervals, metrics, weighted
from genoformer.evaluation.intervals import estimate, over_runs, resamplings
from genoformer.evaluation.metrics import notes
from genoformer.evaluation.task_metrics import collapsed
from genoformer.tasks import make_task

N = 300


def cases(kind: str, truth, predicted, names):
    return metrics.cases(make_task(kind, tuple(names)), truth, predicted)


def compute_metrics(kind: str, truth, predicted, names, **options):
    return metrics.compute_metrics(make_task(kind, tuple(names)), truth, predicted, **options)


def some_classes(n_classes: int, seed: int = 0, n: int = N):
    """Truth [N] and probabilities [N, C] that know a little of it, with ties if there are two classes."""
    random = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(n_classes), random.integers(n_classes, size=n - n_classes)])
    z = random.normal(size=(n, n_classes))
    z[np.arange(n), truth] += 1
    p = np.exp(z)
    p /= p.sum(1, keepdims=True)
    if n_classes == 2:  # in odd 64ths, which are exact, so that ties are the same from both sides, and never a half
        p[:, 1] = (2 * np.floor(p[:, 1] * 32) + 1) / 64
        p[:, 0] = 1 - p[:, 1]
    return truth, p


def values_of(*args, n: int = 20):
    return {name: found.value for name, found in compute_metrics(*args, n=n).items()}


def test_two_classes_are_those_of_scikit_learn() -> None:
    truth, p = some_classes(2)
    found, called = values_of("classification", truth, p, ["no", "yes"]), p.argmax(1)
    assert found == pytest.approx(
        {
            "accuracy": reference.accuracy_score(truth, called),
            "mcc": reference.matthews_corrcoef(truth, called),
            "f1": reference.f1_score(truth, called),
            "precision": reference.precision_score(truth, called),
            "recall": reference.recall_score(truth, called),
            "auroc": reference.roc_auc_score(truth, p[:, 1]),
            "auprc": reference.average_precision_score(truth, p[:, 1]),
            "brier": reference.brier_score_loss(truth, p[:, 1]),
            "ece": naive_ece(p.max(1), called == truth),
        },
        abs=1e-12,
    )


def test_four_classes_are_those_of_scikit_learn() -> None:
    truth, p = some_classes(4)
    found, called, onehot = values_of("classification", truth, p, "ACGT"), p.argmax(1), np.eye(4)[truth]
    each = {f"{name}:{base}" for name in ("f1", "precision", "recall", "auroc", "auprc") for base in "ACGT"}
    assert set(found) == {"accuracy", "mcc", "f1", "precision", "recall", "auroc", "auprc", "ece", "brier"} | each
    assert found["mcc"] == pytest.approx(reference.matthews_corrcoef(truth, called))
    for name, function in (("f1", reference.f1_score), ("precision", reference.precision_score)):
        assert found[name] == pytest.approx(function(truth, called, average="macro"))
        assert [found[f"{name}:{base}"] for base in "ACGT"] == pytest.approx(function(truth, called, average=None))
    assert found["recall"] == pytest.approx(reference.balanced_accuracy_score(truth, called))
    assert found["auroc"] == pytest.approx(reference.roc_auc_score(truth, p, multi_class="ovr"))
    assert found["auprc"] == pytest.approx(reference.average_precision_score(onehot, p))
    assert found["auroc:G"] == pytest.approx(reference.roc_auc_score(truth == 2, p[:, 2]))
    assert found["brier"] == pytest.approx(((p - onehot) ** 2).sum(1).mean())


def test_labels_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(1)
    truth = (random.random((N, 3)) < [0.5, 0.2, 0.7]).astype(int)
    p = 1 / (1 + np.exp(-(random.normal(size=truth.shape) + 2 * truth - 1)))
    found, called = values_of("multilabel", truth, p, ["a", "b", "c"]), p > 0.5
    mcc = [reference.matthews_corrcoef(truth[:, i], called[:, i]) for i in range(3)]
    assert found["mcc"] == pytest.approx(np.mean(mcc))
    assert [found[f"mcc:{label}"] for label in "abc"] == pytest.approx(mcc)
    assert found["exact_match"] == pytest.approx(reference.accuracy_score(truth, called))
    assert found["accuracy"] == pytest.approx((truth == called).mean())
    assert found["f1"] == pytest.approx(reference.f1_score(truth, called, average="macro"))
    assert found["auroc"] == pytest.approx(reference.roc_auc_score(truth, p))
    assert found["auprc"] == pytest.approx(reference.average_precision_score(truth, p))
    assert found["brier"] == pytest.approx(((p - truth) ** 2).mean())


def test_values_are_those_of_scipy_and_scikit_learn() -> None:
    from scipy.stats import pearsonr, spearmanr

    random = np.random.default_rng(2)
    truth = random.normal(size=(N, 2)).round(1) * [1, 1e-9]
    predicted = truth + random.normal(size=truth.shape).round(1) * [1, 1e-9]
    found = values_of("regression", truth, predicted, ["a", "b"])
    for i, target in enumerate("ab"):
        assert found[f"pearson:{target}"] == pytest.approx(pearsonr(truth[:, i], predicted[:, i])[0])
        assert found[f"spearman:{target}"] == pytest.approx(spearmanr(truth[:, i], predicted[:, i])[0])
        assert found[f"r2:{target}"] == pytest.approx(reference.r2_score(truth[:, i], predicted[:, i]))
        assert found[f"mse:{target}"] == pytest.approx(reference.mean_squared_error(truth[:, i], predicted[:, i]))
    assert found["pearson"] == pytest.approx((found["pearson:a"] + found["pearson:b"]) / 2)
    assert values_of("regression", truth[:, 0], predicted[:, 0], ["a"])["r2"] == pytest.approx(found["r2:a"])


def test_by_hand() -> None:
    """Truth 0 0 0 1 1, called 0 0 1 1 0: hits 2 + 1, MCC = (2*1 - 1*1) / sqrt(3*3*2*2) = 1/6.

    Scores .1 .2 .8 .9 .4: of six pairs five are in order. Thresholds from the top: 1/1 at .9, then .8 is false, 2/3 at .4;
    average precision 1/2 * 1 + 1/2 * 2/3. Confidences .9 .8 .8 .9 .6, right 1 1 0 1 0: by bin of 1/15 (.8 in one, .9 in
    one) |2 - 1.8| + |1 - 1.6| + |0 - .6| = 1.4 of 5.
    """
    scores = np.array([0.1, 0.2, 0.8, 0.9, 0.4])
    found = values_of("classification", [0, 0, 0, 1, 1], np.stack([1 - scores, scores], 1), ["no", "yes"])
    assert found["mcc"] == pytest.approx(1 / 6)
    assert found["auroc"] == pytest.approx(5 / 6)
    assert found["auprc"] == pytest.approx(5 / 6)
    assert found["f1"] == pytest.approx(1 / 2)
    assert found["ece"] == pytest.approx(1.4 / 5)
    assert found["brier"] == pytest.approx((0.01 + 0.04 + 0.64 + 0.01 + 0.36) / 5)


def naive_ece(confidence, right, n_bins=15):
    total = 0.0
    for i in range(n_bins):
        inside = (confidence > i / n_bins) & (confidence <= (i + 1) / n_bins)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


def test_a_weight_is_a_case_repeated() -> None:
    """Every weighted metric equals that of the cases written out; half the weights are 0, 2 or 3, and scores have ties."""
    from scipy.stats import spearmanr

    random = np.random.default_rng(3)
    weights = random.integers(0, 4, size=(5, 60))
    truth, score = random.random(60) < 0.4, random.normal(size=60).round(1)
    other = (score + random.normal(size=60)).round(1)
    auroc, auprc = weighted.ranking(weights.astype(float), truth, score)
    rank_x, rank_y = (weighted.ranks(weights.astype(float), x) for x in (score, other))
    spearman = weighted.pearson(weights.astype(float), rank_x, rank_y)
    for i, row in enumerate(weights):
        t, s, o = (np.repeat(x, row) for x in (truth, score, other))
        assert auroc[i] == pytest.approx(reference.roc_auc_score(t, s))
        assert auprc[i] == pytest.approx(reference.average_precision_score(t, s))
        assert spearman[i] == pytest.approx(spearmanr(s, o)[0])


def test_resamplings_keep_the_size_of_each_stratum_and_are_the_same_again() -> None:
    strata = np.array([2, 0, 0, 2, 2, 1])
    weights = np.concatenate(list(resamplings(strata, 500, seed=4)))
    assert weights.shape == (501, 6)
    for stratum, size in ((0, 2), (1, 1), (2, 3)):
        assert (weights[:, strata == stratum].sum(1) == size).all()
    assert weights[1:].mean(0) == pytest.approx(np.ones(6), abs=0.15)
    assert (weights == np.concatenate(list(resamplings(strata, 500, seed=4)))).all()
    assert (weights != np.concatenate(list(resamplings(strata, 500, seed=5)))).any()


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Accuracy of a coin that is right 80 % of the time: 95 % intervals hold 0.8 in 90 to 99 of 100 experiments."""
    random = np.random.default_rng(0)
    covered = 0
    for seed in range(100):
        truth = np.repeat([0, 1], 100)
        called = np.where(random.random(200) < 0.8, truth, 1 - truth)
        found = compute_metrics("classification", truth, np.eye(2)[called], ["a", "b"], seed=seed, n=200)["accuracy"]
        covered += found.low <= 0.8 <= found.high
    assert 88 <= covered <= 99


@given(seed=st.integers(0, 10**6), n_classes=st.integers(2, 4))
def test_the_order_of_cases_and_classes_changes_no_value(seed, n_classes) -> None:
    truth, p = some_classes(n_classes, seed, n=40)
    order = np.random.default_rng(seed).permutation(40)
    before, after = (
        values_of("classification", t, q, range(n_classes), n=1) for t, q in ((truth, p), (truth[order], p[order]))
    )
    assert before == pytest.approx(after, nan_ok=True)
    turned = values_of("classification", n_classes - 1 - truth, p[:, ::-1], range(n_classes), n=1)
    names = ("accuracy", "mcc", "auroc") if n_classes == 2 else ("accuracy", "mcc", "auroc", "f1", "auprc", "brier")
    assert {name: before[name] for name in names} == pytest.approx({name: turned[name] for name in names}, nan_ok=True)


@given(seed=st.integers(0, 10**6))
def test_intervals_hold_the_value_and_auroc_turns_with_the_score(seed) -> None:
    truth, p = some_classes(2, seed, n=60)
    found = compute_metrics("classification", truth, p, ["no", "yes"], seed=seed, n=200)
    for name in ("accuracy", "mcc", "f1", "recall", "auroc", "brier"):  # not ECE: resampling adds noise, which is error
        assert found[name].low <= found[name].value <= found[name].high
    turned = compute_metrics("classification", truth, p[:, ::-1], ["no", "yes"], n=1)
    assert turned["auroc"].value == pytest.approx(1 - found["auroc"].value)
    assert turned["mcc"].value == pytest.approx(-found["mcc"].value)


@given(
    kind=st.sampled_from(["classification", "multilabel", "regression"]),
    seed=st.integers(0, 10**6),
    n=st.integers(1, 6),
    c=st.integers(2, 4),
)
def test_whatever_is_not_defined_is_explained(kind, seed, n, c) -> None:
    """A few cases of few classes: a NaN never comes without a note, and never a note of failure without a failure."""
    random = np.random.default_rng(seed)
    truth = random.integers(c, size=n) if kind == "classification" else random.integers(2, size=(n, c))
    p = random.integers(3, size=(n, c)) / 2
    if kind == "classification":
        p = (p + 0.1) / (p + 0.1).sum(1, keepdims=True)
    found = compute_metrics(kind, truth, p, range(c), n=20)
    said = notes(cases(kind, truth, p, range(c)))
    if any(math.isnan(one.value) for one in found.values()):
        assert said
    assert any("failed" in note for note in said) == collapsed(cases(kind, truth, p, range(c)))
    for one in found.values():
        assert math.isfinite(one.value) or (math.isnan(one.low) and math.isnan(one.high))


def test_a_model_that_predicts_one_class_has_failed() -> None:
    truth, p = [0, 1, 0, 1], np.tile([0.3, 0.7], (4, 1))
    found, data = values_of("classification", truth, p, ["no", "yes"]), cases("classification", truth, p, ["no", "yes"])
    assert collapsed(data)
    assert metrics.notes(data) == [
        "the model predicts one class, 'yes', for all 4 cases: failed; MCC is not defined.",
        "'no' is never predicted: its precision counts as 0.",
    ]
    assert math.isnan(found["mcc"])
    assert found["auroc"] == 0.5  # all tie: that is what it is, not a default
    assert found["accuracy"] == 0.5


def test_a_resampling_without_a_call_counts_as_zero() -> None:
    """One of 20 cases is called "yes", rightly: without it, which is in a third of the resamplings, MCC is 0, not missing."""
    truth = np.repeat([0, 1], 10)
    p = np.eye(2)[(np.arange(20) == 15).astype(int)]
    found = compute_metrics("classification", truth, p, ["no", "yes"])
    assert found["mcc"].value == pytest.approx(reference.matthews_corrcoef(truth, p.argmax(1)))
    assert found["mcc"].low == found["precision"].low == found["f1"].low == 0
    data, kept = cases("classification", truth, p, ["no", "yes"]), np.arange(20) != 15
    n = weighted.counts(kept[None].astype(float), data.true, data.called)
    assert weighted.mcc(n)[0] == reference.matthews_corrcoef(truth[kept], p.argmax(1)[kept]) == 0
    assert weighted.precision(n)[0, 1] == reference.precision_score(truth[kept], p.argmax(1)[kept], zero_division=0) == 0
    assert (
        "0 in a resampling in which all calls are the same"
        in metrics.definitions(make_task("classification", ("no", "yes")))["mcc"]
    )


def labels_that_rank(seed: int = 0):
    """Two labels that are ranked well, of which the second is rare and has no probability above a half, [100, 2] both."""
    random = np.random.default_rng(seed)
    truth = np.stack([np.arange(100) % 2, np.arange(100) % 20 == 0], axis=1).astype(int)
    p = (0.4 + 0.2 * truth + 0.15 * random.random((100, 2))) * [1, 0.5]
    return truth, p


def test_labels_that_are_ranked_have_not_failed_where_none_is_called() -> None:
    truth, p = labels_that_rank()
    data = cases("multilabel", truth, p * [0.5, 1], ["often", "rare"])
    assert not collapsed(data)
    assert metrics.notes(data) == [
        "'often', 'rare' is never predicted: its precision counts as 0.",
        "'often', 'rare' is called the same for all cases: MCC is not defined.",
    ]
    same = cases("multilabel", truth, np.tile([0.4, 0.1], (100, 1)) + 1e-9 * np.arange(200).reshape(100, 2), ["often", "rare"])
    assert collapsed(same)
    assert "the same answer: failed" in metrics.notes(same)[0]


def test_the_mcc_of_labels_is_over_those_that_are_called() -> None:
    truth, p = labels_that_rank()
    found = values_of("multilabel", truth, p, ["often", "rare"])
    assert found["mcc"] == found["mcc:often"] == pytest.approx(reference.matthews_corrcoef(truth[:, 0], p[:, 0] > 0.5))
    assert math.isnan(found["mcc:rare"])
    assert found["precision"] == reference.precision_score(truth, p > 0.5, average="macro", zero_division=0)
    said = metrics.notes(cases("multilabel", truth, p, ["often", "rare"]))
    assert said[-1] == "'rare' is called the same for all cases: MCC is the mean over the other 1 of 2 labels."


def test_what_is_printed_of_an_estimate_and_intervals_that_stay_in_range() -> None:
    """Three seeds with accuracies 0.1, 0.5 and 0.9 have a t interval of 0.5 +- 0.99."""
    nan = math.nan
    assert str(intervals.Estimate(nan, nan, nan)) == "not defined"
    assert str(intervals.Estimate(0.5, nan, nan)) == "0.500 (no interval)"
    assert over_runs([0.1, 0.5, 0.9], metrics.metric_range("accuracy")) == (0.5, 0, 1)
    assert over_runs([-0.9, 0.0, 0.9], metrics.metric_range("mcc:a")) == (0, -1, 1)
    assert over_runs([1, 5, 9], metrics.metric_range("mse"))[1] == 0
    assert over_runs([-9, -5, 0], metrics.metric_range("r2"))[2] == 1


def test_the_squared_error_of_small_values_is_not_rounded_away() -> None:
    """Targets around 1e-4 have squared errors of 1e-9, which four or six decimals do not show."""
    spread = over_runs([1e-9, 3e-9], metrics.metric_range("mse"))
    assert spread.to_dict() == {"value": pytest.approx(2e-9), "low": 0.0, "high": pytest.approx(2e-9 + 12.706 * 1e-9, rel=1e-4)}
    assert str(intervals.Estimate(2e-9, 1e-9, 3e-9)) == "2e-09 (95 % interval 1e-09 to 3e-09)"
    assert str(intervals.Estimate(0.0, 0.0, 0.0)) == "0.000 (95 % interval 0.000 to 0.000)"
    assert intervals.Estimate(0.5, math.nan, math.nan).to_dict() == {"value": 0.5, "low": None, "high": None}


def test_a_truth_of_one_class_leaves_ranking_undefined() -> None:
    found = compute_metrics("classification", [1, 1], [[0.2, 0.8], [0.6, 0.4]], ["no", "yes"], n=10)
    assert [name for name, one in found.items() if math.isnan(one.value)] == ["mcc", "auroc", "auprc"]
    data = cases("classification", [1, 1], [[0.2, 0.8], [0.6, 0.4]], ["no", "yes"])
    assert "all 2 cases are of class 'yes'" in metrics.notes(data)[0]
    assert not collapsed(data)


def test_a_class_that_never_occurs_has_no_part_in_the_means() -> None:
    truth, p = some_classes(3)
    whole = values_of("classification", truth, p, "abc")
    p = np.hstack([p, np.zeros((N, 1))])
    wider = values_of("classification", truth, p, "abcd")
    assert {name: wider[name] for name in whole} == pytest.approx(whole)
    assert math.isnan(wider["auroc:d"])
    assert "'d' never occurs in the truth" in metrics.notes(cases("classification", truth, p, "abcd"))[0]


def test_a_constant_prediction_has_no_correlation() -> None:
    found = compute_metrics("regression", [0.1, 0.2, 0.4], [0.3, 0.3, 0.3], ["signal"], n=50)
    assert math.isnan(found["pearson"].value)
    assert math.isnan(found["spearman"].value)
    assert found["r2"].value < 0
    assert collapsed(cases("regression", [0.1, 0.2, 0.4], [0.3, 0.3, 0.3], ["signal"]))
    assert math.isnan(compute_metrics("regression", [0.3, 0.3, 0.3], [0.1, 0.2, 0.4], ["signal"], n=50)["r2"].value)


def test_per_class_and_confusion_by_hand() -> None:
    data = cases("classification", [0, 0, 1, 2], np.eye(3)[[0, 1, 1, 1]], "abc")
    assert metrics.confusion(data).tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    rows = metrics.per_class(data)
    assert rows[0] == {"class": "a", "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "support": 2}
    assert rows[1] == {"class": "b", "precision": pytest.approx(1 / 3), "recall": 1.0, "f1": 0.5, "support": 1}
    assert rows[2]["precision"] == 0.0  # never called: by scikit-learn's convention
    assert rows[2]["f1"] == 0.0
    labels = cases("multilabel", [[1, 0], [1, 1], [0, 0]], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], "ab")
    assert metrics.confusion(labels).tolist() == [[[0, 1], [1, 1]], [[2, 0], [0, 1]]]


HALF = [[0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize(
    ("kind", "truth", "predicted", "classes", "sentence"),
    [
        ("classification", [0], HALF, "ab", "is a row missing"),
        ("classification", [], np.zeros((0, 2)), "ab", "of at least one sequence"),
        ("classification", [0, 1], HALF, "abc", "3 outputs"),
        ("classification", [0, 2], HALF, "ab", "numbers 0 to 1, found 0 to 2"),
        ("classification", [0, 1], [[0.5, 0.5], [np.nan, 0.5]], "ab", "1 of 2 predictions have a missing"),
        ("classification", [0, 1], [[-0.5, 1.5], [0.5, 0.5]], "ab", "found -0.5 to 1.5; apply softmax"),
        ("classification", [0, 1], [[0.5, 0.9], [0.5, 0.5]], "ab", "must sum to 1, found 1 to 1.4"),
        ("classification", [0, 1], HALF, "aa", "names must differ"),
        ("classification", [0, 0], [[1.0], [1.0]], "a", "only class"),
        ("multilabel", [[0, 2], [1, 1]], HALF, "ab", "are 0 or 1"),
        ("regression", [[np.inf], [1]], [[1], [1]], "a", "missing or infinite"),
        ("tracks", [0, 1], HALF, "ab", "allowed are classification, multilabel, regression"),
    ],
)
def test_what_does_not_fit_is_refused(kind, truth, predicted, classes, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        compute_metrics(kind, truth, predicted, classes)
    with pytest.raises(ValueError, match="at least 1"):
        compute_metrics("classification", [0, 1], HALF, "ab", n=0)


def test_a_thousand_resamplings_of_six_thousand_cases_take_seconds() -> None:
    truth, p = some_classes(2, n=6000)
    begin = time.process_time()
    compute_metrics("classification", truth, p, ["no", "yes"])
    assert time.process_time() - begin < 10


def test_an_estimate_of_what_is_not_defined_is_not_defined() -> None:
    assert estimate(np.array([0.5, np.nan, 0.4, 0.6]))[1:] == pytest.approx((0.405, 0.595))
    assert math.isnan(estimate(np.array([np.nan, 0.4, 0.6])).low)
