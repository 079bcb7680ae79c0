"""Genes and elements of a stretch of a genome, for figures: a GTF and BED files -> what lies in [start, end)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from genoformer.genome.exons import Gene, Genes, read_genes
from genoformer.genome.reference import Genome
from genoformer.genome.regions import Intervals, named_file, read_on_reference


class VisibleAnnotation(NamedTuple):
    """Of a stretch: its genes, and the intervals of each kind of element."""

    genes: list[Gene]
    elements: dict[str, Intervals]

    @property
    def drawn(self) -> list[tuple[str, str, Intervals]]:
        """The genes as `plots.landmarks` takes them."""
        return [(gene.name, gene.strand, gene.exons) for gene in self.genes]

    def starts(self, start: int, end: int) -> list[tuple[int, str]]:
        """First bases of genes in [start, end), and whose they are, by place; those without strand have none."""
        found = []
        for gene in self.genes:
            at = int(gene.exons[-1, 1]) - 1 if gene.strand == "-" else int(gene.exons[0, 0])
            if gene.strand in "+-" and start <= at < end:
                found.append((at, gene.name))
        return sorted(found)


class LocusAnnotation(NamedTuple):
    """Genes, and elements by name and contig, of a whole genome."""

    genes: Genes | None = None
    elements: Mapping[str, Mapping[str, Intervals]] = {}

    def over(self, contig: str, start: int, end: int) -> VisibleAnnotation:
        """What overlaps [start, end)."""
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
    """The genes of a GTF and the regions of BED or narrowPeak files, NAME=FILE or under its file's name (`named_file`).

    Overlapping regions of a file are one. Raises what `read_genes` and `read_bed` do.
    """
    found = {}
    for given in beds:
        name, path = named_file(given)
        found[name] = read_on_reference(path, genome)
    return LocusAnnotation(read_genes(gtf, genome) if gtf else None, found)
