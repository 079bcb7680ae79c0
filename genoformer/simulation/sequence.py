"""Generate sequence: composition classes -> bases from a Markov chain with human dinucleotides -> two repeat families."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.genome.codes import A, C, Codes, G, encode, reverse_complement

# Observed/expected of each dinucleotide in human DNA, both strands together (rows A C G T, then columns A C G T);
# CG is set per class. Measured on 4 Mb of GRCh38 chr10; Burge, Campbell & Karlin (PNAS 1992) give the same within 0.05.
ODDS = np.array(
    [
        [1.11, 0.84, 1.17, 0.88],
        [1.20, 1.24, 0.00, 1.17],
        [0.99, 1.02, 1.24, 0.84],
        [0.76, 0.99, 1.20, 1.11],
    ]
)


class Composition(NamedTuple):
    gc: float  # fraction of G+C
    cpg: float  # CpG observed/expected


ISOCHORES = (Composition(0.37, 0.20), Composition(0.40, 0.22), Composition(0.44, 0.24))  # L, H1, H2 of human, roughly
ISLAND = Composition(0.62, 0.78)
CLASSES = (*ISOCHORES, ISLAND)
ISLAND_CLASS = len(ISOCHORES)

SEGMENT = 512  # bases drawn one after the other; all segments of a contig are drawn in parallel
REPEAT_FRACTION = 0.10
REPEAT_DIVERGENCE = (0.10, 0.20)
CPG_DECAY = 0.7  # fraction of the CpGs of a copy that became TpG or CpA, by deamination of methylated C
_SPECIES = 20240  # the repeat families are the same in every simulated genome, as within one species


def dinucleotides(composition: Composition) -> NDArray[np.float64]:
    """Return joint probabilities [4, 4] of neighbours: given base frequencies as margins, given CpG, the rest near ODDS."""
    at, gc = (1 - composition.gc) / 2, composition.gc / 2
    base = np.array([at, gc, gc, at])
    joint = ODDS * np.outer(base, base)
    for _ in range(200):  # iterative proportional fitting
        joint[C, G] = composition.cpg * gc * gc
        joint *= (base / joint.sum(1))[:, None]
        joint *= base / joint.sum(0)
    return joint


def background(classes: NDArray[np.uint8], rng: np.random.Generator) -> Codes:
    """Draw bases [L] from a first-order Markov chain whose composition at each base is CLASSES[classes].

    The chain restarts every SEGMENT bases, so that the segments can be drawn in parallel.
    """
    joints = np.stack([dinucleotides(composition) for composition in CLASSES])  # [K, 4, 4]
    start = np.cumsum(joints.sum(2), axis=1)[:, :3]
    step = np.cumsum(joints / joints.sum(2, keepdims=True), axis=2)[:, :, :3]
    n = -(-len(classes) // SEGMENT)
    padded = np.zeros(n * SEGMENT, dtype=np.uint8)
    padded[: len(classes)] = classes
    by_step = np.ascontiguousarray(padded.reshape(n, SEGMENT).T)  # [SEGMENT, n]
    codes = np.empty_like(by_step)
    for i, cls in enumerate(by_step):
        cumulative = start[cls] if i == 0 else step[cls, codes[i - 1]]  # [n, 3]
        codes[i] = (rng.random(n)[:, None] > cumulative).sum(1)
    return codes.T.reshape(-1)[: len(classes)].copy()


def repeat_families() -> tuple[Codes, Codes]:
    """Return the consensus of a SINE (300 bp with an A tail, GC-rich like Alu) and of a LINE (1,200 bp, AT-rich like L1)."""
    rng = np.random.default_rng(_SPECIES)
    sine = rng.choice(4, size=280, p=[0.22, 0.28, 0.28, 0.22]).astype(np.uint8)
    line = rng.choice(4, size=1_200, p=[0.38, 0.22, 0.20, 0.20]).astype(np.uint8)
    return np.concatenate([sine, np.full(20, A, dtype=np.uint8)]), line


def insert_repeats(codes: Codes, free: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Overwrite free stretches of `codes` with diverged repeat copies on either strand; return their mask, bool [L].

    SINE copies are complete; LINE copies keep a 3' part, because reverse transcription stops early. Each copy has its own
    divergence, two thirds of it transitions, and has lost most of its CpGs.
    """
    repeat = np.zeros(len(codes), dtype=bool)
    sine, line = repeat_families()
    target, made, tries = REPEAT_FRACTION * len(codes), 0, 0
    while made < target and tries < len(codes) // 50:
        tries += 1
        copy = sine if rng.random() < 0.6 else line[-int(rng.integers(150, 700)) :]
        at = int(rng.integers(0, len(codes) - len(copy)))
        here = slice(at, at + len(copy))
        if not free[here].all() or repeat[here].any():
            continue
        codes[here] = _diverged(copy if rng.random() < 0.5 else reverse_complement(copy), rng)
        repeat[here] = True
        made += len(copy)
    return repeat


def _diverged(copy: Codes, rng: np.random.Generator) -> Codes:
    changed = rng.random(len(copy)) < rng.uniform(*REPEAT_DIVERGENCE)
    # A C G T = 0 1 2 3: xor 2 is the transition (A<->G, C<->T), xor 1 and xor 3 the two transversions
    swap = rng.choice(np.array([2, 1, 3], dtype=np.uint8), size=len(copy), p=[2 / 3, 1 / 6, 1 / 6])
    diverged = np.where(changed, copy ^ swap, copy)
    cpg = np.flatnonzero((diverged[:-1] == C) & (diverged[1:] == G))
    cpg = cpg[rng.random(len(cpg)) < CPG_DECAY]
    diverged[cpg + rng.integers(2, size=len(cpg))] ^= 2
    return diverged


STOPS = frozenset({"TAA", "TAG", "TGA"})
_STOP_CODES = np.array([encode(stop) for stop in sorted(STOPS)])


def open_reading_frame(codes: Codes) -> Codes:
    """Return the bases with a start codon first, a stop codon last, and every stop in between opened (T..A -> G..A)."""
    codons = codes.reshape(-1, 3).copy()
    stop = (codons[:, None] == _STOP_CODES).all(2).any(1)
    codons[stop, 0] = G
    codons[0], codons[-1] = encode("ATG"), encode("TAA")
    return codons.reshape(-1)
