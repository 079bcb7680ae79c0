"""A genome, a table of track files and windows -> a training set with sequence, binned targets, splits and a manifest."""

from __future__ import annotations

import itertools
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genoformer.datasets.request import SPLITS, TrackSetRequest, require_windows
from genoformer.datasets.track_set import SMALLEST, Window, first_bin, new_track_set
from genoformer.errors import ConfigError, ContigError
from genoformer.files import sha256_of
from genoformer.formats.bed import Intervals, read_regions
from genoformer.formats.bed_kinds import layout_of
from genoformer.formats.track_table import Track, TrackTable, read_targets, scaled
from genoformer.formats.tracks import TrackSource, open_track
from genoformer.genome.bins import Values, summarise
from genoformer.genome.codes import N
from genoformer.genome.contigs import ContigMap, count_noun, join_names
from genoformer.genome.reference import Genome
from genoformer.genome.regions import merge, n_overlaps, overlapping_rows, read_on_reference, split_by_contig
from genoformer.progress import Progress, ProgressCallback

LENGTH = 196_608  # default length of a window in bases; Enformer
_NONE: Intervals = np.empty((0, 2), dtype=np.int64)
N_OPEN = 256  # track files open at a time; the limit of a process is about 1,000, and each has its index in memory


@dataclass
class BuiltTracks:
    """Results of `build_tracks`: windows of each split, dropped windows by reason, sizes, and notes."""

    out: Path
    length: int
    n_tracks: int
    n_bins: int
    bin_size: int
    counts: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def build_tracks(
    out: str | os.PathLike[str],
    genome: Genome,
    targets: str | os.PathLike[str],
    *,
    progress: ProgressCallback = None,
    **options: Any,
) -> BuiltTracks:
    """Write windows of a genome with the tracks of a table as memory-mapped arrays to the folder `out`, for `read_tracks`.

    * Windows are the rows of a BED, in order; with `length` they are windows of this length around the middles of the rows.
      Without a BED they tile all contigs, `stride` bases apart (default: adjacent targets). Targets are the middle
      `target_bins` bins (0: all bins) and lie inside the contig; other bases may lie beyond its ends, and are N.
    * Windows are dropped, and counted by the first reason that applies: `no_contig` (not in the FASTA), `outside` (targets
      beyond the contig's ends), `blacklist` (more than half of the bases that have targets), `too_many_n` (fraction of N above
      max_n), `repeated` (the same window again).
    * Splits are by contig. If neither valid nor test is given and every row of the BED is named train, valid or test (as in
      Basenji's BED files), the names are the splits.
    * Tracks: bases in the blacklist are clipped to the median of the track over the window's targets, with either sign (as in
      Basenji); then come sum_stat over each bin, and `targets.scaled`. Stored as float16; values out of its range are refused.

    Memory does not grow with the number of windows. Text files (bedGraph, peaks) are read into memory as a whole.

    Parameters: see `TrackSetRequest`; options are its other fields, such as windows, length, bin_size, valid and test.

    Raises: ConfigError, ContigError, FileFormatError; then nothing is written.
    """
    request = TrackSetRequest(os.fspath(out), genome, os.fspath(targets), **options)
    return build_track_set(request, progress=progress)


def build_track_set(request: TrackSetRequest, *, n_open: int = N_OPEN, progress: ProgressCallback = None) -> BuiltTracks:
    """Find the windows, and write their sequence and tracks; rules and errors: see `build_tracks`.

    n_open: number of track files that are open at a time.
    """
    genome = request.genome
    table = _read_table(request)
    candidates = _candidates(request)
    built = BuiltTracks(Path(request.out), candidates.width, len(table), candidates.n_bins, request.bin_size)
    if request.windows is not None:
        built.notes += [f"{Path(request.windows).name}: {note}" for note in layout_of(Path(request.windows)).notes]
    masked = {}
    if request.blacklist is not None:
        masked = {chrom: merge(rows) for chrom, rows in read_on_reference(request.blacklist, genome).items()}
    windows = _split(_usable(candidates, request, masked, built), request, built)
    batches = [table.tracks[i : i + n_open] for i in range(0, len(table), n_open)]
    n_steps = len(windows) * (1 + len(batches))
    steps = itertools.count(1)

    def report(stage: str) -> None:
        n = next(steps)
        if progress:
            progress(Progress(stage, n, n_steps))

    absent: dict[str, list[str]] = defaultdict(list)
    with new_track_set(request.out, windows, table, n_bins=built.n_bins, bin_size=built.bin_size) as writer:
        for i, window in enumerate(windows):
            writer.put_sequence(i, genome.window(window.chrom, window.start, built.length))
            report("sequence")
        for batch in batches:
            sources = [open_track(track.file, track.column) for track in batch]
            for track, source in zip(batch, sources, strict=True):
                _compare(track, source, genome, windows, absent)
            for i, window in enumerate(windows):
                start = window.start + candidates.margin
                end = start + candidates.n_target_bases
                holes = (overlapping_rows(masked.get(window.chrom, _NONE), start, end) - start).tolist()
                values = [
                    _bins(track, source.values(window.chrom, start, end), holes, built.bin_size)
                    for track, source in zip(batch, sources, strict=True)
                ]
                writer.put_tracks(i, np.stack(values), batch[0].index)
                report("tracks")
            for source in sources:
                source.close()
        built.notes += _remarks(table, writer.largest, absent)
        inputs = request.inputs | {f"track {track.index} {track.identifier}": Path(track.file) for track in table}
        digests = {path: sha256_of(path) for path in dict.fromkeys(inputs.values())}
        writer.manifest |= {
            "options": request.options | {"length": built.length},
            "dropped": built.dropped,
            "notes": built.notes,
            "inputs": {name: {"path": str(path), "sha256": digests[path]} for name, path in inputs.items()},
        }
    return built


