"""What the records of a VCF show of the contigs of a genome: batches of records -> counts of each contig and of each status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from genoformer.genome.agreement import ENOUGH, Judgement
from genoformer.genome.causes import Counts, add_reading
from genoformer.genome.contigs import ContigMap
from genoformer.genome.readings import Reading, is_indel, is_read, readings, shifted
from genoformer.genome.variants import RefState, Status, combine_statuses, compare_refs
from genoformer.genome.vcf import Record

if TYPE_CHECKING:
    from genoformer.genome.reference import Genome

Statuses = tuple[Status, ...]

_COUNTED = {Status.OK, Status.TOO_LONG, Status.REF_MISMATCH}  # of alleles by which contigs are judged
_OF_PLAIN_ALLELES = {Status.OK, Status.OUTSIDE, Status.N_IN_REF, Status.TOO_LONG, Status.REF_MISMATCH}


class Tally:
    """Counts records by contig, and by what they look like, in constant memory.

    names: name in the VCF -> name in the FASTA or None, of every contig so far, in order of appearance.
    """

    def __init__(self, genome: Genome, max_length: int, *, indels: bool, shifts: bool = False) -> None:
        """max_length: of REF or ALT, in bases. indels: those are counted that agree both ways, for a swap.

        shifts: statuses are counted at POS + 1 and POS - 1, too.
        """
        self.names: dict[str, str | None] = {}
        self._genome, self._max_length, self._wants_indels = genome, max_length, indels
        self._moved: dict[Reading, Counter[tuple[str, Statuses]]] = {}
        if shifts:
            self._moved = {Reading.NEXT: Counter(), Reading.PREVIOUS: Counter()}
        self._kinds: Counter[tuple[str, int, Statuses]] = Counter()  # contig, RefState, statuses
        self._disagree: Counter[tuple[str, int, Statuses]] = Counter()  # contig, Reading, statuses; where REF disagrees
        self._sampled: dict[str, Counts] = {}
        self._indels: Counter[str] = Counter()

    def add(self, batch: Sequence[Record]) -> None:
        """Counts some more records."""
        chroms = [record.chrom for record in batch]
        if new := [name for name in dict.fromkeys(chroms) if name not in self.names]:
            contigs = ContigMap(new, self._genome.contigs)
            self.names.update((name, contigs.get(name)) for name in new)
        states = compare_refs(batch, self._genome, self.names)
        statuses = combine_statuses(batch, states, self._max_length)
        self._kinds.update(zip(chroms, states.tolist(), statuses, strict=True))
        differ = [i for i in np.flatnonzero(states == RefState.DIFFERS).tolist() if not _COUNTED.isdisjoint(statuses[i])]
        flags = self._readings([batch[i] for i in differ])
        self._disagree.update((chroms[i], flag, statuses[i]) for i, flag in zip(differ, flags, strict=True))
        if new:  # a contig with few records has them in its first batch
            self._sampled |= self._agree_elsewhere(new, batch, states.tolist(), statuses)
        for way, found in self._moved.items():
            moved = [shifted(record, way) for record in batch]
            there = combine_statuses(moved, compare_refs(moved, self._genome, self.names), self._max_length)
            found.update(zip(chroms, there, strict=True))
        if self._wants_indels:
            agree = [batch[i] for i in np.flatnonzero(states == RefState.AGREES).tolist() if is_indel(batch[i])]
            flags = self._readings(agree)
            self._indels.update(record.chrom for record, flag in zip(agree, flags, strict=True) if flag & Reading.SWAP)

    def _readings(self, records: Sequence[Record]) -> list[int]:
        return readings(records, self._genome, self.names).tolist() if records else []

    def _agree_elsewhere(
        self, chroms: Sequence[str], batch: Sequence[Record], states: Sequence[int], statuses: Sequence[Statuses]
    ) -> dict[str, Counts]:
        """Count the agreeing records of a sample that also agree one base before or after."""
        agree: dict[str, list[Record]] = {chrom: [] for chrom in chroms}
        for record, state, of in zip(batch, states, statuses, strict=True):
            some = agree.get(record.chrom)
            if some is not None and state == RefState.AGREES and len(some) < ENOUGH and not _COUNTED.isdisjoint(of):
                some.append(record)
        flags = iter(self._readings([record for some in agree.values() for record in some]))
        found = {}
        for chrom, some in agree.items():
            of_contig = list(islice(flags, len(some)))
            n_next, n_previous = (sum(bool(flag & way) for flag in of_contig) for way in (Reading.NEXT, Reading.PREVIOUS))
            found[chrom] = Counts(sampled=len(some), next_too=n_next, previous_too=n_previous)
        return found

    @property
    def n_records(self) -> dict[str, int]:
        """Return the counts of each contig."""
        found: Counter[str] = Counter()
        for (chrom, *_), n in self._kinds.items():
            found[chrom] += n
        return dict(found)

    def n_in(self, *states: RefState) -> int:
        """Records of any kind in these states."""
        return sum(n for (_, state, _), n in self._kinds.items() if state in states)

    def counts(self) -> dict[str, Counts]:
        """Counts of each contig over records with a scorable allele; the base before a symbolic allele does not count."""
        found = {chrom: of._replace(both_ways=self._indels[chrom]) for chrom, of in self._sampled.items()}
        for (chrom, state, statuses), n in self._kinds.items():
            of = found[chrom]
            if state >= RefState.DIFFERS and not _COUNTED.isdisjoint(statuses):
                found[chrom] = of._replace(n=of.n + n, agree=of.agree + n * (state == RefState.AGREES))
            elif Status.OUTSIDE in statuses:
                found[chrom] = of._replace(outside=of.outside + n)
            elif state == RefState.UNKNOWN and Status.N_IN_REF in statuses:
                found[chrom] = of._replace(unknown=of.unknown + n)
        for (chrom, flags, _), n in self._disagree.items():
            found[chrom] = add_reading(found[chrom], flags, n)
        return found

    def statuses(self, judged: Iterable[Judgement], *, force: bool) -> dict[Status, int]:
        """Every Status, counted over ALTs, where contigs that do not belong are left out and records are fixed."""
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
        for (chrom, flags, statuses), n in self._disagree.items():
            if chrom not in lost and chrom not in moved and is_read(flags, fixes[chrom], len(statuses)):
                n_fixed = n * statuses.count(Status.REF_MISMATCH)
                counts.update({Status.OK: n_fixed, Status.REF_MISMATCH: -n_fixed})
        for way, found in self._moved.items():
            for (chrom, statuses), n in found.items():
                if moved.get(chrom) is way:
                    for status in statuses:
                        counts[status] += n
        return {status: counts[status] for status in Status}
