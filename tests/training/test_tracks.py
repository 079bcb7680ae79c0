"""Training on tracks: a run that is killed goes on with the same bytes; two processes are one with twice the batch."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from processes import killed, run_here, run_together
from small_models import LONG_TABLE
from torch import nn

from genoformer.datasets.track_set import Window, read_tracks, write_track_set
from genoformer.errors import ConfigError
from genoformer.formats.track_table import Track, TrackTable
from genoformer.models.enformer.config import preset
from genoformer.models.enformer.model import Enformer
from genoformer.models.plain_engine import one_hot
from genoformer.training.jobs import TrackTrainingJob
from genoformer.training.log import read_log
from genoformer.training.track_config import TracksConfig, TrackTuningConfig, shape_of, training_crop
from genoformer.training.track_fit import measure_fit
from genoformer.training.track_recipe import begin_at_means, track_weights
from genoformer.training.tracks import train_tracks

TABLES = (
    LONG_TABLE
    + """
dropout = {dropout}
attention_dropout = {dropout}
position_dropout = {dropout}
[tracks]
epochs = {epochs}
batch_size = {batch_size}
learning_rate = 3e-3
strategy = "{strategy}"
ema_decay = {ema_decay}
max_shift = 2
loss = "multinomial"
checkpointing = {checkpointing}
"""
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of 20 windows of 128 bases with the share of GC and of T in 8 bins of 8 bases."""
    folder = tmp_path_factory.mktemp("tracks") / "set"
    random = np.random.default_rng(0)
    codes = random.integers(0, 4, (20, 128)).astype(np.uint8)
    bins = codes.reshape(20, 16, 8)[:, 4:12]
    tracks = np.stack([np.isin(bins, (1, 2)).mean(-1), (bins == 3).mean(-1)], axis=1)
    targets = TrackTable((Track(0, "gc", strand_pair=0), Track(1, "t", strand_pair=1)))
    windows = [Window("chr1", 128 * i, 128 * (i + 1), "train" if i < 16 else "valid") for i in range(20)]
    write_track_set(folder, codes, tracks, windows, targets, 8)
    return folder


def prepared(folder: Path, made: Path, **fields: object) -> list[object]:
    """The arguments of a run in `folder`."""
    values = {"dropout": 0.0, "epochs": 4, "batch_size": 2, "strategy": "auto", "ema_decay": 0.0, "checkpointing": "false"}
    folder.mkdir()
    (folder / "c.toml").write_text(TABLES.format(**(values | fields)))
    return ["finetune", made, "--task", "tracks", "-c", folder / "c.toml", "-o", folder / "run"]


def test_a_run_that_is_killed_goes_on_and_ends_with_the_same_bytes(tmp_path: Path, made: Path) -> None:
    """kill -9 three times, with dropout, batch norm, averaged weights and a best step; the end is the undisturbed one."""
    fields, said = {"dropout": 0.1, "ema_decay": 0.9, "epochs": 14}, tmp_path / "said"
    run_here(prepared(tmp_path / "whole", made, **fields), said)
    whole, again = tmp_path / "whole/run", tmp_path / "killed/run"
    arguments = prepared(tmp_path / "killed", made, **fields)
    assert killed(arguments, again / "state.ckpt", again / "config.json", said) >= 2
    for name in ("model.safetensors", "log.csv"):
        assert (again / name).read_bytes() == (whole / name).read_bytes(), name
    assert not (again / "state.ckpt").exists()


@pytest.fixture(scope="module")
def large_batches(tmp_path_factory: pytest.TempPathFactory, made: Path) -> Path:
    """The log of a run in batches of 4."""
    folder = tmp_path_factory.mktemp("large")
    run_here(prepared(folder / "one", made, batch_size=4), folder / "said")
    return folder / "one/run/log.csv"


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_are_one_with_twice_the_batch(tmp_path: Path, made: Path, large_batches: Path, strategy: str) -> None:
    """The loss curve and the validation agree: the statistics of batch norm are those of both processes together."""
    run_together(prepared(tmp_path / "two", made, strategy=strategy, checkpointing="true"), tmp_path, processes=2)
    one, two = read_log(large_batches), read_log(tmp_path / "two/run/log.csv")
    assert [row["step"] for row in one] == [row["step"] for row in two] == [4, 8, 12, 16]
    for name in ("train_loss", "valid_pearson"):
        assert [row[name] for row in one] == pytest.approx([row[name] for row in two], abs=1e-4), name


