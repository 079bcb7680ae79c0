"""predict_tracks(): intervals -> windows on a lattice -> batches -> the middle bins of each -> sink."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import CheckpointError, ConfigError
from genoformer.formats.bed import Intervals
from genoformer.formats.squashed_scale import SquashedScale
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import N
from genoformer.genome.reference import Genome
from genoformer.genome.regions import overlapping_rows
from genoformer.inference.runtime import CPU, Floats, Runtime, evaluating
from genoformer.inference.tracks import TrackPredictor
from genoformer.models.base import Head
from genoformer.models.track_model import TrackModel, head_named, named_heads
from genoformer.progress import Progress, ProgressCallback
from genoformer.writers.tracks import BinnedTracks, TrackSink

GPU_BASES = 1 << 20  # in a batch on a GPU; halved if memory is too small


class Predicted(NamedTuple):
    """Counts of a prediction: windows read, bins written to the sink, and bins among them without a known base."""

    n_windows: int
    n_bins: int
    n_unknown: int
    seconds: float


class TrackSelection(NamedTuple):
    """Tracks of a head to predict.

    head: None for the only head. tracks: their numbers in the head [K]. strand_pairs: for the mean of both strands, the track
    of each of the head's tracks on the other strand; None for the forward strand alone. squashed: the squashed scale of the
    tracks to predict, undone after the mean over strands; None: the values that the model predicts.
    """

    head: str | None
    tracks: Sequence[int]
    strand_pairs: NDArray[np.int64] | None = None
    squashed: SquashedScale | None = None


def predict_tracks(
    genome: Genome,
    model: TrackModel,
    intervals: Mapping[str, Intervals],
    selection: TrackSelection,
    sink: TrackSink,
    *,
    runtime: Runtime = CPU,
    progress: ProgressCallback = None,
) -> Predicted:
    """Predict some tracks of a head for all bins that overlap the intervals, and write them to a sink in order.

    Bins begin at multiples of the bin size from the contig's first base; the first and the last bin of an interval are cut to
    it, and so is a contig's last. Windows overlap: the middle bins of each are kept (`kept_bins`), and they lie on a lattice,
    so the value of a bin does not depend on the other requested intervals. Beyond the ends of a contig the model reads N.

    intervals: contig (in the genome's order) -> sorted [n, 2] without overlap and inside it, as `resolve_regions` returns them.
    Memory does not grow with the intervals.

    Raises: ConfigError for a head or tracks that the model does not have; CheckpointError if a prediction is not finite.
    """
    begun = time.monotonic()
    head = model.head_named(selection.head)
    shape = model.track_heads[head]
    n_tracks = shape.n_tracks
    if bad := [track for track in selection.tracks if not 0 <= track < n_tracks]:
        raise ConfigError(f"track {bad[0]} does not exist; those of head {head} are numbered 0 to {n_tracks - 1:,}.")
    length, size = model.config.context_length, shape.bin_size
    kept = kept_bins(length, shape)
    first = (length // size - kept) // 2  # bins of a window before the kept bins
    cells = lattice_cells(length, shape, intervals)
    n_windows, n_done, n_bins, n_unknown = sum(map(len, cells.values())), 0, 0, 0
    tracks, pairs = np.asarray(selection.tracks, dtype=np.int64), selection.strand_pairs
    with evaluating(model, runtime.device, runtime.precision) as moved:
        predictor = TrackPredictor(moved, head, kept)
        at_once = windows_at_once(length, on_cpu=predictor.device.type == "cpu", batch_size=runtime.batch_size)
        for chrom, numbers in cells.items():
            rows = intervals[chrom]
            for i in range(0, len(numbers), at_once):
                starts = numbers[i : i + at_once] * kept * size
                codes = genome.windows(chrom, starts - first * size, length)
                predicted = predictor(codes, at_once) if pairs is None else predictor.both_strands(codes, pairs, at_once)
                unknown = (codes[:, first * size : (first + kept) * size] == N).reshape(-1, kept, size).all(-1)  # [B, kept]
                chosen = predicted[:, tracks]
                if selection.squashed is not None:
                    chosen = selection.squashed.undo(chosen)
                for start, values, gaps in zip(starts.tolist(), chosen, unknown, strict=True):
                    if not np.isfinite(values).all():
                        raise CheckpointError(
                            f"the model predicts NaN or infinite values at {chrom}:{start + 1:,}; are its weights damaged?"
                        )
                    for bins in bins_within(chrom, start, size, values, rows):
                        sink.add(bins)
                        n_bins += len(bins.starts)
                        n_unknown += int(gaps[(bins.starts - start) // size].sum())
                n_done += len(starts)
                if progress is not None:
                    progress(Progress("predicting", n_done, n_windows))
    return Predicted(n_windows, n_bins, n_unknown, time.monotonic() - begun)


def kept_bins(length: int, head: Head) -> int:
    """Return the number of middle bins of a window that are kept: the head's target bins, or half of all if it predicts all.

    One bin less if this number of bins cannot be centred exactly. length: bases of a window.
    """
    n = length // head.bin_size
    kept = head.target_bins if 0 < head.target_bins < n else max(1, n // 2)
    return kept - ((n - kept) % 2 and kept > 1)


def head_tracks(heads: Mapping[str, Head], head: str | None = None, table: TrackTable | None = None) -> TrackTable:
    """Return the tracks of a head of a model: from a table, from the model's own table, or numbered (human_0 ...).

    heads: `track_heads` of the model. Raises ConfigError for a table with another number of tracks.
    """
    head = head_named(heads, head)
    n = heads[head].n_tracks
    if table is not None and len(table) != n:
        known = named_heads(f"{name}: {one.n_tracks:,}" for name, one in heads.items())
        raise ConfigError(
            f"the table has {len(table):,} tracks, but head {head} has {n:,} (the model has {known}); give the table of {head}."
        )
    return table or heads[head].table or TrackTable(tuple(Track(i, f"{head}_{i}", strand_pair=i) for i in range(n)))


def windows_at_once(length: int, *, on_cpu: bool, batch_size: int | None) -> int:
    """Return the number of windows of `length` bases in a batch; on a CPU more than one is not faster."""
    return batch_size or (1 if on_cpu else max(1, GPU_BASES // length))


def lattice_cells(length: int, head: Head, intervals: Mapping[str, Intervals]) -> dict[str, NDArray[np.int64]]:
    """Return the sorted, unique numbers of lattice cells that the intervals overlap; a cell is the kept bins of a window."""
    width = kept_bins(length, head) * head.bin_size
    return {
        chrom: np.unique(np.concatenate([np.arange(start // width, -(-end // width)) for start, end in rows.tolist()]))
        for chrom, rows in intervals.items()
        if len(rows)
    }


def bins_within(chrom: str, start: int, size: int, values: Floats, rows: Intervals) -> Iterator[BinnedTracks]:
    """Yield the bins of a cell [K, n] that overlap the intervals, cut to them."""
    end = start + size * values.shape[1]
    for begin, stop in overlapping_rows(rows, start, end).tolist():
        edges = np.arange(begin // size, -(-stop // size) + 1, dtype=np.int64) * size
        at = (int(edges[0]) - start) // size
        yield BinnedTracks(
            chrom, edges[:-1].clip(begin, stop), edges[1:].clip(begin, stop), values[:, at : at + len(edges) - 1]
        )
