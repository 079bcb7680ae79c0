"""Training sequences and targets of a baseline: checks, split and padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N
from genoformer.tasks import Task

Floats = NDArray[np.float32]

_HELD_OUT = 10  # one in ten training sequences selects the hyperparameters


class Baseline(Protocol):
    """A model that is cheap to train, to measure the benefit of a large model."""

    notes: list[str]  # chosen hyperparameters
    warnings: list[str]  # problems of the training

    def predict(self, sequences: Sequence[Codes]) -> Floats:
        """Return probabilities (or values, for a regression) of sequences of any lengths, float32 [N, C]."""
        ...


class Examples(NamedTuple):
    """Sequences of any lengths with their targets."""

    sequences: Sequence[Codes]
    targets: NDArray[Any]  # as in `genoformer.tasks`

    def take(self, rows: NDArray[np.int64]) -> Examples:
        return Examples([self.sequences[i] for i in rows], self.targets[rows])


def examples(sequences: Sequence[Codes], targets: ArrayLike, task: Task) -> Examples:
    """Return checked sequences and targets, with targets in the data type of their task.

    Raises ConfigError for an empty sequence, for targets of another number, shape or range, and for missing values.
    """
    checked = task.checked(targets, len(sequences))
    if not all(len(sequence) for sequence in sequences):
        raise ConfigError("a sequence has no bases; leave the empty ones out.")
    return Examples(sequences, checked)


def refuse_one_class(task: Task, targets: NDArray[Any]) -> None:
    """Refuse, with ConfigError, the training targets of a classification that are all of one class."""
    if task.one_class and (only := task.constant(targets)):
        raise ConfigError(f"all {len(targets)} training sequences are of class {only[0]}; a baseline needs two classes.")


def split(
    train: Examples,
    valid: tuple[Sequence[Codes], ArrayLike] | None,
    task: Task,
    *,
    seed: int,
    one_in: int = _HELD_OUT,
) -> tuple[Examples, Examples]:
    """Return training and validation examples: as given, or with one in `one_in` training examples held out at random.

    With classes the split is stratified by class, and the only example of a class stays in training.
    """
    if valid is not None:
        return train, examples(*valid, task)
    n = len(train.targets)
    if n < 2 * one_in:
        raise ConfigError(f"{n} sequences are too few to hold some out; give at least {2 * one_in}, or a validation set.")
    strata = task.strata(train.targets)
    order = np.random.default_rng(seed).permutation(n)
    order = order[np.argsort(strata[order], kind="stable")]
    held_out = (np.arange(n) % one_in == 0) & (np.bincount(strata)[strata[order]] > 1)
    return train.take(np.sort(order[~held_out])), train.take(np.sort(order[held_out]))


def pad(sequences: Sequence[Codes], multiple: int = 1) -> tuple[Codes, NDArray[np.int64]]:
    """Pad codes with N at the end to [B, L], L the longest rounded up to a `multiple`; also return the true lengths [B].

    >>> from genoformer.genome.codes import encode
    >>> pad([encode("AC"), encode("GGG")], multiple=2)[0].tolist()
    [[0, 1, 4, 4], [2, 2, 2, 4]]
    """
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    width = -(-int(lengths.max()) // multiple) * multiple
    codes = np.full((len(sequences), width), N, dtype=np.uint8)
    codes[np.arange(width) < lengths[:, None]] = np.concatenate(list(sequences))
    return codes, lengths
