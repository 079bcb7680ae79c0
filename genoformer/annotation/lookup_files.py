"""NAME=FILE[:FIELDS] -> which kind of look-up a file is, its columns, and its fields with their types."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from genoformer.addresses import readable_address, refuse_address, without_fields
from genoformer.annotation.lookup_fields import (
    MISSING,
    PLACE,
    PRESENCE,
    NumberChecks,
    SourceField,
    Type,
    is_number,
    vcf_fields,
)
from genoformer.annotation.source_stream import VCF_LAYOUT, LineLayout
from genoformer.errors import ConfigError, FileFormatError, MissingFileError, OptionError
from genoformer.formats.bed import named_file
from genoformer.formats.bed_columns import (
    ALLELE_ROLES,
    Asked,
    column_number,
    is_header,
    names_of_role,
    parse_columns,
    plain_names,
)
from genoformer.formats.text import numbered_lines
from genoformer.formats.vcf import open_vcf
from genoformer.genome.digits import is_count

_VCF = re.compile(r"\.(vcf|bcf)(\.b?gz)?$", re.IGNORECASE)
_BIGWIG = re.compile(r"\.(bw|bigwig)$", re.IGNORECASE)
_BIGWIG_BYTES = (b"\x26\xfc\x8f\x88", b"\x88\x8f\xfc\x26")
_HEAD = 1 << 16  # bytes that show what a file is
_N_SAMPLE = 1_000  # rows by which the type of a column is decided
_KIND = "a table of alleles or positions"


@dataclass(frozen=True)
class LookupFile:
    """Description of a file that is looked up.

    kind: "vcf", "table" or "bigwig". layout: columns of its lines; None for a bigWig. n_header: lines at the top of a table
    that are no data and do not begin with #. contigs: those that its header declares, in order.
    """

    name: str
    path: Path
    kind: str
    fields: tuple[SourceField, ...]
    layout: LineLayout | None = None
    n_header: int = 0
    contigs: tuple[str, ...] = ()
    is_bcf: bool = False
    checks: NumberChecks | None = None


def split_fields(file: str | os.PathLike[str]) -> tuple[str, Path, tuple[str, ...]]:
    """Split NAME=FILE[:FIELD,...] into name, path and fields; without fields ().

    A colon belongs to the name of the file if there is such a file, and otherwise if there is none before it either.
    """
    name, path = named_file(file)
    before, colon, after = str(path).rpartition(":")
    is_file = Path(before).is_file() or _VCF.search(before) is not None or without_fields(path) == before
    if not colon or not after or path.exists() or not is_file:
        return name, path, ()
    if "=" not in os.fspath(file):
        name, _ = named_file(before)
    return name, Path(before), tuple(field.strip() for field in after.split(",") if field.strip())


def is_lookup(path: Path, fields: Sequence[str] = (), columns: str | None = None) -> bool:
    """True if a file is looked up by allele or position: a VCF, BCF, bigWig, or a table with positions and no intervals."""
    if fields or _VCF.search(path.name) or _BIGWIG.search(path.name):
        return True
    if not path.is_file():
        return False
    if columns is not None and "pos" in parse_columns(columns).columns:
        return True
    head = _head(path)
    if head.startswith((b"##fileformat=VCF", b"BCF\x02", *_BIGWIG_BYTES)):
        return True
    return any(_has_positions(line.split("\t")) for line in head.decode("utf-8", "replace").split("\n")[:200])


def _has_positions(names: Sequence[str]) -> bool:
    """True if the names of columns are those of a table of alleles or positions, and not of a table of regions."""
    plain = plain_names(names)
    return not is_header(names) and all(any(name in plain for name in names_of_role(role)) for role in ("chrom", "pos"))


def _head(path: Path) -> bytes:
    """Return the first bytes of a file, decompressed; nothing if it cannot be read."""
    try:
        with path.open("rb") as file:
            first = file.read(_HEAD)
        if first[:2] == b"\x1f\x8b":
            with gzip.open(path) as packed:
                return packed.read(_HEAD)
    except (OSError, EOFError, zlib.error):
        return b""
    return first


def describe_file(name: str, path: Path, fields: Sequence[str], columns: str | None) -> LookupFile:
    """Read the header of a file and return its description.

    Raises: MissingFileError; FileFormatError; ConfigError for fields or columns that it does not have.
    """
    refuse_address(path, readable=_BIGWIG.search(path.name) is not None)
    if readable_address(path) is not None:
        return _describe_bigwig(name, path, fields)
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist or is no file; give a VCF, BCF, bigWig or table.")
    head = _head(path)
    if head.startswith(_BIGWIG_BYTES) or (_BIGWIG.search(path.name) and not head.startswith(b"#")):
        return _describe_bigwig(name, path, fields)
    if head.startswith((b"##fileformat=VCF", b"BCF\x02")) or _VCF.search(path.name):
        return _describe_vcf(name, path, fields)
    return _describe_table(name, path, fields, columns)


def _describe_bigwig(name: str, path: Path, fields: Sequence[str]) -> LookupFile:
    if fields:
        raise ConfigError(f"{path} is a bigWig, which has one value per base and no fields; leave out :{','.join(fields)}.")
    meaning = "value at the changed bases (mean over those with a value; of an insertion, over the base before and behind it)"

    return LookupFile(name, path, "bigwig", (replace(PRESENCE, type="Float", meaning=meaning),))


def _describe_vcf(name: str, path: Path, names: Sequence[str]) -> LookupFile:
    with open_vcf(path) as file:
        header, is_bcf = file.header, file.format == "bcf"
    contigs = tuple(match[1] for line in header if (match := re.match(r"##contig=<(?:.*,)?ID=([^,>]+)", line)))
    if not names:
        return LookupFile(name, path, "vcf", (PLACE,), VCF_LAYOUT, contigs=contigs, is_bcf=is_bcf)
    try:
        fields = tuple(vcf_fields(header, names))
    except KeyError as error:
        has = [match[1] for line in header if (match := re.match(r"##INFO=<ID=([^,>]+)", line))]
        raise ConfigError(
            f"{path} has no INFO key {error.args[0]!r}; name some of {', '.join(has) or 'none'}, ID, QUAL or FILTER."
        ) from None
    if not fields:
        raise ConfigError(f"{path} declares no INFO keys; name ID, QUAL or FILTER, or leave out the fields.")
    return LookupFile(name, path, "vcf", fields, VCF_LAYOUT, contigs=contigs, is_bcf=is_bcf)


# --- tables


def _describe_table(name: str, path: Path, names: Sequence[str], columns: str | None) -> LookupFile:
    asked = parse_columns(columns) if columns is not None else Asked()
    header, rows, n_header = _read_table_head(path)
    _require_tabs(path, rows)
    roles = _table_roles(path, header, rows, asked)
    where = str(path)
    if names and names != ("*",):
        numbers = [column_number(field, header, where, f"a field of {name}={path.name}") for field in names]
    else:
        numbers = [i for i in range(len(rows[0]) if rows else len(header)) if i not in roles.values()]
    if wide := [i for i in (*roles.values(), *numbers) if rows and i >= len(rows[0])]:
        raise FileFormatError(f"{path} has {len(rows[0])} columns, and column {wide[0] + 1} is needed; give another.")
    has_alleles = "ref" in roles
    checks = NumberChecks()
    if not numbers and not has_alleles:
        raise ConfigError(f"{path} has no columns but contig and position, expected values; name a file that has some.")
    fields = [
        checks.column(_column_name(header, i), i, _type(rows, i), f"Column {_column_name(header, i)}") for i in numbers
    ] or [PRESENCE]
    layout = LineLayout(
        roles["chrom"],
        roles["pos"],
        roles.get("ref"),
        roles.get("alt"),
        1 if asked.base is None else asked.base,
        max(*roles.values(), *numbers, 0) + 1,
    )
    return LookupFile(name, path, "table", tuple(fields), layout, n_header, checks=checks)


def _column_name(header: Sequence[str], i: int) -> str:
    return header[i].lstrip("#").strip() if i < len(header) and header[i].strip("# ") else f"column{i + 1}"


def _read_table_head(path: Path) -> tuple[list[str], list[list[str]], int]:
    """Return the names of the columns, the first rows, and the number of lines above them that do not begin with #."""
    comment: list[str] = []
    rows: list[list[str]] = []
    header: list[str] = []
    n_header = 0
    for _, line in islice(numbered_lines(path, _KIND), 100 * _N_SAMPLE):
        if line.startswith("#") and not rows:
            comment = line.split("\t")
        elif line:
            fields = line.split("\t")
            if not rows and not header and _is_names(fields):
                header, n_header = fields, 1
                continue
            rows.append(fields)
            if len(rows) == _N_SAMPLE:
                break
    if not header and rows and len(comment) == len(rows[0]):
        header = comment
    return header, rows, n_header


