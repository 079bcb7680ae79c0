"""Table or VCF of variants -> their measured effects or labels, by contig, POS, REF and ALT."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genoformer.errors import ConfigError, FileFormatError, MissingFileError
from genoformer.formats.text import long_fields, numbered_lines
from genoformer.formats.variant_columns import TableLayout, layout_of_header
from genoformer.formats.variant_ids import parse_variant_id
from genoformer.formats.vcf import open_vcf
from genoformer.formats.vcf_records import parse_info
from genoformer.genome.contigs import canonical_key, join_names
from genoformer.genome.digits import is_count

Key = tuple[str, int, str, str]  # contig under any naming scheme; POS; REF; ALT
_VCF = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")


class Truth(NamedTuple):
    """Known effects (numbers) or labels (0 and 1) of variants, and the element of each variant."""

    effects: dict[Key, float]
    elements: dict[Key, str]
    binary: bool


class _Row(NamedTuple):
    """One variant of a file, and its values by column (of a VCF by key of INFO)."""

    key: Key
    values: Mapping[str, str | None]


def read_truth(
    path: str | Path,
    column: str,
    *,
    element: str | None = None,
    positive: str | None = None,
    where: Mapping[str, str] | None = None,
) -> Truth:
    """Read the truth of variants from a TSV or CSV with a header, or from a VCF or BCF, whose columns are the keys of INFO.

    A table has contig, POS, REF and ALT under any of their usual names (docs/variant-tables.md), or ids such as
    chr20:1050100:A:G. column: the effects, or labels. positive: value of the column that marks a positive variant; all other
    values are negative. Without it, a column of 0 and 1 only is read as labels. element: a column that groups variants. where:
    read only rows with these values. If a variant is in several rows, the first one counts.

    Raises FileFormatError, MissingFileError or ConfigError, with the content of the file.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist; give a table of measured effects or labels of variants.")
    effects: dict[Key, float] = {}
    elements: dict[Key, str] = {}
    needed = (column, *([element] if element else []), *(where or {}))
    rows = _rows_of_vcf if path.name.endswith(_VCF) else _rows_of_table
    for row in rows(path, needed, where or {}):
        value = float(row.values[column] == positive) if positive is not None else number_in(row.values[column])
        if value == value and row.key not in effects:
            effects[row.key] = value
            if element:
                elements[row.key] = row.values[element] or ""
    if not effects:
        raise FileFormatError(f"{path} has no variant with a number in {column}; name its positive value, or another column.")
    if positive is not None and not any(effects.values()):
        raise ConfigError(f"no row of {path} has {positive!r} in {column}.")
    return Truth(effects, elements, positive is not None or set(effects.values()) <= {0.0, 1.0})


def _rows_of_table(path: Path, needed: Sequence[str], where: Mapping[str, str]) -> Iterator[_Row]:
    """Yield the variants of a table with the values of `where`; ConfigError without one of the needed columns."""
    layout: TableLayout | None = None
    for number, row in table_rows(path):
        if layout is None:
            layout = _layout(path, row)
            for name in needed:
                if name not in row:
                    raise ConfigError(f"{path} has no column {name}; its columns are {', '.join(row)}.")
        if _has(row, where):
            yield _Row(_key_in(path, number, list(row.values()), layout), row)


def _has(row: Mapping[str, str | None], where: Mapping[str, str]) -> bool:
    return all(row[name] == value for name, value in where.items())


def _layout(path: Path, row: Mapping[str, str | None]) -> TableLayout:
    """Return the columns of contig, POS, REF and ALT, or of ids; FileFormatError without them."""
    names = list(row)
    layout = layout_of_header(names, [text or "" for text in row.values()], str(path))
    if layout is None:
        raise FileFormatError(f"{path} has no columns of contig, POS, REF and ALT; its columns are {join_names(names)}.")
    if not layout.oriented:
        raise FileFormatError(
            f"{path} has effect and other allele, expected columns of REF and ALT; `score` writes them for this table."
        )
    return layout


def _key_in(path: Path, number: int, fields: Sequence[str | None], layout: TableLayout) -> Key:
    """Return the variant of a row of a table."""
    if layout.word is not None:
        text = fields[layout.word] or ""
        variant = parse_variant_id(text)
        if variant is None:
            raise FileFormatError(f"{path}, line {number}: {text[:24]!r} is no variant; write it as chr20:1050100:A:G.")
        return variant_key(*variant)
    chrom, pos, ref, alt = (None if at is None else fields[at] for at in (layout.chrom, layout.pos, layout.ref, layout.alt))
    if chrom is None or pos is None or ref is None or alt is None:
        raise FileFormatError(f"{path}, line {number} has fewer columns than the header; correct the line.")
    if not is_count(pos):
        raise FileFormatError(f"{path}, line {number}: POS is {pos[:24]!r}; give a whole number.")
    return variant_key(chrom, int(pos), ref, alt)


def _rows_of_vcf(path: Path, needed: Sequence[str], where: Mapping[str, str]) -> Iterator[_Row]:
    """Yield the ALTs of a VCF or BCF with the values of `where`; of a key with a value for each ALT that of the ALT.

    Raises ConfigError if no record has one of the needed keys.
    """
    missing, known = set(needed), dict[str, None]()
    with open_vcf(path) as file:
        for record in file:
            info = parse_info(record)
            known |= dict.fromkeys(info)
            missing -= info.keys()
            for i, alt in enumerate(record.alts):
                values: dict[str, str | None] = {}
                for name in needed:
                    texts = (info.get(name) or "").split(",")
                    values[name] = texts[i] if len(texts) == len(record.alts) else info.get(name)
                if _has(values, where):
                    yield _Row(variant_key(record.chrom, record.pos, record.ref, alt), values)
    if missing:
        keys = join_names(sorted(known.keys() - {"."})) or "none"
        raise ConfigError(f"no record of {path} has {min(missing)} in INFO; its keys are {keys}.")


def table_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, column name -> text) of a table with a header; missing last fields of a short line are None."""
    number = 0

    def lines() -> Iterator[str]:
        nonlocal number
        for at, line in numbered_lines(path, "a table"):
            number = at
            yield line + "\n"

    delimiter = "," if path.name.removesuffix(".gz").endswith(".csv") else "\t"
    try:
        with long_fields():
            for row in csv.DictReader(lines(), delimiter=delimiter, restkey=""):
                row.pop("", None)  # fields beyond the header
                yield number, row
    except csv.Error as error:
        raise FileFormatError(f"{path}, line {number}: {error}; correct the line.") from error


def variant_key(chrom: str, pos: int, ref: str, alt: str) -> Key:
    return canonical_key(chrom), pos, ref.upper(), alt.upper()


def number_in(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return np.nan
