"""Checks of what a model is called with: token ids, layers and one-hot DNA -> ConfigError with the call that fits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genoformer.errors import ConfigError


def check_inputs(ids: Any, keep: Any = None) -> None:
    """Raise ConfigError unless ids are whole numbers [B, T], and keep, if there is one, True or False of the same shape.

    >>> check_inputs("ACGT")
    Traceback (most recent call last):
    genoformer.errors.ConfigError: ids are a str, expected token ids [B, T]; call tokenizer(text, return_tensors="pt").
    """
    if not isinstance(ids, Tensor):
        of = type(ids).__name__
        remedy = 'call tokenizer(text, return_tensors="pt")'
        raise ConfigError(f"ids are a {of}, expected token ids [B, T]; {remedy}.")
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool or ids.dim() != 2:
        raise ConfigError(
            f"ids are {ids.dtype} {list(ids.shape)}, expected whole numbers [B, T]; convert them, such as ids[None]."
        )
    if keep is not None and (not isinstance(keep, Tensor) or keep.dtype != torch.bool or keep.shape != ids.shape):
        shown = f"{keep.dtype} {list(keep.shape)}" if isinstance(keep, Tensor) else f"a {type(keep).__name__}"
        expected = f"torch.bool {list(ids.shape)}, False at padding"
        raise ConfigError(f"keep is {shown}, expected {expected}; give mask.bool(), or attention_mask=mask.")


def checked_layer(ids: Any, layer: int | None, n_layers: int, first: str = "the embeddings") -> int:
    """Return the number of layers to compute: `layer`, or all for None. first: name of the states before the layers.

    Raises ConfigError for a layer that the model does not have, and for ids that are no tensor.

    >>> checked_layer(torch.zeros(1, 3), None, 12)
    12
    """
    _require_tensor(ids, "ids are", "token ids [B, T]")
    if layer is not None and not 0 <= layer <= n_layers:
        raise ConfigError(f"layer {layer}: this model has layers 0 ({first}) to {n_layers}.")
    return n_layers if layer is None else layer


def check_onehot(onehot: Any) -> None:
    """Raise ConfigError unless the input of a track model is a tensor of floating-point numbers [B, 4, L]."""
    _require_tensor(onehot, "the input is", "one-hot DNA [B, 4, L]")
    if onehot.ndim != 3 or onehot.shape[1] != 4 or not onehot.is_floating_point():
        raise ConfigError(
            f"the input is {onehot.dtype} of shape {list(onehot.shape)}; give one-hot DNA [B, 4, L] of floating-point "
            "numbers, as `one_hot` makes it of codes."
        )


def _require_tensor(value: Any, found: str, expected: str) -> None:
    if not isinstance(value, Tensor):
        raise ConfigError(
            f"{found} a {type(value).__name__}, expected {expected}; for DNA as text, call genoformer.embed(text, model)."
        )
