"""Lay out a contig: seed -> genes, regulatory elements -> motif instances in the elements -> seven states.

The contig is cut into slots of about 2 kb with one element each. A run of slots is a gene: its promoter is in the first slot
in the direction of transcription, with one exon per slot. The other slots, between and inside genes, hold enhancers and CTCF
sites.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.genome.codes import Codes, reverse_complement
from genoformer.simulation.motifs import draw, load_motifs, match_bits
from genoformer.simulation.sequence import ISLAND_CLASS, ISOCHORES

GAP = 500  # bases of N at each end of a contig, where an assembly has its telomere gap
FLANK = (400, 900)  # bases of a slot on each side of its element
STATES = ("R", "T", "PF", "WE", "CTCF", "E", "TSS")  # code = index in this list; later states overwrite earlier ones
LENGTH = {"TSS": (300, 600), "E": (300, 600), "WE": (250, 450), "CTCF": (200, 300)}
ELEMENT_SHARES = {"E": 0.50, "WE": 0.25, "CTCF": 0.25}  # fractions of the slots without a promoter
N_INSTANCES = {"E": (6, 8), "WE": (4, 5)}
PROMOTER_ORDER = (  # upstream to downstream, each with the fraction of promoters that have it
    ("RFX5", 0.5),
    ("NRF1", 0.8),
    ("SP1", 0.9),
    ("ZNF143", 0.6),
    ("SP1", 0.7),
    ("NRF1", 0.5),
    ("ELK1", 0.9),
    ("ELK1", 0.4),
)
PROGRAMS = {"liver": ("HNF4A", "HNF1A", "CEBPB"), "erythroid": ("GATA1::TAL1", "NFE2", "USF2")}
SENSE = 0.8  # fraction of a promoter's instances on the strand of transcription
COHESIN = 0.3  # fraction of CTCF sites with a neighbouring ZNF143 site
SPACER = 2  # minimum number of bases between two instances
PROMOTER_FLANK = 300  # bases of PF on each side of a promoter
ISLAND_SHARE = 0.7  # fraction of promoters in a CpG island, as in human


class Element(NamedTuple):
    contig: str
    start: int
    end: int
    strand: str  # strand of transcription for promoters, else "."
    state: str  # TSS, E, WE or CTCF
    program: str  # constitutive, liver or erythroid: the cell types in which it is active
    name: str


class Instance(NamedTuple):
    contig: str
    start: int
    end: int
    strand: str
    motif: str
    bits: float  # log2 p(site | matrix) / p(site | uniform)
    element: str  # name of the element that contains it


class Gene(NamedTuple):
    contig: str
    start: int
    end: int
    strand: str
    name: str
    exons: tuple[tuple[int, int], ...]  # ascending, 0-based half-open
    cds: tuple[int, int]  # first to last coding base, the stop codon included; spliced length is 3 x n

    @property
    def tss(self) -> int:
        return self.start if self.strand == "+" else self.end - 1

    def coding(self) -> NDArray[np.int64]:
        """Return the positions of the coding bases in the order of translation."""
        spans = [np.arange(max(a, self.cds[0]), min(b, self.cds[1])) for a, b in self.exons]
        positions = np.concatenate(spans)
        return positions if self.strand == "+" else positions[::-1]


class Layout(NamedTuple):
    elements: list[Element]
    genes: list[Gene]


def lay_out(contig: str, length: int, rng: np.random.Generator) -> Layout:
    """Draw the elements and genes of one contig, both ascending."""
    elements: list[Element] = []
    genes: list[Gene] = []
    slots = _slots(length, rng)
    i = 0
    while i < len(slots):  # n slots between genes, then a gene over the next n
        n_between = int(rng.integers(1, 4))
        n_gene = int(rng.integers(2, 7))
        elements += [_element(contig, slot, _distal(rng), ".", rng) for slot in slots[i : i + n_between]]
        run = slots[i + n_between : i + n_between + n_gene]
        i += n_between + n_gene
        if len(run) < 2:
            elements += [_element(contig, slot, _distal(rng), ".", rng) for slot in run]
            continue
        strand = "+" if rng.random() < 0.5 else "-"
        first = 0 if strand == "+" else len(run) - 1
        inside = [
            _element(contig, slot, "TSS" if k == first else _distal(rng), strand if k == first else ".", rng)
            for k, slot in enumerate(run)
        ]
        genes.append(_gene(contig, run, inside, strand, rng))
        elements += inside
    return Layout(_named(elements, contig), [g._replace(name=f"SIM{contig[3:]}G{k}") for k, g in enumerate(genes, 1)])


def thin(layout: Layout, share: float, rng: np.random.Generator) -> Layout:
    """Keep all genes and promoters, and each other element with probability `share`, independently."""
    if share == 1:
        return layout
    keep = rng.random(len(layout.elements)) < share
    elements = [e for e, kept in zip(layout.elements, keep.tolist(), strict=True) if kept or e.state == "TSS"]
    return layout._replace(elements=elements)


def plant(codes: Codes, elements: list[Element], rng: np.random.Generator) -> list[Instance]:
    """Write the motif instances of every element into `codes` and return them, ascending."""
    motifs = load_motifs()
    instances = []
    for element in elements:
        sites = _sites(element, rng)
        widths = [motifs[name].width for name, _ in sites]
        slack = element.end - element.start - sum(widths) - SPACER * (len(sites) + 1)
        cuts = np.sort(rng.integers(0, slack + 1, size=len(sites)))  # slack to the left of each instance
        start = element.start + SPACER
        for (name, strand), width, cut, previous in zip(sites, widths, cuts, (0, *cuts[:-1]), strict=True):
            start += int(cut - previous)
            site = draw(motifs[name], rng)
            codes[start : start + width] = site if strand == "+" else reverse_complement(site)
            bits = match_bits(motifs[name], site)
            instances.append(Instance(element.contig, start, start + width, strand, name, bits, element.name))
            start += width + SPACER
    return instances


def paint(length: int, layout: Layout) -> NDArray[np.uint8]:
    """Return the state of every base, uint8 [L], as an index into STATES."""
    states = np.full(length, STATES.index("R"), dtype=np.uint8)
    for gene in layout.genes:
        states[gene.start : gene.end] = STATES.index("T")
    for element in layout.elements:
        if element.state == "TSS":
            states[element.start - PROMOTER_FLANK : element.end + PROMOTER_FLANK] = STATES.index("PF")
    for element in layout.elements:
        states[element.start : element.end] = STATES.index(element.state)
    return states


def compose(length: int, layout: Layout, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw the composition class of every base, uint8 [L]: isochores of 50 to 150 kb, and CpG islands over promoters."""
    classes = np.empty(length, dtype=np.uint8)
    start = 0
    while start < length:
        end = start + int(rng.integers(50_000, 150_001))
        classes[start:end] = rng.integers(len(ISOCHORES))
        start = end
    for element in layout.elements:
        if element.state == "TSS" and rng.random() < ISLAND_SHARE:
            left, right = rng.integers(100, 350, size=2)
            classes[element.start - left : element.end + right] = ISLAND_CLASS
    return classes


