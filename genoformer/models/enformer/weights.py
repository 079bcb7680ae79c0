"""enformer-pytorch's layout, read and written: EnformerConfig as config.json and the weights of its Enformer <-> Enformer.

The relative positions are always those of TensorFlow, with which the published weights were trained. enformer-pytorch has
them only as a table for 1,536 bins and 1,536 channels (`use_tf_gamma`); for other shapes it uses another basis and computes
other numbers. If the number of bins to crop is odd, its crop returns one bin fewer than target_length.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from genoformer.errors import CheckpointError, ConfigError
from genoformer.models.enformer.config import EnformerConfig
from genoformer.models.enformer.model import Enformer
from genoformer.models.formats import NameMap, WeightFormat
from genoformer.models.weights import refuse_misspelt

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

# Their modules and single tensors -> ours; a part of the trunk is stored a second time, under `_trunk`.
NAMES = NameMap(
    rename={
        "stem.0": "stages.0.wide",
        "stem.1.fn.0": "stages.0.point.norm",
        "stem.1.fn.2": "stages.0.point.conv",
        "stem.2.to_attn_logits": "stages.0.pool",
        "conv_tower.{}.0.0": "stages.{+1}.wide.norm",
        "conv_tower.{}.0.2": "stages.{+1}.wide.conv",
        "conv_tower.{}.1.fn.0": "stages.{+1}.point.norm",
        "conv_tower.{}.1.fn.2": "stages.{+1}.point.conv",
        "conv_tower.{}.2.to_attn_logits": "stages.{+1}.pool",
        "transformer.{}.0.fn.0": "blocks.{}.norm_attention",
        "transformer.{}.0.fn.1.to_q": "blocks.{}.attention.query",
        "transformer.{}.0.fn.1.to_k": "blocks.{}.attention.key",
        "transformer.{}.0.fn.1.to_v": "blocks.{}.attention.value",
        "transformer.{}.0.fn.1.to_rel_k": "blocks.{}.attention.position",
        "transformer.{}.0.fn.1.rel_content_bias": "blocks.{}.attention.content_bias",
        "transformer.{}.0.fn.1.rel_pos_bias": "blocks.{}.attention.position_bias",
        "transformer.{}.0.fn.1.to_out": "blocks.{}.attention.out",
        "transformer.{}.1.fn.0": "blocks.{}.norm_feed",
        "transformer.{}.1.fn.1": "blocks.{}.up",
        "transformer.{}.1.fn.4": "blocks.{}.down",
        "final_pointwise.1.0": "final.norm",
        "final_pointwise.1.2": "final.conv",
        "_heads.NAME.0": "heads.NAME",
    },
    copies={"stem": "_trunk.1", "conv_tower": "_trunk.2", "transformer": "_trunk.4", "final_pointwise": "_trunk.6"},
    axes={
        "pool.weight": (slice(None), slice(None), None, None),
        "content_bias": (None, slice(None), None),
        "position_bias": (None, slice(None), None),
    },
)


def detect(config: dict[str, Any]) -> bool:
    """True if a config.json is one of enformer-pytorch."""
    return config.get("model_type") == "enformer"


def _from_config(model: Any) -> dict[str, Any]:
    if not isinstance(model, Enformer):
        raise ConfigError("enformer-pytorch's layout holds track models and no others; save in genoformer's layout instead.")
    shape = model.config
    if (shape.stem_kernel, shape.tower_kernel) != (15, 5):
        raise ConfigError(
            f"enformer-pytorch's layout holds kernels of 15 and 5 bases, this model has {shape.stem_kernel} and "
            f"{shape.tower_kernel}; save in genoformer's layout instead."
        )
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


def to_config(config: dict[str, Any], folder: Path, tensors: Mapping[str, Tensor]) -> EnformerConfig:
    """Convert an EnformerConfig to our configuration; raise CheckpointError if it is not valid."""
    path = folder / "config.json"
    refuse_misspelt(config, path, "context_length")
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


ENFORMER_PYTORCH = WeightFormat(detect, to_config, _from_config, NAMES)
