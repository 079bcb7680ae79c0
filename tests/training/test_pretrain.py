"""Pre-training: windows from a genome, a source that is learned, and the same weights for the same seed."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from genoformer.errors import ConfigError
from genoformer.genome.codes import N, decode
from genoformer.genome.reference import Genome
from genoformer.models import checkpoint
from genoformer.training.bits import asked_bases, bits_of
from genoformer.training.config import PretrainConfig
from genoformer.training.datasets import RandomWindows, Source
from genoformer.training.pretrain import _notes, pretrain

STEP = np.array([[0.05, 0.05, 0.05, 0.85], [0.85, 0.05, 0.05, 0.05], [0.05, 0.85, 0.05, 0.05], [0.05, 0.05, 0.85, 0.05]])


def markov(n: int, seed: int) -> np.ndarray:
    """A source in which each base nearly tells its neighbours: A -> T -> G -> C -> A."""
    random = np.random.default_rng(seed)
    draws, codes = random.random(n), np.zeros(n, dtype=np.uint8)
    ends = STEP.cumsum(1)
    for i in range(1, n):
        codes[i] = np.searchsorted(ends[codes[i - 1]], draws[i])
    return codes


def hidden_entropy() -> float:
    """Bits that remain of a hidden base between two known ones: the least any model can reach, worked out exactly."""
    total = 0.0
    for left in range(4):
        for right in range(4):
            joint = STEP[left] * STEP[:, right]
            p = joint.sum() / 4  # the source is uniform over A, C, G, T
            posterior = joint / joint.sum()
            total -= p * (posterior * np.log2(posterior)).sum()
    return total


@pytest.fixture(scope="module")
def genome_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("genome") / "markov.fa"
    contigs = {"one": markov(30_000, 0), "two": markov(20_000, 1), "held": markov(20_000, 2)}
    contigs["one"][5_000:9_000] = N
    path.write_text("".join(f">{name}\n{decode(codes)}\n" for name, codes in contigs.items()))
    return path


CONFIG = """
[tokenizer]
tokenizer = "{tokenizer}"
[encoder]
width = 32
n_layers = 1
n_heads = 2
hidden = 64
context_length = 48
position = "rotary"
norm = "pre"
dropout = 0.0
[training]
steps = {steps}
batch_size = 32
learning_rate = 5e-3
valid_every = 50
seed = {seed}
objective = "{objective}"
"""


def run(folder, genome_path, *, tokenizer="base", steps=4, seed=0, objective="masked"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "c.toml").write_text(CONFIG.format(tokenizer=tokenizer, steps=steps, seed=seed, objective=objective))
    config = PretrainConfig.read(folder / "c.toml").with_fastas([genome_path])
    return pretrain(config, folder / "model", command="test")


def test_a_known_source_is_learned_to_its_entropy(tmp_path, genome_path) -> None:
    manifest = run(tmp_path, genome_path, steps=300)
    least = hidden_entropy()
    model = checkpoint.load(tmp_path / "model")
    held = RandomWindows([Source(Genome(genome_path), ["held"])], 48, 32, seed=9)
    found = np.nanmean(bits_of(model, asked_bases(held, 2_000), 32))
    assert least - 0.05 < found < least + 0.08  # 0.79 bits of 2; the interval is 4 standard errors of 2,000 bases
    contigs = {role: list(manifest["genomes"][0][role]) for role in ("train", "valid")}
    assert contigs == {"train": ["one", "two"], "valid": ["held"]}
    assert abs(manifest["metrics"]["valid_bits_per_base"] - found) < 0.2
    saved = json.loads((tmp_path / "model" / "manifest.json").read_text())
    assert saved["genomes"][0]["fasta"]["sha256"] == checkpoint.sha256_of(genome_path)


def test_training_goes_on_from_a_model(tmp_path, genome_path) -> None:
    """Two rounds of 60 steps know the source better than the first alone; shape and tokenizer are the model's."""
    run(tmp_path, genome_path, steps=60)
    plan = PretrainConfig.read(tmp_path / "c.toml").training
    manifest = pretrain(PretrainConfig(training=plan).with_fastas([genome_path]), tmp_path / "more", start=tmp_path / "model")
    held = RandomWindows([Source(Genome(genome_path), ["held"])], 48, 32, seed=9)
    asked = asked_bases(held, 2_000)
    first, second = (np.nanmean(bits_of(checkpoint.load(tmp_path / name), asked, 32)) for name in ("model", "more"))
    assert second < first - 0.1
    assert manifest["start"]["sha256"] == checkpoint.sha256_of(tmp_path / "model" / "model.safetensors")
    with pytest.raises(ConfigError, match="leave out"):
        pretrain(PretrainConfig.read(tmp_path / "c.toml").with_fastas([genome_path]), tmp_path / "x", start=tmp_path / "model")


