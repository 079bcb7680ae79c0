"""Header of a scored VCF -> the scorer of its scores, as far as it can be reconstructed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast, get_args

from genoformer.errors import ConfigError
from genoformer.formats.squashed_scale import SCALES
from genoformer.genome.reference import Genome
from genoformer.models.base import Classifies, Model, PredictsPairs, PredictsTracks, has
from genoformer.scoring.score_types import Score
from genoformer.scoring.scored_heads import KINDS_IN_WORDS
from genoformer.scoring.scorers import default_scores, make_scorer
from genoformer.scoring.scores import SCORES
from genoformer.scoring.settings import AlleleComparison, ClassOptions, Scoring, Tile, TrackOptions, sha256_of_models
from genoformer.scoring.variant_scorer import VariantScorer


class Remade(NamedTuple):
    """A reconstructed scorer, a flag for the same models as the scores, and remarks on differences."""

    scorer: VariantScorer
    same_models: bool
    remarks: tuple[str, ...]


def remade(options: Mapping[str, str], made_by: str, models: Sequence[Model], name: str, genome: Genome) -> Remade:
    """Return the scorer with the options of a header: scores, window, strands, head, tracks, shifts, alignment and anchor.

    made_by: the header line about the model; name: the model that draws the figures. The remarks list the differences from the
    original run: other weights, missing genes of a GTF, bfloat16, and options unknown to the model, replaced by its defaults.
    """
    remarks = []
    known = sha256_of_models(models)
    same = not made_by or "in memory" in (known, made_by) or known in made_by
    if not same:
        remarks.append(f"Drawn by {name}, which did not make these scores.")
    if not options:
        remarks.append("The header does not say how the scores were made; windows and strands are the defaults of `score`.")
    if options.get("precision", "float32") != "float32":
        remarks.append(f"The scores were made in {options['precision']}, the figures in float32.")
    options, of_heads = _of_first_head(options)
    remarks += of_heads
    scores = [SCORES[text] for text in options.get("scores", "").split(",") if text in SCORES]
    if of_genes := [score.name for score in scores if score.input.per_gene]:
        remarks.append(f"{', '.join(of_genes)} took the genes of {options.get('genes', 'a GTF')}, which are not read here.")
        scores = [score for score in scores if not score.input.per_gene]
    pairs = cast(PredictsPairs, models[0]).pair_heads if has(models[0], PredictsPairs) else {}
    of_pairs = options.get("head", "") in pairs
    if of_pairs:
        kind = KINDS_IN_WORDS[pairs[options["head"]].kind]
        remarks.append(f"The scores are of {options['head']}; {kind} are not drawn, the figures are of a head of tracks.")
    try:
        if not of_pairs:
            return Remade(_scorer(options, models, genome, scores), same, tuple(remarks))
    except (ConfigError, ValueError) as error:
        if options:
            remarks.append(f"The options of the header are not for {name} ({str(error).rstrip('.')}); its defaults are taken.")
    heads = list(cast(PredictsTracks, models[0]).track_heads) if has(models[0], PredictsTracks) else []
    default = {"head": options["head"] if options.get("head") in heads else heads[0]} if heads else {}
    try:
        scorer = _scorer(default, models, genome, [])
    except ConfigError:
        scorer = _scorer(default | {"strands": "forward"}, models, genome, [])
        remarks.append("The model does not say which tracks are strand pairs: the forward strand is drawn.")
    return Remade(scorer, same, tuple(remarks))


def _of_first_head(options: Mapping[str, str]) -> tuple[Mapping[str, str], list[str]]:
    """Return the options of the first of several heads, with the names of its scores, and a remark; of one head all of them."""
    head, *others = options.get("head", "").split(",")
    if not others:
        return options, []
    end = f"_{head}"
    names = [name.removesuffix(end) for name in options.get("scores", "").split(",") if name.endswith(end)]
    tracks = {"tracks": text} if (text := options.get(f"tracks of {head}")) else {}
    remark = f"The scores are of {1 + len(others)} heads; the figures are of {head}."
    return {**options, "head": head, "scores": ",".join(names), **tracks}, [remark]


def _scorer(options: Mapping[str, str], models: Sequence[Model], genome: Genome, scores: Sequence[Score]) -> VariantScorer:
    """Return the scorer with these options. Raises ConfigError or ValueError for options that do not fit the models."""
    context = options.get("context", "")
    settings = Scoring(
        tuple(models),
        tuple(scores or default_scores(models[0])),
        context=int(context) if context.isdecimal() else None,
        both_strands=options.get("strands", "both") == "both",
    )
    if has(models[0], Classifies) and "head" not in options:
        return make_scorer(genome, replace(settings, classes=_class_options(options)))
    how: dict[str, Any] = {name: options[name] for name in ("indels", "anchor") if name in options}
    if "shifts" in options:
        how["shifts"] = tuple(int(text) for text in options["shifts"].split(","))
    tracks = [int(text) for text in options["tracks"].split(",")] if "tracks" in options else None
    of_tracks = None
    if how or tracks or "head" in options:
        scale = next((name for name in SCALES if name == options.get("scale")), SCALES[0])
        of_tracks = TrackOptions(options.get("head"), tracks=tracks, settings=AlleleComparison(**how), scale=scale)
    return make_scorer(genome, replace(settings, tracks=of_tracks))


def _class_options(options: Mapping[str, str]) -> ClassOptions:
    """Return the classes and windows in a header; ConfigError for a way to tile that is unknown."""
    classes = tuple(int(text) for text in options["classes"].split(",")) if "classes" in options else None
    shifts = tuple(int(text) for text in options.get("shifts", "0").split(","))
    tile = options.get("tile", "mean")
    if tile not in get_args(Tile):
        raise ConfigError(f"tile is {tile!r}; expected one of {', '.join(get_args(Tile))}.")
    return ClassOptions(classes, shifts, cast(Tile, tile) if len(shifts) > 1 else None)
