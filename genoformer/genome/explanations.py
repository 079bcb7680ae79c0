"""Messages on a VCF that does not fit a genome: judged contigs -> the problem, its fraction of records, and the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from genoformer.genome.agreement import Judgement
from genoformer.genome.causes import NEARLY_ALL, ON_ALLELES, Cause, Counts, explained, find_cause, is_sure, total
from genoformer.genome.contigs import join_names
from genoformer.genome.readings import FLIPPED, ON_POSITION, Reading
from genoformer.genome.wording import counted, percent

_MOST = 5  # contigs with a separate sentence
_TOLD = 3  # records that all agree by chance with P = 0.02

# Symptom of the cause, the reading that agrees instead, and the remedy: as an option, or before the run.
_CAUSES: dict[Cause, tuple[str, str, str]] = {
    Cause.SWAP: (
        "REF and ALT look swapped",
        "ALT agrees",
        "give --fix swap, or exchange them first (bcftools norm --check-ref s)",
    ),
    Cause.STRAND: (
        "alleles look as if on the other strand",
        "the complement of REF agrees",
        "give --fix strand, or flip them first (bcftools +fixref)",
    ),
    Cause.SWAP_AND_STRAND: (
        "REF and ALT look swapped in a part and on the other strand in a part",
        "ALT or a complement agrees",
        "give --fix swap,strand, or correct them first (bcftools +fixref)",
    ),
    Cause.FROM_ZERO: (
        "positions look as if counted from 0",
        "REF agrees at POS + 1",
        "give --fix shift, or add 1 to POS first",
    ),
    Cause.TOO_FAR: (
        "positions look one too high",
        "REF agrees at POS - 1",
        "give --fix shift, or take 1 from POS first",
    ),
}
# Remedies for a contig that belongs though a part of its positions is shifted: --fix shift moves all records of a contig.
_IN_PART = {
    Cause.FROM_ZERO: "split the file, and add 1 to POS only in the part that counts from 0",
    Cause.TOO_FAR: "split the file, and subtract 1 from POS only in the part that is one too high",
}
_ASKED = (("swap", Cause.SWAP), ("strand", Cause.STRAND), ("shift", Cause.FROM_ZERO), ("shift", Cause.TOO_FAR))
_FIXED_BY: dict[Cause, set[str]] = {cause: {name} for name, cause in _ASKED} | {Cause.SWAP_AND_STRAND: {"swap", "strand"}}
_FIX_NAMES = {
    Reading.SWAP: "swap",
    Reading.STRAND: "strand",
    Reading.AT_ONCE: "both at once",
    Reading.NEXT: "POS + 1",
    Reading.PREVIOUS: "POS - 1",
}


def findings(
    judged: Sequence[Judgement], fixes: Sequence[str], vcf: str, reference: str, chance: float, force: bool
) -> list[str]:
    """Return sentences on excluded contigs, on records whose REF disagrees, and on fixes that were applied or refused."""
    sentences = [_left_out(of, vcf, reference, chance, force) for of in judged if of.is_other]
    if len(sentences) > _MOST:
        names = join_names(of.evidence.name for of in judged if of.is_other)
        sentences = [*sentences[:_MOST], f"{len(sentences) - _MOST} more contigs are other sequences; all: {names}."]
    stale = [of for of in judged if of.belongs and of.evidence.has_other_length]
    if of_header := [of for of in stale if not of.evidence.is_named]:
        sentences.append(_stale_lengths(of_header, vcf, reference))
    if of_accessions := [of for of in stale if of.evidence.is_named]:
        sentences.append(_other_accessions(of_accessions, vcf, reference))
    for of in judged:
        if of.belongs and of.evidence.may_be_other_mitochondrion:
            sentences.append(
                f"{of.evidence.reference} of {reference} has {of.evidence.length:,} bases, as in UCSC's hg19 (NC_001807) only; "
                f"make sure that {of.evidence.name} of {vcf} is not the usual mitochondrion of 16,569 bases."
            )
    n_all = sum(of.counts.n for of in judged if not of.is_other)
    for cause in (*Cause, None):
        group = [of for of in judged if of.cause is cause and not of.is_other and not of.fix and of.belongs is not None]
        counts = total(of.counts for of in group)
        if cause is not None and group:
            if cause in _IN_PART:
                part = "only a part of the positions is shifted, and --fix shift moves all records of a contig"
                remedy = f"{part}: {_IN_PART[cause]}"
            else:
                remedy = _CAUSES[cause][2]
            sentences.append(f"{_cause(cause, counts, group, n_all)}; they have no score (REF_MISMATCH): {remedy}.")
        elif few := [of for of in group if of.counts.agree < NEARLY_ALL * of.counts.n]:
            counts = total(of.counts for of in few)
            share = percent(counts.agree, counts.n) if counts.agree else "none"
            have = "one has" if counts.disagree == 1 else f"{counts.disagree:,} have"
            others_have = f"the other {have}" if counts.agree else "it has" if counts.n == 1 else "they have"
            reason = "so few cannot tell the cause" if _is_unsure(counts) else "no cause explains nearly all of them"
            sentences.append(
                f"REF agrees in {share} of {counted(counts.n, 'record')} on {_names(few)}; {others_have} no score "
                f"(REF_MISMATCH), and {reason}."
            )
    if beyond := [of for of in judged if of.belongs and of.counts.is_beyond]:
        counts = total(of.counts for of in beyond)
        n_there = counts.n + counts.unknown + counts.outside
        sentences.append(
            f"{counts.outside:,} of {counted(n_there, 'record')} on {_names(beyond)} lie beyond the end in {reference} and "
            "have no score (OUTSIDE); the others are scored."
        )
    if before := [of for of in judged if of.counts.before and not of.is_other and not of.fix & Reading.NEXT]:
        n = total(of.counts for of in before).before
        lies, has = ("lies", "has") if n == 1 else ("lie", "have")
        sentences.append(
            f"{counted(n, 'record')} on {_names(before)} {lies} before the first base (POS 0) and {has} no score (OUTSIDE)."
        )
    for fix in dict.fromkeys(of.fix & ~FLIPPED for of in judged if of.fix):
        group = [of for of in judged if of.fix & ~FLIPPED == fix]
        ways = ", ".join(text for way, text in _FIX_NAMES.items() if way & fix)
        counts = total(of.counts for of in group)
        if counts.both_ways and fix & Reading.SWAP and not fix & Reading.ALL_SWAPPED:
            sentences.append(_of_either_order(counts.both_ways, _names(group)))
        sentences += _of_either_strand(group)
        records = f"{counts.disagree:,} of {counted(counts.n, 'record')} on {_names(group)}"
        if fix & ON_POSITION:
            what = f"all records of {_names(group)} are read at {ways} (REF disagrees at POS in {records}), and"
        else:
            what = f"where REF disagrees ({records}),"
        sentences.append(
            f"fixed as requested ({ways}): {what} results are those of the intended variant. The VCF stays as it is; `score` "
            "writes in GF_FIX what was done."
        )
    unfixed = [of for of in judged if of.counts.both_ways and not of.fix and not of.is_other]
    if unfixed:
        sentences.append(_of_either_order(total(of.counts for of in unfixed).both_ways, _names(unfixed)))
    return sentences + ([text] if fixes and (text := _not_fixed(judged, fixes)) else [])


def _of_either_order(n: int, contigs: str) -> str:
    """Return a sentence on insertions and deletions that also agree when swapped."""
    if n == 1:
        return (
            f"1 insertion or deletion on {contigs} agrees with REF and with ALT: it cannot tell whether it is swapped, and is "
            "scored as it is written."
        )
    return (
        f"{n:,} insertions and deletions on {contigs} agree with REF and with ALT: they cannot tell whether they are swapped, "
        "and are scored as they are written."
    )


def _of_either_strand(group: Sequence[Judgement]) -> list[str]:
    """Return a sentence on records whose strand is unknown."""
    n_of = {
        of.evidence.name: of.counts.mirrored_indels + of.counts.mirrored * (not of.fix & Reading.ALL_FLIPPED)
        for of in group
        if of.fix & FLIPPED
    }
    if not (n := sum(n_of.values())):
        return []
    has, they = ("has", "it") if n == 1 else ("have", "they")
    return [
        f"{counted(n, 'record')} on {join_names(name for name, some in n_of.items() if some)} {has} a REF that "
        "is its own reverse "
        f"complement (TA, CG), which agrees on both strands: {they} may be of either, and {has} no score (EITHER_STRAND)."
    ]


def refusal(
    judged: Sequence[Judgement],
    fixes: Sequence[str],
    vcf: str,
    reference: str,
    chance: float,
    build: str,
    n_records: int,
) -> str:
    """Return the sentence for a VCF that has no matching contig; build: what points to a build, or empty text."""
    counts = total(of.counts for of in judged)
    if counts.is_beyond and counts.outside >= counts.disagree:
        return (
            f"{counts.outside:,} of {counted(n_records, 'record')} of {vcf} lie beyond the ends of their contigs in "
            f"{reference}; give the FASTA of the assembly the VCF was made on, "
            "whole contigs, not a part of one, or continue with --force."
        )
    known = [of.evidence for of in judged if of.belongs is not None]
    if known and all(e.is_other_mitochondrion for e in known):
        e = known[0]
        return (
            f"{e.name} of {vcf} is a mitochondrion of {e.stated:,} bases, and {e.reference} of {reference} one of "
            f"{e.length:,}: they are other sequences, though REF agrees in {percent(counts.agree, counts.n)} of "
            f"{counted(counts.n, 'record')}; give a FASTA that has the one of {e.stated:,} bases, or continue with --force."
        )
    agreement = (
        f"REF of {vcf} agrees with {reference} in {percent(counts.agree, counts.n)} of {counted(counts.n, 'record')} "
        f"(by chance in about {100 * chance:.0f} %)"
    )
    not_fixed = _not_fixed(judged, fixes) if fixes else None
    causes = [of.cause for of in judged if of.cause and not of.evidence.is_contradicted]
    cause = max(causes, key=lambda cause: sum(of.counts.n for of in judged if of.cause is cause)) if causes else None
    group = [of for of in judged if of.cause is cause]
    if cause is not None and 2 * total(of.counts for of in group).n > counts.n:
        found = _cause(cause, total(of.counts for of in group), group, counts.n)
        sentence = f"{found}: {_CAUSES[cause][2]}, or continue with --force."
        if not_fixed:
            return f"{agreement}; {not_fixed}" + (
                "" if _FIXED_BY[cause] <= set(fixes) else f" {sentence[0].upper()}{sentence[1:]}"
            )
        return f"{agreement}; {sentence}"
    lengths = [of for of in judged if of.evidence.has_other_length]
    remark = f"; {not_fixed.rstrip('.')}" if not_fixed else ""
    remark += _hint(counts, fixes)
    remark += f"; the lengths of {_names(lengths)} differ, too" if lengths else ""
    if build:
        return f"{agreement}{remark}; {build}: give the FASTA of that build, or continue with --force."
    remedy = "give the FASTA it was made on, or continue with --force"
    return f"{agreement}{remark}; the VCF is probably on another build: {remedy}."


def _left_out(of: Judgement, vcf: str, reference: str, chance: float, force: bool) -> str:
    """Return the reason why a contig has no scores."""
    e, counts = of.evidence, of.counts
    done = "scored because --force is given" if force else "its records have no score (OTHER_SEQUENCE)"
    reasons = []
    if counts.n:
        agree = f"{percent(counts.agree, counts.n)} of {counted(counts.n, 'record')}"
        reasons.append(f"REF agrees in {agree} (by chance in about {100 * chance:.0f} %)")
    if e.stated is not None and e.has_other_length:
        its = "the sequence of this accession has a length of" if e.is_named else "its length is"
        reasons.append(f"{its} {e.stated:,}, and there {e.length:,}")
    if counts.outside:
        reasons.append(f"{counted(counts.outside, 'record')} beyond the end")
    if of.cause is not None and of.cause not in ON_ALLELES:
        k, n = explained(counts, of.cause)
        looks, agrees, remedy = _CAUSES[of.cause]
        for_ = f"for {agrees} in {k:,} of {n:,} others" if n else "as on other contigs with few records"
        misfit = f"{e.name} of {vcf} does not fit {e.reference} of {reference}: {', '.join(reasons)}"
        return f"{misfit}; {looks}, {for_}; {done}: {remedy}."
    return (
        f"{e.name} of {vcf} is another sequence than {e.reference} of {reference}: {', '.join(reasons)}; {done}: "
        "give a FASTA that has the intended sequence."
    )


def _agreement_despite_lengths(group: Sequence[Judgement]) -> tuple[str, str, str]:
    """Return the two lengths of each contig, the fraction of records whose REF agrees, and a remark if they are few."""
    counts = total(of.counts for of in group)
    lengths = join_names(f"{of.evidence.name} {of.evidence.stated or 0:,} and {of.evidence.length:,}" for of in group)
    agree = f"{percent(counts.agree, counts.n)} of {counted(counts.n, 'record')}"
    return lengths, agree, "; so few may agree by chance" if counts.n < _TOLD else ""


def _stale_lengths(group: Sequence[Judgement], vcf: str, reference: str) -> str:
    lengths, agree, remark = _agreement_despite_lengths(group)
    return (
        f"{vcf} states other lengths than {reference} has ({lengths}), but REF agrees in {agree} "
        "there, so they are scored (is the header older than a liftover, or the FASTA a part?)"
        f"{remark}."
    )


def _other_accessions(group: Sequence[Judgement], vcf: str, reference: str) -> str:
    lengths, agree, remark = _agreement_despite_lengths(group)
    return (
        f"contigs of {vcf} are named by accessions of sequences of other lengths than {reference} has ({lengths}), but REF "
        f"agrees in {agree} there, so they are scored (is the FASTA "
        f"a part?){remark}."
    )


def _cause(cause: Cause, counts: Counts, group: Sequence[Judgement], n_all: int) -> str:
    k, n = explained(counts, cause)
    looks, agrees, _ = _CAUSES[cause]
    return (
        f"{looks} in {k:,} of {counted(n_all, 'record')} ({percent(k, n_all)}) on {_names(group)}, for {agrees} in {k:,} of "
        f"the {n:,} whose REF disagrees"
    )


def _not_fixed(judged: Sequence[Judgement], fixes: Sequence[str]) -> str | None:
    """Return the reason why a requested fix was not applied."""
    left = [of for of in judged if not of.fix and of.counts.disagree and not of.evidence.is_other_mitochondrion]
    option = f"--fix {','.join(fixes)}"
    if not any(of.fix or of.counts.disagree for of in judged):
        n = total(of.counts for of in judged).both_ways
        nothing = "no record was changed" if n else "there is nothing to fix"
        return f"{option}: {nothing}, REF agrees in every record that could be compared."
    if not left:
        return None
    counts = total(of.counts for of in left)
    causes = [cause for name, cause in _ASKED if name in fixes]
    ways = [(*explained(counts, cause), _CAUSES[cause][1]) for cause in causes]
    counts_of_ways = " and ".join(f"{agrees} in {k:,} of {n:,}" for k, n, agrees in ways)
    if any(n and k >= NEARLY_ALL * n and not is_sure(counts, cause) for (k, n, _), cause in zip(ways, causes, strict=True)):
        needs = "so few may do so by chance"
    else:
        needs = "a fix must explain at least 90 % of them"
    if "shift" in fixes and any(of.belongs for of in left):
        shift = f"a shift moves all records of a contig, and {counts.agree:,} of {counted(counts.n, 'record')} agree as written"
        needs = shift if any(of.cause in _IN_PART for of in left) else f"{needs}, and {shift}"
    return (
        f"{option} was not applied to {_names(left)}: REF disagrees in {counted(counts.disagree, 'record')}; of those that can "
        f"tell, {counts_of_ways}; {needs}."
    )


def _is_unsure(counts: Counts) -> bool:
    """True if one cause explains all disagreeing records, though perhaps by chance."""
    cause = find_cause(counts)
    return cause is not None and not is_sure(counts, cause)


def _hint(counts: Counts, fixes: Sequence[str]) -> str:
    """Return a hint at the cause that few records share, for a file that is refused."""
    cause = find_cause(counts)
    if cause is None or not _is_unsure(counts) or _FIXED_BY[cause] <= set(fixes):
        return ""
    k, n = explained(counts, cause)
    looks, agrees, remedy = _CAUSES[cause]
    return f"; {agrees} in {k:,} of {n:,} others, too few to be sure that {looks} (then {remedy})"


def _names(group: Iterable[Judgement]) -> str:
    return join_names(of.evidence.name for of in group)
