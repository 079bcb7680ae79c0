"""Records of a VCF: lines -> their first five columns, many lines at a time where no line is odd."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

from genoformer.genome.digits import DIGITS

ALTS: dict[str, tuple[str, ...]] = {".": ()} | {base: (base,) for base in "ACGTacgt"}


class Record(NamedTuple):
    """One line of a VCF: the raw line and its first five columns, parsed."""

    line: str  # without its line end
    chrom: str
    pos: int  # 1-based; 0 means the telomere
    id: str
    ref: str
    alts: tuple[str, ...]  # empty if ALT is "."


_GETTERS = {name: itemgetter(i) for i, name in enumerate(Record._fields)}


def column(records: Iterable[Record], name: str) -> list[Any]:
    """Return one field of many records, in less time than a loop over them."""
    return list(map(_GETTERS[name], records))


def parse_info(record: Record) -> dict[str, str]:
    """Return INFO as a dict of keys and texts; "" for a flag and for the key "." of an empty INFO.

    >>> parse_info(Record("1\\t5\\t.\\tA\\tC\\t.\\t.\\tAF=0.1,0.2;DB", "1", 5, ".", "A", ("C",)))
    {'AF': '0.1,0.2', 'DB': ''}
    """
    fields = record.line.split("\t", 8)
    return dict(item.partition("=")[::2] for item in fields[7].split(";")) if len(fields) > 7 else {}


def has_odd_line(block: bytes) -> bool:
    """True if a line is empty, is one of the header, or has an empty column, all of which need a closer look."""
    return block[:1] in b"\t#\n" or b"\n#" in block or b"\t\t" in block or b"\n\t" in block or b"\n\n" in block


def parse_plain(lines: Sequence[str]) -> list[Record] | None:
    """Return the records of lines without odd ones, as `VariantFile.parse_block` does in twice the time.

    Each column is taken from all lines together. None if a line has no INFO, or a POS that is no plain number.
    """
    try:
        chroms, texts, names, refs, spellings, _ = zip(*[line.split("\t", 5) for line in lines], strict=True)
    except ValueError:
        return None
    digits = "".join(texts)
    if not (digits.isdecimal() and digits.isascii() and max(map(len, texts)) <= DIGITS):
        return None
    all_alts: list[tuple[str, ...] | None] = list(map(ALTS.get, spellings))
    if None in all_alts:
        all_alts = [tuple(text.split(",")) if alts is None else alts for alts, text in zip(all_alts, spellings, strict=True)]
    rows = zip(lines, chroms, map(int, texts), names, refs, all_alts, strict=True)
    return list(map(partial(tuple.__new__, Record), rows))
