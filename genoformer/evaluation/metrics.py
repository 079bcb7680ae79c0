"""Truth and predictions -> accuracy, MCC, AUROC, Pearson and others, each with a bootstrap interval and a definition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer.errors import ConfigError
from genoformer.evaluation import weighted
from genoformer.evaluation.examples import Kind, check_kind
from genoformer.evaluation.intervals import Estimate, estimate, resamplings

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_SUM_TO_ONE = 1e-3  # accuracy of half precision
_MANY = 5  # most classes named in a note
_SAME = 1e-6  # smaller differences of label probabilities are rounding: half an ulp of float32 at 1, times 16


class Cases(NamedTuple):
    """Checked truth and predictions; built by `cases`."""

    kind: Kind
    truth: Floats  # [N, C]: 0 or 1 for classes (one 1 per row) and labels, else the measured values
    predicted: Floats  # [N, C]: probabilities, else values
    names: tuple[str, ...]  # names of the classes, labels or targets

    @property
    def true(self) -> Bools:
        return self.truth > 0.5

    @property
    def called(self) -> Bools:
        """Predicted class (the first of equals), or each label with probability above 0.5, [N, C]."""
        if self.kind == "multilabel":
            return self.predicted > 0.5
        return np.arange(len(self.names)) == self.predicted.argmax(1)[:, None]


def cases(kind: Kind, truth: ArrayLike, probabilities: ArrayLike, classes: Sequence[object]) -> Cases:
    """Check truth and predictions; raises ConfigError for input that does not fit (shapes as in `metrics_of`)."""
    check_kind(kind)
    names = tuple(str(name) for name in classes)
    true, predicted = np.asarray(truth, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    if kind == "values" and len(names) == 1:
        true, predicted = (x[:, None] if x.ndim == 1 else x for x in (true, predicted))
    shape = (len(true), len(names))
    if predicted.shape != shape or true.shape != (shape[:1] if kind == "classes" else shape) or not len(true):
        raise ConfigError(
            f"truth of shape {true.shape} and predictions of shape {predicted.shape} for {len(names)} classes: kind {kind!r} "
            f"needs truth {'[N]' if kind == 'classes' else '[N, C]'} and predictions [N, C], N at least 1; is a row missing?"
        )
    if len(set(names)) < len(names) or (kind == "classes" and len(names) < 2):
        raise ConfigError(f"classes {', '.join(names)}: names must differ, and classes be two at least; name them so.")
    n_bad = int((~np.isfinite(predicted)).any(axis=1).sum() + (~np.isfinite(true)).reshape(len(true), -1).any(axis=1).sum())
    if n_bad:
        raise ConfigError(f"{n_bad} of {len(true)} rows have a missing or infinite number; leave them out.")
    if kind == "values":
        return Cases(kind, true, predicted, names)
    if predicted.min() < 0 or predicted.max() > 1 + _SUM_TO_ONE:
        low, high = predicted.min(), predicted.max()
        raise ConfigError(f"probabilities lie in 0 to 1, found {low:g} to {high:g}; apply softmax or sigmoid.")
    if kind == "multilabel":
        if not np.isin(true, (0, 1)).all():
            raise ConfigError("labels of kind 'multilabel' are 0 or 1, found others; use kind 'values' for measurements.")
        return Cases(kind, true, predicted, names)
    if np.abs(predicted.sum(1) - 1).max() > _SUM_TO_ONE:
        raise ConfigError(
            f"the probabilities of a case must sum to 1, found {predicted.sum(1).min():g} to {predicted.sum(1).max():g}; "
            "apply softmax, or use kind 'multilabel'."
        )
    if not np.isin(true, np.arange(len(names))).all():
        raise ConfigError(f"classes are numbers 0 to {len(names) - 1}, found {true.min():g} to {true.max():g}; renumber them.")
    return Cases(kind, (np.arange(len(names)) == true[:, None]).astype(np.float64), predicted, names)


def metrics_of(
    kind: Kind, truth: ArrayLike, probabilities: ArrayLike, classes: Sequence[object], seed: int = 0, n: int = 1000
) -> dict[str, Estimate]:
    """Return every metric of the kind with its 2.5 % and 97.5 % quantiles over n bootstrap samples (Efron 1979).

    kind "classes": truth int [N], probabilities [N, C] that sum to 1; resampled within each class.
    kind "multilabel": truth [N, C] of 0 and 1, probabilities [N, C]. kind "values": truth and predictions [N, K].
    classes: names of the C classes or labels, or of the K targets. `definitions` explains each metric. After a metric that
    is a mean over classes, labels or targets, their own values follow as "auroc:NAME". An undefined metric is NaN, and
    `notes` gives the reason. Raises ConfigError for input that does not fit.

    >>> found = metrics_of("classes", [0, 0, 1, 1], [[.9, .1], [.4, .6], [.2, .8], [.1, .9]], ["no", "yes"])
    >>> found["accuracy"].value, found["auroc"].value, round(found["mcc"].value, 3)
    (0.75, 1.0, 0.577)
    """
    return {name: estimate(values) for name, values in resampled(cases(kind, truth, probabilities, classes), seed, n).items()}


def resampled(data: Cases, seed: int = 0, n: int = 1000) -> dict[str, Floats]:
    """Return each metric on the original cases and on n bootstrap samples, [1 + n]; same truth and seed give the same draws."""
    if n < 1:
        raise ConfigError(f"n = {n} resamplings: at least 1 is needed, 1000 are usual.")
    one = {"classes": _of_classes, "multilabel": _of_labels, "values": _of_values}[data.kind]
    strata = data.true.argmax(1) if data.kind == "classes" else np.zeros(len(data.truth), dtype=np.int64)
    blocks = [dict(one(data, weights)) for weights in resamplings(strata, n, seed)]
    found = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    if data.kind != "values":  # 0 in a bootstrap sample, but NaN for a model that makes the same call for all cases
        defined = _mcc_defined(data)
        found["mcc"] = np.where(defined.any() if data.kind == "classes" else defined, found["mcc"], np.nan)
    return _means_first(data, found)


def definitions(kind: Kind, n_classes: int = 2) -> dict[str, str]:
    """Return a sentence on each metric of a kind; classes that never occur in the truth do not count in a mean."""
    if kind == "values":
        mean = "" if n_classes == 1 else ", mean over the targets"
        return {name: text + mean for name, text in _OF_VALUES.items()}
    if kind == "multilabel":
        above = " of a label, which is called above 0.5"
        called = {name: f"{text}{above}{_ZERO.get(name, '')}" for name, text in _OF_CALLS.items()}
        means = {name: text + "; mean over the labels (macro)" for name, text in (called | _OF_SCORES | _OF_LABEL).items()}
        means["mcc"] += " that are not called the same for all cases"
        return means | {"exact_match": "share of the cases with every label right"}
    of = "of the last class" if n_classes == 2 else "mean over the classes (macro)"
    one = "of the last class" if n_classes == 2 else "of each class against the rest, mean over the classes (macro)"
    return (
        {"accuracy": "share of the cases whose most probable class is the true one", "mcc": _MCC + _ZERO["mcc"]}
        | {name: f"{_OF_CALLS[name]}{_ZERO.get(name, '')}, {of}" for name in ("f1", "precision", "recall")}
        | {name: f"{text} {one}" for name, text in _OF_SCORES.items()}
        | {"ece": "expected calibration error of the most probable class, 15 equal bins (Guo et al. 2017)"}
        | {
            "brier": "mean squared error of the probability of the last class"
            if n_classes == 2
            else "squared error of the probabilities summed over the classes, mean over the cases (Brier 1950)"
        }
    )


def confusion(data: Cases) -> NDArray[np.int64]:
    """Return the counts by true class (rows) and called class (columns), [C, C]; for labels [C, 2, 2], false and true."""
    true, called = data.true.astype(np.int64), data.called.astype(np.int64)
    if data.kind == "classes":
        return true.T @ called
    table = [[(1 - true) * (1 - called), (1 - true) * called], [true * (1 - called), true * called]]
    return np.array(table).sum(axis=2).transpose(2, 0, 1)


def per_class(data: Cases) -> list[dict[str, float | int | str]]:
    """Return precision, recall, F1 and support (true cases) of each class or label; NaN if undefined."""
    n = weighted.counts(np.ones((1, len(data.truth))), data.true, data.called)
    columns = [weighted.precision(n)[0], weighted.recall(n)[0], weighted.f1(n)[0]]
    return [
        {"class": name, "precision": float(p), "recall": float(r), "f1": float(f), "support": int(support)}
        for name, p, r, f, support in zip(data.names, *columns, n.true[0], strict=True)
    ]


def varies(data: Cases) -> bool:
    """True if the truth differs between cases."""
    return bool(_varies(data.truth).any())


def collapsed(data: Cases) -> bool:
    """True if the model failed: its predictions are the same for all cases although the truth is not.

    For classes this compares the calls. For labels and values it compares the numbers, because labels may be ranked correctly
    even if none is above 0.5.
    """
    asked = _varies(data.truth)
    return bool(asked.any() and not _answered(data)[asked].any())


def notes(data: Cases) -> list[str]:
    """Return a sentence for each undefined metric, for classes that do not count in a mean, and for a failed model."""
    true_varies, word = _varies(data.truth), {"classes": "class", "multilabel": "label", "values": "target"}[data.kind]
    found = []
    if collapsed(data) and data.kind == "classes":
        only = data.names[int(data.called[0].argmax())]
        found.append(f"the model predicts one class, {only!r}, for all {len(data.truth)} cases: failed; MCC is not defined.")
    elif collapsed(data):
        found.append(f"the model gives all {len(data.truth)} cases the same answer: failed; its correlation is not defined.")
    if data.kind == "classes":
        occurs, called = np.asarray(data.true.any(0)), np.asarray(data.called.any(0))
        if occurs.sum() == 1:
            found.append(
                f"all {len(data.truth)} cases are of class {data.names[int(occurs.argmax())]!r}: "
                "MCC, AUROC and AUPRC are not defined."
            )
        found += _name(data, ~occurs, "never occurs in the truth: no precision, recall, F1, AUROC or AUPRC of it")
        found += _name(data, occurs & ~called, "is never predicted: its precision counts as 0")
        return found
    found += _name(data, ~true_varies, f"is the same in all cases: this {word} has no part in the means")
    found += _name(data, true_varies & ~_answered(data), "is predicted the same for all cases: no correlation of it")
    if data.kind == "multilabel":
        found += _name(data, true_varies & ~data.called.any(0), "is never predicted: its precision counts as 0")
        among, defined = int(true_varies.sum()), int((true_varies & _mcc_defined(data)).sum())
        if among > defined:
            mean = f"is the mean over the other {defined} of {among} labels" if defined else "is not defined"
            found += _name(data, true_varies & ~_mcc_defined(data), f"is called the same for all cases: MCC {mean}")
    return found


def range_of(metric: str) -> tuple[float, float]:
    """Return the smallest and the largest possible value of a metric (or "NAME:CLASS").

    >>> range_of("mcc"), range_of("auroc:promoter"), range_of("r2")
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


