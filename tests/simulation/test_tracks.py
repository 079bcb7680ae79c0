"""Tracks of the simulated world: numbers worked out by hand, a naive loop over all pairs, and the files that are written."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from genoformer_cli.data import simulate as command
from genoformer_cli.main import main

from genoformer.datasets.track_build import build_tracks
from genoformer.datasets.track_set import read_tracks
from genoformer.errors import ConfigError
from genoformer.formats.bigwig import BigWig
from genoformer.formats.track_table import read_targets
from genoformer.genome.reference import Genome
from genoformer.simulation import Element, Expression, Gene, Instance, World, simulate
from genoformer.simulation.regulation import expression, regulation
from genoformer.simulation.tracks import ASSAYS, draw, expected

ARGUMENTS = {"seed": 7, "n_contigs": 2, "contig_length": 300_000, "n_variants": 300, "element_share": 0.3}
TSS = 100_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return simulate(tmp_path_factory.mktemp("world"), **ARGUMENTS, tracks=True)


def element(name: str, place: int, state: str) -> Element:
    return Element("c", place - 200, place + 200, ".", state, "", name)


def motif(name: str, bits: float, of: Element, place: int = 0) -> Instance:
    at = place or (of.start + of.end) // 2
    return Instance("c", at - 5, at + 5, "+", name, bits, of.name)


def one_gene(distance: int, ctcf: tuple[int, ...] = (), program: tuple[str, ...] = ("HNF4A", "CEBPB"), strand: str = "+"):
    """A promoter of 50 bits with its start site at TSS, and an enhancer of 80 bits (40 and 40) so far from it."""
    promoter, enhancer = element("P", TSS, "TSS"), element("E", TSS + distance, "E")
    insulators = [element(f"C{place}", place, "CTCF") for place in ctcf]
    instances = [motif("SP1", 20, promoter), motif("ELK1", 30, promoter), motif("NRF1", -3, promoter)]
    instances += [motif(name, 40, enhancer) for name in program]
    instances += [motif("CTCF", 15, insulator) for insulator in insulators]
    gene = Gene("c", TSS, TSS + 1, strand, "G", ((TSS, TSS + 1),), (TSS, TSS + 1))
    elements = [promoter, enhancer, *insulators]
    links = regulation(elements, instances, [gene])
    expressed = expression(elements, instances, [gene], links)
    return SimpleNamespace(
        elements=elements,
        instances=instances,
        links=links,
        expressed=expressed,
        cage={row.cell: pytest.approx(row.cage, abs=1e-3) for row in expressed},
    )


# promoter 100 x 0.5 = 50 counts; enhancer 5 x 0.8 x exp(-d / 25,000) = 4, 3.8432, 2.6813, 1.4715, 0.5413 times as much again
@pytest.mark.parametrize(
    ("distance", "liver"),
    [
        (0, 250),
        (1_000, 242.1579),
        (-1_000, 242.1579),
        (10_000, 184.0640),
        (25_000, 123.5759),
        (-50_000, 77.0671),
        (50_000, 77.0671),
        (50_001, 50),
        (-50_001, 50),
        (80_000, 50),
    ],
)
def test_one_enhancer_by_hand(distance: int, liver: float) -> None:
    found = one_gene(distance)
    assert found.cage == {"liver": liver, "erythroid": 50}
    assert [(link.cell, link.distance, link.insulated) for link in found.links] == (
        [("liver", abs(distance), False)] if abs(distance) <= 50_000 else []
    )
    row = found.expressed[0]
    assert (row.near > 0) == (abs(distance) <= 2_000)
    assert row.depends_on_distal == (2_000 < abs(distance) <= 50_000)


def test_each_cell_type_has_its_factors() -> None:
    assert one_gene(25_000, program=("NFE2", "USF2")).cage == {"liver": 50, "erythroid": 123.5759}
    # a motif of each: 40 bits are active in either, 1 + 5 x 0.4 / e = 1.7358
    assert one_gene(25_000, program=("HNF1A", "GATA1::TAL1")).cage == {"liver": 86.7879, "erythroid": 86.7879}


@pytest.mark.parametrize(
    ("ctcf", "insulated"),
    [((12_000,), True), ((24_000, 1_000), True), ((26_000,), False), ((-1_000,), False), ((), False)],
)
def test_a_ctcf_site_between_insulates(ctcf: tuple[int, ...], insulated: bool) -> None:
    found = one_gene(25_000, tuple(TSS + offset for offset in ctcf))
    assert found.cage == {"liver": 50 if insulated else 123.5759, "erythroid": 50}
    assert [(link.insulated, round(link.contribution, 4)) for link in found.links] == [(insulated, 0 if insulated else 1.4715)]


def test_only_ctcf_insulates() -> None:
    """An enhancer or a promoter between does not, nor does another motif of a CTCF element."""
    found = one_gene(25_000)
    other = element("C", TSS + 12_000, "CTCF")
    instances = [*found.instances, motif("ZNF143", 15, other)]
    gene = Gene("c", TSS, TSS + 1, "+", "G", (), (0, 0))
    assert not any(link.insulated for link in regulation([*found.elements, other], instances, [gene]))


def test_tracks_of_one_gene_by_hand() -> None:
    found = one_gene(25_600, ctcf=(140_000,))
    liver = next(row for row in found.expressed if row.cell == "liver")
    means = expected("c", 200_000, found.elements, found.instances, found.expressed)
    n = 200_000 // 32

    def above(name: str, background: float, first: int, last: int) -> float:
        """Counts of the bases first to last (multiples of 32) above the background."""
        assert len(means[name]) == n
        return float((means[name][first // 32 : last // 32] - background).sum())

    near = 20 * 32
    place = TSS + 25_600  # 200 counts x activity 0.8; two standard deviations of 80 bases hold 95.45 %
    assert above("dnase.liver", 0.05, place - near, place + near) == pytest.approx(160, abs=1e-4)
    assert above("dnase.liver", 0.05, place - 160, place + 160) == pytest.approx(160 * 0.9545, abs=0.01)
    assert above("dnase.liver", 0.05, place - near, place) == pytest.approx(80, abs=1e-4)
    assert above("dnase.erythroid", 0.05, place - near, place + near) == pytest.approx(0, abs=1e-9)
    for cell in ("liver", "erythroid"):
        assert above(f"dnase.{cell}", 0.05, TSS - near, TSS + near) == pytest.approx(100, abs=1e-4)  # 50 bits
        assert above(f"dnase.{cell}", 0.05, 140_000 - near, 140_000 + near) == pytest.approx(30, abs=1e-4)  # CTCF, 15 bits
        assert above(f"h3k27ac.{cell}", 0.05, 140_000 - near, 140_000 + near) == pytest.approx(0, abs=1e-9)
        assert means[f"cage.{cell}.minus"].max() == 0.002
    broad = 100 * 32  # the marks stand 350 bases from the middle of an element of 400
    assert above("h3k27ac.liver", 0.05, place - broad, place + broad) == pytest.approx(160, abs=1e-4)
    shoulder, valley = (means["h3k27ac.liver"][(place + offset) // 32] for offset in (352, 0))
    assert shoulder > 2 * valley
    assert above("cage.liver.plus", 0.002, TSS - near, TSS + near) == pytest.approx(liver.cage, abs=1e-4)
    assert above("cage.erythroid.plus", 0.002, TSS - near, TSS + near) == pytest.approx(50, abs=1e-4)
    assert liver.cage == pytest.approx(50 * (1 + 4 * math.exp(-1.024)))


def test_a_gene_of_the_other_strand_is_on_the_other_track() -> None:
    plus, minus = one_gene(25_000), one_gene(25_000, strand="-")
    a, b = (expected("c", 200_000, x.elements, x.instances, x.expressed) for x in (plus, minus))
    for cell in ("liver", "erythroid"):
        np.testing.assert_array_equal(a[f"cage.{cell}.plus"], b[f"cage.{cell}.minus"])
        np.testing.assert_array_equal(a[f"cage.{cell}.minus"], b[f"cage.{cell}.plus"])
        np.testing.assert_array_equal(a[f"dnase.{cell}"], b[f"dnase.{cell}"])


def test_noise_has_the_mean_and_the_variance_that_are_stated() -> None:
    rng = np.random.default_rng(0)
    for mean in (0.05, 2.0, 50.0):
        counts = draw(np.full(200_000, mean), rng)
        variance = mean + 0.02 * mean**2
        assert counts.mean() == pytest.approx(mean, abs=5 * math.sqrt(variance / 200_000))
        assert counts.var() == pytest.approx(variance, rel=0.05)
    assert not draw(np.zeros(1_000), rng).any()


def naive(world: World) -> tuple[dict[tuple[str, str, str], tuple[int, bool, float]], dict[tuple[str, str], float]]:
    """Every pair of gene and element in turn, by the sentences of the docstring alone."""
    factors = {"liver": {"HNF4A", "HNF1A", "CEBPB"}, "erythroid": {"GATA1::TAL1", "NFE2", "USF2"}}
    common = {"RFX5", "NRF1", "SP1", "ZNF143", "ELK1", "CTCF"}
    links, cage = {}, {}
    for gene in world.genes:
        for cell, own in factors.items():
            total, alone = 1.0, 0.0
            for e in (e for e in world.elements if e.contig == gene.contig):
                bits = sum(max(i.bits, 0) for i in world.instances if i.element == e.name and i.motif in own | common)
                distance = abs((e.start + e.end) // 2 - gene.tss)
                if e.start <= gene.tss < e.end:
                    alone = bits
                if e.state in ("TSS", "CTCF") or not bits or distance > 50_000:
                    continue
                low, high = sorted([gene.tss, (e.start + e.end) // 2])
                sites = [i for i in world.instances if i.motif == "CTCF" and i.contig == gene.contig]
                insulated = any(low < (i.start + i.end) // 2 < high for i in sites)
                share = 0.0 if insulated else 5 * bits / 100 * math.exp(-distance / 25_000)
                links[e.name, gene.name, cell] = (distance, insulated, share)
                total += share
            cage[gene.name, cell] = alone * total
    return links, cage


def test_the_tables_are_what_a_naive_loop_finds(world: World) -> None:
    links, cage = naive(world)
    with world.regulation.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert {(row["enhancer"], row["gene"], row["cell"]) for row in rows} == set(links)
    assert len(rows) == len(links) == len(world.links)
    for row in rows:
        distance, insulated, share = links[row["enhancer"], row["gene"], row["cell"]]
        assert (int(row["distance"]), row["insulated"]) == (distance, "01"[insulated])
        assert float(row["contribution"]) == pytest.approx(share, abs=1e-6)
    assert {row["insulated"] for row in rows} == {"0", "1"}
    with world.expression.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert {(row["gene"], row["cell"]): float(row["cage"]) for row in rows} == pytest.approx(cage, abs=1e-4)
    for row in rows:
        promoter, near, distal = (float(row[name]) for name in ("promoter", "near", "distal"))
        assert float(row["cage"]) == pytest.approx(promoter * (1 + near + distal), rel=1e-4)
    genes = {gene.name: gene for gene in world.genes}
    assert all((int(row["tss"]), row["strand"]) == (genes[row["gene"]].tss, genes[row["gene"]].strand) for row in rows)


def test_what_lies_near_does_not_tell_the_cage(world: World) -> None:
    """At most a third of the variance of log CAGE is known from the promoter and the enhancers within 2 kb."""
    rows = [row for row in world.expressed if row.depends_on_distal]
    assert 0.5 < len(rows) / len(world.expressed) < 1
    whole = np.log([row.cage for row in rows])
    near = np.log([row.promoter * (1 + row.near) for row in rows])
    assert np.corrcoef(whole, near)[0, 1] ** 2 < 1 / 3
    far = [link.distance for link in world.links if link.contribution]
    assert np.mean(np.array(far) > 10_000) > 0.4


def test_counts_of_every_gene_are_in_the_file_of_its_strand(world: World) -> None:
    files = {(a.cell, a.strand): BigWig(world.folder / a.file) for a in ASSAYS if a.group == "CAGE"}
    wrong = 0
    for row in world.expressed:
        here = files[row.cell, row.strand].values(row.contig, row.tss - 112, row.tss + 112)
        wrong += abs(_whole_bins(files[row.cell, row.strand], row) - row.cage) > 4 * math.sqrt(row.cage + 0.02 * row.cage**2)
        assert here.max() * 32 == pytest.approx(round(float(here.max() * 32)), abs=1e-3), "whole counts"
    assert wrong == 0
    for assay in ASSAYS:
        assert BigWig(world.folder / assay.file).contigs == world.lengths
        assert not BigWig(world.folder / assay.file).values("chrS1", 0, 480).any(), "nothing in the gap"


def _whole_bins(file: BigWig, row: Expression) -> float:
    """Counts of the bins around a start site."""
    start = row.tss // 32 * 32 - 3 * 32
    return float(file.values(row.contig, start, start + 7 * 32).sum())


def test_a_contig_that_is_no_whole_number_of_bins(tmp_path: Path) -> None:
    small = simulate(tmp_path, n_contigs=1, contig_length=50_001, n_variants=50, tracks=True)
    with Genome(small.genome) as genome:
        assert BigWig(tmp_path / "dnase.liver.bw").contigs == dict(genome.contigs)


def test_same_arguments_same_bytes(world: World, tmp_path: Path) -> None:
    again = simulate(tmp_path, **ARGUMENTS, tracks=True)
    for path in sorted(world.folder.iterdir()):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name
    assert (again.links, again.expressed) == (world.links, world.expressed)


def test_tracks_only_add_files(world: World, tmp_path: Path) -> None:
    simulate(tmp_path, **ARGUMENTS)
    made = {path.name for path in world.folder.iterdir()} - {path.name for path in tmp_path.iterdir()}
    assert made == {"targets.tsv", "regulation.tsv", "expression.tsv", *(assay.file for assay in ASSAYS)}
    for path in tmp_path.iterdir():
        if path.name != "world.json":
            assert path.read_bytes() == (world.folder / path.name).read_bytes(), path.name


def test_fewer_elements_leave_the_genes_as_they_are(world: World, tmp_path: Path) -> None:
    dense = simulate(tmp_path, **ARGUMENTS | {"element_share": 1.0})
    assert dense.genes == world.genes
    assert set(world.elements) < set(dense.elements)
    distal, all_distal = ([e for e in w.elements if e.state != "TSS"] for w in (world, dense))
    assert len(distal) / len(all_distal) == pytest.approx(0.3, abs=0.1)
    for share in (0.09, 1.1):
        with pytest.raises(ConfigError, match=r"give 0\.1 to 1"):
            simulate(tmp_path / "new", **ARGUMENTS | {"element_share": share})
    with pytest.raises(ConfigError, match="take 100 to 1,800"):
        simulate(tmp_path / "new", **ARGUMENTS | {"n_variants": 1_801})


def test_the_table_of_tracks_builds_a_set(world: World, tmp_path: Path) -> None:
    table = read_targets(world.targets)
    assert table.strand_pairs.tolist() == [0, 1, 3, 2, 4, 5, 7, 6]
    assert table.groups == {"DNASE": [0, 4], "CHIP": [1, 5], "CAGE": [2, 3, 6, 7]}
    assert table.choose("CAGE:liver*") == [2, 3]
    with Genome(world.genome) as genome:
        build_tracks(tmp_path / "set", genome, world.targets, length=32_768, target_bins=128, valid=["chrS2"])
    found = read_tracks(tmp_path / "set")
    assert {window.chrom for window in found.windows} == set(world.lengths)
    for k, track in enumerate(table):
        file = BigWig(track.file)
        for i in (0, len(found) - 1):
            window = found.windows[i]
            values = file.values(window.chrom, window.start, window.end).reshape(-1, 128)  # [bins, bases]
            counts = values[found.first_bin : found.first_bin + 128].sum(1)
            np.testing.assert_allclose(found.tracks[i, k], counts, rtol=1e-3)  # float16
        assert found.tracks[:, k].sum(dtype=float) > 1_000


def test_the_example_in_the_help_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example = (command.help or "").replace("\\\n", " ").partition("Example:")[2].strip()
    lines = [line.split()[1:] for line in example.splitlines()]
    assert [line[:2] for line in lines] == [["data", "simulate"], ["data", "simulate"], ["data", "tracks"]]
    outputs = []
    for line in lines[1:]:
        result = CliRunner().invoke(main, line)
        assert result.exit_code == 0, result.output
        outputs.append(result.stdout)
    assert "sparse/targets.tsv: the tracks. The CAGE of " in outputs[0]
    assert "8 tracks in 256 bins of 128" in outputs[1]
    assert len(read_tracks("set").rows("valid"))
