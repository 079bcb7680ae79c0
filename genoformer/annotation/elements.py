"""Element file (BED, peaks, segmentation, table; plain, gzip, bgzip) -> intervals as arrays, and texts.

Rules for unusual lines. Malformed lines and lines with END before START are refused with the line number. Unsorted,
overlapping and repeated intervals are accepted. A line with END equal to START marks a position between two bases; it overlaps
nothing, and a note counts such lines. If they are the majority, the file is 1-based and is refused. If most intervals follow
each other at a distance of one base, they are read unchanged, and a note warns that the file may be 1-based.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genoformer.addresses import refuse_address
from genoformer.annotation.element_labels import kind_labels, label_colours
from genoformer.annotation.element_tables import read_table
from genoformer.annotation.text_columns import TextColumn
from genoformer.errors import ConfigError, FileFormatError, MissingFileError
from genoformer.files import sha256_of
from genoformer.formats.bed import bed_rows, named_file
from genoformer.formats.bed_columns import Columns
from genoformer.formats.bed_kinds import layout_of
from genoformer.formats.bed_layout import KIND, Layout
from genoformer.genome.contigs import ContigIndex, without_chr
from genoformer.genome.wording import counted
from genoformer.writers import Field, Source

Integers = NDArray[np.int64]

RESERVED = re.compile(  # keys reserved by VCF 4.3, the columns of our tables, and our own keys
    "1000G|AA|AC|AD|ADF|ADR|AF|AN|BQ|CIGAR|DB|DP|END|H2|H3|MQ|MQ0|NS|SB|SOMATIC|VALIDATED|SVTYPE|SVLEN"
    "|chrom|pos|id|ref|alt|qual|filter|info|status|GF_.*"
)
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_LOOKS_FROM_1 = 20  # neighbours one base apart, from which on a note warns that the file may be 1-based


@dataclass(frozen=True, eq=False)
class Elements:
    """Intervals of a file in its order, 0-based half-open, and the texts of its columns; None for a missing column."""

    name: str
    path: Path
    contigs: tuple[str, ...]  # names in the file
    contig: NDArray[np.int32]  # [n], index in `contigs`
    starts: Integers  # [n]
    ends: Integers  # [n]
    summits: Integers  # [n], positions; -1 for none
    names: TextColumn | None  # [n]
    scores: TextColumn | None
    signals: TextColumn | None
    colours: dict[str, str]  # label -> #RRGGBB
    notes: tuple[str, ...]
    layout: Layout = field(default_factory=Layout)  # columns of the file
    rows: Integers | None = None  # [n], row of each interval, if a row can have several (blocks of BED12)

    def __len__(self) -> int:
        return len(self.starts)

    def __repr__(self) -> str:
        return f"Elements({self.name}, {self.path}: {len(self):,} on {len(self.contigs):,} contigs)"

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Distinct names, if they are kinds of elements, like the states of a segmentation; ENCODE's states in their order."""
        return kind_labels(self.names, len(self), self.layout)

    @cached_property
    def fields(self) -> list[Field]:
        """Fields for a record: parallel lists with one value per overlapping element, sorted by position."""
        file = self.path.name
        what = "Label" if self.labels else "Name, or where there is none the place (1-based, inclusive),"
        fields = [Field(self.name, "String", f"{what} of each element of {file} that REF overlaps, by place")]
        if self.scores is not None:
            text = f"Score ({_column(self.layout.score)} of {file}) of these elements"
            fields.append(Field(f"{self.name}_SCORE", "Float", text))
        if self.signals is not None:
            text = f"Signal ({_column(self.layout.signal)} of {file}) of these elements"
            fields.append(Field(f"{self.name}_SIGNAL", "Float", text))
        if (self.summits >= 0).any():
            at = _column(self.layout.summit)
            text = f"Bases from the summit ({at} of {file}) to REF, negative to the left, 0 if REF covers it"
            fields.append(Field(f"{self.name}_SUMMIT", "Integer", text))
        return fields

    @cached_property
    def source(self) -> Source:
        return Source(self.name, self.path.name, sha256_of(self.path), tuple(field.key for field in self.fields))

    @cached_property
    def _rows(self) -> dict[str, Integers]:
        """Rows on each contig, in file order; names that differ only by "chr" (20, chr20) are one contig."""
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
        """True if the file has a row on a contig, under any of the contig's names."""
        return self._index.get(contig) is not None

    def rows_on(self, contig: str) -> Integers:
        """Return the rows on a contig in file order, under any of the contig's names."""
        return self._rows.get(self._index.get(contig) or "", np.zeros(0, dtype=np.int64))

    def texts(self, rows: Integers, starts: Integers, ends: Integers) -> list[list[str]]:
        """Return the texts of each of `fields` for elements (by row) that overlap records [start, end)."""
        texts = [self._named(rows)]
        for column in (self.scores, self.signals):
            if column is not None:
                texts.append([text or "." for text in column[rows].tolist()])
        if (self.summits >= 0).any():
            summit = self.summits[rows]
            away = np.where(summit < starts, starts - summit, np.minimum(ends - 1 - summit, 0))
            texts.append(
                [str(d) if has_summit else "." for d, has_summit in zip(away.tolist(), (summit >= 0).tolist(), strict=True)]
            )
        return texts

    def _named(self, rows: Integers) -> list[str]:
        names = self.names[rows].tolist() if self.names is not None else [""] * len(rows)
        if "" in names or "." in names:
            places = zip((self.starts[rows] + 1).tolist(), self.ends[rows].tolist(), strict=True)
            names = [f"{a}-{b}" if name in ("", ".") else name for name, (a, b) in zip(names, places, strict=True)]
        return names

    def line_of(self, row: int) -> int:
        """Return the line number of a row."""
        number = row if self.rows is None else int(self.rows[row])
        return next(islice(bed_rows(self.path, zero_length=True, layout=self.layout), number, None)).line


