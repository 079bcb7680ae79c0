"""Labelled sequences with targets: held out, weighed, checked, judged by a metric, and written down in a manifest."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.evaluation import metrics
from genoformer.evaluation.intervals import Estimate
from genoformer.genome.codes import Codes
from genoformer.genome.contigs import listed
from genoformer.genome.sketch import Sketch
from genoformer.labelled.targets import Targets
from genoformer.models import checkpoint
from genoformer.whole import sha256_of

_HELD_OUT = 0.1  # of the training data, where no validation data is given
USUAL = {"classes": "mcc", "multilabel": "auroc", "values": "pearson"}
_SKETCHED = 200_000  # k-mers kept, about, of what a predictor was trained on


class LabelledPart(NamedTuple):
    """Sequences with their targets."""

    sequences: Sequence[Codes]
    targets: Targets


def class_names(targets: Targets) -> list[str]:
    """The class of each sequence; none where it is not one."""
    return [targets.classes[i] for i in targets.values] if targets.kind == "classes" else []


def counted(targets: Targets) -> str:
    """The classes and how many sequences each has, in a sentence."""
    n = np.bincount(targets.values, minlength=targets.n_outputs) if targets.kind == "classes" else targets.values.sum(0)
    return f"Classes: {listed([f'{name} ({int(count):,})' for name, count in zip(targets.classes, n, strict=True)])}."


def case_weights(targets: Targets, how: str) -> NDArray[np.float32]:
    """Weight of each sequence in the loss, [N]: 1, or so that every class counts alike (scikit-learn's "balanced")."""
    n = len(targets.values)
    if how == "none":
        return np.ones(n, dtype=np.float32)
    if targets.kind != "classes":
        raise ConfigError(f"class_weights = {how!r} needs one class for each sequence; give 'none'.")
    count = np.bincount(targets.values, minlength=targets.n_outputs)
    return (n / (targets.n_outputs * count))[targets.values].astype(np.float32)


def held_out(part: LabelledPart, seed: int) -> tuple[LabelledPart, LabelledPart]:
    """Nine tenths to train on and a tenth to validate with, class by class; of every class one is left to train on."""
    random = np.random.default_rng([seed, 3])
    values = part.targets.values
    group = values if part.targets.kind == "classes" else np.zeros(len(values), dtype=np.int64)
    rows = [random.permutation(np.flatnonzero(group == g)) for g in np.unique(group)]
    held = np.sort(np.concatenate([r[: min(len(r) - 1, max(1, round(_HELD_OUT * len(r))))] for r in rows]))
    kept = np.setdiff1d(np.arange(len(values)), held)
    if not len(held):
        raise ConfigError(f"{len(values)} sequences are too few to hold some out; give validation data.")

    def take(rows: NDArray[np.int64]) -> LabelledPart:
        return LabelledPart([part.sequences[i] for i in rows], replace(part.targets, values=values[rows]))

    return take(kept), take(held)


def refuse_constant(targets: Targets) -> None:
    """Refuse values that are all the same."""
    if targets.kind == "values":
        for name, column in zip(targets.classes, targets.values.T, strict=True):
            if (column == column[0]).all():
                raise ConfigError(f"{name} is {column[0]:g} in all {len(column):,} sequences: there is nothing to learn.")


def monitor_of(wanted: str, targets: Targets) -> tuple[str, list[str]]:
    """The metric of the best step, and a note where it is not the usual one.

    Those are known, and defined on the validation data, that a prediction of its own truth has.
    """
    perfect = np.eye(targets.n_outputs, dtype=np.float32)[targets.values] if targets.kind == "classes" else targets.values
    known = {"loss": 0.0} | {name: found.value for name, found in metrics_of(targets, perfect, n=1).items()}
    if wanted and wanted not in known:
        raise ConfigError(f"monitor = {wanted!r}: allowed are {', '.join(known)}.")
    usual = wanted or USUAL[targets.kind]
    if math.isfinite(known[usual]):
        return usual, []
    if wanted:
        raise ConfigError(f"monitor = {wanted!r} is not defined where all validation data is alike; take loss, or other data.")
    return "loss", [f"All validation data is alike, so that {usual} is not defined: the best step is that of the least loss."]


def metrics_of(targets: Targets, values: NDArray[np.float32], n: int = 1000) -> dict[str, Estimate]:
    """Each metric of predictions [N, K] (see `metrics.metrics_of`), with its interval of n resamplings."""
    return metrics.metrics_of(targets.kind, targets.values, values, targets.classes, n=n)


def loss_of(targets: Targets, values: NDArray[np.float32]) -> float:
    """Cross-entropy in nats, or mean squared error."""
    if targets.kind == "values":
        return float(((values - targets.values) ** 2).mean())
    p = np.clip(values, 1e-7, 1 - 1e-7)
    if targets.kind == "classes":
        return float(-np.log(p[np.arange(len(p)), targets.values]).mean())
    return float(-(targets.values * np.log(p) + (1 - targets.values) * np.log(1 - p)).mean())


def sketch_of(sequences: Sequence[Codes], before: Path | None) -> Sketch:
    """What a predictor has seen: k-mers of the sequences, and of what the model that it starts from (a folder) had seen."""
    scale = max(1, math.ceil(sum(len(s) for s in sequences) / _SKETCHED))
    seen = Sketch.of(sequences, scale=scale)
    earlier = checkpoint.read_sketch(before) if before is not None else None
    return seen if earlier is None else seen.joined(earlier)


def record_of(path: Path, n: int) -> dict[str, Any]:
    """A data file in a manifest, with the manifest of `data build` where that lies beside it."""
    sha256, beside = sha256_of(path), path.parent / "manifest.json"
    try:
        made = json.loads(beside.read_text(encoding="utf-8"))
        tells = made["files"][path.name] == sha256  # not of another file, nor of this one before it was changed
    except (OSError, ValueError, KeyError, TypeError):
        tells = False
    return {"name": path.name, "sha256": sha256, "sequences": n, "manifest": made if tells else None}
