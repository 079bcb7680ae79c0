"""BED-like file -> roles of its columns, decided from its name, its header and its first rows, for every reader.

The sources, in order: --columns; column names, if a line has them; the suffix or the track line (narrowPeak ...); the
number of columns in the first rows, and their contents. Positions count from 0 unless the file proves that they count from
1: its width is END - START + 1, or it is a table of HOMER, MACS or Ensembl's BioMart.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from genoformer.errors import FileFormatError, OptionError
from genoformer.formats import bed_columns
from genoformer.formats.bed_layout import (
    HOMER_STRANDS,
    KIND,
    STRANDS,
    TABLE_STRANDS,
    Layout,
    all_fit,
    is_comment,
    is_number,
    most,
)
from genoformer.formats.bed_shapes import by_name, by_rows, with_ccres
from genoformer.formats.bedpe import are_pairs
from genoformer.formats.file_kinds import BEDPE, Kind, is_interval_list, text_kind
from genoformer.formats.text import numbered_lines
from genoformer.genome.digits import WHOLE

_TABLE = "a table with a header"
_NAME_OF_BED = 3  # column of the name in BED order
_SAMPLE = 100  # number of rows that are examined
_TRACK_TYPE = re.compile(r"track\b.*\btype=[\"']?(\w+)")
_FROM_1 = ("start_position", "gene start", "transcript_start", "transcript start", "exon_chrom_start", "exon region start")
_FROM_0 = ("chromstart", "txstart", "genostart")  # UCSC's names, which count from 0
_SAF = "a SAF of featureCounts"
_OTHERS_FROM_1 = (  # kind, name of the first column, names of the others
    (_SAF, "geneid", {"chr", "start", "end", "strand"}),
    ("a table of SeqMonk", "probe", {"chromosome", "start", "end"}),
)
_MACS = {"abs_summit", "fold_enrichment", "pileup", "tags"}


class _Head(NamedTuple):
    """Start of a file: its first rows, and the lines before them."""

    rows: list[list[str]]
    skipped: int
    header: list[str]  # names of columns; empty if there are none
    own_line: bool  # the header is not a comment
    track: str  # type=... of a track line


def layout_of(path: Path, columns: str | None = None) -> Layout:
    """Return the columns of a BED-like file; columns: settings of --columns for it.

    Raises: MissingFileError; FileFormatError for a file of another kind; ConfigError for columns that it does not have.
    """
    head = _read_head(path)
    row = head.rows[0] if head.rows else []
    shift = 0
    if head.header:
        shift = int(len(row) == len(head.header) + 1)  # R's write.table: rows have names, but their column has no header
        layout = _by_header([""] * shift + head.header, head, by_name(path, head.track, len(row)))
    else:
        layout = by_rows(path, head.track, head.rows)
    layout = replace(layout, skipped=head.skipped, n_columns=len(row), header=tuple([""] * shift + head.header))
    layout = with_ccres(layout, head.rows)
    asked = bed_columns.Asked() if columns is None else bed_columns.parse_columns(columns)
    if columns is not None:
        layout = _asked(layout, asked, str(path), len(row))
    return replace(layout, notes=(*layout.notes, *_notes_on_columns(layout, asked)))


def _read_head(path: Path) -> _Head:
    rows: list[list[str]] = []
    before: list[str] = []
    header: list[str] = []
    own_line, track = False, ""
    lines = numbered_lines(path, KIND)
    for _, line in lines:
        if not is_comment(line):
            fields = line.split("\t")
            if not own_line and bed_columns.is_header(fields) and not WHOLE.fullmatch(fields[1]):
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
    if is_interval_list(path, rows, lines):
        raise FileFormatError(
            f"{path} is a Picard interval_list, which counts from 1, but should be {KIND}; make a BED of it first "
            "(gatk IntervalListToBed)."
        )
    first = chain(before, ("\t".join(row) for row in rows))
    if (kind_of := text_kind(list(first))) and not own_line:
        raise _of_another_kind(path, kind_of)
    if not header:
        header = _named_in_a_comment(before, rows[0] if rows else [])
    for _, line in lines if rows else ():
        if not is_comment(line):
            rows.append(line.split("\t"))
        if len(rows) >= _SAMPLE:
            break
    if not own_line and are_pairs(rows):
        raise _of_another_kind(path, BEDPE)
    return _Head(rows, len(before), header, own_line, track)


def _of_another_kind(path: Path, kind: Kind) -> FileFormatError:
    return FileFormatError(f"{path} is {kind.name}, but should be {KIND}; {kind.remedy}.")


def _named_in_a_comment(before: list[str], row: list[str]) -> list[str]:
    """Return the column names in the last comment, if their number equals that of a row; otherwise an empty list."""
    last = next((line for line in reversed(before) if line.startswith("#")), "")
    fields = last.split("\t")
    return fields if bed_columns.is_header(fields) and len(fields) == len(row) else []


def _refuse_quotes(path: Path, number: int, fields: list[str]) -> None:
    for text in fields[:3]:
        if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
            raise FileFormatError(
                f"{path}, line {number}: fields are in quotes ({text[:24]}), which BED does not have; write the table without "
                'them (in R write.table(..., quote=FALSE, sep="\\t")).'
            )


# --- by the header


def _by_header(names: list[str], head: _Head, by_suffix: Layout | None) -> Layout:
    roles = bed_columns.header_roles(names)
    plain = bed_columns.plain_names(names)
    at = {key: roles.get(key) for key in ("name", "score", "strand", "signal", "summit", "colour")}
    blocks = bed_columns.blocks_in(names)
    used = {*roles.values(), *(blocks or ())}
    absolute = at["summit"] is not None
    if at["summit"] is None and at["signal"] is not None and "peak" in plain:  # an offset as in narrowPeak, not a name
        offset = plain.index("peak")
        at["summit"] = offset if most(head.rows, lambda row: all_fit([row], offset, WHOLE.fullmatch)) else None
    first = roles["chrom"]
    if (roles["start"], roles["end"]) == (first + 1, first + 2):  # in BED order, which defines columns with other names
        places: tuple[tuple[str, int, Callable[[str], bool]], ...] = (
            ("name", _NAME_OF_BED, lambda _: True),
            ("strand", 5, STRANDS.__contains__),
        )
        for key, i, fits in places if first == 0 else ():
            numeric = key == "name" and i < len(names) and _holds_numbers(names[i], head.rows, i)
            if at[key] is None and i < len(names) and i not in used and all_fit(head.rows, i, fits) and not numeric:
                at[key] = i
        if by_suffix is not None:
            of_suffix = by_suffix.shifted(first)
            for key in ("signal", "summit", *(("score",) if by_suffix.kind == "bedGraph" else ())):
                i = getattr(of_suffix, key)
                if at[key] is None and i is not None and i < len(names) and i not in used:
                    at[key] = i
            if blocks is None and of_suffix.blocks is not None and not used & {*of_suffix.blocks}:
                blocks = of_suffix.blocks
    layout = Layout(
        _TABLE,
        roles["chrom"],
        roles["start"],
        roles["end"],
        at["name"],
        at["score"],
        at["strand"],
        at["signal"],
        at["summit"],
        at["colour"],
        blocks,
        absolute_summit=absolute,
        strands=TABLE_STRANDS,
        labels=at["name"] is not None and bed_columns.are_labels(names[at["name"]]),
    )
    width = roles.get("width")
    of_width = _base_by_width(head.rows, layout, width)
    homer = "peakid" in plain and roles["chrom"] == 1
    macs = width is not None and bool(_MACS & set(plain))
    if homer:
        layout = replace(layout, kind="a table of HOMER", base=1, strands=HOMER_STRANDS)
    elif macs and of_width != 0:
        layout = replace(layout, kind="a table of MACS", base=1, width=width)
        if layout.summit is None and {"summit", "tags"} <= set(plain):  # MACS 1.4: the number of a base of the peak, from 1
            layout = replace(layout, summit=plain.index("summit"), summit_base=1)
    elif of_width != 0 and (kind := _other_from_1(plain)):
        layout = replace(layout, kind=kind, base=1, name=0, width=width if of_width else None, exons=kind == _SAF)
    elif of_width is not None:
        layout = replace(layout, base=of_width, width=width)
    elif plain[layout.start] in _FROM_1:  # names of Ensembl's BioMart and of MAF
        of_ensembl = plain[layout.chrom] in ("chromosome_name", "chromosome/scaffold name")
        layout = replace(layout, kind="a table of Ensembl's BioMart" if of_ensembl else layout.kind, base=1)
    notes = _notes(names, layout, head.own_line)
    if layout.exons and any(len(row) > layout.start and ";" in row[layout.start] for row in head.rows):
        notes += ("a row with several exons of a gene is read as one interval for each exon.",)
    return replace(layout, notes=notes)


def _holds_numbers(name: str, rows: list[list[str]], at: int) -> bool:
    """True if a column holds numbers that are no names of rows: a measurement by its name, or some number is not whole."""
    texts = [row[at] for row in rows if at < len(row) and row[at] not in ("", ".")]
    if not all(map(is_number, texts)):
        return False
    return bed_columns.is_measure(name) or any(not WHOLE.fullmatch(text) and text != "NA" for text in texts)


def _notes_on_columns(layout: Layout, asked: bed_columns.Asked) -> list[str]:
    """Return notes on a name that only its place in BED order shows, and on summits that are not read."""
    if not layout.header:
        return []
    notes = []
    by_order = "name" not in bed_columns.header_roles(layout.header) and layout.name == _NAME_OF_BED
    if by_order and "name" not in asked.columns and layout.kind == _TABLE:
        notes.append(f"{layout.column(layout.name)}, is read as the name of a row (--columns name=none if it is not).")
    summit = next((i for i, name in enumerate(bed_columns.plain_names(layout.header)) if "summit" in name), None)
    if summit is not None and layout.summit is None and "summit" not in asked.columns:
        notes.append(
            f"{layout.column(summit)}, is not read, because it may be an offset from START or a position "
            f"(--columns summit={summit + 1} if it is an offset from START, with -1 for none)."
        )
    return notes


def _other_from_1(plain: list[str]) -> str | None:
    """Return the kind of a table that counts from 1 and has its name in the first column; None for any other."""
    kinds = (kind for kind, first, others in _OTHERS_FROM_1 if plain[0] == first and others <= set(plain))
    return next(kinds, None)


def _base_by_width(rows: list[list[str]], layout: Layout, width: int | None) -> int | None:
    """Return the base that positions count from, if a width column proves it: 1 if half of the rows agree, 0 if all do.

    A row with another base is refused when it is read.
    """
    if width is None or not rows:
        return None
    differences: Counter[int] = Counter()
    for row in rows:
        texts = [row[i] if i < len(row) else "" for i in (layout.start, layout.end, width)]
        start, end, n = map(int, texts) if all(map(WHOLE.fullmatch, texts)) else (0, 0, -1)
        differences[n - (end - start)] += 1
    if 2 * differences[1] >= len(rows):
        return 1
    return 0 if differences[0] == len(rows) else None


def _notes(names: list[str], layout: Layout, own_line: bool) -> tuple[str, ...]:
    if layout.base and layout.width is not None:
        of = names[layout.width].strip().lstrip("#")
        return (f"{layout.kind}; it counts from 1, as its column {of} (END - START + 1) shows, and is read accordingly.",)
    if layout.base:
        return (f"{layout.kind}, which counts from 1, and is read accordingly.",)
    if "seqnames" in bed_columns.plain_names(names) and layout.width is None:
        return (
            "a table with a header; it is read as BED, which counts from 0; a GRanges of R counts from 1 "
            "(--columns base=1 if this one does).",
        )
    if not own_line:
        return ()
    remedy = "" if bed_columns.plain_names(names)[layout.start] in _FROM_0 else " (--columns base=1 if this one counts from 1)"
    return (f"{layout.kind}; it is read as BED, which counts from 0{remedy}.",)


# --- by --columns


def _asked(layout: Layout, requested: bed_columns.Asked, where: str, n_columns: int) -> Layout:
    """Apply --columns to a layout; columns that it does not name stay unchanged."""
    changes: dict[str, Any] = {}
    for role, text in requested.columns.items():
        if role in bed_columns.ALLELE_ROLES:
            raise OptionError("columns", f"{role}={text}: {where} holds regions, which have no {role}; leave it out.")
        at = None if text == bed_columns.NONE else bed_columns.column_number(text, layout.header, where)
        last = at if at is None or role != "blocks" else at + 2
        if last is not None and n_columns and last >= n_columns:
            behind = ", and two more behind it," if role == "blocks" else ","
            raise FileFormatError(f"{where}: columns {role}={text}{behind} but a row has {n_columns} columns; name another.")
        changes[role] = (at, at + 1, at + 2) if role == "blocks" and at is not None else at
    moved = {changes[role] for role in ("chrom", "start", "end") if role in changes}
    used = {at for role, at in changes.items() if role != "blocks"} - {None}
    for role in ("name", "score", "strand", "signal", "summit", "colour"):  # a column has one role
        if role not in changes and getattr(layout, role) in used:
            changes[role] = None
    if changes.get("name", layout.name) != layout.name:
        at = changes["name"]
        changes["labels"] = at is not None and at < len(layout.header) and bed_columns.are_labels(layout.header[at])
    if changes.get("summit") is not None:
        changes |= {"absolute_summit": False, "summit_base": 0}
    base = layout.base if requested.base is None else requested.base
    width = None if requested.base is not None or moved else layout.width
    notes = () if requested.base is not None else layout.notes
    return replace(layout, **changes, base=base, width=width, notes=notes)
