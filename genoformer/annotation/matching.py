"""Which controls are like a variant: places -> strata of frequency, distance to a start site, GC, length and coverage."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.annotation.overlap import Annotations
from genoformer.annotation.places import Places
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
WIDTHS = (1, 2, 4)  # bins of EDGES that are one, tried in this order
MOST_UNMATCHED = 0.05  # share of variants without enough controls, from which on wider bins are tried
GC_REACH = 500  # bases on either side
FEWEST = 10  # controls of a stratum; variants of strata with fewer are unmatched
_ROWS = 4_096  # windows of sequence at a time


class Strata(NamedTuple):
    """Variants and controls by stratum; -1 where something that is matched on is not known."""

    variants: Integers  # [n]
    controls: Integers  # [N]
    table: list[tuple[str, int, int]]  # (what it is, variants, controls) of each
    width: int = 1  # of WIDTHS


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
    """Share of G and C among the known bases from 500 before the middle of each place to 500 behind it; NaN of none."""
    found = np.full(len(places), np.nan)
    length = 2 * GC_REACH + 1
    for contig, rows in places.by_contig():
        here = ContigMap([contig], genome.contigs).get(contig)
        if here is None:
            continue
        rows = rows[np.argsort(places.starts[rows], kind="stable")]
        middle = (places.starts[rows] + np.maximum(places.ends[rows] - 1, places.starts[rows])) // 2
        for i in range(0, len(rows), _ROWS):
            codes = genome.windows(here, middle[i : i + _ROWS] - GC_REACH, length)
            known = (codes < 4).sum(axis=1)
            gc = ((codes == 1) | (codes == 2)).sum(axis=1)
            found[rows[i : i + _ROWS]] = np.where(known > length // 2, gc / np.maximum(known, 1), np.nan)
    return found


def coverage(places: Places, annotations: Annotations) -> NDArray[np.bool_]:
    """Whether each annotation has anything on the contig of each place, [n, annotations]; genes are the last."""
    found = np.zeros((len(places), len(annotations.all)), dtype=bool)
    for contig, rows in places.by_contig():
        found[rows] = [annotations.contig_in(each, contig) is not None for each in annotations.all]
    return found


Described = tuple[Places, dict[str, Floats], NDArray[np.bool_]]  # places with their covariates and coverage


def match(variants: Described, controls: Described) -> Strata:
    """Strata in the narrowest bins in which at most 5 % of the variants have too few controls, else those with the fewest.

    Variants that something is not known of do not count.
    """
    found = []
    for width in WIDTHS:
        strata = stratify(variants, controls, width)
        known = strata.variants >= 0
        found.append((int((unmatched(strata) & known).sum()), strata))
        if found[-1][0] <= MOST_UNMATCHED * known.sum():
            return strata
    return min(found, key=lambda each: each[0])[1]


def stratify(variants: Described, controls: Described, width: int = 1) -> Strata:
    """Strata of variants and controls: equal bins of all covariates, `width` bins of EDGES together, and of length.

    Lengths are equal to a factor of two. That annotations cover the contig is matched, so that one that lacks a contig, as
    some do, is compared where it could have been.
    """
    both: list[Integers] = []
    names: list[list[str]] = []
    unknown = [np.zeros(len(each[0]), dtype=bool) for each in (variants, controls)]
    for key in variants[1]:
        edges = EDGES[key][width - 1 :: width]
        values = [each[1][key] for each in (variants, controls)]
        unknown = [was | np.isnan(value) for was, value in zip(unknown, values, strict=True)]
        both.append(np.searchsorted(edges, np.concatenate(values), side="right"))
        names.append(_intervals(key, edges))
    lengths = np.concatenate([np.maximum(each[0].ends - each[0].starts, 1) for each in (variants, controls)])
    both.append(np.floor(np.log2(lengths)).astype(np.int64))
    names.append([f"length {1 << i} to {(2 << i) - 1}" if i else "one base" for i in range(64)])
    covered, which = np.unique(np.concatenate([variants[2], controls[2]]), axis=0, return_inverse=True)
    both.append(which.reshape(-1))
    names.append([f"{row.sum()} of {covered.shape[1]} annotations have the contig" for row in covered])
    rows, stratum = np.unique(np.stack(both, axis=1), axis=0, return_inverse=True)
    stratum = stratum.reshape(-1).astype(np.int64)
    n = len(variants[0])
    of_variants, of_controls = np.where(unknown[0], -1, stratum[:n]), np.where(unknown[1], -1, stratum[n:])
    counts = [np.bincount(of[of >= 0], minlength=len(rows)).tolist() for of in (of_variants, of_controls)]
    what = ["; ".join(name[i] for name, i in zip(names, row, strict=True)) for row in rows.tolist()]
    return Strata(of_variants, of_controls, list(zip(what, *counts, strict=True)), width)


def _intervals(key: str, edges: Sequence[float]) -> list[str]:
    texts = [f"{edge:,g}" for edge in edges]
    between = (f"{key} {a} to {b}" for a, b in pairwise(texts))
    return [f"{key} below {texts[0]}", *between, f"{key} {texts[-1]} or more"]


def unmatched(strata: Strata) -> NDArray[np.bool_]:
    """[n]: variants that something is not known of, or whose stratum has too few controls."""
    enough = np.array([n_controls >= FEWEST for _, _, n_controls in strata.table] + [False])
    return ~enough[strata.variants]