def _read_table(request: TrackSetRequest) -> TrackTable:
    """Read the requested tracks of the table; refuse a track without a file, or with one that cannot be opened."""
    table = read_targets(request.targets)
    if request.tracks is not None:
        table = table.subset(request.tracks)
    for track in table:
        if not track.file:
            raise ConfigError(f"track {track.identifier} of {request.targets} has no file; give one for each track.")
        open_track(track.file, track.column).close()  # exists and has a known format
    return table


# --- windows


class Candidates(NamedTuple):
    """Windows before selection, with the genome's contig names ("" for a missing contig).

    The split of a window is the name of its BED row. n_bins: bins with targets, in the middle of a window.
    """

    windows: list[Window]
    width: int
    n_bins: int
    bin_size: int

    @property
    def margin(self) -> int:
        """Bases of a window before its targets."""
        return first_bin(self.width, self.n_bins, self.bin_size) * self.bin_size

    @property
    def n_target_bases(self) -> int:
        return self.n_bins * self.bin_size


def _candidates(request: TrackSetRequest) -> Candidates:
    return _tiles(request) if request.windows is None else _rows_of_bed(request, request.windows)


def _rows_of_bed(request: TrackSetRequest, bed: str | Path) -> Candidates:
    """Return the rows of a BED, or windows of the requested length around their middles."""
    genome = request.genome
    regions = list(read_regions(bed))
    if not regions:
        raise ConfigError(f"{bed} has no rows; give a BED with windows.")
    widths = {region.end - region.start for region in regions}
    if request.length is None and len(widths) > 1:
        raise ConfigError(f"rows of {bed} have {min(widths):,} to {max(widths):,} bases; give a length for all windows.")
    width = request.length if request.length is not None else widths.pop()
    n_bins = _n_bins(request, width)
    names = genome.contig_map(region.chrom for region in regions)
    if not any(names.get(region.chrom) for region in regions):
        chroms = join_names(dict.fromkeys(region.chrom for region in regions))
        raise ContigError(f"no contig of {bed} ({chroms}) is in {genome.name} ({join_names(genome.contigs)}).")
    starts = [(region.start + region.end) // 2 - width // 2 for region in regions]
    windows = [
        Window(names.get(region.chrom) or "", start, start + width, region.name)
        for region, start in zip(regions, starts, strict=True)
    ]
    return Candidates(windows, width, n_bins, request.bin_size)


def _tiles(request: TrackSetRequest) -> Candidates:
    """Return windows that tile all contigs."""
    genome = request.genome
    width = LENGTH if request.length is None else request.length
    tiling = Candidates([], width, _n_bins(request, width), request.bin_size)
    step = tiling.n_target_bases if request.stride is None else request.stride
    windows = [
        Window(chrom, start - tiling.margin, start - tiling.margin + width, "")
        for chrom, length in genome.contigs.items()
        for start in range(0, length - tiling.n_target_bases + 1, step)
    ]
    if not windows:
        raise ConfigError(
            f"no contig of {genome.name} has {tiling.n_target_bases:,} bases for the bins; give a smaller length."
        )
    return tiling._replace(windows=windows)


def _n_bins(request: TrackSetRequest, length: int) -> int:
    bin_size, target_bins = request.bin_size, request.target_bins
    if bin_size < 1 or length < 1 or length % bin_size:
        raise ConfigError(f"length {length:,} is no whole number of bins of {bin_size} bases; give a multiple of the bin.")
    if not 0 <= target_bins <= length // bin_size:
        raise ConfigError(f"target_bins {target_bins}: a window has {length // bin_size:,} bins; give 0 for all, or fewer.")
    return target_bins or length // bin_size


def _usable(
    candidates: Candidates, request: TrackSetRequest, masked: Mapping[str, Intervals], built: BuiltTracks
) -> list[Window]:
    """Return the windows that are not dropped, and count the others."""
    genome, width = request.genome, candidates.width
    kept = []
    reasons: Counter[str] = Counter()
    starts: set[tuple[str, int]] = set()
    for window in candidates.windows:
        start, end = window.start + candidates.margin, window.start + candidates.margin + candidates.n_target_bases
        if not window.chrom:
            reasons["no_contig"] += 1
        elif start < 0 or end > genome.contigs[window.chrom]:
            reasons["outside"] += 1
        elif 2 * np.diff(overlapping_rows(masked.get(window.chrom, _NONE), start, end)).sum() > end - start:
            reasons["blacklist"] += 1
        elif (genome.window(window.chrom, window.start, width) >= N).sum() > request.max_n * width:
            reasons["too_many_n"] += 1
        elif (window.chrom, window.start) in starts:
            reasons["repeated"] += 1
        else:
            starts.add((window.chrom, window.start))
            kept.append(window)
    built.dropped = dict(reasons)
    if not kept:
        counts = ", ".join(f"{n:,} {reason}" for reason, n in reasons.items())
        raise ConfigError(f"no window is left (dropped: {counts}); are windows and FASTA of one assembly?")
    return kept


def _split(windows: list[Window], request: TrackSetRequest, built: BuiltTracks) -> list[Window]:
    """Return the windows with their splits: the names of the BED's rows, or by contig."""
    by_name = request.windows is not None and not request.valid and not request.test
    if by_name and all(window.split in SPLITS for window in windows):
        built.notes.append("splits are as the rows of the BED are named.")
        if n_shared := _n_shared(windows):
            built.notes.append(f"bases of train are also in {count_noun(range(n_shared), 'window')} of valid or test.")
    else:
        split_of = split_by_contig(request.genome, request.valid, request.test)
        windows = [window._replace(split=split_of[window.chrom]) for window in windows]
    counts = {split: Counter(window.chrom for window in windows if window.split == split) for split in SPLITS}
    built.counts = {split: n.total() for split, n in counts.items()}
    built.notes += require_windows(counts, request)
    return windows


def _n_shared(windows: Iterable[Window]) -> int:
    """Return the number of windows of valid and test that overlap a window of train."""
    intervals: dict[tuple[str, bool], list[tuple[int, int]]] = defaultdict(list)
    for window in windows:
        intervals[window.chrom, window.split == "train"].append((window.start, window.end))
    pairs = ((np.array(rows), intervals.get((chrom, True))) for (chrom, is_train), rows in intervals.items() if not is_train)
    return sum(int((n_overlaps(rows, np.array(train)) > 0).sum()) for rows, train in pairs if train)


# --- tracks


def _bins(track: Track, values: Values, holes: list[list[int]], bin_size: int) -> Values:
    """Return the targets [N] of a track from its values [N * bin_size]; holes: slices of values in the blacklist."""
    if holes:
        most = abs(float(np.median(values)))
        for first, last in holes:
            np.clip(values[first:last], -most, most, out=values[first:last])
    return scaled(track, summarise(values, bin_size, track.sum_stat))


def _compare(
    track: Track, source: TrackSource, genome: Genome, windows: Iterable[Window], absent: dict[str, list[str]]
) -> None:
    """Refuse a track of another assembly, and record the contigs that it lacks."""
    names = ContigMap(source.contigs, genome.contigs)
    for name, length in source.contigs.items():
        reference = names.get(name)
        if reference is None:
            continue
        known = genome.contigs[reference]
        if length > known or (source.exact_lengths and length != known):
            raise ContigError(
                f"{track.file}: {name} has {'' if source.exact_lengths else 'at least '}{length:,} bases, but {known:,} in "
                f"{genome.name}; is the track on another assembly?"
            )
    has = {names.get(name) for name in source.contigs}
    contigs = dict.fromkeys(window.chrom for window in windows)
    if not has & set(contigs):
        raise ContigError(
            f"{track.file} ({join_names(source.contigs)}) has none of the contigs that windows lie on ({join_names(contigs)}); "
            "is it the right file?"
        )
    for chrom in contigs:
        if chrom not in has:
            absent[chrom].append(track.identifier)


def _remarks(table: TrackTable, largest: np.ndarray, absent: Mapping[str, list[str]]) -> Iterator[str]:
    for chrom, tracks in absent.items():
        yield f"without any value on {chrom}, taken as 0: {count_noun(tracks, 'track')} ({join_names(tracks)})."
    for meaning, flags in (
        ("0 in all windows", largest == 0),
        (f"below {SMALLEST:.1g} everywhere, where float16 is coarse", (largest > 0) & (largest < SMALLEST)),
    ):
        names = [table[i].identifier for i in np.flatnonzero(flags).tolist()]
        if names:
            yield f"{meaning}: {count_noun(names, 'track')} ({join_names(names)})."
