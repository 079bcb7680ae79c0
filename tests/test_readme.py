"""The blocks of the README and of the pages run as they stand, one after the other, in an empty folder."""

from __future__ import annotations

import gzip
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import quick_command

README = Path(__file__).parents[1] / "README.md"
DOCS = README.parent / "docs"
PAGES = sorted(DOCS.glob("*.md"))
SHOWING = (
    "audit.md",
    "families.md",
    "lookups.md",
    "huggingface.md",
    "published-benchmarks.md",
    "tutorial-biologist.md",
    "tutorial-engineer.md",
    "tutorial-lecturer.md",
)
WORLD = (
    "score",
    "score-tracks",
    "interpret",
    "report",
    "annotate",
    "pretrain",
    "finetune",
    "embed",
    "evaluate",
    "train-tracks",
    "catalog",
    "python",
    "tables",
)
SHOWN = re.compile(r"^```(bash|python)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def run_block(kind: str, text: str, folder: Path, path: str) -> str:
    """Run a block of a page in a folder and return what it prints."""
    shell = ["bash", "-euo", "pipefail"] if kind == "bash" else [sys.executable, "-W", "error"]
    done = subprocess.run([*shell, "-c", text], cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, f"{text}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def command_path() -> Iterator[str]:
    """PATH with a command that starts quickly."""
    with quick_command() as folder:
        yield os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])


@pytest.mark.timeout(1500)  # all how-to pages, one block after the other
def test_the_blocks_of_the_how_to_pages_run(tmp_path, command_path: str) -> None:
    """In the folder `world/` that the first block makes."""
    blocks = [block for page in WORLD for block in SHOWN.findall((DOCS / f"{page}.md").read_text())]
    assert [kind for kind, *_ in blocks].count("bash") >= 12
    for kind, text, _ in blocks:
        run_block(kind, text, tmp_path, command_path)
    assert (tmp_path / "scored.vcf.gz.tbi").is_file()


def words_of(text: str) -> list[list[str | float]]:
    """Return the words of each line, numbers as numbers."""
    return [[float(word) if re.fullmatch(r"-?\d+\.\d+", word) else word for word in line.split()] for line in text.splitlines()]


def assert_prints(printed: str, shown: str, text: str) -> None:
    """Compare words exactly and numbers roughly; weights that a block trains differ between processors: only their layout."""
    own, expected = words_of(printed), words_of(shown)
    assert list(map(len, own)) == list(map(len, expected)), f"{text}\n{printed}"
    if "elements" in text:
        return
    for line, other in zip(own, expected, strict=True):
        for word, known in zip(line, other, strict=True):
            assert word == (pytest.approx(known, rel=0.01, abs=1e-3) if isinstance(known, float) else known), text


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", SHOWING)
def test_a_page_shows_what_its_commands_print(tmp_path, command_path: str, page: str) -> None:
    for kind, text, shown in SHOWN.findall((DOCS / page).read_text()):
        printed = run_block(kind, text, tmp_path, command_path)
        if shown or page in ("families.md", "lookups.md"):
            assert_prints(printed, shown, text)


def test_every_block_of_a_page_is_run() -> None:
    """`bash` and `python` mark code that runs as it stands; `console` is for commands on files that the reader has."""
    run = {*SHOWING, *(f"{page}.md" for page in WORLD), "add_a_model.md"}  # the last one in models/test_add_a_model.py
    assert [page.name for page in PAGES if page.name not in run and SHOWN.search(page.read_text())] == []


@pytest.mark.timeout(900)
def test_three_lines_for_a_vcf_print_what_the_readme_shows(tmp_path, command_path: str, real_data: Path) -> None:
    """Each shown line is printed, in order, among others; the speed is that of the machine."""
    text, shown = (block for kind, block in FENCED.findall(README.read_text()) if kind in ("bash", "text"))
    assert len(text.splitlines()) == 3
    for name, source in (
        ("my.vcf.gz", "1000G.chr20_1000001-2000000.vcf.gz"),
        ("my.vcf.gz.tbi", "1000G.chr20_1000001-2000000.vcf.gz.tbi"),
        *((f"hg19.fa.gz{suffix}", f"hg19.sparse.fa.gz{suffix}") for suffix in ("", ".fai", ".gzi")),
    ):
        (tmp_path / name).symlink_to(real_data / "hg19" / source)
    printed = run_block("bash", f"exec 2>&1\n{text}", tmp_path, command_path)
    without_speed = [re.sub(r"[\d,.]+ per (second|minute)", "", line) for line in (*printed.splitlines(), *shown.splitlines())]
    lines, expected = without_speed[: len(printed.splitlines())], without_speed[len(printed.splitlines()) :]
    assert len(expected) > 5
    remaining = iter(lines)
    assert [line for line in expected if line not in remaining] == []
    assert "GF_LLR=-4.02" in gzip.decompress((tmp_path / "scored.vcf.gz").read_bytes()).decode()


def test_the_readme_has_at_most_two_hundred_lines() -> None:
    assert len(README.read_text().splitlines()) <= 200


