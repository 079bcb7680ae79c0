"""alphagenome-pytorch's layout (genomicsxai), read and written: model.safetensors <-> AlphaGenome.

The package has no config.json: its shape is always the published one. Here a folder has one, {"model_type":
"alphagenome-pytorch"}, with the fields of our configuration that differ from it. alphagenome-pytorch uses the exact GELU in the
transformer, where DeepMind's model has the approximation with tanh, so its numbers differ a little. With that form of GELU in
both and random weights, the published shape differs by 1e-3 of the largest value in float32 and by 5e-12 in float64 (2,048
bases): nine blocks amplify rounding, and nothing else differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genoformer.errors import CheckpointError, ConfigError
from genoformer.models.alphagenome.config import CONTACTS, JUNCTIONS, SITES, USAGE, AlphaGenomeConfig
from genoformer.models.alphagenome.outputs import KINDS_OF_SITES, default_rows
from genoformer.models.alphagenome.weights import require_alphagenome
from genoformer.models.formats import NameMap, WeightFormat

TYPE = "alphagenome-pytorch"

_PAIRS = "tower.blocks.{}.pair_update"
NAMES = NameMap(
    rename={
        "encoder.dna_embedder.conv1": "stages.0.conv",
        "encoder.dna_embedder.block.norm": "stages.0.block.norm",
        "encoder.dna_embedder.block.conv": "stages.0.block.conv",
        **{
            f"encoder.down_blocks.{{}}.{theirs}.{part}": f"stages.{{+1}}.{ours}.{part}"
            for theirs, ours in (("block1", "first"), ("block2", "second"))
            for part in ("norm", "conv")
        },
        **{
            f"decoder.up_blocks.{{}}.{theirs}.{part}": f"decoder.{{}}.{ours}.{part}"
            for theirs, ours in (("conv_in", "inner"), ("pointwise", "skip"), ("conv_out", "outer"))
            for part in ("norm", "conv")
        },
        "decoder.up_blocks.{}.residual_scale": "decoder.{}.residual_scale",
        "organism_embed": "organism",
        f"{_PAIRS}.seq2pair.norm_seq2pair": "blocks.{}.pairs.projection.norm",
        f"{_PAIRS}.seq2pair.linear_q": "blocks.{}.pairs.projection.query",
        f"{_PAIRS}.seq2pair.linear_k": "blocks.{}.pairs.projection.key",
        f"{_PAIRS}.seq2pair.linear_pos_features": "blocks.{}.pairs.projection.position",
        f"{_PAIRS}.seq2pair.q_r_bias": "blocks.{}.pairs.projection.query_bias",
        f"{_PAIRS}.seq2pair.k_r_bias": "blocks.{}.pairs.projection.key_bias",
        f"{_PAIRS}.seq2pair.linear_y_q": "blocks.{}.pairs.projection.row",
        f"{_PAIRS}.seq2pair.linear_y_k": "blocks.{}.pairs.projection.column",
        f"{_PAIRS}.seq2pair.linear_pair": "blocks.{}.pairs.projection.mix",
        f"{_PAIRS}.row_attn.norm": "blocks.{}.pairs.norm_rows",
        f"{_PAIRS}.row_attn.linear_q": "blocks.{}.pairs.query",
        f"{_PAIRS}.row_attn.linear_k": "blocks.{}.pairs.key",
        f"{_PAIRS}.row_attn.linear_v": "blocks.{}.pairs.value",
        f"{_PAIRS}.pair_mlp.norm": "blocks.{}.pairs.norm_feed",
        f"{_PAIRS}.pair_mlp.linear1": "blocks.{}.pairs.up",
        f"{_PAIRS}.pair_mlp.linear2": "blocks.{}.pairs.down",
        "tower.blocks.{}.attn_bias.norm": "blocks.{}.attention.norm_pairs",
        "tower.blocks.{}.attn_bias.proj": "blocks.{}.attention.bias",
        "tower.blocks.{}.mha.norm": "blocks.{}.attention.norm",
        "tower.blocks.{}.mha.q_proj": "blocks.{}.attention.query",
        "tower.blocks.{}.mha.k_proj": "blocks.{}.attention.key",
        "tower.blocks.{}.mha.v_proj": "blocks.{}.attention.value",
        "tower.blocks.{}.mha.norm_q": "blocks.{}.attention.norm_query",
        "tower.blocks.{}.mha.norm_k": "blocks.{}.attention.norm_key",
        "tower.blocks.{}.mha.norm_v": "blocks.{}.attention.norm_value",
        "tower.blocks.{}.mha.linear_embedding": "blocks.{}.attention.out",
        "tower.blocks.{}.mha.final_norm": "blocks.{}.attention.norm_out",
        "tower.blocks.{}.mlp.norm": "blocks.{}.norm_feed",
        "tower.blocks.{}.mlp.fc1": "blocks.{}.up",
        "tower.blocks.{}.mlp.fc2": "blocks.{}.down",
        "tower.blocks.{}.mlp.final_norm": "blocks.{}.norm_out",
        "embedder_128bp.project_in": "embed_bins.linear",
        "embedder_128bp.organism_embed": "embed_bins.organism",
        "embedder_128bp.norm": "embed_bins.norm",
        "embedder_1bp.project_in": "embed_bases.linear",
        "embedder_1bp.project_skip": "embed_bases.skip",
        "embedder_1bp.organism_embed": "embed_bases.organism",
        "embedder_1bp.norm": "embed_bases.norm",
        "embedder_pair.organism_embed": "embed_pairs.organism",
        "embedder_pair.norm": "embed_pairs.norm",
        **{f"heads.NAME.convs.{size}": f"outputs.NAME.linears.{size}" for size in (1, 128)},
        **{f"heads.NAME.residual_scales.{size}": f"outputs.NAME.scales.{size}" for size in (1, 128)},
        "heads.NAME.track_means": "outputs.NAME.means",
        "contact_maps_head.linear": f"outputs.{CONTACTS}.linear",
        "splice_sites_classification_head.conv": f"outputs.{SITES}.linear",
        "splice_sites_usage_head.conv": f"outputs.{USAGE}.linear",
        "splice_sites_junction_head.conv": f"outputs.{JUNCTIONS}.linear",
        **{f"splice_sites_junction_head.rope_params.{kind}": f"outputs.{JUNCTIONS}.tissues.{kind}" for kind in KINDS_OF_SITES},
    },
    axes={
        "projection.query_bias": (None, None),
        "projection.key_bias": (None, None),
        "embed_bins.linear.weight": (slice(None), slice(None), None),
        "embed_bases.linear.weight": (slice(None), slice(None), None),
        "embed_bases.skip.weight": (slice(None), slice(None), None),
    },
    swapped=(f"outputs.{CONTACTS}.linear.weight",),
)


def detect(config: dict[str, Any]) -> bool:
    """True if a config.json names alphagenome-pytorch."""
    return config.get("model_type") == TYPE


def to_config(config: dict[str, Any], folder: Path, tensors: Mapping[str, Tensor]) -> AlphaGenomeConfig:
    """Return our configuration: the published one with the fields of config.json; CheckpointError if they are not valid."""
    shape = {name: value for name, value in config.items() if name not in ("model_type", "architectures")}
    try:
        return AlphaGenomeConfig.from_dict(shape)
    except ConfigError as error:
        raise CheckpointError(f"{folder / 'config.json'}: {error}") from error


def _with_rows(tensors: dict[str, Tensor], path: Path, config: dict[str, Any]) -> dict[str, Tensor]:
    """Add the rows of the real tracks, which the layout does not store, under our names."""
    shape = to_config(config, path.parent, {})
    for name, n_rows in shape.outputs.items():
        for i, organism in enumerate(shape.organisms):
            tensors[f"outputs.{name}.rows_{i}"] = default_rows(name, n_rows, shape.tracks[organism][name])
    return tensors


def from_config(model: Any) -> dict[str, Any]:
    """Return the config.json of a model; raise ConfigError if its tracks are not in the rows that this layout implies."""
    require_alphagenome(model, TYPE)
    shape = model.config
    for name, n_rows in shape.outputs.items():
        for i, organism in enumerate(shape.organisms):
            rows = default_rows(name, n_rows, shape.tracks[organism][name])
            if not torch.equal(getattr(model.outputs[name], f"rows_{i}").cpu(), rows):
                raise ConfigError(
                    f"{TYPE} stores no masks, and the tracks of {organism} {name} are not the first rows; take another layout."
                )
    values, published = asdict(shape), asdict(AlphaGenomeConfig())
    return {"model_type": TYPE, **{name: value for name, value in values.items() if value != published[name]}}


ALPHAGENOME_PYTORCH = WeightFormat(detect, to_config, from_config, NAMES, check=_with_rows)
