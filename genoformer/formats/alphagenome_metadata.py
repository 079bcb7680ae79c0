"""Metadata of AlphaGenome's tracks (OutputMetadataResponse_*.textproto of google-deepmind/alphagenome_research) -> tables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from genoformer.errors import FileFormatError
from genoformer.files import sha256_of
from genoformer.formats.text import numbered_lines
from genoformer.formats.track_table import Track, TrackTable

SUFFIX = ".textproto"
_KIND = "metadata of AlphaGenome's tracks (text format of protocol buffers)"
_FIELD = re.compile(r'([a-z_]+): (?:"((?:[^"\\]|\\.)*)"|(\S+))')
_OPEN = re.compile(r"([a-z_]+):? \{")
_SIGNS = {"STRAND_POSITIVE": "+", "STRAND_NEGATIVE": "-"}
_PADDING = "padding"
_OUTPUTS = {  # names of outputs in the file -> those of a configuration, if it is not the same in small letters
    "splice_sites": "splice_sites_classification",
    "splice_site_usage": "splice_sites_usage",
    "splice_junctions": "splice_sites_junction",
}


def is_metadata(path: str | os.PathLike[str]) -> bool:
    """True if a file is metadata of AlphaGenome by its name."""
    return os.fspath(path).endswith(SUFFIX)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, TrackTable]:
    """Return the table of the tracks of each output of an organism; rows of padding are left out.

    An identifier is the name and the strand, such as "CL:0000047 polyA plus RNA-seq+"; a description is the assay and the
    biosample. The n-th track of the + strand and the n-th one of the - strand are a pair (metadata.py of that repository).

    Raises: MissingFileError; FileFormatError with the line.
    """
    path = Path(path)
    rows: dict[str, list[dict[str, str]]] = {}
    output = ""
    for number, place, name, value in _fields(path):
        if place == "output_metadata" and name == "output_type":
            output = value.removeprefix("OUTPUT_TYPE_").lower()
            output = _OUTPUTS.get(output, output)
            rows[output] = []
        elif place.endswith("metadata") and name == "name":
            if output not in rows:
                raise FileFormatError(f"{path}, line {number}: a track before any output_type; give {_KIND}.")
            if not value:
                raise FileFormatError(f"{path}, line {number}: the name of a track is empty; name it.")
            rows[output].append({"name": value})
        elif rows.get(output) and place.split("/", 2)[-1] in ("metadata", "metadata/biosample"):
            rows[output][-1].setdefault("biosample" if place.endswith("biosample") and name == "name" else name, value)
    real = {output: [row for row in of if row["name"].lower() != _PADDING] for output, of in rows.items()}
    sha256 = sha256_of(path)
    tables = {output: TrackTable(_tracks(of), sha256) for output, of in real.items() if of}
    if not tables:
        raise FileFormatError(f"{path} has no tracks; give {_KIND}.")
    return tables


def _fields(path: Path) -> Iterator[tuple[int, str, str, str]]:
    """Yield the line, the messages around a field joined by "/", its name and its value."""
    place: list[str] = []
    for number, line in numbered_lines(path, _KIND):
        text = line.strip()
        if opening := _OPEN.fullmatch(text):
            place.append(opening[1])
        elif text == "}" and place:
            place.pop()
        elif field := _FIELD.fullmatch(text):
            value = field[3] or " ".join(field[2].replace('\\"', '"').split())  # tables are separated by tabs
            yield number, "/".join(place), field[1], value
        elif text and not text.startswith("#"):
            raise FileFormatError(f"{path}, line {number}: found {text[:60]!r}, expected a field; give {_KIND}.")
    if place:
        raise FileFormatError(f"{path} ends inside {place[-1]}; copy the file again.")


def _tracks(rows: list[dict[str, str]]) -> tuple[Track, ...]:
    signs = [_SIGNS.get(row.get("strand", ""), "") for row in rows]
    plus, minus = ([i for i, sign in enumerate(signs) if sign == of] for of in "+-")
    pairs = dict(zip(plus + minus, minus + plus, strict=True)) if len(plus) == len(minus) else {}
    return tuple(
        Track(
            i,
            row["name"] + sign,
            strand_pair=pairs.get(i, i),
            description=_description(row),
            group=row.get("assay", ""),
            strand=sign or ".",
        )
        for i, (row, sign) in enumerate(zip(rows, signs, strict=True))
    )


def _description(row: Mapping[str, str]) -> str:
    target = row.get("transcription_factor_code") or row.get("histone_mark_code") or ""
    assay = " ".join(part for part in (row.get("assay", ""), target) if part)
    return ":".join(part for part in (assay, row.get("biosample") or row.get("gtex_tissue", "")) if part)
