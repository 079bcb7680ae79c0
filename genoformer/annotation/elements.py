"""A file of elements (BED, narrowPeak, broadPeak, segmentation; plain, gzip, bgzip) -> its intervals as arrays, and texts.

Rules for lines that look wrong. Malformed lines and END before START are refused, with the number of the line. Unsorted,
overlapping and repeated intervals are as good as others. A line whose END is its START marks a place between two bases: it
overlaps nothing, and is counted in a note; a file in which most lines are so counts from 1, and is refused. Intervals that
follow each other one base apart, most of the file, are read as they are; a note says that it looks like counting from 1.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError, FileFormatError, MissingFileError
from genoformer.genome.contigs import ContigIndex, without_chr
from genoformer.genome.lines import opened
from genoformer.genome.regions import bed_rows, named_file, read_regions
from genoformer.sinks import Field, Source
from genoformer.whole import sha256_of

Integers = NDArray[np.int64]

# The colours of ENCODE's combined segmentation (Hoffman et al. 2013), for files that bring none.
STATES: dict[str, tuple[str, str]] = {
    "TSS": ("#FF0000", "promoter region with the start site"),
    "PF": ("#FF6969", "promoter flanking region"),
    "E": ("#FACA00", "enhancer"),
    "WE": ("#FFFC04", "weak enhancer or open chromatin"),
    "CTCF": ("#0ABEFE", "CTCF-enriched element"),
    "T": ("#00B050", "transcribed region"),
    "R": ("#7F7F7F", "repressed or of low activity"),
}
RESERVED = {  # keys that VCF 4.3 gives a meaning, and the columns of our tables
    "1000G", "AA", "AC", "AD", "ADF", "ADR", "AF", "AN", "BQ", "CIGAR", "DB", "DP", "END", "H2", "H3", "MQ", "MQ0", "NS",
    "SB", "SOMATIC", "VALIDATED", "SVTYPE", "SVLEN", "chrom", "pos", "id", "ref", "alt", "qual", "filter", "info", "status",
}  # fmt: skip
_MOST_LABELS = 64  # different names of a file whose names are kinds of elements, not names of each
_N_BED12 = 12
_LINES_PER_LABEL = 3  # at least, in the mean
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_LOOKS_FROM_1 = 20  # neighbours that are one base apart, from which on a note says that the file may count from 1


@dataclass(frozen=True, eq=False)
class Elements:
    """The intervals of a file in its order, 0-based half-open, and the texts of its columns; None where it has none."""

    name: str
    path: Path
    contigs: tuple[str, ...]  # as the file names them
    contig: NDArray[np.int32]  # [n], of `contigs`
    starts: Integers  # [n]
    ends: Integers  # [n]
    summits: Integers  # [n], positions; -1 for none
    names: Any  # of pyarrow, [n] of text: column 4
    scores: Any  # column 5
    signals: Any  # column 7 of peaks
    colours: dict[str, str]  # label -> #RRGGBB
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.starts)

    def __repr__(self) -> str:
        return f"Elements({self.name}, {self.path}: {len(self):,} on {len(self.contigs):,} contigs)"

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The names, if they are kinds of elements, as states of a segmentation are; ENCODE's in their order."""
        return _labels_of(self)

    @cached_property
    def fields(self) -> list[Field]:
        """What is said of a record: parallel lists, one value for each element that it overlaps, by place."""
        file = self.path.name
        what = "Label" if self.labels else "Name, or where there is none the place (1-based, inclusive),"
        found = [Field(self.name, "String", f"{what} of each element of {file} that REF overlaps, by place")]
        if self.scores is not None:
            found.append(Field(f"{self.name}_SCORE", "Float", f"Score (column 5 of {file}) of these elements"))
        if self.signals is not None:
            found.append(Field(f"{self.name}_SIGNAL", "Float", f"Signal (column 7 of {file}) of these elements"))
        if (self.summits >= 0).any():
            text = f"Bases from the summit (column 10 of {file}) to REF, negative to the left, 0 if REF covers it"
            found.append(Field(f"{self.name}_SUMMIT", "Integer", text))
        return found

    @cached_property
    def source(self) -> Source:
        return Source(self.name, self.path.name, sha256_of(self.path), tuple(field.key for field in self.fields))

    @cached_property
    def _rows(self) -> dict[str, Integers]:
        """The rows on each contig, in order; names that differ by chr alone (20, chr20) are one."""
        keys = [without_chr(name) for name in self.contigs]
        numbers = {key: i for i, key in enumerate(dict.fromkeys(keys))}
        of = np.array([numbers[key] for key in keys], dtype=np.int64)[self.contig]
        order = np.argsort(of, kind="stable")
        edges = np.searchsorted(of[order], np.arange(len(numbers) + 1))
        return {key: order[edges[i] : edges[i + 1]] for key, i in numbers.items()}

    @cached_property
    def _index(self) -> ContigIndex:
        return ContigIndex(self._rows)

    def has(self, contig: str) -> bool:
        """Whether it has a row on a contig, whatever that is called here or there."""
        return self._index.get(contig) is not None

    def rows_on(self, contig: str) -> Integers:
        """Rows on a contig, in order, whatever that is called here or there."""
        return self._rows.get(self._index.get(contig) or "", np.zeros(0, dtype=np.int64))

    def texts(self, rows: Integers, starts: Integers, ends: Integers) -> list[list[str]]:
        """For each of `fields` its texts, of elements (by row) that overlap records [start, end)."""
        found = [self._named(rows)]
        for column in (self.scores, self.signals):
            if column is not None:
                found.append([text or "." for text in column.take(rows).to_pylist()])
        if (self.summits >= 0).any():
            summit = self.summits[rows]
            away = np.where(summit < starts, starts - summit, np.minimum(ends - 1 - summit, 0))
            found.append([str(d) if there else "." for d, there in zip(away.tolist(), (summit >= 0).tolist(), strict=True)])
        return found

    def _named(self, rows: Integers) -> list[str]:
        names = self.names.take(rows).to_pylist() if self.names is not None else [""] * len(rows)
        if "" in names or "." in names:
            places = zip((self.starts[rows] + 1).tolist(), self.ends[rows].tolist(), strict=True)
            names = [f"{a}-{b}" if name in ("", ".") else name for name, (a, b) in zip(names, places, strict=True)]
        return names

    def line_of(self, row: int) -> int:
        """The number of the line of a row."""
        return next(islice(bed_rows(self.path, zero_length=True), row, None))[0]


