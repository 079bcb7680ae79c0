"""Parts that the layouts of Hugging Face folders share: fields of config.json, tokenizers, prefixes of tensor names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from genoformer.errors import CheckpointError, ConfigError
from genoformer.files import write_text
from genoformer.models.transformer.config import EncoderConfig
from genoformer.models.transformer.weights.vocabularies import DNA_CONFIG, read_vocabulary
from genoformer.models.weights import read_json, refuse_misspelt
from genoformer.tokenizers import Tokenizer
from genoformer.tokenizers.huggingface import TOKENIZER, TOKENIZER_CONFIG, VOCAB

_NO_LIMIT = 1 << 30  # transformers writes 1e30 for a tokenizer without a limit
SETTINGS = "genoformer_settings"  # table of config.json: settings of genoformer's commands, which transformers only keeps
_KNOWN_SETTINGS = ("context_length", "window", "overlap", "both_strands")
LONGEST_WINDOW = 2048  # tokens of the default window of a model that can read more

COMMON = {  # our field -> theirs, of all these models
    "n_vocab": "vocab_size",
    "width": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "ffn_width": "intermediate_size",
}


def shape_of(
    config: Mapping[str, Any], folder: Path, tokenizer: Tokenizer, fields: Mapping[str, str], **values: Any
) -> EncoderConfig:
    """Return the configuration of a folder; `fields` maps our fields to theirs, which may be absent, `values` are ours.

    Raises CheckpointError if a field of COMMON is missing, or a value has another type.
    """
    path = folder / "config.json"
    if missing := [theirs for theirs in COMMON.values() if theirs not in config]:
        raise CheckpointError(f"{path} has no {', '.join(missing)}; copy the model folder again.")
    settings = settings_of(config, folder, ("context_length",))
    try:
        shape = {ours: config[theirs] for ours, theirs in COMMON.items()}
        shape |= {ours: config[theirs] for ours, theirs in fields.items() if config.get(theirs) is not None}
        shape |= values | settings
        n_tokens = min(int(shape.get("max_tokens", EncoderConfig.max_tokens)), LONGEST_WINDOW)
        return EncoderConfig.from_dict({"context_length": max(1, int(tokenizer.max_bases(n_tokens))), **shape})
    except (ConfigError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{path}: {str(error).rstrip('.')}; correct it, or copy the model folder again.") from error


def config_of(shape: EncoderConfig, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a config.json."""
    named = {theirs: getattr(shape, ours) for ours, theirs in (COMMON | dict(fields)).items()}
    return {**named, SETTINGS: {"context_length": shape.context_length}}


