"""Table of the tracks that a model learns or predicts: files, scaling, strand pairs, and names for track selection."""

from __future__ import annotations

import csv
import difflib
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field, fields, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genoformer.addresses import address_in
from genoformer.errors import ConfigError, FileFormatError
from genoformer.files import atomic_write, sha256_of
from genoformer.formats.text import numbered_lines
from genoformer.formats.track_strands import NONE, UNKNOWN, read_strand, strands_of
from genoformer.genome.bins import SUMMARIES, Values
from genoformer.genome.contigs import count_noun, join_names

_KIND = "a table of tracks (TSV with a column identifier)"
_SUMMARY_NAMES = {"avg": "mean", "avg_sqrt": "mean_sqrt"}  # other names that Basenji's tables use
_RANGE = re.compile(r"(\d+)-(\d+)")
_WORD = re.compile(r"\w{3,}")


@dataclass(frozen=True)
class Track:
    """Row of the track table.

    index: row number from 0, and position of the track in the model's output. file: "" if unknown. clip and clip_soft: None
    for no clipping. sum_stat: a key of `bins.SUMMARIES`. strand_pair: index of the same measurement on the other strand, or
    the track's own index if there is none. group: kind of assay, such as CAGE. column: "signal" reads the signal of a peak
    file instead of 1 (`tracks.open_track`). strand: +, -, "." for an unstranded track, or "" (`track_strands.strands_of`).
    """

    index: int
    identifier: str
    file: str = ""
    clip: float | None = None
    clip_soft: float | None = None
    scale: float = 1.0
    sum_stat: str = "mean"
    strand_pair: int = 0
    description: str = ""
    group: str = ""
    column: str = ""
    strand: str = ""


def scaled(track: Track, bins: Values) -> Values:
    """Scale summarised bins to training targets, float32: soft clipping above clip_soft, clipping, then scaling, in this order.

    x > c = clip_soft becomes c - 1 + sqrt(x - c + 1), which is continuous at c; then x is clipped to -clip .. clip; then it
    is multiplied by scale. Basenji and Enformer use this order. Calico's later pipeline (baskerville, Borzoi) first scales
    the values per base; the result is the same if scale is 1.

    >>> scaled(Track(0, "a", clip=12, clip_soft=4, scale=2), np.array([1, 4, 12, 900], dtype=np.float32)).tolist()
    [2.0, 8.0, 12.0, 24.0]
    """
    out = bins.astype(np.float64)
    if track.clip_soft is not None:
        excess = np.maximum(out - track.clip_soft, 0)
        out = np.where(excess > 0, track.clip_soft - 1 + np.sqrt(excess + 1), out)
    if track.clip is not None:
        out = np.clip(out, -track.clip, track.clip)
    return (out * track.scale).astype(np.float32)


