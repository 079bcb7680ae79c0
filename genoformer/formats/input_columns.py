"""Columns of a table of variants in the INFO of the VCF that is made of it: their keys, their names, and their values again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from genoformer.formats.vcf_text import unescaped

EFFECT_KEY = "effect_is"  # "ALT" or "REF": which of them is the effect allele of the table
REASON_KEY = "GF_INPUT"  # status of a record that the table does not determine
ALLELES_KEY = "input_alleles"  # alleles as written, of a row whose alleles are no bases
_RESERVED = re.compile(  # keys that a VCF, or this package, has for something else
    r"AA|AC|AD|ADF|ADR|AF|AN|BQ|CIGAR|DB|DP|END|H2|H3|MQ|MQ0|NS|SB|SOMATIC|VALIDATED|1000G|IMPRECISE|NOVEL|SVTYPE|SVLEN|CIPOS|CIEND"
    r"|HOMLEN|HOMSEQ|BKPTID|MEINFO|METRANS|DGVID|DBVARID|DBRIPID|MATEID|PARID|EVENT|EVENTTYPE|CILEN|DPADJ|CN|CNADJ|CICN|CICNADJ|SEQ"
    r"|SVINSSEQ|LEFT_SVINSSEQ|RIGHT_SVINSSEQ|CHR2|SVCLAIM|RN|RUS|RUL|RB|CIRB|RUC|CIRUC|RUB|GF_.*|effect_is|input_alleles"
)
_DECLARED = re.compile(r'##genoformer_column=<ID=([^,>]+),Type=(Float|String),Name="((?:[^"\\]|\\.)*)">')


class InputColumn(NamedTuple):
    """Column of a table: its key in INFO, its name in the table, and True if all of its values are numbers."""

    key: str
    name: str
    is_number: bool


def input_columns_of(names: Sequence[str], are_numbers: Sequence[bool]) -> list[InputColumn]:
    """Return the columns with keys that VCF allows, each different.

    >>> [column.key for column in input_columns_of(["beta", "p-value", "AF", "beta"], [True] * 4)]
    ['beta', 'p_value', 'input_AF', 'beta_2']
    """
    columns: list[InputColumn] = []
    keys: set[str] = set()
    for name, is_number in zip(names, are_numbers, strict=True):
        key = re.sub("[^0-9A-Za-z_.]", "_", name.strip().lstrip("#")) or "column"
        if _RESERVED.fullmatch(key) or not re.match("[A-Za-z_]", key):
            key = f"input_{key}"
        n, unique = 2, key
        while unique in keys:
            n, unique = n + 1, f"{key}_{n}"
        keys.add(unique)
        columns.append(InputColumn(unique, name.strip().lstrip("#"), is_number))
    return columns


def column_lines(columns: Sequence[InputColumn], *, with_effect: bool, with_reason: bool, with_alleles: bool) -> Iterator[str]:
    """Yield the header lines of the columns, and of the keys that a conversion adds."""
    for column in columns:
        yield from _declared(column, f"Column {column.name} of the table of variants")
    if with_effect:
        effect = "Allele of this record that is the effect allele of the table: ALT or REF"
        yield from _declared(InputColumn(EFFECT_KEY, EFFECT_KEY, False), effect)
    if with_alleles:
        alleles = "REF/ALT as the table has them, if they are no bases"
        yield from _declared(InputColumn(ALLELES_KEY, ALLELES_KEY, False), alleles)
    if with_reason:
        text = "Reason not to score a row of the table: EITHER_STRAND (A/T, C/G), EITHER_ALLELE (both match the genome)"
        yield f'##INFO=<ID={REASON_KEY},Number=1,Type=String,Description="{text}">'


def _declared(column: InputColumn, meaning: str) -> Iterator[str]:
    kind = "Float" if column.is_number else "String"
    name, text = (value.replace("\\", "\\\\").replace('"', '\\"') for value in (column.name, meaning))
    yield f'##INFO=<ID={column.key},Number=1,Type={kind},Description="{text}">'
    yield f'##genoformer_column=<ID={column.key},Type={kind},Name="{name}">'


def read_input_columns(header: Iterable[str]) -> list[InputColumn]:
    """Return the columns of a table that the header of a VCF declares; none if it was not made of a table."""
    matches = (_DECLARED.match(line) for line in header if line.startswith("##genoformer_column="))
    return [InputColumn(m[1], re.sub(r"\\(.)", r"\1", m[3]), m[2] == "Float") for m in matches if m]


def input_values(info: str, columns: Sequence[InputColumn]) -> tuple[str, list[str]]:
    """Return INFO without the columns of the table, and their values, "" if missing.

    >>> input_values("beta=0.1;DP=5", [InputColumn("beta", "Beta", True), InputColumn("n", "N", True)])
    ('DP=5', ['0.1', ''])
    """
    keys = {column.key for column in columns} | {REASON_KEY}
    values: dict[str, str] = {}
    others: list[str] = []
    for item in info.split(";"):
        key, sign, value = item.partition("=")
        if sign and key in keys:
            values[key] = unescaped(value)
        else:
            others.append(item)
    return ";".join(others) or ".", [values.get(column.key, "") for column in columns]
