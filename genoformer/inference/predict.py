"""PredictionRequest -> open_prediction(): genome, regions, outputs and model, resolved and checked -> files or a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
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
from genoformer.genome.wording import signal_of_bins
from genoformer.inference.base_prediction import BasePrediction, refuse_options_of_others, resolve_base_tracks
from genoformer.inference.base_tracks import BASE_TRACKS
from genoformer.inference.class_prediction import ClassPrediction, resolve_windows
from genoformer.inference.head_readers import SizeGroup, TrackSelection, heads_named, size_groups
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
    TrackParts,
    TrackTask,
    head_tracks,
    kept_bins,
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
from genoformer.progress import ProgressCallback, Stage
from genoformer.writers.tracks import FOLDER, CollectedTracks, TrackOutput, column_names, kind_of, new_sink, parts_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TrackPrediction:
    """Tracks of regions, resolved and checked; `write` and `table` load the model and predict them."""

    request: PredictionRequest
    genome: Genome
    intervals: Mapping[str, Intervals]
    config: Any  # of the model
    heads: Mapping[str, Head]  # of the model
    tracks: Sequence[Track]  # in the order of `groups`
    selections: Sequence[TrackSelection]  # one for each head
    notes: Sequence[str]
    contexts: ContextTable | None = None  # other contexts than those of the model
    unit = "windows"

    @property
    def groups(self) -> list[SizeGroup]:
        """Selections by the bin size of their heads."""
        return size_groups(self.heads, self.selections)

    def cost(self) -> str:
        """Return parameters, memory and time of a prediction as text; the model is not loaded.

        Of several heads it is that of one with the smallest bins, with which the others share most of the work.
        """
        finest = min(self.groups, key=lambda group: group.head.bin_size)
        head, both = self.selections[finest.numbers[0]].head, bool(self.request.both_strands)
        plan = plan_prediction(self.config, self.intervals, head=head, both_strands=both, runtime=self.request.runtime).text()
        n = len(self.selections) - 1
        return plan + (f"\nof head {head}; {n:,} more {'shares' if n == 1 else 'share'} its work" if n else "")

    def _task(self, n_threads: int) -> TrackTask:
        """Load the model, and return the windows and how they are predicted."""
        model, request = self.request.model, self.request
        loaded: Any = registry.load(model, PredictsTracks) if isinstance(model, str | Path) else model
        return track_task(
            self.genome,
            with_contexts(loaded, self.contexts),
            self.intervals,
            self.selections,
            runtime=request.runtime,
            part_size=request.part_size,
            n_threads=n_threads,
        )

    def _run(self, task: TrackTask, store: TrackFolder | MemoryStore[TrackParts]) -> PartedRun[CellNumbers, TrackParts]:
        compute = self.request.compute
        return PartedRun(InputParts(task.windows.parts, compute.shard), task, store, compute, n_cells)

    def _stage(self, task: TrackTask, progress: ProgressCallback) -> Stage:
        return Stage(progress, "predicting", task.windows.n)

    def table(self, progress: ProgressCallback = None) -> pd.DataFrame:
        """Return a row for each bin: chrom, start, end, and a column for each track."""
        import pandas as pd

        self.request.compute.refuse_shard("a table in memory")
        self._refuse_sizes("a table")
        task, collected = self._task(self.request.threads_of(None)), CollectedTracks()
        run = self._run(task, MemoryStore())
        write_tracks(task, run.results(self._stage(task, progress)), [collected])
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
        size = self.groups[0].head.bin_size  # the only one, unless a folder of bigWigs is written
        target = TrackOutput(
            files.output,
            self.genome.contigs,
            self.tracks,
            self.intervals,
            landmarks,
            files.force,
            unit=signal_of_bins(size),
        )
        if compute.shard is None and kind_of(files.output) != FOLDER:
            self._refuse_sizes(f"{files.output.name}")
        with new_sink(target) if compute.shard is None else nullcontext() as sink:
            task = self._task(self.request.threads_of(files.output))
            with self._store(files.output, task) as store:
                run, stage = self._run(task, store), self._stage(task, progress)
                if sink is None:
                    return [run.compute_shard(files.output, stage)]
                sizes = [sum(len(self.selections[number].tracks) for number in group.numbers) for group in self.groups]
                summary = write_tracks(task, run.results(stage), parts_of(sink, sizes))
        return self._notes(files.output, summary, getattr(store, "n_found", 0))

    def _refuse_sizes(self, name: str) -> None:
        """Raise OptionError for an output with rows of one bin size if the heads have several."""
        sizes = [group.head.bin_size for group in self.groups]
        if len(sizes) > 1:
            found = ", ".join(f"{size:,}" for size in sizes)
            problem = f"names heads with bins of {found} bases, and {name} has bins of one size"
            raise OptionError("head", f"{problem}; name a folder of bigWigs, or heads of one size.")

    @contextmanager
    def _store(self, output: Path, task: TrackTask) -> Iterator[TrackFolder | MemoryStore[TrackParts]]:
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
        numbers = [
            numbers
            for of in self.selections
            for numbers in (np.asarray(of.tracks), *([] if of.strand_pairs is None else [of.strand_pairs]))
        ]
        squashed = [of.squashed for of in self.selections if of.squashed is not None]
        scales = [array for of in squashed for array in (of.scale, of.clip_soft, of.exponent)]
        return request_fingerprint(self.request, self.genome, self.intervals, task.threads) | {
            "model": task.model.sha256,
            "head": ",".join(task.model.head_named(of.head) for of in self.selections),
            "tracks": sha256_of_arrays(numbers),
            "scale": f"{squashed[0].kind} {sha256_of_arrays(scales)}" if squashed else "",
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
        sizes = " and ".join(str(group.head.bin_size) for group in self.groups)
        bins = f"{summary.n_bins:,} bins of {sizes}"
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
    pair_heads = kind.pair_heads_of(config) if has(kind, PredictsPairs) else {}
    only = request.head is None and len(heads) == 1
    names = heads_named(heads if only else {**heads, **pair_heads}, request.head)
    if names[0] in pair_heads and len(names) == 1:
        request = replace(request, head=names[0])
        return resolve_pairs(request, genome, regions.intervals, config, [*genome.notes, *regions.notes])
    if of_pairs := [name for name in names if name in pair_heads]:
        kinds = "contact maps or splice junctions"
        raise OptionError("head", f"has {of_pairs[0]}, which predicts {kinds}; predict it alone, or leave it out.")
    _check_heads(request, heads, names, config.context_length)
    chosen = [_selected(request, heads, name, "the model" if is_loaded else model) for name in names]
    selections = [selection for selection, _ in chosen]
    several = len(names) > 1
    tracks = [
        replace(track, identifier=f"{names[number]}:{track.identifier}") if several else track
        for group in size_groups(heads, selections)
        for number in group.numbers
        for track in chosen[number][1]
    ]
    notes = [*genome.notes, *regions.notes]
    return TrackPrediction(request, genome, regions.intervals, config, heads, tracks, selections, notes, contexts)


def _check_heads(request: PredictionRequest, heads: Mapping[str, Head], names: Sequence[str], length: int) -> None:
    """Raise OptionError for several heads with one table, and for heads whose windows keep other bases."""
    if len(names) > 1 and request.targets is not None:
        raise OptionError("targets", f"is the table of one head, found {len(names)} heads; leave it out.")
    kept = {name: kept_bins(length, heads[name]) * heads[name].bin_size for name in names}
    if other := [name for name in names if kept[name] != kept[names[0]]]:
        of_each = f"keep {kept[names[0]]:,} and {kept[other[0]]:,} bases of a window"
        raise OptionError("head", f"has {names[0]} and {other[0]}, which {of_each}; predict each alone.")


def _selected(
    request: PredictionRequest, heads: Mapping[str, Head], name: str, model: Any
) -> tuple[TrackSelection, list[Track]]:
    """Return the requested tracks of a head."""
    head, table = heads[name], open_targets(request.targets)
    known = head_tracks(heads, name, table)
    numbers = known.choose(request.tracks) if request.tracks is not None else list(range(len(known)))
    require_table(head, table or head.table, both_strands=bool(request.both_strands), scale=request.scale or "original")
    pairs = known.strand_pairs if request.both_strands else None
    squashed = squashed_scale(head.squashed_scale, table or head.table, numbers, request.scale or "original")
    return TrackSelection(name, numbers, pairs, squashed), [known[i] for i in numbers]


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
