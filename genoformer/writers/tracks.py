"""Predicted tracks -> bigWig, a folder of bigWigs, Parquet, TSV, a figure; each appears complete or not at all."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError, OptionError
from genoformer.files import atomic_folder, atomic_write
from genoformer.formats.bed import Intervals
from genoformer.formats.bigwig_writer import BigWigWriter, new_bigwig
from genoformer.formats.track_table import Track
from genoformer.genome.genes import LocusAnnotation
from genoformer.tables import rounded, tsv_line
from genoformer.writers.base import Bgzip
from genoformer.writers.parquet import ParquetRows
from genoformer.writers.track_figure import MAX_BINS, MAX_PANELS, draw_tracks

TABLE = "tracks.tsv"  # in a folder of bigWigs: the track of each file
MAX_FILES = 512  # open files; a process may open about 1,000
_VALUES = 1 << 22  # in a row group: 16 MB
_MOST_ROWS = 65_536  # in a row group


class BinnedTracks(NamedTuple):
    """Consecutive bins of a contig: their intervals [start, end), [n] each, and values [K, n]."""

    chrom: str
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    values: NDArray[np.float32]


class TrackSink(Protocol):
    """Receiver of predicted bins: contigs come in the genome's order, bins sorted and without overlap."""

    def add(self, bins: BinnedTracks) -> None: ...


class TrackOutput(NamedTuple):
    """Path of predictions, and what the formats need to know before the first bin.

    contigs: name -> length of all contigs of the genome. tracks: the written tracks, in their order. intervals: the intervals
    of the predictions. landmarks: genes and elements, drawn above a figure. force: replace a folder of an earlier prediction.
    option: the option that chooses tracks, for messages. unit: of the values, for a figure.
    """

    path: Path
    contigs: Mapping[str, int]
    tracks: Sequence[Track]
    intervals: Mapping[str, Intervals]
    landmarks: LocusAnnotation = LocusAnnotation()
    force: bool = False
    option: str = "tracks"
    unit: str = ""

    def refused(self, problem: str) -> OptionError:
        """Return the error for a number of tracks that the output cannot hold."""
        return OptionError(self.option, problem)


class CollectedTracks:
    """Sink that keeps all bins in memory. max_bins: more bins raise ConfigError, because a figure cannot show them."""

    def __init__(self, max_bins: int | None = None) -> None:
        self.bins: list[BinnedTracks] = []
        self.n_bins, self.max_bins = 0, max_bins

    def add(self, bins: BinnedTracks) -> None:
        self.n_bins += len(bins.starts)
        if self.max_bins is not None and self.n_bins > self.max_bins:
            raise ConfigError(f"a figure shows up to {self.max_bins:,} bins; give a shorter region with -r, or write .bw.")
        self.bins.append(bins)

    def columns(self) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Return the contig, start and end of all bins, [n] each, and their values [K, n]."""
        chroms = [bins.chrom for bins in self.bins for _ in bins.starts]
        starts, ends = (np.concatenate([bins[i] for bins in self.bins]) for i in (1, 2))
        return chroms, starts, ends, np.concatenate([bins.values for bins in self.bins], axis=1)


class BigWigTracks:
    """Sink of one bigWig file per track."""

    def __init__(self, files: Sequence[BigWigWriter]) -> None:
        self.files = files

    def add(self, bins: BinnedTracks) -> None:
        chrom, starts, ends, values = bins
        for file, row in zip(self.files, values, strict=True):
            file.add(chrom, starts, ends, row)


class ParquetTracks:
    """Sink of a Parquet file: chrom, start and end of each bin, and a float32 column per track."""

    def __init__(self, rows: ParquetRows) -> None:
        self.rows = rows

    def add(self, bins: BinnedTracks) -> None:
        chrom, starts, ends, values = bins
        rows = [(chrom, start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        self.rows.add(rows, values.T.copy())  # a view would keep its whole window in memory


@contextmanager
def _one_bigwig(output: TrackOutput) -> Iterator[TrackSink]:
    if len(output.tracks) > 1:
        n = len(output.tracks)
        raise output.refused(f"selects {n:,}, but {output.path} is a bigWig, which holds one; choose one, or name a folder.")
    with new_bigwig(output.path, output.contigs) as file:
        yield BigWigTracks([file])


@contextmanager
def _bigwigs(output: TrackOutput) -> Iterator[TrackSink]:
    tracks = output.tracks
    if len(tracks) > MAX_FILES:
        n = len(tracks)
        raise output.refused(f"selects {n:,}, which need as many open files; choose up to {MAX_FILES}, or write .parquet.")
    names = file_names(tracks)
    with atomic_folder(output.path, may_replace=partial(is_folder_of, TABLE) if output.force else None) as part:
        with ExitStack() as stack:
            yield BigWigTracks([stack.enter_context(new_bigwig(part / name, output.contigs)) for name in names])
        with (part / TABLE).open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, delimiter="\t", lineterminator="\n")
            table.writerow(["file", "track", "identifier", "description"])
            table.writerows((n, t.index, t.identifier, t.description) for n, t in zip(names, tracks, strict=True))


@contextmanager
def _parquet(output: TrackOutput) -> Iterator[TrackSink]:
    names = column_names(output.tracks)
    with atomic_write(output.path) as part, parquet_rows(part, names) as rows:
        yield ParquetTracks(rows)


class TableTracks:
    """Sink of a TSV: chrom, start and end of each bin, and a column per track, with five significant digits; no value is empty.

    write: adds text to the file.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self.write = write

    def add(self, bins: BinnedTracks) -> None:
        chrom, starts, ends, values = bins
        rows = zip(starts.tolist(), ends.tolist(), values.T.tolist(), strict=True)
        lines = ("\t".join([chrom, str(start), str(end), *map(rounded, row)]) for start, end, row in rows)
        self.write("".join(f"{line}\n" for line in lines))


