"""The probe of effects: loci, folds, the ridge regression against scikit-learn, and the features of alleles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm, rankdata, spearmanr
from sklearn.linear_model import Ridge

from genoformer.annotation.motif_changes import motif_changes
from genoformer.annotation.motif_scores import MotifSet
from genoformer.benchmarking.allele_features import base_features, blocks_of, kmer_changes, motif_features
from genoformer.benchmarking.effect_probe import Block, effect_probe, loci_of
from genoformer.benchmarking.request import BenchmarkRequest
from genoformer.benchmarking.run import run_benchmark
from genoformer.benchmarking.truth_set import Allele, TruthSet, variant_set
from genoformer.errors import ConfigError, OptionError
from genoformer.formats.motif_files import read_matrices
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant

random = np.random.default_rng(0)
PER_ELEMENT = 40
MOTIFS = ">one\nA [ 9 0 0 0 0 9 0 9 ]\nC [ 0 9 0 0 9 0 0 0 ]\nG [ 0 0 9 0 0 0 9 0 ]\nT [ 0 0 0 9 0 0 0 0 ]\n"


def make_set(names: str = "abcd") -> TruthSet:
    """Elements with 40 substitutions each, on one contig, 1 kb apart."""
    alleles = [Allele("1", 1000 * e + i + 1, "A", "C") for e in range(len(names)) for i in range(PER_ELEMENT)]
    subset = tuple(name for name in names for _ in range(PER_ELEMENT))
    return variant_set(alleles, effect=random.normal(size=len(alleles)), subset=subset)


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    path = tmp_path_factory.mktemp("genome") / "tiny.fa"
    text = "".join(random.choice(list("ACGT"), 400).tolist())
    path.write_text(f">1\n{text[:200]}ACGTCAGA{text[208:]}\n>2\nTTCGTT\n")
    return Genome(path)


@pytest.fixture(scope="module")
def motifs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("motifs") / "one.jaspar"
    path.write_text(MOTIFS)
    return path


def test_elements_that_overlap_are_one_locus() -> None:
    alleles = [Allele(c, p, "A", "C") for c, p in (("1", 5), ("1", 9), ("1", 9), ("1", 12), ("1", 13), ("2", 9))]
    truth = variant_set(alleles, effect=np.zeros(6), subset=("x", "x", "y", "y", "z", "x2"))
    assert loci_of(truth) == ["x, y", "x, y", "x, y", "x, y", "z", "x2"]


def test_a_locus_has_no_part_in_the_probe_that_predicts_it() -> None:
    truth, x = make_set(), random.normal(size=(160, 5))
    changed = np.array(truth.effect)
    changed[:PER_ELEMENT] = random.normal(size=PER_ELEMENT)  # of element a
    blocks = [Block(x), Block(random.normal(size=(160, 3)))]
    before, after = (
        effect_probe(TruthSet(truth.keys, truth.chrom, truth.alleles, effect=effect, subset=truth.subset), blocks)
        for effect in (truth.effect, changed)
    )
    assert np.array_equal(before.signed[:PER_ELEMENT], after.signed[:PER_ELEMENT])
    assert before.choices["a"] == after.choices["a"]
    assert not np.allclose(before.signed[PER_ELEMENT:], after.signed[PER_ELEMENT:])


def test_the_probe_is_the_ridge_regression_of_scikit_learn_with_the_chosen_penalty() -> None:
    truth, x = make_set(), random.normal(size=(160, 6)) * [1, 2, 3, 4, 5, 0] + 7
    found = effect_probe(truth, [Block(x)])
    train = np.arange(160) >= PER_ELEMENT
    deviation = x[train].std(0)
    scaled = (x - x[train].mean(0)) / np.where(deviation > 0, deviation, 1)
    for target, effects in ((0, truth.effect), (1, np.abs(truth.effect))):
        ranks = np.concatenate([rankdata(of) for of in np.split(effects, 4)])
        y = (ranks - ranks[:PER_ELEMENT].mean()) / ranks[:PER_ELEMENT].std()
        model = Ridge(alpha=found.choices["a"][target].penalty * train.sum()).fit(scaled[train], y[train])
        expected = model.predict(scaled[~train])
        predicted = (found.signed, norm.ppf(found.sizes))[target][:PER_ELEMENT]
        assert predicted == pytest.approx(expected, abs=1e-9)


def test_the_probe_finds_effects_and_sizes_next_to_a_block_of_noise() -> None:
    truth = make_set("abcdef")
    effect = np.asarray(truth.effect)
    x = np.stack([effect, np.abs(effect)], 1) + random.normal(size=(240, 2)) * 0.3
    found = effect_probe(truth, [Block(x), Block(random.normal(size=(240, 150)), 100)])
    assert spearmanr(found.signed, effect)[0] > 0.8
    assert spearmanr(found.sizes, np.abs(effect))[0] > 0.6


def test_a_probe_needs_three_loci() -> None:
    with pytest.raises(ConfigError, match=r"found 2 \(a; b\), expected 3 or more"):
        effect_probe(make_set("ab"), [Block(np.zeros((80, 1)))])


def test_features_of_bases_are_those_that_a_reader_counts(genome: Genome) -> None:
    # 2: TTCGTT
    alleles = [Allele("2", 3, "C", "T"), Allele("2", 4, "G", "T"), Allele("2", 2, "T", "A")]
    features = base_features(alleles, genome)
    assert features["CpG"].tolist() == [1, 1, 0]
    assert features["CpG change"].tolist() == [-1, -1, 0]
    assert features["transversion"].tolist() == [0, 1, 1]
    assert [name for name in features if ">" in name and features[name][0]] == ["C>T"]
    assert [name for name in features if ">" in name and features[name][1]] == ["C>A"]  # G>T of the other strand
    assert features["GC 5"].tolist() == pytest.approx([2 / 6] * 3)  # bases beyond the contig do not count


def test_a_substitution_moves_kmers_and_the_same_base_does_not(genome: Genome) -> None:
    near, same = kmer_changes([Allele("2", 3, "C", "T"), Allele("2", 3, "C", "C")], genome)
    assert np.abs(near).sum() > 0
    assert np.abs(same).sum() == 0
    assert near.sum() == pytest.approx(0, abs=1e-6)


def test_the_largest_gain_and_loss_are_those_of_annotate(genome: Genome, motifs: Path) -> None:
    text = genome.fetch("1", 0, 400)
    alleles = [Allele("1", p + 1, text[p], alt) for p in range(195, 212) for alt in "ACGT" if alt != text[p]]
    summaries, changes = motif_features(alleles, genome, motifs)
    pairs = motif_changes(MotifSet(read_matrices(motifs)), genome, [Variant(*allele) for allele in alleles])
    for name, change in zip(("gain", "loss"), pairs, strict=True):
        assert summaries[name] == pytest.approx(np.nan_to_num(np.abs(change.alt - change.ref)), abs=1e-4)
    assert summaries["loss"].max() > 5
    assert changes[summaries["hits lost"] > 0].max() < 0


def test_a_score_with_a_sign_has_two_columns_and_one_without_has_one(genome: Genome) -> None:
    alleles = [Allele("2", 3, "C", "T"), Allele("2", 4, "G", "T")]
    plain = blocks_of(alleles, genome, [])[0].x.shape[1]
    both = blocks_of(alleles, genome, [np.array([-4.0, 9.0]), np.array([1.0, 4.0])])[0].x
    assert both[:, plain:].tolist() == [[-2, 2, 1], [3, 3, 2]]


def test_the_benchmark_has_both_probes_and_names_the_loci(genome: Genome, motifs: Path, tmp_path: Path) -> None:
    text = genome.fetch("1", 0, 400)
    rows = ["Chrom\tPos\tRef\tAlt\tCoefficient\tElement"]
    for element, start in (("a", 20), ("a again", 30), ("b", 120), ("c", 220), ("d", 320)):
        rows += [
            f"1\t{p + 1}\t{text[p]}\t{alt}\t{random.normal():.3f}\t{element}"
            for p in range(start, start + 15)
            for alt in "ACGT"
            if alt != text[p]
        ]
    (tmp_path / "effects.tsv").write_text("\n".join([*rows, ""]))
    request = BenchmarkRequest(
        "mpra", tmp_path / "effects.tsv", fasta=genome.path, ensemble="probe", motifs=motifs, resamplings=20
    )
    found = run_benchmark(request)
    models = {row.model for row in found.rows if row.subset == "mean of elements"}
    assert models == {"transversion (baseline)", "probe of effects", "probe of sizes"}
    assert any("hold 4 loci out" in note and "a, a again" in note for note in found.notes)


def test_motifs_are_refused_without_a_probe_of_effects(tmp_path: Path) -> None:
    for name, ensemble in (("mpra", "mean"), ("traitgym-complex", "probe")):
        with pytest.raises(OptionError, match="is for a probe of measured effects"):
            BenchmarkRequest(name, tmp_path, score_files={"x": "x.tsv"}, ensemble=ensemble, motifs="motifs.meme")
