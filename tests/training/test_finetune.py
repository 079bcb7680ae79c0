"""Fine-tuning: planted motifs that are found, batches, weights and losses by hand, runs that fail and say so."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch.utilities import rank_zero_only
from processes import killed, run_here
from small_models import small_encoder

from genoformer import inference
from genoformer.datasets.build import build
from genoformer.datasets.sequences import read_labelled
from genoformer.datasets.targets import Targets
from genoformer.errors import CheckpointError, ConfigError, Stopped
from genoformer.evaluation.intervals import over_runs
from genoformer.files import sha256_of
from genoformer.genome.codes import decode, encode, reverse_complement
from genoformer.genome.minhash import Sketch
from genoformer.genome.reference import Genome
from genoformer.models import folders, registry
from genoformer.models.heads import ClassifierConfig, SequenceClassifier
from genoformer.models.transformer.config import EncoderConfig
from genoformer.tasks import Classification, MultiLabel, Regression
from genoformer.tokenizers import BaseTokenizer, KmerTokenizer
from genoformer.training.config import FinetuneConfig, TuningConfig
from genoformer.training.finetune import finetune
from genoformer.training.jobs import FinetuneJob
from genoformer.training.log import read_log
from genoformer.training.supervised import Batch, LabelledBatches, predictor_loss, sequence_logits, shift_sequences
from genoformer.training.supervised_data import LabelledSet, case_weights, check_validation, choose_monitor, held_out

CRE, TATA = "TGACGTCATT", "GCTATAAAAG"

SCRATCH = """
[tokenizer]
tokenizer = "base"
[model]
width = 16
n_layers = 1
n_heads = 2
ffn_width = 32
position = "rotary"
norm = "pre"
conv_kernel = 9
"""
LEARN = "learning_rate = 1e-2\nepochs = 4\ndropout = 0.0\n"  # enough for a motif in 400 sequences
BRIEF = "epochs = 1\nbatch_size = 20\n"  # where nothing need be learned


def random_text(random: np.random.Generator, length: int) -> str:
    return decode(random.integers(0, 4, length).astype(np.uint8))


def planted(random: np.random.Generator, motifs, length=60, among=None) -> str:
    """Random bases with motifs that do not overlap, somewhere in the bases [first, after)."""
    first, after = among or (0, length)
    text = random_text(random, length)
    for i, motif in enumerate(motifs):
        room = (after - first) // len(motifs)
        at = first + i * room + random.integers(0, room - len(motif) + 1)
        text = text[:at] + motif + text[at + len(motif) :]
    return text


def table(path: Path, rows) -> Path:
    """rows of (sequence, label) as a CSV."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("sequence", "label"), *rows])
    return path


def two_classes(path: Path, n: int, seed: int, names=("0", "1"), **options) -> Path:
    """Every other sequence with CRE."""
    random = np.random.default_rng(seed)
    return table(path, [(planted(random, [CRE] * (i % 2), **options), names[i % 2]) for i in range(n)])


def config(folder: Path, text: str = "", tables: str = SCRATCH) -> FinetuneConfig:
    (folder / "c.toml").write_text(f"{tables}\n[finetune]\n{text}")
    return FinetuneConfig.read(folder / "c.toml")


def tuned(folder: Path, train: Path, valid: Path | None, text=BRIEF, *, tables=SCRATCH, out="out", tell=None, **job):
    held = read_labelled(valid) if valid else None
    settings = {"task": "classify", "config": config(folder, text, tables), "valid": held, **job}
    done = finetune(FinetuneJob(read_labelled(train), folder / out, **settings), on_note=tell or (lambda text: None))
    assert done is not None
    return done


def start(folder: Path, tokenizer=None, seed=7, layout="genoformer", **fields) -> Path:
    """A language model with random weights, of two layers."""
    shape = {"ffn_width": 32, "norm": "pre", "max_tokens": 128}
    registry.save(small_encoder(tokenizer or BaseTokenizer(), seed, **{**shape, **fields}), folder, layout=layout)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """train.csv and valid.csv: CRE or not, 400 and 200 sequences; few.csv and few_valid.csv, 40 and 20."""
    folder = tmp_path_factory.mktemp("data")
    for seed, (name, n) in enumerate([("train", 400), ("valid", 200), ("few", 40), ("few_valid", 20)]):
        two_classes(folder / f"{name}.csv", n, seed)
    return folder


# --- what is learned


def test_a_motif_is_found_and_the_model_says_the_same_when_it_is_loaded(data, tmp_path) -> None:
    done = tuned(tmp_path, data / "train.csv", data / "valid.csv", LEARN, command="as typed")
    (member,) = done.members
    assert member.metrics["accuracy"].value > 0.9
    assert not done.failed
    (model,) = registry.load_ensemble(tmp_path / "out")
    assert model.config.classes == ("0", "1")
    valid = read_labelled(data / "valid.csv")
    called = inference.predictions(model, valid.sequences).values.argmax(1)
    right = [model.config.classes[i] == label for i, (label,) in zip(called, valid.labels, strict=True)]
    assert np.mean(right) == pytest.approx(member.metrics["accuracy"].value)

    manifest = folders.read_manifest(tmp_path / "out")
    assert manifest is not None
    assert (manifest["command"], manifest["task"], manifest["start"], manifest["notes"]) == ("as typed", "classify", None, [])
    assert manifest["data"]["train"] == {
        "name": "train.csv",
        "sha256": sha256_of(data / "train.csv"),
        "sequences": 400,
        "manifest": None,
    }
    assert manifest["data"]["valid"]["sha256"] == sha256_of(data / "valid.csv")
    assert manifest["data"]["leakage"]["n_leaked"] == 0
    assert manifest["finetune"]["epochs"] == 4
    assert manifest["windowed"] == {"window": 60, "overlap": 30, "train": 0, "valid": 0}
    assert manifest["metrics"]["accuracy"]["value"] == pytest.approx(member.metrics["accuracy"].value, abs=1e-6)
    seen = folders.training_overlap_note(model, "out", read_labelled(data / "train.csv").sequences, "train.csv")
    assert seen is not None
    assert seen.startswith("100 % of the 31-mers of train.csv were in the training data of out")
    assert folders.training_overlap_note(model, "out", valid.sequences, "valid.csv") is None


def test_classes_with_names_are_found_and_kept(tmp_path) -> None:
    motifs = {"negative": [], "CRE": [CRE], "TATA box": [TATA]}
    for seed, (name, n) in enumerate([("train", 600), ("valid", 210)]):
        random = np.random.default_rng(seed)
        labels = [list(motifs)[i % 3] for i in range(n)]
        table(tmp_path / f"{name}.csv", [(planted(random, motifs[label]), label) for label in labels])
    done = tuned(tmp_path, tmp_path / "train.csv", tmp_path / "valid.csv", LEARN)
    assert done.ensemble["accuracy"].value > 0.9
    (model,) = registry.load_ensemble(tmp_path / "out")
    assert model.config.classes == ("negative", "CRE", "TATA box")
    texts = [encode("A" * 20 + motif + "C" * 20) for motif in (CRE, TATA)]
    assert inference.predictions(model, texts).values.argmax(1).tolist() == [1, 2]


