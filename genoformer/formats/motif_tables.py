"""Tables of numbers, with or without > lines (JASPAR, HOMER, HOCOMOCO, Cluster-Buster, CIS-BP, UniPROBE) -> matrices.

Rows are bases or positions. The format (letters, brackets, header) or the shape of the table decides, never the sums.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from genoformer.errors import FileFormatError
from genoformer.formats.motif_matrix import (
    AMINO_ACIDS,
    Matrix,
    Position,
    is_number,
    matrix_from_positions,
    numbers,
    require_four,
)

_BASE_ROW = re.compile(r"([A-Za-z])(?:\s*[:|\[]\s*|\s+)([0-9.+\-\]\[|].*|)")  # A [ 8 12 ], A | 8 12, A: 8 12, A 8 12
_ACCESSION = re.compile(r"[A-Z]{2,3}[0-9]{3,4}\.[0-9]+\s+\S")  # accession and name in > lines of JASPAR: MA0001.1 AGL3
IUPAC = {
    "A": "A",
    "C": "C",
    "G": "G",
    "T": "T",
    "R": "AG",
    "Y": "CT",
    "S": "CG",
    "W": "AT",
    "K": "GT",
    "M": "AC",
    "B": "CGT",
    "D": "AGT",
    "H": "ACT",
    "V": "ACG",
    "N": "ACGT",
}
_LABELS = ("motif", "gene", "protein", "tf", "tf name")  # keys before a tab and a name, in files without >


class _Row(NamedTuple):
    line: int
    base: str  # base of the row; "" if the row has no letter
    bracket: bool
    values: list[float]


@dataclass
class _Table:
    """Rows of a motif, and what the format states about them."""

    name: str
    line: int
    header: str | None = None  # text after the >; None without a > line
    rows: list[_Row] = field(default_factory=list)
    columns: str = ""  # letters above the columns, in their order
    numbered: bool = False  # rows start with the position number
    positions: bool = False  # a Cluster-Buster comment was read: rows are positions

    @property
    def fields(self) -> list[str]:
        """Tab-separated fields of the > line."""
        return _fields(self.header or "")

    @property
    def accession(self) -> bool:
        """True if the > line starts with a JASPAR accession and a name, separated by a blank or tabs."""
        return _has_accession(self.header or "")

    @property
    def threshold(self) -> bool:
        """True if the third field is a number, as in HOMER's > line: consensus, name, threshold."""
        return _has_threshold(self.header or "")

    def layout_of_consensus(self) -> str:
        """Return the layout of a 4 x 4 table that fits the consensus before the first tab; "" if none or both fit."""
        consensus = self.fields[0].upper().replace("U", "T") if len(self.fields) > 1 else ""
        if len(consensus) != len(self.rows) or not set(consensus) <= set(IUPAC):
            return ""
        by_position = [row.values for row in self.rows]
        fits = {
            "positions": _fits(consensus, by_position),
            "bases": _fits(consensus, list(zip(*by_position, strict=True))),
        }
        if self.threshold:  # rows of HOMER are always positions
            return "positions" if fits["positions"] else ""
        return next((name for name in fits if fits[name]), "") if sum(fits.values()) == 1 else ""


def _fields(header: str) -> list[str]:
    return [of.strip() for of in header.split("\t")]


def _has_accession(header: str) -> bool:
    return _ACCESSION.match(header.strip()) is not None


def _has_threshold(header: str) -> bool:
    fields = _fields(header)
    return len(fields) > 2 and is_number(fields[2]) and not _has_accession(header)


def _fits(consensus: str, positions: Sequence[Sequence[float]]) -> bool:
    """True if each consensus letter includes a base with the largest number at its position."""
    return all(
        any(row["ACGT".index(base)] == max(row) for base in IUPAC[letter])
        for letter, row in zip(consensus, positions, strict=True)
    )


