"""Several models, each on its own -> Scoring: the scores of each that fit it, named by model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from genoformer.errors import OptionError
from genoformer.genome.reference import Genome
from genoformer.models.base import SCORES_VARIANTS, Classifies, Model, PredictsTracks, ReadsTokens, has
from genoformer.scoring.options import NEEDS, ModelName, NamedModels, ScorerOptions, load_models
from genoformer.scoring.scores import RECOMMENDED, SCORES
from genoformer.scoring.scoring_choices import chosen_scores, read_scoring
from genoformer.scoring.settings import NamedScoring, Scoring
from genoformer.scoring.support import lacking

_OF_LANGUAGE_MODELS = ("phases", "share_windows")


def read_scoring_of_each(genome: Genome, models: NamedModels, options: ScorerOptions) -> Scoring:
    """Return the settings of the scores of several models, each alone, with the options that it has.

    The names of the scores end in that of their model. Raises OptionError for a score that no model supports, for a model
    without scores, and for models of the same name; and the errors of `read_scoring`.
    """
    labels = models.labels
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise OptionError("each_model", f"names the scores by model, found two models named {twice}; rename the folder of one.")
    parts: list[NamedScoring] = []
    used: set[str] = set()
    for label, members in zip(labels, models.groups(), strict=True):
        names = _fitting(options.scores, members[0])
        if names == []:
            raise OptionError("scores", f"has none that {label} supports; name one for it, or leave the model out.")
        used |= set(names or ())
        one = read_scoring(genome, members, replace(_of_model(options, members[0]), scores=names))
        parts.append(NamedScoring(label, _renamed(one, label)))
    if lost := [name for name in _names(options.scores) if name.upper() not in used and name.lower() != RECOMMENDED]:
        raise OptionError("scores", f"has {lost[0]}, which none of the models supports; leave it out, or name a model for it.")
    scores = tuple(score for _, one in parts for score in one.scores)
    return Scoring(models.models, scores, options.context, options.strand == "both", of_models=tuple(parts))


def choices_of_model(
    model: ModelName, scores: Sequence[str], options: Mapping[str, Any]
) -> tuple[list[str] | None, dict[str, Any]]:
    """Return those of the scores, and of the options of `ScoringJob`, that a model has; None for its default scores.

    Names that are no scores of genoformer are left out, as those of files of another program.
    """
    loaded = load_models(model, SCORES_VARIANTS).models[0]
    known = [name for name in scores if name.upper().removeprefix("GF_") in SCORES or name.lower() == RECOMMENDED]
    fitting = _fitting(known, loaded) or []
    kept = {name: value for name, value in options.items() if name not in NEEDS or has(loaded, NEEDS[name])}
    return (fitting if scores else None), kept


def _names(scores: str | Sequence[str] | None) -> list[str]:
    texts = scores.split(",") if isinstance(scores, str) else list(scores or ())
    return [name for text in texts if (name := text.strip())]


def _fitting(scores: str | Sequence[str] | None, model: Model) -> list[str] | None:
    """Return the names of those of the scores that a model supports; None for its default scores."""
    if not (names := _names(scores)):
        return None
    fitting: list[str] = []
    for name in names:
        if name.lower() == RECOMMENDED:
            fitting += [RECOMMENDED] if has(model, PredictsTracks) else []
            continue
        (score,) = chosen_scores([name], model)
        fitting += [score.name] if lacking(model, score) is None else []
    return fitting


def _of_model(options: ScorerOptions, model: Model) -> ScorerOptions:
    """Return the options with the defaults of those that a model does not have."""
    is_language = has(model, ReadsTokens) and not has(model, (PredictsTracks, Classifies))
    lost = [name for name, needs in NEEDS.items() if not has(model, needs)]
    lost += [] if is_language else _OF_LANGUAGE_MODELS
    defaults: dict[str, Any] = {field.name: field.default for field in fields(options)}
    return replace(options, **{name: defaults[name] for name in lost if name in defaults and name != "matrix"})


def _renamed(scoring: Scoring, label: str) -> Scoring:
    """Return settings whose scores end in the name of the model."""
    scores = tuple(score._replace(name=f"{score.name}_{label}") for score in scoring.scores)
    return replace(scoring, scores=scores, parts=tuple(_renamed(part, label) for part in scoring.parts))
