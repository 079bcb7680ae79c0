"""CSV/TSV, FASTA with labels, or BED with a FASTA -> names, sequences and labels."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from genoformer.datasets.headers import Headers, MissingLabelError
from genoformer.datasets.kmers import Kmers
from genoformer.datasets.other_files import refuse_other_files
from genoformer.datasets.parts import PartColumns
from genoformer.datasets.region_files import SEQUENCE_COLUMNS, are_regions, has_bed_suffix
from genoformer.datasets.several import decimal_comma, split_labels
from genoformer.errors import ConfigError, ContigError, FileFormatError
from genoformer.formats.bed_kinds import layout_of
from genoformer.formats.text import long_fields, numbered_lines
from genoformer.genome.beyond import beyond
from genoformer.genome.codes import Codes, encode, reverse_complement
from genoformer.genome.contigs import ContigMap, join_names
from genoformer.genome.reference import Genome
from genoformer.genome.regions import read_regions

_KIND = "a CSV, TSV, FASTA or BED file"
_NAME = ("name", "id")
_BASES = b"ACGTUacgtu"
_UNKNOWN = b"NRYSWKMBDHVnryswkmbdhv"  # IUPAC: N, and the codes that are read as N
_SHORTEST = 6  # fewest bases that identify a first line as data; shorter ones may be words, such as cat


@dataclass(frozen=True, eq=False)
class LabelledSequences:
    """Sequences with their labels, in the order of the file.

    names: name of each sequence in the file, or its number from 1. sequences: uint8 codes [L] each, of any length.
    labels: a tuple for each sequence, one text per column of `columns`. n_iupac: number of letters such as R or Y that were
    read as N. notes: sentences on other changes. lines: line of each sequence in its file.
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

    def __len__(self) -> int:
        return len(self.sequences)

    def place(self, i: int) -> str:
        """Return the location of sequence i, counted from 1, for the start of a message."""
        return f"{self.path}, line {self.lines[i - 1]}, sequence {i}" if self.lines else f"{self.path}, sequence {i}"


def read_labelled(
    path: str | os.PathLike[str],
    *,
    fasta: str | os.PathLike[str] | None = None,
    label: str | Sequence[str] | None = None,
    multi_label: bool = False,
    n_labels: int | None = None,
) -> LabelledSequences:
    """Read labelled sequences, plain or gzipped; the file name (BED) or the first character (FASTA) gives the format.

    * CSV or TSV (TSV if the header line contains a tab): a column `sequence` or `seq`, label columns (those whose name
      begins with `label`, or the columns in `label`), and optionally `name` or `id`; column names are case-insensitive.
      Without a header line: two columns, one with DNA of at least 6 bases and the other with the label.
      Sequences of space-separated k-mers with stride 1 (DNABERT) are joined.
    * FASTA: `>name label=promoter`, any number of label columns (`label1=a label2=b`), or the columns in `label`
      (`label="class"` reads class=promoter). Without these, the label follows the last | of the first word:
      `>name|promoter`. If the last fields are 0 or 1 in every record, `>name|0|1|1`, each field is a label: label1 ...
    * A BED-like file (BED, BED12, peaks, or with `fasta` any table of regions without sequences) and a `fasta`: the label
      is the name column, or the score with label="score". The bases of a row on the - strand are reverse-complemented.
      Bases beyond the contig's end are N, with a note; a row that begins there, or on an unknown contig, is refused.

    label=() reads no labels. multi_label: an empty label means none of several classes, like ";". n_labels: number of
    fields after | that are labels, as in the training data (its `n_labels`); None or 0 infers it. A table with a column
    that contains several parts of a split (train, test) is refused.

    Raises: FileFormatError with the line number for fields that are empty, missing, not a nucleotide code, or inconsistent
    (MissingLabelError for labels); ConfigError if `fasta` or `label` does not fit the file.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = pathlib.Path(folder, "a.csv")
    ...     _ = table.write_text("sequence,label\\nACGT,1\\nGGN,0\\n")
    ...     data = read_labelled(table)
    >>> data.labels, [codes.tolist() for codes in data.sequences]
    ((('1',), ('0',)), [[0, 1, 2, 3], [2, 2, 4]])
    """
    return _read(Path(path), fasta, label, multi_label, n_labels, parts_apart=True)


