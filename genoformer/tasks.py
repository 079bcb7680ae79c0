"""Task: one class, any number of labels, or values for each sequence, with the loss, the checks and the texts of each.

Targets of N sequences are int64 [N] for classes, float32 [N, C] of 0 and 1 for labels, and float32 [N, C] for values.
Predictions are float32 [N, C]: probabilities, or values in their own unit. evaluation.metrics.METRICS has the metrics by task.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from genoformer.errors import ConfigError
from genoformer.genome.contigs import count_noun, join_names

if TYPE_CHECKING:
    from torch import Tensor

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Goal = Literal["classify", "regress"]  # in commands and manifests; the labels decide between classes and labels


@dataclass(frozen=True)
class Task(ABC):
    """Outputs of a fine-tuned model by name, and how they are trained and read.

    mean, std: of the training values of a regression, whose logits are values in units of `std` from `mean`; else ().
    """

    names: tuple[str, ...]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    kind: ClassVar[str] = ""  # in configuration and result files
    goal: ClassVar[Goal] = "classify"
    word: ClassVar[str] = ""  # an output, in messages
    has_scale: ClassVar[bool] = False  # a fine-tuned model holds `mean` and `std`
    one_class: ClassVar[bool] = False  # exactly one output is true of a sequence
    multi_label: ClassVar[bool] = False
    has_log_odds: ClassVar[bool] = True  # the outputs are probabilities

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(str(name) for name in self.names))
        if not self.names:
            raise ConfigError("a head without outputs predicts nothing; name its classes, labels or values.")
        if len(set(self.names)) < len(self.names):
            raise ConfigError(f"classes {', '.join(self.names)}: names must differ; rename one of them.")

    @property
    def n_outputs(self) -> int:
        """Number of outputs for a sequence: C classes, labels or values."""
        return len(self.names)

    @property
    def binary(self) -> bool:
        """True for one of two classes; the second is the positive one."""
        return False

    # --- training

    @abstractmethod
    def loss(self, logits: Tensor, targets: Tensor, reduction: str = "none") -> Tensor:
        """Return the loss of each sequence [B], or its mean over the batch with reduction "mean"."""

    @abstractmethod
    def values(self, logits: Tensor) -> Tensor:
        """Convert logits [..., C] to probabilities, or to values in their own unit."""

    def log_odds(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Convert logits [..., C] to the log-odds log(p / (1 - p)) of each output, in nats, float64.

        Raises ConfigError for values, which have no probability.
        """
        raise ConfigError(f"{', '.join(self.names)}: values of a {self.kind} have no log-odds; take the values themselves.")

    @abstractmethod
    def mean_loss(self, targets: NDArray[Any], predicted: Floats) -> float:
        """Return the cross-entropy in nats of predictions, or their mean squared error for values."""

    def scaled(self, targets: NDArray[Any], dtype: DTypeLike = np.float64, least: float = 0.0) -> Self:
        """Return the task with the mean and the standard deviation (at least `least`) of training targets, if it uses them."""
        return self

    # --- targets

    def checked(self, targets: ArrayLike, n: int) -> NDArray[Any]:
        """Return the targets of n sequences in their data type; raise ConfigError for those that do not fit."""
        array = np.asarray(targets)
        shape = self._shape(n)
        if len(shape) == 2 and shape[1] == 1 and array.ndim == 1:
            array = array[:, None]
        if array.shape != shape or not n:
            raise ConfigError(
                f"targets of shape {array.shape} for {n} sequences: {self.kind} with {self.n_outputs} outputs needs shape "
                f"{shape}, of at least one sequence; give one row of targets for each sequence."
            )
        if n_bad := int((~np.isfinite(array.astype(np.float64))).reshape(n, -1).any(1).sum()):
            raise ConfigError(f"{n_bad} of {n} targets are missing or infinite; leave those sequences out.")
        return self._ranged(array)

    def _shape(self, n: int) -> tuple[int, ...]:
        return n, self.n_outputs

    @abstractmethod
    def _ranged(self, targets: NDArray[Any]) -> NDArray[Any]:
        """Return finite targets in their data type; raise ConfigError for values that are not allowed."""

    def one_hot(self, targets: NDArray[Any]) -> Floats:
        """Return the targets as perfect predictions, float32 [N, C]."""
        return np.asarray(targets, dtype=np.float32)

    def strata(self, targets: NDArray[Any]) -> Ints:
        """Return the group of each sequence [N] within which splits and resamplings are drawn: its class, else 0."""
        return np.zeros(len(targets), dtype=np.int64)

    def class_names(self, targets: NDArray[Any]) -> list[str]:
        """Return the class of each sequence; an empty list if sequences do not have one class each."""
        return []

    def counts(self, targets: NDArray[Any]) -> list[int]:
        """Return the number of sequences of each class or label."""
        return [int(n) for n in targets.sum(0)]

    def constant(self, targets: NDArray[Any]) -> list[str]:
        """Return the names of outputs whose target is the same for all sequences; for classes, the only one that occurs."""
        return [name for name, x in zip(self.names, targets.T, strict=True) if (x == x[0]).all()]

    def varies(self, targets: NDArray[Any]) -> bool:
        """Return True if a class, label or value differs between the sequences."""
        return len(self.constant(targets)) < self.n_outputs

    def absent(self, targets: NDArray[Any]) -> list[str]:
        """Return the classes that no sequence has; labels and values have none."""
        return []

    @abstractmethod
    def describe(self, targets: NDArray[Any], columns: Sequence[str]) -> str:
        """Return a clause on the targets that were read from these columns: their number, names and counts or ranges."""

    def untrainable(self, targets: NDArray[Any]) -> list[str]:
        """Return the names of outputs that training targets do not allow to be learned: values that are all equal."""
        return []

    def balanced_weights(self, targets: NDArray[Any]) -> Floats:
        """Return a weight for each sequence [N], with the same total for each class, as scikit-learn's "balanced".

        Raises ConfigError if sequences do not have one class each.
        """
        raise ConfigError("class_weights = 'balanced' needs one class for each sequence; set it to 'none'.")


