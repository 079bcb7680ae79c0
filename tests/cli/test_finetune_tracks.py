"""`genoformer finetune --task tracks`: a model from scratch, one that is gone on from, and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from commands import run
from small_models import LONG_TABLE

from genoformer.datasets.track_set import Window, read_tracks, write_track_set
from genoformer.formats.track_table import Track, TrackTable
from genoformer.models import cost, registry
from genoformer.models.base import PredictsTracks
from genoformer.training.jobs import TrackTrainingJob
from genoformer.training.track_config import TracksConfig, TrackTuningConfig
from genoformer.training.track_plan import plan_tracks

SCRATCH = (
    LONG_TABLE
    + """
dropout = 0.0
[tracks]
epochs = 4
learning_rate = 1e-2
"""
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of 12 windows of 256 bases, whose tracks are the GC and the T of 16 bins of 8, and a model of it."""
    folder = tmp_path_factory.mktemp("tracks")
    random = np.random.default_rng(0)
    share = np.repeat(random.random((12, 32, 1)), 8, axis=1)  # of GC, which varies from bin to bin
    gc, side = random.random((12, 256, 1)) < share, random.random((12, 256, 1)) < 0.5
    codes = np.where(gc, np.where(side, 1, 2), np.where(side, 0, 3))[..., 0].astype(np.uint8)
    bins = codes.reshape(12, 32, 8)[:, 8:24]
    tracks = np.stack([np.isin(bins, (1, 2)).mean(-1), (bins == 3).mean(-1)], axis=1)
    targets = TrackTable((Track(0, "gc", strand_pair=0, group="both"), Track(1, "t", strand_pair=1, group="one")))
    windows = [Window("chr1", 256 * i, 256 * (i + 1), "train" if i < 8 else "valid") for i in range(12)]
    write_track_set(folder / "set", codes, tracks, windows, targets, 8)
    (folder / "c.toml").write_text(SCRATCH)
    done = run("finetune", folder / "set", "--task", "tracks", "-c", folder / "c.toml", "-o", folder / "run")
    assert done.exit_code == 0, done.output
    (folder / "stdout").write_text(done.stdout)
    return folder


def test_it_prints_a_row_for_each_group_and_writes_a_model_with_its_tracks(made: Path) -> None:
    head, *rows = [line.split("\t") for line in (made / "stdout").read_text().splitlines()]
    assert head == ["split", "group", "tracks", "pearson_positions", "pearson_windows"]
    splits = [split for split in ("valid", "test") if (made / f"run/pearson.{split}.tsv").exists()]
    assert "valid" in splits
    assert [row[:3] for row in rows] == [[s, *of] for s in splits for of in (["all", "2"], ["both", "1"], ["one", "1"])]
    model = registry.load(made / "run", PredictsTracks)
    assert [track.identifier for track in model.targets["tracks"]] == ["gc", "t"]
    said = json.loads((made / "run/manifest.json").read_text())
    for split, name, _, positions, windows in rows:
        of = said["pearson" if split == "valid" else "pearson_test"][name]
        assert (float(positions), float(windows)) == (of["positions"], of["windows"])
    assert float(rows[1][3]) > 0.5  # the GC of a bin is easy
    for split in splits:
        with (made / f"run/pearson.{split}.tsv").open() as file:
            table = {row["identifier"]: row for row in csv.DictReader(file, delimiter="\t")}
        assert set(table) == {"gc", "t"}
        mean = sum(float(row["positions"]) for row in table.values()) / 2
        assert mean == pytest.approx(float(next(row[3] for row in rows if row[:2] == [split, "all"])), abs=2e-4)


def test_json_has_each_group_of_each_split(made: Path, tmp_path: Path) -> None:
    words = (
        "finetune",
        made / "set",
        "--task",
        "tracks",
        "-c",
        made / "c.toml",
        "--epochs",
        1,
        "-o",
        tmp_path / "run",
        "--json",
    )
    found = json.loads(run(*words).stdout)
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert list(found["groups"]["valid"]) == ["all", "both", "one"]
    for name, row in found["groups"]["valid"].items():
        assert row["pearson_positions"]["value"] == pytest.approx(manifest["pearson"][name]["positions"], abs=1e-4)