def test_several_labels_at_once(tmp_path) -> None:
    """a where CRE is, b where TATA is; ";" where neither is."""
    sets = {";": [], "a": [CRE], "b": [TATA], "a;b": [CRE, TATA]}
    for seed, (name, n) in enumerate([("train", 600), ("valid", 200)]):
        random = np.random.default_rng(seed)
        labels = [list(sets)[i % 4] for i in range(n)]
        table(tmp_path / f"{name}.csv", [(planted(random, sets[label]), label) for label in labels])
    done = tuned(tmp_path, tmp_path / "train.csv", tmp_path / "valid.csv", LEARN)
    assert done.ensemble["exact_match"].value > 0.8
    assert min(done.ensemble[name].value for name in ("accuracy", "auroc:a", "auroc:b")) > 0.9
    (model,) = registry.load_ensemble(tmp_path / "out")
    assert model.task == MultiLabel(("a", "b"))


def test_values_come_back_in_their_own_unit(tmp_path) -> None:
    """5,000 without CRE and 7,000 with it, give or take 100."""
    for seed, (name, n) in enumerate([("train", 400), ("valid", 100)]):
        random = np.random.default_rng(seed)
        rows = [(planted(random, [CRE] * (i % 2)), f"{5000 + 2000 * (i % 2) + random.normal(0, 100):.1f}") for i in range(n)]
        table(tmp_path / f"{name}.csv", rows)
    done = tuned(tmp_path, tmp_path / "train.csv", tmp_path / "valid.csv", LEARN, task="regress")
    assert done.ensemble["pearson"].value > 0.9
    (model,) = registry.load_ensemble(tmp_path / "out")
    given_ = np.array([float(value) for (value,) in read_labelled(tmp_path / "train.csv").labels])
    assert model.config.target_mean == pytest.approx((given_.mean(),), rel=1e-6)  # near 6,000
    assert model.config.target_std == pytest.approx((given_.std(),), rel=1e-6)  # near 1,000
    texts = [encode("ACCGTTGGAA" * 5), encode("ACCGTTGGAA" * 3 + CRE + "ACCGTTGGAA")]
    assert inference.predictions(model, texts).values[:, 0] == pytest.approx([5000, 7000], abs=500)


def test_a_motif_beyond_the_first_window_is_found_and_windows_are_counted(tmp_path) -> None:
    """100 bases with CRE in the last 40, seen 40 at a time; 5 of the validation sequences are short enough for one window."""
    two_classes(tmp_path / "train.csv", 600, 0, length=100, among=(60, 100))
    two_classes(tmp_path / "valid.csv", 95, 1, length=100, among=(60, 100))
    with (tmp_path / "valid.csv").open("a") as file:
        file.writelines(f"{'ACGT' * 10},0\r\n" for _ in range(5))
    text = LEARN + "batch_size = 16\nwindow = 40\npatience = 99\n"
    done = tuned(tmp_path, tmp_path / "train.csv", tmp_path / "valid.csv", text)
    assert done.ensemble["accuracy"].value > 0.9
    assert (
        "600 of 600 training sequences and 95 of 100 validation sequences are longer than the window of 40 bases and were "
        "cut into overlapping windows."
    ) in done.notes
    manifest = folders.read_manifest(tmp_path / "out")
    assert manifest is not None
    assert manifest["windowed"] == {"window": 40, "overlap": 20, "train": 600, "valid": 95}


def test_regions_of_a_genome_are_read_with_their_strand(tmp_path) -> None:
    """A contig of 200 tiles of 60 bases; every other one holds CRE, half of these on the other strand."""
    random = np.random.default_rng(0)
    tiles, rows = [], []
    for i in range(400):
        tile = planted(random, [CRE] * (i % 2))
        strand = "+-"[(i // 2) % 2]
        tiles.append(tile if strand == "+" else decode(reverse_complement(encode(tile))))
        rows.append(f"chr1\t{60 * i}\t{60 * i + 60}\t{('none', 'CRE')[i % 2]}\t0\t{strand}\n")
    (tmp_path / "g.fa").write_text(">chr1\n" + "".join(f"{tile}\n" for tile in tiles))
    (tmp_path / "train.bed").write_text("".join(rows[:320]))
    (tmp_path / "valid.bed").write_text("".join(rows[320:]))
    train, valid = (read_labelled(tmp_path / f"{name}.bed", fasta=tmp_path / "g.fa") for name in ("train", "valid"))
    done = finetune(FinetuneJob(train, tmp_path / "out", "classify", config(tmp_path, LEARN), valid))
    assert done is not None
    assert done.ensemble["accuracy"].value > 0.9
    (model,) = registry.load_ensemble(tmp_path / "out")
    assert model.config.classes == ("CRE", "none")


def test_either_strand_will_do_where_both_are_asked_for(data, tmp_path) -> None:
    """Trained on one strand, asked for the other: the answer is the same, as it is the mean over both."""
    done = tuned(tmp_path, data / "train.csv", data / "valid.csv", LEARN + "both_strands = true\n")
    assert done.ensemble["accuracy"].value > 0.9
    (model,) = registry.load_ensemble(tmp_path / "out")
    valid = read_labelled(data / "valid.csv").sequences
    forward, backward = (inference.predictions(model, s).values for s in (valid, [reverse_complement(c) for c in valid]))
    assert backward == pytest.approx(forward, abs=1e-5)


# --- the best step


@pytest.mark.parametrize(("metric", "best"), [("loss", min), ("brier", min), ("accuracy", max), ("auroc", max)])
def test_the_best_step_is_the_best_of_its_metric(data, tmp_path, metric, best) -> None:
    text = f'monitor = "{metric}"\nlearning_rate = 1e-2\nepochs = 2\nevals_per_epoch = 4\n'
    tuned(tmp_path, data / "train.csv", data / "few_valid.csv", text)
    rows = [row for row in read_log(tmp_path / "out" / "log.csv") if f"valid_{metric}" in row]
    values = [row[f"valid_{metric}"] for row in rows]
    manifest = folders.read_manifest(tmp_path / "out")
    assert manifest is not None
    equals = [row for row in rows if row[f"valid_{metric}"] == best(values)]
    assert manifest["best_step"] == min(equals, key=lambda row: row["valid_loss"])["step"]
    if metric != "loss":
        assert manifest["metrics"][metric]["value"] == pytest.approx(best(values), abs=2e-6)
    assert len(set(values)) > 1  # so that there was a choice


def test_a_run_that_gets_no_better_stops(data, tmp_path) -> None:
    """At a rate of 1e-12 nothing changes: the first validation is the best, and two more end a run of 40."""
    text = 'monitor = "accuracy"\nlearning_rate = 1e-12\nepochs = 10\nevals_per_epoch = 4\nbatch_size = 5\npatience = 2\n'
    tuned(tmp_path, data / "few.csv", data / "few_valid.csv", text + "warmup_fraction = 0.0\n")
    steps = [row["step"] for row in read_log(tmp_path / "out" / "log.csv") if "valid_accuracy" in row]
    assert steps == [2, 4, 6]  # 8 steps an epoch
    manifest = folders.read_manifest(tmp_path / "out")
    assert manifest is not None
    assert manifest["best_step"] == 2


def test_an_unknown_metric_is_refused_before_anything_is_trained(data, tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"monitor = 'f2': allowed are loss, accuracy, mcc, f1, .*auroc"):
        tuned(tmp_path, data / "few.csv", data / "few_valid.csv", 'monitor = "f2"\n')
    assert not (tmp_path / "out").exists()


A_CLASS = Targets(Classification(("no", "yes")), np.array([1, 1, 1]))
CLASSES = Targets(Classification(("no", "yes")), np.array([0, 1, 1]))
LABELS = Targets(MultiLabel(("a", "b")), np.array([[0, 1], [1, 1]], dtype=np.float32))
VALUES = Targets(Regression(("x",)), np.array([[1], [2], [4]], dtype=np.float32))


@pytest.mark.parametrize(
    ("wanted", "targets", "monitor"),
    [
        ("", CLASSES, "mcc"),
        ("", LABELS, "auroc"),
        ("", VALUES, "pearson"),
        ("f1", CLASSES, "f1"),
        ("auroc:a", LABELS, "auroc:a"),
        ("mse", VALUES, "mse"),
    ],
)
def test_what_the_best_step_is_chosen_by(wanted, targets, monitor) -> None:
    assert choose_monitor(wanted, targets) == monitor


@pytest.mark.parametrize(
    ("wanted", "targets", "words"),
    [
        ("auroc", A_CLASS, "is not defined"),
        ("auroc:b", LABELS, "is not defined"),  # b applies to both
        ("pearson", CLASSES, "allowed are loss, accuracy"),
        ("mcc", VALUES, "allowed are loss, pearson"),
    ],
)
def test_metrics_that_validation_data_cannot_give_are_refused(wanted, targets, words) -> None:
    with pytest.raises(ConfigError, match=words):
        choose_monitor(wanted, targets)


A_LABEL = Targets(MultiLabel(("a", "b")), np.array([[0, 1]] * 12, dtype=np.float32))
A_VALUE = Targets(Regression(("x",)), np.array([[3.5]] * 12, dtype=np.float32))
TWO_OF_THREE = Targets(Classification(("a", "b", "c")), np.array([0, 2] * 6))


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (
            A_CLASS,
            r"v.csv has the same class in all its 3 sequences \(yes\): MCC is not defined, .*selected by it; give others\.",
        ),
        (A_LABEL, r"v.csv has the same label in all its 12 sequences \(a, b\): AUROC is not defined"),
        (A_VALUE, r"v.csv has the same value in all its 12 sequences \(x\): Pearson's r is not defined"),
    ],
)
def test_validation_data_that_is_all_alike_is_refused(targets, words) -> None:
    with pytest.raises(ConfigError, match=words):
        check_validation(targets, "v.csv", "give others")