def _slots(length: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    shortest, longest = (2 * flank + max(high for _, high in LENGTH.values()) for flank in FLANK)
    slots, start = [], GAP
    while (end := start + int(rng.integers(shortest, longest + 1))) <= length - GAP:
        slots.append((start, end))
        start = end
    return slots


def _distal(rng: np.random.Generator) -> str:
    return str(rng.choice(list(ELEMENT_SHARES), p=list(ELEMENT_SHARES.values())))


def _element(contig: str, slot: tuple[int, int], state: str, strand: str, rng: np.random.Generator) -> Element:
    low, high = LENGTH[state]
    width = int(rng.integers(low, high + 1))
    start = int(rng.integers(slot[0] + FLANK[0], slot[1] - FLANK[0] - width + 1))
    program = str(rng.choice(list(PROGRAMS))) if state in ("E", "WE") else "constitutive"
    return Element(contig, start, start + width, strand, state, program, "")


def _named(elements: list[Element], contig: str) -> list[Element]:
    return [e._replace(name=f"{contig}_{e.state}_{k}") for k, e in enumerate(elements, 1)]


def _gene(contig: str, run: list[tuple[int, int]], inside: list[Element], strand: str, rng: np.random.Generator) -> Gene:
    """Draw a gene with exons left of the element of each slot; the minus strand uses the same steps on negated coordinates."""
    spans = [(e.start, e.end) for e in inside]
    if strand == "-":
        run = [_negated(slot) for slot in reversed(run)]
        spans = [_negated(span) for span in reversed(spans)]
    promoter_end = spans[0][1]
    exons = [(promoter_end - 60, promoter_end + int(rng.integers(150, 280)))]  # the TSS is 60 bp inside the promoter
    for k, slot in enumerate(run[1:], 2):
        start = slot[0] + int(rng.integers(30, 80))
        width = int(rng.integers(230, 300)) if k == len(run) else int(rng.integers(90, 220))
        exons.append((start, start + width))
    cds_start = promoter_end + int(rng.integers(15, 90))
    n_before = exons[0][1] - cds_start + sum(b - a for a, b in exons[1:-1])  # coding bases before the last exon
    cds_end = exons[-1][0] + 30 + (-n_before - 30) % 3 + 3 * int(rng.integers(0, 30))
    cds = (cds_start, cds_end)
    if strand == "-":
        exons, cds = [_negated(exon) for exon in reversed(exons)], _negated(cds)
    return Gene(contig, exons[0][0], exons[-1][1], strand, "", tuple(exons), cds)


def _negated(span: tuple[int, int]) -> tuple[int, int]:
    return -span[1], -span[0]


def _sites(element: Element, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Draw motif and strand of each instance of an element, left to right."""
    if element.state == "TSS":  # a fixed order along the direction of transcription
        names: list[str] = []
        while len(names) < 3:
            names = [name for name, share in PROMOTER_ORDER if rng.random() < share]
        other = "-" if element.strand == "+" else "+"
        sites = [(name, element.strand if rng.random() < SENSE else other) for name in names]
        return sites if element.strand == "+" else sites[::-1]
    if element.state == "CTCF":
        names = ["CTCF", "ZNF143"] if rng.random() < COHESIN else ["CTCF"]
    else:
        low, high = N_INSTANCES[element.state]
        names = [str(name) for name in rng.choice(PROGRAMS[element.program], size=int(rng.integers(low, high + 1)))]
    return [(name, "+" if rng.random() < 0.5 else "-") for name in names]