def _of_classes(data: Cases, weights: Floats) -> Iterator[tuple[str, Floats]]:
    true, called, p = data.true, data.called, data.predicted
    n = weighted.counts(weights, true, called)
    yield "accuracy", n.hit.sum(1) / n.true.sum(1)
    yield "mcc", weighted.mcc(n)
    binary = len(data.names) == 2
    use = slice(1, 2) if binary else slice(None)
    yield "f1", weighted.f1(n)[:, use]
    yield "precision", np.where(n.true > 0, weighted.precision(n), np.nan)[:, use]
    yield "recall", weighted.recall(n)[:, use]
    ranked = [weighted.ranking(weights, true[:, i], p[:, i]) for i in range(len(data.names))[use]]
    yield "auroc", np.stack([auroc for auroc, _ in ranked], axis=1)
    yield "auprc", np.stack([auprc for _, auprc in ranked], axis=1)
    yield "ece", weighted.calibration_error(weights, p.max(1), np.asarray((true & called).any(1)))
    yield "brier", weights @ ((p - true)[:, use] ** 2).sum(1) / weights.sum(1)


def _of_labels(data: Cases, weights: Floats) -> Iterator[tuple[str, Floats]]:
    true, called, p = data.true, data.called, data.predicted
    total = weights.sum(1, keepdims=True)
    n = weighted.counts(weights, true, called)
    yield "accuracy", weights @ (true == called).astype(np.float64) / total
    yield "exact_match", weights @ (true == called).all(1) / total[:, 0]
    each = [_two(n, total, i) for i in range(len(data.names))]
    yield "mcc", np.stack([weighted.mcc(two) for two in each], axis=1)
    yield "f1", weighted.f1(n)
    yield "precision", np.where(n.true > 0, weighted.precision(n), np.nan)
    yield "recall", weighted.recall(n)
    ranked = [weighted.ranking(weights, true[:, i], p[:, i]) for i in range(len(data.names))]
    yield "auroc", np.stack([auroc for auroc, _ in ranked], axis=1)
    yield "auprc", np.stack([auprc for _, auprc in ranked], axis=1)
    yield "ece", np.stack([weighted.calibration_error(weights, p[:, i], true[:, i]) for i in range(len(data.names))], axis=1)
    yield "brier", weights @ (p - true) ** 2 / total