@pytest.mark.parametrize(
    ("targets", "notes"),
    [
        (Targets(Classification(("no", "yes")), np.array([0, 1] * 5)), []),
        (TWO_OF_THREE, ["v.csv has no sequence of class b: the step is selected without it."]),
        (
            Targets(MultiLabel(("a", "b")), np.array([[0, 1], [1, 1]] * 6, dtype=np.float32)),
            ["v.csv has the same b in all its sequences: not used to select the step."],
        ),
        (VALUES, ["v.csv has 3 sequences: too few to select a step better than by chance."]),
    ],
)
def test_what_validation_data_lacks_is_said(targets, notes) -> None:
    assert check_validation(targets, "v.csv", "give others") == notes


@pytest.mark.parametrize(
    ("targets", "notes"),
    [
        (TWO_OF_THREE, ["v.csv has no sequence of class b: metrics are computed without it."]),
        (
            Targets(MultiLabel(("a", "b")), np.array([[0, 1], [1, 1]] * 6, dtype=np.float32)),
            ["v.csv has the same b in all its sequences: no metric is computed for it."],
        ),
        (VALUES, ["v.csv has 3 sequences: too few to measure how well the model predicts."]),
    ],
)
def test_a_run_that_keeps_its_last_step_selects_none(targets, notes) -> None:
    """`keep = "last"`, as in all recipes: validation data is for measuring alone."""
    assert check_validation(targets, "v.csv", "give others", selects=False) == notes
    with pytest.raises(ConfigError, match=r"Pearson's r is not defined; give others"):
        check_validation(A_VALUE, "v.csv", "give others", selects=False)


def test_a_run_is_refused_before_it_begins_where_no_step_can_be_chosen(data, tmp_path) -> None:
    """By validation data that is given, whatever is monitored; and by what is held out of 29 sequences of 0 and one of 1."""
    rows = read_labelled(data / "few.csv")
    texts = [decode(codes) for codes in rows.sequences]
    one = table(tmp_path / "one.csv", [(text, "1") for text in texts])
    for monitor in ("", 'monitor = "loss"\n', 'monitor = "accuracy"\n'):
        with pytest.raises(ConfigError, match=r"one\.csv has the same class in all its 40 sequences \(1\)"):
            tuned(tmp_path, data / "few.csv", one, BRIEF + monitor)
    rare = table(tmp_path / "rare.csv", [(text, str(int(i == 0))) for i, text in enumerate(texts[:30])])
    with pytest.raises(
        ConfigError, match=r"The held-out part of rare\.csv has the same class in all its .*give more training data"
    ):
        tuned(tmp_path, rare, None)
    assert not (tmp_path / "out").exists()


def test_training_values_that_are_all_alike_are_named_for_what_they_are(data, tmp_path) -> None:
    texts = [decode(codes) for codes in read_labelled(data / "few.csv").sequences]
    alike = table(tmp_path / "alike.csv", [(text, "1.5") for text in texts])
    differ = table(tmp_path / "differ.csv", [(text, str(i)) for i, text in enumerate(texts)])
    for valid in (None, differ):
        with pytest.raises(ConfigError, match=r"^alike\.csv: label is the same in all 40 sequences, so there is nothing to"):
            tuned(tmp_path, alike, valid, task="regress")
    assert not (tmp_path / "out").exists()


def test_how_the_data_was_understood_is_told_before_anything_is_trained(data, tmp_path) -> None:
    flags = tmp_path / "flags.fa"
    texts = [random_text(np.random.default_rng(i), 20) for i in range(40)]
    flags.write_text("".join(f">s{i}|{i % 2}|{i // 2 % 2}|{int(i < 5)}\n{text}\n" for i, text in enumerate(texts)))
    table(tmp_path / "values.csv", [(text, str(i / 4)) for i, text in enumerate(texts)])
    heard: list[str] = []
    tuned(tmp_path, data / "few.csv", data / "few_valid.csv", tell=heard.append)
    done = tuned(tmp_path, flags, None, tell=heard.append, out="flags")
    tuned(tmp_path, tmp_path / "values.csv", None, tell=heard.append, out="values", task="regress")
    assert heard == [
        "few.csv: 40 sequences, one class each (column label). Classes: 0 (20), 1 (20).",
        "few_valid.csv: 20 sequences, one class each (column label). Classes: 0 (10), 1 (10).",
        "flags.fa: 40 sequences, 3 labels each, 0 or 1. Classes: label1 (20), label2 (20), label3 (5).",
        "values.csv: 40 sequences, one value each to predict: label from 0 to 9.75.",
    ]
    (model,) = registry.load_ensemble(done.members[0].folder)
    assert model.task == MultiLabel(("label1", "label2", "label3"))


# --- what is trained, and from where

LAYER = ("attention.qkv", "attention.out", "norm_attention", "up", "down", "norm_feed")
ADAPTED = {f"layers.{i}.{part}.weight" for i in (0, 1) for part in ("attention.qkv", "attention.out", "up", "down")}


def of_layer(i: int) -> set[str]:
    return {f"layers.{i}.{part}.{what}" for part in LAYER for what in ("weight", "bias")}


EVERYTHING = {"tokens.weight", "decoder.weight", "segments.weight", "norm.weight", "norm.bias"} | of_layer(0) | of_layer(1)


