"""Catalog: a TOML file -> entries, each checked before any network access."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from genoformer.errors import CatalogError

Kind = Literal["models", "data"]

RECEIPT = "pulled.json"  # lies next to the files: source of each file, and the checksum it was checked with

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")  # of an entry or a file: never a path
_HUB = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_PLAIN = re.compile(r"[!-~]+")  # characters of an address; others are written as %XX
_HEX = {"sha256": re.compile(r"[0-9a-f]{64}"), "md5": re.compile(r"[0-9a-f]{32}")}
_ENTRY = {
    "title",
    "licence",
    "citation",
    "assembly",
    "note",
    "hub",
    "revision",
    "files",
    "family",
    "use",
    "caution",
    "contigs",
    "by_hand",
    "replicates",
    "tables",
}
_FILE = {"name", "url", "size", "about", "sha256", "md5", "checksums", "moves"}


class Remote(NamedTuple):
    """File to download."""

    name: str
    url: str | None = None  # None: a file of the entry's repository on the hub
    size: int | None = None  # bytes, exactly
    about: int | None = None  # bytes, rounded
    sha256: str | None = None
    md5: str | None = None
    checksums: str | None = None  # address of a list that names this file with its md5 or sha256
    moves: bool = False  # the source replaces it from time to time


class Entry(NamedTuple):
    """Model or data set of another group."""

    kind: Kind
    name: str
    title: str
    licence: str
    citation: str
    files: tuple[Remote, ...]
    assembly: str = ""
    note: str = ""
    hub: str | None = None  # repository of the Hugging Face hub
    revision: str = "main"
    family: str = ""  # of models
    use: str = ""  # tasks that a model is made for
    caution: str = ""  # what scores of variants by a model do not show
    contigs: str = ""  # patterns of the contigs of the genome that a model is for; empty: any genome
    by_hand: str = ""  # how to get the files, if `pull` does not download them; there are no `files` then
    replicates: tuple[str, ...] = ()  # names of the same model, trained again
    replicate_of: str = ""  # name of the entry whose replicate this is
    tables: Mapping[str, str] = {}  # head (of AlphaGenome: organism) -> table of its tracks, DATA/FILE of a data entry

    @property
    def is_model(self) -> bool:
        """True for a model, which is used by its folder; a data set is used by its files."""
        return self.kind == "models"

    @property
    def size(self) -> int | None:
        """Number of bytes of all files whose size is known; None if no size is known."""
        known = [file.size or file.about for file in self.files if file.size or file.about]
        return sum(size for size in known if size) or None

    @property
    def table_entries(self) -> list[str]:
        """Names of the data entries with the tables of the model's tracks."""
        return list(dict.fromkeys(text.partition("/")[0] for text in self.tables.values()))

    @property
    def card(self) -> str:
        """Model card in Markdown."""
        rows = {
            "Family": self.family,
            "Use": self.use,
            "Contigs": self.contigs,
            "Caution": self.caution,
            "Licence": self.licence,
            "Cite": self.citation,
            "Source": f"https://huggingface.co/{self.hub}" if self.hub else "",
            "Download": self.by_hand,
            "Replicates": ", ".join(self.replicates),
            "Tracks": ", ".join(self.table_entries),
            "Note": self.note,
        }
        return f"# {self.name}: {self.title}\n\n" + "".join(f"* {name}: {text}\n" for name, text in rows.items() if text)


