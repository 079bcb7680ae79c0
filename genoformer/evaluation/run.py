"""evaluate_models(): labelled sequences + fine-tuned models (and baselines) -> one table of metrics, JSON and figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genoformer import inference
from genoformer.datasets.sequences import LabelledSequences
from genoformer.datasets.targets import Targets, targets_of
from genoformer.errors import ConfigError
from genoformer.evaluation import metrics
from genoformer.evaluation.baselines import BASELINES
from genoformer.evaluation.examples import Baseline
from genoformer.evaluation.intervals import or_none, over_runs
from genoformer.evaluation.report import check_folder, evaluate, write_json
from genoformer.models import registry
from genoformer.models.heads import SequenceClassifier


def evaluate_models(
    models: Mapping[str, SequenceClassifier],
    data: LabelledSequences,
    *,
    train: LabelledSequences | None = None,
    baselines: Sequence[str] = (),
    out: Path | None = None,
    device: str = "cpu",
    precision: str = "float32",
    seed: int = 0,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Evaluate the averaged prediction of models, and each model, with `report.evaluate`; ready for `json.dumps`.

    models: name -> predictor, all with the same classes. baselines: names of BASELINES, trained here on `train` with the same
    targets. tell: receives progress messages. Additional entries of the result: with several models "members", a row of metrics
    for each model, and "over_members", their mean with Student's interval; "windowed", for each model the number of sequences
    longer than its window; "warnings", including those of baselines. The "notes" in a baseline's row begin with the
    choices made in its training.

    Raises ConfigError for labels or models that do not fit.
    """
    if not models:
        raise ConfigError("no model to evaluate; name at least one.")
    first = next(iter(models.values())).config
    if len({(model.config.kind, model.config.classes) for model in models.values()}) > 1:
        raise ConfigError(f"the models {', '.join(models)} predict different classes; evaluate them one by one.")
    if unknown := [name for name in baselines if name not in BASELINES]:
        raise ConfigError(f"baseline {unknown[0]!r} is unknown; known are {', '.join(BASELINES)}.")
    if baselines and train is None:
        raise ConfigError("baselines are trained on the models' own training data; name it with --train.")
    if out is not None:
        check_folder(out)
    truth = _targets(data, first.kind, first.classes)
    values, windowed, warnings = [], {}, []
    for name, model in models.items():
        tell(f"predicting with {name}")
        if note := registry.training_overlap_note(model, name, data.sequences, data.path.name):
            warnings.append(note)
        with inference.evaluating(model, device, precision) as ready:
            found = inference.predictions(ready, data.sequences)
        values.append(found.values)
        windowed[name] = found.n_windowed
    others, trained = {}, dict[str, Baseline]()
    for name in baselines:
        assert train is not None
        tell(f"training {name}")
        target = _targets(train, first.kind, first.classes)
        fitted = BASELINES[name](train.sequences, target.values, kind=first.kind, n_outputs=len(first.classes), seed=seed)
        others[name], trained[name] = fitted.predict(data.sequences), fitted
    result = evaluate(first.kind, truth.values, np.mean(values, axis=0), first.classes, baselines=others, out=out, seed=seed)
    for row in result["models"]:
        if (one := trained.get(row["model"])) is not None:
            wrong = [*one.warnings, *(row["notes"][:1] if row["collapsed"] else [])]  # the first note reports the collapse
            warnings += [f"baseline {row['model']}: {note.removeprefix('the model ')}" for note in wrong]
            row["notes"] = [*one.notes, *one.warnings, *row["notes"]]
    result |= {"windowed": windowed, "warnings": warnings}
    if len(models) > 1:
        each = [metrics.metrics_of(first.kind, truth.values, v, first.classes, seed=seed) for v in values]
        result["members"] = [
            {"model": name, **{metric: or_none(found.value) for metric, found in row.items()}}
            for name, row in zip(models, each, strict=True)
        ]
        spread = {name: over_runs([row[name].value for row in each], metrics.range_of(name)) for name in each[0]}
        result["over_members"] = {metric: found.to_dict() for metric, found in spread.items()}
    if out is not None:  # the returned dict, with the entries that `report.evaluate` lacks
        write_json(out, result)
    return result


def load_named_models(folders: Sequence[str]) -> dict[str, SequenceClassifier]:
    """Load the predictors of runs by name; a run with several members gives each member under its folder.

    Raises CheckpointError for a folder without a fine-tuned model, ConfigError for a folder that is named twice.
    """
    found: dict[str, SequenceClassifier] = {}
    for folder in folders:
        if list(folders).count(folder) > 1:
            raise ConfigError(f"{folder} is named twice, and would count twice in the mean; name it once.")
        names = [f"/{name}" for name in registry.members_of(folder)] or [""]
        models = registry.load_ensemble(folder)
        found |= {f"{str(folder).rstrip('/')}{name}": model for name, model in zip(names, models, strict=True)}
    return found


def n_labels_of(models: Mapping[str, SequenceClassifier]) -> int | None:
    """Return the number of label fields after | in the FASTA headers of the training data; None if unknown."""
    shapes = {(model.config.kind, model.config.classes) for model in models.values()}
    if len(shapes) != 1:
        return None
    kind, classes = shapes.pop()
    if kind == "classes" or tuple(classes) == ("label",):
        return 1
    return len(classes) if tuple(classes) == tuple(f"label{i}" for i in range(1, len(classes) + 1)) else None


def _targets(data: LabelledSequences, kind: str, classes: Sequence[str]) -> Targets:
    task = "regress" if kind == "values" else "classify"
    return targets_of(data.labels, task, classes, columns=data.columns, multi_label=kind == "multilabel", place=data.place)
