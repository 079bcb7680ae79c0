"""Layouts that Hugging Face's transformers reads: a model -> the first layout of its family that holds it unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np

from genoformer.errors import ConfigError, GenoformerError
from genoformer.models.base import Model
from genoformer.models.families import families, family_of
from genoformer.models.formats import WeightFormat

HF = "hf"  # stands for the layout that `fitting_layout` returns

# Layouts of the classes of genoformer.huggingface
OWN_CLASSES = ("genoformer-hf", "genoformer-hf-hybrid", "genoformer-hf-cloze", "genoformer-hf-classifier")

# Fields without a part in the network's outputs: defaults of genoformer's commands, and settings of training.
_SETTINGS = ("window", "overlap", "both_strands", "context_length", "dropout", "init_std")
_LANGUAGE_HEAD = ("output", "pooler", "tied_decoder", "transform_bias", "decoder_bias")  # a fine-tuned model does not use it


def fitting_layout(model: Model, layouts: Mapping[str, WeightFormat]) -> str:
    """Return the name of the first layout that transformers reads and that holds a model; ConfigError if there is none.

    A layout holds a model if the configuration that is read back from it describes the same network.
    """
    for name, layout in layouts.items():
        if _holds(layout, model):
            return name
    raise _unreadable(model)


def own_classes_layout(model: Model) -> str:
    """Return the layout of the classes of genoformer.huggingface for a language model or a fine-tuned model.

    Raises ConfigError for another model.
    """
    for name in families()[family_of(model)].formats:
        if name in OWN_CLASSES:
            return name
    raise _unreadable(model)


def _unreadable(model: Model) -> ConfigError:
    return ConfigError(
        f"the model {model.describe()}, expected a transformer of tokens, which transformers "
        "can read; convert it to another layout."
    )


def notes(layout: str, before: Any, after: Any) -> list[str]:
    """Return what to know about a folder that was written, as ends of sentences; before, after: configurations.

    The settings of genoformer's commands that the layout does not keep, and the import that reads its classes.
    """
    kept, read = asdict(before), asdict(after)
    lost = [f"{name} = {kept[name]}" for name in _SETTINGS[:4] if name in kept and kept[name] != read[name]]
    sentences = [f"does not keep {', '.join(lost)}, which its layout has no field for."] if lost else []
    if layout in OWN_CLASSES:
        sentences.append("has a model that transformers reads after `import genoformer.huggingface`.")
    return sentences


def _holds(layout: WeightFormat, model: Any) -> bool:
    """True if the configuration of a model survives the layout, and transformers has a class for it."""
    try:
        config = layout.from_config(model)
        if layout.in_transformers is None or not layout.in_transformers(model.encoder.config):
            return False
        with TemporaryDirectory() as folder:
            if layout.write_assets is not None:
                layout.write_assets(model, Path(folder))
            again = SimpleNamespace(config=model.config, tokenizer=None)
            if layout.read_assets is not None:
                layout.read_assets(again, Path(folder))
            shape = layout.to_config(config, Path(folder), model.state_dict())
    except GenoformerError:  # the refusal of a layout
        return False
    return _network(shape) == _network(model.config) and _reads_alike(
        again.tokenizer, model.tokenizer, model.encoder.config.max_tokens
    )


def _reads_alike(tokenizer: Any, other: Any, max_tokens: int) -> bool:
    """True if two tokenizers have the same vocabulary and read sequences of all bases and N as the same ids.

    The sequences have no more bases than a model has positions: one of the tokenizers may be limited to these (blocks).
    """
    length = min(2048, max(1, max_tokens - 2))
    codes = np.random.default_rng(0).integers(0, 5, (2 * -(-2048 // length), length), dtype=np.uint8)
    codes[::2] %= 4  # every other one is without N
    return tokenizer.vocab == other.vocab and np.array_equal(tokenizer.encode(codes).ids, other.encode(codes).ids)


def _network(config: Any) -> dict[str, Any]:
    """Return the values that determine the outputs of a network."""
    if not hasattr(config, "encoder"):
        return _without(config.effective(), _SETTINGS)
    head = _without({**vars(config), "encoder": None}, _SETTINGS)
    return head | {"encoder": _without(config.encoder.effective(), (*_SETTINGS, *_LANGUAGE_HEAD))}


def _without(fields: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}
