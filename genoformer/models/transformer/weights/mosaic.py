"""DNABERT-2 and DNABERT-S: MosaicML's BERT with ALiBi positions and a gated feed-forward part <-> Encoder.

Names and shapes: the hub's bert_layers.py (Zhou et al. 2024), which transformers runs as remote code; here none is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from genoformer.models.foreign import is_dnabert2
from genoformer.models.formats import NameMap, WeightFormat
from genoformer.models.transformer.config import SHAPES, EncoderConfig
from genoformer.models.transformer.weights.bert import POOLED
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

_LAYER = "bert.encoder.layer.{}"
NAMES = NameMap(
    rename={
        "bert.embeddings.word_embeddings": "tokens",
        "bert.embeddings.token_type_embeddings": "segments",
        "bert.embeddings.LayerNorm": "norm",
        "bert.pooler.dense": "pooler",
        "cls.predictions.transform.dense": "transform",
        "cls.predictions.transform.LayerNorm": "norm_transform",
        "cls.predictions.decoder": "decoder",
        f"{_LAYER}.attention.self.Wqkv": "layers.{}.attention.qkv",
        f"{_LAYER}.attention.output.dense": "layers.{}.attention.out",
        f"{_LAYER}.attention.output.LayerNorm": "layers.{}.norm_attention",
        f"{_LAYER}.mlp.gated_layers": "layers.{}.up",
        f"{_LAYER}.mlp.wo": "layers.{}.down",
        f"{_LAYER}.mlp.layernorm": "layers.{}.norm_feed",
    },
    tied={"cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight"},
    ignore_others=True,
)
_FIELDS = {
    "dropout": "hidden_dropout_prob",
    "norm_eps": "layer_norm_eps",
    "init_std": "initializer_range",
    "n_token_types": "type_vocab_size",
}


def _detect(config: dict[str, Any]) -> bool:
    return config.get("model_type", "bert") == "bert" and is_dnabert2(config) and not classifies(config)


def mosaic_shape(config: dict[str, Any], folder: Path, tensors: Mapping[str, Tensor]) -> EncoderConfig:
    """Return the configuration of a DNABERT-2; its ALiBi positions have no end, so the default window is BERT's."""
    values = {
        **SHAPES["dnabert2"],
        "pooler": "pooler.weight" in tensors,
        "tied_decoder": is_tied(tensors, config, default=True),
        "max_tokens": int(config.get("alibi_starting_size", 512)),
    }
    if tensors and "decoder.bias" not in tensors:
        values["output"] = "none"
    return shape_of(config, folder, read_tokenizer(folder, config.get("vocab_size")), _FIELDS, **values)


def _check(tensors: dict[str, Tensor], path: Path, config: dict[str, Any]) -> dict[str, Tensor]:
    tensors = with_prefix(tensors, "bert", ("embeddings", "encoder", "pooler"))
    if "cls.predictions.bias" in tensors:  # as transformers names it
        tensors.setdefault("cls.predictions.decoder.bias", tensors["cls.predictions.bias"])
    if "cls.predictions.decoder.bias" not in tensors:
        tensors.pop("cls.predictions.decoder.weight", None)
    return tensors


def _from_config(model: Any) -> dict[str, Any]:
    require_encoder(model, "DNABERT-2's layout")
    return mosaic_config(model.config, model.tokenizer, "BertForMaskedLM")


def mosaic_config(shape: EncoderConfig, tokenizer: Any, architecture: str) -> dict[str, Any]:
    """Return the config.json of a DNABERT-2; raise ConfigError if its layout cannot hold the model."""
    fixed = {**SHAPES["dnabert2"], "norm": "post", "norm_type": "layer", "causal": False, "conv_kernel": 0, "qkv_bias": True}
    require_shape(shape, {**fixed, "kv_heads": shape.n_heads, "down_bias": True, "out_bias": True}, "DNABERT-2's layout")
    return {
        "architectures": [architecture],
        "model_type": "bert",
        **config_of(shape, _FIELDS),
        "alibi_starting_size": shape.max_tokens,
        "attention_probs_dropout_prob": 0.0,
        "hidden_act": "gelu",
        "max_position_embeddings": shape.max_tokens,
        "pad_token_id": tokenizer.pad_id,
    }


DNABERT2 = WeightFormat(_detect, mosaic_shape, _from_config, NAMES, _check, read_assets, write_assets)
CLASSIFIER = classifier_format(
    DNABERT2, POOLED, mosaic_config, architecture="BertForSequenceClassification", pooling="cls", head="tanh"
)
