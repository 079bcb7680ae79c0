"""Windows of DNA with their tracks as memory-mapped arrays in a folder: write a set row by row, and read it back."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from genoformer import __version__
from genoformer.datasets.request import MANIFEST, SPLITS
from genoformer.errors import ConfigError, FileFormatError, MissingFileError
from genoformer.files import check_overwrite, resolve_link, sha256_of
from genoformer.formats.track_table import TrackTable, read_targets
from genoformer.genome.codes import Codes, N
from genoformer.temporary_paths import remove_abandoned, temporary_path

KIND = "track windows"
WINDOWS, SEQUENCE, TRACKS, TARGETS = "windows.tsv", "sequence.npy", "tracks.npy", "targets.tsv"

# float16, as for Basenji's targets: half the size of float32, and its relative error of at most 1/2048 is far below the noise
# of a measurement. Values above 65,504 are refused; the caller should note values below 6e-5, which lose precision.
DTYPE = np.dtype(np.float16)
SMALLEST, _MOST = float(np.finfo(DTYPE).smallest_normal), float(np.finfo(DTYPE).max)


class Window(NamedTuple):
    """Bases [start, end) of a contig, all of them input, with the targets in the middle. split is one of SPLITS."""

    chrom: str
    start: int
    end: int
    split: str


@dataclass(frozen=True, eq=False)
class TrackSet:
    """Windows with sequence and tracks; the arrays are memory maps, which other processes open again.

    sequence: uint8 codes [W, L]. tracks: float16 [W, K, N], in bins of `bin_size` bases, for the middle N bins of the window:
    bin j of window w begins at base windows[w].start + (first_bin + j) * bin_size. targets: table of the K tracks.
    """

    folder: Path
    sequence: Codes
    tracks: NDArray[np.float16]
    windows: tuple[Window, ...]
    targets: TrackTable
    bin_size: int
    manifest: dict[str, Any]

    def __len__(self) -> int:
        return len(self.windows)

    def __repr__(self) -> str:
        return f"TrackSet({self.folder}: {len(self):,} windows of {self.length:,} bases, {len(self.targets):,} tracks)"

    def __reduce__(self) -> Any:
        return read_tracks, (self.folder,)  # a pickled memory map would contain all its data

    @property
    def length(self) -> int:
        """L, number of bases in a window."""
        return int(self.sequence.shape[1])

    @property
    def n_bins(self) -> int:
        """N, number of bins with targets."""
        return int(self.tracks.shape[2])

    @property
    def first_bin(self) -> int:
        """Index of the first bin of the window with targets, from 0."""
        return first_bin(self.length, self.n_bins, self.bin_size)

    def rows(self, split: str) -> NDArray[np.int64]:
        """Return the indices of the windows of a split, [n], in order; ConfigError if there is no such split."""
        if split not in SPLITS:
            raise ConfigError(f"split {split!r} is unknown; the splits are {', '.join(SPLITS)}.")
        return np.array([i for i, window in enumerate(self.windows) if window.split == split], dtype=np.int64)


def first_bin(length: int, n_bins: int, bin_size: int) -> int:
    """Return the first of the middle `n_bins` bins of a window; an odd remainder is larger after them, as in Enformer."""
    return (length // bin_size - n_bins) // 2


# --- writing


class TrackSetWriter:
    """Writer of the rows of a set, in any order; each part of the arrays is written once."""

    def __init__(self, folder: Path, windows: Sequence[Window], targets: TrackTable, n_bins: int, bin_size: int) -> None:
        self.windows, self.targets = tuple(windows), targets
        self.length = self.windows[0].end - self.windows[0].start
        self.bin_size, self.n_bins = bin_size, n_bins
        self.manifest: dict[str, Any] = {}
        self.largest = np.zeros(len(targets))  # largest absolute value of each track so far
        self._sequence = _Array(folder / SEQUENCE, np.uint8, (len(windows), self.length))
        self._tracks = _Array(folder / TRACKS, DTYPE, (len(windows), len(targets), n_bins))
        self._folder = folder

    def put_sequence(self, row: int, codes: Codes) -> None:
        """Write the codes [L] of a window."""
        if codes.shape != (self.length,) or codes.dtype != np.uint8 or codes.max(initial=0) > N:
            raise ValueError(f"window {row}: {codes.dtype} {codes.shape}; give uint8 codes from 0 to {N}, ({self.length},).")
        self._sequence.put(row * self.length, codes)

    def put_tracks(self, row: int, values: ArrayLike, first: int = 0) -> None:
        """Write the values [k, N] of a window, for the tracks from `first` on.

        Raises: ConfigError for values that float16 cannot represent.
        """
        rows = np.asarray(values)
        n = len(self.targets)
        if rows.ndim != 2 or rows.shape[1] != self.n_bins or first + len(rows) > n:
            raise ValueError(f"window {row}: tracks {rows.shape} from {first} on; give at most {n} of {self.n_bins} bins.")
        most = np.abs(rows).max(axis=1, initial=0)  # [k]
        if wrong := np.flatnonzero(~(most <= _MOST)).tolist():  # NaN too
            raise ConfigError(
                f"track {self.targets[first + wrong[0]].identifier} reaches {most[wrong[0]]:g} in {_name(self.windows[row])}, "
                f"but float16 holds numbers up to {_MOST:,.0f}; give it a clip or a smaller scale."
            )
        selected = slice(first, first + len(rows))
        self.largest[selected] = np.maximum(self.largest[selected], most)
        self._tracks.put((row * n + first) * self.n_bins, rows)

    def finish(self) -> None:
        """Write the tables, and the manifest last."""
        for array in (self._sequence, self._tracks):
            array.close()
        with (self._folder / WINDOWS).open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, delimiter="\t", lineterminator="\n")
            table.writerow(Window._fields)
            table.writerows(self.windows)
        self.targets.write(self._folder / TARGETS)
        splits = [window.split for window in self.windows]
        content = {
            "genoformer": __version__,
            "kind": KIND,
            "n_windows": len(self.windows),
            "length": self.length,
            "n_tracks": len(self.targets),
            "n_bins": self.n_bins,
            "bin_size": self.bin_size,
            "counts": {split: splits.count(split) for split in SPLITS},
            "contigs": {
                split: list(dict.fromkeys(window.chrom for window in self.windows if window.split == split)) for split in SPLITS
            },
            **self.manifest,
            "files": {name: sha256_of(self._folder / name) for name in (WINDOWS, SEQUENCE, TRACKS, TARGETS)},
        }
        (self._folder / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def close(self) -> None:
        for array in (self._sequence, self._tracks):
            array.close()


class _Array:
    """An .npy file written piece by piece, because a memory map would kill the process on a full disk."""

    def __init__(self, path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> None:
        self.path, self.dtype, self.n_missing = path, np.dtype(dtype), math.prod(shape)
        self._file = path.open("wb")
        np.lib.format.write_array_header_1_0(
            self._file, {"descr": self.dtype.newbyteorder("<").str, "fortran_order": False, "shape": shape}
        )
        self._begin = self._file.tell()

    def put(self, place: int, values: NDArray[Any]) -> None:
        self._file.seek(self._begin + place * self.dtype.itemsize)
        self._file.write(np.ascontiguousarray(values, dtype=self.dtype.newbyteorder("<")).tobytes())
        self.n_missing -= values.size

    def close(self) -> None:
        self._file.close()


@contextmanager
def new_track_set(
    out: str | os.PathLike[str], windows: Sequence[Window], targets: TrackTable, *, n_bins: int, bin_size: int
) -> Iterator[TrackSetWriter]:
    """Yield a writer of a set for `out`.

    The set replaces an earlier one in `out` when the block ends without an error and every row was written.

    Raises: ConfigError for windows of different lengths, too many bins, or a folder with other content.
    """
    out = Path(out)
    if (out / MANIFEST).exists() and _manifest(out).get("kind") != KIND:
        raise ConfigError(f"{out} holds data of another kind; give another folder.")
    check_overwrite(
        out, (WINDOWS, SEQUENCE, TRACKS, TARGETS, MANIFEST), MANIFEST, lambda manifest: manifest.get("kind") == KIND
    )
    _check(windows, n_bins, bin_size)
    out = resolve_link(out)
    remove_abandoned(out)
    part = temporary_path(out)
    part.mkdir(parents=True)
    try:
        writer = TrackSetWriter(part, windows, targets, n_bins, bin_size)
        try:
            yield writer
            if writer._sequence.n_missing or writer._tracks.n_missing:
                raise ValueError(f"{out}: some of {len(windows):,} windows are missing or written twice; write each once.")
            writer.finish()
        finally:
            writer.close()
        out.mkdir(parents=True, exist_ok=True)
        (out / MANIFEST).unlink(missing_ok=True)  # a folder with a manifest is complete
        for name in (WINDOWS, SEQUENCE, TRACKS, TARGETS, MANIFEST):
            (part / name).replace(out / name)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_track_set(
    out: str | os.PathLike[str],
    sequences: Iterable[Codes],
    tracks: Iterable[ArrayLike],
    windows: Sequence[Window],
    targets: TrackTable,
    bin_size: int,
    manifest: Mapping[str, Any] | None = None,
) -> None:
    """Write a set from arrays: codes [L] and values [K, N] of each window, streamed, without scaling.

    manifest: additional entries such as inputs with their sha256, and notes. Raises ConfigError, ValueError; then nothing is
    written.
    """
    rows = zip(sequences, tracks, strict=True)
    first = next(rows, None)
    if first is None:
        raise ValueError(f"{out}: there are no windows with sequence and tracks; give some.")
    with new_track_set(out, windows, targets, n_bins=np.shape(first[1])[-1], bin_size=bin_size) as writer:
        writer.manifest |= manifest or {}
        for i, (codes, values) in enumerate(chain([first], rows)):
            if i == len(windows):
                raise ValueError(f"{out}: there are more sequences than the {len(windows):,} windows; give one for each.")
            writer.put_sequence(i, codes)
            writer.put_tracks(i, values)


def _check(windows: Sequence[Window], n_bins: int, bin_size: int) -> None:
    if not windows:
        raise ConfigError("there are no windows; give at least one.")
    length = windows[0].end - windows[0].start
    for window in windows:
        if window.end - window.start != length or window.split not in SPLITS:
            raise ConfigError(
                f"{_name(window)}, {window.split}: windows are of one length ({length:,}) and of {', '.join(SPLITS)}."
            )
    if bin_size < 1 or length % bin_size or not 1 <= n_bins <= length // bin_size:
        raise ConfigError(
            f"{n_bins:,} bins of {bin_size} bases in windows of {length:,}: windows are whole numbers of bins, of which "
            "targets have at least one and at most all."
        )


def _name(window: Window) -> str:
    return f"{window.chrom}:{window.start}-{window.end}"


# --- reading


def read_tracks(folder: str | os.PathLike[str]) -> TrackSet:
    """Open the set of windows that `genoformer.data.tracks` wrote to a folder; its arrays are memory maps.

    Raises: MissingFileError if it is incomplete; FileFormatError if a file does not match the manifest.
    >>> import tempfile
    >>> from genoformer.formats.track_table import Track
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     one, window = TrackTable((Track(0, "dnase"),)), Window("chr1", 0, 64, "train")
    ...     write_track_set(Path(folder, "set"), [np.zeros(64, np.uint8)], [np.ones((1, 2))], [window], one, bin_size=32)
    ...     data = read_tracks(Path(folder, "set"))
    ...     len(data), data.rows("train").tolist(), data.tracks.shape
    (1, [0], (1, 1, 2))
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        raise MissingFileError(f"{folder} has no {MANIFEST}; give a folder that genoformer data tracks has finished.")
    manifest = _manifest(folder)
    names = ("n_windows", "length", "n_tracks", "n_bins", "bin_size")
    if manifest.get("kind") != KIND or not all(isinstance(manifest.get(name), int) for name in names):
        raise FileFormatError(f"{folder} holds {manifest.get('kind', 'something else')}, no {KIND}; give a set of tracks.")
    n_windows, length, n_tracks, n_bins, bin_size = (manifest[name] for name in names)
    sequence = _mapped(folder / SEQUENCE, np.dtype(np.uint8), (n_windows, length))
    tracks = _mapped(folder / TRACKS, DTYPE, (n_windows, n_tracks, n_bins))
    targets = read_targets(folder / TARGETS)
    windows = tuple(_windows(folder / WINDOWS))
    for name, n, expected in ((TARGETS, len(targets), n_tracks), (WINDOWS, len(windows), n_windows)):
        if n != expected:
            raise FileFormatError(
                f"{folder / name} has not {expected:,} rows, as the manifest says, but {n:,}; build the set again."
            )
    try:
        _check(windows, n_bins, bin_size)
        if windows[0].end - windows[0].start != length:
            raise ConfigError(f"windows have {windows[0].end - windows[0].start:,} bases, but the manifest says {length:,}.")
    except ConfigError as error:
        raise FileFormatError(f"{folder / WINDOWS}: {error}") from error
    return TrackSet(folder, sequence, tracks, windows, targets, bin_size, manifest)


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{folder / MANIFEST} cannot be read ({error}); build the set again.") from error
    return manifest if isinstance(manifest, dict) else {}


def _mapped(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise MissingFileError(f"{path} does not exist; build the set again.") from None
    except (OSError, ValueError, EOFError) as error:
        raise FileFormatError(f"{path} is damaged ({error}); build the set again.") from error
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != dtype:
        has = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else "no array"
        raise FileFormatError(f"{path} holds {has}, but the manifest says {dtype} {shape}; build the set again.")
    return array


def _windows(path: Path) -> Iterator[Window]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, delimiter="\t")
            if tuple(next(rows, ())) != Window._fields:
                raise ValueError(f"its header is not {' '.join(Window._fields)}")
            for chrom, start, end, split in rows:
                yield Window(chrom, int(start), int(end), split)
    except FileNotFoundError:
        raise MissingFileError(f"{path} does not exist; build the set again.") from None
    except (OSError, ValueError, csv.Error) as error:
        raise FileFormatError(f"{path} is damaged ({error}); build the set again.") from error
