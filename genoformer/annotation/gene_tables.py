"""GTF or GFF3 -> exons, CDS and stop codons as columns, with pyarrow if it is there and the file is regular, else line by line.

Both ways give the same result: quoted attributes may hold any text, and the first value of a repeated key counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from genoformer.annotation.element_tables import whole_numbers
from genoformer.annotation.text_columns import TextColumn, pair_numbers
from genoformer.errors import FileFormatError
from genoformer.extras import is_installed
from genoformer.formats import gff, gtf
from genoformer.formats.gtf import EXON, GENE_NAMES, KIND, PARTS, attributes_of, format_of, gene_rows, has_strand, transcript_of
from genoformer.formats.text import opened
from genoformer.formats.transcript_exons import NO_STRAND, Key, Span, is_gene, is_transcript, is_utr, made_exons, widen

KEYS = ("contig", "gene", "exon", "start", "end", "forward", "name", "transcript", "made", "stranded")
TEXTS = ("contig", "gene", "name", "transcript")
Columns = dict[str, Any]  # KEYS -> TextColumn of TEXTS, else array [n]; start is 1-based, `made` marks exons that have no line


_BLOCK = 8 << 20  # bytes of a file per block
_PLAIN = r'[A-Za-z0-9_.:-]+[ \t]+(?:"[^";]*"|[!#-:<-~]+)[ \t]*'  # a GTF attribute without a semicolon in its quotes
_ALL_PLAIN = rf"^(?:[ \t]*{_PLAIN};)*[ \t]*(?:{_PLAIN})?$"


def read_gene_table(path: Path) -> Columns:
    """Read the gene lines of a file. Raises: MissingFileError; FileFormatError with the line number."""
    table = read_fast(path) if path.is_file() and is_installed("pyarrow") else None
    return read_carefully(path) if table is None else table


def with_strand(path: Path, columns: Columns) -> tuple[Columns, int]:
    """Return the lines of transcripts with a strand on every line, and the number of other transcripts.

    Raises: FileFormatError if no transcript has a strand.
    """
    stranded = columns["stranded"]
    if stranded.all():
        return columns, 0
    numbers = pair_numbers(columns["contig"], columns["transcript"])
    without = np.unique(numbers[~stranded])
    kept = ~np.isin(numbers, without)
    if not kept.any():
        raise FileFormatError(f"{path}: no transcript has a strand, + or - in column 7; give a file of genes with strands.")
    return {key: column[kept] for key, column in columns.items()}, len(without)


def read_carefully(path: Path) -> Columns:
    """Read a file line by line; FileFormatError with the number of a malformed line."""
    rows: list[tuple[Any, ...]] = []
    for row in gene_rows(path):
        stranded, exon, forward = has_strand(path, row.line, row.strand), row.is_exon, row.strand == "+"
        at = (row.contig, row.gene, exon, row.start + 1, row.end, forward)
        rows.append((*at, row.name, row.transcript, row.made, stranded))
    if not rows:
        raise gtf.without_exons(path)
    columns = zip(KEYS, zip(*rows, strict=True), strict=True)
    return {key: TextColumn.from_texts(column) if key in TEXTS else np.array(column) for key, column in columns}


def read_fast(path: Path) -> Columns | None:
    """Read a file with pyarrow; None if any line is irregular."""
    import pyarrow as pa
    from pyarrow import compute

    is_gff = format_of(path) == "GFF3"
    tables: list[Any] = []
    nodes: dict[str, gff.Node] = {}
    lines = _Lines([], {}, {})
    try:
        for batch in _batches(path):
            rows = batch.filter(compute.is_in(batch.column(2), value_set=pa.array(PARTS)))
            if len(rows):
                tables.append(_of_parents(rows) if is_gff else _of_attributes(rows))
            if is_gff:
                lines.add_gff(batch, nodes)
            else:
                lines.add_gtf(batch)
    except (_Odd, UnicodeDecodeError, pa.ArrowException):
        return None
    if not tables:
        return None
    table = pa.concat_tables(tables).combine_chunks()
    if not compute.all(compute.is_in(table["strand"], value_set=pa.array(["+", "-", *NO_STRAND]))).as_py():
        return None
    resolved = _with_families(table, nodes) if is_gff else table
    if resolved is None or compute.any(compute.equal(resolved["gene"], "")).as_py():
        return None
    resolved = lines.with_exons(resolved)
    return {key: TextColumn.from_arrow(resolved[key]) if key in TEXTS else resolved[key].to_numpy() for key in KEYS}


def _batches(path: Path) -> Iterator[Any]:
    """Yield batches of the lines of a file, with START and END as numbers; _Odd if they are not numbers."""
    import pyarrow as pa
    from pyarrow import csv

    names = [str(i) for i in range(9)]
    with opened(path, KIND) as file:
        batches = csv.open_csv(
            _Rows(file),
            csv.ReadOptions(column_names=names, block_size=_BLOCK),
            csv.ParseOptions(delimiter="\t", quote_char=False),
            csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), null_values=[], strings_can_be_null=False),
        )
        for batch in batches:
            start, end = whole_numbers(batch.column(3)), whole_numbers(batch.column(4))
            if start is None or end is None or (start < 1).any() or (end < start).any():
                raise _Odd
            yield batch.set_column(3, "3", pa.array(start)).set_column(4, "4", pa.array(end))


class _Lines(NamedTuple):
    """Lines from which the exons of transcripts without exon lines are built."""

    utrs: list[Any]  # tables of contig, transcript (or the text of Parent), start, end
    limits: dict[Key, Span]
    of_genes: dict[Key, Span]  # limits of all genes, for genes that are their own transcripts

    def add_gtf(self, batch: Any) -> None:
        """Collect the UTR, transcript and gene lines of a GTF."""
        utr, above = _of_kinds(batch, is_utr), _of_kinds(batch, lambda kind: is_transcript(kind) or is_gene(kind))
        if len(utr):
            self.utrs.append(_of_attributes(utr).select(["contig", "transcript", "start", "end"]))
        for kind, text, contig, start, end in _columns(above):
            attributes = attributes_of(text)
            if is_gene(kind):
                widen(self.of_genes, (contig, attributes.get("gene_id", "")), start - 1, end)
            else:
                widen(self.limits, (contig, transcript_of(attributes, text)), start - 1, end)

    def add_gff(self, batch: Any, nodes: dict[str, gff.Node]) -> None:
        """Collect the UTR lines of a GFF3, and the lines that may be the Parent of others."""
        if len(utr := _of_kinds(batch, is_utr)):
            table = _of_parents(utr).select(["contig", "parent", "start", "end"])
            if "" in table["parent"].unique().to_pylist():
                raise _Odd
            self.utrs.append(table)
        others = _of_kinds(batch, lambda kind: kind not in PARTS and kind not in gff.LEAVES and not is_utr(kind))
        for kind, text, contig, start, end in _columns(others):
            if node := gff.node_of(kind, text):
                nodes.setdefault(*node)
                widen(self.limits, (contig, node[0]), start - 1, end)

    def with_exons(self, table: Any) -> Any:
        """Return the table, with the exons of transcripts without exon lines appended."""
        import pyarrow as pa

        pairs = _transcripts(table)
        numbers = np.asarray(pairs.indices)
        lacking = np.ones(len(pairs.dictionary), dtype=bool)
        lacking[numbers[np.asarray(table["exon"])]] = False
        table = table.append_column("made", pa.array(np.zeros(len(table), dtype=bool)))
        if not lacking.any():
            return table
        at = np.flatnonzero(lacking[numbers])
        rows_without_exons = table.take(at)
        keys = list(zip(rows_without_exons["contig"].to_pylist(), rows_without_exons["transcript"].to_pylist(), strict=True))
        coding: dict[Key, list[Span]] = {}
        first: dict[Key, int] = {}
        for i, (key, start, end) in enumerate(
            zip(keys, rows_without_exons["start"].to_pylist(), rows_without_exons["end"].to_pylist(), strict=True)
        ):
            coding.setdefault(key, []).append((start - 1, end))
            first.setdefault(key, i)
        made = list(made_exons(coding, self._utrs_of(first), {**self.of_genes, **self.limits}))
        rows = rows_without_exons.take(pa.array([first[key] for key, _ in made]))
        for name, values in (
            ("exon", [True] * len(made)),
            ("made", [True] * len(made)),
            ("start", [start + 1 for _, (start, _) in made]),
            ("end", [end for _, (_, end) in made]),
        ):
            rows = rows.set_column(rows.column_names.index(name), name, pa.array(values, table[name].type))
        return pa.concat_tables([table, rows])

    def _utrs_of(self, keys: dict[Key, int]) -> dict[Key, list[Span]]:
        """Return the UTRs of these transcripts."""
        utrs: dict[Key, list[Span]] = {}
        for table in self.utrs:
            contigs, owners, starts, ends = (column.to_pylist() for column in table.columns)
            parents = table.column_names[1] == "parent"
            for contig, owner, start, end in zip(contigs, owners, starts, ends, strict=True):
                for transcript in gff.parents_of({"Parent": owner}) if parents else (owner,):
                    if (contig, transcript) in keys:
                        utrs.setdefault((contig, transcript), []).append((start - 1, end))
        return utrs


def _of_kinds(batch: Any, fits: Callable[[str], object]) -> Any:
    """Return the lines whose kind (column 3) satisfies `fits`."""
    import pyarrow as pa

    kinds = batch.column(2).dictionary_encode()
    known = np.array([bool(fits(kind)) for kind in kinds.dictionary.to_pylist()], dtype=bool)
    return batch.filter(pa.array(known[np.asarray(kinds.indices)]))


def _columns(rows: Any) -> Iterator[tuple[str, str, str, int, int]]:
    """Yield kind, attributes, contig, start and end of each line."""
    return zip(*(rows.column(i).to_pylist() for i in (2, 8, 0, 3, 4)), strict=True)


def _transcripts(table: Any) -> Any:
    """Return the distinct pairs of contig and transcript, dictionary-encoded by row."""
    import pyarrow as pa
    from pyarrow import compute

    pairs = compute.binary_join_element_wise(table["contig"], table["transcript"], "\t")
    return (pairs.combine_chunks() if isinstance(pairs, pa.ChunkedArray) else pairs).dictionary_encode()


class _Odd(Exception):
    """Irregular lines, which need `read_carefully`."""


class _Rows:
    """Binary file for pyarrow, without comments and without the sequences at the end of a GFF3."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left, self._done = file, b"", False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def read(self, n: int = -1) -> bytes:
        """Return the next block of whole lines, of about _BLOCK bytes (n is ignored); b"" at the end."""
        while not self._done:
            text = self._file.read(_BLOCK)
            pending = self._left + text
            cut = pending.rfind(b"\n") + 1 if text else len(pending)
            self._done = not text
            lines, self._left = pending[:cut], pending[cut:]
            if lines.count(b"\r") != lines.count(b"\r\n"):
                raise _Odd
            if (end := _sequence_in(lines)) >= 0:
                lines, self._done = lines[:end], True
            if lines[:1] == b"#" or b"\n#" in lines:
                lines = re.sub(rb"(?m)^#.*\n?", b"", lines)
            if lines:
                return lines
        return b""


