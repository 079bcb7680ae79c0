"""TrackScorer: variants -> windows on a grid -> tracks of both alleles -> scores of every track.

The position of a window depends only on its variant, not on the other variants or their order.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import CheckpointError, ConfigError
from genoformer.formats.squashed_scale import ALL_STEPS, Scale, squashed_scale
from genoformer.formats.track_strands import signs_of
from genoformer.formats.vcf import Record
from genoformer.genome.haplotypes import haplotype
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Status, Variant
from genoformer.inference.windows import require_length
from genoformer.models import cost
from genoformer.models.base import CONTACTS, JUNCTIONS, TRACKS
from genoformer.models.published import require_table
from genoformer.models.track_model import TrackModel
from genoformer.scoring.alignment import Tracks
from genoformer.scoring.allele_contacts import ContactPredictor
from genoformer.scoring.allele_junctions import JunctionPredictor
from genoformer.scoring.allele_tracks import AllelePredictor, AlleleRequest, TrackSelection
from genoformer.scoring.evidence_scores import NOT_FINITE, EvidenceScores, of_same_items
from genoformer.scoring.gene_inputs import ItemInput
from genoformer.scoring.score_types import Score, ScoreBatch, published_steps
from genoformer.scoring.scored_heads import check_ensemble, check_scores, scored_head, scored_heads
from genoformer.scoring.settings import AlleleComparison, Scoring, TrackOptions
from genoformer.scoring.track_scores import Noise, Outputs, TrackColumns, TrackScores, over_shifts, weighted_sum
from genoformer.scoring.windows import STRETCH, Job, Windows
from genoformer.writers import Column, Floats

PREDICTORS: dict[str, Callable[[AlleleRequest], AllelePredictor]] = {
    TRACKS: AllelePredictor,
    CONTACTS: ContactPredictor,
    JUNCTIONS: JunctionPredictor,
}


class Compared(NamedTuple):
    """Tracks behind the scores of one variant in one window: mean over strands and models, with aligned bins."""

    shift: int
    job: Job
    first: int  # position of the first bin on the contig
    ref: Tracks  # [K, N]
    alt: Tracks  # [K, N], in the bins of the reference


class TrackScorer:
    """Scorer with a track model, or the mean of the scores of several (an ensemble).

    Raises: ConfigError for scores, tracks or settings that the model does not have.
    """

    has_noise_floor = True

    def __init__(self, genome: Genome, scoring: Scoring, *, batch_size: int | None = None) -> None:
        options = scoring.tracks or TrackOptions()
        self.models = cast("tuple[TrackModel, ...]", scoring.models)
        self.genome, self.scores = genome, list(scoring.scores)
        self.settings, self.both_strands, self.genes = options.settings, scoring.both_strands, options.genes
        model = self.models[0]
        length = model.config.context_length
        self.head = scored_head(model, options.head)
        check_ensemble(self.models, self.head)
        shape = scored_heads(model)[self.head]
        self.window, self.bin_size, self.kind = scoring.context or length, shape.bin_size, shape.kind
        require_length(self.window, length)
        shapes = [scored_heads(model)[self.head] for model in self.models]
        self.targets = options.targets or next((one.table for one in shapes if one.table is not None), None)
        check_scores(model, self.head, self.scores, self.genes)
        for one in shapes:
            require_table(one, self.targets, both_strands=self.both_strands, scale=options.scale)
        AlleleComparison.parse(*self.settings)
        n_tracks = shape.n_tracks
        self.tracks = np.arange(n_tracks) if options.tracks is None else np.asarray(options.tracks, dtype=np.int64)
        self.n_matrix = len(self.tracks) if options.matrix else 0
        self.layout = TrackColumns(
            self.scores,
            Outputs.of_tracks(self.head, self.tracks, self.targets),
            self.genes,
            chosen=options.tracks is not None,
            n_shifts=len(self.settings.shifts),
        )
        self.windows = Windows(genome, self.window, self.bin_size, self.settings.anchor, self.settings.indels)
        self.scale = options.scale if any(one.squashed_scale for one in shapes) else None
        self.steps = published_steps(self.scores) if self.scale == "published" else [ALL_STEPS]
        squashed, all_undone = (  # each model by the rule of its own training
            [
                squashed_scale(
                    one.squashed_scale,
                    options.targets or one.table or self.targets,
                    self.tracks.tolist(),
                    options.scale,
                    steps,
                )
                for one in shapes
            ]
            for steps in (self.steps, [ALL_STEPS])
        )
        self.strands = self.targets.strands[self.tracks] if self.targets else np.full(len(self.tracks), ".")
        self.evidence_scores = EvidenceScores(self.scores, self.strands, self.genes, self.steps)
        strand_pairs = self.targets.strand_pairs if self.targets else np.arange(n_tracks)
        self.predictor = PREDICTORS[shape.kind](
            AlleleRequest(
                genome,
                self.models,
                self.windows,
                self.head,
                TrackSelection.with_pairs(self.tracks, strand_pairs, squashed, len(self.steps)),
                self.both_strands,
                batch_size,
                [score.input for score in self.scores],
                self.genes,
            )
        )
        self.shown = TrackSelection.with_pairs(self.tracks, strand_pairs, all_undone)
        self.bins = self.predictor.bins
        furthest = self.bins.n * self.bin_size // 4
        if far := [shift for shift in self.settings.shifts if abs(shift) > furthest]:
            raise ConfigError(f"a shift of {far[0]:,} bases: give {furthest:,} at most, a quarter of what is predicted.")

    @property
    def longest_allele(self) -> int:
        """Length in bases of the longest REF or ALT: a quarter of the window, so that both alleles share most of it."""
        return self.window // 4

    def covers(self, score: Score, alleles: str) -> bool:
        """True: the scores are defined for alleles of every kind."""
        return score.alleles in (alleles, "any")

    def cost(self, record: Record) -> int:
        """Return the cost of a record: 1 per ALT."""
        return len(record.alts)

    @property
    def embedding_kind(self) -> str:
        """Equal for heads of tracks with the same embedding of the same bins."""
        return self.models[0].embedding_kind(self.head) if self.kind == TRACKS else self.head

    @cached_property
    def flops_per_variant(self) -> float:
        """Number of arithmetic operations for an ALT whose window is shared with some others."""
        n = 0
        for model in self.models:
            like = cost.meta_model(type(model), model.config).eval()
            n += 2 * cost.trace(like, self.predictor.meta_run(like)).multiply_adds
        return float(n * (1 + self.both_strands) * len(self.settings.shifts))

    @property
    def sharing_distance(self) -> int:
        """Bases from the first to the last variant of a stretch."""
        return int((STRETCH - 1) * self.window) if self.settings.anchor == "grid" else 0

    @property
    def shown_scale(self) -> Scale | None:
        """Scale of the tracks in figures, which is that of the scores unless each score has its own."""
        return "original" if self.scale == "published" else self.scale

    @property
    def options(self) -> dict[str, str]:
        options = {
            "context": str(self.window),
            "strands": "both" if self.both_strands else "forward",
            "head": self.head,
            "shifts": ",".join(map(str, self.settings.shifts)),
            "indels": self.settings.indels,
            "anchor": self.settings.anchor,
        }
        if self.scale is not None:
            options["scale"] = self.scale
        if self.targets is not None and self.targets.sha256:
            options["targets"] = self.targets.sha256
        if self.layout.chosen:
            options["tracks"] = ",".join(map(str, self.tracks.tolist()))
        if self.genes is not None:
            options["genes"] = self.genes.source
        return options | {"matrix": "yes"} if self.n_matrix else options

    @property
    def inputs(self) -> dict[str, str]:
        """Hashes of the inputs other than the model and the genome."""
        hashes = {"GTF": self.genes.sha256} if self.genes is not None else {}
        table = [(track.identifier, track.strand_pair) for track in self.targets or ()]
        if self.targets is not None and (strands := "".join(self.targets.strands)) != signs_of(self.targets):
            hashes |= {"strands of tracks": hashlib.sha256(strands.encode()).hexdigest()}
        if self.scale in ("original", "published"):
            scales = [(track.scale, track.clip_soft, track.sum_stat) for track in self.targets or ()]
            hashes |= {"scales of tracks": hashlib.sha256(repr(scales).encode()).hexdigest()}
        return hashes | {"table of tracks": hashlib.sha256(repr(table).encode()).hexdigest()}

    @property
    def strand_notes(self) -> list[str]:
        """Notes on tracks whose strands are not known, if scores of genes use them."""
        of_strands = [i for i in self.layout.of_genes if cast(ItemInput, self.scores[i].input).on_strand]
        if not of_strands or self.kind != TRACKS:
            return []
        if self.targets is None:
            problem = f"no table has the strands of the tracks of {self.head}, so scores of genes also use tracks of the other"
            return [f"strands: {problem} strand; {self.models[0].table_remedy(self.head)}."]
        n = int(self.targets.unknown_strands[self.tracks].sum() + 1) // 2
        pairs = "1 strand pair has" if n == 1 else f"{n:,} strand pairs have"
        what = f"{pairs} no known strand, so scores of genes use both tracks; a column strand in the table tells it"
        return [f"strands: {what}."] if n else []

    @property
    def _not_of_genes(self) -> list[int]:
        return [i for i in range(len(self.scores)) if i not in self.layout.of_genes]

    @property
    def columns(self) -> list[Column]:
        return self.layout.columns

    @property
    def matrix_layout(self) -> TrackColumns:
        return self.layout

    def score(self, variants: Sequence[Variant]) -> ScoreBatch:
        """Score variants; CheckpointError if the model predicts values that are not finite."""
        scores = self.score_each(variants)
        values, _ = self.layout.strongest(scores)
        per_track, others = ([i for i in self._not_of_genes if self.scores[i].of_tracks is of] for of in (True, False))
        if not (np.isfinite(values[:, per_track]).all() and np.isfinite(values[:, others, 0]).all()):
            raise CheckpointError(NOT_FINITE)
        matrix = self.layout.matrix(scores) if self.n_matrix else None
        statuses = [Status.NO_SCORE if np.isnan(of).all() else Status.OK for of in values]
        return ScoreBatch(statuses, self.layout.table(scores), matrix)

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
        """Return the tracks behind the scores of a variant for each shift, averaged over the models of an ensemble.

        They are on the `shown_scale`.
        """
        results, predictor = [], self.predictor.with_selection(self.shown)
        for shift in self.settings.shifts:
            (job,) = jobs = self.windows.jobs([variant], shift)
            evidence = [
                predictor.evidence(alleles)
                for reader in predictor.readers
                for alleles in predictor.predict(reader, jobs, whole=True)
            ]
            ref, alt = (np.mean(sides, axis=0) for sides in zip(*(of.sides for of in evidence), strict=True))
            results.append(Compared(shift, job, evidence[0].grid.start, ref, alt))
        return results

    def _averaged(self, jobs_at: Callable[[int], Sequence[Job]]) -> list[TrackScores]:
        """Return the scores of the jobs, averaged over shifts and models, in the order of their rows.

        jobs_at: returns the jobs at a shift.
        """
        runs = []  # one per shift and model
        for shift in self.settings.shifts:
            jobs = jobs_at(shift)
            for reader in self.predictor.readers:
                scores = {
                    alleles.job.row: self.evidence_scores.of(self.predictor.evidence(alleles))
                    for alleles in self.predictor.predict(reader, jobs)
                }
                runs.append([scores[row] for row in range(len(jobs))])
        return [over_shifts(of, len(self.settings.shifts)) for of in zip(*runs, strict=True)]

    def noise(self, variants: Sequence[Variant]) -> list[Noise]:
        """Return the change of the scores of substitutions and of their references if the window moves by one base.

        The changes are averaged over strands, shifts and models, like scores.
        """
        runs = []  # one per shift and model
        for shift in self.settings.shifts:
            jobs, moved_jobs = (self.windows.jobs(variants, at) for at in (shift, shift + 1))
            for reader in self.predictor.readers:
                rows = {}
                sides = ((jobs, 1), (moved_jobs, -1))
                pairs = zip(*(self.predictor.predict(reader, of, moved=other) for of, other in sides), strict=True)
                for alleles, moved in pairs:
                    references = alleles._replace(job=alleles.job._replace(changes=()), alt=moved.ref)
                    before, after = (self.evidence_scores.of(self.predictor.evidence(of)) for of in (alleles, moved))
                    of_nothing = self.evidence_scores.of(self.predictor.evidence(references))
                    rows[alleles.job.row] = Noise(of_nothing, weighted_sum(of_same_items(after, before), [1, -1]))
                runs.append([rows[row] for row in range(len(variants))])
        return [Noise(*(weighted_sum(scores) for scores in zip(*of, strict=True))) for of in zip(*runs, strict=True)]

    def haplotypes(
        self, chrom: str, start: int, centre: int, haplotypes: Sequence[Sequence[Variant]], *, anchor: int | None = None
    ) -> list[TrackScores]:
        """Return the scores of haplotypes against the reference, in the window that begins at `start`.

        haplotypes: the variants of each, from `genome.haplotypes.drop_overlapping`; bins are realigned over all changes.
        centre: the base that masks are centred on. anchor: the base that keeps its position; None: `centre`.
        """
        fixed = centre if anchor is None else anchor

        def jobs_at(shift: int) -> list[Job]:
            first = start + shift
            made = [haplotype(self.genome, variants, chrom, first, self.window, fixed) for variants in haplotypes]
            return [Job(row, chrom, first, centre, one.changes, (one.codes,)) for row, one in enumerate(made)]

        return self._averaged(jobs_at)

    def reference_scorer(self) -> TrackScorer:
        """Return the reference implementation: each whole sequence separately through the plain modules of the models."""
        other = copy.copy(self)
        other.predictor = self.predictor.reference()
        return other

    def window_start(self, variant: Variant) -> int:
        """Return the first base of the window of a variant; the variant has no shared bases."""
        return self.windows.start_of(variant)
