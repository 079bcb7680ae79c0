"""Soft targets: the loss on them against the weighted sum of the losses on labels, on even labels and on a teacher's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import small_classifier

from genoformer import inference
from genoformer.datasets.targets import Targets
from genoformer.errors import CheckpointError, ConfigError
from genoformer.genome.codes import encode
from genoformer.models import registry
from genoformer.tasks import Classification, MultiLabel, Regression, make_task
from genoformer.tokenizers import BaseTokenizer
from genoformer.training.config import TuningConfig
from genoformer.training.soft_targets import Teacher, ask_teacher, soft_targets

CLASSES = Targets(Classification(("a", "b", "c")), np.array([0, 2, 1]))
LABELS = Targets(MultiLabel(("a", "b")), np.array([[0, 1], [1, 1], [0, 0]], dtype=np.float32))
VALUES = Targets(Regression(("x",)), np.array([[1.0], [3.0], [8.0]], dtype=np.float32))


def loss_of(targets: Targets, soft: Any) -> torch.Tensor:
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(3, targets.task.n_outputs)))
    return targets.task.loss(logits, torch.from_numpy(np.asarray(soft, dtype=np.float64)))


@pytest.mark.parametrize("targets", [CLASSES, LABELS, VALUES])
def test_without_settings_the_targets_are_the_labels(targets: Targets) -> None:
    assert soft_targets(targets, TuningConfig()) is targets.values


def test_smoothed_labels() -> None:
    soft = soft_targets(CLASSES, TuningConfig(label_smoothing=0.3))
    np.testing.assert_allclose(soft, [[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]], atol=1e-7)
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 3)))
    torchs = torch.nn.functional.cross_entropy(logits, torch.from_numpy(CLASSES.values), label_smoothing=0.3, reduction="none")
    torch.testing.assert_close(loss_of(CLASSES, soft), torchs, atol=1e-6, rtol=1e-6)
    soft = soft_targets(LABELS, TuningConfig(label_smoothing=0.3))
    np.testing.assert_allclose(soft, [[0.15, 0.85], [0.85, 0.85], [0.15, 0.15]], atol=1e-7)
    with pytest.raises(ConfigError, match=r"label_smoothing = 0\.3 is for classes and labels, found values; set it to 0"):
        soft_targets(VALUES, TuningConfig(label_smoothing=0.3))


@pytest.mark.parametrize("targets", [CLASSES, LABELS])
def test_the_loss_with_a_teacher_is_the_weighted_sum_of_two_losses(targets: Targets) -> None:
    taught = np.random.default_rng(1).dirichlet(np.ones(targets.task.n_outputs), size=3).astype(np.float32)
    soft = soft_targets(targets, TuningConfig(), Teacher(taught, 0.7, {}))
    expected = 0.3 * loss_of(targets, targets.task.one_hot(targets.values)) + 0.7 * loss_of(targets, taught)
    torch.testing.assert_close(loss_of(targets, soft), expected, atol=1e-6, rtol=1e-6)


def test_values_are_those_between_label_and_teacher() -> None:
    soft = soft_targets(VALUES, TuningConfig(), Teacher(np.array([[2.0], [2.0], [2.0]], dtype=np.float32), 0.25, {}))
    assert soft.tolist() == [[1.25], [2.75], [6.5]]


def test_smoothing_is_of_the_labels_and_not_of_the_teacher() -> None:
    taught = np.array([[0.2, 0.3, 0.5]] * 3, dtype=np.float32)
    soft = soft_targets(CLASSES, TuningConfig(label_smoothing=0.3), Teacher(taught, 0.5, {}))
    np.testing.assert_allclose(soft[0], [0.5, 0.2, 0.3], atol=1e-7)


def test_mixup_needs_probabilities() -> None:
    assert soft_targets(CLASSES, TuningConfig(mixup=0.2)).tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_a_teacher_is_the_mean_of_all_members(tmp_path: Path) -> None:
    models = [small_classifier(BaseTokenizer(), seed=seed) for seed in (1, 2)]
    for i, model in enumerate(models):
        registry.save(model, tmp_path / f"{i}")
    sequences = [encode("ACGTTGCAAT"), encode("GGGATTACA")]
    events: list[Any] = []
    found = ask_teacher([tmp_path / "0", tmp_path / "1"], models[0].task, sequences, 0.4, events.append)
    expected = np.mean([inference.predictions(model, sequences).values for model in models], axis=0)
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    assert (found.weight, found.record["names"], len(set(found.record["sha256"]))) == (0.4, ["0", "1"], 2)
    assert [(event.done, event.total) for event in events] == [(2, 4), (4, 4)]


def test_a_teacher_of_other_labels_is_refused(tmp_path: Path) -> None:
    registry.save(small_classifier(BaseTokenizer()), tmp_path / "m")
    with pytest.raises(
        ConfigError, match="m was trained for classification of a, b, c, expected classification of a, b; give a"
    ):
        ask_teacher([tmp_path / "m"], make_task("classification", ("a", "b")), [], 0.5, None)
    with pytest.raises(CheckpointError, match="demo is a language model, which predicts bases; fine-tune it first"):
        ask_teacher(["demo"], CLASSES.task, [], 0.5, None)
