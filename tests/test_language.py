"""Docstrings open with a verb or a noun phrase; messages, pages and notebooks are in plain English."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "genoformer").rglob("*.py"), *(ROOT / "cli").rglob("*.py")])
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "notebooks").glob("*.ipynb"))]
OPENINGS = re.compile(r"[`'\"]*(What|Whether|Of|Those|How|Which|Who|Where)\b")
PHRASES = re.compile(  # that a reader has to read twice, and that have a plain word: resumes, next to, automatically, again ...
    r"\b(go(es)? on from|goes on|went on|gone on|(is|are) said|beside|by (itself|themselves)|asked for|anew|told|heard"
    r"|what is not there|is meant|what came|is another one|than the last time|asked about|hidden (base|token)s?"
    r"|bases? that looks?|look(s|ed) at|laid to the|long-range model|models? of tracks|count models?)\b",
    re.IGNORECASE,
)

FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
FLAGS_IN = {  # modules of the library whose texts may name a flag
    "addresses": "options of the client of the Hugging Face hub",
    "catalog": "names of commands that download or upload by hand",
    "config": "words of command lines that resume folders hold",
    "compute/partition": "the same",
    "genome/contigs": "options of bcftools and PLINK",
    "annotation/elements": "--columns KEY=VALUE is the text that the user adds, on the command line and in Python",
    "formats/bed": "the same",
    "formats/bed_kinds": "the same",
    "formats/file_kinds": "a GTF among files that the user names with flags",
    "formats/gtf": "the same",
    "genome/explanations": "--fix and --force are the words of the header, the summary and docs/input-checks.md",
    "genome/variants": "the same",
    "interpretation/loci": "`score --explain` is a command",
    "report/scored": "a sentence of the report on the command that scored the variants",
    "scoring/alphagenome_scores": "as scoring/scores",
    "scoring/borzoi_scores": "as scoring/scores",
    "scoring/scores": "`score --explain` is a command; meanings are in the headers of outputs",
    "training/resume": "finetune --task tracks is a command",
}


def docstrings(path: Path) -> list[tuple[int, str]]:
    """Line and text of each docstring of a file."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
    return [(getattr(node, "lineno", 1), text) for node in nodes if (text := ast.get_docstring(node))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_docstring_opens_with_a_relative_word(path: Path) -> None:
    assert [(line, text.splitlines()[0]) for line, text in docstrings(path) if OPENINGS.match(text)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_messages_and_docstrings_have_no_private_phrases(path: Path) -> None:
    texts = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    assert [(text.lineno, match[0]) for text in texts for match in PHRASES.finditer(text.value)] == []


def library_texts(path: Path) -> list[ast.Constant]:
    """Texts of a file without its docstrings."""
    tree = ast.parse(path.read_text())
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    first = [node.body[0] for node in ast.walk(tree) if isinstance(node, kinds) and node.body]
    skipped = {id(line.value) for line in first if isinstance(line, ast.Expr)}
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [text for text in texts if id(text) not in skipped]


def test_messages_of_the_library_name_options_as_python_does() -> None:
    """An `OptionError` becomes a flag on the command line; other texts that name one are in FLAGS_IN, with the reason."""
    naming = set()
    for path in sorted((ROOT / "genoformer").rglob("*.py")):
        name = path.relative_to(ROOT / "genoformer").with_suffix("").as_posix()
        if any(FLAG.search(text.value) for text in library_texts(path)):
            naming.add("catalog" if name.startswith("catalog/") else name)
    assert naming == set(FLAGS_IN)


def page_text(path: Path) -> str:
    """Text of a page; of a notebook, that of its cells, without outputs."""
    if path.suffix != ".ipynb":
        return path.read_text()
    return "\n".join("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"])


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages_and_notebooks_have_no_private_phrases(path: Path) -> None:
    text = page_text(path)
    found = [(text.count("\n", 0, match.start()) + 1, match[0]) for match in PHRASES.finditer(text.replace("\n", " "))]
    assert found == []


def test_the_list_of_private_phrases_finds_them() -> None:
    private = ("The run goes on from there.", "the file beside it", "n bins are asked for", "Begin anew", "the hidden base")
    for text in private:
        assert PHRASES.search(text)
    for text in ("besides", "a score asks for it", "resumes at the first part", "the same command is run again"):
        assert not PHRASES.search(text)


def test_no_option_is_explained_with_a_relative_word() -> None:
    """As `--help` shows them."""
    import click
    from genoformer_cli.main import main

    def options(command: click.Command, name: str) -> list[str]:
        context = click.Context(command, info_name=name)
        own = [
            f"{name} {p.opts[0]}: {p.help}"
            for p in command.params
            if isinstance(p, click.Option) and OPENINGS.match(p.help or "")
        ]
        if isinstance(command, click.Group):
            for sub in command.list_commands(context):
                if (found := command.get_command(context, sub)) is not None:
                    own += options(found, f"{name} {sub}")
        return own

    assert options(main, "genoformer") == []
