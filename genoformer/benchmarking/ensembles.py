"""Scores of several models or kinds -> one: their mean, the mean of their ranks, or a linear probe across chromosomes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from genoformer.benchmarking.truth_set import Bools, Floats, TruthSet
from genoformer.errors import ConfigError, OptionError
from genoformer.evaluation.weighted import ranks
from genoformer.progress import ProgressCallback, Stage

MEAN, RANKS, PROBE = "mean", "ranks", "probe"
NAMES = {MEAN: "mean of scores", RANKS: "mean of ranks", PROBE: "linear probe"}
_INVERSE_PENALTIES = np.logspace(-8, 0, 10)  # TraitGym's
_INNER_FOLDS = 5


def mean_of_scores(scores: Mapping[str, Floats]) -> Floats:
    """Return the mean of several scores [N], such as those of replicates of one model; NaN where one is missing."""
    _need_several(scores)
    return np.mean(list(scores.values()), axis=0)


def mean_of_ranks(scores: Mapping[str, Floats]) -> Floats:
    """Return the mean of the ranks of several scores [N], from 0 (lowest) to 1, ties sharing theirs; NaN where one is missing.

    Ranks of all items with all scores, as TraitGym's ensemble_ranks (eval/workflow/rules/model.smk).

    >>> mean_of_ranks({"a": np.array([1.0, 5.0, 9.0]), "b": np.array([0.3, 0.1, 0.2])}).tolist()
    [0.5, 0.25, 0.75]
    """
    _need_several(scores)
    table = np.stack(list(scores.values()))  # [S, N]
    whole = np.isfinite(table).all(0)
    found = np.full(table.shape[1], np.nan)
    n = int(whole.sum())
    if n:
        unit = np.ones((1, n))
        each = [ranks(unit, values[whole])[0] for values in table]
        found[whole] = (np.mean(each, axis=0) - 1) / max(1, n - 1)
    return found


def _need_several(scores: Mapping[str, Floats]) -> None:
    if len(scores) < 2:
        raise OptionError("ensemble", f"needs two scores or more, found {len(scores)}; name more models or scores.")


def linear_probe(truth: TruthSet, scores: Mapping[str, Floats], progress: ProgressCallback = None) -> Floats:
    """Return the probability of a positive label, [N], from a logistic regression that was fitted on the other chromosomes.

    As TraitGym (train_logistic_regression in workflow/rules/common.smk): missing scores are the mean of the training rows, each
    score is standardised, classes are balanced, and C of 1e-8 to 1 is chosen by average precision over five folds of
    chromosomes within the training rows. Each chromosome is predicted by a model that has not seen it.

    Raises ConfigError for a set without labels, or with positive variants on one chromosome only.
    """
    if truth.label is None:
        raise ConfigError("a linear probe needs labels, found a benchmark of measured effects; leave it out.")
    label, chroms = truth.label, np.array(truth.chrom)
    if len(set(chroms[label].tolist())) < 2:
        raise ConfigError("the positive variants lie on one chromosome, and a probe holds chromosomes out; give more of them.")
    x = np.stack([np.where(np.isfinite(values), values, np.nan) for values in scores.values()], axis=1)
    found = np.full(len(label), np.nan)
    names = np.unique(chroms)
    stage = Stage(progress, "probe", len(names))
    for chrom in names:
        train = chroms != chrom
        if label[train].any() and not label[train].all():
            found[~train] = _fit(x[train], label[train], chroms[train])(x[~train])
        stage.add(1)
    return found


class _Fitted:
    """Standardisation and logistic regression."""

    def __init__(self, x: Floats, label: Bools, inverse_penalty: float) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a score that no training row has
            self.fill = np.nan_to_num(np.nanmean(x, axis=0))
            filled = np.where(np.isnan(x), self.fill, x)
            self.centre, spread = filled.mean(0), filled.std(0)
            self.scale = np.where(spread > 0, spread, 1.0)
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model = LogisticRegression(C=inverse_penalty, class_weight="balanced", random_state=42)
            self.model.fit((filled - self.centre) / self.scale, label)

    def __call__(self, x: Floats) -> Floats:
        filled = np.where(np.isnan(x), self.fill, x)
        return np.asarray(self.model.predict_proba((filled - self.centre) / self.scale)[:, 1])


def _fit(x: Floats, label: Bools, chroms: np.ndarray) -> _Fitted:
    """Fit with the C of the highest mean average precision over folds of chromosomes."""
    from sklearn.metrics import average_precision_score
    from sklearn.model_selection import GroupKFold

    n_folds = min(_INNER_FOLDS, len(np.unique(chroms)))
    if n_folds < 2:
        return _Fitted(x, label, 1.0)
    folds = [
        (train, held)
        for train, held in GroupKFold(n_folds).split(x, label, chroms)
        if label[held].any() and label[train].any() and not label[train].all()
    ]
    if not folds:
        return _Fitted(x, label, 1.0)
    means = [
        float(
            np.mean(
                [average_precision_score(label[held], _Fitted(x[train], label[train], c)(x[held])) for train, held in folds]
            )
        )
        for c in _INVERSE_PENALTIES
    ]
    return _Fitted(x, label, float(_INVERSE_PENALTIES[int(np.argmax(means))]))
