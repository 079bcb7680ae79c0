"""BED, narrowPeak and broadPeak -> regions and sorted intervals; what overlaps what; 0-based half-open, as these files are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError, ContigError, FileFormatError
from genoformer.genome.codes import N
from genoformer.genome.contigs import ContigMap, listed
from genoformer.genome.lines import numbered_lines
from genoformer.genome.reference import Genome

Intervals = NDArray[np.int64]  # [n, 2], sorted, start < end

_KIND = "a BED or narrowPeak file"
_N_NARROW = 10  # columns of narrowPeak; plain BED has 3 to 9 or 12
_STARTS, _ENDS = ("start", "chromstart"), ("end", "chromend", "stop")  # in a line of column names
DIGITS = 18  # of START and END, which are 64-bit
_SUFFIXES = re.compile(r"(\.(gz|bgz|bed\d*|narrowpeak|broadpeak|txt|merged))+$", re.IGNORECASE)
_SCAN = 1 << 20  # bases read at a time while looking for N


class Region(NamedTuple):
    """A row of a BED-like file: [start, end) of a contig; name and score as written, "" where there is none.

    strand is "+", "-" or "."; summit is a position on the contig, None where the file has none; line is for errors.
    """

    chrom: str
    start: int
    end: int
    name: str = ""
    score: str = ""
    strand: str = "."
    summit: int | None = None
    line: int = 0


# --- files


def named_file(given: str | os.PathLike[str]) -> tuple[str, Path]:
    """NAME=FILE, or FILE: the name of a file is its own without suffixes such as .bed.gz, in the letters that VCF allows.

    >>> named_file("CTCF=peaks/a.bed")[0], named_file("peaks/K562.CTCF.narrowPeak.gz")[0]
    ('CTCF', 'K562.CTCF')
    """
    name, sign, file = os.fspath(given).partition("=")
    if sign:
        return name, Path(file)
    stem = re.sub(r"[^0-9A-Za-z_.]", "_", _SUFFIXES.sub("", Path(name).name))
    return (stem if re.match(r"[A-Za-z_]", stem) else f"_{stem}"), Path(name)


def read_bed(path: str | os.PathLike[str]) -> dict[str, Intervals]:
    """Intervals [n, 2] of each contig of a BED, narrowPeak or broadPeak file, plain or gzipped, sorted.

    Lines that begin with #, track or browser are comments. Raises FileFormatError with the line number.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    for _, fields, start, end in bed_rows(Path(path)):
        found.setdefault(fields[0], []).append((start, end))
    return {contig: np.array(sorted(rows), dtype=np.int64) for contig, rows in found.items()}


def read_regions(path: str | os.PathLike[str], *, zero_length: bool = False) -> Iterator[Region]:
    """Rows of a BED, narrowPeak or broadPeak file, plain or gzipped, in the order of the file; streamed.

    A file is narrowPeak if its name says so, or if its first row has ten columns of which the last four are numbers; its
    rows then have a summit, unless column 10 is -1. A "." in the name and score columns is nothing.

    zero_length: rows whose END is their START, a place between two bases, are allowed.

    Raises: MissingFileError; FileFormatError with the line number.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     peaks = pathlib.Path(folder, "a.narrowPeak")
    ...     _ = peaks.write_text("chr1\\t100\\t200\\tpeak1\\t900\\t.\\t7.1\\t-1\\t3.2\\t30\\n")
    ...     next(read_regions(peaks))
    Region(chrom='chr1', start=100, end=200, name='peak1', score='900', strand='.', summit=130, line=1)
    """
    path = Path(path)
    narrow = "narrowpeak" in [suffix[1:].lower() for suffix in path.suffixes]
    first = True
    for number, fields, start, end in bed_rows(path, zero_length=zero_length):
        where = f"{path}, line {number}"
        if first and not narrow:
            narrow = len(fields) == _N_NARROW and all(map(_is_number, fields[6:]))
        first = False
        strand = fields[5] if len(fields) > 5 else "."
        if strand not in ("+", "-", "."):
            raise FileFormatError(f"{where}: the strand, column 6, is {strand!r}, but should be +, - or .; mend the line.")
        summit = None
        if narrow:
            if len(fields) != _N_NARROW:
                raise FileFormatError(f"{where}: narrowPeak has {_N_NARROW} columns, this line {len(fields)}; mend the line.")
            known = fields[9].removeprefix("-").isdecimal() and len(fields[9]) <= DIGITS
            offset = int(fields[9]) if known else -2
            if not -1 <= offset <= end - start:  # ENCODE's files have some summits at the end itself
                raise FileFormatError(
                    f"{where}: the summit, column 10, is {fields[9][:24]!r}, but should be from 0 to {end - start}, "
                    "or -1 for none; mend the line."
                )
            summit = start + offset if offset >= 0 else None
        name, score = (field if field != "." else "" for field in (*fields[3:5], "", "")[:2])
        yield Region(fields[0], start, end, name, score, strand, summit, number)


