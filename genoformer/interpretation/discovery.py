"""DNABERT-viz's motifs: sequences and how much each base is looked at -> regions -> enriched ones -> merged -> windows.

The five stages of `find_motifs.py` (Ji et al. 2021), each a function; `discover` runs them and counts what is left after each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, hypergeom

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N, decode
from genoformer.interpretation.matrices import Matrix
from genoformer.scoring.scores import Floats


class Discovery(NamedTuple):
    """The limits of the stages; the defaults are DNABERT's."""

    shortest: int = 5  # bases of a region
    over_least: float = 10.0  # a region lies above so many times the sequence's least score; 0 for maps with a floor or below 0
    q: float = 0.005  # false discovery rate of the enrichment
    window: int = 24  # bases around the middle of an instance
    instances: int = 3  # of a motif, at least
    once: bool = True  # a sequence counts once, however often it holds a candidate


class Instance(NamedTuple):
    """A place in a sequence: bases [start, end)."""

    sequence: int
    start: int
    end: int


class Motif(NamedTuple):
    """Places that are alike: their windows, aligned, as counts of bases [W, 4], and the q of the best candidate in them."""

    name: str
    consensus: str
    q: float
    places: list[Instance]
    counts: NDArray[np.int64]

    @property
    def frequencies(self) -> Floats:
        """[W, 4], with a pseudocount of 1 over the four bases."""
        counts = self.counts + 0.25
        return counts / counts.sum(1, keepdims=True)

    @property
    def matrix(self) -> Matrix:
        """For files, logos and Tomtom."""
        return Matrix(self.name, self.frequencies.astype(np.float64), len(self.places))


class Found(NamedTuple):
    """The motifs, those with the most places first, and how much each stage left over, in order."""

    motifs: list[Motif]
    survivors: dict[str, int]

    def text(self) -> str:
        """A line a stage; where nothing is left, which one took the last."""
        lines = [f"{n:>9,}  {stage}" for stage, n in self.survivors.items()]
        emptied = next((stage for stage, n in self.survivors.items() if not n), None)
        return "\n".join([*lines, *([f"nothing is left after: {emptied}"] if emptied else [])])


def high_regions(scores: Floats, shortest: int = 5, over_least: float = 10.0) -> list[tuple[int, int]]:
    """Runs [start, end) of `shortest` bases or more above the mean of the sequence and `over_least` times its minimum; [L]."""
    high = scores > scores.mean()
    if over_least:
        high &= scores > over_least * scores.min()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], high.astype(np.int8), [0]])))
    return [(a, b) for a, b in edges.reshape(-1, 2).tolist() if b - a >= shortest]


def enrichment(candidates: Sequence[str], positive: Sequence[str], negative: Sequence[str], *, once: bool = True) -> Floats:
    """q of each candidate: Benjamini-Hochberg of the hypergeometric chance to be in as many positive sequences or more.

    Of all sequences that hold it, as many as there are would be positive if each were drawn: sf(x - 1; N, K, n) with N all
    sequences, K the positive ones, n those that hold it and x those of them that are positive. once False counts places.
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
    """The most bases of b that agree with a when it is moved along it without gaps, and all shifts of b that do so."""
    scores = {}
    for shift in range(-len(b) + 1, len(a)):
        low, high = max(0, shift), min(len(a), shift + len(b))
        scores[shift] = sum(a[i] == b[i - shift] for i in range(low, high))
    best = max(scores.values())
    return best, [shift for shift, score in scores.items() if score == best]


def merged(candidates: Mapping[str, Sequence[Instance]], shortest: int = 5) -> dict[str, list[tuple[str, list[Instance]]]]:
    """Candidates that are alike under one seed, shortest first: seed -> members with their places, moved to lie on the seed.

    Alike: of the best shift without gaps at least max(shortest - 1, half of the shorter one) bases agree. Of shifts that are
    equally good the first is taken. A candidate joins the seed with which most agrees.
    """
    found: dict[str, list[tuple[str, list[Instance]]]] = {}
    for text in sorted(candidates, key=lambda text: (len(text), text)):
        best, to, by = 0, "", 0
        for seed in found:
            score, shifts = best_shift(seed, text)
            if score >= max(shortest - 1, min(len(seed), len(text)) / 2) and score > best:
                best, to, by = score, seed, shifts[0]
        if not to:
            found[text] = [(text, list(candidates[text]))]
        else:
            # base 0 of the seed lies `by` bases before base 0 of this one
            moved = [Instance(p.sequence, p.start - by, p.start - by + len(to)) for p in candidates[text]]
            found[to].append((text, moved))
    return found


def centred(places: Iterable[Instance], length: int, lengths: Sequence[int]) -> list[Instance]:
    """Windows of `length` bases around the middle of places, each once; those beyond an end are left out."""
    kept = []
    for place in places:
        start = (place.start + place.end) // 2 - length // 2
        if start >= 0 and start + length <= lengths[place.sequence]:
            kept.append(Instance(place.sequence, start, start + length))
    return list(dict.fromkeys(kept))


def discover(
    positive: Sequence[Codes], scores: Sequence[Floats], negative: Sequence[Codes], limits: Discovery | None = None
) -> Found:
    """Motifs of positive sequences where a model looks, and which negative ones lack; scores [L] of each positive one.

    Raises ConfigError without sequences of one of the two kinds, and for scores of other lengths.
    """
    limits = limits or Discovery()
    if not positive or not negative:
        raise ConfigError(f"{len(positive)} positive and {len(negative)} negative sequences: motifs need some of both.")
    if len(scores) != len(positive) or any(len(s) != len(codes) for s, codes in zip(scores, positive, strict=True)):
        raise ConfigError("the scores do not belong to the sequences: give one for every base of every positive sequence.")
    texts, others = [decode(codes) for codes in positive], [decode(codes) for codes in negative]
    places: dict[str, list[Instance]] = {}
    n_regions = 0
    for i, of in enumerate(scores):
        for start, end in high_regions(np.asarray(of), limits.shortest, limits.over_least):
            n_regions += 1
            if "N" not in texts[i][start:end]:
                places.setdefault(texts[i][start:end], []).append(Instance(i, start, end))
    candidates = list(places)
    q = dict(zip(candidates, enrichment(candidates, texts, others, once=limits.once).tolist(), strict=True))
    enriched = {text: places[text] for text in candidates if q[text] < limits.q}
    groups = merged(enriched, limits.shortest)
    motifs = []
    n_windows = 0
    for members in groups.values():
        windows = centred((p for _, of in members for p in of), limits.window, [len(codes) for codes in positive])
        n_windows += len(windows)
        if len(windows) < limits.instances:
            continue
        codes = np.stack([positive[p.sequence][p.start : p.end] for p in windows])
        counts = np.stack([(codes == base).sum(0) for base in range(N)], axis=1)
        best = min(members, key=lambda member: q[member[0]])[0]
        motifs.append(Motif(f"motif_{best}", decode(counts.argmax(1).astype(np.uint8)), q[best], windows, counts))
    survivors = {
        "sequences": len(positive),
        f"regions of {limits.shortest} bases or more that are looked at": n_regions,
        "candidates, different ones": len(candidates),
        f"enriched over the negative sequences (q < {limits.q:g})": len(enriched),
        "groups of those that are alike": len(groups),
        f"windows of {limits.window} bases inside their sequences": n_windows,
        f"motifs of {limits.instances} windows or more": len(motifs),
    }
    return Found(sorted(motifs, key=lambda motif: (-len(motif.places), motif.q)), survivors)