def _require_tabs(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """Raise FileFormatError if the rows of a table are separated by another sign than tabs."""
    signs = {",": "commas", ";": "semicolons", " ": "spaces"}
    if rows and all(len(row) == 1 for row in rows) and (found := next((of for of in signs if of in rows[0][0]), None)):
        raise FileFormatError(f"{path} has columns separated by {signs[found]}, expected tabs in a look-up table; write it so.")


def _is_names(fields: Sequence[str]) -> bool:
    """True if a row holds names of columns: it names a position, and holds no number."""
    plain = plain_names(fields)
    return any(name in plain for name in names_of_role("pos")) and not any(map(is_count, fields))


def _table_roles(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], asked: Asked) -> dict[str, int]:
    plain = plain_names(header)
    roles: dict[str, int] = {}
    for role in ("chrom", *ALLELE_ROLES):
        if role in asked.columns:
            roles[role] = column_number(asked.columns[role], header, str(path))
        elif (at := next((plain.index(name) for name in names_of_role(role) if name in plain), None)) is not None:
            roles[role] = at
    if "chrom" not in roles or "pos" not in roles or ("ref" in roles) != ("alt" in roles):
        found = f"its columns are {', '.join(header)}" if header else "no line of it names the columns"
        problem = f"is needed for {path}, a table of alleles or positions, because {found}"
        raise OptionError("columns", f"{problem}; give NAME:chrom=1,pos=2,ref=3,alt=4 with the numbers of its columns.")
    return roles


def _type(rows: Sequence[Sequence[str]], column: int) -> Type:
    """Return Float if the first values of a column are numbers, else String."""
    values = [row[column].strip() for row in rows if column < len(row)]
    known = [value for value in values if value not in MISSING]
    return "Float" if known and all(map(is_number, known)) else "String"
