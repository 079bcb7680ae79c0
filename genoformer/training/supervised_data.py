"""Labelled sequences with targets: hold-out split, class weights, checks, metrics, and their record in a manifest."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.datasets.targets import Targets
from genoformer.errors import ConfigError
from genoformer.evaluation import metrics
from genoformer.evaluation.intervals import Estimate
from genoformer.files import sha256_of
from genoformer.genome.codes import Codes
from genoformer.genome.contigs import count_noun, join_names
from genoformer.genome.minhash import Sketch
from genoformer.models import registry

_HELD_OUT = 0.1  # fraction of the training data, if no validation data is given
_SCARCE = 10  # fewer validation sequences than this cause a note
DEFAULT_METRIC = {"classes": "mcc", "multilabel": "auroc", "values": "pearson"}
_SKETCHED = 200_000  # approximate number of training k-mers that a sketch keeps


class LabelledSet(NamedTuple):
    """Sequences with their targets."""

    sequences: Sequence[Codes]
    targets: Targets


def class_names(targets: Targets) -> list[str]:
    """Return the class of each sequence; an empty list if the targets are not single classes."""
    return [targets.classes[i] for i in targets.values] if targets.kind == "classes" else []


def described(name: str, targets: Targets, columns: Sequence[str]) -> str:
    """Describe how a file of labelled sequences was read: its sequences, its labels, and the number of each label."""
    whole = f"{name}: {len(targets.values):,} sequences"
    if targets.kind == "values":
        ranges = [f"{of} from {x.min():g} to {x.max():g}" for of, x in zip(targets.classes, targets.values.T, strict=True)]
        n = "one value" if len(ranges) == 1 else count_noun(ranges, "value")
        return f"{whole}, {n} each to predict: {join_names(ranges)}."
    if targets.kind == "classes":
        return f"{whole}, one class each (column {columns[0]}). Classes: {join_names(_counts(targets))}."
    if len(columns) > 1:
        return f"{whole}, {len(columns)} labels each, 0 or 1. Classes: {join_names(_counts(targets))}."
    return f"{whole}, any number of classes each (column {columns[0]}). Classes: {join_names(_counts(targets))}."


def _counts(targets: Targets) -> list[str]:
    """Return each class with its number of sequences, as text."""
    return [f"{name} ({n:,})" for name, n in zip(targets.classes, _n_each(targets), strict=True)]


def _n_each(targets: Targets) -> list[int]:
    """Return the number of sequences of each class or label."""
    if targets.kind == "classes":
        return [int(n) for n in np.bincount(targets.values, minlength=targets.n_outputs)]
    return [int(n) for n in targets.values.sum(0)]


def check_validation(targets: Targets, name: str, remedy: str) -> list[str]:
    """Refuse, with ConfigError, validation data whose targets are all equal, because no step can be chosen by it.

    name, remedy: name of the data, and what to give instead. Return notes on missing classes and on scarce data.
    """
    n = len(targets.values)
    if targets.kind == "classes" and len(set(targets.values.tolist())) == 1:
        only, others = targets.classes[targets.values[0]], [c for i, c in enumerate(targets.classes) if i != targets.values[0]]
        raise ConfigError(
            f"{name} holds only class {only} ({n:,} sequences) and none of {join_names(others)}: a model that says {only} for "
            f"everything would be the best there, so that no step can be chosen by it (MCC is not defined); {remedy}."
        )
    alike = []
    if targets.kind != "classes":
        alike = [of for of, x in zip(targets.classes, targets.values.T, strict=True) if (x == x[0]).all()]
    if alike and len(alike) == targets.n_outputs:
        what = "value" if targets.kind == "values" else "label"
        metric = "Pearson's r" if targets.kind == "values" else "AUROC"
        raise ConfigError(
            f"{name} has the same {what}{'s' if len(alike) > 1 else ''} in all its sequences ({n:,}): {metric} is not defined, "
            f"and no step can be chosen by it; {remedy}."
        )
    notes = []
    if alike:
        notes.append(
            f"{name} has the same {join_names(alike)} in all its sequences: that has no part in the choice of the step."
        )
    if targets.kind == "classes" and (absent := [c for c, k in zip(targets.classes, _n_each(targets), strict=True) if not k]):
        notes.append(f"{name} has no sequence of class {join_names(absent)}: the step is chosen without regard to it.")
    if n < _SCARCE:
        notes.append(f"{name} has {n} sequences: a step that is chosen by so few is chosen nearly by chance.")
    return notes


def case_weights(targets: Targets, how: str) -> NDArray[np.float32]:
    """Return the weight of each sequence in the loss, [N]: 1, or scikit-learn's "balanced" class weights."""
    n = len(targets.values)
    if how == "none":
        return np.ones(n, dtype=np.float32)
    if targets.kind != "classes":
        raise ConfigError(f"class_weights = {how!r} needs one class for each sequence; give 'none'.")
    count = np.bincount(targets.values, minlength=targets.n_outputs)
    return (n / (targets.n_outputs * count))[targets.values].astype(np.float32)


