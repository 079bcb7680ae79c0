"""Training sequences and targets of a baseline: checks, split and padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer.datasets.targets import Kind
from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N

Floats = NDArray[np.float32]

_HELD_OUT = 10  # one in ten training sequences selects the hyperparameters


class Baseline(Protocol):
    """A model that is cheap to train, to measure the benefit of a large model."""

    notes: list[str]  # chosen hyperparameters
    warnings: list[str]  # problems of the training

    def predict(self, sequences: Sequence[Codes]) -> Floats:
        """Return probabilities (or values, for kind "values") of sequences of any lengths, float32 [N, C]."""
        ...


class Examples(NamedTuple):
    """Sequences of any lengths with their targets."""

    sequences: Sequence[Codes]
    targets: NDArray[np.int64] | Floats  # classes: int64 [N]; multilabel (0 or 1) and values: float32 [N, C]

    def take(self, rows: NDArray[np.int64]) -> Examples:
        return Examples([self.sequences[i] for i in rows], self.targets[rows])


def check_kind(kind: str) -> None:
    """Refuse, with ConfigError, an unknown kind of target."""
    if kind not in get_args(Kind):
        raise ConfigError(f"kind {kind!r}: allowed are {', '.join(get_args(Kind))}.")


def examples(sequences: Sequence[Codes], targets: ArrayLike, *, kind: Kind, n_outputs: int) -> Examples:
    """Return checked sequences and targets, with targets in the data type of their kind.

    Raises ConfigError for an empty sequence, for targets of another number, shape or range, and for missing values.
    """
    check_kind(kind)
    given = np.asarray(targets)
    if given.ndim == 1 and kind != "classes" and n_outputs == 1:
        given = given[:, None]
    shape = (len(sequences),) if kind == "classes" else (len(sequences), n_outputs)
    if given.shape != shape or not len(sequences):
        raise ConfigError(
            f"{len(sequences)} sequences with targets of shape {given.shape}: kind {kind!r} with {n_outputs} outputs "
            f"needs at least one sequence and targets of shape {shape}; give one row of targets for each sequence."
        )
    if not all(len(sequence) for sequence in sequences):
        raise ConfigError("a sequence has no bases; leave the empty ones out.")
    if not np.isfinite(given.astype(np.float64)).all():
        raise ConfigError("a target is missing or infinite; leave those sequences out.")
    if kind == "classes":
        if not np.issubdtype(given.dtype, np.integer) or given.min() < 0 or given.max() >= n_outputs:
            raise ConfigError(f"classes are numbers 0 to {n_outputs - 1}, found {given.min()} to {given.max()}; renumber them.")
        return Examples(sequences, given.astype(np.int64))
    if kind == "multilabel" and not np.isin(given, (0, 1)).all():
        raise ConfigError("labels are 0 or 1 for kind 'multilabel', found others; use kind 'values' for measurements.")
    return Examples(sequences, given.astype(np.float32))


def split(
    train: Examples,
    valid: tuple[Sequence[Codes], ArrayLike] | None,
    *,
    kind: Kind,
    n_outputs: int,
    seed: int,
    one_in: int = _HELD_OUT,
) -> tuple[Examples, Examples]:
    """Return training and validation examples: as given, or with one in `one_in` training examples held out at random.

    With classes the split is stratified by class, and the only example of a class stays in training.
    """
    if valid is not None:
        return train, examples(*valid, kind=kind, n_outputs=n_outputs)
    n = len(train.targets)
    if n < 2 * one_in:
        raise ConfigError(f"{n} sequences are too few to hold some out; give at least {2 * one_in}, or a validation set.")
    order = np.random.default_rng(seed).permutation(n)
    if kind == "classes":
        order = order[np.argsort(train.targets[order], kind="stable")]
    held_out = np.arange(n) % one_in == 0
    if kind == "classes":
        held_out &= np.bincount(train.targets)[train.targets[order]] > 1
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
