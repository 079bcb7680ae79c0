"""A BED-like file -> which of its columns is which: decided here, by its name, its header and its first rows, for every reader.

In this order: what --columns says; names of columns, where a line has them; the suffix or the track line (narrowPeak ...);
how many columns the first rows have, and what they hold. Positions count from 0 unless the file proves that they count from 1:
its width is END - START + 1, or it is a table of HOMER or MACS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from genoformer.errors import FileFormatError
from genoformer.genome import bed_columns
from genoformer.genome.file_kinds import text_kind
from genoformer.genome.lines import numbered_lines

KIND = "a BED or narrowPeak file"
NARROW = 10  # columns of narrowPeak
_SAMPLE = 100  # rows that are looked at
_COMMENT = re.compile(r"#|(track|browser)(\s|$)")
_TRACK_TYPE = re.compile(r"track\b.*\btype=[\"']?(\w+)")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)
_LIST = re.compile(r"\d{1,18}(,\d{1,18})*,?", re.ASCII)
_CCRE = re.compile(r"E[HM]\d{2}[A-Z]\d+")  # an accession of ENCODE's registry
_CCRE_CLASS = re.compile(r"((CA|PLS|[pd]ELS|DNase|CTCF|TF|Low|Unclassified|InActive)[\w-]*)(,[\w-]+)*", re.IGNORECASE)
_REGION = re.compile(r"[^\s:]+:\d+-\d+", re.ASCII)
STRANDS: Mapping[str, str] = {"+": "+", "-": "-", ".": ".", "*": ".", "": "."}
_HOMER_STRANDS = {**STRANDS, "0": "+", "1": "-"}
_TABLE_STRANDS = {**STRANDS, "1": "+", "-1": "-"}  # as biomaRt has them


@dataclass(frozen=True)
class Layout:
    """Numbers of columns, from 0; None for what a file does not have.

    blocks: the first of three columns, number, sizes and starts of the blocks of BED12. width: a column that has to be
    END - START. base: the number of a contig's first base. skipped: lines before the first row. header: names of columns.
    """

    kind: str = "BED"
    chrom: int = 0
    start: int = 1
    end: int = 2
    name: int | None = 3
    score: int | None = 4
    strand: int | None = 5
    signal: int | None = None
    summit: int | None = None  # offset from START, -1 for none; or a position, if absolute_summit
    colour: int | None = 8
    blocks: int | None = None
    width: int | None = None
    base: int = 0
    labels: bool = False  # names are kinds of elements
    absolute_summit: bool = False
    skipped: int = 0
    n_columns: int = 0
    header: tuple[str, ...] = ()
    strands: Mapping[str, str] = field(default_factory=lambda: STRANDS)
    notes: tuple[str, ...] = ()

    def column(self, at: int | None) -> str:
        """A column as a user counts it, with its name where it has one."""
        if at is None:
            return "none"
        return f"column {at + 1}" + (f", {self.header[at]}" if at < len(self.header) and self.header[at] else "")


class _Head(NamedTuple):
    """The begin of a file: its first rows, and what comes before them."""

    rows: list[list[str]]
    skipped: int
    header: list[str]  # names of columns; empty for none
    own_line: bool  # the header is no comment
    track: str  # type=... of a track line


def is_comment(line: str) -> bool:
    """A line that is no row: a comment, a track or browser line, or blank."""
    return bool(_COMMENT.match(line)) or not line.strip()


def layout_of(path: Path, columns: str | None = None) -> Layout:
    """The columns of a BED-like file; columns, what --columns says of it.

    Raises: MissingFileError; FileFormatError for a file of another kind; ConfigError for columns that it does not have.
    """
    head = _read_head(path)
    row = head.rows[0] if head.rows else []
    shift = 0
    if head.header:
        shift = int(len(row) == len(head.header) + 1)  # write.table of R: rows have names, and the header has none for them
        found = _by_header([""] * shift + head.header, head)
    else:
        found = _by_name_of_file(path, head) or _by_columns(head.rows)
    found = replace(found, skipped=head.skipped, n_columns=len(row), header=tuple([""] * shift + head.header))
    found = _with_ccres(found, head.rows)
    return found if columns is None else _asked(found, bed_columns.parse_columns(columns), str(path), len(row))


def _read_head(path: Path) -> _Head:
    rows: list[list[str]] = []
    before: list[str] = []
    header: list[str] = []
    own_line, track = False, ""
    lines = numbered_lines(path, KIND)
    for _, line in lines:
        if not is_comment(line):
            fields = line.split("\t")
            if not own_line and bed_columns.is_header(fields) and not _WHOLE.fullmatch(fields[1]):
                _refuse_quotes(path, len(before) + 1, fields)
                header, own_line = fields, True
                before.append(line)
                continue
            rows.append(fields)
            break
        before.append(line)
        if kind := _TRACK_TYPE.match(line):
            track = kind[1]
    if rows:
        _refuse_quotes(path, len(before) + 1, rows[0])
    first = chain(before[:1], ("\t".join(row) for row in rows))
    if (kind_of := text_kind(list(first))) and not header:
        raise FileFormatError(f"{path} is {kind_of.name}, and {KIND} is due; {kind_of.remedy}.")
    if not header:
        header = _named_in_a_comment(before, rows[0] if rows else [])
    for _, line in lines if rows else ():
        if not is_comment(line):
            rows.append(line.split("\t"))
        if len(rows) >= _SAMPLE:
            break
    return _Head(rows, len(before), header, own_line, track)


def _named_in_a_comment(before: list[str], row: list[str]) -> list[str]:
    """The names of columns that the last comment holds, if it has as many as a row; else none."""
    last = next((line for line in reversed(before) if line.startswith("#")), "")
    fields = last.split("\t")
    return fields if bed_columns.is_header(fields) and len(fields) == len(row) else []


def _refuse_quotes(path: Path, number: int, fields: list[str]) -> None:
    for text in fields[:3]:
        if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
            raise FileFormatError(
                f"{path}, line {number}: fields are in quotes ({text[:24]}), which BED does not have; write the table without "
                "them (in R write.table(..., quote=FALSE, sep=\"\\t\"))."
            )


# --- by the header


def _by_header(names: list[str], head: _Head) -> Layout:
    roles = bed_columns.roles_of(names)
    plain = bed_columns.plain_names(names)
    at = {key: roles.get(key) for key in ("name", "score", "strand", "signal", "summit", "colour")}
    if (roles["chrom"], roles["start"], roles["end"]) == (0, 1, 2):  # as BED, which says what columns of other names are
        taken = set(roles.values())
        places: tuple[tuple[str, int, Callable[[str], bool]], ...] = (
            ("name", 3, lambda _: True), ("score", 4, lambda _: True), ("strand", 5, STRANDS.__contains__),
        )  # fmt: skip
        for key, i, fits in places:
            if at[key] is None and i < len(names) and i not in taken and _all(head.rows, i, fits):
                at[key] = i
    found = Layout(
        "a table with a header", roles["chrom"], roles["start"], roles["end"], at["name"], at["score"], at["strand"],
        at["signal"], at["summit"], at["colour"], absolute_summit=at["summit"] is not None, strands=_TABLE_STRANDS,
        labels=at["name"] is not None and bed_columns.are_labels(names[at["name"]]),
    )  # fmt: skip
    width = roles.get("width")
    of_width = _base_by_width(head.rows, found, width)
    homer = "peakid" in plain and roles["chrom"] == 1
    macs = width is not None and bool({"abs_summit", "fold_enrichment", "pileup", "tags"} & set(plain))
    if homer:
        found = replace(found, kind="a table of HOMER", base=1, strands=_HOMER_STRANDS)
    elif macs and of_width != 0:
        found = replace(found, kind="a table of MACS", base=1, width=width)
    elif of_width is not None:
        found = replace(found, base=of_width, width=width)
    return replace(found, notes=_notes(names, found, head.own_line))


def _base_by_width(rows: list[list[str]], layout: Layout, width: int | None) -> int | None:
    """The base that positions count from, if a column of widths proves it."""
    if width is None or not rows:
        return None
    differences = set()
    for row in rows:
        texts = [row[i] if i < len(row) else "" for i in (layout.start, layout.end, width)]
        if not all(map(_WHOLE.fullmatch, texts)):
            return None
        start, end, n = map(int, texts)
        differences.add(n - (end - start))
    return differences.pop() if differences in ({0}, {1}) else None


def _notes(names: list[str], layout: Layout, own_line: bool) -> tuple[str, ...]:
    if layout.base and layout.width is not None:
        of = names[layout.width].strip().lstrip("#")
        return (f"{layout.kind}; it counts from 1, as its column {of} (END - START + 1) shows, and is read so.",)
    if layout.base:
        return (f"{layout.kind}, which counts from 1, and is read so.",)
    if "seqnames" in bed_columns.plain_names(names) and layout.width is None:
        return (
            "a table with a header; it is read as BED, which counts from 0; a GRanges of R counts from 1 "
            "(--columns base=1 if this one does).",
        )
    return (f"{layout.kind}; it is read as BED, which counts from 0.",) if own_line else ()


# --- without a header


def _by_name_of_file(path: Path, head: _Head) -> Layout | None:
    """What the suffixes or the track line say."""
    suffixes = [suffix[1:].lower() for suffix in path.suffixes]
    named = {*suffixes, head.track.lower()}
    if "narrowpeak" in named:
        return Layout("narrowPeak", signal=6, summit=9, colour=None)
    if "broadpeak" in named:
        return Layout("broadPeak", signal=6, colour=None)
    if "gappedpeak" in named:
        return Layout("gappedPeak", signal=12, blocks=9, colour=None)
    if "bed12" in named:
        return Layout("BED12", blocks=9)
    if named & {"bedgraph", "bdg"}:
        return Layout("bedGraph", name=None, score=3, strand=None, colour=None)
    return None


def _by_columns(rows: list[list[str]]) -> Layout:
    """What the first rows hold."""
    if not rows:
        return Layout()
    row = rows[0]
    n = len(row)
    if n == NARROW and all(map(is_number, row[6:])) and row[5] in STRANDS:
        return Layout("narrowPeak", signal=6, summit=9, colour=None)
    if n == 9 and all(map(is_number, row[6:])) and any("." in text for text in row[6:]):
        return Layout("broadPeak", signal=6, colour=None)
    if n >= 12 and all(map(_has_blocks, rows)):
        gapped = n == 15 and all(map(is_number, row[12:]))
        return Layout("gappedPeak", signal=12, blocks=9, colour=None) if gapped else Layout("BED12", blocks=9)
    if n == 6 and _all(rows, 5, _REGION.fullmatch):
        return Layout("SEACR's table", name=None, score=None, strand=None, signal=3, colour=None)
    if n >= 5 and not _WHOLE.fullmatch(row[1]) and all(map(_WHOLE.fullmatch, row[2:4])):
        if row[4] in _HOMER_STRANDS:
            layout = Layout("a peak file of HOMER", 1, 2, 3, 0, None, 4, colour=None, base=1, strands=_HOMER_STRANDS)
            return replace(layout, notes=("a peak file of HOMER, which counts from 1, and is read so.",))
        if _WHOLE.fullmatch(row[0]):
            return Layout("a table of UCSC with bins", 1, 2, 3, 4, 5, 6, colour=9)
    return Layout()


def _has_blocks(row: list[str]) -> bool:
    return len(row) >= 12 and bool(_WHOLE.fullmatch(row[9])) and all(map(_LIST.fullmatch, row[10:12]))


def _with_ccres(layout: Layout, rows: list[list[str]]) -> Layout:
    """ENCODE's cCREs, of any version of the registry: the class is the label, in the column where there is one."""
    if not rows:
        return layout
    n = min(map(len, rows))
    accessions = [i for i in range(3, min(n, 5)) if _all(rows, i, _CCRE.fullmatch)]
    if layout.header and not accessions:
        accessions = [i for i in range(n) if _all(rows, i, _CCRE.fullmatch)]
    classes = [i for i in range(max(accessions) + 1, n) if _all(rows, i, _CCRE_CLASS.fullmatch)] if accessions else []
    if not classes:
        return layout
    found = replace(layout, kind="ENCODE cCREs", name=classes[0], labels=True)
    if not layout.header and classes[0] < 9:  # chrom, start, end, rDHS, cCRE, class
        return replace(found, score=None, strand=None, colour=None)
    return found


