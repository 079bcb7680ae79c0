"""What `score_variants` asks of a model, whichever it is, and the scorer of each kind of model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from genoformer.errors import ConfigError
from genoformer.genome.exons import Genes
from genoformer.genome.reference import Genome
from genoformer.genome.targets import Targets
from genoformer.genome.variants import Variant
from genoformer.models.encoder import Encoder
from genoformer.models.longrange import LongRange
from genoformer.scoring.scores import DEFAULT_SCORES, DEFAULT_TRACK_SCORES, Answers, Column, Score, choose
from genoformer.scoring.token_scorer import TokenScorer
from genoformer.scoring.track_scorer import Settings, TrackScorer


class Scorer(Protocol):
    """Scores lists of variants whose REF agrees with the reference and whose alleles are not too long."""

    @property
    def length(self) -> int: ...  # bases of a window
    @property
    def longest_allele(self) -> int: ...
    @property
    def scores(self) -> Sequence[Score]: ...
    @property
    def columns(self) -> list[Column]: ...
    @property
    def operations(self) -> float: ...  # of arithmetic, for an ALT
    @property
    def options(self) -> dict[str, str]: ...  # all that the values depend on beside the model, by name
    @property
    def inputs(self) -> dict[str, str]: ...  # hashes of other files that the values depend on, by what they are
    @property
    def matrix_shape(self) -> tuple[int, int]: ...  # scores and tracks of `Answers.matrix`; (0, 0) where it is not wanted
    def __call__(self, variants: Sequence[Variant]) -> Answers: ...


class OfTracks(NamedTuple):
    """What only scores of tracks know: which tracks, and how their alleles are compared."""

    head: str | None = None
    targets: Targets | None = None  # None: the model's own
    tracks: Sequence[int] | None = None  # None: all of the head
    genes: Genes | None = None
    settings: Settings = Settings()
    matrix: bool = False  # whether the values of every track are wanted


def default_scores(model: Encoder | LongRange) -> list[Score]:
    """The scores of a model when none are named."""
    return choose(DEFAULT_TRACK_SCORES if isinstance(model, LongRange) else DEFAULT_SCORES)


def scorer_of(
    model: Encoder | LongRange,
    genome: Genome,
    scores: Sequence[Score],
    *,
    context: int | None = None,
    both_strands: bool = True,
    batch_size: int | None = None,
    of_tracks: OfTracks | None = None,
) -> Scorer:
    """The scorer of a model; ConfigError for what it cannot tell."""
    if isinstance(model, LongRange):
        wanted = of_tracks or OfTracks()
        settings = wanted.settings._replace(both_strands=both_strands, batch_size=batch_size)
        return TrackScorer(
            model, genome, scores, head=wanted.head, targets=wanted.targets, tracks=wanted.tracks, genes=wanted.genes,
            length=context, settings=settings, matrix=wanted.matrix,
        )  # fmt: skip
    if of_tracks is not None:
        raise ConfigError("tracks, heads, shifts, genes and a matrix are of a model of tracks, and this is a language model.")
    return TokenScorer(model, genome, scores, length=context, both_strands=both_strands, batch_size=batch_size)


def longest_allele(model: Encoder | LongRange, genome: Genome, context: int | None) -> int:
    """Longest REF or ALT that the model's scorer takes, in bases."""
    scores = default_scores(model)
    return scorer_of(model, genome, scores, context=context, both_strands=False).longest_allele
