"""Tasks: losses, values, checks and texts worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from genoformer.errors import ConfigError
from genoformer.evaluation.task_metrics import METRICS
from genoformer.tasks import TASKS, Classification, MultiLabel, Regression, Task, make_task

CLASSES = Classification(("a", "b", "c"))
LABELS = MultiLabel(("x", "y"))
VALUES = Regression(("level",), (10.0,), (2.0,))


@pytest.mark.parametrize(
    ("task", "logits", "targets", "losses", "values"),
    [
        (Classification(("a", "b")), [0.0, np.log(3)], 0, np.log(4), [0.25, 0.75]),
        (LABELS, [0.0, np.log(3)], [1.0, 1.0], np.log(8 / 3) / 2, [0.5, 0.75]),
        (VALUES, [1.0], [14.0], 1.0, [12.0]),  # (14 - 10) / 2 = 2, and 1 off
        (Regression(("level",)), [1.0], [4.0], 9.0, [1.0]),  # without a scale logits are values
    ],
)
def test_losses_and_values_by_hand(task: Task, logits, targets, losses: float, values) -> None:
    batch = torch.tensor([logits, logits], dtype=torch.float32)
    each = task.loss(batch, torch.tensor([targets, targets]))
    assert each.tolist() == pytest.approx([losses, losses], rel=1e-6)
    assert float(task.loss(batch, torch.tensor([targets, targets]), reduction="mean")) == pytest.approx(losses, rel=1e-6)
    assert task.values(batch)[1].tolist() == pytest.approx(values, rel=1e-6)


def test_log_odds_are_those_of_the_probabilities() -> None:
    two, logits = Classification(("no", "yes")), np.array([[0.5, 2.0], [3.0, -1.0]])
    assert two.log_odds(logits).tolist() == [[-1.5, 1.5], [4.0, -4.0]]  # differences of the logits
    assert LABELS.log_odds(logits).tolist() == logits.tolist()
    x = np.random.default_rng(0).normal(0, 3, (5, 3))
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    assert CLASSES.log_odds(x) == pytest.approx(np.log(p / (1 - p)), rel=1e-12)
    with pytest.raises(ConfigError, match="level: values of a regression have no log-odds; take the values themselves"):
        VALUES.log_odds(x[:, :1])


def test_log_odds_of_extreme_logits_are_exact() -> None:
    """Logits 1000, 0, 0: the log-odds are 1000 - log 2, -1000 and -1000, where probabilities of 1 and 0 would give infinity."""
    found = CLASSES.log_odds(np.array([[1000.0, 0.0, 0.0], [-1000.0, 0.0, 0.0]]))
    assert found[0] == pytest.approx([1000 - np.log(2), -1000, -1000], rel=1e-12)
    assert found[1] == pytest.approx([-1000 - np.log(2), 0, 0], abs=1e-12)


@given(seed=st.integers(0, 10**6), kind=st.sampled_from(sorted(TASKS)))
def test_the_mean_loss_of_predictions_is_the_loss_of_their_logits(seed: int, kind: str) -> None:
    random, task = np.random.default_rng(seed), make_task(kind, ("a", "b", "c"))
    logits = torch.from_numpy(random.normal(size=(7, 3)).astype(np.float32))
    targets = task.checked(random.integers(3, size=7) if task.one_class else random.integers(2, size=(7, 3)), 7)
    expected = float(task.loss(logits, torch.from_numpy(targets)).mean())
    assert task.mean_loss(targets, task.values(logits).numpy()) == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("kind", sorted(TASKS))
def test_targets_as_predictions_are_perfect(kind: str) -> None:
    task = make_task(kind, ("a", "b"))
    targets = task.checked([0, 1, 1] if task.one_class else [[0, 1], [1, 0], [1, 1]], 3)
    assert task.mean_loss(targets, task.one_hot(targets)) == pytest.approx(0, abs=1e-6)
    assert task.one_hot(targets).shape == (3, 2)
    assert METRICS[type(task)].default


def test_counts_strata_and_texts_of_classes() -> None:
    targets = np.array([2, 0, 2, 2])
    assert CLASSES.counts(targets) == [1, 0, 3]
    assert CLASSES.class_names(targets) == ["c", "a", "c", "c"]
    assert CLASSES.absent(targets) == ["b"]
    assert CLASSES.strata(targets).tolist() == [2, 0, 2, 2]
    assert (CLASSES.constant(targets), CLASSES.constant(targets[2:]), CLASSES.varies(targets[2:])) == ([], ["c"], False)
    assert CLASSES.balanced_weights(np.array([0, 1, 1, 2])).tolist() == pytest.approx([4 / 3, 2 / 3, 2 / 3, 4 / 3])
    assert CLASSES.describe(targets, ("kind",)) == "one class each (column kind). Classes: a (1), b (0), c (3)"
    assert (CLASSES.binary, Classification(("no", "yes")).binary) == (False, True)


def test_counts_and_texts_of_labels_and_values() -> None:
    flags = np.array([[1, 0], [1, 1]], dtype=np.float32)
    assert (LABELS.counts(flags), LABELS.constant(flags), LABELS.varies(flags)) == ([2, 1], ["x"], True)
    assert LABELS.strata(flags).tolist() == [0, 0]
    assert LABELS.describe(flags, ("x", "y")) == "2 labels each, 0 or 1. Classes: x (2), y (1)"
    assert LABELS.describe(flags, ("label",)) == "any number of classes each (column label). Classes: x (2), y (1)"
    numbers = np.array([[1.5], [4.0]], dtype=np.float32)
    assert VALUES.describe(numbers, ("level",)) == "one value each to predict: level from 1.5 to 4"
    assert (VALUES.untrainable(numbers), VALUES.untrainable(numbers[:1]), LABELS.untrainable(flags)) == ([], ["level"], [])
    with pytest.raises(ConfigError, match="needs one class for each sequence"):
        LABELS.balanced_weights(flags)


def test_only_a_regression_is_scaled() -> None:
    numbers = np.array([[1.0, 5.0], [3.0, 5.0]], dtype=np.float32)
    scaled = Regression(("a", "b")).scaled(numbers, least=0.5)
    assert (scaled.mean, scaled.std) == ((2.0, 5.0), (1.0, 0.5))
    assert LABELS.scaled(numbers) is LABELS


@pytest.mark.parametrize(
    ("task", "targets", "n", "message"),
    [
        (CLASSES, [0, 1], 3, r"targets of shape \(2,\) for 3 sequences"),
        (CLASSES, [0, 3], 2, "numbers 0 to 2, found 0 to 3"),
        (CLASSES, [0.5, 1], 2, "renumber"),
        (LABELS, [[0, 2]], 1, "labels are 0 or 1"),
        (LABELS, [[0, np.nan]], 1, "1 of 1 targets are missing or infinite"),
        (VALUES, [[np.inf], [1.0]], 2, "1 of 2 targets are missing or infinite"),
        (VALUES, [], 0, "at least one sequence"),
    ],
)
def test_targets_that_do_not_fit_are_refused(task: Task, targets, n: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task.checked(targets, n)


def test_targets_have_the_type_of_their_task() -> None:
    assert CLASSES.checked([0, 2], 2).dtype == np.int64
    assert LABELS.checked([[0, 1]], 1).dtype == np.float32
    assert VALUES.checked([1, 2], 2).tolist() == [[1.0], [2.0]]  # one column may be given as a row of numbers


@pytest.mark.parametrize(
    ("kind", "names", "message"),
    [
        ("classes", ("a", "b"), "task = 'classes': allowed are classification, multilabel, regression"),
        ("multilabel", ("a", "a"), "names must differ"),
        ("classification", ("a",), "a is the only class"),
        ("regression", (), "predicts nothing"),
    ],
)
def test_tasks_that_cannot_be_are_refused(kind: str, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_task(kind, names)


def test_a_binary_cross_entropy_is_the_mean_over_labels() -> None:
    logits, targets = torch.tensor([[0.3, -1.0]]), torch.tensor([[1.0, 0.0]])
    expected = F.binary_cross_entropy_with_logits(logits, targets)
    assert float(LABELS.loss(logits, targets)[0]) == pytest.approx(float(expected))
