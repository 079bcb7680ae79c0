"""The simulated world, checked file by file against its FASTA and against the published matrices."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import tomllib
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pysam
import pytest

from genoformer.errors import ConfigError
from genoformer.simulation import Instance, World, simulate

ARGUMENTS = {"seed": 7, "n_contigs": 2, "contig_length": 300_000, "n_variants": 1_500}
DATA = Path(__file__).resolve().parents[2] / "data"
COMPLEMENT = str.maketrans("ACGT", "TGCA")
COLOURS = {"255,0,0", "255,105,105", "250,202,0", "255,252,4", "10,190,254", "0,176,80", "127,127,127"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return simulate(tmp_path_factory.mktemp("world"), **ARGUMENTS)


@pytest.fixture(scope="module")
def genome(world: World) -> dict[str, str]:
    """The FASTA as text, case kept."""
    with pysam.FastaFile(str(world.genome)) as fasta:
        return {name: fasta.fetch(name) for name in fasta.references}


@pytest.fixture(scope="module")
def matrices() -> dict[str, list[list[float]]]:
    """Probabilities of the published counts, by a second route: 1 % of each column is spread over A, C, G, T."""
    table = tomllib.loads((DATA / "motifs.toml").read_text())
    return {
        motif["name"]: [[0.99 * count / sum(row) + 0.0025 for count in row] for row in motif["counts"]]
        for motif in table["motif"]
    }


def rows(path: Path) -> list[list[str]]:
    with gzip.open(path, "rt") as handle:
        return [line.rstrip("\n").split("\t") for line in handle if not line.startswith("#")]


def reverse_complement(text: str) -> str:
    return text.translate(COMPLEMENT)[::-1]


def match_bits(matrix: list[list[float]], site: str) -> float:
    return sum(float(np.log2(p["ACGT".index(base)] / 0.25)) for p, base in zip(matrix, site, strict=True))


def best_bits(matrix: list[list[float]], text: str) -> float:
    w = len(matrix)
    windows = [text[i : i + w] for i in range(len(text) - w + 1)]
    return max(match_bits(matrix, s) for window in windows for s in (window, reverse_complement(window)))


def cpg_ratio(text: str) -> float:
    return text.count("CG") * len(text) / (text.count("C") * text.count("G"))


def test_same_arguments_same_bytes(world: World, tmp_path: Path) -> None:
    simulate(tmp_path / "again", **ARGUMENTS)
    names = sorted(path.name for path in world.folder.iterdir())
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == names
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (world.folder / name).read_bytes(), name


def test_a_contig_does_not_depend_on_how_many_there_are(world: World, genome: dict[str, str], tmp_path: Path) -> None:
    alone = simulate(tmp_path, **{**ARGUMENTS, "n_contigs": 1, "n_variants": 200})
    with pysam.FastaFile(str(alone.genome)) as fasta:
        assert fasta.fetch("chrS1") == genome["chrS1"]
    assert alone.instances == [i for i in world.instances if i.contig == "chrS1"]


def test_another_seed_is_another_genome(genome: dict[str, str], tmp_path: Path) -> None:
    other = simulate(tmp_path, **{**ARGUMENTS, "seed": 8})
    with pysam.FastaFile(str(other.genome)) as fasta:
        assert fasta.fetch("chrS1") != genome["chrS1"]


def test_world_json_lists_every_file(world: World) -> None:
    about = json.loads((world.folder / "world.json").read_text())
    assert about["parameters"] == ARGUMENTS
    assert about["counts"] == world.counts
    assert "JASPAR 2024" in about["attribution"]
    made = {path.name for path in world.folder.iterdir()} - {"world.json"}
    assert made == set(about["sha256"])
    for name, digest in about["sha256"].items():
        assert hashlib.sha256((world.folder / name).read_bytes()).hexdigest() == digest


def test_fasta(genome: dict[str, str]) -> None:
    assert {name: len(text) for name, text in genome.items()} == {"chrS1": 300_000, "chrS2": 300_000}
    for text in genome.values():
        assert set(text) == set("ACGTNacgt")
        assert text[:500] == text[-500:] == "N" * 500
        assert "N" not in text[500:-500]
        assert sum(map(str.islower, text)) / len(text) == pytest.approx(0.10, abs=0.01)


def test_composition_is_human_like(world: World, genome: dict[str, str]) -> None:
    inside, outside = [], []
    for name, text in genome.items():
        start = 500
        for e in (e for e in world.elements if e.contig == name and e.state == "TSS"):
            outside.append(text[start : e.start - 400])
            inside.append(text[e.start : e.end])
            start = e.end + 400
        outside.append(text[start:-500])
    unique = "N".join("".join(base if base.isupper() else "N" for base in part) for part in outside).upper()
    n = sum(unique.count(base) for base in "ACGT")
    assert (unique.count("C") + unique.count("G")) / n == pytest.approx(0.41, abs=0.03)
    assert 0.18 < unique.count("CG") * n / (unique.count("C") * unique.count("G")) < 0.30
    # most promoters are islands as Gardiner-Garden and Frommer define them: GC > 0.5, observed/expected > 0.6
    islands = [t for t in inside if (t.count("C") + t.count("G")) / len(t) > 0.5 and cpg_ratio(t) > 0.6]
    assert 0.5 < len(islands) / len(inside) < 0.9
    assert (unique.count("TG") + unique.count("CA")) / (2 * n) == pytest.approx(0.072, abs=0.01)  # human: 0.073
    assert unique.count("TA") < unique.count("AT")
    # both strands are alike
    assert unique.count("A") / unique.count("T") == pytest.approx(1, abs=0.05)
    assert unique.count("AG") / unique.count("CT") == pytest.approx(1, abs=0.1)


def test_every_instance_is_where_the_table_says(
    world: World, genome: dict[str, str], matrices: dict[str, list[list[float]]]
) -> None:
    elements = {e.name: e for e in world.elements}
    listed = rows(world.motifs)
    assert len(listed) == len(world.instances) > 1_000
    assert {i.motif for i in world.instances} == set(matrices)
    assert {i.strand for i in world.instances} == {"+", "-"}
    previous = ("", 0)
    for i, row in zip(world.instances, listed, strict=True):
        contig, start, end, name, score, strand, bits, element = row
        assert (contig, int(start), int(end), name, strand, element) == (*i[:3], i.motif, i.strand, i.element)
        site = genome[contig][int(start) : int(end)]
        assert site.isupper()
        expected = match_bits(matrices[name], site if strand == "+" else reverse_complement(site))
        assert float(bits) == pytest.approx(expected, abs=1e-3) == pytest.approx(i.bits, abs=1e-3)
        assert int(score) == max(0, round(i.bits))
        assert elements[element].start <= i.start < i.end <= elements[element].end
        assert previous <= (contig, i.start), "sorted, without overlap"
        previous = (contig, i.end)


def test_instances_follow_their_matrix(world: World, genome: dict[str, str], matrices: dict[str, list[list[float]]]) -> None:
    sites = defaultdict(list)
    for i in world.instances:
        site = genome[i.contig][i.start : i.end]
        sites[i.motif].append(site if i.strand == "+" else reverse_complement(site))
    name = max(sites, key=lambda name: len(sites[name]))
    for column, p in zip(zip(*sites[name], strict=True), matrices[name], strict=True):
        sharpened = np.array(p) ** 1.5
        found = np.array([column.count(base) for base in "ACGT"]) / len(column)
        np.testing.assert_allclose(found, sharpened / sharpened.sum(), atol=4 * 0.5 / np.sqrt(len(column)))


def test_states_tile_each_contig_once(world: World) -> None:
    covered: Counter[str] = Counter()
    colour: dict[str, str] = {}
    for contig, start, end, state, score, strand, thick_start, thick_end, rgb in rows(world.states):
        assert int(start) == covered[contig] < int(end)
        assert (score, strand, thick_start, thick_end) == ("1000", ".", start, end)
        assert colour.setdefault(state, rgb) == rgb
        covered[contig] = int(end)
    assert covered == world.lengths
    assert set(colour) == {"TSS", "PF", "E", "WE", "CTCF", "T", "R"}
    assert set(colour.values()) == COLOURS
    runs = {(r[0], int(r[1]), int(r[2]), r[3]) for r in rows(world.states)}
    assert all((e.contig, e.start, e.end, e.state) in runs for e in world.elements)


def test_peaks_are_the_elements(world: World) -> None:
    listed = rows(world.peaks)
    assert len(listed) == len(world.elements)
    for row, e in zip(listed, world.elements, strict=True):
        assert len(row) == 10
        contig, start, end, name, score, strand, signal, p, q, summit = row
        assert (contig, int(start), int(end), name) == (e.contig, e.start, e.end, e.name)
        assert 0 <= int(score) <= 1000
        assert (strand, p, q) == (".", "-1", "-1")
        assert float(signal) > 0
        assert 0 <= int(summit) < e.end - e.start
    assert 0.15 < sum(e.end - e.start for e in world.elements) / sum(world.lengths.values()) < 0.25


def test_genes_are_valid(world: World, genome: dict[str, str]) -> None:
    by_gene: dict[str, list[list[str]]] = defaultdict(list)
    for row in rows(world.gtf):
        assert len(row) == 9
        attributes = dict(part.strip().split(" ", 1) for part in row[8].rstrip(";").split(";"))
        by_gene[attributes["gene_id"].strip('"')].append(row)
    assert len(by_gene) == len(world.genes)
    assert {gene.strand for gene in world.genes} == {"+", "-"}
    promoters = [e for e in world.elements if e.state == "TSS"]
    for gene, promoter in zip(world.genes, promoters, strict=True):
        assert promoter.start <= gene.tss < promoter.end
        assert promoter.strand == gene.strand
        spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
        frames = []
        for contig, _, feature, start, end, _, strand, frame, _ in by_gene[gene.name]:
            assert (contig, strand) == (gene.contig, gene.strand)
            spans[feature].append((int(start) - 1, int(end)))
            if feature == "CDS":
                frames.append(int(frame))
        assert spans["gene"] == spans["transcript"] == [(gene.start, gene.end)]
        assert sorted(spans["exon"]) == list(gene.exons)
        # every exonic base is coding, stop codon, or untranslated, exactly once
        parts = ("CDS", "stop_codon", "five_prime_utr", "three_prime_utr")
        pieces = sorted(base for part in parts for span in spans[part] for base in range(*span))
        assert pieces == [base for exon in gene.exons for base in range(*exon)]
        # CDS rows come in the order of translation: spliced, they are an open reading frame
        text = genome[gene.contig].upper()
        pick = (lambda s: s) if gene.strand == "+" else reverse_complement
        coding = [pick(text[a:b]) for a, b in spans["CDS"]]
        lengths = np.cumsum([0, *map(len, coding)])
        assert frames == [-n % 3 for n in lengths[:-1]]
        codons = ["".join(coding)[i : i + 3] for i in range(0, lengths[-1], 3)]
        assert codons[0] == pick(text[slice(*spans["start_codon"][0])]) == "ATG"
        assert not {"TAA", "TAG", "TGA"} & set(codons)
        assert pick(text[slice(*spans["stop_codon"][0])]) == "TAA"
        introns = [pick(text[a:b]) for (_, a), (b, _) in zip(gene.exons, gene.exons[1:], strict=False)]
        assert all(intron.startswith("GT") and intron.endswith("AG") for intron in introns)


def test_variants_are_normal_and_agree_with_the_fasta(world: World, genome: dict[str, str]) -> None:
    states = {(r[0], int(r[1])): r[3] for r in rows(world.states)}
    starts = {name: sorted(s for c, s in states if c == name) for name in genome}
    end, previous = 0, ""
    n = Counter()
    with pysam.VariantFile(str(world.vcf)) as vcf:
        assert {name: contig.length for name, contig in vcf.header.contigs.items()} == world.lengths
        for record in vcf:
            text = genome[record.contig].upper()
            assert text[record.start : record.stop] == record.ref
            assert record.start >= end or record.contig != previous, "sorted, without overlap"
            end, previous = record.stop, record.contig
            assert record.ref not in record.alts
            assert "N" not in record.ref
            assert all(0 < af < 1 for af in record.info["AF"])
            assert sum(record.info["AF"]) < 1
            run = starts[record.contig][np.searchsorted(starts[record.contig], record.start, side="right") - 1]
            assert record.info["ELEMENT"] == states[record.contig, int(run)]
            n["record"] += 1
            n["multi"] += len(record.alts) > 1
            for alt in record.alts:
                if len(alt) == len(record.ref):
                    n["snv"] += 1
                    assert len(alt) == 1
                    continue
                n["insertion" if len(alt) > len(record.ref) else "deletion"] += 1
                assert alt[0] == record.ref[0], "one shared base"
                assert min(len(alt), len(record.ref)) == 1
                assert alt[-1] != record.ref[-1], "left-aligned"
                assert abs(len(alt) - len(record.ref)) <= 12
    assert n["record"] == 1_500
    assert n["insertion"] + n["deletion"] == 150
    assert min(n["insertion"], n["deletion"]) > 30
    assert 2 <= n["multi"] <= 40
    with pysam.VariantFile(str(world.vcf)) as vcf:  # through the .tbi
        assert {record.contig for record in vcf.fetch("chrS2", 100_000, 200_000)} == {"chrS2"}


def test_bits_are_what_the_matrix_says(world: World, genome: dict[str, str], matrices: dict[str, list[list[float]]]) -> None:
    for record in world.records:
        start = record.pos - 1
        hit = [i for i in world.instances if i.contig == record.contig and i.start < start + len(record.ref) and start < i.end]
        text = genome[record.contig].upper()
        for alt, truth, bits in zip(record.alts, record.truths, record.bits, strict=True):
            if truth == "NEUTRAL":
                assert (record.motif, bits, hit) == (".", 0, [])
                continue
            assert bits >= 2
            losses = [_loss(i, text, start, record.ref, alt, matrices[i.motif]) for i in hit if i.motif == record.motif]
            assert any(loss == pytest.approx(bits, abs=1e-6) for loss in losses)


def _loss(instance: Instance, text: str, start: int, ref: str, alt: str, matrix: list[list[float]]) -> float:
    site = text[instance.start : instance.end]
    had = match_bits(matrix, site if instance.strand == "+" else reverse_complement(site))
    if len(ref) == len(alt):  # the same site, read again
        k = start - instance.start
        now = site[:k] + alt + site[k + 1 :]
        return had - match_bits(matrix, now if instance.strand == "+" else reverse_complement(now))
    low = min(instance.start - len(matrix) + 1, start)
    high = max(instance.end + len(matrix) - 1, start + len(ref))
    return had - best_bits(matrix, text[low:start] + alt + text[start + len(ref) : high])


def test_truth_table_repeats_the_vcf(world: World) -> None:
    from_vcf = []
    with pysam.VariantFile(str(world.vcf)) as vcf:
        for r in vcf:
            for alt, truth, bits in zip(r.alts, r.info["TRUTH"], r.info["BITS"], strict=True):
                motif = r.info.get("MOTIF", ".")
                from_vcf.append([r.contig, str(r.pos), r.ref, alt, truth, motif, f"{bits:.3f}", r.info["ELEMENT"]])
    with gzip.open(world.truth, "rt") as handle:
        header, *listed = csv.reader(handle, delimiter="\t")
    assert header == ["chrom", "pos", "ref", "alt", "truth", "motif", "bits", "element"]
    assert [[*row[:6], f"{float(np.float32(row[6])):.3f}", row[7]] for row in listed] == from_vcf


def test_neutral_substitutions_are_matched(world: World) -> None:
    """Same mutation spectrum as the breaking ones, half of them in the same kinds of element, and less rare."""
    kinds: dict[bool, Counter[tuple[str, str]]] = {True: Counter(), False: Counter()}
    places: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    afs: dict[bool, list[float]] = {True: [], False: []}
    for r in world.records:
        if len(r.ref) == len(r.alts[0]) == 1:
            breaking = r.truths[0] == "MOTIF_BREAKING"
            kinds[breaking][r.ref, r.alts[0]] += 1
            places[breaking][r.state] += 1
            afs[breaking].append(r.afs[0])
    n = {breaking: sum(count.values()) for breaking, count in kinds.items()}
    assert n[True] / (n[True] + n[False]) == pytest.approx(0.28, abs=0.01)
    for kind in kinds[True]:
        assert kinds[True][kind] / n[True] == pytest.approx(kinds[False][kind] / n[False], abs=0.06)
    transitions = {("A", "G"), ("G", "A"), ("C", "T"), ("T", "C")}
    ts = {breaking: sum(count[kind] for kind in transitions) / n[breaking] for breaking, count in kinds.items()}
    assert ts[True] / (1 - ts[True]) == pytest.approx(2.1, abs=0.5)
    inside = {b: sum(places[b][state] for state in ("TSS", "E", "WE", "CTCF")) / n[b] for b in places}
    assert inside[True] == 1
    assert inside[False] == pytest.approx(0.5, abs=0.06)
    assert np.median(afs[True]) < np.median(afs[False]) < 0.05


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"n_contigs": 0}, "n_contigs is 0"),
        ({"contig_length": 1_000}, "contig_length is 1,000"),
        ({"n_variants": 10}, "n_variants is 10; 2 contigs of 300,000 bases take 100 to 6,000"),
        ({"n_variants": 100_000}, "n_variants is 100,000"),
    ],
)
def test_bad_arguments(wrong: dict[str, int], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        simulate(tmp_path / "new", **{**ARGUMENTS, **wrong})
    assert not (tmp_path / "new").exists()


def test_another_world_is_not_written_over_one(world: World, tmp_path: Path) -> None:
    (tmp_path / "genome.fa.gz").write_bytes(b"mine")
    for folder in (world.folder, tmp_path):
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        with pytest.raises(ConfigError, match=r"genome\.fa\.gz.*another program made.*name another folder"):
            simulate(folder, **{**ARGUMENTS, "seed": 99})
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is a file"):
        simulate(tmp_path / "file", **ARGUMENTS)


@pytest.mark.parametrize("seed", range(6))
def test_the_smallest_and_the_densest_world(seed: int, tmp_path: Path) -> None:
    smallest = simulate(tmp_path / "a", seed=seed, n_contigs=1, contig_length=50_000, n_variants=50)
    densest = simulate(tmp_path / "b", seed=seed, n_contigs=1, contig_length=50_000, n_variants=500)
    assert (len(smallest.records), len(densest.records)) == (50, 500)


def test_the_demo_is_what_its_parameters_make(tmp_path: Path) -> None:
    """Contents, not bytes: another zlib compresses differently."""
    demo = DATA / "demo"
    about = json.loads((demo / "world.json").read_text())
    again = simulate(tmp_path, **about["parameters"])
    assert again.counts == about["counts"]
    for path in (again.genome, again.gtf, again.peaks, again.states, again.motifs, again.vcf, again.truth):
        assert gzip.decompress(path.read_bytes()) == gzip.decompress((demo / path.name).read_bytes()), path.name
    assert sum(path.stat().st_size for path in demo.iterdir()) < 2_000_000