def test_files_named_in_the_readme_are_there() -> None:
    for name in re.findall(r"\]\(((?!http)[^)#]+)\)", README.read_text()):
        assert (README.parent / name).exists(), name


def is_named(name: str, text: str) -> bool:
    """True if a page has a name; of AlphaGenome's centre masks, their width and their aggregation."""
    parts = re.fullmatch(r"CENTER_MASK_(\d+|WINDOW)_(\w+)", name)
    return all(re.search(rf"\b{part}\b", text) for part in (parts.groups() if parts else (name,)))


def test_every_command_and_score_is_in_a_page() -> None:
    from genoformer_cli.main import main

    from genoformer.scoring.scores import SCORES

    text = README.read_text()
    for name in main.commands:
        assert f"genoformer {name}" in text or f"make {name}" in text, name
    names = ("score", "score-tracks", "score-classes", "borzoi", "alphagenome")
    pages = "".join((DOCS / f"{name}.md").read_text() for name in names)
    assert [name for name in SCORES if not is_named(name, pages)] == []


def test_the_error_messages_of_the_page_are_those_of_the_code() -> None:
    sources = [*(README.parent / "genoformer").rglob("*.py"), *(README.parent / "cli").glob("*.py")]
    code = "".join(path.read_text() for path in sources)
    messages = re.findall(r"^### `(.+)`$", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    assert len(messages) > 20
    assert [message for message in messages if message not in code] == []


FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
ENDS_A_COMMAND = {"|", ">", ">>", "<", "2>", "2>>", "&&", "||", ";", "..."}


def commands_in(text: str) -> list[str]:
    """Return the commands of genoformer in a page: in blocks, indented lines, and code within a sentence or table."""
    blocks = "\n".join(block for _, block in FENCED.findall(text))
    prose = FENCED.sub("", text)
    lines = [line.strip() for line in (blocks + "\n" + prose).replace("\\\n", " ").splitlines() if "`" not in line]
    inline = [" ".join(code.split()).replace("\\|", "|") for code in re.findall(r"`([^`]+)`", prose)]
    in_code = {line.strip() for line in blocks.replace("\\\n", " ").splitlines()}
    indented = {line.strip() for line in prose.replace("\\\n", " ").splitlines() if line.startswith("    ")}
    return [
        line for line in [*(line for line in lines if line in in_code | indented), *inline] if line.startswith("genoformer ")
    ]


def unknown_words(line: str) -> list[str]:
    """Return the subcommands and options of a command line that do not exist."""
    import click
    from genoformer_cli.main import main

    command: click.Command = main
    unknown = []
    for word in shlex.split(line, comments=True)[1:]:
        if isinstance(command, click.Group) and (not word.startswith("-") or "sequences" in command.commands):
            if word.isupper() or word in ENDS_A_COMMAND:  # COMMAND, in place of a name
                break
            known = word in command.commands
            command = command.commands.get(word) or command.commands.get("sequences") or command  # `evaluate` adds that one
            if known or isinstance(command, click.Group):
                unknown += [] if known else [word]
                continue
        if word in ENDS_A_COMMAND:
            break
        if re.fullmatch(r"--?[A-Za-z][\w-]*(=.*)?", word):
            flags = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
            if word.split("=")[0] not in flags | {"-h", "--help"}:
                unknown.append(word)
    return unknown


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.name)
def test_commands_in_a_page_have_options_that_exist(page: Path) -> None:
    assert {line: words for line in commands_in(page.read_text()) if (words := unknown_words(line))} == {}


def test_a_command_that_does_not_exist_is_found() -> None:
    inline = "`genoformer scored in.vcf`, and\n\n"
    indented = "    genoformer score a.vcf --genome \\\n        b.fa  # here\n\n"
    lines = commands_in(f"{inline}{indented}```bash\ngenoformer data list --pull\n```\n")
    assert len(lines) == 3
    assert sorted(unknown_words(line)[0] for line in lines) == ["--genome", "--pull", "scored"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_of_a_page_can_be_compiled(page: Path) -> None:
    for kind, block in FENCED.findall(page.read_text()):
        if kind == "python":
            compile(block, page.name, "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_in_a_page_are_there(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for name in re.findall(r"\]\(((?!http)[^)#]+)(?:#[^)]*)?\)", text):
        assert (page.parent / name).exists(), name


def test_the_glossary_has_every_score_and_capability() -> None:
    from genoformer.models import base
    from genoformer.scoring.scores import SCORES

    text = (DOCS / "glossary.md").read_text()
    capabilities = ("PredictsBases", "SequenceLikelihood", "Embeds", "Attends", "PredictsTracks", "PredictsPairs", "Classifies")
    assert all(hasattr(base, name) for name in capabilities)
    assert [name for name in (*SCORES, *capabilities) if not is_named(name, text)] == []


def test_the_table_of_models_has_every_layout() -> None:
    from genoformer.models.registry import FAMILIES

    text = (DOCS / "models.md").read_text()
    layouts = {name.removesuffix("-classifier") for family in FAMILIES.values() for name in family.formats}
    assert {name for name in layouts if f"`{name}`" not in text} == set()
