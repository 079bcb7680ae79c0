"""Rows of a file of sequences: names, sequences and labels, checked row by row -> labelled sequences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from genoformer.datasets.headers import MissingLabelError
from genoformer.datasets.several import decimal_comma, split_labels
from genoformer.errors import FileFormatError
from genoformer.formats.bed import Region
from genoformer.genome.codes import Codes, encode
from genoformer.genome.contigs import join_names
from genoformer.genome.digits import is_count
from genoformer.genome.wording import counted

KIND = "a CSV, TSV, FASTA or BED file"
BASES = b"ACGTUacgtu"
_LOWER = bytes(range(ord("a"), ord("z") + 1))
_UNKNOWN = b"NRYSWKMBDHVnryswkmbdhv"  # IUPAC: N, and the codes that are read as N


class Place(NamedTuple):
    """Interval of a sequence on its genome, 0-based half-open."""

    contig: str
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class LabelledSequences:
    """Sequences with their labels, in the order of the file.

    names: name of each sequence in the file, or its number from 1. sequences: uint8 codes [L] each, of any length.
    labels: a tuple for each sequence, one text per column of `columns`. n_iupac: number of letters such as R or Y that were
    read as N. notes: sentences on other changes. lines: line of each sequence in its file. n_lower: lower-case letters of each
    sequence in the file (soft-masked bases); () for a BED. places: contig, start and end of each sequence (0-based half-open),
    of a table with these columns or of a BED; () for other files.
    """

    names: tuple[str, ...]
    sequences: tuple[Codes, ...]
    labels: tuple[tuple[str, ...], ...]
    columns: tuple[str, ...]
    path: Path
    n_iupac: int = 0
    notes: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()
    n_labels: int = 0  # fields after | of FASTA headers that were read as labels; 0 for other files
    regions: tuple[Region, ...] = ()  # rows of a BED, as in the file; () for other files
    n_lower: tuple[int, ...] = ()
    places: tuple[Place, ...] = ()

    def __len__(self) -> int:
        return len(self.sequences)

    def __repr__(self) -> str:
        of = f", labels in {', '.join(self.columns)}" if self.columns else ""
        return f"LabelledSequences({self.path}: {counted(len(self), 'sequence')}{of})"

    def place(self, i: int) -> str:
        """Return the location of sequence i, counted from 1, for the start of a message."""
        return f"{self.path}, line {self.lines[i - 1]}, sequence {i}" if self.lines else f"{self.path}, sequence {i}"


class SequenceRows:
    """Rows of a file read so far; an invalid row is refused."""

    def __init__(self, path: Path, may_be_empty: bool) -> None:
        self.path = path
        self.may_be_empty = may_be_empty  # True if a label may be empty
        self.names: list[str] = []
        self.sequences: list[Codes] = []
        self.labels: list[tuple[str, ...]] = []
        self.lines: list[int] = []
        self.n_lower: list[int] = []
        self.places: list[Place] | None = None  # of a table with coordinates
        self.n_iupac = 0

    def add(self, where: str, line: int, name: str, text: str) -> None:
        raw = text.encode("utf-8")
        if not raw:
            raise FileFormatError(f"{where}: the sequence is empty; correct or remove it.")
        unknown = raw.translate(None, BASES)
        if odd := unknown.translate(None, _UNKNOWN):
            raise FileFormatError(
                f"{where}: the sequence holds {odd.decode('utf-8', 'replace')[0]!r}, which is no nucleotide code "
                f"(it begins with {text[:20]!r}); is it DNA?"
            )
        self.n_iupac += len(unknown.translate(None, b"Nn"))
        self.names.append(name or str(len(self.names) + 1))
        self.sequences.append(encode(raw))
        self.lines.append(line)
        self.n_lower.append(len(raw) - len(raw.translate(None, _LOWER)))

    def add_place(self, contig: str, start: str, end: str) -> None:
        """Add the interval of the next sequence; one that is no interval leaves the file without any."""
        if self.places is not None and contig and is_count(start) and is_count(end) and int(start) <= int(end):
            self.places.append(Place(contig, int(start), int(end)))
        else:
            self.places = None

    def label(self, where: str, labels: tuple[str, ...], columns: Sequence[str]) -> None:
        """Add the labels of the next sequence."""
        for column, value in zip(columns, labels, strict=True):
            if not value and not self.may_be_empty:
                raise MissingLabelError(
                    f"{where}: {column} is empty; give each sequence a label, or write ';' as the label of a sequence to which "
                    "none of several classes applies (with multi_label the field may stay empty)."
                )
        self.labels.append(labels)

    def done(self, columns: Sequence[str], notes: Iterable[str] = ()) -> LabelledSequences:
        if not self.sequences:
            raise FileFormatError(f"{self.path} holds no sequence; give {KIND} with some.")
        notes = list(notes)
        columns = self._split(columns, notes)
        if self.n_iupac:
            notes.append(f"{self.n_iupac:,} IUPAC letters other than A, C, G, T and N were read as N.")
        return LabelledSequences(
            tuple(self.names),
            tuple(self.sequences),
            tuple(self.labels),
            tuple(columns),
            self.path,
            self.n_iupac,
            tuple(notes),
            tuple(self.lines),
            n_lower=tuple(self.n_lower),
            places=tuple(self.places or ()),
        )

    def _split(self, columns: Sequence[str], notes: list[str]) -> Sequence[str]:
        """Split a single column into several if every field lists several labels, and return the column names."""
        if len(columns) != 1:
            self._refuse_decimal_commas(columns)
            return columns
        try:
            split = split_labels([of for (of,) in self.labels])
        except ValueError as error:
            i, wrong = error.args
            raise FileFormatError(f"{self.path}, line {self.lines[i]}: {wrong}.") from None
        if split is None:
            return columns
        self.labels, names = split, [f"{columns[0]}{i + 1}" for i in range(len(split[0]))]
        notes.append(f"{columns[0]} holds {len(names)} labels in each field: {join_names(names)}.")
        return names

    def _refuse_decimal_commas(self, columns: Sequence[str]) -> None:
        for column, texts in zip(columns, zip(*self.labels, strict=True), strict=False):
            if (i := decimal_comma(texts)) is not None:
                point = texts[i][:40].replace(",", ".")
                raise FileFormatError(
                    f"{self.path}, line {self.lines[i]}: {column} is {texts[i][:40]!r}; write a decimal point ({point})."
                )
