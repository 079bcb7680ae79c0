"""A request for a fine-tuned model and a file of sequences -> SequencePrediction -> a table."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genoformer.compute import InputParts, MemoryStore, PartedRun, reused_note
from genoformer.datasets.sequences import LabelledSequences, read_sequences
from genoformer.errors import ConfigError, OptionError
from genoformer.formats.track_table import Track
from genoformer.genome.codes import Codes
from genoformer.genome.contigs import join_names
from genoformer.genome.reference import Genome
from genoformer.inference.class_prediction import chosen_classes, loaded_models, window_notes
from genoformer.inference.class_windows import ValueFolder, value_store
from genoformer.inference.classes import predictions
from genoformer.inference.prediction_request import (
    OF_REGIONS,
    PredictionFiles,
    PredictionRequest,
    runtime_fingerprint,
)
from genoformer.inference.runtime import Floats, Runtime, evaluating, sha256_of_arrays, threads
from genoformer.progress import ProgressCallback, Stage
from genoformer.writers.class_tables import SUFFIXES, class_columns, key_columns, write_classes
from genoformer.writers.embeddings import check_output

if TYPE_CHECKING:
    import pandas as pd

PART_SEQUENCES = 1_024  # predicted together


@dataclass(frozen=True)
class SequenceTask:
    """Values of the sequences of a part, the mean over the members of an ensemble."""

    models: Sequence[Any]
    both_strands: bool | None  # None: as in the training of the model
    runtime: Runtime
    threads: int  # of a process

    @property
    def device(self) -> str:
        return self.runtime.device

    @contextmanager
    def open(self) -> Iterator[Callable[[Sequence[Codes]], Floats]]:
        """Yield the function from sequences to their values [n, C]; the models are on their device in the block."""
        runtime, both = self.runtime, self.both_strands
        with threads(self.threads), ExitStack() as stack:
            members = [stack.enter_context(evaluating(model, runtime.device, runtime.precision)) for model in self.models]

            def values(sequences: Sequence[Codes]) -> Floats:
                every = [
                    predictions(model, sequences, both_strands=both, batch_size=runtime.batch_size).values for model in members
                ]
                return np.stack(every).mean(axis=0)

            yield values


@dataclass(frozen=True)
class SequencePrediction:
    """Sequences of a file, read and checked; `write` and `table` predict them."""

    request: PredictionRequest
    models: Sequence[Any]
    data: LabelledSequences
    tracks: Sequence[Track]
    notes: Sequence[str]
    unit = "sequences"

    def cost(self) -> str:
        raise OptionError("plan", "counts the windows of regions, found a file of sequences; leave out one of them.")

    def table(self, progress: ProgressCallback = None) -> pd.DataFrame:
        """Return a row for each sequence."""
        import pandas as pd

        self.request.compute.refuse_shard("a table in memory")
        run = self._run(MemoryStore(), self.request.threads_of(None))
        values = np.concatenate(list(self._chosen(run, progress)))
        keys = pd.DataFrame({name: list(column) for name, column in key_columns(self.data).items()})
        return pd.concat([keys, pd.DataFrame(values, columns=class_columns(self.data, self.tracks))], axis=1)

    def write(self, files: PredictionFiles, progress: ProgressCallback = None) -> list[str]:
        """Write a row for each sequence to a TSV or Parquet file, and return notes.

        Finished parts are kept next to the output until it is complete, so that the same request resumes an interrupted run.
        A shard computes its parts only.
        """
        if files.calls is not None:
            raise OptionError("calls", "merges windows of regions, found a file of sequences; leave it out.")
        if files.gtf or files.elements:
            raise ConfigError("genes and elements are drawn above a figure of a region; leave them out.")
        check_output(files.output, SUFFIXES)
        n_threads, compute = self.request.threads_of(files.output), self.request.compute
        with value_store(files.output, self.models, self.request.compute, lambda: self._fingerprint(n_threads)) as store:
            run = self._run(store, n_threads)
            if compute.shard is not None:
                return [run.compute_shard(files.output, self._stage(progress))]
            write_classes(files.output, self.data, self.tracks, self._chosen(run, progress))
        window = self.models[0].config.window
        n_long = sum(len(codes) > window for codes in self.data.sequences)
        cut = f"; {n_long:,} longer than the window of {window:,} bases, cut into windows" if n_long else ""
        names = join_names([track.identifier for track in self.tracks])
        n_found = getattr(store, "n_found", 0)
        notes = [f"Note: {reused_note(n_found, compute.assemble)}."] if n_found else []
        return [*notes, f"{files.output}: {names} of {len(self.data):,} sequences{cut}"]

    def _parts(self) -> Iterator[Sequence[Codes]]:
        size = self.request.part_size or PART_SEQUENCES
        for first in range(0, len(self.data), size):
            yield self.data.sequences[first : first + size]

    def _run(self, store: ValueFolder | MemoryStore[Floats], n_threads: int) -> PartedRun[Sequence[Codes], Floats]:
        request = self.request
        task = SequenceTask(self.models, request.both_strands, request.runtime, n_threads)
        return PartedRun(InputParts(self._parts, request.compute.shard), task, store, request.compute)

    def _stage(self, progress: ProgressCallback) -> Stage:
        return Stage(progress, "predicting", len(self.data))

    def _chosen(self, run: PartedRun[Sequence[Codes], Floats], progress: ProgressCallback) -> Iterator[Floats]:
        """Yield the values [n, K] of the written classes, some sequences at a time."""
        columns = [track.index for track in self.tracks]
        return (values[:, columns] for _, values in run.results(self._stage(progress)))

    def _fingerprint(self, n_threads: int) -> dict[str, str]:
        """Return what the values of the sequences depend on."""
        names = hashlib.sha256(repr(list(self.data.names)).encode()).hexdigest()
        return runtime_fingerprint(self.request, n_threads) | {
            "sequences": f"{names} {sha256_of_arrays(self.data.sequences)}",
            "model": ",".join(model.sha256 for model in self.models),
            "context": str(self.request.context),
            "part size": str(self.request.part_size or PART_SEQUENCES),
        }


def resolve_sequences(request: PredictionRequest) -> SequencePrediction:
    """Read the sequences of a request, and check its options."""
    request.refuse(OF_REGIONS, "is for regions of a genome, found a file of sequences")
    models = loaded_models(request)
    fasta = request.fasta.path if isinstance(request.fasta, Genome) else request.fasta
    assert request.data is not None
    data = read_sequences(request.data, fasta=fasta, label=())
    tracks = chosen_classes(models[0].task, request.class_names, one=False)
    is_cut = any(len(codes) > model.config.window for model in models for codes in data.sequences)
    notes = [*data.notes, *(window_notes(request, models) if is_cut else [])]
    return SequencePrediction(request, models, data, tracks, notes)
