"""Motifs as matrices: MEME, JASPAR and HOCOMOCO files; which known motif is like one (Tomtom), where one lies (FIMO)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError, FileFormatError
from genoformer.genome.codes import Codes, N
from genoformer.genome.lines import numbered_lines
from genoformer.inference import n_cores, threads
from genoformer.whole import whole_file

_PSEUDOCOUNT = 0.1  # of a site, over the four bases: no base is impossible
_FEW = 1_000  # targets below which decoys are searched, too
_MOST_SITES = 1e15
_MOST_LINES = 4_000_000  # of a file, a hundred times those of the largest collections


class Matrix(NamedTuple):
    """A motif: the frequencies of A, C, G, T at each base, [W, 4], each row sums to 1."""

    name: str
    p: NDArray[np.float64]
    n_sites: int = 0  # that it was made of; 0 where that is not known

    @classmethod
    def of_counts(cls, name: str, counts: NDArray[np.floating]) -> Matrix:
        """From counts of bases [W, 4]."""
        n = counts.sum(1, keepdims=True)
        return cls(name, (counts + _PSEUDOCOUNT / 4) / (n + _PSEUDOCOUNT), round(float(n.max(initial=0))))


class Match(NamedTuple):
    """A known motif that is like a query, by Tomtom."""

    query: str
    target: str
    p: float
    q: float  # Benjamini-Hochberg over the targets of the query
    offset: int
    strand: str


class Hit(NamedTuple):
    """A place [start, end) in a sequence that fits a motif, by FIMO."""

    motif: str
    sequence: int
    start: int
    end: int
    strand: str
    score: float
    p: float


def read_matrices(path: str | Path) -> list[Matrix]:
    """The motifs of a file, plain or gzipped: MEME, JASPAR (with or without letters and brackets, or TRANSFAC) or HOCOMOCO.

    Raises FileFormatError with the line where a matrix is not four numbers a base, and for a file that holds none.
    """
    path = Path(path)
    lines = []
    for number, line in numbered_lines(path, "a file of motifs"):
        if number > _MOST_LINES:
            raise FileFormatError(f"{path} has more than {_MOST_LINES:,} lines; give a file of motifs.")
        lines.append(line)
    head = [line.split("\t")[0].split(" ")[0] for line in lines[:40]]
    if any(line.startswith("MEME version") for line in lines[:20]):
        found = list(_meme(lines, path))
    elif "P0" in head or "PO" in head:
        found = list(_transfac(lines, path))
    else:
        found = list(_jaspar(lines, path))
    if not found:
        raise FileFormatError(
            f"{path} holds no motif; give a MEME or TRANSFAC file, or one of JASPAR or HOCOMOCO with lines that begin with >."
        )
    return found


def _meme(lines: Sequence[str], path: Path) -> Iterator[Matrix]:
    name, n_sites, inside = "", 0, False
    rows: list[list[float]] = []
    for number, line in enumerate(lines, 1):
        if line.startswith("MOTIF"):
            if inside:
                yield _matrix(name, rows, path, number, n_sites)
            name, rows, inside = " ".join(line.split()[1:]) or f"motif_{number}", [], False
        elif line.startswith("letter-probability"):
            inside = True
            sites = re.search(r"nsites=\s*(\d+)", line)
            n_sites = int(sites[1]) if sites else 0
        elif inside and re.match(r"\s*[\d.]", line):
            rows.append(_numbers(line, path, number))
        elif inside and rows and line.strip():
            yield _matrix(name, rows, path, number, n_sites)
            inside = False
    if inside:
        yield _matrix(name, rows, path, len(lines), n_sites)


def _jaspar(lines: Sequence[str], path: Path) -> Iterator[Matrix]:
    name = ""
    rows: list[list[float]] = []
    for number, line in enumerate([*lines, ">"], 1):
        if line.startswith(">"):
            if name:
                yield _matrix(name, rows, path, number, 0)
            name, rows = " ".join(line[1:].split()), []
        elif line.strip() and name:
            rows.append(_numbers(re.sub(r"^\s*[ACGTacgt]\s*\|?|[\[\]]", " ", line), path, number))


def _transfac(lines: Sequence[str], path: Path) -> Iterator[Matrix]:
    """Entries end in //; AC is the accession, ID the name, and rows between P0 (or PO) and XX begin with a number."""
    names: dict[str, str] = {}
    rows: list[list[float]] = []
    inside = False
    for number, line in enumerate([*lines, "//"], 1):
        key, _, rest = line.replace("\t", " ").partition(" ")
        if key in ("AC", "ID"):
            names[key] = rest.strip()
        elif key in ("P0", "PO"):
            inside = True
        elif key == "//":
            if rows:
                yield _matrix(" ".join(names.values()) or f"motif_{number}", rows, path, number, 0)
            names, rows, inside = {}, [], False
        elif inside and key.isdecimal():
            rows.append(_numbers(" ".join(rest.split()[:4]), path, number))
        else:
            inside = False


def _numbers(text: str, path: Path, number: int) -> list[float]:
    try:
        return [float(x) for x in text.split()]
    except ValueError as error:
        raise FileFormatError(f"{path}, line {number}: {text.strip()!r} are no numbers of a motif.") from error


