"""Evidence of track scores that have one value per gene or transcript: genes over a window -> tracks in the bins of each.

The definitions are those of Borzoi (borzoi_sed.py, borzoi_sed_paqtl_cov.py of calico/borzoi) and of AlphaGenome
(`model/variant_scoring` of google-deepmind/alphagenome_research); bins of the tracks take the place of their bins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from genoformer.scoring.score_inputs import TRANSCRIPT, AllelePair, BinGrid, ScoreInput, VariantPlace

if TYPE_CHECKING:  # the table of scores can be read without the readers of genes
    from genoformer.genome.genes import Gene, Genes

Bins = NDArray[np.int64]


class GeneEvidence(Protocol):
    """Evidence of a track model for one variant in one window."""

    @property
    def grid(self) -> BinGrid: ...
    @property
    def sides(self) -> AllelePair: ...  # [K, N] of both alleles, in the bins of the reference
    def columns(self, bins: slice | Bins) -> AllelePair: ...  # some bins of them
    def zero_filled(self, bins: slice | Bins) -> AllelePair: ...  # the same, 0 for bases that an insertion has pushed out
    @property
    def extent(self) -> tuple[int, int]: ...  # bases of the variant, with the base before an insertion or deletion
    def counts(self, gene: Gene) -> AllelePair | None: ...  # [K, J] of the splice junctions of a gene; None: it has none


class ItemTracks(NamedTuple):
    """Evidence for a gene or transcript."""

    number: int  # of the gene or transcript
    strand: str
    pair: AllelePair


@dataclass(frozen=True)
class ItemInput(ScoreInput):
    """Evidence for each gene or transcript of a window."""

    of_tracks = per_gene = True
    needs_transcripts = True
    on_strand: ClassVar[bool] = True  # True: tracks of the other strand than that of the gene have no value
    zero_filled: ClassVar[bool] = False  # True: bases that an insertion has pushed out of the window are 0, else as in REF

    def items(self, evidence: GeneEvidence, genes: Genes) -> Iterator[ItemTracks]:
        """Yield the evidence for each gene or transcript that the score is of."""
        for gene in self.genes(evidence, genes):
            pair = self.of_gene(evidence, gene)
            if pair is not None:
                yield ItemTracks(gene.number, gene.strand, pair)

    def genes(self, evidence: GeneEvidence, genes: Genes) -> Iterator[Gene]:
        """Yield the genes that the score is of: those with an exon in the bins of the window."""
        return genes.over(evidence.grid.chrom, evidence.grid.start, evidence.grid.end)

    def of_gene(self, evidence: GeneEvidence, gene: Gene) -> AllelePair | None:
        """Return the evidence for a gene; None if it has none."""
        raise NotImplementedError(f"{type(self).__name__} defines no of_gene; an input of items must define it.")

    def within(self, evidence: GeneEvidence, bins: slice | Bins) -> AllelePair:
        """Return the tracks of both alleles in some bins."""
        return evidence.zero_filled(bins) if self.zero_filled else evidence.columns(bins)


class ExonTracks(ItemInput):
    """Tracks of both alleles in the bins that the exons of each gene cover by more than half (`map_snpseq_genes`)."""

    needs_transcripts = False

    def of_gene(self, evidence: GeneEvidence, gene: Gene) -> AllelePair | None:
        bins = evidence.grid.mostly_of_spans(gene.exons)
        return self.within(evidence, bins) if len(bins) else None

    @property
    def bins(self) -> str:
        return "the exons of a gene"


class TranscriptTracks(ItemInput):
    """Tracks of both alleles in the bins that the exons of each transcript cover by more than half."""

    item = TRANSCRIPT

    def items(self, evidence: GeneEvidence, genes: Genes) -> Iterator[ItemTracks]:
        for gene in self.genes(evidence, genes):
            for transcript in gene.transcripts:
                bins = evidence.grid.mostly_of_spans(transcript.exons)
                if len(bins):
                    yield ItemTracks(transcript.number, gene.strand, self.within(evidence, bins))

    @property
    def bins(self) -> str:
        return "the exons of a transcript"


class StartedGeneTracks(ItemInput):
    """Tracks of both alleles in the exons of the transcripts that begin in the window (AlphaGenome's exon mask).

    A transcript of the - strand begins at the base behind its last one, as in `extract_tss` of google-deepmind/alphagenome.
    """

    zero_filled = True

    def of_gene(self, evidence: GeneEvidence, gene: Gene) -> AllelePair | None:
        grid, behind = evidence.grid, gene.strand == "-"
        begun = [one.exons for one in gene.transcripts if grid.start <= one.tss(gene.strand) + behind < grid.end]
        bins = grid.of_spans(np.concatenate(begun) if begun else np.zeros((0, 2), dtype=np.int64))
        return self.within(evidence, bins) if len(bins) else None

    @property
    def bins(self) -> str:
        return "the exons of a gene whose TSS is in the window"


class BodyTracks(ItemInput):
    """Tracks of both alleles in the bodies of the genes that the variant lies in, introns included."""

    needs_transcripts = False
    zero_filled = True

    def genes(self, evidence: GeneEvidence, genes: Genes) -> Iterator[Gene]:
        return genes.spanning(evidence.grid.chrom, *evidence.extent)

    def bases(self, place: VariantPlace, genes: Genes | None) -> tuple[int, int] | None:
        spans = [] if genes is None else [gene.span for gene in genes.spanning(place.grid.chrom, *place.extent)]
        return (min(first for first, _ in spans), max(end for _, end in spans)) if spans else place.extent

    def of_gene(self, evidence: GeneEvidence, gene: Gene) -> AllelePair | None:
        bins = evidence.grid.of_spans(np.array([gene.span]))
        return self.within(evidence, bins) if len(bins) else None

    @property
    def bins(self) -> str:
        return "the body of a gene that the variant lies in"


class SpanShapes(BodyTracks):
    """Tracks in the body of each gene of the window, plus the 25th percentile of the reference in all bins (borzoi_sed.py)."""

    zero_filled = False

    def genes(self, evidence: GeneEvidence, genes: Genes) -> Iterator[Gene]:
        return genes.spanning(evidence.grid.chrom, evidence.grid.start, evidence.grid.end)

    def bases(self, place: VariantPlace, genes: Genes | None) -> tuple[int, int] | None:
        return None  # the percentile is that of all bins

    def of_gene(self, evidence: GeneEvidence, gene: Gene) -> AllelePair | None:
        bins = evidence.grid.mostly_of_spans(np.array([gene.span]))
        if not len(bins):
            return None
        pair = self.within(evidence, bins)
        pseudocount = np.percentile(evidence.sides.ref, 25, axis=-1, keepdims=True)
        return AllelePair(pair.ref + pseudocount, pair.alt + pseudocount)

    @property
    def bins(self) -> str:
        return "the body of a gene"


class GeneJunctions(BodyTracks):
    """Read counts of the splice junctions inside each protein-coding gene that the variant lies in, [K, J].

    All genes count in a file that does not say which of them code for proteins.
    """

    output = "junctions"
    on_strand = False  # its tracks are tissues, whose counts are of the strand of the gene
    needs_transcripts = True

    def genes(self, evidence: GeneEvidence, genes: Genes) -> Iterator[Gene]:
        return (gene for gene in super().genes(evidence, genes) if genes.is_coding(gene))

    def of_gene(self, evidence: GeneEvidence, gene: Gene) -> AllelePair | None:
        return evidence.counts(gene)

    @property
    def bins(self) -> str:
        return "the splice junctions of a protein-coding gene that the variant lies in"


# --- polyadenylation sites

_MOST_OUTSIDE = 0.2  # fraction of the sites of a gene that may lie outside the window on one side


@dataclass(frozen=True)
class PolyaCoverage(ItemInput):
    """Base class: sums over the bins near the polyadenylation sites of each gene, [K, S] in the order of transcription.

    A gene has a value if at least 80 % of its sites do not lie left of the window, and 80 % not right of it.
    """

    def genes(self, evidence: GeneEvidence, genes: Genes) -> Iterator[Gene]:
        return genes.spanning(evidence.grid.chrom, evidence.grid.start, evidence.grid.end)

    def of_gene(self, evidence: GeneEvidence, gene: Gene) -> AllelePair | None:
        grid = evidence.grid
        sites = np.array(gene.polya_sites)
        if not len(sites) or max((sites < grid.start).mean(), (sites >= grid.end - 1).mean()) > _MOST_OUTSIDE:
            return None
        spans = list(dict.fromkeys(span for span in self.spans(grid, sites, gene.strand == "-") if span[0] < span[1]))
        if not spans:
            return None
        pairs = [self.within(evidence, slice(a, b)) for a, b in spans]
        return AllelePair(*(np.stack([side.sum(-1) for side in of], axis=-1) for of in zip(*pairs, strict=True)))

    def spans(self, grid: BinGrid, sites: NDArray[np.int64], reverse: bool) -> Iterator[tuple[int, int]]:
        """Yield the bins [first, end) whose sums are compared."""
        raise NotImplementedError(f"{type(self).__name__} defines no spans; an input of polyadenylation sites must define it.")

    @property
    def bins(self) -> str:
        return "the bins near the polyadenylation sites of a gene"


@dataclass(frozen=True)
class SiteCoverage(PolyaCoverage):
    """Sums over `n_bins` bins that end with each site, and with `downstream` over as many that begin with it (Borzoi)."""

    n_bins: int = 4
    downstream: bool = True

    def spans(self, grid: BinGrid, sites: NDArray[np.int64], reverse: bool) -> Iterator[tuple[int, int]]:
        def clipped(first: int, end: int) -> tuple[int, int]:
            return min(max(first, 0), grid.n), min(max(end, 0), grid.n)

        for site in (sites - grid.start).tolist():
            left = int(np.round(max(0, site) / grid.bin_size)) + 1  # end of the bins on the left
            right = int(np.round(max(0, site + 1) / grid.bin_size))  # first of the bins on the right
            sides = [clipped(left - self.n_bins, left), clipped(right, right + self.n_bins)]
            yield sides[reverse]
            if self.downstream:
                yield sides[not reverse]


@dataclass(frozen=True)
class CleavageCoverage(PolyaCoverage):
    """Sums over the bins that `width` bases before each site touch, for genes that the variant lies in (AlphaGenome)."""

    width: int = 400
    zero_filled = True
    measurement = "rna_seq"

    def genes(self, evidence: GeneEvidence, genes: Genes) -> Iterator[Gene]:
        return genes.spanning(evidence.grid.chrom, *evidence.extent)

    def of_gene(self, evidence: GeneEvidence, gene: Gene) -> AllelePair | None:
        pair = super().of_gene(evidence, gene)
        return None if pair is None or pair.ref.shape[-1] < 2 else pair

    def spans(self, grid: BinGrid, sites: NDArray[np.int64], reverse: bool) -> Iterator[tuple[int, int]]:
        length = grid.end - grid.start
        for site in (sites - grid.start).tolist():
            if 0 <= site < length - 1:
                first = site if reverse else site + 1 - self.width
                low, high = max(first, 0), min(first + self.width, length)
                yield low // grid.bin_size, -(-high // grid.bin_size)
