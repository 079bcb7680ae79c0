"""Features and targets -> logistic or ridge regression of scikit-learn, with its penalty chosen on held-out rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.evaluation.examples import Examples, Floats, refuse_one_class, split
from genoformer.tasks import Classification, MultiLabel, Regression, Task


class Table(NamedTuple):
    """Scaled features [N, F], dense or sparse, and targets [N] or [N, K]."""

    x: Any
    y: NDArray[Any]

    def take(self, rows: NDArray[np.int64]) -> Table:
        return Table(self.x[rows], self.y[rows])


@dataclass
class Linear:
    """A fitted regression; see `fit_linear`."""

    task: Task
    models: list[Any] = field(default_factory=list)  # of scikit-learn; one, or one per label
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def predict(self, x: Any) -> Floats:
        """Return probabilities or values of features [N, F], float32 [N, C]; an untrained class has probability 0."""
        return np.asarray(_REGRESSIONS[type(self.task)].predict(self, x), dtype=np.float32)


class Penalties(NamedTuple):
    """Penalties to choose from, strongest first: C of a logistic regression (the inverse), and alpha of ridge."""

    inverse: Sequence[float]
    ridge: Sequence[float]
    max_iter: int = 300  # of lbfgs, for each C; the weakest penalties chosen in practice take about 100


def split_rows(
    targets: NDArray[Any], task: Task, *, seed: int, one_in: int = 10
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of the training rows and of the held-out rows, with the split of `split`."""
    numbered = Examples(np.arange(len(targets)), targets)  # type: ignore[arg-type]  # rows in place of sequences
    parts = split(numbered, None, task, seed=seed, one_in=one_in)
    return np.array(parts[0].sequences), np.array(parts[1].sequences)


def fit_linear(train: Table, held_out: Table | None, task: Task, penalties: Penalties, *, seed: int = 0) -> Linear:
    """Fit a logistic regression (ridge for values, one-against-rest for labels) on scaled features.

    train: features and checked targets (`examples`). held_out: rows that select the penalty; without them a tenth of the
    training rows does (`split`), and the final fit uses all rows.
    Raises ConfigError for a training set of one class.
    """
    refuse_one_class(task, train.y)
    fitted, part = Linear(task), train
    if held_out is None:
        part, held_out = (train.take(rows) for rows in split_rows(train.y, task, seed=seed))
    _REGRESSIONS[type(task)].fit(fitted, train, part, held_out, penalties)
    return fitted


def _fit_classes(fitted: Linear, whole: Table, part: Table, held_out: Table, penalties: Penalties) -> None:
    _logistic(fitted, whole, part, held_out, penalties)


def _fit_labels(fitted: Linear, whole: Table, part: Table, held_out: Table, penalties: Penalties) -> None:
    for label in range(fitted.task.n_outputs):
        tables = [Table(t.x, t.y[:, label].astype(np.int64)) for t in (whole, part, held_out)]
        _logistic(fitted, tables[0], tables[0] if part is whole else tables[1], tables[2], penalties)


def _fit_values(fitted: Linear, whole: Table, part: Table, held_out: Table, penalties: Penalties) -> None:
    _ridge(fitted, whole, part, held_out, penalties.ridge)


def _predict_classes(fitted: Linear, x: Any) -> Any:
    p = np.zeros((x.shape[0], fitted.task.n_outputs), dtype=np.float32)
    p[:, fitted.models[0].classes_] = fitted.models[0].predict_proba(x)
    return p


def _predict_labels(fitted: Linear, x: Any) -> Any:
    columns = [np.full(x.shape[0], m) if isinstance(m, float) else m.predict_proba(x)[:, 1] for m in fitted.models]
    return np.stack(columns, axis=1)


def _predict_values(fitted: Linear, x: Any) -> Any:
    return fitted.models[0].predict(x).reshape(x.shape[0], fitted.task.n_outputs)


class _Regression(NamedTuple):
    """Fit of the linear model of a task, and its predictions."""

    fit: Callable[[Linear, Table, Table, Table, Penalties], None]
    predict: Callable[[Linear, Any], Any]


_REGRESSIONS: dict[type[Task], _Regression] = {
    Classification: _Regression(_fit_classes, _predict_classes),
    MultiLabel: _Regression(_fit_labels, _predict_labels),
    Regression: _Regression(_fit_values, _predict_values),
}


def _logistic(fitted: Linear, whole: Table, part: Table, held_out: Table, penalties: Penalties) -> None:
    """Choose C by the loss on the held-out table, from fits on the part, and then fit the whole table."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    cs, max_iter = penalties.inverse, penalties.max_iter
    if len(np.unique(part.y)) < 2:
        fitted.models.append(float(whole.y.mean()))
        number = len(fitted.models) - 1
        fitted.warnings.append(f"label {number} does not vary in training: the fraction of positives is predicted")
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # we report it
        model = LogisticRegression(max_iter=max_iter, tol=1e-4, warm_start=True)
        best, chosen = np.inf, cs[0]
        for c in cs:  # from the strongest penalty; each fit starts at the previous solution
            model.set_params(C=c).fit(part.x, part.y)
            loss = _log_loss(model, held_out)
            if loss < best:
                best, chosen, weights = loss, c, (model.coef_.copy(), model.intercept_.copy())
            elif loss > 1.02 * best:
                break  # the loss has one minimum along this path
        model.coef_, model.intercept_ = weights
        model.set_params(C=chosen)
        if part is not whole:
            model.fit(whole.x, whole.y)
    fitted.models.append(model)
    fitted.notes.append(f"C = {chosen:g} of {', '.join(f'{c:g}' for c in cs)} (validation loss {best:.4f})")
    if model.n_iter_.max() >= max_iter:
        fitted.warnings.append(f"lbfgs was stopped after {max_iter} iterations")


def _log_loss(model: Any, table: Table) -> float:
    """Return the mean negative log probability of the truth; a class unknown to the model has probability 1e-7."""
    p = model.predict_proba(table.x)
    is_true = model.classes_ == table.y[:, None]
    return float(-np.log(np.maximum((p * is_true).sum(1), 1e-7)).mean())


def _ridge(fitted: Linear, whole: Table, part: Table, held_out: Table, alphas: Sequence[float]) -> None:
    """Choose the penalty by the squared error on the held-out table, and then fit the whole table."""
    from sklearn.linear_model import Ridge

    models = [Ridge(alpha=alpha, solver="sparse_cg", tol=1e-4).fit(part.x, part.y) for alpha in alphas]
    errors = [float(np.mean((model.predict(held_out.x).reshape(held_out.y.shape) - held_out.y) ** 2)) for model in models]
    best = int(np.argmin(errors))
    fitted.models.append(models[best].fit(whole.x, whole.y) if part is not whole else models[best])
    tried = ", ".join(f"{alpha:g}" for alpha in alphas)
    fitted.notes.append(f"penalty {alphas[best]:g} of {tried} (validation MSE {errors[best]:.4g})")
