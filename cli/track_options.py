"""Options of the commands that score variants with a track model."""

from __future__ import annotations

from typing import Any

import click

from . import options as shared

window_options = shared.option_group(
    click.option(
        "--shifts",
        metavar="BASES",
        default="0",
        show_default=True,
        help="Offsets of the windows in bases, such as -1,0,1; scores are averaged over them.",
    ),
    click.option(
        "--indels",
        type=click.Choice(["realign", "stitch", "left", "right", "symmetric"]),
        default="realign",
        show_default=True,
        help="Method to compare tracks of an insertion or deletion; see --explain.",
    ),
    click.option(
        "--anchor",
        type=click.Choice(["grid", "variant"]),
        default="grid",
        show_default=True,
        help="Position of windows: on a grid that neighbouring variants share, or centred on the variant.",
    ),
)
track_options = shared.option_group(
    shared.tracks,
    shared.targets,
    shared.head,
    click.option("--gtf", type=click.Path(), help="Gene annotation, for LOGSED."),
    window_options,
)
_NAMES = ("spec", "targets", "head", "gtf", "shifts", "indels", "anchor")


def of_tracks(ctx: click.Context, model: Any, genome: Any, *others: str) -> Any:
    """Return the options of a track model as TrackOptions; None for another model.

    Raises ConfigError if one of these options, or of `others`, was given for another model.
    """
    from genoformer.errors import ConfigError
    from genoformer.formats.track_table import read_targets
    from genoformer.genome.genes import read_genes
    from genoformer.inference.track_prediction import tracks_of
    from genoformer.models.enformer.model import Enformer
    from genoformer.scoring.scorers import TrackOptions

    options = ctx.params
    given = [name for name in (*_NAMES, *others) if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE]
    if not isinstance(model, Enformer):
        if given:
            name = {"spec": "tracks", "n_noise": "noise"}.get(given[0], given[0])
            raise ConfigError(f"--{name} is of models of tracks, and this is a language model; leave it out, or change -m.")
        return None
    table = read_targets(options["targets"]) if options["targets"] else None
    known = tracks_of(model.config, model.targets, options["head"], table)
    head = model.head_named(options["head"])
    return TrackOptions(
        head=head,
        targets=table or model.targets.get(head),
        tracks=known.choose(options["spec"]) if options["spec"] else None,
        genes=read_genes(options["gtf"], genome) if options["gtf"] else None,
        settings=window_settings(options["shifts"], options["indels"], options["anchor"]),
    )


def window_settings(shifts: str, indels: Any, anchor: Any) -> Any:
    """Return the window settings from the options; raise ConfigError for shifts that are not numbers."""
    from genoformer.errors import ConfigError
    from genoformer.scoring.track_scorer import AlleleComparison

    try:
        moved = tuple(int(text) for text in shifts.split(","))
    except ValueError as error:
        raise ConfigError(f"--shifts {shifts}: give whole numbers and commas, such as -1,0,1.") from error
    return AlleleComparison(shifts=moved, indels=indels, anchor=anchor)