HEAD = {"heads.tracks.weight", "heads.tracks.bias"}
BLOCK = [f"attention.{name}" for name in ("query", "key", "value", "position", "out")] + ["up", "down"]


LORA = {f"blocks.0.{name}.weight" for name in BLOCK}
NORMS = {f"blocks.0.norm_{name}.{what}" for name in ("attention", "feed") for what in ("weight", "bias")}


@pytest.mark.parametrize(("tune", "trained"), [("frozen", set()), ("lora", LORA), ("norms", NORMS)])
def test_another_model_is_gone_on_from(made: Path, tmp_path: Path, tune: str, trained: set[str]) -> None:
    done = run(
        *("finetune", made / "set", "--task", "tracks", "-m", made / "run", "-o", tmp_path / "more", "--epochs", 1),
        *("--tune", tune, "--learning-rate", 1e-3, "--seed", 3),
    )
    assert done.exit_code == 0, done.output
    assert "the weights are those of step 8" in done.stderr
    old, new = (registry.load(folder, PredictsTracks).state_dict() for folder in (made / "run", tmp_path / "more"))
    changed = {name for name in old if not old[name].equal(new[name])}
    assert changed == HEAD | trained


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--valid", "x.tsv"], "--valid is not for training on tracks: the set names the validation windows"),
        (["-f", "x.fa"], "--fasta is not for training on tracks: the set holds its sequence"),
        (["--label", "x"], "--label is not for training on tracks"),
        (["--multi-label"], "--multi-label is not for training on tracks"),
        (["--seeds", 3], "--seeds is not for training on tracks: one model is trained"),
        (["--class-weights", "balanced"], "--class-weights is not for training on tracks: give track_weights"),
        (["--monitor", "mcc"], "--monitor is not for training on tracks"),
        (["--tune", "half"], "'half' is not one of"),
        (["-m", "a", "-m", "b"], "--model names 2 models, expected one to start from"),
        (["-m", "demo"], "is a language model, which predicts bases; give a model that predicts tracks"),
        (["--batch-size", 0], "batch_size = 0"),
        (["-c", "nothing.toml"], "nothing.toml cannot be read"),
    ],
)
def test_a_refusal_is_one_sentence_and_status_2(made: Path, tmp_path: Path, arguments: list[object], message: str) -> None:
    done = run("finetune", made / "set", "--task", "tracks", "-o", tmp_path / "run", *arguments)
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_plan_is_printed_and_nothing_is_done(made: Path, tmp_path: Path) -> None:
    common = ("finetune", made / "set", "--task", "tracks", "-o", tmp_path / "run", "--plan")
    done = run(*common, "-c", made / "c.toml")
    assert done.exit_code == 0, done.output
    said = dict(line.split("  ", 1) for line in done.stdout.splitlines())
    n = cost.count_parameters(registry.load(made / "run", PredictsTracks))
    assert said["parameters"].strip() == f"{n:,}, of which {n:,} are trained"
    assert said["window"].strip() == "256 bases, 16 of 32 bins with targets"
    assert "32 steps" in said["time of the run"]
    assert "measured here on" in said["rate"]
    frozen = run(*common, "-m", made / "run", "--tune", "frozen")
    assert f"{n:,}, of which 98 are trained" in frozen.stdout  # 2 x 48 weights and 2 biases
    settings = TrackTuningConfig(tune="lora", precision="bf16-mixed", batch_size=2, grad_accumulation=3)
    job = TrackTrainingJob(read_tracks(made / "set"), None, TracksConfig(tracks=settings), made / "run")
    plan = plan_tracks(job, rate=1e9)
    assert plan.seconds == plan.multiply_adds / 1e9 > 0
    assert plan.n_parameters > n > plan.n_trained
    assert list(tmp_path.iterdir()) == []
    for arguments, message in ((["--plan"], "--plan is for --task tracks"), ([], "Missing option '-o'")):
        refused = run("finetune", made / "set", *arguments)
        assert refused.exit_code == 2
        assert message in refused.stderr
    assert "give a model that predicts tracks" in run(*common, "-m", "demo").stderr


def test_what_is_no_set_of_tracks_is_refused(tmp_path: Path) -> None:
    done = run("finetune", tmp_path, "--task", "tracks", "-o", tmp_path / "run")
    assert done.exit_code == 2
    assert f"{tmp_path} has no manifest.json" in done.stderr
