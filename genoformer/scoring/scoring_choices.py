"""Options of a command -> Scoring: the scores of one head or of several, tracks, classes and genes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from genoformer.errors import ConfigError, OptionError, OptionErrors
from genoformer.formats.track_table import open_targets
from genoformer.genome.genes import Genes, read_genes
from genoformer.genome.reference import Genome
from genoformer.inference.track_prediction import head_tracks
from genoformer.models.base import Classifies, Head, Model, PredictsTracks, has
from genoformer.models.published import require_table
from genoformer.option_checks import whole_numbers
from genoformer.scoring.options import ScorerOptions
from genoformer.scoring.score_types import Score
from genoformer.scoring.scored_heads import chosen_heads, fits_head, require_genes, scored_head, scored_heads
from genoformer.scoring.scorers import default_scores
from genoformer.scoring.scores import RECOMMENDED, parse_scores
from genoformer.scoring.settings import AlleleComparison, ClassOptions, Scoring, TrackOptions


def read_scoring(genome: Genome, models: Sequence[Model], options: ScorerOptions) -> Scoring:
    """Return the settings that scores depend on; reads the tables and genes that the options name.

    Raises OptionErrors for several faults in head, table of tracks and genes; one fault has its own error.
    """
    if has(models[0], PredictsTracks):
        _check_together(models[0], options)
    heads = chosen_heads(models[0], options.head) if has(models[0], PredictsTracks) and options.head is not None else []
    if len(heads) > 1:
        return _of_heads(genome, models, options, heads)
    head = heads[0] if heads else None
    scores = tuple(chosen_scores(options.scores, models[0], head))
    tracks = _track_options(genome, models[0], options, head, scores) if has(models[0], PredictsTracks) else None
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


def _check_together(model: Any, options: ScorerOptions) -> None:
    """Raise OptionErrors if the head, the table of its tracks or the genes are missing or wrong, and more than one of them."""
    errors: list[ConfigError] = []
    heads = scored_heads(model)
    names: list[str] = []
    try:
        names = [scored_head(model, None)] if options.head is None else chosen_heads(model, options.head)
    except ConfigError as error:
        errors.append(error)
    checked = names or list(model.track_heads)[:1]
    checks = [partial(_require_table, heads[name], options) for name in checked]
    if options.scores:
        checks.append(partial(_require_genes, model, names[0] if names else None, options))
    for check in checks:
        try:
            check()
        except ConfigError as error:
            if str(error) not in map(str, errors):
                errors.append(error)
    if len(errors) > 1:
        raise OptionErrors(errors)


def _require_table(head: Head, options: ScorerOptions) -> None:
    if options.targets is None:
        require_table(head, head.table, both_strands=options.strand == "both", scale=options.scale or "original")


def _require_genes(model: Any, head: str | None, options: ScorerOptions) -> None:
    require_genes(chosen_scores(options.scores, model, head), options.gtf)


def _of_heads(genome: Genome, models: Sequence[Model], options: ScorerOptions, heads: Sequence[str]) -> Scoring:
    """Return the settings of the scores of several heads, each with those that fit it; their names end in that of the head.

    Raises OptionError for a score that fits none of the heads, and for a head without scores.
    """
    if options.targets is not None:
        raise OptionError("targets", f"is the table of one head, found {len(heads)} heads; leave it out.")
    parts: list[Scoring] = []
    used: set[str] = set()
    wanted = {head: chosen_scores(options.scores, models[0], head) for head in heads}
    genes = read_score_genes(options.gtf, genome, list(chain.from_iterable(wanted.values())))
    for head, scores in wanted.items():
        fitting = [score for score in scores if fits_head(models[0], head, score)]
        if not fitting:
            raise OptionError("head", f"has {head}, which none of the scores fits; leave it out, or name a score of it.")
        used |= {score.name for score in fitting}
        one = read_scoring(genome, models, replace(options, head=head, scores=[score.name for score in fitting], gtf=genes))
        parts.append(replace(one, models=(), scores=tuple(score._replace(name=f"{score.name}_{head}") for score in fitting)))
    if lost := [score.name for scores in wanted.values() for score in scores if score.name not in used]:
        raise OptionError("scores", f"has {lost[0]}, which fits none of the heads; leave it out, or name a head for it.")
    every = tuple(score for part in parts for score in part.scores)
    return replace(parts[0], models=tuple(models), scores=every, tracks=None, parts=tuple(parts))


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


def _track_options(
    genome: Genome, model: Any, options: ScorerOptions, named: str | None, scores: Sequence[Score]
) -> TrackOptions:
    table = open_targets(options.targets)
    head = scored_head(model, named)
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
