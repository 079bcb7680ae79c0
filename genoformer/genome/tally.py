"""Tally of VCF records per contig: batches of records -> counts of each contig and of each status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genoformer.formats.vcf_records import Record, column
from genoformer.genome.agreement import ENOUGH, Judgement
from genoformer.genome.causes import Counts, add_reading
from genoformer.genome.contigs import ContigMap
from genoformer.genome.mirrored import is_mirrored, statuses_of_either_strand
from genoformer.genome.readings import FLIPPED, Reading, as_meant, is_indel, is_read, readings, shifted
from genoformer.genome.structural import spell_out, states_of_spelled, with_reasons
from genoformer.genome.variants import RefState, Status, combine_statuses, compare_refs

if TYPE_CHECKING:
    from genoformer.genome.reference import Genome

Statuses = tuple[Status, ...]

_COUNTED = {Status.OK, Status.TOO_LONG, Status.REF_MISMATCH}  # statuses of alleles that count in the judgement of contigs
_OF_PLAIN_ALLELES = {Status.OK, Status.OUTSIDE, Status.N_IN_REF, Status.TOO_LONG, Status.REF_MISMATCH}


class Tally:
    """Counter of records by contig and kind, in constant memory.

    names: name in the VCF -> name in the FASTA or None, of every contig so far, in order of appearance.
    """

    def __init__(self, genome: Genome, max_length: int, *, swaps: bool, strands: bool = False, shifts: bool = False) -> None:
        """max_length: longest REF or ALT, in bases. swaps: also count the statuses of swapped records.

        strands: also count records whose REF agrees on both strands. shifts: also count statuses at POS + 1 and POS - 1.
        """
        self.names: dict[str, str | None] = {}
        self._genome, self._max_length, self._swaps, self._strands = genome, max_length, swaps, strands
        self._moved: dict[Reading, Counter[tuple[str, Statuses]]] = {}
        if shifts:
            self._moved = {Reading.NEXT: Counter(), Reading.PREVIOUS: Counter()}
        self._kinds: Counter[tuple[str, int, Statuses]] = Counter()  # contig, RefState, statuses
        # records whose REF disagrees: contig, Reading, statuses as written, and as read with an agreeing REF
        self._disagree: Counter[tuple[str, int, Statuses, Statuses]] = Counter()
        # indels whose REF and ALT both agree: contig, statuses as written, and swapped
        self._both_ways: Counter[tuple[str, Statuses, Statuses]] = Counter()
        # records whose REF agrees on both strands: contig, statuses if the strand is known, and if it is unknown,
        # True for indels, and True if a swap agrees, too
        self._mirrored: Counter[tuple[str, Statuses, Statuses, bool, bool]] = Counter()
        self._one_strand: Counter[str] = Counter()  # records per contig whose REF agrees on this strand only
        self._before: Counter[str] = Counter()  # records per contig before the first base, with a plain allele
        self._sampled: dict[str, Counts] = {}

    def add(self, batch: Sequence[Record]) -> None:
        """Add a batch of records to the counts."""
        chroms = column(batch, "chrom")
        if new := [name for name in dict.fromkeys(chroms) if name not in self.names]:
            contigs = ContigMap(new, self._genome.contigs)
            self.names.update((name, contigs.get(name)) for name in new)
            self._sampled.update((name, Counts()) for name in new)
        states = compare_refs(batch, self._genome, self.names)
        statuses = self._statuses(batch, states)
        self._kinds.update(zip(chroms, states.tolist(), statuses, strict=True))
        outside = np.flatnonzero(states == RefState.OUTSIDE).tolist()
        self._before.update(chroms[i] for i in outside if batch[i].pos < 1 and Status.OUTSIDE in statuses[i])
        differ = [i for i in np.flatnonzero(states == RefState.DIFFERS).tolist() if not _COUNTED.isdisjoint(statuses[i])]
        flags = readings([batch[i] for i in differ], self._genome, self.names).tolist()
        meant = self._as_read([batch[i] for i in differ], flags)
        self._disagree.update((chroms[i], flag, statuses[i], of) for i, flag, of in zip(differ, flags, meant, strict=True))
        agree = np.flatnonzero(states == RefState.AGREES).tolist()
        room = {chrom: n for chrom in dict.fromkeys(chroms) if (n := ENOUGH - self._sampled[chrom].sampled)}
        if room:
            self._sample((batch[i] for i in agree if not _COUNTED.isdisjoint(statuses[i])), room)
        for way, counts in self._moved.items():
            moved = [shifted(record, way) for record in batch]
            moved_statuses = self._statuses(moved, compare_refs(moved, self._genome, self.names))
            counts.update(zip(chroms, moved_statuses, strict=True))
        both_ways: set[int] = set()
        if self._swaps:
            indels = [i for i in agree if is_indel(batch[i])]
            flags = readings([batch[i] for i in indels], self._genome, self.names).tolist()
            meant = self._as_read([batch[i] for i in indels], flags)
            self._both_ways.update(
                (chroms[i], statuses[i], of) for i, flag, of in zip(indels, flags, meant, strict=True) if flag & Reading.SWAP
            )
            both_ways = {i for i, flag in zip(indels, flags, strict=True) if flag & Reading.SWAP}
        if self._strands:
            self._count_strands(agree, both_ways, batch, statuses)

    def _statuses(self, batch: Sequence[Record], states: NDArray[np.uint8]) -> list[Statuses]:
        """Return the statuses of records as they are written; symbolic alleles of a known sequence are spelled in bases."""
        spelled = spell_out(batch, states, self._genome, self.names, self._max_length)
        meant, states = states_of_spelled(spelled, batch, states, self._genome, self.names)
        return with_reasons(combine_statuses(meant, states, self._max_length), spelled)

    def _count_strands(
        self, agree: Sequence[int], both_ways: Collection[int], batch: Sequence[Record], statuses: Sequence[Statuses]
    ) -> None:
        """Count agreeing records whose REF determines the strand, and records whose REF agrees on both strands."""
        for i in agree:
            record, of = batch[i], statuses[i]
            if is_mirrored(record):
                either = statuses_of_either_strand(record, of)
                self._mirrored[record.chrom, of, either, is_indel(record), i in both_ways] += 1
            elif not is_indel(record) and not _COUNTED.isdisjoint(of):
                self._one_strand[record.chrom] += 1

    def _as_read(self, records: Sequence[Record], flags: Sequence[int]) -> list[Statuses]:
        """Return the statuses of records read with an agreeing REF; a swap changes the length of an indel's REF."""
        read = []
        for record, flag in zip(records, flags, strict=True):
            contig = self.names[record.chrom]
            if self._swaps and flag & Reading.SWAP and contig is not None and is_indel(record):
                meant = as_meant(record, Reading.SWAP, Reading.SWAP, self._genome, contig)
                record = meant[0] if meant is not None else record
            read.append(record)
        return combine_statuses(read, np.full(len(read), RefState.AGREES), self._max_length)

    def _sample(self, records: Iterable[Record], room: dict[str, int]) -> None:
        """Count how many of the first agreeing records of each contig also agree one base before or after.

        room: contig -> number of records missing in its sample.
        """
        some = []
        for record in records:
            if room.get(record.chrom):
                room[record.chrom] -= 1
                some.append(record)
        for record, flag in zip(some, readings(some, self._genome, self.names).tolist(), strict=True):
            of = self._sampled[record.chrom]
            self._sampled[record.chrom] = of._replace(
                sampled=of.sampled + 1,
                next_too=of.next_too + bool(flag & Reading.NEXT),
                previous_too=of.previous_too + bool(flag & Reading.PREVIOUS),
            )

    @property
    def n_records(self) -> dict[str, int]:
        """Return the number of records on each contig."""
        counts: Counter[str] = Counter()
        for (chrom, *_), n in self._kinds.items():
            counts[chrom] += n
        return dict(counts)

    def n_in(self, *states: RefState) -> int:
        """Return the number of records in these states."""
        return sum(n for (_, state, _), n in self._kinds.items() if state in states)

    def counts(self) -> dict[str, Counts]:
        """Return counts per contig over records with a scorable allele; the base before a symbolic allele is not counted."""
        counts = dict(self._sampled)
        for (chrom, *_), n in self._both_ways.items():
            counts[chrom] = counts[chrom]._replace(both_ways=counts[chrom].both_ways + n)
        for chrom, n in self._one_strand.items():
            counts[chrom] = counts[chrom]._replace(one_strand=n)
        for (chrom, statuses, either, indel, _), n in self._mirrored.items():
            of = counts[chrom]
            if either != statuses:
                counts[chrom] = (
                    of._replace(mirrored_indels=of.mirrored_indels + n) if indel else of._replace(mirrored=of.mirrored + n)
                )
        for (chrom, state, statuses), n in self._kinds.items():
            of = counts[chrom]
            if state >= RefState.DIFFERS and not _COUNTED.isdisjoint(statuses):
                counts[chrom] = of._replace(n=of.n + n, agree=of.agree + n * (state == RefState.AGREES))
            elif Status.OUTSIDE in statuses:
                counts[chrom] = of._replace(outside=of.outside + n)
            elif state == RefState.UNKNOWN and Status.N_IN_REF in statuses:
                counts[chrom] = of._replace(unknown=of.unknown + n)
        for chrom, n in self._before.items():
            counts[chrom] = counts[chrom]._replace(before=n, outside=counts[chrom].outside - n)
        for (chrom, flags, *_), n in self._disagree.items():
            counts[chrom] = add_reading(counts[chrom], flags, n)
        return counts

    def statuses(self, judged: Iterable[Judgement], *, force: bool) -> dict[Status, int]:
        """Return the number of ALTs of every Status, after leaving out contigs that do not belong and fixing records."""
        judged = list(judged)
        lost = set() if force else {of.evidence.name for of in judged if of.is_other}
        fixes = {of.evidence.name: of.fix for of in judged}
        moved = {chrom: way for chrom, fix in fixes.items() for way in self._moved if fix & way}
        counts: Counter[Status] = Counter()
        for (chrom, _, statuses), n in self._kinds.items():
            if chrom in moved:
                continue
            for status in statuses:
                counts[Status.OTHER_SEQUENCE if chrom in lost and status in _OF_PLAIN_ALLELES else status] += n
        read = [
            (chrom, statuses, meant, n)
            for (chrom, flags, statuses, meant), n in self._disagree.items()
            if is_read(flags, fixes.get(chrom, Reading.NONE), len(statuses))
        ]
        read += [
            (chrom, statuses, meant, n)
            for (chrom, statuses, meant), n in self._both_ways.items()
            if fixes.get(chrom, Reading.NONE) & Reading.ALL_SWAPPED
        ]
        read += [
            (chrom, statuses, either, n)
            for (chrom, statuses, either, indel, both_ways), n in self._mirrored.items()
            if _is_of_either_strand(fixes.get(chrom, Reading.NONE), indel, both_ways)
        ]
        for chrom, statuses, meant, n in read:
            if chrom not in lost and chrom not in moved:
                for before, after in zip(statuses, meant, strict=True):
                    counts.update({before: -n})
                    counts.update({after: n})
        for way, found in self._moved.items():
            for (chrom, statuses), n in found.items():
                if moved.get(chrom) is way:
                    for status in statuses:
                        counts[status] += n
        return {status: counts[status] for status in Status}


def _is_of_either_strand(fix: Reading, indel: bool, both_ways: bool) -> bool:
    """True if the strand of a mirrored record is unknown."""
    if both_ways and fix & Reading.ALL_SWAPPED:
        return False
    return bool(fix & FLIPPED) and (indel or not fix & Reading.ALL_FLIPPED)
