"""enformer-pytorch's layout, read and written: EnformerConfig as config.json and the weights of its Enformer <-> Enformer.

The relative positions are always those of TensorFlow, with which the published weights were trained. enformer-pytorch has
them only as a table for 1,536 bins and 1,536 channels (`use_tf_gamma`); for other shapes it uses another basis and computes
other numbers. If the number of bins to crop is odd, its crop returns one bin fewer than target_length.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genoformer.errors import CheckpointError, ConfigError
from genoformer.models.enformer.model import Enformer, EnformerConfig
from genoformer.models.shards import read_weights, weights_of, weights_sha256
from genoformer.models.weights import WEIGHTS, check_size, empty_model, load_checked, write_tensors

_BINS = 1536  # in Enformer's window; default for a folder without context_length, our field: EnformerConfig has no length

# EnformerConfig's field -> ours; the defaults are the same. In addition, target_length -1 is target_bins 0.
_FIELDS = {
    "dim": "width",
    "depth": "n_blocks",
    "heads": "n_heads",
    "attn_dim_key": "key_width",
    "num_downsamples": "n_pools",
    "dim_divisible_by": "divisible_by",
    "output_heads": "heads",
    "dropout_rate": "dropout",
    "attn_dropout": "attention_dropout",
    "pos_dropout": "position_dropout",
    "context_length": "context_length",
}

# our modules and single weights -> theirs
_STEM = {
    "stages.0.wide": "stem.0",
    "stages.0.point.norm": "stem.1.fn.0",
    "stages.0.point.conv": "stem.1.fn.2",
    "stages.0.pool": "stem.2.to_attn_logits",
    "final.norm": "final_pointwise.1.0",
    "final.conv": "final_pointwise.1.2",
}
_STAGE = {
    "wide.norm": "0.0",
    "wide.conv": "0.2",
    "point.norm": "1.fn.0",
    "point.conv": "1.fn.2",
    "pool": "2.to_attn_logits",
}
_BLOCK = {
    "norm_attention": "0.fn.0",
    "attention.query": "0.fn.1.to_q",
    "attention.key": "0.fn.1.to_k",
    "attention.value": "0.fn.1.to_v",
    "attention.position": "0.fn.1.to_rel_k",
    "attention.content_bias": "0.fn.1.rel_content_bias",
    "attention.position_bias": "0.fn.1.rel_pos_bias",
    "attention.out": "0.fn.1.to_out",
    "norm_feed": "1.fn.0",
    "up": "1.fn.1",
    "down": "1.fn.4",
}
_TWICE = {"stem": "_trunk.1", "conv_tower": "_trunk.2", "transformer": "_trunk.4", "final_pointwise": "_trunk.6"}


def detect(config: dict[str, Any]) -> bool:
    """True if a config.json is one of enformer-pytorch."""
    return config.get("model_type") == "enformer"


def load(folder: Path, config: dict[str, Any]) -> Enformer:
    """Load a folder in this layout; two copies of a tensor must be equal, and one copy is enough."""
    shape = shape_of(config, folder / "config.json")
    path = weights_of(folder)
    tensors = _once(read_weights(path), path)
    check_size(shape, tensors, path)
    model = empty_model(Enformer, shape, tied=False)
    own = model.state_dict()
    for name, theirs in _names(model).items():
        if theirs in tensors:
            tensors[name] = _reshaped(tensors.pop(theirs), own[name])
    return load_checked(model, tensors, path, weights_sha256(path))


def save(model: nn.Module, folder: Path, dtype: torch.dtype) -> dict[str, Any]:
    """Write all weights that `Enformer.from_pretrained` reads, and return config.json.

    Raises ConfigError if this layout cannot hold the model.
    """
    if not isinstance(model, Enformer):
        raise ConfigError("enformer-pytorch's layout holds long-range models and no others; save in ours instead.")
    shape = model.config
    if (shape.stem_kernel, shape.tower_kernel) != (15, 5):
        raise ConfigError(
            f"enformer-pytorch's layout holds kernels of 15 and 5 bases, this model has {shape.stem_kernel} and "
            f"{shape.tower_kernel}; save in ours instead."
        )
    own, tensors = model.state_dict(), {}
    buffers = {name for name, _ in model.named_buffers()}
    for name, theirs in _names(model).items():
        tensor = own[name]
        if name.endswith("pool.weight"):
            tensor = tensor[:, :, None, None]
        elif name.endswith(("content_bias", "position_bias")):
            tensor = tensor[None, :, None]
        tensors[theirs] = tensor
        part, _, rest = theirs.partition(".")
        if name in buffers:  # transformers finds the second name of a parameter, but not of a buffer
            tensors[f"{_TWICE[part]}.{rest}"] = tensor.clone()
    write_tensors(folder / WEIGHTS, tensors, dtype)
    return {
        "architectures": ["Enformer"],
        "model_type": "enformer",
        **{theirs: getattr(shape, ours) for theirs, ours in _FIELDS.items()},
        "output_heads": dict(shape.heads),
        "target_length": shape.target_bins or -1,
        "use_checkpointing": False,
        "use_tf_gamma": _has_table(shape),
    }


def basis_note(model: nn.Module) -> str | None:
    """Return a note if enformer-pytorch and genoformer compute different relative positions for this shape, else None."""
    if not isinstance(model, Enformer) or _has_table(model.config):
        return None
    return (
        "enformer-pytorch has TensorFlow's relative positions, which genoformer computes for every shape, only for 1,536 "
        "bins and 1,536 channels in 8 heads; with these weights the two give different numbers."
    )


def _has_table(shape: EnformerConfig) -> bool:
    return shape.value_width == 192 and shape.context_length // shape.bin_size == _BINS


def shape_of(config: dict[str, Any], path: Path) -> EnformerConfig:
    """Convert an EnformerConfig to our configuration; raise CheckpointError, which names `path`, if it is not valid."""
    if config.get("use_convnext"):
        raise CheckpointError(f"{path}: use_convnext is not Enformer's trunk, and is not read; take a model without it.")
    target = config.get("target_length", EnformerConfig.target_bins)
    if type(target) is not int or (target < 1 and target != -1):
        raise CheckpointError(f"{path}: target_length = {target!r}; give a number of bins, or -1 for all.")
    fields = {ours: config[theirs] for theirs, ours in _FIELDS.items() if theirs in config}
    try:
        n_pools = fields.get("n_pools", EnformerConfig.n_pools)
        if "context_length" not in fields and type(n_pools) is int and 0 <= n_pools <= 30:  # other values are refused below
            fields["context_length"] = max(_BINS, target) * 2**n_pools
        return EnformerConfig.from_dict({**fields, "target_bins": max(target, 0)})
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _names(model: Enformer) -> dict[str, str]:
    """Map our name to theirs, the shorter one, for every tensor."""
    pairs = dict(_STEM)
    for i in range(len(model.stages) - 1):
        pairs |= {f"stages.{i + 1}.{ours}": f"conv_tower.{i}.{theirs}" for ours, theirs in _STAGE.items()}
    for i in range(len(model.blocks)):
        pairs |= {f"blocks.{i}.{ours}": f"transformer.{i}.{theirs}" for ours, theirs in _BLOCK.items()}
    pairs |= {f"heads.{head}": f"_heads.{head}.0" for head in model.heads}
    found = {}
    for name in model.state_dict():
        module, _, last = name.rpartition(".")
        found[name] = pairs[name] if name in pairs else f"{pairs[module]}.{last}"
    return found


def _once(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return each tensor under its shorter name; raise CheckpointError if its two copies differ."""
    found = {name: tensor for name, tensor in tensors.items() if not name.startswith("_trunk.")}
    for part, long in _TWICE.items():
        for name in [name for name in tensors if name.startswith(f"{long}.")]:
            short = part + name.removeprefix(long)
            if not torch.equal(found.setdefault(short, tensors[name]), tensors[name]):
                raise CheckpointError(
                    f"{path}: {short} and {name} should be the same tensor and differ; the file was put together "
                    "from two models, save it again from one."
                )
    unknown = [name for name in tensors if name.startswith("_trunk.") and not name.startswith(tuple(_TWICE.values()))]
    return found | {name: tensors[name] for name in unknown}


def _reshaped(tensor: Tensor, own: Tensor) -> Tensor:
    """Reshape a tensor to our shape if only sides of length 1 differ.

    Their pooling is [C, C, 1, 1], their biases are [1, H, 1, K].
    """
    same = [n for n in tensor.shape if n != 1] == [n for n in own.shape if n != 1]
    return tensor.reshape(own.shape) if same else tensor
