"""GTF or GFF3 -> gene part of each base (CDS, UTR, intron, promoter ...) and the TSSs of transcripts.

Each base of a gene has one part. It is the first in this order that applies in any transcript: CDS (with the stop codon),
5' UTR, 3' UTR, exon of a non-coding transcript, promoter, intron. Promoter: from 1,000 bases upstream of a TSS to 100
downstream (HOMER). Flanking: within 5,000 bases of a gene (Ensembl's upstream and downstream variants). Intergenic: none of
these.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.addresses import refuse_address
from genoformer.annotation.gene_tables import read_gene_table, with_strand
from genoformer.annotation.text_columns import pair_numbers
from genoformer.errors import ConfigError, FileFormatError
from genoformer.files import sha256_of
from genoformer.formats.bed import read_regions
from genoformer.formats.bed_kinds import layout_of
from genoformer.formats.gtf import format_note, strand_note
from genoformer.genome.contigs import ContigIndex
from genoformer.genome.regions import merge, subtract
from genoformer.genome.wording import counted_with
from genoformer.writers import Field, Source

Integers = NDArray[np.int64]

PARTS = ("CDS", "5UTR", "3UTR", "noncoding_exon", "promoter", "intron", "flanking", "intergenic")
PROMOTER = (1_000, 100)  # bases upstream and downstream of a TSS; HOMER's promoter-TSS
FLANK = 5_000  # Ensembl VEP's distance of upstream_gene_variant
_LONGEST = 1 << 36  # largest length of a contig; far below _GENE
_GENE = 1 << 40  # offset between genes, so that all are processed in one batch; longer than any contig


class Sites(NamedTuple):
    """TSSs of transcripts on one contig, sorted by position."""

    at: Integers  # [n]
    forward: NDArray[np.bool_]  # [n], on the + strand
    gene: NDArray[np.int32]  # [n]

    def take(self, rows: Integers) -> Sites:
        return Sites(self.at[rows], self.forward[rows], self.gene[rows])


class Pieces(NamedTuple):
    """Intervals of one contig, each one part of one gene."""

    intervals: Integers  # [n, 2]
    part: NDArray[np.int8]  # [n], index in PARTS
    gene: NDArray[np.int32]  # [n]

    def take(self, rows: Integers) -> Pieces:
        return Pieces(self.intervals[rows], self.part[rows], self.gene[rows])


@dataclass(frozen=True, eq=False)
class GeneMap:
    """Gene parts and TSSs by contig name in the file; a file of TSSs has no parts."""

    file: str
    sha256: str
    names: tuple[str, ...]  # gene names
    pieces: dict[str, Pieces]
    sites: dict[str, Sites]
    notes: tuple[str, ...] = ()

    @property
    def contigs(self) -> list[str]:
        return list(self.sites)

    def has(self, contig: str) -> bool:
        """True if there is a TSS on a contig, under any of the contig's names."""
        return self.on(contig)[1] is not None

    @cached_property
    def _index(self) -> ContigIndex:
        return ContigIndex(self.sites)

    def on(self, contig: str) -> tuple[Pieces | None, Sites | None]:
        """Return the gene parts and TSSs of a contig, under its own name or another name of the same contig."""
        name = self._index.get(contig)
        return (self.pieces.get(name), self.sites.get(name)) if name is not None else (None, None)

    @property
    def fields(self) -> list[Field]:
        parts = ", ".join(PARTS)
        fields = []
        if self.pieces:
            fields = [
                Field("GF_PART", "String", f"Part of each gene in GF_GENE that REF overlaps, the first of {parts}"),
                Field("GF_GENE", "String", f"Genes of {self.file} that REF lies in or near, as GF_PART says, in its order"),
            ]
        distance = "Bases from that TSS to REF, negative upstream of it, 0 if REF covers it"
        if self.named:
            text = f"Gene of the nearest TSS of a transcript of {self.file}"
            fields.append(Field("GF_TSS", "String", text, many=False))
        else:
            distance = distance.replace("that TSS", f"the nearest TSS of {self.file}")
        return [*fields, Field("GF_TSS_DISTANCE", "Integer", distance, many=False)]

    @property
    def named(self) -> bool:
        """True if the genes have names."""
        return set(self.names) != {"."}

    @property
    def source(self) -> Source:
        return Source("genes", self.file, self.sha256, tuple(field.key for field in self.fields))


