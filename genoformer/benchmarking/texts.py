"""Texts of the benchmarks in data/benchmarks.toml: title, kind, assembly, metric, place of publication, published figures."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple


class Published(NamedTuple):
    """Published figures: values by model, of a metric of a subset, and where they were read."""

    subset: str
    metric: str
    source: str
    values: Mapping[str, float]


@cache
def benchmark_texts() -> dict[str, dict[str, Any]]:
    """Return the texts of each benchmark by name; "published" holds `Published` figures."""
    source = Path(str(files("genoformer_data"))) / "benchmarks.toml"
    tables = tomllib.loads(source.read_text(encoding="utf-8"))
    return {
        name: {**table, "published": tuple(Published(**row) for row in table.get("published", []))}
        for name, table in tables.items()
    }


def list_benchmarks() -> list[dict[str, Any]]:
    """Return a description of each benchmark: name, kind, title, assembly, metric, where, citation and published figures.

    >>> [row["metric"] for row in list_benchmarks() if row["name"] in ("mpra", "gue")]
    ['Spearman', 'mcc']
    """
    fields = ("kind", "title", "assembly", "metric", "where", "citation")
    return [
        {"name": name, **{key: texts[key] for key in fields}, "published": [one._asdict() for one in texts["published"]]}
        for name, texts in benchmark_texts().items()
    ]
