"""Variants and controls -> matched strata of MAF, distance to a TSS, GC, length and coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.annotation.elements import Elements
from genoformer.annotation.genes import PARTS
from genoformer.annotation.overlap import Annotations
from genoformer.annotation.variant_regions import VariantRegions
from genoformer.genome.codes import N, gc_share
from genoformer.genome.contigs import ContigMap
from genoformer.genome.reference import Genome

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

EDGES: dict[str, tuple[float, ...]] = {
    "af": (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4),  # MAF
    "tss": (100, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 500_000),  # bases, in either direction
    "gc": (0.30, 0.35, 0.40, 0.45, 0.50, 0.55, 0.60, 0.65),  # fraction of G and C
}
MEANING = {
    "af": "minor allele frequency",
    "tss": "TSS distance",
    "gc": "GC content within 500 bp",
}
WIDEST = 4  # largest number of bins of EDGES that are merged into one
MOST_UNMATCHED = 0.05  # bins are widened if a larger fraction of the variants has too few controls
GC_REACH = 500  # bases on either side
FEWEST = 10  # controls of a stratum; variants of strata with fewer are unmatched
_ROWS = 4_096  # sequence windows per batch


class Strata(NamedTuple):
    """Strata of variants and controls; -1 if a covariate is unknown."""

    variants: Integers  # [n]
    controls: Integers  # [N]
    table: list[tuple[str, int, int]]  # (description, variants, controls) of each stratum
    widths: dict[str, int]  # bin width of each covariate, in bins of EDGES


def covariates(places: VariantRegions, by: Sequence[str], annotations: Annotations, genome: Genome | None) -> dict[str, Floats]:
    """Return the covariates: key of EDGES -> value of each region, NaN if unknown."""
    values: dict[str, Floats] = {}
    if "af" in by:
        values["af"] = places.frequency
    if "tss" in by:
        values["tss"] = np.full(len(places), np.nan)
        for contig, rows in places.by_contig():
            near = annotations.nearest_site(contig, places.starts[rows], places.ends[rows])
            if near is not None:
                values["tss"][rows] = np.abs(near[1])
    if "gc" in by:
        assert genome is not None
        values["gc"] = local_gc(places, genome)
    return values


def local_gc(places: VariantRegions, genome: Genome) -> Floats:
    """Return the fraction of G and C among the known bases within 500 bases of the centre of each region.

    NaN if half of the bases or more are N, or if the genome lacks the contig.
    """
    gc = np.full(len(places), np.nan)
    length = 2 * GC_REACH + 1
    names = ContigMap(places.contigs, genome.contigs)
    for contig, rows in places.by_contig():
        name = names.get(contig)
        if name is None:
            continue
        rows = rows[np.argsort(places.starts[rows], kind="stable")]
        middle = (places.starts[rows] + np.maximum(places.ends[rows] - 1, places.starts[rows])) // 2
        for i in range(0, len(rows), _ROWS):
            codes = genome.windows(name, middle[i : i + _ROWS] - GC_REACH, length)
            most = (codes < N).sum(axis=1) > length // 2
            gc[rows[i : i + _ROWS]] = np.where(most, gc_share(codes), np.nan)
    return gc


def coverage(places: VariantRegions, annotations: Annotations) -> Flags:
    """Return flags [n, annotations]: True if the annotation has data on the contig of a region; genes are last."""
    covered = np.zeros((len(places), len(annotations.all)), dtype=bool)
    for contig, rows in places.by_contig():
        covered[rows] = [source.has(contig) for source in annotations.all]
    return covered


class Described(NamedTuple):
    """Regions with what they are matched on."""

    regions: VariantRegions
    covariates: dict[str, Floats]  # as `covariates` returns them
    covered: Flags  # as `coverage` returns them

    def take(self, rows: Integers | Flags) -> Described:
        values = {key: column[rows] for key, column in self.covariates.items()}
        return Described(self.regions.take(rows), values, self.covered[rows])


def match(variants: Described, controls: Described) -> Strata:
    """Return strata with narrow bins that leave at most 5 % of the variants with too few controls.

    While more variants have too few, the bins of one covariate are doubled in width. It is the covariate after which the fewest
    such variants are left. At most 4 bins of EDGES are merged into one. Variants with an unknown covariate do not count.
    """
    widths = dict.fromkeys(variants.covariates, 1)
    best = stratify(variants, controls, widths)
    while _n_lost(best) > MOST_UNMATCHED * (best.variants >= 0).sum():
        wider = [widths | {key: 2 * width} for key, width in widths.items() if width < WIDEST]
        if not wider:
            break
        best, widths = min(((stratify(variants, controls, tried), tried) for tried in wider), key=lambda pair: _n_lost(pair[0]))
    return best


def _n_lost(strata: Strata) -> int:
    return int((unmatched(strata) & (strata.variants >= 0)).sum())


def bin_edges(key: str, width: int) -> tuple[float, ...]:
    """Return the bin edges of a covariate if `width` bins of EDGES are merged into one."""
    return EDGES[key][width - 1 :: width]


def stratify(variants: Described, controls: Described, widths: Mapping[str, int]) -> Strata:
    """Return strata of variants and controls with equal bins of all covariates, of length, and equal coverage.

    widths: bin width of each covariate, in bins of EDGES. Length bins span a factor of two. Coverage of the contig by the
    annotations is matched, so that an annotation without a contig is compared only where it has data.
    """
    names: list[list[str]] = []
    groups = (variants, controls)
    n = len(variants.regions)
    unknown = [np.zeros(len(group.regions), dtype=bool) for group in groups]
    stratum = np.zeros(n + len(controls.regions), dtype=np.int64)

    def add(bins: Integers, texts: list[str]) -> None:
        nonlocal stratum
        stratum = stratum * len(texts) + bins
        names.append(texts)

    for key in variants.covariates:
        values = [group.covariates[key] for group in groups]
        unknown = [was | np.isnan(value) for was, value in zip(unknown, values, strict=True)]
        edges = bin_edges(key, widths[key])
        add(np.searchsorted(edges, np.concatenate(values), side="right"), _intervals(key, edges))
    lengths = np.concatenate([np.maximum(group.regions.ends - group.regions.starts, 1) for group in groups])
    texts = [f"length {1 << i} to {(2 << i) - 1}" if i else "one base" for i in range(40)]
    add(np.minimum(np.floor(np.log2(lengths)).astype(np.int64), 39), texts)
    covered = np.concatenate([group.covered for group in groups])
    rows, which = np.unique(np.packbits(covered, axis=1), axis=0, return_inverse=True)
    n_covered = np.zeros(len(rows), dtype=np.int64)
    n_covered[which.reshape(-1)] = covered.sum(axis=1)
    add(which.reshape(-1), [f"{n} of {covered.shape[1]} annotations have the contig" for n in n_covered.tolist()])
    used, stratum = np.unique(stratum, return_inverse=True)
    of_variants, of_controls = np.where(unknown[0], -1, stratum[:n]), np.where(unknown[1], -1, stratum[n:])
    counts = [np.bincount(of[of >= 0], minlength=len(used)).tolist() for of in (of_variants, of_controls)]
    descriptions = [_spelt(number, names) for number in used.tolist()]
    return Strata(of_variants, of_controls, list(zip(descriptions, *counts, strict=True)), dict(widths))


def _spelt(number: int, names: Sequence[Sequence[str]]) -> str:
    """Describe a stratum in words."""
    words = []
    for texts in reversed(names):
        number, i = divmod(number, len(texts))
        words.append(texts[i])
    return "; ".join(reversed(words))


def _intervals(key: str, edges: Sequence[float]) -> list[str]:
    texts = [f"{edge:,g}" for edge in edges]
    between = (f"{key} {a} to {b}" for a, b in pairwise(texts))
    return [f"{key} below {texts[0]}", *between, f"{key} {texts[-1]} or more"]


def unmatched(strata: Strata) -> Flags:
    """Return flags [n] of variants with an unknown covariate or too few controls in their stratum."""
    enough = np.array([n_controls >= FEWEST for _, _, n_controls in strata.table] + [False])
    return ~enough[strata.variants]


# --- overlaps with each annotation


def membership(places: VariantRegions, annotations: Annotations) -> tuple[list[str], Flags, Flags]:
    """Return annotation names [A], flags of overlaps [n, A], and flags of possible overlaps [n, A].

    Elements with labels (states of a segmentation) give one annotation per label, genes one per first part. An overlap is
    possible if the file has the contig of the region.
    """
    names: list[str] = []
    columns: list[tuple[int, dict[str, int]]] = []  # first column of each element file, and label -> column
    for elements in annotations.elements:
        labels = {label: len(names) + i for i, label in enumerate(elements.labels)}
        columns.append((len(names), labels))
        names += [f"{elements.name}:{label}" for label in elements.labels] or [elements.name]
    first_part = len(names)
    has_parts = annotations.genes is not None and bool(annotations.genes.pieces)
    names += PARTS if has_parts else []
    flags, could = np.zeros((len(places), len(names)), dtype=bool), np.zeros((len(places), len(names)), dtype=bool)
    of_rows = [_columns_of_rows(elements, *column) for elements, column in zip(annotations.elements, columns, strict=True)]
    for contig, rows in places.by_contig():
        starts, ends = places.starts[rows], places.ends[rows]
        region, which, element = annotations.overlaps(contig, starts, ends)
        for k, of in enumerate(of_rows):
            selected = which == k
            column = of[element[selected]]
            flags[rows[region[selected]][column >= 0], column[column >= 0]] = True
        for (first, labels), elements in zip(columns, annotations.elements, strict=True):
            if elements.has(contig):
                could[rows, first : first + max(1, len(labels))] = True
        if has_parts:
            interval, part, _ = annotations.parts(contig, starts, ends)
            of_first = np.unique(interval, return_index=True)[1]
            flags[rows[interval[of_first]], first_part + part[of_first]] = True
            could[rows, first_part:] = bool(len(interval))
    return names, flags, could


def _columns_of_rows(elements: Elements, first: int, labels: Mapping[str, int]) -> Integers:
    """Return the column of each row of an element file; -1 for none."""
    if not labels:
        return np.full(len(elements), first)
    assert elements.names is not None
    of = np.array([labels.get(name, -1) for name in elements.names.values])
    return of[elements.names.codes]
