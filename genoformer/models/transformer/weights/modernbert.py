"""ModernBERT: Hugging Face's ModernBertModel and ModernBertForMaskedLM, as ModernGENA <-> Encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from genoformer.errors import CheckpointError
from genoformer.models.formats import NameMap, WeightFormat
from genoformer.models.transformer.config import SHAPES, EncoderConfig
from genoformer.models.transformer.weights.classifiers import classifier_format
from genoformer.models.transformer.weights.huggingface import (
    classifies,
    config_of,
    is_tied,
    read_assets,
    read_tokenizer,
    require_encoder,
    require_fields,
    require_shape,
    shape_of,
    with_prefix,
    write_assets,
)

_LAYER = "model.layers.{}"
NAMES = NameMap(
    rename={
        "model.embeddings.tok_embeddings": "tokens",
        "model.embeddings.norm": "norm_embedding",
        "model.final_norm": "norm",
        "head.dense": "transform",
        "head.norm": "norm_transform",
        "decoder": "decoder",
        f"{_LAYER}.attn_norm": "layers.{}.norm_attention",
        f"{_LAYER}.attn.Wqkv": "layers.{}.attention.qkv",
        f"{_LAYER}.attn.Wo": "layers.{}.attention.out",
        f"{_LAYER}.mlp_norm": "layers.{}.norm_feed",
        f"{_LAYER}.mlp.Wi": "layers.{}.up",
        f"{_LAYER}.mlp.Wo": "layers.{}.down",
    },
    tied={"decoder.weight": "model.embeddings.tok_embeddings.weight"},
    ignore_others=True,
)
_FIELDS = {
    "max_tokens": "max_position_embeddings",
    "norm_eps": "norm_eps",
    "norm_bias": "norm_bias",
    "init_std": "initializer_range",
    "local_window": "local_attention",
    "global_every": "global_attn_every_n_layers",
    "rotary_base": "global_rope_theta",
    "local_rotary_base": "local_rope_theta",
    "qkv_bias": "attention_bias",
    "out_bias": "attention_bias",
    "up_bias": "mlp_bias",
    "down_bias": "mlp_bias",
    "transform_bias": "classifier_bias",
    "decoder_bias": "decoder_bias",
    "dropout": "embedding_dropout",
}


def _detect(config: dict[str, Any]) -> bool:
    return config.get("model_type") == "modernbert" and not classifies(config)


def modernbert_shape(config: dict[str, Any], folder: Path, tensors: Mapping[str, Tensor]) -> EncoderConfig:
    """Return the configuration of a ModernBERT."""
    config = _older_fields(config, folder / "config.json")
    require_fields(config, folder, {"hidden_activation": "gelu"})
    values = {
        **SHAPES["modernbert"],
        **{ours: config[theirs] for ours, theirs in _FIELDS.items() if config.get(theirs) is not None},
        "tied_decoder": is_tied(tensors, config, default=True),
    }
    if tensors and "transform.weight" not in tensors:
        values["output"] = "none"
    return shape_of(config, folder, read_tokenizer(folder, config.get("vocab_size")), {}, **values)


_OLDER = {
    "full_attention": "global_rope_theta",
    "sliding_attention": "local_rope_theta",
}  # kind of layer -> base of its rotations


def _older_fields(config: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return a config.json with the fields of transformers 4; version 5 lists the kind of each layer, and a base for each kind.

    Raises CheckpointError for scaled rotary positions, and for global layers that are not the first and every n-th from there.
    """
    older: dict[str, Any] = {}
    bases = config.get("rope_parameters")
    for kind, name in _OLDER.items():
        base = bases.get(kind) if isinstance(bases, dict) else None
        if not isinstance(base, dict):
            continue
        require_fields(base, path.parent, {"rope_type": "default"})
        older |= {name: base["rope_theta"]} if "rope_theta" in base else {}
    if kinds := config.get("layer_types"):
        is_global = [kind == "full_attention" for kind in kinds]
        every = is_global.index(True, 1) if any(is_global[1:]) else len(is_global)
        if is_global != [i % every == 0 for i in range(len(is_global))] or not set(kinds) <= _OLDER.keys():
            raise CheckpointError(
                f"{path} has layer_types {kinds}, expected full_attention in the first layer and every n-th from there, and "
                "sliding_attention in the others; take another model."
            )
        older["global_attn_every_n_layers"] = every
    return {**config, **older}


def _check(tensors: dict[str, Tensor], path: Path, config: dict[str, Any]) -> dict[str, Tensor]:
    tensors = with_prefix(tensors, "model", ("embeddings", "layers", "final_norm"))
    if "head.dense.weight" not in tensors:
        return {name: tensor for name, tensor in tensors.items() if not name.startswith("decoder.")}
    return tensors


def _from_config(model: Any) -> dict[str, Any]:
    require_encoder(model, "ModernBERT's layout")
    architecture = "ModernBertModel" if model.config.output == "none" else "ModernBertForMaskedLM"
    return modernbert_config(model.config, model.tokenizer, architecture)


def modernbert_config(shape: EncoderConfig, tokenizer: Any, architecture: str) -> dict[str, Any]:
    """Return the config.json of a ModernBERT; raise ConfigError if its layout cannot hold the model."""
    fixed = ("position", "norm", "embedding_norm", "first_norm", "activation", "n_token_types", "final_norm", "norm_type")
    wanted = {"final_norm": True, "norm_type": "layer", **SHAPES["modernbert"]}
    expected = {name: wanted[name] for name in fixed} | {"causal": False, "conv_kernel": 0, "kv_heads": shape.n_heads}
    expected |= {"out_bias": shape.qkv_bias, "down_bias": shape.up_bias}
    require_shape(shape, expected, "ModernBERT's layout")
    return {
        "architectures": [architecture],
        "model_type": "modernbert",
        **config_of(shape, {ours: theirs for ours, theirs in _FIELDS.items() if ours not in ("out_bias", "down_bias")}),
        "hidden_activation": "gelu",
        "attention_dropout": shape.dropout,
        "mlp_dropout": shape.dropout,
        "local_rope_theta": shape.local_rotary_base or shape.rotary_base,
        "tie_word_embeddings": shape.tied_decoder,
        "pad_token_id": tokenizer.pad_id,
    }


MODERNBERT = WeightFormat(_detect, modernbert_shape, _from_config, NAMES, _check, read_assets, write_assets, lambda shape: True)
CLASSIFIER = classifier_format(
    MODERNBERT,
    {"head.dense": "hidden", "head.norm": "norm", "classifier": "out"},
    modernbert_config,
    architecture="ModernBertForSequenceClassification",
    head="gelu-norm",
)