@pytest.mark.parametrize(
    ("tune", "changed"),
    [
        ("full", EVERYTHING),  # decoder.weight is tokens.weight
        ("last", of_layer(1) | {"norm.weight", "norm.bias"}),
        ("frozen", set()),
        ("lora", ADAPTED),  # merged
    ],
)
def test_each_mode_changes_its_weights_and_saves_a_plain_model(data, tmp_path, tune, changed) -> None:
    begun = start(tmp_path / "lm")
    text = f'tune = "{tune}"\nlast_layers = 1\nlora_rank = 2\nlearning_rate = 1e-2\n' + BRIEF
    tuned(tmp_path, data / "few.csv", data / "few_valid.csv", text, tables="", starts=[begun])
    (model,) = registry.load_ensemble(tmp_path / "out")
    before, after = registry.load(begun).state_dict(), model.encoder.state_dict()
    assert list(after) == list(before)
    assert {name for name in before if not torch.equal(before[name], after[name])} == changed


def kmer_model(folder: Path) -> Path:
    return start(folder, KmerTokenizer(3))


def dnabert(folder: Path) -> Path:
    return start(folder, KmerTokenizer(3), layout="dnabert", position="learned", norm="post")


def causal(folder: Path) -> Path:
    return start(folder, causal=True)


@pytest.mark.parametrize("make", [kmer_model, dnabert, causal])
def test_any_language_model_is_a_start(data, tmp_path, make) -> None:
    begun = make(tmp_path / "lm")
    tuned(tmp_path, data / "few.csv", data / "few_valid.csv", tables="", starts=[begun])
    (model,) = registry.load_ensemble(tmp_path / "out")
    origin = registry.load(begun)
    assert model.config.encoder.causal == origin.config.causal
    assert model.tokenizer == origin.tokenizer
    manifest = folders.read_manifest(tmp_path / "out")
    assert manifest is not None
    assert manifest["start"] == {"sha256": origin.sha256, "manifest": None}


def test_a_fine_tuned_model_is_a_start(data, tmp_path) -> None:
    """Its encoder goes on, its head does not, and what it has seen is handed down."""
    tuned(tmp_path, data / "few.csv", data / "few_valid.csv", out="first")
    done = tuned(
        tmp_path, data / "few_valid.csv", data / "few.csv", 'tune = "frozen"\n' + BRIEF, tables="", starts=[tmp_path / "first"]
    )
    (first,), (second,) = (registry.load_ensemble(tmp_path / name) for name in ("first", "out"))
    weights = second.encoder.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in first.encoder.state_dict().items())
    assert not torch.equal(first.out.weight, second.out.weight)
    assert any(note.startswith("100 % of the 31-mers of the validation data were in the training data") for note in done.notes)
    for name in ("few.csv", "few_valid.csv"):
        assert folders.training_overlap_note(second, "m", read_labelled(data / name).sequences, name) is not None


def test_what_a_start_has_seen_of_the_validation_data_is_said(data, tmp_path) -> None:
    begun = start(tmp_path / "lm")
    Sketch.from_sequences(read_labelled(data / "few_valid.csv").sequences).save(begun / folders.SKETCH)
    done = tuned(tmp_path, data / "few.csv", data / "few_valid.csv", tables="", starts=[begun])
    assert any(note.startswith("100 % of the 31-mers of the validation data") for note in done.notes)
    again = tuned(tmp_path, data / "few.csv", data / "train.csv", out="new", tables="", starts=[begun])
    assert not any("31-mers of the validation data were" in note for note in again.notes)


# --- several models


def test_seeds_give_mean_interval_and_an_ensemble(data, tmp_path) -> None:
    done = tuned(tmp_path, data / "few.csv", data / "few_valid.csv", "seed = 5\n" + BRIEF, n_seeds=2)
    assert [(member.folder.name, member.seed) for member in done.members] == [("seed-5", 5), ("seed-6", 6)]
    values = [member.metrics["auroc"].value for member in done.members]
    assert done.over_members["auroc"] == over_runs(values, (0, 1))
    written = json.loads((tmp_path / "out/ensemble.json").read_text(), parse_constant=pytest.fail)  # no NaN
    assert written["members"] == ["seed-5", "seed-6"]
    assert written["over_members"]["auroc"]["value"] == pytest.approx(np.mean(values), abs=1e-4)
    valid = read_labelled(data / "few_valid.csv")
    each = [inference.predictions(m, valid.sequences).values for m in registry.load_ensemble(tmp_path / "out")]
    assert not np.allclose(each[0], each[1])
    truth = np.array([label == "1" for (label,) in valid.labels])
    mean = np.mean(each, axis=0)[:, 1]
    pairs = [(a > b) + 0.5 * (a == b) for a in mean[truth] for b in mean[~truth]]
    assert done.ensemble["auroc"].value == pytest.approx(np.mean(pairs))


def test_starts_of_one_name_do_not_overwrite_each_other(data, tmp_path) -> None:
    starts = [start(tmp_path / "a/lm"), start(tmp_path / "b/lm", KmerTokenizer(3)), start(tmp_path / "other", seed=9)]
    done = tuned(tmp_path, data / "few.csv", data / "few_valid.csv", tables="", starts=starts)
    assert [member.folder.name for member in done.members] == ["lm-1", "lm-2", "other"]
    assert [m.tokenizer.k for m in registry.load_ensemble(tmp_path / "out")] == [1, 3, 1]


def test_the_same_seed_gives_the_same_bytes(data, tmp_path) -> None:
    text = "token_dropout = 0.1\nboth_strands = true\n" + BRIEF
    for out, seed in (("a", 0), ("b", 0), ("c", 1)):
        tuned(tmp_path, data / "few.csv", None, f"seed = {seed}\n" + text, out=out)
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


# --- runs that fail, and what is said of the data


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_a_model_that_predicts_one_class_has_failed(tmp_path, n_seeds) -> None:
    """One in 20 is "1", at random: 0 for all is 95 % right, and nothing else can be learned."""
    for seed, (name, n) in enumerate([("train", 100), ("valid", 40)]):
        random = np.random.default_rng(seed)
        table(tmp_path / f"{name}.csv", [(random_text(random, 60), str(int(i % 20 == 0))) for i in range(n)])
    text = "epochs = 2\nlearning_rate = 1e-2\n"
    done = tuned(tmp_path, tmp_path / "train.csv", tmp_path / "valid.csv", text, n_seeds=n_seeds)
    assert done.failed == done.members
    said = ["the model predicts one class, '0', for all 40 cases: failed; MCC is not defined."]
    for member in done.members:
        assert member.notes == said
        manifest = json.loads((member.folder / "manifest.json").read_text(), parse_constant=pytest.fail)
        assert manifest["notes"] == said
        assert manifest["metrics"]["mcc"]["value"] is None
    if n_seeds > 1:
        json.loads((tmp_path / "out/ensemble.json").read_text(), parse_constant=pytest.fail)


def test_without_validation_data_a_tenth_is_held_out(data, tmp_path) -> None:
    done = tuned(tmp_path, data / "few.csv", None)
    assert done.notes[0] == "No validation data was given: 4 of the 40 sequences were held out."
    manifest = folders.read_manifest(tmp_path / "out")
    assert manifest is not None
    assert (manifest["data"]["train"]["sequences"], manifest["data"]["valid"]) == (36, None)


@pytest.mark.parametrize(
    ("counts", "held"),
    [((20, 10), (2, 1)), ((30, 4), (3, 1)), ((30, 2), (3, 1)), ((30, 1), (3, 0)), ((2, 1), (1, 0))],
    ids=str,
)
def test_what_is_held_out_of_each_class(counts, held) -> None:
    """A tenth, one at least, but never the last one to train on."""
    values = np.repeat([0, 1], counts)
    sequences = [np.array([i], dtype=np.uint8) for i in range(len(values))]
    kept, out = held_out(LabelledSet(sequences, Targets(Classification(("a", "b")), values)), seed=0)
    assert np.bincount(out.targets.values, minlength=2).tolist() == list(held)
    assert sorted(int(s[0]) for part in (kept, out) for s in part.sequences) == list(range(len(values)))
    for part in (kept, out):
        assert [int(s[0]) >= counts[0] for s in part.sequences] == part.targets.values.tolist()


