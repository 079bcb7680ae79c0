"""Labelled sequences with targets: hold-out split, class weights, checks, metrics, and their record in a manifest."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.datasets.targets import Targets
from genoformer.errors import ConfigError
from genoformer.evaluation.metrics import compute_metrics
from genoformer.evaluation.task_metrics import METRICS
from genoformer.files import sha256_of
from genoformer.genome.codes import Codes
from genoformer.genome.contigs import join_names
from genoformer.genome.wording import counted

_HELD_OUT = 0.1  # fraction of the training data, if no validation data is given
_SCARCE = 10  # fewer validation sequences than this cause a note


class LabelledSet(NamedTuple):
    """Sequences with their targets."""

    sequences: Sequence[Codes]
    targets: Targets


def described(name: str, targets: Targets, columns: Sequence[str]) -> str:
    """Describe how a file of labelled sequences was read: its sequences, its labels, and the number of each label."""
    return f"{name}: {len(targets.values):,} sequences, {targets.task.describe(targets.values, columns)}."


def check_training(targets: Targets, name: str) -> None:
    """Refuse, with ConfigError, training values of the data set `name` that are all equal."""
    if constant := targets.task.untrainable(targets.values):
        raise ConfigError(
            f"{name}: {constant[0]} is the same in all {len(targets.values):,} sequences, so there is nothing to learn; give "
            "training data whose values differ."
        )


def check_validation(targets: Targets, name: str, remedy: str, *, selects: bool = True) -> list[str]:
    """Refuse, with ConfigError, validation data whose targets are all equal, because no metric is defined on it.

    name, remedy: name of the data, and what to give instead. selects: a step is selected by the metric. Return notes on
    missing classes and on scarce data.
    """
    task, values = targets
    n, constant, absent = len(values), task.constant(values), task.absent(values)
    if not task.varies(values):
        so = ", so no step can be selected by it" if selects else ""
        raise ConfigError(
            f"{name} has the same {task.word} in all its {n:,} sequences ({join_names(constant)}): "
            f"{METRICS[type(task)].title} is not defined{so}; {remedy}."
        )
    notes = []
    use = "not used to select the step" if selects else "no metric is computed for it"
    if constant:
        notes.append(f"{name} has the same {join_names(constant)} in all its sequences: {use}.")
    if absent:
        use = "the step is selected" if selects else "metrics are computed"
        notes.append(f"{name} has no sequence of class {join_names(absent)}: {use} without it.")
    if n < _SCARCE:
        use = "select a step better than by chance" if selects else "measure how well the model predicts"
        notes.append(f"{name} has {counted(n, 'sequence')}: too few to {use}.")
    return notes


def case_weights(targets: Targets, weighting: str) -> NDArray[np.float32]:
    """Return the weight of each sequence in the loss, [N]: 1 for "none", or scikit-learn's "balanced" class weights."""
    return np.ones(len(targets.values), np.float32) if weighting == "none" else targets.task.balanced_weights(targets.values)


def held_out(part: LabelledSet, seed: int) -> tuple[LabelledSet, LabelledSet]:
    """Split into nine tenths for training and a tenth for validation, stratified by class.

    At least one sequence of every class remains for training.
    """
    random = np.random.default_rng([seed, 3])
    task, values = part.targets
    group = task.strata(values)
    rows = [random.permutation(np.flatnonzero(group == g)) for g in np.unique(group)]
    held = np.sort(np.concatenate([r[: min(len(r) - 1, max(1, round(_HELD_OUT * len(r))))] for r in rows]))
    kept = np.setdiff1d(np.arange(len(values)), held)
    if not len(held):
        raise ConfigError(f"{len(values)} sequences are too few to hold some out; give validation data.")

    def take(rows: NDArray[np.int64]) -> LabelledSet:
        return LabelledSet([part.sequences[i] for i in rows], Targets(task, values[rows]))

    return take(kept), take(held)


def choose_monitor(wanted: str, targets: Targets) -> str:
    """Return the metric that selects the best step; "" takes the default of the task.

    A metric is allowed if it is finite when the validation labels are scored against themselves.
    """
    task, values = targets
    best = {name: metric.value for name, metric in compute_metrics(task, values, task.one_hot(values), n=1).items()}
    known = {"loss": 0.0} | best
    if wanted and wanted not in known:
        raise ConfigError(f"monitor = {wanted!r}: allowed are {', '.join(known)}.")
    metric = wanted or METRICS[type(task)].default
    if not math.isfinite(known[metric]):
        raise ConfigError(f"monitor = {metric!r} is not defined if all validation labels are equal; set loss, or give others.")
    return metric


def file_record(path: Path, n: int) -> dict[str, Any]:
    """Return the manifest entry of a data file, with the manifest of `data build` if one is in the same folder."""
    sha256 = sha256_of(path)
    try:
        manifest = json.loads((path.parent / "manifest.json").read_text(encoding="utf-8"))
        if manifest["files"][path.name] != sha256:  # it describes an earlier state of this file
            manifest = None
    except (OSError, ValueError, KeyError, TypeError):
        manifest = None
    return {"name": path.name, "sha256": sha256, "sequences": n, "manifest": manifest}
