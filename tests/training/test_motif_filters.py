"""Filters from motifs: they are largest at the motif, on both strands; numbers of motifs and models that do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import LONG_TABLE, small_enformer
from torch import nn

import genoformer as gf
from genoformer.datasets.track_set import Window, write_track_set
from genoformer.errors import ConfigError
from genoformer.formats.motif_files import write_meme
from genoformer.formats.motif_matrix import Matrix
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import encode, reverse_complement
from genoformer.models import registry
from genoformer.models.plain_engine import one_hot
from genoformer.training.motif_filters import motif_filter, start_at_motifs


def sharp(word: str) -> Matrix:
    """A motif that is nearly always this word."""
    return Matrix(word, np.where(np.eye(4)[encode(word)] > 0, 0.97, 0.01))


def test_a_filter_of_a_motif_has_its_maximum_where_the_motif_is() -> None:
    model = small_enformer()
    before = model.stages[0].wide.weight.detach().clone()
    start_at_motifs(model, [sharp("GATTACA"), sharp("CCGGA")])
    conv = model.stages[0].wide
    torch.testing.assert_close(conv.weight.flatten(1).norm(dim=1), before.flatten(1).norm(dim=1))
    torch.testing.assert_close(conv.weight[4:], before[4:])
    codes = np.random.default_rng(0).integers(0, 4, 200).astype(np.uint8)
    codes[50:57], codes[120:127] = encode("GATTACA"), reverse_complement(encode("GATTACA"))
    with torch.no_grad():
        found = nn.functional.conv1d(one_hot(torch.from_numpy(codes)[None]), conv.weight, padding=7)[0]
    assert found[:2].argmax(1).tolist() == [53, 123]  # the middle base of the motif


def test_a_long_motif_keeps_its_most_informative_part() -> None:
    flat = np.full((6, 4), 0.25)
    p = np.concatenate([flat, sharp("ACGT").p, flat])
    found = motif_filter(p, 5)
    assert found.shape == (4, 5)
    assert sorted(found.max(0).round(1).tolist()) == [0.0, 4.9, 4.9, 4.9, 4.9]


def test_motifs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"found 7 motifs, but the first convolution has 12 filters, .* give at most 6"):
        start_at_motifs(small_enformer(), [sharp("ACGT")] * 7)
    with pytest.raises(ConfigError, match="Linear has no convolution that reads bases"):
        start_at_motifs(nn.Linear(2, 2), [sharp("ACGT")])


def test_a_run_begins_at_the_motifs_of_a_file(tmp_path: Path) -> None:
    """With a learning rate near 0 the filters of the finished model are those of the file, which the manifest names."""
    random = np.random.default_rng(0)
    codes = random.integers(0, 4, (2, 128)).astype(np.uint8)
    windows = [Window("chr1", 128 * i, 128 * (i + 1), "train") for i in range(2)]
    write_track_set(tmp_path / "set", codes, random.random((2, 1, 8)), windows, TrackTable((Track(0, "x"),)), 8)
    write_meme(tmp_path / "few.meme", [sharp("GATTACA")])
    tables = LONG_TABLE + '\n[tracks]\nepochs = 1\nlearning_rate = 1e-9\nmotifs = "few.meme"\n'
    (tmp_path / "c.toml").write_text(tables)
    gf.finetune(tmp_path / "set", tmp_path / "run", task="tracks", config=tmp_path / "c.toml")
    weight = registry.load(tmp_path / "run").stages[0].wide.weight.detach().double()
    expected = torch.from_numpy(motif_filter(sharp("GATTACA").p, 15))
    similarity = nn.functional.cosine_similarity(weight[0].flatten(), expected.flatten(), dim=0)
    assert float(similarity) == pytest.approx(1.0, abs=1e-4)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["tracks"]["motifs"] == "few.meme"
    assert list(manifest["motifs"]) == ["name", "sha256"]
    with pytest.raises(ConfigError, match=r"motifs = 'few\.meme' is for training from scratch"):
        gf.finetune(tmp_path / "set", tmp_path / "more", tmp_path / "run", "tracks", motifs=str(tmp_path / "few.meme"))
