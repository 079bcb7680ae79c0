"""TrackScorer: variants -> windows on a lattice -> tracks of both alleles -> scores of every track.

The position of a window depends only on its variant, not on the other variants or their order. Nearby windows form one
stretch, whose stem and tower are computed once. Variants of one window share its reference prediction.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import CheckpointError, ConfigError
from genoformer.formats.track_table import TrackTable
from genoformer.formats.vcf import Record
from genoformer.genome.codes import Codes
from genoformer.genome.genes import Gene, Genes
from genoformer.genome.haplotypes import haplotype
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Status, Variant
from genoformer.inference.tracks import TrackPrediction, TrackPredictor, WindowRequest, plain_tracks
from genoformer.inference.windows import require_length
from genoformer.models import cost
from genoformer.models.enformer.model import Enformer
from genoformer.scoring.alignment import INDELS, AlignedChange, Indels, Tracks, align_alternate, stitch
from genoformer.scoring.scores import MASKS, Score, ScoreBatch
from genoformer.scoring.track_scores import TrackColumns, TrackScores, over_shifts, weighted_sum
from genoformer.scoring.windows import STRETCH, Anchor, Job, Windows
from genoformer.writers import Column, Floats

_MASK_OF_EMBEDDING = 501


class AlleleComparison(NamedTuple):
    """Settings for the comparison of the tracks of two alleles; the defaults are those of `genoformer score`."""

    both_strands: bool = True
    shifts: tuple[int, ...] = (0,)  # bases by which windows are shifted; scores are averaged over shifts
    indels: Indels = "realign"
    anchor: Anchor = "grid"  # or "variant": each window is centred on its variant, and no work is shared
    batch_size: int | None = None


class PredictsAlleles(Protocol):
    """Predictor of the tracks of windows in a stretch and of their alternatives.

    Either `TrackPredictor.predict_edits` or the reference implementation.
    """

    def __call__(
        self,
        codes: Codes,
        windows: Sequence[WindowRequest],
        *,
        tracks: NDArray[np.int64],
        batch_size: int = 1,
        backward: bool = False,
    ) -> Iterator[TrackPrediction]: ...


class Noise(NamedTuple):
    """Scores at one position that no variant explains."""

    of_nothing: TrackScores  # reference against itself moved by one base, as an indel moves the sequence too
    of_window: TrackScores  # change of the scores of a substitution if its window moves by one base


class Compared(NamedTuple):
    """Tracks behind the scores of one variant in one window: mean over strands and models, with aligned bins."""

    shift: int
    job: Job
    first: int  # position of the first bin on the contig
    ref: Tracks  # [K, N]
    alt: Tracks  # [K, N], in the bins of the reference


class TrackScorer:
    """Scorer with a long-range model, or the mean of the scores of several (an ensemble).

    Raises: ConfigError for scores, tracks or settings that the model does not have.
    """

    def __init__(
        self,
        models: Enformer | Sequence[Enformer],
        genome: Genome,
        scores: Sequence[Score],
        *,
        head: str | None = None,
        targets: TrackTable | None = None,
        tracks: Sequence[int] | None = None,
        genes: Genes | None = None,
        length: int | None = None,
        settings: AlleleComparison | None = None,
        matrix: bool = False,
    ) -> None:
        self.models = (models,) if isinstance(models, Enformer) else tuple(models)
        self.genome, self.scores, self.genes = genome, list(scores), genes
        self.settings = settings or AlleleComparison()
        model = self.models[0]
        self.head = model.head_named(head)
        _check_ensemble(self.models, self.head)
        self.config, self.length = model.config, length or model.config.context_length
        require_length(self.length, model.config.context_length)
        self.bin_size = model.config.bin_size
        self.windows = Windows(genome, self.length, self.bin_size, self.settings.anchor, self.settings.indels)
        n_bins = model.config.target_bins if self.length == model.config.context_length else 0
        self.n_bins = n_bins
        readers = [TrackPredictor(each, self.head, n_bins) for each in self.models]
        self.device = readers[0].device
        self.readings: list[PredictsAlleles] = [reader.predict_edits for reader in readers]
        self.bins = model.bins_of(self.length, n_bins)
        self.targets = targets or model.targets.get(self.head)
        n_tracks = model.config.heads[self.head]
        self.tracks = np.arange(n_tracks) if tracks is None else np.asarray(tracks, dtype=np.int64)
        self.matrix = matrix
        self.layout = TrackColumns(
            self.scores,
            self.head,
            self.tracks,
            self.targets,
            genes,
            chosen=tracks is not None,
            n_shifts=len(self.settings.shifts),
        )
        wanted = {score.evidence for score in self.scores}
        if wanted - {"tracks", "gene", "embedding", *MASKS}:
            known = ("tracks", "gene", "embedding", *MASKS)
            bad = [score.name for score in self.scores if score.evidence not in known]
            need = "needs" if len(bad) == 1 else "need"
            said = f"{', '.join(bad)} {need} a language model, and this one predicts tracks"
            raise ConfigError(f"{said}; choose others (--explain).")
        if "gene" in wanted and genes is None:
            raise ConfigError("LOGSED sums over the exons of genes; give them with --gtf.")
        if self.settings.both_strands and self.targets is None:
            raise ConfigError(
                "the model does not say which tracks are strand pairs; give their table with --targets, or --strand forward."
            )
        if self.settings.indels not in INDELS or self.settings.anchor not in ("grid", "variant"):
            raise ConfigError(f"{self.settings}: indels are one of {', '.join(INDELS)}, the anchor grid or variant.")
        furthest = self.bins.n * self.bin_size // 4
        if far := [shift for shift in self.settings.shifts if abs(shift) > furthest]:
            raise ConfigError(f"a shift of {far[0]:,} bases: give {furthest:,} at most, a quarter of what is predicted.")
        self.embedding = "embedding" in wanted
        pairs = self.targets.strand_pairs if self.targets else np.arange(n_tracks)
        self.track_index = np.unique(np.concatenate([self.tracks, pairs[self.tracks]]))  # tracks that the model has to predict
        place = {number: i for i, number in enumerate(self.track_index.tolist())}
        self.forward = np.array([place[i] for i in self.tracks.tolist()])
        self.backward = np.array([place[i] for i in pairs[self.tracks].tolist()])

    @property
    def longest_allele(self) -> int:
        """Length in bases of the longest REF or ALT: a quarter of the window, so that both alleles share most of it."""
        return self.length // 4

    def cost(self, record: Record) -> int:
        """Return the cost of a record: 1 per ALT."""
        return len(record.alts)

    @cached_property
    def flops_per_variant(self) -> float:
        """Number of arithmetic operations for an ALT whose window is shared with some others."""
        n = 0
        for model in self.models:
            like = cost.meta_model(type(model), model.config).eval()
            run = cost.track_run(like, self.head, self.length, self.bins.n, n_tracks=len(self.track_index))
            n += 2 * cost.trace(like, run).multiply_adds
        return float(n * (1 + self.settings.both_strands) * len(self.settings.shifts))

    @property
    def sharing_distance(self) -> int:
        """Bases from the first to the last variant of a stretch."""
        return int((STRETCH - 1) * self.length) if self.settings.anchor == "grid" else 0

    @property
    def options(self) -> dict[str, str]:
        how = self.settings
        found = {
            "context": str(self.length),
            "strands": "both" if how.both_strands else "forward",
            "head": self.head,
            "shifts": ",".join(map(str, how.shifts)),
            "indels": how.indels,
            "anchor": how.anchor,
        }
        if self.layout.chosen:
            found["tracks"] = ",".join(map(str, self.tracks.tolist()))
        if self.genes is not None:
            found["genes"] = self.genes.source
        return found | {"matrix": "yes"} if self.matrix else found

    @property
    def inputs(self) -> dict[str, str]:
        """Hashes of the inputs other than the model and the genome."""
        found = {"GTF": self.genes.sha256} if self.genes is not None else {}
        table = [(track.identifier, track.strand_pair) for track in self.targets or ()]
        return found | {"table of tracks": hashlib.sha256(repr(table).encode()).hexdigest()}

    @property
    def columns(self) -> list[Column]:
        return self.layout.columns

    @property
    def n_matrix(self) -> int:
        return len(self.tracks) if self.matrix else 0

    def __call__(self, variants: Sequence[Variant]) -> ScoreBatch:
        """Score variants; CheckpointError if the model predicts values that are not finite."""
        found = self.score_each(variants)
        values, _ = self.layout.strongest(found)
        per_track = [i for i, score in enumerate(self.scores) if score.of_tracks]
        if not (np.isfinite(values[:, per_track]).all() and np.isfinite(values[:, :, 0]).all()):
            raise CheckpointError("the model predicts values that are no numbers; are its weights damaged?")
        matrix = self.layout.matrix(found) if self.matrix else None
        return ScoreBatch([Status.OK] * len(variants), self.layout.table(found), matrix)

    def values(self, variants: Sequence[Variant]) -> tuple[Floats, NDArray[np.int64]]:
        """Return values [n, scores, K], float32, and the gene [n, scores] of each score, -1 for none.

        Scores without tracks have a value only in the first of K; the others are NaN.
        """
        return self.layout.strongest(self.score_each(variants))

    def score_each(self, variants: Sequence[Variant]) -> list[TrackScores]:
        """Return the scores of each variant.

        Strands are averaged before scoring, shifts and ensemble members after.
        """
        return self._averaged(lambda shift: self.windows.jobs(variants, shift))

    def compared(self, variant: Variant) -> list[Compared]:
        """Return the tracks behind the scores of a variant for each shift, averaged over the models of an ensemble."""
        found = []
        for shift in self.settings.shifts:
            jobs = self.windows.jobs([variant], shift)
            each = [self._sides(*of) for reading in self.readings for of in self._predict_alleles(reading, jobs)]
            ref, alt = (np.mean(of, axis=0) for of in zip(*each, strict=True))
            found.append(Compared(shift, jobs[0], self._first(jobs[0]), ref, alt))
        return found

    def _averaged(self, jobs_at: Callable[[int], Sequence[Job]]) -> list[TrackScores]:
        """Return the scores of the jobs, averaged over shifts and models, in the order of their rows.

        jobs_at: returns the jobs at a shift.
        """
        each = []
        for shift in self.settings.shifts:
            jobs = jobs_at(shift)
            for reading in self.readings:
                found = {job.row: self._values(job, ref, alt) for job, ref, alt in self._predict_alleles(reading, jobs)}
                each.append([found[row] for row in range(len(jobs))])
        return [over_shifts(of, len(self.settings.shifts)) for of in zip(*each, strict=True)]

    def noise(self, variants: Sequence[Variant]) -> list[Noise]:
        """Return the change of the scores of substitutions and of their references if the window moves by one base.

        The changes are averaged over strands, shifts and models, like scores.
        """
        each = []
        for shift in self.settings.shifts:
            sides = [self.windows.jobs(variants, at) for at in (shift, shift + 1)]
            for reading in self.readings:
                found = {}
                here, there = (self._predict_alleles(reading, side) for side in sides)
                for (job, ref, alt), (moved_job, moved_ref, moved_alt) in zip(here, there, strict=True):
                    of_nothing = self._values(job._replace(changes=()), ref, moved_ref)
                    before, after = self._values(job, ref, alt), self._values(moved_job, moved_ref, moved_alt)
                    found[job.row] = Noise(of_nothing, weighted_sum([after, before], [1, -1]))
                each.append([found[row] for row in range(len(variants))])
        return [Noise(*(weighted_sum(tolds) for tolds in zip(*of, strict=True))) for of in zip(*each, strict=True)]

    def haplotypes(
        self, chrom: str, start: int, centre: int, asked: Sequence[Sequence[Variant]], *, anchor: int | None = None
    ) -> list[TrackScores]:
        """Return the scores of haplotypes against the reference, in the window that begins at `start`.

        asked: the variants of each haplotype, from `genome.haplotypes.drop_overlapping`; bins are realigned over all changes.
        centre: the base that masks are centred on. anchor: the base that keeps its position; None: `centre`.
        """
        stays = centre if anchor is None else anchor

        def jobs_at(shift: int) -> list[Job]:
            first = start + shift
            made = [haplotype(self.genome, variants, chrom, first, self.length, stays) for variants in asked]
            return [Job(row, chrom, first, centre, one.changes, (one.codes,)) for row, one in enumerate(made)]

        return self._averaged(jobs_at)

    def reference_scorer(self) -> TrackScorer:
        """Return the reference implementation: each whole sequence separately through the plain modules of the models."""
        other = copy.copy(self)
        other.readings = [self._plain(model) for model in self.models]
        return other

    def _plain(self, model: Enformer) -> PredictsAlleles:
        def read(
            codes: Codes,
            windows: Sequence[WindowRequest],
            *,
            tracks: NDArray[np.int64],
            batch_size: int = 1,
            backward: bool = False,
        ) -> Iterator[TrackPrediction]:
            for asked in windows:
                sequences = np.stack([codes[asked.start : asked.start + asked.length], *asked.edits])
                yield plain_tracks(model, sequences, self.head, self.n_bins, tracks, backward=backward)

        return read

    # Windows

    def window_start(self, variant: Variant) -> int:
        """Return the first base of the window of a variant; the variant has no shared bases."""
        return self.windows.start_of(variant)

    # Tracks

    def _predict_alleles(
        self, reading: PredictsAlleles, placed: Sequence[Job]
    ) -> Iterator[tuple[Job, TrackPrediction, TrackPrediction]]:
        """Yield each job with the tracks of its reference [1, K, N] and of its alternatives [0 to 2, K, N]."""
        batch = self.settings.batch_size or (1 if self.device.type == "cpu" else max(1, (1 << 20) // self.length))
        for jobs in self.windows.stretches(placed):
            begin, chrom = jobs[0].start, jobs[0].chrom
            codes = self.genome.window(chrom, begin, jobs[-1].start + self.length - begin)
            groups: dict[int, list[Job]] = {}
            for job in jobs:
                groups.setdefault(job.start, []).append(job)
            asked = [
                WindowRequest(
                    start - begin, self.length, [codes for job in group for codes in job.alternatives], self.embedding
                )
                for start, group in groups.items()
            ]
            sides = [
                reading(codes, asked, tracks=self.track_index, batch_size=batch, backward=backward)
                for backward in ((False, True) if self.settings.both_strands else (False,))
            ]
            for group, seen in zip(groups.values(), zip(*sides, strict=True), strict=True):
                whole = self._mean(seen)
                at = 1
                for job in group:
                    n = len(job.alternatives)
                    yield (
                        job,
                        TrackPrediction(whole.tracks[:1], whole.embedding[:1]),
                        TrackPrediction(*(x[at : at + n] for x in whole)),
                    )
                    at += n

    def _mean(self, strands: Sequence[TrackPrediction]) -> TrackPrediction:
        """Return the requested tracks, averaged over the strands; on the reverse strand each is read from its strand pair."""
        forward = strands[0].tracks[:, self.forward]
        if len(strands) == 1:
            return TrackPrediction(forward, strands[0].embedding)
        half = np.float32(0.5)
        embedding = half * (strands[0].embedding + strands[1].embedding)
        return TrackPrediction(half * (forward + strands[1].tracks[:, self.backward]), embedding)

    # Scores

    def _values(self, job: Job, ref: TrackPrediction, alt: TrackPrediction) -> TrackScores:
        first = self._first(job)
        before, aligned = self._sides(job, ref, alt)
        values: Floats = np.full((len(self.scores), len(self.tracks)), np.nan)
        for i, score in enumerate(self.scores):
            if score.evidence == "embedding":
                inside = self._mask(job, first, _MASK_OF_EMBEDDING)
                sides = (x[:, inside].astype(np.float64).mean(-1) for x in (ref.embedding[0], alt.embedding[0]))
                values[i, 0] = score.function(*sides)
            elif score.evidence != "gene":
                inside = self._mask(job, first, MASKS[score.evidence]) if score.evidence in MASKS else slice(None)
                values[i] = score.function(before[:, inside], aligned[:, inside])
        return TrackScores(values, self._of_genes(job.chrom, first, before, aligned))

    def _first(self, job: Job) -> int:
        """Return the first base of the first bin on the contig."""
        return job.start + self.bins.first * self.bin_size

    def _sides(self, job: Job, ref: TrackPrediction, alt: TrackPrediction) -> tuple[Tracks, Tracks]:
        """Return the tracks of both alleles [K, N], both in the bins of the reference."""
        to_bins = self.bins.first * self.bin_size
        changes = [AlignedChange(c.start - to_bins, c.ref_length, c.alt_length, c.offset) for c in job.changes]
        before = ref.tracks[0].astype(np.float64)
        return before, self._aligned(before, [tracks.astype(np.float64) for tracks in alt.tracks], changes)

    def _aligned(self, ref: Tracks, alt: Sequence[Tracks], changes: Sequence[AlignedChange]) -> Tracks:
        if not changes or self.settings.indels not in ("realign", "stitch"):
            return alt[0]
        if len(alt) == 2:
            return stitch(alt[0], alt[1], changes[0], self.bin_size)
        return align_alternate(ref, alt[0], changes, self.bin_size)

    def _mask(self, job: Job, first: int, width: int) -> slice:
        """Return the bins that touch `width` bases around the variant; the nearest bin if none does."""
        low, high = job.centre - width // 2 - first, job.centre + width // 2 + 1 - first
        start = min(max(low // self.bin_size, 0), self.bins.n - 1)
        return slice(start, min(max(-(-high // self.bin_size), start + 1), self.bins.n))

    def _of_genes(self, chrom: str, first: int, ref: Tracks, alt: Tracks) -> dict[int, Floats]:
        """Return the gene scores of each gene in the window."""
        functions = [score.function for score in self.scores if score.evidence == "gene"]
        if self.genes is None or not functions:
            return {}
        found = {}
        for gene in self.genes.over(chrom, first, first + self.bins.n * self.bin_size):
            bins = self._bins_of(gene, first)
            found[gene.number] = np.stack([function(ref[:, bins], alt[:, bins]) for function in functions])
        return found

    def _bins_of(self, gene: Gene, first: int) -> NDArray[np.int64]:
        """Return the bins that the exons of a gene touch, without duplicates."""
        spans = (gene.exons - first).clip(0, self.bins.n * self.bin_size)
        spans = spans[spans[:, 0] < spans[:, 1]]
        return np.unique(np.concatenate([np.arange(a // self.bin_size, -(-b // self.bin_size)) for a, b in spans.tolist()]))


def _check_ensemble(models: Sequence[Enformer], head: str) -> None:
    """Raise ConfigError unless all models of an ensemble predict the same tracks of the same windows."""
    first = models[0]
    for other in models[1:]:
        shapes = [
            {
                "bases of a window": model.config.context_length,
                "bases of a bin": model.config.bin_size,
                "bins": model.config.target_bins,
                f"tracks of head {head}": model.config.heads.get(head, 0),
            }
            for model in (first, other)
        ]
        for what, n in shapes[0].items():
            if shapes[1][what] != n:
                raise ConfigError(f"the models of an ensemble differ: {what}, {n:,} and {shapes[1][what]:,}; score them apart.")
        names = [[track.identifier for track in model.targets.get(head) or ()] for model in (first, other)]
        if all(names) and names[0] != names[1]:
            raise ConfigError(f"the models of an ensemble differ in the tracks of head {head}; score them apart.")
