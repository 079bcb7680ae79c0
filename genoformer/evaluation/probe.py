"""Embeddings and labels -> a linear model -> metrics: a linear probe of the information in embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer.errors import ConfigError
from genoformer.evaluation.examples import Floats, examples
from genoformer.evaluation.linear import Linear, Penalties, Table, fit_linear, split_rows
from genoformer.evaluation.report import evaluate
from genoformer.tasks import Task

HELD_OUT = 5  # one in five rows is predicted if no validation data is given
_PENALTIES = Penalties(
    (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0), (1e6, 1e5, 1e4, 1e3, 1e2, 10.0, 1.0)
)


@dataclass
class LinearProbe:
    """A fitted regression on standardised embeddings; see `fit_probe`."""

    linear: Linear
    centre: NDArray[np.float32]  # [D], mean of the training rows
    scale: NDArray[np.float32]  # [D], 1 over their standard deviation; 0 for constant dimensions
    notes: list[str]

    def predict(self, embeddings: ArrayLike) -> Floats:
        """Return probabilities or values of embeddings [N, D], float32 [N, C]."""
        x = _finite(embeddings)
        if x.shape[1] != len(self.centre):
            raise ConfigError(f"embeddings are {x.shape[1]} wide, the probe's {len(self.centre)}; embed with the same model.")
        return self.linear.predict((x - self.centre) * self.scale)


def fit_probe(embeddings: ArrayLike, targets: ArrayLike, task: Task, *, seed: int = 0) -> LinearProbe:
    """Fit a logistic regression (ridge for values, one-against-rest for labels) on standardised embeddings [N, D].

    targets: as in `genoformer.tasks`. A tenth of the rows selects the penalty; the final fit uses all rows.
    Raises ConfigError for input that does not fit, is not finite, or has one class.

    >>> x = np.random.default_rng(0).normal(size=(200, 4))
    >>> from genoformer.tasks import Classification
    >>> fitted = fit_probe(x, (x[:, 1] > 0).astype(int), Classification(("low", "high")))
    >>> fitted.predict([[0, 3, 0, 0], [0, -3, 0, 0]]).argmax(1).tolist()
    [1, 0]
    """
    x = _finite(embeddings)
    y = _targets(x, targets, task)
    centre, spread = x.mean(0, dtype=np.float64), x.std(0, dtype=np.float64)
    varies = spread > 1e-6 * np.maximum(np.abs(centre), 1e-6)  # smaller is rounding
    scale = np.where(varies, 1 / np.where(varies, spread, 1), 0).astype(np.float32)
    centre = centre.astype(np.float32)
    table = Table((x - centre) * scale, y)
    linear = fit_linear(table, None, task, _PENALTIES, seed=seed)
    return LinearProbe(linear, centre, scale, [*linear.notes, *linear.warnings])


def check_probe(targets: NDArray[Any], task: Task, *, held_out: bool, seed: int = 0) -> None:
    """Refuse, with ConfigError, targets that are too few for `probe` (as in `fit_probe`), before anything is embedded.

    held_out: True if a fifth of the rows is to be predicted, because no validation data is given.
    """
    if held_out:
        targets = targets[split_rows(targets, task, seed=seed, one_in=HELD_OUT)[0]]
    split_rows(targets, task, seed=seed)  # a tenth selects the penalty


def probe(
    embeddings: ArrayLike,
    targets: ArrayLike,
    task: Task,
    *,
    valid: tuple[ArrayLike, ArrayLike] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Fit a linear probe and evaluate it on `valid`, or on a random held-out fifth (stratified by class).

    embeddings, targets, task: as in `fit_probe`; valid: embeddings and targets.
    Return the dict of `report.evaluate`, ready for `json.dumps`: mcc, auroc, accuracy ... (pearson ... for values), each
    with its interval, and the other entries. "probe" replaces "models": rows fitted, rows predicted, their origin, and the
    choice of the penalty. With a random fifth, similar sequences may be in both parts.
    Raises ConfigError for input that does not fit.

    >>> x = np.random.default_rng(0).normal(size=(200, 4))
    >>> from genoformer.tasks import Classification
    >>> found = probe(x, (x[:, 1] > 0).astype(int), Classification(("low", "high")))
    >>> found["auroc"]["value"] > 0.9, found["probe"]["valid"]
    (True, 'a held-out fifth')
    """
    x = _finite(embeddings)
    y = _targets(x, targets, task)
    if valid is None:
        train, held_out = split_rows(y, task, seed=seed, one_in=HELD_OUT)
        x, y, x_valid, y_valid = x[train], y[train], x[held_out], y[held_out]
    else:
        x_valid = _finite(valid[0])
        y_valid = _targets(x_valid, valid[1], task)
    fitted = fit_probe(x, y, task, seed=seed)
    found = evaluate(task, y_valid, fitted.predict(x_valid), seed=seed)
    del found["models"]
    which = "a held-out fifth" if valid is None else "as given"
    return found | {"probe": {"n_train": len(x), "n_valid": len(x_valid), "valid": which, "notes": fitted.notes}}


def _finite(embeddings: ArrayLike) -> Floats:
    x = np.asarray(embeddings, dtype=np.float32)
    if x.ndim != 2 or not x.size:
        raise ConfigError(f"embeddings of shape {x.shape}: a row for each sequence is needed, [N, D], at least one.")
    if bad := int((~np.isfinite(x)).any(axis=1).sum()):
        raise ConfigError(f"{bad} of {len(x)} embeddings have a missing or infinite number; leave them out.")
    return x


def _targets(x: Floats, targets: ArrayLike, task: Task) -> NDArray[Any]:
    rows: Any = x  # `examples` accepts any non-empty rows
    return examples(rows, targets, task).targets