def read_files(given: Sequence[str | os.PathLike[str]]) -> list[Elements]:
    """The elements of NAME=FILE ...; ConfigError for names that INFO cannot have, or that are given twice."""
    found: list[Elements] = []
    for one in given:
        name, path = named_file(one)
        if not re.fullmatch(r"[A-Za-z_][0-9A-Za-z_.]*", name) or name in RESERVED or name.startswith("GF_"):
            raise ConfigError(
                f"-a {os.fspath(one)}: {name!r} cannot be a key of INFO (letters, digits, _ and points, no key that VCF "
                "reserves, and not GF_...); give NAME=FILE with another name."
            )
        elements = read_elements(path, name)
        taken = {field.key for other in found for field in other.fields}
        if both := taken & {field.key for field in elements.fields}:
            raise ConfigError(f"-a {os.fspath(one)}: another has the key {min(both)}; give NAME=FILE with another name.")
        found.append(elements)
    return found


def read_elements(path: str | os.PathLike[str], name: str | None = None) -> Elements:
    """The elements of a file, under a name, by default its own (`named_file`).

    Raises: MissingFileError; FileFormatError with the line number.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist or is no file; give a BED or narrowPeak file.")
    table = _read_fast(path) or _read_slowly(path)
    names, scores, signals = (None if _is_of(column, "", ".") else column for column in table.texts)
    names = None if _is_of(names, "", ".", "+", "-") else names
    if scores is not None and not _is_numeric(scores):
        names, scores = (scores if names is None else names), None  # as in tables of genes with the name in column 5
    if signals is None and scores is not None and _is_of(scores, "", ".", "0", "1000"):
        scores = None  # of a BED that has none: 0, or as browsers want it for full colour
    empty = np.flatnonzero(table.starts == table.ends)
    elements = Elements(
        name or named_file(path)[0], path, table.contigs, table.contig, table.starts, table.ends, table.summits,
        names, scores, signals, {}, (),
    )  # fmt: skip
    if signals is not None and not _is_numeric(signals):
        wrong = (i for i, text in enumerate(signals.to_pylist()) if not re.fullmatch(rf"\.?|{_NUMBER}", text, re.ASCII))
        row = next(wrong)
        said = signals[row].as_py()[:30]
        raise FileFormatError(f"{path}, line {elements.line_of(row)}: the signal (column 7) is {said!r}; give a number.")
    if len(empty) > len(elements) / 2:
        raise FileFormatError(
            f"{path}, line {elements.line_of(int(empty[0]))}: START is END there and in {len(empty):,} of {len(elements):,} "
            "lines, as in files that count from 1; BED counts from 0 and END is not part of it: subtract 1 from START."
        )
    notes = []
    if len(empty):
        notes.append(
            f"{elements.name}: {len(empty):,} of {len(elements):,} lines (the first is {elements.line_of(int(empty[0]))}) "
            "are of zero length, START is END; they overlap nothing."
        )
    if table.n_columns == _N_BED12:
        notes.append(f"{elements.name}: its twelve columns are BED12; the whole of each row is an element, not its blocks.")
    notes += _if_from_1(elements)
    return replace(elements, colours=_colours(elements, table.colours), notes=tuple(notes))


class _Table(NamedTuple):
    contigs: tuple[str, ...]
    contig: NDArray[np.int32]
    starts: Integers
    ends: Integers
    summits: Integers
    texts: tuple[Any, Any, Any]  # columns 4, 5 and 7; arrays of pyarrow, or None
    colours: Any  # column 9
    n_columns: int


def _read_fast(path: Path) -> _Table | None:
    """By pyarrow; None where anything is out of the ordinary, so that reading line by line says what, or takes it."""
    import pyarrow as pa
    from pyarrow import csv

    try:
        with opened(path, "a BED or narrowPeak file") as file:
            skipped, first = 0, b""
            for line in file:
                if line.strip() and not line.startswith((b"#", b"track", b"browser", b"\xef\xbb\xbf")):
                    first = line
                    break
                skipped += 1
            fields = first.decode().rstrip("\r\n").split("\t")
            if len(fields) < 3:
                return None
            file.seek(0)
            names = [f"{i}" for i in range(len(fields))]
            types: dict[str, Any] = dict.fromkeys(names, pa.string())
            types |= {"0": pa.dictionary(pa.int32(), pa.string()), "1": pa.int64(), "2": pa.int64()}
            table = csv.read_csv(
                file,
                csv.ReadOptions(column_names=names, skip_rows=skipped),
                csv.ParseOptions(delimiter="\t", quote_char=False),
                csv.ConvertOptions(column_types=types, include_columns=names[:10], null_values=[], strings_can_be_null=False),
            )
    except (UnicodeDecodeError, pa.ArrowException):
        return None
    chroms = table["0"].unify_dictionaries().combine_chunks()
    starts, ends = (table[i].to_numpy().astype(np.int64) for i in "12")
    contigs = tuple(chroms.dictionary.to_pylist())
    kind = _kind(path, fields)
    odd = any(name.startswith(("#", "track", "browser")) or not name.strip() for name in contigs)
    if odd or (starts < 0).any() or (ends < starts).any():
        return None
    if len(fields) > 5 and not set(table["5"].unique().to_pylist()) <= {"+", "-", "."}:
        return None
    summits = np.full(len(starts), -1, dtype=np.int64)
    if kind == "narrowPeak":
        try:
            offsets = table["9"].cast(pa.int64()).to_numpy() if len(fields) == 10 else None
        except pa.ArrowException:
            return None
        if offsets is None or ((offsets < -1) | (offsets > ends - starts)).any():
            return None
        summits = np.where(offsets >= 0, starts + offsets, -1)
    column = {i: table[str(i)].combine_chunks() for i in (3, 4, 6, 8) if i < len(fields)}
    signals = column.get(6) if kind in ("narrowPeak", "broadPeak") else None
    colours = column.get(8) if kind == "BED" else None
    number = np.asarray(chroms.indices, dtype=np.int32)
    texts = (column.get(3), column.get(4), signals)
    return _Table(contigs, number, starts, ends, summits, texts, colours, len(fields))


def _read_slowly(path: Path) -> _Table:
    """Line by line, with the number of a line that is malformed."""
    import pyarrow as pa

    numbers: dict[str, int] = {}
    contig, starts, ends, summits = [], [], [], []
    texts: tuple[list[str], ...] = ([], [], [], [])
    kind, n_columns = None, 0
    rows = zip(read_regions(path, zero_length=True), bed_rows(path, zero_length=True), strict=True)
    for region, (_, fields, _, _) in rows:
        kind, n_columns = kind or _kind(path, fields), n_columns or len(fields)
        contig.append(numbers.setdefault(region.chrom, len(numbers)))
        starts.append(region.start)
        ends.append(region.end)
        summits.append(-1 if region.summit is None else region.summit)
        more = (fields[i] if i < len(fields) else "" for i in (6, 8))
        for column, text in zip(texts, (region.name, region.score, *more), strict=True):
            column.append(text)
    if kind is None:
        raise FileFormatError(f"{path} has no rows; give a BED or narrowPeak file, or leave it out.")
    names, scores, signals, colours = (pa.array(column, pa.string()) for column in texts)
    of = [np.array(column, dtype=np.int64) for column in (starts, ends, summits)]
    peaks = kind in ("narrowPeak", "broadPeak")
    return _Table(
        tuple(numbers), np.array(contig, dtype=np.int32), of[0], of[1], of[2],
        (names, scores, signals if peaks else None), None if peaks else colours, n_columns,
    )  # fmt: skip


def _kind(path: Path, fields: Sequence[str]) -> str:
    """narrowPeak, broadPeak or BED, by the name of the file, else by its first row."""
    suffixes = [suffix[1:].lower() for suffix in path.suffixes]
    if "narrowpeak" in suffixes or (len(fields) == 10 and all(map(_is_number, fields[6:]))):
        return "narrowPeak"
    as_broad = len(fields) == 9 and all(map(_is_number, fields[6:])) and any("." in field for field in fields[6:])
    return "broadPeak" if "broadpeak" in suffixes or as_broad else "BED"


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(_NUMBER, text))


def _is_of(column: Any, *words: str) -> bool:
    """There is no column, or nothing but these words in it."""
    from pyarrow import compute

    return column is None or not len(column) or bool(compute.all(compute.is_in(column, value_set=_texts(*words))).as_py())


def _is_numeric(column: Any) -> bool:
    """Numbers, or "." and nothing."""
    from pyarrow import compute

    return bool(compute.all(compute.match_substring_regex(column, rf"^(\.?|{_NUMBER})$")).as_py())


def _texts(*words: str) -> Any:
    import pyarrow as pa

    return pa.array(words, pa.string())


def _labels_of(elements: Elements) -> tuple[str, ...]:
    if elements.names is None:
        return ()
    if any(len(column.unique()) > _MOST_LABELS + 2 for column in (elements.names[:1_000], elements.names)):
        return ()
    unique = elements.names.unique()
    found = [name for name in unique.to_pylist() if name not in ("", ".")]
    if set(found) <= set(STATES):
        return tuple(state for state in STATES if state in found)
    few = len(found) <= _MOST_LABELS and len(elements) >= _LINES_PER_LABEL * len(found)
    return tuple(sorted(found)) if few else ()


def _colours(elements: Elements, column: Any) -> dict[str, str]:
    """The colour of each label: that of its first row, in column 9, or ENCODE's."""
    known = {label: STATES[label][0] for label in elements.labels} if set(elements.labels) <= set(STATES) else {}
    if column is None or not elements.labels:
        return known
    for name, text in zip(elements.names.to_pylist()[::-1], column.to_pylist()[::-1], strict=True):
        if re.fullmatch(r"\d{1,3},\d{1,3},\d{1,3}", text) and all(int(part) < 256 for part in text.split(",")):
            known[name] = "#{:02X}{:02X}{:02X}".format(*map(int, text.split(",")))
    return known


def _if_from_1(elements: Elements) -> list[str]:
    """A note where intervals follow each other one base apart, as in tilings that count from 1."""
    order = np.lexsort((elements.starts, elements.contig))
    begins, ends, contig = elements.starts[order], elements.ends[order], elements.contig[order]
    same = contig[1:] == contig[:-1]
    apart = np.flatnonzero(same & (begins[1:] == ends[:-1] + 1))
    n_touching = int((same & (begins[1:] == ends[:-1])).sum())
    if len(apart) < _LOOKS_FROM_1 or len(apart) < 10 * n_touching or 2 * len(apart) < len(elements):
        return []
    return [
        f"{elements.name}: {len(apart):,} of {len(elements):,} intervals begin one base after another ends (as line "
        f"{elements.line_of(int(order[apart[0] + 1]))} does), as in files that count from 1; it is read as BED, which counts "
        "from 0. If it does count from 1, subtract 1 from START."
    ]