def _read(
    path: Path,
    fasta: str | os.PathLike[str] | None,
    label: str | Sequence[str] | None,
    multi_label: bool,
    n_labels: int | None,
    *,
    parts_apart: bool,
) -> LabelledSequences:
    """Read a file for `read_labelled`; parts_apart: refuse a table with several parts of a split."""
    wanted = (label,) if isinstance(label, str) else tuple(label) if label is not None else None
    if has_bed_suffix(path) or (fasta is not None and are_regions(path, _KIND)):
        if fasta is None:
            raise ConfigError(f"{path} is a BED file, which holds no bases; give the FASTA of its genome as well.")
        return _from_bed(_Rows(path, multi_label), Path(fasta), wanted)
    if fasta is not None:
        raise ConfigError(
            f"{path} is no BED file by its name or its first rows, so the FASTA {fasta} is not needed; leave it out, or give "
            "regions (CHROM START END, tab-separated)."
        )
    lines = numbered_lines(path, _KIND)
    head = next(((number, text) for number, text in lines if text.strip()), None)
    if head is None:
        raise FileFormatError(f"{path} is empty; give {_KIND}.")
    refuse_other_files(path, head[1])
    rows, lines = _Rows(path, multi_label), chain([head], lines)
    if head[1].startswith(">"):
        return _from_fasta(rows, lines, wanted, n_labels, parts_apart=parts_apart)
    return _from_table(rows, lines, wanted, parts_apart=parts_apart)


def read_sequences(
    path: str | os.PathLike[str],
    *,
    fasta: str | os.PathLike[str] | None = None,
    label: str | Sequence[str] | None = None,
) -> LabelledSequences:
    """Read sequences like `read_labelled`, with optional labels: if a sequence has no label, none is read, with a note.

    Columns in `label` are still required.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     plain = pathlib.Path(folder, "a.fa")
    ...     _ = plain.write_text(">a|x\\nACGT\\n>b\\nGG\\n")
    ...     data = read_sequences(plain)
    >>> data.names, data.columns, data.labels
    (('a|x', 'b'), (), ((), ()))
    """
    try:
        return _read(Path(path), fasta, label, False, None, parts_apart=False)
    except MissingLabelError as error:
        if label is not None:
            raise
        found = _read(Path(path), fasta, (), False, None, parts_apart=False)
        return replace(found, notes=(*found.notes, f"no labels are read: {str(error).partition(';')[0]}."))


class _Rows:
    """Rows of a file read so far; an invalid row is refused."""

    def __init__(self, path: Path, may_be_empty: bool) -> None:
        self.path = path
        self.may_be_empty = may_be_empty  # True if a label may be empty
        self.names: list[str] = []
        self.sequences: list[Codes] = []
        self.labels: list[tuple[str, ...]] = []
        self.lines: list[int] = []
        self.n_iupac = 0

    def add(self, where: str, line: int, name: str, text: str) -> None:
        raw = text.encode("utf-8")
        if not raw:
            raise FileFormatError(f"{where}: the sequence is empty; mend or remove it.")
        unknown = raw.translate(None, _BASES)
        if odd := unknown.translate(None, _UNKNOWN):
            raise FileFormatError(
                f"{where}: the sequence holds {odd.decode('utf-8', 'replace')[0]!r}, which is no nucleotide code "
                f"(it begins with {text[:20]!r}); is it DNA?"
            )
        self.n_iupac += len(unknown.translate(None, b"Nn"))
        self.names.append(name or str(len(self.names) + 1))
        self.sequences.append(encode(raw))
        self.lines.append(line)

    def label(self, where: str, labels: tuple[str, ...], columns: Sequence[str]) -> None:
        """Add the labels of the next sequence."""
        for column, value in zip(columns, labels, strict=True):
            if not value and not self.may_be_empty:
                raise MissingLabelError(
                    f"{where}: {column} is empty; give each sequence a label, or write ';' as the label of a sequence to which "
                    "none of several classes applies (with --multi-label the field may stay empty)."
                )
        self.labels.append(labels)

    def done(self, columns: Sequence[str], notes: Iterable[str] = ()) -> LabelledSequences:
        if not self.sequences:
            raise FileFormatError(f"{self.path} holds no sequence; give {_KIND} with some.")
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


# --- CSV and TSV


