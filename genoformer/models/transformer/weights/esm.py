"""ESM: Hugging Face's EsmModel and EsmForMaskedLM, and the gated form of Nucleotide Transformer v2 <-> Encoder.

The gate of v2 was read in the layers of instadeepai/nucleotide-transformer (haiku): fc1 gives halves a, b, then swish(a) * b.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from genoformer.errors import CheckpointError, ConfigError
from genoformer.models.formats import NameMap, WeightFormat
from genoformer.models.transformer.config import EncoderConfig
from genoformer.models.transformer.weights.classifiers import classifier_format
from genoformer.models.transformer.weights.huggingface import (
    classifies,
    config_of,
    is_tied,
    read_assets,
    read_tokenizer,
    require_encoder,
    require_shape,
    shape_of,
    with_prefix,
    write_assets,
)

_LAYER = "esm.encoder.layer.{}"
NAMES = NameMap(
    rename={
        "esm.embeddings.word_embeddings": "tokens",
        "esm.embeddings.position_embeddings": "positions",
        "esm.embeddings.layer_norm": "norm_embedding",
        "esm.encoder.emb_layer_norm_after": "norm",
        "esm.pooler.dense": "pooler",
        "lm_head.dense": "transform",
        "lm_head.layer_norm": "norm_transform",
        "lm_head.decoder.weight": "decoder.weight",
        "lm_head.bias": "decoder.bias",
        f"{_LAYER}.attention.LayerNorm": "layers.{}.norm_attention",
        f"{_LAYER}.attention.output.dense": "layers.{}.attention.out",
        f"{_LAYER}.LayerNorm": "layers.{}.norm_feed",
        f"{_LAYER}.intermediate.dense": "layers.{}.up",
        f"{_LAYER}.output.dense": "layers.{}.down",
    },
    fuse={"layers.{}.attention.qkv": tuple(f"{_LAYER}.attention.self.{part}" for part in ("query", "key", "value"))},
    tied={"lm_head.decoder.weight": "esm.embeddings.word_embeddings.weight"},
    ignore_others=True,  # such as the contact head and rotary frequencies
)
_FIELDS = {
    "dropout": "hidden_dropout_prob",
    "norm_eps": "layer_norm_eps",
    "init_std": "initializer_range",
}
_MASKED = 0.15 * 0.8  # share of masked tokens in training; transformers has this number for all ESM models
_POSITIONS = {"absolute": "learned", "rotary": "rotary"}


def _detect(config: dict[str, Any]) -> bool:
    return config.get("model_type") == "esm" and not classifies(config)


def esm_shape(config: dict[str, Any], folder: Path, tensors: Mapping[str, Tensor]) -> EncoderConfig:
    """Return the configuration of an ESM; a feed-forward part twice as wide as config.json says is gated."""
    kind = config.get("position_embedding_type", "absolute")
    if kind not in _POSITIONS or config.get("is_folding_model"):
        raise CheckpointError(
            f"{folder / 'config.json'} has positions {kind!r} or is a folding model; expected ESM with "
            f"{' or '.join(_POSITIONS)} positions."
        )
    offset = int(config.get("pad_token_id") or 0) + 1  # learned positions start after that of the padding
    up = tensors.get("layers.0.up.weight")
    gated = up is not None and up.shape[0] == 2 * config["intermediate_size"]
    values: dict[str, Any] = {
        "position": _POSITIONS[kind],
        "position_offset": offset if _POSITIONS[kind] == "learned" else 0,
        "max_tokens": int(config.get("max_position_embeddings") or 1026) - offset,
        "norm": "pre",
        "embedding_norm": bool(config.get("emb_layer_norm_before")),
        "n_token_types": 0,
        "masked_in_training": _MASKED if config.get("token_dropout") else 0.0,
        "activation": "swiglu" if gated or (up is None and config.get("add_bias_fnn") is False) else "gelu",
        "up_bias": bool(config.get("add_bias_fnn", True)),
        "down_bias": bool(config.get("add_bias_fnn", True)),
        "pooler": "pooler.weight" in tensors,
        "tied_decoder": is_tied(tensors, config, default=True),
    }
    if config.get("rope_theta") is not None:  # of transformers 5; before, the base was 10,000 in every ESM
        values["rotary_base"] = config["rope_theta"]
    if tensors and "decoder.bias" not in tensors:
        values["output"] = "none"
    return shape_of(config, folder, read_tokenizer(folder, config.get("vocab_size")), _FIELDS, **values)


def without_unused(tensors: dict[str, Tensor], config: dict[str, Any]) -> dict[str, Tensor]:
    """Return the tensors without the learned positions that earlier versions of transformers store with rotary ones, too."""
    if config.get("position_embedding_type", "absolute") == "absolute":
        return tensors
    return {name: tensor for name, tensor in tensors.items() if not name.endswith("embeddings.position_embeddings.weight")}


def _check(tensors: dict[str, Tensor], path: Path, config: dict[str, Any]) -> dict[str, Tensor]:
    tensors = without_unused(with_prefix(tensors, "esm", ("embeddings", "encoder", "pooler")), config)
    if "lm_head.bias" not in tensors and "lm_head.decoder.bias" in tensors:
        tensors["lm_head.bias"] = tensors["lm_head.decoder.bias"]
    if config.get("position_embedding_type", "absolute") != "absolute":  # in older files, and not used
        tensors.pop("esm.embeddings.position_embeddings.weight", None)
    return tensors


def _from_config(model: Any) -> dict[str, Any]:
    require_encoder(model, "ESM's layout")
    return esm_config(model.config, model.tokenizer, "EsmModel" if model.config.output == "none" else "EsmForMaskedLM")


def esm_config(shape: EncoderConfig, tokenizer: Any, architecture: str) -> dict[str, Any]:
    """Return the config.json of an ESM; raise ConfigError if its layout cannot hold the model."""
    kind = {ours: theirs for theirs, ours in _POSITIONS.items()}.get(shape.position)
    if kind is None or shape.activation == "geglu" or shape.masked_in_training not in (0.0, _MASKED):
        raise ConfigError(
            f"found position = {shape.position!r}, activation = {shape.activation!r}; ESM's layout holds learned or rotary "
            "positions and GELU or SwiGLU: save in genoformer's layout instead."
        )
    fixed = {"norm": "pre", "norm_type": "layer", "final_norm": True, "first_norm": True, "n_token_types": 0, "causal": False}
    fixed |= {"conv_kernel": 0, "qkv_bias": True, "out_bias": True, "kv_heads": shape.n_heads, "rotary_base": 10_000.0}
    offset = tokenizer.pad_id + 1
    require_shape(
        shape, {**fixed, "position_offset": offset if shape.position == "learned" else 0, "local_window": 0}, "ESM's layout"
    )
    return {
        "architectures": [architecture],
        "model_type": "esm",
        **config_of(shape, _FIELDS),
        "attention_probs_dropout_prob": shape.dropout,
        "position_embedding_type": kind,
        "max_position_embeddings": shape.max_tokens + offset,
        "emb_layer_norm_before": shape.embedding_norm,
        "token_dropout": bool(shape.masked_in_training),
        "tie_word_embeddings": shape.tied_decoder,
        "mask_token_id": tokenizer.mask_id,
        "pad_token_id": tokenizer.pad_id,
        **({} if shape.up_bias else {"add_bias_fnn": False}),
    }


def _in_transformers(shape: EncoderConfig) -> bool:
    """False for the gated form of Nucleotide Transformer v2, which the class of transformers does not have."""
    return not shape.gated and shape.up_bias and shape.down_bias


ESM = WeightFormat(_detect, esm_shape, _from_config, NAMES, _check, read_assets, write_assets, _in_transformers)
CLASSIFIER = classifier_format(
    ESM,
    {"classifier.dense": "hidden", "classifier.out_proj": "out"},
    esm_config,
    architecture="EsmForSequenceClassification",
    clean=without_unused,
    pooling="cls",
    head="tanh",
)