class Classification(Task):
    """One class for each sequence."""

    kind = "classification"
    word = "class"
    one_class = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.names) < 2:
            raise ConfigError(f"{self.names[0]} is the only class; give at least two.")

    @property
    def binary(self) -> bool:
        return len(self.names) == 2

    def loss(self, logits: Tensor, targets: Tensor, reduction: str = "none") -> Tensor:
        import torch.nn.functional as F

        return F.cross_entropy(logits, targets, reduction=reduction)

    def values(self, logits: Tensor) -> Tensor:
        return logits.softmax(-1)

    def log_odds(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Convert logits x [..., C] to log-odds: log(p / (1 - p)) of a softmax is x_c - log(sum of exp(x) of other classes).

        With two classes it is the difference of their logits.
        """
        x = np.asarray(logits, dtype=np.float64)
        if self.binary:
            return x - x[..., ::-1]
        top = x.argmax(-1)[..., None]
        shifted = x - np.take_along_axis(x, top, axis=-1)
        e = np.exp(shifted)
        others = e.sum(-1, keepdims=True) - e  # at least 1, except at the most likely class, where the difference loses digits
        np.put_along_axis(shifted, top, -np.inf, axis=-1)
        second = shifted.max(-1, keepdims=True)
        log_rest = second + np.log(np.exp(shifted - second).sum(-1, keepdims=True))
        np.put_along_axis(shifted, top, -log_rest, axis=-1)
        np.put_along_axis(others, top, 1.0, axis=-1)
        return shifted - np.log(others)

    def mean_loss(self, targets: NDArray[Any], predicted: Floats) -> float:
        return float(-np.log(_inside(predicted)[np.arange(len(predicted)), targets]).mean())

    def _shape(self, n: int) -> tuple[int, ...]:
        return (n,)

    def _ranged(self, targets: NDArray[Any]) -> NDArray[Any]:
        if not np.isin(targets, np.arange(self.n_outputs)).all():
            raise ConfigError(
                f"classes are numbers 0 to {self.n_outputs - 1}, found {targets.min():g} to {targets.max():g}; renumber them."
            )
        return targets.astype(np.int64)

    def one_hot(self, targets: NDArray[Any]) -> Floats:
        return np.eye(self.n_outputs, dtype=np.float32)[targets]

    def strata(self, targets: NDArray[Any]) -> Ints:
        return targets

    def class_names(self, targets: NDArray[Any]) -> list[str]:
        return [self.names[i] for i in targets]

    def counts(self, targets: NDArray[Any]) -> list[int]:
        return [int(n) for n in np.bincount(targets, minlength=self.n_outputs)]

    def constant(self, targets: NDArray[Any]) -> list[str]:
        return [self.names[targets[0]]] if (targets == targets[0]).all() else []

    def varies(self, targets: NDArray[Any]) -> bool:
        return not self.constant(targets)

    def absent(self, targets: NDArray[Any]) -> list[str]:
        return [name for name, n in zip(self.names, self.counts(targets), strict=True) if not n]

    def describe(self, targets: NDArray[Any], columns: Sequence[str]) -> str:
        return f"one class each (column {columns[0]}). Classes: {_with_counts(self, targets)}"

    def balanced_weights(self, targets: NDArray[Any]) -> Floats:
        count = np.array(self.counts(targets))
        return (len(targets) / (self.n_outputs * count))[targets].astype(np.float32)


class MultiLabel(Task):
    """Any number of labels for each sequence."""

    kind = "multilabel"
    word = "label"
    multi_label = True

    def loss(self, logits: Tensor, targets: Tensor, reduction: str = "none") -> Tensor:
        import torch.nn.functional as F

        return _per_sequence(F.binary_cross_entropy_with_logits(logits, targets, reduction=reduction))

    def values(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def log_odds(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.asarray(logits, dtype=np.float64)

    def mean_loss(self, targets: NDArray[Any], predicted: Floats) -> float:
        p = _inside(predicted)
        return float(-(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean())

    def _ranged(self, targets: NDArray[Any]) -> NDArray[Any]:
        if not np.isin(targets, (0, 1)).all():
            raise ConfigError("labels are 0 or 1, found others; use a regression for measurements.")
        return targets.astype(np.float32)

    def describe(self, targets: NDArray[Any], columns: Sequence[str]) -> str:
        how = f"{len(columns)} labels each, 0 or 1" if len(columns) > 1 else f"any number of classes each (column {columns[0]})"
        return f"{how}. Classes: {_with_counts(self, targets)}"


class Regression(Task):
    """Values for each sequence."""

    kind = "regression"
    goal = "regress"
    word = "value"
    has_scale = True
    has_log_odds = False

    def loss(self, logits: Tensor, targets: Tensor, reduction: str = "none") -> Tensor:
        import torch
        import torch.nn.functional as F

        if self.mean:
            mean, std = (torch.tensor(x, device=logits.device) for x in (self.mean, self.std))
            targets = (targets - mean) / std
        return _per_sequence(F.mse_loss(logits, targets, reduction=reduction))

    def values(self, logits: Tensor) -> Tensor:
        import torch

        if not self.mean:
            return logits
        mean, std = (torch.tensor(x, device=logits.device) for x in (self.mean, self.std))
        return logits * std + mean

    def mean_loss(self, targets: NDArray[Any], predicted: Floats) -> float:
        return float(((predicted - targets) ** 2).mean())

    def scaled(self, targets: NDArray[Any], dtype: DTypeLike = np.float64, least: float = 0.0) -> Self:
        mean, std = targets.mean(0, dtype=dtype), np.maximum(targets.std(0, dtype=dtype), least)
        return replace(self, mean=tuple(mean.tolist()), std=tuple(std.tolist()))

    def _ranged(self, targets: NDArray[Any]) -> NDArray[Any]:
        return targets.astype(np.float32)

    def describe(self, targets: NDArray[Any], columns: Sequence[str]) -> str:
        ranges = [f"{name} from {x.min():g} to {x.max():g}" for name, x in zip(self.names, targets.T, strict=True)]
        n = "one value" if len(ranges) == 1 else count_noun(ranges, "value")
        return f"{n} each to predict: {join_names(ranges)}"

    def untrainable(self, targets: NDArray[Any]) -> list[str]:
        return self.constant(targets)


TASKS: dict[str, type[Task]] = {task.kind: task for task in (Classification, MultiLabel, Regression)}


def make_task(kind: str, names: Sequence[str], mean: Sequence[float] = (), std: Sequence[float] = ()) -> Task:
    """Return the task of this kind with these outputs; mean and std: of the training values of a regression.

    >>> make_task("classification", ("no", "yes")).binary
    True
    """
    if kind not in TASKS:
        raise ConfigError(f"task = {kind!r}: allowed are {', '.join(TASKS)}.")
    return TASKS[kind](tuple(names), tuple(mean), tuple(std))


def _with_counts(task: Task, targets: NDArray[Any]) -> str:
    return join_names([f"{name} ({n:,})" for name, n in zip(task.names, task.counts(targets), strict=True)])


def _per_sequence(losses: Tensor) -> Tensor:
    return losses.mean(1) if losses.ndim == 2 else losses


def _inside(p: Floats) -> Floats:
    """Return probabilities within [1e-7, 1 - 1e-7], so that their logarithms are finite."""
    return np.clip(p, 1e-7, 1 - 1e-7)
