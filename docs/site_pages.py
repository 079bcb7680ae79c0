"""Hooks of MkDocs for the pages that are made from the code: click commands -> commands/*.md, genoformer.__all__ -> api.md.

Links from a page to a file of the repository outside docs/ (`../notebooks/x.ipynb`) lead to a copy in the site.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from genoformer_cli.main import main
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import genoformer

sys.path.insert(0, str(Path(__file__).parent))
from figure_gallery import GALLERY, gallery_text, picture  # next to this file

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = re.compile(r"\]\(\.\./([^)#]+)")
NAMED_AS_FILE = re.compile(r"\[([\w-]+\.md)\]\(\1(#[\w-]+)?\)")
CODE = re.compile(r"`[^`\n]+`")
MARKUP = re.compile(r"(`[^`]*`)|([][*<|])")
PAGE_IN_HELP = re.compile(r"\bdocs/([\w-]+\.md)")


def plain(text: str) -> str:
    """Return text whose marks of Markdown, outside of `code`, are shown as they are.

    >>> plain("a*b < c|d, `x|y`")
    'a\\\\*b &lt; c\\\\|d, `x|y`'
    """
    return MARKUP.sub(lambda mark: mark[1] or ("&lt;" if mark[2] == "<" else "\\" + mark[2]), text)


def help_text(command: click.Command) -> str:
    """Return the help of a command as Markdown: paragraphs, those after a line with \\b as code, names of pages as links."""
    text = inspect.cleandoc((command.help or "").split("\f")[0])
    blocks = []
    for paragraph in re.split(r"\n\s*\n", text):
        if paragraph.startswith("\b"):
            blocks.append("```console\n" + paragraph.removeprefix("\b").strip("\n") + "\n```")
        else:
            prose = plain(" ".join(paragraph.split()))
            blocks.append(PAGE_IN_HELP.sub(lambda name: f"[{title_of(name[1])}](../{name[1]})", prose))
    return "\n\n".join(blocks)


class Sections(click.HelpFormatter):
    """Formatter that keeps the headings of a help text and the rows below them, as the command writes them."""

    def __init__(self) -> None:
        super().__init__(width=10_000)
        self.sections: list[tuple[str, list[tuple[str, str]]]] = []

    def write_heading(self, heading: str) -> None:
        self.sections.append((heading, []))

    def write_dl(self, rows: Iterable[tuple[str, str]], *_: int) -> None:  # type: ignore[override]
        self.sections[-1][1].extend(rows)


def option_tables(command: click.Command, context: click.Context) -> list[str]:
    """Return a table for each heading of the options: their spellings and values, and the help with the default."""
    formatter = Sections()
    command.format_options(context, formatter)
    tables = []
    for heading, rows in formatter.sections:
        if heading != "Commands":
            cells = [f"| `{spelling}` | {plain(' '.join(text.split()))} |" for spelling, text in rows]
            tables.append("\n".join([f"| {heading} | meaning |", "| --- | --- |", *cells]))
    return tables


def command_text(command: click.Command, name: str, depth: int = 1) -> str:
    """Return the Markdown of a command and of its subcommands: usage, help, tables of options."""
    context = click.Context(command, info_name=name)
    usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
    parts = [f"{'#' * depth} {name}", help_text(command), f"```console\n{usage}\n```"]
    parts += option_tables(command, context)
    if isinstance(command, click.Group):
        parts += [command_text(command.commands[sub], f"{name} {sub}", depth + 1) for sub in command.list_commands(context)]
    return "\n\n".join(parts) + "\n"


def command_table() -> str:
    """Return a table of all commands, with the first sentence of their help."""
    rows = [
        f"| [`{name}`](commands/{name}.md) | {plain(command.get_short_help_str(200))} |"
        for name, command in main.commands.items()
    ]
    return "\n".join(["| command | task |", "| --- | --- |", *rows])


def python_names() -> str:
    """Return the directives of mkdocstrings for each public name: functions, then classes, then tables."""
    names = sorted(genoformer.__all__)
    kinds = {
        "Functions": [name for name in names if name.islower()],
        "Classes": [name for name in names if name[0].isupper() and not name.isupper()],
        "Tables of names": [name for name in names if name.isupper()],
    }
    lines = []
    for title, members in kinds.items():
        lines += [f"## {title}", *(f"::: genoformer.{genoformer._HOME[name]}.{name}" for name in members)]
    return "\n\n".join(lines)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages of the commands to the navigation, after commands.md."""
    pages = [{f"genoformer {name}": f"commands/{name}.md"} for name in main.commands]

    def extend(entries: list[Any]) -> None:
        for entry in entries:
            for value in entry.values() if isinstance(entry, dict) else ():
                if value == [{"All commands": "commands.md"}]:
                    value.extend(pages)
                elif isinstance(value, list):
                    extend(value)

    extend(config.nav or [])
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the commands, and the files of the repository to which pages link."""
    for name, command in main.commands.items():
        files.append(File.generated(config, f"commands/{name}.md", content=command_text(command, f"genoformer {name}")))
    for name in GALLERY:
        files.append(File.generated(config, f"figures/{name}.png", content=picture(name)))
    linked = {name for page in files.documentation_pages() for name in OUTSIDE.findall(page.content_string)}
    if "tests/benchmarks/RESULTS.md" in linked:
        linked.add("tests/benchmarks/gwas_enrichment.png")  # the figure of that page
    for name in sorted(linked):
        if (ROOT / name).is_file():
            files.append(File.generated(config, f"repository/{name}", abs_src_path=str(ROOT / name)))
    return files


def on_post_build(config: MkDocsConfig) -> None:
    """Write the index of the search as a script, which pages that are opened as files can load."""
    folder = Path(config.site_dir) / "search"
    index = (folder / "search_index.json").read_text(encoding="utf-8")
    (folder / "search_index.js").write_text(f"var __index = {index}\n", encoding="utf-8")


def title_of(page: str) -> str:
    """Return the first heading of a page of docs/."""
    return (ROOT / "docs" / page).read_text().split("\n", 1)[0].removeprefix("# ")


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Fill in what is made from the code, name linked pages by their titles, and let links out of docs/ lead to the copies."""
    if page.file.src_uri == "commands.md":
        return f"{markdown}\n{command_table()}\n"
    if page.file.src_uri == "figures.md":
        markdown = markdown.replace("<!-- gallery -->", gallery_text())
    if page.file.src_uri == "api.md":
        return f"{markdown}\n{python_names()}\n"
    if "/" in page.file.src_uri:
        return markdown
    markdown = CODE.sub(
        lambda code: code[0].replace("\\|", "|"), markdown
    )  # GitHub needs the backslash in tables, MkDocs shows it
    markdown = NAMED_AS_FILE.sub(lambda link: f"[{title_of(link[1])}]({link[1]}{link[2] or ''})", markdown)
    return OUTSIDE.sub(r"](repository/\1", markdown)
