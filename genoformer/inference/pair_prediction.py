"""PredictionRequest for a head of pairs -> contact maps, or splice junctions, of each region in one window."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from genoformer.errors import ConfigError, OptionError
from genoformer.formats.bed import Intervals
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import Codes, reverse_complement
from genoformer.genome.genes import read_landmarks
from genoformer.genome.reference import Genome
from genoformer.genome.wording import counted
from genoformer.inference.prediction_request import PredictionFiles, PredictionRequest
from genoformer.inference.runtime import PRECISIONS, evaluating
from genoformer.models import cost, families, registry
from genoformer.models.base import CONTACTS, JUNCTIONS, Bins, Head, PredictsPairs
from genoformer.progress import Progress, ProgressCallback
from genoformer.writers.pairs import (
    CONTACT_LAYOUT,
    JUNCTION_LAYOUT,
    ContactMap,
    Junctions,
    Layout,
    Pairs,
    new_pair_sink,
    track_names,
)
from genoformer.writers.tracks import TrackOutput

if TYPE_CHECKING:
    import pandas as pd

LAYOUTS: dict[str, Layout] = {CONTACTS: CONTACT_LAYOUT, JUNCTIONS: JUNCTION_LAYOUT}
LATTICE = 2048  # windows begin at multiples of so many bases
OTHER_STRAND = [2, 3, 0, 1]  # kinds of sites on the other strand: donors and acceptors of +, then of -


class PairWindow(NamedTuple):
    """A region, and the window in which it is predicted."""

    chrom: str
    start: int  # of the window
    first: int  # of the region
    end: int


def pair_windows(intervals: Mapping[str, Intervals], length: int) -> list[PairWindow]:
    """Return the window around the middle of each region, which begins at a multiple of 2,048 bases.

    Raises ConfigError for a region that does not fit in a window, with the bases up to such multiples.

    >>> pair_windows({"c": np.array([[5000, 9000]])}, 8192)
    [PairWindow(chrom='c', start=2048, first=5000, end=9000)]
    """
    windows = []
    for chrom, rows in intervals.items():
        for first, end in rows.tolist():
            low, high = first // LATTICE * LATTICE, -(-end // LATTICE) * LATTICE
            if high - low > length:
                fits = low + length - first
                raise ConfigError(
                    f"{chrom}:{first + 1:,}-{end:,} has {end - first:,} bases, and its pairs are predicted in a window of "
                    f"{length:,} that begins at a multiple of {LATTICE:,}; give at most {fits:,} bases from its first one "
                    f"({chrom}:{first + 1:,}-{low + length:,})."
                )
            middle = round(((first + end) / 2 - length / 2) / LATTICE) * LATTICE
            windows.append(PairWindow(chrom, min(max(middle, high - length), low), first, end))
    return windows


@dataclass(frozen=True)
class PairPrediction:
    """Contact maps or splice junctions of regions, resolved and checked; `write` and `table` load the model."""

    request: PredictionRequest
    genome: Genome
    intervals: Mapping[str, Intervals]
    config: Any  # of the model
    name: str  # of the head
    head: Head
    tracks: Sequence[Track]
    notes: Sequence[str]
    unit = "windows"

    def __post_init__(self) -> None:
        """Raise ConfigError for a region longer than a window."""
        self.windows  # noqa: B018

    @property
    def windows(self) -> list[PairWindow]:
        return pair_windows(self.intervals, self.config.context_length)

    def cost(self) -> str:
        """Return parameters, memory and operations of a prediction as text; the model is not loaded."""
        length, runtime = self.config.context_length, self.request.runtime
        like = cost.meta_model(families.class_of(self.config), self.config, PRECISIONS[runtime.precision]).eval()
        run = cost.trace(like, _RUNS[self.head.kind](like, self.name, length))
        weights = cost.count_parameters(like) * next(like.parameters()).dtype.itemsize
        strands = " on each strand" if self.request.both_strands else ""
        rows = {
            "parameters": f"{cost.count_parameters(like):,}",
            "window": f"{length:,} bases",
            "memory without Python and torch": f"about {cost.gigabytes(weights + run.peak)}",
            "multiply-adds of a window": f"{run.multiply_adds:,}{strands}",
            "windows": f"{len(self.windows):,}",
        }
        return cost.table(rows)

    def run(self, add: Callable[[Pairs], None], *, progress: ProgressCallback = None) -> None:
        """Load the model, and call `add` with the pairs of each region, in the genome's order."""
        model: Any = self.request.model
        loaded = registry.load(model, PredictsPairs) if isinstance(model, str | Path) else model
        runtime, windows = self.request.runtime, self.windows
        tracks = np.array([track.index for track in self.tracks], dtype=np.int64)
        with evaluating(loaded, runtime.device, runtime.precision) as moved, torch.inference_mode():
            for i, window in enumerate(windows):
                codes = self.genome.window(window.chrom, window.start, self.config.context_length)
                add(
                    _PREDICTORS[self.head.kind](
                        _Reader(moved, self.name, bool(self.request.both_strands), tracks), window, codes
                    )
                )
                if progress is not None:
                    progress(Progress("predicting", i + 1, len(windows)))

    def table(self, progress: ProgressCallback = None) -> pd.DataFrame:
        """Return a row for each pair of bins, or for each junction, and a column for each track."""
        import pandas as pd

        layout, parts = LAYOUTS[self.head.kind], []

        def add(pairs: Pairs) -> None:
            rows = pairs.rows()
            places = pd.DataFrame(rows.places, columns=[name for name, _ in layout.columns])
            parts.append(
                pd.concat([places, pd.DataFrame(rows.values, columns=track_names(self.tracks, layout.columns))], axis=1)
            )

        self.run(add, progress=progress)
        return pd.concat(parts, ignore_index=True)

    def write(self, files: PredictionFiles, progress: ProgressCallback = None) -> list[str]:
        """Write the pairs to the output, and return notes on them."""
        if files.calls is not None:
            raise OptionError("calls", "needs a fine-tuned model, found a track model; leave it out.")
        landmarks = read_landmarks(self.genome, files.gtf, files.elements)
        target = TrackOutput(files.output, self.genome.contigs, self.tracks, self.intervals, landmarks, files.force)
        begun, n_pairs = time.monotonic(), 0
        with new_pair_sink(LAYOUTS[self.head.kind], target) as write:

            def add(pairs: Pairs) -> None:
                nonlocal n_pairs
                n_pairs += len(pairs.starts)
                write(pairs)

            self.run(add, progress=progress)
        things = {CONTACTS: counted(n_pairs, "bin"), JUNCTIONS: counted(n_pairs, "junction")}[self.head.kind]
        tracks, windows = counted(len(self.tracks), "track"), counted(len(self.windows), "window")
        return [f"{files.output}: {tracks} of {things}, from {windows} in {time.monotonic() - begun:,.1f} s"]


