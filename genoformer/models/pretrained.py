"""Names that every model has as the models of transformers do: a short `repr`, `from_pretrained` and `save_pretrained`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genoformer.errors import CheckpointError


class Pretrained:
    """Part of all models: one line that describes the model, and its folder by the names that transformers uses.

    print(model.layers) shows the modules.

    >>> from genoformer.models.registry import load
    >>> repr(load("demo")).partition(":")[0], repr(load("demo")).rpartition(",")[2]
    ('<Encoder demo is a language model, which predicts bases', ' licence Apache-2.0>')
    """

    def __repr__(self: Any) -> str:
        parts = [f"{sum(parameter.numel() for parameter in self.parameters()):,} parameters"]
        if window := getattr(getattr(self, "config", None), "context_length", 0):
            parts.append(f"window of {window:,} bases")
        if (tokenizer := getattr(self, "tokenizer", None)) is not None:
            parts.append(repr(tokenizer))
        if self.origin.licence:
            parts.append(f"licence {self.origin.licence}")
        name = f" {self.origin.name}" if self.origin.name else ""
        return f"<{type(self).__name__}{name} {self.describe()}: {', '.join(parts)}>"

    @classmethod
    def from_pretrained(cls, name: str | Path) -> Any:
        """Load a model of this class from a folder or by name, as `genoformer.load` does.

        Raises CheckpointError for a model of another class, and the errors of `genoformer.load`.

        >>> from genoformer import Encoder
        >>> Encoder.from_pretrained("demo").config.context_length
        128
        """
        from genoformer.models.registry import load

        model = load(name)
        if not isinstance(model, cls):
            raise CheckpointError(f"{name} is of the class {type(model).__name__}, not {cls.__name__}; use genoformer.load.")
        return model

    def save_pretrained(self: Any, folder: str | Path, **options: Any) -> None:
        """Write the folder of the model, as `genoformer.save` does; with layout="hf" a folder that transformers reads."""
        from genoformer.models.registry import save

        save(self, folder, **options)