@dataclass(frozen=True)
class TrackTable:
    """Tracks in the order of a model's output, index 0, 1, ...; sha256: that of the file they were read from, "" for none."""

    tracks: tuple[Track, ...]
    sha256: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        n = len(self.tracks)
        if not n:
            raise ConfigError("a table of tracks has no tracks; give at least one.")
        for i, track in enumerate(self.tracks):
            if track.index != i:
                raise ConfigError(f"track {track.identifier} has index {track.index} at place {i}; number tracks in order.")
            partner = track.strand_pair
            if not 0 <= partner < n or self.tracks[partner].strand_pair != i:
                back = f", whose own is {self.tracks[partner].strand_pair}" if 0 <= partner < n else ", which is none"
                raise ConfigError(
                    f"track {i} ({track.identifier}) has strand_pair {partner}{back}; "
                    "two strands of one measurement name each other, an unstranded track itself."
                )
            if partner != i and track.strand in ("+", "-") and track.strand == self.tracks[partner].strand:
                raise ConfigError(
                    f"tracks {track.identifier} and {self.tracks[partner].identifier} are a strand pair, and both have the "
                    f"strand {track.strand}; correct strand or strand_pair."
                )

    def __len__(self) -> int:
        return len(self.tracks)

    def __iter__(self) -> Iterator[Track]:
        return iter(self.tracks)

    def __getitem__(self, index: int) -> Track:
        return self.tracks[index]

    @cached_property
    def strand_pairs(self) -> NDArray[np.int64]:
        """Index of each track's pair on the other strand, [K]: `tracks[:, strand_pairs, ::-1]` is the view of that strand."""
        return np.array([track.strand_pair for track in self.tracks], dtype=np.int64)

    @cached_property
    def strands(self) -> NDArray[np.str_]:
        """Strand of each track, [K]: + or -, "." for unstranded tracks and unknown strands (`track_strands.strands_of`)."""
        return np.array([NONE if strand == UNKNOWN else strand for strand in strands_of(self.tracks)])

    @cached_property
    def unknown_strands(self) -> NDArray[np.bool_]:
        """True for the tracks of strand pairs whose strands are not known, [K]."""
        return np.array(strands_of(self.tracks)) == UNKNOWN

    @cached_property
    def groups(self) -> dict[str, list[int]]:
        """Group -> indices of its tracks, ordered by the first track of each group."""
        groups: dict[str, list[int]] = {}
        for track in self.tracks:
            groups.setdefault(track.group, []).append(track.index)
        return groups

    def choose(self, spec: str | Sequence[int]) -> list[int]:
        """Return the indices of the tracks that a text or a list of numbers selects, each once, in this order.

        Commas separate the parts. A part is a number from 0 (`5`); an inclusive range (`0-10`, eleven tracks); an identifier,
        description or group, case-insensitive; or a pattern for one of these with * ? [...] (`*liver*`). A name may hold commas
        if it is the whole text.

        Raises: ConfigError for a part that selects no track, with the nearest names.

        >>> cage = [Track(i, f"CNhs{i}", strand_pair=i, description=f"CAGE:{name}") for i, name in enumerate(("liver", "K562"))]
        >>> TrackTable(tuple(cage)).choose("*k562, 0-1")
        [1, 0]
        """
        if not isinstance(spec, str):
            return list(dict.fromkeys(map(self._numbered, spec)))
        by_name = self._named(spec.strip())
        if by_name:
            return by_name
        parts = [part.strip() for part in spec.split(",") if part.strip()]
        if not parts:
            raise ConfigError("no tracks are named; give numbers, names or patterns such as CAGE:*liver*.")
        return list(dict.fromkeys(index for part in parts for index in self._chosen(part)))

    def subset(self, spec: str | Sequence[int]) -> TrackTable:
        """Return the table of the tracks that a text or numbers select (see `choose`), renumbered from 0; strand pairs follow.

        Raises: ConfigError as `choose`, and for a track whose partner on the other strand is left out.

        >>> table = TrackTable(tuple(Track(i, name, strand_pair=i) for i, name in enumerate(("dnase", "h3k27ac", "cage"))))
        >>> [(track.index, track.identifier) for track in table.subset("cage,dnase")]
        [(0, 'cage'), (1, 'dnase')]
        """
        chosen = [self.tracks[number] for number in self.choose(spec)]
        place = {track.index: i for i, track in enumerate(chosen)}
        for track in chosen:
            if track.strand_pair not in place:
                partner = self.tracks[track.strand_pair].identifier
                raise ConfigError(
                    f"track {track.identifier} is selected, but not {partner}, the same measurement on the other strand; "
                    "select both."
                )
        return TrackTable(tuple(replace(t, index=place[t.index], strand_pair=place[t.strand_pair]) for t in chosen))

    def _numbered(self, number: int) -> int:
        if not 0 <= number < len(self):
            raise ConfigError(f"track {number} is requested, but tracks are numbered 0 to {len(self) - 1:,}; give one of them.")
        return int(number)

    def _chosen(self, part: str) -> list[int]:
        span = (part, part) if part.isdecimal() else match.groups() if (match := _RANGE.fullmatch(part)) else None
        if span is not None:
            first, last = int(span[0]), int(span[1])
            if first > last:
                raise ConfigError(f"tracks {part} end before they begin; give {last}-{first}.")
            if last >= len(self):
                raise ConfigError(f"tracks {part} are requested, but tracks are numbered 0 to {len(self) - 1:,}.")
            return list(range(first, last + 1))
        if exact := self._named(part):
            return exact
        pattern = part.lower()
        matched = [i for i, names in enumerate(self._names) if any(fnmatchcase(name, pattern) for name in names)]
        if not matched:
            raise ConfigError(f"no track is named {part!r}; {self._advice(pattern)}")
        return matched

    def _named(self, text: str) -> list[int]:
        name = text.lower()
        return [i for i, names in enumerate(self._names) if name in names]

    @cached_property
    def _names(self) -> list[tuple[str, ...]]:
        """Names that select each track."""
        return [
            tuple(dict.fromkeys(name.lower() for name in (track.identifier, track.description, track.group) if name))
            for track in self.tracks
        ]

    def _advice(self, text: str) -> str:
        inside = [i for i, names in enumerate(self._names) if any(text in name for name in names)]
        if inside and not set(text) & set("*?["):
            return f"it is part of the name of {count_noun(inside, 'track')}; give '*{text}*'."
        written = (name for track in self.tracks for name in (track.identifier, track.description, track.group))
        known = {name.lower(): name for name in written}
        shown = [known[name] for name in difflib.get_close_matches(text, known, n=3)]
        if not shown:
            words = dict.fromkeys(word for name in known for word in _WORD.findall(name))
            shown = [f"*{word}*" for word in difflib.get_close_matches(text.strip("*"), words, n=3)]
        if shown:
            return f"close to it are {', '.join(map(repr, shown))}."
        return (
            f"the groups are {join_names(self.groups)}." if self.groups else "the tracks are only numbered; give their table."
        )

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the table as TSV, which `read_targets` reads; files have absolute paths."""
        with atomic_write(Path(path)) as part, part.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
            table.writerow(column.name for column in fields(Track))
            table.writerows([_text(value) for value in astuple(track)] for track in self.tracks)


def on_strand(strands: NDArray[np.str_], strand: str) -> NDArray[np.bool_]:
    """Return True for the tracks that measure a gene of a strand: those of its strand, and unstranded ones.

    A gene without strand has all tracks.
    """
    return np.isin(strands, (strand, ".")) if strand in ("+", "-") else np.ones(len(strands), dtype=np.bool_)


def open_targets(targets: str | os.PathLike[str] | TrackTable | None) -> TrackTable | None:
    """Return a table of tracks, read from its path; a table and None are returned as they are."""
    return read_targets(targets) if isinstance(targets, str | os.PathLike) else targets


def read_targets(path: str | os.PathLike[str]) -> TrackTable:
    """Read a table of tracks in the format of Basenji, Enformer or genoformer: tab-separated with a header, plain or gzipped.

    Columns, in any order; only identifier is required: index (may be unnamed; distinct whole numbers, for example those of
    Enformer's mouse table, which begin at 5,313; tracks are numbered by row), identifier, file (relative to the table's
    folder), clip, clip_soft, scale, sum_stat, strand_pair (an index of this table), description, group (default: the part of
    the description before its first colon), column, strand. Other columns are ignored.

    Raises: MissingFileError; FileFormatError with the line; ConfigError for strand pairs that do not name each other.
    """
    path = Path(path)
    lines = numbered_lines(path, _KIND)
    number, head = next(((at, text) for at, text in lines if text.strip()), (0, ""))
    columns = [name.strip().lower() or "index" for name in head.split("\t")]
    if "identifier" not in columns or len(set(columns)) < len(columns):
        raise FileFormatError(f"{path}, line {number}: the header is {head[:80]!r}; give {_KIND}, each column once.")
    rows: list[tuple[int, dict[str, str]]] = []
    for number, line in lines:
        if not line.strip():
            continue
        texts = line.split("\t")
        if len(texts) != len(columns):
            raise FileFormatError(
                f"{path}, line {number}: {len(texts)} fields, the header has {len(columns)}; correct the line."
            )
        rows.append((number, dict(zip(columns, (text.strip() for text in texts), strict=True))))
    if not rows:
        raise FileFormatError(f"{path} has no tracks; give {_KIND} with some.")
    places = _places(path, rows)
    return TrackTable(tuple(_track(path, at, i, row, places) for i, (at, row) in enumerate(rows)), sha256_of(path))


def _places(path: Path, rows: Sequence[tuple[int, dict[str, str]]]) -> dict[str, int]:
    """Return index as written -> row."""
    places: dict[str, int] = {}
    for i, (number, row) in enumerate(rows):
        index = row.get("index") or str(i)
        if not index.isdecimal() or len(index) > 18 or str(int(index)) in places:
            raise FileFormatError(f"{path}, line {number}: the index is {index!r}; give each track another whole number.")
        places[str(int(index))] = i
    return places


def _track(path: Path, number: int, i: int, row: dict[str, str], places: dict[str, int]) -> Track:
    where = f"{path}, line {number}"
    identifier, file, description = (row.get(name, "") for name in ("identifier", "file", "description"))
    if not identifier:
        raise FileFormatError(f"{where}: the identifier is empty; name the track.")
    sum_stat = row.get("sum_stat") or "mean"
    sum_stat = _SUMMARY_NAMES.get(sum_stat, sum_stat)
    if sum_stat not in SUMMARIES:
        raise FileFormatError(f"{where}: sum_stat is {sum_stat!r}; it may be {', '.join(SUMMARIES)}.")
    pair = row.get("strand_pair", "")
    if pair and pair not in places:
        raise FileFormatError(f"{where}: strand_pair is {pair!r}, which is the index of no track; give that of its partner.")
    if row.get("column", "") not in ("", "signal"):
        raise FileFormatError(f"{where}: column is {row['column']!r}; leave it empty, or give signal for a peak file.")
    clip, clip_soft, scale = (_number(row.get(name, ""), name, where) for name in ("clip", "clip_soft", "scale"))
    return Track(
        index=i,
        identifier=identifier,
        file=str(path.parent.absolute() / file) if file and address_in(file) is None else file,
        clip=clip,
        clip_soft=clip_soft,
        scale=1.0 if scale is None else scale,
        sum_stat=sum_stat,
        strand_pair=places[pair] if pair else i,
        description=description,
        group=row.get("group") or description.partition(":")[0] * (":" in description),
        column=row.get("column", ""),
        strand=read_strand(row.get("strand", ""), where),
    )


def _number(text: str, name: str, where: str) -> float | None:
    if not text or text.lower() in ("nan", "na", "none"):  # pandas writes missing values this way
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise FileFormatError(f"{where}: {name} is {text!r}; give a number above 0, or nothing.")
    return value


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
