"""ClassScorer: variants -> windows around them -> logits of both alleles -> scores of every class of a fine-tuned model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import numpy as np

from genoformer.errors import CheckpointError, ConfigError
from genoformer.formats.vcf import Record
from genoformer.genome.contigs import join_names
from genoformer.genome.haplotypes import haplotype
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Status, Variant
from genoformer.inference.class_logits import class_logits, plain_class_logits
from genoformer.inference.runtime import typical_tokens
from genoformer.inference.windows import require_length
from genoformer.models import cost
from genoformer.scoring.class_evidence import ClassPredictor, JobEvidence, PlainPredictor
from genoformer.scoring.score_types import Score, ScoreBatch
from genoformer.scoring.settings import ClassOptions, Scoring
from genoformer.scoring.track_scores import Noise, Outputs, TrackColumns, TrackScores
from genoformer.scoring.variant_scorer import VariantScorer
from genoformer.scoring.windows import Job, Windows
from genoformer.tasks import Task
from genoformer.writers import Column, Floats

TILES = (-0.4, -0.2, 0.0, 0.2, 0.4)  # shifts of tiled windows in window lengths: the variant lies at 90 % to 10 % of each


class ClassScorer:
    """Scorer with a fine-tuned model (classes, labels or values), or the mean of the scores of several (an ensemble).

    The middle of each allele lies in the middle of its window, or `shift` bases left of it; alleles of different length are
    aligned symmetrically. Scores are averaged over strands and models, then combined over shifts. A window in which a model
    reads the same tokens of both alleles, because N hide them, is left out; without another window the score is NaN.

    Raises: ConfigError for scores, classes or settings that the model does not have.
    """

    has_noise_floor = False  # each variant is in the middle of its window
    sharing_distance = 0

    def __init__(self, genome: Genome, scoring: Scoring, *, batch_size: int | None = None) -> None:
        options = scoring.classes or ClassOptions()
        self.genome, self.scores, self.both_strands = genome, list(scoring.scores), scoring.both_strands
        self.models = cast("tuple[Any, ...]", scoring.models)
        self.task: Task = self.models[0].task
        _check_ensemble(self.models, scoring.context)
        self._check_scores()
        trained = self.models[0].config.context_length
        self.window = self.longest_allele = scoring.context or trained
        self._check_window(trained)
        self.tile = options.tile
        self.shifts = options.shifts
        if options.tile is not None and options.shifts == (0,):
            self.shifts = tuple(round(tile * self.window) for tile in TILES)
        furthest = (self.window - 1) // 2
        if far := [shift for shift in self.shifts if abs(shift) > furthest]:
            raise ConfigError(f"a shift of {far[0]:,} bases: give {furthest:,} at most, so that the window holds the variant.")
        n = self.task.n_outputs
        self.chosen = options.classes is not None
        default = [1] if self.task.binary else range(n)
        self.classes = np.array(default if options.classes is None else options.classes, dtype=np.int64)
        if unknown := [i for i in self.classes.tolist() if not 0 <= i < n]:
            raise ConfigError(f"class {unknown[0]}: the model has {join_names(self.task.names)}, numbered from 0.")
        n_errors = len(self.shifts) if options.tile != "max" else 1
        lay_out = partial(TrackColumns, self.scores, n_shifts=n_errors)
        self.layout = lay_out(_outputs(self.task.names, self.classes.tolist()), chosen=self.chosen)
        self.matrix_layout = lay_out(_outputs(self.task.names, range(n)), chosen=True)
        self.n_matrix = n if options.matrix else 0
        self.windows = Windows(genome, self.window, 1, "variant", "symmetric")
        self.predictors = [
            ClassPredictor(
                model,
                genome,
                self.window,
                both_strands=self.both_strands,
                logits_of=partial(class_logits, batch_size=batch_size),
            )
            for model in self.models
        ]

    def _check_scores(self) -> None:
        """Raise ConfigError for scores that the model does not have."""
        kind = f"{self.task.kind} of {join_names(self.task.names)}"
        if bad := [score for score in self.scores if not score.of_classes]:
            names, verb = ", ".join(score.name for score in bad), "needs" if len(bad) == 1 else "need"
            needed = "a track model" if bad[0].of_tracks else "a language model"
            supported = "LOGIT or DIFF" if self.task.has_log_odds else "DIFF"
            raise ConfigError(f"{names} {verb} {needed}, and this one was fine-tuned ({kind}); choose {supported}.")
        if self.task.has_log_odds:
            return
        if names := ", ".join(score.name for score in self.scores if score.input.needs_probabilities):
            raise ConfigError(f"{names} needs classes or labels, and this model predicts values ({kind}); choose DIFF.")

    def _check_window(self, trained: int) -> None:
        """Raise ConfigError for a window that is shorter than a token, or much longer than the windows of the model."""
        least = max(getattr(getattr(model, "tokenizer", None), "min_bases", 1) for model in self.models)
        if self.window < least:
            raise ConfigError(f"a window of {self.window} bases does not suit this model; choose at least {least}.")
        require_length(self.window, trained)

    @property
    def columns(self) -> list[Column]:
        return self.layout.columns

    @property
    def options(self) -> dict[str, str]:
        options = {"context": str(self.window), "strands": "both" if self.both_strands else "forward"}
        if self.shifts != (0,):
            options |= {"shifts": ",".join(map(str, self.shifts)), "tile": self.tile or "mean"}
        if self.chosen:
            options["classes"] = ",".join(map(str, self.classes.tolist()))
        return options | {"matrix": "yes"} if self.n_matrix else options

    @property
    def inputs(self) -> dict[str, str]:
        """Hashes of the inputs other than the model and the genome: there are none."""
        return {}

    @property
    def flops_per_variant(self) -> float:
        """Number of arithmetic operations for an ALT whose window no other variant shares."""
        n = sum(4.0 * cost.count_parameters(model) * typical_tokens(model, self.window) for model in self.models)
        return n * (1 + self.both_strands) * len(self.shifts)

    def covers(self, score: Score, alleles: str) -> bool:
        """True: the scores are defined for alleles of every kind."""
        return score.alleles in (alleles, "any")

    def cost(self, record: Record) -> int:
        """Return the cost of a record: 1 per ALT."""
        return len(record.alts)

    def noise(self, variants: Sequence[Variant]) -> list[Noise]:
        """Return nothing: each variant is in the middle of its window."""
        return []

    def reference_scorer(self) -> ClassScorer:
        """Return a scorer of the same scores that reads one window at a time."""
        other = copy.copy(self)
        other.predictors = [
            PlainPredictor(model, self.genome, self.window, both_strands=self.both_strands, logits_of=plain_class_logits)
            for model in self.models
        ]
        return other

    def score(self, variants: Sequence[Variant]) -> ScoreBatch:
        """Score variants; CheckpointError if the model predicts values that are not finite."""
        of_all = self._of_all_classes(lambda shift: self.windows.jobs(variants, shift))
        unread = [bool(np.isnan(one.values).all()) for one in of_all]
        table = self.layout.table([one.only(self.classes) for one in of_all])
        matrix = self.matrix_layout.matrix(of_all) if self.n_matrix else None
        return ScoreBatch([Status.NO_SCORE if lacks else Status.OK for lacks in unread], table, matrix)

    def score_each(self, variants: Sequence[Variant]) -> list[TrackScores]:
        """Return the scores of each variant on the chosen classes."""
        return [one.only(self.classes) for one in self._of_all_classes(lambda shift: self.windows.jobs(variants, shift))]

    def haplotypes(
        self, chrom: str, start: int, centre: int, haplotypes: Sequence[Sequence[Variant]], *, anchor: int | None = None
    ) -> list[TrackScores]:
        """Return the scores of haplotypes against the reference, in the window that begins at `start`.

        haplotypes: the variants of each, from `genome.haplotypes.drop_overlapping`. anchor: the base that keeps its position;
        None: `centre`.
        """
        fixed = centre if anchor is None else anchor

        def jobs_at(shift: int) -> list[Job]:
            first = start + shift
            made = [haplotype(self.genome, variants, chrom, first, self.window, fixed) for variants in haplotypes]
            return [Job(row, chrom, first, centre, one.changes, (one.codes,)) for row, one in enumerate(made)]

        return [one.only(self.classes) for one in self._of_all_classes(jobs_at)]

    def window_start(self, variant: Variant) -> int:
        """Return the first base of the window of a variant; the variant has no shared bases."""
        return self.windows.start_of(variant)

    def _of_all_classes(self, jobs_at: Callable[[int], Sequence[Job]]) -> list[TrackScores]:
        """Return the scores of the jobs on all classes, in the order of their rows. jobs_at: returns the jobs at a shift."""
        by_shift = []  # [n, scores, C] for each shift, the mean over models and strands
        for shift in self.shifts:
            jobs = jobs_at(shift)
            order = np.argsort([job.row for job in jobs])
            by_shift.append(_mean_of_known([self._values(of.evidence(jobs)) for of in self.predictors])[order])
        if len(by_shift) == 1:
            return [TrackScores(values, {}) for values in by_shift[0]]
        every = np.stack(by_shift)  # [shifts, n, scores, C]
        if self.tile == "max":
            strongest = np.take_along_axis(every, np.nan_to_num(np.abs(every), nan=-1).argmax(0)[None], axis=0)[0]
            return [TrackScores(values, {}) for values in strongest]
        shifts = every.transpose(1, 0, 2, 3)
        return [TrackScores(_mean_of_known(of), {}, tuple(TrackScores(values, {}) for values in of)) for of in shifts]

    def _values(self, evidence: JobEvidence) -> Floats:
        """Return the scores [n, scores, C], the mean over the strands; CheckpointError for logits that are not finite."""
        if not np.isfinite(evidence.logits).all():
            raise CheckpointError("the model predicts values that are no numbers; are its weights damaged?")
        return np.stack([_mean_over_strands(score, evidence) for score in self.scores], axis=1)


def _mean_over_strands(score: Score, evidence: JobEvidence) -> Floats:
    """Return the mean of the score over the strands on which the model reads the variant, [n, C]; NaN if there is none."""
    pairs = score.input.from_classes(evidence)
    assert pairs is not None, f"{score.name} is no score of a fine-tuned model"
    values = np.stack([score.function(pair.ref, pair.alt) for pair in pairs])  # [strands, n, C]
    return _mean_of_known(np.where(evidence.unread[..., None], np.nan, values))


def _mean_of_known(values: Sequence[Floats] | Floats) -> Floats:
    """Return the mean over the first axis of the values that are not NaN; NaN if there is none."""
    known = ~np.isnan(values)
    if known.all():
        return np.asarray(np.mean(values, axis=0))
    n = known.sum(axis=0)
    return np.asarray(np.where(n > 0, np.where(known, values, 0).sum(axis=0) / np.maximum(n, 1), np.nan))


def _outputs(names: Sequence[str], numbers: Sequence[int]) -> Outputs:
    return Outputs("class", np.array(numbers, dtype=np.int64), [names[i] for i in numbers], named_alone=True)


def _check_ensemble(models: Sequence[Any], context: int | None) -> None:
    """Raise ConfigError unless all models of an ensemble predict the same classes of windows of one length."""
    first = models[0]
    for other in models[1:]:
        if (first.task.kind, first.task.names) != (other.task.kind, other.task.names):
            kinds = [f"{model.task.kind} of {join_names(model.task.names)}" for model in (first, other)]
            raise ConfigError(f"the models of an ensemble differ: {kinds[0]}, and {kinds[1]}; score them apart.")
        lengths = [model.config.context_length for model in (first, other)]
        if context is None and lengths[0] != lengths[1]:
            raise ConfigError(
                f"the models of an ensemble have windows of {lengths[0]:,} and {lengths[1]:,} bases; give one as the context."
            )


def only_class(scorer: VariantScorer) -> str | None:
    """Return the class of a scorer of one class, which its columns do not name, such as the second of two; else None."""
    names = scorer.layout.names if isinstance(scorer, ClassScorer) else ()
    return names[0] if len(names) == 1 else None