def _all(rows: Sequence[Sequence[str]], at: int, fits: Callable[[str], object]) -> bool:
    """All of these rows have something that fits in a column."""
    return all(at < len(row) and fits(row[at]) for row in rows)


def is_number(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text))


# --- as it was asked for


def _asked(layout: Layout, asked: bed_columns.Asked, where: str, n_columns: int) -> Layout:
    """A layout as --columns has it; what it does not name stays."""
    found: dict[str, int | None] = {}
    for role, text in asked.columns.items():
        at = None if text == bed_columns.NONE else bed_columns.column_number(text, layout.header, where)
        if at is not None and n_columns and at >= n_columns:
            raise FileFormatError(f"{where}: --columns {role}={text}, but a row has {n_columns} columns; name another.")
        found[role] = at
    moved = {found[role] for role in ("chrom", "start", "end") if role in found}
    for role in ("name", "score", "strand", "signal", "summit", "colour"):  # a column is one thing
        if role not in found and getattr(layout, role) in moved | {found.get("name")} - {None}:
            found[role] = None
    if found.get("summit") is not None:
        found["absolute_summit"] = False
    base = layout.base if asked.base is None else asked.base
    width = None if asked.base is not None or moved else layout.width
    notes = () if asked.base is not None else layout.notes
    return replace(layout, **found, base=base, width=width, notes=notes)  # type: ignore[arg-type]
