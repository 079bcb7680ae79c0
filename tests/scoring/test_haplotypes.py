"""Effects of all variants of a chromosome together, against whole sequences through the whole model."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from genoformer_cli.main import main
from scoring_jobs import run_haplotypes, run_pairs, scoring
from small_models import small_enformer

from genoformer.errors import ConfigError, FileFormatError, PreflightError
from genoformer.formats.bed import Region
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import encode
from genoformer.genome.genes import Gene, Genes
from genoformer.genome.readings import other_strand
from genoformer.genome.reference import Genome
from genoformer.models import registry
from genoformer.models.plain_engine import one_hot
from genoformer.resume_folder import JobError
from genoformer.scoring.effect_table import HaplotypeSummary
from genoformer.scoring.noise import measure
from genoformer.scoring.parts import PartLimits
from genoformer.scoring.scores import SCORES
from genoformer.scoring.settings import AlleleComparison, Runtime, Scoring
from genoformer.scoring.track_scorer import TrackScorer

random = np.random.default_rng(2)
TEXT = "".join(random.choice(list("ACGT"), 1500))
MODEL = small_enformer(seed=4)
TARGETS = TrackTable(tuple(Track(i, f"t{i}", strand_pair=i) for i in range(5)))
HEAD = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tx\ty\tz\n"


@pytest.fixture
def genome(make_fasta) -> Genome:
    return Genome(make_fasta(chr1=TEXT))


def other(pos: int) -> str:
    return "ACGT"["ACGT".index(TEXT[pos - 1]) - 1]


@pytest.fixture
def vcf(tmp_path: Path) -> Path:
    rows = [
        (480, TEXT[479], other(480), "0|1\t1|1\t0|0"),
        (490, TEXT[489:493], TEXT[489], "0|0\t1|0\t0/1"),  # z has no phase
        (500, TEXT[499], f"{TEXT[499]}TTGACA,{other(500)}", "1|0\t0|2\t.|0"),
        (501, TEXT[500], "<DEL>", "1|1\t0|0\t0|0"),
        (1400, TEXT[1399], other(1400), "1|1\t1|1\t1|1"),
    ]
    lines = "".join(f"1\t{pos}\t.\t{ref}\t{alt}\t.\t.\t.\tGT\t{gt}\n" for pos, ref, alt, gt in rows)
    (tmp_path / "in.vcf").write_text(HEAD + lines)
    return tmp_path / "in.vcf"


def settings(names: str = "SAD,D2", **options) -> Scoring:
    return scoring(MODEL, names, both_strands=False, head="human", targets=TARGETS, **options)


def tracks(text: str) -> np.ndarray:
    with torch.no_grad():
        return MODEL(one_hot(torch.tensor(encode(text)[None])), "human")[0].double().numpy()


def test_substitutions_of_a_chromosome_are_read_together(genome, tmp_path) -> None:
    """Two SNVs on one chromosome: the window with both; the sum of a sample is that of its chromosomes."""
    rows = [(470, "1|0\t1|1\t0|0"), (520, "1|0\t0|1\t0|0")]
    lines = "".join(f"chr1\t{p}\t.\t{TEXT[p - 1]}\t{other(p)}\t.\t.\t.\tGT\t{gt}\n" for p, gt in rows)
    (tmp_path / "in.vcf").write_text(HEAD + lines)
    made = settings()
    done = run_haplotypes(tmp_path / "in.vcf", genome, made, [Region("1", 490, 511, "r")], tmp_path / "o.tsv")
    assert (done.n_rows, done.n_sequences) == (9, 2)  # both together, and the first alone
    with (tmp_path / "o.tsv").open() as file:
        found = {(row["sample"], row["haplotype"]): row for row in csv.DictReader(file, delimiter="\t")}
    start = (500 - 128 + 4) // 8 * 8
    ref = tracks(TEXT[start : start + 256])

    def effect(*positions: int) -> np.ndarray:
        text = list(TEXT)
        for pos in positions:
            text[pos - 1] = other(pos)
        return tracks("".join(text[start : start + 256])).sum(1) - ref.sum(1)

    first, both = effect(470), effect(470, 520)
    expected = {("x", "1"): both, ("x", "2"): 0 * both, ("y", "1"): first, ("y", "2"): both, ("y", "sum"): first + both}
    for key, values in expected.items():
        strongest = int(np.abs(values).argmax())
        assert float(found[key]["SAD"]) == pytest.approx(values[strongest], abs=1e-4)
        if values.any():
            assert found[key]["SAD_TRACK"] == f"t{strongest}"
    assert found["y", "sum"]["variants"] == "3"
    assert found["z", "sum"]["SAD"] == "0"


def test_what_cannot_be_used_is_counted(genome, vcf, tmp_path) -> None:
    done = run_haplotypes(vcf, genome, settings(), [Region("chr1", 490, 510)], tmp_path / "o.tsv", samples=["y", "z"])
    assert done.left_out == {"without phase": 1, "not known": 1, "another phase set": 0, "overlapping": 0}
    done = run_haplotypes(vcf, genome, settings(), [Region("chr1", 490, 510)], tmp_path / "o.tsv")
    assert done.left_out["SYMBOLIC"] == 1
    with (tmp_path / "o.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert {(row["sample"], row["haplotype"]): row["variants"] for row in rows if row["haplotype"] != "sum"} == {
        ("x", "1"): "1",
        ("x", "2"): "1",
        ("y", "1"): "2",
        ("y", "2"): "2",
        ("z", "1"): "0",
        ("z", "2"): "0",
    }
    with pytest.raises(ConfigError, match=r"has no sample w; it has x, y, z\.$"):
        run_haplotypes(vcf, genome, settings(), [Region("chr1", 490, 510)], tmp_path / "o.tsv", samples=["w"])


def test_one_variant_is_scored_as_by_score(genome, tmp_path) -> None:
    """An indel alone on a chromosome, in a window around its first base: what `score` says."""
    from genoformer.genome.variants import Variant

    pos = 501  # in the middle: nothing left of it moves
    lines = f"chr1\t{pos}\t.\t{TEXT[500:508]}\t{TEXT[500]}\t.\t.\t.\tGT\t1|0\t0|0\t0|0\n"
    (tmp_path / "in.vcf").write_text(HEAD + lines)
    made = settings("SAD")
    run_haplotypes(tmp_path / "in.vcf", genome, made, [Region("chr1", 501, 502)], tmp_path / "o.tsv", samples=["x"])
    with (tmp_path / "o.tsv").open() as file:
        row = next(csv.DictReader(file, delimiter="\t"))
    values, _ = TrackScorer(genome, made).values([Variant("chr1", pos, TEXT[500:508], TEXT[500])])
    assert float(row["SAD"]) == pytest.approx(max(values[0, 0], key=abs), abs=1e-4)


def test_pairs_tell_how_far_both_are_from_the_sum(genome, tmp_path) -> None:
    rows = [(470, TEXT[469], other(470)), (490, TEXT[489], TEXT[489] + "GATTACA"), (700, TEXT[699], other(700))]
    lines = "".join(f"chr1\t{p}\t.\t{r}\t{a}\t.\t.\t.\tGT\t0|0\t0|0\t0|0\n" for p, r, a in rows)
    (tmp_path / "in.vcf").write_text(HEAD + lines)
    made = settings()
    done = run_pairs(tmp_path / "in.vcf", genome, made, 50, tmp_path / "o.tsv")
    assert (done.n_rows, done.n_sequences) == (1, 3)
    with (tmp_path / "o.tsv").open() as file:
        (row,) = csv.DictReader(file, delimiter="\t")
    assert (row["pos_a"], row["pos_b"], row["alt_b"]) == ("470", "490", f"{TEXT[489]}GATTACA")
    for score in ("SAD", "D2"):
        a, b, both, more = (float(row[f"{score}_{kind}"]) for kind in ("A", "B", "AB", "NONADD"))
        assert more == pytest.approx(both - a - b, abs=1e-3)
    with pytest.raises(ConfigError, match=r"option within is .*, expected 1 to 64, a quarter of the window"):
        run_pairs(tmp_path / "in.vcf", genome, made, 65, tmp_path / "o.tsv")


def test_pairs_are_told_apart_by_their_own_bases(genome, tmp_path) -> None:
    """The first REF has bases to spare: what it changes lies behind the second; each alone is what `score` says."""
    from genoformer.genome.variants import Variant

    last = other(506)
    rows = [Variant("chr1", 500, TEXT[499:506], TEXT[499:505] + last), Variant("chr1", 503, TEXT[502], TEXT[502] + "GATTACA")]
    lines = "".join(f"chr1\t{v.pos}\t.\t{v.ref}\t{v.alt}\t.\t.\t.\tGT\t0|0\t0|0\t0|0\n" for v in rows)
    (tmp_path / "in.vcf").write_text(HEAD + lines)
    made = settings("SAD")
    run_pairs(tmp_path / "in.vcf", genome, made, 20, tmp_path / "o.tsv")
    with (tmp_path / "o.tsv").open() as file:
        (row,) = csv.DictReader(file, delimiter="\t")
    start = TrackScorer(genome, made).window_start(Variant("chr1", (503 + 506) // 2 + 1, "", ""))
    track = int(row["SAD_TRACK"][1:])
    for kind, v in zip("AB", rows, strict=True):
        text = TEXT[: v.start] + v.alt + TEXT[v.end :]
        if kind == "A":  # a substitution moves nothing
            expected = (tracks(text[start : start + 256]) - tracks(TEXT[start : start + 256])).sum(1)[track]
            assert float(row["SAD_A"]) == pytest.approx(expected, abs=1e-4)
    values, _ = TrackScorer(genome, made).values([rows[1]])
    if TrackScorer(genome, made).window_start(Variant("chr1", 504, "", "")) == start:  # the same window
        assert float(row["SAD_B"]) == pytest.approx(values[0, 0, track], abs=1e-4)


def test_phase_sets_are_not_joined(genome, tmp_path) -> None:
    """x: two of set 1 and one of set 2, and a homozygous one that is of all; y has no sets."""
    rows = [
        (450, "0|1:1\t0|1:.\t0|0:."),
        (470, "0|1:2\t1|0:.\t0|0:."),
        (490, "1|0:1\t0|0:.\t0|0:."),
        (520, "1|1:7\t0|0:.\t0|0:."),
    ]
    lines = "".join(f"chr1\t{p}\t.\t{TEXT[p - 1]}\t{other(p)}\t.\t.\t.\tGT:PS\t{gt}\n" for p, gt in rows)
    (tmp_path / "in.vcf").write_text(HEAD + lines)
    done = run_haplotypes(tmp_path / "in.vcf", genome, settings(), [Region("1", 490, 511, "r")], tmp_path / "o.tsv")
    assert done.left_out["another phase set"] == 1
    with (tmp_path / "o.tsv").open() as file:
        found = {(row["sample"], row["haplotype"]): row["variants"] for row in csv.DictReader(file, delimiter="\t")}
    assert (found["x", "1"], found["x", "2"]) == ("2", "2")  # 490 and 520; 450 and 520
    assert (found["y", "1"], found["y", "2"]) == ("1", "1")


@pytest.mark.parametrize("what", ["haplotypes", "pairs"])
def test_a_vcf_of_another_build_is_refused(genome, tmp_path, what) -> None:
    rows = [(p, other(p), TEXT[p - 1]) for p in range(300, 1300, 20)]
    lines = "".join(f"chr1\t{p}\t.\t{r}\t{a}\t.\t.\t.\tGT\t0|1\t0|0\t0|0\n" for p, r, a in rows)
    (tmp_path / "in.vcf").write_text(HEAD + lines)

    def run(**options):
        if what == "pairs":
            return run_pairs(tmp_path / "in.vcf", genome, settings(), 25, tmp_path / "o.tsv", **options)
        return run_haplotypes(
            tmp_path / "in.vcf", genome, settings(), [Region("chr1", 490, 510)], tmp_path / "o.tsv", **options
        )

    with pytest.raises(PreflightError, match="REF and ALT look swapped"):
        run()
    assert not list(tmp_path.glob("*o.tsv*"))
    assert run(force=True).left_out["REF_MISMATCH"] > 0


def test_pairs_need_records_in_order(genome, tmp_path) -> None:
    lines = "".join(f"chr1\t{p}\t.\t{TEXT[p - 1]}\t{other(p)}\t.\t.\t.\tGT\t0|1\t0|0\t0|0\n" for p in (500, 900, 520))
    (tmp_path / "in.vcf").write_text(HEAD + lines)
    with pytest.raises(ConfigError, match=r"chr1:520 stands after chr1:\d+, .* in order of position; sort the VCF"):
        run_pairs(tmp_path / "in.vcf", genome, settings(), 25, tmp_path / "o.tsv")


def test_who_has_one_chromosome_has_no_second(genome, tmp_path) -> None:
    rows = [(470, "1\t1|1\t0|0"), (520, "0\t0|1\t0|0")]
    lines = "".join(f"chr1\t{p}\t.\t{TEXT[p - 1]}\t{other(p)}\t.\t.\t.\tGT\t{gt}\n" for p, gt in rows)
    (tmp_path / "in.vcf").write_text(HEAD + lines)
    run_haplotypes(tmp_path / "in.vcf", genome, settings(), [Region("1", 490, 511, "r")], tmp_path / "o.tsv")
    with (tmp_path / "o.tsv").open() as file:
        found = {(row["sample"], row["haplotype"]): row for row in csv.DictReader(file, delimiter="\t")}
    assert (found["x", "2"]["SAD"], found["x", "2"]["SAD_TRACK"], found["x", "2"]["variants"]) == ("", "", "")
    for name in ("SAD", "D2", "variants"):
        assert found["x", "sum"][name] == found["x", "1"][name] == found["y", "1"][name]
    assert found["z", "2"]["SAD"] == "0"


def scored(genome, tmp_path, lines: list[str], samples: str = "x\ty\tz", **options):
    """(what is said of the run, {(sample, haplotype): row})"""
    (tmp_path / "in.vcf").write_text(HEAD.replace("x\ty\tz", samples) + "".join(f"{line}\n" for line in lines))
    done = run_haplotypes(tmp_path / "in.vcf", genome, settings(), [Region("1", 490, 511, "r")], tmp_path / "o.tsv", **options)
    with (tmp_path / "o.tsv").open() as file:
        return done, {(row["sample"], row["haplotype"]): row for row in csv.DictReader(file, delimiter="\t")}


def snv(pos: int, *genotypes: str, form: str = "GT", alt: str = "") -> str:
    return "\t".join(["chr1", str(pos), ".", TEXT[pos - 1], alt or other(pos), ".", ".", ".", form, *genotypes])


def variants_of(rows: dict) -> dict[tuple[str, str], str]:
    return {key: row["variants"] for key, row in rows.items()}


def test_every_chromosome_of_a_tetraploid_is_scored(genome, tmp_path) -> None:
    lines = [snv(470, "0|0|1|1"), snv(490, "1|0|0|0"), snv(520, "1/1/1/1")]
    done, rows = scored(genome, tmp_path, lines, "x")
    assert variants_of(rows) == {("x", "1"): "2", ("x", "2"): "1", ("x", "3"): "2", ("x", "4"): "2", ("x", "sum"): "7"}
    assert not any(done.left_out.values())
    start = (500 - 128 + 4) // 8 * 8
    ref = tracks(TEXT[start : start + 256]).sum(1)

    def effect(*positions: int) -> np.ndarray:
        text = list(TEXT)
        for pos in positions:
            text[pos - 1] = other(pos)
        return tracks("".join(text[start : start + 256])).sum(1) - ref

    expected = effect(490, 520) + effect(520) + 2 * effect(470, 520)
    assert float(rows["x", "sum"]["SAD"]) == pytest.approx(max(expected, key=abs), abs=1e-4)


def test_samples_of_different_ploidy_stand_in_one_table(genome, tmp_path) -> None:
    _, rows = scored(genome, tmp_path, [snv(470, "0|1", "1", "1|0|1"), snv(490, ".", ".", "."), snv(500, "./.", "0", "0|0|1")])
    assert variants_of(rows) == {
        ("x", "1"): "0",
        ("x", "2"): "1",
        ("x", "sum"): "1",
        ("y", "1"): "1",
        ("y", "2"): "",
        ("y", "sum"): "1",
        ("z", "1"): "1",
        ("z", "2"): "0",
        ("z", "3"): "2",
        ("z", "sum"): "3",
    }


def test_a_genotype_of_another_ploidy_leaves_the_others(genome, tmp_path) -> None:
    lines = [snv(470, "0|1", "0|1", "1"), snv(490, "0|0|0", "1|1|1", "0|0"), snv(500, "1|1", "1|0", "1")]
    lines.append(snv(510, ".", ".", "0|0"))
    done, rows = scored(genome, tmp_path, lines)
    assert variants_of(rows) == {
        ("x", "1"): "1",
        ("x", "2"): "2",
        ("x", "sum"): "3",
        ("y", "1"): "1",
        ("y", "2"): "1",
        ("y", "sum"): "2",
        ("z", "1"): "2",
        ("z", "2"): "",
        ("z", "sum"): "2",
    }
    assert done.left_out["another ploidy"] == 3


def test_prefixes_of_phase_change_nothing(genome, tmp_path) -> None:
    plain = scored(genome, tmp_path, [snv(470, "0|1", "1|0", "1|1"), snv(490, "1|0", "0|0", "0/1")])
    for prefix in ("|", "/"):
        lines = [snv(470, f"{prefix}0|1", f"{prefix}1|0", f"{prefix}1|1"), snv(490, f"{prefix}1|0", f"{prefix}0|0", "/0/1")]
        assert scored(genome, tmp_path, lines) == plain


@pytest.mark.parametrize(
    ("lines", "left_out"),
    [
        ([snv(470, "0|1", "0/1", "./1")], {"without phase": 2, "not known": 1}),
        ([snv(470, ".", "./.", "1|.")], {"not known": 4}),
        ([snv(470, "0|1", "0|2", "3|3")], {"no such ALT": 3}),
        ([snv(470, "0|1", "0|x", "")], {"unreadable GT": 1, "not known": 1}),
        ([snv(470, "3", "4", "5", form="DP")], {"without GT": 3}),
        (["\t".join(snv(470).split("\t")[:8])], {"without GT": 3}),
        ([snv(470, "0|1", "0|1", "0|1"), snv(490, "1", "1", "0")], {"another ploidy": 2}),
        (
            [snv(470, "0|1", "0|1", "0|1"), snv(490, "0|0|0", "0", "1|0|0"), snv(500, "1|0", "1|1", "0|1")],
            {"another ploidy": 1},
        ),
        ([snv(470, "3:0|1", "3:0/1", "3", form="DP:GT")], {"without phase": 1, "not known": 1}),
        ([snv(470, "0|1", "0|1", "0|1", alt="<DEL>")], {"SYMBOLIC": 1}),
        ([snv(470, "0|1", "0|1", "0|1"), snv(470, "0|1", "0|0", "0|0", alt="<DEL>")], {"SYMBOLIC": 1}),
        ([snv(470, "0/1/1/1", "0/1|2", "1/1/0", alt="G,T")], {"without phase": 6}),
        (
            [snv(470, "0|1", "0|1", "0|1"), snv(470, "0|1", "0|1", "0|1", alt="ACGT"[("ACGT".index(TEXT[469]) + 1) % 4])],
            {"overlapping": 1},
        ),
    ],
)
def test_every_allele_that_is_left_out_has_a_reason(genome, tmp_path, lines, left_out) -> None:
    done, _ = scored(genome, tmp_path, lines, force=True)
    assert {reason: n for reason, n in done.left_out.items() if n} == left_out


@pytest.mark.parametrize("genotypes", [("0|1", "0|1"), ("0|1", "0|1", "1|1", "1|1")])
def test_a_record_has_the_samples_of_the_header(genome, tmp_path, genotypes) -> None:
    with pytest.raises(FileFormatError, match=rf"in.vcf, chr1:470: {len(genotypes)} columns of samples, .* names 3; mend"):
        scored(genome, tmp_path, [snv(470, *genotypes)])


def test_pairs_count_what_they_leave_out(genome, tmp_path) -> None:
    """Two ALTs of one base are never together; symbolic alleles, a `.` and what is far make no pair."""
    lines = [
        snv(470, alt="A,C,G,T".replace(f"{TEXT[469]},", "").replace(f",{TEXT[469]}", "")),
        snv(470),
        snv(472, alt="<DEL>"),
        snv(473, alt="."),
        snv(475),
        snv(700),
    ]
    (tmp_path / "in.vcf").write_text(HEAD + "".join(f"{line.rstrip()}\t0|1\t0|1\t0|1\n" for line in lines))
    done = run_pairs(tmp_path / "in.vcf", genome, settings(), 50, tmp_path / "o.tsv")
    assert done.n_rows == 4  # each of 3 + 1 alleles at 470 with that at 475
    assert done.left_out == {"overlapping": 3, "SYMBOLIC": 1, "NO_ALT": 1}


@pytest.mark.parametrize("pairs_in_a_part", [64, 1])
def test_an_unsorted_vcf_can_be_sorted_in_place(genome, tmp_path, pairs_in_a_part) -> None:
    runtime = Runtime(parts=PartLimits(pairs=pairs_in_a_part))  # 1: a part is done before the refusal
    lines = [snv(470), snv(475), snv(472)]
    for order, refused in [(lines, True), (sorted(lines), False)]:
        (tmp_path / "in.vcf").write_text(HEAD + "".join(f"{line}\t0|1\t0|1\t0|1\n" for line in order))
        if refused:
            with pytest.raises(ConfigError, match=r"chr1:472 stands after chr1:475, .*; sort the VCF"):
                run_pairs(tmp_path / "in.vcf", genome, settings(), 50, tmp_path / "o.tsv", runtime=runtime)
            assert [path.name for path in tmp_path.iterdir() if "parts" in path.name or path.name == "o.tsv"] == []
    assert run_pairs(tmp_path / "in.vcf", genome, settings(), 50, tmp_path / "o.tsv", runtime=runtime).n_rows == 3


def test_the_records_of_a_contig_stand_in_a_row(make_fasta, tmp_path) -> None:
    lines = [snv(470), snv(475).replace("chr1", "chr2"), snv(480)]
    (tmp_path / "in.vcf").write_text(HEAD + "".join(f"{line}\t0|1\t0|1\t0|1\n" for line in lines))
    genome = Genome(make_fasta(chr1=TEXT, chr2=TEXT))
    with pytest.raises(ConfigError, match=r"chr1:480 stands after records of other contigs, .* in a row; sort the VCF"):
        run_pairs(tmp_path / "in.vcf", genome, settings(), 50, tmp_path / "o.tsv")


GENES = Genes({"chr1": [Gene(0, "left", np.array([[430, 470]])), Gene(1, "right", np.array([[500, 540], [550, 560]]))]})


def test_the_sum_and_the_difference_are_of_one_gene(genome, tmp_path) -> None:
    """On each chromosome another gene may have the largest change: the sum is of one, and what it is of stands beside it."""
    rows = [(470, "1|0\t0|0\t0|0"), (530, "0|1\t0|0\t0|0")]
    lines = "".join(f"chr1\t{p}\t.\t{TEXT[p - 1]}\t{other(p)}\t.\t.\t.\tGT\t{gt}\n" for p, gt in rows)
    (tmp_path / "in.vcf").write_text(HEAD + lines)
    made = settings("LOGSED", genes=GENES)
    run_haplotypes(tmp_path / "in.vcf", genome, made, [Region("1", 490, 511)], tmp_path / "o.tsv", samples=["x"])
    with (tmp_path / "o.tsv").open() as file:
        one, two, both = csv.DictReader(file, delimiter="\t")
    start = (500 - 128 + 4) // 8 * 8
    ref = tracks(TEXT[start : start + 256])
    bins = {
        gene.name: sorted({i for a, b in gene.exons.tolist() for i in range(round((a - start) / 8), round((b - start) / 8))})
        for gene in GENES.over("chr1", start, start + 256)
    }

    def effect(pos: int, gene: str) -> np.ndarray:
        text = TEXT[: pos - 1] + other(pos) + TEXT[pos:]
        alt = tracks(text[start : start + 256])
        return np.log2((1 + alt[:, bins[gene]].sum(1)) / (1 + ref[:, bins[gene]].sum(1)))

    for row, positions in ((one, [470]), (two, [530]), (both, [470, 530])):
        sums = {gene: sum(effect(pos, gene) for pos in positions) for gene in bins}
        strongest = max(sums, key=lambda gene: np.abs(sums[gene]).max())
        assert row["LOGSED_GENE"] == strongest
        assert float(row["LOGSED"]) == pytest.approx(max(sums[strongest], key=abs), abs=1e-5)
    run_pairs(tmp_path / "in.vcf", genome, made, 60, tmp_path / "p.tsv")
    with (tmp_path / "p.tsv").open() as file:
        (row,) = csv.DictReader(file, delimiter="\t")
    a, b, ab, more = (float(row[f"LOGSED_{kind}"]) for kind in ("A", "B", "AB", "NONADD"))
    assert more == pytest.approx(ab - a - b, abs=1e-4)
    assert row["LOGSED_GENE"] in bins


@pytest.mark.parametrize("what", ["haplotypes", "pairs"])
def test_an_interrupted_run_goes_on_where_it_stopped(genome, vcf, tmp_path, monkeypatch, what) -> None:
    def run(output: Path, names: str = "SAD,D2"):
        made = settings(names)
        if what == "pairs":
            return run_pairs(vcf, genome, made, 25, output, runtime=Runtime(parts=PartLimits(pairs=1)))
        return run_haplotypes(vcf, genome, made, [Region("chr1", at, at + 20) for at in (440, 490, 560)], output)

    whole = run(tmp_path / "whole.tsv")
    n_parts = 3 if what == "haplotypes" else whole.n_rows
    true, calls = TrackScorer.haplotypes, []

    def some(*arguments, **options):
        calls.append(1)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return true(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(TrackScorer, "haplotypes", some)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "out.tsv")
    assert not (tmp_path / "out.tsv").exists()
    with pytest.raises(JobError, match="unfinished work of a run that differs in scores"):
        run(tmp_path / "out.tsv", "SAD")
    (tmp_path / ".out.tsv.parts" / "00000001.json").write_text("{torn")
    again = run(tmp_path / "out.tsv")
    assert again.reused == 2 < n_parts
    assert (tmp_path / "out.tsv").read_bytes() == (tmp_path / "whole.tsv").read_bytes()
    assert again._replace(reused=0) == whole
    assert not list(tmp_path.glob(".out*"))


def test_the_commands(genome, vcf, tmp_path) -> None:
    registry.save(MODEL, tmp_path / "model")
    (tmp_path / "r.bed").write_text("chr1\t490\t510\tr1\n")
    common = [str(vcf), "-f", str(genome.path), "-m", str(tmp_path / "model"), "--head", "human", "--strand", "forward"]
    for command, extra, n in (("haplotypes", ["-b", str(tmp_path / "r.bed")], 9), ("pairs", ["--within", "20"], 5)):
        done = CliRunner().invoke(main, [command, *common, *extra, "-o", str(tmp_path / f"{command}.tsv")])
        assert done.exit_code == 0, done.output
        assert len((tmp_path / f"{command}.tsv").read_text().splitlines()) == n + 1
        assert f"{n} rows from" in done.stderr
    (tmp_path / "none.vcf").write_text("##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
    out = ["-b", str(tmp_path / "r.bed"), "-o", str(tmp_path / "n.tsv")]
    done = CliRunner().invoke(main, ["haplotypes", str(tmp_path / "none.vcf"), *common[1:], *out])
    assert done.exit_code == 2
    assert "has no samples; haplotypes need phased genotypes" in done.stderr
    assert not (tmp_path / "n.tsv").exists()


@pytest.mark.parametrize("what", ["haplotypes", "pairs"])
def test_errors_over_shifts_are_those_of_runs_with_single_shifts(genome, vcf, tmp_path, what) -> None:
    """Of a sum, or a difference, the error of the sums of each shift: not one of the errors of its parts."""

    def rows(*shifts: int) -> list[dict[str, str]]:
        made = settings("SAD", tracks=[2], settings=AlleleComparison(shifts=shifts))
        out = tmp_path / f"{len(shifts)}{shifts[0]}.tsv"
        if what == "haplotypes":
            run_haplotypes(vcf, genome, made, [Region("1", 490, 511, "r"), Region("1", 1100, 1110, "none")], out)
        else:
            run_pairs(vcf, genome, made, 15, out)
        with out.open() as file:
            return list(csv.DictReader(file, delimiter="\t"))

    shifts, name = (-3, 0, 6), "SAD" if what == "haplotypes" else "SAD_NONADD"
    together, apart = rows(*shifts), [rows(shift) for shift in shifts]
    assert f"{name}_SE" in together[0]
    assert f"{name}_SE" not in apart[0][0]
    for row, *each in zip(together, *apart, strict=True):
        if row[name] == "":
            assert row[f"{name}_SE"] == ""
            continue
        values = [float(one[name]) for one in each]
        assert float(row[name]) == pytest.approx(np.mean(values), abs=1e-4)
        assert float(row[f"{name}_SE"]) == pytest.approx(np.std(values, ddof=1) / np.sqrt(3), abs=1e-4)
    assert any(float(row[f"{name}_SE"] or 0) > 1e-3 for row in together)


# Records that are read as they were meant

Row = tuple[int, str, list[str], str]  # POS, REF, ALTs, the three genotypes

GENOTYPES = ["0|1\t1|1\t0|0", "1|0\t0|0\t0|1", "1|1\t.|1\t0|1"]
SNVS: list[Row] = [(pos, TEXT[pos - 1], [other(pos)], GENOTYPES[pos % 3]) for pos in range(430, 560, 6)]
ALLELES = [b for b in "ACGT" if b != TEXT[564]]
LONGER: list[Row] = [
    (375, TEXT[374:379], [TEXT[374]], "1|1\t0|1\t0|0"),  # REF alone reaches into the window, which begins at 376
    (565, TEXT[564], ALLELES[:2], "1|2\t0|2\t0|0"),
    (570, TEXT[569], [f"{TEXT[569]}GATTACA"], "0|1\t1|0\t0|0"),
]


def swapped(row: Row) -> Row:
    """The last ALT in place of REF, and its number in the genotypes in place of 0."""
    pos, ref, alts, calls = row
    number = str(len(alts))
    return pos, alts[-1], [*alts[:-1], ref], calls.translate({ord("0"): number, ord(number): "0"})


def flipped(row: Row) -> Row:
    pos, ref, alts, calls = row
    return pos, other_strand(ref), [other_strand(alt) for alt in alts], calls


def moved(row: Row) -> Row:
    return row[0] - 1, *row[1:]


def write(path: Path, rows: list[Row]) -> Path:
    lines = (f"1\t{pos}\t.\t{ref}\t{','.join(alts)}\t.\t.\t.\tGT\t{calls}\n" for pos, ref, alts, calls in rows)
    path.write_text(HEAD + "".join(lines))
    return path


ALTERED = [
    ([*LONGER[:1], *SNVS, *LONGER[1:]], swapped, "swap", "SWAP"),
    (SNVS, flipped, "strand", "STRAND"),
    ([*LONGER[:1], *SNVS, *LONGER[1:]], moved, "shift", "SHIFT"),
]


@pytest.mark.parametrize(("rows", "change", "fix", "word"), ALTERED)
@pytest.mark.parametrize("what", ["haplotypes", "pairs"])
def test_a_fixed_file_gives_the_table_of_the_file_that_was_meant(
    genome: Genome, tmp_path: Path, rows: list[Row], change: Callable[[Row], Row], fix: str, word: str, what: str
) -> None:
    made = settings("SAD")

    def table(given: list[Row], *fixes: str) -> tuple[str, HaplotypeSummary]:
        vcf, out = write(tmp_path / "in.vcf", given), tmp_path / "out.tsv"
        if what == "pairs":
            done = run_pairs(vcf, genome, made, 7, out, fix=fixes)
        else:
            done = run_haplotypes(vcf, genome, made, [Region("1", 490, 511, "r")], out, fix=fixes)
        return out.read_text(), done

    text, done = table(rows)
    again, fixed = table([change(row) for row in rows], fix)
    assert again == text
    assert (fixed.left_out, fixed.n_rows, fixed.n_sequences) == (done.left_out, done.n_rows, done.n_sequences)
    n_alts = sum(len(alts) for _, _, alts, _ in rows)
    assert (done.fixed, fixed.fixed) == ({}, {word: n_alts})
    assert "fixed as requested" in fixed.notes[-1]


def test_a_genotype_that_a_swap_or_the_other_strand_may_have_is_left_out(genome: Genome, tmp_path: Path) -> None:
    """A/T and C/G: the variant is known, and not which of its alleles 0 is."""
    paired = {"A": "T", "C": "G", "G": "C", "T": "A"}
    plain = [(pos, ref, [next(b for b in "ACGT" if b not in (ref, paired[ref]))], calls) for pos, ref, _, calls in SNVS]
    unclear = [(pos + 3, TEXT[pos + 2], [paired[TEXT[pos + 2]]], calls) for pos, _, _, calls in SNVS[:4]]
    rows = sorted(map(swapped, [*plain, *unclear]))
    regions, out = [Region("1", 490, 511, "r")], tmp_path / "out.tsv"
    done = run_haplotypes(write(tmp_path / "in.vcf", rows), genome, settings(), regions, out, fix=("swap", "strand"))
    assert done.left_out["swap or strand"] == 4
    assert done.fixed == {"SWAP": len(plain)}
    text = out.read_text()
    run_haplotypes(write(tmp_path / "in.vcf", plain), genome, settings(), regions, out)
    assert out.read_text() == text
    pairs = run_pairs(write(tmp_path / "in.vcf", rows), genome, settings(), 3, out, fix=("swap", "strand"))
    assert pairs.fixed == {"SWAP": len(plain), "SWAP_OR_STRAND": 4}


def test_the_commands_say_what_was_fixed_and_how_a_file_can_be(genome: Genome, tmp_path: Path) -> None:
    registry.save(MODEL, tmp_path / "model")
    (tmp_path / "r.bed").write_text("chr1\t490\t510\tr1\n")
    vcf = write(tmp_path / "in.vcf", [swapped(row) for row in SNVS])
    common = [vcf, "-f", genome.path, "-m", tmp_path / "model", "--head", "human", "--strand", "forward", "-s", "SAD"]
    for command, extra in (("haplotypes", ["-b", tmp_path / "r.bed"]), ("pairs", ["--within", 7])):
        arguments = [str(a) for a in (command, *common, *extra, "-o", tmp_path / "o.tsv")]
        refused = CliRunner().invoke(main, arguments)
        assert refused.exit_code == 2
        assert "give --fix swap" in refused.stderr
        done = CliRunner().invoke(main, [*arguments, "--fix", "swap"])
        assert done.exit_code == 0, done.output
        assert f"fixed: SWAP {len(SNVS)}\n" in done.stderr


def test_a_new_score_is_one_entry_also_if_it_is_not_zero_for_the_reference(genome, tmp_path, monkeypatch) -> None:
    """ACTIVE, the sum of the alternative alone: the reference chromosome has the sum of the reference, and no noise floor."""
    entry = SCORES["SAD"]._replace(name="ACTIVE", function=lambda ref, alt: alt.sum(-1), zero_at_reference=False)
    monkeypatch.setitem(SCORES, "ACTIVE", entry)
    rows = [(470, "0|1\t0|0\t0|0")]
    lines = "".join(f"chr1\t{p}\t.\t{TEXT[p - 1]}\t{other(p)}\t.\t.\t.\tGT\t{gt}\n" for p, gt in rows)
    (tmp_path / "in.vcf").write_text(HEAD + lines)
    chosen = settings("ACTIVE,SAD", tracks=[2])
    run_haplotypes(tmp_path / "in.vcf", genome, chosen, [Region("1", 490, 511, "r")], tmp_path / "o.tsv", samples=["x"])
    with (tmp_path / "o.tsv").open() as file:
        one, two, _ = csv.DictReader(file, delimiter="\t")
    start = (500 - 128 + 4) // 8 * 8
    changed = TEXT[:469] + other(470) + TEXT[470:]
    sums = [tracks(text[start : start + 256])[2].sum() for text in (TEXT, changed)]
    assert [float(row["ACTIVE"]) for row in (one, two)] == pytest.approx(sums, abs=1e-3)
    assert float(one["SAD"]) == 0
    floor = measure(TrackScorer(genome, chosen), genome, [("chr1", 500)], 8)
    assert floor is not None
    assert floor.names == ("SAD",)
    assert floor.indel[0] > 0
