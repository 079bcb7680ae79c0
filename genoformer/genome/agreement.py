"""How well REF agrees with a contig, against chance: counts of records -> a judgement of each contig, with its cause.

The rule. Counted are the records with an allele that would be scored, whose REF can be compared: k of n agree. By chance a
base agrees with probability q, the sum of the squared frequencies of the letters of REF (at least 0.28, that of the human
genome). A longer REF agrees by chance less often, and is counted as one base, which errs on the side of doubt. A contig of 12
or more such records belongs where k or more would agree by chance with P <= 1e-6 (below 40 records also where three quarters
agree, and P <= 1e-3), and where at least half agree; one of the two is enough where exchanged alleles or the other strand
explain the others. Where the length that the VCF states, or records beyond the end, speak against the contig, at least 90 %
must agree. A mitochondrion of another length never belongs: they agree over long stretches, and are other sequences.
Contigs of fewer records are judged together, and belong where at least half of theirs agree and nothing speaks against it.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from genoformer.genome.contigs import canonical_key
from genoformer.genome.readings import Reading

CHANCE = 0.28  # sum of the squared base frequencies of the human genome, rounded up
NEARLY_ALL = 0.9  # of records: agree, or are explained by one cause
ENOUGH = 12  # records from which on chance can be excluded: 0.28 ** 12 is below 1e-6
_DOUBT = 1e-6
_MANY = 40  # records, below which three quarters that agree are enough: 11 of 12 agree by chance with P = 7e-6
_SURE = 1e-3  # of a cause that is named although most records agree
_RARE = 0.05  # of swaps on the other strand
_BY_CHANCE = 1 / 3  # of records whose REF disagrees: one of three other bases is the one
_FEW = 7  # records whose REF disagrees, below which a contig has its cause from the whole file: 3 ** -7 is below 1e-3
_YORUBA = 16_571  # length of the mitochondrion of UCSC's hg19 (NC_001807); that of all other human builds has 16,569


class Cause(enum.Enum):
    """Why REF disagrees in many records."""

    SWAP = "swap"
    STRAND = "strand"
    SWAP_AND_STRAND = "swap and strand"
    FROM_ZERO = "shift"
    TOO_FAR = "shift back"


ON_ALLELES = (Cause.SWAP, Cause.STRAND, Cause.SWAP_AND_STRAND)


class Counts(NamedTuple):
    """Records of a contig with an allele that would be scored."""

    n: int = 0  # REF could be compared
    agree: int = 0
    unknown: int = 0  # N in REF or in the reference; not among n
    outside: int = 0  # beyond the end of the contig; not among n
    swap: int = 0  # of those that disagree, as of Reading; only where the alleles can tell
    strand: int = 0
    either: int = 0  # both of these: A/T and C/G
    at_once: int = 0
    next: int = 0
    previous: int = 0
    sampled: int = 0  # records that agree, of which it is known, too:
    next_too: int = 0
    previous_too: int = 0
    both_ways: int = 0  # insertions and deletions of which REF and ALT agree; counted where a swap is asked for
    tests_swap: int = 0  # records that disagree and whose alleles can tell
    tests_strand: int = 0

    @property
    def is_beyond(self) -> bool:
        """More than 10 % lie beyond the end of the contig."""
        inside = self.n + self.unknown
        return inside < NEARLY_ALL * (inside + self.outside)

    @property
    def disagree(self) -> int:
        return self.n - self.agree


def total(counts: Iterable[Counts]) -> Counts:
    """The sum of the counts of some contigs."""
    rows = list(counts)
    return Counts(*map(sum, zip(*rows, strict=True))) if rows else Counts()


def add_reading(counts: Counts, flags: int, n: int) -> Counts:
    """With n more records that disagree and have these Reading flags; what cannot tell is not counted as agreeing."""
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


def chance_of(letters: str) -> float:
    """The probability q that a base agrees by chance, from letters of REF; few letters say little, and weigh little.

    >>> chance_of("ACGT"), round(chance_of("A" * 400 + "T" * 400), 2)
    (0.28, 0.45)
    """
    counts = [letters.count(base) + 25 for base in "ACGT"]
    return max(CHANCE, sum((n / sum(counts)) ** 2 for n in counts))


def at_least(k: int, n: int, p: float) -> float:
    """The probability of k or more of n by chance, each with probability p (binomial).

    >>> round(at_least(8, 10, 0.28), 4), at_least(0, 5, 0.5)
    (0.0009, 1.0)
    """
    if k <= 0:
        return 1.0
    if k > n:
        return 0.0
    if k <= n * p:  # the other tail is the short one
        return 1.0 - at_least(n - k + 1, n, 1 - p)
    log = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
    term = whole = math.exp(log)
    for i in range(k, n):
        term *= (n - i) / (i + 1) * p / (1 - p)
        whole += term
        if term < whole * 1e-12:
            break
    return min(1.0, whole)


def explained(counts: Counts, cause: Cause) -> tuple[int, int]:
    """Of the records whose REF disagrees: how many the cause explains, and how many could tell."""
    both = counts.swap + counts.strand - counts.either + counts.at_once
    return {
        Cause.SWAP: (counts.swap, counts.tests_swap),
        Cause.STRAND: (counts.strand, counts.tests_strand),
        Cause.SWAP_AND_STRAND: (both, counts.tests_strand),
        Cause.FROM_ZERO: (counts.next, counts.disagree),
        Cause.TOO_FAR: (counts.previous, counts.disagree),
    }[cause]


def cause_of(counts: Counts) -> Cause | None:
    """The first cause that explains at least 90 % of the records whose REF disagrees and that could tell.

    Of an SNV one of a swap, the other strand, and both at once always agrees. So swap and strand are named together only where
    at least half of all records agree as they are, where each explains a tenth, and where both at once is rarer than by chance:
    a fifth at most instead of a third (P <= 0.05).
    """
    for cause in (Cause.SWAP, Cause.STRAND, Cause.FROM_ZERO, Cause.TOO_FAR):
        k, n = explained(counts, cause)
        if n and k >= NEARLY_ALL * n:
            return cause
    k, n = explained(counts, Cause.SWAP_AND_STRAND)
    rare = 5 * counts.at_once <= n and at_least(n - counts.at_once, n, 1 - _BY_CHANCE) <= _RARE
    each = 10 * min(counts.swap, counts.strand) >= n
    if n and k >= NEARLY_ALL * n and rare and each and 2 * counts.agree >= counts.n:
        return Cause.SWAP_AND_STRAND
    return None


def is_sure(counts: Counts, cause: Cause | None) -> bool:
    """That so many records would not agree in this way by chance."""
    if cause is None:
        return False
    if cause is Cause.SWAP_AND_STRAND:
        return True  # `cause_of` has asked
    if is_shifted(counts):
        return True
    return at_least(*explained(counts, cause), _BY_CHANCE) <= _SURE


def is_shifted(counts: Counts) -> bool:
    """That all records agree at another place, those too that agree at POS, and that this is no chance; for few records."""
    if not counts.disagree or counts.sampled < counts.agree:
        return False
    most = max(counts.next + counts.next_too, counts.previous + counts.previous_too)
    return most == counts.n and at_least(counts.n, counts.n, CHANCE) <= _SURE


class Evidence(NamedTuple):
    """What is known of a contig of the VCF that the FASTA has, too."""

    name: str
    reference: str
    length: int  # in the FASTA
    stated: int | None  # length by the VCF's header, or by the accession that is its name
    counts: Counts

    @property
    def is_contradicted(self) -> bool:
        """Another length is stated, or many records lie beyond the end."""
        return self.has_other_length or self.counts.is_beyond

    @property
    def has_other_length(self) -> bool:
        return self.stated is not None and self.stated != self.length

    @property
    def is_other_mitochondrion(self) -> bool:
        return self.has_other_length and "MT" in (canonical_key(self.name), canonical_key(self.reference))

    @property
    def may_be_other_mitochondrion(self) -> bool:
        """UCSC's old chrM, where the VCF does not say which it means."""
        return self.stated is None and self.length == _YORUBA and canonical_key(self.reference) == "MT"


