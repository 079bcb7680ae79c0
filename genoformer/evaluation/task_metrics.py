"""Metrics of each task: what is computed from weighted cases, its definitions, and notes on what is undefined."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.evaluation import weighted
from genoformer.evaluation.cases import Bools, Cases, Floats, varies
from genoformer.tasks import Classification, MultiLabel, Regression, Task

_SUM_TO_ONE = 1e-3  # accuracy of half precision
_MANY = 5  # most classes named in a note
_SAME = 1e-6  # smaller differences of label probabilities are rounding: half an ulp of float32 at 1, times 16


class TaskMetrics(ABC):
    """Metrics of one task; `METRICS` has an object for each."""

    default: ClassVar[str]  # metric that selects the best step, unless the configuration names another
    title: ClassVar[str]  # name of `default` in messages
    reported: ClassVar[tuple[str, ...]]  # metrics that `finetune` prints
    has_calls: ClassVar[bool] = True  # predictions are probabilities, and classes or labels are called from them

    @abstractmethod
    def check(self, predicted: Floats) -> None:
        """Raise ConfigError for finite predictions outside the allowed range."""

    @abstractmethod
    def call(self, predicted: Floats) -> Bools:
        """Return the predicted classes or labels [N, C]."""

    @abstractmethod
    def compute(self, data: Cases, weights: Floats) -> Iterator[tuple[str, Floats]]:
        """Yield each metric for rows of weights [M, N]: [M], or [M, C] for the metric of each output."""

    @abstractmethod
    def definitions(self, n_outputs: int) -> dict[str, str]:
        """Return a sentence on each metric."""

    @abstractmethod
    def answered(self, data: Cases) -> Bools:
        """Return for each output whether its predictions differ between cases, [C]."""

    @abstractmethod
    def notes(self, data: Cases) -> list[str]:
        """Return sentences on undefined metrics, and on outputs that do not count in a mean."""

    def counted(self, data: Cases, metric: str) -> Bools:
        """Return for each output whether it counts in the mean of a metric, [C]."""
        return varies(data.truth)

    def defined(self, data: Cases, draws: dict[str, Floats]) -> dict[str, Floats]:
        """Return the metrics with NaN in place of those that the original cases do not define."""
        return draws

    def compared(self, draws: Mapping[str, Floats]) -> str:
        """Return the metric that compares models."""
        return self.default

    def confusion(self, data: Cases) -> NDArray[np.int64]:
        """Return the counts of false and true cases by their call for each output, [C, 2, 2]."""
        true, called = data.true.astype(np.int64), data.called.astype(np.int64)
        table = [[(1 - true) * (1 - called), (1 - true) * called], [true * (1 - called), true * called]]
        return np.array(table).sum(axis=2).transpose(2, 0, 1)


class _ClassMetrics(TaskMetrics):
    default, title, reported = "mcc", "MCC", ("mcc",)

    def check(self, predicted: Floats) -> None:
        _check_probabilities(predicted)
        if np.abs(predicted.sum(1) - 1).max() > _SUM_TO_ONE:
            low, high = predicted.sum(1).min(), predicted.sum(1).max()
            raise ConfigError(
                f"the probabilities of a case must sum to 1, found {low:g} to {high:g}; apply softmax, or use labels."
            )

    def call(self, predicted: Floats) -> Bools:
        return np.arange(predicted.shape[1]) == predicted.argmax(1)[:, None]

    def compute(self, data: Cases, weights: Floats) -> Iterator[tuple[str, Floats]]:
        true, called, p = data.true, data.called, data.predicted
        n = weighted.counts(weights, true, called)
        yield "accuracy", n.hit.sum(1) / n.true.sum(1)
        yield "mcc", weighted.mcc(n)
        use = slice(1, 2) if data.task.binary else slice(None)
        yield "f1", weighted.f1(n)[:, use]
        yield "precision", np.where(n.true > 0, weighted.precision(n), np.nan)[:, use]
        yield "recall", weighted.recall(n)[:, use]
        yield from _ranked(weights, true[:, use], p[:, use])
        yield "ece", weighted.calibration_error(weights, p.max(1), np.asarray((true & called).any(1)))
        yield "brier", weights @ ((p - true)[:, use] ** 2).sum(1) / weights.sum(1)

    def defined(self, data: Cases, draws: dict[str, Floats]) -> dict[str, Floats]:
        # the MCC of a bootstrap sample with one call is 0, but that of a model that makes the same call for all cases is NaN
        return draws if varies(data.called).any() else {**draws, "mcc": np.full_like(draws["mcc"], np.nan)}

    def definitions(self, n_outputs: int) -> dict[str, str]:
        of = "of the last class" if n_outputs == 2 else "mean over the classes (macro)"
        one = "of the last class" if n_outputs == 2 else "of each class against the rest, mean over the classes (macro)"
        brier = "mean squared error of the probability of the last class"
        if n_outputs != 2:
            brier = "squared error of the probabilities summed over the classes, mean over the cases (Brier 1950)"
        return (
            {"accuracy": "fraction of the cases whose most probable class is the true one", "mcc": _MCC + _ZERO["mcc"]}
            | {name: f"{_OF_CALLS[name]}{_ZERO.get(name, '')}, {of}" for name in ("f1", "precision", "recall")}
            | {name: f"{text} {one}" for name, text in _OF_SCORES.items()}
            | {"ece": "expected calibration error of the most probable class, 15 equal bins (Guo et al. 2017)", "brier": brier}
        )

    def answered(self, data: Cases) -> Bools:
        return varies(data.called)

    def counted(self, data: Cases, metric: str) -> Bools:
        return np.asarray(data.true.any(0))

    def notes(self, data: Cases) -> list[str]:
        texts = []
        if collapsed(data):
            only = data.names[int(data.called[0].argmax())]
            texts.append(
                f"the model predicts one class, {only!r}, for all {len(data.truth)} cases: failed; MCC is not defined."
            )
        occurs, called = np.asarray(data.true.any(0)), np.asarray(data.called.any(0))
        if occurs.sum() == 1:
            texts.append(
                f"all {len(data.truth)} cases are of class {data.names[int(occurs.argmax())]!r}: "
                "MCC, AUROC and AUPRC are not defined."
            )
        texts += _name(data, ~occurs, "never occurs in the truth: no precision, recall, F1, AUROC or AUPRC of it")
        return texts + _name(data, occurs & ~called, "is never predicted: its precision counts as 0")

    def confusion(self, data: Cases) -> NDArray[np.int64]:
        """Return the counts by true class (rows) and called class (columns), [C, C]."""
        return data.true.astype(np.int64).T @ data.called.astype(np.int64)


class _LabelMetrics(TaskMetrics):
    default, title, reported = "auroc", "AUROC", ("auroc",)

    def check(self, predicted: Floats) -> None:
        _check_probabilities(predicted)

    def call(self, predicted: Floats) -> Bools:
        return predicted > 0.5

    def compute(self, data: Cases, weights: Floats) -> Iterator[tuple[str, Floats]]:
        true, called, p = data.true, data.called, data.predicted
        total = weights.sum(1, keepdims=True)
        n = weighted.counts(weights, true, called)
        yield "accuracy", weights @ (true == called).astype(np.float64) / total
        yield "exact_match", weights @ (true == called).all(1) / total[:, 0]
        each = [_label_and_absence(n, total, i) for i in range(len(data.names))]
        yield "mcc", np.stack([weighted.mcc(counts) for counts in each], axis=1)
        yield "f1", weighted.f1(n)
        yield "precision", np.where(n.true > 0, weighted.precision(n), np.nan)
        yield "recall", weighted.recall(n)
        yield from _ranked(weights, true, p)
        errors = [weighted.calibration_error(weights, p[:, i], true[:, i]) for i in range(len(data.names))]
        yield "ece", np.stack(errors, axis=1)
        yield "brier", weights @ (p - true) ** 2 / total

    def defined(self, data: Cases, draws: dict[str, Floats]) -> dict[str, Floats]:
        return {**draws, "mcc": np.where(varies(data.called), draws["mcc"], np.nan)}

    def definitions(self, n_outputs: int) -> dict[str, str]:
        above = " of a label, which is called above 0.5"
        called = {name: f"{text}{above}{_ZERO.get(name, '')}" for name, text in _OF_CALLS.items()}
        means = {name: text + "; mean over the labels (macro)" for name, text in (called | _OF_SCORES | _OF_LABEL).items()}
        means["mcc"] += " that are not called the same for all cases"
        return means | {"exact_match": "fraction of the cases with every label right"}

    def answered(self, data: Cases) -> Bools:
        # numbers and not calls: labels may be ranked correctly even if none is above 0.5
        return np.asarray(np.ptp(data.predicted, axis=0) > _SAME)

    def counted(self, data: Cases, metric: str) -> Bools:
        return varies(data.truth) & varies(data.called) if metric == "mcc" else varies(data.truth)

    def compared(self, draws: Mapping[str, Floats]) -> str:
        return "mcc" if np.isfinite(draws["mcc"][0]) else "auroc"  # probabilities can rank labels that are never called

    def notes(self, data: Cases) -> list[str]:
        texts, true_varies, called_varies = _notes_on_outputs(self, data), varies(data.truth), varies(data.called)
        texts += _name(data, true_varies & ~data.called.any(0), "is never predicted: its precision counts as 0")
        among, n_defined = int(true_varies.sum()), int((true_varies & called_varies).sum())
        if among > n_defined:
            mean = f"is the mean over the other {n_defined} of {among} labels" if n_defined else "is not defined"
            texts += _name(data, true_varies & ~called_varies, f"is called the same for all cases: MCC {mean}")
        return texts


class _ValueMetrics(TaskMetrics):
    default, title, reported, has_calls = "pearson", "Pearson's r", ("pearson", "r2"), False

    def check(self, predicted: Floats) -> None:
        pass

    def call(self, predicted: Floats) -> Bools:
        return np.zeros(predicted.shape, dtype=bool)

    def compute(self, data: Cases, weights: Floats) -> Iterator[tuple[str, Floats]]:
        total = weights.sum(1, keepdims=True)
        columns: dict[str, list[Floats]] = {"pearson": [], "spearman": []}
        for x, y in zip(data.predicted.T, data.truth.T, strict=True):
            columns["pearson"].append(weighted.pearson(weights, _standard(x)[None], _standard(y)[None]))
            columns["spearman"].append(weighted.pearson(weights, weighted.ranks(weights, x), weighted.ranks(weights, y)))
        yield from ((name, np.stack(values, axis=1)) for name, values in columns.items())
        error = weights @ (data.predicted - data.truth) ** 2 / total
        centred = data.truth - data.truth.mean(0)
        variance = weights @ centred**2 / total - (weights @ centred / total) ** 2
        yield "mse", error
        yield "r2", 1 - weighted.ratio(error, np.where(varies(data.truth) & (variance > 1e-12 * centred.var(0)), variance, 0))

    def definitions(self, n_outputs: int) -> dict[str, str]:
        mean = "" if n_outputs == 1 else ", mean over the targets"
        return {name: text + mean for name, text in _OF_VALUES.items()}

    def answered(self, data: Cases) -> Bools:
        return varies(data.predicted)

    def notes(self, data: Cases) -> list[str]:
        return _notes_on_outputs(self, data)


METRICS: dict[type[Task], TaskMetrics] = {
    Classification: _ClassMetrics(),
    MultiLabel: _LabelMetrics(),
    Regression: _ValueMetrics(),
}


def collapsed(data: Cases) -> bool:
    """Return True if the model failed: its predictions are the same for all cases although the truth is not.

    For classes this compares the calls. For labels and values it compares the numbers, because labels may be ranked correctly
    even if none is above 0.5.
    """
    true_varies = varies(data.truth)
    return bool(true_varies.any() and not METRICS[type(data.task)].answered(data)[true_varies].any())


def _check_probabilities(predicted: Floats) -> None:
    if predicted.min() < 0 or predicted.max() > 1 + _SUM_TO_ONE:
        low, high = predicted.min(), predicted.max()
        raise ConfigError(f"probabilities lie in 0 to 1, found {low:g} to {high:g}; apply softmax or sigmoid.")


def _notes_on_outputs(metrics: TaskMetrics, data: Cases) -> list[str]:
    """Return notes on labels or values that are the same for all cases, in the truth or in the predictions."""
    texts, true_varies = [], varies(data.truth)
    word = {"value": "target"}.get(data.task.word, data.task.word)
    if collapsed(data):
        texts.append(f"the model gives all {len(data.truth)} cases the same answer: failed; its correlation is not defined.")
    texts += _name(data, ~true_varies, f"is the same in all cases: this {word} has no part in the means")
    return texts + _name(
        data, true_varies & ~metrics.answered(data), "is predicted the same for all cases: no correlation of it"
    )


def _name(data: Cases, which: Bools, what: str) -> list[str]:
    named = [repr(data.names[i]) for i in np.flatnonzero(which)]
    more = f" and {len(named) - _MANY} more" if len(named) > _MANY else ""
    return [f"{', '.join(named[:_MANY])}{more} {what}."] if named else []


def _ranked(weights: Floats, true: Bools, p: Floats) -> Iterator[tuple[str, Floats]]:
    pairs = [weighted.ranking(weights, true[:, i], p[:, i]) for i in range(true.shape[1])]
    yield "auroc", np.stack([auroc for auroc, _ in pairs], axis=1)
    yield "auprc", np.stack([auprc for _, auprc in pairs], axis=1)


def _label_and_absence(n: weighted.Counts, total: Floats, i: int) -> weighted.Counts:
    """Return the counts of a label and of its absence, as two classes."""
    hit, called, true = (x[:, i : i + 1] for x in n)
    neither = total - called - true + hit
    return weighted.Counts(np.hstack([hit, neither]), np.hstack([called, total - called]), np.hstack([true, total - true]))


def _standard(x: Floats) -> Floats:
    """Return x centred and with standard deviation 1, to separate rounding from variation; a constant is exactly 0."""
    if x.max() == x.min():
        return np.zeros_like(x)
    centred = x / np.abs(x).max()
    centred = centred - centred.mean()
    return np.asarray(centred / centred.std())


_MCC = "Matthews' correlation of true and most probable class (Gorodkin 2004 for more than two)"
_ZERO = {
    "mcc": " (0 in a resampling in which all calls are the same)",
    "precision": " (0 where it is never called)",
}
_OF_CALLS = {
    "accuracy": "fraction of correct calls",
    "mcc": "Matthews' correlation",
    "f1": "F1, the harmonic mean of precision and recall",
    "precision": "fraction of the calls that are correct",
    "recall": "fraction of the positive cases that are called",
}
_OF_SCORES = {
    "auroc": "area under the ROC curve",
    "auprc": "average precision, the area under the stepwise precision-recall curve",
}
_OF_LABEL = {
    "ece": "expected calibration error of the label's probability, 15 equal bins",
    "brier": "mean squared error of the label's probability",
}
_OF_VALUES = {
    "pearson": "Pearson's correlation",
    "spearman": "Spearman's rank correlation",
    "mse": "mean squared error",
    "r2": "coefficient of determination, 1 - squared error / variance of the truth; below 0 is worse than the mean",
}
