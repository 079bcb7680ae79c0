"""ModelsScorer: scores of several models in one run, each on its own, their columns named by model."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence

import numpy as np

from genoformer.formats.vcf import Record
from genoformer.genome.variants import Status, Variant
from genoformer.scoring.score_types import Score, ScoreBatch
from genoformer.scoring.track_scores import Noise, TrackColumns
from genoformer.scoring.variant_scorer import VariantScorer
from genoformer.writers import Column


class ModelsScorer:
    """Scorer of several models, of any kinds; each part has the scores of one, whose names end in that of the model.

    A part scores the variants that it can hold, as it would alone. A variant has the status of the first model if no model has
    a score of it.
    """

    layout: TrackColumns | None = None  # the outputs of models differ
    n_matrix = 0

    def __init__(self, names: Sequence[str], parts: Sequence[VariantScorer]) -> None:
        self.names, self.of_models = list(names), list(parts)
        self.scores: list[Score] = [score for part in parts for score in part.scores]
        self.window = max(part.window for part in parts)
        self.longest_allele = max(part.longest_allele for part in parts)
        self.flops_per_variant = sum(part.flops_per_variant for part in parts)
        self.sharing_distance = max(part.sharing_distance for part in parts)
        self.has_noise_floor = any(part.has_noise_floor for part in parts)
        self._owner = {score.name: part for part in parts for score in part.scores}

    @property
    def columns(self) -> list[Column]:
        return [column for part in self.of_models for column in part.columns]

    @property
    def matrix_layout(self) -> TrackColumns | None:
        """Columns of the first model with tracks or classes; there is no matrix of several models."""
        return next((part.matrix_layout for part in self.of_models if part.matrix_layout is not None), None)

    @property
    def options(self) -> dict[str, str]:
        """Options that all models share by their name, others as "NAME of MODEL"."""
        of_parts = [part.options for part in self.of_models]
        options: dict[str, str] = {}
        for key in dict.fromkeys(key for of_part in of_parts for key in of_part):
            values = [of_part.get(key) for of_part in of_parts]
            if len({*values}) == 1:
                options[key] = str(values[0])
                continue
            options |= {f"{key} of {name}": value for name, value in zip(self.names, values, strict=True) if value is not None}
        return options

    @property
    def inputs(self) -> dict[str, str]:
        inputs: dict[str, list[str]] = {}
        for part in self.of_models:
            for name, value in part.inputs.items():
                inputs.setdefault(name, []).append(value)
        return {name: hashlib.sha256(" ".join(values).encode()).hexdigest() for name, values in inputs.items()}

    def covers(self, score: Score, alleles: str) -> bool:
        return self._owner[score.name].covers(score, alleles)

    def cost(self, record: Record) -> int:
        """Return the cost of a record in units of an SNV: the mean over the models, by their operations."""
        operations = sum(part.cost(record) * part.flops_per_variant for part in self.of_models)
        return max(1, round(operations / self.flops_per_variant))

    def score(self, variants: Sequence[Variant]) -> ScoreBatch:
        """Score variants with each model; an allele that is too long for a model has no score of it."""
        values, statuses = [], []
        for part in self.of_models:
            rows = [i for i, v in enumerate(variants) if max(len(v.ref), len(v.alt)) <= part.longest_allele]
            of_part = np.full((len(variants), len(part.columns)), np.nan, dtype=np.float32)
            of_rows = [Status.TOO_LONG] * len(variants)
            if rows:
                batch = part.score([variants[i] for i in rows])
                of_part[rows] = batch.values
                for i, status in zip(rows, batch.statuses, strict=True):
                    of_rows[i] = status
            values.append(of_part)
            statuses.append(of_rows)
        best = [Status.OK if Status.OK in of else of[0] for of in zip(*statuses, strict=True)]
        return ScoreBatch(best, np.hstack(values))

    def noise(self, variants: Sequence[Variant]) -> list[Noise]:
        """Return nothing: noise is measured model by model (`noise.measure`)."""
        return []

    def reference_scorer(self) -> ModelsScorer:
        """Return the reference implementation of the same scores."""
        other = copy.copy(self)
        other.of_models = [part.reference_scorer() for part in self.of_models]
        return other
