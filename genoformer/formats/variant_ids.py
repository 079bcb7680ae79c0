"""Variants as one word (chr20:1050100:A:G, chr20-1050100-A-G, chr20:1050100:A>G) -> contig, position and alleles."""

from __future__ import annotations

import re
from typing import NamedTuple

from genoformer.genome.digits import DIGITS

_POS = rf"(?P<pos>[0-9]{{1,3}}(?:,[0-9]{{3}}){{1,5}}|[0-9]{{1,{DIGITS}}})"
_ALLELES = r"(?P<ref>[A-Za-z]+)(?P<between>[:_/>|-])(?P<alt>[A-Za-z]+)"
_ID = re.compile(rf"(?P<chrom>\S+?)(?::(?:[gm]\.)?|[-_]){_POS}[:_-]?{_ALLELES}(?:_b3[78])?")
_PLACE = re.compile(rf"(?P<chrom>\S+?)[:_-]{_POS}(?:[:_-].*)?")
_RSID = re.compile(r"rs[0-9]+", re.IGNORECASE)


class VariantId(NamedTuple):
    """Parts of an id; pos counts from 1."""

    chrom: str
    pos: int
    ref: str
    alt: str


def parse_variant_id(text: str) -> VariantId | None:
    """Return the parts of an id that names contig, position and both alleles; None for another text.

    >>> len({parse_variant_id(text) for text in ("chr20:1050100:A:G", "chr20-1,050,100-a-g", "chr20:1050100:A>G")})
    1
    >>> parse_variant_id("20:g.1050100A>G"), parse_variant_id("chr20_1050100_AT_A_b38"), parse_variant_id("rs123")
    (VariantId(chrom='20', pos=1050100, ref='A', alt='G'), VariantId(chrom='chr20', pos=1050100, ref='AT', alt='A'), None)
    """
    match = _ID.fullmatch(text.strip())
    if match is None or not set(f"{match['ref']}{match['alt']}".upper()) <= set("ACGTN"):
        return None
    return VariantId(match["chrom"], int(match["pos"].replace(",", "")), match["ref"].upper(), match["alt"].upper())


def parse_place(text: str) -> tuple[str, int] | None:
    """Return the contig and position (from 1) with which an id begins, as METAL's 20:1050100 does; None for another text.

    >>> parse_place("20:1050100"), parse_place("rs123")
    (('20', 1050100), None)
    """
    match = _PLACE.fullmatch(text.strip())
    return (match["chrom"], int(match["pos"].replace(",", ""))) if match else None


def is_rsid(text: str) -> bool:
    """True for an id of dbSNP, which names no position."""
    return _RSID.fullmatch(text.strip()) is not None
