"""Simulate a dataset: arguments -> contigs -> files -> World."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.files import check_overwrite, make_folder, sha256_of
from genoformer.genome.codes import A, Codes, G, N, T, reverse_complement
from genoformer.genome.wording import counted
from genoformer.simulation import files
from genoformer.simulation.grammar import GAP, Element, Gene, Instance, Layout, compose, lay_out, paint, plant, thin
from genoformer.simulation.motifs import attribution
from genoformer.simulation.regulation import Expression, Link, expression, expression_lines, regulation, regulation_lines
from genoformer.simulation.sequence import background, insert_repeats, open_reading_frame
from genoformer.simulation.tracks import ASSAYS, Counts, draw, expected, write_tracks
from genoformer.simulation.variants import BREAKING, Planted, Record, make_variants

OTHERS = (  # files next to world.json; from targets.tsv on, only in datasets with tracks
    "genome.fa.gz",
    "genes.gtf.gz",
    "peaks.narrowPeak.gz",
    "states.bed.gz",
    "motifs.bed.gz",
    "variants.vcf.gz",
    "truth.tsv.gz",
    "targets.tsv",
    "regulation.tsv",
    "expression.tsv",
    *(assay.file for assay in ASSAYS),
)
SHORTEST = 50_000  # bases of a contig; a shorter contig has hardly a gene
FEWEST = 50  # variants per contig; with fewer, a kind of variant may be absent
BASES_PER_VARIANT = 100  # minimum; breaking variants need instances to break
LEAST_SHARE = 0.1  # fraction of the elements; below it, some kind of variant may find no position


class Contig(NamedTuple):
    name: str
    codes: Codes
    soft: NDArray[np.bool_]  # lower case in the FASTA: repeats
    states: NDArray[np.uint8]  # index into grammar.STATES
    layout: Layout
    instances: list[Instance]
    records: list[Record]
    peaks: list[str]
    links: list[Link]  # only with tracks
    expressed: list[Expression]
    counts: dict[str, Counts]  # identifier of a track -> its bins


@dataclass(frozen=True)
class World:
    """Simulated dataset: its folder, and everything that was planted."""

    folder: Path
    lengths: dict[str, int]
    elements: list[Element]
    instances: list[Instance]
    genes: list[Gene]
    records: list[Record]
    counts: dict[str, int]
    links: list[Link] = field(default_factory=list)  # only with tracks; rows of regulation.tsv
    expressed: list[Expression] = field(default_factory=list)  # only with tracks; rows of expression.tsv

    def __repr__(self) -> str:
        bases = f"{counted(len(self.lengths), 'contig')} of {sum(self.lengths.values()):,} bases"
        return f"World({self.folder}: {bases}, {len(self.genes):,} genes, {len(self.records):,} variants)"

    @property
    def genome(self) -> Path:
        return self.folder / "genome.fa.gz"

    @property
    def gtf(self) -> Path:
        return self.folder / "genes.gtf.gz"

    @property
    def peaks(self) -> Path:
        return self.folder / "peaks.narrowPeak.gz"

    @property
    def states(self) -> Path:
        return self.folder / "states.bed.gz"

    @property
    def motifs(self) -> Path:
        return self.folder / "motifs.bed.gz"

    @property
    def vcf(self) -> Path:
        return self.folder / "variants.vcf.gz"

    @property
    def truth(self) -> Path:
        return self.folder / "truth.tsv.gz"

    @property
    def targets(self) -> Path:
        """Path of the tracks' table for `labelled.tracks.build_tracks`; like the next two, only in datasets with tracks."""
        return self.folder / "targets.tsv"

    @property
    def regulation(self) -> Path:
        return self.folder / "regulation.tsv"

    @property
    def expression(self) -> Path:
        return self.folder / "expression.tsv"