def table_matrices(lines: Sequence[str], path: Path) -> list[Matrix]:
    """Return the motifs of a file of tables; an empty list for a file without tables.

    Raises FileFormatError with the line for rows that are not numbers or do not form a table. Raises it also for a 4 x 4 table
    if neither the format nor the other motifs of the file decide whether rows are bases or positions.
    """
    tables = list(_tables(lines, path))
    layouts = [_layout(table, path) for table in tables]
    known = set(layouts) - {""}
    matrices = []
    for table, layout in zip(tables, layouts, strict=True):
        layout = layout or (known.copy().pop() if len(known) == 1 else "bases" if table.accession else "")
        if not layout:
            raise FileFormatError(
                f"{path}, line {table.line}: motif {table.name} is four by four numbers, and nothing says if rows are bases or "
                "positions; write A, C, G and T before the rows (JASPAR), a line A C G T above the columns, or a MEME file."
            )
        matrices.append(_by_bases(table, path) if layout == "bases" else _by_positions(table, path))
    return matrices


def _layout(table: _Table, path: Path) -> str:
    """Return "bases" or "positions" for the rows; "" for an ambiguous 4 x 4 table."""
    if any(row.base or row.bracket for row in table.rows):
        return "bases"
    if table.columns or table.positions or not table.rows:
        return "positions"
    sizes = {len(row.values) for row in table.rows}
    bases, positions = len(table.rows) == 4 and len(sizes) == 1, sizes == {4}
    if bases and positions:
        return table.layout_of_consensus()
    if table.threshold and not positions:
        return "positions"  # `_by_positions` refuses rows that are not positions
    if not bases and not positions:
        odd = next((row for row in table.rows if len(row.values) != len(table.rows[0].values)), table.rows[0])
        if sizes == {20}:
            require_four(20, table.name, path, odd.line)
        raise FileFormatError(
            f"{path}, line {odd.line}: motif {table.name} is not four numbers for every position: it has {len(table.rows)} "
            f"rows, and this one has {len(odd.values)} numbers."
        )
    return "bases" if bases else "positions"


def _by_bases(table: _Table, path: Path) -> Matrix:
    """Return the matrix of a table whose rows are A, C, G and T, by their letters or in this order."""
    first, last = table.rows[0].line, table.rows[-1].line
    named = [row.base for row in table.rows]
    bases = [base.upper().replace("U", "T") for base in named]
    if not any(named) and len(bases) == 4:
        bases = list("ACGT")
    if sorted(bases) != list("ACGT"):
        raise FileFormatError(
            f"{path}, line {first}: motif {table.name} has the rows {', '.join(of or '(no letter)' for of in named)}, and not "
            "one for each of A, C, G and T."
        )
    sizes = [len(row.values) for row in table.rows]
    if len(set(sizes)) > 1:
        odd = next(row for row in table.rows if len(row.values) != sizes[0])
        raise FileFormatError(
            f"{path}, line {odd.line}: this row of motif {table.name} has {len(odd.values)} numbers, the first one {sizes[0]}."
        )
    by_base = [table.rows[bases.index(base)].values for base in "ACGT"]
    where = f"lines {first} to {last}"
    positions = [Position(f"{where}, position {i}", of) for i, of in enumerate(zip(*by_base, strict=True), 1)]
    return matrix_from_positions(table.name, positions, path, table.line)


def _by_positions(table: _Table, path: Path) -> Matrix:
    """Return the matrix of a table whose rows are positions; columns are A, C, G and T, or the letters above them."""
    order = [(table.columns or "ACGT").index(base) for base in "ACGT"]
    positions = []
    for row in table.rows:
        values = row.values[1:] if table.numbered else row.values
        require_four(len(values), table.name, path, row.line)
        positions.append(Position(f"line {row.line}", [values[i] for i in order]))
    return matrix_from_positions(table.name, positions, path, table.line)


# --- lines -> tables


