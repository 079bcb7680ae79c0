"""Tables -> fields of a dataclass, checked: unknown names and values of another type are refused.

RENAMED lists old spellings: `current` and `current_manifest` translate them in saved files, `checked` refuses them elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from genoformer.errors import ConfigError

C = TypeVar("C")

_LARGEST = 2**53  # integers up to this one are exact in a float
_OPTIMIZER = {"accumulate": "grad_accumulation", "warmup": "warmup_fraction", "clip": "max_grad_norm", "average": "ema_decay"}
_LOOP = _OPTIMIZER | {"steps": "max_steps", "valid_every": "eval_every"}
_EPOCHS = _OPTIMIZER | {"validations": "evals_per_epoch", "shift": "max_shift"}
RENAMED: dict[str, dict[str, str]] = {  # dataclass -> old name of a field -> its name now
    "EncoderConfig": {"hidden": "ffn_width", "stem_kernel": "conv_kernel", "n_segments": "n_token_types"},
    "EnformerConfig": {"attention_scale": "qk_init_gain"},
    "ClassifierConfig": {"kind": "task", "centre": "target_mean", "spread": "target_std"},
    "PretrainConfig": {"encoder": "model"},
    "FinetuneConfig": {"encoder": "model"},
    "TracksConfig": {"longrange": "model"},
    "TrainingConfig": _LOOP | {"repeat_weight": "soft_masked_weight", "valid_bases": "eval_bases"},
    "TuningConfig": _EPOCHS | {"encoder_rate": "encoder_lr_scale", "mask_rate": "token_dropout"},
    "TrackTuningConfig": _EPOCHS | {"bins": "crop_bins", "flank": "context_bins", "log_scale": "pearson_log1p"},
}
RENAMED_VALUES = {("ClassifierConfig", "task"): {"classes": "classification", "values": "regression"}}
RENAMED_OPTIONS = {"--noise": "--noise-places"}  # of commands that resume folders hold
_TABLES = {  # table of a manifest -> the dataclass that wrote it
    "encoder": "EncoderConfig",
    "longrange": "EnformerConfig",
    "training": "TrainingConfig",
    "finetune": "TuningConfig",
    "tracks": "TrackTuningConfig",
}
_MODELS = ("encoder", "longrange")  # tables that are called "model" now


def current(kind: str, table: Any) -> Any:
    """Return a table that the dataclass of this name wrote, with its old spellings translated; other values unchanged.

    >>> current("EncoderConfig", {"width": 8, "hidden": 16})
    {'width': 8, 'ffn_width': 16}
    """
    if not isinstance(table, Mapping):
        return table
    names = RENAMED.get(kind, {})
    renamed = {names.get(name, name): value for name, value in table.items()}
    for (of, name), values in RENAMED_VALUES.items():
        if of == kind and isinstance(renamed.get(name), str):
            renamed[name] = values.get(renamed[name], renamed[name])
    return renamed


def earliest(config: Any) -> Any:
    """Return the fields of a dataclass that differ from their defaults, in their oldest names and spellings.

    New fields with defaults and renamed fields (RENAMED) do not change the result. Nested dataclasses are translated, too.
    """
    if isinstance(config, Mapping):
        return {str(key): earliest(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [earliest(value) for value in config]
    if not is_dataclass(config):
        return config
    kind = type(config).__name__
    names = {name: old for old, name in reversed(RENAMED.get(kind, {}).items())}
    table = {}
    for field in fields(config):
        value = getattr(config, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if default is MISSING or value != default:
            spellings = {text: old for old, text in RENAMED_VALUES.get((kind, field.name), {}).items()}
            table[names.get(field.name, field.name)] = earliest(
                spellings.get(value, value) if isinstance(value, str) else value
            )
    return table


def current_option(word: str) -> str:
    """Return a word of a saved command line, with the old spelling of an option translated."""
    name, equals, value = word.partition("=")
    return RENAMED_OPTIONS.get(name, name) + equals + value


def current_manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest of a run with the old spellings of its tables translated, also in that of its starting model."""
    values: dict[str, Any] = {}
    for name, value in manifest.items():
        if name in _TABLES:
            values["model" if name in _MODELS else name] = current(_TABLES[name], value)
        elif name in ("start", "manifest", "shape") and isinstance(value, Mapping):
            values[name] = current_manifest(value)
        else:
            values[name] = value
    return values


