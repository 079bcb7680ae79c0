"""Pre-training: windows from a genome, a source that is learned, and the same weights for the same seed."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from genoformer_cli.main import main

from genoformer.errors import ConfigError, TrainingError
from genoformer.files import sha256_of
from genoformer.genome.codes import N, decode
from genoformer.genome.reference import Genome
from genoformer.models import folders, registry
from genoformer.models.token_model import window_log2_likelihood
from genoformer.models.transformer.config import EncoderConfig
from genoformer.models.transformer.model import Encoder
from genoformer.progress import Progress
from genoformer.tokenizers import KmerTokenizer
from genoformer.training import report, run_checks
from genoformer.training.bits_per_base import QueriedBases, queried_bases, true_base_bits
from genoformer.training.config import GenomeConfig, PretrainConfig, TrainingConfig
from genoformer.training.curves import bits_rows
from genoformer.training.genomes import open_genomes
from genoformer.training.kmer_baseline import CONTEXTS
from genoformer.training.language import LanguageModelBatches
from genoformer.training.objectives import CausalLM
from genoformer.training.pretrain import pretrain
from genoformer.training.windows import RandomWindows, Source

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
[model]
width = 32
n_layers = 1
n_heads = 2
ffn_width = 64
context_length = 48
position = "rotary"
norm = "pre"
dropout = 0.0
[training]
max_steps = {steps}
batch_size = 32
learning_rate = 5e-3
eval_every = 50
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
    model = registry.load(tmp_path / "model")
    held = RandomWindows([Source(Genome(genome_path), ["held"])], 48, 32, seed=9)
    found = np.nanmean(true_base_bits(model, queried_bases(held, 2_000), 32))
    assert least - 0.05 < found < least + 0.08  # 0.79 bits of 2; the interval is 4 standard errors of 2,000 bases
    contigs = {role: list(manifest["genomes"][0][role]) for role in ("train", "valid")}
    assert contigs == {"train": ["one", "two"], "valid": ["held"]}
    assert abs(manifest["metrics"]["valid_bits_per_base"] - found) < 0.2
    saved = json.loads((tmp_path / "model" / "manifest.json").read_text())
    assert saved["genomes"][0]["fasta"]["sha256"] == sha256_of(genome_path)


def test_a_cloze_model_learns_a_known_source_to_its_entropy(tmp_path, genome_path) -> None:
    """From all bases at once, with Muon; the saved model has the same bits, and training goes on from it."""
    config = {
        "tokenizer": {"tokenizer": "base"},
        "model": {"family": "cloze", "width": 32, "n_layers": 1, "n_heads": 2, "ffn_width": 64, "context_length": 48},
        "training": {"max_steps": 70, "batch_size": 16, "learning_rate": 5e-3, "objective": "cloze", "optimizer": "muon"},
        "genome": {"fasta": str(genome_path)},
    }
    manifest = pretrain(PretrainConfig.read(config), tmp_path / "model")
    assert manifest is not None
    assert manifest["notes"] == []
    assert manifest["metrics"]["valid_bits_per_base"] == pytest.approx(hidden_entropy(), abs=0.08)
    longer = {"training": {**config["training"], "max_steps": 2}, "genome": config["genome"]}
    assert pretrain(PretrainConfig.read(longer), tmp_path / "more", start=tmp_path / "model") is not None


def test_training_goes_on_from_a_model(tmp_path, genome_path) -> None:
    """Two rounds of 60 steps know the source better than the first alone; shape and tokenizer are the model's."""
    run(tmp_path, genome_path, steps=60)
    plan = PretrainConfig.read(tmp_path / "c.toml").training
    manifest = pretrain(PretrainConfig(training=plan).with_fastas([genome_path]), tmp_path / "more", start=tmp_path / "model")
    held = RandomWindows([Source(Genome(genome_path), ["held"])], 48, 32, seed=9)
    asked = queried_bases(held, 2_000)
    first, second = (np.nanmean(true_base_bits(registry.load(tmp_path / name), asked, 32)) for name in ("model", "more"))
    assert second < first - 0.1
    assert manifest["start"]["sha256"] == sha256_of(tmp_path / "model" / "model.safetensors")
    with pytest.raises(ConfigError, match="leave out"):
        pretrain(PretrainConfig.read(tmp_path / "c.toml").with_fastas([genome_path]), tmp_path / "x", start=tmp_path / "model")


