"""The direction of imports: each package, or module with its own row, imports from those in its row of MAY_IMPORT only."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

import pytest

import genoformer

ROOT = Path(genoformer.__file__).parent
# Modules of genome that import none that reads files: what formats may import of genome.
BASICS = ["genome." + name for name in ("assemblies", "bins", "codes", "contigs", "digits", "region_text", "wording")]
MAY_IMPORT = {
    "errors": [],
    "option_checks": ["errors"],
    "extras": ["errors"],
    "progress": [],
    "progress_bar": ["errors", "progress"],
    "addresses": ["errors"],
    "temporary_paths": [],
    "files": ["errors", "addresses", "temporary_paths"],
    "resume_folder": ["errors", "files"],
    "config": ["errors"],
    "compute": ["errors", "option_checks", "files", "config", "progress", "resume_folder"],
    "tables": [],
    "tasks": ["errors", "genome"],
    "plots": [],
    "genome": ["errors", "addresses", "files", "progress", "formats"],
    "formats": ["errors", "addresses", "files", *BASICS],
    "datasets": ["errors", "tasks", "files", "temporary_paths", "config", "progress", "genome", "formats"],
    "catalog": ["errors", "files", "progress"],
    "tokenizers": ["errors", "genome", "formats"],
    "models": ["errors", "tasks", "addresses", "config", "files", "catalog", "genome", "formats", "tokenizers"],
    "writers": ["errors", "extras", "addresses", "files", "tables", "plots", "genome", "formats", "datasets"],
    "inference": [
        "errors",
        "extras",
        "option_checks",
        "compute",
        "tasks",
        "files",
        "resume_folder",
        "progress",
        "progress_bar",
        "plots",
        "genome",
        "formats",
        "writers",
        "datasets",
        "tokenizers",
        "models",
    ],
    "annotation": [
        "errors",
        "extras",
        "option_checks",
        "compute",
        "addresses",
        "files",
        "resume_folder",
        "tables",
        "progress",
        "progress_bar",
        "plots",
        "genome",
        "formats",
        "writers",
    ],
    "scoring": [
        "errors",
        "extras",
        "option_checks",
        "compute",
        "tasks",
        "config",
        "files",
        "resume_folder",
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
        "option_checks",
        "compute",
        "addresses",
        "files",
        "resume_folder",
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
    "evaluation": [
        "errors",
        "extras",
        "option_checks",
        "tasks",
        "files",
        "progress",
        "plots",
        "genome",
        "formats",
        "datasets",
        "tokenizers",
        "models",
        "inference",
    ],
    "audit": ["errors", "option_checks", "files", "progress", "genome", "formats", "datasets"],
    "training": [
        "errors",
        "option_checks",
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
    "benchmarking": [
        "errors",
        "extras",
        "option_checks",
        "tasks",
        "catalog",
        "files",
        "progress",
        "genome",
        "formats",
        "writers",
        "datasets",
        "inference",
        "annotation",
        "scoring",
        "evaluation",
    ],
    "huggingface": ["errors", "genome", "tokenizers", "models"],
    "api": [
        "errors",
        "option_checks",
        "progress",
        "progress_bar",
        "tasks",
        "catalog",
        "genome",
        "formats",
        "writers",
        "annotation",
        "datasets",
        "tokenizers",
        "models",
        "inference",
        "scoring",
        "interpretation",
        "evaluation",
        "training",
        "audit",
        "benchmarking",
        "simulation",
        "report",
        "browse",
    ],
    "report": [
        "errors",
        "option_checks",
        "annotation",
        "files",
        "tables",
        "progress",
        "genome",
        "formats",
        "writers",
        "models",
        "inference",
        "scoring",
        "interpretation",
    ],
    "browse": [
        "errors",
        "extras",
        "option_checks",
        "annotation",
        "tables",
        "progress",
        "genome",
        "formats",
        "writers",
        "models",
        "inference",
        "scoring",
        "interpretation",
        "report",
    ],
    "simulation": ["errors", "files", "genome", "formats"],
    "demo": ["errors", "files", "progress", "plots", "genome", "formats", "models", "inference", "scoring", "evaluation"],
    "__init__": [],
} | {name: ["errors", *BASICS] for name in BASICS}
NO_TORCH = [
    "errors",
    "extras",
    "compute",
    "catalog",
    "genome",
    "formats",
    "writers",
    "annotation",
    "datasets",
    "audit",
    "tokenizers",
    "simulation",
    "plots",
]
ON_REQUEST = {"tokenizers.text": ("torch",)}  # imported inside a function, if its caller wants tensors
MODULES = sorted(ROOT.rglob("*.py"))


def module(path: Path) -> str:
    """Name of a module below genoformer: genome.codes."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


