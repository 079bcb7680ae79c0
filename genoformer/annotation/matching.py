"""Which controls are like a variant: places -> strata of frequency, distance to a start site, GC, length and coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.annotation.overlap import Annotations
from genoformer.annotation.places import Places
from genoformer.genome.codes import N, gc_share
from genoformer.genome.contigs import ContigMap
from genoformer.genome.reference import Genome

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

EDGES: dict[str, tuple[float, ...]] = {
    "af": (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4),  # of the minor allele
    "tss": (100, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 500_000),  # bases, either side
    "gc": (0.30, 0.35, 0.40, 0.45, 0.50, 0.55, 0.60, 0.65),  # share of G and C
}
MEANING = {
    "af": "frequency of the minor allele",
    "tss": "bases to the nearest start site",
    "gc": "share of G and C within 500 bases",
}
WIDEST = 4  # bins of EDGES that are one, at the most
MOST_UNMATCHED = 0.05  # share of variants without enough controls, from which on wider bins are tried
GC_REACH = 500  # bases on either side
FEWEST = 10  # controls of a stratum; variants of strata with fewer are unmatched
_ROWS = 4_096  # windows of sequence at a time


class Strata(NamedTuple):
    """Variants and controls by stratum; -1 where something that is matched on is not known."""

    variants: Integers  # [n]
    controls: Integers  # [N]
    table: list[tuple[str, int, int]]  # (what it is, variants, controls) of each
    widths: dict[str, int]  # of the bins of each covariate, in bins of EDGES


def covariates(places: Places, by: Sequence[str], annotations: Annotations, genome: Genome | None) -> dict[str, Floats]:
    """What is matched on: key of EDGES -> value of each place, NaN where it is not known."""
    found: dict[str, Floats] = {}
    if "af" in by:
        found["af"] = places.frequency
    if "tss" in by:
        found["tss"] = np.full(len(places), np.nan)
        for contig, rows in places.by_contig():
            near = annotations.nearest_site(contig, places.starts[rows], places.ends[rows])
            if near is not None:
                found["tss"][rows] = np.abs(near[1])
    if "gc" in by:
        assert genome is not None
        found["gc"] = local_gc(places, genome)
    return found


def local_gc(places: Places, genome: Genome) -> Floats:
    """Share of G and C among the known bases from 500 before the middle of each place to 500 behind it.

    NaN where half of them or more are not known, and on a contig that the genome lacks.
    """
    found = np.full(len(places), np.nan)
    length = 2 * GC_REACH + 1
    names = ContigMap(places.contigs, genome.contigs)
    for contig, rows in places.by_contig():
        here = names.get(contig)
        if here is None:
            continue
        rows = rows[np.argsort(places.starts[rows], kind="stable")]
        middle = (places.starts[rows] + np.maximum(places.ends[rows] - 1, places.starts[rows])) // 2
        for i in range(0, len(rows), _ROWS):
            codes = genome.windows(here, middle[i : i + _ROWS] - GC_REACH, length)
            most = (codes < N).sum(axis=1) > length // 2
            found[rows[i : i + _ROWS]] = np.where(most, gc_share(codes), np.nan)
    return found


def coverage(places: Places, annotations: Annotations) -> NDArray[np.bool_]:
    """Whether each annotation has anything on the contig of each place, [n, annotations]; genes are the last."""
    found = np.zeros((len(places), len(annotations.all)), dtype=bool)
    for contig, rows in places.by_contig():
        found[rows] = [each.has(contig) for each in annotations.all]
    return found


Described = tuple[Places, dict[str, Floats], NDArray[np.bool_]]  # places with their covariates and coverage


def match(variants: Described, controls: Described) -> Strata:
    """Strata in bins that are as narrow as leaves at most 5 % of the variants with too few controls.

    As long as more are, bins of one covariate are widened to twice as many of EDGES, that after which the fewest are left;
    at most 4 of them are one. Variants that something is not known of do not count.
    """
    widths = dict.fromkeys(variants[1], 1)
    best = stratify(variants, controls, widths)
    while _n_alone(best) > MOST_UNMATCHED * (best.variants >= 0).sum():
        wider = [widths | {key: 2 * width} for key, width in widths.items() if width < WIDEST]
        tried = [(stratify(variants, controls, each), each) for each in wider]
        if not tried:
            break
        found, widths = min(tried, key=lambda each: _n_alone(each[0]))
        best = found
    return best


def _n_alone(strata: Strata) -> int:
    return int((unmatched(strata) & (strata.variants >= 0)).sum())


def edges_of(key: str, width: int) -> tuple[float, ...]:
    """The edges of bins of a covariate, of which so many of EDGES are one."""
    return EDGES[key][width - 1 :: width]


def stratify(variants: Described, controls: Described, widths: Mapping[str, int]) -> Strata:
    """Strata of variants and controls: equal bins of all covariates, of certain widths, and of length.

    Lengths are equal to a factor of two. That annotations cover the contig is matched, so that one that lacks a contig, as
    some do, is compared where it could have been.
    """
    names: list[list[str]] = []
    unknown = [np.zeros(len(each[0]), dtype=bool) for each in (variants, controls)]
    stratum = np.zeros(len(variants[0]) + len(controls[0]), dtype=np.int64)

    def add(bins: Integers, texts: list[str]) -> None:
        nonlocal stratum
        stratum = stratum * len(texts) + bins
        names.append(texts)

    for key in variants[1]:
        values = [each[1][key] for each in (variants, controls)]
        unknown = [was | np.isnan(value) for was, value in zip(unknown, values, strict=True)]
        edges = edges_of(key, widths[key])
        add(np.searchsorted(edges, np.concatenate(values), side="right"), _intervals(key, edges))
    lengths = np.concatenate([np.maximum(each[0].ends - each[0].starts, 1) for each in (variants, controls)])
    texts = [f"length {1 << i} to {(2 << i) - 1}" if i else "one base" for i in range(40)]
    add(np.minimum(np.floor(np.log2(lengths)).astype(np.int64), 39), texts)
    covered = np.concatenate([variants[2], controls[2]])
    rows, which = np.unique(np.packbits(covered, axis=1), axis=0, return_inverse=True)
    n_covered = np.zeros(len(rows), dtype=np.int64)
    n_covered[which.reshape(-1)] = covered.sum(axis=1)
    add(which.reshape(-1), [f"{n} of {covered.shape[1]} annotations have the contig" for n in n_covered.tolist()])
    used, stratum = np.unique(stratum, return_inverse=True)
    n = len(variants[0])
    of_variants, of_controls = np.where(unknown[0], -1, stratum[:n]), np.where(unknown[1], -1, stratum[n:])
    counts = [np.bincount(of[of >= 0], minlength=len(used)).tolist() for of in (of_variants, of_controls)]
    what = [_spelt(number, names) for number in used.tolist()]
    return Strata(of_variants, of_controls, list(zip(what, *counts, strict=True)), dict(widths))


def _spelt(number: int, names: Sequence[Sequence[str]]) -> str:
    """A stratum in words."""
    words = []
    for texts in reversed(names):
        number, i = divmod(number, len(texts))
        words.append(texts[i])
    return "; ".join(reversed(words))


def _intervals(key: str, edges: Sequence[float]) -> list[str]:
    texts = [f"{edge:,g}" for edge in edges]
    between = (f"{key} {a} to {b}" for a, b in pairwise(texts))
    return [f"{key} below {texts[0]}", *between, f"{key} {texts[-1]} or more"]


def unmatched(strata: Strata) -> NDArray[np.bool_]:
    """[n]: variants that something is not known of, or whose stratum has too few controls."""
    enough = np.array([n_controls >= FEWEST for _, _, n_controls in strata.table] + [False])
    return ~enough[strata.variants]