def bed_rows(path: Path, *, zero_length: bool = False) -> Iterator[tuple[int, list[str], int, int]]:
    """(line number, fields, start, end) of each row of a BED-like file; streamed. A first line of column names is left out."""
    first = True
    for number, line in numbered_lines(path, _KIND):
        if line.startswith(("#", "track", "browser")) or not line.strip():
            continue
        fields = line.split("\t")
        if first and len(fields) > 2 and fields[1].lower() in _STARTS and fields[2].lower() in _ENDS:
            continue
        first = False
        if len(fields) < 3 or not all(text.isdecimal() and len(text) <= DIGITS for text in fields[1:3]):
            raise FileFormatError(f"{path}, line {number}: {_why_no_row(line, fields)}; mend the line.")
        start, end = int(fields[1]), int(fields[2])
        if end < start or (end == start and not zero_length):
            raise FileFormatError(f"{path}, line {number}: END {end} is not after START {start}; mend the line.")
        yield number, fields, start, end


def _why_no_row(line: str, fields: list[str]) -> str:
    """What is wrong with a line that is no row of a BED."""
    if len(fields) < 3:
        blanks = ", and blanks between words" if len(line.split()) > 2 else ""
        return f"{len(fields)} tab-separated columns{blanks}, but BED has CHROM START END, tab-separated"
    start, end = fields[1][:24], fields[2][:24]
    return f"START {start!r} and END {end!r}, but BED has whole numbers from 0 on, tab-separated: CHROM START END"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# --- intervals of one contig


def merge(intervals: Intervals) -> Intervals:
    """What the intervals [n, 2] cover, as intervals that neither overlap nor touch.

    >>> merge(np.array([[0, 5], [3, 8], [8, 9], [20, 30]])).tolist()
    [[0, 9], [20, 30]]
    """
    return subtract(intervals, np.empty((0, 2), dtype=np.int64))