def _from_table(
    rows: _Rows, lines: Iterable[tuple[int, str]], wanted: tuple[str, ...] | None, *, parts_apart: bool
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
            sequence, name, labels = _columns(header, wanted, f"{path}, line {number}")
            columns = [header[i] for i in labels]
            others = set(range(len(header))) - {sequence, name, *labels}
            parts = PartColumns({i: header[i] for i in sorted(others)} if parts_apart and labels else {})
            for row in body:
                if not row or (len(row) == 1 and not row[0].strip()):
                    continue
                where = f"{path}, line {number}"
                if len(row) != len(header):
                    raise FileFormatError(f"{where}: {len(row)} fields, but the header has {len(header)}; mend the line.")
                text = kmers.joined(row[sequence].strip(), where)
                found = tuple(row[i].strip() for i in labels)
                rows.add(where, number, row[name].strip() if name is not None else "", text)
                rows.label(where, found, columns)
                parts.add(row)
    except csv.Error as error:
        raise FileFormatError(f"{path}, line {number}: {error}; mend the quotes.") from error
    if parts.fault:
        raise FileFormatError(f"{path}: {parts.fault}.")
    notes += parts.notes
    if kmers.k:
        notes.append(f"sequences of {kmers.k}-mers were put together again.")
    return rows.done(columns, notes)


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
    return bool(field) and not field.encode().translate(None, _BASES + b"Nn ")


def _columns(header: list[str], wanted: tuple[str, ...] | None, where: str) -> tuple[int, int | None, list[int]]:
    """Return the indices of the sequence column, the name column (or None) and the label columns."""
    keys = [column.lower() for column in header]
    if twice := [column for column, n in Counter(keys).items() if n > 1]:
        raise FileFormatError(f"{where}: the header names {join_names(twice)} more than once; give each column its own name.")
    sequences = [keys.index(key) for key in SEQUENCE_COLUMNS if key in keys]
    if len(sequences) != 1:
        found = "both sequence and seq" if sequences else join_names(header)
        data = not sequences and any(_is_dna(field) for field in header)
        short = not sequences and len(header) == 2 and any(_is_bases(field) for field in header)
        remedy = "; this line looks like data, so write a header line above it" if data else ""
        if short and not data:
            remedy = f"; if this line is data, write a header line above it (DNA of fewer than {_SHORTEST} bases may be a word)"
        raise FileFormatError(f"{where}: the header names {found}, but one column must be `sequence` (or `seq`){remedy}.")
    if wanted is None:
        labels = [i for i, key in enumerate(keys) if key.startswith("label")]
        if not labels:
            raise MissingLabelError(
                f"{where}: the header names {join_names(header)}, but no column that begins with `label`; "
                "name the label column with --label."
            )
    else:
        if absent := [column for column in wanted if column.lower() not in keys]:
            raise ConfigError(f"{where}: there is no column {join_names(absent)}; the header names {join_names(header)}.")
        labels = [keys.index(column.lower()) for column in wanted]
    name = next((keys.index(key) for key in _NAME if key in keys), None)
    return sequences[0], name, labels


# --- FASTA


def _from_fasta(
    rows: _Rows, lines: Iterable[tuple[int, str]], wanted: tuple[str, ...] | None, n_labels: int | None, *, parts_apart: bool
) -> LabelledSequences:
    headers, where, begun, parts = Headers(wanted, parts_apart=parts_apart), "", 0, list[str]()
    for number, text in chain(lines, [(0, ">")]):
        if not text.startswith(">"):
            parts.append(text.strip())
            continue
        if begun:
            rows.add(where, begun, "", "".join(parts))
        if not number:
            break
        begun, parts = number, []
        where = headers.add(f"{rows.path}, line {number}", text[1:])
    try:
        names, columns, labels, notes, n = headers.done(n_labels)
    except MissingLabelError as error:
        raise MissingLabelError(f"{rows.path}: {error}") from None
    rows.names = [name or str(i) for i, name in enumerate(names, 1)]
    for line, name, found in zip(rows.lines, names, labels, strict=True):
        rows.label(f"{rows.path}, line {line}, record {name}", found, columns)
    made = rows.done(columns, notes)
    return replace(made, n_labels=n if made.columns == columns else 0)  # one field may contain several labels


# --- BED with a FASTA


def _from_bed(rows: _Rows, fasta: Path, wanted: tuple[str, ...] | None) -> LabelledSequences:
    columns = ("name",) if wanted is None else wanted
    if bad := [column for column in columns if column not in ("name", "score")]:
        raise ConfigError(f"label {join_names(bad)} is no column of BED; it can be name or score.")
    path = rows.path
    regions = list(read_regions(path))
    with Genome(fasta) as genome:
        contigs = ContigMap((region.chrom for region in regions), genome.contigs)
        n_beyond = 0
        for region in regions:
            where = f"{path}, line {region.line}"
            chrom = contigs.get(region.chrom)
            if chrom is None:
                several = contigs.ambiguous.get(region.chrom)
                has = f"several contigs that are {region.chrom}" if several else f"no contig {region.chrom}, it has"
                raise ContigError(f"{where}: {genome.name} has {has} {join_names(several or genome.contigs)}.")
            if region.start >= genome.contigs[chrom]:
                raise FileFormatError(f"{beyond(path, region, chrom, genome)}; is the file of another assembly?")
            n_beyond += region.end > genome.contigs[chrom]
            place = f"{region.chrom}:{region.start}-{region.end}({region.strand})"
            labels = tuple(str(getattr(region, column)) for column in columns)
            codes = genome.window(chrom, region.start, region.end - region.start)
            rows.add(where, region.line, place, "N")
            rows.label(where, labels, columns)
            rows.sequences[-1] = reverse_complement(codes) if region.strand == "-" else codes
    notes = [contigs.describe(path.name, genome.name)] if contigs.renamed or contigs.ambiguous else []
    notes += [f"{path.name}: {note}" for note in layout_of(path).notes]
    if n_beyond:
        notes.append(f"{n_beyond:,} rows reach beyond the end of their contig: the bases there are N.")
    return rows.done(columns, notes)