def resolve_pairs(
    request: PredictionRequest, genome: Genome, intervals: Mapping[str, Intervals], config: Any, notes: Sequence[str]
) -> PairPrediction:
    """Check the options for a head of pairs."""
    name, model = request.head, request.model
    assert isinstance(name, str)
    request.compute.refuse("a head of pairs, which this process predicts alone")
    heads: Mapping[str, Head]
    heads = registry.read_pair_heads(model) if isinstance(model, str | Path) else cast(Any, model).pair_heads
    for option in ("targets", "contexts", "scale"):
        if getattr(request, option) is not None:
            raise OptionError(option, f"is for heads of tracks, found {name}; leave it out.")
    head = heads[name]
    known = head.table or TrackTable(tuple(Track(i, f"{name}_{i}", strand_pair=i) for i in range(head.n_tracks)))
    numbers = known.choose(request.tracks) if request.tracks is not None else range(len(known))
    return PairPrediction(request, genome, intervals, config, name, head, [known[i] for i in numbers], notes)


# --- predictions


class _Reader(NamedTuple):
    model: Any
    head: str
    both_strands: bool
    tracks: np.ndarray

    def strands(self, codes: Codes) -> Iterator[tuple[bool, Codes]]:
        """Yield the codes as each strand reads them, and whether that is the reverse one."""
        yield False, codes
        if self.both_strands:
            yield True, reverse_complement(codes)


