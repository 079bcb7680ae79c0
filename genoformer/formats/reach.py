"""Reach of a record on the reference: POS, REF, ALT, SVLEN, END and FORMAT LEN -> a 0-based half-open interval.

All commands that need the extent of a record use this rule; docs/record-reach.md has its table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from functools import lru_cache

from genoformer.formats.vcf import Record
from genoformer.genome.contigs import canonical_key

_KEYS = re.compile(r"(?:^|;)(END|SVLEN|CHR2|SVTYPE)=([^;]*)")
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)
_SIGNED = re.compile(r"[-+]?\d{1,18}", re.ASCII)
_SPANNING = re.compile(r"<(DEL|DUP|INV|CNV|CN\d+[:>]|CN\*)", re.IGNORECASE)
_POINTS = re.compile(r"<(INS|BND|TRA|CTX|ITX)", re.IGNORECASE)
_TWO_PLACES = ("BND", "TRA", "CTX", "ITX")  # values of SVTYPE; END is the position of the mate
_BLOCKS = ("<*>", "<NON_REF>")


class Extent(Enum):
    """Kinds of reach of an ALT beyond REF."""

    REF = "REF only"
    LENGTH = "SVLEN, else END"
    BLOCK = "FORMAT LEN, else END"
    END = "END"


class Doubts:
    """Counter of odd values in the records read: reason -> number of records, and position of the first."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, reason: str, record: Record) -> None:
        n, first = self._found.get(reason, (0, f"{record.chrom}:{record.pos}"))
        self._found[reason] = n + 1, first

    def notes(self, name: str) -> Iterator[str]:
        """Yield a sentence for each reason. name: name of the file in messages."""
        for reason, (n, first) in self._found.items():
            yield f"{name}: {n:,} {'record has' if n == 1 else 'records have'} {reason} (the first is at {first})."


UNREADABLE_END = "an END that is not a whole number, which is not used"
END_BEFORE_POS = "an END before POS, which is not used"
UNREADABLE_SVLEN = "an SVLEN that is not a whole number, which is not used"
UNREADABLE_LEN = "a LEN that is not a whole number, which is not used"
SVLEN_OF_OTHERS = "another number of values in SVLEN than of ALTs, of which the largest is used"
END_AGAINST_SVLEN = "an END that is not where SVLEN ends, and SVLEN is used"
END_AGAINST_LEN = "an END that is not where LEN ends, and LEN is used"
BEYOND = "an end beyond that of the contig, which is cut there"


def allele_extent(alt: str) -> Extent:
    """Return the kind of reach of one ALT.

    >>> [allele_extent(alt).name for alt in ("T", "<DEL:ME>", "<CN2>", "<INS>", "<*>", "<CPX>", "T]chr2:9]")]
    ['REF', 'LENGTH', 'LENGTH', 'REF', 'BLOCK', 'END', 'REF']
    """
    if not alt.startswith("<") or _POINTS.match(alt):
        return Extent.REF
    if _SPANNING.match(alt):
        return Extent.LENGTH
    return Extent.BLOCK if alt.upper() in _BLOCKS else Extent.END


def _new_extents(alts: tuple[str, ...]) -> tuple[Extent, ...]:
    """Return the extent of each ALT; empty if no ALT reaches beyond REF."""
    extents = tuple(allele_extent(alt) for alt in alts) or (Extent.BLOCK,)
    return () if all(extent is Extent.REF for extent in extents) else extents


_extents_of = lru_cache(maxsize=1 << 10)(_new_extents)  # nearly all records have one of a few spellings


def reach(record: Record, contig_length: int = 0, doubts: Doubts | None = None) -> tuple[int, int]:
    """Return (start, end) of a record: the union of REF and of the reach of each ALT.

    contig_length: bases, 0 if unknown; an end beyond it is clipped. doubts: collects odd values.

    >>> reach(Record("1\\t10\\t.\\tA\\t<DEL>\\t.\\t.\\tSVTYPE=DEL;END=30", "1", 10, ".", "A", ("<DEL>",)))
    (9, 30)
    """
    start, ref_end = record.pos - 1, record.pos - 1 + len(record.ref)
    extents = _extents_of(record.alts) if sum(map(len, record.alts)) < 64 else _new_extents(record.alts)
    if not extents:
        return start, ref_end
    doubts = doubts or Doubts()
    fields = record.line.split("\t", 8)
    info: dict[str, str] = {}
    for key, value in _KEYS.findall(fields[7]) if len(fields) > 7 else ():
        info.setdefault(key, value)
    end = _end(record, info, doubts)
    length = _longest(record, extents, info.get("SVLEN", "."), doubts)
    block = _block_length(record, fields[8], doubts) if Extent.BLOCK in extents and len(fields) > 8 else 0
    reached = max(ref_end, record.pos + max(length, default=0), start + block)
    if Extent.END in extents or (Extent.BLOCK in extents and not block) or len(length) < extents.count(Extent.LENGTH):
        reached = max(reached, end)
    elif end and end != reached:
        doubts.add(END_AGAINST_LEN if start + block > record.pos + max(length, default=0) else END_AGAINST_SVLEN, record)
    if start < contig_length < reached:  # not if POS is also beyond the end: then the header is from another assembly
        doubts.add(BEYOND, record)
        reached = max(contig_length, ref_end)
    return start, reached