def settings_of(config: Mapping[str, Any], folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """Return the settings of these names that a config.json has; CheckpointError if SETTINGS is no table or has others."""
    refuse_misspelt(config, folder / "config.json", SETTINGS)
    table = config.get(SETTINGS, {})
    if not isinstance(table, Mapping):
        raise CheckpointError(f'{folder / "config.json"}: {SETTINGS} is {table!r}; give a table, such as {{"window": 301}}.')
    if unknown := [name for name in table if name not in _KNOWN_SETTINGS]:
        problem = f"{SETTINGS} has {unknown[0]!r}; known are {', '.join(_KNOWN_SETTINGS)}: correct the name."
        raise CheckpointError(f"{folder / 'config.json'}: {problem}")
    return {name: table[name] for name in names if name in table}


def input_limit(folder: Path) -> int | None:
    """Return the number of tokens to which tokenizer_config.json limits an input; None if it names no limit."""
    path = folder / TOKENIZER_CONFIG
    limit = read_json(path).get("model_max_length") if path.is_file() else None
    if not isinstance(limit, int | float) or isinstance(limit, bool) or not 1 <= limit < _NO_LIMIT:
        return None
    return int(limit)


def require_fields(config: Mapping[str, Any], folder: Path, expected: Mapping[str, Any]) -> None:
    """Raise CheckpointError for the first field of a config.json that is there and has another value than the expected one."""
    for name, value in expected.items():
        if (found := config.get(name)) not in (None, value):
            raise CheckpointError(f"{folder / 'config.json'} has {name} {found!r}, expected {value!r}; take another model.")


def require_shape(shape: EncoderConfig, expected: Mapping[str, Any], layout: str) -> None:
    """Raise ConfigError if a configuration has another value in one of the fields that a layout fixes."""
    wrong = [name for name, value in expected.items() if getattr(shape, name) != value]
    if wrong:
        found = ", ".join(f"{name} = {getattr(shape, name)!r}" for name in wrong)
        wanted = ", ".join(f"{name} = {expected[name]!r}" for name in wrong)
        raise ConfigError(f"{layout} holds models with {wanted}, this one has {found}; save in genoformer's layout instead.")


def with_prefix(tensors: Mapping[str, Tensor], prefix: str, parts: Sequence[str]) -> dict[str, Tensor]:
    """Return the tensors of a headless model, whose names lack the prefix, under the names that a model with a head gives them.

    parts: first parts of the names to complete, "embeddings" and "encoder" for example.
    """
    if any(name.startswith(f"{prefix}.") for name in tensors):
        return dict(tensors)
    return {f"{prefix}.{name}" if name.split(".", 1)[0] in parts else name: tensor for name, tensor in tensors.items()}


def is_tied(tensors: Mapping[str, Tensor], config: Mapping[str, Any], default: bool) -> bool:
    """True if the decoder has the weights of the token embeddings; tensors: under our names, or none."""
    decoder, tokens = tensors.get("decoder.weight"), tensors.get("tokens.weight")
    if decoder is None or tokens is None:
        return bool(config.get("tie_word_embeddings", default))
    return bool(decoder.equal(tokens))


def classifies(config: Mapping[str, Any]) -> bool:
    """True if config.json names a fine-tuned model that classifies sequences."""
    return any(str(name).endswith("ForSequenceClassification") for name in config.get("architectures") or [])


# --- tokenizers


def read_tokenizer(folder: Path, n_vocab: Any) -> Tokenizer:
    """Return the tokenizer of a folder: k-mers, blocks or single bases in vocab.txt, or the pieces of tokenizer.json.

    n_vocab: rows of the embedding, at least the number of tokens. Raises CheckpointError for another vocabulary.
    """
    tokenizer: Tokenizer = read_vocabulary(folder)
    if not isinstance(n_vocab, int) or isinstance(n_vocab, bool):
        raise CheckpointError(f"{folder / 'config.json'}: vocab_size is {n_vocab!r}; expected a whole number.")
    name = next((name for name in (DNA_CONFIG, VOCAB) if (folder / name).is_file()), TOKENIZER)
    different = f"{folder}: {name} has {tokenizer.n_vocab} tokens, config.json {n_vocab}."
    if tokenizer.n_vocab > n_vocab:
        raise CheckpointError(different)
    try:
        return tokenizer if tokenizer.n_vocab == n_vocab else tokenizer.padded_to(n_vocab)
    except ConfigError as error:
        raise CheckpointError(different) from error


def require_encoder(model: Any, layout: str) -> None:
    """Raise ConfigError if a model has another shape than an encoder's, the only one that these layouts hold."""
    if not isinstance(model.config, EncoderConfig):
        raise ConfigError(f"{layout} holds language models and no others; save in genoformer's layout instead.")


def read_assets(model: Any, folder: Path) -> None:
    """Give a model the tokenizer of its folder."""
    model.tokenizer = tokenizer_for(model.config, folder)


def write_assets(model: Any, folder: Path) -> None:
    """Write the tokenizer of a model, for transformers."""
    write_tokenizer(model.tokenizer, folder, longest_input(getattr(model.config, "encoder", model.config)))


def write_tokenizer(tokenizer: Any, folder: Path, limit: int = _NO_LIMIT) -> None:
    """Write the files that transformers reads a tokenizer from; raise ConfigError for k-mers of another stride.

    limit: number of tokens at which transformers cuts a sequence if truncation is requested.
    """
    for name, text in tokenizer.huggingface_files().items():
        if name == TOKENIZER_CONFIG and limit < _NO_LIMIT:
            text = json.dumps(json.loads(text) | {"model_max_length": limit}, indent=1) + "\n"
        write_text(folder / name, text)


def longest_input(shape: Any) -> int:
    """Return the number of tokens after which a tokenizer truncates; models without learned positions have no limit."""
    return shape.n_positions or int(1e30)


def tokenizer_for(shape: EncoderConfig, folder: Path) -> Tokenizer:
    """Return the tokenizer of a folder for a model of this shape; it reads no more tokens than learned positions."""
    return read_tokenizer(folder, shape.n_vocab).limited_to(shape.n_positions)
