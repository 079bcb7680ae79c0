"""DNABERT-viz's motif discovery: sequences and base scores -> high regions -> enriched candidates -> merged motifs -> windows.

Each of the five stages of `find_motifs.py` (Ji et al. 2021) is a function. `discover` runs them and counts what each stage
leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, hypergeom

from genoformer.errors import ConfigError
from genoformer.formats.motif_matrix import Matrix
from genoformer.genome.codes import Codes, N, decode
from genoformer.inference import Floats


class DiscoveryLimits(NamedTuple):
    """Limits of the stages; the defaults are DNABERT's."""

    shortest: int = 5  # minimum number of bases of a region
    min_fold: float = 10.0  # least multiple of the minimum score in a region; 0 (off) for maps with a floor or values below 0
    q: float = 0.005  # false discovery rate of the enrichment
    window: int = 24  # bases around the middle of an instance
    instances: int = 3  # minimum number of windows of a motif
    once: bool = True  # count a sequence once, even if it contains a candidate several times


class Instance(NamedTuple):
    """One occurrence of a candidate in a sequence: bases [start, end)."""

    sequence: int
    start: int
    end: int


class Motif(NamedTuple):
    """A motif: its aligned windows, their base counts [W, 4], and the q value of the best candidate."""

    name: str
    consensus: str
    q: float
    windows: list[Instance]
    counts: NDArray[np.int64]

    @property
    def frequencies(self) -> Floats:
        """Base frequencies [W, 4], with a total pseudocount of 1 over the four bases."""
        counts = self.counts + 0.25
        return counts / counts.sum(1, keepdims=True)

    @property
    def matrix(self) -> Matrix:
        """The motif as a `Matrix`, for files, logos and Tomtom."""
        return Matrix(self.name, self.frequencies.astype(np.float64), len(self.windows))


class DiscoveredMotifs(NamedTuple):
    """Motifs, sorted by decreasing number of windows, and the number of survivors of each stage, in order."""

    motifs: list[Motif]
    survivors: dict[str, int]

    def text(self) -> str:
        """Return one line for each stage; if nothing is left, the last line names the stage that removed the last survivor."""
        lines = [f"{n:>9,}  {stage}" for stage, n in self.survivors.items()]
        emptied = next((stage for stage, n in self.survivors.items() if not n), None)
        return "\n".join([*lines, *([f"no motif: no survivor of the stage: {emptied}"] if emptied else [])])


def high_regions(scores: Floats, shortest: int = 5, min_fold: float = 10.0) -> list[tuple[int, int]]:
    """Return runs [start, end) of at least `shortest` bases whose scores exceed the mean and `min_fold` times the minimum.

    scores: [L], of one sequence.
    """
    high = scores > scores.mean()
    if min_fold:
        high &= scores > min_fold * scores.min()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], high.astype(np.int8), [0]])))
    return [(a, b) for a, b in edges.reshape(-1, 2).tolist() if b - a >= shortest]


def enrichment(
    candidates: Sequence[str], positive: Sequence[str], negative: Sequence[str], *, once: bool = True
) -> NDArray[np.float64]:
    """Return the q value of each candidate: hypergeometric enrichment in positive sequences, Benjamini-Hochberg corrected.

    p is sf(x - 1; N, K, n): N is the number of all sequences, K of positive sequences, n of sequences that contain the
    candidate, and x of positive sequences among these n. once False counts occurrences instead of sequences.
    """
    if not len(candidates):
        return np.zeros(0)
    hits = np.array([[_count(c, group, once=once) for group in (positive, negative)] for c in candidates])
    n_all, x = hits.sum(1), hits[:, 0]
    total, n_positive = len(positive) + len(negative), len(positive)
    p = hypergeom.sf(x - 1, total, n_positive, np.minimum(n_all, total))
    return np.asarray(false_discovery_control(np.nan_to_num(p, nan=1.0).clip(0, 1)))


def _count(candidate: str, sequences: Sequence[str], *, once: bool) -> int:
    if once:
        return sum(candidate in text for text in sequences)
    return sum(text.startswith(candidate, i) for text in sequences for i in range(len(text) - len(candidate) + 1))


def best_shift(a: str, b: str) -> tuple[int, list[int]]:
    """Return the largest number of matching bases over all ungapped shifts of b along a, and all shifts that reach it."""
    scores = {}
    for shift in range(-len(b) + 1, len(a)):
        low, high = max(0, shift), min(len(a), shift + len(b))
        scores[shift] = sum(a[i] == b[i - shift] for i in range(low, high))
    best = max(scores.values())
    return best, [shift for shift, score in scores.items() if score == best]


