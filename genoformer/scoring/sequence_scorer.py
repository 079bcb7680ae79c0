"""SequenceScorer: variants -> evidence of a language model for both alleles -> scores."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import product
from typing import cast, get_args

import numpy as np

from genoformer.errors import ConfigError
from genoformer.formats.vcf import Record
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Status, Variant
from genoformer.inference.runtime import typical_tokens
from genoformer.models import cost
from genoformer.models.base import ReadsTokens, require
from genoformer.models.token_model import TokenModel
from genoformer.option_checks import Phases
from genoformer.scoring.allele_features import FLANK, AlleleScorer, VariantEvidence
from genoformer.scoring.score_types import Score, ScoreBatch
from genoformer.scoring.settings import Scoring
from genoformer.scoring.support import covers, refusal
from genoformer.scoring.track_scores import Noise
from genoformer.writers import Column, Floats

NEXT_TOKEN_ROWS = 256  # variants at a time for which the distributions of the next token are in memory


class SequenceScorer:
    """Scorer with a language model, or the mean of the scores of several (an ensemble).

    Raises ConfigError for scores that the models do not support.
    """

    has_noise_floor = False  # each variant is in the middle of its window

    def __init__(self, genome: Genome, scoring: Scoring, *, batch_size: int | None = None) -> None:
        if scoring.phases not in get_args(Phases):
            raise ConfigError(f"phases is {scoring.phases!r}; give one or all.")
        self.scores, self.models = list(scoring.scores), cast("tuple[TokenModel, ...]", scoring.models)
        for model in self.models:
            require(model, ReadsTokens)
        _refuse_several_quantities(self.scores, self.models)
        self.genome, self.both_strands, self.phases = genome, scoring.both_strands, scoring.phases
        self.share_windows = scoring.share_windows
        self.readers = [self._reader(model, scoring.context, batch_size) for model in self.models]
        for model, score in product(self.models, self.scores):
            if (reason := refusal(model, score)) is not None:
                raise ConfigError(reason)
        self.window = max(reader.length for reader in self.readers)
        self.longest_allele = min(reader.longest_allele for reader in self.readers)
        self.flops_per_variant = 0.0
        for model, reader in zip(self.models, self.readers, strict=True):
            n_strands = 1 if model.strands_agree else len(reader.windows.strands)
            n_tokens = typical_tokens(model, reader.length) * n_strands * len(reader.phases)
            self.flops_per_variant += 2.0 * cost.count_parameters(model) * n_tokens
        self.columns: list[Column] = [score.column for score in self.scores]
        self.sharing_distance, self.n_matrix, self.layout, self.matrix_layout = 0, 0, None, None
        self.inputs: dict[str, str] = {}
        lengths = dict.fromkeys(reader.length for reader in self.readers)
        self.options = {"context": "+".join(map(str, lengths)), "strands": "both" if self.both_strands else "forward"}
        if self.phases != "one":
            self.options["phases"] = self.phases
        if self.share_windows:
            self.options["windows"] = "shared"

    def _reader(self, model: TokenModel, length: int | None, batch_size: int | None) -> AlleleScorer:
        return AlleleScorer(
            model,
            self.genome,
            length,
            both_strands=self.both_strands,
            phases=self.phases,
            share_windows=self.share_windows,
            batch_size=batch_size,
        )

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

    def covers(self, score: Score, alleles: str) -> bool:
        """True if a score of all models is defined for alleles of one kind, "substitution" or "indel"."""
        return all(covers(model, score, alleles) for model in self.models)

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
        is_substitution = np.array([len(ref) == len(alt) for _, _, ref, alt in variants], dtype=bool)
        for alleles in ("substitution", "indel"):
            rows = np.flatnonzero(is_substitution == (alleles == "substitution")).tolist()
            columns = [i for i, score in enumerate(self.scores) if self.covers(score, alleles)]
            with_distribution = any(self.scores[i].input.needs_distribution for i in columns)
            size = NEXT_TOKEN_ROWS if with_distribution and self.models[0].causal else len(rows)
            for first in range(0, len(rows) if columns else 0, max(1, size)):
                part = rows[first : first + size]
                some = variants if len(part) == len(variants) else [variants[i] for i in part]
                evidence = [VariantEvidence(reader, some, with_distribution) for reader in self.readers]
                for i in columns:
                    values[part, i] = np.mean([_mean(self.scores[i], of) for of in evidence], axis=0)
        for row in np.flatnonzero(np.isnan(values).all(axis=1)).tolist():  # one score of several is enough for status OK
            statuses[row] = Status.NO_SCORE
        return ScoreBatch(statuses, values)


def _refuse_several_quantities(scores: Sequence[Score], models: Sequence[TokenModel]) -> None:
    """Raise ConfigError for scores of likelihoods whose mean over the models would be of different quantities."""
    kinds = {"causal" if model.causal else "masked" if model.tokenizer.masks_bases else "masked BPE" for model in models}
    names = [score.name for score in scores if score.input.needs_bases]
    if len(kinds) > 1 and names:
        raise ConfigError(
            f"found {' and '.join(sorted(kinds))} models in an ensemble, and their {', '.join(names)} measure different "
            "quantities, of which no mean is taken; score each kind alone, or choose COSINE or L2."
        )


def _mean(score: Score, evidence: VariantEvidence) -> Floats:
    """Return the mean of the score over the strands."""
    pairs = score.input.from_sequence(evidence)
    assert pairs is not None, f"{score.name} is no score of a language model"
    return np.asarray(np.mean([score.function(pair.ref, pair.alt) for pair in pairs], axis=0))
