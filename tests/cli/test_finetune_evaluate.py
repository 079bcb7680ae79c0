"""The whole path of a user: data build, finetune, evaluate, and pretrain before it; and what is refused on the way."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from commands import assert_refused, run

import genoformer as gf
from genoformer.files import sha256_of
from genoformer.genome.codes import decode, encode, reverse_complement
from genoformer.models import folders, registry
from genoformer.models.heads import ClassifierConfig, SequenceClassifier

MOTIF = "TGACGTCATT"
CONFIG = """
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
[finetune]
learning_rate = 1e-2
epochs = 6
dropout = 0.0
"""
MAIN = ("mcc", "auroc", "auprc", "accuracy", "f1")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A genome of three contigs with peaks around a motif, the set that `data build` makes of it, and a model of that."""
    folder = tmp_path_factory.mktemp("made")
    random = np.random.default_rng(0)
    lines, peaks = [], []
    for name, n in (("chr1", 250), ("chr2", 60), ("chr3", 60)):
        codes = random.integers(0, 4, 400 * n).astype(np.uint8)
        for i in range(n):
            motif = encode(MOTIF) if i % 2 else reverse_complement(encode(MOTIF))
            at = 400 * i + 195
            codes[at : at + 10] = motif
            peaks.append(f"{name}\t{at}\t{at + 10}\tpeak{i}\t0\t{'-+'[i % 2]}\n")
        lines += [f">{name}", decode(codes)]
    (folder / "genome.fa").write_text("\n".join(lines) + "\n")
    (folder / "peaks.bed").write_text("".join(peaks))
    (folder / "c.toml").write_text(CONFIG)
    built = run(
        *("data", "build", folder / "set", "-f", folder / "genome.fa", "-p", f"enhancer={folder / 'peaks.bed'}"),
        *("--length", 60, "--valid", "chr2", "--test", "chr3"),
    )
    assert built.exit_code == 0, built.output
    tuned = run(
        "finetune",
        folder / "set/train.tsv",
        "--valid",
        folder / "set/valid.tsv",
        "-c",
        folder / "c.toml",
        "-o",
        folder / "model",
    )
    assert tuned.exit_code == 0, tuned.output
    assert "0.00 % of the validation data" in tuned.stderr
    return folder


def test_finetune_prints_the_folder_and_its_mcc(made, tmp_path) -> None:
    again = run(
        *("finetune", made / "set/train.tsv", "--valid", made / "set/valid.tsv", "-c", made / "c.toml"),
        *("-o", tmp_path / "run", "--epochs", 0.5, "--seeds", 2, "--batch-size", 64, "--seed", 3),
    )
    lines = [line.split("\t") for line in again.stdout.splitlines()]
    assert [line[0] for line in lines] == [
        str(tmp_path / "run/seed-3"),
        str(tmp_path / "run/seed-4"),
        "mean of 2 models",
        "their average prediction",
    ]
    assert {line[1] for line in lines} == {"mcc"}
    found = json.loads(run("evaluate", made / "set/test.tsv", "-m", tmp_path / "run").stdout)
    assert [row["model"] for row in found["members"]] == [str(tmp_path / "run/seed-3"), str(tmp_path / "run/seed-4")]
    assert list(found["windowed"]) == [row["model"] for row in found["members"]]
    for metric, row in found["over_members"].items():  # two seeds: Student's interval is 12.7 standard errors wide
        if row["value"] is not None:  # one of them may have failed
            assert -1 <= row["low"] <= row["value"] <= row["high"] <= 1, metric
    manifest = folders.read_manifest(tmp_path / "run/seed-3")
    assert manifest is not None
    assert manifest["command"].startswith("genoformer ")
    assert (manifest["finetune"]["batch_size"], manifest["finetune"]["epochs"], manifest["finetune"]["seed"]) == (64, 0.5, 3)
    built = json.loads((made / "set/manifest.json").read_text())
    assert manifest["data"]["train"]["manifest"] == built