def checked(kind: type, table: Any, where: str, of_model: Collection[str] = ()) -> dict[str, Any]:
    """Return the values of a table for the dataclass `kind`; an integer is accepted for a float, a list for a tuple.

    of_model: fields of the table [model] of the same file, to name it for one of them.
    Raises ConfigError with `where`, the field, the value found, and the known fields or allowed values.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where} is {table!r}, but should be a table of fields.")
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind)]
    renamed = RENAMED.get(kind.__name__, {})
    for old in sorted(set(table) & set(renamed) - set(known)):
        raise ConfigError(f"{where}: {old} was renamed to {renamed[old]}; use that name.")
    unknown = sorted(set(table) - set(known))
    if misplaced := [name for name in unknown if name in of_model]:
        belong = "is a field" if len(misplaced) == 1 else "are fields"
        raise ConfigError(
            f"{where}: {', '.join(misplaced)} {belong} of [model]; move {'it' if len(misplaced) == 1 else 'them'} there."
        )
    if unknown:
        raise ConfigError(f"{where}: unknown fields {', '.join(unknown)}; known are {', '.join(known)}.")
    return {name: _checked(hints[name], value, f"{where}: {name}") for name, value in table.items()}


def _checked(hint: Any, value: Any, where: str) -> Any:
    if get_origin(hint) is UnionType:
        options = get_args(hint)
        if value is None and NoneType in options:
            return None
        hint = next(option for option in options if option is not NoneType)
    if get_origin(hint) is Mapping and not isinstance(value, Mapping):
        raise ConfigError(f"{where} = {value!r}: give a table of fields.")
    if get_origin(hint) is tuple:
        kind, items = (int, "whole numbers") if get_args(hint)[0] is int else (str, "names")
        if isinstance(value, list | tuple) and all(type(item) is kind for item in value):
            return tuple(value)
        raise ConfigError(f"{where} = {value!r}: give a list of {items}.")
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise ConfigError(f"{where} is beyond {_LARGEST:,} either way; give a smaller number.")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where} = {value!r}: give a finite number.")
    allowed = {int: "a whole number", float: "a number", str: "a text in quotes", bool: "true or false"}
    if hint in allowed and (not isinstance(value, hint) or (hint is int and isinstance(value, bool))):
        raise ConfigError(f"{where} = {value!r}: give {allowed[hint]}.")
    return value


def check_shape(config: Any, may_be_zero: Collection[str]) -> None:
    """Raise ConfigError for a field of a shape that is no allowed word, or a whole number below 1 (0 for those named)."""
    hints = get_type_hints(type(config))
    for field in fields(config):
        value, choices = getattr(config, field.name), get_args(hints[field.name])
        if choices and value not in choices:
            raise ConfigError(f"{field.name} = {value!r}: allowed are {', '.join(map(repr, choices))}.")
        least = 0 if field.name in may_be_zero else 1
        if hints[field.name] is int and value < least:
            raise ConfigError(f"{field.name} = {value}: give a whole number of at least {least}.")


def preset_of(kind: type[C], presets: Mapping[str, Mapping[str, Any]], name: str, changed: Mapping[str, Any]) -> C:
    """Return the configuration of a named size with some fields changed; raise ConfigError for another name or field."""
    if name not in presets:
        raise ConfigError(f"preset {name!r}: allowed are {', '.join(presets)}.")
    return kind(**checked(kind, {**presets[name], **changed}, f"preset {name!r}"))
