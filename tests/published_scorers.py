"""A contig with genes and variants in them, and the alignment of insertions and deletions that AlphaGenome publishes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genoformer.genome.codes import decode
from genoformer.genome.genes import Gene, Genes, Transcript
from genoformer.genome.variants import Variant

LENGTH = 4096
random = np.random.default_rng(7)
CONTIG = decode(random.integers(0, 4, 9000, dtype=np.uint8))
CHANGED = {"A": "C", "C": "G", "G": "T", "T": "A"}


def snv(pos: int) -> Variant:
    return Variant("c1", pos, CONTIG[pos - 1], CHANGED[CONTIG[pos - 1]])


def insertion(pos: int, text: str) -> Variant:
    """Inserts bases after `pos`; the first and the last differ from their neighbours, so that it has one spelling."""
    return Variant("c1", pos, CONTIG[pos - 1], CONTIG[pos - 1] + CHANGED[CONTIG[pos]] + text + CHANGED[CONTIG[pos - 1]])


def deletion(first: int, n: int) -> Variant:
    """Deletes n bases after the first position at or behind `first` where that has one spelling."""
    pos = next(p for p in range(first, first + 99) if CONTIG[p - 1] != CONTIG[p + n - 1] and CONTIG[p] != CONTIG[p + n])
    return Variant("c1", pos, CONTIG[pos - 1 : pos + n], CONTIG[pos - 1])


VARIANTS = [snv(4500), insertion(4511, "GATTACA"), deletion(4520, 6)]
KINDS = ["snv", "insertion", "deletion"]
EXONS = {  # gene -> strand and transcripts
    "forward": ("+", [[(4100, 4180), (4490, 4600)], [(4300, 4330), (4590, 4700)], [(1000, 1100), (4620, 4800)]]),
    "backward": ("-", [[(4200, 4530), (4900, 4960)], [(4205, 4400), (4900, 4940)]]),
    "elsewhere": (".", [[(4000, 4010), (5200, 5300)]]),
    "through": ("+", [[(3000, 3100), (7000, 7100)]]),  # from before the variants to behind their window, which ends at 6,528
    "last": ("+", [[(6490, 6560)]]),
    "ending": ("-", [[(6400, 6528)]]),
    "touching": ("-", [[(2300, 2432)]]),  # ends where the window begins
}
CODING = ("forward", "backward")


def biotype(name: str) -> str:
    return "protein_coding" if name in CODING else "lncRNA"


def _genes(names: Sequence[str]) -> Genes:
    number, genes = len(names), []
    for i, name in enumerate(names):
        strand, transcripts = EXONS[name]
        made = []
        for j, exons in enumerate(transcripts):
            made.append(Transcript(number, f"{name}-{j}", np.array(exons)))
            number += 1
        union = np.zeros(9000, dtype=bool)
        for exons in transcripts:
            for a, b in exons:
                union[a:b] = True
        edges = np.flatnonzero(np.diff(np.concatenate([[0], union, [0]])))
        ends = sorted({exons[0][0] if strand == "-" else exons[-1][1] - 1 for exons in transcripts})
        sites = tuple(ends[::-1] if strand == "-" else ends)
        genes.append(Gene(i, name, edges.reshape(-1, 2), strand, tuple(made), sites, biotype(name)))
    return Genes({"c1": genes})


GENES = _genes(list(EXONS))
NEAR = _genes(["forward", "backward", "elsewhere"])  # none of which lies over most of the window


def body(name: str) -> tuple[int, int]:
    exons = [exon for transcript in EXONS[name][1] for exon in transcript]
    return min(a for a, _ in exons), max(b for _, b in exons)


def aligned(alt: np.ndarray, variant: Variant, start: int) -> np.ndarray:
    """`align_alternate`: the largest value of inserted bases in the base before them, 0 for deleted bases and at the end."""
    at = variant.start - start + min(len(variant.ref), len(variant.alt)) - 1
    n = len(variant.alt) - len(variant.ref)
    if n > 0:
        rows = [*alt[:at], alt[at : at + n + 1].max(0), *alt[at + n + 1 :], *np.zeros((n, alt.shape[1]))]
    elif n < 0:
        rows = [*alt[: at + 1], *np.zeros((-n, alt.shape[1])), *alt[at + 1 : n]]
    else:
        rows = [*alt]
    assert len(rows) == len(alt)
    return np.array(rows)