def require_key(name: str, file: str | os.PathLike[str]) -> None:
    """Raise ConfigError if the name of an annotation is not a valid INFO key."""
    if not re.fullmatch(r"[A-Za-z_][0-9A-Za-z_.]*", name) or RESERVED.fullmatch(name):
        raise ConfigError(
            f"{os.fspath(file)}: {name!r} cannot be a key of INFO (letters, digits, _ and points, no key that VCF "
            "reserves, and not GF_...); give NAME=FILE with another name."
        )


def read_files(files: Sequence[str | os.PathLike[str]], columns: Columns | None = None) -> list[Elements]:
    """Read the elements of NAME=FILE ...; ConfigError for a name that is not a valid INFO key or occurs twice.

    columns: layouts of the files.
    """
    all_elements: list[Elements] = []
    layouts = columns or Columns()
    for file in files:
        name, path = named_file(file)
        require_key(name, file)
        if not path.exists() and "=" not in os.fspath(file):
            raise MissingFileError(f"{path} does not exist, expected an existing file or NAME=FILE; give one.")
        elements = read_elements(path, name, layouts.for_file(name))
        keys = {field.key for other in all_elements for field in other.fields}
        if both := keys & {field.key for field in elements.fields}:
            raise ConfigError(f"{os.fspath(file)}: another has the key {min(both)}; give NAME=FILE with another name.")
        all_elements.append(elements)
    return all_elements


