"""Training of the Borzoi family on tracks: from scratch, and a new head on a trained model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import assert_refused, run, run_well

from genoformer.datasets.track_set import Window, write_track_set
from genoformer.formats.track_table import Track, TrackTable
from genoformer.models import registry
from genoformer.models.base import PredictsTracks

MODEL = """
[model]
family = "borzoi"
preset = "tiny"
width = 24
value_width = 6
rotary_width = 4
stem_width = 16
tower_widths = [16, 24]
n_upsamples = 1
final_width = 24
dropout = 0.0
{}
[tracks]
epochs = 5
learning_rate = 1e-2
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of 12 windows of 256 bases, whose track is the GC of 16 bins of 8."""
    folder = tmp_path_factory.mktemp("tracks")
    random = np.random.default_rng(0)
    share = np.repeat(random.random((12, 32, 1)), 8, axis=1)
    gc, side = random.random((12, 256, 1)) < share, random.random((12, 256, 1)) < 0.5
    codes = np.where(gc, np.where(side, 1, 2), np.where(side, 0, 3))[..., 0].astype(np.uint8)
    tracks = np.isin(codes.reshape(12, 32, 8)[:, 8:24], (1, 2)).mean(-1)[:, None]
    windows = [Window("chr1", 256 * i, 256 * (i + 1), "train" if i < 8 else "valid") for i in range(12)]
    write_track_set(folder / "set", codes, tracks, windows, TrackTable((Track(0, "gc", strand_pair=0),)), 8)
    return folder


@pytest.mark.parametrize("attention", ["relative", "rotary"])
def test_from_scratch_and_then_with_a_new_head(data, tmp_path, attention) -> None:
    """The GC of a bin is learned; each way to tune changes the parts that it names, and no others."""
    (tmp_path / "c.toml").write_text(MODEL.format(f'attention = "{attention}"'))
    common = ("finetune", data / "set", "--task", "tracks")
    run_well(*common, "-c", tmp_path / "c.toml", "-o", tmp_path / "run")
    model = registry.load(tmp_path / "run", PredictsTracks)
    assert model.config.attention == attention
    assert (model.config.context_length, model.config.target_bins, model.config.squashed_scale) == (256, 16, "")
    assert json.loads((tmp_path / "run/manifest.json").read_text())["pearson"]["all"]["positions"] > 0.5
    before = model.state_dict()
    for tune in ("frozen", "last", "norms", "lora"):
        (tmp_path / "t.toml").write_text(f'[tracks]\nepochs = 1\nlearning_rate = 1e-2\ntune = "{tune}"\nlast_blocks = 1\n')
        run_well(*common, "-c", tmp_path / "t.toml", "-m", tmp_path / "run", "-o", tmp_path / tune)
        after = registry.load(tmp_path / tune, PredictsTracks).state_dict()
        changed = {name for name in after if not torch.equal(after[name], before[name])}
        assert {"heads.tracks.weight", "heads.tracks.bias"} <= changed
        changed -= {"heads.tracks.weight", "heads.tracks.bias"}
        allowed = {
            "frozen": (),
            "last": ("blocks.1.", "decoder.", "final."),
            "norms": ("norm",),
            "lora": ("qkv", "query", "key", "value", "position", "out", "up", "down"),
        }[tune]
        assert all(any(part in name for part in allowed) for name in changed), (tune, changed)
        assert bool(changed) == (tune != "frozen")


def test_other_families_and_bins_are_refused(data, tmp_path) -> None:
    words = ("finetune", data / "set", "--task", "tracks", "-c", tmp_path / "c.toml", "-o", tmp_path / "run")
    (tmp_path / "c.toml").write_text('[model]\nfamily = "sei"\n')
    assert_refused(run(*words), "family = 'sei'; from scratch on tracks it is enformer, borzoi")
    (tmp_path / "c.toml").write_text('[model]\nfamily = "borzoi"\npreset = "huge"\n')
    assert_refused(run(*words), "preset = 'huge': allowed are borzoi, flashzoi, prime, small, tiny")
    (tmp_path / "c.toml").write_text(MODEL.format("").replace("n_upsamples = 1", "n_upsamples = 2"))
    assert_refused(run(*words), "have 8 bases, those of the model 4; build the set with bins of 4.")
