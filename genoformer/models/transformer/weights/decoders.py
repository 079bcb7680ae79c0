"""Llama and Qwen3 <-> Encoder: causal models with RMS norm, SwiGLU and shared keys, such as Carbon, MarinDNA, GENERator."""

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
        "model.embed_tokens": "tokens",
        "model.norm": "norm",
        "lm_head": "decoder",
        f"{_LAYER}.input_layernorm": "layers.{}.norm_attention",
        f"{_LAYER}.self_attn.q_norm": "layers.{}.attention.norm_query",
        f"{_LAYER}.self_attn.k_norm": "layers.{}.attention.norm_key",
        f"{_LAYER}.self_attn.o_proj": "layers.{}.attention.out",
        f"{_LAYER}.post_attention_layernorm": "layers.{}.norm_feed",
        f"{_LAYER}.mlp.down_proj": "layers.{}.down",
    },
    fuse={
        "layers.{}.attention.qkv": tuple(f"{_LAYER}.self_attn.{part}_proj" for part in "qkv"),
        "layers.{}.up": (f"{_LAYER}.mlp.gate_proj", f"{_LAYER}.mlp.up_proj"),
    },
    tied={"lm_head.weight": "model.embed_tokens.weight"},
    ignore_others=True,  # rotary frequencies of older files
)
_FIELDS = {
    "n_kv_heads": "num_key_value_heads",
    "head_width": "head_dim",
    "max_tokens": "max_position_embeddings",
    "norm_eps": "rms_norm_eps",
    "init_std": "initializer_range",
    "rotary_base": "rope_theta",
    "qkv_bias": "attention_bias",
    "out_bias": "attention_bias",
}
_KINDS = ("llama", "qwen3")


def _detect(config: dict[str, Any]) -> bool:
    return config.get("model_type") in _KINDS and not classifies(config)


def decoder_shape(config: dict[str, Any], folder: Path, tensors: Mapping[str, Tensor]) -> EncoderConfig:
    """Return the configuration of a Llama or Qwen3; raise CheckpointError for scaled rotary positions and local layers."""
    kind = str(config["model_type"])
    require_fields(config, folder, {"use_sliding_window": False, "mlp_bias": False, "hidden_act": "silu"})
    scaling = config.get("rope_scaling") or config.get("rope_parameters")
    if isinstance(scaling, dict):
        require_fields({"rope_type": scaling.get("rope_type", scaling.get("type"))}, folder, {"rope_type": "default"})
    if isinstance(scaling, dict) and "rope_theta" in scaling:  # newer files keep the base there
        config = {**config, "rope_theta": scaling["rope_theta"]}
    values = {
        **SHAPES[kind],
        **{ours: config[theirs] for ours, theirs in _FIELDS.items() if config.get(theirs) is not None},
        "causal": True,
        "tied_decoder": is_tied(tensors, config, default=False),
    }
    if not _has_head(config):
        values["output"] = "none"
    return shape_of(config, folder, read_tokenizer(folder, config.get("vocab_size")), {}, **values)


def _check(tensors: dict[str, Tensor], path: Path, config: dict[str, Any]) -> dict[str, Tensor]:
    tensors = with_prefix(tensors, "model", ("embed_tokens", "layers", "norm"))
    if "lm_head.weight" not in tensors and not config.get("tie_word_embeddings") and _has_head(config):
        raise CheckpointError(f"{path} has no lm_head.weight, and config.json ties none; copy the whole model folder again.")
    return tensors


def _has_head(config: Mapping[str, Any]) -> bool:
    """True unless config.json names a model without a language model's head, such as LlamaModel."""
    return not all(str(name).endswith("Model") for name in config.get("architectures") or ["ForCausalLM"])


def _from_config(model: Any) -> dict[str, Any]:
    require_encoder(model, "Llama's layout")
    return decoder_config(model.config, model.tokenizer, "Model" if model.config.output == "none" else "ForCausalLM")


def decoder_config(shape: EncoderConfig, tokenizer: Any, architecture: str) -> dict[str, Any]:
    """Return the config.json of a Llama or Qwen3; raise ConfigError if its layout cannot hold the model."""
    kind = "qwen3" if shape.qk_norm else "llama"
    fixed = ("position", "norm", "norm_type", "activation", "n_token_types", "up_bias", "down_bias", "decoder_bias")
    wanted = {name: SHAPES[kind][name] for name in fixed}
    require_shape(
        shape,
        wanted | {"causal": True, "conv_kernel": 0, "final_norm": True, "embedding_norm": False, "out_bias": shape.qkv_bias},
        "Llama's layout",
    )
    name = {"llama": "Llama", "qwen3": "Qwen3"}[kind]
    return {
        "architectures": [name + architecture],
        "model_type": kind,
        **config_of(shape, {ours: theirs for ours, theirs in _FIELDS.items() if ours != "out_bias"}),
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_size,
        "hidden_act": "silu",
        "attention_dropout": shape.dropout,
        "tie_word_embeddings": shape.tied_decoder,
        "pad_token_id": tokenizer.pad_id,
    }


DECODER_ONLY = WeightFormat(_detect, decoder_shape, _from_config, NAMES, _check, read_assets, write_assets, lambda shape: True)
CLASSIFIER = classifier_format(
    DECODER_ONLY,
    {"score": "out"},
    decoder_config,
    architecture="ForSequenceClassification",
    pooling="last",
    head="linear",
    head_bias=False,
)
