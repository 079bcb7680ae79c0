"""Fine-tuned models in Hugging Face's ...ForSequenceClassification layouts <-> SequenceClassifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from genoformer.config import checked
from genoformer.errors import CheckpointError, ConfigError
from genoformer.models.formats import NameMap, WeightFormat
from genoformer.models.heads import ClassifierConfig, SequenceClassifier
from genoformer.models.transformer.config import EncoderConfig
from genoformer.models.transformer.weights.huggingface import (
    LONGEST_WINDOW,
    SETTINGS,
    classifies,
    input_limit,
    read_tokenizer,
    settings_of,
    tokenizer_for,
    write_assets,
)
from genoformer.models.weights import read_json
from genoformer.tasks import Classification, MultiLabel, Regression, Task

PROBLEMS: dict[str, type[Task]] = {  # problem_type of transformers -> task
    "single_label_classification": Classification,
    "multi_label_classification": MultiLabel,
    "regression": Regression,
}
ShapeOf = Callable[[dict[str, Any], Path, Mapping[str, Tensor]], EncoderConfig]
ConfigOf = Callable[[EncoderConfig, Any, str], dict[str, Any]]


def classifier_format(layout: WeightFormat, modules: Mapping[str, str], config_of: ConfigOf, **fields: Any) -> WeightFormat:
    """Return the layout of a fine-tuned model, from that of its encoder and the names of the modules of its head.

    fields: those of ClassifierConfig that the layout fixes; an "architecture" names the class in config.json,
    "clean" leaves out tensors that no part of the network uses.
    """
    architecture = fields.pop("architecture")
    clean = fields.pop("clean", lambda tensors, config: tensors)

    def detect(config: dict[str, Any]) -> bool:
        plain = {**config, "architectures": []}
        return classifies(config) and layout.detect(plain)

    def to_config(config: dict[str, Any], folder: Path, tensors: Mapping[str, Tensor]) -> ClassifierConfig:
        inside = {name.removeprefix("encoder."): tensor for name, tensor in tensors.items()}
        shape = replace(layout.to_config(config, folder, inside), output="none", pooler=False, tied_decoder=True)
        return _config(config, folder, shape, fields)

    def from_config(model: Any) -> dict[str, Any]:
        c = model.config
        if not isinstance(c, ClassifierConfig):
            raise ConfigError("this layout holds fine-tuned models and no others; fine-tune the model first.")
        if not isinstance(c.encoder, EncoderConfig):
            raise ConfigError(
                f"this layout holds transformers, found the family {c.family!r}; take genoformer's layout instead."
            )
        if c.head != fields["head"]:
            raise ConfigError(
                f"Hugging Face's layout holds a head {fields['head']!r}, this model has {c.head!r}; save in genoformer's "
                "layout instead."
            )
        settings = {"context_length": c.encoder.context_length, **{name: getattr(c, name) for name in _WINDOWS}}
        return {
            **config_of(c.encoder, model.tokenizer, architecture),
            SETTINGS: settings,
            **output_fields(model.task),
            "num_labels": len(c.classes),
            "classifier_dropout": c.dropout,
            **({"classifier_pooling": "mean" if c.pooling == "mean-all" else "cls"} if fields["head"] == "gelu-norm" else {}),
        }

    def check(tensors: dict[str, Tensor], path: Path, config: dict[str, Any]) -> dict[str, Tensor]:
        absent = [name for name in modules if not any(tensor.startswith(f"{name}.") for tensor in tensors)]
        if absent:
            raise CheckpointError(f"{path} has no {absent[0]}, which a fine-tuned model has; copy the whole folder again.")
        return clean(tensors, config)

    renamed = {theirs: f"encoder.{ours}" for theirs, ours in layout.names.rename.items() if not theirs.startswith(_HEADS)}
    fused = {f"encoder.{ours}": theirs for ours, theirs in layout.names.fuse.items()}
    names = NameMap(renamed | dict(modules), fused, suffixes=layout.names.suffixes, ignore_others=True)
    return WeightFormat(detect, to_config, from_config, names, check, _read_assets, write_assets, layout.in_transformers)


_HEADS = ("cls.", "lm_head", "head.", "decoder", "bert.pooler", "esm.pooler")  # of language models


def read_task(config: Mapping[str, Any], folder: Path) -> Task:
    """Return the task of a config.json with the names of its outputs; without names they are LABEL_0, LABEL_1 ..."""
    labels = config.get("id2label") or {str(i): f"LABEL_{i}" for i in range(int(config.get("num_labels") or 2))}
    try:
        numbers = sorted(labels, key=int)
        classes = tuple(str(labels[key]) for key in numbers)
    except (AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / 'config.json'}: id2label is {labels!r}; expected a name for each number.") from error
    if [int(key) for key in numbers] != list(range(len(numbers))):
        counted = f"{', '.join(map(str, numbers))}, expected 0 to {len(numbers) - 1}, one for each output"
        raise CheckpointError(f"{folder / 'config.json'}: id2label names the outputs {counted}; correct the numbers.")
    problem = config.get("problem_type") or ("regression" if len(classes) == 1 else "single_label_classification")
    if problem not in PROBLEMS:
        raise CheckpointError(f"{folder / 'config.json'}: problem_type {problem!r}; expected one of {', '.join(PROBLEMS)}.")
    try:
        return PROBLEMS[problem](classes)
    except ConfigError as error:  # one name twice, or one class alone
        raise CheckpointError(f"{folder / 'config.json'}, id2label: {error}") from error


def output_fields(task: Task) -> dict[str, Any]:
    """Return the fields of a config.json that name the outputs."""
    return {
        "id2label": {str(i): name for i, name in enumerate(task.names)},
        "label2id": {name: i for i, name in enumerate(task.names)},
        "problem_type": next(problem for problem, kind in PROBLEMS.items() if kind is type(task)),
    }


def _config(config: dict[str, Any], folder: Path, shape: EncoderConfig, fields: Mapping[str, Any]) -> ClassifierConfig:
    """Return the configuration of a fine-tuned model; its classes are those of id2label."""
    task = read_task(config, folder)
    values = dict(fields)
    if values["head"] == "gelu-norm":
        values |= {
            "pooling": "mean-all" if config.get("classifier_pooling") == "mean" else "cls",
            "head_bias": bool(config.get("classifier_bias", False)),
        }
    dropout = config.get("classifier_dropout")
    windows = {"window": _longest_input(shape, folder), **settings_of(config, folder, _WINDOWS)}
    try:
        return ClassifierConfig(
            encoder=shape,
            task=task.kind,
            classes=task.names,
            dropout=shape.dropout if dropout is None else float(dropout),
            target_mean=(0.0,) * task.n_outputs if task.has_scale else (),
            target_std=(1.0,) * task.n_outputs if task.has_scale else (),
            **checked(ClassifierConfig, {**windows, **values}, SETTINGS),
        )
    except ConfigError as error:
        raise CheckpointError(f"{folder / 'config.json'}: {error}") from error


_WINDOWS = ("window", "overlap", "both_strands")  # settings of ClassifierConfig without a field of transformers


def _longest_input(shape: EncoderConfig, folder: Path) -> int:
    """Return the bases of the longest input: those of the limit in tokenizer_config.json, at most those that always fit."""
    tokenizer, limit = read_tokenizer(folder, shape.n_vocab), input_limit(folder)
    longest = max(tokenizer.min_bases, tokenizer.max_bases(min(shape.max_tokens, LONGEST_WINDOW)))
    if limit is None or limit >= shape.max_tokens:
        return longest
    return min(longest, max(tokenizer.min_bases, tokenizer.n_typical_bases(limit)))


def _read_assets(model: SequenceClassifier, folder: Path) -> None:
    shape = model.config.encoder
    model.tokenizer = tokenizer_for(shape, folder)
    limit, path = input_limit(folder), folder / "config.json"  # which is written after the other files
    is_named = path.is_file() and bool(settings_of(read_json(path), folder, ("window",)))
    model.window_is_assumed = not is_named and (limit is None or limit >= shape.max_tokens)
