"""Agreement of VCF contigs with FASTA contigs: counts of records -> a judgement of each contig, with its cause.

The rule counts the records with a scorable allele: REF agrees in k of n, and records beyond the end disagree. A base agrees
by chance with probability q, the sum of the squared frequencies of the letters of REF (at least 0.28, the value of the
human genome). A longer REF agrees by chance less often but counts as one base, which is conservative.

1. A contig belongs if at least half agree, and P, the probability of k or more by chance, is at most 1e-3 (1e-2 if the
   VCF states the length that the FASTA has). With fewer than 12 records, the missing ones count as agreeing.
2. Up to two disagreeing records are slips; up to four on a contig of equal length if another contig belongs.
3. If the VCF states another length, 90 % must agree, and if that length is from another assembly, P <= 1e-3. A
   mitochondrion of another length never belongs.
4. Contigs with fewer than 12 records also require that a larger contig belongs, or all of them taken together; or P itself.

One more agreeing record never turns "belongs" into "does not belong": P(X' > k) <= P(X >= k) for one more trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from genoformer.genome.causes import (
    NEARLY_ALL,
    ON_ALLELES,
    Cause,
    Counts,
    at_least,
    explained,
    find_cause,
    is_shifted,
    is_sure,
    total,
)
from genoformer.genome.contigs import canonical_key, likely_build
from genoformer.genome.readings import FLIPPED, Reading

ENOUGH = 12  # smallest number of records that excludes chance: 0.28 ** 12 is below 1e-6
DOUBT = 1e-3  # largest P for a contig whose length the VCF does not state
_DOUBT_OF_EQUAL_LENGTH = 1e-2
_SLIPS, _SLIPS_OF_EQUAL_LENGTH = 2, 4
_FEW = 7  # with fewer disagreeing records, the cause comes from the whole file: 3 ** -7 is below 1e-3
_YORUBA = 16_571  # length of the mitochondrion in UCSC's hg19 (NC_001807); it is 16,569 in all other human builds


class Evidence(NamedTuple):
    """Evidence on a contig that the VCF and the FASTA both have."""

    name: str
    reference: str
    length: int  # in the FASTA
    stated: int | None  # length from the VCF's header, or from the accession used as its name
    counts: Counts
    is_named: bool = False  # the length comes from the accession

    @property
    def is_large(self) -> bool:
        """True if there are enough records to exclude chance."""
        return self.counts.n >= ENOUGH

    @property
    def is_contradicted(self) -> bool:
        """True if another length is stated, or many records lie beyond the end."""
        return self.has_other_length or self.counts.is_beyond

    @property
    def has_equal_length(self) -> bool:
        return self.stated == self.length

    @property
    def has_other_length(self) -> bool:
        return self.stated is not None and self.stated != self.length

    @property
    def is_of_other_build(self) -> bool:
        """True if both lengths are from known assemblies and differ."""
        known = self.stated and likely_build({self.name: self.stated}) and likely_build({self.reference: self.length})
        return self.has_other_length and known is not None

    @property
    def is_other_mitochondrion(self) -> bool:
        return self.has_other_length and "MT" in (canonical_key(self.name), canonical_key(self.reference))

    @property
    def may_be_other_mitochondrion(self) -> bool:
        """True for UCSC's old chrM if the VCF does not state the length of its mitochondrion."""
        return self.stated is None and self.length == _YORUBA and canonical_key(self.reference) == "MT"


class Judgement(NamedTuple):
    """Judgement of whether a contig of the VCF belongs to the FASTA's contig."""

    evidence: Evidence
    belongs: bool | None  # None: no record could be compared
    cause: Cause | None = None  # cause of the disagreement
    fix: Reading = Reading.NONE  # requested fix that is applied

    @property
    def counts(self) -> Counts:
        return self.evidence.counts

    @property
    def is_other(self) -> bool:
        """True if no record gets a score: another sequence, or shifted positions. Swapped alleles prove the same sequence."""
        return self.belongs is False and (self.cause not in ON_ALLELES or self.evidence.is_contradicted)

    def to_dict(self) -> dict[str, Any]:
        """Return the judgement as a dict for JSON."""
        e, c = self.evidence, self.counts
        return {
            "contig": e.name,
            "reference": e.reference,
            "n_compared": c.n,
            "n_agreeing": c.agree,
            "n_outside": c.outside,
            "belongs": self.belongs,
            "cause": self.cause and self.cause.value,
            "fix": [way.name for way in Reading if way & self.fix & ~FLIPPED],
        }


