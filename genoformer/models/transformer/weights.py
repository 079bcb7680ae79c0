"""DNABERT's layout, read and written: config.json, vocab.txt and weights of Hugging Face's BertForMaskedLM <-> Encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genoformer.errors import CheckpointError, ConfigError
from genoformer.files import write_text
from genoformer.formats.pointers import refuse_pointer
from genoformer.formats.text import refuse_device
from genoformer.models.foreign import READ, described_config, is_dnabert2
from genoformer.models.shards import read_weights, weights_of, weights_sha256
from genoformer.models.transformer.model import Encoder, EncoderConfig
from genoformer.models.weights import WEIGHTS, check_size, load_checked, write_tensors
from genoformer.tokenizers import KmerTokenizer


def detect(config: dict[str, Any]) -> bool:
    """True if a config.json is one of BERT."""
    return config.get("model_type", "bert") == "bert" and "hidden_size" in config


def load(folder: Path, config: dict[str, Any]) -> Encoder:
    """Load a folder in this layout, with its tokenizer."""
    if config.get("hidden_act", "gelu") != "gelu" or config.get("position_embedding_type", "absolute") != "absolute":
        raise CheckpointError(f"{folder}: only BERT with exact GELU and absolute positions is DNABERT; this one differs.")
    if is_dnabert2(config):
        raise CheckpointError(f"{folder / 'config.json'} {described_config(config)}, which is not read; {READ}.")
    weights = weights_of(folder)
    tokenizer = _read_vocab(folder / "vocab.txt")
    tensors = _from_bert(read_weights(weights), weights, described_config(config))
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
    check_size(shape, tensors, weights)
    model = Encoder(shape)
    model.tokenizer = tokenizer
    return load_checked(model, tensors, weights, weights_sha256(weights))


def save(model: nn.Module, folder: Path, dtype: torch.dtype) -> dict[str, Any]:
    """Write vocab.txt and weights, and return config.json; raise ConfigError if this layout cannot hold the model."""
    if not isinstance(model, Encoder):
        raise ConfigError("DNABERT's layout holds language models and no others; save in ours instead.")
    config = _bert_config(model.config, model.tokenizer)
    write_text(folder / "vocab.txt", "\n".join(model.tokenizer.vocab) + "\n")
    write_tensors(folder / WEIGHTS, _to_bert(model.state_dict()), dtype)
    return config


def _read_vocab(path: Path) -> KmerTokenizer:
    """Return the k-mer tokenizer with the vocabulary of this file; k is the length of its tokens."""
    try:
        refuse_device(path)
        refuse_pointer(path, CheckpointError)
        tokens = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); DNABERT's vocab.txt is needed beside config.json.") from error
    k = len(tokens[-1]) if tokens else 0
    if not 1 <= k <= 8 or list(KmerTokenizer(k).vocab) != tokens:
        raise CheckpointError(f"{path} is not DNABERT's vocabulary for k = {k} in DNABERT's order; other BERTs are not read.")
    return KmerTokenizer(k)


# BERT's names <-> ours; per-layer names leave out the layer prefix. Query, key and value are one matrix here.
_SINGLE = {
    "bert.embeddings.word_embeddings.weight": "tokens.weight",
    "bert.embeddings.position_embeddings.weight": "positions.weight",
    "bert.embeddings.token_type_embeddings.weight": "segments.weight",
    "bert.embeddings.LayerNorm": "norm",
    "bert.pooler.dense": "pooler",
    "cls.predictions.transform.dense": "transform",
    "cls.predictions.transform.LayerNorm": "norm_transform",
    "cls.predictions.decoder.weight": "decoder.weight",
    "cls.predictions.bias": "decoder.bias",
}
_PER_LAYER = {
    "attention.output.dense": "attention.out",
    "attention.output.LayerNorm": "norm_attention",
    "intermediate.dense": "up",
    "output.dense": "down",
    "output.LayerNorm": "norm_feed",
}
_QKV = ("query", "key", "value")


def _bert_names(n_layers: int) -> dict[str, str]:
    """Map BERT's name to ours for every tensor except query, key and value."""
    pairs = dict(_SINGLE)
    for i in range(n_layers):
        pairs |= {f"bert.encoder.layer.{i}.{theirs}": f"layers.{i}.{ours}" for theirs, ours in _PER_LAYER.items()}
    full: dict[str, str] = {}
    for theirs, ours in pairs.items():
        whole = theirs.endswith((".weight", ".bias"))
        full |= {theirs: ours} if whole else {f"{theirs}.{p}": f"{ours}.{p}" for p in ("weight", "bias")}
    return full


def _from_bert(tensors: dict[str, Tensor], path: Path, said: str) -> dict[str, Tensor]:
    old = {".gamma": ".weight", ".beta": ".bias"}  # names in TensorFlow checkpoints and early ports
    for suffix, new in old.items():
        tensors = {name.removesuffix(suffix) + new if name.endswith(suffix) else name: t for name, t in tensors.items()}
    if "cls.predictions.bias" not in tensors and "cls.predictions.decoder.bias" in tensors:
        tensors["cls.predictions.bias"] = tensors["cls.predictions.decoder.bias"]
    word = tensors.get("bert.embeddings.word_embeddings.weight")
    if word is None or "cls.predictions.bias" not in tensors:
        raise CheckpointError(
            f"{path} is no BertForMaskedLM: it needs bert.embeddings and cls.predictions"
            + (f"; its config.json {said}. Take" if said else ". Take")
            + " the pre-trained model, and fine-tune it here."
        )
    decoder = tensors.setdefault("cls.predictions.decoder.weight", word)
    if not torch.equal(decoder, word):
        raise CheckpointError(f"{path}: its output matrix is not tied to its embeddings, as DNABERT's is; not read.")
    n_layers = len({name.split(".")[3] for name in tensors if name.startswith("bert.encoder.layer.")})
    ours = {new: tensors[name] for name, new in _bert_names(n_layers).items() if name in tensors}
    for i in range(n_layers):
        for part in ("weight", "bias"):
            names = [f"bert.encoder.layer.{i}.attention.self.{which}.{part}" for which in _QKV]
            if all(name in tensors for name in names):
                ours[f"layers.{i}.attention.qkv.{part}"] = torch.cat([tensors[name] for name in names])
    return ours


def _to_bert(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    n_layers = len({name.split(".")[1] for name in tensors if name.startswith("layers.")})
    theirs = {name: tensors[ours] for name, ours in _bert_names(n_layers).items() if ours in tensors}
    del theirs["cls.predictions.decoder.weight"]  # tied; Hugging Face ties it again when it loads
    for i in range(n_layers):
        for part in ("weight", "bias"):
            thirds = tensors[f"layers.{i}.attention.qkv.{part}"].chunk(3)
            for which, third in zip(_QKV, thirds, strict=True):
                theirs[f"bert.encoder.layer.{i}.attention.self.{which}.{part}"] = third.contiguous()
    return theirs


def _bert_config(config: EncoderConfig, tokenizer: Any) -> dict[str, Any]:
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
