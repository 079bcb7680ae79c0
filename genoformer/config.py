"""Tables written by users -> fields of a dataclass, checked: unknown names and values of another type are refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from genoformer.errors import ConfigError

_LARGEST = 2**53  # integers up to this one are exact in a float


def checked(kind: type, table: Any, where: str) -> dict[str, Any]:
    """Return the values of a table for the dataclass `kind`; an integer is accepted for a float, a list for a tuple.

    Raises ConfigError with `where`, the field, the value found, and the known fields or allowed values.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where} is {table!r}, but should be a table of fields.")
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind)]
    if unknown := sorted(set(table) - set(known)):
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
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise ConfigError(f"{where} = {value!r}: give a list of names.")
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
