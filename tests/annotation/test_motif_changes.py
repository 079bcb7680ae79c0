"""Motif changes of alleles: scores by a naive scan of both sequences, P by counting all windows, and the fields of records."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import permutations, product
from math import comb
from pathlib import Path

import numpy as np
import pytest
from commands import assert_refused, rows_of, run, run_well

import genoformer as gf
from genoformer.annotation.motif_changes import MotifAnnotation, motif_changes
from genoformer.annotation.motif_scores import UNIT, Distribution, MotifSet
from genoformer.annotation.request import AnnotationRequest
from genoformer.errors import ConfigError, OptionError
from genoformer.formats.motif_files import write_meme
from genoformer.formats.motif_matrix import Matrix
from genoformer.genome.normalise import normalise, trimmed
from genoformer.genome.variants import Variant
from genoformer.writers import escaped

THRESHOLD = 0.02  # short motifs have no rarer hits
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


def made_motifs(n: int = 12, *, seed: int = 0) -> list[Matrix]:
    random = np.random.default_rng(seed)
    return [Matrix(f"m{i}", random.dirichlet([0.4] * 4, size=int(w))) for i, w in enumerate(random.integers(1, 7, n))]


@pytest.fixture
def contig() -> str:
    random = np.random.default_rng(5)
    text = "".join(random.choice(list("ACGT"), 300))
    return text[:90] + "N" * 3 + text[93:150] + "CACACACACACA" + text[162:]


@pytest.fixture
def genome(make_fasta, contig) -> gf.Genome:
    return gf.Genome(make_fasta(chr1=contig))


def units_of(matrix: Matrix) -> np.ndarray:
    return np.rint((np.log2(matrix.p + 1e-4) - np.log2(0.25)) / UNIT).astype(int)


def naive_best(units: np.ndarray, text: str, start: int, n: int) -> float:
    """Best score over the windows of a sequence that touch [start, start + n), or have bases on both sides of `start`."""
    width, best = len(units), -np.inf
    for first in range(max(0, start - width), min(len(text) - width, start + n) + 1):
        end = first + width
        touches = first < start + n and end > start if n else first < start < end
        if not touches or "N" in text[first:end]:
            continue
        for window in (text[first:end], text[first:end].translate(COMPLEMENT)[::-1]):
            best = max(best, sum(int(units[i, "ACGT".index(base)]) for i, base in enumerate(window)))
    return best


def naive_distribution(units: np.ndarray) -> np.ndarray:
    return np.array([sum(row) for row in product(*units.tolist())])


def naive_least_hit(units: np.ndarray) -> float:
    scores = naive_distribution(units)
    hits = [s for s in set(scores.tolist()) if s > 0 and (scores >= s).mean() <= THRESHOLD]
    return min(hits, default=np.inf)


def variants_of(contig: str) -> list[Variant]:
    """SNVs, MNVs, insertions and deletions, also in the repeat, next to the N and at both ends."""
    random = np.random.default_rng(7)
    variants = []
    for start in [0, 1, 2, 88, 93, 95, 150, 153, 158, 297, 298, 299, *random.integers(3, 290, 8).tolist()]:
        for n_ref, n_alt in ((1, 1), (2, 2), (1, 3), (3, 1), (1, 6), (2, 5)):
            ref, alt = contig[start : start + n_ref], "".join(random.choice(list("ACGT"), n_alt))
            if len(ref) < n_ref or "N" in ref or ref == alt or (start == 0 and n_ref != n_alt):
                continue
            variants.append(Variant("chr1", start + 1, ref, alt if n_ref == n_alt else ref[0] + alt[1:]))
    return [v for v in variants if v.ref != v.alt]


def naive_changes(motifs: list[tuple[np.ndarray, float]], contig: str, genome: gf.Genome, variant: Variant) -> list[tuple]:
    """(motif, score of REF, of ALT) of the largest gain and the largest loss, in units; (-1, nan, nan) without one.

    motifs: the units of each, and its least score that is a hit.
    """
    short = trimmed(normalise(variant, genome))
    changed = contig[: short.start] + short.alt + contig[short.start + len(short.ref) :]
    scores = []
    for units, hit in motifs:
        ref = naive_best(units, contig, short.start, len(short.ref))
        alt = naive_best(units, changed, short.start, len(short.alt))
        scores.append((ref, alt, hit))
    largest = []
    for sign in (1, -1):
        rises = [
            sign * (alt - ref) if (alt if sign > 0 else ref) >= hit and np.isfinite([ref, alt]).all() else -np.inf
            for ref, alt, hit in scores
        ]
        best = int(np.argmax(rises))
        largest.append((best, *scores[best][:2]) if rises[best] > 0 else (-1, np.nan, np.nan))
    return largest


def test_the_strongest_changes_are_those_of_a_naive_scan(genome, contig) -> None:
    matrices, variants = made_motifs(), variants_of(contig)
    motifs = MotifSet(matrices, THRESHOLD)
    found = motif_changes(motifs, genome, variants)
    units = [units_of(matrix) for matrix in matrices]
    by_hand, n_changes = [(of, naive_least_hit(of)) for of in units], 0
    for i, variant in enumerate(variants):
        for of, (motif, ref, alt) in zip(found, naive_changes(by_hand, contig, genome, variant), strict=True):
            assert of.motif[i] == motif, variant
            np.testing.assert_allclose([of.ref[i], of.alt[i]], [ref * UNIT, alt * UNIT], rtol=1e-12)
            n_changes += motif >= 0
    assert len(variants) > 60
    assert n_changes > 40


def test_changes_do_not_depend_on_the_spelling_or_the_batch(genome) -> None:
    motifs = MotifSet(made_motifs(40), THRESHOLD)
    longer = [Variant("chr1", 151, "CAC", "C"), Variant("chr1", 157, "CAC", "C"), Variant("chr1", 152, "ACA", "A")]
    gained, lost = motif_changes(motifs, genome, longer)  # deletions of the same two bases of a repeat
    for of in (gained, lost):
        assert all(len(np.unique(column)) == 1 for column in of)  # NaN where there is none
    assert (lost.motif >= 0).all()
    alone = [motif_changes(motifs, genome, [v])[1] for v in longer]
    assert [int(of.motif[0]) for of in alone] == lost.motif.tolist()


@pytest.mark.parametrize(("n_wrong", "is_hit"), [(7, False), (6, True)])
def test_a_hit_has_a_positive_score(make_fasta, n_wrong: int, is_hit: bool) -> None:
    """An allele that takes away one mismatch of a sharp motif of 20 bases: with 6 left the score is negative, with 5 it is not.

    Windows of random bases have at most 6 mismatches with P = 2.8e-5, less than the threshold.
    """
    p = sum(comb(20, k) * 3**k for k in range(7)) / 4**20
    assert p < 1e-4
    right, wrong = np.log2(0.9701) + 2, np.log2(0.0101) + 2
    assert 14 * right + 6 * wrong < 0 < 15 * right + 5 * wrong
    text, site = "C" * 60 + "A" * (20 - n_wrong) + "C" * n_wrong + "C" * 60, 60 + 20 - n_wrong
    genome = gf.Genome(make_fasta(chr1=text))
    motif = Matrix("m", np.tile([0.97, 0.01, 0.01, 0.01], (20, 1)))
    gained, lost = motif_changes(MotifSet([motif], 1e-4), genome, [Variant("chr1", site + 1, "C", "A")])
    assert (gained.motif[0], lost.motif[0]) == (0 if is_hit else -1, -1)
    if is_hit:
        units = units_of(motif)
        assert gained.alt[0] == pytest.approx(UNIT * (15 * units[0, 0] + 5 * units[0, 1]))
        assert gained.ref[0] < 0 < gained.alt[0]


def naive_p_of_substitutions(units: np.ndarray, low: int, high: int) -> float:
    """P that a random substitution takes the score from at most low to at least high, from distributions of the other bases."""
    total = 0.0
    for i, row in enumerate(units.tolist()):
        others = {0: 1.0}
        for column in np.delete(units, i, axis=0).tolist():
            after: dict[int, float] = defaultdict(float)
            for score, p in others.items():
                for unit in column:
                    after[score + unit] += p / 4
            others = after
        for before, then in permutations(row, 2):
            total += sum(p for score, p in others.items() if score + before <= low and score + then >= high)
    return total / (12 * len(units))


@pytest.mark.parametrize("width", [9, 19, 30])
def test_p_of_substitutions_of_long_motifs_is_that_of_a_naive_convolution(width: int) -> None:
    units = units_of(made_motifs(1, seed=width)[0]._replace(p=np.random.default_rng(width).dirichlet([0.3] * 4, size=width)))
    distribution = Distribution(units, 1e-4)
    hit, best = int(distribution.least_hit), int(units.max(axis=1).sum())
    pairs = [(hit - 1, hit), (hit - 90, hit + 3), (best - 40, best), (best - 400, best - 5)]
    pairs = [(low, max(high, hit)) for low, high in pairs]
    found = distribution.p_of_substitutions(*np.array(pairs).T)
    np.testing.assert_allclose(found, [naive_p_of_substitutions(units, *pair) for pair in pairs], rtol=1e-9)
    assert found[:3].min() > 0  # the last step is larger than that of one base


@pytest.mark.parametrize("seed", range(4))
def test_p_of_scores_and_of_substitutions_count_all_windows(seed: int) -> None:
    (matrix,) = made_motifs(1, seed=seed)
    units = units_of(matrix._replace(p=np.random.default_rng(seed).dirichlet([0.6] * 4, size=4)))
    distribution, scores = Distribution(units, THRESHOLD), naive_distribution(units)
    every = np.unique(scores)
    at = np.concatenate([every, every - 1, [every[0] - 9, every[-1] + 9]])
    np.testing.assert_allclose(distribution.p_at_least(at), [(scores >= s).mean() for s in at], atol=1e-12)
    hits = [s for s in every if s > 0 and (scores >= s).mean() <= THRESHOLD]
    assert [s for s in every if s >= distribution.least_hit] == hits
    pairs = [(low, high) for high in hits for low in every[:: max(1, len(every) // 12)] if low < high]
    counted = []
    for low, high in pairs:
        n = 0
        for window in product(range(4), repeat=4):
            score = sum(units[i, base] for i, base in enumerate(window))
            changes = [units[i, other] - units[i, base] for i, base in enumerate(window) for other in range(4) if other != base]
            n += sum(score <= low and score + change >= high for change in changes)
        counted.append(n / (4**4 * 12))
    assert max(counted) > 0
    low, high = np.array(pairs).T
    np.testing.assert_allclose(distribution.p_of_substitutions(low, high), counted, atol=1e-12)


def test_p_of_an_indel_is_that_of_two_independent_windows(genome, contig) -> None:
    matrices = made_motifs()
    variants = [v for v in variants_of(contig) if len(v.ref) != len(v.alt)]
    gained, _ = motif_changes(MotifSet(matrices, THRESHOLD), genome, variants)
    for i in np.flatnonzero(gained.motif >= 0)[:20].tolist():
        scores = naive_distribution(units_of(matrices[gained.motif[i]])) * UNIT
        low, high = gained.ref[i] + UNIT / 2, gained.alt[i] - UNIT / 2
        assert gained.p[i] == pytest.approx((scores <= low).mean() * (scores >= high).mean(), rel=1e-9)


# Records


@pytest.fixture
def files(tmp_path: Path, genome, contig) -> dict[str, Path]:
    write_meme(tmp_path / "motifs.meme", [motif._replace(name=f"{motif.name} TF;A") for motif in made_motifs()])
    ref = contig[199]
    others = [base for base in "ACGT" if base != ref]
    lines = [
        f"chr1\t200\ta\t{ref}\t{','.join(others)}\t.\t.\tX=1",
        f"1\t210\tb\t{contig[209]}\t<DEL>\t.\t.\t.",
        f"chr1\t220\tc\t{next(base for base in 'ACGT' if base != contig[219])}\t{contig[219]}\t.\t.\t.",
        f"chr1\t230\td\t{contig[229:232]}\t{contig[229]}\t.\t.\t.",
        f"chr1\t240\te\t{contig[239].lower()}\t{contig[239]}GATTACA,*\t.\t.\t.",
    ]
    head = ["##fileformat=VCFv4.3", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    (tmp_path / "in.vcf").write_text("\n".join([*head, *lines]) + "\n")
    return {"vcf": tmp_path / "in.vcf", "motifs": tmp_path / "motifs.meme", "fasta": genome.path}


def test_annotate_writes_a_value_for_each_alt(tmp_path: Path, files, genome) -> None:
    common = ("annotate", files["vcf"], "-f", files["fasta"], "--motifs", files["motifs"], "--motif-p", THRESHOLD)
    done = run_well(*common, "-o", tmp_path / "out.vcf")
    assert "3 alleles were not scanned for motifs: 1 REF_MISMATCH, 1 STAR, 1 SYMBOLIC." in done.stderr
    lines = (tmp_path / "out.vcf").read_text().splitlines()
    assert any(line.startswith("##INFO=<ID=GF_MOTIF_GAINED_P,Number=A,Type=Float,") for line in lines)
    rows = [line.split("\t") for line in lines if line[0] != "#"]
    records = {row[2]: dict(pair.split("=") for pair in row[7].split(";") if "=" in pair) for row in rows}
    motifs = MotifAnnotation(files["motifs"], genome, THRESHOLD).motifs
    with gf.formats.vcf.open_vcf(files["vcf"]) as vcf:
        by_id = {record.id: record for record in vcf}
    n_values = 0
    for name in ("a", "d", "e"):
        record = by_id[name]
        changes = {
            alt: motif_changes(motifs, genome, [Variant("chr1", record.pos, record.ref.upper(), alt)])
            for alt in record.alts
            if alt != "*"
        }
        for number, word in enumerate(("GAINED", "LOST")):
            expected = []
            for alt in record.alts:
                of = changes[alt][number] if alt != "*" else None
                has_motif = of is not None and of.motif[0] >= 0
                if has_motif:
                    scores = [f"{of.ref[0]:.2f}", f"{of.alt[0]:.2f}", f"{of.p[0]:.2g}"]
                    expected.append([escaped(motifs.names[of.motif[0]]), *scores])
                else:
                    expected.append(["."] * 4)
                n_values += has_motif
            keys = [f"GF_MOTIF_{word}{end}" for end in ("", "_REF", "_ALT", "_P")]
            if all(text == ["."] * 4 for text in expected):
                assert not set(keys) & set(records[name])
            else:
                assert [records[name][key].split(",") for key in keys] == [
                    list(column) for column in zip(*expected, strict=True)
                ]
    assert n_values > 4
    assert records["a"]["X"] == "1"
    assert records["b"] == {"GF_MOTIF_STATUS": "SYMBOLIC"}
    assert records["c"] == {"GF_MOTIF_STATUS": "REF_MISMATCH"}
    assert records["e"]["GF_MOTIF_STATUS"] == ".,STAR"
    run_well(*common, "-o", tmp_path / "out.tsv")
    table = {row["id"]: row for row in rows_of(tmp_path / "out.tsv")}
    assert escaped(table["d"]["GF_MOTIF_LOST"]) == records["d"].get("GF_MOTIF_LOST", ".")


def test_wrong_motif_options_are_refused(tmp_path: Path, files) -> None:
    out = ("-o", tmp_path / "out.vcf")
    assert_refused(run("annotate", files["vcf"], "--motifs", files["motifs"], *out), "--motifs needs the bases around")
    assert_refused(run("annotate", files["vcf"], *out), "found no annotation, expected at least one; give")
    (tmp_path / "x.meme").write_text("nothing\n")
    assert_refused(run("annotate", files["vcf"], "-f", files["fasta"], "--motifs", tmp_path / "x.meme", *out), "x.meme")
    with pytest.raises(OptionError, match="motif_p is 2, expected a number between 0 and 1"):
        MotifAnnotation(files["motifs"], gf.Genome(files["fasta"]), 2)
    with pytest.raises(ConfigError, match="genes or motifs"):
        AnnotationRequest(files["vcf"], gf.read_annotations(), tmp_path / "out.vcf")


@pytest.mark.parametrize("suffix", ["vcf", "tsv"])
def test_score_writes_motifs_as_annotate_does(genome, contig, tmp_path, suffix: str) -> None:
    """Both write bits with two decimals, also of whole numbers."""
    pytest.importorskip("torch", reason="models need torch")
    write_meme(tmp_path / "m.meme", made_motifs())
    rows = [
        (pos, contig[pos - 1], "ACGT"["ACGT".index(contig[pos - 1]) - 1]) for pos in (*range(20, 80, 3), *range(200, 280, 3))
    ]
    head = "##fileformat=VCFv4.3\n##contig=<ID=chr1,length=300>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (tmp_path / "v.vcf").write_text(head + "".join(f"chr1\t{p}\t.\t{ref}\t{alt}\t.\t.\t.\n" for p, ref, alt in rows))
    words = (tmp_path / "v.vcf", "-f", genome.path, "--motifs", tmp_path / "m.meme", "--motif-p", THRESHOLD)
    texts = []
    for command in (("annotate", *words), ("score", *words, "-m", "demo", "-s", "LLR")):
        out = tmp_path / f"{command[0]}.{suffix}"
        run_well(*command, "-o", out)
        lines = [line for line in out.read_text().splitlines() if line[:2] != "##"]
        if suffix == "vcf":
            texts.append([re.findall(r"GF_MOTIF_\w+_(?:REF|ALT|P)=[^;]+", line) for line in lines])
        else:
            at = [i for i, name in enumerate(lines[0].split("\t")) if re.fullmatch(r"GF_MOTIF_\w+_(REF|ALT|P)", name)]
            texts.append([[line.split("\t")[i] for i in at] for line in lines])
    assert texts[0] == texts[1]
    bits = [of for row in texts[0] for of in row if re.search(r"-?\d+\.\d\d$", of)]
    assert any(of.endswith("0") for of in bits)