class Judgement(NamedTuple):
    """Does a contig of the VCF belong to that of the FASTA?"""

    evidence: Evidence
    belongs: bool | None  # None: no record could be compared
    cause: Cause | None = None  # of what disagrees
    fix: Reading = Reading.NONE  # what is done about it, as asked

    @property
    def counts(self) -> Counts:
        return self.evidence.counts

    @property
    def is_other(self) -> bool:
        """No record gets a score: the contig is another sequence, or positions are shifted. Exchanged alleles show the same."""
        return self.belongs is False and (self.cause not in ON_ALLELES or self.evidence.is_contradicted)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        e, c = self.evidence, self.counts
        return {
            "contig": e.name, "reference": e.reference, "n_compared": c.n, "n_agreeing": c.agree, "n_outside": c.outside,
            "belongs": self.belongs, "cause": self.cause and self.cause.value,
            "fix": [way.name for way in Reading if way & self.fix],
        }  # fmt: skip


def belongs_as_a_whole(judged: Sequence[Judgement]) -> bool:
    """False where no contig belongs, or hardly any: builds share their mitochondrion and some scaffolds.

    Hardly any: less than 10 % of the records, and less than half of the contigs with enough of them.
    """
    known = [of for of in judged if of.belongs is not None]
    fit = [of for of in known if of.belongs]
    large = [of for of in known if of.counts.n >= ENOUGH]
    n, n_fit = (sum(of.counts.n for of in some) for some in (known, fit))
    few = n_fit < (1 - NEARLY_ALL) * n and 2 * sum(bool(of.belongs) for of in large) < len(large)
    return not known or (bool(fit) and not few)


