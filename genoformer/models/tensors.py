"""Tensors and JSON on disk, read with suspicion: a file -> a checked table -> a model that is filled completely or refused.

No pickle is read except through `weights_only=True`, and no code is ever run from a model folder.
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
from torch import Tensor, nn

from genoformer.errors import CheckpointError, ConfigError
from genoformer.genome.lines import refuse_device
from genoformer.genome.pointers import refuse_pointer
from genoformer.whole import atomic_write, sha256_of

WEIGHTS = "model.safetensors"
PICKLED = "pytorch_model.bin"  # as older folders of the Hugging Face hub have them

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
_MOST_SHARED = 4  # times the size of a file are its tensors: some have their numbers in common

M = TypeVar("M", bound=nn.Module)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The table of tensors of a file; CheckpointError for one that is damaged or holds anything else."""
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
    except Exception as error:  # torch raises UnpicklingError, RuntimeError, EOFError ... for what is not plain tensors
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
    """CheckpointError for a zip that unpacks to more than it is; torch writes its files without compression."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > path.stat().st_size:
            raise CheckpointError(f"{path} is compressed, and unpacks to {unpacked:,} bytes; write it again with torch.save.")


def check_size(config: Any, tensors: Mapping[str, Tensor], path: Path) -> None:
    """CheckpointError where a configuration asks for more than a file holds, before memory is taken for it.

    config: with `min_parameters`, and `min_layers`, its number of layers.
    """
    there = sum(tensor.numel() for tensor in tensors.values())
    if config.min_parameters > there or config.min_layers > len(tensors):
        raise CheckpointError(
            f"{path}: tensors are missing or of another shape: config.json asks for {config.min_layers:,} layers and "
            f"{config.min_parameters:,} parameters or more, and there are {len(tensors):,} tensors with {there:,}. "
            "Copy the model folder again."
        )


def write_tensors(path: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    """Write tensors, fractions in `dtype` and whole numbers as they are; ConfigError where `dtype` cannot hold them."""
    ready = {name: _stored(tensor, dtype) for name, tensor in tensors.items()}
    for name, tensor in ready.items():
        if tensor.isinf().any() and not tensors[name].isinf().any():
            raise ConfigError(f"{name} holds numbers that are too large for {dtype}; store the model in float32.")
    with atomic_write(path) as part:
        try:
            save_file(ready, part, metadata={"format": "pt"})
        except SafetensorError as error:  # which says why in words alone
            number = re.search(r"(?:os error |code: )(\d+)", str(error))  # the latter before 0.5
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


def _stored(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.detach().to("cpu", dtype if tensor.is_floating_point() else tensor.dtype).contiguous()


def empty_model(kind: type[M], config: Any, *, tied: bool) -> M:
    """A model whose weights are about to be filled: they are not drawn (Enformer's take 10 s), unless some are tied.

    Every tensor of a model without ties must stand in its state_dict; what does not would hold anything.
    """
    if tied:
        return kind(config)
    with torch.device("meta"):
        model = kind(config)
    return model.to_empty(device="cpu")


def load_checked(model: M, tensors: dict[str, Tensor], path: Path, sha256: str = "") -> M:
    """The model with these tensors, in float32, and `.sha256` of their file; CheckpointError unless they fit exactly.

    sha256: where there are several files, what stands for that.
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
    model.sha256 = sha256 or sha256_of(path)  # type: ignore[assignment]  # a field of each of our models
    return model


def _as_stored(tensor: Tensor) -> Tensor:
    """As it is going to be in float32, in which a large float64 is infinite."""
    return tensor.float() if tensor.dtype == torch.float64 else tensor


def read_json(path: Path) -> dict[str, Any]:
    """The object of a JSON file."""
    refuse_device(path)
    refuse_pointer(path, CheckpointError)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON ({error}); copy the model folder again.") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} is not a JSON object; copy the model folder again.")
    return value