@pytest.mark.parametrize(("tokenizer", "objective"), [("kmer", "masked"), ("bpe", "masked"), ("base", "causal")])
def test_the_same_seed_gives_the_same_weights(tmp_path, genome_path, tokenizer, objective) -> None:
    weights = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(tmp_path / name, genome_path, tokenizer=tokenizer, objective=objective, seed=seed, steps=2)
        weights.append(checkpoint.load(tmp_path / name / "model").state_dict())
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    same_shape = [key for key in weights[0] if weights[0][key].shape == weights[2][key].shape]
    assert not all(torch.equal(weights[0][key], weights[2][key]) for key in same_shape)


def test_windows_come_from_the_genome_with_few_n_and_do_not_depend_on_the_order(genome_path) -> None:
    genome = Genome(genome_path)
    windows = RandomWindows([Source(genome, ["one", "two"])], 60, 40, seed=3)
    text = {name: decode(genome.window(name, 0, genome.contigs[name])) for name in genome.contigs}
    turn = str.maketrans("ACGTN", "TGCAN")
    both = [t for name in ("one", "two") for t in (text[name], text[name][::-1].translate(turn))]
    last = windows.batch(7)
    for row in last:
        assert any(decode(row) in t for t in both)
    assert ((last >= N).mean(1) <= 0.1).all()
    assert np.array_equal(RandomWindows([Source(genome, ["one", "two"])], 60, 40, seed=3).batch(7), last)
    forward = RandomWindows([Source(genome, ["two"])], 60, 40, seed=3, both_strands=False).batch(0)
    assert all(decode(row) in text["two"] for row in forward)


def test_windows_dwell_on_regions(genome_path) -> None:
    """All windows centred in [10,000, 10,100) of "one"; then a share of half, within 4 standard errors of 400."""
    genome = Genome(genome_path)
    regions = {"one": np.array([[10_000, 10_100]])}
    text = decode(genome.window("one", 0, 30_000))
    starts = []
    for share in (1.0, 0.5):
        source = Source(genome, ["one", "two"], regions=regions, regions_share=share)
        drawn = RandomWindows([source], 60, 400, 0, both_strands=False).batch(0)
        starts.append([text.find(decode(row)) for row in drawn])
    assert all(9_970 <= start < 10_070 for start in starts[0])
    assert abs(sum(9_970 <= start < 10_070 for start in starts[1]) - 200) < 41
    with pytest.raises(ConfigError, match="no region lies on two"):
        RandomWindows([Source(genome, ["two"], regions=regions)], 60, 4, 0)


