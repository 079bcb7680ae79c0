"""Load the twelve planted JASPAR profiles (motifs.toml -> matrices), draw instances, and score matches in bits."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.genome.codes import Codes, reverse_complement

PSEUDOCOUNT = 0.01  # fraction of the uniform distribution mixed into each column: no base costs more than 8.6 bits
SHARPENING = 1.5  # instances are drawn from p ** 1.5, renormalised: the counts also hold reads that are not sites


class Motif(NamedTuple):
    id: str
    name: str
    log2p: NDArray[np.float64]  # [W, 4], log2 of the probability of A, C, G, T

    @property
    def width(self) -> int:
        return len(self.log2p)


@cache
def load_motifs() -> dict[str, Motif]:
    """Return the matrices by name, in the order of the file."""
    motifs = {}
    for entry in _table()["motif"]:
        counts = np.array(entry["counts"], dtype=np.float64)
        p = (1 - PSEUDOCOUNT) * counts / counts.sum(1, keepdims=True) + PSEUDOCOUNT / 4
        motifs[entry["name"]] = Motif(entry["id"], entry["name"], np.log2(p))
    return motifs


def attribution() -> str:
    """Return the citation for the matrices."""
    return str(_table()["attribution"]).strip()


def draw(motif: Motif, rng: np.random.Generator) -> Codes:
    """Draw one instance, uint8 [W], with each base independent and proportional to p ** SHARPENING."""
    p = np.exp2(SHARPENING * motif.log2p)
    cumulative = np.cumsum(p / p.sum(1, keepdims=True), axis=1)
    return (rng.random((motif.width, 1)) > cumulative[:, :3]).sum(1).astype(np.uint8)


def match_bits(motif: Motif, site: Codes) -> float:
    """Return log2 of p(site | motif) / p(site | uniform), for codes [W] on the motif's own strand."""
    return float(motif.log2p[np.arange(motif.width), site].sum() + 2 * motif.width)


def best_match_bits(motif: Motif, codes: Codes) -> float:
    """Return the largest match_bits in codes [L] on either strand; -inf if the sequence is shorter than the motif."""
    if len(codes) < motif.width:
        return float("-inf")
    sites = np.lib.stride_tricks.sliding_window_view(codes, motif.width)  # [L - W + 1, W]
    both = np.concatenate([sites, reverse_complement(sites)])
    return float(motif.log2p[np.arange(motif.width), both].sum(1).max() + 2 * motif.width)


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads((files("genoformer_data") / "motifs.toml").read_text(encoding="utf-8"))
