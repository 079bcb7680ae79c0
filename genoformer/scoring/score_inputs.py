"""Evidence that scores compare: one class per kind, which asks a language model, a track model or a classifier for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

from genoformer.writers import Floats


class AllelePair(NamedTuple):
    """Evidence for both alleles of n variants on one strand: [n] or [n, D]; NaN if missing."""

    ref: Floats
    alt: Floats


class SequenceEvidence(Protocol):
    """Evidence of a language model for a list of variants; one pair per strand."""

    @property
    def likelihoods(self) -> list[AllelePair]: ...  # log2 P of the changed bases [n]
    @property
    def posteriors(self) -> list[AllelePair]: ...  # log2 P of A, C, G, T at the first changed base [n, 4]
    @property
    def pseudo_likelihoods(self) -> list[AllelePair]: ...  # sums of log2 P over the allele and its flanks [n]
    @property
    def embeddings(self) -> list[AllelePair]: ...  # mean over the tokens that touch the allele [n, D]


class TrackEvidence(Protocol):
    """Evidence of a track model for one variant in one window."""

    def tracks(self, width: int | None) -> AllelePair: ...  # [K, N], the bins that `width` bases touch; None: all bins
    def embedding(self, width: int) -> AllelePair: ...  # [D], mean over these bins


class ClassEvidence(Protocol):
    """Evidence of a fine-tuned model for a list of variants; one pair [n, C] per strand."""

    @property
    def log_odds(self) -> list[AllelePair]: ...  # log p / (1 - p) of each class or label, in nats
    @property
    def values(self) -> list[AllelePair]: ...  # probability of each class or label, or the values of a regression


@dataclass(frozen=True)
class ScoreInput:
    """Evidence that a score compares; the subclasses below are all kinds."""

    of_tracks: ClassVar[bool] = False  # True: one value per track, from a track model
    of_classes: ClassVar[bool] = False  # True: one value per class, label or value, from a fine-tuned model
    needs_probabilities: ClassVar[bool] = False  # True: the outputs have to be probabilities, not values of a regression
    per_gene: ClassVar[bool] = False  # True: one value per track and gene in the window
    needs_bases: ClassVar[bool] = False  # True: the model has to predict single bases
    needs_both_sides: ClassVar[bool] = False  # True: the model has to see the bases on both sides

    def from_sequence(self, evidence: SequenceEvidence) -> list[AllelePair] | None:
        """Return the evidence of a language model; None if a language model has none of this kind."""
        return None

    def from_tracks(self, evidence: TrackEvidence) -> AllelePair | None:
        """Return the evidence of a track model; None if a track model has none of this kind, or has it per gene."""
        return None

    def from_classes(self, evidence: ClassEvidence) -> list[AllelePair] | None:
        """Return the evidence of a fine-tuned model; None if a fine-tuned model has none of this kind."""
        return None

    @property
    def bins(self) -> str:
        """Bins of a window that a track score compares, for texts."""
        return "all bins"


class AlleleLikelihood(ScoreInput):
    """log2 P of the changed bases of each allele, given the bases around them."""

    needs_bases = True

    def from_sequence(self, evidence: SequenceEvidence) -> list[AllelePair] | None:
        return evidence.likelihoods


class PseudoLikelihood(ScoreInput):
    """Sum of log2 P over the bases of each allele and near it, each masked in turn."""

    needs_bases = True

    def from_sequence(self, evidence: SequenceEvidence) -> list[AllelePair] | None:
        return evidence.pseudo_likelihoods


class Posterior(ScoreInput):
    """log2 P of the four bases at the first changed base."""

    needs_bases = needs_both_sides = True

    def from_sequence(self, evidence: SequenceEvidence) -> list[AllelePair] | None:
        return evidence.posteriors


@dataclass(frozen=True)
class Embedding(ScoreInput):
    """Mean embedding near each allele: of the tokens that touch it, or of the bins that `width` bases touch."""

    width: int = 501

    def from_sequence(self, evidence: SequenceEvidence) -> list[AllelePair] | None:
        return evidence.embeddings

    def from_tracks(self, evidence: TrackEvidence) -> AllelePair | None:
        return evidence.embedding(self.width)


@dataclass(frozen=True)
class Tracks(ScoreInput):
    """Predicted tracks of each allele in the bins of the reference; width: only bins that so many bases around it touch."""

    width: int | None = None
    of_tracks = True

    def from_tracks(self, evidence: TrackEvidence) -> AllelePair | None:
        return evidence.tracks(self.width)

    @property
    def bins(self) -> str:
        return "all bins" if self.width is None else f"the bins of {self.width:,} bases around the variant"


class GeneTracks(ScoreInput):
    """Predicted tracks of each allele in the bins of the exons of each gene."""

    of_tracks = per_gene = True

    @property
    def bins(self) -> str:
        return "the exons of a gene"


class ClassLogits(ScoreInput):
    """Log-odds of each class or label for both alleles."""

    of_classes = needs_probabilities = True

    def from_classes(self, evidence: ClassEvidence) -> list[AllelePair] | None:
        return evidence.log_odds


class ClassValues(ScoreInput):
    """Probability of each class or label, or the values of a regression, for both alleles."""

    of_classes = True

    def from_classes(self, evidence: ClassEvidence) -> list[AllelePair] | None:
        return evidence.values
