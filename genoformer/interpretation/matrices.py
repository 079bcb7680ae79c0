"""Motif matrices: trimming, similarity to known motifs (Tomtom) and hits in sequences (FIMO); `motif_files` reads the files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from genoformer.errors import ConfigError
from genoformer.formats.motif_files import read_matrices
from genoformer.formats.motif_matrix import Matrix
from genoformer.genome.codes import Codes, N
from genoformer.inference import n_cores, threads

# read_matrices belongs to motif_files; scripts know it by this address, too
__all__ = ["Hit", "Match", "fimo", "read_matrices", "tomtom", "trimmed"]

_FEW = 1_000  # number of targets below which decoys are added


class Match(NamedTuple):
    """A known motif that is similar to a query, by Tomtom."""

    query: str
    target: str
    p: float
    q: float  # Benjamini-Hochberg over the targets of the query
    offset: int
    strand: str


class Hit(NamedTuple):
    """A hit [start, end) of a motif in a sequence, by FIMO."""

    motif: str
    sequence: int
    start: int
    end: int
    strand: str
    score: float
    p: float


def trimmed(matrix: Matrix, least: float = 0.25) -> Matrix:
    """Return the matrix without positions below `least` bits at both ends; at least the most informative position stays."""
    bits = 2 + (matrix.p * np.log2(np.maximum(matrix.p, 1e-9))).sum(1)
    keep = np.flatnonzero(bits >= min(least, bits.max()))
    return matrix._replace(p=matrix.p[keep[0] : keep[-1] + 1])


def tomtom(queries: Sequence[Matrix], targets: Sequence[Matrix], *, n_nearest: int = 5) -> list[Match]:
    """Return the known motifs most similar to each query, the best first (Gupta et al. 2007, by memelite).

    Tomtom estimates p from the columns of the targets, which is unreliable for few targets. Fewer than 1,000 targets are
    therefore filled up to 1,000 with decoys: targets with permuted columns. The p of a target is at least the fraction of its
    decoys that match the query as well as the target does. Raises ConfigError without memelite (extra `interpret`).
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
    with threads(n_cores()):  # memelite sets numba's threads, which torch may share
        p, _, offsets, _, strands = search(
            [q.p.T for q in queries], [*(t.p.T for t in targets), *(decoy.T for decoy in decoys)]
        )
    matches = []
    for i, query in enumerate(queries):
        of_targets, of_decoys = p[i, : len(targets)], p[i, len(targets) :].reshape(len(targets), n_each)
        if n_each:
            of_targets = np.maximum(of_targets, (of_decoys <= of_targets[:, None]).mean(1))
        q = false_discovery_control(np.clip(of_targets, 0, 1))
        for j in np.lexsort((p[i, : len(targets)], of_targets))[:n_nearest].tolist():
            strand = "-" if strands[i, j] else "+"
            matches.append(Match(query.name, targets[j].name, float(of_targets[j]), float(q[j]), int(offsets[i, j]), strand))
    return matches


def fimo(matrices: Sequence[Matrix], sequences: Sequence[Codes], *, threshold: float = 1e-4) -> list[Hit]:
    """Return the hits of motifs in sequences, on both strands, with p below `threshold` (Grant et al. 2011, by memelite).

    Raises ConfigError without memelite (extra `interpret`).
    """
    try:
        from memelite import fimo as scan
    except ImportError as error:
        raise ConfigError("memelite is not installed; install genoformer[interpret] to scan sequences for motifs.") from error
    by_length: dict[int, list[int]] = {}
    for i, codes in enumerate(sequences):
        by_length.setdefault(len(codes), []).append(i)
    hits = []
    for numbers in by_length.values():
        onehot = np.stack([(sequences[i][None] == np.arange(N)[:, None]).astype(np.int8) for i in numbers])
        names = [f"{i}" for i in range(len(matrices))]
        short_enough = {name: m.p.T for name, m in zip(names, matrices, strict=True) if len(m.p) <= onehot.shape[-1]}
        for table in scan(short_enough, onehot, threshold=threshold) if short_enough else []:
            columns = ("motif_name", "sequence_name", "start", "end", "strand", "score", "p-value")
            for name, sequence, start, end, strand, score, p in zip(*(table[c].tolist() for c in columns), strict=True):
                interval = (numbers[int(sequence)], int(start), int(end))
                hits.append(Hit(matrices[int(name)].name, *interval, str(strand), float(score), float(p)))
    return sorted(hits, key=lambda hit: (hit.sequence, hit.start, hit.p))