def symbol_identity(record: Record, number: int) -> str | None:
    """Return a text that symbolic ALTs at one position have in common if they are of one type and end at one base.

    number: of the ALT, from 0. The length takes the place of the end of an insertion. <DUP:TANDEM> is <DUP>; other subtypes
    differ from their type. None for other ALTs, and if the record tells no end.

    >>> line = "1\\t10\\t.\\tA\\t<DEL>,<DUP:TANDEM>\\t.\\t.\\tSVLEN=-20,40"
    >>> [symbol_identity(Record(line, "1", 10, ".", "A", ("<DEL>", "<DUP:TANDEM>")), i) for i in (0, 1)]
    ['<DEL>30', '<DUP>50']
    """
    alt = record.alts[number].upper()
    fields = record.line.split("\t", 8)
    if not alt.startswith("<") or alt in _BLOCKS or len(fields) < 8:
        return None
    info = dict(reversed(_KEYS.findall(fields[7])))
    lengths = info.get("SVLEN", ".").split(",")
    length = lengths[number if len(lengths) == len(record.alts) else 0] if len(lengths) in (1, len(record.alts)) else "."
    kind = "<DUP>" if alt == "<DUP:TANDEM>" else alt
    if _POINTS.match(alt):
        is_known = alt.startswith("<INS") and _SIGNED.fullmatch(length)
        return f"{kind}{abs(int(length))}" if is_known else None
    if info.get("END", ".") in (".", "") and not _SIGNED.fullmatch(length):
        return None
    text = "\t".join([*fields[:4], alt, ".", ".", f"SVLEN={length};{fields[7]}"])
    end = reach(record._replace(line=text, alts=(alt,)))[1]
    return f"{kind}{end}" if end > record.pos or info.get("END") == str(end) else None


def _end(record: Record, info: dict[str, str], doubts: Doubts) -> int:
    """Return INFO's END if it belongs to this record, otherwise 0: on its own contig, not of a mate, and not before POS."""
    text = info.get("END", ".")
    if text in (".", ""):
        return 0
    mate = info.get("CHR2", ".")
    if mate not in (".", "", record.chrom) and canonical_key(mate) != canonical_key(record.chrom):
        return 0
    if info.get("SVTYPE", "").upper() in _TWO_PLACES and not any(_SPANNING.match(alt) for alt in record.alts):
        return 0
    if not _WHOLE.fullmatch(text):
        doubts.add(UNREADABLE_END, record)
        return 0
    if int(text) < record.pos:
        doubts.add(END_BEFORE_POS, record)
        return 0
    return int(text)


def _longest(record: Record, extents: Sequence[Extent], text: str, doubts: Doubts) -> list[int]:
    """Return the SVLEN of each ALT that spans reference bases and has one.

    A single value applies to all ALTs, as with Number=1. 0 means none: until VCF 4.3 the SVLEN of an inversion was the
    difference in length.
    """
    if Extent.LENGTH not in extents:
        return []
    texts = text.split(",")
    if any(each not in (".", "") and not _SIGNED.fullmatch(each) for each in texts):
        doubts.add(UNREADABLE_SVLEN, record)
    values = [abs(int(each)) if _SIGNED.fullmatch(each) else 0 for each in texts]
    if len(values) not in (1, len(extents)):
        doubts.add(SVLEN_OF_OTHERS, record)
        values = [max(values)]
    if len(values) == 1:
        values *= len(extents)
    return [n for n, extent in zip(values, extents, strict=True) if n and extent is Extent.LENGTH]


def _block_length(record: Record, sample_columns: str, doubts: Doubts) -> int:
    """Return the largest FORMAT LEN of any sample, 0 if there is none; sample_columns: the columns from FORMAT on."""
    if "LEN" not in sample_columns:
        return 0
    form, *samples = sample_columns.split("\t")
    keys = form.split(":")
    if "LEN" not in keys:
        return 0
    at, largest, odd = keys.index("LEN"), 0, False
    for sample in samples:
        parts = sample.split(":")
        for text in parts[at].split(",") if at < len(parts) else ():
            if _WHOLE.fullmatch(text):
                largest = max(largest, int(text))
            else:
                odd = odd or text not in (".", "")
    if odd:
        doubts.add(UNREADABLE_LEN, record)
    return largest
