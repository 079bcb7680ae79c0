"""Borzoi's scores of genes, isoforms and polyadenylation sites against loops that follow calico/borzoi step by step."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from borzoi_models import small_borzoi
from commands import rows_of, run_well
from scoring_jobs import track_scorer

from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import decode, encode
from genoformer.genome.genes import Genes, read_genes
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.models import registry
from genoformer.models.plain_engine import one_hot
from genoformer.scoring.formulas import coverage_ratio, usage_ratio
from genoformer.scoring.track_scorer import TrackScorer

pq = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra: pip install genoformer[parquet]")

LENGTH, SIZE = 2048, 32
random = np.random.default_rng(11)
CONTIG = decode(random.integers(0, 4, 6000, dtype=np.uint8))
MODEL = small_borzoi()
TABLE = TrackTable(
    tuple(Track(i, name, strand_pair=p) for i, (name, p) in enumerate(zip(("a+", "a-", "b", "c"), (1, 0, 2, 3), strict=True)))
)
STRANDS = ["+", "-", ".", "."]
GTF = """\
c1\tx\texon\t2501\t2600\t.\t+\t.\tgene_id "F"; transcript_id "F.1";
c1\tx\texon\t3001\t3100\t.\t+\t.\tgene_id "F"; transcript_id "F.1";
c1\tx\texon\t2551\t2700\t.\t+\t.\tgene_id "F"; transcript_id "F.2";
c1\tx\texon\t2801\t2817\t.\t+\t.\tgene_id "F"; transcript_id "F.3";
c1\tx\texon\t2701\t2900\t.\t-\t.\tgene_id "R"; transcript_id "R.1";
c1\tx\texon\t3201\t3400\t.\t-\t.\tgene_id "R"; transcript_id "R.1";
c1\tx\texon\t2951\t3400\t.\t-\t.\tgene_id "R"; transcript_id "R.2";
c1\tx\texon\t5901\t5990\t.\t-\t.\tgene_id "far"; transcript_id "far.1";
"""
TRANSCRIPTS = {  # 0-based half-open
    "F.1": ("+", [(2500, 2600), (3000, 3100)]),
    "F.2": ("+", [(2550, 2700)]),
    "F.3": ("+", [(2800, 2817)]),
    "R.1": ("-", [(2700, 2900), (3200, 3400)]),
    "R.2": ("-", [(2950, 3400)]),
}
SITES = {"F": ("+", [2699, 2816, 3099]), "R": ("-", [2950, 2700])}  # in the order of transcription
BODIES = {"F": (2500, 3100), "R": (2700, 3400)}
SNV = Variant("c1", 2760, CONTIG[2759], "ACGT"[("ACGT".index(CONTIG[2759]) + 1) % 4])


@pytest.fixture(scope="module")
def genome(tmp_path_factory) -> Genome:
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    path.write_text(f">c1\n{CONTIG}\n")
    return Genome(path)


@pytest.fixture(scope="module")
def gtf(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("genes") / "genes.gtf"
    path.write_text(GTF)
    return path


@pytest.fixture(scope="module")
def genes(genome, gtf) -> Genes:
    return read_genes(gtf, genome, transcripts=True)


def scorer(genome: Genome, names: str, genes: Genes, **options) -> TrackScorer:
    return track_scorer(
        MODEL, genome, names, head="human", targets=TABLE, genes=genes, both_strands=False, scale="model", **options
    )


def pair(start: int) -> tuple[np.ndarray, np.ndarray]:
    """Tracks [bins, K] of both alleles of SNV."""

    def predicted(text: str) -> np.ndarray:
        with torch.no_grad():
            return MODEL(one_hot(torch.tensor(encode(text)[None])), "human")[0].double().numpy().T

    changed = CONTIG[: SNV.start] + SNV.alt + CONTIG[SNV.end :]
    return predicted(CONTIG[start : start + LENGTH]), predicted(changed[start : start + LENGTH])


def masked(values: np.ndarray, strand: str) -> np.ndarray:
    return np.where([of in (strand, ".") for of in STRANDS], values, np.nan)


def bins_of_sites(name: str, start: int, kind: str) -> list[tuple[int, int]]:
    """`map_snpseq_apa`: the intervals of bins of a gene, without duplicates."""
    strand, sites = SITES[name]
    intervals = []
    for site in sites:
        pas_start, pas_end = site - start, site + 1 - start
        if kind == "COVR3":
            if strand == "+":
                end = int(np.round(pas_start / SIZE)) + 1
                intervals.append((end - 5, end))
            else:
                first = int(np.round(pas_end / SIZE))
                intervals.append((first, first + 5))
            continue
        up_end = int(np.round(pas_start / SIZE)) + 1
        down_first = int(np.round(pas_end / SIZE))
        left, right = (up_end - 4, up_end), (down_first, down_first + 4)
        intervals += [left, right] if strand == "+" else [right, left]
    kept = []
    for a, b in intervals:
        a, b = (max(min(x, LENGTH // SIZE), 0) for x in (a, b))
        if b > a and (a, b) not in kept:
            kept.append((a, b))
    return kept


def covr(ref: np.ndarray, alt: np.ndarray) -> np.ndarray:
    """`write_snp`, COVR: [intervals, K] of both alleles -> [K]."""
    vec = (alt + 50) / (ref + 50)
    covered = [i for i in range(len(ref)) if ref[i].mean() > 100]
    if covered:
        vec = vec[covered]
    rows = [np.ones(ref.shape[1]), *vec, np.ones(ref.shape[1])]
    best = np.zeros(ref.shape[1])
    for j in range(1, len(rows)):
        scores = abs(np.log2(np.mean(rows[j:], axis=0) / np.mean(rows[:j], axis=0)))
        if scores.mean() > best.mean():
            best = scores
    return best


def covr3(ref: np.ndarray, alt: np.ndarray) -> np.ndarray:
    """`write_snp`, COVR3."""
    usage = [(x + 50) / (x + 50).sum(0) for x in (ref, alt)]
    best = np.zeros(ref.shape[1])
    for j in range(1, len(ref)):
        odds = [np.log2(x[j:].sum(0) / (1 - x[j:].sum(0))) for x in usage]
        if abs(odds[1] - odds[0]).mean() > best.mean():
            best = abs(odds[1] - odds[0])
    return best


def majority_bins(exons: list[tuple[int, int]], start: int) -> list[int]:
    """`map_snpseq_genes` with majority_overlap: the bins between the rounded ends of exons."""
    bins = set()
    for a, b in exons:
        first, end = (min(int(np.round(max(0, base - start) / SIZE)), LENGTH // SIZE) for base in (a, b))
        bins |= set(range(first, end))
    return sorted(bins)


GENES = {
    name: (strand, [exon for of, (_, exons) in TRANSCRIPTS.items() if of[0] == name for exon in exons])
    for name, strand in (("F", "+"), ("R", "-"))
}


@pytest.mark.parametrize(("score", "spans"), [("LOGSED", GENES), ("LOGSED_ISOFORM", TRANSCRIPTS)])
def test_each_gene_and_isoform_has_its_log_fold_change(genome, genes, score, spans) -> None:
    made = scorer(genome, score, genes)
    (scores,) = made.score_each([SNV])
    start = made.windows.jobs([SNV], 0)[0].start
    ref, alt = pair(start)
    named = {made.layout.name_of_gene(item.number): values for item, values in scores.items.items()}
    assert set(named) == {name for name, (_, exons) in spans.items() if majority_bins(exons, start)}
    assert "F.3" not in named  # 17 bases, which cover no bin of 32 by more than half
    for name, values in named.items():
        strand, exons = spans[name]
        bins = majority_bins(exons, start)
        expected = np.log2(1 + alt[bins].sum(0)) - np.log2(1 + ref[bins].sum(0))
        assert values == pytest.approx(masked(expected, strand), rel=1e-3, abs=2e-5, nan_ok=True), name


@pytest.mark.parametrize(("name", "formula"), [("COVR", covr), ("COVR3", covr3)])
def test_polyadenylation_scores_are_those_published(genome, genes, name, formula) -> None:
    made = scorer(genome, name, genes)
    (scores,) = made.score_each([SNV])
    start = made.windows.jobs([SNV], 0)[0].start
    ref, alt = pair(start)
    named = {made.layout.name_of_gene(item.number): values for item, values in scores.items.items()}
    assert set(named) == set(SITES)
    for gene, (strand, _) in SITES.items():
        bins = bins_of_sites(gene, start, name)
        kept = [k for k, of in enumerate(STRANDS) if of in (strand, ".")]
        expected = np.full(4, np.nan)
        expected[kept] = formula(*(np.array([x[a:b, kept].sum(0) for a, b in bins]) for x in (ref, alt)))
        assert named[gene] == pytest.approx(expected, rel=2e-3, abs=1e-6, nan_ok=True), gene
        assert np.nanmax(named[gene]) > 1e-4


def test_ratios_of_large_coverage_leave_out_what_is_low() -> None:
    ref, alt = random.uniform(0, 300, (2, 3, 6))
    ref[:, 2] = 5
    assert (ref.mean(0) > 100).any()
    assert not (ref.mean(0) > 100).all()
    np.testing.assert_allclose(coverage_ratio(ref, alt), covr(ref.T, alt.T), rtol=1e-12)
    np.testing.assert_allclose(usage_ratio(ref, alt), covr3(ref.T, alt.T), rtol=1e-12)
    assert coverage_ratio(ref, ref).max() == usage_ratio(ref, ref).max() == 0


def test_ndi_is_the_largest_change_of_the_shape_over_the_body(genome, genes) -> None:
    made = scorer(genome, "NDI", genes)
    (scores,) = made.score_each([SNV])
    start = made.windows.jobs([SNV], 0)[0].start
    ref, alt = pair(start)
    pseudo = np.percentile(ref, 25, axis=0)
    for number, (name, (first, end)) in enumerate(BODIES.items()):
        a, b = (int(np.round((base - start) / SIZE)) for base in (first, end))
        shapes = [(x[a:b] + pseudo) / (x[a:b] + pseudo).sum(0) for x in (ref, alt)]
        expected = masked(abs(shapes[1] - shapes[0]).max(0), SITES[name][0])
        assert scores.items[0, number] == pytest.approx(expected, rel=1e-3, abs=1e-7, nan_ok=True)


def test_a_gene_with_most_sites_outside_the_window_has_no_value(genome, genes) -> None:
    made = scorer(genome, "COVR", genes)
    variant = Variant("c1", 2040, CONTIG[2039], "ACGT"[("ACGT".index(CONTIG[2039]) + 1) % 4])
    start = made.windows.jobs([variant], 0)[0].start
    assert 2960 < start + LENGTH < 3099  # one of the three sites of F is outside
    (scores,) = made.score_each([variant])
    assert {item.number for item in scores.items} == {1}  # R: both sites are inside


def test_polyadenylation_sites_of_a_file_replace_the_ends_of_transcripts(genome, tmp_path) -> None:
    lines = [
        'c1\tx\tpolyA_site\t2690\t2691\t.\t+\t.\tgene_id "1";',
        'c1\tx\tpolyA_site\t3140\t3141\t.\t+\t.\tgene_id "2";',  # 41 bases after the end of F
        'c1\tx\tpolyA_site\t3160\t3161\t.\t+\t.\tgene_id "3";',  # too far
        'c1\tx\tpolyA_site\t2650\t2651\t.\t-\t.\tgene_id "4";',  # 51 bases before R
        'c1\tx\tpolyA_site\t2652\t2653\t.\t-\t.\tgene_id "5";',
    ]
    path = tmp_path / "genes.gtf"
    path.write_text(GTF + "\n".join(lines) + "\n")
    sites = {gene.name: gene.polya_sites for gene in read_genes(path, genome, transcripts=True).over("c1", 0, 6000)}
    assert sites == {"F": (2690, 3140), "R": (2651,), "far": ()}


def test_the_command_writes_genes_and_isoforms(genome, gtf, tmp_path) -> None:
    folder, vcf, out, matrix = (tmp_path / name for name in ("model", "in.vcf", "out.tsv", "matrix.parquet"))
    MODEL.targets = {"human": TABLE}
    registry.save(MODEL, folder)
    MODEL.targets = {}
    vcf.write_text(
        f"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nc1\t2760\t.\t{SNV.ref}\t{SNV.alt}\t.\t.\t.\n"
    )
    common = ["-f", str(genome.path), "-m", str(folder), "--head", "human", "--gtf", str(gtf)]
    run_well("score", str(vcf), *common, "-s", "LOGSED,LOGSED_ISOFORM,COVR", "-o", str(out), "--matrix", str(matrix))
    with out.open() as file:
        (row,) = csv.DictReader((line for line in file if not line.startswith("##")), delimiter="\t")
    table = pq.read_table(matrix).to_pandas()
    isoforms = table[table.score == "LOGSED_ISOFORM"]
    assert set(isoforms.gene) == set(TRANSCRIPTS) - {"F.3"}
    strongest = isoforms[isoforms.strongest].iloc[0]
    assert row["LOGSED_ISOFORM_TRANSCRIPT"] == strongest.gene
    assert float(row["LOGSED_ISOFORM"]) == pytest.approx(strongest[row["LOGSED_ISOFORM_TRACK"]], rel=1e-4)
    assert row["LOGSED_GENE"] in BODIES
    assert row["COVR_GENE"] in BODIES


NAMES = "LOGSED,LOGSED_ISOFORM,COVR,COVR3,NDI"


def write_snvs(path: Path, positions: range) -> list[Variant]:
    rows = [Variant("c1", pos, CONTIG[pos - 1], "ACGT"[("ACGT".index(CONTIG[pos - 1]) + 1) % 4]) for pos in positions]
    lines = [f"c1\t{row.pos}\t.\t{row.ref}\t{row.alt}\t.\t.\t.\n" for row in rows]
    path.write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + "".join(lines))
    return rows


def test_each_score_has_a_background(genome, gtf, tmp_path) -> None:
    folder, vcf, out, matrix = (tmp_path / name for name in ("model", "in.vcf", "out.tsv", "matrix.parquet"))
    MODEL.targets = {"human": TABLE}
    registry.save(MODEL, folder)
    MODEL.targets = {}
    rows = write_snvs(vcf, range(2600, 3100, 50))
    common = ("-f", genome.path, "-m", folder, "--head", "human", "--gtf", gtf, "-s", NAMES)
    run_well("calibrate", vcf, *common)
    run_well("score", vcf, *common, "-o", out, "--matrix", matrix, "--noise-places", 0)
    table = pq.read_table(matrix).to_pandas()
    with out.open() as file:
        written = list(csv.DictReader((line for line in file if not line.startswith("##")), delimiter="\t"))
    assert len(written) == len(rows)
    for name in NAMES.split(","):
        strongest = table[(table.score == name) & table.strongest]
        for row in written:
            values = np.sort(strongest[row[f"{name}_TRACK"]].abs().dropna())
            share = (values <= abs(float(row[name])) * (1 + 1e-4)).mean()
            assert float(row[f"{name}_Q"]) == pytest.approx(share, abs=1.1 / len(values)), name  # a line between two
    run_well("score", vcf, *common, "-o", out, "--tracks", "0,2", "--noise-places", 0)
    header = out.read_text().partition("\n")[0]
    assert "NDI_Q" in header
    assert "COVR_Q" not in header  # its split is that of the scored tracks


def test_replicates_are_averaged_gene_by_gene(genome, genes, tmp_path) -> None:
    other = small_borzoi()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.03)
    options = {"head": "human", "targets": TABLE, "genes": genes, "both_strands": False, "scale": "model"}
    together, *apart = (track_scorer(models, genome, NAMES, **options) for models in ([MODEL, other], MODEL, other))
    (mean,) = together.score_each([SNV])
    each = [made.score_each([SNV])[0].items for made in apart]
    assert mean.items.keys() == each[0].keys() == each[1].keys()
    for item, values in mean.items.items():
        np.testing.assert_allclose(values, (each[0][item] + each[1][item]) / 2, rtol=1e-5, atol=1e-8)
    assert any(not np.allclose(each[0][item], each[1][item], equal_nan=True) for item in mean.items)


def test_haplotypes_and_pairs_take_scores_of_isoforms(genome, gtf, tmp_path) -> None:
    folder, vcf, out = (tmp_path / name for name in ("model", "in.vcf", "out.tsv"))
    MODEL.targets = {"human": TABLE}
    registry.save(MODEL, folder)
    MODEL.targets = {}
    write_snvs(vcf, range(2700, 2800, 50))
    run_well(
        "pairs", vcf, "-f", genome.path, "-m", folder, "--head", "human", "--gtf", gtf, "-s", "LOGSED_ISOFORM,COVR", "-o", out
    )
    (row,) = rows_of(out)
    assert row["LOGSED_ISOFORM_TRANSCRIPT"] in TRANSCRIPTS
    assert row["COVR_GENE"] in BODIES
    more = float(row["LOGSED_ISOFORM_AB"]) - float(row["LOGSED_ISOFORM_A"]) - float(row["LOGSED_ISOFORM_B"])
    assert float(row["LOGSED_ISOFORM_NONADD"]) == pytest.approx(more, abs=1e-4)


def test_a_model_with_one_head_needs_no_name_of_it(genome, gtf, tmp_path) -> None:
    folder, vcf, out = (tmp_path / name for name in ("model", "in.vcf", "out.vcf"))
    model = small_borzoi(heads={"human": 4})
    model.targets = {"human": TABLE}
    registry.save(model, folder)
    rows = write_snvs(vcf, range(2700, 2900, 50))
    run_well("score", vcf, "-f", genome.path, "-m", folder, "-s", "LOGSED", "--gtf", gtf, "-o", out)
    assert out.read_text().count("GF_LOGSED_GENE=") == len(rows)


@pytest.mark.parametrize(
    ("names", "strands", "note"),
    [
        (("cage.liver.plus", "cage.liver.minus"), "+-", ""),
        (("mixed:cage.minus", "mixed:cage.plus"), "-+", ""),
        (("first", "second"), "..", "strands: 1 strand pair has no known strand, so scores of genes use both tracks"),
    ],
)
def test_words_tell_the_strand_of_a_track(genome, genes, names, strands, note) -> None:
    """A gene has no value on a track of the other strand; if nothing tells the strand it has one on both, with a note."""
    table = TrackTable(
        tuple(Track(i, name, strand_pair=p) for i, (name, p) in enumerate(zip((*names, "b", "c"), (1, 0, 2, 3), strict=True)))
    )
    found = track_scorer(MODEL, genome, "LOGSED", head="human", targets=table, genes=genes, both_strands=False, scale="model")
    (scores,) = found.score_each([SNV])
    of_genes = {"F": "+", "R": "-"}
    assert {genes.item_names[item.number] for item in scores.items} == set(of_genes)
    for item, values in scores.items.items():
        gene = of_genes[genes.item_names[item.number]]
        assert np.isfinite(values).tolist() == [strand in (gene, ".") for strand in (*strands, ".", ".")]
    assert [text.startswith(note) for text in found.strand_notes] == ([True] if note else [])


def test_a_note_on_unknown_strands_is_in_the_run_and_in_the_header(genome, gtf, tmp_path) -> None:
    model = small_borzoi()
    registry.save(model, tmp_path / "model")
    write_snvs(tmp_path / "in.vcf", range(2760, 2761))
    words = ("score", tmp_path / "in.vcf", "-f", genome.path, "-m", tmp_path / "model", "--head", "human", "--workers", "1")
    words = (*words, "--strand", "forward", "--noise-places", "0", "--gtf", gtf)
    done = run_well(*words, "-s", "LOGSED", "-o", tmp_path / "o.vcf")
    note = "no table has the strands of the tracks of human, so scores of genes also use tracks of the other strand"
    assert note in done.stderr
    assert f"##genoformer_caution=strands: {note}" in (tmp_path / "o.vcf").read_text()
    assert "strands:" not in run_well(*words, "-s", "SAD", "-o", tmp_path / "p.vcf").stderr
