"""BED, peaks and tables of regions -> rows, regions and sorted intervals; 0-based half-open, whatever base the file uses."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import FileFormatError
from genoformer.formats.bed_kinds import layout_of
from genoformer.formats.bed_layout import KIND, NARROW, Layout, is_comment
from genoformer.formats.text import numbered_lines
from genoformer.genome.digits import WHOLE, is_count

Intervals = NDArray[np.int64]  # [n, 2], sorted, start < end

_SUFFIXES = re.compile(
    r"(\.(gz|bgz|bed\d*|narrowpeak|broadpeak|gappedpeak|txt|tsv|xls|merged|vcf|bcf|bw|bigwig))+$", re.IGNORECASE
)


class Region(NamedTuple):
    """Row of a BED-like file: [start, end) of a contig; name and score as written, "" if missing.

    strand is "+", "-" or "."; summit is a position on the contig, None if the file has none; line is for error messages.
    """

    chrom: str
    start: int
    end: int
    name: str = ""
    score: str = ""
    strand: str = "."
    summit: int | None = None
    line: int = 0


class Row(NamedTuple):
    """Row of a BED-like file: its line number, its columns, and its interval [start, end)."""

    line: int
    fields: list[str]
    chrom: str
    start: int
    end: int


def named_file(file_or_pair: str | os.PathLike[str]) -> tuple[str, Path]:
    """Split NAME=FILE, or name a FILE by its own name without suffixes such as .bed.gz, in the characters that VCF allows.

    >>> named_file("CTCF=peaks/a.bed")[0], named_file("peaks/K562.CTCF.narrowPeak.gz")[0]
    ('CTCF', 'K562.CTCF')
    """
    name, sign, file = os.fspath(file_or_pair).partition("=")
    if sign:
        return name, Path(file)
    stem = re.sub(r"[^0-9A-Za-z_.]", "_", _SUFFIXES.sub("", Path(name).name))
    return (stem if re.match(r"[A-Za-z_]", stem) else f"_{stem}"), Path(name)


def read_bed(path: str | os.PathLike[str], columns: str | None = None) -> dict[str, Intervals]:
    """Read the sorted intervals [n, 2] of each contig of a BED-like file, plain or gzipped; BED12 and gappedPeak give blocks.

    columns: in the format of `--columns`. Raises FileFormatError with the line number.
    """
    path = Path(path)
    layout = layout_of(path, columns)
    rows_of_contig: dict[str, list[tuple[int, int]]] = {}
    for row in bed_rows(path, layout=layout):
        rows_of_contig.setdefault(row.chrom, []).extend(parse_blocks(row, layout, path))
    return {contig: np.array(sorted(rows), dtype=np.int64) for contig, rows in rows_of_contig.items() if rows}


def read_regions(path: str | os.PathLike[str], *, columns: str | None = None) -> Iterator[Region]:
    """Yield the rows of a BED-like file, plain or gzipped, in file order; streamed. Rows of BED12 are not split into blocks.

    `bed_kinds` decides the meaning of each column. A "." in the name or score column means no value.

    columns: in the format of `--columns`.

    Raises: MissingFileError; FileFormatError with the line number.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     peaks = pathlib.Path(folder, "a.narrowPeak")
    ...     _ = peaks.write_text("chr1\\t100\\t200\\tpeak1\\t900\\t.\\t7.1\\t-1\\t3.2\\t30\\n")
    ...     next(read_regions(peaks))
    Region(chrom='chr1', start=100, end=200, name='peak1', score='900', strand='.', summit=130, line=1)
    """
    path = Path(path)
    layout = layout_of(path, columns)
    for row in bed_rows(path, layout=layout):
        yield row_region(row, layout, path)


def row_region(row: Row, layout: Layout, path: Path) -> Region:
    """Return a row as a region with name, score, strand and summit."""
    name, score = (text if text != "." else "" for text in (text_in(row, layout.name), text_in(row, layout.score)))
    strand = strand_of(row, layout, path)
    return Region(row.chrom, row.start, row.end, name, score, strand, row_summit(row, layout, path), row.line)


def text_in(row: Row, at: int | None) -> str:
    """Return the field of a row in a column, "" if the row is shorter."""
    return row.fields[at] if at is not None and at < len(row.fields) else ""


def strand_of(row: Row, layout: Layout, path: Path) -> str:
    text = text_in(row, layout.strand)
    if text not in layout.strands:
        raise FileFormatError(
            f"{path}, line {row.line}: the strand, {layout.column(layout.strand)}, is {text[:24]!r}, but should be +, - or .; "
            "correct the line, or describe the columns (--columns strand=none)."
        )
    return layout.strands[text]


def row_summit(row: Row, layout: Layout, path: Path) -> int | None:
    """Return the summit of a peak, a position from 0."""
    where = f"{path}, line {row.line}"
    if layout.kind == "narrowPeak" and layout.summit == NARROW - 1 and len(row.fields) != NARROW:
        raise FileFormatError(f"{where}: narrowPeak has {NARROW} columns, this line {len(row.fields)}; correct the line.")
    if layout.summit is None:
        return None
    text = text_in(row, layout.summit)
    known = WHOLE.fullmatch(text) is not None
    if layout.absolute_summit:
        summit = int(text) - layout.base if known else -1
        if text in ("", ".", "NA", "-1"):
            return None
        if not row.start <= summit <= row.end:
            raise FileFormatError(
                f"{where}: the summit, {layout.column(layout.summit)}, is {text[:24]!r}, outside the row; correct it."
            )
        return summit
    offset = int(text) - layout.summit_base if known else -2
    if not -1 <= offset <= row.end - row.start:  # some summits in ENCODE's files are at END
        raise FileFormatError(
            f"{where}: the summit, {layout.column(layout.summit)}, is {text[:24]!r}, but should be from "
            f"{layout.summit_base} to {row.end - row.start + layout.summit_base}, or {layout.summit_base - 1} for none; "
            "correct the line."
        )
    return row.start + offset if offset >= 0 else None


def bed_rows(path: Path, *, zero_length: bool = False, layout: Layout | None = None) -> Iterator[Row]:
    """Yield the rows of a BED-like file; streamed. Comments, track and browser lines and column names are skipped.

    zero_length: also accept rows with END equal to START, a position between two bases. layout: None is that of the file.
    """
    layout = layout or layout_of(path)
    chrom, first, last, base = layout.chrom, layout.start, layout.end, layout.base
    needed = max(chrom, first, last) + 1
    lines = ((number, line) for number, line in numbered_lines(path, KIND) if number > layout.skipped and not is_comment(line))
    for number, line, fields, width in _split(lines, layout, path):
        if len(fields) < needed or not (is_count(fields[first]) and is_count(fields[last])):
            raise FileFormatError(f"{path}, line {number}: {_why_no_row(line, fields, layout)}; correct the line.")
        start, end = int(fields[first]) - base, int(fields[last])
        if start < 0:
            raise FileFormatError(f"{path}, line {number}: START 0, but the file counts from 1; correct it, or give base=0.")
        if end < start or (end == start and not zero_length):
            relation = "is before" if base else "is not after"
            from_1 = ", or give --columns base=1 if the file counts from 1" if end == start and layout.header else ""
            raise FileFormatError(
                f"{path}, line {number}: END {end} {relation} START {start + base}; correct the line{from_1}."
            )
        if width is not None and (len(fields) <= width or fields[width] != str(end - start)):
            raise FileFormatError(
                f"{path}, line {number}: {layout.column(width)}, is not the {end - start} bases from START "
                f"{start + base} to END {end}, as in the lines before; correct the line, or give --columns base=0 or base=1."
            )
        yield Row(number, fields, fields[chrom], start, end)


def _split(lines: Iterable[tuple[int, str]], layout: Layout, path: Path) -> Iterator[tuple[int, str, list[str], int | None]]:
    """Yield number, text, fields and width column of each row; a row of several exons (featureCounts) once for each exon.

    The width of a gene is that of all of its exons, so the rows of several exons have no width column.
    """
    for number, line in lines:
        fields = line.split("\t")
        if not layout.exons or ";" not in line or len(fields) <= layout.start or ";" not in fields[layout.start]:
            yield number, line, fields, layout.width
            continue
        columns = [at for at in (layout.chrom, layout.start, layout.end, layout.strand) if at is not None and at < len(fields)]
        parts = [fields[at].split(";") for at in columns]
        if len(set(map(len, parts))) > 1:
            n = ", ".join(f"{len(part)} in {layout.column(at)}" for at, part in zip(columns, parts, strict=True))
            raise FileFormatError(
                f"{path}, line {number}: the numbers of exons, separated by semicolons, differ ({n}); mend it."
            )
        for exon in zip(*parts, strict=True):
            row = fields.copy()
            for at, text in zip(columns, exon, strict=True):
                row[at] = text
            yield number, line, row, None


def parse_blocks(row: Row, layout: Layout, path: Path) -> list[tuple[int, int]]:
    """Return the intervals of a row: the blocks of a BED12, otherwise the row itself; blocks of 0 bases are left out."""
    if layout.blocks is None:
        return [(row.start, row.end)]
    n, sizes, starts = (text_in(row, at) for at in layout.blocks)
    try:
        pairs = [(row.start + at, row.start + at + size) for at, size in zip(_counts(starts), _counts(sizes), strict=True)]
    except ValueError:
        pairs = []
    if not pairs or n != str(len(pairs)) or any(end > row.end for _, end in pairs):
        raise FileFormatError(
            f"{path}, line {row.line}: the blocks, {_columns(layout.blocks)}, are {n[:24]!r}, "
            f"{sizes[:24]!r} and {starts[:24]!r}, but should be their number, sizes and starts inside the row; correct the "
            "line, or use whole rows (--columns blocks=none)."
        )
    return [(start, end) for start, end in pairs if end > start]


def _columns(at: tuple[int, int, int]) -> str:
    first, second, third = (i + 1 for i in at)
    return f"columns {first} to {third}" if (second, third) == (first + 1, first + 2) else f"columns {first}, {second}, {third}"


def _counts(text: str) -> list[int]:
    """Parse numbers separated by commas, with an optional trailing comma."""
    parts = text.removesuffix(",").split(",")
    if not all(map(is_count, parts)):
        raise ValueError(text)
    return list(map(int, parts))


def _why_no_row(line: str, fields: list[str], layout: Layout) -> str:
    """Describe the fault of a line that is not a BED row."""
    needed = max(layout.chrom, layout.start, layout.end) + 1
    if len(fields) < needed:
        if needed > 3:
            return f"{len(fields)} tab-separated columns, but {needed} or more are needed"
        commas = ", and commas between words" if line.count(",") > 1 else ""
        blanks = ", and blanks between words" if len(line.split()) > 2 else commas
        return f"{len(fields)} tab-separated columns{blanks}, but BED has CHROM START END, tab-separated"
    start, end = fields[layout.start][:24], fields[layout.end][:24]
    from_what = "whole numbers from 1 on" if layout.base else "whole numbers from 0 on"
    return f"START {start!r} and END {end!r}, but BED has {from_what}, tab-separated: CHROM START END"
