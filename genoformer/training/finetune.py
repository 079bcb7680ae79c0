"""finetune(): labelled sequences + a language model (or none) -> fine-tuned models, one for each seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from lightning.pytorch.utilities import rank_zero_only

from genoformer import plots
from genoformer.datasets.leakage import leakage
from genoformer.datasets.targets import hint_at_values, make_targets, targets_for
from genoformer.evaluation import metrics
from genoformer.evaluation.intervals import Estimate, over_runs
from genoformer.evaluation.metrics import compute_metrics
from genoformer.evaluation.task_metrics import METRICS
from genoformer.files import write_text
from genoformer.models import folders
from genoformer.progress import ProgressCallback
from genoformer.training.classifier_recipe import TrainingData
from genoformer.training.jobs import FinetuneJob
from genoformer.training.stages import prepare, train_member
from genoformer.training.supervised_data import (
    LabelledSet,
    check_training,
    check_validation,
    choose_monitor,
    described,
    file_record,
    held_out,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_OTHER_VALID = "give data with others too, or no validation data to hold out a tenth of the training data"
_OWN_VALID = "give more training data, or validation data"


class EnsembleMember(NamedTuple):
    """One fine-tuned model: its folder, seed, start, validation metrics, and notes on a failed training."""

    folder: Path
    seed: int
    start: str
    metrics: dict[str, Estimate]
    notes: list[str]


class Finetuned(NamedTuple):
    """Members of a run, metrics of their averaged predictions, and mean and interval of each metric over the members.

    reported: names of the metrics to print: the monitored one and the usual ones of the task.
    """

    members: list[EnsembleMember]
    ensemble: dict[str, Estimate]
    over_members: dict[str, Estimate]
    notes: list[str]
    reported: list[str]

    @property
    def failed(self) -> list[EnsembleMember]:
        """Members that collapsed: they make the same prediction for every sequence."""
        return [member for member in self.members if member.notes]

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each model and metric, with the value and its 95 % interval."""
        import pandas as pd

        rows = [(str(member.folder), name, *member.metrics[name]) for member in self.members for name in member.metrics]
        return pd.DataFrame(rows, columns=["model", "metric", "value", "low", "high"])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the metric that selected the best step, with its interval, in the axes of the caller or of a new figure."""
        panel = plots.shown_axes(ax, *self._size)
        self._draw([panel])
        return panel

    @property
    def _size(self) -> tuple[float, float]:
        return 5.2, 1.0 + 0.34 * len(self.members)

    def _draw(self, panels: list[Axes]) -> None:
        points = {member.folder.name: member.metrics[self.reported[0]] for member in self.members}
        plots.comparison(panels[0], points, xlabel=f"{self.reported[0]} on the validation data, with 95 % interval")

    def __repr__(self) -> str:
        results = [
            f"{m.folder}{' FAILED' if m.notes else ''}: {self.reported[0]} {m.metrics[self.reported[0]]}" for m in self.members
        ]
        return f"Finetuned({'; '.join(results)})"

    def _repr_html_(self) -> str:
        return plots.as_html(repr(self), self._draw, self._size)


def finetune(
    job: FinetuneJob, *, progress: ProgressCallback = None, on_note: Callable[[str], None] = lambda text: None
) -> Finetuned | None:
    """Fine-tune a model for each start and seed, write the run's folder, and return the results.

    Sequences longer than the window are cut into overlapping windows, whose logits are averaged; the notes give their number.
    `on_note` receives a description of the data before training starts. The same job resumes an interrupted run. Return None in
    processes other than the first.

    Raises ConfigError for settings or data that cannot be trained on, TrainingError when a loss is not finite.
    """
    job.check()
    if job.recipe is not None:
        on_note(job.recipe.note)
    data, notes = _training_data(job, on_note)
    job, data = prepare(job, data, progress, on_note)
    members, predicted = [], []
    for member, start, seed in _members(job):
        result = train_member(job, data, member, start, seed, progress)
        if result is None:
            continue
        name = "scratch" if start is None else str(start)
        members.append(EnsembleMember(member, seed, name, result.metrics, result.failures))
        predicted.append(result.values)
        notes += [note for note in result.notes if note not in notes]
    rank: Any = getattr(rank_zero_only, "rank", None)
    if not members or rank:  # in a process other than the first all members may be finished already
        return None
    task, truth = data.valid.targets
    together = compute_metrics(task, truth, np.mean(predicted, axis=0))
    over_members = _over_members(members)
    if over_members:
        _write_ensemble(job.folder, members, together, over_members)
    reported = [name for name in dict.fromkeys([data.monitor, *METRICS[type(task)].reported]) if name in together]
    return Finetuned(members, together, over_members, notes, reported)


def _training_data(job: FinetuneJob, on_note: Callable[[str], None]) -> tuple[TrainingData, list[str]]:
    """Return checked training and validation data, and notes on both."""
    train, valid, selects = job.train, job.valid, job.config.finetune.keep == "best"
    everything = make_targets(train.labels, job.task, columns=train.columns, multi_label=job.multi_label, place=train.place)
    on_note(described(train.path.name, everything, train.columns))
    if hint := hint_at_values(everything):
        on_note(hint)
    check_training(everything, train.path.name)
    fitted, notes = LabelledSet(train.sequences, everything), []
    if valid is not None:
        targets = targets_for(everything.task, valid.labels, columns=valid.columns, place=valid.place)
        on_note(described(valid.path.name, targets, valid.columns))
        checked_on = LabelledSet(valid.sequences, targets)
        notes += check_validation(targets, valid.path.name, _OTHER_VALID, selects=selects)
    else:
        fitted, checked_on = held_out(fitted, job.config.finetune.seed)
        n_held = len(checked_on.sequences)
        notes.append(f"No validation data was given: {n_held:,} of the {len(train):,} sequences were held out.")
        name = f"The held-out part of {train.path.name}"
        notes += check_validation(checked_on.targets, name, _OWN_VALID, selects=selects)
    check_training(fitted.targets, f"The training part of {train.path.name}")
    monitor = choose_monitor(job.config.finetune.monitor, checked_on.targets)
    shared = leakage(fitted.sequences, checked_on.sequences, everything.task.class_names(checked_on.targets.values))
    notes.append(shared.describe("the training data", "the validation data"))
    record = {
        "train": file_record(train.path, len(fitted.sequences)),
        "valid": file_record(valid.path, len(checked_on.sequences)) if valid is not None else None,
        "leakage": shared.as_dict(),
    }
    return TrainingData(fitted, checked_on, monitor, record), notes


def _members(job: FinetuneJob) -> Iterator[tuple[Path, str | Path | None, int]]:
    """Yield the folder, the start model and the seed of each member; folders of starts of equal names are numbered."""
    starts: Sequence[str | Path | None] = job.starts or [None]
    names = ["" if start is None else folders.resolve_model(start).resolve().name for start in starts]
    first = job.config.finetune.seed
    for i, (start, name) in enumerate(zip(starts, names, strict=True), 1):
        unique = name if names.count(name) == 1 else f"{name}-{i}"
        for seed in range(first, first + job.n_seeds):
            parts = [*([unique] * (len(starts) > 1)), *([f"seed-{seed}"] * (job.n_seeds > 1))]
            yield job.folder / "-".join(parts), start, seed


def _over_members(members: Sequence[EnsembleMember]) -> dict[str, Estimate]:
    """Return the mean of each metric over several members with its interval; nothing for a single one."""
    if len(members) < 2:
        return {}
    return {
        name: over_runs([member.metrics[name].value for member in members], metrics.metric_range(name))
        for name in members[0].metrics
    }


def _write_ensemble(
    folder: Path, members: Sequence[EnsembleMember], together: dict[str, Estimate], over_members: dict[str, Estimate]
) -> None:
    table = {
        "members": [member.folder.name for member in members],
        "metrics": {name: together[name].to_dict() for name in over_members},
        "over_members": {name: estimate.to_dict() for name, estimate in over_members.items()},
    }
    write_text(folder / folders.ENSEMBLE, json.dumps(table, indent=1, allow_nan=False) + "\n")