@contextmanager
def _table(output: TrackOutput) -> Iterator[TrackSink]:
    is_bgzip = output.path.suffix.lower() == ".gz"  # so that tabix can index it
    with atomic_write(output.path) as part, closing(Bgzip(part)) if is_bgzip else part.open("wb") as file:

        def write(text: str) -> None:
            file.write(text.encode())

        write(tsv_line(["chrom", "start", "end", *column_names(output.tracks)]) + "\n")
        yield TableTracks(write)


def parquet_rows(path: Path, names: Sequence[str], most_rows: int = _MOST_ROWS) -> ParquetRows:
    """Open a Parquet file of tracks with these names, in row groups of at most `most_rows` rows."""
    columns = [("chrom", "string"), ("start", "int64"), ("end", "int64")]
    n_group = max(1, min(most_rows, _VALUES // len(names)))
    # values rarely repeat, and a dictionary of each column would take most of the memory
    return ParquetRows(path, columns, names, n_group=n_group, exact=True, dictionary=["chrom"])


@contextmanager
def _figure(output: TrackOutput) -> Iterator[TrackSink]:
    if len(output.tracks) > MAX_PANELS:
        raise output.refused(f"selects {len(output.tracks):,}, but a figure shows up to {MAX_PANELS}; choose fewer.")
    n = sum(map(len, output.intervals.values()))
    if n != 1:
        raise ConfigError(f"a figure shows one region, not {n:,}; give one with -r, or write .bw or .parquet.")
    collected = CollectedTracks(MAX_BINS)
    yield collected
    chroms, starts, ends, values = collected.columns()
    draw_tracks(output.path, chroms[0], np.append(starts, ends[-1]), values, output.tracks, output.landmarks, output.unit)


def is_folder_of(table: str, folder: Path) -> bool:
    """True if all files of a folder are those that its table, a TSV with a column "file", lists."""
    try:
        with (folder / table).open(encoding="utf-8", newline="") as file:
            names = {row["file"] for row in csv.DictReader(file, delimiter="\t")}
    except (OSError, KeyError, ValueError, csv.Error):
        return False
    return {path.name for path in folder.iterdir()} <= {table, *names}


def file_names(tracks: Sequence[Track]) -> list[str]:
    """Return a bigWig name for each track: its identifier, unsafe characters replaced by _; equal names get the track number.

    >>> file_names([Track(0, "CAGE:a/b"), Track(7, "cage a b"), Track(8, "x")])
    ['CAGE_a_b.0.bw', 'cage_a_b.7.bw', 'x.bw']
    """
    safe = [re.sub(r"[^A-Za-z0-9+=@-]+", "_", track.identifier)[:120] for track in tracks]
    return [f"{name}.bw" for name in unique_names(safe, tracks)]


def column_names(tracks: Sequence[Track]) -> list[str]:
    """Return a Parquet column name for each track: its identifier; equal identifiers get the track number."""
    taken = ["chrom", "start", "end"]
    return unique_names([track.identifier for track in tracks], tracks, taken)


def unique_names(names: Sequence[str], tracks: Sequence[Track], taken: Sequence[str] = ()) -> list[str]:
    """Return names that differ in more than case; names that do not differ get the number of the track."""
    n = Counter(name.lower() for name in (*names, *taken))
    numbered = [f"{name}.{track.index}" for name, track in zip(names, tracks, strict=True)]
    unique = [long if n[name.lower()] > 1 else name for name, long in zip(names, numbered, strict=True)]
    return unique if len({name.lower() for name in unique}) == len(unique) else numbered


SINKS: dict[str, Callable[[TrackOutput], AbstractContextManager[TrackSink]]] = {
    ".bw": _one_bigwig,
    ".bigwig": _one_bigwig,
    "": _bigwigs,
    ".parquet": _parquet,
    ".tsv": _table,
    ".tsv.gz": _table,
    ".png": _figure,
    ".svg": _figure,
}


FOLDER = ""  # kind of an output that is a folder of bigWigs


def kind_of(path: Path) -> str:
    """Return the kind of an output, a key of SINKS, or the suffix of an unknown kind."""
    return FOLDER if path.is_dir() else next((s for s in SINKS if s and path.name.lower().endswith(s)), path.suffix.lower())


def parts_of(sink: TrackSink, sizes: Sequence[int]) -> list[TrackSink]:
    """Return a sink for each of several groups of tracks of a sink; only a folder of bigWigs has more than one."""
    if len(sizes) == 1 or not isinstance(sink, BigWigTracks):
        return [sink]
    ends = list(accumulate(sizes))
    return [BigWigTracks(sink.files[end - size : end]) for end, size in zip(ends, sizes, strict=True)]


def new_sink(output: TrackOutput) -> AbstractContextManager[TrackSink]:
    """Return a sink for predictions by suffix: bigWig, Parquet, TSV, figure; without one, a folder with a bigWig per track.

    The output appears under its name when the block ends without an error. Raises ConfigError for tracks or intervals that a
    format cannot hold.
    """
    path = output.path
    kind = kind_of(path)
    if kind not in SINKS:
        known = ", ".join(filter(None, SINKS))
        raise ConfigError(
            f"{path}: the suffix names no known format; end the name in {known}, or name a folder without suffix."
        )
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"{path}: the folder {path.parent} does not exist; create it first.")
    if output.landmarks and kind not in (".png", ".svg"):
        raise ConfigError(
            f"{path}: genes and elements are drawn above a figure; end the name in .png or .svg, or leave them out."
        )
    return SINKS[kind](output)
