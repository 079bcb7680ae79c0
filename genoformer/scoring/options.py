"""Options as the command line and notebooks write them -> the objects of a job: models, scores, tracks, genes, tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from genoformer.annotation import Annotations, read_annotations
from genoformer.errors import ConfigError
from genoformer.formats.track_table import TrackTable, read_targets
from genoformer.genome.genes import Genes, read_genes
from genoformer.genome.reference import Genome
from genoformer.inference.track_prediction import tracks_of
from genoformer.models import registry
from genoformer.models.base import SCORES_VARIANTS, Model, Need, PredictsTracks, has, require
from genoformer.scoring.alignment import Indels
from genoformer.scoring.calibration import FILE, Calibration
from genoformer.scoring.parts import PART_LIMITS, PartLimits
from genoformer.scoring.scorers import default_scores
from genoformer.scoring.scores import Score, parse_scores
from genoformer.scoring.settings import AlleleComparison, Runtime, Scoring, TrackOptions
from genoformer.scoring.windows import Anchor

ModelName = str | Path | Model
_OF_TRACKS = (
    "tracks",
    "targets",
    "head",
    "gtf",
    "shifts",
    "indels",
    "anchor",
    "matrix",
    "noise_places",
)  # for track models only


@dataclass(frozen=True)
class ScorerOptions:
    """Options of every command that scores variants; where a file is expected, the object that was read from it also works."""

    scores: str | Sequence[str] | None = None  # None: LLR,PLL, or SAD,SAR501 for a track model
    context: int | None = None  # bases of a window; None: that of the model
    strand: Literal["both", "forward"] = "both"
    tracks: str | Sequence[int] | None = None  # None: all of the head
    targets: str | Path | TrackTable | None = None  # None: the table of the model
    head: str | None = None  # None: the only head
    gtf: str | Path | Genes | None = None  # for LOGSED
    shifts: str | Sequence[int] = "0"
    indels: Indels = "realign"
    anchor: Anchor = "grid"
    device: str = "auto"  # a GPU if there is one
    precision: str = "float32"
    batch_size: int | None = None

    @property
    def runtime(self) -> Runtime:
        options = {field.name: getattr(self, field.name) for field in fields(Runtime) if hasattr(self, field.name)}
        return Runtime(**options)


@dataclass(frozen=True)
class ScoreOptions(ScorerOptions):
    """Options of `genoformer score` and `gf.score`, with their defaults."""

    region: str | None = None  # "chr1:1-200,000", 1-based
    annotations: Annotations | str | Sequence[str] = ()  # NAME=FILE
    matrix: str | Path | None = None
    calibration: Calibration | str | Path | None = None  # None: the model's own, if it has one
    noise_places: int | None = None  # positions; None: one per 20 records, at most 16; for a small model at least 8
    verify: int = 0  # records
    force: bool = False
    fix: str | Iterable[str] = ()
    workers: int | None = None
    threads: int | None = None
    engine: str = "local"
    part_size: int = PART_LIMITS.records

    @property
    def parts(self) -> PartLimits:
        return PartLimits(records=self.part_size)


@dataclass(frozen=True)
class CalibrateOptions(ScorerOptions):
    """Options of `genoformer calibrate`, with their defaults."""

    workers: int | None = None


@dataclass(frozen=True)
class TableOptions(ScorerOptions):
    """Options of `genoformer haplotypes` and `genoformer pairs`, with their defaults."""

    scores: str | Sequence[str] | None = "SAD,SAR501"
    force: bool = False
    fix: str | Iterable[str] = ()


Options = TypeVar("Options", bound=ScorerOptions)


class NamedModels(NamedTuple):
    """Loaded models and their names."""

    models: tuple[Model, ...]
    names: tuple[str | Path, ...]  # as the user wrote them; empty if a loaded model was given

    @property
    def label(self) -> str:
        """Name for messages and headers: the folders, joined by "+"."""
        return "+".join(registry.resolve_model(name).resolve().name for name in self.names) or "model"

    def calibration(self) -> Calibration | None:
        """Return the calibration in the folder of a single model, if there is one; an ensemble has none of its own."""
        path = registry.resolve_model(self.names[0]) / FILE if len(self.names) == 1 else None
        return Calibration.load(path) if path is not None and path.is_file() else None


def load_models(models: ModelName | Sequence[ModelName], need: Need = SCORES_VARIANTS) -> NamedModels:
    """Load models from names or folders, or take loaded models; several form an ensemble.

    Raises ConfigError for other values, CheckpointError for models that lack the needed capability.
    """
    given = [models] if isinstance(models, str | Path) or not isinstance(models, Sequence) else list(models)
    for model in given:
        if not isinstance(model, str | Path | Model):
            raise ConfigError(f"model is a {type(model).__name__}; give the name of a model, its folder, or a loaded model.")
    loaded = tuple(registry.load(model, need) if isinstance(model, str | Path) else model for model in given)
    for model in loaded:
        require(model, need)
    names = tuple(model for model in given if isinstance(model, str | Path))
    return NamedModels(loaded, names if len(names) == len(given) else ())


def parse_options(kind: type[Options], options: Mapping[str, Any], models: Sequence[Model]) -> Options:
    """Return the options as an object; None stands for a default.

    Raises TypeError for an unknown option, ConfigError for an option of track models with a language model.
    """
    given = {name: value for name, value in options.items() if value is not None}
    of_tracks = [name for name in _OF_TRACKS if name in given]
    parsed = kind(**given)
    if of_tracks and not has(models[0], PredictsTracks):
        raise ConfigError(
            f"option {of_tracks[0]} needs a track model, found a language model; leave it out, or choose another model."
        )
    return parsed


def read_scoring(genome: Genome, models: Sequence[Model], options: ScorerOptions) -> Scoring:
    """Return the settings that scores depend on; reads the tables and genes that the options name."""
    scores = tuple(_scores(options.scores, models[0]))
    tracks = _track_options(genome, models[0], options) if has(models[0], PredictsTracks) else None
    return Scoring(tuple(models), scores, options.context, options.strand == "both", tracks)


def _scores(scores: str | Sequence[str] | None, model: Model) -> list[Score]:
    if not scores:
        return default_scores(model)
    return parse_scores(scores if isinstance(scores, str) else ",".join(scores))


def _track_options(genome: Genome, model: Any, options: ScorerOptions) -> TrackOptions:
    table = read_targets(options.targets) if isinstance(options.targets, str | Path) else options.targets
    known = tracks_of(model.config, model.targets, options.head, table)
    head = model.head_named(options.head)
    tracks = known.choose(options.tracks) if isinstance(options.tracks, str) and options.tracks else options.tracks or None
    return TrackOptions(
        head=head,
        targets=table or model.targets.get(head),
        tracks=tracks,
        genes=read_genes(options.gtf, genome) if isinstance(options.gtf, str | Path) else options.gtf,
        settings=parse_comparison(options.shifts, options.indels, options.anchor),
    )


def parse_comparison(shifts: str | Sequence[int], indels: Indels, anchor: Anchor) -> AlleleComparison:
    """Return the settings of windows; ConfigError for shifts that are not whole numbers."""
    texts = shifts.split(",") if isinstance(shifts, str) else shifts
    try:
        return AlleleComparison(tuple(int(text) for text in texts), indels, anchor)
    except ValueError as error:
        raise ConfigError(f"--shifts {shifts}: give whole numbers and commas, such as -1,0,1.") from error


def read_calibration(calibration: Calibration | str | Path | None, models: NamedModels) -> Calibration | None:
    """Return a calibration, read from its path; None: the model's own, if it has one."""
    if calibration is None:
        return models.calibration()
    return Calibration.load(Path(calibration)) if isinstance(calibration, str | Path) else calibration


def read_elements(annotations: Annotations | str | Sequence[str]) -> Annotations | None:
    """Return annotations, read from NAME=FILE; None if there are none."""
    if isinstance(annotations, str | list | tuple):
        return read_annotations(annotations) if annotations else None
    return annotations  # type: ignore[return-value]
