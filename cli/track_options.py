"""Options of the commands that score variants with a track model or a fine-tuned model."""

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
tile = click.option(
    "--tile",
    type=click.Choice(["mean", "max"]),
    help="For a fine-tuned model, score the variant in several windows (those of --shifts, or five with the variant at 10, 30, "
    "50, 70 and 90 %), and keep the mean or the largest |score|.  [default: one window, the variant in its middle]",
)
class_options = shared.option_group(
    click.option(
        "--classes",
        metavar="NAMES",
        help="Classes of a fine-tuned model, by name or pattern, separated by commas.  [default: all; of two, the second]",
    ),
    tile,
)
_gtf = click.option("--gtf", type=click.Path(), help="Gene annotation (GTF or GFF3), for the scores of genes, such as LOGSED.")
track_options = shared.option_group(
    shared.tracks, shared.targets, shared.head, shared.score_scale, shared.contexts, _gtf, window_options
)
options_of_heads = shared.option_group(  # the same for several heads
    shared.tracks, shared.targets, shared.heads, shared.score_scale, shared.contexts, _gtf, window_options
)


def given_options(ctx: click.Context, *others: str) -> dict[str, Any]:
    """Return the options that the user gave, by the names of a job's options; defaults and `others` are left out."""
    given = {
        name: value
        for name, value in ctx.params.items()
        if name not in others and ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    }
    return {shared.NAMES.get(name, name): value for name, value in shared.with_regions(given).items()}