def belongs_as_a_whole(judged: Sequence[Judgement]) -> bool:
    """False if no contig belongs, or hardly any: builds share their mitochondrion and some scaffolds.

    Hardly any: less than 10 % of the records, and less than half of the contigs that have enough records.
    """
    known = [of for of in judged if of.belongs is not None]
    fit = [of for of in known if of.belongs]
    large = [of for of in known if of.evidence.is_large]
    n, n_fit = (sum(of.counts.n for of in some) for some in (known, fit))
    is_rare = n_fit < (1 - NEARLY_ALL) * n and 2 * sum(bool(of.belongs) for of in large) < len(large)
    return not known or (bool(fit) and not is_rare)


class _File(NamedTuple):
    """All contigs of a VCF taken together, for contigs with few records."""

    whole: Counts  # counts of all contigs except lost ones
    has_large_fit: bool  # a contig with many records belongs
    others_fit: bool  # such a contig belongs, or contigs with few records belong together
    small_fit: bool
    shift: Cause | None  # shift of the whole file, or of all contigs with few records


def judge(evidence: Sequence[Evidence], q: float, fixes: Sequence[str] = ()) -> list[Judgement]:
    """Judge contigs by the rule above; fixes: requested fixes among "swap", "strand" and "shift", applied to their cause.

    A contig with few disagreeing records takes the cause of the whole file.
    """
    if not any(e.counts.disagree or e.counts.outside or e.has_other_length or e.may_be_other_mitochondrion for e in evidence):
        return [Judgement(e, True if e.counts.n else None) for e in evidence]  # the rule has nothing to weigh
    file = _as_a_file(evidence, q, fixes)
    judgements = []
    for e in evidence:
        if _follows(e, file.shift):
            judgements.append(_shifted(e, q, file, "shift" in fixes))
            continue
        basis = file.whole if e.counts.disagree < _FEW and _shares(e.counts, find_cause(file.whole)) else e.counts
        cause = find_cause(basis) if e.counts.disagree else None
        belongs = _belongs(e, q, file)
        fix = _fix_for(basis, cause, fixes, bool(belongs)) if cause or e.counts.disagree else Reading.NONE
        if fix and not e.is_other_mitochondrion and (e.is_large or not e.is_contradicted):
            belongs = belongs or _is_mended(e.counts, fix)
        else:
            fix = Reading.NONE
        judgements.append(Judgement(e, belongs, cause if fix or is_sure(basis, cause) else None, fix))
    return judgements


def _as_a_file(evidence: Sequence[Evidence], q: float, fixes: Sequence[str]) -> _File:
    large = [_fits(e, q) for e in evidence if e.is_large]
    counts = total(e.counts for e in evidence if not e.is_other_mitochondrion and not _is_lost(e, q))
    few = [e for e in evidence if not e.is_large and e.counts.n and not e.has_other_length]
    small = total(e.counts for e in few)
    doubt = _DOUBT_OF_EQUAL_LENGTH if all(e.has_equal_length for e in few) else DOUBT
    small_fit = not is_shifted(small) and (_is_above(small, q, doubt) or _is_explained(small, q, doubt))
    others_fit = any(large) or (small_fit and (not large or small.n >= ENOUGH))
    shift = next((cause for basis in (counts, small) if (cause := _shift_of(basis, q)) is not None), None)
    if shift is None and "shift" in fixes:
        shift = _shift_as_asked(counts)
    return _File(counts, any(large), others_fit, small_fit, shift)


def _is_lost(e: Evidence, q: float) -> bool:
    """True if the contig is another sequence, because no cause explains it."""
    return e.is_large and not _fits(e, q) and find_cause(e.counts) is None