def _sequence_in(lines: bytes) -> int:
    """Return the start of the sequences of a GFF3 in some lines; -1 if there are none."""
    if lines.startswith((b"##FASTA", b">")):
        return 0
    starts = [at + 1 for at in (lines.find(b"\n##FASTA"), lines.find(b"\n>")) if at >= 0]
    return min(starts, default=-1)


def _base(rows: Any) -> dict[str, Any]:
    """Return the columns common to GTF and GFF3."""
    import pyarrow as pa
    from pyarrow import compute

    strand = rows.column(6)
    return {
        "contig": rows.column(0),
        "exon": compute.equal(rows.column(2), EXON),
        "start": rows.column(3),
        "end": rows.column(4),
        "forward": compute.equal(strand, "+"),
        "strand": strand,
        "stranded": compute.is_in(strand, value_set=pa.array(["+", "-"])),
    }


def _of_attributes(rows: Any) -> Any:
    """Convert lines of a GTF to a table; lines with irregular attributes are parsed one by one."""
    import pyarrow as pa
    from pyarrow import compute

    text = rows.column(8)
    odd = compute.invert(compute.match_substring_regex(text, _ALL_PLAIN))
    taken = [attributes_of(one) for one in text.filter(odd).to_pylist()]

    def attribute(key: str) -> Any:
        pattern = rf'(?:^|;)[ \t]*{key}[ \t]+(?:"(?P<quoted>[^"]*)"|(?P<bare>[^; \t"]+))'
        values_of_key = compute.extract_regex(text, pattern=pattern)
        quoted, bare = (compute.fill_null(compute.struct_field(values_of_key, name), "") for name in ("quoted", "bare"))
        values = compute.if_else(compute.equal(quoted, ""), bare, quoted)
        return compute.replace_with_mask(values, odd, pa.array([one.get(key, "") for one in taken], pa.string()))

    gene, transcript = map(attribute, ("gene_id", "transcript_id"))
    name = gene
    for key in reversed(GENE_NAMES):
        found = attribute(key)
        name = compute.if_else(compute.equal(found, ""), name, found)
    return pa.table(
        {
            **_base(rows),
            "gene": gene,
            "name": name,
            "transcript": compute.if_else(compute.equal(transcript, ""), gene, transcript),
        }
    )


