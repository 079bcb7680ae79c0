"""Mirrored records: REF agrees on both strands, but the other strand gives another variant; records + fix -> the one meant.

REF is its own reverse complement (TA, CG, ACGT) and an ALT is not. A REF of one base, or of an odd length, never is.
"""

from __future__ import annotations

from genoformer.formats.vcf import Record
from genoformer.genome.readings import Reading, is_indel, is_plain, other_strand
from genoformer.genome.variants import Status


def is_mirrored(record: Record) -> bool:
    """True if REF is its own reverse complement, and an ALT is not.

    >>> [is_mirrored(Record("", "1", 5, ".", ref, (alt,))) for ref, alt in [("TA", "GC"), ("TA", "CA"), ("A", "T")]]
    [False, True, False]
    """
    return len(record.ref) % 2 == 0 and _is_own_complement(record.ref) and any(map(_is_other_there, record.alts))


def is_flipped(record: Record, fix: Reading) -> bool:
    """True if a mirrored record is read on the other strand, as nearly all records of its contig are; False for an indel."""
    return bool(fix & Reading.ALL_FLIPPED) and not is_indel(record)


def statuses_of_either_strand(record: Record, statuses: tuple[Status, ...]) -> tuple[Status, ...]:
    """Return the statuses of a mirrored record with unknown strand."""
    return tuple(
        Status.EITHER_STRAND if status is Status.OK and _is_other_there(alt) else status
        for alt, status in zip(record.alts, statuses, strict=True)
    )


def _is_own_complement(allele: str) -> bool:
    return is_plain(allele) and other_strand(allele.upper()) == allele.upper()


def _is_other_there(alt: str) -> bool:
    return is_plain(alt) and not _is_own_complement(alt)
