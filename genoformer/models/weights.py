"""Tensors and JSON on disk, checked while they are read: a file -> a table -> a model that is filled completely or refused.

A pickle is read only with `weights_only=True`, and no code from a model folder is executed.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

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
_STORED = {  # names of dtypes in safetensors
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F64": torch.float64,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
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
            tensors = _read_safetensors(path)
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


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file into memory of our own, one tensor at a time.

    safetensors maps the file instead: each tensor would be in memory twice as soon as it is copied, and without a copy a model
    would change, or the process die, if another program changes the file.
    """
    tensors: dict[str, Tensor] = {}
    with safe_open(path, framework="pt") as checked_file, path.open("rb") as file:  # safetensors checks the header
        n_header = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(n_header))
        for name in checked_file.keys():  # noqa: SIM118 - not a mapping
            row = header[name]
            if row["dtype"] not in _STORED:
                tensors[name] = checked_file.get_tensor(name)
                continue
            tensor = torch.empty(row["shape"], dtype=_STORED[row["dtype"]])
            first, after = row["data_offsets"]
            if tensor.numel():
                file.seek(8 + n_header + first)
                n_read = file.readinto(tensor.view(-1).view(torch.uint8).numpy().data)
                if not n_read == after - first == tensor.numel() * tensor.itemsize:
                    raise SafetensorError(f"{name} has {n_read:,} bytes, expected {after - first:,}")
            tensors[name] = tensor
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


def empty_model(kind: type[M], config: Any) -> M:
    """Build a model whose parameters have no memory yet, for `load_checked` to fill: the weights are in memory once."""
    with torch.device("meta"), _WithoutDraws():
        model = kind(config)
    return kind(config) if _has_computed_tensors(model) else model


class _WithoutDraws(TorchFunctionMode):
    """Skip random numbers, for which torch imports its compiler (seconds) if the parameter has no memory."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in ("normal_", "uniform_", "kaiming_uniform_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def _has_computed_tensors(model: nn.Module) -> bool:
    """True if a module has tensors outside its state_dict, which only its constructor can compute."""
    buffers = {name for name, _ in model.named_buffers()} - model.state_dict().keys()
    return bool(buffers) or any(isinstance(value, Tensor) for module in model.modules() for value in vars(module).values())


def load_checked(model: M, tensors: dict[str, Tensor], path: Path, sha256: str = "") -> M:
    """Give the model these tensors, in float32, and set `.sha256` of their file; raise CheckpointError if they do not fit.

    The tensors become those of the model, and the dictionary is emptied. sha256: the hash to store if the weights are in
    several files.
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
    bad = [name for name, tensor in tensors.items() if not _is_finite(tensor)]
    if bad:
        raise CheckpointError(f"{path}: {bad[0]} holds NaN or infinity; the training run diverged or the file is damaged.")
    storages: set[int] = set()
    ready = {name: _alone(tensors.pop(name), own[name].dtype, storages) for name in own if name not in model.tied}
    model.load_state_dict(ready, strict=False, assign=True)
    for copy, original in model.tied.items():
        _tie(model, copy, original)
    model.set_origin(Origin(sha256 or sha256_of(path)))
    return model


def _is_finite(tensor: Tensor) -> bool:
    """True without NaN and infinity in the dtype of the model, in which a large float64 is infinite."""
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    return bool(torch.stack(torch.aminmax(tensor)).float().isfinite().all())  # without a mask as large as the tensor


def _alone(tensor: Tensor, dtype: torch.dtype, storages: set[int]) -> Tensor:
    """Return a tensor in this dtype with memory of its own; in a pickle several tensors can share theirs."""
    alone = tensor.to(dtype).contiguous()
    storage = alone.untyped_storage()
    if storage.data_ptr() in storages or storage.nbytes() > alone.numel() * alone.itemsize:
        return alone.clone()
    storages.add(storage.data_ptr())
    return alone


def _tie(model: nn.Module, copy: str, original: str) -> None:
    """Make one parameter of a model the same as another one."""
    parameter = model.get_parameter(original)
    module, _, name = copy.rpartition(".")
    setattr(model.get_submodule(module), name, parameter)


def refuse_misspelt(config: Mapping[str, Any], path: Path, *names: str) -> None:
    """Raise CheckpointError for a field of a config.json that is nearly one of these, which are genoformer's own.

    Other fields that genoformer does not read belong to the library that wrote the file.
    """
    for name in names:
        near = difflib.get_close_matches(name, [key for key in config if abs(len(key) - len(name)) < 3], cutoff=0.85)
        if near and name not in config:
            raise CheckpointError(f"{path}: found {near[0]!r}, which is not read, expected {name}; correct the name.")


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
