"""Define -m and MODEL, which list the models that are here where they are missing, and print the cautions of a model's card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from .options import MODEL
from .verbosity import print_note

_WIDTH = 11  # of a name in the list


class MissingModelError(click.ClickException):
    """No model is named: the models that are here and what each is good for, with exit status 2."""

    exit_code = 2

    def __init__(self, by: str = "with -m: ") -> None:
        from genoformer.catalog import models_here

        super().__init__(
            "\n".join(
                [
                    f"no model is named; give one {by}its folder, or a name.",
                    *(f"  {name:<{_WIDTH}} {use}" for name, use in models_here()),
                    "  for effects of variants: genoformer models pull borzoi; all models: genoformer models list",
                ]
            )
        )


class _ModelOption(click.Option):
    """Required option whose absence lists the models that are here."""

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        try:
            return super().process_value(ctx, value)
        except click.MissingParameter as error:
            raise MissingModelError from error


class _ModelArgument(click.Argument):
    """Required argument whose absence lists the models that are here."""

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        try:
            return super().process_value(ctx, value)
        except click.MissingParameter as error:
            raise MissingModelError("as MODEL: ") from error


model_argument = click.argument("model", cls=_ModelArgument, type=MODEL)


def model_option(help_text: str, *names: str, **settings: Any) -> Any:
    """Return the option -m. names: that of the parameter, by default model. settings: those of click, such as multiple."""
    settings = {"required": True} | settings
    return click.option("-m", "--model", *names, cls=_ModelOption, type=MODEL, help=help_text, **settings)


def print_cautions(models: str | Path | Sequence[str | Path], fasta: str | Path | None, *, of_variants: bool = False) -> None:
    """Print what the cards of the models warn of: another genome than theirs, and with of_variants scores of variants."""
    from genoformer.genome.reference import Genome
    from genoformer.models import folders

    for name in [models] if isinstance(models, str | Path) else models:
        contigs: tuple[str, ...] = ()
        if fasta is not None and folders.lines_of_card(name).contigs:
            with Genome(fasta) as genome:
                contigs = tuple(genome.contigs)
        for note in folders.cautions(name, contigs, of_variants=of_variants):
            print_note(note)