def _of_values(data: Cases, weights: Floats) -> Iterator[tuple[str, Floats]]:
    total = weights.sum(1, keepdims=True)
    found: dict[str, list[Floats]] = {"pearson": [], "spearman": []}
    for x, y in zip(data.predicted.T, data.truth.T, strict=True):
        pairs = {
            "pearson": (_standard(x)[None], _standard(y)[None]),
            "spearman": (weighted.ranks(weights, x), weighted.ranks(weights, y)),
        }
        for name, pair in pairs.items():
            found[name].append(weighted.pearson(weights, *pair))
    yield from ((name, np.stack(columns, axis=1)) for name, columns in found.items())
    error = weights @ (data.predicted - data.truth) ** 2 / total
    centred = data.truth - data.truth.mean(0)
    spread = weights @ centred**2 / total - (weights @ centred / total) ** 2
    yield "mse", error
    yield "r2", 1 - weighted.ratio(error, np.where(_varies(data.truth) & (spread > 1e-12 * centred.var(0)), spread, 0))


def _two(n: weighted.Counts, total: Floats, i: int) -> weighted.Counts:
    """Return the counts of a label and of its absence, as two classes."""
    hit, called, true = (x[:, i : i + 1] for x in n)
    neither = total - called - true + hit
    return weighted.Counts(np.hstack([hit, neither]), np.hstack([called, total - called]), np.hstack([true, total - true]))


