"""The direction of imports: a module may import from those to its left only (DESIGN, the house)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import genoformer

ROOT = Path(genoformer.__file__).parent
MAY_IMPORT = {
    "errors": [],
    "progress": [],
    "addresses": ["errors"],
    "whole": ["errors", "addresses"],
    "fields": ["errors"],
    "tables": [],
    "plots": [],
    "genome": ["errors", "addresses", "whole"],
    "labelled": ["errors", "whole", "fields", "progress", "genome"],
    "catalog": ["errors", "whole", "progress"],
    "tokenizers": ["errors", "genome"],
    "windowing": ["errors", "genome", "tokenizers"],
    "models": ["errors", "addresses", "fields", "whole", "catalog", "genome", "tokenizers"],
    "inference": ["errors", "genome", "tokenizers", "windowing", "models"],
    "sinks": ["errors", "addresses", "whole", "tables", "genome"],
    "annotation": ["errors", "addresses", "whole", "tables", "progress", "plots", "genome", "sinks"],
    "scoring": [
        "errors", "whole", "tables", "progress", "genome", "tokenizers", "windowing", "models", "inference", "sinks",
        "annotation",
    ],
    "interpretation": [
        "errors", "addresses", "whole", "tables", "progress", "plots", "genome", "tokenizers", "models", "inference", "scoring",
        "prediction",
    ],
    "prediction": ["errors", "whole", "progress", "plots", "genome", "models", "inference"],
    "evaluation": ["errors", "whole", "plots", "genome", "labelled", "tokenizers", "models", "inference"],
    "embedding": [
        "errors", "whole", "progress", "plots", "genome", "labelled", "models", "inference", "evaluation",
    ],
    "training": [
        "errors", "whole", "fields", "tables", "progress", "plots", "genome", "labelled", "tokenizers", "windowing", "models",
        "inference", "evaluation",
    ],
    "calls": [
        "errors", "catalog", "genome", "labelled", "models", "inference", "scoring", "interpretation", "prediction",
        "evaluation",
    ],
    "report": ["errors", "whole", "tables", "progress", "genome", "models", "inference", "scoring", "interpretation"],
    "simulation": ["errors", "whole", "genome"],
    "demo": ["errors", "whole", "progress", "plots", "genome", "models", "inference", "scoring", "evaluation"],
    "__init__": [],
}  # fmt: skip
NO_TORCH = ["errors", "catalog", "genome", "sinks", "annotation", "labelled", "tokenizers", "simulation", "plots"]
MODULES = sorted(ROOT.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Absolute names of all that a file imports, wherever in the file."""
    found: set[str] = set()
    package = ["genoformer", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            found |= {stem} | {f"{stem}.{alias.name}" for alias in node.names}
    return found


def test_every_room_is_in_the_list() -> None:
    assert {room(path) for path in MODULES} == set(MAY_IMPORT)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_arrow_points_back(path) -> None:
    allowed = {room(path), "__version__", *MAY_IMPORT[room(path)]}
    for name in imports(path):
        assert not name.startswith(("genoformer_cli", "cli.")), f"{path} imports the command line"
        if name.startswith("genoformer."):
            assert name.split(".")[1] in allowed, f"{path.relative_to(ROOT)} imports {name}"
        if room(path) in NO_TORCH:
            assert name.split(".")[0] not in ("torch", "lightning"), f"{path.relative_to(ROOT)} imports {name}"


def test_the_public_names_resolve_and_are_all_of_them() -> None:
    pytest.importorskip("torch", reason="some of the names are of models, which need torch")
    assert sorted(genoformer._HOME) == sorted(genoformer.__all__)
    for name in genoformer.__all__:
        assert getattr(genoformer, name) is not None
    with pytest.raises(AttributeError, match="public names are"):
        _ = genoformer.nothing


def test_every_package_is_named_for_a_wheel() -> None:
    """An editable install has all of the folder; a wheel only what is named."""
    import tomllib

    with (ROOT.parent / "pyproject.toml").open("rb") as file:
        named = set(tomllib.load(file)["tool"]["setuptools"]["packages"])
    there = {".".join(path.parent.relative_to(ROOT.parent).parts) for path in ROOT.rglob("__init__.py")}
    assert there == {name for name in named if name.split(".")[0] == "genoformer"}
