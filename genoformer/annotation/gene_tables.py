"""GTF or GFF3 -> the exons, CDS and stop codons as columns: by pyarrow where it is as it should be, else line by line.

Both ways read the same: attributes in quotes may hold anything, of a key that is there twice the first counts.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from genoformer.annotation.element_tables import whole_numbers
from genoformer.errors import FileFormatError
from genoformer.genome import gff
from genoformer.genome.gene_rows import gene_rows
from genoformer.genome.gtf import EXON, GENE_NAMES, KIND, PARTS, attributes_of, format_of
from genoformer.genome.lines import opened

Table = dict[str, Any]  # contig, gene, exon, start (from 1), end, forward, name, transcript: arrays of pyarrow [n]

_BLOCK = 8 << 20  # bytes of a file at a time
_PLAIN = r'[A-Za-z0-9_.:-]+[ \t]+(?:"[^";]*"|[!#-:<-~]+)[ \t]*'  # an attribute of GTF whose quotes hold no semicolon
_ALL_PLAIN = rf"^(?:[ \t]*{_PLAIN};)*[ \t]*(?:{_PLAIN})?$"


def read_gene_table(path: Path) -> Table:
    """The lines of the genes of a file. Raises: MissingFileError; FileFormatError with the line number."""
    table = read_fast(path) if path.is_file() else None
    return read_carefully(path) if table is None else table


def read_carefully(path: Path) -> Table:
    """Line by line, with the number of a line that is malformed."""
    import pyarrow as pa

    keys = ("contig", "gene", "exon", "start", "end", "forward", "name", "transcript")
    rows: list[tuple[object, ...]] = []
    for row in gene_rows(path):
        if row.strand not in ("+", "-"):
            raise FileFormatError(f"{path}, line {row.line}: the strand, column 7, is {row.strand!r}; a gene has + or -.")
        forward = row.strand == "+"
        rows.append((row.contig, row.gene, row.kind == EXON, row.start + 1, row.end, forward, row.name, row.transcript))
    if not rows:
        raise FileFormatError(f"{path} has no exon lines; give a GTF or GFF3 with them.")
    return {key: pa.array(column) for key, column in zip(keys, zip(*rows, strict=True), strict=True)}


def read_fast(path: Path) -> Table | None:
    """By pyarrow; None where any line is out of the ordinary."""
    import pyarrow as pa
    from pyarrow import compute, csv

    is_gff = format_of(path) == "GFF3"
    names = [str(i) for i in range(9)]
    found: list[Any] = []
    nodes: dict[str, gff.Node] = {}
    try:
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
                    return None
                batch = batch.set_column(3, "3", pa.array(start)).set_column(4, "4", pa.array(end))
                is_part = compute.is_in(batch.column(2), value_set=pa.array(PARTS))
                rows = batch.filter(is_part)
                if len(rows):
                    found.append(_of_parents(rows) if is_gff else _of_attributes(rows))
                if is_gff:
                    known = compute.is_in(batch.column(2), value_set=pa.array([*PARTS, *gff.LEAVES]))
                    few = batch.filter(compute.invert(known))
                    for kind, text in zip(few.column(2).to_pylist(), few.column(8).to_pylist(), strict=True):
                        if node := gff.node_of(kind, text):
                            nodes.setdefault(*node)
    except (_Odd, UnicodeDecodeError, pa.ArrowException):
        return None
    if not found:
        return None
    table = pa.concat_tables(found).combine_chunks()
    if not compute.all(table["stranded"]).as_py():
        return None
    resolved = _with_families(table, nodes) if is_gff else table
    if resolved is None or compute.any(compute.equal(resolved["gene"], "")).as_py():
        return None
    return {name: resolved[name].combine_chunks() for name in resolved.column_names if name != "stranded"}


class _Odd(Exception):
    """Line ends that are not those of lines."""


class _Rows:
    """A file without its comments, up to the sequences of a GFF3, as pyarrow reads it."""

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
        """The next lines, about n bytes of them; b"" at the end."""
        while not self._done:
            text = self._file.read(_BLOCK)
            begun = self._left + text
            cut = begun.rfind(b"\n") + 1 if text else len(begun)
            self._done = not text
            lines, self._left = begun[:cut], begun[cut:]
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
    """Where the sequences of a GFF3 begin in some lines, -1 if they do not."""
    if lines.startswith((b"##FASTA", b">")):
        return 0
    found = [at + 1 for at in (lines.find(b"\n##FASTA"), lines.find(b"\n>")) if at >= 0]
    return min(found, default=-1)


def _base(rows: Any) -> dict[str, Any]:
    """Fields that GTF and GFF3 share."""
    import pyarrow as pa
    from pyarrow import compute

    strand = rows.column(6)
    return {
        "contig": rows.column(0), "exon": compute.equal(rows.column(2), EXON), "start": rows.column(3), "end": rows.column(4),
        "forward": compute.equal(strand, "+"), "stranded": compute.is_in(strand, value_set=pa.array(["+", "-"])),
    }  # fmt: skip


def _of_attributes(rows: Any) -> Any:
    """Lines of a GTF as a table; those whose attributes are not plain are taken apart one by one."""
    import pyarrow as pa
    from pyarrow import compute

    text = rows.column(8)
    odd = compute.invert(compute.match_substring_regex(text, _ALL_PLAIN))
    taken = [attributes_of(one) for one in text.filter(odd).to_pylist()]

    def attribute(key: str) -> Any:
        pattern = rf'(?:^|;)[ \t]*{key}[ \t]+(?:"(?P<quoted>[^"]*)"|(?P<bare>[^; \t"]+))'
        found = compute.extract_regex(text, pattern=pattern)
        quoted, bare = (compute.fill_null(compute.struct_field(found, name), "") for name in ("quoted", "bare"))
        values = compute.if_else(compute.equal(quoted, ""), bare, quoted)
        return compute.replace_with_mask(values, odd, pa.array([one.get(key, "") for one in taken], pa.string()))

    gene, transcript = map(attribute, ("gene_id", "transcript_id"))
    name = gene
    for key in reversed(GENE_NAMES):
        found = attribute(key)
        name = compute.if_else(compute.equal(found, ""), name, found)
    return pa.table({
        **_base(rows), "gene": gene, "name": name,
        "transcript": compute.if_else(compute.equal(transcript, ""), gene, transcript),
    })  # fmt: skip


def _of_parents(rows: Any) -> Any:
    """Lines of a GFF3 as a table, with the text of Parent."""
    import pyarrow as pa
    from pyarrow import compute

    found = compute.extract_regex(rows.column(8), pattern=r"(?:^|;)[ \t]*Parent[ \t]*=(?P<parent>[^;]*)")
    parent = compute.utf8_trim(compute.fill_null(compute.struct_field(found, "parent"), ""), gff.BLANKS)
    return pa.table({**_base(rows), "parent": parent})


def _with_families(table: Any, nodes: dict[str, gff.Node]) -> Any:
    """A table with gene, name and transcript in place of Parent, a row for each; None where the file lacks a Parent."""
    import pyarrow as pa

    coded = table["parent"].combine_chunks().dictionary_encode()
    found = []
    for text in coded.dictionary.to_pylist():
        parents = gff.parents_of({"Parent": text})
        families = [family for parent in parents if (family := gff.family_of(parent, nodes))]
        if not parents or len(families) < len(parents):
            return None
        found.append(families)
    which = np.asarray(coded.indices)
    rows = np.repeat(np.arange(len(which)), np.array([len(of) for of in found])[which])
    first = np.cumsum([0, *(len(of) for of in found)])
    within = np.arange(len(rows)) - np.searchsorted(rows, rows)
    flat = [family for of in found for family in of]
    at = first[which[rows]] + within
    taken = table.take(rows).drop_columns(["parent"])
    for key in ("gene", "name", "transcript"):
        taken = taken.append_column(key, pa.array([getattr(family, key) for family in flat], pa.string()).take(at))
    return taken