def merged(candidates: Mapping[str, Sequence[Instance]], shortest: int = 5) -> dict[str, list[tuple[str, list[Instance]]]]:
    """Group similar candidates, shortest first: seed -> members with their instances, shifted to align with the seed.

    Two candidates are similar if at least max(shortest - 1, half of the shorter one) bases match at the best ungapped shift.
    The first of equally good shifts is used. A candidate joins the seed with the most matching bases.
    """
    groups: dict[str, list[tuple[str, list[Instance]]]] = {}
    for text in sorted(candidates, key=lambda text: (len(text), text)):
        best, similar, shift = 0, "", 0
        for seed in groups:
            score, shifts = best_shift(seed, text)
            if score >= max(shortest - 1, min(len(seed), len(text)) / 2) and score > best:
                best, similar, shift = score, seed, shifts[0]
        if not similar:
            groups[text] = [(text, list(candidates[text]))]
        else:
            # base 0 of the candidate is `shift` bases after base 0 of the seed
            starts = ((instance.sequence, instance.start - shift) for instance in candidates[text])
            groups[similar].append((text, [Instance(i, start, start + len(similar)) for i, start in starts]))
    return groups


def centred(instances: Iterable[Instance], length: int, lengths: Sequence[int]) -> list[Instance]:
    """Return windows of `length` bases around the middle of instances, without duplicates or windows beyond a sequence end."""
    kept = []
    for instance in instances:
        start = (instance.start + instance.end) // 2 - length // 2
        if start >= 0 and start + length <= lengths[instance.sequence]:
            kept.append(Instance(instance.sequence, start, start + length))
    return list(dict.fromkeys(kept))


def discover(
    positive: Sequence[Codes], scores: Sequence[Floats], negative: Sequence[Codes], limits: DiscoveryLimits | None = None
) -> DiscoveredMotifs:
    """Return the motifs with high scores in the positive sequences that are enriched over the negative sequences.

    scores: [L], for each positive sequence. Raises ConfigError if either set of sequences is empty, or if scores and
    sequences differ in length.
    """
    limits = limits or DiscoveryLimits()
    if not positive or not negative:
        raise ConfigError(f"found {len(positive)} positive and {len(negative)} negative sequences; give at least one of each.")
    if len(scores) != len(positive) or any(len(s) != len(codes) for s, codes in zip(scores, positive, strict=True)):
        raise ConfigError(
            "scores and sequences differ in number or length; give a score for each base of each positive sequence."
        )
    texts, others = [decode(codes) for codes in positive], [decode(codes) for codes in negative]
    instances: dict[str, list[Instance]] = {}
    n_regions = 0
    for i, values in enumerate(scores):
        for start, end in high_regions(np.asarray(values), limits.shortest, limits.min_fold):
            n_regions += 1
            if "N" not in texts[i][start:end]:
                instances.setdefault(texts[i][start:end], []).append(Instance(i, start, end))
    candidates = list(instances)
    q = dict(zip(candidates, enrichment(candidates, texts, others, once=limits.once).tolist(), strict=True))
    enriched = {text: instances[text] for text in candidates if q[text] < limits.q}
    groups = merged(enriched, limits.shortest)
    motifs = []
    n_windows = 0
    for members in groups.values():
        aligned = (instance for _, of_member in members for instance in of_member)
        windows = centred(aligned, limits.window, [len(codes) for codes in positive])
        n_windows += len(windows)
        if len(windows) < limits.instances:
            continue
        codes = np.stack([positive[window.sequence][window.start : window.end] for window in windows])
        counts = np.stack([(codes == base).sum(0) for base in range(N)], axis=1)
        best = min(members, key=lambda member: q[member[0]])[0]
        motifs.append(Motif(f"motif_{best}", decode(counts.argmax(1).astype(np.uint8)), q[best], windows, counts))
    survivors = {
        "sequences": len(positive),
        f"regions of {limits.shortest} bases or more with high scores": n_regions,
        "distinct candidates": len(candidates),
        f"candidates enriched over the negative sequences (q < {limits.q:g})": len(enriched),
        "groups of similar candidates": len(groups),
        f"windows of {limits.window} bases inside their sequences": n_windows,
        f"motifs of {limits.instances} windows or more": len(motifs),
    }
    return DiscoveredMotifs(sorted(motifs, key=lambda motif: (-len(motif.windows), motif.q)), survivors)
