"""Shared parts of `genoformer models` and `genoformer data`: list the catalog, show an entry, download entries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import starting
from .verbosity import print_note

if TYPE_CHECKING:
    from genoformer.catalog import Entry
    from genoformer.catalog.entries import Kind

catalog_option = click.option(
    "--catalog",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Another catalog in the same format, such as that of a mirror.  [default: the bundled catalog]",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, with addresses, checksums, licence and citation."
)


def complete_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the catalog names that complete a word: of models or of data sets, depending on the group."""
    from genoformer.catalog import read_catalog

    of_models = ctx.parent is not None and ctx.parent.info_name == "models"
    return starting(read_catalog()["models" if of_models else "data"], incomplete)


def pull_options(command: Any) -> Any:
    """Add NAME..., --again, --from and --catalog to a command."""
    for option in reversed(
        [
            click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_names),
            click.option("--again", is_flag=True, help="Download again even if cached, for files that their source updates."),
            click.option(
                "--from",
                "source",
                type=click.Path(path_type=Path),
                metavar="FOLDER",
                help="Take the files from a folder, for machines without a network; they are still checked.",
            ),
            catalog_option,
        ]
    ):
        command = option(command)
    return command


def show_table(kind: Kind, catalog: Path | None, as_json: bool, shipped: dict[str, tuple[Path, str]] | None = None) -> None:
    """Print a line for each entry: name, state, size and title; bundled models come first."""
    import json

    from genoformer.catalog.listing import HERE, list_entries

    rows = list_entries(kind, catalog, shipped)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        if row.get("replicate_of") and row["state"] != HERE:
            continue
        size = _size_text(row["size"]) if row.get("size") else ""
        address = f"; huggingface.co/{row['hub']}" if "hub" in row else ""
        facts = [row[key] for key in ("family", "use", "licence") if row.get(key)] if row.get("use") else []
        about = f" [{'; '.join(facts)}{address}]" if facts else ""
        others = f"; replicates {', '.join(row['replicates'])}" if row.get("replicates") else ""
        click.echo(line_shown(f"{row['name']:<22}{row['state']:<12}{size:>9}  {row['title']}{about}{others}"))


def line_shown(line: str) -> str:
    """Return a line of the list: as it is for a program, and with an indent after each line break for a terminal."""
    import shutil
    import sys
    import textwrap

    if not sys.stdout.isatty():
        return line
    width = max(60, shutil.get_terminal_size().columns)
    return textwrap.fill(line, width, subsequent_indent=" " * 6, break_long_words=False, break_on_hyphens=False)


def _size_text(size: int) -> str:
    """Return a number of bytes as short text for a table.

    >>> _size_text(983_659_424), _size_text(6_144)
    ('984 MB', '6 kB')
    """
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"


def described(entry: Entry) -> dict[str, Any]:
    """Return an entry as a JSON object: title, licence, citation, sources and sizes."""
    from genoformer.catalog.listing import described as fields_of

    return fields_of(entry)


def pull_named(kind: Kind, names: tuple[str, ...], again: bool, source: Path | None, catalog: Path | None) -> None:
    """Download entries; print only paths on stdout (for a model its folder), and notes on stderr.

    The published tables of a model's tracks come with it, if it is not taken from a folder without them.
    """
    from genoformer.catalog import entry_named, pull, with_tables

    from .progress import progress_bar

    entries = [entry_named(name, kind, catalog) for name in names]  # refuses unknown names before the first download
    every = [(one, one is entry) for entry in entries for one in with_tables(entry, catalog)]
    for entry, is_named in every:
        if not is_named and source is not None and not all((source / file.name).is_file() for file in entry.files):
            print_note(f"Note: {source} has no tables of the tracks; genoformer data pull {entry.name} downloads them.")
            continue
        with progress_bar("MB") as listen:
            result = pull(entry, again=again, source=source, progress=listen)
        if result.fetched:
            print_note(f"{entry.name}: {entry.title}. Licence: {entry.licence}. Cite: {entry.citation}.")
        for note in [*result.notes, *([entry.note] if entry.note and result.fetched else [])]:
            print_note(f"Note: {note}")
        if not is_named:
            continue
        for path in [result.folder] if entry.is_model else result.paths:
            click.echo(str(path))
