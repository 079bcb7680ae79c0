"""SequenceScorer: variants -> evidence of a language model for both alleles -> scores."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np

from genoformer.errors import ConfigError
from genoformer.formats.vcf import Record
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Status, Variant
from genoformer.models import cost
from genoformer.models.transformer.model import Encoder
from genoformer.scoring.allele_features import FLANK, AllelePair, AlleleScorer
from genoformer.scoring.scores import Score, ScoreBatch, ScoreInput
from genoformer.writers import Column, Floats


class SequenceScorer:
    """Scorer with a language model, or the mean of the scores of several (an ensemble).

    Raises ConfigError for scores that the models do not support.
    """

    def __init__(
        self,
        models: Encoder | Sequence[Encoder],
        genome: Genome,
        scores: Sequence[Score],
        *,
        length: int | None = None,
        both_strands: bool = True,
        batch_size: int | None = None,
    ) -> None:
        if bad := [score.name for score in scores if score.of_tracks]:
            raise ConfigError(
                f"{', '.join(bad)} is of tracks, and this is a language model; choose LLR, PLL, ENTROPY, COSINE or L2, or name "
                "a model of tracks with -m."
            )
        self.scores = list(scores)
        self.models = (models,) if isinstance(models, Encoder) else tuple(models)
        self.genome, self.both_strands = genome, both_strands
        self.readers = [
            AlleleScorer(model, genome, length, both_strands=both_strands, batch_size=batch_size) for model in self.models
        ]
        for reader in self.readers:
            reader.require({score.evidence for score in scores})
        self.length = max(reader.length for reader in self.readers)
        self.longest_allele = min(reader.longest_allele for reader in self.readers)
        self.flops_per_variant = 0.0
        for model, reader in zip(self.models, self.readers, strict=True):
            n_tokens = model.tokenizer.n_tokens(reader.length) * len(reader.strands)
            self.flops_per_variant += 2.0 * cost.count_parameters(model) * n_tokens
        self.columns: list[Column] = [score.column for score in scores]
        self.n_matrix = self.sharing_distance = 0
        self.inputs: dict[str, str] = {}
        lengths = dict.fromkeys(reader.length for reader in self.readers)
        self.options = {"context": "+".join(map(str, lengths)), "strands": "both" if both_strands else "forward"}

    def reference_scorer(self) -> SequenceScorer:
        """Return a scorer of the same scores that reads one window at a time."""
        other = copy.copy(self)
        other.readers = [
            AlleleScorer(model, self.genome, reader.length, both_strands=self.both_strands, batch_size=1)
            for model, reader in zip(self.models, self.readers, strict=True)
        ]
        return other

    def cost(self, record: Record) -> int:
        """Return the number of queries of a record: one for all SNVs together, else one per base of both alleles and flanks."""
        if self.models[0].config.causal:
            return len(record.alts)
        total, n_ref = 0, len(record.ref)
        for alt in record.alts:
            longest = max(n_ref, len(alt))
            if longest > 1 and longest <= self.longest_allele and alt.isalpha():
                total += 2 * (longest if len(alt) == n_ref else longest + 2 * FLANK)
        return max(1, total)

    def __call__(self, variants: Sequence[Variant]) -> ScoreBatch:
        values = np.full((len(variants), len(self.scores)), np.nan, dtype=np.float32)
        statuses = [Status.OK] * len(variants)
        for kind in ("substitution", "indel"):
            rows = [i for i, v in enumerate(variants) if (len(v.ref) == len(v.alt)) == (kind == "substitution")]
            mine = [i for i, score in enumerate(self.scores) if score.kind in (kind, "any")]
            if rows and mine:
                wanted = {self.scores[i].evidence for i in mine}
                found = [_gather(reader, kind, [variants[i] for i in rows], wanted) for reader in self.readers]
                for i in mine:
                    score = self.scores[i]
                    values[rows, i] = np.mean([_mean(score, evidence[score.evidence]) for evidence in found], axis=0)
        for row in np.flatnonzero(np.isnan(values).all(axis=1)).tolist():  # one score of several is enough for status OK
            statuses[row] = Status.NO_SCORE
        return ScoreBatch(statuses, values)


def _gather(
    reader: AlleleScorer, kind: str, variants: Sequence[Variant], wanted: set[ScoreInput]
) -> Mapping[ScoreInput, list[AllelePair]]:
    found: dict[ScoreInput, list[AllelePair]] = {}
    if wanted & {"allele", "posterior"}:
        found |= reader.substitutions(variants, with_posterior="posterior" in wanted)
    if "pseudo" in wanted:
        found["pseudo"] = reader.indels(variants)
    if "embedding" in wanted:
        found["embedding"] = reader.embeddings(variants)
    return found


def _mean(score: Score, pairs: Sequence[AllelePair]) -> Floats:
    """Return the mean of the score over the strands."""
    return np.asarray(np.mean([score.function(pair.ref, pair.alt) for pair in pairs], axis=0))
