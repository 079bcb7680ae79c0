"""Truth and predictions -> accuracy, MCC, AUROC, Pearson and others, each with a bootstrap interval and a definition."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer.errors import ConfigError
from genoformer.evaluation import weighted
from genoformer.evaluation.cases import Cases, Floats, checked_predictions
from genoformer.evaluation.intervals import Estimate, estimate, resamplings
from genoformer.evaluation.task_metrics import METRICS
from genoformer.tasks import Task


def cases(task: Task, truth: ArrayLike, predicted: ArrayLike) -> Cases:
    """Check truth and predictions; raises ConfigError for input that does not fit (shapes as in `compute_metrics`)."""
    true = task.checked(truth, len(np.atleast_1d(truth)))
    p, metrics = checked_predictions(task, predicted, len(true)), METRICS[type(task)]
    metrics.check(p)
    return Cases(task, task.one_hot(true).astype(np.float64), p, metrics.call(p))


def compute_metrics(task: Task, truth: ArrayLike, predicted: ArrayLike, seed: int = 0, n: int = 1000) -> dict[str, Estimate]:
    """Return every metric of a task with its 2.5 % and 97.5 % quantiles over n bootstrap samples (Efron 1979).

    truth: targets as in `genoformer.tasks`; classes are resampled within each class. predicted: probabilities [N, C], which sum
    to 1 for classes, or values. `definitions` explains each metric. After a metric that is a mean over classes, labels or
    values, their own metrics follow as "auroc:NAME". An undefined metric is NaN, and `notes` gives the reason. Raises
    ConfigError for input that does not fit.

    >>> from genoformer.tasks import Classification
    >>> task = Classification(("no", "yes"))
    >>> found = compute_metrics(task, [0, 0, 1, 1], [[.9, .1], [.4, .6], [.2, .8], [.1, .9]])
    >>> found["accuracy"].value, found["auroc"].value, round(found["mcc"].value, 3)
    (0.75, 1.0, 0.577)
    """
    return {name: estimate(values) for name, values in resampled(cases(task, truth, predicted), seed, n).items()}


def resampled(data: Cases, seed: int = 0, n: int = 1000) -> dict[str, Floats]:
    """Return each metric on the original cases and on n bootstrap samples, [1 + n]; same truth and seed give the same draws."""
    if n < 1:
        raise ConfigError(f"n = {n} resamplings: at least 1 is needed, 1000 are usual.")
    metrics = METRICS[type(data.task)]
    strata = data.task.strata(data.truth.argmax(1))
    blocks = [dict(metrics.compute(data, weights)) for weights in resamplings(strata, n, seed)]
    draws = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    return _means_first(data, metrics.defined(data, draws))


def definitions(task: Task) -> dict[str, str]:
    """Return a sentence on each metric of a task; classes that never occur in the truth do not count in a mean."""
    return METRICS[type(task)].definitions(task.n_outputs)


def confusion(data: Cases) -> NDArray[np.int64]:
    """Return the counts by true class (rows) and called class (columns), [C, C]; for labels [C, 2, 2], false and true."""
    return METRICS[type(data.task)].confusion(data)


def per_class(data: Cases) -> list[dict[str, float | int | str]]:
    """Return precision, recall, F1 and support (true cases) of each class or label; NaN if undefined."""
    n = weighted.counts(np.ones((1, len(data.truth))), data.true, data.called)
    columns = [weighted.precision(n)[0], weighted.recall(n)[0], weighted.f1(n)[0]]
    return [
        {"class": name, "precision": float(p), "recall": float(r), "f1": float(f), "support": int(support)}
        for name, p, r, f, support in zip(data.names, *columns, n.true[0], strict=True)
    ]


def notes(data: Cases) -> list[str]:
    """Return a sentence for each undefined metric, for classes that do not count in a mean, and for a failed model."""
    return METRICS[type(data.task)].notes(data)


def metric_range(metric: str) -> tuple[float, float]:
    """Return the smallest and the largest possible value of a metric (or "NAME:CLASS").

    >>> metric_range("mcc"), metric_range("auroc:promoter"), metric_range("r2")
    ((-1.0, 1.0), (0.0, 1.0), (-inf, 1.0))
    """
    ranges = {
        "mcc": (-1.0, 1.0),
        "pearson": (-1.0, 1.0),
        "spearman": (-1.0, 1.0),
        "r2": (-np.inf, 1.0),
        "mse": (0.0, np.inf),
        "brier": (0.0, 2.0),
    }
    return ranges.get(metric.partition(":")[0], (0.0, 1.0))


def _means_first(data: Cases, draws: dict[str, Floats]) -> dict[str, Floats]:
    """Replace columns of several outputs [1 + n, C] by their mean, and append the columns by name.

    The mean is over all classes that occur (labels and values that vary), and is NaN if any of these is NaN. The MCC of labels
    is a mean over labels whose calls vary. A bootstrap sample without cases of a rare label uses the other labels.
    """
    means: dict[str, Floats] = {}
    single: dict[str, Floats] = {}
    for name, values in draws.items():
        if values.ndim == 1 or values.shape[1] == 1:
            means[name] = values.reshape(-1)
            continue
        single |= {f"{name}:{label}": values[:, i] for i, label in enumerate(data.names)}
        among = values[:, METRICS[type(data.task)].counted(data, name)]
        defined = np.isfinite(among)
        means[name] = weighted.ratio(np.where(defined, among, 0).sum(1), defined.sum(1).astype(np.float64))
        if not defined[0].all():
            means[name][0] = np.nan
    return means | single