def test_finetune_prints_json_with_intervals(made, tmp_path) -> None:
    words = ("finetune", made / "set/train.tsv", "--valid", made / "set/valid.tsv", "-c", made / "c.toml", "--epochs", 0.5)
    found = json.loads(run(*words, "-o", tmp_path / "run", "--json").stdout)
    (member,) = found["members"]
    assert (member["folder"], set(member)) == (str(tmp_path / "run"), {"folder", "seed", "start", "metrics", "notes"})
    assert {"mcc", "auroc"} <= set(member["metrics"])
    assert all(set(row) == {"value", "low", "high"} for row in member["metrics"].values())


def test_validation_and_test_data_have_as_many_labels_as_the_training_data(made, tmp_path) -> None:
    """In small files the number of >x|number|label may be 0 or 1; it is still no label."""
    with (made / "set/train.tsv").open() as file:
        rows = [(row["sequence"], int(row["label"] != "negative")) for row in csv.DictReader(file, delimiter="\t")]
    for name, part, n in (("train.fa", rows[:120], 40), ("valid.fa", rows[120:180], 2)):
        (tmp_path / name).write_text("".join(f">x|{i % n}|{label}\n{text}\n" for i, (text, label) in enumerate(part)))
    tuned = run(
        *("finetune", tmp_path / "train.fa", "--valid", tmp_path / "valid.fa", "-c", made / "c.toml"),
        *("-o", tmp_path / "run", "--epochs", 0.5),
    )
    assert "valid.fa: 60 sequences, one class each (column label)" in tuned.stderr
    encoder = registry.load("demo")
    untrained = SequenceClassifier(ClassifierConfig(encoder.config, "classification", ("0", "1"), window=128))
    untrained.tokenizer = encoder.tokenizer
    registry.save(untrained, tmp_path / "model")
    for more in ((), ("--train", tmp_path / "train.fa", "--baselines", "kmer_regression")):
        result = run("evaluate", tmp_path / "valid.fa", "-m", tmp_path / "model", *more)
        assert json.loads(result.stdout)["classes"] == ["0", "1"]
    assert gf.evaluate(tmp_path / "valid.fa", tmp_path / "model")["classes"] == ["0", "1"]


