"""DNABERT's layout, declared: config.json, vocab.txt and weights of Hugging Face's BertForMaskedLM <-> Encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from genoformer.errors import CheckpointError, ConfigError
from genoformer.files import write_text
from genoformer.formats.pointers import refuse_pointer
from genoformer.formats.text import refuse_device
from genoformer.models.foreign import READ, described_config, is_dnabert2
from genoformer.models.formats import NameMap, WeightFormat
from genoformer.models.transformer.config import EncoderConfig
from genoformer.models.transformer.model import Encoder
from genoformer.tokenizers import KmerTokenizer

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


def detect(config: dict[str, Any]) -> bool:
    """True if a config.json is one of BERT."""
    return config.get("model_type", "bert") == "bert" and "hidden_size" in config


def _to_config(config: dict[str, Any], folder: Path, tensors: Mapping[str, Tensor]) -> EncoderConfig:
    if config.get("hidden_act", "gelu") != "gelu" or config.get("position_embedding_type", "absolute") != "absolute":
        raise CheckpointError(f"{folder}: only BERT with exact GELU and absolute positions is DNABERT; this one differs.")
    if is_dnabert2(config):
        raise CheckpointError(f"{folder / 'config.json'} {described_config(config)}, which is not read; {READ}.")
    if not tensors:
        return EncoderConfig()
    tokenizer = _read_vocab(folder / "vocab.txt")
    try:
        shape = EncoderConfig.from_dict(
            {
                "n_vocab": config["vocab_size"],
                "width": config["hidden_size"],
                "n_layers": config["num_hidden_layers"],
                "n_heads": config["num_attention_heads"],
                "ffn_width": config["intermediate_size"],
                "max_tokens": config["max_position_embeddings"],
                "context_length": tokenizer.max_bases(int(config["max_position_embeddings"])),
                "dropout": config.get("hidden_dropout_prob", 0.1),
                "norm_eps": config.get("layer_norm_eps", 1e-12),
                "init_std": config.get("initializer_range", 0.02),
                "n_token_types": config.get("type_vocab_size", 2),
                "pooler": "pooler.weight" in tensors,
            }
        )
    except (KeyError, ConfigError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{folder / 'config.json'}: {error}; a BERT configuration is needed.") from error
    if tokenizer.n_vocab != shape.n_vocab:
        raise CheckpointError(f"{folder}: vocab.txt has {tokenizer.n_vocab} tokens, config.json {shape.n_vocab}.")
    return shape


def _check(tensors: dict[str, Tensor], path: Path, config: dict[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of a BertForMaskedLM; raise CheckpointError for another kind of BERT."""
    if "cls.predictions.bias" not in tensors and "cls.predictions.decoder.bias" in tensors:
        tensors["cls.predictions.bias"] = tensors["cls.predictions.decoder.bias"]
    if "bert.embeddings.word_embeddings.weight" not in tensors or "cls.predictions.bias" not in tensors:
        kind = described_config(config)
        raise CheckpointError(
            f"{path} is no BertForMaskedLM: it needs bert.embeddings and cls.predictions"
            + (f"; its config.json {kind}. Take" if kind else ". Take")
            + " the pre-trained model, and fine-tune it here."
        )
    return tensors


def _read_assets(model: Encoder, folder: Path) -> None:
    model.tokenizer = _read_vocab(folder / "vocab.txt")


def _write_assets(model: Encoder, folder: Path) -> None:
    write_text(folder / "vocab.txt", "\n".join(model.tokenizer.vocab) + "\n")


def _read_vocab(path: Path) -> KmerTokenizer:
    """Return the k-mer tokenizer with the vocabulary of this file; k is the length of its tokens."""
    try:
        refuse_device(path)
        refuse_pointer(path, CheckpointError)
        tokens = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); DNABERT's vocab.txt is needed next to config.json.") from error
    k = len(tokens[-1]) if tokens else 0
    if not 1 <= k <= 8 or list(KmerTokenizer(k).vocab) != tokens:
        raise CheckpointError(f"{path} is not DNABERT's vocabulary for k = {k} in DNABERT's order; other BERTs are not read.")
    return KmerTokenizer(k)


def _from_config(model: Any) -> dict[str, Any]:
    if not isinstance(model, Encoder):
        raise ConfigError("DNABERT's layout holds language models and no others; save in ours instead.")
    config, tokenizer = model.config, model.tokenizer
    shape = (config.position, config.norm, config.activation, config.causal, config.conv_kernel)
    if shape != ("learned", "post", "gelu", False, 0) or not config.n_token_types:
        raise ConfigError(
            "DNABERT's layout holds learned positions, segments, post-norm, GELU and both directions, and no stem; "
            "save in ours instead."
        )
    if not isinstance(tokenizer, KmerTokenizer) or tokenizer.stride != 1:
        raise ConfigError("DNABERT's layout holds k-mers of stride 1 only; save in ours instead.")
    return {
        "architectures": ["BertForMaskedLM"],
        "model_type": "bert",
        "vocab_size": config.n_vocab,
        "hidden_size": config.width,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "intermediate_size": config.ffn_width,
        "hidden_act": "gelu",
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.dropout,
        "max_position_embeddings": config.max_tokens,
        "type_vocab_size": config.n_token_types,
        "layer_norm_eps": config.norm_eps,
        "initializer_range": config.init_std,
        "pad_token_id": 0,
    }


DNABERT = WeightFormat(detect, _to_config, _from_config, NAMES, _check, _read_assets, _write_assets)
