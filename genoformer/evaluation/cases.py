"""Cases: the truth and the predictions of a data set, checked."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer.errors import ConfigError
from genoformer.tasks import Task

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Cases(NamedTuple):
    """Checked truth and predictions; built by `metrics.cases`."""

    task: Task
    truth: Floats  # [N, C]: 0 or 1 for classes (one 1 per row) and labels, else the measured values
    predicted: Floats  # [N, C]: probabilities, else values
    called: Bools  # [N, C]: the most probable class (the first of equals), or labels with probability above 0.5; else False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, labels or values."""
        return self.task.names

    @property
    def true(self) -> Bools:
        return self.truth > 0.5


def checked_predictions(task: Task, predicted: ArrayLike, n: int) -> Floats:
    """Return predictions of n cases, float64 [N, C]; raise ConfigError for another shape and for missing numbers."""
    array = np.asarray(predicted, dtype=np.float64)
    if array.ndim == 1 and task.n_outputs == 1:
        array = array[:, None]
    if array.shape != (n, task.n_outputs):
        raise ConfigError(
            f"predictions of shape {array.shape} for {n} targets of {task.kind} with {task.n_outputs} outputs: they need shape "
            f"{(n, task.n_outputs)}; is a row missing?"
        )
    if n_bad := int((~np.isfinite(array)).any(axis=1).sum()):
        raise ConfigError(f"{n_bad} of {n} predictions have a missing or infinite number; leave them out.")
    return array


def varies(x: NDArray[np.generic]) -> Bools:
    """Return for each column of x [N, C] whether it has different values, [C]."""
    return np.asarray((x != x[:1]).any(0))