def test_evaluate_gives_json_with_intervals_figures_and_baselines(made, tmp_path) -> None:
    result = run(
        *("evaluate", made / "set/test.tsv", "-m", made / "model", "-o", tmp_path / "report"),
        *("--train", made / "set/train.tsv", "--baselines", "kmer_regression,cnn"),
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    for name in MAIN:
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"], name
        assert found[name]["value"] > 0.7
    assert [row["model"] for row in found["models"]] == ["model", "kmer_regression", "cnn"]
    assert found["models"][0]["notes"] == []
    for row, chosen in zip(found["models"][1:], ("C = ", "best of "), strict=True):
        assert row["notes"][0].startswith(chosen)
        assert "(validation loss " in row["notes"][0]
    with (made / "set/test.tsv").open() as file:
        labels = [row["label"] for row in csv.DictReader(file, delimiter="\t")]
    assert found["classes"] == ["negative", "enhancer"]
    assert [sum(row) for row in found["confusion"]] == [labels.count("negative"), labels.count("enhancer")]
    assert found["collapsed"] is False
    assert found["windowed"] == {str(made / "model"): 0}
    assert found["warnings"] == []
    figures = {path.name for path in (tmp_path / "report").iterdir()}
    names = ("comparison", "confusion", "roc", "pr", "calibration")
    assert figures == {"metrics.json", *(f"{name}.{suffix}" for name in names for suffix in ("png", "svg"))}
    assert json.loads((tmp_path / "report/metrics.json").read_text()) == found


def test_what_was_trained_on_is_warned_of(made) -> None:
    result = run("evaluate", made / "set/train.tsv", "-m", made / "model")
    assert result.exit_code == 0, result.output
    (warning,) = json.loads(result.stdout)["warnings"]
    assert warning.startswith("100 % of the 31-mers of train.tsv were in the training data of ")
    assert warning in result.stderr


def test_several_models_are_averaged(made, tmp_path) -> None:
    (tmp_path / "c.toml").write_text("[finetune]\nlearning_rate = 1e-2\nepochs = 2\n")
    other = run("finetune", made / "set/train.tsv", "-m", made / "model", "-o", tmp_path / "more", "-c", tmp_path / "c.toml")
    assert other.exit_code == 0, other.output
    assert "No validation data was given: 50 of the 500 sequences were held out." in other.stderr
    result = run("evaluate", made / "set/test.tsv", "-m", made / "model", "-m", tmp_path / "more")
    found = json.loads(result.stdout)
    assert [row["model"] for row in found["members"]] == [str(made / "model"), str(tmp_path / "more")]
    mean = sum(row["mcc"] for row in found["members"]) / 2
    assert found["over_members"]["mcc"]["value"] == pytest.approx(mean, abs=1e-4)


def test_long_sequences_are_counted(made, tmp_path) -> None:
    texts = ["ACCA" * 25 + MOTIF + "CAAC" * 10, "ACCA" * 40, "ACCA" * 10]  # 150, 160 and 40 bases; the window has 60
    (tmp_path / "long.csv").write_text(
        "sequence,label\n" + "".join(f"{t},{n}\n" for t, n in zip(texts, ("enhancer", "negative", "negative"), strict=True))
    )
    result = run("evaluate", tmp_path / "long.csv", "-m", made / "model")
    assert list(json.loads(result.stdout)["windowed"].values()) == [2]
    assert "2 sequences were longer than the window of" in result.stderr


def test_sequences_without_any_class(made, tmp_path) -> None:
    """a, b, both, or neither, which is an empty label."""
    random = np.random.default_rng(0)
    for name, n in (("train", 100), ("valid", 40)):
        labels = ["", "a", "b", "a;b"] if name == "train" else ["", "a", "b"]
        rows = [f"{decode(random.integers(0, 4, 60).astype(np.uint8))},{labels[i % len(labels)]}\n" for i in range(n)]
        (tmp_path / f"{name}.csv").write_text("sequence,label\n" + "".join(rows))
    given = ["finetune", tmp_path / "train.csv", "--valid", tmp_path / "valid.csv", "-c", made / "c.toml", "--epochs", 1]
    assert_refused(run(*given, "-o", tmp_path / "none"), "line 2: label is empty", "write ';'", "multi_label")
    tuned = run(*given, "-o", tmp_path / "out", "--multi-label")
    assert tuned.exit_code == 0, tuned.output
    assert "nan" not in tuned.output
    result = run("evaluate", tmp_path / "valid.csv", "-m", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["classes"] == ["a", "b"]


@pytest.fixture
def collapsed(tmp_path: Path) -> Path:
    """Random sequences, one in 20 of another class at random."""
    random = np.random.default_rng(0)
    for name, n in (("train", 100), ("valid", 40)):
        rows = [f"{decode(random.integers(0, 4, 60).astype(np.uint8))},{int(i % 20 == 0)}\n" for i in range(n)]
        (tmp_path / f"{name}.csv").write_text("sequence,label\n" + "".join(rows))
    (tmp_path / "c.toml").write_text(CONFIG)
    return tmp_path


def test_a_model_that_predicts_one_class_fails_with_status_1(collapsed) -> None:
    tuned = run(
        *("finetune", collapsed / "train.csv", "--valid", collapsed / "valid.csv", "-c", collapsed / "c.toml"),
        *("-o", collapsed / "model", "--epochs", 2),
    )
    assert tuned.exit_code == 1
    sentence = "the model predicts one class, '0', for all 40 cases: failed; MCC is not defined."
    assert f"{collapsed / 'model'} FAILED: {sentence}" in tuned.stderr
    assert tuned.stdout == f"{collapsed / 'model'}\tmcc\tnot defined\n"  # no accuracy of such a model is shown
    result = run("evaluate", collapsed / "valid.csv", "-m", collapsed / "model")
    assert result.exit_code == 1
    assert "Classes: 0 (95), 1 (5)." in tuned.stderr
    found = json.loads(result.stdout)
    assert (found["collapsed"], found["mcc"]["value"]) == (True, None)
    assert sentence in result.stderr


def test_validation_data_of_one_class_is_refused_and_measured_by_what_is_defined(made, collapsed) -> None:
    rows = (collapsed / "valid.csv").read_text().splitlines()
    (collapsed / "alike.csv").write_text("\n".join([rows[0], *(row for row in rows[1:] if row.endswith("0"))]) + "\n")
    tuned = run(
        *("finetune", collapsed / "train.csv", "--valid", collapsed / "alike.csv", "-c", collapsed / "c.toml"),
        *("-o", collapsed / "other", "--epochs", 2),
    )
    assert_refused(tuned, "alike.csv has the same class in all its 38 sequences (0)", "or no validation data")
    assert not (collapsed / "other").exists()
    text = "".join(line for line in (made / "set/test.tsv").read_text().splitlines(True) if "\tenhancer" not in line)
    (collapsed / "negative.tsv").write_text(text)
    found = json.loads(run("evaluate", collapsed / "negative.tsv", "-m", made / "model").stdout)
    assert found["accuracy"]["value"] > 0.7
    assert found["auroc"]["value"] is None


def test_the_metric_that_was_asked_for_is_printed(made, tmp_path) -> None:
    done = run(
        *("finetune", made / "set/train.tsv", "--valid", made / "set/valid.tsv", "-c", made / "c.toml"),
        *("-o", tmp_path / "run", "--epochs", 0.5, "--monitor", "auroc"),
    )
    assert [line.split("\t")[1] for line in done.stdout.splitlines()] == ["auroc", "mcc"]


def test_a_baseline_that_failed_is_told_of(made, collapsed) -> None:
    """One in 20 of another class at random, of which nothing can be learned."""
    tuned = run("finetune", collapsed / "train.csv", "-c", collapsed / "c.toml", "-o", collapsed / "model", "--epochs", 1)
    assert (collapsed / "model").is_dir(), tuned.output
    result = run(
        *("evaluate", collapsed / "valid.csv", "-m", collapsed / "model", "--train", collapsed / "train.csv"),
        *("--baselines", "kmer_regression", "-o", collapsed / "report"),
    )
    failed = "one class, '0', for all 40 cases: failed; MCC is not defined."
    line = f"baseline kmer_regression: predicts {failed}"
    assert [text for text in result.stderr.splitlines() if text.startswith("baseline ")] == [line]
    found = json.loads(result.stdout)
    assert found["warnings"][-1:] == [line]
    chosen, said, *_ = found["models"][1]["notes"]
    assert chosen.startswith("C = ")
    assert said == f"the model predicts {failed}"
    assert json.loads((collapsed / "report/metrics.json").read_text()) == found


# --- bad input


def test_a_language_model_is_not_evaluated(made, tiny_model_folder) -> None:
    assert_refused(run("evaluate", made / "set/test.tsv", "-m", tiny_model_folder), "is a language model", "fine-tune it first")


def test_a_label_that_the_model_does_not_know_is_refused(made, tmp_path) -> None:
    (tmp_path / "x.csv").write_text("sequence,label\nACGTACGT,enhancer\nACGTACGA,silencer\n")
    words = ("sequence 2: class silencer is unknown", "negative, enhancer")
    assert_refused(run("evaluate", tmp_path / "x.csv", "-m", made / "model"), *words)


@pytest.mark.parametrize("command", ["finetune", "evaluate"])
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.csv", None, "does not exist"),
        ("empty.csv", "", "is empty"),
        ("columns.csv", "bases,label\nACGT,1\n", "one column must be `sequence`"),
        ("letters.csv", "sequence,label\nAC!T,1\n", "no nucleotide code"),
        ("plain.fa", ">a\nACGT\n", "has no label"),
        ("regions.bed", "chr1\t0\t10\ta\n", "give the FASTA"),
    ],
)
def test_data_that_cannot_be_read_is_refused(made, tmp_path, command, name, content, words) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    model = ["-c", made / "c.toml", "-o", tmp_path / "out"] if command == "finetune" else ["-m", made / "model"]
    assert_refused(run(command, tmp_path / name, *model), words)
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_not_written_over(made) -> None:
    before = (made / "model/model.safetensors").read_bytes()
    result = run("finetune", made / "set/train.tsv", "-c", made / "c.toml", "-o", made / "model")
    assert_refused(result, "holds a finished run; name another folder")
    assert (made / "model/model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-m", "nothing"], "no model folder 'nothing'"),
        (["--monitor", "f2"], "allowed are loss, accuracy, mcc"),
        (["--epochs", 0], "above 0"),
        (["--seeds", 0], "seeds = 0"),
        (["--label", "colour"], "no column colour"),
        (["--task", "regress"], "should be a number"),
        (["--precision", "fp8"], "allowed are 32-true"),
        (["-c", "none.toml"], "none.toml cannot be read"),
    ],
)
def test_options_of_finetune_that_are_refused(made, tmp_path, options, words) -> None:
    config = [] if "-c" in options or "-m" in options else ["-c", made / "c.toml"]
    assert_refused(run("finetune", made / "set/train.tsv", *config, "-o", tmp_path / "out", *options), words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--baselines", "svm", "--train", "set/train.tsv"],
            "--baselines is 'svm', expected kmer_regression, cnn or",
        ),
        (["--baselines", "cnn"], "--baselines needs the training data of the models, found none"),
        (["-o", "set"], "metrics.json, which another program made"),
        (["-m", "model"], "is named twice"),
        (["--device", "tpu"], "is not on this machine"),
        (["--train", "none.tsv"], "does not exist"),
    ],
)
def test_options_of_evaluate_that_are_refused(made, monkeypatch, options, words) -> None:
    monkeypatch.chdir(made)
    (made / "set/metrics.json").write_text("{}")
    assert_refused(run("evaluate", "set/test.tsv", "-m", "model", *options), words)


