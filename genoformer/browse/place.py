"""Text of the page -> a region or a variant of the genome, or the body of a gene."""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np

from genoformer.annotation.genes import GeneMap
from genoformer.errors import ConfigError, ContigError
from genoformer.formats.variant_ids import parse_variant_id
from genoformer.genome.codes import decode
from genoformer.genome.reference import Genome
from genoformer.genome.region_text import parse_region
from genoformer.genome.variants import STATUS_MEANING, Status, Variant, allele_status

LONGEST = 1 << 21  # bases of a region


class Place(NamedTuple):
    """Bases [start, end) of a contig of the genome, and the variant there, if one is shown."""

    chrom: str
    start: int
    end: int
    variant: Variant | None = None

    @property
    def middle(self) -> int:
        return (self.start + self.end) // 2

    @property
    def text(self) -> str:
        """Return the region as `parse_region` reads it."""
        return f"{{{self.chrom}}}:{self.start + 1}-{self.end}"


def read_place(text: str, genome: Genome, genes: GeneMap | None = None) -> Place:
    """Return the place of a text: a variant (chr20:1050100:A:G), a region (chr20:1-200), or a gene by its name.

    The text never names a file.
    Raises ConfigError or ContigError for a text that is none of these, for a place outside the genome, and for a variant whose
    REF is not that of the genome.
    """
    if parse_variant_id(text) is not None:
        variant = read_variant(text, genome)
        return Place(variant.chrom, variant.start, variant.end, variant)
    if genes is not None and (place := _gene(text, genome, genes)) is not None:
        return place
    region = parse_region(text, genome.contigs)
    chrom = genome.resolve(region.chrom)
    length = genome.contigs[chrom]
    end = min(region.end, length) if region.end == sys.maxsize else region.end
    if region.start >= length:
        raise ConfigError(
            f"{chrom}:{region.start + 1:,} lies beyond its contig, which has {length:,} bases; give another region."
        )
    end = min(end, length)
    if end - region.start > LONGEST:
        raise ConfigError(f"the region has {end - region.start:,} bases, expected {LONGEST:,} at most; give a shorter one.")
    return Place(chrom, region.start, end)


def read_variant(text: str, genome: Genome) -> Variant:
    """Return the variant of a text (chr20:1050100:A:G), on the contigs of a genome, whose REF must be that of the genome.

    Raises ConfigError for another text, for a position outside the genome, and for alleles that cannot be scored.
    """
    named = parse_variant_id(text)
    if named is None:
        raise ConfigError(
            f"{text!r} is no variant, expected contig, position, REF and ALT; write one such as chr20:1050100:A:G."
        )
    variant = Variant(genome.resolve(named.chrom), *named[1:])
    length = genome.contigs[variant.chrom]
    if variant.start < 0 or variant.end > length:
        raise ConfigError(f"{variant} lies beyond its contig, which has {length:,} bases; give another position.")
    found = decode(genome.window(variant.chrom, variant.start, len(variant.ref)))
    status = Status.N_IN_REF if "N" in found else allele_status(variant.ref, variant.alt)
    if status is not Status.OK:
        raise ConfigError(f"{variant} cannot be scored ({status.value}): {STATUS_MEANING[status]}")
    if found != variant.ref:
        problem = f"REF is {variant.ref}, but {genome.name} has {found} there"
        raise ConfigError(f"{variant}: {problem}; is it on another assembly, or is its REF the other allele?")
    if variant.ref == variant.alt:
        raise ConfigError(f"{variant}: REF and ALT are equal; give another ALT.")
    return variant


def _gene(text: str, genome: Genome, genes: GeneMap) -> Place | None:
    """Return the body of the first gene of this name on a contig of the genome; None without one."""
    numbers = {i for i, name in enumerate(genes.names) if name.lower() == text.lower()}
    if not numbers:
        return None
    for contig, pieces in genes.pieces.items():
        rows = np.isin(pieces.gene, list(numbers)) & (pieces.part <= 5)  # without what lies beyond the body
        try:
            chrom = genome.resolve(contig) if rows.any() else None
        except ContigError:
            chrom = None
        if chrom is not None:
            start, end = int(pieces.intervals[rows, 0].min()), int(pieces.intervals[rows, 1].max())
            return Place(chrom, max(0, start), min(end, start + LONGEST, genome.contigs[chrom]))
    return None
