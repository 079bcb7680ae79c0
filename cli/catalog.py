"""What `genoformer models` and `genoformer data` share: the catalog as a table, an entry in full, and fetching one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import starting
from .talk import print_note

if TYPE_CHECKING:
    from genoformer.catalog import Entry
    from genoformer.catalog.entries import Kind

catalog_option = click.option(
    "--catalog",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Another catalog of the same form, such as of a mirror.  [default: the one that comes with genoformer]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON, with addresses, checksums, licence and citation.")


def complete_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Of the models or of the data sets, as the group is."""
    from genoformer.catalog import read_catalog

    of_models = ctx.parent is not None and ctx.parent.info_name == "models"
    return starting(read_catalog()["models" if of_models else "data"], incomplete)


def pull_options(command: Any) -> Any:
    """NAME..., --again, --from and --catalog."""
    for option in reversed(
        [
            click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_names),
            click.option("--again", is_flag=True, help="Fetch anew what is here, as of files that their source renews."),
            click.option(
                "--from",
                "source",
                type=click.Path(path_type=Path),
                metavar="FOLDER",
                help="Take the files from a folder, for machines without a network; checked all the same.",
            ),
            catalog_option,
        ]
    ):
        command = option(command)
    return command


def show_table(kind: Kind, catalog: Path | None, as_json: bool, shipped: dict[str, tuple[Path, str]] | None = None) -> None:
    """A line for each entry: name, where it is, its size, what it is; those that ship come first."""
    import json

    from genoformer.catalog import folder_of, is_here, read_catalog

    rows: list[dict[str, Any]] = [
        {"name": name, "state": "ships", "folder": str(folder), "title": title}
        for name, (folder, title) in (shipped or {}).items()
    ]
    for entry in read_catalog(catalog)[kind].values():
        here = is_here(entry)
        where = {"state": "here", "folder": str(folder_of(entry))} if here else {"state": "to pull", "folder": ""}
        rows.append(described(entry) | where)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        size = _said(row["size"]) if row.get("size") else ""
        click.echo(f"{row['name']:<22}{row['state']:<9}{size:>9}  {row['title']}")


def _said(size: int) -> str:
    """A number of bytes, as a table has room for it.

    >>> _said(983_659_424), _said(6_144)
    ('984 MB', '6 kB')
    """
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"


def described(entry: Entry) -> dict[str, Any]:
    """An entry as JSON: what it is, whose, and from where it comes."""
    rest = {key: value for key, value in entry._asdict().items() if value and key != "files"}
    files = [{key: value for key, value in file._asdict().items() if value} for file in entry.files]
    return rest | {"size": entry.size, "files": files}


def pull_named(kind: Kind, names: tuple[str, ...], again: bool, source: Path | None, catalog: Path | None) -> None:
    """Fetch entries; stdout has the paths alone (of a model its folder), stderr what is to be known of them."""
    from genoformer.catalog import entry_named, pull

    from .progress import progress_bar

    entries = [entry_named(name, kind, catalog) for name in names]  # all are known, before the first is fetched
    for entry in entries:
        with progress_bar("MB") as listen:
            got = pull(entry, again=again, source=source, progress=listen)
        if got.fetched:
            print_note(f"{entry.name}: {entry.title}. Licence: {entry.licence}. Cite: {entry.citation}.")
        for note in [*got.notes, *([entry.note] if entry.note and got.fetched else [])]:
            print_note(f"Note: {note}")
        for path in [got.folder] if kind == "models" else got.paths:
            click.echo(str(path))
