"""Genes and elements -> those that a canvas shows in a region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genoformer.annotation.genes import PARTS, GeneMap
from genoformer.genome.genes import Gene, LocusAnnotation, VisibleAnnotation, read_landmarks
from genoformer.genome.reference import Genome
from genoformer.genome.regions import merge

_EXONIC = PARTS.index("noncoding_exon")  # the last of the parts that are in exons
_NO_ELEMENTS = LocusAnnotation()


@dataclass(frozen=True)
class Landmarks:
    """Genes, and elements by name."""

    genes: GeneMap | None = None
    elements: LocusAnnotation = _NO_ELEMENTS

    @classmethod
    def read(cls, genome: Genome, genes: GeneMap | None, beds: Sequence[str]) -> Landmarks:
        """Return genes, and the elements of BED files, as [NAME=]FILE. Raises the errors of `read_landmarks`."""
        return cls(genes, read_landmarks(genome, None, beds))

    def over(self, chrom: str, start: int, end: int) -> VisibleAnnotation:
        """Return the genes whose body overlaps [start, end), and the elements there."""
        genes = [] if self.genes is None else genes_over(self.genes, chrom, start, end)
        return VisibleAnnotation(genes, self.elements.over(chrom, start, end).elements)


def genes_over(genes: GeneMap, chrom: str, start: int, end: int) -> list[Gene]:
    """Return the genes whose body overlaps [start, end), with the exons of all their transcripts, ordered by first base."""
    pieces, sites = genes.on(chrom)
    if pieces is None or sites is None:
        return []
    exonic = np.flatnonzero(pieces.part <= _EXONIC)
    spans, of = pieces.intervals[exonic], pieces.gene[exonic]
    numbers, rows = np.unique(of, return_inverse=True)
    first, last = np.full(len(numbers), np.iinfo(np.int64).max), np.zeros(len(numbers), dtype=np.int64)
    np.minimum.at(first, rows, spans[:, 0])
    np.maximum.at(last, rows, spans[:, 1])
    strands = dict(zip(sites.gene.tolist(), np.where(sites.forward, "+", "-").tolist(), strict=True))
    seen = np.flatnonzero((first < end) & (last > start))
    return [
        Gene(number, genes.names[number], merge(spans[rows == i]), strands.get(number, "."))
        for i, number in sorted(((i, int(numbers[i])) for i in seen.tolist()), key=lambda pair: int(first[pair[0]]))
    ]