def test_windows_reach_both_ends_of_a_contig(tmp_path) -> None:
    (tmp_path / "short.fa").write_text(">c\n" + "ACGTACGTTT" * 30 + "\n")
    genome = Genome(tmp_path / "short.fa")
    drawn = RandomWindows([Source(genome, ["c"])], 296, 400, seed=0, both_strands=False).batch(0)
    whole = decode(genome.window("c", 0, 300))
    assert {whole.find(decode(row)) for row in drawn} >= {0, 4}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[model]\n", "unknown fields model"),
        ("encoder = 3\n", "give a table"),
        ("[training]\nsteps = 2.5\n", "a whole number"),
        ("[training]\nseed = -1\n", "at least 0"),
        ('[training]\nprecision = "foo"\n', "32-true, bf16-mixed"),
        ('[genome]\nvalid_contigs = "one"\n', "a list of names"),
        ('[encoder]\ndropout = "x"\n', "a number"),
        ("[encoder]\nn_vocab = 77\n", "leave them out"),
        ("[encoder]\ncausal = true\n", "leave them out"),
        ("[tokenizer]\nkk = 3\n", "those of kmer are k, stride"),
        ('[tokenizer]\nk = "six"\n', "a whole number"),
        ("[training]\nstep = 1\n", "unknown fields step"),
        ("[training]\nsteps = 0\n", "at least 1"),
        ('[training]\nobjective = "x"\n', "masked, causal"),
        ("[training\n", "cannot be read as TOML"),
        ("[encoder]\nlayers = 2\n", "unknown fields layers"),
        ('[tokenizer]\ntokenizer = "words"\n', "kmer, base, bpe"),
        ('[genome]\nvalid_contigs = ["one", "two", "held"]\n', "holds out every contig"),
        ("[encoder]\ncontext_length = 99999\n", "shorter window"),
    ],
)
def test_configurations_that_are_refused(tmp_path, genome_path, text, words) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        pretrain(PretrainConfig.read(tmp_path / "c.toml").with_fastas([genome_path]), tmp_path / "model")
    assert not (tmp_path / "model" / "config.json").exists()


@pytest.mark.parametrize(
    ("bits", "words"),
    [([1.9, 1.7, 1.6], None), ([2.0, 1.99, 1.985], "Nothing was learned: 1.985"), ([1.9, 1.7, 1.8], "got worse: 1.800"),
     ([1.99, 1.97], None), ([1.7, 1.74], None)],
)  # fmt: skip
def test_a_run_that_collapsed_or_diverged_says_so(bits, words) -> None:
    """Composition alone gives 1.99 bits here."""
    found = _notes(bits, 1.99)
    assert [words in note for note in found] == [True] if words else not found


def test_a_model_that_learned_nothing_is_a_failed_run(tmp_path, genome_path) -> None:
    config = CONFIG.format(tokenizer="base", steps=2, seed=0, objective="masked").replace("5e-3", "1e-9")
    (tmp_path / "c.toml").write_text(config)
    command = [sys.executable, "-m", "genoformer_cli", "pretrain", "-f", str(genome_path), "-c", str(tmp_path / "c.toml")]
    found = subprocess.run([*command, "-o", str(tmp_path / "run")], capture_output=True, text=True)
    assert found.returncode == 1
    assert "FAILED: Nothing was learned" in found.stderr
    assert {"bits_per_base.tsv", "bits_per_base.png", "loss.png", "seen.npz"} <= {p.name for p in (tmp_path / "run").iterdir()}


def test_the_report_asks_model_and_count_models_for_the_same_bases(tmp_path, genome_path) -> None:
    """The source is first-order: 1+1 bases know all there is to know; order 1 must reach its entropy rate."""
    manifest = run(tmp_path, genome_path, steps=300)
    lines = [line.split("\t") for line in (tmp_path / "model" / "bits_per_base.tsv").read_text().splitlines()]
    table = {row[0]: dict(zip(lines[0], row, strict=True)) for row in lines[1:]}
    rate = -sum(p * np.log2(p) for p in STEP[0])
    assert float(table["order 1"]["held"]) == pytest.approx(rate, abs=0.06)  # 3 standard errors of 4,000 bases
    assert float(table["2+2"]["held"]) == pytest.approx(hidden_entropy(), abs=0.06)
    assert {row["held_n"] for row in table.values()} == {table["order 0"]["held_n"]}
    assert manifest["bits_per_base"]["held"]["bits"] == float(table["model"]["held"])


def test_what_was_seen_goes_into_the_folder(tmp_path, genome_path) -> None:
    run(tmp_path, genome_path)
    model, genome = checkpoint.load(tmp_path / "model"), Genome(genome_path)
    seen = checkpoint.overlap_note(model, "m", [genome.window("one", 10_000, 20_000)], "these")
    assert seen is not None
    assert seen.startswith("100% of the 31-mers of these were in the training data of m")
    assert checkpoint.overlap_note(model, "m", [genome.window("held", 0, 20_000)], "these") is None
