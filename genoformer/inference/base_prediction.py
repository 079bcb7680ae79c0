"""A request for tracks of a language model -> BasePrediction: windows of regions -> bigWig, Parquet, a figure or a table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genoformer.compute import InputParts, MemoryStore, PartedRun, resumable, reused_note
from genoformer.errors import ConfigError, OptionError
from genoformer.formats.bed import Intervals
from genoformer.formats.track_table import Track
from genoformer.genome.codes import N
from genoformer.genome.contigs import join_names
from genoformer.genome.genes import read_landmarks
from genoformer.genome.reference import Genome
from genoformer.inference.base_readers import BaseReader, open_readers
from genoformer.inference.base_tracks import BASE_TRACKS, BaseTrack, base_tracks_named
from genoformer.inference.base_windows import BaseWindows, PredictedBases, write_base_tracks
from genoformer.inference.class_windows import ValueFolder, WindowNumbers
from genoformer.inference.prediction_request import (
    OF_CLASSES,
    OF_TRACKS,
    PredictionFiles,
    PredictionRequest,
    request_fingerprint,
)
from genoformer.inference.runtime import Floats, evaluating, threads
from genoformer.models import cost, registry
from genoformer.models.base import PredictsBases, SequenceLikelihood, has, require
from genoformer.progress import ProgressCallback, Stage
from genoformer.resume_folder import folder_of
from genoformer.writers.tracks import CollectedTracks, TrackOutput, TrackSink, column_names, new_sink

if TYPE_CHECKING:
    import pandas as pd

_SAMPLE = 64  # bases that are read both ways, to measure the effect of a stride, and on whose windows the rate is measured


@dataclass(frozen=True)
class BasePrediction:
    """Tracks of a language model in regions, resolved and checked; `write` and `table` predict them."""

    request: PredictionRequest
    models: tuple[Any, ...]  # several: the mean of their tracks
    genome: Genome
    intervals: Mapping[str, Intervals]
    tracks: Sequence[BaseTrack]
    notes: Sequence[str]
    unit = "bases"

    @property
    def _both_strands(self) -> bool:
        return self.request.both_strands is not False

    @cached_property
    def columns(self) -> list[Track]:
        """The tracks as those of an output."""
        return [Track(i, track.name, description=track.meaning) for i, track in enumerate(self.tracks)]

    @contextmanager
    def on_device(self) -> Iterator[tuple[Any, ...]]:
        """Yield the models in eval mode, on the device of the request; they are restored at the end."""
        runtime = self.request.runtime
        with ExitStack() as stack:
            yield tuple(stack.enter_context(evaluating(one, runtime.device, runtime.precision)) for one in self.models)

    def windows(self, models: Sequence[Any], stride: int | None) -> BaseWindows:
        """Return the windows of models on their device, with several masks in a pass if there is a stride."""
        request = self.request
        reader = open_readers(models, request.context, stride, request.phases, both_strands=self._both_strands)
        batch_size = request.runtime.batch_size
        return BaseWindows(self.genome, reader, self.tracks, self.intervals, request.part_size, batch_size)

    def cost(self) -> str:
        """Return parameters, windows, passes and time of the prediction as text; the rate is measured."""
        runtime = self.request.runtime
        n_strands = 1 + (self._both_strands and not all(model.strands_agree for model in self.models))
        with self.on_device() as models:
            windows = self.windows(models, self.request.stride)
            n_passes, rate = windows.n_passes(), _passes_per_second(windows, n_strands)
        seconds = n_strands * n_passes / rate
        n_parameters = sum(map(cost.count_parameters, self.models))
        rows = {"parameters": f"{n_parameters:,}", "window": f"{windows.reader.window:,} bases"}
        rows |= {"bases": f"{windows.n_bases:,}", "passes": f"{n_passes:,}{' on each strand' if n_strands > 1 else ''}"}
        rows["rate"] = f"{rate:,.0f} passes a second, {windows.n_bases / seconds:,.0f} bases a second, on {runtime.device}"
        return cost.table(rows | {"time of the run": f"about {cost.duration(seconds)}"})

    def table(self, progress: ProgressCallback = None) -> pd.DataFrame:
        """Return a row for each base: chrom, start, end, and a column for each track; NaN where there is no value."""
        import pandas as pd

        self.request.compute.refuse_shard("a table in memory")
        collected = CollectedTracks()
        self._write(self._run(MemoryStore(), self.request.threads_of(None)), collected, progress)
        chroms, starts, ends, values = collected.columns()
        bases = pd.DataFrame({"chrom": chroms, "start": starts, "end": ends})
        return pd.concat([bases, pd.DataFrame(values.T, columns=column_names(self.columns))], axis=1)

    def write(self, files: PredictionFiles, progress: ProgressCallback = None) -> list[str]:
        """Write the tracks to the output, and return notes on them.

        Finished parts are kept next to the output until it is complete, so that the same request resumes an interrupted run.
        Raises ConfigError for an existing output, unless it is to be replaced or belongs to a run that is resumed.
        """
        self._check_files(files)
        compute, n_threads = self.request.compute, self.request.threads_of(files.output)
        with self._store(files.output, n_threads) as store:
            run = self._run(store, n_threads)
            if compute.shard is not None:
                return [run.compute_shard(files.output, self._stage(progress))]
            stride_notes = self._stride_notes()  # first: later it would raise the memory of a long run at its end
            landmarks = read_landmarks(self.genome, files.gtf, files.elements)
            target = TrackOutput(
                files.output, self.genome.contigs, self.columns, self.intervals, landmarks, files.force, "track", "bits"
            )
            with new_sink(target) as sink:
                summary = self._write(run, sink, progress)
        n_found = getattr(store, "n_found", 0)
        notes = [f"Note: {reused_note(n_found, compute.assemble)}."] if n_found else []
        return [*notes, *stride_notes, *self._summary_notes(files.output, summary)]

    def _run(self, store: ValueFolder | MemoryStore[Floats], n_threads: int) -> PartedRun[WindowNumbers, Floats]:
        compute, windows = self.request.compute, self.windows(self.models, self.request.stride)
        parts = InputParts(windows.windows.parts, compute.shard)
        return PartedRun(parts, BaseTask(self, n_threads), store, compute, windows.n_wanted)

    def _stage(self, progress: ProgressCallback) -> Stage:
        return Stage(progress, "predicting", sum(int(np.diff(rows, axis=1).sum()) for rows in self.intervals.values()))

    def _write(self, run: PartedRun[WindowNumbers, Floats], sink: TrackSink, progress: ProgressCallback) -> PredictedBases:
        windows, stored = self.windows(self.models, self.request.stride), run.store.numbers()
        return write_base_tracks(windows, run.results(self._stage(progress)), sink, stored)

    def _summary_notes(self, path: Path, summary: PredictedBases) -> list[str]:
        notes = []
        if summary.n_unknown:
            of_all = f"{summary.n_unknown:,} of the {summary.n_bases:,} bases have no value"
            notes.append(f"Note: {of_all}: they are N, or N hide the bases around them.")
        names = join_names([track.name for track in self.tracks])
        rate = f", {summary.n_computed / summary.seconds:,.0f} bases a second" if summary.n_computed else ""
        return [*notes, f"{path}: {names} of {summary.n_bases:,} bases in {summary.seconds:,.1f} s{rate}"]

    def _stride_notes(self) -> list[str]:
        """Return notes on how much masking several bases together changes the tracks, measured on a sample."""
        stride = self.request.stride
        if stride is None:
            return []
        alone, together = self.sample(None), self.sample(stride)
        known = np.isfinite(alone[0]) & np.isfinite(together[0])
        n = int(known.sum())
        if n < 3:
            return [f"Note: the effect of stride {stride} was not measured: {n} of the sampled bases are known."]
        notes = []
        for track, a, b in zip(self.tracks, alone[:, known], together[:, known], strict=True):
            change = np.abs(a - b)
            by = f"by {change.mean():.3f} bits in the mean and {change.max():.3f} at most"
            correlation = f"{np.corrcoef(a, b)[0, 1]:.3f}" if a.std() and b.std() else "undefined"
            notes.append(f"Note: stride {stride} changes {track.name} {by}, correlation {correlation} ({n:,} bases).")
        return notes

    def sample(self, stride: int | None) -> Floats:
        """Return the tracks of a sample of bases at equal distances, [K, n]: each masked alone, or with others at a stride."""
        with self.on_device() as models:
            values = []
            for chrom, bases in self._sampled().items():
                rows = np.stack([bases, bases + 1], axis=1)
                windows = replace(self.windows(models, stride), intervals={chrom: rows}, part_size=1 << 30)
                ((_, numbers),) = windows.windows.parts()
                step = windows.reader.grid.step
                at = np.searchsorted(numbers, bases // step) * step + bases % step
                values.append(windows.compute(chrom, numbers)[:, at])
        return np.concatenate(values, axis=1)

    def _sampled(self) -> dict[str, np.ndarray]:
        """Return the sampled bases of each contig, sorted."""
        n_all = sum(int(np.diff(rows, axis=1).sum()) for rows in self.intervals.values())
        chosen = np.unique(np.linspace(0, n_all - 1, min(_SAMPLE, n_all)).astype(np.int64))
        sampled, n_before = {}, 0
        for chrom, rows in self.intervals.items():
            ends = np.cumsum(rows[:, 1] - rows[:, 0])
            of_contig = chosen[(chosen >= n_before) & (chosen < n_before + ends[-1])] - n_before
            row = np.searchsorted(ends, of_contig, side="right")
            if len(of_contig):
                sampled[chrom] = rows[row, 1] - (ends[row] - of_contig)
            n_before += int(ends[-1])
        return sampled

    # Files

    def _check_files(self, files: PredictionFiles) -> None:
        """Refuse outputs that cannot be written, before the model runs."""
        if files.calls is not None:
            raise ConfigError("calls are of a fine-tuned model, found a language model; leave them out.")
        path = files.output
        if files.force or folder_of(path).is_dir():
            return
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise ConfigError(f"{path} exists; set force to replace it, or name another output.")

    @contextmanager
    def _store(self, output: Path, n_threads: int) -> Iterator[ValueFolder | MemoryStore[Floats]]:
        """Yield the resume folder of an output, removed after success; for a model without a file, a store in memory."""
        compute = self.request.compute
        if not all(model.sha256 for model in self.models):
            compute.refuse_shard("a model in memory")
            yield MemoryStore()
            return
        with resumable(ValueFolder(output, self._fingerprint(n_threads)), output, compute) as folder:
            yield folder

    def _fingerprint(self, n_threads: int) -> dict[str, str]:
        """Return what the values depend on."""
        request = self.request
        windows = self.windows(self.models, request.stride)
        phases = {"phases": request.phases} if request.phases is not None else {}
        return request_fingerprint(request, self.genome, self.intervals, n_threads) | {
            "model": "+".join(model.sha256 or "" for model in self.models),
            "tracks": ",".join(track.name for track in self.tracks),
            "window": str(windows.reader.window),
            "stride": str(request.stride),
            "part size": str(windows.windows.part_size),
            "strands": "both" if self._both_strands else "forward",
            **phases,
        }


@dataclass(frozen=True)
class BaseTask:
    """Tracks at the bases of a part."""

    prediction: BasePrediction
    threads: int  # of a process

    @property
    def device(self) -> str:
        return self.prediction.request.runtime.device

    @contextmanager
    def open(self) -> Iterator[Callable[[WindowNumbers], Floats]]:
        """Yield the function from the cells of a part to their tracks; the model is on its device in the block."""
        prediction = self.prediction
        with threads(self.threads), prediction.on_device() as models:
            windows = prediction.windows(models, prediction.request.stride)
            yield lambda part: windows.compute(*part)


def _passes_per_second(windows: BaseWindows, n_strands: int) -> float:
    """Return the passes of the network per second, measured on windows of random bases, of which it reads so many strands."""
    reader: BaseReader = windows.reader
    codes = np.random.default_rng(0).integers(0, N, (_SAMPLE, reader.grid.window), dtype=np.uint8)
    wanted = np.zeros((_SAMPLE, reader.grid.step), dtype=bool)
    wanted[:, 0] = True
    seconds = []
    for n in (8, _SAMPLE):  # the first run is slower
        begun = time.perf_counter()
        reader.read(codes[:n], wanted[:n], windows.batch_size)
        seconds.append((time.perf_counter() - begun) / n / n_strands)
    return 1 / seconds[-1]


def resolve_base_tracks(
    request: PredictionRequest, genome: Genome, intervals: Mapping[str, Intervals], notes: Sequence[str]
) -> BasePrediction:
    """Load the language models of a request, and check its options.

    Raises CheckpointError for a model that predicts no masked bases, OptionError for unknown tracks and other options.
    """
    tracks = base_tracks_named(request.track_names)
    needs = (PredictsBases, SequenceLikelihood)
    models = tuple(registry.load(one, needs) if isinstance(one, str | Path) else one for one in request.members)
    for model in models:
        require(model, needs)
    if not all(has(model, PredictsBases) for model in models):
        _refuse_tracks_of_both_sides(tracks)
    open_readers(models, request.context, request.stride, request.phases, both_strands=True)
    return BasePrediction(request, models, genome, intervals, tracks, notes)


def _refuse_tracks_of_both_sides(tracks: Sequence[BaseTrack]) -> None:
    """Raise OptionError for tracks that a causal model does not have."""
    for track in tracks:
        if not track.reads_one_side:
            known = ", ".join(name for name, other in BASE_TRACKS.items() if other.reads_one_side)
            problem = f"names {track.name}, which needs the bases on both sides, and a causal model reads one"
            raise OptionError("track", f"{problem}; choose {known}, or score variants.")


def refuse_options_of_others(request: PredictionRequest) -> None:
    """Raise OptionError for an option of track models or of fine-tuned models in a request for tracks of a language model."""
    shared = ("context", "part_size")
    request.refuse([*OF_TRACKS, *(name for name in OF_CLASSES if name not in shared)], "is not for tracks of a language model")
