"""CSV/TSV, FASTA with labels, or BED with a FASTA -> names, sequences and labels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from genoformer.datasets.headers import Headers, MissingLabelError
from genoformer.datasets.other_files import refuse_other_files
from genoformer.datasets.region_files import are_regions, has_bed_suffix
from genoformer.datasets.sequence_rows import KIND, LabelledSequences, Place, SequenceRows
from genoformer.datasets.sequence_tables import read_table
from genoformer.errors import ConfigError, ContigError, FileFormatError
from genoformer.formats.bed import read_regions
from genoformer.formats.bed_kinds import layout_of
from genoformer.formats.text import numbered_lines
from genoformer.genome.beyond import beyond
from genoformer.genome.codes import reverse_complement
from genoformer.genome.contigs import ContigMap, join_names
from genoformer.genome.reference import Genome
from genoformer.genome.wording import counted_with


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
    requested = (label,) if isinstance(label, str) else tuple(label) if label is not None else None
    if has_bed_suffix(path) or (fasta is not None and are_regions(path, KIND)):
        if fasta is None:
            raise ConfigError(f"{path} is a BED file, which holds no bases; give the FASTA of its genome as well.")
        return _from_bed(SequenceRows(path, multi_label), Path(fasta), requested)
    if fasta is not None:
        raise ConfigError(
            f"{path} is no BED file by its name or its first rows, so the FASTA {fasta} is not needed; leave it out, or give "
            "regions (CHROM START END, tab-separated)."
        )
    lines = numbered_lines(path, KIND)
    head = next(((number, text) for number, text in lines if text.strip()), None)
    if head is None:
        raise FileFormatError(f"{path} is empty; give {KIND}.")
    refuse_other_files(path, head[1])
    rows, lines = SequenceRows(path, multi_label), chain([head], lines)
    if head[1].startswith(">"):
        return _from_fasta(rows, lines, requested, n_labels, parts_apart=parts_apart)
    return read_table(rows, lines, requested, parts_apart=parts_apart)


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
        sequences = _read(Path(path), fasta, (), False, None, parts_apart=False)
        return replace(sequences, notes=(*sequences.notes, f"no labels are read: {str(error).partition(';')[0]}."))


# --- FASTA


def _from_fasta(
    rows: SequenceRows,
    lines: Iterable[tuple[int, str]],
    requested: tuple[str, ...] | None,
    n_labels: int | None,
    *,
    parts_apart: bool,
) -> LabelledSequences:
    headers, where, first_line, parts = Headers(requested, parts_apart=parts_apart), "", 0, list[str]()
    for number, text in chain(lines, [(0, ">")]):
        if not text.startswith(">"):
            parts.append(text.strip())
            continue
        if first_line:
            rows.add(where, first_line, "", "".join(parts))
        if not number:
            break
        first_line, parts = number, []
        where = headers.add(f"{rows.path}, line {number}", text[1:])
    try:
        names, columns, labels, notes, n = headers.done(n_labels)
    except MissingLabelError as error:
        raise MissingLabelError(f"{rows.path}: {error}") from None
    rows.names = [name or str(i) for i, name in enumerate(names, 1)]
    for line, name, values in zip(rows.lines, names, labels, strict=True):
        rows.label(f"{rows.path}, line {line}, record {name}", values, columns)
    made = rows.done(columns, notes)
    return replace(made, n_labels=n if made.columns == columns else 0)  # one field may contain several labels


# --- BED with a FASTA


def _from_bed(rows: SequenceRows, fasta: Path, requested: tuple[str, ...] | None) -> LabelledSequences:
    columns = ("name",) if requested is None else requested
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
        notes.append(f"{counted_with(n_beyond, 'row', 'reaches', 'reach')} beyond the end of a contig: the bases there are N.")
    places = tuple(Place(contigs.get(region.chrom) or region.chrom, region.start, region.end) for region in regions)
    return replace(rows.done(columns, notes), regions=tuple(regions), n_lower=(), places=places)
