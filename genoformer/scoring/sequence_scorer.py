"""SequenceScorer: variants -> evidence of a language model for both alleles -> scores."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import numpy as np

from genoformer.errors import ConfigError
from genoformer.formats.vcf import Record
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Status, Variant
from genoformer.models import cost
from genoformer.models.transformer.model import Encoder
from genoformer.scoring.allele_features import FLANK, AlleleScorer, VariantEvidence
from genoformer.scoring.scores import Score, ScoreBatch
from genoformer.scoring.settings import Scoring
from genoformer.scoring.track_scores import Noise
from genoformer.writers import Column, Floats


class SequenceScorer:
    """Scorer with a language model, or the mean of the scores of several (an ensemble).

    Raises ConfigError for scores that the models do not support.
    """

    has_noise_floor = False  # each variant is in the middle of its window

    def __init__(self, genome: Genome, scoring: Scoring, *, batch_size: int | None = None) -> None:
        for kind, needed, bad in (
            ("tracks", "a track model", [score.name for score in scoring.scores if score.of_tracks]),
            ("classes", "a fine-tuned model", [score.name for score in scoring.scores if score.of_classes]),
        ):
            if bad:
                raise ConfigError(
                    f"{', '.join(bad)} is of {kind}, and this is a language model; choose LLR, PLL, ENTROPY, COSINE or L2, or "
                    f"name {needed} with -m."
                )
        self.scores, self.models = list(scoring.scores), cast("tuple[Encoder, ...]", scoring.models)
        self.genome, self.both_strands = genome, scoring.both_strands
        self.readers = [self._reader(model, scoring.context, batch_size) for model in self.models]
        for reader in self.readers:
            reader.require(self.scores)
        self.window = max(reader.length for reader in self.readers)
        self.longest_allele = min(reader.longest_allele for reader in self.readers)
        self.flops_per_variant = 0.0
        for model, reader in zip(self.models, self.readers, strict=True):
            n_tokens = model.tokenizer.n_tokens(reader.length) * len(reader.strands)
            self.flops_per_variant += 2.0 * cost.count_parameters(model) * n_tokens
        self.columns: list[Column] = [score.column for score in self.scores]
        self.sharing_distance, self.n_matrix, self.layout, self.matrix_layout = 0, 0, None, None
        self.inputs: dict[str, str] = {}
        lengths = dict.fromkeys(reader.length for reader in self.readers)
        self.options = {"context": "+".join(map(str, lengths)), "strands": "both" if self.both_strands else "forward"}

    def _reader(self, model: Encoder, length: int | None, batch_size: int | None) -> AlleleScorer:
        return AlleleScorer(model, self.genome, length, both_strands=self.both_strands, batch_size=batch_size)

    def reference_scorer(self) -> SequenceScorer:
        """Return a scorer of the same scores that reads one window at a time."""
        other = copy.copy(self)
        other.readers = [
            self._reader(model, reader.length, batch_size=1) for model, reader in zip(self.models, self.readers, strict=True)
        ]
        return other

    def noise(self, variants: Sequence[Variant]) -> list[Noise]:
        """Return nothing: each variant is in the middle of its window, so scores do not depend on the start of a window."""
        return []

    def cost(self, record: Record) -> int:
        """Return the number of queries of a record: one for all SNVs together, else one per base of both alleles and flanks."""
        if self.models[0].causal:
            return len(record.alts)
        total, n_ref = 0, len(record.ref)
        for alt in record.alts:
            longest = max(n_ref, len(alt))
            if longest > 1 and longest <= self.longest_allele and alt.isalpha():
                total += 2 * (longest if len(alt) == n_ref else longest + 2 * FLANK)
        return max(1, total)

    def score(self, variants: Sequence[Variant]) -> ScoreBatch:
        """Score variants; an allele that none of the scores is defined for gets the status NO_SCORE."""
        values = np.full((len(variants), len(self.scores)), np.nan, dtype=np.float32)
        statuses = [Status.OK] * len(variants)
        for alleles in ("substitution", "indel"):
            rows = [i for i, v in enumerate(variants) if (len(v.ref) == len(v.alt)) == (alleles == "substitution")]
            columns = [i for i, score in enumerate(self.scores) if score.alleles in (alleles, "any")]
            if rows and columns:
                with_posterior = any(self.scores[i].input.needs_both_sides for i in columns)
                some = [variants[i] for i in rows]
                evidence = [VariantEvidence(reader, some, with_posterior) for reader in self.readers]
                for i in columns:
                    values[rows, i] = np.mean([_mean(self.scores[i], of) for of in evidence], axis=0)
        for row in np.flatnonzero(np.isnan(values).all(axis=1)).tolist():  # one score of several is enough for status OK
            statuses[row] = Status.NO_SCORE
        return ScoreBatch(statuses, values)


def _mean(score: Score, evidence: VariantEvidence) -> Floats:
    """Return the mean of the score over the strands."""
    pairs = score.input.from_sequence(evidence)
    assert pairs is not None, f"{score.name} is no score of a language model"
    return np.asarray(np.mean([score.function(pair.ref, pair.alt) for pair in pairs], axis=0))