def _contacts(reader: _Reader, window: PairWindow, codes: Codes) -> ContactMap:
    engine = reader.model.contact_engine(reader.head)
    size = reader.model.pair_heads[reader.head].bin_size
    maps = []
    for back, read in reader.strands(codes):
        n = len(read) // engine.bin_size
        of_strand = engine.stretch(read).window(0, n).contacts([None])[0].float()
        maps.append(of_strand.flip(-1, -2) if back else of_strand)
    first, end = (window.first - window.start) // size, -(-(window.end - window.start) // size)
    values = torch.stack(maps).mean(0)[torch.from_numpy(reader.tracks), first:end, first:end].cpu().numpy()
    return ContactMap(window.chrom, window.start + first * size, size, values)


def _junctions(reader: _Reader, window: PairWindow, codes: Codes) -> Junctions:
    """Return the junctions between the likeliest sites of the region; their values are the mean over strands."""
    model, head, length = reader.model, reader.head, len(codes)
    bins = Bins(window.first - window.start, window.end - window.first)
    engine = model.engine(model.base_head(head))
    embeddings, probabilities = [], []
    for back, read in reader.strands(codes):
        x = engine.stretch(read).window(0, length).embed([None], bins.reversed(length) if back else bins)
        likely = model.site_probabilities(x, head)[0, :4].float()
        embeddings.append(x[0].flip(-1) if back else x[0])
        probabilities.append(likely.flip(-1)[OTHER_STRAND] if back else likely)
    sites = model.likely_sites(torch.stack(probabilities).mean(0)[None])[0]  # [4, K], from the first base of the region
    counts = torch.stack([_counts(reader, x, sites, bins.first, length, back=i == 1) for i, x in enumerate(embeddings)]).mean(0)
    return _listed(window, sites.cpu().numpy(), counts.float().cpu().numpy(), reader.tracks)


def _counts(reader: _Reader, x: Tensor, sites: Tensor, first: int, length: int, *, back: bool) -> Tensor:
    """Return the counts [2 T, K, K] of the junctions between sites from the embedding [D, R] of the region on one strand."""
    at_sites = x[:, sites.clamp_min(0)]  # [D, 4, K]
    places = torch.where(sites >= 0, sites + first, -1)
    if back:
        at_sites, places = at_sites[:, OTHER_STRAND], places[OTHER_STRAND]
        places = torch.where(places >= 0, length - 1 - places, -1)
    counts: Tensor = reader.model.junction_counts(at_sites[None], places[None], reader.head)[0]
    return counts.roll(len(counts) // 2, 0) if back else counts


def _listed(window: PairWindow, sites: np.ndarray, counts: np.ndarray, tracks: np.ndarray) -> Junctions:
    half, parts = len(counts) // 2, []
    for strand, (donors, acceptors), of in (("+", sites[:2], counts[:half]), ("-", sites[2:], counts[half:])):
        left, right = (donors[:, None], acceptors[None]) if strand == "+" else (acceptors[None], donors[:, None])
        inside = (left >= 0) & (left + 1 < right)
        starts, ends = np.broadcast_arrays(left + 1, right)
        parts.append((starts[inside], ends[inside], [strand] * int(inside.sum()), of[tracks][:, inside].T))
    starts, ends = (window.first + np.concatenate([part[i] for part in parts]) for i in (0, 1))
    strands = [strand for part in parts for strand in part[2]]
    values = np.concatenate([part[3] for part in parts])
    order = np.lexsort((np.array(strands, dtype=np.str_), ends, starts))
    return Junctions(window.chrom, starts[order], ends[order], [strands[i] for i in order.tolist()], values[order])


_PREDICTORS: dict[str, Callable[[_Reader, PairWindow, Codes], Pairs]] = {CONTACTS: _contacts, JUNCTIONS: _junctions}


def _contact_run(like: Any, head: str, length: int) -> Callable[[], Tensor]:
    dtype = next(like.parameters()).dtype
    return lambda: like.contacts(torch.empty(1, 4, length, device="meta", dtype=dtype), head)


def _junction_run(like: Any, head: str, length: int) -> Callable[[], Tensor]:
    return cost.track_run(like, like.base_head(head), length, length)


_RUNS: dict[str, Callable[[Any, str, int], Callable[[], Tensor]]] = {CONTACTS: _contact_run, JUNCTIONS: _junction_run}
