"""Causes of REF disagreement: counts of a contig's records and of their other readings -> a cause, if it exceeds chance."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from typing import NamedTuple

from genoformer.genome.readings import Reading

CHANCE = 0.28  # sum of the squared base frequencies of the human genome, rounded up
NEARLY_ALL = 0.9  # fraction of records that agree, or that one cause explains
_SURE = 1e-3  # largest P of a reported cause
_RARE = 0.05  # largest P for so few swaps on the other strand
_BY_CHANCE = 1 / 3  # expected fraction of disagreeing records: one of three other bases
_ENOUGH_TO_NAME = 5  # smallest number of records if all of them have the cause


class Cause(enum.Enum):
    """Cause of REF disagreement in many records."""

    SWAP = "swap"
    STRAND = "strand"
    SWAP_AND_STRAND = "swap and strand"
    FROM_ZERO = "shift"
    TOO_FAR = "shift back"


ON_ALLELES = (Cause.SWAP, Cause.STRAND, Cause.SWAP_AND_STRAND)


class Counts(NamedTuple):
    """Counts of a contig's records that have a scorable allele."""

    n: int = 0  # records whose REF could be compared
    agree: int = 0
    unknown: int = 0  # N in REF or in the reference; not among n
    outside: int = 0  # beyond the end of the contig; not among n
    swap: int = 0  # disagreeing records by Reading flag; only if the alleles are informative
    strand: int = 0
    either: int = 0  # swap and strand both fit: A/T and C/G
    at_once: int = 0
    next: int = 0
    previous: int = 0
    sampled: int = 0  # agreeing records that were also tested for the next two:
    next_too: int = 0
    previous_too: int = 0
    both_ways: int = 0  # indels whose REF and ALT both agree; counted if a swap is requested
    tests_swap: int = 0  # disagreeing records with informative alleles
    tests_strand: int = 0
    one_strand: int = 0  # agreeing on this strand only; this and the next two if `strand` is requested
    mirrored: int = 0  # REF agrees on both strands, with different variants; alleles of equal length
    mirrored_indels: int = 0
    before: int = 0  # before the first base (POS 0, a telomere in VCF); not among n or outside

    @property
    def is_beyond(self) -> bool:
        """True if more than 10 % of the records lie beyond the end of the contig."""
        inside = self.n + self.unknown
        return inside < NEARLY_ALL * (inside + self.outside)

    @property
    def disagree(self) -> int:
        return self.n - self.agree


def total(counts: Iterable[Counts]) -> Counts:
    """Return the sum of the counts of several contigs."""
    rows = list(counts)
    return Counts(*map(sum, zip(*rows, strict=True))) if rows else Counts()


def add_reading(counts: Counts, flags: int, n: int) -> Counts:
    """Add n disagreeing records with these Reading flags; uninformative records do not count as agreeing."""
    tests_swap, tests_strand = bool(flags & Reading.TESTS_SWAP), bool(flags & Reading.TESTS_STRAND)
    swap, strand = bool(flags & Reading.SWAP) and tests_swap, bool(flags & Reading.STRAND)
    return counts._replace(
        swap=counts.swap + n * swap,
        strand=counts.strand + n * strand,
        either=counts.either + n * (swap and strand),
        at_once=counts.at_once + n * bool(flags & Reading.AT_ONCE),
        next=counts.next + n * bool(flags & Reading.NEXT),
        previous=counts.previous + n * bool(flags & Reading.PREVIOUS),
        tests_swap=counts.tests_swap + n * tests_swap,
        tests_strand=counts.tests_strand + n * tests_strand,
    )


def chance_agreement(letters: str) -> float:
    """Return the probability q that a base agrees by chance, from letters of REF; pseudocounts stabilise few letters.

    >>> chance_agreement("ACGT"), round(chance_agreement("A" * 400 + "T" * 400), 2)
    (0.28, 0.45)
    """
    counts = [letters.count(base) + 25 for base in "ACGT"]
    return max(CHANCE, sum((n / sum(counts)) ** 2 for n in counts))


def at_least(k: int, n: int, p: float) -> float:
    """Return the binomial probability of k or more of n by chance, each with probability p.

    >>> round(at_least(8, 10, 0.28), 4), at_least(0, 5, 0.5)
    (0.001, 1.0)
    """
    if k <= 0:
        return 1.0
    if k > n:
        return 0.0
    if k <= n * p:  # the other tail is the shorter one
        return 1.0 - at_least(n - k + 1, n, 1 - p)
    log = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
    term = probability = math.exp(log)
    for i in range(k, n):
        term *= (n - i) / (i + 1) * p / (1 - p)
        probability += term
        if term < probability * 1e-12:
            break
    return min(1.0, probability)


def explained(counts: Counts, cause: Cause) -> tuple[int, int]:
    """Return the number of disagreeing records that the cause explains, and the number of informative ones."""
    both = counts.swap + counts.strand - counts.either + counts.at_once
    return {
        Cause.SWAP: (counts.swap, counts.tests_swap),
        Cause.STRAND: (counts.strand, counts.tests_strand),
        Cause.SWAP_AND_STRAND: (both, counts.tests_strand),
        Cause.FROM_ZERO: (counts.next, counts.disagree),
        Cause.TOO_FAR: (counts.previous, counts.disagree),
    }[cause]


def find_cause(counts: Counts) -> Cause | None:
    """Return the first cause that explains at least 90 % of the informative records whose REF disagrees.

    An SNV whose REF disagrees always agrees in one of three ways: swapped, on the other strand, or both together (A/T and C/G
    agree in the first two ways, or in none). So swap and strand are reported together only if at least half of all records
    agree as written, each of the two explains a tenth, and both together is rarer than by chance: at most a fifth instead of
    a third (P <= 0.05).
    """
    for cause in (Cause.SWAP, Cause.STRAND, Cause.FROM_ZERO, Cause.TOO_FAR):
        k, n = explained(counts, cause)
        if n and k >= NEARLY_ALL * n:
            return cause
    k, n = explained(counts, Cause.SWAP_AND_STRAND)
    rare = 5 * counts.at_once <= n and at_least(n - counts.at_once, n, 1 - _BY_CHANCE) <= _RARE
    is_mixed = 10 * min(counts.swap, counts.strand) >= n
    if n and k >= NEARLY_ALL * n and rare and is_mixed and 2 * counts.agree >= counts.n:
        return Cause.SWAP_AND_STRAND
    return None


def is_sure(counts: Counts, cause: Cause | None) -> bool:
    """True if so many records would not agree in this way by chance."""
    if cause is None:
        return False
    if cause is Cause.SWAP_AND_STRAND:
        return True  # `find_cause` has tested it
    if is_shifted(counts):
        return True
    k, n = explained(counts, cause)
    return at_least(k, n, _BY_CHANCE) <= _SURE or (cause in ON_ALLELES and k == n >= _ENOUGH_TO_NAME)


def is_shifted(counts: Counts) -> bool:
    """True if all of a few records agree at the shifted position, and not by chance."""
    if not counts.disagree or counts.sampled < counts.agree:
        return False
    most = max(counts.next + counts.next_too, counts.previous + counts.previous_too)
    return most == counts.n and at_least(counts.n, counts.n, CHANCE) <= _SURE
