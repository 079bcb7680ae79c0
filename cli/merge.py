"""Define the command genoformer merge, and print what the commands that it joins have in common."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from .json_output import json_option
from .verbosity import Command, print_note


@click.command(cls=Command, short_help="Merge the parts of runs with --shard.")
@click.argument("output", type=click.Path())
@json_option
@click.pass_context
def merge(ctx: click.Context, output: str, as_json: bool) -> None:
    """Write OUTPUT from the parts that a command with --shard saved next to it, with the options of that command.

    \b
    genoformer score in.vcf.gz -f hg38.fa -m borzoi -o out.vcf.gz --shard 1/2
    genoformer score in.vcf.gz -f hg38.fa -m borzoi -o out.vcf.gz --shard 2/2
    genoformer merge out.vcf.gz

    If a shard has not finished, an error names it and its command.
    """
    from contextlib import chdir

    from genoformer.compute import MissingPartsError, resumed_command, split_shard
    from genoformer.errors import ConfigError

    folder, arguments = resumed_command(Path(output))
    keep, shard = split_shard(arguments)
    if not folder.is_dir():
        raise ConfigError(f"the folder {folder}, where the shards were started, does not exist; restore it to merge them.")
    command: click.Command = ctx.find_root().command
    words = iter(keep)
    while isinstance(command, click.Group):  # options of a group may stand before the name of its command
        group = command
        command = next(group.commands[word] for word in words if word in group.commands)
    options = [*words, "--assemble"]
    if as_json and "--json" not in options:
        if not any("--json" in parameter.opts for parameter in command.params):
            raise ConfigError(f"{command.name} has no numbers at its end; leave --json out.")
        options.append("--json")
    try:
        with chdir(folder), command.make_context(command.name, options, parent=ctx.parent) as inner:
            command.invoke(inner)
    except MissingPartsError as error:
        raise error.with_command(folder, keep, shard) from error


def print_shard(shard: tuple[int, int], summary: Any, output: str) -> None:
    """Print the number of finished parts, and the command that joins the shards."""
    done = f"{summary.parts - summary.missing:,} of {summary.parts:,} parts are done"
    print_note(f"shard {shard[0]}/{shard[1]}: {done}; when all are: genoformer merge {shlex.quote(output)}")


def print_reused(n_parts: int, *, joined: bool) -> None:
    """Print how many parts were there before the run; joined: `merge` has joined those of the shards."""
    from genoformer.compute import reused_note

    if n_parts:
        print_note(reused_note(n_parts, joined))
