"""alphagenome-pt's layout, read and written: config.json, metadata.json and model.safetensors <-> AlphaGenome.

metadata.json has the organisms, and of each output the number of rows, which of them are real tracks, and their means.
alphagenome-pt derives relative positions from max_seq_len, as the published weights do with 1,048,576.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genoformer.errors import CheckpointError, ConfigError
from genoformer.files import write_text
from genoformer.models.alphagenome.config import JUNCTIONS, N_POOLS, OUTPUTS, AlphaGenomeConfig
from genoformer.models.alphagenome.model import AlphaGenome
from genoformer.models.alphagenome.outputs import KINDS_OF_SITES
from genoformer.models.formats import NameMap, WeightFormat
from genoformer.models.weights import read_json, refuse_misspelt

METADATA = "metadata.json"

# AlphaGenomeConfig of alphagenome-pt -> ours; its defaults follow from num_channels and max_seq_len and are always written.
_FIELDS = {
    "num_channels": "width",
    "channel_increment": "width_step",
    "transformer_layers": "n_blocks",
    "num_q_heads": "n_heads",
    "qk_head_dim": "key_width",
    "v_head_dim": "value_width",
    "pair_channels": "pair_width",
    "pair_heads": "n_pair_heads",
    "pos_channels": "n_pair_features",
    "first_conv_width": "stem_kernel",
    "block_width": "kernel",
    "max_seq_len": "longest_window",
    "context_length": "context_length",  # our field
    "splice_site_channels": "junction_width",
    "num_splice_sites": "n_junction_sites",
    "splice_site_threshold": "site_threshold",
}
_FIXED = {"num_kv_heads": 1, "transformer_mlp_ratio": 2, "embedder_mlp_ratio": 2}  # other values are not read


def _norms(names: Mapping[str, str], *, batch: bool) -> dict[str, str]:
    """Return the names of the tensors of norms, their module -> ours; batch: with running statistics."""
    tensors = {"scale": "weight", "offset": "bias"} | ({"var_EMA": "running_var"} if batch else {})
    return {f"{t}.{a}": f"{o}.{b}" for t, o in names.items() for a, b in tensors.items()}


def _conv_blocks(names: Mapping[str, str]) -> dict[str, str]:
    """Return the names of blocks of a norm and a convolution."""
    modules = {f"{theirs}.conv": f"{ours}.conv" for theirs, ours in names.items()}
    return modules | _norms({f"{theirs}.norm": f"{ours}.norm" for theirs, ours in names.items()}, batch=True)


_DOWN, _UP = "sequence_encoder.downres_blocks.bin_size", "sequence_decoder.upres_blocks.bin_size"
_BLOCK = "transformer_tower.blocks.{}"
_QKV = (("q", "query"), ("k", "key"), ("v", "value"))
_PAIRS, _PROJECTION = f"{_BLOCK}.pair_update", f"{_BLOCK}.pair_update.sequence_to_pair_block"
_RENAME = {
    f"{_DOWN}_1.conv1_d": "stages.0.conv",
    **_conv_blocks(
        {f"{_DOWN}_1.conv_block": "stages.0.block"}
        | {f"{_DOWN}_{2**i}.conv_block1": f"stages.{i}.first" for i in range(1, N_POOLS)}
        | {f"{_DOWN}_{2**i}.conv_block2": f"stages.{i}.second" for i in range(1, N_POOLS)}
        | {f"{_UP}_{2**i}.conv_in": f"decoder.{N_POOLS - 1 - i}.inner" for i in range(N_POOLS)}
        | {f"{_UP}_{2**i}.pointwise_conv_unet_skip": f"decoder.{N_POOLS - 1 - i}.skip" for i in range(N_POOLS)}
        | {f"{_UP}_{2**i}.conv_out": f"decoder.{N_POOLS - 1 - i}.outer" for i in range(N_POOLS)}
    ),
    **{f"{_UP}_{2**i}.residual_scale": f"decoder.{N_POOLS - 1 - i}.residual_scale" for i in range(N_POOLS)},
    "org_embedder": "organism",
    **_norms({f"{_PROJECTION}.norm": "blocks.{}.pairs.projection.norm"}, batch=False),
    **{
        f"{_PROJECTION}.{theirs}": f"blocks.{{}}.pairs.projection.{ours}"
        for theirs, ours in {
            "linear_q": "query",
            "linear_k": "key",
            "linear_pos_features": "position",
            "q_r_bias": "query_bias",
            "k_r_bias": "key_bias",
            "linear_y_q": "row",
            "linear_y_k": "column",
            "linear_pair": "mix",
        }.items()
    },
    **_norms({f"{_PAIRS}.row_attention_block.norm": "blocks.{}.pairs.norm_rows"}, batch=False),
    f"{_PAIRS}.row_attention_block.linear_q": "blocks.{}.pairs.query",
    f"{_PAIRS}.row_attention_block.linear_k": "blocks.{}.pairs.key",
    f"{_PAIRS}.row_attention_block.linear_v": "blocks.{}.pairs.value",
    **_norms({f"{_PAIRS}.pair_mlp_block.norm": "blocks.{}.pairs.norm_feed"}, batch=False),
    f"{_PAIRS}.pair_mlp_block.fc1": "blocks.{}.pairs.up",
    f"{_PAIRS}.pair_mlp_block.fc2": "blocks.{}.pairs.down",
    **_norms(
        {
            f"{_BLOCK}.attn_bias.bn": "blocks.{}.attention.norm_pairs",
            f"{_BLOCK}.mha.bn1": "blocks.{}.attention.norm",
            f"{_BLOCK}.mha.bn2": "blocks.{}.attention.norm_out",
            f"{_BLOCK}.mlp.bn1": "blocks.{}.norm_feed",
            f"{_BLOCK}.mlp.bn2": "blocks.{}.norm_out",
            "output_t.norm": "embed_bins.norm",
            "output_x.norm": "embed_bases.norm",
        },
        batch=True,
    ),
    f"{_BLOCK}.attn_bias.fc": "blocks.{}.attention.bias",
    f"{_BLOCK}.mha.q_layer": "blocks.{}.attention.query",
    f"{_BLOCK}.mha.k_layer": "blocks.{}.attention.key",
    f"{_BLOCK}.mha.v_layer": "blocks.{}.attention.value",
    **_norms({f"{_BLOCK}.mha.norm_{a}": f"blocks.{{}}.attention.norm_{b}" for a, b in _QKV}, batch=False),
    f"{_BLOCK}.mha.linear_embedding": "blocks.{}.attention.out",
    f"{_BLOCK}.mlp.fc1": "blocks.{}.up",
    f"{_BLOCK}.mlp.fc2": "blocks.{}.down",
    "output_t.fc1": "embed_bins.linear",
    "output_t.org": "embed_bins.organism",
    "output_x.fc1": "embed_bases.linear",
    "output_x.fc_skip": "embed_bases.skip",
    "output_x.org": "embed_bases.organism",
    **_norms({"output_pair.norm": "embed_pairs.norm"}, batch=False),
    "output_pair.organism_embed": "embed_pairs.organism",
    **{f"_heads.NAME.multiorg_linear.{size}": f"outputs.NAME.linears.{size}" for size in (1, 128)},
    **{f"_heads.NAME.residual_scales.{size}": f"outputs.NAME.scales.{size}" for size in (1, 128)},
    "_heads.NAME.multiorg_linear": "outputs.NAME.linear",
    **{f"_heads.{JUNCTIONS}.{kind}_logits_embeddings": f"outputs.{JUNCTIONS}.tissues.{kind}" for kind in KINDS_OF_SITES},
}
NAMES = NameMap(
    _RENAME,
    axes={
        "projection.query_bias": (None, None),
        "projection.key_bias": (None, None),
        "skip.conv.weight": (slice(None), slice(None), 0),  # a linear layer there
    },
    swapped=("linears.1.weight", "linears.128.weight", *(f"outputs.{name}.linear.weight" for name in OUTPUTS)),
)


def detect(config: dict[str, Any]) -> bool:
    """True if a config.json is one of alphagenome-pt."""
    return config.get("model_name") == "AlphaGenome" and "num_channels" in config and not config.get("model_type")


def to_config(config: dict[str, Any], folder: Path, tensors: Mapping[str, Tensor]) -> AlphaGenomeConfig:
    """Convert the two JSON files to our configuration; raise CheckpointError if they are not valid."""
    path = folder / "config.json"
    refuse_misspelt(config, path, "context_length")
    for name, value in _FIXED.items():
        if config.get(name, value) != value:
            raise CheckpointError(f"{path}: {name} = {config[name]!r} is not read; take a model with {value}.")
    if missing := [name for name in _FIELDS if name not in config and name != "context_length"]:
        raise CheckpointError(f"{path} has no {missing[0]}; save the model again with alphagenome-pt 1.0 or later.")
    shape = {ours: config[theirs] for theirs, ours in _FIELDS.items() if theirs in config}
    organisms, outputs = _metadata(folder)
    tracks = {organism: {name: len(rows[i]) for name, (_, rows, _) in outputs.items()} for i, organism in enumerate(organisms)}
    try:
        return AlphaGenomeConfig.from_dict(
            {
                "context_length": shape["longest_window"],
                **shape,
                "organisms": organisms,
                "outputs": {name: n_rows for name, (n_rows, _, _) in outputs.items()},
                "tracks": tracks,
            }
        )
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _metadata(folder: Path) -> tuple[list[str], dict[str, tuple[int, list[list[int]], Any]]]:
    """Return the organisms of metadata.json and, of each output, its number of rows, the rows of tracks, and the means."""
    path = folder / METADATA
    if not path.is_file():
        raise CheckpointError(f"{path} is missing, which has the tracks of the outputs; copy the whole model folder.")
    values = read_json(path)
    try:
        organisms = [str(name) for name in values["organisms"]]
        outputs = {}
        for name, head in values["heads"].items():
            counts = head.get("num_tracks", head.get("num_tissues"))
            masks = head.get("track_mask", head.get("tissue_mask"))
            rows = (
                [list(range(n)) for n in counts]
                if masks is None
                else [[i for i, there in enumerate(mask) if there] for mask in masks]
            )
            n_rows = max(counts) if counts is not None else len(masks[0])
            if len(rows) != len(organisms) or any(row and row[-1] >= n_rows for row in rows):
                raise CheckpointError(f"{path}: {name} has tracks of other organisms or rows; copy the model folder again.")
            outputs[str(name)] = (n_rows, rows, head.get("means"))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is not a table of outputs ({error!r}); copy the model folder again.") from error
    return organisms, outputs


def _with_metadata(tensors: dict[str, Tensor], path: Path, config: dict[str, Any]) -> dict[str, Tensor]:
    """Add the rows and means of metadata.json to the tensors, under our names."""
    organisms, outputs = _metadata(path.parent)
    for name, (n_rows, rows, means) in outputs.items():
        for i in range(len(organisms)):
            tensors[f"outputs.{name}.rows_{i}"] = torch.tensor(rows[i], dtype=torch.int64)
        if OUTPUTS[name].has_means:
            table = torch.ones(len(organisms), n_rows) if means is None else _table(means, path.parent / METADATA, name)
            tensors[f"outputs.{name}.means"] = table
    return tensors


def _table(means: Any, path: Path, name: str) -> Tensor:
    try:
        return torch.tensor(means, dtype=torch.float32)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: the means of {name} are not a table of numbers; copy the model folder again."
        ) from error


def from_config(model: Any) -> dict[str, Any]:
    """Return the config.json of a model."""
    require_alphagenome(model, "alphagenome-pt")
    return {
        "model_name": "AlphaGenome",
        **{theirs: getattr(model.config, ours) for theirs, ours in _FIELDS.items()},
        **_FIXED,
        "init_scale": 0.9,
        "dropout": 0.0,
        "sync_bn": True,
        "min_zero_multinomial_loss": True,
        "dtype_policy": "float32",
    }


def require_alphagenome(model: Any, layout: str) -> None:
    """Raise ConfigError for a model of another family."""
    if type(model) is not AlphaGenome:
        raise ConfigError(f"{layout}'s layout holds AlphaGenome and no other models; save in genoformer's layout instead.")


def _write_metadata(model: AlphaGenome, folder: Path) -> None:
    """Write metadata.json: organisms, rows, masks of the real tracks, and means."""
    organisms, heads = list(model.config.organisms), {}
    for name, n_rows in model.config.outputs.items():
        module = model.outputs[name]
        masks = [
            torch.zeros(n_rows, dtype=torch.int64).index_fill(0, getattr(module, f"rows_{i}").cpu(), 1)
            for i in range(len(organisms))
        ]
        counts, mask = ("num_tissues", "tissue_mask") if name == JUNCTIONS else ("num_tracks", "track_mask")
        heads[name] = {counts: [n_rows] * len(organisms), mask: [row.bool().tolist() for row in masks]}
        if OUTPUTS[name].has_means:
            heads[name]["means"] = module.means.float().tolist()  # type: ignore[operator]
    write_text(folder / METADATA, json.dumps({"organisms": organisms, "heads": heads}) + "\n")


ALPHAGENOME_PT = WeightFormat(detect, to_config, from_config, NAMES, check=_with_metadata, write_assets=_write_metadata)
