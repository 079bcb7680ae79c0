"""A genome, a table of track files and windows -> a training set with sequence, binned targets, splits and a manifest."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from genoformer.datasets.build import SPLITS
from genoformer.datasets.track_set import SMALLEST, Window, first_bin, new_track_set
from genoformer.errors import ConfigError, ContigError
from genoformer.files import sha256_of
from genoformer.formats.bed_kinds import layout_of
from genoformer.formats.track_table import Track, TrackTable, read_targets, scaled
from genoformer.formats.tracks import TrackSource, open_track
from genoformer.genome.bins import Values, summarise
from genoformer.genome.codes import N
from genoformer.genome.contigs import ContigMap, count_noun, join_names
from genoformer.genome.reference import Genome
from genoformer.genome.regions import (
    Intervals,
    merge,
    n_overlaps,
    overlapping_rows,
    read_on_reference,
    read_regions,
    split_by_contig,
)
from genoformer.progress import Progress, ProgressCallback

LENGTH = 196_608  # default length of a window in bases; Enformer
_NONE: Intervals = np.empty((0, 2), dtype=np.int64)
OPEN = 256  # track files open at a time; the limit of a process is about 1,000, and each has its index in memory


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
    windows: str | os.PathLike[str] | None = None,
    length: int | None = None,
    stride: int | None = None,
    bin_size: int = 128,  # Enformer
    target_bins: int = 0,
    valid: Sequence[str] = (),
    test: Sequence[str] = (),
    blacklist: str | os.PathLike[str] | None = None,
    max_n: float = 0.05,  # as in `build`; assembly gaps give all N or none
    progress: ProgressCallback = None,
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

    Parameters: targets, the table of tracks; length, stride, bin_size in bases; valid, test, names of contigs; blacklist, BED.

    Raises: ConfigError, ContigError, FileFormatError; then nothing is written.
    """
    table = read_targets(targets)
    for track in table:
        if not track.file:
            raise ConfigError(f"track {track.identifier} of {targets} has no file; give one for each track.")
        open_track(track.file, track.column).close()  # exists and has a known format
    if not 0 <= max_n < 1:
        raise ConfigError(f"max_n {max_n}: give a share of N from 0 to below 1.")
    found, n_bins, from_bed = _candidates(genome, windows, length, stride, bin_size, target_bins)
    width = found[0].end - found[0].start
    built = BuiltTracks(Path(out), width, len(table), n_bins, bin_size)
    if windows is not None:
        built.notes += [f"{Path(windows).name}: {note}" for note in layout_of(Path(windows)).notes]
    margin = first_bin(width, n_bins, bin_size) * bin_size
    masked = {}
    if blacklist is not None:
        masked = {chrom: merge(rows) for chrom, rows in read_on_reference(blacklist, genome).items()}
    kept = _split(_sound(found, genome, margin, n_bins * bin_size, masked, max_n, built), genome, valid, test, from_bed, built)

    options = {
        "length": width,
        "stride": stride,
        "bin_size": bin_size,
        "target_bins": target_bins,
        "valid": list(valid),
        "test": list(test),
        "max_n": max_n,
    }
    inputs = {"genome": genome.path, "targets": Path(targets)}
    inputs |= {name: Path(path) for name, path in (("windows", windows), ("blacklist", blacklist)) if path is not None}
    inputs |= {f"track {track.index} {track.identifier}": Path(track.file) for track in table}
    batches = [table.tracks[i : i + OPEN] for i in range(0, len(table), OPEN)]
    n_steps = len(kept) * (1 + len(batches))
    absent: dict[str, list[str]] = defaultdict(list)
    n_done = 0
    with new_track_set(out, kept, table, n_bins=n_bins, bin_size=bin_size) as writer:
        for i, window in enumerate(kept):
            writer.put_sequence(i, genome.window(window.chrom, window.start, width))
            n_done += 1
            if progress:
                progress(Progress("sequence", n_done, n_steps))
        for batch in batches:
            sources = [open_track(track.file, track.column) for track in batch]
            for track, source in zip(batch, sources, strict=True):
                _compare(track, source, genome, kept, absent)
            for i, window in enumerate(kept):
                start = window.start + margin
                end = start + n_bins * bin_size
                holes = (overlapping_rows(masked.get(window.chrom, _NONE), start, end) - start).tolist()
                values = [
                    _bins(track, source.values(window.chrom, start, end), holes, bin_size)
                    for track, source in zip(batch, sources, strict=True)
                ]
                writer.put_tracks(i, np.stack(values), batch[0].index)
                n_done += 1
                if progress:
                    progress(Progress("tracks", n_done, n_steps))
            for source in sources:
                source.close()
        built.notes += _remarks(table, writer.largest, absent)
        digests = {path: sha256_of(path) for path in dict.fromkeys(inputs.values())}
        writer.manifest |= {
            "options": options,
            "dropped": built.dropped,
            "notes": built.notes,
            "inputs": {name: {"path": str(path), "sha256": digests[path]} for name, path in inputs.items()},
        }
    return built


