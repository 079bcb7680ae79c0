"""Weights in several files, as Hugging Face writes large models: an index of names -> shards -> one table of tensors."""

from __future__ import annotations

import hashlib
from pathlib import Path

from torch import Tensor

from genoformer.errors import CheckpointError
from genoformer.files import sha256_of
from genoformer.genome.contigs import join_names
from genoformer.models.foreign import other_weights
from genoformer.models.weights import PICKLED, WEIGHTS, read_json, read_tensors

INDEX = ".index.json"  # suffix to the name of the single file that the shards replace


def weights_path(folder: Path) -> Path:
    """Return the path of the weights in a Hugging Face folder: one file, or the index of its shards.

    Raises CheckpointError if the folder has no weights.
    """
    for name in (WEIGHTS, WEIGHTS + INDEX, PICKLED, PICKLED + INDEX):
        if (folder / name).is_file():
            return folder / name
    other = other_weights(folder)
    raise CheckpointError(
        f"{folder} has neither {WEIGHTS} nor {PICKLED}, nor the {INDEX} file of one in shards; "
        + (f"it has {other}: save the model as safetensors." if other else "copy the whole model folder.")
    )


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors at a `weights_path`; raise CheckpointError if a shard is missing or disagrees with the index."""
    if not path.name.endswith(INDEX):
        return read_tensors(path)
    names = _shards_of(path)
    found: dict[str, Tensor] = {}
    for shard in sorted(set(names.values())):
        file = path.parent / shard
        if not file.is_file():
            n = len(set(names.values()))
            raise CheckpointError(f"{path} names {n} shards, and {shard} is missing; copy the whole model folder again.")
        tensors = read_tensors(file)
        expected = {name for name, of in names.items() if of == shard}
        if absent := sorted(expected - tensors.keys()):
            raise CheckpointError(f"{file} has no tensor {join_names(absent)}, which {path.name} says; copy the folder again.")
        if foreign := sorted(tensors.keys() - expected):
            where = names.get(foreign[0], "no shard")
            raise CheckpointError(
                f"{file} holds the tensor {foreign[0]}, which belongs to {where}, as {path.name} says; copy the folder again."
            )
        found |= tensors
    return found


def weights_sha256(path: Path) -> str:
    """Return the hex sha256 of a weights file; for shards, that of their hex sha256s in the order of their names."""
    if not path.name.endswith(INDEX):
        return sha256_of(path)
    shards = sorted(set(_shards_of(path).values()))
    return hashlib.sha256("".join(sha256_of(path.parent / shard) for shard in shards).encode()).hexdigest()


def _shards_of(path: Path) -> dict[str, str]:
    """Map each tensor to its shard, a file in the folder of the index; raise CheckpointError for a path to another folder."""
    names = read_json(path).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise CheckpointError(f"{path} has no weight_map, which says where each tensor is; copy the model folder again.")
    suffix = Path(path.name.removesuffix(INDEX)).suffix
    for name, shard in names.items():
        if not isinstance(shard, str) or Path(shard).name != shard or "\\" in shard or Path(shard).suffix != suffix:
            raise CheckpointError(
                f"{path}: {name} is in {shard!r}, which is not a {suffix} file next to it; copy the model folder again."
            )
    return names
