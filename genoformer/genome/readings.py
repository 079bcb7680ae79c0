"""Alternative readings of a record whose REF disagrees: records + genome -> readings that agree -> the record as meant."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genoformer.formats.vcf import Record
from genoformer.genome.codes import N, decode, encode
from genoformer.genome.variants import ContigNames

if TYPE_CHECKING:
    from genoformer.genome.reference import Genome

_COMPLEMENT = str.maketrans("ACGT", "TGCA")


class Reading(enum.IntFlag):
    """Readings of a record that agree with the reference, though REF at POS does not."""

    NONE = 0
    SWAP = 1  # one ALT agrees: REF and this ALT are swapped
    STRAND = 2  # the reverse complement of REF agrees
    AT_ONCE = 4  # the reverse complement of one ALT agrees
    NEXT = 8  # REF agrees at POS + 1: positions are counted from 0
    PREVIOUS = 16  # REF agrees at POS - 1
    TESTS_SWAP = 32  # informative alleles; those of an indel share their first base and are not
    TESTS_STRAND = 64  # informative alleles: equal length
    ALL_SWAPPED = 128  # set per contig, with SWAP: also swap indels whose REF and ALT both agree
    ALL_FLIPPED = 256  # set per contig, with STRAND: nearly all records are on the other strand
    PART_FLIPPED = 512  # set per contig, with STRAND: some records are, or may be


ON_ALLELES = Reading.SWAP | Reading.STRAND | Reading.AT_ONCE
ON_POSITION = Reading.NEXT | Reading.PREVIOUS
FLIPPED = Reading.ALL_FLIPPED | Reading.PART_FLIPPED


def readings(records: Sequence[Record], genome: Genome, contigs: ContigNames) -> NDArray[np.uint8]:
    """Return the Reading flags of records whose REF disagrees with the reference, uint8 [R].

    SNVs are processed in batches. Records on contigs that the genome lacks have no flags.
    """
    result = np.zeros(len(records), dtype=np.uint8)
    rows: dict[str, list[int]] = {}
    for i, record in enumerate(records):
        contig = contigs.get(record.chrom)
        if contig is None:
            continue
        if len(record.ref) == 1 and len(record.alts) == 1 and len(record.alts[0]) == 1:
            rows.setdefault(contig, []).append(i)
        else:
            result[i] = _reading(record, genome, contig)
    for contig, of in rows.items():
        ref = encode("".join([records[i].ref for i in of]))
        alt = encode("".join([records[i].alts[0] for i in of]))
        bases = genome.windows(contig, np.array([records[i].pos - 2 for i in of]), 3)  # [n, 3]: before, at and after POS
        before, at, after = bases.T
        known = (ref != N) & (alt != N) & (at != N)
        flags = np.where((ref != alt) & known, np.uint8(Reading.TESTS_SWAP | Reading.TESTS_STRAND), np.uint8(0))
        for agrees, reading in (
            (alt == at, Reading.SWAP),
            (3 - ref == at, Reading.STRAND),
            (3 - alt == at, Reading.AT_ONCE),
            (ref == after, Reading.NEXT),
            (ref == before, Reading.PREVIOUS),
        ):
            flags |= np.where(agrees & known, np.uint8(reading), np.uint8(0))
        result[of] = flags
    return result


def _reading(record: Record, genome: Genome, contig: str) -> int:
    """Return the flags of one record of any kind."""
    ref = record.ref.upper()
    alts = [alt.upper() for alt in record.alts if is_plain(alt)]
    if not alts or not is_plain(ref):
        return 0
    longest = max(len(ref), *map(len, alts))
    around = decode(genome.window(contig, record.pos - 2, longest + 2))
    flags = Reading.NONE
    if sum(around[1 : 1 + len(alt)] == alt for alt in alts) == 1:
        flags |= Reading.SWAP
    if any(not alt.startswith(ref) and not ref.startswith(alt) for alt in alts):
        flags |= Reading.TESTS_SWAP
    if all(len(alt) == len(ref) for alt in alts):
        bases = around[1 : 1 + len(ref)]
        flags |= Reading.TESTS_STRAND
        if other_strand(ref) == bases:
            flags |= Reading.STRAND
        if sum(other_strand(alt) == bases for alt in alts) == 1:
            flags |= Reading.AT_ONCE
    if around[2 : 2 + len(ref)] == ref:
        flags |= Reading.NEXT
    if around[: len(ref)] == ref:
        flags |= Reading.PREVIOUS
    return int(flags)


def as_meant(record: Record, flags: int, allowed: Reading, genome: Genome, contig: str) -> tuple[Record, Reading] | None:
    """Return the record with the alleles that were meant, and its reading; None if the reading is ambiguous.

    ALTs keep their order, so that each value stays with its ALT: the ALT that agrees with the reference swaps places with
    REF, as in a file with REF and ALT swapped. For an A/T or C/G SNV, a swap and the other strand give the same variant.

    >>> record = Record("", "chr1", 5, ".", "A", ("C", "G"))
    >>> flags = Reading.STRAND
    >>> as_meant(record, flags, Reading.STRAND, None, "")[0][4:]
    ('T', ('G', 'C'))
    """
    ways = Reading(flags) & allowed & ON_ALLELES
    if not is_read(flags & ON_ALLELES, allowed, len(record.alts)):
        return None
    if ways & Reading.STRAND:
        return turned(record), ways
    record = record if ways == Reading.SWAP else turned(record)
    for i, alt in enumerate(record.alts):
        if is_plain(alt) and decode(genome.window(contig, record.pos - 1, len(alt))) == alt.upper():
            alts = tuple(record.ref if j == i else other for j, other in enumerate(record.alts))
            return record._replace(ref=alt, alts=alts), ways
    return None


def shifted(record: Record, fix: Reading) -> Record:
    """Return the record at the position that was meant."""
    if not fix & ON_POSITION:
        return record
    return record._replace(pos=record.pos + (1 if fix & Reading.NEXT else -1))


def is_indel(record: Record) -> bool:
    """True if an ALT differs from REF in length, so that both may agree with the reference."""
    return any(len(alt) != len(record.ref) and is_plain(alt) for alt in record.alts)


def is_read(flags: int, allowed: Reading, n_alts: int) -> bool:
    """True if a record with these flags agrees in exactly one allowed way.

    With several ALTs, a swap and the other strand are two ways. An ALT that is its own reverse complement agrees swapped on
    both strands; these are two variants on contigs with flipped records.
    """
    either = Reading.SWAP | Reading.AT_ONCE
    if n_alts == 1 and flags & either == either and allowed & FLIPPED:
        return False
    ways = Reading(flags) & allowed
    is_single = ways in (Reading.SWAP, Reading.STRAND, Reading.AT_ONCE, Reading.NEXT, Reading.PREVIOUS)
    return is_single or (ways == Reading.SWAP | Reading.STRAND and n_alts == 1)


def turned(record: Record) -> Record:
    """Return the record with the alleles of the other strand."""
    alts = tuple(other_strand(alt.upper()) if is_plain(alt) else alt for alt in record.alts)
    return record._replace(ref=other_strand(record.ref.upper()), alts=alts)


def other_strand(allele: str) -> str:
    """Return the reverse complement, upper case.

    >>> other_strand("AC")
    'GT'
    """
    return allele.translate(_COMPLEMENT)[::-1]


def is_plain(allele: str) -> bool:
    """True if an allele spells a sequence of A, C, G and T."""
    return bool(allele) and not allele.strip("ACGTacgt")