def _belongs(e: Evidence, q: float, file: _File) -> bool | None:
    """Apply the rule to positions as written; None if no record could be compared."""
    c = e.counts
    if not c.n:
        slips = file.has_large_fit and not e.has_other_length and c.outside <= _SLIPS
        return False if e.is_contradicted and c.outside and not slips else None
    if e.is_large or not _fits(e, q, file.has_large_fit):
        return _fits(e, q)
    if is_shifted(c):
        return False
    context = file.others_fit and (file.small_fit or e.stated is not None)
    return context or at_least(c.agree, c.n, q) <= _doubt_of(e)


def _fits(e: Evidence, q: float, beside_others: bool = False) -> bool:
    """Apply lines 1 to 3 of the rule."""
    c = e.counts
    if e.is_other_mitochondrion or (c.outside > c.n and at_least(c.agree, c.n, q) > DOUBT):  # most records lie beyond the end
        return False
    nearly_all = 10 * c.agree >= 9 * c.n
    if e.has_other_length or e.may_be_other_mitochondrion:
        return nearly_all and (not e.is_of_other_build or at_least(c.agree, c.n, q) <= DOUBT)
    slips = _SLIPS_OF_EQUAL_LENGTH if beside_others and e.has_equal_length else _SLIPS
    a_part = nearly_all and at_least(c.agree, c.n, q) <= DOUBT  # a part of the contig, from its first base
    return _is_above(c, q, _doubt_of(e), slips) or a_part or _is_explained(c, q, _doubt_of(e))


def _doubt_of(e: Evidence) -> float:
    return _DOUBT_OF_EQUAL_LENGTH if e.has_equal_length else DOUBT


def _is_above(c: Counts, q: float, doubt: float, slips: int = _SLIPS) -> bool:
    """True if at least half agree and more than by chance, or the disagreeing records are few enough to be slips."""
    n = c.n + c.outside
    return n - c.agree <= slips or (2 * c.agree >= n and _p(c.agree, n, q) <= doubt)


def _p(k: int, n: int, q: float) -> float:
    """Return the probability by chance; records missing to ENOUGH count as agreeing."""
    lacking = max(0, ENOUGH - n)
    return at_least(k + lacking, n + lacking, q)


def _is_explained(c: Counts, q: float, doubt: float) -> bool:
    """True if swapped alleles or the other strand explain the disagreement, and half agree or more than by chance."""
    cause = find_cause(c)
    return cause in ON_ALLELES and is_sure(c, cause) and (2 * c.agree >= c.n or _p(c.agree, c.n, q) <= doubt)


def _shares(counts: Counts, cause: Cause | None) -> bool:
    """True if a contig with few records shares the cause of the whole file."""
    if cause is None:
        return False
    k, n = explained(counts, cause)
    return 2 * k >= n


# Positions


def _shift_of(basis: Counts, q: float) -> Cause | None:
    """Return the shift that explains records that do not fit as written."""
    cause = find_cause(basis)
    sure = cause in (Cause.FROM_ZERO, Cause.TOO_FAR) and is_sure(basis, cause)
    if is_shifted(basis):
        return Cause.FROM_ZERO if basis.next + basis.next_too == basis.n else Cause.TOO_FAR
    return cause if sure and not _is_above(basis, q, DOUBT) else None


def _shift_as_asked(counts: Counts) -> Cause | None:
    """Return the shift that makes every record of a small file agree, though some disagree as written.

    Such a file has too few records to apply the shift without a request.
    """
    if not counts.disagree or counts.sampled < counts.agree:
        return None
    ways = {Cause.FROM_ZERO: counts.next + counts.next_too, Cause.TOO_FAR: counts.previous + counts.previous_too}
    fitting = [cause for cause, k in ways.items() if k == counts.n]
    return fitting[0] if len(fitting) == 1 else None


def _at(c: Counts, shift: Cause) -> int:
    """Return the number of records that agree, or may agree, at the shifted position.

    For records that agree as written, agreement at the shifted position is known only in a sample.
    """
    k = c.next + c.next_too if shift is Cause.FROM_ZERO else c.previous + c.previous_too
    return k + c.agree - min(c.agree, c.sampled)


