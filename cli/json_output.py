"""Option --json of the commands that end with numbers: one JSON object, in which a metric is {"value", "low", "high"}."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import click

from .verbosity import write_log

json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the numbers at the end as JSON on stdout (on stderr if the output itself is there).",
)


def print_json(value: Mapping[str, Any], *, output: str | None = None) -> None:
    """Print an object as JSON on one line; on stderr if the output is standard output ("-")."""
    text = json.dumps(plain(value), allow_nan=False)
    write_log(text)
    click.echo(text, err=output == "-")


def plain(value: Any) -> Any:
    """Return a value as JSON has it: estimates and other tuples with names as objects, numbers that are not finite as null.

    >>> plain({"auroc": metric(0.9, 0.8), "n": (1, float("inf"))})
    {'auroc': {'value': 0.9, 'low': 0.8, 'high': None}, 'n': [1, None]}
    """
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(value, "item"):  # a number of NumPy
        value = value.item()
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, PurePath) else value


def metric(value: float, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    """Return a metric, with the ends of its 95 % interval if they are known."""
    return {"value": value, "low": low, "high": high}


def table_rows(
    rows: Iterable[Sequence[object]], intervals: Mapping[str, tuple[str, str]] | None = None
) -> list[dict[str, Any]]:
    """Return an object for each row of a table, whose first row has the names; numbers as numbers, empty cells as null.

    intervals: column -> the columns of the ends of its interval; the three become one metric.

    >>> table_rows([("name", "fold", "low", "high"), ("A", "2.5", "1", "")], {"fold": ("low", "high")})
    [{'name': 'A', 'fold': {'value': 2.5, 'low': 1.0, 'high': None}}]
    """
    names, *others = ([*map(str, row)] for row in rows)
    objects = []
    for row in others:
        cells = {name: _cell(text) for name, text in zip(names, row, strict=True)}
        for name, (low, high) in (intervals or {}).items():
            cells[name] = metric(cells[name], cells.pop(low), cells.pop(high))
        objects.append(cells)
    return objects


def _cell(text: str) -> Any:
    """Return a number, a text, or None for an empty cell and for a number that is not finite."""
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    if not math.isfinite(number):
        return None
    return int(text) if text.lstrip("-").isdecimal() else number
