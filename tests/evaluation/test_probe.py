"""A linear probe finds what is linear in embeddings and nothing where nothing is; its scale makes no difference."""

from __future__ import annotations

import json

import numpy as np
import pytest

from genoformer.errors import ConfigError
from genoformer.evaluation import compute_metrics
from genoformer.evaluation.probe import fit_probe, probe
from genoformer.tasks import Classification, MultiLabel, Regression

RANDOM = np.random.default_rng(0)
ABC = Classification(("a", "b", "c"))
X = RANDOM.normal(size=(600, 12)).astype(np.float32)
WEIGHTS = RANDOM.normal(size=(12, 3))
CLASS = (X @ WEIGHTS + 0.3 * RANDOM.normal(size=(600, 3))).argmax(1)


def test_three_linear_classes() -> None:
    found = probe(X, CLASS, ABC)
    assert found["accuracy"]["value"] > 0.85
    assert found["probe"]["n_valid"] == found["n"] == sum(map(sum, found["confusion"]))
    assert found["probe"]["n_train"] + found["n"] == 600
    shares = np.bincount(CLASS) / 600
    assert np.array(found["confusion"]).sum(1) / found["n"] == pytest.approx(shares, abs=0.01)
    json.dumps(found, allow_nan=False)


def test_the_metrics_are_those_of_metrics_of_on_the_rows_given() -> None:
    found = probe(X[:400], CLASS[:400], ABC, valid=(X[400:], CLASS[400:]))
    fitted = fit_probe(X[:400], CLASS[:400], ABC)
    for name, expected in compute_metrics(ABC, CLASS[400:], fitted.predict(X[400:])).items():
        assert found[name] == pytest.approx(expected._asdict()), name
    assert found["probe"] | {"notes": []} == {"n_train": 400, "n_valid": 200, "valid": "as given", "notes": []}


def test_shuffled_labels_teach_nothing() -> None:
    shuffled = np.random.default_rng(1).permutation(CLASS > 0).astype(int)
    found = probe(X, shuffled, Classification(("no", "yes")), valid=(X, np.random.default_rng(2).permutation(shuffled)))
    assert 0.4 < found["auroc"]["value"] < 0.6


def test_units_and_columns_that_do_not_vary_make_no_difference() -> None:
    fitted = fit_probe(X, CLASS, ABC)
    moved = np.hstack([X * np.logspace(-4, 4, 12) + 10 * np.logspace(-4, 4, 12), np.full((600, 1), 7.3)]).astype(np.float32)
    other = fit_probe(moved, CLASS, ABC)
    assert other.scale[-1] == 0
    np.testing.assert_allclose(fitted.predict(X), other.predict(moved), atol=2e-3)


def test_values_and_labels() -> None:
    values = X @ WEIGHTS[:, :2] + 5
    found = probe(X, values, Regression(("a", "b")))
    assert found["pearson"]["value"] > 0.99
    assert found["r2:b"]["value"] > 0.99
    labels = (X @ WEIGHTS > 0).astype(int)
    found = probe(X, labels, MultiLabel(("a", "b", "c")))
    assert found["auroc"]["low"] > 0.95


def test_the_same_seed_gives_the_same_answer() -> None:
    assert probe(X, CLASS, ABC, seed=3) == probe(X, CLASS, ABC, seed=3)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X[:, 0], CLASS, "shape .* a row for each sequence"),
        (X, CLASS[:-1], "targets of shape .* for 600 sequences"),
        (np.full((600, 2), np.nan), CLASS, "600 of 600 embeddings have a missing"),
        (X, np.zeros(600, int), "all 480 training sequences are of class a"),
        (X[:9], CLASS[:9], "9 sequences are too few to hold some out; give at least 10"),
    ],
)
def test_what_does_not_fit_is_refused(x, y, message) -> None:
    with pytest.raises(ConfigError, match=message):
        probe(x, y, ABC)


def test_embeddings_of_another_model_are_refused() -> None:
    with pytest.raises(ConfigError, match="embeddings are 3 wide, the probe's 12"):
        fit_probe(X, CLASS, ABC).predict(X[:, :3])
