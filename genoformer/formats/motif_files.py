"""Motif files -> matrices, with the format detected from the content; matrices -> a MEME file. Rules: docs/motif-files.md."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from genoformer.errors import FileFormatError
from genoformer.files import atomic_write
from genoformer.formats.file_kinds import format_of_bytes
from genoformer.formats.motif_matrix import Matrix
from genoformer.formats.motif_meme import is_meme, meme_matrices
from genoformer.formats.motif_tables import table_matrices
from genoformer.formats.motif_transfac import is_transfac, transfac_matrices
from genoformer.formats.text import numbered_lines

_MOST_LINES = 4_000_000  # maximum number of lines, a hundred times the largest collections
_OTHERS = {  # format -> description of the file, and the file to give instead
    "HDF5": "is HDF5, as TF-MoDISco writes; write its motifs with `modisco meme -i FILE.h5 -t PFM -o motifs.meme`",
    "zip": "is a zip archive or .npz; unpack it, or write a MEME file",
    "PDF": "is a PDF; give a MEME, TRANSFAC, JASPAR or HOMER file",
}
_TEXTS = {
    "<": "is XML or HTML; give the text file that MEME writes next to it (meme.txt, streme.txt)",
    "{": "is JSON; give a MEME, TRANSFAC, JASPAR or HOMER file",
}


def read_matrices(path: str | Path) -> list[Matrix]:
    """Return the motifs of a file in file order: MEME, TRANSFAC, JASPAR, HOMER, HOCOMOCO, CIS-BP or UniPROBE, plain or gzipped.

    The content of the file determines its format and layout. U is read as T. Motifs with the same name are all kept.

    Raises FileFormatError with the line of a matrix that is not of DNA, contradicts its header, or contains other numbers than
    counts or probabilities (log-odds, contributions). Raises it also for a file without motifs.
    """
    path = Path(path)
    _refuse_binary(path)
    lines = []
    for number, line in numbered_lines(path, "a file of motifs"):
        if number > _MOST_LINES:
            raise FileFormatError(f"{path} has more than {_MOST_LINES:,} lines; give a file of motifs.")
        lines.append(line)
    first = next((line.strip() for line in lines if line.strip()), "")
    if first[:1] in _TEXTS:
        raise FileFormatError(f"{path} {_TEXTS[first[:1]]}.")
    if is_meme(lines):
        matrices = list(meme_matrices(lines, path))
    elif is_transfac(lines):
        matrices = list(transfac_matrices(lines, path))
    else:
        matrices = table_matrices(lines, path)
    if not matrices:
        raise FileFormatError(
            f"{path} holds no motif; give a MEME or TRANSFAC file, or one of JASPAR, HOMER or HOCOMOCO with lines that begin "
            "with >."
        )
    return matrices


def _refuse_binary(path: Path) -> None:
    if not path.is_file():
        return  # the line reader raises the error
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError:
        return
    if remedy := _OTHERS.get(format_of_bytes(head) or ""):
        raise FileFormatError(f"{path} {remedy}.")


def write_meme(path: Path, matrices: Iterable[Matrix]) -> None:
    """Write a file in MEME format, for the MEME suite and compatible tools."""
    with atomic_write(path) as part, part.open("w", encoding="utf-8") as out:
        out.write("MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\n")
        out.write("Background letter frequencies\nA 0.25 C 0.25 G 0.25 T 0.25\n")
        for name, p, n_sites in matrices:
            out.write(f"\nMOTIF {name}\nletter-probability matrix: alength= 4 w= {len(p)} nsites= {n_sites or 20} E= 0\n")
            out.writelines(" ".join(f"{x:.6f}" for x in row) + "\n" for row in p)
