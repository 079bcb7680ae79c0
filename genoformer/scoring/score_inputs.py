"""Evidence that scores compare: one class per kind, which asks a language model, a track model or a classifier for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from genoformer.writers import Floats

if TYPE_CHECKING:  # the table of scores can be read without torch
    from genoformer.genome.genes import Genes
    from genoformer.models.token_model import TokenModel

Alleles = Literal["substitution", "indel", "any"]
GENE, TRANSCRIPT = "gene", "transcript"


class AllelePair(NamedTuple):
    """Evidence for both alleles of n variants on one strand: [n] or [n, D]; NaN if missing."""

    ref: Floats
    alt: Floats


class BinGrid(Protocol):
    """Predicted bins of a window on a contig."""

    @property
    def chrom(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def n(self) -> int: ...
    @property
    def bin_size(self) -> int: ...
    def mask(self, base: int, width: int) -> slice: ...  # ceil(width / bin) bins around the bin of a base
    def of_spans(self, spans: NDArray[np.int64]) -> NDArray[np.int64]: ...  # bins that intervals touch, without duplicates
    def mostly_of_spans(self, spans: NDArray[np.int64]) -> NDArray[np.int64]: ...  # those that they cover by more than half


class VariantPlace(NamedTuple):
    """A variant in a window."""

    grid: BinGrid
    centre: int  # the base that masks are centred on
    extent: tuple[int, int]  # bases of the variant, with the base before an insertion or deletion


class SequenceEvidence(Protocol):
    """Evidence of a language model for a list of variants; one pair per strand."""

    @property
    def likelihoods(self) -> list[AllelePair]: ...  # log2 P of the changed bases [n]
    @property
    def posteriors(self) -> list[AllelePair]: ...  # log2 P of A, C, G, T at the first changed base [n, 4]
    @property
    def pseudo_likelihoods(self) -> list[AllelePair]: ...  # sums of log2 P over the allele and its flanks [n]
    @property
    def token_likelihoods(self) -> list[AllelePair]: ...  # log2 P of the tokens over the changed bases [n]
    @property
    def next_tokens(self) -> list[AllelePair]: ...  # log2 P of each token of the vocabulary after the allele [n, V]
    @property
    def embeddings(self) -> list[AllelePair]: ...  # mean over the tokens that touch the allele [n, D]


class TrackEvidence(Protocol):
    """Evidence of a track model for one variant in one window."""

    def tracks(self, width: int | None) -> AllelePair: ...  # [K, N], the bins that `width` bases touch; None: all bins
    def embedding(self, width: int) -> AllelePair: ...  # [D], mean over these bins
    def center_mask(self, width: int | None) -> AllelePair: ...  # [K, n], bins as predicted, see `CenterMask`


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
    per_gene: ClassVar[bool] = False  # True: one value per track and gene or transcript in the window (`gene_inputs`)
    item: ClassVar[str] = GENE  # or TRANSCRIPT, for a score that is per gene
    needs_transcripts: ClassVar[bool] = False  # True: transcripts of the genes are read
    output: ClassVar[str] = "tracks"  # kind of the head that a track score is of, `Head.kind`
    measurement: ClassVar[str] = ""  # that the tracks have to be of, as in `TrackModel.output_of`; "": of any
    needs_bases: ClassVar[bool] = False  # True: the model has to predict bases or tokens
    needs_distribution: ClassVar[bool] = False  # True: it compares distributions, of the base or of the next token

    def lacking(self, model: TokenModel) -> str | None:
        """Return the reason why a language model lacks evidence of this kind, as the end of a sentence; None if it has some."""
        return None

    def alleles(self, model: TokenModel, usual: Alleles) -> Alleles:
        """Return the alleles that the score of a language model is defined for, if most models have the `usual` ones."""
        return usual

    def from_sequence(self, evidence: SequenceEvidence) -> list[AllelePair] | None:
        """Return the evidence of a language model; None if a language model has none of this kind."""
        return None

    def from_tracks(self, evidence: TrackEvidence) -> AllelePair | None:
        """Return the evidence of a track model; None if a track model has none of this kind, or has it per gene."""
        return None

    def from_classes(self, evidence: ClassEvidence) -> list[AllelePair] | None:
        """Return the evidence of a fine-tuned model; None if a fine-tuned model has none of this kind."""
        return None

    def bases(self, place: VariantPlace, genes: Genes | None) -> tuple[int, int] | None:
        """Return the bases [start, end) of a contig whose bins the score of a variant compares; None: all bins."""
        return None

    @property
    def bins(self) -> str:
        """Bins of a window that a track score compares, for texts."""
        return "all bins"


class AlleleLikelihood(ScoreInput):
    """log2 P of the changed bases of each allele, given the bases around them."""

    needs_bases = True

    def lacking(self, model: TokenModel) -> str | None:
        return _no_likelihood(model) if model.causal else _no_bases(model)

    def alleles(self, model: TokenModel, usual: Alleles) -> Alleles:
        return "any" if model.causal else usual

    def from_sequence(self, evidence: SequenceEvidence) -> list[AllelePair] | None:
        return evidence.likelihoods


class TokenLikelihood(ScoreInput):
    """log2 P of the masked tokens over the changed bases, the other bases of the tokens as in the reference."""

    needs_bases = True

    def lacking(self, model: TokenModel) -> str | None:
        if model.causal:
            return "needs a model that sees both sides, and this one is causal"
        if not model.tokenizer.masks_bases:
            return "needs tokens of a fixed number of bases, and BPE may cut the two alleles differently"
        return _no_bases(model) or (
            None if model.tokenizer.disjoint else "needs tokens that do not overlap, and these k-mers do"
        )

    def from_sequence(self, evidence: SequenceEvidence) -> list[AllelePair] | None:
        return evidence.token_likelihoods


class PseudoLikelihood(ScoreInput):
    """Sum of log2 P over the bases of each allele and near it, each masked in turn; of BPE tokens, the mean per base."""

    needs_bases = True

    def lacking(self, model: TokenModel) -> str | None:
        if model.causal:
            return _no_likelihood(model)
        if not model.tokenizer.masks_bases and model.tokenizer.mask_id == model.tokenizer.pad_id:
            return "masks tokens, and the vocabulary of this model has no token for that"
        return _no_head(model)

    def alleles(self, model: TokenModel, usual: Alleles) -> Alleles:
        return usual if model.causal or model.tokenizer.masks_bases else "any"

    def from_sequence(self, evidence: SequenceEvidence) -> list[AllelePair] | None:
        return evidence.pseudo_likelihoods


class Posterior(ScoreInput):
    """log2 P of the four bases at the first changed base."""

    needs_bases = needs_distribution = True

    def lacking(self, model: TokenModel) -> str | None:
        if model.causal:
            return "needs a model that sees both sides, and this one is causal"
        return _no_bases(model)

    def from_sequence(self, evidence: SequenceEvidence) -> list[AllelePair] | None:
        return evidence.posteriors


class NextToken(ScoreInput):
    """log2 P of the token that follows each allele, given the bases before it."""

    needs_bases = needs_distribution = True

    def lacking(self, model: TokenModel) -> str | None:
        return (
            _no_likelihood(model)
            if model.causal
            else "needs a causal model, which predicts the next token, and this one is masked"
        )

    def from_sequence(self, evidence: SequenceEvidence) -> list[AllelePair] | None:
        return evidence.next_tokens


@dataclass(frozen=True)
class Embedding(ScoreInput):
    """Mean embedding near each allele: of the tokens that touch it, or of the bins that `width` bases touch."""

    width: int = 501

    def from_sequence(self, evidence: SequenceEvidence) -> list[AllelePair] | None:
        return evidence.embeddings

    def from_tracks(self, evidence: TrackEvidence) -> AllelePair | None:
        return evidence.embedding(self.width)

    def bases(self, place: VariantPlace, genes: Genes | None) -> tuple[int, int] | None:
        return _around(place, self.width)


@dataclass(frozen=True)
class Tracks(ScoreInput):
    """Predicted tracks of each allele in the bins of the reference; width: only bins that so many bases around it touch."""

    width: int | None = None
    of_tracks = True

    def from_tracks(self, evidence: TrackEvidence) -> AllelePair | None:
        return evidence.tracks(self.width)

    def bases(self, place: VariantPlace, genes: Genes | None) -> tuple[int, int] | None:
        return None if self.width is None else _around(place, self.width)

    @property
    def bins(self) -> str:
        return "all bins" if self.width is None else f"the bins of {self.width:,} bases around the variant"


@dataclass(frozen=True)
class CenterMask(ScoreInput):
    """Tracks of both alleles, without realignment, in ceil(width / bin) bins around the bin of the variant (AlphaGenome).

    width: None is all bins of the window.
    """

    width: int | None = 501
    of_tracks = True

    def from_tracks(self, evidence: TrackEvidence) -> AllelePair | None:
        return evidence.center_mask(self.width)

    def bases(self, place: VariantPlace, genes: Genes | None) -> tuple[int, int] | None:
        if self.width is None:
            return None
        mask, grid = place.grid.mask(place.extent[0], self.width), place.grid
        return grid.start + mask.start * grid.bin_size, grid.start + mask.stop * grid.bin_size

    @property
    def bins(self) -> str:
        return "all bins" if self.width is None else f"the bins of {self.width:,} bases around the variant"


class Contacts(ScoreInput):
    """Predicted contacts of the variant's bin with each bin of the window, without realignment."""

    of_tracks = True
    output = "contacts"

    def from_tracks(self, evidence: TrackEvidence) -> AllelePair | None:
        return evidence.tracks(None)

    @property
    def bins(self) -> str:
        return "all bins with that of the variant"


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


def _around(place: VariantPlace, width: int) -> tuple[int, int]:
    return place.centre - width // 2, place.centre + width // 2 + 1


def _no_head(model: TokenModel) -> str | None:
    return None if model.predicts_tokens else "needs a head that predicts tokens, which this model does not have"


def _no_bases(model: TokenModel) -> str | None:
    if not model.tokenizer.masks_bases:
        return "needs tokens of a fixed number of bases, which BPE does not have"
    return _no_head(model)


def _no_likelihood(model: TokenModel) -> str | None:
    if not model.tokenizer.sliding and not model.tokenizer.disjoint:
        return (
            "needs the likelihood of a sequence, which a causal model has for k-mers of stride 1 or tokens that do not overlap"
        )
    return _no_head(model)