@pytest.mark.parametrize(("tokenizer", "objective"), [("kmer", "masked"), ("bpe", "masked"), ("base", "causal")])
def test_the_same_seed_gives_the_same_weights(tmp_path, genome_path, tokenizer, objective) -> None:
    weights = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(tmp_path / name, genome_path, tokenizer=tokenizer, objective=objective, seed=seed, steps=2)
        weights.append(registry.load(tmp_path / name / "model").state_dict())
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
        ("[shape]\n", "unknown fields shape"),
        (
            '[transformer]\nfamily = "modernbert"\n',
            r"c.toml has a table \[transformer\]; the shape of a model is in \[model\]",
        ),
        ("model = 3\n", "give a table"),
        ("[training]\nmax_steps = 2.5\n", "a whole number"),
        ("[training]\nseed = -1\n", "at least 0"),
        ('[training]\nprecision = "foo"\n', "32-true, bf16-mixed"),
        ('[genome]\nvalid_contigs = "one"\n', "a list of names"),
        ('[model]\ndropout = "x"\n', "a number"),
        ("[model]\nn_vocab = 77\n", "leave them out"),
        ("[model]\ncausal = true\n", "leave them out"),
        ("[tokenizer]\nkk = 3\n", "those of kmer are k, stride"),
        ('[tokenizer]\nk = "six"\n', "a whole number"),
        ("[training]\nstep = 1\n", "unknown fields step"),
        ("[training]\nwidth = 8\n", r"width is a field of \[model\]; move it there"),
        ("[training]\nmax_steps = 0\n", "at least 1"),
        ('[training]\nobjective = "x"\n', "masked, causal"),
        ('[training]\nobjective = "cloze"\n', r'objective = "cloze" needs family = "cloze" in \[model\], found .transformer.'),
        (
            '[tokenizer]\ntokenizer = "base"\n[model]\nfamily = "cloze"\n',
            "does not see the base that it predicts; set objective",
        ),
        ('[tokenizer]\ntokenizer = "kmer"\n[model]\nfamily = "cloze"\n[training]\nobjective = "cloze"\n', "reads single bases"),
        ("[training\n", "cannot be read as TOML"),
        ("[model]\nlayers = 2\n", "unknown fields layers"),
        ('[tokenizer]\ntokenizer = "words"\n', "blocks, bpe, kmer, base"),
        ('[genome]\nvalid_contigs = ["one", "two", "held"]\n', "holds out every contig"),
        ("[model]\ncontext_length = 99999\n", "shorter window"),
    ],
)
def test_configurations_that_are_refused(tmp_path, genome_path, text, words) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        pretrain(PretrainConfig.read(tmp_path / "c.toml").with_fastas([genome_path]), tmp_path / "model")
    assert not (tmp_path / "model" / "config.json").exists()


def test_what_is_held_out_is_held_out_under_its_other_name(tmp_path) -> None:
    for name, contigs in (("a", ("chr1", "chr2")), ("b", ("1", "2", "3"))):
        (tmp_path / f"{name}.fa").write_text("".join(f">{c}\n{decode(markov(500, 0))}\n" for c in contigs))
    configs = [GenomeConfig(str(tmp_path / "a.fa"), valid_contigs=("chr2",)), GenomeConfig(str(tmp_path / "b.fa"))]
    assert [list(source.contigs) for source in open_genomes(configs, 48).train] == [["chr1"], ["1", "3"]]


