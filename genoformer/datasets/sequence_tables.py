"""CSV or TSV -> names, sequences and labels."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

from genoformer.datasets.headers import MissingLabelError
from genoformer.datasets.kmers import Kmers
from genoformer.datasets.parts import PartColumns
from genoformer.datasets.region_files import SEQUENCE_COLUMNS
from genoformer.datasets.sequence_rows import BASES, LabelledSequences, SequenceRows
from genoformer.errors import ConfigError, FileFormatError
from genoformer.formats.text import long_fields
from genoformer.genome.contigs import join_names

_NAME = ("name", "id")
_CONTIG = ("chrom", "chr", "contig", "chromosome")
_SHORTEST = 6  # fewest bases that identify a first line as data; shorter ones may be words, such as cat


def read_table(
    rows: SequenceRows, lines: Iterable[tuple[int, str]], requested: tuple[str, ...] | None, *, parts_apart: bool
) -> LabelledSequences:
    number = 0

    def texts() -> Iterator[str]:
        nonlocal number
        for at, text in lines:
            number = at  # current line of the reader
            yield text + "\n"

    source = texts()
    first = next(source)
    reader = csv.reader(chain([first], source), delimiter=_delimiter(first), strict=True)
    path, kmers = rows.path, Kmers()
    notes = []
    try:
        with long_fields():
            header = [column.strip() for column in next(reader)]
            body: Iterable[list[str]] = reader
            if bare := _bare(header):
                body = chain([header], reader)
                header = bare
                notes.append(f"the file has no header line: its columns are taken as {' and '.join(bare)}.")
            sequence, name, labels = _columns(header, requested, f"{path}, line {number}")
            columns = [header[i] for i in labels]
            others = set(range(len(header))) - {sequence, name, *labels}
            interval = _interval(header)
            rows.places = [] if interval else None
            parts = PartColumns({i: header[i] for i in sorted(others)} if parts_apart and labels else {})
            for row in body:
                if not row or (len(row) == 1 and not row[0].strip()):
                    continue
                where = f"{path}, line {number}"
                if len(row) != len(header):
                    raise FileFormatError(f"{where}: {len(row)} fields, but the header has {len(header)}; correct the line.")
                text = kmers.joined(row[sequence].strip(), where)
                values = tuple(row[i].strip() for i in labels)
                rows.add(where, number, row[name].strip() if name is not None else "", text)
                rows.label(where, values, columns)
                parts.add(row)
                if rows.places is not None and interval:
                    rows.add_place(*(row[i].strip() for i in interval))
    except csv.Error as error:
        raise FileFormatError(f"{path}, line {number}: {error}; correct the quotes.") from error
    if parts.fault:
        raise FileFormatError(f"{path}: {parts.fault}.")
    notes += parts.notes
    if kmers.k:
        notes.append(f"k-mers ({kmers.k} bases) were joined to sequences.")
    return rows.done(columns, notes)


def _interval(header: list[str]) -> tuple[int, int, int] | None:
    """Return the indices of the columns of contig, start and end, as `data build` names them; None without one of them."""
    keys = [column.lower() for column in header]
    chrom = next((keys.index(key) for key in _CONTIG if key in keys), None)
    if chrom is None or not {"start", "end"} <= set(keys):
        return None
    return chrom, keys.index("start"), keys.index("end")


def _delimiter(first: str) -> str:
    """Return the delimiter: tab, comma, or the semicolon of spreadsheets with a decimal comma."""
    return "\t" if "\t" in first else ";" if ";" in first and "," not in first else ","


def _bare(first: list[str]) -> list[str]:
    """Return the column names of a table without a header (one DNA field, one label); [] if there is a header."""
    dna = [_is_dna(field) for field in first]
    return ["sequence" if of else "label" for of in dna] if sorted(dna) == [False, True] else []


def _is_dna(field: str) -> bool:
    return len(field) >= _SHORTEST and _is_bases(field)


def _is_bases(field: str) -> bool:
    return bool(field) and not field.encode().translate(None, BASES + b"Nn ")


def _columns(header: list[str], requested: tuple[str, ...] | None, where: str) -> tuple[int, int | None, list[int]]:
    """Return the indices of the sequence column, the name column (or None) and the label columns."""
    keys = [column.lower() for column in header]
    if twice := [column for column, n in Counter(keys).items() if n > 1]:
        raise FileFormatError(f"{where}: the header names {join_names(twice)} more than once; give each column its own name.")
    sequences = [keys.index(key) for key in SEQUENCE_COLUMNS if key in keys]
    if len(sequences) != 1:
        names = "both sequence and seq" if sequences else join_names(header)
        data = not sequences and any(_is_dna(field) for field in header)
        short = not sequences and len(header) == 2 and any(_is_bases(field) for field in header)
        remedy = "; this line looks like data, so write a header line above it" if data else ""
        if short and not data:
            remedy = f"; if this line is data, write a header line above it (DNA of fewer than {_SHORTEST} bases may be a word)"
        raise FileFormatError(f"{where}: the header names {names}, but one column must be `sequence` (or `seq`){remedy}.")
    if requested is None:
        labels = [i for i, key in enumerate(keys) if key.startswith("label")]
        if not labels:
            raise MissingLabelError(
                f"{where}: the header names {join_names(header)}, but no column that begins with `label`; "
                "name the label column."
            )
    else:
        if absent := [column for column in requested if column.lower() not in keys]:
            raise ConfigError(f"{where}: there is no column {join_names(absent)}; the header names {join_names(header)}.")
        labels = [keys.index(column.lower()) for column in requested]
    name = next((keys.index(key) for key in _NAME if key in keys), None)
    return sequences[0], name, labels
