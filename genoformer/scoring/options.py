"""Options as the command line and notebooks write them -> the objects of a job: models, scores, tracks, genes, tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar, get_args

from genoformer.annotation import Annotations, read_annotations
from genoformer.errors import ConfigError, OptionError
from genoformer.formats.context_table import ContextTable, open_contexts
from genoformer.formats.squashed_scale import SCALES, Scale
from genoformer.formats.track_table import TrackTable
from genoformer.genome.genes import Genes
from genoformer.genome.preflight import fixes_named
from genoformer.genome.region_sources import Regions, region_sources
from genoformer.models import folders, registry
from genoformer.models.base import (
    SCORES_VARIANTS,
    Classifies,
    Embeds,
    Model,
    Need,
    PredictsTracks,
    has,
    require,
)
from genoformer.models.takes_contexts import TakesContexts, with_contexts
from genoformer.option_checks import (
    Strand,
    check_choice,
    check_flag,
    check_kind,
    check_names,
    check_number,
    check_tracks,
)
from genoformer.scoring.alignment import Indels
from genoformer.scoring.calibration import Calibration, fitting_calibration
from genoformer.scoring.parts import PART_LIMITS, PartLimits
from genoformer.scoring.settings import AlleleComparison, Phases, Runtime, Scoring, Tile
from genoformer.scoring.windows import Anchor

ModelName = str | Path | Model
_TRACKS_ONLY = ("tracks", "targets", "head", "gtf", "indels", "anchor", "scale", "noise_places")
_CLASSES_ONLY = ("classes", "tile")
_TRACKS_OR_CLASSES = ("shifts", "matrix")
_CONTEXTS_ONLY = ("contexts",)
_NEEDS: dict[str, tuple[type, ...]] = {  # options that only some models have -> the capabilities
    **dict.fromkeys(_TRACKS_ONLY, (PredictsTracks,)),
    **dict.fromkeys(_CLASSES_ONLY, (Classifies,)),
    **dict.fromkeys(_CONTEXTS_ONLY, (TakesContexts,)),
    **dict.fromkeys(_TRACKS_OR_CLASSES, (PredictsTracks, Classifies)),
}
_KINDS: dict[type, str] = {
    PredictsTracks: "a track model",
    Classifies: "a fine-tuned model",
    Embeds: "a language model",
    TakesContexts: "a model that was trained with contexts",
}


@dataclass(frozen=True)
class ScorerOptions:
    """Options of every command that scores variants; where a file is expected, the object that was read from it also works."""

    scores: str | Sequence[str] | None = None  # None: LLR,PLL, SAD,SAR501 for a track model, LOGIT,DIFF for a fine-tuned one
    context: int | None = None  # bases of a window; None: that of the model
    strand: Strand = "both"
    phases: Phases = "one"  # "all": average over the positions of the variant in its token, for language models
    share_windows: bool = False  # for causal language models: nearby variants are read in one window
    tracks: str | Sequence[int] | None = None  # None: all of the head
    targets: str | Path | TrackTable | None = None  # None: the table of the model
    head: str | Sequence[str] | None = None  # names or patterns, of which only `score` takes several; None: the only head
    gtf: str | Path | Genes | None = None  # for the scores of genes, such as LOGSED
    shifts: str | Sequence[int] = "0"
    indels: Indels = "realign"
    anchor: Anchor = "grid"
    scale: Scale | None = None  # of a model with a squashed scale; None: "original"; "model": the values that it predicts
    classes: str | Sequence[str] | None = None  # names of classes; None: all, of two classes the second
    tile: Tile | None = None  # for a fine-tuned model; None: one window, or the mean over `shifts`
    contexts: str | Path | ContextTable | None = None  # for a model with contexts; None: those of its training
    device: str = "auto"  # a GPU if there is one
    precision: str = "float32"
    batch_size: int | None = None
    several_heads: ClassVar[bool] = False  # True: `head` may be several names, or a pattern

    def __post_init__(self) -> None:
        """Raise OptionError for a value of another kind or out of its range."""
        check_names("scores", self.scores, "names of scores")
        check_number("context", self.context, 1, "bases")
        check_choice("strand", self.strand, get_args(Strand))
        check_choice("phases", self.phases, get_args(Phases))
        check_flag("share_windows", self.share_windows)
        check_tracks("tracks", self.tracks)
        check_kind("targets", self.targets, (str, Path, TrackTable), "the path of a table, or a TrackTable")
        if self.several_heads:
            check_names("head", self.head, "names of heads")
        else:
            check_kind("head", self.head, str, "the name of a head")
        check_kind("gtf", self.gtf, (str, Path, Genes), "the path of a GTF or GFF3, or Genes")
        AlleleComparison.parse(self.shifts, self.indels, self.anchor)
        if self.scale is not None:
            check_choice("scale", self.scale, SCALES)
        check_names("classes", self.classes, "names of classes")
        if self.tile is not None:
            check_choice("tile", self.tile, get_args(Tile))
        check_kind("contexts", self.contexts, (str, Path, ContextTable), "the path of a table, or a ContextTable")
        _ = self.runtime  # checks its own options

    @property
    def runtime(self) -> Runtime:
        options = {field.name: getattr(self, field.name) for field in fields(Runtime) if hasattr(self, field.name)}
        return Runtime(**options)


@dataclass(frozen=True)
class ScoreOptions(ScorerOptions):
    """Options of `genoformer score` and `gf.score`, with their defaults."""

    region: Regions | None = None  # "chr1:1-200,000", 1-based, or the path of a BED, or several
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
    several_heads = True

    def __post_init__(self) -> None:
        super().__post_init__()
        region_sources(self.region)
        if not isinstance(self.annotations, Annotations):
            check_names("annotations", self.annotations, "NAME=FILE or Annotations")
        check_kind("matrix", self.matrix, (str, Path), "the path of a file")
        check_kind("calibration", self.calibration, (str, Path, Calibration), "the path of a file, or a Calibration")
        check_number("noise_places", self.noise_places, 0)
        check_number("verify", self.verify, 0, "records")
        check_number("part_size", self.part_size, 1, "records")
        check_flag("force", self.force)
        check_names("fix", self.fix, "names of fixes")
        fixes_named(self.fix)

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

    force: bool = False
    fix: str | Iterable[str] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag("force", self.force)
        check_names("fix", self.fix, "names of fixes")
        fixes_named(self.fix)


Options = TypeVar("Options", bound=ScorerOptions)


class NamedModels(NamedTuple):
    """Loaded models and their names."""

    models: tuple[Model, ...]
    names: tuple[str | Path, ...]  # as the user wrote them; empty if a loaded model was given
    has_other_contexts: bool = False  # True: the contexts are not those of the folders

    @property
    def label(self) -> str:
        """Name for messages and headers: the folders, joined by "+"."""
        return "+".join(folders.resolve_model(name).resolve().name for name in self.names) or "model"

    def calibration(self, scoring: Scoring) -> Calibration | None:
        """Return the calibration in the folder of a single model that fits the head and scores best; None without any.

        An ensemble has none of its own.
        """
        if len(self.names) != 1 or self.has_other_contexts or scoring.parts:
            return None
        return fitting_calibration(folders.resolve_model(self.names[0]), scoring.head, scoring.names.split(","))


def models_with_contexts(named: NamedModels, contexts: str | Path | ContextTable | None) -> NamedModels:
    """Return the models with the contexts of a table, or of its path; None: with their own."""
    table = open_contexts(contexts)
    if table is None:
        return named
    return named._replace(models=tuple(with_contexts(model, table) for model in named.models), has_other_contexts=True)


def load_models(models: ModelName | Sequence[ModelName], need: Need = SCORES_VARIANTS) -> NamedModels:
    """Load models from names or folders, or take loaded models; several form an ensemble, as do those of a run of `finetune`.

    Raises ConfigError for other values, CheckpointError for models that lack the needed capability.
    """
    given = [models] if isinstance(models, str | Path) or not isinstance(models, Sequence) else list(models)
    for model in given:
        if not isinstance(model, str | Path | Model):
            raise ConfigError(f"model is a {type(model).__name__}; give the name of a model, its folder, or a loaded model.")
    members = [registry.load_members(model, need) if isinstance(model, str | Path) else [model] for model in given]
    loaded = tuple(chain.from_iterable(members))
    for model in loaded:
        require(model, need)
    names = tuple(model for model in given if isinstance(model, str | Path))
    return NamedModels(loaded, names if len(names) == len(given) else ())


def parse_options(kind: type[Options], options: Mapping[str, Any], models: Sequence[Model]) -> Options:
    """Return the options as an object; None stands for a default.

    Raises TypeError for an unknown option, ConfigError for an option that the model does not have.
    """
    given = {name: value for name, value in options.items() if value is not None}
    parsed = kind(**given)
    for name in (name for name in _NEEDS if name in given):
        if not has(models[0], _NEEDS[name]):
            needed = " or ".join(_KINDS[capability] for capability in _NEEDS[name])
            found = next(text for capability, text in _KINDS.items() if has(models[0], capability))
            raise OptionError(name, f"needs {needed}, found {found}; leave it out, or choose another model.")
    return parsed


def read_calibration(calibration: Calibration | str | Path | None, models: NamedModels, scoring: Scoring) -> Calibration | None:
    """Return a calibration, read from its path; None: the model's own for these scores, if it has one."""
    if calibration is None:
        return models.calibration(scoring)
    return Calibration.load(Path(calibration)) if isinstance(calibration, str | Path) else calibration


def read_elements(annotations: Annotations | str | Sequence[str]) -> Annotations | None:
    """Return annotations, read from NAME=FILE; None if there are none."""
    if isinstance(annotations, Annotations):
        return annotations
    return read_annotations(annotations) if annotations else None
