"""Compute the effects of planted motifs: instances -> activity per element and cell type -> enhancer-gene links -> CAGE.

    activity(element, cell) = sum of max(0, bits) over its instances whose factor is active in the cell type, / 100
    contribution(enhancer, gene, cell) = GAIN x activity x exp(-distance / DECAY); 0 if it is insulated
    CAGE(gene, cell) = PROMOTER x activity(promoter, cell) x (1 + sum of the contributions of the enhancers within REACH)

The factors of `grammar.PROGRAMS` are active in their cell type; CTCF and the factors of promoters are active in both. Promoters
therefore do not depend on the cell type, and every difference in the CAGE of a gene between cell types comes from enhancers
(elements E and WE). The distance is from the middle of the enhancer to the TSS. Any planted CTCF instance, on either strand,
whose middle lies between the two insulates an enhancer from a gene.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from genoformer.simulation.grammar import PROGRAMS, PROMOTER_ORDER, Element, Gene, Instance

CELLS = tuple(PROGRAMS)
INSULATOR = "CTCF"
EVERYWHERE = frozenset(name for name, _ in PROMOTER_ORDER) | {INSULATOR}  # factors active in all cell types
ACTIVE = {cell: EVERYWHERE | set(program) for cell, program in PROGRAMS.items()}
ENHANCERS = ("E", "WE")

BITS = 100.0  # bits of activity 1; activities: enhancer about 1.3, weak enhancer 0.8, promoter 1.0, CTCF site 0.2
REACH = 50_000  # largest distance of an enhancer from a TSS, in bases
DECAY = 25_000.0  # distance in bases over which a contribution falls to 1 / e; at REACH it is 0.14
GAIN = 5.0  # contribution to a gene's CAGE of an enhancer of activity 1 at its TSS, in units of its promoter's
PROMOTER = 100.0  # CAGE counts of a promoter of activity 1 without enhancers
NEAR = 2_000  # distance in bases from the TSS, beyond which an enhancer is distal
DEPENDS = 0.5  # minimum distal contribution for a gene that depends on distal enhancers


class Link(NamedTuple):
    """Enhancer that is active in a cell type, and a gene within REACH of it."""

    enhancer: str
    gene: str
    cell: str
    distance: int  # bases, middle of the enhancer to TSS
    insulated: bool
    activity: float
    contribution: float  # to the gene's CAGE, in units of the CAGE from its promoter alone


class Expression(NamedTuple):
    """Expected CAGE of a gene in a cell type: cage = promoter x (1 + near + distal)."""

    gene: str
    contig: str
    tss: int
    strand: str
    cell: str
    promoter: float  # counts without enhancers
    near: float  # contributions from within NEAR
    distal: float  # contributions from beyond
    cage: float  # counts

    @property
    def depends_on_distal(self) -> bool:
        return self.distal >= DEPENDS


def activities(instances: Iterable[Instance]) -> dict[str, dict[str, float]]:
    """Return cell type -> name of an element -> activity; an element without an active instance is absent."""
    found: dict[str, dict[str, float]] = {cell: defaultdict(float) for cell in CELLS}
    for instance in instances:
        for cell, factors in ACTIVE.items():
            if instance.motif in factors and instance.bits > 0:
                found[cell][instance.element] += instance.bits / BITS
    return {cell: dict(of) for cell, of in found.items()}


def regulation(elements: Iterable[Element], instances: Sequence[Instance], genes: Iterable[Gene]) -> list[Link]:
    """Return every active enhancer within REACH of every gene, insulated or not; by gene, cell type and position."""
    active = activities(instances)
    sites: dict[str, list[int]] = defaultdict(list)
    for instance in instances:
        if instance.motif == INSULATOR:
            sites[instance.contig].append(_middle(instance))
    enhancers: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for element in elements:
        if element.state in ENHANCERS:
            enhancers[element.contig].append((_middle(element), element.name))
    for middles in sites.values():
        middles.sort()
    for named in enhancers.values():
        named.sort()
    links = []
    for gene in genes:
        here, between = enhancers[gene.contig], sites[gene.contig]
        reached = here[bisect_left(here, (gene.tss - REACH, "")) : bisect_right(here, (gene.tss + REACH, "~"))]
        for cell in CELLS:
            for place, name in reached:
                if name in active[cell]:
                    low, high = sorted((place, gene.tss))
                    insulated = bisect_right(between, low) < bisect_left(between, high)
                    activity, distance = active[cell][name], abs(place - gene.tss)
                    share = 0.0 if insulated else contribution(activity, distance)
                    links.append(Link(name, gene.name, cell, distance, insulated, activity, share))
    return links


def expression(
    elements: Iterable[Element], instances: Iterable[Instance], genes: Sequence[Gene], links: Iterable[Link]
) -> list[Expression]:
    """Return the expected CAGE of every gene in every cell type, in the order of the genes."""
    active = activities(instances)
    promoters = [element for element in elements if element.state == "TSS"]
    sums: dict[tuple[str, str, bool], float] = defaultdict(float)
    for link in links:
        sums[link.gene, link.cell, link.distance > NEAR] += link.contribution
    found = []
    for gene, promoter in zip(genes, promoters, strict=True):
        assert (promoter.contig, promoter.start <= gene.tss < promoter.end) == (gene.contig, True)
        for cell in CELLS:
            alone = PROMOTER * active[cell].get(promoter.name, 0.0)
            near, distal = (sums[gene.name, cell, far] for far in (False, True))
            cage = alone * (1 + near + distal)
            found.append(Expression(gene.name, gene.contig, gene.tss, gene.strand, cell, alone, near, distal, cage))
    return found


def contribution(activity: float, distance: int) -> float:
    """Return the contribution of a non-insulated enhancer to the CAGE of a gene `distance` bases away; 0 beyond REACH.

    >>> [round(contribution(0.8, distance), 3) for distance in (0, 25_000, 50_000, 50_001)]
    [4.0, 1.472, 0.541, 0.0]
    """
    return GAIN * activity * math.exp(-distance / DECAY) if distance <= REACH else 0.0


def regulation_lines(links: Iterable[Link]) -> Iterator[str]:
    yield "\t".join(Link._fields)
    for link in links:
        yield (
            f"{link.enhancer}\t{link.gene}\t{link.cell}\t{link.distance}\t{link.insulated:d}\t"
            f"{link.activity:.6f}\t{link.contribution:.6f}"
        )


def expression_lines(rows: Iterable[Expression]) -> Iterator[str]:
    yield "\t".join(Expression._fields)
    for row in rows:
        numbers = "\t".join(f"{value:.6f}" for value in (row.promoter, row.near, row.distal, row.cage))
        yield f"{row.gene}\t{row.contig}\t{row.tss}\t{row.strand}\t{row.cell}\t{numbers}"


def _middle(thing: Element | Instance) -> int:
    return (thing.start + thing.end) // 2
