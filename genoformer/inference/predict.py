"""PredictionRequest -> open_prediction(): genome, regions, tracks and model, resolved and checked -> run() -> sink."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genoformer.errors import ConfigError
from genoformer.formats.bed import Intervals
from genoformer.formats.track_table import Track, TrackTable, read_targets
from genoformer.genome.reference import Genome
from genoformer.inference.regions import resolve_regions
from genoformer.inference.runtime import CPU, Runtime
from genoformer.inference.track_plan import PredictionPlan, plan_prediction
from genoformer.inference.track_prediction import Predicted, TrackSelection, predict_tracks, tracks_of
from genoformer.models import registry
from genoformer.models.base import PredictsTracks
from genoformer.models.track_model import TrackModel, head_named
from genoformer.progress import ProgressCallback
from genoformer.writers.tracks import TrackSink


@dataclass(frozen=True)
class PredictionRequest:
    """Tracks to predict and their regions: one of `region`, `bed` and `contigs`, or the whole genome."""

    fasta: str | Path | Genome
    model: str | Path | TrackModel
    region: str | None = None  # chr1:1-200,000, 1-based as in samtools
    bed: str | Path | None = None
    columns: str | None = None  # columns of the BED, as in --columns
    contigs: Sequence[str] = ()  # names; one text may hold several, separated by commas
    tracks: str | None = None  # numbers, names or patterns: 5, 0-10, CAGE, *liver*; None: all of the head
    targets: str | Path | None = None  # table of the head's tracks, for a model without its own
    head: str | None = None  # None: the only head
    both_strands: bool = False  # mean of both strands
    runtime: Runtime = CPU

    @property
    def contig_names(self) -> list[str]:
        texts = [self.contigs] if isinstance(self.contigs, str) else self.contigs
        names = [name.strip() for text in texts for name in text.split(",") if name.strip()]
        if self.contigs and not names:
            raise ConfigError("--contigs names no contigs; name some, or leave it out for the whole genome.")
        return names


@dataclass(frozen=True)
class Prediction:
    """A request whose regions and tracks are resolved; the model is loaded by `run`."""

    request: PredictionRequest
    genome: Genome
    intervals: Mapping[str, Intervals]
    config: Any  # of the model: a TrackConfig
    tracks: Sequence[Track]
    selection: TrackSelection
    notes: Sequence[str]

    def cost(self) -> PredictionPlan:
        """Return parameters, memory and time of `run`; the model is not loaded."""
        request = self.request
        return plan_prediction(
            self.config, self.intervals, head=request.head, both_strands=request.both_strands, runtime=request.runtime
        )

    def run(self, sink: TrackSink, *, progress: ProgressCallback = None) -> Predicted:
        """Load the model and write the predictions to a sink; see `predict_tracks`."""
        model = self.request.model
        loaded = registry.load(model, PredictsTracks) if isinstance(model, str | Path) else model
        runtime = self.request.runtime
        return predict_tracks(self.genome, loaded, self.intervals, self.selection, sink, runtime=runtime, progress=progress)


@contextmanager
def open_prediction(request: PredictionRequest) -> Iterator[Prediction]:
    """Resolve and check a request; the genome is open in the block, and stays open if it was.

    Raises: ConfigError for tracks that the model does not have, and for both strands if no table has the strand pairs; the
    errors of `resolve_regions` and of `registry.load`.
    """
    fasta = request.fasta
    with nullcontext(fasta) if isinstance(fasta, Genome) else Genome(fasta) as genome:
        regions = resolve_regions(
            genome, bed=request.bed, region=request.region, contigs=request.contig_names, columns=request.columns
        )
        config, tables = _config_and_tables(request.model)
        table = read_targets(request.targets) if request.targets else None
        known = tracks_of(config, tables, request.head, table)
        numbers = known.choose(request.tracks) if request.tracks is not None else list(range(len(known)))
        if request.both_strands and table is None and head_named(config.heads, request.head) not in tables:
            name = request.model if isinstance(request.model, str | Path) else "the model"
            raise ConfigError(f"{name} has no table with the strand pairs of its tracks; give one with --targets.")
        pairs = known.strand_pairs if request.both_strands else None
        yield Prediction(
            request,
            genome,
            regions.intervals,
            config,
            [known[i] for i in numbers],
            TrackSelection(request.head, numbers, pairs),
            [*genome.notes, *regions.notes],
        )


def _config_and_tables(model: str | Path | TrackModel) -> tuple[Any, Mapping[str, TrackTable]]:
    """Return the configuration of a model and the track tables of its heads, without reading weights."""
    if isinstance(model, str | Path):
        return registry.load_config(model, PredictsTracks), registry.read_tables(model)
    return model.config, model.targets