def subtract(intervals: Intervals, holes: Intervals) -> Intervals:
    """What the intervals [n, 2] cover and the holes [m, 2] do not, merged; neither needs to be sorted.

    >>> subtract(np.array([[0, 10], [20, 30]]), np.array([[8, 22], [25, 26]])).tolist()
    [[0, 8], [22, 25], [26, 30]]
    """
    if not len(intervals):
        return np.empty((0, 2), dtype=np.int64)
    edges = np.concatenate([intervals.reshape(-1), holes.reshape(-1)]).astype(np.int64)
    step = np.tile(np.array([1, -1]), len(edges) // 2)
    covered = np.where(np.arange(len(edges)) < intervals.size, step, 0)
    hidden = step - covered
    order = np.argsort(edges, kind="stable")
    places, last = np.unique(edges[order], return_index=True)
    last = np.append(last[1:], len(edges)) - 1  # of the edges at one place, the last one knows what follows
    kept = np.concatenate([[False], (np.cumsum(covered[order])[last] > 0) & (np.cumsum(hidden[order])[last] == 0)])
    change = np.diff(kept.astype(np.int8))  # 1 where a kept stretch begins, -1 where it ends
    return np.stack([places[change == 1], places[change == -1]], axis=1)


def within(intervals: Intervals, start: int, end: int) -> Intervals:
    """What of intervals [n, 2] that are sorted and do not overlap lies in [start, end), cut to it.

    >>> within(np.array([[0, 5], [8, 12], [20, 30]]), 3, 9).tolist()
    [[3, 5], [8, 9]]
    """
    low = np.searchsorted(intervals[:, 1], start, side="right")
    high = np.searchsorted(intervals[:, 0], end, side="left")
    return intervals[low:high].clip(start, end)


def n_overlaps(queries: Intervals, intervals: Intervals) -> NDArray[np.int64]:
    """How many of the intervals [m, 2] each query [n, 2] shares a base with, [n]; neither needs to be sorted.

    >>> n_overlaps(np.array([[0, 5], [5, 6]]), np.array([[1, 2], [4, 9], [6, 7]])).tolist()
    [2, 1]
    """
    begun = np.searchsorted(np.sort(intervals[:, 0]), queries[:, 1], side="left")
    ended = np.searchsorted(np.sort(intervals[:, 1]), queries[:, 0], side="right")
    return (begun - ended).astype(np.int64)


# --- where windows may lie


def runs_of_bases(genome: Genome, chrom: str, gap: int = 0) -> Intervals:
    """The stretches of a contig that hold bases, [n, 2]; N-runs of at most `gap` bases do not end one."""
    length = genome.contigs[chrom]
    edges = [np.zeros(0, dtype=np.int64)]
    before = False
    for start in range(0, length, _SCAN):
        called = genome.window(chrom, start, min(_SCAN, length - start)) < N
        if called[0] != before:
            edges.append(np.array([start]))
        edges.append(start + 1 + np.flatnonzero(called[1:] != called[:-1]))
        before = bool(called[-1])
    if before:
        edges.append(np.array([length]))
    runs = np.concatenate(edges).reshape(-1, 2)
    far = runs[1:, 0] - runs[:-1, 1] > gap
    return np.stack([runs[np.append(True, far)[: len(runs)], 0], runs[np.append(far, True)[: len(runs)], 1]], axis=1)


def on_reference(found: Mapping[str, Intervals], genome: Genome) -> dict[str, Intervals]:
    """Intervals under the names that a genome gives its contigs; those of contigs that it lacks are left out."""
    names = ContigMap(found, genome.contigs)
    parts: dict[str, list[Intervals]] = {}
    for chrom, intervals in found.items():
        if here := names.get(chrom):
            parts.setdefault(here, []).append(intervals)
    return {chrom: np.concatenate(rows) for chrom, rows in parts.items()}


def read_on_reference(path: str | os.PathLike[str], genome: Genome) -> dict[str, Intervals]:
    """The intervals of a BED under the names that a genome gives its contigs; those of contigs that it lacks are left out.

    Raises ConfigError where none is left: a blacklist, say, that would black out nothing.
    """
    read = read_bed(path)
    genome.contig_map(read)  # notes the names that fit several
    found = on_reference(read, genome)
    if not found:
        has = f"its contigs are {listed(read)}" if read else "it holds no interval"
        raise ConfigError(
            f"{path}: no interval lies on a contig of {genome.name} ({has}); leave the file out, or give that of this assembly."
        )
    return found


def split_by_contig(genome: Genome, valid: Iterable[str], test: Iterable[str]) -> dict[str, str]:
    """Contig -> "train", "valid" or "test", for every contig of a genome; valid and test are named in any known way.

    Raises: ContigError for a name that fits no contig; ConfigError if one is in both, or nothing is left to train on.
    """
    of = dict.fromkeys(genome.contigs, "train")
    for split, names in (("valid", valid), ("test", test)):
        for name in names:
            try:
                here = genome.resolve(name)
            except ContigError as error:
                raise ContigError(f"{split}: {error}") from None
            if of[here] not in ("train", split):
                raise ConfigError(f"contig {name} is both in valid and in test; give it to one of them.")
            of[here] = split
    if "train" not in of.values():
        raise ConfigError(f"valid and test take all contigs ({listed(of)}); leave some to train on.")
    return of