def test_a_genome_of_repeats_that_count_for_nothing_is_refused(tmp_path) -> None:
    text = decode(markov(5_000, 0)).lower()
    (tmp_path / "g.fa").write_text(f">one\n{text}\n>held\n{text}\n")
    text = CONFIG.format(tokenizer="base", steps=4, seed=0, objective="masked")
    (tmp_path / "c.toml").write_text(f"{text}soft_masked_weight = 0.0\n")
    with pytest.raises(TrainingError, match="counts in the loss: with soft_masked_weight = 0"):
        pretrain(PretrainConfig.read(tmp_path / "c.toml").with_fastas([tmp_path / "g.fa"]), tmp_path / "model")


def test_the_files_of_something_else_are_not_replaced(tmp_path, genome_path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/manifest.json").write_text("of a data set")
    with pytest.raises(ConfigError, match=r"holds manifest\.json, which another program made"):
        run(tmp_path, genome_path)
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["manifest.json"]


def compared(own: float, composition: float, spread: float, best: float = 1.5) -> report.Comparison:
    """A model, composition and one better count model on 100 bases; the paired differences to composition have `spread`."""
    names = ["model", *(context.name for context in CONTEXTS)]
    bits = np.tile(np.random.default_rng(0).normal(0, 1, 100), (len(names), 1))
    wobble = np.tile([spread, -spread], 50) * np.sqrt(99 / 100)  # with a standard deviation of `spread`
    bits += -bits.mean(axis=1, keepdims=True) + np.array([own, composition, *[best] * (len(names) - 2)])[:, None]
    bits[0] += wobble
    return report.Comparison(bits_rows(names, "c", bits), bits_rows(names[1:], "c", bits[0] - bits[1:]), False)


@pytest.mark.parametrize(
    ("own", "spread", "validations", "words"),
    [
        (1.90, 0.1, [1.99, 1.95, 1.90], None),
        (1.965, 0.1, [1.99, 1.965], None),  # 2 standard errors are 0.02
        (1.975, 0.1, [1.99, 1.975], "Nothing was learned: 1.975 bits per base"),
        (1.95, 1.0, [1.99, 1.95], "Nothing was learned"),  # and here 0.2
        (1.99, 0.0, [1.99, 1.99], "Nothing was learned"),
        (2.10, 0.1, [1.90, 2.10], "Nothing was learned"),
        (1.80, 0.1, [1.90, 1.70, 1.80], "got worse: 1.800"),
        (1.74, 0.1, [1.70, 1.74], None),
    ],
)
def test_a_run_that_collapsed_or_diverged_says_so(own, spread, validations, words) -> None:
    """Composition has 1.99 bits on the same 100 bases; the bases differ by far more than the two models do."""
    found = run_checks.failures(compared(own, 1.99, spread), validations, 1.0, 1.3, single_bases=True)
    assert [words in note for note in found] == [True] if words else not found


@pytest.mark.parametrize(
    ("held", "single_bases", "loss", "failed"),
    [
        (False, True, 1.31, True),
        (False, False, 1.3, True),
        (False, True, 1.2, False),
        (True, False, 6.8, True),
        (True, True, 1.31, False),
    ],
)
def test_a_training_loss_no_better_than_that_of_unigrams_is_a_failed_run(held, single_bases, loss, failed) -> None:
    """1.3 nats are what knowing the composition gives; of single bases the held-out bases have the say, where there are any."""
    found = run_checks.failures(compared(1.9, 1.99, 0.1) if held else None, [], loss, 1.3, single_bases=single_bases)
    assert [f"the training loss ended at {loss:.3f} nats" in note for note in found] == [True] * failed


def test_a_better_count_model_is_named() -> None:
    assert run_checks.baseline_warnings(compared(1.49, 1.99, 0.1)) == []
    (said,) = run_checks.baseline_warnings(compared(1.60, 1.99, 0.1))
    assert (
        "order 1 has 1.500 bits per base on the same held-out bases, this model 1.600 (paired difference +0.1000 ± 0.0100)"
        in said
    )


def test_the_loss_of_knowing_only_how_common_tokens_are(tmp_path) -> None:
    """Half A and half T on both strands: ln 2 nats for a base; 2-mers of the repeat AAAATTTT: 3/8, 3/8, 1/8, 1/8."""
    (tmp_path / "g.fa").write_text(">c\n" + "AAAATTTT" * 500 + "\n")
    windows = RandomWindows([Source(Genome(tmp_path / "g.fa"), ["c"])], 64, 8, seed=0)
    for k, expected in ((1, np.log(2)), (2, -(0.75 * np.log(3 / 8) + 0.25 * np.log(1 / 8)))):
        tokenizer = KmerTokenizer(k)
        batches = LanguageModelBatches(windows, tokenizer, CausalLM(tokenizer))
        assert run_checks.unigram_nats(batches) == pytest.approx(expected, abs=0.002)


def test_a_model_that_knows_the_composition_only_is_a_failed_run(tmp_path) -> None:
    """Three quarters A and T: composition gives 1.81 bits; independent bases have no more to learn, with k = 1 or 3."""
    random = np.random.default_rng(0)
    text = {name: decode(random.choice(4, 20_000, p=[0.375, 0.125, 0.125, 0.375]).astype(np.uint8)) for name in ("a", "b")}
    (tmp_path / "g.fa").write_text("".join(f">{name}\n{sequence}\n" for name, sequence in text.items()))
    manifest = run(tmp_path, tmp_path / "g.fa", steps=100)
    assert manifest["held_out"]["model"]["bits"] == pytest.approx(1.811, abs=0.03)
    assert ["Nothing was learned" in note for note in manifest["notes"]] == [True]


def single_contig(path, n: int = 20_000):
    path.write_text(f">chromosome\n{decode(markov(n, 3))}\n")
    return path


@pytest.mark.parametrize("objective", ["masked", "causal"])
def test_the_end_of_a_single_contig_is_held_out(tmp_path, objective) -> None:
    """5 % of 20,000 bases are [19,000, 20,000): validated on, in no training window, in no sketch, in no count model."""
    fasta = single_contig(tmp_path / "g.fa")
    manifest = run(tmp_path, fasta, steps=150, objective=objective)
    (genome,) = manifest["genomes"]
    assert (genome["train"], genome["valid_intervals"]) == ({"chromosome": 20_000}, {"chromosome": [[19_000, 20_000]]})
    assert "chromosome:19,000-20,000" in manifest["warnings"][0]
    assert manifest["notes"] == []
    assert list(manifest["bits_per_base"]) == ["chromosome"]
    model, sequence = registry.load(tmp_path / "model"), Genome(fasta)
    seen = folders.training_overlap_note(model, "m", [sequence.window("chromosome", 0, 19_000)], "these")
    assert seen is not None
    assert seen.startswith("100 % ")
    held = folders.training_overlap_note(model, "m", [sequence.window("chromosome", 19_000, 1_000)], "these")
    assert held is None or "too small to estimate" in held  # the chain repeats itself: some k-mers come by chance


def test_no_training_window_lies_in_the_held_out_end(tmp_path) -> None:
    (tmp_path / "g.fa").write_text(f">c\n{decode(markov(20_000, 3))}{'N' * 500}\n")
    data = open_genomes([GenomeConfig(fasta=str(tmp_path / "g.fa"))], 48)
    genome = data.train[0].genome
    train, end = decode(genome.window("c", 0, 19_000)), decode(genome.window("c", 19_000, 1_500))
    drawn = RandomWindows(data.train, 48, 2_000, seed=0, both_strands=False).batch(0)
    assert all(decode(row) in train for row in drawn)
    drawn = RandomWindows(data.held, 48, 2_000, seed=0, both_strands=False).batch(0)
    assert all(decode(row) in end for row in drawn)


@pytest.mark.parametrize(
    ("fasta", "train", "valid"),
    [
        (">one\n{a}\n>two\n{a}\n>empty\n", ["one"], ["two"]),
        (">empty\n>one\n{a}\n>two\n{a}\n", ["one"], ["two"]),
        (">one\n{a}\n>empty\n", ["one"], ["one"]),  # whose end is held out
    ],
)
def test_contigs_without_bases_are_neither_read_nor_held_out(tmp_path, fasta, train, valid) -> None:
    (tmp_path / "g.fa").write_text(fasta.format(a=decode(markov(20_000, 3))))
    data = open_genomes([GenomeConfig(fasta=str(tmp_path / "g.fa"))], 48)
    assert [name for source in data.train for name in source.contigs] == train
    assert [name for source in data.held for name in source.contigs] == valid


def test_a_run_without_validation_says_so(tmp_path) -> None:
    """A contig of 600 bases has no room for 4 windows of 48 in a quarter of it; contigs may name all there is."""
    short = single_contig(tmp_path / "short.fa", 600)
    (said,) = open_genomes([GenomeConfig(fasta=str(short))], 48).warnings
    assert "too short to hold out a part" in said
    (said,) = open_genomes([GenomeConfig(fasta=str(short), contigs=("chromosome",))], 48).warnings
    assert "nothing is validated; name valid_contigs" in said


def test_a_bpe_model_has_no_bits_per_base_and_says_so(tmp_path, genome_path) -> None:
    manifest = run(tmp_path, genome_path, tokenizer="bpe", steps=2)
    assert "a bpe token stands for several bases" in manifest["warnings"][0]
    assert "held_out" not in manifest
    assert ["the training loss ended at" in note for note in manifest["notes"]] == [True]  # two steps


@pytest.mark.parametrize("k", [1, 2])
def test_bits_of_a_causal_model_are_the_terms_of_its_likelihood(k) -> None:
    """Bits at every base after the first k-mer add up to -log2 P(window); at an N there is no answer."""
    torch.manual_seed(0)
    tokenizer = KmerTokenizer(k)
    shape = {"width": 16, "n_layers": 1, "n_heads": 2, "ffn_width": 32, "init_std": 0.5, "position": "rotary"}
    model = Encoder(EncoderConfig.from_dict({"n_vocab": tokenizer.n_vocab, "causal": True, **shape})).eval()
    model.tokenizer = tokenizer
    window = np.random.default_rng(0).integers(0, 4, 12).astype(np.uint8)
    window[6] = N
    asked = QueriedBases(np.tile(window, (12, 1)), np.arange(12))
    bits = true_base_bits(model, asked, 5)
    with torch.no_grad():
        whole = window_log2_likelihood(model, tokenizer, torch.from_numpy(tokenizer.encode(window[None]).ids))
    assert np.nansum(bits) == pytest.approx(-whole.item(), rel=1e-5)
    assert np.flatnonzero(np.isnan(bits)).tolist() == [*range(k), 6, *range(7, 7 + k)]


def test_a_causal_model_is_in_the_table_at_the_entropy_of_the_source(tmp_path, genome_path) -> None:
    """What a base says of the next is all there is to know: the best of the count models that look back is order 1."""
    manifest = run(tmp_path, genome_path, objective="causal", steps=300)
    rate = -sum(p * np.log2(p) for p in STEP[0])
    assert manifest["held_out"]["model"]["bits"] == pytest.approx(rate, abs=0.08)
    assert manifest["held_out"]["best_count_model"]["name"].startswith("order")
    assert (tmp_path / "model" / "bits_per_base.tsv").read_text().splitlines()[1].startswith("model\t")


def test_short_runs_are_logged_and_validated_ten_times() -> None:
    for steps, log_every, eval_every in ((300, 15, 30), (4, 1, 1), (10_000, 50, 1_000), (200_000, 50, 1_000)):
        plan = TrainingConfig(max_steps=steps)
        assert (plan.log_every, plan.eval_every) == (log_every, eval_every)
    plan = TrainingConfig(max_steps=300, log_every=100, eval_every=300)
    assert (plan.log_every, plan.eval_every) == (100, 300)


def test_the_blacklist_is_in_no_sketch_and_no_count_model(tmp_path) -> None:
    """Only the blacklisted stretch has A and T: count models made of it too would give order 0 1.12 bits, not 1."""
    body, held = (
        decode(np.random.default_rng(seed).integers(1, 3, n).astype(np.uint8)) for seed, n in ((0, 8_000), (1, 4_000))
    )
    odd = decode(markov(3_000, 4))
    (tmp_path / "g.fa").write_text(f">one\n{body}{odd}{body[::-1]}\n>held\n{held}\n")
    (tmp_path / "black.bed").write_text("one\t8000\t11000\n")
    (tmp_path / "c.toml").write_text(
        CONFIG.format(tokenizer="base", steps=2, seed=0, objective="masked") + '[genome]\nblacklist = "black.bed"\n'
    )
    pretrain(PretrainConfig.read(tmp_path / "c.toml").with_fastas([tmp_path / "g.fa"]), tmp_path / "model")
    model, genome = registry.load(tmp_path / "model"), Genome(tmp_path / "g.fa")
    assert folders.training_overlap_note(model, "m", [genome.window("one", 8_000, 3_000)], "these") is None
    assert folders.training_overlap_note(model, "m", [genome.window("one", 0, 8_000)], "these") is not None
    table = dict(line.split("\t")[:2] for line in (tmp_path / "model" / "bits_per_base.tsv").read_text().splitlines())
    assert float(table["order 0"]) == pytest.approx(1.0, abs=0.01)


def test_a_run_that_goes_on_says_from_where(tmp_path, genome_path) -> None:
    (tmp_path / "c.toml").write_text(
        CONFIG.format(tokenizer="base", steps=40, seed=0, objective="masked").replace("eval_every = 50", "save_every = 20")
    )
    config = PretrainConfig.read(tmp_path / "c.toml").with_fastas([genome_path])

    def stop(p: Progress) -> None:
        assert p.stage == "training"
        if p.done == 25:
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        pretrain(config, tmp_path / "model", progress=stop)
    arguments = ["pretrain", "-f", genome_path, "-c", tmp_path / "c.toml", "-o", tmp_path / "model"]
    found = CliRunner().invoke(main, list(map(str, arguments)))
    assert "resumes from step 20 of 40" in found.stderr


def test_a_model_that_learned_nothing_is_a_failed_run(tmp_path, genome_path) -> None:
    config = CONFIG.format(tokenizer="base", steps=2, seed=0, objective="masked").replace("5e-3", "1e-9")
    (tmp_path / "c.toml").write_text(config)
    arguments = ["pretrain", "-f", genome_path, "-c", tmp_path / "c.toml", "-o", tmp_path / "run"]
    found = CliRunner().invoke(main, list(map(str, arguments)))
    assert found.exit_code == 1
    assert "FAILED: Nothing was learned" in found.stderr
    assert "A k-mer or Markov baseline is better than this model" in found.stderr
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    own = manifest["bits_per_base"]["held"]
    assert f"bits per base {own['bits']:.4f} ± {own['standard_error']:.4f} on {own['bases']:,} held-out bases" in found.stdout
    assert manifest["metrics"]["valid_bits_per_base"] == own["bits"]
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
    model, genome = registry.load(tmp_path / "model"), Genome(genome_path)
    seen = folders.training_overlap_note(model, "m", [genome.window("one", 10_000, 20_000)], "these")
    assert seen is not None
    assert seen.startswith("100 % of the 31-mers of these were in the training data of m")
    assert folders.training_overlap_note(model, "m", [genome.window("held", 0, 20_000)], "these") is None
