"""The report: keys that scripts rely on, paired differences, JSON without NaN, figures that are pictures, all or nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from genoformer.evaluation import evaluate
from genoformer.evaluation.metrics import compute_metrics
from genoformer.tasks import Classification, MultiLabel, Regression

YES = Classification(("no", "yes"))


def two_models(n: int = 400, seed: int = 0):
    """Truth, a model that knows much, and one that knows little of it and errs where the other does."""
    random = np.random.default_rng(seed)
    truth, noise = random.integers(2, size=n), random.normal(size=n)
    good, poor = (1 / (1 + np.exp(-(strength * (2 * truth - 1) + noise))) for strength in (1.5, 0.7))
    return truth, *(np.stack([1 - p, p], axis=1) for p in (good, poor))


def pictures(folder) -> set[str]:
    return {path.name for path in folder.iterdir() if path.read_bytes()[:4] == b"\x89PNG"}


def test_two_classes_with_a_baseline(tmp_path) -> None:
    truth, good, poor = two_models()
    found = evaluate(YES, truth, good, baselines={"cnn": poor}, out=tmp_path / "new" / "out", n=200)
    expected = compute_metrics(YES, truth, good, n=200)
    for name in ("mcc", "auroc", "auprc", "accuracy", "f1"):
        assert found[name] == pytest.approx(expected[name]._asdict())
    assert (found["n"], found["classes"], found["collapsed"], found["notes"]) == (400, ["no", "yes"], False, [])
    assert [row["support"] for row in found["per_class"]] == np.bincount(truth).tolist()
    assert np.array(found["confusion"]).sum(1).tolist() == np.bincount(truth).tolist()
    model, cnn = found["models"]
    assert (model["model"], cnn["model"]) == ("model", "cnn")
    assert model["mcc"] == found["mcc"]
    difference = cnn["difference"]
    assert difference["value"] == pytest.approx(model["mcc"]["value"] - cnn["mcc"]["value"])
    assert 0 < difference["low"] < difference["value"] < difference["high"]
    apart = model["mcc"]["high"] - model["mcc"]["low"] + cnn["mcc"]["high"] - cnn["mcc"]["low"]
    assert difference["high"] - difference["low"] < 0.9 * apart  # paired: what both err on cancels
    assert set(found["definitions"]) == {"mcc", "auroc", "auprc", "accuracy", "f1", "precision", "recall", "ece", "brier"}
    out = tmp_path / "new" / "out"
    assert json.loads((out / "metrics.json").read_text()) == found
    assert pictures(out) == {"confusion.png", "roc.png", "pr.png", "calibration.png", "comparison.png"}
    assert {path.suffix for path in out.iterdir()} == {".png", ".svg", ".json"}  # no part of a file is left


def test_the_same_again_is_the_same_bytes(tmp_path) -> None:
    truth, good, poor = two_models(100)
    for name in ("a", "b"):
        evaluate(YES, truth, good, baselines={"cnn": poor}, out=tmp_path / name, n=50)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_model_is_no_better_than_itself() -> None:
    truth, good, _ = two_models(100)
    found = evaluate(YES, truth, good, baselines={"again": good}, n=50)
    assert found["models"][1]["difference"] == {"metric": "mcc", "value": 0.0, "low": 0.0, "high": 0.0}


@pytest.mark.parametrize("n_classes", [3, 20])
def test_many_classes(tmp_path, n_classes) -> None:
    random = np.random.default_rng(0)
    truth = random.integers(n_classes, size=300)
    p = random.random((300, n_classes)) + 2 * np.eye(n_classes)[truth]
    names = [f"class {i}" for i in range(n_classes)]
    found = evaluate(Classification(tuple(names)), truth, p / p.sum(1, keepdims=True), out=tmp_path, n=20)
    assert len(found["per_class"]) == n_classes
    assert "macro" in found["definitions"]["f1"]
    assert len(pictures(tmp_path)) == 5


def test_labels(tmp_path) -> None:
    random = np.random.default_rng(0)
    truth = (random.random((200, 2)) < 0.3).astype(int)
    p = 0.5 * random.random((200, 2)) + 0.4 * truth
    found = evaluate(MultiLabel(("CTCF", "REST")), truth, p, out=tmp_path, n=20)
    assert np.array(found["confusion"]).shape == (2, 2, 2)
    assert found["auroc:CTCF"]["value"] > 0.9
    assert len(pictures(tmp_path)) == 5


def test_labels_of_which_none_is_called_are_compared_by_auroc() -> None:
    random = np.random.default_rng(0)
    truth = (random.random((100, 2)) < 0.3).astype(int)
    p = 0.2 * random.random((100, 2)) + 0.2 * truth
    found = evaluate(MultiLabel(("CTCF", "REST")), truth, p, baselines={"poor": random.random((100, 2))}, n=20)
    assert (found["collapsed"], found["mcc"]["value"]) == (False, None)
    assert found["models"][1]["difference"]["metric"] == "auroc"
    assert found["models"][1]["difference"]["low"] > 0.2


def test_values(tmp_path) -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=(200, 2))
    found = evaluate(
        Regression(("a", "b")),
        truth,
        truth + random.normal(size=(200, 2)),
        baselines={"mean": np.zeros((200, 2))},
        out=tmp_path,
        n=50,
    )
    assert pictures(tmp_path) == {"scatter.png", "comparison.png"}
    mean = found["models"][1]
    assert mean["collapsed"]
    assert mean["pearson"] == {"value": None, "low": None, "high": None}
    assert mean["difference"]["value"] is None
    assert "per_class" not in found


def test_a_collapsed_model_is_said_to_have_failed(tmp_path) -> None:
    truth = np.arange(40) % 2
    found = evaluate(YES, truth, np.tile([0.8, 0.2], (40, 1)), out=tmp_path, n=20)
    assert found["collapsed"]
    assert found["notes"][0].startswith("the model predicts one class, 'no', for all 40 cases: failed")
    assert found["mcc"]["value"] is None
    assert len(pictures(tmp_path)) == 5


def test_a_truth_of_one_class_still_gives_a_report(tmp_path) -> None:
    found = evaluate(YES, [1] * 20, np.tile([0.2, 0.8], (20, 1)), out=tmp_path, n=20)
    assert found["auroc"]["value"] is None
    assert found["accuracy"]["value"] == 1
    assert len(pictures(tmp_path)) == 5


def test_a_report_replaces_a_report_and_nothing_else(tmp_path) -> None:
    truth, good, _ = two_models(40)

    def report(task=YES, t=truth, p=good) -> None:
        evaluate(task, t, p, out=tmp_path, n=5)

    (tmp_path / "notes.txt").write_text("mine")
    report()
    report(Regression(("x",)), truth[:, None], good[:, :1])
    figures = {f"{name}.{suffix}" for name in ("comparison", "scatter") for suffix in ("png", "svg")}
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "metrics.json"} | figures
    for content in ('{"mcc": 0.5}', "{", "[]"):
        (tmp_path / "metrics.json").write_text(content)
        with pytest.raises(
            ValueError,
            match=r"holds metrics.json, comparison.png, comparison.svg, scatter.png, scatter.svg, which another program made",
        ):
            report()
        assert (tmp_path / "metrics.json").read_text() == content


def test_baselines_must_fit_too(tmp_path) -> None:
    truth, good, poor = two_models(50)
    with pytest.raises(ValueError, match="is a row missing"):
        evaluate(YES, truth, good, baselines={"cnn": poor[1:]}, out=tmp_path / "out")
    with pytest.raises(ValueError, match="another name"):
        evaluate(YES, truth, good, baselines={"model": poor})
    assert not (tmp_path / "out").exists()