def held_out(part: LabelledSet, seed: int) -> tuple[LabelledSet, LabelledSet]:
    """Split into nine tenths for training and a tenth for validation, stratified by class.

    At least one sequence of every class remains for training.
    """
    random = np.random.default_rng([seed, 3])
    values = part.targets.values
    group = values if part.targets.kind == "classes" else np.zeros(len(values), dtype=np.int64)
    rows = [random.permutation(np.flatnonzero(group == g)) for g in np.unique(group)]
    held = np.sort(np.concatenate([r[: min(len(r) - 1, max(1, round(_HELD_OUT * len(r))))] for r in rows]))
    kept = np.setdiff1d(np.arange(len(values)), held)
    if not len(held):
        raise ConfigError(f"{len(values)} sequences are too few to hold some out; give validation data.")

    def take(rows: NDArray[np.int64]) -> LabelledSet:
        return LabelledSet([part.sequences[i] for i in rows], replace(part.targets, values=values[rows]))

    return take(kept), take(held)


def refuse_constant(targets: Targets, name: str) -> None:
    """Refuse training values that are all equal; name: name of the data."""
    if targets.kind == "values":
        for of, column in zip(targets.classes, targets.values.T, strict=True):
            if (column == column[0]).all():
                raise ConfigError(
                    f"{name}: {of} is {column[0]:g} in all {len(column):,} sequences, so that there is nothing to learn; give "
                    "training data whose values differ."
                )


def monitor_of(wanted: str, targets: Targets) -> str:
    """Return the metric that selects the best step.

    A metric is allowed if it is finite when the validation labels are scored against themselves.
    """
    perfect = np.eye(targets.n_outputs, dtype=np.float32)[targets.values] if targets.kind == "classes" else targets.values
    known = {"loss": 0.0} | {name: found.value for name, found in metrics_of(targets, perfect, n=1).items()}
    if wanted and wanted not in known:
        raise ConfigError(f"monitor = {wanted!r}: allowed are {', '.join(known)}.")
    usual = wanted or DEFAULT_METRIC[targets.kind]
    if not math.isfinite(known[usual]):
        raise ConfigError(f"monitor = {usual!r} is not defined where all validation data is alike; take loss, or other data.")
    return usual


def metrics_of(targets: Targets, values: NDArray[np.float32], n: int = 1000) -> dict[str, Estimate]:
    """Return each metric of predictions [N, K] (see `metrics.metrics_of`) with its interval over n bootstrap samples."""
    return metrics.metrics_of(targets.kind, targets.values, values, targets.classes, n=n)


def loss_of(targets: Targets, values: NDArray[np.float32]) -> float:
    """Return the cross-entropy in nats, or the mean squared error for values."""
    if targets.kind == "values":
        return float(((values - targets.values) ** 2).mean())
    p = np.clip(values, 1e-7, 1 - 1e-7)
    if targets.kind == "classes":
        return float(-np.log(p[np.arange(len(p)), targets.values]).mean())
    return float(-(targets.values * np.log(p) + (1 - targets.values) * np.log(1 - p)).mean())


def sketch_of(sequences: Sequence[Codes], before: Path | None) -> Sketch:
    """Return a sketch of the k-mers in the training sequences and in the training data of the starting model `before`."""
    scale = max(1, math.ceil(sum(len(s) for s in sequences) / _SKETCHED))
    seen = Sketch.of(sequences, scale=scale)
    earlier = registry.read_sketch(before) if before is not None else None
    return seen if earlier is None else seen.joined(earlier)


def record_of(path: Path, n: int) -> dict[str, Any]:
    """Return the manifest entry of a data file, with the manifest of `data build` if one is in the same folder."""
    sha256, beside = sha256_of(path), path.parent / "manifest.json"
    try:
        made = json.loads(beside.read_text(encoding="utf-8"))
        tells = made["files"][path.name] == sha256  # describes this file in its present state
    except (OSError, ValueError, KeyError, TypeError):
        tells = False
    return {"name": path.name, "sha256": sha256, "sequences": n, "manifest": made if tells else None}
