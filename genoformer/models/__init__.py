"""Language models, classifiers and track models, and their folders; nothing here depends on genomes or training.

`genoformer.models()` lists the models by name: the package can be called.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Models(ModuleType):
    """The package of models, which returns the table of models when it is called."""

    def __call__(self) -> Any:
        """Return the models by name as a DataFrame: see `genoformer.api.catalog.models`."""
        from genoformer.models.listing import list_models

        return list_models()

    def __getattr__(self, name: str) -> Any:
        remedy = "call genoformer.models() for the table of models, genoformer.pull(name) to download one"
        raise AttributeError(f"genoformer.models has no {name!r}; {remedy}.")

    def __repr__(self) -> str:
        return "<genoformer.models: call it for a table of models; the package of their classes>"


sys.modules[__name__].__class__ = _Models
