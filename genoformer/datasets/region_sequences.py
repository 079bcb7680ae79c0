"""Regions of a genome, as texts and as BED files -> their sequences, without labels."""

from __future__ import annotations

import os

from genoformer.datasets.sequence_rows import LabelledSequences
from genoformer.errors import FileFormatError
from genoformer.genome.beyond import placed_regions
from genoformer.genome.codes import reverse_complement
from genoformer.genome.reference import Genome
from genoformer.genome.region_sources import Regions


def read_region_sequences(region: Regions, fasta: str | os.PathLike[str] | Genome) -> LabelledSequences:
    """Return the sequences of regions: a text such as "chr1:1-2,000" (1-based), the path of a BED, or several of both.

    Names are those of a BED: contig, start, end (0-based half-open) and strand. The bases of a row on the - strand are
    reverse-complemented. Raises: as `placed_regions`; FileFormatError for BED files without rows.

    >>> from importlib.resources import files
    >>> found = read_region_sequences(["chrS1:11-14", "S1:21-26"], files("genoformer_data") / "demo" / "genome.fa.gz")
    >>> found.names, [len(codes) for codes in found.sequences]
    (('chrS1:10-14(.)', 'chrS1:20-26(.)'), [4, 6])
    """
    genome = fasta if isinstance(fasta, Genome) else Genome(fasta)
    names, sequences, regions = [], [], []
    try:
        for row, chrom in placed_regions(region, genome):
            codes = genome.window(chrom, row.start, row.end - row.start)
            names.append(f"{row.chrom}:{row.start}-{row.end}({row.strand})")
            sequences.append(reverse_complement(codes) if row.strand == "-" else codes)
            regions.append(row)
    finally:
        if genome is not fasta:
            genome.close()
    if not sequences:
        raise FileFormatError(f"{region} has no regions; give some.")
    labels: tuple[tuple[str, ...], ...] = ((),) * len(names)
    return LabelledSequences(tuple(names), tuple(sequences), labels, (), genome.path, regions=tuple(regions))
