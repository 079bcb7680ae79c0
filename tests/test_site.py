"""The documentation site: MkDocs builds it without a warning, with every command and every public name."""

from __future__ import annotations

import re
import subprocess
import sys
from html import unescape
from importlib import import_module
from pathlib import Path

import click
import pytest
from chromium import open_tab
from genoformer_cli.main import main

import genoformer

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", sorted({*genoformer.__all__} - {"SCORES", "TOKENIZERS", "EncoderConfig"}))
def test_a_public_name_has_an_example(name: str) -> None:
    pytest.importorskip("torch", reason="models need torch")
    home = import_module(f"genoformer.{genoformer._HOME[name]}")
    assert ">>> " in (getattr(home, name).__doc__ or "")


def test_every_page_is_in_the_navigation() -> None:
    named = re.findall(r"([\w-]+\.md)", (ROOT / "mkdocs.yml").read_text())
    assert sorted(named) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as MkDocs and GitHub make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name)
def test_links_lead_to_headings_that_exist(page: Path) -> None:
    links = re.findall(r"\]\(([\w/.-]*\.md)?#([\w-]+)\)", page.read_text())
    targets = [(page.parent / name if name else page, anchor) for name, anchor in links]
    assert [f"{target.name}#{anchor}" for target, anchor in targets if anchor not in anchors(target)] == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a broken link, a page outside the navigation or an unknown name ends the build."""
    for name in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        pytest.importorskip(name, reason="the site needs MkDocs, Material and mkdocstrings: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def text_of(page: Path) -> str:
    """Return the text of a page without its tags."""
    return unescape(re.sub(r"<[^>]+>", "", page.read_text()))


def commands(command: click.Command) -> list[click.Command]:
    """Return a command and its subcommands."""
    own = [sub for child in command.commands.values() for sub in commands(child)] if isinstance(command, click.Group) else []
    return [command, *own]


def test_every_option_of_every_command_is_in_its_page(site: Path) -> None:
    for name, command in main.commands.items():
        text = text_of(site / "commands" / f"{name}.html")
        shown = [parameter for of in commands(command) for parameter in of.params if not getattr(parameter, "hidden", False)]
        flags = {flag for parameter in shown for flag in parameter.opts if flag[:1] == "-"}
        assert [flag for flag in sorted(flags) if flag not in text] == [], name


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    page = (site / "api.html").read_text()
    assert [name for name in genoformer.__all__ if not re.search(rf'<h3 id="[\w.]*\.{name}"', page)] == []


def test_the_examples_of_the_reference_are_code(site: Path) -> None:
    page = (site / "api.html").read_text()
    assert page.count('class="gp">&gt;&gt;&gt; ') > 20
    assert "<blockquote>" not in page


def test_nothing_is_loaded_from_another_server(site: Path) -> None:
    loaded = re.compile(r"<(?:script|img|iframe)[^>]+src=\"?(?:https?:)?//|<link[^>]+rel=\"?(?:stylesheet|preconnect)[^>]+//")
    assert [page.name for page in site.rglob("*.html") if loaded.search(page.read_text())] == []


def test_the_search_works_without_a_server(site: Path, tmp_path: Path) -> None:
    with open_tab(tmp_path) as tab:
        tab.show((site / "index.html").as_uri(), dark=True)
        tab.wait("document.querySelector('.md-search__input')")
        tab.value("document.querySelector('.md-search__input').focus()")
        for letter in "entropy":
            tab.press(letter)
        tab.wait("document.querySelectorAll('.md-search-result__item').length > 3")
        assert tab.errors == []
        assert [address for address in tab.loaded if not address.startswith(("file:", "data:"))] == []


def test_a_link_to_a_file_of_the_repository_leads_to_its_copy(site: Path) -> None:
    assert (site / "repository/notebooks/01_genome_tokens_onehot.ipynb").is_file()
    assert 'src="repository/data/demo/demo.png"' in (site / "index.html").read_text()
