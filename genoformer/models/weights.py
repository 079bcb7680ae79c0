"""Tensors and JSON on disk, checked while they are read: a file -> a table -> a model that is filled completely or refused.

A pickle is read only with `weights_only=True`, and no code from a model folder is executed.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from genoformer.errors import CheckpointError, ConfigError
from genoformer.files import atomic_write, sha256_of
from genoformer.formats.pointers import refuse_pointer
from genoformer.formats.text import refuse_device
from genoformer.models.base import Model, Origin

WEIGHTS = "model.safetensors"
PICKLED = "pytorch_model.bin"  # name in older folders of the Hugging Face hub

_KINDS = (
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float64,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)
_MOST_SHARED = 4  # largest ratio of tensor bytes to file bytes: tensors may share storage

M = TypeVar("M", bound=Model)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the table of tensors of a file; raise CheckpointError if it is damaged or holds anything else."""
    refuse_device(path)
    refuse_pointer(path, CheckpointError)
    try:
        if path.suffix == ".bin":
            _refuse_packed(path)
            tensors = torch.load(path, map_location="cpu", weights_only=True)
        else:
            tensors = load_file(path)
    except CheckpointError:
        raise
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); copy the model folder again.") from error
    except Exception as error:  # torch raises UnpicklingError, RuntimeError, EOFError ... if content is not plain tensors
        raise CheckpointError(f"{path} holds something else than plain tensors; it was not loaded.") from error
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise CheckpointError(f"{path} is not a table of tensors; it was not loaded.")
    for name, tensor in tensors.items():
        if tensor.dtype not in _KINDS or tensor.layout is not torch.strided or tensor.device.type != "cpu":
            kinds = ", ".join(str(kind).removeprefix("torch.") for kind in _KINDS)
            said = f"{str(name)[:80]} is {tensor.dtype}, {tensor.layout}"
            raise CheckpointError(f"{path}: {said}; plain tensors are read, of {kinds}.")
    size, taken = path.stat().st_size, sum(tensor.numel() * tensor.itemsize for tensor in tensors.values())
    if taken > _MOST_SHARED * size:  # a pickle can lay any shape over a few numbers
        raise CheckpointError(f"{path}: its {size:,} bytes would be tensors of {taken:,}; copy the model folder again.")
    return tensors


def _refuse_packed(path: Path) -> None:
    """Raise CheckpointError for a zip with compressed members; torch writes its files without compression."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > path.stat().st_size:
            raise CheckpointError(f"{path} is compressed, and unpacks to {unpacked:,} bytes; write it again with torch.save.")


def check_size(config: Any, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise CheckpointError if a configuration needs more than a file holds, before memory is allocated for it.

    config: has `min_parameters`, and `min_layers`, its number of layers.
    """
    there = sum(tensor.numel() for tensor in tensors.values())
    if config.min_parameters > there or config.min_layers > len(tensors):
        raise CheckpointError(
            f"{path}: tensors are missing or of another shape: config.json asks for {config.min_layers:,} layers and "
            f"{config.min_parameters:,} parameters or more, and there are {len(tensors):,} tensors with {there:,}. "
            "Copy the model folder again."
        )


def write_tensors(path: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    """Write tensors, floating-point numbers in `dtype` and integers unchanged; raise ConfigError if a number overflows."""
    ready = {name: _stored(tensor, dtype) for name, tensor in tensors.items()}
    for name, tensor in ready.items():
        if tensor.isinf().any() and not tensors[name].isinf().any():
            raise ConfigError(f"{name} holds numbers that are too large for {dtype}; store the model in float32.")
    with atomic_write(path) as part:
        try:
            save_file(ready, part, metadata={"format": "pt"})
        except SafetensorError as error:  # its message gives the reason only as text
            number = re.search(r"(?:os error |code: )(\d+)", str(error))  # the second form before 0.5
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


def _stored(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.detach().to("cpu", dtype if tensor.is_floating_point() else tensor.dtype).contiguous()


def empty_model(kind: type[M], config: Any, *, tied: bool) -> M:
    """Build a model with uninitialised weights, to be filled next (Enformer's take 10 s to draw), unless some are tied.

    Every tensor of a model without ties must be in its state_dict; a tensor that is not would hold arbitrary values.
    """
    if tied:
        return kind(config)
    with torch.device("meta"):
        model = kind(config)
    return model.to_empty(device="cpu")


def load_checked(model: M, tensors: dict[str, Tensor], path: Path, sha256: str = "") -> M:
    """Load tensors into the model, in float32, and set `.sha256` of their file; raise CheckpointError if they do not fit.

    sha256: the hash to store if the weights are in several files.
    """
    own = model.state_dict()
    other = [name for name in own if name in tensors and own[name].shape != tensors[name].shape]
    wrong = sorted(set(own) ^ set(tensors)) + other
    if wrong:
        first = wrong[0]
        if first in other:
            shapes = (" x ".join(map(str, tensor.shape)) for tensor in (tensors[first], own[first]))
            first += " ({}, where config.json asks for {})".format(*shapes)
        else:
            first += " (foreign)" if first in tensors else " (missing)"
        raise CheckpointError(f"{path}: {len(wrong)} tensors are missing, foreign or of another shape, e.g. {first}.")
    bad = [name for name, tensor in tensors.items() if not torch.isfinite(_as_stored(tensor)).all()]
    if bad:
        raise CheckpointError(f"{path}: {bad[0]} holds NaN or infinity; the training run diverged or the file is damaged.")
    model.load_state_dict(tensors)  # copies into float32
    model.set_origin(Origin(sha256 or sha256_of(path)))
    return model


def _as_stored(tensor: Tensor) -> Tensor:
    """Convert float64 to float32, the dtype of the model, in which a large float64 is infinite."""
    return tensor.float() if tensor.dtype == torch.float64 else tensor


def read_json(path: Path) -> dict[str, Any]:
    """Read the object of a JSON file."""
    refuse_device(path)
    refuse_pointer(path, CheckpointError)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON ({error}); copy the model folder again.") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} is not a JSON object; copy the model folder again.")
    return value