def judge(evidence: Sequence[Evidence], q: float, asked: Sequence[str] = ()) -> list[Judgement]:
    """Judges contigs by the rule above; asked: of "swap", "strand" and "shift", what is to be mended where it is the cause.

    A contig with few records that disagree has the cause of the whole file.
    """
    whole = total(e.counts for e in evidence if not e.is_other_mitochondrion and not _is_lost(e, q))
    small = total(e.counts for e in evidence if not _is_large(e) and not e.is_contradicted)
    large = [_belongs(e, q) for e in evidence if _is_large(e)]
    small_fit = _small_fit(small, q)
    found = []
    for e in evidence:
        basis = whole if e.counts.disagree < _FEW and _shares(e.counts, cause_of(whole)) else e.counts
        cause = cause_of(basis) if e.counts.disagree else None
        if not e.counts.n:
            belongs = False if e.is_contradicted and e.counts.outside else None
        elif _is_large(e):
            belongs = _belongs(e, q)
        else:
            belongs = _small_belongs(e, small_fit, any(large) or not large or small.n >= ENOUGH)
        fix = _fix_for(basis, cause, asked, bool(belongs)) if e.counts.disagree else Reading.NONE
        if fix and not e.is_other_mitochondrion and (_is_large(e) or not e.is_contradicted):
            belongs = belongs or _is_mended(e.counts, fix)
        else:
            fix = Reading.NONE
        many = not belongs or e.counts.agree < NEARLY_ALL * e.counts.n
        is_named = fix or is_sure(basis, cause) or (many and cause in ON_ALLELES)
        found.append(Judgement(e, belongs, cause if is_named else None, fix))
    return found


def _is_lost(e: Evidence, q: float) -> bool:
    """Another sequence, for no cause explains it."""
    return _is_large(e) and not _belongs(e, q) and cause_of(e.counts) is None


def _is_large(e: Evidence) -> bool:
    return e.counts.n >= ENOUGH


def _belongs(e: Evidence, q: float) -> bool:
    """Of a contig with enough records."""
    if e.is_other_mitochondrion:
        return False
    if e.is_contradicted or e.may_be_other_mitochondrion:
        return e.counts.agree >= NEARLY_ALL * e.counts.n and _agree(e.counts, q)
    return _agree(e.counts, q)


