"""Outputs of predicted tracks: bigWig, a folder of bigWigs, Parquet, a figure; each appears complete or not at all."""

from __future__ import annotations

import csv
import re
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genoformer import plots
from genoformer.errors import ConfigError
from genoformer.files import atomic_write, resolve_link, save_figure
from genoformer.formats.bigwig import BigWigWriter, new_bigwig
from genoformer.formats.track_table import Track
from genoformer.genome.genes import LocusAnnotation
from genoformer.genome.regions import Intervals
from genoformer.inference.track_prediction import BinnedTracks, TrackSink

TABLE = "tracks.tsv"  # in a folder of bigWigs: the track of each file
_MOST_FILES = 512  # open files; a process may open about 1,000
_VALUES = 1 << 22  # in a row group: 16 MB
_MOST_ROWS = 65_536
_MOST_PANELS, _MOST_BINS = 24, 50_000  # limits of a figure


class _Job(NamedTuple):
    path: Path
    contigs: Mapping[str, int]
    tracks: Sequence[Track]
    asked: Mapping[str, Intervals]
    landmarks: LocusAnnotation


class _BigWigs:
    """One bigWig file per track."""

    def __init__(self, files: Sequence[BigWigWriter]) -> None:
        self.files = files

    def add(self, stretch: BinnedTracks) -> None:
        chrom, starts, ends, values = stretch
        width = ends - starts
        cuts = np.flatnonzero(np.diff(width)) + 1  # bins of one width take the writer's short form
        for part in np.split(np.arange(len(starts)), cuts):
            for file, row in zip(self.files, values, strict=True):
                file.add(chrom, starts[part], ends[part], row[part])


@contextmanager
def _one_bigwig(job: _Job) -> Iterator[TrackSink]:
    path, contigs, tracks, *_ = job
    if len(tracks) > 1:
        raise ConfigError(
            f"{path}: a bigWig holds one track, not {len(tracks):,}; choose one with --tracks, or name a folder, without .bw."
        )
    with new_bigwig(path, contigs) as file:
        yield _BigWigs([file])


@contextmanager
def _bigwigs(job: _Job) -> Iterator[TrackSink]:
    path, contigs, tracks, *_ = job
    if len(tracks) > _MOST_FILES:
        raise ConfigError(
            f"{len(tracks):,} tracks would be as many open files; choose up to {_MOST_FILES} with --tracks, or write .parquet."
        )
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ConfigError(f"{path} is there already and not an empty folder; name another one, or remove it.")
    path = resolve_link(path)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    part.mkdir()
    try:
        names = file_names(tracks)
        with ExitStack() as stack:
            yield _BigWigs([stack.enter_context(new_bigwig(part / name, contigs)) for name in names])
        with (part / TABLE).open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, delimiter="\t", lineterminator="\n")
            table.writerow(["file", "track", "identifier", "description"])
            table.writerows((n, t.index, t.identifier, t.description) for n, t in zip(names, tracks, strict=True))
        if path.is_dir():
            path.rmdir()
        part.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _parquet(job: _Job) -> Iterator[TrackSink]:
    with atomic_write(job.path) as part:
        rows = _ParquetRows(part, column_names(job.tracks))
        try:
            yield rows
            rows.flush()
        finally:
            rows.writer.close()


