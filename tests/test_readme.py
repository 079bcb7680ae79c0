"""The README's blocks run as they stand, one after the other, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from processes import quick_command

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.timeout(1500)  # all of the README, one block after the other
def test_the_blocks_run(tmp_path) -> None:
    assert [kind for kind, _ in BLOCKS].count("bash") >= 3
    with quick_command() as folder:
        path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
        for kind, text in BLOCKS:
            shell = ["bash", "-euo", "pipefail"] if kind == "bash" else [sys.executable, "-W", "error"]
            environment = {**os.environ, "PATH": path}
            done = subprocess.run([*shell, "-c", text], cwd=tmp_path, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{text}\n{done.stderr}"
    assert (tmp_path / "scored.vcf.gz.tbi").is_file()


SHOWN = re.compile(r"^```(bash|python)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def words_of(text: str) -> list[list[str | float]]:
    """The words of each line, numbers as numbers."""
    return [[float(word) if re.fullmatch(r"-?\d+\.\d+", word) else word for word in line.split()] for line in text.splitlines()]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", ["families.md", "lookups.md"])
def test_a_page_shows_what_its_commands_print(tmp_path, page: str) -> None:
    """Weights trained by the block differ between processors, so only the format of their numbers is compared."""
    text_of_page = (README.parent / "docs" / page).read_text()
    with quick_command() as folder:
        path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
        for kind, text, shown in SHOWN.findall(text_of_page):
            shell = ["bash", "-euo", "pipefail"] if kind == "bash" else [sys.executable, "-W", "error"]
            done = subprocess.run(
                [*shell, "-c", text], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{text}\n{done.stderr}"
            printed, expected = words_of(done.stdout), words_of(shown)
            assert list(map(len, printed)) == list(map(len, expected)), f"{text}\n{done.stdout}"
            if "elements" in text:
                continue
            for line, other in zip(printed, expected, strict=True):
                for word, known in zip(line, other, strict=True):
                    assert word == (pytest.approx(known, rel=0.01, abs=1e-3) if isinstance(known, float) else known), text


def test_files_named_in_the_readme_are_there() -> None:
    for name in re.findall(r"\]\(((?!http)[^)#]+)\)", README.read_text()):
        assert (README.parent / name).exists(), name


def test_every_command_and_score_is_in_the_readme() -> None:
    from genoformer_cli.main import main

    from genoformer.scoring.scores import SCORES

    text = README.read_text()
    for name in main.commands:
        assert f"genoformer {name}" in text or f"make {name}" in text, name
    text += (README.parent / "docs" / "track-scores.md").read_text()  # all scores of Borzoi and AlphaGenome
    for name in SCORES:
        assert name in text


PAGES = sorted((README.parent / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_in_a_page_are_there(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for name in re.findall(r"\]\(((?!http)[^)#]+)(?:#[^)]*)?\)", text):
        assert (page.parent / name).exists(), name


def test_the_glossary_has_every_score_and_capability() -> None:
    from genoformer.models import base
    from genoformer.scoring.scores import SCORES

    text = (README.parent / "docs" / "glossary.md").read_text()
    capabilities = ("PredictsBases", "SequenceLikelihood", "Embeds", "Attends", "PredictsTracks", "PredictsPairs", "Classifies")
    assert all(hasattr(base, name) for name in capabilities)
    assert [name for name in (*SCORES, *capabilities) if not re.search(rf"\b{name}\b", text)] == []


def test_the_table_of_models_has_every_layout() -> None:
    from genoformer.models.registry import FAMILIES

    text = (README.parent / "docs" / "models.md").read_text()
    layouts = {name.removesuffix("-classifier") for family in FAMILIES.values() for name in family.formats}
    assert {name for name in layouts if f"`{name}`" not in text} == set()