@pytest.mark.parametrize("n_bins", [8, 4, 3])
def test_validation_is_in_windows_of_the_length_that_was_trained_on(made: Path, n_bins: int) -> None:
    """Each bin from the part that it lies in, the last part moved to the end; beside a loop over parts of [codes]."""
    data = read_tracks(made)
    config = TracksConfig(tomllib.loads(LONG_TABLE)["model"], TrackTuningConfig(crop_bins=n_bins, context_bins=2))
    shape = shape_of(config, data, None, "tracks")
    assert (shape.context_length, shape.target_bins) == ((n_bins + 4) * 8, n_bins)
    torch.manual_seed(0)
    model = Enformer(shape).eval()
    nn.init.normal_(model.blocks[0].attention.out.weight)
    found = measure_fit(model, data, data.rows("valid"), both_strands=False, log=False)
    predicted = []
    for row in data.rows("valid"):
        bins = np.full((2, 8), np.nan)
        for place in range(8):
            start = 8 - n_bins if place >= 8 - n_bins else place // n_bins * n_bins
            first = (data.first_bin + start - 2) * 8
            codes = torch.from_numpy(np.array(data.sequence[row][first : first + shape.context_length]))[None]
            with torch.no_grad():
                bins[:, place] = model(one_hot(codes))[0, :, place - start].numpy()
        predicted.append(bins)
    measured = np.array(data.tracks)[data.rows("valid")]
    for k in range(2):
        r = np.corrcoef(np.array(predicted)[:, k].ravel(), measured[:, k].ravel())[0, 1]
        assert found.positions[k] == pytest.approx(r, abs=1e-5)


def test_lengths_of_a_model_follow_from_its_training(made: Path) -> None:
    data = read_tracks(made)
    assert training_crop(TrackTuningConfig(), data) == (8, 4)
    with pytest.raises(ConfigError, match="context_length, heads: heads follow from the tracks"):
        shape_of(TracksConfig({"context_length": 64, "heads": {"a": 1}}), data, None, "tracks")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"crop_bins": 9}, "crop_bins = 9: .* have 8 bins with targets"),
        ({"context_bins": 5}, "context_bins = 5: .* have 4 bins on each side"),
    ],
)
def test_more_than_a_window_has_is_refused(made: Path, fields: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        training_crop(TrackTuningConfig(**fields), read_tracks(made))


@pytest.mark.parametrize("mean", [0.0, 0.5, 30.0, 1e4])
def test_a_new_head_begins_at_the_mean_of_its_tracks(mean: float) -> None:
    model = Enformer(preset("tiny", heads={"t": 1})).eval()
    begin_at_means(model, "t", np.array([mean]))
    nn.init.zeros_(model.heads["t"].weight)
    assert model.tracks(torch.zeros(1, 192, 3), "t").detach().numpy() == pytest.approx(max(mean, 1e-3), rel=1e-4)


def test_tracks_below_0_are_refused(tmp_path: Path) -> None:
    targets = TrackTable((Track(0, "up", strand_pair=0), Track(1, "down", strand_pair=1)))
    tracks = np.stack([np.ones((3, 4)), -np.ones((3, 4))], axis=1)
    windows = [Window("chr1", 100 * i, 100 * i + 32, "train") for i in range(3)]
    write_track_set(tmp_path / "set", np.zeros((3, 32), dtype=np.uint8), tracks, windows, targets, 8)
    job = TrackTrainingJob(read_tracks(tmp_path / "set"), tmp_path / "run", TracksConfig({"preset": "tiny", "n_pools": 3}))
    with pytest.raises(ConfigError, match="track down has values below 0"):
        train_tracks(job)


@pytest.mark.parametrize(("loss", "how"), [("poisson", "even"), ("multinomial", "even"), ("log", "even"), ("log", "none")])
def test_the_weights_of_tracks_are_those_of_a_naive_loop(made: Path, loss: str, how: str) -> None:
    data = read_tracks(made)
    rows = data.rows("train")
    values = np.array(data.tracks)[rows].astype(np.float64).transpose(1, 0, 2).reshape(2, -1)  # [K, all bins]
    expected = {"none": 1.0, "even": 1 / np.log1p(values).var(1) if loss == "log" else 1 / values.mean(1)}[how]
    found = track_weights(data, rows, values.mean(1), TrackTuningConfig(loss=loss, track_weights=how))
    np.testing.assert_allclose(found, np.broadcast_to(expected, 2), rtol=1e-5)
