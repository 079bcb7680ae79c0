"""What a command writes is its own until it ends."""

from __future__ import annotations

import os
import sys

import click


def open_streams() -> None:
    """Of standard input, output and error those that are closed lead nowhere, so that no file of ours takes their number.

    What C code prints would go into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def reserve(*paths: str | os.PathLike[str] | None) -> None:
    """Hold these outputs until the command ends; a second one that would write one of them is refused."""
    from genoformer.whole import writing

    for path in dict.fromkeys(os.path.realpath(path) for path in paths if path is not None):
        click.get_current_context().with_resource(writing(path))