def read_gene_map(path: str | os.PathLike[str], *, promoter: tuple[int, int] = PROMOTER, flank: int = FLANK) -> GeneMap:
    """Read the gene parts and TSSs of a GTF or GFF3, plain or gzipped.

    promoter: bases upstream and downstream of each TSS; flank: bases beyond a gene.
    Raises: MissingFileError; FileFormatError with the line number, or if there are no exons.
    """
    if min(*promoter, flank) < 0:
        raise ConfigError(f"promoter {promoter} and flank {flank} are numbers of bases, but must be 0 or more; correct them.")
    refuse_address(path)
    path = Path(path)
    rows, n_without_strand = with_strand(path, read_gene_table(path))
    genes, transcripts = (pair_numbers(rows["contig"], rows[of]) for of in ("gene", "transcript"))
    first_of_gene, first_of_transcript = (np.unique(of, return_index=True)[1] for of in (genes, transcripts))
    forward = rows["forward"][first_of_transcript]
    contigs = rows["contig"][first_of_gene].tolist()
    table = np.stack([genes, transcripts, rows["start"] - 1, rows["end"]], axis=1)
    if (largest := int(table[:, 2:].max())) > _LONGEST:
        raise FileFormatError(
            f"{path} has the position {largest:,}, but no contig is longer than {_LONGEST:,}; correct that line."
        )
    exon, made = rows["exon"], rows["made"]
    pieces, spans = _pieces(table[exon], table[~exon], forward, promoter, flank)
    sites = _sites(spans, forward)
    return GeneMap(
        path.name,
        sha256_of(path),
        tuple(rows["name"][first_of_gene].tolist()),
        {c: pieces.take(of) for c, of in _by_contig(contigs, pieces.gene)},
        {c: sites.take(of) for c, of in _by_contig(contigs, sites.gene)},
        tuple(_notes(path, len(np.unique(transcripts[made])), len(forward), n_without_strand)),
    )


def _notes(path: Path, n_without: int, n: int, n_without_strand: int) -> Iterator[str]:
    """Return the notes on a file of genes."""
    if note := format_note(path):
        yield note
    if n_without:
        yield (
            f"{path.name}: {n_without:,} of {n:,} transcripts have no exon lines; their CDS are taken as exons, with "
            "their UTR, up to the ends of their transcript lines."
        )
    if n_without_strand:
        yield strand_note(path, n_without_strand)


def read_sites(path: str | os.PathLike[str]) -> GeneMap:
    """Read TSSs from a BED with strands in column 6: the first base of each row, on the - strand the last.

    Raises: MissingFileError; FileFormatError with the line number.
    """
    path = Path(path)
    names: dict[str, int] = {}
    rows_of_contig: dict[str, list[tuple[int, bool, int]]] = {}
    n_long = 0
    for region in read_regions(path):
        n_long += region.end - region.start > 1
        if region.strand not in ("+", "-"):
            raise FileFormatError(f"{path}, line {region.line}: a TSS needs a strand, + or - in column 6; correct the line.")
        at = region.start if region.strand == "+" else region.end - 1
        gene = names.setdefault(region.name or ".", len(names))
        rows_of_contig.setdefault(region.chrom, []).append((at, region.strand == "+", gene))
    if not rows_of_contig:
        raise FileFormatError(f"{path} has no rows; give a BED of TSSs, or a GTF.")
    sites = {}
    for contig, rows in rows_of_contig.items():
        table = np.array(sorted(rows, key=lambda row: row[0]), dtype=np.int64)
        sites[contig] = Sites(table[:, 0], table[:, 1] > 0, table[:, 2].astype(np.int32))
    are_long = counted_with(n_long, "row", "is", "are")
    note = f"{path.name}: {are_long} longer than one base; of each the first base, by its strand, is the TSS."
    notes = [f"{path.name}: {note}" for note in layout_of(path).notes] + [note] * bool(n_long)
    return GeneMap(path.name, sha256_of(path), tuple(names), {}, sites, tuple(notes))


def nearest(sites: Sites, starts: Integers, ends: Integers) -> tuple[Integers, Integers]:
    """Return the index of the nearest TSS of each interval [start, end), and the signed distance, negative upstream; [n] each.

    In a tie the left TSS is returned, and of several at one position the first.

    >>> sites = Sites(np.array([100, 200]), np.array([True, False]), np.array([0, 1]))
    >>> [a.tolist() for a in nearest(sites, np.array([90, 100, 149, 195, 230]), np.array([91, 101, 150, 205, 231]))]
    [[0, 0, 0, 1, 1], [-10, 0, 49, 0, -30]]
    """
    right = np.searchsorted(sites.at, starts, side="left")
    left = np.searchsorted(sites.at, sites.at[np.maximum(right - 1, 0)], side="left")  # the first at that position
    far = np.iinfo(np.int64).max
    to_left = np.where(right > 0, starts - sites.at[left], far)
    at_right = np.minimum(right, len(sites.at) - 1)
    to_right = np.where(right < len(sites.at), np.maximum(sites.at[at_right] - ends + 1, 0), far)
    takes_right = to_right < to_left
    site = np.where(takes_right, at_right, left)
    away = np.where(takes_right, -to_right, to_left)  # positive to the right of the site
    return site, np.where(sites.forward[site], away, -away)


