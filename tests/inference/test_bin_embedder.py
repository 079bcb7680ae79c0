"""Vectors of the bins of track models: against the model itself on padded windows, in the command and in Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from alphagenome_models import small_alphagenome
from borzoi_models import small_borzoi
from commands import assert_refused, run, run_well
from context_models import small_contexts
from small_models import small_enformer

import genoformer as gf
from genoformer.errors import ConfigError
from genoformer.genome.codes import decode, reverse_complement
from genoformer.inference.bin_embedder import BinEmbedder
from genoformer.inference.embedder import EmbeddingRequest
from genoformer.models import registry
from genoformer.models.plain_engine import one_hot

MODELS = {  # name -> the model, the head, bases of a bin, bases of a window
    "enformer": (small_enformer, None, 8, 256),
    "borzoi": (small_borzoi, "human", 32, 1024),
    "alphagenome 1": (small_alphagenome, "mouse_dnase_1bp", 1, 2048),
    "alphagenome 128": (small_alphagenome, "human_chip_tf_128bp", 128, 4096),
    "contexts": (lambda: small_contexts("borzoi"), None, 32, 1024),
}


def naive(model, head, codes: np.ndarray, start: int, window: int) -> np.ndarray:
    """All bins [N, D] of the window that begins at base `start` of a sequence padded with N."""
    padded = np.concatenate([np.full(window, 4, np.uint8), codes, np.full(2 * window, 4, np.uint8)])
    with torch.no_grad():
        onehot = one_hot(torch.from_numpy(padded[window + start : 2 * window + start].copy())[None])
        return model.embed(onehot, 0, head)[0].T.numpy()


@pytest.mark.parametrize("name", MODELS)
def test_bins_are_those_of_the_model(name: str) -> None:
    """A sequence of half a window lies in its middle; one of two windows is read in windows that share half."""
    make, head, size, window = MODELS[name]
    model, random = make(), np.random.default_rng(0)
    short, long = (random.integers(0, 4, n).astype(np.uint8) for n in (window // 2 + 3, 2 * window))
    embedder = BinEmbedder(EmbeddingRequest(model, pooling="tokens", head=head, window=window), model)
    ((first,), (second,)) = embedder.tokens([short, long])
    n = -(-len(short) // size)
    before = (window // size - n) // 2
    expected = naive(model, head, short, -before * size, window)[before : before + n]
    np.testing.assert_allclose(first.values, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert first.spans[0].tolist() == [0, size]
    assert first.spans[-1].tolist() == [(n - 1) * size, len(short)]
    assert first.values.shape[1] == embedder.width
    parts = []
    for start, taken in ((0, (0, 3)), (window // 2, (1, 3)), (window, (1, 4))):  # in quarters of a window
        bins = naive(model, head, long, start, window)
        parts.append(bins[taken[0] * len(bins) // 4 : taken[1] * len(bins) // 4])
    expected = np.concatenate(parts)
    np.testing.assert_allclose(second.values, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("length", [1, 8, 9, 255, 256, 257, 400, 512, 1000])
@pytest.mark.parametrize("overlap", [0, 64, 248])
def test_every_bin_is_taken_once(length: int, overlap: int) -> None:
    model = small_enformer()
    places = BinEmbedder(EmbeddingRequest(model, overlap=overlap), model).place(length)
    at = [placed.start // 8 + placed.bins.first + i for placed in places for i in range(placed.bins.n)]
    assert at == list(range(-(-length // 8)))
    assert all(placed.bins.first >= 0 and placed.bins.first + placed.bins.n <= 32 for placed in places)


def test_both_strands_are_the_mean_of_a_sequence_and_its_reverse_complement() -> None:
    model, codes = small_enformer(), np.random.default_rng(0).integers(0, 4, 256).astype(np.uint8)
    request = EmbeddingRequest(model, strand="both")
    expected = (naive(model, "human", codes, 0, 256) + naive(model, "human", reverse_complement(codes), 0, 256)[::-1]) / 2
    np.testing.assert_allclose(BinEmbedder(request, model).vectors([codes])[0, 0], expected.mean(0), rtol=1e-3, atol=1e-5)


def test_the_command_and_python_agree(tmp_path: Path) -> None:
    model, random = small_enformer(), np.random.default_rng(0)
    registry.save(model, tmp_path / "m")
    texts = [decode(random.integers(0, 4, n).astype(np.uint8)) for n in (100, 300)]
    (tmp_path / "s.fa").write_text("".join(f">s{i}\n{text}\n" for i, text in enumerate(texts)))
    done = run_well("embed", tmp_path / "s.fa", "-m", tmp_path / "m", "--pooling", "max", "-o", tmp_path / "v.npy")
    assert "2 sequences, width 48, maximum over bins of 8 bases; 1 longer than the window of 256 bases" in done.stderr
    found = np.load(tmp_path / "v.npy")
    np.testing.assert_array_equal(found, gf.embed(texts, tmp_path / "m", pooling="max"))
    run_well("embed", tmp_path / "s.fa", "-m", tmp_path / "m", "--pooling", "tokens", "-o", tmp_path / "t.parquet")
    rows = pd.read_parquet(tmp_path / "t.parquet")
    assert len(rows) == 13 + 38
    assert rows[["name", "start", "end"]].iloc[12].tolist() == ["s0", 96, 100]
    largest = rows[rows["name"] == "s1"][[f"e{i}" for i in range(48)]].to_numpy().max(0)
    np.testing.assert_allclose(largest, found[1], rtol=1e-6)


def test_what_a_track_model_has_not_is_refused(tmp_path: Path) -> None:
    registry.save(small_alphagenome(), tmp_path / "m")
    (tmp_path / "s.fa").write_text(">s\nACGT\n")
    words = ("embed", tmp_path / "s.fa", "-o", tmp_path / "v.npy", "-m")
    assert_refused(run(*words, tmp_path / "m"), "no head was named; this model has human_atac_1bp")
    assert_refused(run(*words, "mini-tracks", "--layer", 1), "--layer is for language models")
    assert_refused(run(*words, "mini-tracks", "--pooling", "cls"), "--pooling is cls, expected mean, max or tokens (bins)")
    assert_refused(run(*words, "demo", "--head", "human"), "--head needs a track model, found a language model")
    model = small_enformer()
    with pytest.raises(ConfigError, match="overlap = 12: give a multiple of the bin of 8 bases, below the window of 256"):
        BinEmbedder(EmbeddingRequest(model, overlap=12), model)
    with pytest.raises(ConfigError, match="100 bases is not a whole number of bins of 8 bases"):
        BinEmbedder(EmbeddingRequest(model, window=100), model)
