"""Variants -> windows for track prediction: the start of each, and the sequences of its alternative.

The scorer, ISM and the report take their windows from here, so that all use the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, get_args

from genoformer.genome.codes import Codes
from genoformer.genome.haplotypes import Change
from genoformer.genome.normalise import normalise, trimmed
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Align, Variant, centred_start, place_alleles
from genoformer.scoring.alignment import Indels

Anchor = Literal["grid", "variant"]
ANCHORS: tuple[str, ...] = get_args(Anchor)

LATTICE = 64  # windows begin at multiples of 1 / 64 of their length, so that neighbours share them
STRETCH = 1.5  # largest length of a stretch, in window lengths


class Job(NamedTuple):
    """A window and the alternative sequences that replace it."""

    row: int
    chrom: str
    start: int  # of the window
    centre: int  # the base that masks are centred on
    changes: tuple[Change, ...]
    alternatives: tuple[Codes, ...]  # empty: only the reference; two for stitching


class Windows(NamedTuple):
    """Settings for windows over a genome."""

    genome: Genome
    length: int
    bin_size: int
    anchor: Anchor
    indels: Indels

    def start_of(self, variant: Variant) -> int:
        """Return the first base of the window of a variant; the variant has no shared bases."""
        start = centred_start(variant, self.length)
        if self.anchor == "variant":
            return start
        step = max(1, self.length // LATTICE // self.bin_size) * self.bin_size
        return (start + step // 2) // step * step

    def jobs(self, variants: Sequence[Variant], shift: int) -> list[Job]:
        """Return the windows of variants, shifted by `shift` bases and sorted by contig and start."""
        jobs = []
        for row, variant in enumerate(variants):
            short = trimmed(normalise(variant, self.genome))
            start = self.start_of(short) + shift
            change = Change(short.start - start, len(short.ref), len(short.alt), 0)
            centre = short.start + len(short.ref) // 2
            jobs.append(Job(row, short.chrom, start, centre, (change,), tuple(self._laid(short, start))))
        return sorted(jobs, key=lambda job: (job.chrom, job.start, job.row))

    def _laid(self, variant: Variant, start: int) -> Iterator[Codes]:
        how = self.indels
        sides: Sequence[Align] = ("left",)
        if len(variant.ref) != len(variant.alt):
            sides = ("left", "right") if how == "stitch" else ("left",) if how == "realign" else (how,)
        for side in sides:
            yield place_alleles(self.genome, variant, start, self.length, side).alt

    def stretches(self, jobs: Sequence[Job]) -> Iterator[list[Job]]:
        """Yield groups of jobs whose windows lie in one stretch, at distances of whole bins."""
        stretch: list[Job] = []
        longest = int(STRETCH * self.length)
        for job in jobs:
            first = stretch[0] if stretch else job
            apart = job.start - first.start
            if job.chrom != first.chrom or apart + self.length > longest or apart % self.bin_size:
                yield stretch
                stretch = []
            stretch.append(job)
        if stretch:
            yield stretch
