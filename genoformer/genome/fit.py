"""Reading of a VCF on a genome: records + Fit -> records as meant, their statuses, and the fixes applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.formats.vcf import Record, batches
from genoformer.genome.contigs import ContigMap
from genoformer.genome.mirrored import is_flipped, is_mirrored, statuses_of_either_strand
from genoformer.genome.readings import (
    FLIPPED,
    ON_ALLELES,
    ON_POSITION,
    Reading,
    as_meant,
    is_indel,
    other_strand,
    readings,
    shifted,
    turned,
)
from genoformer.genome.structural import spell_out, states_of_spelled, with_reasons
from genoformer.genome.variants import ContigNames, RefState, Status, Variant, combine_statuses, compare_refs

if TYPE_CHECKING:
    from genoformer.genome.reference import Genome

_AT_ONCE = 4_096  # records per comparison with the reference

# Words of GF_FIX and their meaning.
FIX_MEANING: dict[Reading, tuple[str, str]] = {
    Reading.SWAP: ("SWAP", "REF and ALT were exchanged"),
    Reading.STRAND: ("STRAND", "the alleles were those of the other strand"),
    Reading.SWAP | Reading.STRAND: ("SWAP_OR_STRAND", "one of the two, which give one variant (A/T, C/G)"),
    Reading.AT_ONCE: ("SWAP_AND_STRAND", "both at once"),
    Reading.NEXT: ("SHIFT", "POS + 1, for positions were counted from 0"),
    Reading.PREVIOUS: ("SHIFT_BACK", "POS - 1, for positions were one too high"),
}
FIX_WORDS = tuple(word for word, _ in FIX_MEANING.values())
_NUMBER = {reading: i for i, reading in enumerate(FIX_MEANING)}


@dataclass(frozen=True)
class Fit:
    """Contigs of a VCF on a genome, by their names in the VCF.

    names: the name in the FASTA. others: contigs that are another sequence in the FASTA; their records get no score. fixes:
    readings of records whose REF disagrees, or a shift of all records.
    """

    names: Mapping[str, str]
    others: frozenset[str] = frozenset()
    fixes: Mapping[str, Reading] = field(default_factory=dict)
    is_asked: bool = False  # a fix was requested, needed or not

    def get(self, name: str, /) -> str | None:
        """Return the name in the FASTA, or None."""
        return self.names.get(name)


class Checked(NamedTuple):
    """Records as scored, and the status of every ALT of each; fixes: index into FIX_WORDS, or -1 if read as written."""

    records: Sequence[Record]
    statuses: list[tuple[Status, ...]]
    fixes: list[int]


def check_fit(records: Sequence[Record], genome: Genome, fit: ContigNames, max_length: int) -> Checked:
    """Return records as read by the Fit, with the statuses of their alleles; a plain contig map or dict applies no fixes.

    Symbolic alleles of a known sequence are spelled in bases (`structural`). The raw lines of the records stay unchanged.
    max_length: the longest REF or ALT that a model accepts, in bases.
    """
    if not isinstance(fit, Fit):
        fit = Fit({record.chrom: name for record in records if (name := fit.get(record.chrom)) is not None})
    fixes = [-1] * len(records)
    if any(reading & ON_POSITION for reading in fit.fixes.values()):
        records = [shifted(record, fit.fixes.get(record.chrom, Reading.NONE)) for record in records]
    states = compare_refs(records, genome, fit)
    if fit.others:
        states[[record.chrom in fit.others for record in records]] = RefState.OTHER_SEQUENCE
    spelled = spell_out(records, states, genome, fit, max_length)
    records, states = states_of_spelled(spelled, records, states, genome, fit)
    either: list[int] = []  # indices of records
    if fit.fixes:
        records = list(records)
        either = [i for i in _mirrored(records, states, fit) if i not in spelled]
        differ = [
            i
            for i in np.flatnonzero(states >= RefState.DIFFERS).tolist()
            if i not in spelled and _is_asked(records[i], states[i], fit)
        ]
        flags = readings([records[i] for i in differ], genome, fit)
        for i, flag in zip(differ, flags.tolist(), strict=True):
            chrom = records[i].chrom
            meant = as_meant(records[i], flag, fit.fixes[chrom], genome, fit.names[chrom])
            if meant is not None:
                records[i], fixes[i] = meant[0], _NUMBER[meant[1]]
                states[i] = RefState.AGREES
        either = [i for i in either if fixes[i] < 0]
        for i in either:
            if is_flipped(records[i], fit.fixes[records[i].chrom]):
                records[i], fixes[i] = turned(records[i]), _NUMBER[Reading.STRAND]
        for i, record in enumerate(records):
            if (moved := fit.fixes.get(record.chrom, Reading.NONE) & ON_POSITION) and states[i] == RefState.AGREES:
                fixes[i] = _NUMBER[moved]
    statuses = with_reasons(combine_statuses(records, states, max_length), spelled)
    for i in either:
        if fixes[i] < 0:
            statuses[i] = statuses_of_either_strand(records[i], statuses[i])
    return Checked(records, statuses, fixes)


def _mirrored(records: Sequence[Record], states: NDArray[np.uint8], fit: Fit) -> list[int]:
    """Return the indices of records whose REF agrees on both strands, on contigs with records on the other strand."""
    flipped = {chrom for chrom, fix in fit.fixes.items() if fix & FLIPPED}
    agree = np.flatnonzero(states == RefState.AGREES).tolist() if flipped else []
    return [i for i in agree if records[i].chrom in flipped and is_mirrored(records[i])]


def _is_asked(record: Record, state: int, fit: Fit) -> bool:
    """True if another reading of the alleles should be tried."""
    fix = fit.fixes.get(record.chrom, Reading.NONE)
    return bool(fix & ON_ALLELES) and (state == RefState.DIFFERS or (bool(fix & Reading.ALL_SWAPPED) and is_indel(record)))


def exchanged_alt(record: Record, meant: Record, fix: int) -> int | None:
    """Return the number of the ALT that was swapped with REF, from 1; 0 if none was, None if it is unknown.

    record: as written. meant, fix: from Checked. For an A/T or C/G SNV, a swap and the other strand give the same variant but
    different genotypes.

    >>> exchanged_alt(Record("", "1", 5, ".", "G", ("C", "A")), Record("", "1", 5, ".", "A", ("C", "G")), 0)
    2
    """
    ways = list(FIX_MEANING)[fix] if fix >= 0 else Reading.NONE
    if ways == Reading.SWAP | Reading.STRAND:
        return None
    if not ways & (Reading.SWAP | Reading.AT_ONCE):
        return 0
    alts = [other_strand(alt.upper()) if ways & Reading.AT_ONCE else alt.upper() for alt in record.alts]
    return 1 + alts.index(meant.ref.upper())


def read_by_word(record: Record, word: str, genome: Genome, contig: str) -> Record | None:
    """Return the record as read by a word of GF_FIX; None if the genome has no such reading of it, or the word is unknown.

    ALTs keep their order, as in `as_meant`. contig: the genome's name.
    """
    ways = next((reading for reading, (name, _) in FIX_MEANING.items() if name == word), Reading.NONE)
    if ways & ON_POSITION:
        return shifted(record, ways)
    meant = as_meant(record, ways, ways, genome, contig)
    return meant[0] if meant is not None else None


def scorable(
    records: Iterable[Record],
    genome: Genome,
    max_length: int,
    left_out: Counter[str],
    fit: Fit | None = None,
    fixed: Counter[str] | None = None,
) -> Iterator[tuple[Record, Variant]]:
    """Yield every scorable ALT with its record, in upper case and with the genome's contig name; streamed.

    left_out counts the other ALTs by status; a record without ALT is one of them (NO_ALT). fixed counts the ALTs of records
    that a fix changed, by their word of FIX_WORDS.
    """
    for batch in batches(records, _AT_ONCE):
        names = fit or ContigMap({record.chrom for record in batch}, genome.contigs)
        checked = check_fit(batch, genome, names, max_length)
        for record, meant, statuses, fix in zip(batch, *checked, strict=True):
            for alt, status in zip(meant.alts or (".",), statuses, strict=True):
                if status is Status.OK:
                    contig = names.get(record.chrom)
                    assert contig is not None
                    if fixed is not None and fix >= 0:
                        fixed[FIX_WORDS[fix]] += 1
                    yield record, Variant(contig, meant.pos, meant.ref.upper(), alt.upper())
                else:
                    left_out[status.value] += 1
