"""AllelePredictor: variants in windows -> tracks of both alleles, in the bins of the reference.

Nearby windows form one stretch, whose stem and tower are computed once. Variants of one window share its reference prediction.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, product
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from genoformer.formats.squashed_scale import SquashedScale
from genoformer.genome.genes import Gene, Genes
from genoformer.genome.reference import Genome
from genoformer.inference.tracks import TrackPrediction, TrackPredictor, WindowRequest
from genoformer.models import cost
from genoformer.models.base import Bins
from genoformer.models.plain_engine import PlainEngine
from genoformer.models.track_model import TrackModel
from genoformer.scoring.alignment import AlignedChange, Indels, align_alternate, pushed_out, stitch
from genoformer.scoring.score_inputs import AllelePair, ScoreInput, VariantPlace
from genoformer.scoring.windows import Job, Windows
from genoformer.writers import Floats

_VALUES_AT_ONCE = 1 << 17  # tracks times bins that are converted to float64 together


class TrackSelection(NamedTuple):
    """Requested tracks of a head, and the tracks that the model has to predict for both strands."""

    predicted: NDArray[np.int64]  # numbers of the tracks that the model has to predict
    forward: NDArray[np.int64]  # index of each requested track in `predicted`
    backward: NDArray[np.int64]  # index of its strand pair in `predicted`
    squashed: Sequence[SquashedScale | None]  # of the requested tracks, for each model; undone after the mean over strands

    @classmethod
    def with_pairs(
        cls,
        tracks: NDArray[np.int64],
        strand_pairs: NDArray[np.int64],
        squashed: Sequence[SquashedScale | None],
        copies: int = 1,
    ) -> TrackSelection:
        """Select tracks [K]; strand_pairs: number of the track on the other strand, for every track of the head.

        copies: number of times that the tracks follow one another, each with its part of the squashed scale.
        """
        tracks = np.tile(tracks, copies)
        predicted = np.unique(np.concatenate([tracks, strand_pairs[tracks]]))
        forward, backward = np.searchsorted(predicted, tracks), np.searchsorted(predicted, strand_pairs[tracks])
        return cls(predicted, forward, backward, squashed)


class Alleles(NamedTuple):
    """Predictions of one variant in one window: mean over strands, from one model."""

    job: Job
    ref: TrackPrediction  # tracks [1, K, N]
    alt: TrackPrediction  # tracks [0 to 2, K, N]: none for the reference alone, two for stitching
    bins: Bins  # predicted bins of the window


@dataclass(frozen=True)
class AlleleRequest:
    """Settings of a predictor of both alleles."""

    genome: Genome
    models: Sequence[TrackModel]
    windows: Windows
    head: str
    selection: TrackSelection
    both_strands: bool
    batch_size: int | None = None
    inputs: Sequence[ScoreInput] = ()  # of the scores
    genes: Genes | None = None

    @property
    def embedding(self) -> bool:
        """True if a score compares embeddings."""
        return any(not source.of_tracks for source in self.inputs)


class AllelePredictor:
    """Predictor of both alleles with each model of an ensemble."""

    readers: list[TrackPredictor]

    def __init__(self, request: AlleleRequest) -> None:
        self._set(request)
        models, length = request.models, request.windows.length
        is_whole = length == models[0].config.context_length
        self.n_bins = models[0].track_heads[self.head].target_bins if is_whole else 0
        self.bins = models[0].bins_of(length, self.n_bins, self.head)
        self.readers = [TrackPredictor(model, self.head, self.n_bins) for model in models]

    def _set(self, request: AlleleRequest) -> None:
        self.genome, self.models, self.windows = request.genome, request.models, request.windows
        self.head, self.selection, self.embedding = request.head, request.selection, request.embedding
        self.inputs, self.genes = request.inputs, request.genes
        on_cpu = next(request.models[0].parameters()).device.type == "cpu"
        self.batch_size = request.batch_size or (1 if on_cpu else max(1, (1 << 20) // self.windows.length))
        self.on_cpu = on_cpu
        self.strands = (False, True) if request.both_strands else (False,)  # values of `backward`

    def copy(self) -> Self:
        """Return a shallow copy."""
        return copy.copy(self)

    def with_selection(self, selection: TrackSelection) -> Self:
        """Return a copy that predicts other tracks of the head, or the same on another scale."""
        other = self.copy()
        other.selection = selection
        return other

    def reference(self) -> AllelePredictor:
        """Return the reference implementation: each whole sequence separately through the plain modules of the models."""
        other = self.copy()
        other.readers = [TrackPredictor(model, self.head, self.n_bins, PlainEngine(model, self.head)) for model in self.models]
        other.batch_size = 1
        return other

    def meta_run(self, like: Any) -> Callable[[], Tensor]:
        """Return a forward pass of a meta model."""
        return cost.track_run(like, self.head, self.windows.length, self.bins.n, n_tracks=len(self.selection.predicted))

    def predict(
        self, reader: TrackPredictor, sorted_jobs: Sequence[Job], *, whole: bool = False, moved: int = 0
    ) -> Iterator[Alleles]:
        """Yield the predictions of one model for each job: of the bins that the scores compare, or of the whole window.

        A model for which few bins are no cheaper than all predicts the whole window. The reference of a window and one of its
        alternatives are in memory at a time. moved: windows that begin so many bases further on are compared with these; the
        bins are those that the scores compare in one or the other.
        """
        for jobs in self.windows.stretches(sorted_jobs):
            begin, chrom = jobs[0].start, jobs[0].chrom
            codes = self.genome.window(chrom, begin, jobs[-1].start + self.windows.length - begin)
            groups: dict[int, list[Job]] = {}
            for job in jobs:
                groups.setdefault(job.start, []).append(job)
            whole = whole or not self.models[0].few_bins_are_cheaper
            requests = [
                WindowRequest(
                    start - begin,
                    self.windows.length,
                    [codes for job in group for codes in job.alternatives],
                    self.embedding,
                    self.bins if whole else self._compared_bins(group, moved),
                )
                for start, group in groups.items()
            ]
            strands = [
                reader.predict_edits(
                    codes, requests, tracks=self.selection.predicted, batch_size=self.batch_size, backward=backward
                )
                for backward in self.strands
            ]
            squashed = self.selection.squashed[self.readers.index(reader)]
            sequences = (self._mean(of_strands, squashed) for of_strands in zip(*strands, strict=True))
            for request, group in zip(requests, groups.values(), strict=True):
                ref = next(sequences)
                for job in group:
                    alternatives = list(islice(sequences, len(job.alternatives)))
                    alt = TrackPrediction.joined(alternatives or [TrackPrediction(ref.tracks[:0], ref.embedding[:0])])
                    yield Alleles(job, ref, alt, request.bins or self.bins)

    def _compared_bins(self, jobs: Sequence[Job], moved: int = 0) -> Bins:
        """Return the predicted bins that the scores of the jobs of one window compare, and those that realignment reads.

        moved: also those of the window that begins so many bases further on.
        """
        size, first, end = self.windows.bin_size, self.bins.n, 0
        for job, offset in product(jobs, {0, moved}):
            whole = self._grid(job._replace(start=job.start + offset), self.bins)
            place = VariantPlace(whole, job.centre, extent_of(job))
            margin = -(-sum(abs(change.alt_length - change.ref_length) for change in job.changes) // size) + 1
            for source in self.inputs:
                bases = source.bases(place, self.genes)
                if bases is None:
                    return self.bins
                first = min(first, (bases[0] - whole.start) // size - margin)
                end = max(end, -(-(bases[1] - whole.start) // size) + margin)
        first = min(max(0, first), self.bins.n - 1)
        end = max(min(end, self.bins.n), first + 1)
        return Bins(self.bins.first + first, end - first)

    def _grid(self, job: Job, bins: Bins) -> Grid:
        return Grid(job.chrom, job.start + bins.first * self.windows.bin_size, bins.n, self.windows.bin_size)

    def _mean(self, strands: Sequence[TrackPrediction], squashed: SquashedScale | None) -> TrackPrediction:
        """Return the requested tracks, averaged over the strands; on the reverse strand each is read from its strand pair.

        squashed: the squashed scale of the model, undone after the mean.
        """
        in_order = np.array_equal(self.selection.forward, np.arange(len(self.selection.predicted)))
        tracks = strands[0].tracks if in_order else strands[0].tracks[:, self.selection.forward]  # the latter copies
        embedding = strands[0].embedding
        if len(strands) == 2:
            half = np.float32(0.5)
            tracks = half * (tracks + strands[1].tracks[:, self.selection.backward])
            embedding = half * (embedding + strands[1].embedding)
        return TrackPrediction(tracks if squashed is None else squashed.undo(tracks), embedding)

    def evidence(self, alleles: Alleles) -> WindowEvidence:
        """Return the tracks of both alleles in the bins of the reference, and where these bins are."""
        job, ref, alt, bins = alleles
        to_bins = bins.first * self.windows.bin_size
        changes = [AlignedChange(c.start - to_bins, c.ref_length, c.alt_length, c.offset) for c in job.changes]
        predicted = AllelePair(ref.tracks[0], self._aligned(ref.tracks[0], alt.tracks, changes))
        embeddings = AllelePair(ref.embedding[0], alt.embedding[0])
        out = pushed_out(changes, bins.n, self.windows.bin_size) if self.windows.indels == "realign" else None
        return WindowEvidence(self._grid(job, bins), job.centre, predicted, embeddings, alt.tracks[0], extent_of(job), out)

    def _aligned(self, ref: Floats, alt: Floats, changes: Sequence[AlignedChange]) -> Floats:
        indels: Indels = self.windows.indels
        moved = any(change.ref_length != change.alt_length or change.offset for change in changes)
        if not moved or indels not in ("realign", "stitch"):
            return alt[0]
        sides = [tracks.astype(np.float64) for tracks in alt]
        if len(sides) == 2:
            return stitch(sides[0], sides[1], changes[0], self.windows.bin_size)
        return align_alternate(ref.astype(np.float64), sides[0], changes, self.windows.bin_size)


class Grid(NamedTuple):
    """Predicted bins of a window on a contig."""

    chrom: str
    start: int  # first base of the first bin
    n: int
    bin_size: int

    @property
    def end(self) -> int:
        return self.start + self.n * self.bin_size

    def around(self, centre: int, width: int) -> slice:
        """Return the bins that touch `width` bases around a base; the nearest bin if none does."""
        low, high = centre - width // 2 - self.start, centre + width // 2 + 1 - self.start
        first = min(max(low // self.bin_size, 0), self.n - 1)
        return slice(first, min(max(-(-high // self.bin_size), first + 1), self.n))

    def mask(self, base: int, width: int) -> slice:
        """Return ceil(width / bin) bins around the bin of a base, clipped; if the base is in no bin, the nearest bin.

        Source: `create_center_mask` of google-deepmind/alphagenome_research; there, a base in no bin has no mask.
        """
        n = -(-width // self.bin_size)
        first = min(max((base - self.start) // self.bin_size, 0), self.n - 1) - n // 2
        return slice(max(first, 0), min(first + n, self.n))

    def of_spans(self, spans: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the bins that intervals [n, 2] of the contig touch, without duplicates."""
        spans = (spans - self.start).clip(0, self.n * self.bin_size)
        spans = spans[spans[:, 0] < spans[:, 1]]
        if not len(spans):
            return np.zeros(0, dtype=np.int64)
        return np.unique(np.concatenate([np.arange(a // self.bin_size, -(-b // self.bin_size)) for a, b in spans.tolist()]))

    def mostly_of_spans(self, spans: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the bins between the rounded edges of intervals [n, 2] of the contig, without duplicates.

        A bin that one edge cuts is taken if more than half of it is covered; of bins cut in half, those of an edge of an even
        number of bins (`map_snpseq_genes` of borzoi_sed.py, calico/borzoi).
        """
        edges = np.round((spans - self.start).clip(0, None) / self.bin_size).astype(np.int64).clip(0, self.n)
        bins = [np.arange(first, end) for first, end in edges.tolist() if first < end]
        return np.unique(np.concatenate(bins)) if bins else np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class WindowEvidence:
    """Evidence for one variant in one window, from one model.

    Scores are computed in float64; predictions of single precision are converted where they are read, since those of all tracks
    at single bases need gigabytes.
    """

    grid: Grid
    centre: int  # the base that masks are centred on
    predicted: AllelePair  # tracks [K, N] of both alleles, in the bins of the reference
    embeddings: AllelePair  # [D, N] of both alleles
    alternative: Floats  # tracks [K, N] of the alternative as predicted, without realignment
    extent: tuple[int, int]  # bases of the variant, with the base before an insertion or deletion
    pushed_out: Floats | None = None  # share [N] of each bin that an insertion has pushed out of the alternative; None: of none

    def of_tracks(self, rows: slice) -> WindowEvidence:
        """Return the evidence of some tracks."""
        predicted = AllelePair(*(tracks[rows] for tracks in self.predicted))
        return replace(self, predicted=predicted, alternative=self.alternative[rows])

    def parts(self) -> Iterator[tuple[slice, WindowEvidence]]:
        """Yield the evidence of some tracks at a time, so that their values in float64 stay in the cache, with their indices.

        The embeddings, which are of no track, are whole in each part.
        """
        n_tracks, n_bins = self.predicted.ref.shape
        size = max(1, _VALUES_AT_ONCE // n_bins)
        for first in range(0, n_tracks, size):
            rows = slice(first, first + size)
            yield rows, self.of_tracks(rows)

    @cached_property
    def sides(self) -> AllelePair:
        """Tracks [K, N] of both alleles in all bins, float64."""
        return AllelePair(*(tracks.astype(np.float64) for tracks in self.predicted))

    def columns(self, bins: slice | NDArray[np.int64]) -> AllelePair:
        """Return the tracks of both alleles in some bins, float64."""
        return AllelePair(*(tracks[:, bins].astype(np.float64) for tracks in self.predicted))

    def zero_filled(self, bins: slice | NDArray[np.int64]) -> AllelePair:
        """Return the tracks of both alleles in some bins, with 0 for bases that an insertion has pushed out."""
        pair = self.columns(bins)
        return pair if self.pushed_out is None else pair._replace(alt=pair.alt - self.pushed_out[bins] * pair.ref)

    def tracks(self, width: int | None) -> AllelePair:
        return self.sides if width is None else self.columns(self.grid.around(self.centre, width))

    def embedding(self, width: int) -> AllelePair:
        inside = self.grid.around(self.centre, width)
        return AllelePair(*(x[:, inside].astype(np.float64).mean(-1) for x in self.embeddings))

    def center_mask(self, width: int | None) -> AllelePair:
        """Return the tracks, without realignment, in the bins around the first base of the variant; None: in all bins."""
        inside = slice(0, self.grid.n) if width is None else self.grid.mask(self.extent[0], width)
        return AllelePair(*(side[:, inside].astype(np.float64) for side in (self.predicted.ref, self.alternative)))

    def counts(self, gene: Gene) -> AllelePair | None:
        """Return None: tracks have no splice junctions."""
        return None


def extent_of(job: Job) -> tuple[int, int]:
    """Return the bases [start, end) of the changes of a job, with the base before an insertion or deletion as in a VCF.

    Without a change it is the base that masks are centred on.
    """
    if not job.changes:
        return job.centre, job.centre + 1
    first, last = job.changes[0], job.changes[-1]
    start = job.start + first.start - (min(first.ref_length, first.alt_length) == 0)
    end = job.start + last.start + max(last.ref_length, last.alt_length)
    return start, max(end, start + 1)