def test_too_few_to_hold_any_out_are_refused() -> None:
    part = LabelledSet([encode("A"), encode("C")], Targets(Classification(("a", "b")), np.array([0, 1])))
    with pytest.raises(ConfigError, match="2 sequences are too few to hold some out"):
        held_out(part, seed=0)


def test_few_sequences_are_enough_with_validation_data(tmp_path) -> None:
    rows = [("ACGTACGTACGT", "a"), ("GGGTTTGGGTTT", "b")]
    tuned(tmp_path, table(tmp_path / "t.csv", rows), table(tmp_path / "v.csv", rows))
    assert len(registry.load_ensemble(tmp_path / "out")) == 1


def test_leakage_is_said(data, tmp_path) -> None:
    """Of 20 validation sequences two are in the training data, and three as their reverse complement."""
    train = read_labelled(data / "few.csv")
    texts = [decode(codes) for codes in read_labelled(data / "few_valid.csv").sequences]
    texts[:2] = [decode(codes) for codes in train.sequences[:2]]
    texts[2:5] = [decode(reverse_complement(codes)) for codes in train.sequences[2:5]]
    valid = table(tmp_path / "v.csv", [(text, str(i % 2)) for i, text in enumerate(texts)])
    done = tuned(tmp_path, data / "few.csv", valid)
    assert any(
        note.startswith("25.00 % of the validation data (5 of 20; 30.00 % of 0, 20.00 % of 1) shares half or more")
        and note.endswith("2 exact duplicates, 3 of the reverse complement.")
        for note in done.notes
    )


def test_the_manifest_of_the_data_travels_along_while_the_data_is_that_of_the_manifest(tmp_path) -> None:
    random = np.random.default_rng(0)
    (tmp_path / "g.fa").write_text("".join(f">{name}\n{random_text(random, 6000)}\n" for name in ("one", "two")))
    (tmp_path / "p.bed").write_text("".join(f"{c}\t{i}\t{i + 40}\n" for c in ("one", "two") for i in range(200, 5800, 400)))
    with Genome(tmp_path / "g.fa") as genome:
        build(tmp_path / "set", genome, {"peak": tmp_path / "p.bed"}, length=60, valid=["two"])
    made = json.loads((tmp_path / "set/manifest.json").read_text())
    tuned(tmp_path, tmp_path / "set/train.tsv", tmp_path / "set/valid.tsv")
    manifest = folders.read_manifest(tmp_path / "out")
    assert manifest is not None
    assert manifest["data"]["train"]["manifest"] == manifest["data"]["valid"]["manifest"] == made
    assert made["inputs"]["genome"]["sha256"] == sha256_of(tmp_path / "g.fa")

    lines = (tmp_path / "set/train.tsv").read_text().splitlines()
    (tmp_path / "set/train.tsv").write_text("\n".join(lines[:-1]) + "\n")
    tuned(tmp_path, tmp_path / "set/train.tsv", tmp_path / "set/valid.tsv", out="changed")
    manifest = folders.read_manifest(tmp_path / "changed")
    assert manifest is not None
    assert manifest["data"]["train"]["manifest"] is None
    assert manifest["data"]["valid"]["manifest"] == made


def test_a_data_set_is_not_trained_into(data, tmp_path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/manifest.json").write_text('{"kind": "labelled windows"}')
    with pytest.raises(ConfigError, match=r"set holds manifest\.json, which another program made"):
        tuned(tmp_path, data / "few.csv", data / "few_valid.csv", out="set")
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["manifest.json"]


def test_windows_longer_than_those_of_the_start_are_said(data, tmp_path) -> None:
    """Sequences of 60 bases and a model of windows of 40; what is fine-tuned at 60 knows 60."""
    first = start(tmp_path / "lm", context_length=40)
    done = tuned(tmp_path, data / "few.csv", data / "few_valid.csv", tables="", starts=[first])
    note = f"Windows have up to 60 bases, but {first} was trained on 40, "
    assert [n.startswith(note) for n in done.notes].count(True) == 1
    for options in ({"text": BRIEF + "window = 40\n", "starts": [first]}, {"starts": [tmp_path / "out"]}):
        again = tuned(tmp_path, data / "few.csv", data / "few_valid.csv", tables="", out=f"out{len(options)}", **options)
        assert not any("was trained on" in n for n in again.notes)


def test_what_the_start_has_seen_of_the_training_data_is_said(data, tmp_path) -> None:
    first = start(tmp_path / "lm")
    Sketch.from_sequences(read_labelled(data / "few.csv").sequences, scale=2).save(first / folders.SKETCH)
    done = tuned(tmp_path, data / "few.csv", data / "few_valid.csv", tables="", starts=[first])
    (note,) = [n for n in done.notes if "31-mers of" in n and "in the training data of" in n]
    assert note.startswith("100 % of the 31-mers of the training data were in")


@pytest.mark.parametrize("text", ["{", "[]", '{"files": 3}'])
def test_a_manifest_of_something_else_is_left_alone(data, tmp_path, text) -> None:
    train = tmp_path / "few.csv"
    train.write_bytes((data / "few.csv").read_bytes())
    (tmp_path / "manifest.json").write_text(text)
    tuned(tmp_path, train, data / "few_valid.csv")
    manifest = folders.read_manifest(tmp_path / "out")
    assert manifest is not None
    assert manifest["data"]["train"]["manifest"] is None


def test_sequences_shorter_than_a_token_are_filled_up(tmp_path) -> None:
    rows = [("AC", "a"), ("GTT", "b"), ("A", "a"), ("GG", "b")]
    done = tuned(
        tmp_path,
        table(tmp_path / "t.csv", rows),
        table(tmp_path / "v.csv", rows),
        tables="",
        starts=[start(tmp_path / "lm", KmerTokenizer(6))],
    )
    (model,) = registry.load_ensemble(done.members[0].folder)
    assert model.config.window == 6
    assert inference.predictions(model, [encode("AC")]).values.shape == (1, 2)


# --- runs that are interrupted


class SignalAfter:
    """The loss of a predictor, which sends this process a signal the n-th time that it is asked."""

    def __init__(self, number: int, n: int) -> None:
        self.number, self.left = number, n

    def __call__(self, *given):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), self.number)
        return predictor_loss(*given)


LABELS_OF = {
    "classes": lambda i: str(i % 2),
    "multilabel": lambda i: ("a", "b", "a;b", ";")[i % 4],
    "values": lambda i: f"{(i * 7) % 11 / 3:.3f}",
}
RESUMED = "epochs = 4\nbatch_size = 8\ndropout = 0.1\ntoken_dropout = 0.1\nlearning_rate = 3e-3\nevals_per_epoch = 1\n"


