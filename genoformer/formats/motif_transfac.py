"""TRANSFAC files, as written by TRANSFAC, JASPAR and Biopython -> matrices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from genoformer.errors import FileFormatError
from genoformer.formats.motif_matrix import (
    Matrix,
    Position,
    is_number,
    matrix_from_positions,
    numbers,
    require_bases,
    require_four,
)

_Lines = list[tuple[int, list[str]]]  # line number and words of each line
_HEADS = ("P0", "PO")


def is_transfac(lines: Sequence[str]) -> bool:
    """True if a line starts with P0 or PO (the header of a matrix) or with // (the end of an entry)."""
    return any(line.split(None, 1)[:1] in (["P0"], ["PO"], ["//"]) for line in lines)


def transfac_matrices(lines: Sequence[str], path: Path) -> Iterator[Matrix]:
    """Yield the matrix of each entry with a matrix, named by its AC and ID, or else by its NA or DE.

    An entry ends with //. The letters of P0 (or PO) name the columns, in any order; each row below starts with its number.

    Raises FileFormatError with the line for other letters, for missing rows or rows without four numbers, and for an entry
    with two matrices. Raises it also for a file without any P0.
    """
    entry: _Lines = []
    n = 0
    for line, text in enumerate([*lines, "//"], 1):
        words = text.split()
        if words[:1] != ["//"]:
            entry += [(line, words)] if words else []
            continue
        heads = [i for i, (_, of) in enumerate(entry) if of[0] in _HEADS]
        if len(heads) > 1:
            raise FileFormatError(f"{path}, line {entry[heads[1]][0]}: a second matrix in one entry; end each entry with //.")
        if heads:
            yield _matrix(entry, heads[0], path)
            n += 1
        entry = []
    if not n:
        raise FileFormatError(f"{path} has entries that end in //, but no line P0 with the letters of a matrix (TRANSFAC).")


def _matrix(entry: _Lines, head: int, path: Path) -> Matrix:
    """Return the matrix of an entry; its P0 line is entry[head]."""
    fields = {words[0]: " ".join(words[1:]) for _, words in entry[:head] + entry[head + 1 :] if len(words) > 1}
    line, words = entry[head]
    name = " ".join(fields[key] for key in fields if key in ("AC", "ID"))
    name = name or fields.get("NA") or fields.get("DE") or f"motif_{line}"
    letters = "".join(word.upper() for word in words[1:] if len(word) == 1)
    require_bases(letters, path, line)
    order = [letters.replace("U", "T").index(base) for base in "ACGT"]
    positions: list[Position] = []
    begin = 0  # number of the first row: 1 in TRANSFAC, 0 in some programs
    for line, words in entry[head + 1 :]:
        if not words[0].isdecimal():
            break
        values = words[1:5] + [word for word in words[5:] if is_number(word)]  # the consensus may follow
        require_four(len(values), name, path, line)
        number = int(words[0][:9])
        begin = begin if positions else min(number, 1)
        if number != begin + len(positions):
            raise FileFormatError(
                f"{path}, line {line}: row {begin + len(positions)} of motif {name} is expected, but found {words[0]}; "
                "is a row missing?"
            )
        row = numbers(" ".join(values), path, line)
        positions.append(Position(f"line {line}", [row[i] for i in order]))
    return matrix_from_positions(name, positions, path, entry[head][0])
