"""Layouts that Hugging Face's transformers reads: a model -> the first layout of its family that holds it unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from genoformer.errors import ConfigError, GenoformerError
from genoformer.models.base import Model
from genoformer.models.formats import WeightFormat

HF = "hf"  # stands for the layout that `fitting_layout` returns

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
    raise ConfigError(
        f"found a model that {model.describe().removeprefix('is a ')}, expected a transformer of tokens, which transformers "
        "can read; convert it to another layout."
    )


def lost_settings(before: Any, after: Any) -> list[str]:
    """Return the settings of genoformer's commands that a configuration lost in a layout: "window = 300" for example."""
    kept, read = asdict(before), asdict(after)
    return [f"{name} = {kept[name]}" for name in _SETTINGS[:4] if name in kept and kept[name] != read[name]]


def _holds(layout: WeightFormat, model: Any) -> bool:
    """True if the configuration of a model survives the layout, and transformers has a class for it."""
    try:
        config = layout.from_config(model)
        if layout.in_transformers is None or not layout.in_transformers(model.encoder.config):
            return False
        with TemporaryDirectory() as folder:
            if layout.write_assets is not None:
                layout.write_assets(model, Path(folder))
            again = layout.to_config(config, Path(folder), model.state_dict())
    except GenoformerError:  # the refusal of a layout
        return False
    return _network(again) == _network(model.config)


def _network(config: Any) -> dict[str, Any]:
    """Return the values that determine the outputs of a network."""
    if not hasattr(config, "encoder"):
        return _without(config.effective(), _SETTINGS)
    head = _without({**vars(config), "encoder": None}, _SETTINGS)
    return head | {"encoder": _without(config.encoder.effective(), (*_SETTINGS, *_LANGUAGE_HEAD))}


def _without(fields: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}
