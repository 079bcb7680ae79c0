"""What a command writes is its own until it ends."""

from __future__ import annotations

import os

import click


def reserve(*paths: str | os.PathLike[str] | None) -> None:
    """Hold these outputs until the command ends; a second one that would write one of them is refused."""
    from genoformer.whole import writing

    for path in dict.fromkeys(os.path.realpath(path) for path in paths if path is not None):
        click.get_current_context().with_resource(writing(path))
