"""Tables of variants without a VCF (TSV, CSV, blanks; plain or gzipped; DataFrames; lists of ids) -> rows, streamed."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from genoformer.errors import FileFormatError
from genoformer.formats.text import long_fields, numbered_lines
from genoformer.formats.variant_columns import (
    EXPECTED,
    TableLayout,
    is_vcf_header,
    layout_of_header,
    layout_without_header,
    separator_of,
)
from genoformer.formats.variant_ids import is_rsid, parse_place, parse_variant_id
from genoformer.genome.digits import DIGITS

MISSING = frozenset({"", ".", "NA", "NaN", "nan", "N/A", "n/a", "None", "none", "NULL", "null", "<NA>", "#N/A"})
_POSITION = re.compile(rf"([0-9]{{1,{DIGITS}}})(?:\.0*)?")  # pandas writes 1050100.0 in a column with missing values
_SCIENTIFIC = re.compile(r"[0-9](\.[0-9]+)?[eE]\+?[0-9]{1,2}")  # R writes 1e+05
_HEAD = 1 << 16  # bytes that show the kind of a file


class TableRow(NamedTuple):
    """One variant of a table: its fields as written, and the parts that its layout finds in them."""

    line: int  # from 1; the number of the row in a DataFrame
    fields: Sequence[str]
    chrom: str  # "" if missing
    pos: int  # from 1; 0 if missing
    id: str  # "" if missing
    ref: str  # of a table with effect and other allele: the other allele
    alt: str  # of such a table: the effect allele
    effect: str  # "" if unknown


class VariantTable(NamedTuple):
    """A table that can be read several times: its name in messages, its layout, and its rows as fields with line numbers."""

    name: str
    layout: TableLayout
    lines: Callable[[], Iterator[tuple[int, Sequence[str]]]]

    def rows(self) -> Iterator[TableRow]:
        """Yield the rows, in order; FileFormatError with the line for a row that cannot be read."""
        for line, fields in self.lines():
            yield _row(self, line, fields)


def open_variant_table(path: str | Path, name: str | Path | None = None) -> VariantTable | None:
    """Return the table that a file holds; None for a VCF, a BCF, or a file of another kind, which the reader of VCF refuses.

    Raises FileFormatError for a table of variants that lacks their positions or alleles.
    """
    head = _head(Path(path))
    lines = [line.rstrip("\r") for line in head.split("\n")]
    if head.startswith("##fileformat=VCF"):
        return None
    skipped = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("##")), None)
    if skipped is None:
        return None
    shown, separator = str(name or path), separator_of(lines[skipped])
    first, *others = _split(lines[skipped:], separator)
    if is_vcf_header(first):
        return None
    second = next((fields for fields in others if fields), [])
    layout = layout_without_header(first, shown, separator) or layout_of_header(first, second, shown, separator)
    if layout is None:
        return None
    n_before = skipped + layout.has_header

    def rows() -> Iterator[tuple[int, Sequence[str]]]:
        numbered = ((number, line) for number, line in numbered_lines(path, EXPECTED) if number > n_before and line.strip())
        if separator == "\t":
            yield from ((number, line.split("\t")) for number, line in numbered)
            return
        with long_fields():
            for number, line in numbered:
                yield number, next(iter(_split([line], separator)))

    return VariantTable(shown, layout, rows)


def table_of_frame(frame: Any, name: str) -> VariantTable | None:
    """Return a DataFrame of variants as a table; None if it has no columns of variants."""
    names = [str(column) for column in frame.columns]

    def rows() -> Iterator[tuple[int, Sequence[str]]]:
        for number, values in enumerate(frame.itertuples(index=False, name=None), 1):
            yield number, ["" if value is None or value != value else str(value) for value in values]

    first = next(rows(), (0, []))[1]
    layout = layout_of_header(names, first, name)
    return None if layout is None else VariantTable(name, layout, rows)


def table_of_ids(ids: Sequence[str], name: str) -> VariantTable:
    """Return ids such as chr20:1050100:A:G as a table; FileFormatError for another text."""
    for text in ids:
        if parse_variant_id(text) is None:
            raise FileFormatError(_not_an_id(text))
    layout = TableLayout(("variant",), "\t", has_header=False, id=0, word=0)
    return VariantTable(name, layout, lambda: iter([(i, [text.strip()]) for i, text in enumerate(ids, 1)]))


def _not_an_id(text: str) -> str:
    if is_rsid(text):
        return (
            f"{text} is an rsID, which names no position; give contig, position, REF and ALT, such as chr20:1050100:A:G (dbSNP "
            "has them for each assembly)."
        )
    return f"{text!r} is no variant; write it as chr20:1050100:A:G, with the position from 1, REF and ALT."


def _row(table: VariantTable, line: int, fields: Sequence[str]) -> TableRow:
    layout = table.layout
    if len(fields) > len(layout.names):
        raise FileFormatError(
            f"{table.name}, line {line}: found {len(fields)} columns, expected {len(layout.names)}; correct the line."
        )
    texts = ["" if at is None or at >= len(fields) or (text := fields[at].strip()) in MISSING else text for at in layout.read]
    chrom, pos, name, ref, alt, effect = texts
    number = 0
    if pos:
        number = int(pos) if len(pos) <= DIGITS and pos.isascii() and pos.isdecimal() else _position(table, line, pos)
    if layout.word is not None:
        chrom, number, ref, alt = _read_id(table, line, fields[layout.word] if layout.word < len(fields) else "", ref, alt)
    return TableRow(line, fields, chrom, number if chrom else 0, name, ref.upper(), alt, effect.upper())


def _read_id(table: VariantTable, line: int, text: str, ref: str, alt: str) -> tuple[str, int, str, str]:
    """Return contig and position of an id, and REF and ALT: those of the columns if there are any, else those of the id."""
    if text.strip() in MISSING:
        return "", 0, ref, alt
    has_columns = table.layout.other is not None or table.layout.ref is not None
    whole = parse_variant_id(text)
    place = whole[:2] if whole else parse_place(text) if has_columns else None
    if place is None:
        raise FileFormatError(f"{table.name}, line {line}: {_not_an_id(text)}")
    return (*place, ref, alt) if has_columns or whole is None else (whole.chrom, whole.pos, whole.ref, whole.alt)


def _position(table: VariantTable, line: int, text: str) -> int:
    if match := _POSITION.fullmatch(text):
        return int(match[1])
    if _SCIENTIFIC.fullmatch(text) and float(text).is_integer() and float(text) < 10**15:
        return int(float(text))
    column = table.layout.names[table.layout.pos or 0]
    raise FileFormatError(
        f"{table.name}, line {line}: the position, column {column}, is {text[:24]!r}, expected a whole number from 1; "
        "correct the line."
    )


def _head(path: Path) -> str:
    """Return the first lines of a file as text, "" for a file that is not text or cannot be read."""
    try:
        with path.open("rb") as file:
            is_packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            data = gzip.GzipFile(fileobj=file).read(_HEAD) if is_packed else file.read(_HEAD)
    except (OSError, EOFError, zlib.error):
        return ""
    if data[:4] == b"BCF\x02" or b"\0" in data:
        return ""
    cut = data.rfind(b"\n") + 1 if len(data) == _HEAD else len(data)
    return data[:cut].decode("utf-8-sig", "replace")


def _split(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    """Yield the fields of lines; commas may stand in quotes, and blanks may be repeated."""
    if separator == " ":
        yield from (line.split() for line in lines)
    elif separator == "\t":
        yield from (line.split("\t") for line in lines)
    else:
        yield from chain.from_iterable(islice(csv.reader([line]), 1) for line in lines)
