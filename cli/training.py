"""What the commands that train have in common."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def command_line() -> str:
    """The command as it was typed, for manifests."""
    return "genoformer " + shlex.join(sys.argv[1:])


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
