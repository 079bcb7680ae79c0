"""evaluate_models(): labelled sequences + fine-tuned models (and baselines) -> one table of metrics, JSON and figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from genoformer import inference
from genoformer.datasets.sequence_rows import LabelledSequences
from genoformer.datasets.sequences import read_labelled
from genoformer.datasets.targets import targets_for
from genoformer.errors import ConfigError, OptionError
from genoformer.evaluation import metrics
from genoformer.evaluation.baselines import BASELINES
from genoformer.evaluation.examples import Baseline
from genoformer.evaluation.intervals import Estimate, or_none, over_runs
from genoformer.evaluation.metrics import compute_metrics
from genoformer.evaluation.report import check_folder, evaluate, write_json
from genoformer.models import folders, registry
from genoformer.models.heads import SequenceClassifier
from genoformer.option_checks import check_choice, check_kind, check_names, check_number
from genoformer.progress import Progress, ProgressCallback
from genoformer.tasks import Task


@dataclass(frozen=True)
class EvaluationJob:
    """Request to evaluate fine-tuned models on labelled sequences; `evaluate_models` runs it.

    models: folders of runs, whose predictions are averaged. fasta: genome of a BED. label: label columns; () finds them. train:
    the training sequences of the models; baselines (names of BASELINES; None: all, with `train`) are trained on them. out:
    folder for metrics.json and the figures. seed: of the intervals and the baselines.

    Raises ConfigError for unknown baselines, and for baselines without training data.
    """

    data: str | Path
    models: Sequence[str]
    fasta: str | Path | None = None
    label: str | Sequence[str] = ()
    train: str | Path | None = None
    baselines: str | Sequence[str] | None = None  # text: names separated by commas
    out: str | Path | None = None
    device: str = "auto"
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError("no model to evaluate; name at least one.")
        for name in ("data", "fasta", "train", "out"):
            check_kind(name, getattr(self, name), (str, Path), "a path")
        check_names("label", self.label, "names of columns")
        check_number("seed", self.seed, 0)
        check_names("baselines", self.baselines, "names of baselines")
        if isinstance(self.baselines, str):
            names = tuple(name.strip() for name in self.baselines.split(",") if name.strip())
            object.__setattr__(self, "baselines", names)
        for name in self.baselines or ():
            check_choice("baselines", name, BASELINES)
        if self.baselines and self.train is None:
            raise OptionError("baselines", "needs the training data of the models, found none; name it with the option train.")
        inference.Runtime(self.device, self.precision)  # checks its own options

    @property
    def columns(self) -> list[str] | None:
        """Label columns; None: to be found."""
        return [self.label] if isinstance(self.label, str) else list(self.label) or None

    def check(self) -> None:
        """Raise ConfigError for an output folder that is no report."""
        if self.out is not None:
            check_folder(Path(self.out))

    def read(self, models: Mapping[str, SequenceClassifier]) -> tuple[LabelledSequences, LabelledSequences | None]:
        """Read the sequences, and the training sequences if they are named, with the labels that the models predict."""
        columns = self.columns
        multi_label = any(model.task.multi_label for model in models.values())
        train = None
        if self.train is not None:
            train = read_labelled(self.train, fasta=self.fasta, label=columns, multi_label=multi_label)
        n_labels = train.n_labels if train is not None else n_labels_of(models) if columns is None else None
        return read_labelled(self.data, fasta=self.fasta, label=columns, multi_label=multi_label, n_labels=n_labels), train


def evaluate_models(
    job: EvaluationJob, on_note: Callable[[str], None] = lambda text: None, *, progress: ProgressCallback = None
) -> dict[str, Any]:
    """Evaluate the averaged prediction of models, and each model, with `report.evaluate`; ready for `json.dumps`.

    on_note: receives notes on the data and progress messages. progress receives the finished windows of a model, and the
    baseline that is trained. Additional entries of the result: with several models "members",
    a row of metrics for each model, and "over_members", their mean with Student's interval; "windowed", for each model the
    number of sequences longer than its window; "warnings", including those of baselines. The "notes" in a baseline's row begin
    with the choices made in its training.

    Raises ConfigError for labels or models that do not fit.
    """
    job.check()
    models = load_named_models(job.models)
    task = next(iter(models.values())).task
    if len({(type(model.task), model.task.names) for model in models.values()}) > 1:
        raise ConfigError(f"the models {', '.join(models)} predict different classes; evaluate them one by one.")
    data, train = job.read(models)
    for note in data.notes:
        on_note(note)
    truth = targets_for(task, data.labels, columns=data.columns, place=data.place)
    values, windowed, warnings = [], {}, []
    for name, model in models.items():
        on_note(f"predicting with {name}")
        if overlap := folders.training_overlap_note(model, name, data.sequences, data.path.name):
            warnings.append(overlap)
        with inference.evaluating(model, inference.resolve_device(job.device), job.precision) as ready:
            predicted = inference.predictions(ready, data.sequences, progress=progress)
        values.append(predicted.values)
        windowed[name] = predicted.n_windowed
    trained = _train_baselines(job, task, train, partial(_tell, on_note, progress))
    out = Path(job.out) if job.out is not None else None
    others = {name: baseline.predict(data.sequences) for name, baseline in trained.items()}
    result = evaluate(task, truth.values, np.mean(values, axis=0), baselines=others, out=out, seed=job.seed)
    warnings += _add_baseline_notes(result["models"], trained)
    result |= {"windowed": windowed, "warnings": warnings}
    if len(models) > 1:
        result |= _over_members(list(models), [compute_metrics(task, truth.values, v, seed=job.seed) for v in values])
    if out is not None:  # the returned dict, with the entries that `report.evaluate` lacks
        write_json(out, result)
    return result


def _tell(on_note: Callable[[str], None], progress: ProgressCallback, text: str) -> None:
    """Report a stage of unknown length."""
    on_note(text)
    if progress is not None:
        progress(Progress(text, 0, None))


def _train_baselines(
    job: EvaluationJob, task: Task, train: LabelledSequences | None, tell: Callable[[str], None]
) -> dict[str, Baseline]:
    """Return the trained baselines of a job by name."""
    if train is None:
        return {}
    trained = {}
    targets = targets_for(task, train.labels, columns=train.columns, place=train.place)
    for name in BASELINES if job.baselines is None else job.baselines:
        tell(f"training {name}")
        trained[name] = BASELINES[name](train.sequences, targets.values, task, seed=job.seed)
    return trained


def _add_baseline_notes(rows: list[dict[str, Any]], trained: Mapping[str, Baseline]) -> list[str]:
    """Add the notes of their training to the rows of baselines, and return their warnings."""
    warnings = []
    for row in rows:
        if (baseline := trained.get(row["model"])) is not None:
            wrong = [*baseline.warnings, *(row["notes"][:1] if row["collapsed"] else [])]  # the first note reports the collapse
            warnings += [f"baseline {row['model']}: {note.removeprefix('the model ')}" for note in wrong]
            row["notes"] = [*baseline.notes, *baseline.warnings, *row["notes"]]
    return warnings


def _over_members(names: Sequence[str], rows: Sequence[Mapping[str, Estimate]]) -> dict[str, Any]:
    """Return the metrics of each model, and their mean with Student's interval."""
    members = [
        {"model": name, **{metric: or_none(estimate.value) for metric, estimate in row.items()}}
        for name, row in zip(names, rows, strict=True)
    ]
    means = {name: over_runs([row[name].value for row in rows], metrics.metric_range(name)) for name in rows[0]}
    return {"members": members, "over_members": {name: estimate.to_dict() for name, estimate in means.items()}}


def load_named_models(paths: Sequence[str]) -> dict[str, SequenceClassifier]:
    """Load the fine-tuned models of runs by name; a run with several members gives each member under its folder.

    Raises CheckpointError for a folder without a fine-tuned model, ConfigError for a folder that is named twice.
    """
    found: dict[str, SequenceClassifier] = {}
    for folder in paths:
        if list(paths).count(folder) > 1:
            raise ConfigError(f"{folder} is named twice, and would count twice in the mean; name it once.")
        names = [f"/{name}" for name in folders.member_names(folder)] or [""]
        models = registry.load_ensemble(folder)
        found |= {f"{str(folder).rstrip('/')}{name}": model for name, model in zip(names, models, strict=True)}
    return found


def n_labels_of(models: Mapping[str, SequenceClassifier]) -> int | None:
    """Return the number of label fields after | in the FASTA headers of the training data; None if unknown."""
    tasks = [model.task for model in models.values()]
    if len({(type(task), task.names) for task in tasks}) != 1:
        return None
    names = tasks[0].names
    if tasks[0].one_class or names == ("label",):
        return 1
    return len(names) if names == tuple(f"label{i}" for i in range(1, len(names) + 1)) else None
