"""Genes and elements in an interval of a genome, for figures: a GTF and BED files -> the features in [start, end)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from genoformer.formats.exons import Gene, Genes, read_genes
from genoformer.genome.reference import Genome
from genoformer.genome.regions import Intervals, named_file, read_on_reference


class VisibleAnnotation(NamedTuple):
    """Genes of an interval, and intervals of each kind of element."""

    genes: list[Gene]
    elements: dict[str, Intervals]

    @property
    def drawn(self) -> list[tuple[str, str, Intervals]]:
        """Genes in the format of `plots.landmarks`."""
        return [(gene.name, gene.strand, gene.exons) for gene in self.genes]

    def starts(self, start: int, end: int) -> list[tuple[int, str]]:
        """Return the first bases in [start, end) of genes with a strand, and the gene names, sorted by position."""
        found = []
        for gene in self.genes:
            at = int(gene.exons[-1, 1]) - 1 if gene.strand == "-" else int(gene.exons[0, 0])
            if gene.strand in "+-" and start <= at < end:
                found.append((at, gene.name))
        return sorted(found)


class LocusAnnotation(NamedTuple):
    """Genes of a whole genome, and elements by name and contig."""

    genes: Genes | None = None
    elements: Mapping[str, Mapping[str, Intervals]] = {}

    def over(self, contig: str, start: int, end: int) -> VisibleAnnotation:
        """Return the genes and elements that overlap [start, end)."""
        genes = list(self.genes.over(contig, start, end)) if self.genes else []
        found = {}
        for name, of in self.elements.items():
            rows = of.get(contig, np.zeros((0, 2), dtype=np.int64))
            found[name] = rows[(rows[:, 0] < end) & (rows[:, 1] > start)]
        return VisibleAnnotation(genes, found)

    def __bool__(self) -> bool:
        return self.genes is not None or bool(self.elements)


def read_landmarks(
    genome: Genome, gtf: str | os.PathLike[str] | None = None, beds: Sequence[str | os.PathLike[str]] = ()
) -> LocusAnnotation:
    """Read the genes of a GTF and the regions of BED or narrowPeak files, as NAME=FILE or named by their file (`named_file`).

    Raises the errors of `read_genes` and `read_bed`.
    """
    found = {}
    for given in beds:
        name, path = named_file(given)
        found[name] = read_on_reference(path, genome)
    return LocusAnnotation(read_genes(gtf, genome) if gtf else None, found)