def _matrix(name: str, rows: list[list[float]], path: Path, number: int, n_sites: int) -> Matrix:
    """rows: four of W numbers, as JASPAR has them, or W of four; four by four is taken as JASPAR's where columns sum alike."""
    lengths = {len(row) for row in rows}
    if len(lengths) != 1 or not (len(rows) == 4 or lengths == {4}):
        raise FileFormatError(f"{path}, before line {number}: motif {name} is not four numbers for every base.")
    values = np.array(rows)
    if not (abs(values) < _MOST_SITES).all():
        raise FileFormatError(f"{path}, before line {number}: motif {name} has infinite counts, or none that are numbers.")
    by_base = len(rows) == 4 and (lengths != {4} or np.ptp(values.sum(0)) <= np.ptp(values.sum(1)))
    counts = values.T if by_base else values
    if (counts < 0).any() or not (counts.sum(1) > 0).all():
        raise FileFormatError(f"{path}, before line {number}: motif {name} has a base without counts, or with negative ones.")
    if np.allclose(counts.sum(1), 1, atol=0.02):
        return Matrix(name, counts / counts.sum(1, keepdims=True), n_sites)
    return Matrix.of_counts(name, counts)


def write_meme(path: Path, matrices: Iterable[Matrix]) -> None:
    """A file that the MEME suite and its kin read."""
    with whole_file(path) as part, part.open("w", encoding="utf-8") as out:
        out.write("MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\n")
        out.write("Background letter frequencies\nA 0.25 C 0.25 G 0.25 T 0.25\n")
        for name, p, n_sites in matrices:
            out.write(f"\nMOTIF {name}\nletter-probability matrix: alength= 4 w= {len(p)} nsites= {n_sites or 20} E= 0\n")
            out.writelines(" ".join(f"{x:.6f}" for x in row) + "\n" for row in p)


def trimmed(matrix: Matrix, least: float = 0.25) -> Matrix:
    """Without the bases at both ends whose information is below `least` bits; at least the best one stays."""
    bits = 2 + (matrix.p * np.log2(np.maximum(matrix.p, 1e-9))).sum(1)
    keep = np.flatnonzero(bits >= min(least, bits.max()))
    return matrix._replace(p=matrix.p[keep[0] : keep[-1] + 1])


def tomtom(queries: Sequence[Matrix], targets: Sequence[Matrix], *, n_nearest: int = 5) -> list[Match]:
    """The known motifs that each query is most like, the best first (Gupta et al. 2007, by memelite).

    Tomtom's p is of the targets' own columns and means little where they are few. Then decoys, 1,000 together with them, are
    searched, too: each target with its columns in other orders. No p is below the share of a target's decoys that are as like
    the query as itself. Raises ConfigError without memelite (extra `interpret`).
    """
    try:
        from memelite import tomtom as search
    except ImportError as error:
        raise ConfigError("memelite is not installed; install genoformer[interpret] to match motifs.") from error
    from scipy.stats import false_discovery_control

    if not queries or not targets:
        return []
    rng = np.random.default_rng(0)
    n_each = -(-max(0, _FEW - len(targets)) // len(targets))
    decoys = [rng.permutation(target.p) for target in targets for _ in range(n_each)]
    with threads(n_cores()):  # memelite sets numba's, which may be torch's too
        p, _, offsets, _, strands = search([q.p.T for q in queries], [*(t.p.T for t in targets), *(of.T for of in decoys)])
    found = []
    for i, query in enumerate(queries):
        real, shuffled = p[i, : len(targets)], p[i, len(targets) :].reshape(len(targets), n_each)
        if n_each:
            real = np.maximum(real, (shuffled <= real[:, None]).mean(1))
        q_values = false_discovery_control(np.clip(real, 0, 1))
        for j in np.lexsort((p[i, : len(targets)], real))[:n_nearest].tolist():
            strand = "-" if strands[i, j] else "+"
            found.append(Match(query.name, targets[j].name, float(real[j]), float(q_values[j]), int(offsets[i, j]), strand))
    return found


def fimo(matrices: Sequence[Matrix], sequences: Sequence[Codes], *, threshold: float = 1e-4) -> list[Hit]:
    """Where motifs lie in sequences, on both strands, with p below `threshold` (Grant et al. 2011, by memelite).

    Raises ConfigError without memelite (extra `interpret`).
    """
    try:
        from memelite import fimo as scan
    except ImportError as error:
        raise ConfigError("memelite is not installed; install genoformer[interpret] to find places of motifs.") from error
    by_length: dict[int, list[int]] = {}
    for i, codes in enumerate(sequences):
        by_length.setdefault(len(codes), []).append(i)
    found = []
    for numbers in by_length.values():
        onehot = np.stack([(sequences[i][None] == np.arange(N)[:, None]).astype(np.int8) for i in numbers])
        names = [f"{i}" for i in range(len(matrices))]
        fitting = {name: m.p.T for name, m in zip(names, matrices, strict=True) if len(m.p) <= onehot.shape[-1]}
        for table in scan(fitting, onehot, threshold=threshold) if fitting else []:
            columns = ("motif_name", "sequence_name", "start", "end", "strand", "score", "p-value")
            for name, sequence, start, end, strand, score, p in zip(*(table[c].tolist() for c in columns), strict=True):
                place = (numbers[int(sequence)], int(start), int(end))
                found.append(Hit(matrices[int(name)].name, *place, str(strand), float(score), float(p)))
    return sorted(found, key=lambda hit: (hit.sequence, hit.start, hit.p))
