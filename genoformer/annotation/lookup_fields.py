"""Fields of a source of alleles (INFO, ID, QUAL, FILTER of a VCF; columns of a table) -> texts of the values of alleles.

Values with one entry per ALT (Number=A), per allele (R) or per genotype (G) are split: an allele gets its own entries. The text
of a value has its entries separated by commas, and is escaped as in the source.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from genoformer.formats.text_columns import TextColumns
from genoformer.formats.vcf_text import ENCODING, ERRORS

Type = Literal["String", "Integer", "Float"]
Texts = list[str | None]  # of several alleles; None if missing
Integers = NDArray[np.int64]

CHROM, POS, ID, REF, ALT, QUAL, FILTER, INFO = range(8)
MISSING = frozenset(("", ".", "-", "NA", "NaN", "nan", "na", "None", "null"))  # texts of missing values in tables
_INFO_LINE = re.compile(r'##INFO=<ID=([^,>]+),Number=([^,>]+),Type=(\w+),Description="((?:[^"\\]|\\.)*)"')
_NUMBERS = {"A": "A", "R": "R", "G": "G", "1": "A"}
_JOIN = "&"  # between several values of one allele where a field has one entry per ALT


class MatchedLines:
    """Lines that have alleles of the variants. rows [m]: their numbers in `lines`; alts [m]: numbers of the alleles, from 0."""

    def __init__(self, lines: TextColumns, rows: Integers, alts: Integers) -> None:
        self.lines, self.rows, self.alts = lines, rows, alts

    def cells(self, column: int) -> list[str]:
        """Return the texts of a column, [m]."""
        return self._texts(column, b"")

    @cached_property
    def infos(self) -> list[str]:
        """INFO of each line, [m], with a semicolon before the first key."""
        return self._texts(INFO, b";")

    def _texts(self, column: int, prefix: bytes) -> list[str]:
        if not len(self.rows):
            return []
        begins, ends = self.lines.span(column)
        text = self.lines.text
        spans = zip(begins[self.rows].tolist(), ends[self.rows].tolist(), strict=True)
        joined = prefix + (b"\n" + prefix).join([text[i:j] for i, j in spans])
        return joined.decode(ENCODING, ERRORS).split("\n")


Reader = Callable[[MatchedLines], Texts]


@dataclass(frozen=True)
class SourceField:
    """Field of a source: how its values are declared, and read from lines."""

    name: str  # in the source
    number: str  # "A", "R", "G" or "."
    type: Type
    meaning: str
    read: Reader


# --- VCF


def vcf_fields(header: Iterable[str], names: Sequence[str]) -> list[SourceField]:
    """Return the fields of a VCF with these names: keys of INFO, ID, QUAL or FILTER; "*" is every key of INFO.

    Raises: KeyError with the name of a field that the header does not declare.
    """
    declared = {match[1]: match for line in header if (match := _INFO_LINE.match(line))}
    chosen: list[SourceField] = []
    for name in names:
        if name == "*":
            chosen += [_info_field(*match.groups()) for match in declared.values()]
        elif name in declared:
            chosen.append(_info_field(*declared[name].groups()))
        elif name in _COLUMNS:
            chosen.append(_COLUMNS[name])
        else:
            raise KeyError(name)
    return list({field.name: field for field in chosen}.values())


def _info_field(key: str, number: str, kind: str, description: str) -> SourceField:
    meaning = re.sub(r"\\(.)", r"\1", description)
    if kind == "Flag" or number == "0":
        return SourceField(key, "A", "Integer", f"{meaning} (flag: 1 if set, else 0)", _flag_reader(key))
    as_type: Type = kind if kind in ("Integer", "Float") else "String"  # type: ignore[assignment]
    return SourceField(key, _NUMBERS.get(number, "."), as_type, meaning, _info_reader(key, number))


def _info_reader(key: str, number: str) -> Reader:
    mark = f";{key}="

    def read(matched: MatchedLines) -> Texts:
        values = [info.partition(mark)[2].partition(";")[0] for info in matched.infos]
        return _split(values, number, matched)

    return read


def _split(values: list[str], number: str, matched: MatchedLines) -> Texts:
    """Return the entries that belong to one ALT each; None for missing values and for values with too few entries."""
    if number == "1" and "," in "".join(values):
        values = [value.replace(",", "%2C") for value in values]  # one value, which the writer escapes
    if number not in ("A", "R", "G") or (number == "A" and "," not in "".join(values)):
        return _without_missing(values)
    out: Texts = []
    for value, row, alt in zip(values, matched.rows.tolist(), matched.alts.tolist(), strict=True):
        entries = value.split(",")
        if number == "A":
            out.append(entries[alt] if alt < len(entries) and entries[alt] not in (".", "") else None)
        elif number == "R":
            out.append(f"{entries[0]},{entries[alt + 1]}" if alt + 1 < len(entries) else None)
        else:
            n, a = matched.lines.cell(row, ALT).count(b",") + 2, alt + 1
            i = a * (a + 1) // 2  # index of the genotype 0/a; a/a is at i + a
            is_diploid = len(entries) == n * (n + 1) // 2
            out.append(f"{entries[0]},{entries[i]},{entries[i + a]}" if is_diploid else None)
    return out


def _without_missing(values: list[str]) -> Texts:
    """Return the values with None for a dot and for an empty text."""
    if "." in values or "" in values:
        return [None if value in (".", "") else value for value in values]
    return [*values]


def _flag_reader(key: str) -> Reader:
    search = re.compile(rf";{re.escape(key)}(?:;|=|$)").search

    def read(matched: MatchedLines) -> Texts:
        return ["1" if search(info) else "0" for info in matched.infos]

    return read


def _column_reader(column: int) -> Reader:
    """Return a reader of a column whose values are separated by semicolons."""

    def read(matched: MatchedLines) -> Texts:
        return _without_missing([value.replace(";", ",") for value in matched.cells(column)])

    return read


_COLUMNS = {
    "ID": SourceField("ID", ".", "String", "Names of the record", _column_reader(ID)),
    "QUAL": SourceField("QUAL", "A", "Float", "Quality of the record", _column_reader(QUAL)),
    "FILTER": SourceField("FILTER", ".", "String", "PASS, or the filters that the record fails", _column_reader(FILTER)),
}


def _read_places(matched: MatchedLines) -> Texts:
    columns = [matched.cells(column) for column in (CHROM, POS, REF, ALT)]
    places = (":".join(parts).replace(",", "/") for parts in zip(*columns, strict=True))
    return [place if name is None else name for name, place in zip(_COLUMNS["ID"].read(matched), places, strict=True)]


# Of a VCF without named fields: the ID of the matching record, or its position and alleles
PLACE = SourceField("", ".", "String", "ID of the record, or its position and alleles", _read_places)


# --- tables


class NumberChecks:
    """Numbers of values in typed columns that are no numbers, by column; they are left out."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def column(self, name: str, at: int, kind: Type, meaning: str) -> SourceField:
        """Return the field of a column of a table; one value per line."""

        def read(matched: MatchedLines) -> Texts:
            values: Texts = []
            for text in matched.cells(at):
                value: str | None = text.strip()
                if value in MISSING:
                    value = None
                elif kind != "String" and not is_number(str(value)):
                    self.counts[name] = self.counts.get(name, 0) + 1
                    value = None
                elif kind == "String":
                    value = str(value).replace("%", "%25").replace(",", "%2C")
                values.append(value)
            return values

        return SourceField(name, "A", kind, meaning, read)