def _tables(lines: Sequence[str], path: Path) -> Iterator[_Table]:
    table: _Table | None = None
    name, n = "", 0  # name of the next table without a > line, and number of such tables
    for line, text in enumerate(lines, 1):
        text = text.strip()
        columns = _columns(text.lstrip("# "))
        if text.startswith(">"):
            if table is not None:
                yield table
            table = _Table(_name(text[1:]) or f"motif_{line}", line, text[1:])
            continue
        if not text or (text.startswith("#") and not columns):
            if not text and table is not None and table.header is None and table.rows:
                yield table
                table = None
            elif table is not None and re.match(r"#\s*(GAP|WEIGHT)\b", text):
                table.positions = True
            continue
        if not columns and _is_row_of_other_letter(text):
            raise _no_row(text, table.name if table is not None else name or path.name, path, line)
        row = None if columns else _row(text, path, line)
        if row is None and not columns:
            if table is not None and table.header is not None:
                raise _no_row(text, table.name, path, line)
            name = _title(text) if not name or text.lower().startswith("motif\t") else name
        if table is not None and table.header is None and table.rows and _begins(table, row):
            yield table
            table = None
        if table is None and (row or columns):
            n += 1
            table = _Table(name or (path.name.split(".")[0] + f"_{n}" * (n > 1)) or f"motif_{line}", line)
            name = ""
        if table is not None and columns:
            if table.rows:
                raise _no_row(text, table.name, path, line)
            table.columns, table.numbered = columns
        elif table is not None and row is not None:
            table.rows.append(row)
    if table is not None:
        yield table


def _begins(table: _Table, row: _Row | None) -> bool:
    """True if a line (a row or text) cannot continue a table without a > line."""
    return row is None or (row.base != "" and row.base.upper() in {of.base.upper() for of in table.rows})


def _name(header: str) -> str:
    """Return the name in a > line: the second field for HOMER, else the whole line."""
    if _has_threshold(header):
        fields = _fields(header)
        header = fields[1] or fields[0]
    return " ".join(header.split())


def _title(text: str) -> str:
    """Return the name in a line above a table: `Motif<tab>M0001_1.02`, `Protein: Six6<tab>...`, or any text up to a tab."""
    key, tab, value = text.partition("\t")
    return (value if tab and key.strip().lower() in _LABELS else re.sub(r"^protein:", "", key, flags=re.IGNORECASE)).strip()


def _columns(text: str) -> tuple[str, bool] | None:
    """Return the column letters of a header line, in order, and True if a column of position numbers precedes; else None."""
    words = text.replace('"', "").split()
    letters = "".join(words[-4:]).upper().replace("U", "T")
    if len(words) in (4, 5) and len(letters) == 4 and set(letters) == set("ACGT"):
        return letters, len(words) == 5
    return None


def _row(text: str, path: Path, line: int) -> _Row | None:
    """Return a row of numbers; None for a line of text."""
    bare = text.rstrip("]").rstrip()
    if (of := _BASE_ROW.fullmatch(bare)) and of[1].upper() in "ACGTU":
        return _Row(line, of[1], True, numbers(of[2].strip("[| "), path, line))
    words = bare.strip("[ ").split()
    if text[0] in "[+-.0123456789" or sum(map(is_number, words)) * 2 > len(words):
        return _Row(line, "", text[0] == "[", numbers(" ".join(words), path, line))
    return None


def _is_row_of_other_letter(text: str) -> bool:
    """True for a row of numbers after one letter that is not a base, such as an amino acid."""
    of = _BASE_ROW.fullmatch(text.rstrip("]").rstrip())
    if of is None or of[1].upper() in "ACGTU":
        return False
    values = of[2].strip("[| ").split()
    return bool(values) and all(map(is_number, values))


def _no_row(text: str, name: str, path: Path, line: int) -> FileFormatError:
    where = f"{path}, line {line}"
    if _is_row_of_other_letter(text):
        if text[0].upper() == "N":
            of, remedy = "any base", "remove the row, and give one row for each of A, C, G and T"
        elif text[0].upper() in AMINO_ACIDS:
            of, remedy = "an amino acid, as motifs of proteins have", "give motifs of DNA"
        else:
            of, remedy = "no base", "give motifs of DNA"
        return FileFormatError(f"{where}: motif {name} has a row of {text[0]}, which is {of}; {remedy}.")
    if re.fullmatch(r"[A-Za-z*\-]+", text):
        return FileFormatError(f"{where}: {text[:20]!r} is a sequence, as of FASTA or a file of sites; give matrices.")
    return FileFormatError(f"{where}: {text[:60]!r} are no numbers of a motif.")
