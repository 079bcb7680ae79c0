"""Variants -> windows of codes for a language model, on either strand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.genome.codes import Codes, encode, reverse_complement
from genoformer.genome.normalise import normalise, trimmed
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Alleles, Variant, centred_start, place_alleles, rows_by_value

_BETWEEN_CONTIGS = 1 << 40  # more than any contig has
FLANK = 5  # bases on either side of an indel whose likelihood is compared too: a 6-mer reaches this far


class FlankedAlleles(NamedTuple):
    """Sequences of both alleles as one strand reads them; the same bases come before the allele."""

    ref: Codes
    alt: Codes
    start: int  # first base of either allele
    ref_length: int
    alt_length: int


class CentredWindows(NamedTuple):
    """Distinct windows centred on single bases."""

    codes: Codes  # [U, L]
    starts: NDArray[np.int64]  # [U]: windows of one contig overlap if their starts are less than L apart, others are far apart
    which: NDArray[np.intp]  # [n]: the row of the window of each base


class VariantWindows(NamedTuple):
    """Windows of a genome in which variants are read, each with its variant in the middle."""

    genome: Genome
    length: int  # bases
    strands: str = "+-"
    shift: int = 0  # bases by which each window starts further left: the phase of the tokens
    step: int = 0  # windows that begin alike start at multiples of so many bases, to be shared; 0: the variant is in the middle

    @property
    def centre(self) -> int:
        """Position of the variant in its window."""
        return self.length // 2 + self.shift

    def centred(self, chroms: Sequence[str], at: NDArray[np.int64]) -> CentredWindows:
        """Return the distinct windows centred on single bases, by contig and position."""
        parts: list[Codes] = []
        all_starts: list[NDArray[np.int64]] = []
        which, n_windows = np.empty(len(at), dtype=np.intp), 0
        for i, (name, rows) in enumerate(rows_by_value(chroms).items()):
            unique, which_of_contig = np.unique(at[rows], return_inverse=True)
            which[rows] = n_windows + which_of_contig
            n_windows += len(unique)
            starts = unique - self.centre
            parts.append(self.genome.windows(name, starts, self.length))
            all_starts.append(starts + i * _BETWEEN_CONTIGS)
        if len(parts) == 1:
            return CentredWindows(parts[0], all_starts[0], which)
        return CentredWindows(np.concatenate(parts), np.concatenate(all_starts), which)

    def place(self, variant: Variant) -> Alleles:
        """Return the windows of both alleles; the middle of ALT takes the position of the middle of REF."""
        start = centred_start(variant, self.length) - self.shift
        return place_alleles(self.genome, variant, start, self.length, "symmetric")

    def shortest(self, variant: Variant) -> Variant:
        """Return the normalised variant without shared bases; REF or ALT may be empty."""
        return trimmed(normalise(variant, self.genome))

    def after_one_prefix(self, variant: Variant, strand: str) -> tuple[int, FlankedAlleles]:
        """Return windows of both alleles that begin with the same bases on this strand, and the start of that of REF.

        The longer allele is in the middle, or with a `step` at most half a step from it. Both windows have the full length: as
        many bases follow each allele as fit. Without a `step` the windows of a substitution are those of `place`.
        """
        longest = max(len(variant.ref), len(variant.alt))
        n_left = self.length // 2 - longest // 2
        if self.step:
            n_left = variant.start - (variant.start - n_left + self.step // 2) // self.step * self.step
        n_left += self.shift
        n_right = self.length - n_left - longest
        if strand == "+":
            start = variant.start - n_left
            a = place_alleles(self.genome, variant, start, self.length, "left")
            return start, FlankedAlleles(a.ref, a.alt, n_left, a.ref_length, a.alt_length)
        start = variant.end + n_right - self.length
        a = place_alleles(self.genome, variant, start, self.length, "right")
        ref, alt = reverse_complement(a.ref), reverse_complement(a.alt)
        return start, FlankedAlleles(ref, alt, n_right, a.ref_length, a.alt_length)

    def between_flanks(self, variant: Variant, strand: str) -> FlankedAlleles:
        """Return both alleles between the same bases, with the longer one in the middle of a window of full length."""
        longest = max(len(variant.ref), len(variant.alt))
        n_left = self.length // 2 - longest // 2
        n_right = self.length - n_left - longest
        left = self.genome.window(variant.chrom, variant.start - n_left, n_left)
        right = self.genome.window(variant.chrom, variant.end, n_right)
        ref, alt = (np.concatenate([left, encode(bases), right]) for bases in (variant.ref, variant.alt))
        if strand == "-":
            ref, alt, n_left = reverse_complement(ref), reverse_complement(alt), n_right
        return FlankedAlleles(ref, alt, n_left, len(variant.ref), len(variant.alt))