@pytest.mark.parametrize(
    ("kind", "extra", "number"),
    [
        ("classes", "both_strands = true\nmax_shift = 2\n", signal.SIGINT),
        ("classes", "ema_decay = 0.9\ngrad_accumulation = 2\n", signal.SIGTERM),
        ("multilabel", 'tune = "lora"\n', signal.SIGTERM),
        ("values", 'tune = "frozen"\n', signal.SIGINT),
        ("values", 'tune = "last"\nlast_layers = 1\n', signal.SIGTERM),
    ],
)
def test_a_run_that_is_stopped_twice_ends_with_the_bytes_of_an_undisturbed_one(tmp_path, monkeypatch, kind, extra, number):
    """A run of 20 steps (10 with two batches each) is stopped in batch 8, and again 9 batches later; no step is lost."""
    random = np.random.default_rng(0)
    for name, n in (("t", 40), ("v", 24)):
        table(tmp_path / f"{name}.csv", [(planted(random, [CRE] * (i % 2)), LABELS_OF[kind](i)) for i in range(n)])
    begun = start(tmp_path / "lm")

    def run(out):
        given_ = {"tables": "", "starts": [begun], "task": "regress" if kind == "values" else "classify", "out": out}
        return tuned(tmp_path, tmp_path / "t.csv", tmp_path / "v.csv", RESUMED + extra, **given_)

    run("whole")
    heard = []
    for n, step in ((8, 4 if "grad_accumulation" in extra else 8), (9, 9 if "grad_accumulation" in extra else 17)):
        with monkeypatch.context() as patch:
            patch.setattr("genoformer.training.classifier_recipe.predictor_loss", SignalAfter(number, n))
            before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
            with pytest.raises(Stopped) as stop:
                run("again")
            assert stop.value.status == 128 + number
            assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == before
        heard.append(int(torch.load(tmp_path / "again/state.ckpt", weights_only=True)["global_step"]))
        assert heard[-1] == step
        assert not (tmp_path / "again/config.json").exists()
    run("again")
    for name in ("model.safetensors", "log.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert folders.read_manifest(tmp_path / "again") == folders.read_manifest(tmp_path / "whole")
    assert {path.name for path in (tmp_path / "again").iterdir()} == {path.name for path in (tmp_path / "whole").iterdir()}


def test_a_run_that_is_killed_ends_with_the_bytes_of_an_undisturbed_one(data, tmp_path) -> None:
    """kill -9 at random moments, three times; what was done since the last save is done again."""
    begun = start(tmp_path / "lm")
    (tmp_path / "c.toml").write_text(f"[finetune]\n{RESUMED}patience = 99\n")

    def command_to(out):
        given_ = ["--valid", data / "few_valid.csv", "-c", tmp_path / "c.toml", "-m", begun, "--epochs", 20]
        return ["finetune", data / "few.csv", "-o", tmp_path / out, *given_]

    run_here(command_to("whole"), tmp_path / "said")
    again = tmp_path / "again"
    assert killed(command_to("again"), again / "state.ckpt", again / "config.json", tmp_path / "said") >= 2
    assert "again: resumes from step " in (tmp_path / "said").read_text()
    for name in ("model.safetensors", "log.csv"):
        assert (again / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert not (again / "state.ckpt").exists()


def interrupted(data, tmp_path, monkeypatch, **options) -> None:
    """A run in the folder `out` that was stopped after 3 batches."""
    with monkeypatch.context() as patch:
        patch.setattr("genoformer.training.classifier_recipe.predictor_loss", SignalAfter(signal.SIGTERM, 3))
        with pytest.raises(Stopped):
            tuned(tmp_path, data / "few.csv", data / "few_valid.csv", RESUMED, **options)


def test_a_run_of_several_seeds_resumes_in_the_member_that_was_interrupted(data, tmp_path, monkeypatch) -> None:
    tuned(tmp_path, data / "few.csv", data / "few_valid.csv", RESUMED, out="whole", n_seeds=2)
    interrupted(data, tmp_path, monkeypatch, n_seeds=2)
    assert (tmp_path / "out/seed-0/state.ckpt").is_file()
    tuned(tmp_path, data / "few.csv", data / "few_valid.csv", RESUMED, n_seeds=2)
    for name in ("seed-0/model.safetensors", "seed-1/model.safetensors", "ensemble.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("text", "files", "options", "words"),
    [
        (RESUMED.replace("3e-3", "1e-3"), ("few", "few_valid"), {}, r"other settings \(finetune.learning_rate\)"),
        (RESUMED, ("few", "valid"), {}, r"other settings \(.*data.valid"),
        (RESUMED, ("few", "few_valid"), {"task": "regress"}, "started with other settings .*task"),
        (RESUMED, ("few", "few_valid"), {"n_seeds": 2}, "unfinished run of one model, not of several"),
    ],
)
def test_a_state_is_not_resumed_with_other_settings(data, tmp_path, monkeypatch, text, files, options, words) -> None:
    interrupted(data, tmp_path, monkeypatch)
    with pytest.raises(ConfigError, match=words):
        tuned(tmp_path, *(data / f"{name}.csv" for name in files), text, **options)
    tuned(tmp_path, data / "few.csv", data / "few_valid.csv", RESUMED)


def test_a_run_that_is_killed_after_its_last_step_is_not_begun_anew(data, tmp_path, monkeypatch) -> None:
    """What follows the training (here the sketch) fails; the state is still there, and the end is the undisturbed one."""
    tuned(tmp_path, data / "few.csv", data / "few_valid.csv", RESUMED, out="whole")

    def fails(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("genoformer.training.classifier_recipe.training_sketch", fails)
        with pytest.raises(OSError, match="No space left"):
            tuned(tmp_path, data / "few.csv", data / "few_valid.csv", RESUMED)
    assert (tmp_path / "out/state.ckpt").is_file()
    tuned(tmp_path, data / "few.csv", data / "few_valid.csv", RESUMED)
    assert (tmp_path / "out/model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()


# --- batches, weights, losses


def tiny(task="classification", classes=("a", "b"), window=8, **fields) -> SequenceClassifier:
    torch.manual_seed(0)
    shape = EncoderConfig(n_vocab=9, width=8, n_layers=1, n_heads=2, ffn_width=8, max_tokens=64, position="rotary", dropout=0.0)
    model = SequenceClassifier(
        ClassifierConfig(shape, task, classes, window=window, overlap=window // 2, dropout=0.0, **fields)
    ).eval()
    model.tokenizer = BaseTokenizer()
    return model


def batches(lengths, batch_size, *, seed=0, token_dropout=0.0, max_shift=0, model=None) -> LabelledBatches:
    """Sequence i has lengths[i] bases and the target i, by which it is known again."""
    random = np.random.default_rng(0)
    sequences = [random.integers(0, 4, n).astype(np.uint8) for n in lengths]
    n = len(lengths)
    return LabelledBatches(
        sequences,
        np.arange(n),
        np.arange(n, dtype=np.float32),
        model or tiny(),
        TuningConfig(batch_size=batch_size, seed=seed, token_dropout=token_dropout, max_shift=max_shift),
    )


@settings(deadline=None, max_examples=25)
@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=30), batch_size=st.integers(1, 12), epoch=st.integers(0, 3))
def test_every_sequence_comes_once_an_epoch(lengths, batch_size, epoch) -> None:
    drawn = batches(lengths, batch_size)
    numbers = range(epoch * drawn.n_batches, (epoch + 1) * drawn.n_batches)
    sizes = [len(drawn(i).targets) for i in numbers]
    assert sorted(torch.cat([drawn(i).targets for i in numbers]).tolist()) == list(range(len(lengths)))
    assert sizes[:-1] == [batch_size] * (drawn.n_batches - 1)
    assert all(drawn(i).weights.tolist() == drawn(i).targets.tolist() for i in numbers)  # of the same rows


def same(a: Batch, b: Batch) -> bool:
    return all((x is None and y is None) or torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_batch_depends_on_seed_and_number_alone() -> None:
    """Two processes that take every other batch, in whatever order, see what one sees."""
    lengths = [5 + i % 7 for i in range(50)]
    model = tiny(both_strands=True)
    one = batches(lengths, 8, token_dropout=0.2, model=model)
    in_order = [one(i) for i in range(20)]
    for rank in (0, 1):
        process = batches(lengths, 8, token_dropout=0.2, model=model)
        for i in reversed(range(rank, 20, 2)):
            assert same(process(i), in_order[i])
    assert not same(batches(lengths, 8, seed=1, token_dropout=0.2, model=model)(0), in_order[0])
    assert not torch.equal(in_order[0].targets, in_order[7].targets)  # 7 batches an epoch: the next one begins otherwise


def test_the_tokens_of_a_batch_are_those_of_its_sequences() -> None:
    drawn = batches([6, 3, 8, 5], 3)  # none longer than the window
    for i in range(2):
        batch = drawn(i)
        assert batch.owner.tolist() == list(range(len(batch.targets)))
        for row, target in zip(batch.ids.tolist(), batch.targets.tolist(), strict=True):
            alone = BaseTokenizer().encode(drawn.sequences[target][None]).ids[0].tolist()
            assert row == alone + [0] * (len(row) - len(alone))


def test_half_of_the_sequences_are_turned_and_the_asked_share_is_hidden() -> None:
    """1,000 sequences, within 4 standard errors: 500 +- 63 turned; of 8,000 tokens 1,600 +- 143 hidden."""
    turned = batches([8] * 1000, 1000, model=tiny(both_strands=True))
    batch = turned(0)
    rows = [turned.sequences[i] for i in batch.targets]
    forward, backward = (BaseTokenizer().encode(np.stack(x)).ids for x in (rows, [reverse_complement(r) for r in rows]))
    as_it_is, other = (batch.ids.numpy() == forward).all(1), (batch.ids.numpy() == backward).all(1)
    assert (as_it_is | other).all()
    assert abs((~as_it_is).sum() - 500) < 70  # a few are their own reverse complement
    later = turned(1)  # the next epoch throws its coins again, for the sequence and for its place
    again = (later.ids.numpy() != BaseTokenizer().encode(np.stack([turned.sequences[i] for i in later.targets])).ids).any(1)
    assert abs((again != ~as_it_is).sum() - 500) < 63
    before, after = (dict(zip(x.targets.tolist(), y, strict=True)) for x, y in ((batch, ~as_it_is), (later, again)))
    assert abs(sum(before[i] != after[i] for i in range(1000)) - 500) < 63
    hidden = batches([8] * 1000, 1000, token_dropout=0.2)(0).ids.numpy()
    assert abs((hidden == 4).sum() - 1600) < 143
    assert (hidden[:, 0] == 2).all()
    assert (hidden[:, -1] == 3).all()


def test_sequences_are_moved_both_ways_equally_often_and_anew_each_epoch() -> None:
    """3,500 sequences moved by -3 ... 3: each 500 times within 4 standard errors (83); what leaves is lost, N comes in."""
    drawn = batches([8] * 3500, 3500, max_shift=3)
    found = []
    for epoch in (0, 1):
        batch = drawn(epoch)
        of = {int(row): ids for row, ids in zip(batch.targets, batch.ids.numpy(), strict=True)}
        moved = [
            BaseTokenizer().encode(np.stack([shift_sequences(codes, n) for codes in drawn.sequences])).ids for n in range(-3, 4)
        ]
        by = []
        for row in range(len(drawn.sequences)):
            fits = [n for n, ids in zip(range(-3, 4), moved, strict=True) if (ids[row] == of[row]).all()]
            assert fits
            by.append(fits[0] if len(fits) == 1 else None)
        counts = [by.count(n) for n in range(-3, 4)]
        assert all(abs(count - 500) < 83 for count in counts), counts
        found.append(by)
    assert abs(sum(a == b for a, b in zip(*found, strict=True)) - 500) < 83


@pytest.mark.parametrize(
    ("by", "expected"),
    [(0, "ACGT"), (1, "NACG"), (-1, "CGTN"), (3, "NNNA"), (-3, "TNNN"), (4, "NNNN"), (9, "NNNN"), (-9, "NNNN")],
)
def test_a_moved_sequence_keeps_its_length(by, expected) -> None:
    assert decode(shift_sequences(encode("ACGT"), by)) == expected


def test_logits_of_a_long_sequence_are_the_mean_over_its_windows() -> None:
    """Lengths 8, 20 and 12 in windows of 8 that share 4: 1, 4 and 2 windows; `predictions` does the same."""
    model, drawn = tiny(), batches([8, 20, 12], 3)
    batch = drawn(0)
    with torch.no_grad():
        found = sequence_logits(model, batch)
        for row, target in zip(found, batch.targets.tolist(), strict=True):
            codes = drawn.sequences[target]
            starts = range(0, len(codes) - 7, 4)
            assert len(starts) == {0: 1, 1: 4, 2: 2}[target]
            encodings = [BaseTokenizer().encode(codes[s : s + 8][None]) for s in starts]
            each = [model(torch.from_numpy(x.ids), torch.from_numpy(x.is_base))[0] for x in encodings]
            torch.testing.assert_close(row, torch.stack(each).mean(0), atol=1e-5, rtol=1e-5)
    order = np.argsort(batch.targets.numpy())
    expected = found.softmax(-1).numpy()[order]
    assert inference.predictions(model, drawn.sequences).values == pytest.approx(expected, abs=1e-5)


class Says(torch.nn.Module):
    """A predictor that gives these logits, whatever it is asked."""

    def __init__(self, logits, config) -> None:
        super().__init__()
        self.logits, self.config, self.task = torch.tensor(logits), config, SequenceClassifier(config).task

    def forward(self, ids, is_base, keep=None):
        return self.logits


@pytest.mark.parametrize(
    ("kind", "logits", "targets", "losses"),
    [
        ("classification", [[0.0, np.log(3)], [0.0, 0.0]], [0, 1], [np.log(4), np.log(2)]),  # p = 1/4, 1/2
        ("multilabel", [[0.0, np.log(3)], [0.0, 0.0]], [[1.0, 1.0], [0.0, 1.0]], [np.log(8 / 3) / 2, np.log(2)]),
        ("regression", [[1.0, 2.0], [0.0, 0.0]], [[11.0, 20.0], [12.0, 24.0]], [(0 + 4) / 2, (4 + 4) / 2]),
    ],
)
def test_losses_by_hand(kind, logits, targets, losses) -> None:
    """Values: centre 10 and 20, spread 1 and 2, so that 12 and 24 are both 2. Weights 1 and 3 of a batch of 4."""
    numbers = {"target_mean": (10.0, 20.0), "target_std": (1.0, 2.0)} if kind == "regression" else {}
    model = Says(logits, tiny(kind, **numbers).config)
    batch = Batch(torch.zeros(2, 1), torch.ones(2, 1), None, torch.arange(2), torch.tensor(targets), torch.tensor([1.0, 3.0]))
    total, weight, divisor = predictor_loss(model, batch, 4)  # type: ignore[arg-type]
    assert float(total) == pytest.approx(losses[0] + 3 * losses[1], rel=1e-6)
    assert (float(weight), divisor) == (4.0, 4.0)


@pytest.mark.parametrize(
    ("values", "names", "weights"),
    [
        ([0, 0, 0, 1], ("a", "b"), [2 / 3, 2 / 3, 2 / 3, 2]),  # 4 / (2 classes * 3), 4 / (2 * 1)
        ([2, 0, 1, 1], ("a", "b", "c"), [4 / 3, 4 / 3, 2 / 3, 2 / 3]),
        ([0, 1], ("a", "b"), [1, 1]),
    ],
)
def test_balanced_weights_by_hand(values, names, weights) -> None:
    targets = Targets(Classification(names), np.array(values))
    assert case_weights(targets, "balanced").tolist() == pytest.approx(weights)
    assert case_weights(targets, "none").tolist() == [1] * len(values)


@pytest.mark.parametrize(("n_rare", "alike"), [(20, True), (5, False)])
def test_balanced_weights_are_those_that_a_run_takes(data, tmp_path, n_rare, alike) -> None:
    """20 of 40 cases: all weights are 1, and the bytes the same with and without. 5 of 40: they are not."""
    texts = [decode(codes) for codes in read_labelled(data / "few.csv").sequences]
    train = table(tmp_path / "t.csv", [(text, str(int(i < n_rare))) for i, text in enumerate(texts)])
    for how in ("none", "balanced"):
        tuned(tmp_path, train, data / "few_valid.csv", f'class_weights = "{how}"\n' + BRIEF, out=how)
    none, balanced = ((tmp_path / how / "model.safetensors").read_bytes() for how in ("none", "balanced"))
    assert (none == balanced) == alike


# --- refusals


@pytest.mark.parametrize(
    ("tables", "text", "words"),
    [
        ("", "", "no start model"),
        (SCRATCH.replace('"base"', '"words"'), "", "allowed are blocks, bpe, kmer, base"),
        (SCRATCH.replace('"base"', '"kmer"\nkk = 3'), "", "unknown fields kk"),
        (SCRATCH.replace('"base"', '"kmer"\nk = "six"'), "", "give a whole number"),
        (SCRATCH.replace('"base"', '"base"\nk = 3'), "", "base has none"),
        (SCRATCH + "n_vocab = 9\n", "", "leave it out"),
        (SCRATCH + "layers = 9\n", "", "unknown fields layers"),
        (SCRATCH.replace('"base"', '"kmer"\nk = 6'), "window = 5\n", "a token of this encoder has 6 bases"),
        (SCRATCH, "window = 0\n", "give at least as many"),
        (SCRATCH.replace('"rotary"', '"learned"') + "max_tokens = 22\n", "window = 21\n", "positions for 20 bases"),
        (SCRATCH, "window = 20\noverlap = 20\n", "up to, not including"),
        (SCRATCH + "causal = true\n", 'pooling = "cls"\n', "knows none of them"),
        (SCRATCH, 'tune = "last"\nlast_layers = 2\n', "layers 1 to 1"),
        (SCRATCH, 'tune = "lora"\nlora_rank = 17\n', "give 1 to 16"),
        (SCRATCH, 'strategy = "fsdp"\n', "take auto or ddp"),
        (SCRATCH, 'tune = "half"\n', "allowed are full, last, norms, frozen, lora"),
        (SCRATCH, 'class_weights = "some"\n', "allowed are none, balanced"),
        (SCRATCH, "epochs = 0\n", "above 0"),
        (SCRATCH, "token_dropout = 1.0\n", r"lie in \[0, 1\)"),
        (SCRATCH, "max_shift = -1\n", "max_shift = -1"),
        (SCRATCH, "rate = 1\n", "unknown fields rate"),
        (SCRATCH + "[training]\n", "", "unknown fields training"),
    ],
)
def test_configurations_that_are_refused(data, tmp_path, tables, text, words) -> None:
    with pytest.raises(ConfigError, match=words):
        tuned(tmp_path, data / "few.csv", data / "few_valid.csv", text, tables=tables)
    assert not (tmp_path / "out" / "config.json").exists()


ROWS = [("ACGTACGT", "a"), ("GGGTTTGG", "b"), ("ACGTACGA", "a"), ("GGGTTTGA", "b")]


@pytest.mark.parametrize(
    ("train", "valid", "options", "words"),
    [
        ([("ACGT", "a"), ("GGTT", "a")], ROWS, {}, "with one class there is nothing to learn"),
        (ROWS, [("ACGT", "c")], {}, "sequence 1: class c is unknown; known are a, b"),
        (ROWS, ROWS, {"task": "regress"}, "label is 'a', but should be a number"),
        ([("ACGT", "1.5"), ("GGTT", "1.5")], [("ACGT", "1"), ("GGTT", "2")], {"task": "regress"}, "label is the same in all 2"),
        ([("ACGT", "a;b"), ("GGTT", "b")], ROWS, {"text": 'class_weights = "balanced"\n'}, "one class for each sequence"),
        (ROWS, ROWS, {"n_seeds": 0}, "seeds = 0"),
        (ROWS, ROWS, {"starts": ["demo"]}, "leave them out, or the model"),
        (ROWS, ROWS, {"starts": ["nothing"], "tables": ""}, "no model folder 'nothing'"),
    ],
)
def test_data_and_calls_that_are_refused(tmp_path, train, valid, options, words) -> None:
    with pytest.raises((ConfigError, CheckpointError), match=words):
        tuned(tmp_path, table(tmp_path / "t.csv", train), table(tmp_path / "v.csv", valid), **options)
    assert not list((tmp_path / "out").rglob("config.json"))


@pytest.mark.parametrize(
    ("there", "words"),
    [("config.json", "finished run"), ("ensemble.json", "finished run"), ("state.ckpt", "unfinished run of pretrain")],
)
def test_a_folder_that_holds_a_run_is_left_alone(data, tmp_path, there, words) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / there).write_text("mine")
    with pytest.raises(ConfigError, match=words):
        tuned(tmp_path, data / "few.csv", data / "few_valid.csv")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [there]
    assert (tmp_path / "out" / there).read_text() == "mine"


def test_a_run_of_several_goes_on_with_the_members_that_are_there(data, tmp_path, monkeypatch) -> None:
    """Without its ensemble.json a run is unfinished: what is there is taken as it is, what is not is trained."""
    text = "learning_rate = 1e-2\nepochs = 1\n"
    first = tuned(tmp_path, data / "few.csv", data / "few_valid.csv", text, n_seeds=2)
    (tmp_path / "out" / "ensemble.json").unlink()
    (tmp_path / "out" / "seed-1" / "config.json").unlink()
    weights = tmp_path / "out" / "seed-0" / "model.safetensors"
    before = weights.stat().st_mtime_ns, (tmp_path / "out" / "seed-1" / "model.safetensors").read_bytes()
    manifest = tmp_path / "out" / "seed-0" / "manifest.json"
    record = json.loads(manifest.read_text())
    del record["finetune"]["max_shift"]  # as if the field had been added after the run
    manifest.write_text(json.dumps(record))
    again = tuned(tmp_path, data / "few.csv", data / "few_valid.csv", text, n_seeds=2)
    assert (weights.stat().st_mtime_ns, (tmp_path / "out" / "seed-1" / "model.safetensors").read_bytes()) == before
    assert str(again.ensemble) == str(first.ensemble)  # NaN is not equal to itself
    (tmp_path / "out" / "ensemble.json").unlink()
    with monkeypatch.context() as other:  # a process that is not the first finds them too, and leaves the report to the first
        other.setattr(rank_zero_only, "rank", 1)
        train, valid = (read_labelled(data / name) for name in ("few.csv", "few_valid.csv"))
        assert finetune(FinetuneJob(train, tmp_path / "out", "classify", config(tmp_path, text), valid, n_seeds=2)) is None
    assert not (tmp_path / "out" / "ensemble.json").exists()
    with pytest.raises(ConfigError, match=r"trained in another way \(finetune\.learning_rate differ\)"):
        tuned(tmp_path, data / "few.csv", data / "few_valid.csv", text.replace("1e-2", "1e-3"), n_seeds=2)
