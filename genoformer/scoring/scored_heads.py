"""Heads that scores can be of: those of tracks, and those of pairs of positions (contact maps, splice junctions)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genoformer.errors import ConfigError, OptionError
from genoformer.genome.genes import Genes
from genoformer.inference.head_readers import heads_named
from genoformer.models.base import CONTACTS, JUNCTIONS, TRACKS, Head, PredictsPairs, has
from genoformer.models.track_model import TrackModel, head_named, named_heads
from genoformer.scoring.score_types import Score

KINDS_IN_WORDS = {TRACKS: "tracks", CONTACTS: "contact maps", JUNCTIONS: "splice junctions"}


def scored_heads(model: Any) -> Mapping[str, Head]:
    """Return the heads of a track model that scores can be of, by name."""
    return {**model.track_heads, **model.pair_heads} if has(model, PredictsPairs) else model.track_heads


def scored_head(model: Any, name: str | None) -> str:
    """Return the name of the given head, or of the only head of tracks; ConfigError with the names of all heads otherwise."""
    return head_named(model.track_heads if name is None and len(model.track_heads) == 1 else scored_heads(model), name)


def chosen_heads(model: Any, names: str | Sequence[str] | None) -> list[str]:
    """Return the names of heads that names or patterns select, such as human_*_1bp, each once, in their order.

    Raises ConfigError for a name or pattern without a head, with the names of all heads.
    """
    return [scored_head(model, None)] if names is None else heads_named(scored_heads(model), names)


def fits_head(model: Any, head: str, score: Score) -> bool:
    """True if a score is of the kind of a head, and of its measurement if it needs one."""
    output, needed = model.output_of(head), score.input.measurement
    return score.input.output == scored_heads(model)[head].kind and (not output or not needed or output == needed)


def check_scores(model: Any, head: str, scores: Sequence[Score], genes: Genes | None) -> None:
    """Raise ConfigError for scores that need another model, another head or genes."""
    for kind, bad in (
        ("a language model", [score.name for score in scores if score.input.needs_bases]),
        ("a fine-tuned model", [score.name for score in scores if score.of_classes]),
    ):
        if bad:
            verb = "needs" if len(bad) == 1 else "need"
            raise ConfigError(f"{', '.join(bad)} {verb} {kind}, and this one predicts tracks; choose others.")
    heads = scored_heads(model)
    kind = heads[head].kind
    if other := [score for score in scores if score.input.output != kind]:
        found, needed = KINDS_IN_WORDS[kind], KINDS_IN_WORDS[other[0].input.output]
        fitting = [name for name, one in heads.items() if one.kind == other[0].input.output]
        remedy = f"give one of {named_heads(fitting)}." if fitting else "choose another score or model."
        raise OptionError("head", f"is {head}, which predicts {found}, and {other[0].name} needs {needed}; {remedy}")
    output = model.output_of(head)
    for score in scores:
        needed = score.input.measurement
        if output and needed and output != needed:
            fitting = [name for name in heads if model.output_of(name) == needed]
            remedy = f"give one of {named_heads(fitting)}." if fitting else "choose another score or model."
            raise OptionError("head", f"is {head}, which predicts {output}, and {score.name} needs {needed}; {remedy}")
    require_genes(scores, genes)


def require_genes(scores: Sequence[Score], genes: object) -> None:
    """Raise OptionError for scores of genes without genes (None)."""
    of_genes = [score for score in scores if score.input.per_gene]
    if genes is None and of_genes:
        name, bins = of_genes[0].name, of_genes[0].input.bins
        raise OptionError("gtf", f"is missing, and {name} compares {bins}; give a GTF or GFF3.")


def check_ensemble(models: Sequence[TrackModel], head: str) -> None:
    """Raise ConfigError unless all models of an ensemble predict the same tracks of the same windows."""
    first = models[0]
    for other in models[1:]:
        heads = [scored_heads(model).get(head, Head(0, 0)) for model in (first, other)]
        shapes = [
            {
                "bases of a window": model.config.context_length,
                "bases of a bin": shape.bin_size,
                "bins": shape.target_bins,
                f"tracks of head {head}": shape.n_tracks,
            }
            for model, shape in zip((first, other), heads, strict=True)
        ]
        for what, n in shapes[0].items():
            if shapes[1][what] != n:
                raise ConfigError(
                    f"the models of an ensemble have {n:,} and {shapes[1][what]:,} {what}, expected the same number; score "
                    "each model alone."
                )
        names = [[track.identifier for track in shape.table or ()] for shape in heads]
        if all(names) and names[0] != names[1]:
            differing = next((a, b) for a, b in zip(*names, strict=True) if a != b)
            raise ConfigError(
                f"the models of an ensemble name a track of head {head} {differing[0]} and {differing[1]}, expected the same "
                "tracks; score each model alone."
            )
