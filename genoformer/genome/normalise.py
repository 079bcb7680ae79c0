"""One spelling for equal variants: shared bases trimmed, insertions and deletions shifted left."""

from __future__ import annotations

from genoformer.genome.codes import decode
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant


def trim(ref: str, alt: str) -> tuple[int, str, str]:
    """Trim shared bases, first at the right, then at the left: (bases cut at the left, ref, alt), upper case.

    >>> trim("CAA", "CA"), trim("TG", "TC"), trim("A", "AGG")
    ((1, 'A', ''), (1, 'G', 'C'), (1, '', 'GG'))
    """
    ref, alt = ref.upper(), alt.upper()
    shortest, n_suffix, n_prefix = min(len(ref), len(alt)), 0, 0
    while n_suffix < shortest and ref[-1 - n_suffix] == alt[-1 - n_suffix]:
        n_suffix += 1
    while n_prefix < shortest - n_suffix and ref[n_prefix] == alt[n_prefix]:
        n_prefix += 1
    return n_prefix, ref[n_prefix : len(ref) - n_suffix], alt[n_prefix : len(alt) - n_suffix]


def trimmed(variant: Variant) -> Variant:
    """Return the variant without the bases that both alleles share; REF or ALT may be empty."""
    cut, ref, alt = trim(variant.ref, variant.alt)
    return Variant(variant.chrom, variant.pos + cut, ref, alt)


def normalise(variant: Variant, genome: Genome) -> Variant:
    """Normalise a variant: trim it and shift it left (Tan et al. 2015), upper case. Equal variants get the same spelling.

    An insertion or deletion keeps one anchor base, as VCF requires: the base before it, or the base after it at the start of
    a contig. A substitution keeps no shared base. REF must agree with the reference (see `compare_refs`), and variant.chrom
    must be the FASTA's own name. If REF equals ALT, only the case changes.
    """
    n_prefix, ref, alt = trim(variant.ref, variant.alt)
    start = variant.start + n_prefix
    if bool(ref) == bool(alt):
        if not ref:
            return variant._replace(ref=variant.ref.upper(), alt=variant.alt.upper())
        return Variant(variant.chrom, start + 1, ref, alt)
    moved = ref or alt  # the bases deleted or inserted
    shift, block_size = 0, 64
    while shift < start:  # A before xxxA equals Axxx with A after it, so a step left rotates the bases by one
        size = min(block_size, start - shift)
        before = decode(genome.window(variant.chrom, start - shift - size, size))
        n = 0
        while n < size and before[size - 1 - n] == moved[-1 - (shift + n) % len(moved)]:
            n += 1
        shift += n
        if n < size:
            break
        block_size = min(2 * block_size, 1 << 16)
    turn = shift % len(moved)
    moved = moved[len(moved) - turn :] + moved[: len(moved) - turn]
    start -= shift
    if start > 0:
        anchor = decode(genome.window(variant.chrom, start - 1, 1))
        long, short = anchor + moved, anchor
        start -= 1
    else:
        anchor = decode(genome.window(variant.chrom, len(ref), 1))
        long, short = moved + anchor, anchor
    return Variant(variant.chrom, start + 1, long, short) if ref else Variant(variant.chrom, start + 1, short, long)
