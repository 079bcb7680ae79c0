"""Training of AlphaGenome on tracks: from scratch and with a new head, in bins of 1 and 128 bases."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from alphagenome_models import small_alphagenome
from commands import assert_refused, run, run_well
from small_models import random_onehot

from genoformer.datasets.track_set import Window, write_track_set
from genoformer.formats.track_table import Track, TrackTable
from genoformer.models import registry
from genoformer.models.base import PredictsTracks

SIZES = (1, 128)
MODEL = """
[model]
family = "alphagenome"
preset = "tiny"
width = 16
organisms = ["human"]
n_blocks = {n_blocks}
[tracks]
epochs = 12
learning_rate = 1e-2
loss = "segments"
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sets of 12 windows of 2,048 bases, whose track is the GC of each 128 bases: in bins of 128, and of 1 base."""
    folder = tmp_path_factory.mktemp("tracks")
    random = np.random.default_rng(0)
    share = np.repeat(random.random((12, 16, 1)), 128, axis=1)
    gc, side = random.random((12, 2048, 1)) < share, random.random((12, 2048, 1)) < 0.5
    codes = np.where(gc, np.where(side, 1, 2), np.where(side, 0, 3))[..., 0].astype(np.uint8)
    bins = np.isin(codes.reshape(12, 16, 128)[:, 4:12], (1, 2)).mean(-1)[:, None]
    windows = [Window("chr1", 2048 * i, 2048 * (i + 1), "train" if i < 9 else "valid") for i in range(12)]
    table = TrackTable((Track(0, "gc", strand_pair=0),))
    for size in SIZES:
        write_track_set(folder / f"set{size}", codes, np.repeat(bins, 128 // size, axis=2), windows, table, size)
    return folder


def changed(folder: Path, before: dict[str, torch.Tensor]) -> set[str]:
    after = registry.load(folder, PredictsTracks).state_dict()
    return {name for name in after if name not in before or not torch.equal(after[name], before[name])}


@pytest.mark.parametrize("size", SIZES)
def test_from_scratch_in_bins_of_both_sizes(data: Path, tmp_path: Path, size: int) -> None:
    (tmp_path / "c.toml").write_text(MODEL.format(n_blocks=2))
    words = ("finetune", data / f"set{size}", "--task", "tracks", "-c", tmp_path / "c.toml")
    plan = run(*words, "--plan").stdout
    assert f"2,048 bases, {1024 // size:,} of {2048 // size:,} bins with targets" in plan
    run_well(*words, "-o", tmp_path / "run")
    model = registry.load(tmp_path / "run", PredictsTracks)
    assert (model.config.context_length, model.config.target_bins, model.config.bin_size) == (2048, 1024 // size, size)
    assert model.track_heads["tracks"].bin_size == size
    assert json.loads((tmp_path / "run/manifest.json").read_text())["pearson"]["all"]["positions"] > 0.6
    assert registry.load_config(tmp_path / "run", PredictsTracks) == model.config


@pytest.mark.parametrize("size", SIZES)
def test_a_new_head_on_a_trained_model_trains_what_it_names(data: Path, tmp_path: Path, size: int) -> None:
    """In bins of 128 bases the decoder is not read, so nothing of it changes."""
    registry.save(small_alphagenome(context_length=2048), tmp_path / "start")
    before = registry.load(tmp_path / "start").state_dict()
    allowed = {
        "frozen": (),
        "last": ("blocks.2.", "embed_bins.", *(("decoder.", "embed_bases.") if size == 1 else ())),
        "norms": ("norm",),
        "lora": ("query", "key", "value", "position", "out", "up", "down", "bias", "row", "column", "mix"),
    }
    for tune, parts in allowed.items():
        table = f'[tracks]\nepochs = 1\nlearning_rate = 1e-2\ntune = "{tune}"\nlast_blocks = 1\nlora_rank = 2\n'
        (tmp_path / "t.toml").write_text(table)
        common = ("finetune", data / f"set{size}", "--task", "tracks", "-m", tmp_path / "start")
        run_well(*common, "-c", tmp_path / "t.toml", "-o", tmp_path / tune)
        names = changed(tmp_path / tune, before)
        assert {"heads.tracks.weight", "heads.tracks.bias"} <= names
        names -= {"heads.tracks.weight", "heads.tracks.bias"}
        assert all(any(part in name for part in parts) for name in names), (tune, names)
        assert bool(names) == (tune != "frozen")
        loaded = registry.load(tmp_path / tune, PredictsTracks)
        assert set(loaded.track_heads) == {"tracks"}
        assert not any(name.startswith("outputs.") for name in loaded.state_dict())


def test_a_new_head_reads_the_embedding_of_its_organism(data: Path, tmp_path: Path) -> None:
    registry.save(small_alphagenome(context_length=2048), tmp_path / "start")
    (tmp_path / "t.toml").write_text('[tracks]\nepochs = 1\ntune = "frozen"\n')
    words = ("finetune", data / "set128", "--task", "tracks", "-m", tmp_path / "start", "-c", tmp_path / "t.toml")
    run_well(*words, "--organism", "mouse", "-o", tmp_path / "mouse")
    model, start = registry.load(tmp_path / "mouse"), registry.load(tmp_path / "start")
    onehot = random_onehot(1, 2048)
    with torch.no_grad():
        found = model.embed(onehot, 0)
        torch.testing.assert_close(found, start.embed(onehot, 0, "mouse_dnase_128bp"))
        assert (found - start.embed(onehot, 0, "human_dnase_128bp")).abs().max() > 0.01
    assert_refused(run(*words, "--organism", "fly", "-o", tmp_path / "run"), "organism = 'fly': the model has human, mouse")
    enformer = ("-m", "mini-tracks", "--organism", "human", "-o", tmp_path / "run")
    assert_refused(run(*words[:4], *enformer), "organism = 'human': Enformer reads all DNA alike; leave the organism out")


def test_bins_and_fields_that_do_not_fit_are_refused(data: Path, tmp_path: Path) -> None:
    codes, windows = np.zeros((2, 2048), np.uint8), [Window("chr1", 0, 2048, "train"), Window("chr1", 2048, 4096, "valid")]
    write_track_set(tmp_path / "set32", codes, np.ones((2, 1, 64)), windows, TrackTable((Track(0, "a", strand_pair=0),)), 32)
    words = ("finetune", tmp_path / "set32", "--task", "tracks", "-c", tmp_path / "c.toml", "-o", tmp_path / "run")
    (tmp_path / "c.toml").write_text(MODEL.format(n_blocks=1))
    assert_refused(run(*words), "bin_size = 32: the bins of AlphaGenome have 1 or 128 bases")
    (tmp_path / "c.toml").write_text('[model]\nfamily = "alphagenome"\npreset = "tiny"\noutputs = {dnase = 3}\n')
    assert_refused(run(*words), "outputs: heads follow from the tracks of the set")
    (tmp_path / "c.toml").write_text(MODEL.format(n_blocks=1) + "context_bins = 1\n")
    words = ("finetune", data / "set128", "--task", "tracks", "-c", tmp_path / "c.toml", "-o", tmp_path / "run")
    assert_refused(run(*words), "context_length = 1,280: give a multiple of 2,048 bases")