def _pieces(
    exons: Integers, coding: Integers, forward: NDArray[np.bool_], promoter: tuple[int, int], flank: int
) -> tuple[Pieces, Integers]:
    """Return the parts of all genes, and gene, start and end of each transcript [t, 3]."""
    n = len(forward)
    far = np.iinfo(np.int64).max
    span = np.stack([np.zeros(n, dtype=np.int64), np.full(n, far), np.zeros(n, dtype=np.int64)], axis=1)
    coded = np.stack([np.full(n, far), np.full(n, -1)], axis=1)
    for rows, out in ((exons, span[:, 1:]), (coding, span[:, 1:]), (coding, coded)):
        np.minimum.at(out[:, 0], rows[:, 1], rows[:, 2])
        np.maximum.at(out[:, 1], rows[:, 1], rows[:, 3])
    for rows in (coding, exons):
        span[rows[:, 1], 0] = rows[:, 0]
    of = exons[coded[exons[:, 1], 1] >= 0]  # exons of coding transcripts
    before = np.stack([of[:, 0], of[:, 2], np.minimum(of[:, 3], coded[of[:, 1], 0])], axis=1)
    behind = np.stack([of[:, 0], np.maximum(of[:, 2], coded[of[:, 1], 1]), of[:, 3]], axis=1)
    plus = forward[of[:, 1], None]
    none = np.zeros((0, 2), dtype=np.int64)
    cds = merge(_apart(coding[:, [0, 2, 3]]))
    utr5 = subtract(_apart(np.where(plus, before, behind)), cds)
    utr3 = subtract(_apart(np.where(plus, behind, before)), np.concatenate([cds, utr5]))
    every = _apart(exons[:, [0, 2, 3]])
    noncoding = subtract(every, np.concatenate([cds, utr5, utr3]))
    start = np.where(forward, span[:, 1], span[:, 2] - 1)
    low = np.where(forward, start - promoter[0], start - promoter[1])
    high = np.where(forward, start + promoter[1], start + promoter[0]) + 1
    near = merge(_apart(np.stack([span[:, 0], np.maximum(low, 0), high], axis=1)))
    near = subtract(near, np.concatenate([cds, utr5, utr3, noncoding]))
    genes = _apart(span)
    intron = subtract(genes, np.concatenate([every, near]))
    wide = np.stack([span[:, 0], np.maximum(span[:, 1] - flank, 0), span[:, 2] + flank], axis=1)
    around = subtract(_apart(wide), np.concatenate([genes, near, every])) if flank else none
    parts = [cds, utr5, utr3, noncoding, near, intron, around]
    intervals = np.concatenate(parts)
    part = np.repeat(np.arange(len(parts), dtype=np.int8), [len(rows) for rows in parts])
    gene = (intervals[:, 0] // _GENE).astype(np.int32)
    return Pieces(intervals - gene.astype(np.int64)[:, None] * _GENE, part, gene), span


def _apart(rows: Integers) -> Integers:
    """Convert (gene, start, end) to intervals [n, 2] shifted by gene * _GENE; empty ones are left out."""
    kept = rows[rows[:, 2] > rows[:, 1]]
    return kept[:, 1:] + kept[:, :1] * _GENE


def _sites(spans: Integers, forward: NDArray[np.bool_]) -> Sites:
    at = np.where(forward, spans[:, 1], spans[:, 2] - 1)
    order = np.argsort(at, kind="stable")
    return Sites(at[order], forward[order], spans[order, 0].astype(np.int32))


def _by_contig(contigs: list[str], gene: NDArray[np.int32]) -> Iterable[tuple[str, Integers]]:
    """Yield (contig, rows of its genes), rows in order."""
    numbers = {contig: i for i, contig in enumerate(dict.fromkeys(contigs))}
    of = np.array([numbers[contig] for contig in contigs])[gene]
    for contig, i in numbers.items():
        rows = np.flatnonzero(of == i)
        if len(rows):
            yield contig, rows
