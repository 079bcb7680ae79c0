"""TakesContexts: the capability of models whose tracks are of contexts, such as cell types, that vectors describe."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from genoformer.formats.context_table import ContextTable
from genoformer.models.base import Model, require


class TakesContexts(Protocol):
    """Predicts tracks of contexts, such as cell types, from their vectors, also of contexts that it was not trained on."""

    _remedy: ClassVar[str] = "a model that was trained with contexts"

    @classmethod
    def config_with_contexts(cls, config: Any, table: ContextTable) -> Any: ...
    def with_contexts(self, table: ContextTable) -> Model:
        """Return a model that predicts the tracks of other contexts."""


def with_contexts(model: Any, contexts: ContextTable | None, name: str = "the model") -> Any:
    """Return a model that predicts the tracks of these contexts; the model itself if there are none.

    Raises CheckpointError for a model without contexts, ConfigError for a table of other columns than in training.
    """
    if contexts is None:
        return model
    require(model, TakesContexts, name=name)
    return model.with_contexts(contexts)
