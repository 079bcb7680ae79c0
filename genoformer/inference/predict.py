"""PredictionRequest -> open_prediction(): genome, regions, outputs and model, resolved and checked -> files or a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genoformer.compute import InputParts, MemoryStore, PartedRun, resumable, reused_note
from genoformer.errors import CheckpointError, OptionError
from genoformer.formats.bed import Intervals
from genoformer.formats.context_table import ContextTable, open_contexts
from genoformer.formats.squashed_scale import squashed_scale
from genoformer.formats.track_table import Track, open_targets
from genoformer.genome.genes import read_landmarks
from genoformer.genome.reference import Genome
from genoformer.inference.base_prediction import BasePrediction, refuse_options_of_others, resolve_base_tracks
from genoformer.inference.base_tracks import BASE_TRACKS
from genoformer.inference.class_prediction import ClassPrediction, resolve_windows
from genoformer.inference.pair_prediction import PairPrediction, resolve_pairs
from genoformer.inference.prediction_request import (
    OF_BASES,
    OF_CLASSES,
    OF_TRACKS,
    PredictionFiles,
    PredictionRequest,
    request_fingerprint,
)
from genoformer.inference.regions import ResolvedRegions, resolve_regions
from genoformer.inference.runtime import sha256_of_arrays
from genoformer.inference.sequence_prediction import SequencePrediction, resolve_sequences
from genoformer.inference.track_plan import plan_prediction
from genoformer.inference.track_prediction import (
    CellNumbers,
    Predicted,
    TrackFolder,
    TrackPart,
    TrackSelection,
    TrackTask,
    head_tracks,
    n_cells,
    track_task,
    write_tracks,
)
from genoformer.models import families, registry
from genoformer.models.base import (
    Classifies,
    Head,
    Model,
    PredictsBases,
    PredictsPairs,
    PredictsTracks,
    has,
    remedy,
)
from genoformer.models.folders import member_names, resolve_model
from genoformer.models.published import require_table
from genoformer.models.takes_contexts import TakesContexts, with_contexts
from genoformer.models.track_model import head_named
from genoformer.progress import ProgressCallback, Stage
from genoformer.writers.tracks import CollectedTracks, TrackOutput, column_names, new_sink

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TrackPrediction:
    """Tracks of regions, resolved and checked; `write` and `table` load the model and predict them."""

    request: PredictionRequest
    genome: Genome
    intervals: Mapping[str, Intervals]
    config: Any  # of the model
    head: Head
    tracks: Sequence[Track]
    selection: TrackSelection
    notes: Sequence[str]
    contexts: ContextTable | None = None  # other contexts than those of the model
    unit = "windows"

    def cost(self) -> str:
        """Return parameters, memory and time of a prediction as text; the model is not loaded."""
        head, both = self.request.head, bool(self.request.both_strands)
        return plan_prediction(self.config, self.intervals, head=head, both_strands=both, runtime=self.request.runtime).text()

    def _task(self, n_threads: int) -> TrackTask:
        """Load the model, and return the windows and how they are predicted."""
        model, request = self.request.model, self.request
        loaded: Any = registry.load(model, PredictsTracks) if isinstance(model, str | Path) else model
        return track_task(
            self.genome,
            with_contexts(loaded, self.contexts),
            self.intervals,
            self.selection,
            runtime=request.runtime,
            part_size=request.part_size,
            n_threads=n_threads,
        )

    def _run(self, task: TrackTask, store: TrackFolder | MemoryStore[TrackPart]) -> PartedRun[CellNumbers, TrackPart]:
        compute = self.request.compute
        return PartedRun(InputParts(task.windows.parts, compute.shard), task, store, compute, n_cells)

    def _stage(self, task: TrackTask, progress: ProgressCallback) -> Stage:
        return Stage(progress, "predicting", task.windows.n)

    def table(self, progress: ProgressCallback = None) -> pd.DataFrame:
        """Return a row for each bin: chrom, start, end, and a column for each track."""
        import pandas as pd

        self.request.compute.refuse_shard("a table in memory")
        task, collected = self._task(self.request.threads_of(None)), CollectedTracks()
        run = self._run(task, MemoryStore())
        write_tracks(task.windows, run.results(self._stage(task, progress)), collected)
        chroms, starts, ends, values = collected.columns()
        tracks = pd.DataFrame(values.T, columns=column_names(self.tracks))
        return pd.concat([pd.DataFrame({"chrom": chroms, "start": starts, "end": ends}), tracks], axis=1)

    def write(self, files: PredictionFiles, progress: ProgressCallback = None) -> list[str]:
        """Write the tracks to the output, and return notes on them.

        Finished parts are kept next to the output until it is complete, so that the same request resumes an interrupted run.
        A shard computes its parts only.
        """
        if files.calls is not None:
            raise OptionError("calls", "needs a fine-tuned model, found a track model; leave it out.")
        compute = self.request.compute
        landmarks = read_landmarks(self.genome, files.gtf, files.elements)
        target = TrackOutput(files.output, self.genome.contigs, self.tracks, self.intervals, landmarks, files.force)
        with new_sink(target) if compute.shard is None else nullcontext() as sink:
            task = self._task(self.request.threads_of(files.output))
            with self._store(files.output, task) as store:
                run, stage = self._run(task, store), self._stage(task, progress)
                if sink is None:
                    return [run.compute_shard(files.output, stage)]
                summary = write_tracks(task.windows, run.results(stage), sink)
        return self._notes(files.output, summary, getattr(store, "n_found", 0))

    @contextmanager
    def _store(self, output: Path, task: TrackTask) -> Iterator[TrackFolder | MemoryStore[TrackPart]]:
        """Yield the resume folder of an output, removed after success; for a model without a file, a store in memory."""
        compute = self.request.compute
        if not task.model.sha256:
            compute.refuse_shard("a model in memory")
            yield MemoryStore()
            return
        with resumable(TrackFolder(output, self._fingerprint(task)), output, compute) as folder:
            yield folder

    def _fingerprint(self, task: TrackTask) -> dict[str, str]:
        """Return what the predictions depend on."""
        selection, squashed = self.selection, self.selection.squashed
        numbers = [np.asarray(selection.tracks), *([] if selection.strand_pairs is None else [selection.strand_pairs])]
        scales = [] if squashed is None else [squashed.scale, squashed.clip_soft, squashed.exponent]
        return request_fingerprint(self.request, self.genome, self.intervals, task.threads) | {
            "model": task.model.sha256,
            "head": task.model.head_named(selection.head),
            "tracks": sha256_of_arrays(numbers),
            "scale": "" if squashed is None else f"{squashed.kind} {sha256_of_arrays(scales)}",
            "contexts": "" if self.contexts is None else self.contexts.sha256,
            "part size": str(task.windows.n_part),
        }

    def _notes(self, output: Path, summary: Predicted, n_found: int) -> list[str]:
        notes = [f"Note: {reused_note(n_found, self.request.compute.assemble)}."] if n_found else []
        if summary.n_unknown:
            of_all = f"{summary.n_unknown:,} of the {summary.n_bins:,} bins hold nothing but N (gaps of the assembly)"
            notes.append(f"Note: {of_all}; their predictions have no meaning.")
        n_tracks = len(self.tracks)
        tracks = "1 track" if n_tracks == 1 else f"{n_tracks:,} tracks"
        windows = "1 window" if summary.n_windows == 1 else f"{summary.n_windows:,} windows"
        bins = f"{summary.n_bins:,} bins of {self.head.bin_size}"
        return [*notes, f"{output}: {tracks} in {bins}, from {windows} in {summary.seconds:,.1f} s"]


Prediction = TrackPrediction | PairPrediction | ClassPrediction | SequencePrediction | BasePrediction


@contextmanager
def open_prediction(request: PredictionRequest) -> Iterator[Prediction]:
    """Resolve and check a request; the genome is open in the block, and stays open if it was.

    Raises: ConfigError for tracks or classes that the model does not have, for options of another kind of model, and for both
    strands if no table has the strand pairs of the tracks; the errors of `resolve_regions`, `read_sequences` and
    `registry.load`.
    """
    model, has_bases = request.model, bool(request.track_names)
    if not has_bases and len(request.members) > 1:
        names = f"found {len(request.members)} models"
        raise OptionError("model", f"is several only for tracks of language models (track), {names}; give one.")
    is_classifier = not has_bases and has(_kind_of(request.members[0]), Classifies)
    if has_bases:
        refuse_options_of_others(request)
    elif is_classifier:
        request.refuse(OF_TRACKS, "needs a track model, found a fine-tuned model")
        request.refuse(OF_BASES, "needs a language model, found a fine-tuned model")
    else:
        request.refuse(OF_CLASSES, "needs a fine-tuned model, found a track model")
        request.refuse(OF_BASES, "needs a language model, found a track model")
    if request.data is not None:
        yield resolve_sequences(request)
        return
    fasta = request.fasta
    if fasta is None:
        or_data = ", or name a file of sequences" if is_classifier else ""
        raise OptionError("fasta", f"is missing, expected the genome of the regions; give its FASTA{or_data}.")
    with nullcontext(fasta) if isinstance(fasta, Genome) else Genome(fasta) as genome:
        regions = resolve_regions(
            genome, bed=request.bed, region=request.region, contigs=request.contig_names, columns=request.columns
        )
        notes = [*genome.notes, *regions.notes]
        if has_bases:
            yield resolve_base_tracks(request, genome, regions.intervals, notes)
        elif is_classifier:
            yield resolve_windows(request, genome, regions.intervals, notes)
        else:
            yield _resolve_tracks(request, model, genome, regions)


def _resolve_tracks(
    request: PredictionRequest, model: Any, genome: Genome, regions: ResolvedRegions
) -> TrackPrediction | PairPrediction:
    """Check the options of a track model."""
    is_loaded = not isinstance(model, str | Path)
    config = model.config if is_loaded else registry.load_config(model, PredictsTracks)
    heads = model.track_heads if is_loaded else registry.read_heads(model)
    contexts = open_contexts(request.contexts)
    if contexts is not None:
        kind = families.class_of(config)
        if not has(kind, TakesContexts):
            raise CheckpointError(f"{'the model' if is_loaded else model} has no contexts; give {remedy(TakesContexts)}.")
        config = kind.config_with_contexts(config, contexts)
        heads = kind.heads_of(config)
    kind = families.class_of(config)
    if has(kind, PredictsPairs) and request.head in kind.pair_heads_of(config):
        return resolve_pairs(request, genome, regions.intervals, config, [*genome.notes, *regions.notes])
    head = heads[head_named(heads, request.head)]
    table = open_targets(request.targets)
    known = head_tracks(heads, request.head, table)
    numbers = known.choose(request.tracks) if request.tracks is not None else list(range(len(known)))
    require_table(head, table or head.table, both_strands=bool(request.both_strands), scale=request.scale or "original")
    pairs = known.strand_pairs if request.both_strands else None
    squashed = squashed_scale(head.squashed_scale, table or head.table, numbers, request.scale or "original")
    selection = TrackSelection(request.head, numbers, pairs, squashed)
    notes = [*genome.notes, *regions.notes]
    tracks = [known[i] for i in numbers]
    return TrackPrediction(request, genome, regions.intervals, config, head, tracks, selection, notes, contexts)


def _kind_of(model: str | Path | Model) -> Any:
    """Return the class of a model that predicts tracks or classes, without reading weights."""
    needs = (PredictsTracks, Classifies)
    if not isinstance(model, str | Path):
        kind: Any = model
    else:
        folder = resolve_model(model)
        kind = families.class_of(registry.load_config(folder / member_names(folder)[0] if member_names(folder) else model))
    if not has(kind, needs):
        name = str(model) if isinstance(model, str | Path) else "the model"
        or_track = f"; name a track ({', '.join(BASE_TRACKS)}), or" if has(kind, PredictsBases) else ";"
        raise CheckpointError(f"{name} {kind.purpose}{or_track} give {remedy(needs)}.")
    return kind
