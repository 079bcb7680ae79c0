"""Rows of numbers of a motif file -> a matrix of the frequencies of A, C, G and T, or an error that names the wrong row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import FileFormatError

ROUNDING = 0.05  # tolerance of the sum of the probabilities of a position; two decimals differ from 1 by at most 0.02
_PSEUDOCOUNT = 0.1  # sites added to a position, spread over the four bases: no base has probability 0
_MOST_SITES = 1e15
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
AMINO_ACIDS = set("ACDEFGHIKLMNPQRSTVWY")


class Matrix(NamedTuple):
    """A motif: the frequencies of A, C, G, T at each position, [W, 4]; each row sums to 1."""

    name: str
    p: NDArray[np.float64]
    n_sites: int = 0  # sites of the motif; 0 if unknown

    @classmethod
    def of_counts(cls, name: str, counts: NDArray[np.floating]) -> Matrix:
        """Make a matrix from counts of bases [W, 4]."""
        n = counts.sum(1, keepdims=True)
        return cls(name, (counts + _PSEUDOCOUNT / 4) / (n + _PSEUDOCOUNT), round(float(n.max(initial=0))))


class Position(NamedTuple):
    """The four numbers of A, C, G and T at one position of a motif, and their location in the file."""

    where: str  # "line 7"
    values: Sequence[float]


def is_number(text: str) -> bool:
    """True for a finite decimal number in ASCII, such as 12, -0.5 or 1e-3."""
    return _NUMBER.fullmatch(text) is not None


def numbers(text: str, path: Path, line: int) -> list[float]:
    """Return the numbers of a row, separated by blanks.

    Raises FileFormatError with the line for anything else: nan, a word, a decimal comma.
    """
    words = text.split()
    if not all(map(is_number, words)):
        raise FileFormatError(
            f"{path}, line {line}: {text.strip()[:60]!r} are no numbers of a motif; give counts or probabilities, with blanks "
            "between."
        )
    return [float(word) for word in words]


def require_bases(letters: str, path: Path, line: int) -> None:
    """Raise FileFormatError if the letters of an alphabet, in any order, are not A, C, G and T (or U)."""
    if len(letters) == 4 and set(letters.replace("U", "T")) == set("ACGT"):
        return
    kind = f"has {len(letters)} letters, {letters or 'none'}"
    if len(letters) >= len(AMINO_ACIDS) and set(letters) >= AMINO_ACIDS:
        kind = f"is that of proteins ({letters})"
    raise FileFormatError(f"{path}, line {line}: the alphabet {kind}; a motif of DNA has A, C, G and T. Give motifs of DNA.")


def require_four(n: int, name: str, path: Path, line: int) -> None:
    """Raise FileFormatError if a position of a motif does not have four numbers."""
    if n == len(AMINO_ACIDS):
        raise FileFormatError(
            f"{path}, line {line}: motif {name} has 20 numbers for a position, one for each amino acid: "
            "it is of proteins. Give motifs of DNA."
        )
    if n != 4:
        raise FileFormatError(
            f"{path}, line {line}: motif {name} is not four numbers (A, C, G, T) for every position; this row has {n}."
        )


def matrix_from_positions(
    name: str, positions: Sequence[Position], path: Path, line: int, *, n_sites: int = 0, probabilities: bool = False
) -> Matrix:
    """Return the matrix of a motif that starts at `line` of a file.

    Counts get the pseudocount of `Matrix.of_counts`. Numbers are probabilities if each position sums to 1 within ROUNDING;
    they are divided by their sums. probabilities: the format allows only probabilities, so counts are an error.

    Raises FileFormatError with the line of a position with negative or infinite numbers, with no number above 0, or with a sum
    that fits neither counts nor probabilities. Raises it also for numbers that `_are_counts` rejects.
    """
    if not positions:
        raise FileFormatError(f"{path}, line {line}: motif {name} has no rows of numbers; complete or remove it.")
    values = np.array([position.values for position in positions], dtype=np.float64)  # [W, 4]
    for (where, _), row in zip(positions, values, strict=True):
        motif = f"{path}, {where}: motif {name}"
        if (row < 0).any():
            raise FileFormatError(
                f"{motif} has negative numbers: it is a log-odds matrix (PSSM, PWM) or one of contributions (CWM). "
                "Give counts or probabilities (of modisco: `modisco meme -t PFM`)."
            )
        if not (row < _MOST_SITES).all():
            raise FileFormatError(f"{motif} has infinite counts; give the number of sites.")
        if not row.any():
            raise FileFormatError(
                f"{motif} has a position without counts, so that no base is known there; correct or remove it."
            )
    totals = values.sum(1)  # [W]
    if not probabilities and totals.max() > 1 + ROUNDING:
        if not _are_counts(values):
            raise FileFormatError(
                f"{path}, line {line}: motif {name} has decimals, and its positions sum to {totals.min():.4g} up to "
                f"{totals.max():.4g}: it holds information contents (ICM) or contributions (CWM). Give counts or probabilities."
            )
        return Matrix.of_counts(name, values)
    if (odd := np.flatnonzero(abs(totals - 1) > ROUNDING)).size:
        raise FileFormatError(
            f"{path}, {positions[odd[0]].where}: probabilities of motif {name} sum to {totals[odd[0]]:.4g} and not to 1; "
            f"{'counts' if totals[odd[0]] > 1 else 'numbers'} or contributions (CWM) are no probabilities. Give probabilities."
        )
    return Matrix(name, values / totals[:, None], n_sites)


def _are_counts(values: NDArray[np.float64]) -> bool:
    """True for counts [W, 4]: whole numbers, possibly plus one pseudocount, or numbers with the same total at each position.

    Weighted sites give decimals, but the same total at each position, up to the rounding of the printed decimals.
    """
    if _are_whole(values - values.min()):
        return True
    decimals = next((n for n in range(1, 7) if _are_whole(values * 10**n)), 7)
    totals = values.sum(1)  # [W]
    return bool(np.ptp(totals) <= 4 * 10.0**-decimals + 1e-4 * totals.max())


def _are_whole(values: NDArray[np.float64]) -> bool:
    return bool(np.allclose(values, np.round(values), rtol=1e-9, atol=1e-6))
