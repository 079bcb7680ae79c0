"""Options that several commands have, each with one meaning and one help; click alone is imported."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

Command = Callable[..., Any]


class _ModelName(click.ParamType):
    """A folder, or a name: a shell completes both."""

    name = "model"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from genoformer.catalog import read_catalog, shipped

        names = [*shipped(), *read_catalog()["models"]]
        return [CompletionItem(incomplete, type="dir"), *map(CompletionItem, starting(names, incomplete))]


def starting(names: Iterable[str], incomplete: str) -> list[str]:
    """Those that a shell may complete a word to."""
    return sorted(name for name in names if name.startswith(incomplete))


MODEL = _ModelName()

reference = click.option("-f", "--fasta", required=True, type=click.Path(), help="The reference: FASTA, or gzipped, bgzipped.")
genome_of_bed = click.option("-f", "--fasta", type=click.Path(), help="The genome, where DATA is a BED.")
label = click.option(
    "--label", metavar="COLUMN", multiple=True, help="Label column; by default all whose name begins with label."
)
context = click.option(
    "--context", type=click.IntRange(min=1), metavar="BASES", help="Bases in a window; the model's own by default."
)
strand = click.option(
    "--strand",
    type=click.Choice(["both", "forward"]),
    default="both",
    show_default=True,
    help="Mean over both strands, or the forward one alone.",
)
device = click.option(
    "--device", default="auto", show_default=True, help="cpu, cuda, cuda:1 ...; auto takes a GPU where there is one."
)
precision = click.option("--precision", type=click.Choice(["float32", "bfloat16"]), default="float32", show_default=True)
batch_size = click.option(
    "--batch-size", type=click.IntRange(min=1), metavar="WINDOWS", help="Found by itself; name one to fix it."
)
force = click.option("--force", is_flag=True, help="Go on where the preflight would stop.")


def _fixes(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    if not given:
        return ()
    from genoformer.genome.preflight import fixes_named

    return fixes_named(given)


fix = click.option(
    "--fix",
    multiple=True,
    metavar="HOW",
    callback=_fixes,
    help="Score records whose REF disagrees as they are meant, where it explains 90 % of them: swap (REF and ALT), "
    "strand (alleles of the other strand), shift (positions counted from 0); several with commas.",
)
tracks = click.option(
    "--tracks", "spec", metavar="SPEC", help="Numbers, names or patterns: 5, 0-10, CAGE, '*liver*'.  [default: all]"
)
targets = click.option("--targets", type=click.Path(), help="Table of the head's tracks, where the model has none of its own.")
head = click.option("--head", metavar="NAME", help="Such as human, where the model has several.")


columns = click.option(
    "--columns",
    metavar="KEY=COLUMN,...",
    help="Which column of the BED is which: chrom, start, end, name, score, strand, signal, summit, blocks; "
    "base=1 counts from 1.",
)
columns_of_files = click.option(
    "--columns",
    multiple=True,
    metavar="[NAME:]KEY=COLUMN,...",
    help="Which column of a file is which: chrom, start, end, name, score, strand, signal, summit, blocks; "
    "base=1 counts from 1.",
)


def option_group(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """One decorator that adds the options to a command in this order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add