def _means_first(data: Cases, found: dict[str, Floats]) -> dict[str, Floats]:
    """Replace columns of several classes [1 + n, C] by their mean, and append the columns by name.

    The mean is over all classes that occur (labels and targets that vary), and is NaN if any of these is NaN. The MCC of labels
    is a mean over labels whose calls vary. A bootstrap sample without cases of a rare label uses the other labels.
    """
    whole: dict[str, Floats] = {}
    single: dict[str, Floats] = {}
    occurs = data.true.any(0) if data.kind == "classes" else _varies(data.truth)
    for name, values in found.items():
        if values.ndim == 1 or values.shape[1] == 1:
            whole[name] = values.reshape(-1)
            continue
        single |= {f"{name}:{label}": values[:, i] for i, label in enumerate(data.names)}
        among = values[:, occurs & _mcc_defined(data) if name == "mcc" else occurs]
        defined = np.isfinite(among)
        whole[name] = weighted.ratio(np.where(defined, among, 0).sum(1), defined.sum(1).astype(np.float64))
        if not defined[0].all():
            whole[name][0] = np.nan
    return whole | single


def _varies(x: NDArray[np.generic]) -> Bools:
    return np.asarray((x != x[:1]).any(0))


def _answered(data: Cases) -> Bools:
    """True for outputs whose predictions vary, [C]: the calls of classes, or the numbers of a label or target."""
    if data.kind == "multilabel":
        return np.asarray(np.ptp(data.predicted, axis=0) > _SAME)
    return _varies(data.predicted if data.kind == "values" else data.called)


def _mcc_defined(data: Cases) -> Bools:
    """True for classes or labels whose calls differ between cases, [C]."""
    return _varies(data.called)


def _standard(x: Floats) -> Floats:
    """Return x centred and with standard deviation 1, to separate rounding from variation; a constant is exactly 0."""
    if x.max() == x.min():
        return np.zeros_like(x)
    centred = x / np.abs(x).max()
    centred = centred - centred.mean()
    return np.asarray(centred / centred.std())


def _name(data: Cases, which: Bools, what: str) -> list[str]:
    named = [repr(data.names[i]) for i in np.flatnonzero(which)]
    more = f" and {len(named) - _MANY} more" if len(named) > _MANY else ""
    return [f"{', '.join(named[:_MANY])}{more} {what}."] if named else []


_MCC = "Matthews' correlation of true and most probable class (Gorodkin 2004 for more than two)"
_ZERO = {
    "mcc": " (0 in a resampling in which all calls are the same)",
    "precision": " (0 where it is never called)",
}
_OF_CALLS = {
    "accuracy": "share of right calls",
    "mcc": "Matthews' correlation",
    "f1": "F1, the harmonic mean of precision and recall",
    "precision": "share of the calls that are right",
    "recall": "share of the true cases that are called",
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
