"""GTF or GFF3, and BED files -> genes (as sets of exons) and elements of a genome, and those in an interval, for figures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genoformer.errors import ContigError
from genoformer.files import sha256_of
from genoformer.formats.bed import Intervals, named_file
from genoformer.formats.gtf import gene_rows, gtf_rows, without_exons
from genoformer.genome.contigs import join_names
from genoformer.genome.reference import Genome
from genoformer.genome.regions import merge, read_on_reference


class Transcript(NamedTuple):
    """Exons of a transcript, sorted and merged, 0-based half-open intervals [n, 2]."""

    number: int  # after those of all genes
    name: str
    exons: Intervals

    def tss(self, strand: str) -> int:
        """Return the first transcribed base."""
        return int(self.exons[-1, 1]) - 1 if strand == "-" else int(self.exons[0, 0])


class Gene(NamedTuple):
    """Exons of all transcripts of a gene, merged; exons are 0-based half-open intervals [n, 2]."""

    number: int
    name: str
    exons: Intervals
    strand: str = "."
    transcripts: tuple[Transcript, ...] = ()  # if they were read
    polya_sites: tuple[int, ...] = ()  # last bases of transcripts in order of transcription, if transcripts were read
    biotype: str = ""  # such as protein_coding; empty if the file does not say

    @property
    def span(self) -> tuple[int, int]:
        """First base and end of the gene body."""
        return int(self.exons[0, 0]), int(self.exons[-1, 1])


class Genes:
    """Genes by position; `names[gene.number]` is the name of each, `item_names` has those of transcripts, too."""

    def __init__(self, genes: Mapping[str, list[Gene]], source: str = "", sha256: str = "") -> None:
        """genes: contig -> genes, numbered from 0 over all contigs; source: the file they come from; sha256: its hash."""
        self.source, self.sha256 = source, sha256
        ordered = sorted((gene for genes in genes.values() for gene in genes), key=lambda gene: gene.number)
        self.names = tuple(gene.name for gene in ordered)
        transcripts = sorted((one for gene in ordered for one in gene.transcripts), key=lambda one: one.number)
        self.item_names = (*self.names, *(transcript.name for transcript in transcripts))
        self._has_biotypes = any(gene.biotype for gene in ordered)
        self._genes = {contig: sorted(genes, key=lambda gene: int(gene.exons[0, 0])) for contig, genes in genes.items()}
        self._starts = {contig: np.array([gene.exons[0, 0] for gene in genes]) for contig, genes in self._genes.items()}
        ends = {contig: np.array([gene.exons[-1, 1] for gene in genes]) for contig, genes in self._genes.items()}
        self._reach = {contig: np.maximum.accumulate(of) for contig, of in ends.items()}

    def is_coding(self, gene: Gene) -> bool:
        """True for a gene that codes for a protein, and for every gene of a file without biotypes."""
        return not self._has_biotypes or gene.biotype == PROTEIN_CODING

    def over(self, contig: str, start: int, end: int) -> Iterator[Gene]:
        """Yield the genes with an exon that overlaps [start, end), ordered by first base."""
        for gene in self.spanning(contig, start, end):
            if ((gene.exons[:, 0] < end) & (gene.exons[:, 1] > start)).any():
                yield gene

    def spanning(self, contig: str, start: int, end: int) -> Iterator[Gene]:
        """Yield the genes whose body, introns included, overlaps [start, end), ordered by first base."""
        if contig not in self._genes:
            return
        low = np.searchsorted(self._reach[contig], start, side="right")  # all genes before this index end before `start`
        high = np.searchsorted(self._starts[contig], end, side="left")
        for gene in self._genes[contig][low:high]:
            if gene.exons[-1, 1] > start:
                yield gene


PROTEIN_CODING = "protein_coding"
POLYA_KIND = "polyA_site"  # kind of line, as in GENCODE's file of poly(A) features
_POLYA_REACH = 50  # bases beyond the ends of a gene in which a site still belongs to it (borzoi_sed_paqtl_cov.py, --paext)


def read_genes(path: str | os.PathLike[str], genome: Genome, *, transcripts: bool = False) -> Genes:
    """Read the genes of a GTF or GFF3 on a genome's contigs: exons grouped by gene_id or Parent, named by gene_name if present.

    transcripts: also read the transcripts of each gene, and its polyadenylation sites: the lines of kind polyA_site on its
    strand, in the gene or at most 50 bases from it; in a file without such lines the 3' ends of its transcripts.

    Raises: FileFormatError with the line number, or if the file has no exons; ContigError if none lie on the genome's contigs.
    """
    path = Path(path)
    spans: dict[tuple[str, str], list[tuple[int, int]]] = {}
    names: dict[tuple[str, str], str] = {}
    strands: dict[tuple[str, str], str] = {}
    biotypes: dict[tuple[str, str], str] = {}
    of_transcripts: dict[tuple[str, str], dict[str, list[tuple[int, int]]]] = {}
    for row in gene_rows(path):
        key = (row.contig, row.gene)
        names.setdefault(key, row.name)
        strands.setdefault(key, row.strand)
        biotypes.setdefault(key, row.biotype)
        if row.is_exon:
            spans.setdefault(key, []).append((row.start, row.end))
            if transcripts:
                of_transcripts.setdefault(key, {}).setdefault(row.transcript, []).append((row.start, row.end))
    if not spans:
        raise without_exons(path)
    contigs = dict.fromkeys(contig for contig, _ in spans)
    names_in_genome = genome.contig_map(contigs)
    genes: dict[str, list[Gene]] = {}
    number, kept = 0, []
    for contig, gene in names:  # in the order of first lines
        if (name := names_in_genome.get(contig)) is not None:
            exons = merge(np.array(spans[contig, gene], dtype=np.int64))
            key = (contig, gene)
            genes.setdefault(name, []).append(Gene(number, names[key], exons, strands[key], biotype=biotypes[key]))
            kept.append((contig, gene))
            number += 1
    if not genes:
        raise ContigError(
            f"no contig of {path} ({join_names(contigs)}) is in {genome.name} ({join_names(genome.contigs)}). "
            "Is it the right GTF?"
        )
    if transcripts:
        genes = _with_transcripts(genes, {number: of_transcripts[key] for number, key in enumerate(kept)}, number)
        _add_sites(genes, _polya_rows(path, {name: names_in_genome.get(name) for name in contigs}))
    return Genes(genes, path.name, sha256_of(path))


def _with_transcripts(
    genes: Mapping[str, list[Gene]], spans: Mapping[int, Mapping[str, list[tuple[int, int]]]], first: int
) -> dict[str, list[Gene]]:
    """Return the genes with their transcripts, numbered from `first` on. spans: gene -> transcript -> exons."""
    numbers = count(first)
    made = {
        gene.number: tuple(
            Transcript(next(numbers), name, merge(np.array(exons, dtype=np.int64)))
            for name, exons in spans[gene.number].items()
        )
        for gene in sorted((gene for of in genes.values() for gene in of), key=lambda gene: gene.number)
    }
    return {contig: [gene._replace(transcripts=made[gene.number]) for gene in of] for contig, of in genes.items()}


def _polya_rows(path: Path, names: Mapping[str, str | None]) -> dict[tuple[str, str], list[int]]:
    """Return the last transcribed base of each poly(A) line, by contig of the genome and strand."""
    sites: dict[tuple[str, str], list[int]] = {}
    for _, fields in gtf_rows(path):
        if fields[2] == POLYA_KIND and (contig := names.get(fields[0])) is not None:
            at = int(fields[3]) - 1 if fields[6] == "-" else int(fields[4]) - 1
            sites.setdefault((contig, fields[6]), []).append(at)
    return sites


def _add_sites(genes: dict[str, list[Gene]], rows: Mapping[tuple[str, str], list[int]]) -> None:
    """Give each gene its polyadenylation sites, in the order of transcription."""
    ordered = {key: np.unique(sites) for key, sites in rows.items()}
    none = np.zeros(0, dtype=np.int64)
    for contig, of_contig in genes.items():
        for i, gene in enumerate(of_contig):
            if rows:
                known, (start, end) = ordered.get((contig, gene.strand), none), gene.span
                sites = known[(known >= start - _POLYA_REACH) & (known < end + _POLYA_REACH)].tolist()
            else:
                ends = (one.exons[0, 0] if gene.strand == "-" else one.exons[-1, 1] - 1 for one in gene.transcripts)
                sites = sorted({int(at) for at in ends})
            of_contig[i] = gene._replace(polya_sites=tuple(sites[::-1] if gene.strand == "-" else sites))


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
        starts = []
        for gene in self.genes:
            at = int(gene.exons[-1, 1]) - 1 if gene.strand == "-" else int(gene.exons[0, 0])
            if gene.strand in "+-" and start <= at < end:
                starts.append((at, gene.name))
        return sorted(starts)


class LocusAnnotation(NamedTuple):
    """Genes of a whole genome, and elements by name and contig."""

    genes: Genes | None = None
    elements: Mapping[str, Mapping[str, Intervals]] = {}

    def __repr__(self) -> str:
        return f"LocusAnnotation({', '.join([*(['genes'] if self.genes is not None else []), *self.elements]) or 'empty'})"

    def over(self, contig: str, start: int, end: int) -> VisibleAnnotation:
        """Return the genes and elements that overlap [start, end)."""
        genes = list(self.genes.over(contig, start, end)) if self.genes else []
        elements = {}
        for name, of in self.elements.items():
            rows = of.get(contig, np.zeros((0, 2), dtype=np.int64))
            elements[name] = rows[(rows[:, 0] < end) & (rows[:, 1] > start)]
        return VisibleAnnotation(genes, elements)

    def __bool__(self) -> bool:
        return self.genes is not None or bool(self.elements)


def read_landmarks(
    genome: Genome, gtf: str | os.PathLike[str] | None = None, beds: Sequence[str | os.PathLike[str]] = ()
) -> LocusAnnotation:
    """Read the genes of a GTF and the regions of BED or narrowPeak files, as NAME=FILE or named by their file (`named_file`).

    `.over(chrom, start, end)` has the genes and elements of an interval, 0-based half-open, for `plots.landmarks`.
    Raises the errors of `read_genes` and `read_bed`.

    >>> from importlib.resources import files
    >>> demo = files("genoformer_data") / "demo"
    >>> with Genome(demo / "genome.fa.gz") as genome:
    ...     landmarks = read_landmarks(genome, demo / "genes.gtf.gz", [f"PEAK={demo / 'peaks.narrowPeak.gz'}"])
    >>> seen = landmarks.over("chrS1", 0, 20_000)
    >>> [gene.name for gene in seen.genes][:1], len(seen.elements["PEAK"]) > 0
    (['SIMS1G1'], True)
    """
    elements = {}
    for bed in beds:
        name, path = named_file(bed)
        elements[name] = read_on_reference(path, genome)
    return LocusAnnotation(read_genes(gtf, genome) if gtf else None, elements)