NAMES = {module(path) for path in MODULES}


def unit(path: Path) -> str:
    """The module, if it has its own row in MAY_IMPORT, else its package."""
    return module(path) if module(path) in MAY_IMPORT else module(path).split(".")[0]


def imports(path: Path) -> set[str]:
    """Absolute names of all that a file imports, wherever in the file."""
    return names_in(ast.walk(ast.parse(path.read_text())), path)


def names_in(nodes: Iterable[ast.AST], path: Path) -> set[str]:
    """Absolute names of what these nodes of a file import."""
    found: set[str] = set()
    package = ["genoformer", *path.relative_to(ROOT).parts[:-1]]
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            full = {f"{stem}.{alias.name}" for alias in node.names}
            if {name.removeprefix("genoformer.") for name in full} - NAMES:  # not of `from genoformer.genome import codes`
                found.add(stem)
            found |= full
    return found


def test_every_package_has_a_row_in_the_table() -> None:
    assert {unit(path) for path in MODULES} == set(MAY_IMPORT)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_are_those_of_the_table(path) -> None:
    allowed = {unit(path), "__version__", *MAY_IMPORT[unit(path)]}
    for name in imports(path):
        assert not name.startswith(("genoformer_cli", "cli.")), f"{path} imports the command line"
        if name.startswith("genoformer."):
            parts = name.split(".")
            assert {parts[1], ".".join(parts[1:3])} & allowed, f"{path.relative_to(ROOT)} imports {name}"
        if unit(path) in NO_TORCH and name not in ON_REQUEST.get(module(path), ()):
            assert name.split(".")[0] not in ("torch", "lightning"), f"{path.relative_to(ROOT)} imports {name}"


def imported_at_once(path: Path) -> set[str]:
    """Names of the modules that the import of a module imports: not those inside functions or for type checks."""
    lines: list[ast.stmt] = []
    stack: list[ast.AST] = [ast.parse(path.read_text())]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            lines.append(node)
        is_type_check = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if not is_type_check and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            stack += ast.iter_child_nodes(node)
    return {name.removeprefix("genoformer.") for name in names_in(lines, path)}


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Names of modules of which each imports the next and the last the first; [] if there are none."""
    done: set[str] = set()

    def search(name: str, trail: list[str]) -> list[str]:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done:
            return []
        found = next(filter(None, (search(other, [*trail, name]) for other in sorted(graph[name]))), [])
        done.add(name)
        return found

    return next(filter(None, (search(name, []) for name in sorted(graph))), [])


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {module(path): (imported_at_once(path) & NAMES) - {module(path)} for path in MODULES}
    assert circle(graph) == []
    graph["errors"] = graph["errors"] | {"genome.reference"}  # the check sees a circle if there is one
    assert circle(graph)[0] == circle(graph)[-1]


def test_the_public_names_resolve_and_are_all_of_them() -> None:
    pytest.importorskip("torch", reason="some of the names are of models, which need torch")
    assert sorted(genoformer._HOME) == sorted(genoformer.__all__)
    for name in genoformer.__all__:
        assert getattr(genoformer, name) is not None
    with pytest.raises(AttributeError, match="run `genoformer merge` in a terminal"):
        _ = genoformer.merge
    with pytest.raises(AttributeError, match="public names are"):
        _ = genoformer.nothing


def test_every_folder_of_modules_is_a_package() -> None:
    """An editable install has all of the folder; a wheel only the packages, which setup.py finds by their __init__.py."""
    folders = {path.parent for path in ROOT.rglob("*.py")}
    assert len(folders) > 20
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


@pytest.mark.parametrize("path", sorted(ROOT.rglob("__init__.py")), ids=lambda p: str(p.parent.relative_to(ROOT.parent)))
def test_no_name_of_a_package_is_that_of_another_of_its_modules(path) -> None:
    """A submodule takes the place of such a name when it is imported after it."""
    modules = {module.stem for module in path.parent.glob("*.py")}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            home = (node.module or "").rpartition(".")[2]
            assert not {alias.asname or alias.name for alias in node.names} & (modules - {home})
