"""What the commands that train have in common."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .progress import progress_bar
from .talk import print_note


def command_line() -> str:
    """The command as it was typed, for manifests."""
    return "genoformer " + shlex.join(sys.argv[1:])


@contextmanager
def training_bar(output: str) -> Iterator[Callable[[Any], None]]:
    """The progress bar of a run; a line says from which step an interrupted one is resumed."""
    with progress_bar("steps") as bar:

        def hear(p: Any) -> None:
            if p.stage == "going on":
                print_note(f"{output}: going on from step {p.done:,} of {p.total:,}")
            elif bar is not None:
                bar(p)

        yield hear


@contextmanager
def training_imports() -> Iterator[None]:
    """Say which extra to install where Lightning is missing."""
    from genoformer.errors import ConfigError

    try:
        yield
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] not in ("lightning", "tensorboardX"):
            raise
        raise ConfigError(
            "training needs Lightning, which is not installed; pip install 'genoformer[train]', or '.[train]' in a clone."
        ) from error
