"""Predicted contact maps and splice junctions -> .npz, TSV, Parquet or a figure; each appears complete or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.files import atomic_folder, atomic_write, save_figure
from genoformer.tables import rounded, tsv_line
from genoformer.writers.parquet import ParquetRows
from genoformer.writers.track_figure import MAX_PANELS
from genoformer.writers.tracks import TrackOutput, is_folder_of, unique_names

TABLE = "maps.tsv"  # in a folder of contact maps: the region of each file
_PAIR = (
    ("chrom1", "string"),
    ("start1", "int64"),
    ("end1", "int64"),
    ("chrom2", "string"),
    ("start2", "int64"),
    ("end2", "int64"),
)
_JUNCTION = (("chrom", "string"), ("start", "int64"), ("end", "int64"), ("strand", "string"))
_GROUP = 65_536  # rows of a row group of Parquet


class ContactMap(NamedTuple):
    """Contacts of the bins of a region."""

    chrom: str
    start: int  # first base of the first bin
    bin_size: int
    values: NDArray[np.float32]  # [K, n, n]

    @property
    def starts(self) -> NDArray[np.int64]:
        """First base of each bin [n]."""
        return self.start + self.bin_size * np.arange(self.values.shape[-1], dtype=np.int64)

    def rows(self) -> Rows:
        """Return a row for each pair of bins, the first not behind the second, as `cooler load -f bg2` reads them."""
        first, second = np.triu_indices(self.values.shape[-1])
        a, b, size = self.starts[first].tolist(), self.starts[second].tolist(), self.bin_size
        places = [(self.chrom, x, x + size, self.chrom, y, y + size) for x, y in zip(a, b, strict=True)]
        return Rows(places, self.values[:, first, second].T)


class Junctions(NamedTuple):
    """Splice junctions of a region, sorted by place: introns [start, end), and the read count in each tissue."""

    chrom: str
    starts: NDArray[np.int64]  # [J]: first base of the intron, 0-based
    ends: NDArray[np.int64]  # [J]: base behind the intron
    strands: list[str]  # [J]
    values: NDArray[np.float32]  # [J, K]

    def rows(self) -> Rows:
        """Return a row for each junction."""
        places = [(self.chrom, *of) for of in zip(self.starts.tolist(), self.ends.tolist(), self.strands, strict=True)]
        return Rows(places, self.values)


class Rows(NamedTuple):
    """Places and their values [n, K]."""

    places: list[tuple[Any, ...]]
    values: NDArray[np.float32]


Pairs = ContactMap | Junctions
Sink = Callable[[Pairs], None]


class Layout(NamedTuple):
    """Columns before those of the tracks, and the formats of files."""

    columns: tuple[tuple[str, str], ...]  # name and type in Parquet
    sinks: Mapping[str, Callable[[TrackOutput], AbstractContextManager[Sink]]]


def track_names(tracks: Sequence[Any], columns: Iterable[tuple[str, str]]) -> list[str]:
    """Return the name of the column of each track: its identifier; equal ones get the number of the track."""
    return unique_names([track.identifier for track in tracks], tracks, [name for name, _ in columns])


def _text(columns: tuple[tuple[str, str], ...]) -> Callable[[TrackOutput], AbstractContextManager[Sink]]:
    @contextmanager
    def opened(output: TrackOutput) -> Iterator[Sink]:
        with atomic_write(output.path) as part, part.open("w", encoding="utf-8", newline="") as file:
            file.write(tsv_line([*(name for name, _ in columns), *track_names(output.tracks, columns)]) + "\n")

            def add(pairs: Pairs) -> None:
                rows = pairs.rows()
                for place, values in zip(rows.places, rows.values.tolist(), strict=True):
                    file.write(tsv_line([*map(str, place), *map(rounded, values)]) + "\n")

            yield add

    return opened


def _parquet(columns: tuple[tuple[str, str], ...]) -> Callable[[TrackOutput], AbstractContextManager[Sink]]:
    @contextmanager
    def opened(output: TrackOutput) -> Iterator[Sink]:
        names = track_names(output.tracks, columns)
        with atomic_write(output.path) as part, ParquetRows(part, columns, names, n_group=_GROUP, exact=True) as file:

            def add(pairs: Pairs) -> None:
                rows = pairs.rows()
                file.add(rows.places, rows.values)

            yield add

    return opened


def _only_region(output: TrackOutput, what: str) -> None:
    n = sum(map(len, output.intervals.values()))
    if n != 1:
        raise ConfigError(f"{output.path} holds one {what}, found {n:,} regions; give one with -r, or name a folder.")


def _write_map(path: Path, pairs: Pairs, output: TrackOutput) -> None:
    assert isinstance(pairs, ContactMap)
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            maps=pairs.values,
            chrom=np.array(pairs.chrom),
            starts=pairs.starts,
            bin_size=np.array(pairs.bin_size),
            tracks=np.array([track.identifier for track in output.tracks]),
        )


@contextmanager
def _one_map(output: TrackOutput) -> Iterator[Sink]:
    _only_region(output, "contact map")
    with atomic_write(output.path) as part:
        yield lambda pairs: _write_map(part, pairs, output)


@contextmanager
def _maps(output: TrackOutput) -> Iterator[Sink]:
    with atomic_folder(output.path, may_replace=partial(is_folder_of, TABLE) if output.force else None) as part:
        lines = [["file", "chrom", "start", "end"]]

        def add(pairs: Pairs) -> None:
            assert isinstance(pairs, ContactMap)
            starts = pairs.starts
            end = int(starts[-1]) + pairs.bin_size
            name = f"{pairs.chrom}_{int(starts[0])}_{end}.npz"
            _write_map(part / name, pairs, output)
            lines.append([name, pairs.chrom, str(int(starts[0])), str(end)])

        yield add
        (part / TABLE).write_text("".join(tsv_line(line) + "\n" for line in lines), encoding="utf-8")


@contextmanager
def _figure(output: TrackOutput) -> Iterator[Sink]:
    from matplotlib.figure import Figure

    from genoformer import plots

    _only_region(output, "contact map")
    if (n := len(output.tracks)) > MAX_PANELS:
        raise output.refused(f"selects {n:,}, but a figure shows up to {MAX_PANELS}; choose fewer.")
    maps: list[Pairs] = []
    yield maps.append
    (one,) = maps
    assert isinstance(one, ContactMap)
    n_columns = min(4, n)
    n_rows = -(-n // n_columns)
    figure = Figure(figsize=(3.6 * n_columns, 3.4 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel().tolist()
    edges = np.append(one.starts, one.starts[-1] + one.bin_size)
    for ax, track, values in zip(axes, output.tracks, one.values, strict=False):
        label = track.description or track.identifier
        plots.contact_map(ax, edges, values, label=label, chrom=one.chrom, unit="predicted contacts")
    for ax in axes[n:]:
        ax.set_visible(False)
    save_figure(figure, output.path)


CONTACT_LAYOUT = Layout(
    _PAIR, {".npz": _one_map, "": _maps, ".tsv": _text(_PAIR), ".parquet": _parquet(_PAIR), ".png": _figure}
)
JUNCTION_LAYOUT = Layout(_JUNCTION, {".tsv": _text(_JUNCTION), ".parquet": _parquet(_JUNCTION)})


def new_pair_sink(layout: Layout, output: TrackOutput) -> AbstractContextManager[Sink]:
    """Return a function that writes the pairs of a region, by suffix; the output appears when the block ends without an error.

    Raises ConfigError for regions or tracks that a format cannot hold, and for another suffix.
    """
    path = output.path
    kind = "" if path.is_dir() else path.suffix.lower()
    if kind not in layout.sinks:
        known = ", ".join(filter(None, layout.sinks))
        folder = ", or name a folder without suffix" if "" in layout.sinks else ""
        raise ConfigError(f"{path}: the suffix names no known format; end the name in {known}{folder}.")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"{path}: the folder {path.parent} does not exist; create it first.")
    if output.landmarks:
        raise ConfigError(f"{path}: genes and elements are drawn above figures of tracks; leave them out.")
    return layout.sinks[kind](output)