# --- pretrain, as one starts with it

PRETRAIN = """
[tokenizer]
tokenizer = "base"
[model]
width = 16
n_layers = 1
n_heads = 2
ffn_width = 16
context_length = 40
position = "rotary"
norm = "pre"
[training]
max_steps = 4
batch_size = 8
soft_masked_weight = 0.1
eval_bases = 200
[[genome]]
fasta = "one.fa"
valid_contigs = ["held"]
blacklist = "black.bed"
[[genome]]
fasta = "two.fa"
weight = 2.0
"""


def test_two_genomes_with_blacklist_and_repeats_and_on_to_finetune(made, tmp_path) -> None:
    random = np.random.default_rng(1)

    def text(n: int) -> str:
        return decode(random.integers(0, 4, n).astype(np.uint8))

    (tmp_path / "one.fa").write_text(f">a\n{text(2000)}{text(2000).lower()}\n>held\n{text(3000)}\n")
    (tmp_path / "two.fa").write_text(f">b\n{text(3000)}\n")
    (tmp_path / "black.bed").write_text("a\t100\t900\n")
    (tmp_path / "p.toml").write_text(PRETRAIN)
    result = run("pretrain", "-c", tmp_path / "p.toml", "-o", tmp_path / "lm")
    assert result.exit_code in (0, 1), (result.output, result.exception)  # 1: in four steps nothing is learned
    manifest = folders.read_manifest(tmp_path / "lm")
    assert manifest is not None
    one, two = manifest["genomes"]
    assert (one["train"], one["valid"], two["train"], two["valid"]) == ({"a": 4000}, {"held": 3000}, {"b": 3000}, {})
    assert one["blacklist"] == {"name": "black.bed", "sha256": sha256_of(tmp_path / "black.bed")}
    assert (one["weight"], two["weight"], manifest["training"]["soft_masked_weight"]) == (1.0, 2.0, 0.1)
    assert set(manifest["bits_per_base"]) == {"held"}

    tuned = run("finetune", made / "set/valid.tsv", "-m", tmp_path / "lm", "-o", tmp_path / "tuned", "--epochs", 1)
    assert tuned.exit_code in (0, 1), tuned.output
    after = folders.read_manifest(tmp_path / "tuned")
    assert after is not None
    assert after["start"]["manifest"] == manifest
