"""How a VCF is read on a genome: records + Fit -> records as they were meant, their statuses, and what was done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

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
from genoformer.genome.variants import ContigNames, RefState, Status, Variant, combine_statuses, compare_refs
from genoformer.genome.vcf import Record, batches

if TYPE_CHECKING:
    from genoformer.genome.reference import Genome

_AT_ONCE = 4_096  # records whose REF is compared at once

# What GF_FIX says.
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
    """The contigs of a VCF on a genome, by their names in the VCF.

    names: the name in the FASTA. others: contigs that are another sequence there, whose records get no score. fixes: how
    records are read whose REF disagrees, or with a shift all records.
    """

    names: Mapping[str, str]
    others: frozenset[str] = frozenset()
    fixes: Mapping[str, Reading] = field(default_factory=dict)
    is_asked: bool = False  # a fix was asked for, needed or not

    def get(self, name: str, /) -> str | None:
        """The name in the FASTA, or None."""
        return self.names.get(name)


class Checked(NamedTuple):
    """Records as they are scored, and for every ALT of each its status; fixes: index into FIX_WORDS, or -1 where as written."""

    records: Sequence[Record]
    statuses: list[tuple[Status, ...]]
    fixes: list[int]


def check_fit(records: Sequence[Record], genome: Genome, fit: ContigNames, max_length: int) -> Checked:
    """Return the scorable alleles of some records, read by the Fit; names of contigs alone (a ContigMap, a dict) mend nothing.

    The lines of the records stay as they were. max_length: the longest REF or ALT a model can take, in bases.
    """
    if not isinstance(fit, Fit):
        fit = Fit({record.chrom: name for record in records if (name := fit.get(record.chrom)) is not None})
    fixes = [-1] * len(records)
    if any(reading & ON_POSITION for reading in fit.fixes.values()):
        records = [shifted(record, fit.fixes.get(record.chrom, Reading.NONE)) for record in records]
    states = compare_refs(records, genome, fit)
    if fit.others:
        states[[record.chrom in fit.others for record in records]] = RefState.OTHER_SEQUENCE
    either: list[int] = []  # numbers of records
    if fit.fixes:
        records = list(records)
        either = _mirrored(records, states, fit)
        differ = [i for i in np.flatnonzero(states >= RefState.DIFFERS).tolist() if _is_asked(records[i], states[i], fit)]
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
    statuses = combine_statuses(records, states, max_length)
    for i in either:
        if fixes[i] < 0:
            statuses[i] = statuses_of_either_strand(records[i], statuses[i])
    return Checked(records, statuses, fixes)


def _mirrored(records: Sequence[Record], states: NDArray[np.uint8], fit: Fit) -> list[int]:
    """Return the numbers of records whose REF agrees, on both strands, where contigs have records on the other strand."""
    flipped = {chrom for chrom, fix in fit.fixes.items() if fix & FLIPPED}
    agree = np.flatnonzero(states == RefState.AGREES).tolist() if flipped else []
    return [i for i in agree if records[i].chrom in flipped and is_mirrored(records[i])]


def _is_asked(record: Record, state: int, fit: Fit) -> bool:
    """Test that another reading of the alleles should be tried."""
    fix = fit.fixes.get(record.chrom, Reading.NONE)
    return bool(fix & ON_ALLELES) and (state == RefState.DIFFERS or (bool(fix & Reading.ALL_SWAPPED) and is_indel(record)))


def exchanged_alt(record: Record, meant: Record, fix: int) -> int | None:
    """Return the number of the ALT that changed places with REF, from 1; 0 where none did, None where that is not known.

    record: as written. meant, fix: as Checked has them. Of an A/T or C/G SNV a swap and the other strand give one variant, but
    not one genotype.

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
    """The record as a word of GF_FIX says that it was read; None where the genome has no such reading of it, or no such word.

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
    """Every ALT that can be scored, with its record, upper case and under the genome's name of the contig; streamed.

    left_out counts the others by their status; a record without ALT is one of them (NO_ALT). fixed counts those that are read
    as they were meant, by their word of FIX_WORDS.
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
