"""Settings of a scoring run: the values depend on Scoring, the time on Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from genoformer import inference
from genoformer.compute.settings import check_engine
from genoformer.errors import OptionError
from genoformer.formats.squashed_scale import Scale
from genoformer.formats.track_table import TrackTable
from genoformer.genome.genes import Genes
from genoformer.models.base import Classifies, Model, has
from genoformer.option_checks import Phases, check_choice, check_number, whole_numbers
from genoformer.scoring.alignment import INDELS, Indels
from genoformer.scoring.fingerprint import CONFIGURATION, configurations, current_configurations
from genoformer.scoring.parts import PART_LIMITS, PartLimits
from genoformer.scoring.score_types import Score
from genoformer.scoring.windows import ANCHORS, Anchor


class AlleleComparison(NamedTuple):
    """Settings for the comparison of the tracks of two alleles; the defaults are those of `genoformer score`."""

    shifts: tuple[int, ...] = (0,)  # bases by which windows are shifted; scores are averaged over shifts
    indels: Indels = "realign"
    anchor: Anchor = "grid"  # or "variant": each window is centred on its variant, and no work is shared

    @classmethod
    def parse(cls, shifts: str | Sequence[int], indels: Indels, anchor: Anchor) -> AlleleComparison:
        """Return the settings that options describe; shifts are numbers, or text with commas.

        Raises OptionError for shifts that are not whole numbers, and for an unknown method or anchor.
        """
        check_choice("indels", indels, INDELS)
        check_choice("anchor", anchor, ANCHORS)
        return cls(whole_numbers("shifts", shifts, "-1,0,1"), indels, anchor)


DEFAULT_COMPARISON = AlleleComparison()


@dataclass(frozen=True)
class TrackOptions:
    """Options of track scores: the tracks, and how the two alleles are compared."""

    head: str | None = None  # None: the only head
    targets: TrackTable | None = None  # None: the table of the model
    tracks: Sequence[int] | None = None  # None: all of the head
    genes: Genes | None = None
    settings: AlleleComparison = DEFAULT_COMPARISON
    matrix: bool = False  # True: also return the values of every track
    scale: Scale = "original"  # of a model with a squashed scale: undone; "published": as far as by the script of each score


Tile = Literal["mean", "max"]


@dataclass(frozen=True)
class ClassOptions:
    """Options of the scores of a fine-tuned model: the classes, and the windows of a variant."""

    classes: Sequence[int] | None = None  # numbers of classes, labels or values; None: all, of two classes the second
    shifts: tuple[int, ...] = (0,)  # bases by which windows are shifted; 0: the variant is in the middle
    tile: Tile | None = None  # combine the windows by their mean, or by the largest |score|; None: the mean over `shifts`
    matrix: bool = False  # True: also return the values of every class


@dataclass(frozen=True)
class Scoring:
    """Settings that the values of scores depend on."""

    models: tuple[Model, ...]  # several: an ensemble, whose scores are averaged
    scores: tuple[Score, ...]
    context: int | None = None  # bases of a window; None: that of the model
    both_strands: bool = True  # True: average over both strands
    tracks: TrackOptions | None = None  # for track models only; None: the defaults
    classes: ClassOptions | None = None  # for fine-tuned models only; None: the defaults
    phases: Phases = "one"  # "all": average over the window starts that put the variant at each position of its token
    share_windows: bool = False  # True: a causal model reads nearby variants in one window, which starts on a grid
    parts: tuple[Scoring, ...] = ()  # of several heads: the scores of each, without models; `scores` are then those of all
    of_models: tuple[NamedScoring, ...] = ()  # of several models each on its own; `models` and `scores` are then those of all

    def with_matrix(self) -> Scoring:
        """Return the settings with the values of every track or class."""
        if self.of_models:
            raise OptionError(
                "matrix", f"is of one model, found {len(self.of_models)}; leave it out, or score each model alone."
            )
        if self.parts:
            parts = (replace(part, tracks=replace(part.tracks or TrackOptions(), matrix=True)) for part in self.parts)
            return replace(self, parts=tuple(parts))
        if has(self.models[0], Classifies):
            return replace(self, classes=replace(self.classes or ClassOptions(), matrix=True))
        return replace(self, tracks=replace(self.tracks or TrackOptions(), matrix=True))

    def of_all_outputs(self) -> Scoring:
        """Return the settings without a selection of tracks."""
        return self if self.tracks is None else replace(self, tracks=replace(self.tracks, tracks=None))

    def window_notes(self, name: str) -> list[str]:
        """Return a note if the length of the windows is neither a setting nor known from the folders of the models."""
        notes = [model.window_note(name) for model in self.models if self.context is None]
        return list(dict.fromkeys(note for note in notes if note))

    @property
    def has_parts(self) -> bool:
        """True if the scores are of several heads, or of several models each on its own."""
        return bool(self.parts or self.of_models)

    @property
    def head(self) -> str | None:
        """Head that the scores of tracks are of; None for other models."""
        return None if self.tracks is None else self.tracks.head

    @property
    def names(self) -> str:
        """Names of the scores, separated by commas."""
        return ",".join(score.name for score in self.scores)

    @property
    def sha256(self) -> str:
        return sha256_of_models(self.models)

    def fingerprint(self) -> dict[str, str]:
        """Return the scores, weights and configurations as text, for the folder of an interrupted run."""
        return {"scores": self.names, "model": self.sha256, CONFIGURATION: configurations(self.models)}

    def current_job(self, job: Mapping[str, str]) -> dict[str, str]:
        """Return a job that an earlier version stored, as this version writes it."""
        return current_configurations(job, self.models)


class NamedScoring(NamedTuple):
    """Settings of the scores of one of several models, and the name of the model, in which the names of its scores end."""

    name: str
    scoring: Scoring


@dataclass(frozen=True)
class Runtime(inference.Runtime):
    """Device, precision, batch size and processes of a run; only the last digits of values depend on them."""

    workers: int | None = None  # processes, each with the model; None: chosen for the size of the model and the run
    threads: int | None = None  # CPU threads per process; None: one if several processes run a small model, else all cores
    engine: str = "local"  # or "ray" or "ray:ADDRESS"
    parts: PartLimits = PART_LIMITS

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("workers", self.workers, 1)
        check_number("threads", self.threads, 1)
        check_engine(self.engine)


ON_CPU = Runtime()


def sha256_of_models(models: Sequence[Model]) -> str:
    """Return the sha256 of the weights of all models, joined by "+"."""
    return "+".join(model.sha256 or "in memory" for model in models)