def read_catalog(path: str | Path | None = None) -> dict[Kind, dict[str, Entry]]:
    """Return the entries by kind ("models", "data") and name, of the bundled catalog or of another file in its format.

    Raises CatalogError if the file is missing, is not TOML, or has a name that could lead out of the cache folder.
    """
    source = Path(path) if path is not None else Path(str(files("genoformer_data"))) / "catalog.toml"
    try:
        table = tomllib.loads(source.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CatalogError(
            f"{source} cannot be read as a catalog ({error}); give a TOML file in the format of the bundled catalog."
        ) from error
    unknown = set(table) - {"models", "data"}
    if unknown:
        raise CatalogError(f"{source} has the table {sorted(unknown)[0]!r}; a catalog has [models.NAME] and [data.NAME].")
    kinds: tuple[Kind, ...] = ("models", "data")
    entries: dict[Kind, dict[str, Entry]] = {kind: {} for kind in kinds}
    for kind in kinds:
        for name, row in _table(source, table, kind):
            entry = _entry(source, kind, name, row)
            entries[kind] |= {one.name: one for one in [entry, *_replicates(entry)]}
    _check_tables(source, entries)
    return entries


def _check_tables(source: Path, entries: Mapping[Kind, Mapping[str, Entry]]) -> None:
    """Raise CatalogError for a table of tracks that is no file of a data entry."""
    for entry in entries["models"].values():
        for head, text in entry.tables.items():
            name, _, file = text.partition("/")
            if name not in entries["data"] or file not in [remote.name for remote in entries["data"][name].files]:
                raise CatalogError(
                    f"{source}: models.{entry.name} has tables.{head} = {text!r}; give DATA/FILE, a file of a data entry."
                )


def _replicates(entry: Entry) -> list[Entry]:
    """Return the entries of the replicates of a model, whose addresses and titles differ in the number of the replicate."""
    return [
        entry._replace(
            name=name,
            title=entry.title.replace("replicate 0", f"replicate {i}"),
            hub=(entry.hub or "").replace("replicate-0", f"replicate-{i}"),
            replicates=(),
            replicate_of=entry.name,
        )
        for i, name in enumerate(entry.replicates, start=1)
    ]


def entry_named(name: str, kind: Kind, path: str | Path | None = None) -> Entry:
    """Return one entry; raise CatalogError with similar names if it is unknown."""
    entries = read_catalog(path)
    if name in entries[kind]:
        return entries[kind][name]
    (other,) = entries.keys() - {kind}
    if name in entries[other]:
        raise CatalogError(f"{name} is one of the {_noun(other)}; run genoformer {other} pull {name}.")
    near = get_close_matches(name, entries[kind], n=3) or sorted(entries[kind])
    raise CatalogError(f"the catalog has no {_noun(kind, 1)} {name!r}; it has {', '.join(near)} (genoformer {kind} list).")


def _noun(kind: Kind, n: int = 2) -> str:
    return {"models": "models" if n > 1 else "model", "data": "data sets" if n > 1 else "data set"}[kind]


def _table(source: Path, table: Mapping[str, Any], kind: Kind) -> list[tuple[str, Any]]:
    rows = table.get(kind, {})
    if not isinstance(rows, dict):
        raise CatalogError(f"{source}: {kind} is not a table; write [{kind}.NAME].")
    return list(rows.items())


def _entry(source: Path, kind: Kind, name: str, row: Any) -> Entry:
    where = f"{source}: {kind}.{name}"
    _refuse_path(where, name)
    fields = _fields(where, row, _ENTRY, needed=("title", "licence", "citation"))
    if ("files" in fields) == ("by_hand" in fields):
        raise CatalogError(f"{where} has no files; add them, or by_hand, a text that says how to get them, and not both.")
    n_replicates = fields.pop("replicates", 1)
    if type(n_replicates) is not int or n_replicates < 1 or (n_replicates > 1 and "replicate-0" not in fields.get("hub", "")):
        raise CatalogError(
            f"{where}: replicates = {n_replicates!r}; give a whole number, and a hub with replicate-0 in its name."
        )
    rows = fields.pop("files", [])
    if not isinstance(rows, list) or (not rows and "by_hand" not in fields):
        raise CatalogError(f"{where}: files is {rows!r}; give a list of tables, each with a name.")
    tables = fields.pop("tables", {})
    if not isinstance(tables, dict) or (tables and kind != "models"):
        raise CatalogError(f"{where}: tables is {tables!r}; give a model a table of HEAD = DATA/FILE.")
    _texts(where, {**fields, **{f"tables.{head}": text for head, text in tables.items()}})
    hub = fields.get("hub")
    if hub is not None and not _HUB.fullmatch(hub):
        raise CatalogError(f"{where}: hub {hub!r} is not OWNER/REPOSITORY.")
    if not _NAME.fullmatch(fields.get("revision", "main")):
        raise CatalogError(f"{where}: revision {fields['revision']!r} is not the name of a branch, tag or commit.")
    remotes = tuple(_remote(where, file, on_hub=hub is not None) for file in rows)
    if len({file.name for file in remotes}) < len(remotes):
        raise CatalogError(f"{where}: two files have the same name; give each file its own name.")
    replicates = tuple(f"{name}-{i}" for i in range(1, n_replicates))
    return Entry(kind, name, files=remotes, replicates=replicates, tables=tables, **fields)


def _remote(where: str, row: Any, *, on_hub: bool) -> Remote:
    fields = _fields(where, row, _FILE, needed=("name",) if on_hub else ("name", "url"))
    sizes = {key: fields.pop(key) for key in ("size", "about") if key in fields}
    moves = fields.pop("moves", False)
    _texts(where, fields)
    _refuse_path(where, fields["name"])
    where = f"{where}, {fields['name']}"
    for which, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise CatalogError(f"{where}: {which} = {value!r}; give whole bytes.")
    if not isinstance(moves, bool):
        raise CatalogError(f"{where}: moves = {moves!r}; give true or false.")
    for key in ("url", "checksums"):
        if key in fields and not _is_address(fields[key]):
            raise CatalogError(f"{where}: {key} {fields[key]!r} is not an http or https address.")
    for key, form in _HEX.items():
        if key in fields and not form.fullmatch(fields[key]):
            raise CatalogError(f"{where}: {key} {fields[key]!r} is not {64 if key == 'sha256' else 32} hexadecimal digits.")
    return Remote(**fields, **sizes, moves=moves)


def _is_address(text: str) -> bool:
    """True for an http or https address that can be requested: ASCII, with a host and a numeric port."""
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("https", "http")
            and bool(parts.hostname)
            and parts.port != 0
            and _PLAIN.fullmatch(text) is not None
        )
    except ValueError:
        return False


def _fields(where: str, row: Any, known: set[str], needed: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise CatalogError(f"{where} is {row!r}; give a table.")
    if unknown := sorted(set(row) - known):
        raise CatalogError(f"{where}: unknown field {unknown[0]}; known are {', '.join(sorted(known))}.")
    if missing := [key for key in needed if key not in row]:
        raise CatalogError(f"{where} has no {missing[0]}; add it.")
    return dict(row)


def _texts(where: str, fields: Mapping[str, Any]) -> None:
    for key, value in fields.items():
        if not isinstance(value, str):
            raise CatalogError(f"{where}: {key} = {value!r}; give a text.")


def is_name(name: str) -> bool:
    """True for a plain file name inside the cache folder; no path, receipt or *.part."""
    return _NAME.fullmatch(name) is not None and not name.endswith(".part") and name != RECEIPT


def _refuse_path(where: str, name: str) -> None:
    if not is_name(name):
        raise CatalogError(
            f"{where}: the name {name!r} may contain only letters, digits, dot, dash and underscore, and "
            f"must not be {RECEIPT} or *.part; rename it."
        )
