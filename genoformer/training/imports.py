"""Import of training code, which needs the extra "train"."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from genoformer.errors import ConfigError


@contextmanager
def training_imports() -> Iterator[None]:
    """Raise ConfigError, with the extra to install, if an import inside the block does not find Lightning.

    >>> with training_imports():
    ...     import json
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] not in ("lightning", "tensorboardX"):
            raise
        raise ConfigError(
            "training needs Lightning, which is not installed; pip install 'genoformer[train]', or '.[train]' in a clone."
        ) from error
