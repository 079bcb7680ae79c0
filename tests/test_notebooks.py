"""The notebooks run from top to bottom in a fresh kernel, say nothing on stderr, and are saved with what they show."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from amounts import FULL

import genoformer

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
WHY = "notebooks need {}, which the extra 'dev' brings (pip install -e '.[dev]')"
LINES = 25  # of a code cell
BYTES = 900_000  # of a file
OF_A_MACHINE = re.compile(r"/(?:work|tmp|home|root|Users|private|var/folders|mnt|opt)/|[A-Z]:\\")

INSIDE = {  # modules that notebooks import, since no public call does what they do
    "genoformer.annotation.figures": "figures of the variants in each element",
    "genoformer.formats.motif_matrix": "a matrix to compare with others",
    "genoformer.interpretation.attention": "the attention matrix of one layer",
    "genoformer.interpretation.filters": "filters of the first layer as motifs",
    "genoformer.interpretation.matrices": "Tomtom",
    "genoformer.interpretation.sanity_checks": "checks of a map, and a model with shuffled weights",
    "genoformer.interpretation.targets": "the number that a deletion changes",
}

# Half a minute to a minute each: `make test-long` runs them; `make test` looks at what they import.
LONG = ("02", "03", "05", "06", "07")


nbformat = pytest.importorskip("nbformat", reason=WHY.format("nbformat"))

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def saved(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(notebook: Any) -> Iterator[str]:
    """Every text of the outputs: streams, and what is displayed but for pictures."""
    for cell in code(notebook):
        for output in cell.outputs:
            if output.output_type == "stream":
                yield output.text
            for kind, data in output.get("data", {}).items():
                if not kind.startswith("image/"):
                    yield str(data)


def refuse_noise(notebook: Any) -> None:
    """No error, nothing on stderr, and no path of the machine in what is shown."""
    for cell in code(notebook):
        for output in cell.outputs:
            assert output.output_type != "error", output
            assert output.get("name") != "stderr", f"{cell.source}\n{output.text}"
    for text in shown(notebook):
        assert not OF_A_MACHINE.search(text), text


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@each
def test_it_reads_well(path: Path) -> None:
    """A purpose in words before each code cell, short cells, and words first and last."""
    cells = saved(path).cells
    assert cells[0].cell_type == cells[-1].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    for before, cell in pairwise(cells):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown", cell.source
            assert len(cell.source.splitlines()) <= LINES, cell.source
        assert not OF_A_MACHINE.search(cell.source), cell.source


@each
def test_it_is_saved_as_it_ran(path: Path) -> None:
    """From the first cell to the last, with figures, and with nothing of the machine on which it ran."""
    notebook = saved(path)
    nbformat.validate(notebook)
    refuse_noise(notebook)
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    pictures = [output for cell in code(notebook) for output in cell.outputs if "image/png" in output.get("data", {})]
    assert pictures
    assert all(picture.metadata["image/png"]["width"] > 0 for picture in pictures)  # half of its dots: sharp, not large
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.language_info.name == "python"
    assert notebook.metadata.kernelspec.name == "python3"
    assert not any(cell.metadata for cell in notebook.cells)
    assert path.stat().st_size < BYTES


@each
def test_it_begins_with_goals_and_the_installation(path: Path) -> None:
    """The goals and the time in the first cell; then a cell that installs from the clone and draws sharp figures."""
    notebook = saved(path)
    assert "**You will learn**" in notebook.cells[0].source
    assert "**Time:**" in notebook.cells[0].source
    first = code(notebook)[0].source
    assert "../constraints.txt '..[train,interpret]'" in first
    assert 'figure_formats = ["retina"]' in first
    assert not re.search(r"https?://|index-url", first)


@each
def test_it_has_the_badges_at_its_top(path: Path) -> None:
    lines = saved(path).cells[0].source.splitlines()
    assert lines[2] == "![Licence: Apache-2.0](../docs/badges/licence.svg) ![Python: 3.11 to 3.13](../docs/badges/python.svg)"


def test_badges_are_what_pyproject_says() -> None:
    root = Path(__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    versions = [text.rpartition(" ")[2] for text in project["classifiers"] if re.search(r"Python :: \d\.\d+$", text)]
    words = {"licence": project["license"], "python": f"{versions[0]} to {versions[-1]}"}
    for name, said in words.items():
        picture = (root / "docs" / "badges" / f"{name}.svg").read_text()
        assert f">{said}</text>" in picture
        assert "href" not in picture
        assert f": {said}](docs/badges/{name}.svg)" in (root / "README.md").read_text()


@each
def test_answers_to_exercises_are_folded(path: Path) -> None:
    last = saved(path).cells[-1].source
    assert "xercises" in last
    exercises, _, answers = last.partition("<details>\n<summary>Answers</summary>\n")
    assert answers.rstrip().endswith("</details>")
    numbers = [set(re.findall(r"(?:^|\()(\d)[.)]\s", text, re.MULTILINE)) for text in (exercises, answers)]
    assert numbers[0] == numbers[1] != set()


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place to run in, where neither the user's settings nor those of other tests count."""
    import matplotlib.font_manager  # noqa: F401  # makes its cache here and now: a kernel would say so on stderr

    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    here = tmp_path / "here"
    here.mkdir()
    return here


