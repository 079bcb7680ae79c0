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
    "files": ["errors", "addresses"],
    "config": ["errors"],
    "tables": [],
    "tasks": ["errors", "genome"],
    "plots": [],
    "genome": ["errors", "addresses", "files", "formats"],
    "formats": ["errors", "addresses", "files", "genome"],
    "datasets": ["errors", "tasks", "files", "config", "progress", "genome", "formats"],
    "catalog": ["errors", "files", "progress"],
    "tokenizers": ["errors", "genome", "formats"],
    "models": ["errors", "tasks", "addresses", "config", "files", "catalog", "genome", "formats", "tokenizers"],
    "inference": ["errors", "files", "progress", "plots", "genome", "formats", "tokenizers", "models"],
    "writers": ["errors", "addresses", "files", "tables", "genome", "formats"],
    "annotation": ["errors", "addresses", "files", "tables", "progress", "plots", "genome", "formats", "writers"],
    "scoring": [
        "errors",
        "config",
        "files",
        "tables",
        "progress",
        "genome",
        "formats",
        "tokenizers",
        "models",
        "inference",
        "writers",
        "annotation",
    ],
    "interpretation": [
        "errors",
        "addresses",
        "files",
        "tables",
        "progress",
        "plots",
        "genome",
        "formats",
        "tokenizers",
        "models",
        "inference",
        "scoring",
    ],
    "evaluation": ["errors", "tasks", "files", "plots", "genome", "formats", "datasets", "tokenizers", "models", "inference"],
    "embedding": [
        "errors",
        "tasks",
        "files",
        "progress",
        "plots",
        "genome",
        "formats",
        "datasets",
        "models",
        "inference",
        "evaluation",
    ],
    "training": [
        "errors",
        "tasks",
        "files",
        "config",
        "tables",
        "progress",
        "plots",
        "genome",
        "formats",
        "datasets",
        "tokenizers",
        "models",
        "inference",
        "evaluation",
    ],
    "api": [
        "errors",
        "tasks",
        "catalog",
        "genome",
        "formats",
        "datasets",
        "models",
        "inference",
        "scoring",
        "interpretation",
        "evaluation",
    ],
    "report": [
        "errors",
        "files",
        "tables",
        "progress",
        "genome",
        "formats",
        "models",
        "inference",
        "scoring",
        "interpretation",
    ],
    "simulation": ["errors", "files", "genome", "formats"],
    "demo": ["errors", "files", "progress", "plots", "genome", "formats", "models", "inference", "scoring", "evaluation"],
    "__init__": [],
}
NO_TORCH = ["errors", "catalog", "genome", "formats", "writers", "annotation", "datasets", "tokenizers", "simulation", "plots"]
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
