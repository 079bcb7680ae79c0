"""Scorer protocol and its factory, with one scorer for each kind of model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from genoformer import inference
from genoformer.errors import ConfigError
from genoformer.formats.track_table import TrackTable
from genoformer.formats.vcf import Record
from genoformer.genome.genes import Genes
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.models.enformer.model import Enformer
from genoformer.models.transformer.model import Encoder
from genoformer.scoring.scores import DEFAULT_SCORES, DEFAULT_TRACK_SCORES, Score, ScoreBatch, parse_scores
from genoformer.scoring.sequence_scorer import SequenceScorer
from genoformer.scoring.track_scorer import AlleleComparison, TrackScorer
from genoformer.writers import Column

Model = Encoder | Enformer


class Scorer(Protocol):
    """Callable that scores variants whose REF matches the reference and whose alleles are at most `longest_allele` long."""

    @property
    def length(self) -> int: ...  # bases of a window
    @property
    def longest_allele(self) -> int: ...
    @property
    def scores(self) -> Sequence[Score]: ...
    @property
    def columns(self) -> list[Column]: ...
    @property
    def flops_per_variant(self) -> float: ...  # arithmetic operations for an SNV
    @property
    def sharing_distance(self) -> int: ...  # bases over which records share work; 0: none
    @property
    def options(self) -> dict[str, str]: ...  # other settings that the values depend on, by name
    @property
    def inputs(self) -> dict[str, str]: ...  # hashes of other files that the values depend on, by kind
    @property
    def n_matrix(self) -> int: ...  # tracks of `ScoreBatch.matrix`; 0 without a matrix
    def cost(self, record: Record) -> int: ...  # of all its ALTs, in units of an SNV
    def __call__(self, variants: Sequence[Variant]) -> ScoreBatch: ...
    def reference_scorer(self) -> Scorer: ...  # the reference implementation of the same scores


class TrackOptions(NamedTuple):
    """Options of track scores: the tracks, and how the two alleles are compared."""

    head: str | None = None
    targets: TrackTable | None = None  # None: the table of the model
    tracks: Sequence[int] | None = None  # None: all of the head
    genes: Genes | None = None
    settings: AlleleComparison = AlleleComparison()
    matrix: bool = False  # True: also return the values of every track


def sha256_of_models(models: Sequence[Model]) -> str:
    """Return the sha256 of the weights of all models, joined by "+"."""
    return "+".join(model.sha256 or "in memory" for model in models)


def default_scores(model: Model) -> list[Score]:
    """Return the scores that a model computes by default."""
    return parse_scores(DEFAULT_TRACK_SCORES if isinstance(model, Enformer) else DEFAULT_SCORES)


def make_scorer(
    models: Model | Sequence[Model],
    genome: Genome,
    scores: Sequence[Score],
    *,
    context: int | None = None,
    both_strands: bool = True,
    batch_size: int | None = None,
    of_tracks: TrackOptions | None = None,
) -> Scorer:
    """Return the scorer of a model or an ensemble; ConfigError for scores or options that it does not support."""
    given = list(models) if isinstance(models, Sequence) else [models]
    of_language = [model for model in given if isinstance(model, Encoder)]
    long_range = [model for model in given if isinstance(model, Enformer)]
    if of_language and long_range:
        raise ConfigError("an ensemble is of language models or of models of tracks, not of both; score them apart.")
    if long_range:
        wanted = of_tracks or TrackOptions()
        settings = wanted.settings._replace(both_strands=both_strands, batch_size=batch_size)
        return TrackScorer(
            long_range,
            genome,
            scores,
            head=wanted.head,
            targets=wanted.targets,
            tracks=wanted.tracks,
            genes=wanted.genes,
            length=context,
            settings=settings,
            matrix=wanted.matrix,
        )
    if of_tracks is not None:
        raise ConfigError("tracks, heads, shifts, genes and a matrix are of a model of tracks, and this is a language model.")
    return SequenceScorer(of_language, genome, scores, length=context, both_strands=both_strands, batch_size=batch_size)


@dataclass(frozen=True)
class ScoringSpec:
    """All that a process needs to score variants."""

    models: tuple[Model, ...]  # several: an ensemble
    genome: Genome
    scores: str  # comma-separated
    context: int | None = None  # bases of a window; None: that of the model
    both_strands: bool = True
    device: str = "cpu"
    precision: str = "float32"
    batch_size: int | None = None
    of_tracks: TrackOptions | None = None

    @property
    def sha256(self) -> str:
        return sha256_of_models(self.models)

    @contextmanager
    def open_scorer(self) -> Iterator[Scorer]:
        """Open the scorer with its models on the device; afterwards the models are in their earlier state."""
        with ExitStack() as stack:
            models = [stack.enter_context(inference.evaluating(model, self.device, self.precision)) for model in self.models]
            yield make_scorer(
                models,
                self.genome,
                parse_scores(self.scores),
                context=self.context,
                both_strands=self.both_strands,
                batch_size=self.batch_size,
                of_tracks=self.of_tracks,
            )

    @contextmanager
    def reference_scorer(self) -> Iterator[Scorer]:
        """Open the reference implementation of the scores: on the CPU, in float32, one sequence at a time."""
        with replace(self, device="cpu", precision="float32").open_scorer() as scorer:
            yield scorer.reference_scorer()