def _agree(counts: Counts, q: float) -> bool:
    """More often than by chance, and at least half of them; one of the two where a cause explains the others."""
    by_chance, half = at_least(counts.agree, counts.n, q), 2 * counts.agree >= counts.n
    above = by_chance <= _DOUBT or (counts.n < _MANY and 4 * counts.agree >= 3 * counts.n and by_chance <= _SURE)
    return (above and half) or ((above or half) and _is_explained(counts))


def _is_explained(counts: Counts) -> bool:
    """That exchanged alleles or the other strand explain what disagrees."""
    cause = cause_of(counts)
    return cause in ON_ALLELES and is_sure(counts, cause)


def _small_fit(small: Counts, q: float) -> bool:
    """Contigs with few records, taken together."""
    if is_shifted(small):
        return False
    if small.n < ENOUGH:
        return 2 * small.agree >= small.n
    return _agree(small, q)


def _small_belongs(e: Evidence, small_fit: bool, others_fit: bool) -> bool:
    """Of a contig with few records; the length that the VCF states speaks for it, or against it."""
    c = e.counts
    if e.is_contradicted and not e.is_other_mitochondrion and c.agree == c.n and not c.is_beyond:
        return at_least(c.n, c.n, CHANCE) <= _SURE  # the length is wrong, not the sequence
    if e.is_contradicted or is_shifted(c):
        return False
    if not small_fit:
        return False
    if e.may_be_other_mitochondrion:
        return c.agree == c.n
    if e.stated is not None:
        return others_fit or 2 * c.agree > c.n
    return others_fit and (2 * c.agree >= c.n or (c.agree == 0 and c.n <= 2))  # so few are slips as likely


def _shares(counts: Counts, cause: Cause | None) -> bool:
    """That the cause of the whole file is that of a contig with few records."""
    if cause is None:
        return False
    k, n = explained(counts, cause)
    return 2 * k >= n


def _fix_for(basis: Counts, cause: Cause | None, asked: Sequence[str], belongs: bool) -> Reading:
    """The readings that are taken where REF disagrees: those asked for, if together they explain at least 90 %."""
    if "shift" in asked and not belongs and is_sure(basis, cause):
        if cause is Cause.FROM_ZERO:
            return Reading.NEXT
        if cause is Cause.TOO_FAR:
            return Reading.PREVIOUS
    swap, strand = Reading.SWAP if "swap" in asked else Reading.NONE, Reading.STRAND if "strand" in asked else Reading.NONE
    if swap and strand:
        both = Reading.AT_ONCE if cause is Cause.SWAP_AND_STRAND else Reading.NONE
        return swap | strand | both | _all_swapped(basis) if cause in ON_ALLELES else Reading.NONE
    k, n = explained(basis, Cause.SWAP if swap else Cause.STRAND)
    if not n or k < NEARLY_ALL * n:
        return Reading.NONE
    return swap | _all_swapped(basis) if swap else strand


def _all_swapped(basis: Counts) -> Reading:
    """Where alleles that can tell are swapped in nearly all records, indels are swapped that agree both ways."""
    as_written = max(0, basis.agree - basis.both_ways)
    return Reading.ALL_SWAPPED if basis.swap >= NEARLY_ALL * (basis.tests_swap + as_written) else Reading.NONE


def _is_mended(counts: Counts, fix: Reading) -> bool:
    """That nearly all records agree, as they are or as they are read, of those whose alleles could tell."""
    if fix & Reading.NEXT:
        return counts.next >= NEARLY_ALL * counts.disagree
    if fix & Reading.PREVIOUS:
        return counts.previous >= NEARLY_ALL * counts.disagree
    swap, strand = counts.swap * bool(fix & Reading.SWAP), counts.strand * bool(fix & Reading.STRAND)
    both = counts.either if fix & Reading.SWAP and fix & Reading.STRAND else 0
    agree = counts.agree + swap + strand - both + counts.at_once * bool(fix & Reading.AT_ONCE)
    tests = counts.tests_swap if fix & Reading.SWAP else counts.tests_strand
    return agree >= NEARLY_ALL * (counts.agree + tests)
