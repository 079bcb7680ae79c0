"""MEME files (minimal format, and the text output of MEME, DREME and STREME) -> matrices."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

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

_MATRIX, _LOG_ODDS = "letter-probability matrix", "log-odds matrix"
_BEGINNINGS = ("MEME version", "ALPHABET=", _MATRIX, _LOG_ODDS)


class _Motif(NamedTuple):
    """A MOTIF line before its matrix is read."""

    name: str
    line: int
    log_odds: int = 0  # the line of a log-odds matrix, if there is one


def is_meme(lines: Sequence[str]) -> bool:
    """True if a line identifies a MEME file."""
    return any(line.lstrip().startswith(_BEGINNINGS) for line in lines)


def meme_matrices(lines: Sequence[str], path: Path) -> Iterator[Matrix]:
    """Yield the letter-probability matrix of each MOTIF, with columns in alphabet order: A, C, G, T (or U).

    An additional log-odds matrix is skipped. Background frequencies, strands and URLs are not used.

    Raises FileFormatError with the line for another alphabet, for `alength=` or `w=` that the rows contradict, for rows that
    are not probabilities, and for a motif with only a log-odds matrix, with no matrix, or with two matrices.
    """
    motif: _Motif | None = None
    at = 0
    while at < len(lines):
        line, text = at + 1, lines[at].strip()
        at += 1
        if re.match(r"ALPHABET\b", text):
            letters, at = _alphabet(lines, at - 1, path)
            require_bases(letters, path, line)
        elif re.match(r"MOTIF(\s|$)", text):
            _require_none_left(motif, path)
            name = re.split(r"\s+width\s*=", " ".join(text.split()[1:]))[0]  # MEME's text output adds numbers after the name
            motif = _Motif(name or f"motif_{line}", line)
        elif text.startswith(_LOG_ODDS) and motif is not None:
            motif = motif._replace(log_odds=line)
        elif text.startswith(_MATRIX):
            if motif is None:
                raise FileFormatError(f"{path}, line {line}: a matrix without its own MOTIF line; write `MOTIF name` above it.")
            matrix, at = _matrix(lines, at, path, motif.name)
            yield matrix
            motif = None
    _require_none_left(motif, path)


def _require_none_left(motif: _Motif | None, path: Path) -> None:
    if motif is not None and motif.log_odds:
        raise FileFormatError(
            f"{path}, line {motif.log_odds}: motif {motif.name} has a log-odds matrix alone; give its {_MATRIX}."
        )
    if motif is not None:
        raise FileFormatError(f"{path}, line {motif.line}: motif {motif.name} has no {_MATRIX}; complete or remove it.")


def _alphabet(lines: Sequence[str], at: int, path: Path) -> tuple[str, int]:
    """Return the letters of the alphabet that starts at lines[at], in column order, and the index of the line after it.

    Each line of a custom alphabet names one letter, a pair of complements, or an ambiguous letter (with =). The columns are
    in sorted order.
    """
    if match := re.match(r"ALPHABET\s*=(.*)", lines[at].strip()):
        letters = "".join(match[1].split()).upper()
        if len(letters) == 4 and letters not in ("ACGT", "ACGU"):
            raise FileFormatError(
                f"{path}, line {at + 1}: ALPHABET= {letters}, but MEME's order of bases is ACGT; "
                "sort the columns of the matrices."
            )
        return letters, at + 1
    letters = ""
    for i in range(at + 1, len(lines)):
        text = re.sub(r'"[^"]*"', "", lines[i]).strip()
        if text.startswith("END ALPHABET"):
            return "".join(sorted(letters)), i + 1
        if text and not text.startswith("#") and "=" not in text:
            letters += "".join(part.split()[0] for part in text.split("~") if part.split())
    raise FileFormatError(f"{path}, line {at + 1}: the alphabet has no end; write END ALPHABET below its letters.")


def _matrix(lines: Sequence[str], at: int, path: Path, name: str) -> tuple[Matrix, int]:
    """Return the matrix whose rows start at lines[at], below its header, and the index of the line after them."""
    line, head = at, lines[at - 1]
    alength, width = (_whole_number(key, head, path, line) for key in ("alength", "w"))
    if alength is not None:
        require_four(alength, name, path, line)
    positions = []
    while at < len(lines) and (not lines[at].strip() or _is_row(lines[at])):
        at += 1
        if lines[at - 1].strip():
            values = numbers(lines[at - 1], path, at)
            require_four(len(values), name, path, at)
            positions.append(Position(f"line {at}", values))
    if width is not None and width != len(positions):
        raise FileFormatError(f"{path}, line {line}: w= {width}, but motif {name} has {len(positions)} rows; make them agree.")
    sites = re.search(r"\bnsites=\s*([0-9]+)", head)
    n_sites = int(min(float(sites[1]), 1e15)) if sites else 0
    return matrix_from_positions(name, positions, path, line, n_sites=n_sites, probabilities=True), at


def _whole_number(key: str, head: str, path: Path, line: int) -> int | None:
    match = re.search(rf"\b{key}=\s*(\S*)", head)
    if match is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", match[1]):
        raise FileFormatError(f"{path}, line {line}: {key}= {match[1]!r}; give a whole number, or leave {key}= out.")
    return int(match[1])


def _is_row(text: str) -> bool:
    """True for a line that starts with a number, nan or inf, or that has four words of which at least two are numbers."""
    words = text.split()
    return (
        is_number(words[0])
        or words[0].lstrip("+-")[:3].lower() in ("nan", "inf")
        or (len(words) == 4 and sum(map(is_number, words)) >= 2)
    )
