"""Options as the command line and notebooks write them -> the objects of a job: models, scores, tracks, genes, tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from genoformer.annotation import Annotations, read_annotations
from genoformer.errors import ConfigError, OptionError
from genoformer.formats.context_table import ContextTable, open_contexts
from genoformer.formats.track_table import open_targets
from genoformer.genome.genes import Genes, read_genes
from genoformer.genome.reference import Genome
from genoformer.inference.track_prediction import head_tracks
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
    whole_numbers,
)
from genoformer.scoring.calibration import FILE, Calibration
from genoformer.scoring.command_options import ScorerOptions
from genoformer.scoring.score_types import Score
from genoformer.scoring.scored_heads import scored_head, scored_heads
from genoformer.scoring.scorers import default_scores
from genoformer.scoring.scores import RECOMMENDED, parse_scores
from genoformer.scoring.settings import AlleleComparison, ClassOptions, Scoring, TrackOptions

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

    def calibration(self) -> Calibration | None:
        """Return the calibration in the folder of a single model, if there is one; an ensemble has none of its own."""
        one = len(self.names) == 1 and not self.has_other_contexts
        path = folders.resolve_model(self.names[0]) / FILE if one else None
        return Calibration.load(path) if path is not None and path.is_file() else None


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


def read_scoring(genome: Genome, models: Sequence[Model], options: ScorerOptions) -> Scoring:
    """Return the settings that scores depend on; reads the tables and genes that the options name."""
    scores = tuple(chosen_scores(options.scores, models[0], options.head))
    tracks = _track_options(genome, models[0], options, scores) if has(models[0], PredictsTracks) else None
    classes = _class_options(models[0], options) if has(models[0], Classifies) else None
    return Scoring(
        tuple(models),
        scores,
        options.context,
        options.strand == "both",
        tracks,
        classes,
        options.phases,
        options.share_windows,
    )


def chosen_scores(scores: str | Sequence[str] | None, model: Any, head: str | None = None) -> list[Score]:
    """Return the scores with these names; "recommended" stands for those that the authors of the model recommend for the head.

    None: the default scores of the model and the head.
    Raises ConfigError for an unknown score, OptionError if none is recommended.
    """
    if not scores:
        return default_scores(model, head)
    names = scores.split(",") if isinstance(scores, str) else list(scores)
    chosen: list[str] = []
    for name in (name.strip() for name in names):
        chosen += _recommended(model, head) if name.lower() == RECOMMENDED else [name]
    return parse_scores(",".join(chosen))


def _recommended(model: Any, head: str | None) -> Sequence[str]:
    if not has(model, PredictsTracks):
        raise OptionError("scores", f"is {RECOMMENDED}, which is of track models such as AlphaGenome; name the scores.")
    name = scored_head(model, head)
    names: Sequence[str] = model.recommended_scores(name)
    if not names:
        problem = f"is {RECOMMENDED}, but the authors of this model recommend no scores for head {name}; name the scores."
        raise OptionError("scores", problem)
    return names


def _track_options(genome: Genome, model: Any, options: ScorerOptions, scores: Sequence[Score]) -> TrackOptions:
    table = open_targets(options.targets)
    head = scored_head(model, options.head)
    heads = scored_heads(model)
    known = head_tracks(heads, head, table)
    return TrackOptions(
        head=head,
        targets=table or heads[head].table,
        tracks=None if options.tracks is None else known.choose(options.tracks),
        genes=read_score_genes(options.gtf, genome, scores),
        settings=AlleleComparison.parse(options.shifts, options.indels, options.anchor),
        scale=options.scale or "original",
    )


def read_score_genes(gtf: str | Path | Genes | None, genome: Genome, scores: Sequence[Score]) -> Genes | None:
    """Return the genes of a path, with their transcripts if a score needs them; genes and None are returned as they are."""
    if not isinstance(gtf, str | Path):
        return gtf
    return read_genes(gtf, genome, transcripts=any(score.input.needs_transcripts for score in scores))


def _class_options(model: Any, options: ScorerOptions) -> ClassOptions:
    classes = None if options.classes is None else choose_classes(model.task.names, options.classes)
    return ClassOptions(classes, whole_numbers("shifts", options.shifts, "-1,0,1"), options.tile)


def choose_classes(names: Sequence[str], chosen: str | Sequence[str]) -> list[int]:
    """Return the numbers of the classes that a list of names or a text selects, each once, in the order of the text.

    Commas separate the names in a text; a name may hold commas if it is the whole text. A part with * ? [...] is a pattern.
    Raises OptionError for a part that selects no class, with the names of the classes.

    >>> choose_classes(("promoter", "enhancer", "other"), "other,*er")
    [2, 0, 1]
    """
    parts = (
        [chosen] if isinstance(chosen, str) and chosen in names else chosen.split(",") if isinstance(chosen, str) else chosen
    )
    if not parts:
        raise OptionError("classes", "is empty, expected classes of the model; name some, or leave it out.")
    numbers: list[int] = []
    for part in (str(part).strip() for part in parts):
        matched = [names.index(part)] if part in names else [i for i, name in enumerate(names) if fnmatchcase(name, part)]
        if not matched:
            raise OptionError("classes", f"has {part!r}, expected classes of the model; name some of {', '.join(names)}.")
        numbers += matched
    return list(dict.fromkeys(numbers))


def read_calibration(calibration: Calibration | str | Path | None, models: NamedModels) -> Calibration | None:
    """Return a calibration, read from its path; None: the model's own, if it has one."""
    if calibration is None:
        return models.calibration()
    return Calibration.load(Path(calibration)) if isinstance(calibration, str | Path) else calibration


def read_elements(annotations: Annotations | str | Sequence[str]) -> Annotations | None:
    """Return annotations, read from NAME=FILE; None if there are none."""
    if isinstance(annotations, Annotations):
        return annotations
    return read_annotations(annotations) if annotations else None
