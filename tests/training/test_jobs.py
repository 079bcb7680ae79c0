"""Jobs of fine-tuning: the command and `gf.finetune` have the same options and defaults, and write the same files."""

from __future__ import annotations

import json
from dataclasses import fields
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
from commands import parsed, run, run_well
from genoformer_cli.finetune import finetune as command
from small_models import LONG_TABLE

import genoformer as gf
from genoformer.datasets.track_set import Window, write_track_set
from genoformer.errors import ConfigError, MissingFileError
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import decode
from genoformer.training.config import TuningConfig
from genoformer.training.jobs import FinetuneJob, LabelOptions, TrackTrainingJob
from genoformer.training.track_config import TrackTuningConfig
from genoformer.training.track_plan import plan_tracks
from genoformer.training.tracks import train_tracks

SCRATCH = """
[tokenizer]
tokenizer = "kmer"
k = 2
[model]
width = 16
n_layers = 1
n_heads = 2
ffn_width = 32
context_length = 40
[finetune]
epochs = 3
learning_rate = 1e-2
accelerator = "cpu"
"""
OF_THE_COMMAND = {"train", "output", "task", "plan", "model", "as_json", "loggers"}  # arguments or output, not options
OF_TRACKS = {"contexts", "context_head", "organism"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sequences of two classes, a set of six windows with the GC of 8 bins, and tables to train on each from scratch."""
    folder, random = tmp_path_factory.mktemp("jobs"), np.random.default_rng(0)
    for name, n in (("train", 60), ("valid", 20)):
        rows = [f"{decode(random.integers(0, 4, 40).astype(np.uint8))},{'ab'[i % 2]}" for i in range(n)]
        (folder / f"{name}.csv").write_text("\n".join(["sequence,kind", *rows, ""]))
    codes = random.integers(0, 4, (6, 128)).astype(np.uint8)
    gc = np.isin(codes.reshape(6, 16, 8)[:, 4:12], (1, 2)).mean(-1)[:, None]
    windows = [Window("chr1", 128 * i, 128 * (i + 1), "train" if i < 4 else "valid") for i in range(6)]
    write_track_set(folder / "set", codes, gc, windows, TrackTable((Track(0, "gc"),)), 8)
    (folder / "scratch.toml").write_text(SCRATCH)
    (folder / "tracks.toml").write_text(LONG_TABLE + '\n[tracks]\nepochs = 1\naccelerator = "cpu"\n')
    return folder


def assert_same_model(one: Path, other: Path) -> None:
    """Compare the files of two model folders; the manifests differ in the command that was typed."""
    names = {path.name for path in one.iterdir()}
    assert names == {path.name for path in other.iterdir()}
    for name in names - {"manifest.json", "tensorboard"}:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    before, after = (json.loads((path / "manifest.json").read_text()) for path in (one, other))
    assert before.pop("command").startswith("genoformer ")
    assert after.pop("command") == ""
    assert before == after


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], {}),
        (
            ["--valid", "valid.csv", "--batch-size", 16, "--tune", "norms", "--monitor", "auroc", "--seed", 5, "--epochs", 1],
            {"valid": "valid.csv", "batch_size": 16, "tune": "norms", "monitor": "auroc", "seed": 5, "epochs": 1},
        ),
    ],
)
def test_classifiers_of_both_are_the_same(folder: Path, tmp_path: Path, monkeypatch, words, options) -> None:
    monkeypatch.chdir(folder)
    common = ("finetune", "train.csv", "-c", "scratch.toml", "--label", "kind")
    assert run(*common, *words, "-o", tmp_path / "command").exit_code in (0, 1)  # 1: the same class for all
    done = gf.finetune("train.csv", tmp_path / "call", config="scratch.toml", label="kind", **options)
    assert [member.folder for member in done.members] == [tmp_path / "call"]
    assert_same_model(tmp_path / "command", tmp_path / "call")
    tuned = [*words, "-m", tmp_path / "command", "-m", tmp_path / "call", "--label", "kind"]
    assert run("finetune", "train.csv", *tuned, "-o", tmp_path / "both").exit_code in (0, 1)
    again = gf.finetune("train.csv", tmp_path / "two", [tmp_path / "command", tmp_path / "call"], label=["kind"], **options)
    assert [member.folder for member in again.members] == [tmp_path / "two" / name for name in ("command", "call")]
    for name in ("command", "call"):
        assert_same_model(tmp_path / "both" / name, tmp_path / "two" / name)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], {}),
        (["--seed", 2, "--strand", "forward", "--tune", "frozen"], {"seed": 2, "strand": "forward", "tune": "frozen"}),
    ],
)
def test_track_models_of_both_are_the_same(folder: Path, tmp_path: Path, words, options) -> None:
    data, config = folder / "set", folder / "tracks.toml"
    run_well("finetune", data, "--task", "tracks", "-c", config, *words, "-o", tmp_path / "command")
    done = gf.finetune(data, tmp_path / "call", task="tracks", config=config, **options)
    assert done.folder == tmp_path / "call"
    assert_same_model(tmp_path / "command", tmp_path / "call")


def test_the_options_of_the_command_are_those_of_the_jobs() -> None:
    options = parsed(command, "train.csv") | {"label": None}  # of the command: ()
    named = {field.name: field.default for field in fields(LabelOptions)}
    tables = [{field.name for field in fields(table)} for table in (TuningConfig, TrackTuningConfig)]
    of_tables = options.keys() - named.keys() - OF_THE_COMMAND - OF_TRACKS
    assert named.keys() <= options.keys()
    assert options.keys() & signature(TrackTrainingJob.from_names).parameters.keys() >= OF_TRACKS
    assert of_tables <= tables[0]
    assert of_tables - tables[1] == {"class_weights", "monitor"}  # which track training refuses
    for name, default in named.items():
        assert options[name] == default, name
    assert all(options[name] is None for name in of_tables)  # the default is that of the table


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"valid": "x.tsv"}, "option valid is not for training on tracks: the set names the validation windows; leave it out."),
        ({"seeds": 2}, "option seeds is not for training on tracks: one model is trained; run it again with another seed"),
        ({"label": ["x"]}, "option label is not for training on tracks"),
        ({"class_weights": "balanced"}, "option class_weights is not for training on tracks: give track_weights"),
        ({"model": ["a", "b"]}, "option model names 2 models, expected one to start from; leave the others out."),
        ({"epochs": "x"}, "options: epochs = 'x': give a number."),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"config": "nothing.toml"}, "nothing.toml cannot be read"),
    ],
)
def test_options_that_tracks_do_not_have_are_refused_by_name(folder: Path, tmp_path: Path, options, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        gf.finetune(folder / "set", tmp_path / "run", task="tracks", **options)
    assert str(error.value).startswith(message)
    assert not (tmp_path / "run").exists()


def test_wrong_values_for_sequences_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="option task is 'class', expected classify, regress or tracks"):
        gf.finetune(folder / "train.csv", tmp_path / "run", task="class")
    with pytest.raises(TypeError, match=r"unknown options epoch; known are .*epochs"):
        gf.finetune(folder / "train.csv", tmp_path / "run", epoch=3)
    with pytest.raises(TypeError, match=r"unknown options crop; known are .*crop_bins"):
        gf.finetune(folder / "set", tmp_path / "run", task="tracks", crop=3)
    with pytest.raises(ConfigError, match="option both_strands is 1, expected True or False"):
        gf.finetune(folder / "train.csv", tmp_path / "run", both_strands=1)
    with pytest.raises(MissingFileError, match=r"none\.csv"):
        gf.finetune(folder / "none.csv", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_job_keeps_what_was_named(folder: Path) -> None:
    job = FinetuneJob.from_names(folder / "train.csv", "run", "demo", label="kind", seeds=2, epochs=4)
    assert (job.starts, job.n_seeds, job.config.finetune.epochs, job.valid, len(job.train)) == (("demo",), 2, 4.0, None, 60)
    assert job.train.columns == ("kind",)
    unnamed = TrackTrainingJob.from_names(folder / "set", config=folder / "tracks.toml", seed=7, valid=None, seeds=1)
    assert unnamed.config.tracks.both_strands
    assert not TrackTrainingJob.from_names(folder / "set", strand="forward").config.tracks.both_strands
    assert FinetuneJob.from_names(folder / "train.csv", "run", strand="both", label="kind").config.finetune.both_strands
    assert (unnamed.folder, unnamed.start, unnamed.head, unnamed.config.tracks.seed) == (None, None, "tracks", 7)
    assert plan_tracks(unnamed, rate=1e9).n_steps == 4  # four windows, one epoch
    with pytest.raises(ConfigError, match="option output is missing, expected a folder for the model"):
        train_tracks(unnamed)
