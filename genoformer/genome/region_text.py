"""Regions as text, "chr20:1,000-2,000" -> contig, start and end; names of contigs may hold colons."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import NamedTuple

from genoformer.errors import ConfigError
from genoformer.genome.contigs import ContigIndex
from genoformer.genome.digits import DIGITS

_NUMBER = rf"(?:[0-9]{{1,{DIGITS}}}|[0-9]{{1,3}}(?:,[0-9]{{3}}){{1,5}})"  # commas in threes: 20:1-200,21 is two regions
_RANGE = re.compile(rf"(?P<first>{_NUMBER})?(?P<to>-(?P<last>{_NUMBER})?)?")
_BRACED = re.compile(r"\{(?P<name>[^{}]+)\}(?::(?P<range>.*))?")  # as in htslib


class Interval(NamedTuple):
    """Interval of a contig, 0-based half-open; a whole contig ends at sys.maxsize."""

    chrom: str
    start: int
    end: int


def parse_region(text: str, known: Iterable[str] = ()) -> Interval:
    """Parse a region as bcftools writes it: "20", "20:1,000" (one base), "20:1,000-2,000", "20:5-", "20:-5".

    Positions are 1-based and inclusive. If the whole text is a contig name, the region is that contig: HLA-A*01:01:01:01.
    Otherwise the range follows the last colon. Braces mark the end of the name, as in htslib: "{name}:1-100" and "{name}".

    Parameters: known, names of contigs; names match by the rule of `ContigIndex`.
    Raises ConfigError for a text that is not a region, and for one that matches both a contig and a part of another.

    >>> parse_region("chr20:1,000,001-2,000,000")
    Interval(chrom='chr20', start=1000000, end=2000000)
    >>> parse_region("HLA-A*01:01:01:01:1-100", ["HLA-A*01:01:01:01"])
    Interval(chrom='HLA-A*01:01:01:01', start=0, end=100)
    """
    region, names = text.strip(), tuple(known)
    if braced := _BRACED.fullmatch(region):
        name, span = braced["name"], braced["range"]
    else:
        name, span = _divided(text, region, names)
    if re.search(r"\s", name) or not name:
        raise _not_understood(text)
    return Interval(name, 0, sys.maxsize) if span is None else Interval(name, *_ends(text, span))


def _divided(text: str, region: str, names: tuple[str, ...]) -> tuple[str, str | None]:
    """Return the name and range of a region without braces; the range is None for a whole contig."""
    if region.startswith("{") and region not in names:
        raise _not_understood(text)
    name, colon, span = region.rpartition(":")
    if not colon:
        return region, None
    index = ContigIndex(names)
    is_contig, part = index.get(region) is not None, index.get(name) is not None
    is_range = bool(span) and _RANGE.fullmatch(span) is not None
    if is_contig and part and is_range:
        raise ConfigError(
            f"region {text!r} is a contig, and also a part of contig {name}; write {{{region}}} for the contig, or "
            f"{{{name}}}:{span} for the part."
        )
    if is_contig or (":" in name and not part and span.isdigit()):  # an unknown name with four fields is still a name
        return region, None
    if not is_range or ("," in name and not part):  # a list of regions
        raise _not_understood(text)
    return name, span


def _ends(text: str, span: str) -> tuple[int, int]:
    """Return the start and end of a range, 0-based half-open."""
    match = _RANGE.fullmatch(span)
    if match is None or not (match["first"] or match["last"]):
        raise _not_understood(text)
    first = _whole_number(match["first"]) if match["first"] else 1
    last = _whole_number(match["last"]) if match["last"] else (sys.maxsize if match["to"] else first)
    if first < 1 or last < first:
        raise ConfigError(f"region {text!r} runs from {first} to {last}; it begins at 1 or later and does not end before.")
    return first - 1, last


def _whole_number(digits: str) -> int:
    return min(int(digits.replace(",", "")), sys.maxsize)


def _not_understood(text: str) -> ConfigError:
    return ConfigError(
        f"region {text!r} is not understood; write it like chr20, chr20:1,000,001-2,000,000 or {{name}}:1-100, with a name of "
        "the FASTA."
    )
