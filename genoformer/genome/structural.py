"""Structural variants of known sequence: <DEL>, <DUP>, <INV> and <INS> with its bases -> REF and ALT spelled in bases.

After this the variant is scored as its spelled form would be; an allele whose sequence the record does not determine keeps its
symbol, with a reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.formats.vcf_records import Record, parse_info
from genoformer.genome.codes import decode, encode, reverse_complement
from genoformer.genome.contigs import canonical_key
from genoformer.genome.digits import is_count
from genoformer.genome.variants import ContigNames, RefState, Status, compare_refs

if TYPE_CHECKING:
    from genoformer.genome.reference import Genome

LONGEST = 1 << 21  # bases of an allele that is spelled, however long the alleles of a model may be
_KINDS = re.compile(r"<(DEL|DUP|INV|INS)(?::[^<>\s]*)?>", re.IGNORECASE)
_NOT_TANDEM = re.compile(r"<DUP:(?!TANDEM>)", re.IGNORECASE)  # a copy at another place
_SEQUENCE_KEYS = ("SEQ", "SVINSSEQ")  # of the whole insertion; Manta's LEFT_ and RIGHT_SVINSSEQ leave out its middle
_BASES = re.compile("[ACGT]+")
_SPAN = frozenset({"DEL", "DUP", "INV"})
_NO_DOUBT = ("", ".", "0,0")


class Spelled(NamedTuple):
    """A record with its symbolic alleles spelled in bases, and for each ALT the reason why it is not."""

    record: Record
    reasons: tuple[Status | None, ...]
    contig: str  # in the genome


def is_symbolic(record: Record) -> bool:
    """True if every ALT is a symbol, such as <DEL>."""
    alts = record[5]
    return bool(alts) and all(alt[:1] == "<" for alt in alts)


def spell_out(
    records: Sequence[Record], states: NDArray[np.uint8], genome: Genome, names: ContigNames, max_length: int
) -> dict[int, Spelled]:
    """Return the records with symbolic ALTs alone that determine a sequence or have a reason, by their index.

    states: RefState of each record; REF may be N, for the base before a symbol says nothing. max_length: of REF and ALT.
    """
    spelled = {}
    for i, record in enumerate(records):
        if record[5] and record[5][0][:1] == "<" and is_symbolic(record):
            contig = names.get(record.chrom)
            is_read = states[i] == RefState.AGREES or (states[i] == RefState.UNKNOWN and record.ref in ("N", "n"))
            if contig is not None and is_read and (made := _spelled(record, genome, contig, min(max_length, LONGEST))):
                spelled[i] = made
    return spelled


def states_of_spelled(
    spelled: Mapping[int, Spelled], records: Sequence[Record], states: NDArray[np.uint8], genome: Genome, names: ContigNames
) -> tuple[list[Record], NDArray[np.uint8]]:
    """Return the records with those that were spelled in their place, and their states; an N anywhere in REF is unknown."""
    if not spelled:
        return list(records), states
    meant, states = list(records), states.copy()
    for i, of in spelled.items():
        meant[i] = of.record
    states[list(spelled)] = compare_refs([of.record for of in spelled.values()], genome, names)
    return meant, states


def with_reasons(statuses: list[tuple[Status, ...]], spelled: Mapping[int, Spelled]) -> list[tuple[Status, ...]]:
    """Return the statuses with the reasons of alleles that could not be spelled."""
    for i, of in spelled.items():
        statuses[i] = tuple(reason or status for reason, status in zip(of.reasons, statuses[i], strict=True))
    return statuses


def _spelled(record: Record, genome: Genome, contig: str, max_length: int) -> Spelled | None:
    """Return a record with the ALTs that can be spelled; None if no ALT is of a known kind."""
    kinds = [_kind(alt) for alt in record.alts]
    if not any(kinds):
        return None
    info = parse_info(record)
    start, length = record.pos - 1, genome.contigs[contig]  # start: of the base before the event
    parts: list[tuple[str, int, str] | None] = []  # kind, end, and inserted bases
    reasons: list[Status | None] = []
    for number, kind in enumerate(kinds):
        found = _event(record, info, number, kind) if kind else Status.SYMBOLIC
        if not isinstance(found, Status):
            end, bases = found
            if end > length:
                found = Status.OUTSIDE
            elif max(end - start, 1 + len(bases)) > max_length:
                found = Status.TOO_LONG
            elif kind == "DUP":  # its copy is inserted before it
                bases = decode(genome.window(contig, record.pos, end - record.pos))
                found = Status.N_IN_REF if "N" in bases else (record.pos, bases)
        reasons.append(found if isinstance(found, Status) else None)
        parts.append(None if isinstance(found, Status) else (kind, *found))
    if all(reason is Status.SYMBOLIC for reason in reasons):
        return None
    if not any(parts):
        return Spelled(record, tuple(reasons), contig)
    last = max(part[1] for part in parts if part)
    ref = decode(genome.window(contig, start, last - start))
    alts = [
        alt if part is None else _sequence(ref, part[0], part[1] - start, part[2])
        for alt, part in zip(record.alts, parts, strict=True)
    ]
    return Spelled(record._replace(ref=ref, alts=tuple(alts)), tuple(reasons), contig)


def _kind(alt: str) -> str:
    match = _KINDS.fullmatch(alt)
    return match[1].upper() if match and not _NOT_TANDEM.match(alt) else ""


def _sequence(ref: str, kind: str, n: int, bases: str) -> str:
    """Return the bases of ALT. ref: the base before the event and the bases behind; n: bases up to the end of the event."""
    before, event, behind = ref[:1], ref[1:n], ref[n:]
    return before + (bases + event if bases else _turned(event) if kind == "INV" else "") + behind


def _turned(bases: str) -> str:
    return decode(reverse_complement(encode(bases)))


def _event(record: Record, info: Mapping[str, str], number: int, kind: str) -> tuple[int, str] | Status:
    """Return the end of the event (0-based, exclusive) and its inserted bases, or the reason why they are unknown."""
    mate = info.get("CHR2", "")
    if mate not in ("", ".", record.chrom) and canonical_key(mate) != canonical_key(record.chrom):
        return Status.SYMBOLIC
    text = _of_alt(info.get("SVLEN", ""), number, len(record.alts))
    size = abs(int(text)) if is_count(text.lstrip("+-")) else 0
    end_text = info.get("END", "")
    end = int(end_text) if is_count(end_text) else 0
    if kind in _SPAN:
        if not size and not end:
            return Status.SYMBOLIC
        is_one = not size or not end or len(record.alts) > 1 or end == record.pos + size
        found: tuple[int, str] = (record.pos + size if size else end, "")
        if found[0] <= record.pos:
            return Status.IMPRECISE
    else:
        bases = next((_of_alt(info[key], number, len(record.alts)) for key in _SEQUENCE_KEYS if info.get(key)), "").upper()
        if bases in ("", "."):
            return Status.SYMBOLIC
        if not _BASES.fullmatch(bases):
            return Status.NOT_ACGT
        is_one = size in (0, len(bases)) and end in (0, record.pos)
        found = (record.pos, bases)
    return found if is_one and _is_exact(info) else Status.IMPRECISE


def _is_exact(info: Mapping[str, str]) -> bool:
    """True if the breakpoints are known to the base; CIPOS=0,HOMLEN says that an equal event lies so many bases further on."""
    if "IMPRECISE" in info:
        return False
    homology = ("", ".", "0,0", f"0,{info['HOMLEN'].split(',')[0]}") if info.get("HOMLEN") else _NO_DOUBT
    return all(info.get(key, "") in homology for key in ("CIPOS", "CIEND")) and info.get("CILEN", "") in _NO_DOUBT


def _of_alt(text: str, number: int, n_alts: int) -> str:
    """Return the value of one ALT; a single value is of all."""
    values = text.split(",")
    return values[number] if len(values) == n_alts else values[0] if len(values) == 1 else ""