# --- windows


def _candidates(
    genome: Genome, bed: str | os.PathLike[str] | None, length: int | None, stride: int | None, bin_size: int, target_bins: int
) -> tuple[list[Window], int, bool]:
    """Return candidate windows, the number of their bins with targets, and True if a BED gave them.

    Windows have the genome's contig names ("" for a missing contig) and the name of their BED row as split.
    """
    if bed is not None:
        if stride is not None:
            raise ConfigError("stride is for windows that tile the genome; leave it out where a BED gives them.")
        regions = list(read_regions(bed))
        if not regions:
            raise ConfigError(f"{bed} has no rows; give a BED with windows.")
        widths = {region.end - region.start for region in regions}
        if length is None and len(widths) > 1:
            raise ConfigError(f"rows of {bed} have {min(widths):,} to {max(widths):,} bases; give a length for all windows.")
        width = length if length is not None else widths.pop()
        n_bins = _n_bins(width, bin_size, target_bins)
        names = genome.contig_map(region.chrom for region in regions)
        if not any(names.get(region.chrom) for region in regions):
            chroms = join_names(dict.fromkeys(region.chrom for region in regions))
            raise ContigError(f"no contig of {bed} ({chroms}) is in {genome.name} ({join_names(genome.contigs)}).")
        starts = ((region.start + region.end) // 2 - width // 2 for region in regions)
        found = [
            Window(names.get(region.chrom) or "", start, start + width, region.name)
            for region, start in zip(regions, starts, strict=True)
        ]
        return found, n_bins, True
    width = LENGTH if length is None else length
    n_bins = _n_bins(width, bin_size, target_bins)
    step = n_bins * bin_size if stride is None else stride
    if step < 1:
        raise ConfigError(f"stride {stride}: give 1 or more bases.")
    margin = first_bin(width, n_bins, bin_size) * bin_size
    found = [
        Window(chrom, at - margin, at - margin + width, "")
        for chrom, last in genome.contigs.items()
        for at in range(0, last - n_bins * bin_size + 1, step)
    ]
    if not found:
        raise ConfigError(f"no contig of {genome.name} has {n_bins * bin_size:,} bases for the bins; give a smaller length.")
    return found, n_bins, False


def _n_bins(length: int, bin_size: int, target_bins: int) -> int:
    if bin_size < 1 or length < 1 or length % bin_size:
        raise ConfigError(f"length {length:,} is no whole number of bins of {bin_size} bases; give a multiple of the bin.")
    if not 0 <= target_bins <= length // bin_size:
        raise ConfigError(f"target_bins {target_bins}: a window has {length // bin_size:,} bins; give 0 for all, or fewer.")
    return target_bins or length // bin_size


def _sound(
    found: list[Window],
    genome: Genome,
    margin: int,
    width: int,
    masked: Mapping[str, Intervals],
    max_n: float,
    built: BuiltTracks,
) -> list[Window]:
    kept = []
    reasons: Counter[str] = Counter()
    seen: set[tuple[str, int]] = set()
    for window in found:
        start, end = window.start + margin, window.start + margin + width
        if not window.chrom:
            reasons["no_contig"] += 1
        elif start < 0 or end > genome.contigs[window.chrom]:
            reasons["outside"] += 1
        elif 2 * np.diff(overlapping_rows(masked.get(window.chrom, _NONE), start, end)).sum() > width:
            reasons["blacklist"] += 1
        elif (genome.window(window.chrom, window.start, built.length) >= N).sum() > max_n * built.length:
            reasons["too_many_n"] += 1
        elif (window.chrom, window.start) in seen:
            reasons["repeated"] += 1
        else:
            seen.add((window.chrom, window.start))
            kept.append(window)
    built.dropped = dict(reasons)
    if not kept:
        why = ", ".join(f"{n:,} {reason}" for reason, n in reasons.items())
        raise ConfigError(f"no window is left (dropped: {why}); are windows and FASTA of one assembly?")
    return kept


def _split(
    kept: list[Window], genome: Genome, valid: Sequence[str], test: Sequence[str], from_bed: bool, built: BuiltTracks
) -> list[Window]:
    if from_bed and not valid and not test and all(window.split in SPLITS for window in kept):
        built.notes.append("splits are as the rows of the BED are named.")
        if n_shared := _n_shared(kept):
            built.notes.append(f"bases of train are also in {count_noun(range(n_shared), 'window')} of valid or test.")
    else:
        of = split_by_contig(genome, valid, test)
        kept = [window._replace(split=of[window.chrom]) for window in kept]
    found = Counter(window.split for window in kept)
    built.counts = {split: found[split] for split in SPLITS}
    for split, named in (("train", True), ("valid", bool(valid)), ("test", bool(test))):
        if not found[split] and named:
            where = ", ".join(f"{chrom} {n:,}" for chrom, n in Counter(window.chrom for window in kept).items())
            raise ConfigError(f"{split} has no window; the windows lie on: {where}. Split otherwise.")
    built.notes += [f"there is no {split} set, as no contigs were named for it." for split in SPLITS[1:] if not found[split]]
    return kept


def _n_shared(windows: Iterable[Window]) -> int:
    """Return the number of windows of valid and test that overlap a window of train."""
    of: dict[tuple[str, bool], list[tuple[int, int]]] = defaultdict(list)
    for window in windows:
        of[window.chrom, window.split == "train"].append((window.start, window.end))
    pairs = ((np.array(rows), of.get((chrom, True))) for (chrom, train), rows in of.items() if not train)
    return sum(int((n_overlaps(held_out, np.array(train)) > 0).sum()) for held_out, train in pairs if train)


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
        here = names.get(name)
        if here is None:
            continue
        known = genome.contigs[here]
        if length > known or (source.exact_lengths and length != known):
            raise ContigError(
                f"{track.file}: {name} has {'' if source.exact_lengths else 'at least '}{length:,} bases, but {known:,} in "
                f"{genome.name}; is the track on another assembly?"
            )
    has = {names.get(name) for name in source.contigs}
    wanted = dict.fromkeys(window.chrom for window in windows)
    if not has & set(wanted):
        raise ContigError(
            f"{track.file} ({join_names(source.contigs)}) has none of the contigs that windows lie on ({join_names(wanted)}); "
            "is it the right file?"
        )
    for chrom in wanted:
        if chrom not in has:
            absent[chrom].append(track.identifier)


def _remarks(table: TrackTable, largest: np.ndarray, absent: Mapping[str, list[str]]) -> Iterator[str]:
    for chrom, tracks in absent.items():
        yield f"without any value on {chrom}, taken as 0: {count_noun(tracks, 'track')} ({join_names(tracks)})."
    for meaning, found in (
        ("0 in all windows", largest == 0),
        (f"below {SMALLEST:.1g} everywhere, where float16 is coarse", (largest > 0) & (largest < SMALLEST)),
    ):
        names = [table[i].identifier for i in np.flatnonzero(found).tolist()]
        if names:
            yield f"{meaning}: {count_noun(names, 'track')} ({join_names(names)})."
