"""Open files of a look-up: alleles on one contig -> values of the same alleles, or of their positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Protocol

import numpy as np

from genoformer.annotation.allele_match import changed_bases, equal_alleles, equal_positions
from genoformer.annotation.field_values import Matches
from genoformer.annotation.lookup_fields import MatchedLines
from genoformer.annotation.lookup_files import LookupFile
from genoformer.annotation.source_stream import KEPT, SourceBlock, SourceStream
from genoformer.formats.bigwig import BigWig
from genoformer.formats.sorted_lines import BcfLines, SortedLines, TextLines
from genoformer.genome.allele_table import AlleleTable, furthest_start
from genoformer.genome.contigs import ContigIndex
from genoformer.genome.reference import Genome


class Reader(Protocol):
    """Open file that adds the values of alleles on one contig."""

    def usable(self, alleles: AlleleTable) -> AlleleTable:
        """Return the alleles that can be looked up here; symbolic ones in a VCF only."""
        ...

    def add(self, contig: str, alleles: AlleleTable, matches: Matches) -> bool:
        """Store values of usable alleles; False if the file does not have the contig."""
        ...

    def names(self) -> Mapping[str, str]:
        """Return the contigs met so far: name in the VCF -> name in the file."""
        ...

    def close(self) -> None: ...


class AlleleReader:
    """Reader of a sorted VCF, BCF or table."""

    def __init__(self, file: LookupFile, genome: Genome | None) -> None:
        assert file.layout is not None
        lines: SortedLines
        lines = BcfLines(file.path) if file.is_bcf else TextLines(file.path, file.n_header)
        self._lines, self._layout, self._fields, self._genome = lines, file.layout, file.fields, genome
        self._stream = SourceStream(lines, file.layout, file.path, genome, file.contigs)
        self._in_genome = ContigIndex(genome.contigs if genome is not None else ())
        self._declared, self._names = ContigIndex(file.contigs), dict[str, str]()

    def usable(self, alleles: AlleleTable) -> AlleleTable:
        return alleles if self._layout.info is not None else alleles.of_sequences()

    def add(self, contig: str, alleles: AlleleTable, matches: Matches) -> bool:
        own = self._stream.own_name(contig)
        if own is None:
            return False
        in_genome = self._in_genome.get(contig)
        if not self._layout.has_alleles:
            alleles = replace(alleles, start=changed_bases(alleles)[0])
        alleles = alleles.sorted()
        edges = self._stream.clusters(own, alleles.start)
        met = False
        for i, j in pairwise(edges):
            part = alleles.take(slice(i, j))
            low, last = int(part.start[0]), int(part.start[-1])
            high = furthest_start(part, self._genome, in_genome) if self._layout.has_alleles else last
            for block in self._stream.between(own, low, high, last - KEPT):
                met = True
                self._names[contig] = block.name
                self._match(part, block, matches)
        return met or self._stream.has_index or contig in self._names or self._declared.get(contig) is not None

    def _match(self, part: AlleleTable, block: SourceBlock, matches: Matches) -> None:
        if self._layout.has_alleles:
            q, s = equal_alleles(part, block.alleles)
        else:
            q, s = equal_positions(part.start, block.alleles.start)
        if not len(q):
            return
        matched = MatchedLines(block.lines, block.alleles.record[s], block.alleles.number[s])
        matches.add(part.record[q], part.number[q], [field.read(matched) for field in self._fields])

    def names(self) -> Mapping[str, str]:
        return self._names

    def close(self) -> None:
        self._lines.close()


class BigWigReader:
    """Reader of a bigWig: the mean over the changed bases of each allele."""

    def __init__(self, file: LookupFile) -> None:
        self._bigwig, self._names = BigWig(file.path), dict[str, str]()
        self._index = ContigIndex(self._bigwig.contigs)

    def usable(self, alleles: AlleleTable) -> AlleleTable:
        return alleles.of_sequences()

    def add(self, contig: str, alleles: AlleleTable, matches: Matches) -> bool:
        own = self._index.get(contig)
        if own is None:
            return False
        self._names[contig] = own
        first, end = changed_bases(alleles)
        means = self._bigwig.means(own, first, end)
        known = np.flatnonzero(~np.isnan(means))
        matches.add(alleles.record[known], alleles.number[known], [[f"{value:.6g}" for value in means[known].tolist()]])
        return True

    def names(self) -> Mapping[str, str]:
        return self._names

    def close(self) -> None:
        self._bigwig.close()


def open_reader(file: LookupFile, genome: Genome | None) -> Reader:
    """Open a file for looking up."""
    return BigWigReader(file) if file.kind == "bigwig" else AlleleReader(file, genome)
