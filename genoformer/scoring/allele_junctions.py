"""JunctionPredictor: variants in genes -> read counts of the splice junctions of both alleles, between the same sites.

Embeddings of the bases of the genes that a variant lies in -> probabilities of splice sites -> the likeliest sites of either
allele and the annotated ones -> counts. Source: `_predict_variant` in dna_model.py of google-deepmind/alphagenome_research.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genoformer.errors import CheckpointError, OptionError
from genoformer.genome.codes import Codes, reverse_complement
from genoformer.genome.genes import Gene
from genoformer.models import cost
from genoformer.models.base import Bins, PredictsPairs, TrackEngine
from genoformer.models.plain_engine import PlainEngine
from genoformer.scoring.allele_tracks import AllelePredictor, AlleleRequest, Grid, WindowEvidence, extent_of
from genoformer.scoring.score_inputs import AllelePair
from genoformer.scoring.windows import Job
from genoformer.writers import Floats

MOST_SITES = 256  # sites of each kind that are scored, from the left end of the window; MAX_SPLICE_SITES of splice_junction.py
OTHER_STRAND = [2, 3, 0, 1]  # kinds of sites on the other strand: donors and acceptors of +, then of -


class Region(NamedTuple):
    """Embeddings [D, R] of a stretch of bases of a window for each strand that was read, in the order of the + strand."""

    first: int  # base of the window
    strands: tuple[Tensor, ...]


class JunctionAlleles(NamedTuple):
    """Both alleles of a variant in one window, from one model; None without a gene."""

    job: Job
    model: Any
    ref: Region | None
    alt: Region | None


class JunctionReader(NamedTuple):
    """Model of splice junctions in eval mode, with the engine of the head whose embedding it reads."""

    model: Any
    engine: TrackEngine


class JunctionPredictor(AllelePredictor):
    """Predictor of splice junctions of both alleles with each model of an ensemble."""

    def __init__(self, request: AlleleRequest) -> None:
        self._set(request)
        if request.windows.indels != "realign":
            problem = f"is {request.windows.indels}, and splice junctions are compared after realignment; give realign."
            raise OptionError("indels", problem)
        self.base_head = cast(PredictsPairs, request.models[0]).base_head(self.head)
        self.bins = request.models[0].bins_of(request.windows.length, 0, self.base_head)
        self.readers = [JunctionReader(one, one.engine(self.base_head)) for one in request.models]  # type: ignore[misc]

    def reference(self) -> JunctionPredictor:
        """Return the reference implementation: each whole sequence separately through the plain modules of the models."""
        other = self.copy()
        other.readers = [JunctionReader(one, PlainEngine(one, self.base_head)) for one in self.models]  # type: ignore[misc]
        return other

    def meta_run(self, like: Any) -> Callable[[], Tensor]:
        """Return a forward pass of a meta model."""
        return cost.track_run(like, self.base_head, self.windows.length, self.windows.length)

    def predict(self, reader: Any, sorted_jobs: Sequence[Job], *, whole: bool = False, moved: int = 0) -> Iterator[Any]:
        """Yield the embeddings of both alleles of each job in the genes that its variant lies in, always."""
        for jobs in self.windows.stretches(sorted_jobs):
            begin, chrom = jobs[0].start, jobs[0].chrom
            codes = self.genome.window(chrom, begin, jobs[-1].start + self.windows.length - begin)
            stretches = [reader.engine.stretch(reverse_complement(codes) if back else codes) for back in self.strands]
            windows: dict[int, list[Any]] = {}
            for job in jobs:
                bins = self._bins_of_genes(job)
                if bins is None:
                    yield JunctionAlleles(job, reader.model, None, None)
                    continue
                if job.start not in windows:
                    first, n = job.start - begin, self.windows.length
                    places = [len(codes) - first - n if back else first for back in self.strands]
                    windows = {job.start: [of.window(at, n) for of, at in zip(stretches, places, strict=True)]}
                regions = [self._region(windows[job.start], edit, bins) for edit in (None, job.alternatives[0])]
                yield JunctionAlleles(job, reader.model, *regions)

    def _bins_of_genes(self, job: Job) -> Bins | None:
        """Return the bases of the window in genes that the variant lies in, and as many behind them as it inserts."""
        assert self.genes is not None
        spans = [gene.span for gene in self.genes.spanning(job.chrom, *extent_of(job))]
        if not spans:
            return None
        inserted = sum(max(0, change.alt_length - change.ref_length) for change in job.changes)
        first = max(0, min(first for first, _ in spans) - job.start)
        end = min(self.windows.length, max(end for _, end in spans) - job.start + inserted)
        return Bins(first, end - first) if first < end else None

    def _region(self, windows: Sequence[Any], edit: Codes | None, bins: Bins) -> Region:
        strands = []
        for window, back in zip(windows, self.strands, strict=True):
            sequence = reverse_complement(edit) if back and edit is not None else edit
            with torch.inference_mode():
                embedding = window.embed([sequence], bins.reversed(self.windows.length) if back else bins)[0]
            strands.append(embedding.flip(-1) if back else embedding)
        return Region(bins.first, tuple(strands))

    def evidence(self, alleles: Any) -> JunctionEvidence:  # type: ignore[override]
        """Return the splice sites of the genes that the variant lies in, and the counts of the junctions between them."""
        job = alleles.job
        grid, extent = Grid(job.chrom, job.start, self.windows.length, 1), extent_of(job)
        if alleles.ref is None or alleles.alt is None:
            return JunctionEvidence(grid, job.centre, extent, np.zeros((4, 0), dtype=np.int64), None)
        assert self.genes is not None
        genes = list(self.genes.spanning(job.chrom, *extent))
        with torch.inference_mode():
            sites = self._sites(alleles, genes, grid)
            counts = AllelePair(*(self._counts(alleles, region, sites) for region in (alleles.ref, alleles.alt)))
        return JunctionEvidence(grid, job.centre, extent, sites.cpu().numpy(), counts)

    def _sites(self, alleles: JunctionAlleles, genes: Sequence[Gene], grid: Grid) -> Tensor:
        """Return the positions [4, K] in the window of the likeliest sites of either allele and of annotated ones."""
        assert alleles.ref is not None
        assert self.genes is not None
        region, length = alleles.ref, alleles.ref.strands[0].shape[-1]
        at = torch.arange(region.first, region.first + length, device=region.strands[0].device)
        inside = torch.zeros_like(at, dtype=torch.bool)
        spans = [gene.span for gene in genes]
        for first, end in spans:
            inside |= (at >= first - grid.start) & (at < end - grid.start)
        probabilities = [self._probabilities(alleles, of, at) for of in (alleles.ref, alleles.alt)]
        likely = torch.maximum(*probabilities)  # [4, R]
        around = self.genes.spanning(grid.chrom, min(first for first, _ in spans), max(end for _, end in spans))
        for kind, place in annotated_sites(list(around)):
            if 0 <= (i := place - grid.start - region.first) < length:
                likely[kind, i] = 1
        sites: Tensor = alleles.model.likely_sites((likely * inside)[None])[0]
        return torch.where(sites >= 0, sites + region.first, -1)

    def _probabilities(self, alleles: JunctionAlleles, region: Region | None, at: Tensor) -> Tensor:
        assert region is not None
        strands = []
        for embedding, back in zip(region.strands, self.strands, strict=True):
            of_strand = alleles.model.site_probabilities(embedding[None], self.head)[0, :4].float()
            strands.append(of_strand[OTHER_STRAND] if back else of_strand)
        mean = torch.stack(strands).mean(0)
        return mean if region is alleles.ref else take_aligned(mean, region.first, alleles.job, at)

    def _counts(self, alleles: JunctionAlleles, region: Region, sites: Tensor) -> Floats:
        """Return the counts [2 T, K, K] of the junctions between sites, mean over strands; tissues of +, then of -."""
        strands = []
        for embedding, back in zip(region.strands, self.strands, strict=True):
            at = sites.clamp_min(0).flatten()
            if region is alleles.ref:
                x = embedding[:, (at - region.first).clamp(0, embedding.shape[-1] - 1)]
            else:
                x = take_aligned(embedding, region.first, alleles.job, at)
            x, places = x.unflatten(-1, sites.shape), sites
            if back:
                x, flipped = x[:, OTHER_STRAND], self.windows.length - 1 - sites[OTHER_STRAND]
                places = torch.where(sites[OTHER_STRAND] >= 0, flipped, -1)
            counts: Tensor = alleles.model.junction_counts(x[None], places[None], self.head)[0]
            strands.append(counts.roll(len(counts) // 2, 0) if back else counts)
        return torch.stack(strands).mean(0).double().cpu().numpy()


class JunctionEvidence(NamedTuple):
    """Splice junctions of both alleles of one variant in one window, from one model."""

    grid: Grid
    centre: int
    extent: tuple[int, int]
    sites: NDArray[np.int64]  # [4, K]: donors and acceptors of the + strand, then of the -; bases of the window, -1: none
    all_counts: AllelePair | None  # [2 T, K, K] of each donor with each acceptor; None: the variant lies in no gene

    def counts(self, gene: Gene) -> AllelePair | None:
        """Return the counts [T, J] of the junctions inside a gene, on its strand; None if there is none."""
        if self.all_counts is None or gene.strand not in ("+", "-"):
            return None
        on_plus, (first, end) = gene.strand == "+", gene.span
        donors, acceptors = (self.sites[:2] if on_plus else self.sites[2:])[:, :MOST_SITES]
        left, right = (donors[:, None], acceptors[None]) if on_plus else (acceptors[None], donors[:, None])
        starts, ends = self.grid.start + left + 1, self.grid.start + right  # of the introns
        inside = (starts < ends) & (starts > first) & (ends < end) & (left >= 0) & (right >= 0)
        if not inside.any():
            return None
        half = len(self.all_counts.ref) // 2
        tissues = slice(None, half) if on_plus else slice(half, None)
        scored = (side[tissues, : len(donors), : len(acceptors)] for side in self.all_counts)
        return AllelePair(*(side[:, inside] for side in scored))

    def parts(self) -> Iterator[tuple[slice, WindowEvidence]]:
        """Yield nothing: junctions are of no track alone."""
        return iter(())

    @property
    def sides(self) -> AllelePair:
        """Refuse: junctions have no bins."""
        raise CheckpointError("splice junctions have no bins; choose a head of tracks.")


def annotated_sites(genes: Sequence[Gene]) -> Iterator[tuple[int, int]]:
    """Yield the kind and the base of each splice site of the transcripts of genes.

    A donor is the last base of an exon, an acceptor the first one of the next exon.
    """
    for gene in genes:
        if gene.strand in ("+", "-"):
            left, right = (0, 1) if gene.strand == "+" else (3, 2)
            for transcript in gene.transcripts:
                for (_, before), (after, _) in pairwise(transcript.exons.tolist()):
                    yield left, before - 1
                    yield right, after


def take_aligned(x: Tensor, first: int, job: Job, at: Tensor) -> Tensor:
    """Return the values [D, n] of an alternative [D, R] at bases of the reference, after the alignment of `align_alternate`.

    The base before an insertion has the largest inserted value, deleted bases have 0, and so have bases beyond R.

    first: base of the window where x begins; at: bases of the window [n].
    """
    places, known = at.clone(), torch.ones_like(at, dtype=torch.bool)
    longest: list[tuple[int, int, int]] = []  # base of the reference, and the bases of the alternative that it stands for
    begin = torch.iinfo(at.dtype).min
    for change in job.changes:
        kept, longer = min(change.ref_length, change.alt_length), change.alt_length - change.ref_length
        anchor, end = change.start + kept - 1, change.start + change.ref_length
        places = torch.where((at >= begin) & (at <= anchor), at + change.offset, places)
        known &= (at <= anchor) | (at >= end)
        if longer > 0:
            longest.append((anchor, anchor + change.offset, anchor + change.offset + longer + 1))
        places = torch.where(at >= end, at + change.offset + longer, places)
        begin = end
    places = places - first
    known &= (places >= 0) & (places < x.shape[-1])
    values = torch.where(known, x[:, places.clamp(0, x.shape[-1] - 1)], 0)
    for base, start, end in longest:
        inserted = x[:, max(0, start - first) : max(0, end - first)]
        if inserted.shape[-1]:
            values = torch.where(at == base, inserted.amax(-1, keepdim=True), values)
    return values
