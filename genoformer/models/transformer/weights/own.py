"""Models of genoformer that no class of transformers computes, as folders that the classes of genoformer.huggingface read.

config.json has model_type "genoformer", the configuration of the encoder as `asdict` gives it, and that of the head. The names
of tensors are ours after "model.encoder." (a fine-tuned model: after "model.").
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from genoformer.errors import CheckpointError, ConfigError
from genoformer.files import write_text
from genoformer.models.families import model_class
from genoformer.models.formats import NameMap, WeightFormat
from genoformer.models.heads import ClassifierConfig
from genoformer.models.token_model import read_tokenizer
from genoformer.models.transformer.weights.classifiers import output_fields, read_task
from genoformer.models.transformer.weights.huggingface import classifies, longest_input
from genoformer.tasks import make_task
from genoformer.tokenizers import Tokenizer, save_tokenizer
from genoformer.tokenizers.huggingface import TOKENIZER_CONFIG

MODEL_TYPE = "genoformer"
VOCABULARY = "genoformer_tokenizer.json"
_TRANSFORMER, _OTHERS = "transformer", ("hybrid", "cloze")  # families of language models
_ELSEWHERE = ("encoder", "family", "task", "classes")  # fields of ClassifierConfig that are not in "head"


class PrefixedNames(NameMap):
    """Our names after a prefix; `rename` maps the prefix to ""."""

    @property
    def prefix(self) -> str:
        return next(iter(self.rename))

    def ours(self, name: str) -> str | None:
        return name.removeprefix(self.prefix) if name.startswith(self.prefix) else None

    def read(self, tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
        theirs = dict(tensors)
        for copy, original in self.tied.items():
            if original in theirs:
                theirs.setdefault(copy, theirs[original])
        return {name.removeprefix(self.prefix): tensor for name, tensor in theirs.items()}

    def write(
        self,
        tensors: Mapping[str, Tensor],
        buffers: frozenset[str] = frozenset(),
        sizes: Mapping[str, tuple[int, ...]] = {},
    ) -> dict[str, Tensor]:
        named = {self.prefix + name: tensor for name, tensor in tensors.items()}
        return {name: tensor for name, tensor in named.items() if not self._is_tied(name, tensor, tensors)}


# --- config.json


def special_fields(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the ids that a network needs of its tokenizer: padding, mask, and those that frame a sequence."""
    before, after = frame_of(tokenizer)
    return {
        "pad_token_id": tokenizer.pad_id,
        "mask_token_id": tokenizer.mask_id,
        "frame_token_ids": sorted({*before, *after, tokenizer.pad_id}),
    }