def _of_parents(rows: Any) -> Any:
    """Convert lines of a GFF3 to a table with the text of Parent."""
    import pyarrow as pa
    from pyarrow import compute

    match = compute.extract_regex(rows.column(8), pattern=r"(?:^|;)[ \t]*Parent[ \t]*=(?P<parent>[^;]*)")
    parent = compute.utf8_trim(compute.fill_null(compute.struct_field(match, "parent"), ""), gff.BLANKS)
    return pa.table({**_base(rows), "parent": parent})


def _with_families(table: Any, nodes: dict[str, gff.Node]) -> Any:
    """Replace Parent by gene, name and transcript, one row per parent; None if the file lacks a parent."""
    import pyarrow as pa

    coded = table["parent"].combine_chunks().dictionary_encode()
    families_of_text = []
    for text in coded.dictionary.to_pylist():
        parents = gff.parents_of({"Parent": text})
        families = [family for parent in parents if (family := gff.family_of(parent, nodes))]
        if not parents or len(families) < len(parents):
            return None
        families_of_text.append(families)
    which = np.asarray(coded.indices)
    rows = np.repeat(np.arange(len(which)), np.array([len(of) for of in families_of_text])[which])
    first = np.cumsum([0, *(len(of) for of in families_of_text)])
    within = np.arange(len(rows)) - np.searchsorted(rows, rows)
    flat = [family for of in families_of_text for family in of]
    at = first[which[rows]] + within
    resolved = table.take(rows).drop_columns(["parent"])
    for key in ("gene", "name", "transcript"):
        resolved = resolved.append_column(key, pa.array([getattr(family, key) for family in flat], pa.string()).take(at))
    return resolved
