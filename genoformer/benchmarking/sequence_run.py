"""Tasks of sequences + fine-tuned models or baselines -> draws of the metrics of each task, and their mean over the tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genoformer import inference
from genoformer.benchmarking.ensembles import MEAN
from genoformer.benchmarking.measures import Draws
from genoformer.benchmarking.request import BenchmarkRequest
from genoformer.benchmarking.sequence_readers import SequenceTask
from genoformer.datasets.sequence_rows import LabelledSequences
from genoformer.datasets.targets import make_targets, targets_for
from genoformer.errors import ConfigError, OptionError
from genoformer.evaluation import metrics
from genoformer.evaluation.baselines import BASELINES
from genoformer.evaluation.run import load_named_models
from genoformer.genome.contigs import join_names
from genoformer.genome.reference import Genome
from genoformer.option_checks import check_choice
from genoformer.progress import ProgressCallback, Stage
from genoformer.tasks import Task

_OF_TASK = "{task}"
MEAN_OF_TASKS = "mean of tasks"
_ENSEMBLE = "mean of probabilities"


def draws_of_tasks(
    request: BenchmarkRequest, genome: Genome | None, progress: ProgressCallback, note: Callable[[str], None]
) -> dict[str, list[Draws]]:
    """Return the draws of each model and baseline: those of the mean over the tasks, and of each task.

    Raises OptionError for a task that the folder lacks, ConfigError for a model of other classes.
    """
    for name in request.baselines:
        check_choice("baselines", name, BASELINES)
    assert request.benchmark.tasks is not None
    tasks = _chosen(request.benchmark.tasks(request.path(), genome), request.tasks)
    if len(tasks) > 1 and any(_OF_TASK not in model for model in request.models):
        raise OptionError("models", f"has no {_OF_TASK}, found {len(tasks)} tasks; write runs/{_OF_TASK}, or name one task.")
    stage = Stage(progress, "tasks", len(tasks))
    found: dict[str, list[Draws]] = {}
    for task in tasks:
        if task.split != "test":
            note(f"{task.name}: evaluated on {task.split}, because the folder has no test set.")
        for model, draws in _of_task(task, request, note).items():
            found.setdefault(model, []).extend(draws)
        stage.add(1)
    if len(tasks) > 1:
        main = {task.name: task.metric for task in tasks}
        for model, draws in found.items():
            found[model] = [*_mean(draws, main, request.benchmark.metric), *draws]
    return found


def _chosen(tasks: Sequence[SequenceTask], names: Sequence[str]) -> list[SequenceTask]:
    """Return the named tasks, by their names with or without the group; all without names."""
    if not names:
        return list(tasks)
    spellings = {spelling: task for task in tasks for spelling in _spellings(task.name)}
    if missing := [name for name in names if name not in spellings]:
        raise OptionError(
            "tasks", f"is {missing[0]!r}, expected one of {join_names([t.name for t in tasks])}; name one of them."
        )
    return [spellings[name] for name in names]


def _spellings(name: str) -> tuple[str, ...]:
    group, _, last = name.rpartition("/")
    return (name, name.replace("/", "_"), *(() if not group or last.isdecimal() else (last,)))


def _of_task(task: SequenceTask, request: BenchmarkRequest, note: Callable[[str], None]) -> dict[str, list[Draws]]:
    data = task.read("test")
    goal, predictions = _predictions(task, data, request, note)
    truth = targets_for(goal, data.labels, columns=data.columns, place=data.place).values
    found = {}
    for name, values in predictions.items():
        draws = metrics.resampled(metrics.cases(goal, truth, values), request.seed, request.resamplings)
        ordered = sorted((metric for metric in draws if ":" not in metric), key=lambda metric: metric != task.metric)
        found[name] = [Draws(metric, task.name, len(data), draws[metric]) for metric in ordered]
    return found


def _predictions(
    task: SequenceTask, data: LabelledSequences, request: BenchmarkRequest, note: Callable[[str], None]
) -> tuple[Task, dict[str, Any]]:
    """Return the task of the labels, and the predictions of models, baselines and their ensemble."""
    goal: Task | None = None
    found: dict[str, Any] = {}
    for name in request.models:
        folder = name.replace(_OF_TASK, task.name)
        values = []
        for member, model in load_named_models([folder]).items():
            if goal is not None and model.task.names != goal.names:
                raise ConfigError(f"{member} predicts {join_names(model.task.names)}, expected {join_names(goal.names)}.")
            goal = model.task
            with inference.evaluating(model, inference.resolve_device(request.device), "float32") as ready:
                values.append(inference.predictions(ready, data.sequences).values)
        found[Path(name).name if _OF_TASK not in name else name] = np.mean(values, axis=0)
    own = list(found.values())
    if request.baselines:
        train = task.read("train")
        goal = goal or make_targets(train.labels, "classify", columns=train.columns).task
        targets = targets_for(goal, train.labels, columns=train.columns, place=train.place)
        for baseline in request.baselines:
            fitted = BASELINES[baseline](train.sequences, targets.values, goal, seed=request.seed)
            for warning in fitted.warnings:
                note(f"{task.name}: {baseline}: {warning}")
            found[baseline] = fitted.predict(data.sequences)
    if MEAN in request.ensemble:
        if len(own) < 2:
            raise OptionError("ensemble", f"needs two models or more, found {len(own)}; name more of them.")
        found[_ENSEMBLE] = np.mean(own, axis=0)
    assert goal is not None
    return goal, found


def _mean(draws: Sequence[Draws], main: dict[str, str], metric: str) -> list[Draws]:
    """Return the mean of the main metric over the tasks that have it as theirs; the samples of the tasks are independent."""
    kept = [one for one in draws if one.metric == metric and main[one.subset] == metric]
    if len(kept) < 2:
        return []
    return [Draws(metric, MEAN_OF_TASKS, sum(one.n for one in kept), np.mean([one.values for one in kept], axis=0))]