def read_elements(path: str | os.PathLike[str], name: str | None = None, columns: str | None = None) -> Elements:
    """Read the elements of a file.

    name: default: derived from the file name (`named_file`). columns: layout of the file, as in --columns.

    Raises: MissingFileError; FileFormatError with the line number.
    """
    refuse_address(path)
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist or is no file; give {KIND}.")
    layout = layout_of(path, columns)
    table = read_table(path, layout)
    names, scores, signals = (None if _is_of(column, "", ".") else column for column in table[5:8])
    names = None if _is_of(names, "", ".", "+", "-") else names
    if scores is not None and not _is_numeric(scores):
        names, scores = (scores if names is None else names), None  # for example gene tables with the name in column 5
    if signals is None and scores is not None and _is_of(scores, "", ".", "0", "1000"):
        scores = None  # a BED without scores has 0, or 1000, which browsers draw in full colour
    empty = np.flatnonzero(table.starts == table.ends)
    elements = Elements(
        name or named_file(path)[0],
        path,
        table.contigs,
        table.contig,
        table.starts,
        table.ends,
        table.summits,
        names,
        scores,
        signals,
        {},
        (),
        layout,
        table.rows,
    )
    if signals is not None and not _is_numeric(signals):
        wrong = (i for i, text in enumerate(signals.tolist()) if not re.fullmatch(rf"\.?|{_NUMBER}", text, re.ASCII))
        row = next(wrong)
        signal = signals.tolist()[row][:30]
        where = f"{path}, line {elements.line_of(row)}"
        raise FileFormatError(f"{where}: the signal ({_column(layout.signal)}) is {signal!r}; give a number.")
    if len(empty) > len(elements) / 2 and not layout.base:
        raise FileFormatError(
            f"{path}, line {elements.line_of(int(empty[0]))}: START is END there and in {len(empty):,} of {len(elements):,} "
            "lines, as in files that count from 1; BED counts from 0 and END is not part of it: subtract 1 from START, or give "
            "--columns base=1."
        )
    notes = [f"{elements.name}: {note}" for note in layout.notes]
    if len(empty):
        notes.append(
            f"{elements.name}: {len(empty):,} of {len(elements):,} lines (the first is {elements.line_of(int(empty[0]))}) "
            "are of zero length, START is END; they overlap nothing"
            + (" (--columns base=1 if the file counts from 1)." if layout.header and not layout.base else ".")
        )
    if layout.blocks is not None:
        n_rows = len(np.unique(elements.rows)) if elements.rows is not None else 0
        notes.append(
            f"{elements.name}: {layout.kind}; the {counted(len(elements), 'block')} of its {counted(n_rows, 'row')} are the "
            "elements, without the gaps between them (--columns blocks=none uses whole rows)."
        )
    if not layout.base:
        notes += _if_from_1(elements)
    colours = label_colours(elements.labels, layout, elements.names, table.colours)
    return replace(elements, colours=colours, notes=tuple(notes))


def _column(at: int | None) -> str:
    """Return the name of a column for users, who count from 1."""
    return f"column {(at or 0) + 1}"


def _is_of(column: TextColumn | None, *words: str) -> bool:
    """True if a column is missing, empty, or holds only these words."""
    return column is None or column.is_only(*words)


def _is_numeric(column: TextColumn) -> bool:
    """True if a column holds only numbers, "." and empty texts."""
    return column.matches(rf"\.?|{_NUMBER}")


def _if_from_1(elements: Elements) -> list[str]:
    """Return a note if intervals follow each other one base apart, as in 1-based tilings."""
    order = np.lexsort((elements.starts, elements.contig))
    begins, ends, contig = elements.starts[order], elements.ends[order], elements.contig[order]
    same = contig[1:] == contig[:-1]
    one_apart = np.flatnonzero(same & (begins[1:] == ends[:-1] + 1))
    n_touching = int((same & (begins[1:] == ends[:-1])).sum())
    if len(one_apart) < _LOOKS_FROM_1 or len(one_apart) < 10 * n_touching or 2 * len(one_apart) < len(elements):
        return []
    return [
        f"{elements.name}: {len(one_apart):,} of {len(elements):,} intervals begin one base after another ends (line "
        f"{elements.line_of(int(order[one_apart[0] + 1]))} does), as in files that count from 1; it is read as BED, which "
        "counts from 0. If it does count from 1, subtract 1 from START, or give --columns base=1."
    ]