def is_number(text: str) -> bool:
    """True for a finite number as a table of scores has it."""
    return _NUMBER.fullmatch(text) is not None


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def _read_presence(matched: MatchedLines) -> Texts:
    return ["1"] * len(matched.rows)


PRESENCE = SourceField("", "A", "Integer", "1 if the file has the allele", _read_presence)


# --- several ALTs


def combined(number: str, values: Sequence[str | None]) -> list[str]:
    """Join the values of the ALTs of a record into the entries of a field; [] if there are none.

    >>> combined("A", ["0.1", None]), combined("R", ["9,1", None]), combined(".", ["a,b", None])
    (['0.1', '.'], ['9', '1', '.'], ['a&b', '.'])
    >>> combined(".", ["a,b"]), combined("G", ["0,1,2"]), combined("A", [None])
    (['a', 'b'], ['0', '1', '2'], [])
    """
    entries = [None if value is None else value.split(",") for value in values]
    known = [of for of in entries if of is not None]
    if not known:
        return []
    if len(values) == 1:
        return known[0]
    if number == "R":
        return [known[0][0], *(of[1] if of else "." for of in entries)]
    if number == "G":
        genotypes = [known[0][0]]
        for a, of in enumerate(entries, 1):
            genotypes += [of[1] if of else ".", *["."] * (a - 1), of[2] if of else "."]
        return genotypes
    return [_JOIN.join(of) if of else "." for of in entries]


def plain(text: str) -> str:
    """Return a text without the escapes of VCF; writers escape it again."""
    return unquote(text) if "%" in text else text


def plain_texts(texts: Texts) -> list[str]:
    """Return texts, of which none is missing, without the escapes of VCF."""
    known = [text for text in texts if text is not None]
    return list(map(plain, known)) if "%" in "".join(known) else known
