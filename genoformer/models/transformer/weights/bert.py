"""BERT: config.json, vocabulary and weights of Hugging Face's BertModel and BertForMaskedLM <-> Encoder.

DNABERT (k-mers), GROVER (BPE) and GENA-LM (norms before the parts, BPE; read in its modeling_bert.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from genoformer.errors import CheckpointError, ConfigError
from genoformer.models.families import READ
from genoformer.models.foreign import described_config, is_dnabert2
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
    require_fields,
    require_shape,
    shape_of,
    with_prefix,
    write_assets,
)

_LAYER = "bert.encoder.layer.{}"
NAMES = NameMap(
    rename={
        "bert.embeddings.word_embeddings": "tokens",
        "bert.embeddings.position_embeddings": "positions",
        "bert.embeddings.token_type_embeddings": "segments",
        "bert.embeddings.LayerNorm": "norm",
        "bert.pooler.dense": "pooler",
        "cls.predictions.transform.dense": "transform",
        "cls.predictions.transform.LayerNorm": "norm_transform",
        "cls.predictions.decoder.weight": "decoder.weight",
        "cls.predictions.bias": "decoder.bias",
        f"{_LAYER}.attention.output.dense": "layers.{}.attention.out",
        f"{_LAYER}.attention.output.LayerNorm": "layers.{}.norm_attention",
        f"{_LAYER}.intermediate.dense": "layers.{}.up",
        f"{_LAYER}.output.dense": "layers.{}.down",
        f"{_LAYER}.output.LayerNorm": "layers.{}.norm_feed",
    },
    fuse={"layers.{}.attention.qkv": tuple(f"{_LAYER}.attention.self.{part}" for part in ("query", "key", "value"))},
    tied={"cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight"},  # Hugging Face ties it when it loads
    suffixes={".gamma": ".weight", ".beta": ".bias"},  # of TensorFlow checkpoints and early ports
    ignore_others=True,  # such as position_ids and the next-sentence head
)


PRE_NORM_NAMES = NAMES._replace(  # GENA-LM
    rename={
        **{theirs: ours for theirs, ours in NAMES.rename.items() if not ours.startswith(("layers.{}.norm", "norm"))},
        "cls.predictions.transform.LayerNorm": "norm_transform",
        "bert.embeddings.LayerNorm": "norm_embedding",
        "bert.encoder.last_layer_ln": "norm",
        f"{_LAYER}.pre_attention_ln": "layers.{}.norm_attention",
        f"{_LAYER}.post_attention_ln": "layers.{}.norm_feed",
    }
)
_FIELDS = {
    "max_tokens": "max_position_embeddings",
    "dropout": "hidden_dropout_prob",
    "norm_eps": "layer_norm_eps",
    "init_std": "initializer_range",
    "n_token_types": "type_vocab_size",
}
_PARTS = ("embeddings", "encoder", "pooler")


def _detect(config: dict[str, Any]) -> bool:
    bert = config.get("model_type", "bert") == "bert" and "hidden_size" in config
    return bert and not config.get("pre_layer_norm") and not classifies(config) and not is_dnabert2(config)


def _detect_pre_norm(config: dict[str, Any]) -> bool:
    return config.get("model_type", "bert") == "bert" and bool(config.get("pre_layer_norm")) and not classifies(config)


def bert_shape(config: dict[str, Any], folder: Path, tensors: Mapping[str, Tensor]) -> EncoderConfig:
    """Return the configuration of a BERT; raise CheckpointError for a kind that the encoder does not have."""
    require_fields(config, folder, {"hidden_act": "gelu", "position_embedding_type": "absolute"})
    if config.get("sparse_config_cls") or config.get("sparse_attention"):
        raise CheckpointError(
            f"{folder / 'config.json'} names sparse attention (BigBird), as the long GENA-LM have, which is not read; {READ}."
        )
    values: dict[str, Any] = {"pooler": "pooler.weight" in tensors, "tied_decoder": is_tied(tensors, config, default=True)}
    if tensors and "decoder.bias" not in tensors:
        values["output"] = "none"
    if config.get("pre_layer_norm"):
        values |= {"norm": "pre", "embedding_norm": True, "final_norm": bool(config.get("last_layer_norm", True))}
    tokenizer = read_tokenizer(folder, config.get("vocab_size"))
    return shape_of(config, folder, tokenizer, _FIELDS, **values)


def _check(tensors: dict[str, Tensor], path: Path, config: dict[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of a BERT under the names of BertForMaskedLM; raise CheckpointError for those of another model."""
    tensors = with_prefix(tensors, "bert", _PARTS)
    if "cls.predictions.bias" not in tensors and "cls.predictions.decoder.bias" in tensors:
        tensors["cls.predictions.bias"] = tensors["cls.predictions.decoder.bias"]
    if "bert.embeddings.word_embeddings.weight" not in tensors:
        kind = described_config(config)
        raise CheckpointError(
            f"{path} is no BERT: it needs bert.embeddings"
            + (f"; its config.json {kind}." if kind else ".")
            + " Take the folder of a BertModel, BertForMaskedLM or BertForSequenceClassification."
        )
    if "cls.predictions.bias" not in tensors:  # without a head, the copy of a tied decoder would have no place
        tensors.pop("cls.predictions.decoder.weight", None)
    return tensors


