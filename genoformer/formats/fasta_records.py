"""FASTA of sequences, each read completely -> refused if a record has no bases."""

from __future__ import annotations

from pathlib import Path

from genoformer.errors import FileFormatError
from genoformer.formats.text import numbered_lines
from genoformer.genome.reference import Genome


def require_bases(fasta: Genome) -> None:
    """Raise FileFormatError, with the line of its header, for the first record of a FASTA that has no bases.

    A genome may have empty contigs, because no feature lies on them. In a FASTA of sequences to analyse, they are a mistake.
    """
    empty = [name for name, length in fasta.contigs.items() if not length]
    if empty:
        n = len(empty) - 1
        more = f", as have {n:,} others" if n > 1 else ", as has 1 other" if n else ""
        line = _header_line(fasta.path, empty[0])
        raise FileFormatError(
            f"{fasta.path}{f', line {line:,}' if line else ''}: record {empty[0]} has 0 bases{more}; complete or remove it."
        )


def _header_line(path: Path, name: str) -> int:
    """Return the line number of a record's header; 0 if it cannot be found, for example after a line of more than 64 MB."""
    try:
        for number, line in numbered_lines(path, "a FASTA file"):
            if line.startswith(">") and line[1:].split()[:1] == [name]:
                return number
    except FileFormatError:
        pass
    return 0
