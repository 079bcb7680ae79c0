"""A request for a fine-tuned model in regions -> ClassPrediction -> files, tables."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genoformer.compute import InputParts, MemoryStore, PartedRun, reused_note
from genoformer.errors import ConfigError, OptionError
from genoformer.formats.bed import Intervals
from genoformer.formats.track_table import Track
from genoformer.genome.contigs import join_names
from genoformer.genome.genes import read_landmarks
from genoformer.genome.reference import Genome
from genoformer.inference.class_windows import (
    PART_BASES,
    ClassTask,
    ClassWindows,
    ValueFolder,
    WindowNumbers,
    value_store,
    write_windows,
)
from genoformer.inference.prediction_request import PredictionFiles, PredictionRequest, request_fingerprint
from genoformer.inference.runtime import Floats
from genoformer.inference.track_prediction import Predicted
from genoformer.models import cost, registry
from genoformer.progress import ProgressCallback, Stage
from genoformer.resume_folder import folder_of
from genoformer.tasks import Task
from genoformer.writers.calls import CallRule, CollectedCalls, SeveralSinks, WindowGrid, check_calls_path, new_calls
from genoformer.writers.tracks import CollectedTracks, TrackOutput, TrackSink, column_names, new_sink

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ClassPrediction:
    """Windows of regions, resolved and checked; `write` and `table` predict them.

    models: one, or the members of an ensemble. tracks: the written classes, as the tracks of the outputs. rule: the calls, or
    None if a regression has no threshold.
    """

    request: PredictionRequest
    models: Sequence[Any]
    windows: ClassWindows
    tracks: Sequence[Track]
    rule: CallRule | None
    notes: Sequence[str]
    unit = "windows"

    @property
    def bin_size(self) -> int:
        return self.windows.grid.step

    def cost(self) -> str:
        """Return the parameters and the number of windows as text."""
        n = sum(map(cost.count_parameters, self.models))
        window, step = self.windows.grid
        rows = {"parameters": f"{n:,}", "window": f"{window:,} bases", "step": f"{step:,} bases"}
        asked = self.request.both_strands
        both = self.models[0].config.both_strands if asked is None else asked
        return cost.table(rows | {"windows": f"{self.windows.n:,}{' on each strand' if both else ''}"})

    def table(self, progress: ProgressCallback = None) -> pd.DataFrame:
        """Return a row for each bin, or with a threshold in the request, a row for each call."""
        import pandas as pd

        self.request.compute.refuse_shard("a table in memory")
        run = self._run(MemoryStore(), self.request.threads_of(None))
        if self.request.threshold is not None:
            calls = CollectedCalls(self._call_rule())
            self._write(run, calls, progress)
            rows = [(call.chrom, call.start, call.end, call.name, call.value) for call in calls.finish()]
            return pd.DataFrame(rows, columns=["chrom", "start", "end", "name", "value"])
        collected = CollectedTracks()
        self._write(run, collected, progress)
        chroms, starts, ends, values = collected.columns()
        bins = pd.DataFrame({"chrom": chroms, "start": starts, "end": ends})
        return pd.concat([bins, pd.DataFrame(values.T, columns=column_names(self.tracks))], axis=1)

    def write(self, files: PredictionFiles, progress: ProgressCallback = None) -> list[str]:
        """Write a bin for each window, and the calls if requested, and return notes on them.

        Finished parts are kept next to the output until it is complete, so that the same request resumes an interrupted run.
        A shard computes its parts only.
        Raises ConfigError for an existing output, unless it is to be replaced or belongs to a run that is resumed.
        """
        rule, compute, n_threads = self._check_files(files), self.request.compute, self.request.threads_of(files.output)
        with value_store(files.output, self.models, self.request.compute, lambda: self._fingerprint(n_threads)) as store:
            run = self._run(store, n_threads)
            if compute.shard is not None:
                return [run.compute_shard(files.output, self._stage(progress))]
            genome = self.windows.genome
            landmarks = read_landmarks(genome, files.gtf, files.elements)
            unit = "predicted value" if self.models[0].task.has_scale else "probability"
            target = TrackOutput(
                files.output, genome.contigs, self.tracks, self.windows.intervals, landmarks, files.force, "classes", unit
            )
            with new_sink(target) as sink, ExitStack() as stack:
                calls = stack.enter_context(new_calls(files.calls, rule)) if files.calls and rule else None
                summary = self._write(run, SeveralSinks([sink, calls]) if calls else sink, progress)
        notes = self._notes(files.output, summary, getattr(store, "n_found", 0))
        return [*notes, f"{files.calls}: {calls.n_calls:,} call{'s' * (calls.n_calls != 1)}"] if calls else notes

    def _run(self, store: ValueFolder | MemoryStore[Floats], n_threads: int) -> PartedRun[WindowNumbers, Floats]:
        request = self.request
        task = ClassTask(self.windows, self.models, request.both_strands, request.runtime, n_threads)
        parts = InputParts(self.windows.parts, request.compute.shard)
        return PartedRun(parts, task, store, request.compute, size=lambda part: len(part[1]))

    def _stage(self, progress: ProgressCallback) -> Stage:
        return Stage(progress, "predicting", self.windows.n)

    def _write(self, run: PartedRun[WindowNumbers, Floats], sink: TrackSink, progress: ProgressCallback) -> Predicted:
        columns = [track.index for track in self.tracks]
        return write_windows(self.windows, run.results(self._stage(progress)), columns, sink)

    def _check_files(self, files: PredictionFiles) -> CallRule | None:
        """Return the rule of the calls if they are requested; refuse outputs that cannot be written, before the model runs."""
        if files.calls is None and self.request.threshold is not None:
            raise OptionError("threshold", "is the least value of a call and needs a file of calls; name one, or leave it out.")
        rule = None
        if files.calls is not None:
            rule = self._call_rule()
            check_calls_path(files.calls)
        started = folder_of(files.output).is_dir()
        for path in (files.output, files.calls):
            if path is None or files.force or started:
                continue
            if path.is_file() or (path.is_dir() and any(path.iterdir())):
                raise ConfigError(f"{path} exists; set force to replace it, or name another output.")
        return rule

    def _call_rule(self) -> CallRule:
        if self.rule is None:
            raise OptionError("threshold", "is missing, expected a number in the unit of the regression; give one for calls.")
        return self.rule

    def _fingerprint(self, n_threads: int) -> dict[str, str]:
        """Return what the values of the windows depend on."""
        window, step = self.windows.grid
        return request_fingerprint(self.request, self.windows.genome, self.windows.intervals, n_threads) | {
            "model": ",".join(model.sha256 for model in self.models),
            "window": str(window),
            "step": str(step),
            "part size": str(self.windows.part_size),
        }

    def _notes(self, path: Path, summary: Predicted, n_found: int) -> list[str]:
        notes = []
        if n_found:
            notes.append(f"Note: {reused_note(n_found, self.request.compute.assemble)}.")
        if summary.n_unknown:
            of_all = f"{summary.n_unknown:,} of the {summary.n_bins:,} bins have no value"
            notes.append(f"Note: {of_all}: fewer than half of the bases of their window are known.")
        names = join_names([track.identifier for track in self.tracks])
        bins = f"{summary.n_bins:,} bins of {self.bin_size:,}"
        windows = f"{summary.n_windows:,} windows of {self.windows.grid.window:,} bases in {summary.seconds:,.1f} s"
        return [*notes, f"{path}: {names} in {bins}, from {windows}"]


def resolve_windows(
    request: PredictionRequest, genome: Genome, intervals: Mapping[str, Intervals], notes: Sequence[str]
) -> ClassPrediction:
    """Check the options of a fine-tuned model for regions of a genome.

    Raises ConfigError for an unknown class, a step outside 1 to the window, and a threshold that no probability reaches.
    """
    models = loaded_models(request)
    task, windows = models[0].task, [model.config.window for model in models]
    if len(set(windows)) > 1:
        several = join_names([f"{window:,}" for window in windows])
        raise ConfigError(
            f"the models of this ensemble have windows of {several} bases; give one context for all, or name a member."
        )
    window = windows[0]
    step = max(1, window // 2) if request.step is None else request.step
    if not 1 <= step <= window:
        raise ConfigError(f"step = {step}: give 1 base up to the window of the model, {window:,}.")
    tracks = chosen_classes(task, request.class_names, one=task.binary)
    grid = WindowGrid(window, step)
    threshold = request.threshold
    if not task.has_scale:
        threshold = 0.5 if threshold is None else threshold
        if not 0 < threshold <= 1:
            raise ConfigError(f"threshold = {threshold:g}: probabilities are above 0 and up to 1; give one of these.")
    names = [track.identifier for track in tracks]
    rule = None if threshold is None else CallRule(names, grid, genome.contigs, threshold, not task.has_scale)
    part_size = max(1, PART_BASES // window) if request.part_size is None else request.part_size
    notes = [*notes, *window_notes(request, models)]
    return ClassPrediction(request, models, ClassWindows(genome, grid, intervals, part_size), tracks, rule, notes)


def chosen_classes(task: Task, names: Sequence[str], *, one: bool) -> list[Track]:
    """Return the classes of these names as tracks; by default all, or with `one` the last."""
    if missing := [name for name in names if name not in task.names]:
        raise ConfigError(f"there is no {task.word} {missing[0]!r}; the model predicts {join_names(task.names)}.")
    default = task.names[-1:] if one else task.names
    meaning = task.word if task.has_scale else f"probability of {task.word}"
    numbers = [task.names.index(name) for name in dict.fromkeys(names) or default]
    return [Track(i, task.names[i], strand_pair=i, description=f"{meaning} {task.names[i]}") for i in numbers]


def window_notes(request: PredictionRequest, models: Sequence[Any]) -> list[str]:
    """Return notes on windows that neither the request nor the folders of the models name."""
    if request.context is not None:
        return []
    name = str(request.model) if isinstance(request.model, str | Path) else "the model"
    return list(dict.fromkeys(note for model in models if (note := model.window_note(name))))


def loaded_models(request: PredictionRequest) -> list[Any]:
    """Return the models of a request, which read windows of its context.

    Raises ConfigError for a context below one token or above the window of a model.
    """
    model = request.model
    models = registry.load_ensemble(model) if isinstance(model, str | Path) else [model]
    return models if request.context is None else [_with_window(model, request.context) for model in models]


def _with_window(model: Any, window: int) -> Any:
    """Return a model with the same weights that cuts sequences into windows of this length; the model itself stays as it is."""
    config, least = model.config, getattr(getattr(model, "tokenizer", None), "min_bases", 1)
    if not least <= window <= config.window:
        raise OptionError(
            "context",
            f"is {window:,}, expected {least:,} to {config.window:,} bases, the window of the model; give one of these.",
        )
    other = copy.copy(model)
    other.config = replace(config, window=window, overlap=min(config.overlap, window - 1))
    return other