@each
def test_what_it_imports_from_genoformer_is_there(path: Path) -> None:
    pytest.importorskip("torch", reason="models need torch")
    texts = [re.sub(r"^[%!].*", "", cell.source, flags=re.MULTILINE) for cell in code(saved(path))]
    nodes = [node for text in texts for node in ast.walk(ast.parse(text))]
    calls = {node.attr for node in nodes if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "gf"}
    assert calls
    assert calls - set(genoformer.__all__) == set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("genoformer"):
            module = import_module(str(node.module))
            for alias in node.names:
                assert hasattr(module, alias.name) or find_spec(f"{node.module}.{alias.name}"), f"{node.module}.{alias.name}"


def test_the_notebook_that_trains_for_minutes_is_saved_as_the_full_run() -> None:
    """The tests run it on little data, on which it learns nothing; what readers see is of the full run, and says so."""
    (path,) = (path for path in NOTEBOOKS if path.stem.startswith("09"))
    outputs = "\n".join(shown(saved(path)))
    assert "size: full" in outputs
    assert "quick" not in outputs
    assert 'os.environ.get("DISTAL_SIZE", "full")' in "\n".join(cell.source for cell in code(saved(path)))


def test_notebooks_import_from_the_package_alone_where_it_has_the_call() -> None:
    texts = [re.sub(r"^[%!].*", "", cell.source, flags=re.MULTILINE) for path in NOTEBOOKS for cell in code(saved(path))]
    nodes = [node for text in texts for node in ast.walk(ast.parse(text))]
    modules = {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {module for module in modules if module.startswith("genoformer.")} == set(INSIDE)


@each
def test_it_runs(path: Path, kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTAL_SIZE", "quick")  # of notebook 09
    monkeypatch.delenv("DISTAL_FOLDER", raising=False)
    if path.stem[:2] in LONG and not FULL:
        pytest.skip("needs half a minute or more: `make test-long` runs it")
    nbclient = pytest.importorskip("nbclient", reason=WHY.format("nbclient"))
    for name in ("ipykernel", "lightning"):
        pytest.importorskip(name, reason=WHY.format(name))
    notebook = saved(path)
    before = [cell.source for cell in notebook.cells]
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", record_timing=False, resources={"metadata": {"path": str(kernel)}}
    )
    client.execute()
    refuse_noise(notebook)
    assert [cell.source for cell in notebook.cells] == before
    assert not any(kernel.iterdir()), "a notebook writes into temporary folders only"
