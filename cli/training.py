"""Shared parts of the training commands: command line, progress bar, and the check for Lightning."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from .progress import progress_bar
from .verbosity import print_note

logger_option = click.option(
    "--logger",
    "loggers",
    type=click.Choice(["wandb", "mlflow"]),
    multiple=True,
    help="Log metrics to Weights & Biases (wandb) or MLflow too, if it is installed; may be repeated.",
)


def command_line() -> str:
    """Return the command as it was typed, for manifests."""
    return "genoformer " + shlex.join(sys.argv[1:])


@contextmanager
def training_bar(output: str) -> Iterator[Callable[[Any], None]]:
    """Show the progress bar of a run, and print from which step an interrupted run resumes."""
    from genoformer.progress import RESUMED

    with progress_bar("steps") as bar:

        def hear(p: Any) -> None:
            if p.stage == RESUMED:
                print_note(f"{output}: resumes from step {p.done:,} of {p.total:,}")
            elif bar is not None:
                bar(p)

        yield hear


@contextmanager
def training_imports() -> Iterator[None]:
    """Report which extra to install if Lightning is missing."""
    from genoformer.training.imports import training_imports as reported

    with reported():
        yield