def simulate(
    folder: Path | str,
    *,
    seed: int = 0,
    n_contigs: int = 2,
    contig_length: int = 1_000_000,
    n_variants: int = 4_000,
    element_share: float = 1.0,
    tracks: bool = False,
) -> World:
    """Write a simulated genome with planted regulatory grammar, its annotation, and variants with known effects.

    The output depends only on the arguments: the same call writes the same bytes. The sequence, genes and elements of a
    contig depend only on `seed`, its number, its length and `element_share`. Motifs and repeat families are the same for
    every seed, so that a model trained on one dataset can be tested on another.

    folder: created if absent; files of the same dataset are replaced, each in one step, and no other files.
    seed: 0 or more.
    n_contigs: number of contigs chrS1, chrS2, ...
    contig_length: bases of each contig.
    n_variants: records of the VCF, in equal parts on the contigs.
    element_share: fraction of the enhancers and CTCF sites that is kept; genes are always kept. With 1, there is a CTCF site
        every 10 kb, and few enhancers reach beyond it. With 0.3, there is one in about 30 kb, and one gene has a few
        enhancers up to 50 kb away.
    tracks: also write accessibility, H3K27ac and CAGE of two cell types (formulas in `simulation.tracks`) as bigWig files
        with their table targets.tsv. regulation.tsv lists which enhancer acts on which gene and how strongly
        (`simulation.regulation`), and expression.tsv the resulting CAGE. All other files are the same.

    Raises ConfigError if an argument is out of range.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     world = simulate(folder, n_contigs=1, contig_length=50_000, n_variants=50)
    >>> world.lengths
    {'chrS1': 50000}
    """
    _check(seed, n_contigs, contig_length, n_variants, element_share)
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file, and the outputs need a folder; give another name.")
    parameters: dict[str, float] = {
        "seed": seed,
        "n_contigs": n_contigs,
        "contig_length": contig_length,
        "n_variants": n_variants,
    }
    if element_share < 1:
        parameters["element_share"] = element_share
    if tracks:
        parameters["tracks"] = True
    check_overwrite(folder, ("world.json", *OTHERS), "world.json", lambda found: _is_same(found, folder, parameters))
    shares = [n_variants // n_contigs + (i < n_variants % n_contigs) for i in range(n_contigs)]
    contigs = [_contig(i, seed, contig_length, share, element_share, tracks) for i, share in enumerate(shares)]
    world = World(
        folder,
        {contig.name: contig_length for contig in contigs},
        [element for contig in contigs for element in contig.layout.elements],
        [instance for contig in contigs for instance in contig.instances],
        [gene for contig in contigs for gene in contig.layout.genes],
        [record for contig in contigs for record in contig.records],
        {},
        [link for contig in contigs for link in contig.links],
        [row for contig in contigs for row in contig.expressed],
    )
    world.counts.update(_count(world))
    _write(world, contigs, parameters)
    return world


def _contig(index: int, seed: int, length: int, n_variants: int, element_share: float, with_tracks: bool) -> Contig:
    layout_rng, sequence_rng, plant_rng, variant_rng, peak_rng, thin_rng, track_rng = (
        np.random.default_rng(child) for child in np.random.SeedSequence(seed, spawn_key=(index,)).spawn(7)
    )
    name = f"chrS{index + 1}"
    layout = thin(lay_out(name, length, layout_rng), element_share, thin_rng)
    states = paint(length, layout)
    codes = background(compose(length, layout, layout_rng), sequence_rng)
    soft = insert_repeats(codes, _free(length, layout), sequence_rng)
    for gene in layout.genes:
        _transcribe(codes, gene)
    instances = plant(codes, layout.elements, plant_rng)
    codes[:GAP] = codes[-GAP:] = N
    records = make_variants(Planted(name, codes, states, instances), n_variants, variant_rng)
    peaks = list(files.peak_lines(layout.elements, instances, peak_rng))
    links: list[Link] = []
    expressed: list[Expression] = []
    counts: dict[str, Counts] = {}
    if with_tracks:
        links = regulation(layout.elements, instances, layout.genes)
        expressed = expression(layout.elements, instances, layout.genes, links)
        means = expected(name, length, layout.elements, instances, expressed)
        counts = {track: draw(mean, track_rng) for track, mean in means.items()}
    return Contig(name, codes, soft, states, layout, instances, records, peaks, links, expressed, counts)


def _free(length: int, layout: Layout) -> NDArray[np.bool_]:
    """Return the mask of bases where a repeat may lie: outside gaps, elements, exons and splice sites."""
    free = np.ones(length, dtype=bool)
    free[:GAP] = free[-GAP:] = False
    for element in layout.elements:
        free[element.start : element.end] = False
    for gene in layout.genes:
        for start, end in gene.exons:
            free[start - 2 : end + 2] = False
    return free


def _transcribe(codes: Codes, gene: Gene) -> None:
    """Give a gene an open reading frame and introns that begin with GT and end with AG."""
    coding = gene.coding()
    forward = gene.strand == "+"
    frame = open_reading_frame(codes[coding] if forward else 3 - codes[coding])  # 3 - code: the complement
    codes[coding] = frame if forward else 3 - frame
    donor, acceptor = np.array([G, T], dtype=np.uint8), np.array([A, G], dtype=np.uint8)
    left, right = (donor, acceptor) if forward else (reverse_complement(acceptor), reverse_complement(donor))
    for (_, start), (end, _) in zip(gene.exons, gene.exons[1:], strict=False):
        codes[start : start + 2], codes[end - 2 : end] = left, right


def _is_same(found: dict[str, Any], folder: Path, parameters: dict[str, float]) -> bool:
    """True if world.json has these parameters, and each existing file next to it has the recorded checksum."""
    sums = found.get("sha256")
    return (
        found.get("parameters") == parameters
        and isinstance(sums, dict)
        and all(not (folder / name).exists() or sha256_of(folder / name) == sums.get(name) for name in OTHERS)
    )


def _check(seed: int, n_contigs: int, contig_length: int, n_variants: int, element_share: float) -> None:
    if seed < 0:
        raise ConfigError(f"seed is {seed}; give 0 or more.")
    if n_contigs < 1:
        raise ConfigError(f"n_contigs is {n_contigs}; give 1 or more.")
    if contig_length < SHORTEST:
        raise ConfigError(f"contig_length is {contig_length:,}; give {SHORTEST:,} or more.")
    if not LEAST_SHARE <= element_share <= 1:
        raise ConfigError(f"element_share is {element_share:g}; give {LEAST_SHARE:g} to 1.")
    fewest, most = FEWEST * n_contigs, int(n_contigs * contig_length * element_share) // BASES_PER_VARIANT
    if not fewest <= n_variants <= most:
        raise ConfigError(
            f"n_variants is {n_variants:,}; {n_contigs} contigs of {contig_length:,} bases take "
            f"{fewest:,} to {most:,}; change the number, or the size of the genome."
        )


def _count(world: World) -> dict[str, int]:
    snvs = [record for record in world.records if len(record.ref) == len(record.alts[0]) == 1]
    return {
        "bases": sum(world.lengths.values()),
        "genes": len(world.genes),
        "elements": len(world.elements),
        "instances": len(world.instances),
        "variants": len(world.records),
        "snvs": len(snvs),
        "indels": len(world.records) - len(snvs),
        "multiallelic": sum(len(record.alts) > 1 for record in world.records),
        "motif_breaking": sum(record.truths[0] == BREAKING for record in world.records),
        "motif_breaking_snvs": sum(record.truths[0] == BREAKING for record in snvs),
    }


def _write(world: World, contigs: list[Contig], parameters: dict[str, float]) -> None:
    """Write all files into a temporary folder inside the dataset, then rename each to its final name; world.json last."""
    make_folder(world.folder)
    with tempfile.TemporaryDirectory(prefix=".simulate-", dir=world.folder) as staging:
        staged = Path(staging)
        files.write_fasta(staged / world.genome.name, {c.name: (c.codes, c.soft) for c in contigs})
        files.write_lines(staged / world.gtf.name, files.gtf_lines(world.genes))
        files.write_lines(staged / world.peaks.name, (line for c in contigs for line in c.peaks))
        states = (line for c in contigs for line in files.state_lines(c.name, c.states))
        files.write_lines(staged / world.states.name, states)
        files.write_lines(staged / world.motifs.name, files.instance_lines(world.instances))
        files.write_vcf(staged / world.vcf.name, world.lengths, world.records)
        files.write_lines(staged / world.truth.name, files.truth_lines(world.records))
        if "tracks" in parameters:
            write_tracks(staged, world.lengths, {c.name: c.counts for c in contigs})
            for path, lines in (
                (world.regulation, regulation_lines(world.links)),
                (world.expression, expression_lines(world.expressed)),
            ):
                (staged / path.name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        made = sorted(path.name for path in staged.iterdir())
        # move each index after its data file: tools warn about an index that is older
        made.sort(key=lambda name: name.endswith((".fai", ".gzi", ".tbi")))
        about: dict[str, Any] = {
            "genoformer": version("genoformer"),
            "parameters": parameters,
            "contigs": world.lengths,
            "counts": world.counts,
            "attribution": attribution(),
            "sha256": {name: sha256_of(staged / name) for name in sorted(made)},
        }
        (staged / "world.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        for name in [*made, "world.json"]:
            (staged / name).replace(world.folder / name)
