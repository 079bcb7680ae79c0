"""Options as the command line and notebooks write them -> the objects of a job: models, scores, tracks, genes, tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from genoformer.annotation import Annotations, read_annotations
from genoformer.errors import ConfigError, OptionError
from genoformer.formats.context_table import ContextTable, open_contexts
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
from genoformer.scoring.calibration import Calibration, fitting_calibration
from genoformer.scoring.command_options import ScorerOptions
from genoformer.scoring.settings import Scoring

ModelName = str | Path | Model
_TRACKS_ONLY = ("tracks", "targets", "head", "gtf", "indels", "anchor", "scale", "noise_places")
_CLASSES_ONLY = ("classes", "tile")
_TRACKS_OR_CLASSES = ("shifts", "matrix")
_CONTEXTS_ONLY = ("contexts",)
NEEDS: dict[str, tuple[type, ...]] = {  # options that only some models have -> the capabilities
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
    sizes: tuple[int, ...] = ()  # number of models of each that was given; that of an ensemble's folder is more than one

    @property
    def label(self) -> str:
        """Name for messages and headers: the folders, joined by "+"."""
        return "+".join(self.labels) if self.names else "model"

    @property
    def labels(self) -> list[str]:
        """Names of the models that were given: those of their folders, or model1, model2 ... for loaded ones."""
        if self.names:
            return [folders.resolve_model(name).resolve().name for name in self.names]
        return [f"model{i}" for i in range(1, len(self.sizes) + 1)]

    @property
    def member_names(self) -> list[str]:
        """Name of each of `models`: the label of the folder that it is from; "model" for a loaded model alone."""
        labels = self.labels if self.names or len(self.sizes) > 1 else ["model"]
        return [label for label, size in zip(labels, self.sizes, strict=True) for _ in range(size)]

    def groups(self) -> list[tuple[Model, ...]]:
        """Return the models of each that was given."""
        ends = list(accumulate(self.sizes))
        return [self.models[end - size : end] for end, size in zip(ends, self.sizes, strict=True)]

    def cautions(self, contigs: Collection[str]) -> tuple[str, ...]:
        """Return what the cards of the models warn of on a genome with these contigs."""
        return tuple(dict.fromkeys(note for name in self.names for note in folders.cautions(name, contigs)))

    def calibration(self, scoring: Scoring) -> Calibration | None:
        """Return the calibration in the folder of a single model that fits the head and scores best; None without any.

        An ensemble has none of its own.
        """
        if len(self.names) != 1 or self.has_other_contexts or scoring.has_parts:
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
    return NamedModels(loaded, names if len(names) == len(given) else (), sizes=tuple(map(len, members)))


def parse_options(kind: type[Options], options: Mapping[str, Any], models: Sequence[Model]) -> Options:
    """Return the options as an object; None stands for a default.

    Raises TypeError for an unknown option, ConfigError for an option that the model does not have.
    """
    given = {name: value for name, value in options.items() if value is not None}
    parsed = kind(**given)
    for name in (name for name in NEEDS if name in given):
        if not any(has(model, NEEDS[name]) for model in (models if parsed.is_of_each_model else models[:1])):
            needed = " or ".join(_KINDS[capability] for capability in NEEDS[name])
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
