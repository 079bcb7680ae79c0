"""Protocols of scorers of variants, one for each kind of model, for several heads and for several models."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, cast

from genoformer.formats.vcf import Record
from genoformer.genome.variants import Variant
from genoformer.scoring.score_types import Score, ScoreBatch
from genoformer.scoring.track_scores import Noise, TrackColumns, TrackScores
from genoformer.writers import Column


class VariantScorer(Protocol):
    """Scorer of variants whose REF matches the reference and whose alleles are at most `longest_allele` long."""

    @property
    def window(self) -> int: ...  # bases
    @property
    def longest_allele(self) -> int: ...
    @property
    def scores(self) -> Sequence[Score]: ...
    @property
    def columns(self) -> list[Column]: ...
    @property
    def layout(self) -> TrackColumns | None: ...  # of the columns; None for a language model
    @property
    def matrix_layout(self) -> TrackColumns | None: ...  # of a matrix
    @property
    def has_noise_floor(self) -> bool: ...  # True: scores depend on where their window begins
    @property
    def flops_per_variant(self) -> float: ...  # arithmetic operations for an SNV
    @property
    def sharing_distance(self) -> int: ...  # bases over which records share work; 0: none
    @property
    def options(self) -> dict[str, str]: ...  # other settings that the values depend on, by name
    @property
    def inputs(self) -> dict[str, str]: ...  # hashes of other files that the values depend on, by kind
    @property
    def n_matrix(self) -> int: ...  # tracks or classes of `ScoreBatch.matrix`; 0 without a matrix
    def covers(self, score: Score, alleles: str) -> bool: ...  # True if it is defined for "substitution" or for "indel"
    def cost(self, record: Record) -> int: ...  # of all its ALTs, in units of an SNV
    def score(self, variants: Sequence[Variant]) -> ScoreBatch: ...
    def noise(self, variants: Sequence[Variant]) -> list[Noise]: ...  # empty if scores do not depend on the window's start
    def reference_scorer(self) -> VariantScorer: ...  # the reference implementation of the same scores


def scorer_parts(scorer: VariantScorer) -> Sequence[VariantScorer]:
    """Return the scorers of single heads of which a scorer of several heads consists; empty for any other."""
    parts: Sequence[VariantScorer] = getattr(scorer, "parts", ())
    return parts


def model_scorers(scorer: VariantScorer) -> Sequence[VariantScorer]:
    """Return the scorers of single models of which a scorer of several, each on its own, consists; empty for any other."""
    scorers: Sequence[VariantScorer] = getattr(scorer, "of_models", ())
    return scorers


def single_scorers(scorer: VariantScorer) -> list[VariantScorer]:
    """Return the scorers of one head and one model (or ensemble) of which a scorer consists, or the scorer itself.

    Their columns are those of the scorer, in order.
    """
    parts = model_scorers(scorer) or scorer_parts(scorer)
    return [single for part in parts for single in single_scorers(part)] or [scorer]


def strand_notes(scorer: VariantScorer) -> list[str]:
    """Return notes on tracks whose strands are not known, if scores of genes use them, of all heads and models."""
    return list(dict.fromkeys(note for single in single_scorers(scorer) for note in getattr(single, "strand_notes", ())))


class HaplotypeScorer(VariantScorer, Protocol):
    """Scorer that also compares sequences with several variants with the reference."""

    @property
    def layout(self) -> TrackColumns: ...
    def window_start(self, variant: Variant) -> int: ...
    def haplotypes(
        self, chrom: str, start: int, centre: int, haplotypes: Sequence[Sequence[Variant]], *, anchor: int | None = None
    ) -> list[TrackScores]: ...


def haplotype_scorers(scorer: HaplotypeScorer) -> list[HaplotypeScorer]:
    """Return the scorers of the heads of a scorer of several, or the scorer itself."""
    return cast("list[HaplotypeScorer]", scorer_parts(scorer)) or [scorer]


def shared_work(scorer: VariantScorer) -> AbstractContextManager[None]:
    """Return a block in which the heads of a scorer of several compute what they have in common once."""
    block: AbstractContextManager[None] = scorer.sharing() if hasattr(scorer, "sharing") else nullcontext()
    return block