def _follows(e: Evidence, shift: Cause | None) -> bool:
    """True if a contig with few records shares the shift of the others: at least as many records agree there."""
    if shift is None or e.is_large or not e.counts.n or e.has_other_length or e.may_be_other_mitochondrion:
        return False
    return _at(e.counts, shift) >= e.counts.agree


def _shifted(e: Evidence, q: float, file: _File, is_asked: bool) -> Judgement:
    assert file.shift is not None
    meant = e.counts._replace(agree=_at(e.counts, file.shift))
    if is_asked and _is_above(meant, q, _doubt_of(e)):
        return Judgement(e, True, file.shift, Reading.NEXT if file.shift is Cause.FROM_ZERO else Reading.PREVIOUS)
    return Judgement(e, False, file.shift)


# Fixes


def _fix_for(basis: Counts, cause: Cause | None, fixes: Sequence[str], belongs: bool) -> Reading:
    """Return the readings for records whose REF disagrees: the requested ones, if together they explain at least 90 %."""
    if "shift" in fixes and not belongs and is_sure(basis, cause):
        if cause is Cause.FROM_ZERO:
            return Reading.NEXT
        if cause is Cause.TOO_FAR:
            return Reading.PREVIOUS
    swap, strand = Reading.SWAP if "swap" in fixes else Reading.NONE, Reading.STRAND if "strand" in fixes else Reading.NONE
    if swap and strand:
        both = Reading.AT_ONCE if cause is Cause.SWAP_AND_STRAND else Reading.NONE
        fits = cause is not None and cause in ON_ALLELES and _is_no_slip(basis, cause)
        return swap | strand | both | _all_swapped(basis) | _flipped(basis, cause) if fits else Reading.NONE
    way = Cause.SWAP if swap else Cause.STRAND
    k, n = explained(basis, way)
    if not n or k < NEARLY_ALL * n or not _is_no_slip(basis, way):
        return Reading.NONE
    if strand:
        return strand | _flipped(basis, Cause.STRAND)
    return swap | _all_swapped(basis) if swap else Reading.NONE


def _is_no_slip(basis: Counts, cause: Cause) -> bool:
    """True if a cause is sure, or nothing contradicts the requested one: at least two records fit, or all of them."""
    k, n = explained(basis, cause)
    return is_sure(basis, cause) or (k == n and (n >= _SLIPS or n == basis.n))


def _all_swapped(basis: Counts) -> Reading:
    """Return ALL_SWAPPED if nearly all informative records are swapped; indels that agree both ways are then swapped, too."""
    as_written = max(0, basis.agree - basis.both_ways)
    return Reading.ALL_SWAPPED if basis.swap >= NEARLY_ALL * (basis.tests_swap + as_written) else Reading.NONE


def _flipped(basis: Counts, cause: Cause | None) -> Reading:
    """Return ALL_FLIPPED or PART_FLIPPED, which decides the reading of records whose REF agrees on both strands.

    If the cause is a swap and no record needs the other strand, return NONE: such records stay as written.
    """
    if cause is Cause.SWAP and basis.swap > basis.either == basis.strand:
        return Reading.NONE
    nearly_all = cause is Cause.STRAND and basis.strand >= NEARLY_ALL * (basis.tests_strand + basis.one_strand)
    return Reading.ALL_FLIPPED if nearly_all else Reading.PART_FLIPPED


def _is_mended(counts: Counts, fix: Reading) -> bool:
    """True if nearly all informative records agree, as written or as read."""
    if fix & Reading.NEXT:
        return counts.next >= NEARLY_ALL * counts.disagree
    if fix & Reading.PREVIOUS:
        return counts.previous >= NEARLY_ALL * counts.disagree
    swap, strand = counts.swap * bool(fix & Reading.SWAP), counts.strand * bool(fix & Reading.STRAND)
    both = counts.either if fix & Reading.SWAP and fix & Reading.STRAND else 0
    agree = counts.agree + swap + strand - both + counts.at_once * bool(fix & Reading.AT_ONCE)
    tests = counts.tests_swap if fix & Reading.SWAP else counts.tests_strand
    return agree >= NEARLY_ALL * (counts.agree + tests)