class _ParquetRows:
    """Rows collected into row groups."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        places = [("chrom", pa.string()), ("start", pa.int64()), ("end", pa.int64())]
        self.schema = pa.schema([*places, *((name, pa.float32()) for name in columns)])
        # values rarely repeat, and a dictionary of each column would take most of the memory
        self.writer = pq.ParquetWriter(str(path), self.schema, compression="zstd", use_dictionary=["chrom"])
        self.most = max(1, min(_MOST_ROWS, _VALUES // len(columns)))
        self.n, self.waiting = 0, list[BinnedTracks]()

    def add(self, stretch: BinnedTracks) -> None:
        self.waiting.append(stretch._replace(values=stretch.values.copy()))  # a view would keep its whole window in memory
        self.n += len(stretch.starts)
        if self.n >= self.most:
            self.flush()

    def flush(self) -> None:
        import pyarrow as pa

        if self.waiting:
            chroms = np.repeat([stretch.chrom for stretch in self.waiting], [len(stretch.starts) for stretch in self.waiting])
            starts, ends = (np.concatenate([stretch[i] for stretch in self.waiting]) for i in (1, 2))
            values = np.concatenate([stretch.values for stretch in self.waiting], axis=1)
            self.waiting, self.n = [], 0
            columns = zip((chroms, starts, ends, *values), self.schema, strict=True)
            arrays = [pa.array(column, type=field.type) for column, field in columns]
            self.writer.write_table(pa.Table.from_arrays(arrays, schema=self.schema), row_group_size=self.most)


@contextmanager
def _figure(job: _Job) -> Iterator[TrackSink]:
    path, _, tracks, asked, landmarks = job
    if len(tracks) > _MOST_PANELS:
        raise ConfigError(f"a figure shows up to {_MOST_PANELS} tracks, not {len(tracks):,}; choose some with --tracks.")
    n = sum(map(len, asked.values()))
    if n != 1:
        raise ConfigError(f"a figure shows one region, not {n:,}; give one with -r, or write .bw or .parquet.")
    gathered = _Gathered()
    yield gathered
    from matplotlib.figure import Figure

    starts, ends = (np.concatenate([getattr(s, name) for s in gathered.found]) for name in ("starts", "ends"))
    values = np.concatenate([stretch.values for stretch in gathered.found], axis=1)
    chrom, first, last = gathered.found[0].chrom, int(starts[0]), int(ends[-1])
    seen = landmarks.over(chrom, first, last)
    above = [0.3 + 0.3 * plots.n_rows(seen.drawn, seen.elements)] if landmarks else []
    heights = [*above, *[0.9] * len(tracks)]
    figure = Figure(figsize=(10, 0.8 + sum(heights)), layout="constrained")
    axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0].tolist()
    if landmarks:
        plots.landmarks(axes.pop(0), first, last, genes=seen.drawn, elements=seen.elements)
    labels = [track.description or track.identifier for track in tracks]
    labels = [
        f"{label} ({track.identifier})" if labels.count(label) > 1 and label != track.identifier else label
        for label, track in zip(labels, tracks, strict=True)
    ]
    plots.tracks(
        axes,
        np.append(starts, ends[-1]),
        values,
        labels=labels,
        groups=[track.group for track in tracks],
        chrom=chrom,
    )
    save_figure(figure, path)


class _Gathered:
    def __init__(self) -> None:
        self.found: list[BinnedTracks] = []
        self.n = 0

    def add(self, stretch: BinnedTracks) -> None:
        self.n += len(stretch.starts)
        if self.n > _MOST_BINS:
            raise ConfigError(f"a figure shows up to {_MOST_BINS:,} bins; give a shorter region with -r, or write .bw.")
        self.found.append(stretch)


def file_names(tracks: Sequence[Track]) -> list[str]:
    """Return a bigWig name for each track: its identifier, unsafe characters replaced by _; equal names get the track number.

    >>> file_names([Track(0, "CAGE:a/b"), Track(7, "cage a b"), Track(8, "x")])
    ['CAGE_a_b.0.bw', 'cage_a_b.7.bw', 'x.bw']
    """
    safe = [re.sub(r"[^A-Za-z0-9+=@-]+", "_", track.identifier)[:120] for track in tracks]
    return [f"{name}.bw" for name in _unique_names(safe, tracks)]


def column_names(tracks: Sequence[Track]) -> list[str]:
    """Return a Parquet column name for each track: its identifier; equal identifiers get the track number."""
    taken = ["chrom", "start", "end"]
    return _unique_names([track.identifier for track in tracks], tracks, taken)


def _unique_names(names: Sequence[str], tracks: Sequence[Track], taken: Sequence[str] = ()) -> list[str]:
    """Return names that differ in more than case; names that do not differ get the number of the track."""
    n = Counter(name.lower() for name in (*names, *taken))
    numbered = [f"{name}.{track.index}" for name, track in zip(names, tracks, strict=True)]
    some = [long if n[name.lower()] > 1 else name for name, long in zip(names, numbered, strict=True)]
    return some if len({name.lower() for name in some}) == len(some) else numbered


SINKS: dict[str, Callable[[_Job], AbstractContextManager[TrackSink]]] = {
    ".bw": _one_bigwig,
    ".bigwig": _one_bigwig,
    "": _bigwigs,
    ".parquet": _parquet,
    ".png": _figure,
}


def new_sink(
    path: Path,
    contigs: Mapping[str, int],
    tracks: Sequence[Track],
    asked: Mapping[str, Intervals],
    landmarks: LocusAnnotation | None = None,
) -> AbstractContextManager[TrackSink]:
    """Return a sink for predictions by suffix: bigWig, Parquet or figure; without a suffix, a folder with a bigWig per track.

    The output appears under its name when the block ends without an error. Parameters: contigs, name -> length of all contigs
    of
    the genome; tracks, the written tracks, in their order; asked, the intervals of the predictions; landmarks, genes and
    elements
    drawn above a figure. Raises ConfigError for tracks or intervals that a format cannot hold.
    """
    kind = "" if path.is_dir() else path.suffix.lower()
    if kind not in SINKS:
        known = ", ".join(filter(None, SINKS))
        raise ConfigError(f"{path}: the format is not known by its name; end it in {known}, or name a folder without suffix.")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"{path}: there is no folder {path.parent}; make it first.")
    if landmarks and kind != ".png":
        raise ConfigError(f"{path}: genes and elements are drawn above a figure; end it in .png, or leave them out.")
    return SINKS[kind](_Job(path, contigs, tracks, asked, landmarks or LocusAnnotation()))