def frame_of(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Return the ids that a tokenizer adds before and after the tokens of a sequence."""
    encoding = tokenizer.encode(np.zeros((1, tokenizer.min_bases), dtype=np.uint8))
    ids, at = encoding.ids[0].tolist(), np.flatnonzero(encoding.is_base[0])
    return ids[: at[0]], ids[at[-1] + 1 :]


def language_fields(shape: Any, family: str) -> dict[str, Any]:
    """Return the fields of config.json of a language model."""
    return {"family": family, "encoder": asdict(shape)}


def head_fields(shape: ClassifierConfig) -> dict[str, Any]:
    """Return the fields of config.json of a fine-tuned model."""
    head = {field.name: getattr(shape, field.name) for field in fields(shape) if field.name not in _ELSEWHERE}
    named = {name: list(value) if isinstance(value, tuple) else value for name, value in head.items()}
    return {
        **language_fields(shape.encoder, shape.family),
        "head": named,
        **output_fields(make_task(shape.task, shape.classes)),
    }


def language_shape(config: Mapping[str, Any], folder: Path) -> Any:
    """Return the configuration of the encoder in a config.json."""
    try:
        return model_class(config.get("family", "transformer")).config_type.from_dict(config["encoder"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / 'config.json'}: {error}; take the folder as genoformer wrote it.") from error


def classifier_shape(config: Mapping[str, Any], folder: Path) -> ClassifierConfig:
    """Return the configuration of a fine-tuned model in a config.json; fields of "head" that are absent have defaults."""
    encoder = language_shape(config, folder)
    task = read_task(config, folder)
    scale = (("target_mean", 0.0), ("target_std", 1.0)) if task.has_scale else ()
    values = {name: [value] * task.n_outputs for name, value in scale} | {"window": encoder.context_length}
    family = config.get("family", "transformer")
    given = {name: value for name, value in (config.get("head") or {}).items() if value != []}
    try:
        named = {"encoder": asdict(encoder), "family": family, "task": task.kind, "classes": list(task.names)}
        return ClassifierConfig.from_dict({**values, **given, **named})
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / 'config.json'}: {error}; take the folder as genoformer wrote it.") from error


# --- layouts


def language_architecture(shape: Any) -> str:
    """Return the name of the class of genoformer.huggingface for a language model."""
    if getattr(shape, "output", "") == "none":
        return "GenoformerModel"
    return "GenoformerForCausalLM" if getattr(shape, "causal", False) else "GenoformerForMaskedLM"


def _language_config(family: str, model: Any) -> dict[str, Any]:
    shape = model.config
    if not isinstance(shape, model_class(family).config_type):
        raise ConfigError(
            f"this layout holds language models of the family {family}, this one {model.describe()}; take genoformer's layout "
            "instead."
        )
    return _config(model, [language_architecture(shape)], language_fields(shape, family))


def _classifier_config(model: Any) -> dict[str, Any]:
    if not isinstance(model.config, ClassifierConfig):
        raise ConfigError(f"this layout holds fine-tuned models, this one {model.describe()}; fine-tune it first.")
    return _config(model, ["GenoformerForSequenceClassification"], head_fields(model.config))


def _config(model: Any, architectures: list[str], more: dict[str, Any]) -> dict[str, Any]:
    tied = {"tie_word_embeddings": bool(model.encoder.tied)}
    return {"architectures": architectures, "model_type": MODEL_TYPE, **more, **special_fields(model.tokenizer), **tied}


def _detect_language(family: str, config: dict[str, Any]) -> bool:
    named = config.get("family", _TRANSFORMER)
    is_own = named == family or (family == _TRANSFORMER and named not in _OTHERS)  # that layout refuses an unknown family
    return config.get("model_type") == MODEL_TYPE and not classifies(config) and is_own


def _detect_classifier(config: dict[str, Any]) -> bool:
    return config.get("model_type") == MODEL_TYPE and classifies(config)


def _to_language(config: dict[str, Any], folder: Path, tensors: Mapping[str, Tensor]) -> Any:
    return language_shape(config, folder)


def _to_classifier(config: dict[str, Any], folder: Path, tensors: Mapping[str, Tensor]) -> ClassifierConfig:
    return classifier_shape(config, folder)


def _check(tensors: dict[str, Tensor], path: Path, config: dict[str, Any]) -> dict[str, Tensor]:
    """Return the tensors with the prefix that GenoformerModel, which has no head, lacks."""
    if any(name.startswith("model.") for name in tensors):
        return tensors
    return {f"model.{name}": tensor for name, tensor in tensors.items()}


def _read_assets(model: Any, folder: Path) -> None:
    model.tokenizer = read_tokenizer(folder, getattr(model.config, "encoder", model.config).n_vocab, VOCABULARY)


def _write_assets(model: Any, folder: Path) -> None:
    save_tokenizer(model.tokenizer, folder / VOCABULARY)
    kind = "GenoformerTokenizer" if model.tokenizer.fast_tokenizer() is None else "GenoformerFastTokenizer"
    config = {"tokenizer_class": kind, "model_max_length": longest_input(model.encoder.config)}
    write_text(folder / TOKENIZER_CONFIG, json.dumps(config, indent=1) + "\n")


_TIED = {"model.encoder.decoder.weight": "model.encoder.tokens.weight"}


def _always(shape: Any) -> bool:
    return True


def _language(family: str, tied: Mapping[str, str]) -> WeightFormat:
    return WeightFormat(
        partial(_detect_language, family),
        _to_language,
        partial(_language_config, family),
        PrefixedNames({"model.encoder.": ""}, tied=tied),
        _check,
        _read_assets,
        _write_assets,
        _always,
    )


LANGUAGE = _language(_TRANSFORMER, _TIED)
HYBRID, CLOZE = (_language(family, {}) for family in _OTHERS)
CLASSIFIER = LANGUAGE._replace(
    detect=_detect_classifier,
    to_config=_to_classifier,
    from_config=_classifier_config,
    names=PrefixedNames({"model.": ""}, tied=_TIED),
)
