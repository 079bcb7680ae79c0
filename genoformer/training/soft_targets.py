"""Soft targets: labels -> probabilities, by label smoothing and by the predictions of other models (distillation)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer import inference
from genoformer.datasets.targets import Targets
from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes
from genoformer.genome.contigs import join_names
from genoformer.models import registry
from genoformer.progress import ProgressCallback, Stage
from genoformer.tasks import Task
from genoformer.training.config import TuningConfig

_AT_ONCE = 2_000  # sequences between two reports of progress


class Teacher(NamedTuple):
    """Predictions of other models for the training sequences [N, C], their weight, and the record of the models."""

    values: NDArray[np.float32]
    weight: float
    record: dict[str, Any]


def soft_targets(targets: Targets, plan: TuningConfig, teacher: Teacher | None = None) -> NDArray[Any]:
    """Return the targets to train on: those given, unless there is smoothing, mixup or a teacher; then float32 [N, C].

    With smoothing e, of C classes each has e / C, and the true one 1 - e more; a label (0 or 1) becomes (1 - e) y + e / 2. A
    teacher of weight w gives (1 - w) y + w p: the loss is linear in y, so this is the weighted sum of the losses of both.

    Raises ConfigError for smoothing of values.
    """
    (task, values), smoothing = targets, plan.label_smoothing
    if not smoothing and not plan.mixup and teacher is None:
        return values
    if smoothing and task.has_scale:
        raise ConfigError(f"label_smoothing = {smoothing} is for classes and labels, found values; set it to 0.")
    soft = task.one_hot(values)
    if smoothing:
        soft = (1 - smoothing) * soft + smoothing / (task.n_outputs if task.one_class else 2)
    if teacher is not None:
        soft = (1 - teacher.weight) * soft + teacher.weight * teacher.values
    return soft.astype(np.float32)


def ask_teacher(
    names: Sequence[str | Path], task: Task, sequences: Sequence[Codes], weight: float, progress: ProgressCallback
) -> Teacher:
    """Return the mean predictions of fine-tuned models, or of the members of runs, for training sequences.

    Raises CheckpointError for a model that is not fine-tuned, ConfigError for one of another task or with other classes.
    """
    models = []
    for name in names:
        models += registry.load_ensemble(name)
        found = models[-1].task
        if (found.kind, found.names) != (task.kind, task.names):
            raise ConfigError(
                f"{name} was trained for {found.kind} of {join_names(found.names)}, expected {task.kind} of "
                f"{join_names(task.names)}; give a model that was trained on these labels."
            )
    stage = Stage(progress, "distil", len(models) * len(sequences))
    total = np.zeros((len(sequences), task.n_outputs), dtype=np.float64)
    for model in models:
        for first in range(0, len(sequences), _AT_ONCE):
            part = sequences[first : first + _AT_ONCE]
            total[first : first + _AT_ONCE] += inference.predictions(model, part).values / len(models)
            stage.add(len(part))
    record = {"names": [Path(name).name for name in names], "sha256": [model.sha256 for model in models], "weight": weight}
    return Teacher(total.astype(np.float32), weight, record)