def bert_config(shape: EncoderConfig, tokenizer: Any, architecture: str) -> dict[str, Any]:
    """Return the config.json of a BERT."""
    return {
        "architectures": [architecture],
        "model_type": "bert",
        **config_of(shape, _FIELDS),
        "hidden_act": "gelu",
        "attention_probs_dropout_prob": shape.dropout,
        "pad_token_id": tokenizer.pad_id,
        **({} if shape.tied_decoder else {"tie_word_embeddings": False}),
    }


_FIXED = {
    "position": "learned",
    "activation": "gelu",
    "causal": False,
    "conv_kernel": 0,
    "norm_type": "layer",
    "position_offset": 0,
    "masked_in_training": 0.0,
    "qk_norm": False,
    "kv_heads": None,
    "qkv_bias": True,
    "out_bias": True,
    "up_bias": True,
    "down_bias": True,
}


def check_bert(shape: EncoderConfig, norm: str) -> None:
    """Raise ConfigError if BERT's layout cannot hold a model of this shape."""
    fixed = {**_FIXED, "kv_heads": shape.n_heads, "norm": norm}
    if not shape.n_token_types:
        raise ConfigError("found a model without token types; BERT's layout has them: save in genoformer's layout instead.")
    require_shape(shape, fixed, "BERT's layout")


def _from_config(model: Any) -> dict[str, Any]:
    require_encoder(model, "BERT's layout")
    check_bert(model.config, "post")
    return bert_config(model.config, model.tokenizer, "BertModel" if model.config.output == "none" else "BertForMaskedLM")


def _from_pre_norm(model: Any) -> dict[str, Any]:
    require_encoder(model, "GENA-LM's layout")
    return _pre_norm_config(model.config, model.tokenizer, "BertForMaskedLM")


def _pre_norm_config(shape: EncoderConfig, tokenizer: Any, architecture: str) -> dict[str, Any]:
    """Return the config.json of a GENA-LM; raise ConfigError if its layout cannot hold the model."""
    check_bert(shape, "pre")
    require_shape(shape, {"embedding_norm": True, "first_norm": True}, "GENA-LM's layout")
    config = bert_config(shape, tokenizer, architecture)
    return {**config, "pre_layer_norm": True, "last_layer_norm": shape.final_norm}


BERT = WeightFormat(_detect, bert_shape, _from_config, NAMES, _check, read_assets, write_assets, lambda shape: True)
GENA_LM = WeightFormat(_detect_pre_norm, bert_shape, _from_pre_norm, PRE_NORM_NAMES, _check, read_assets, write_assets)


def _classifier_config(shape: EncoderConfig, tokenizer: Any, architecture: str) -> dict[str, Any]:
    check_bert(shape, "post")
    return bert_config(shape, tokenizer, architecture)


POOLED = {"bert.pooler.dense": "hidden", "classifier": "out"}
CLASSIFIER = classifier_format(
    BERT, POOLED, _classifier_config, architecture="BertForSequenceClassification", pooling="cls", head="tanh"
)
GENA_LM_CLASSIFIER = classifier_format(
    GENA_LM, POOLED, _pre_norm_config, architecture="BertForSequenceClassification", pooling="cls", head="tanh"
)
