"""Configuration of a model -> text for job.json, which new and renamed fields do not change."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from genoformer.config import earliest
from genoformer.errors import GenoformerError
from genoformer.models.base import Model

CONFIGURATION = "model configuration"  # key in a job
_END_OF_REPR = re.compile(r"(?<=\)) ([0-9a-f]{64})?(?: |$)")  # in the earlier form: "Config(...) " and the tokenizer's hash


def configurations(models: Sequence[Model]) -> str:
    """Return the configurations and tokenizers of models as text: fields that differ from their defaults, by their first names.

    A field that is added with a default, and a field that is renamed (`genoformer.config.RENAMED`), do not change the text.
    """
    return json.dumps([[earliest(model.config), _hash_of_tokenizer(model)] for model in models], sort_keys=True, default=repr)


def current_configurations(job: Mapping[str, str], models: Sequence[Model]) -> dict[str, str]:
    """Return a stored job, with the configurations as `configurations` writes them if they were stored in the earlier form.

    The earlier form is the repr of each configuration with the fields of its time. A text that does not describe these models
    is left as it is.
    """
    text = str(job.get(CONFIGURATION, ""))
    return {**job, CONFIGURATION: configurations(models)} if _describes(text, models) else dict(job)


def _describes(text: str, models: Sequence[Model]) -> bool:
    """True if a text in the earlier form describes the models."""
    pieces = _END_OF_REPR.split(text)  # repr, hash, repr, hash, ..., ""
    if len(pieces) != 2 * len(models) + 1:
        return False
    try:
        return all(
            type(model.config).from_dict(_value(ast.parse(shape, mode="eval").body)) == model.config
            and (sha256 or "") == _hash_of_tokenizer(model)
            for model, shape, sha256 in zip(models, pieces[::2], pieces[1::2], strict=False)
        )
    except (GenoformerError, SyntaxError, TypeError, ValueError, KeyError, RecursionError, MemoryError):
        return False


def _value(node: ast.expr) -> Any:
    """Return the value of a literal, and the fields of a dataclass as a dict."""
    if isinstance(node, ast.Call):
        return {str(field.arg): _value(field.value) for field in node.keywords}
    return ast.literal_eval(node)


def _hash_of_tokenizer(model: Model) -> str:
    tokenizer = getattr(model, "tokenizer", None)  # track models have none
    return "" if tokenizer is None else hashlib.sha256(repr(tokenizer.to_dict()).encode()).hexdigest()
