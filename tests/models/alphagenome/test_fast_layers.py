"""AlphaGenome's layers on a CPU without gradients give the numbers of the modules that they replace."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from alphagenome_models import small_alphagenome
from small_models import random_onehot

from genoformer.errors import ConfigError
from genoformer.models.alphagenome import engine as engine_module
from genoformer.models.alphagenome import tiles, tower
from genoformer.models.alphagenome.engine import AlphaGenomeEngine
from genoformer.models.alphagenome.fast_layers import FastBlock, FastLayers
from genoformer.models.alphagenome.layers import image
from genoformer.models.alphagenome.model import AlphaGenome
from genoformer.models.base import Bins
from genoformer.models.plain_engine import PlainEngine
from genoformer.models.row_convolution import FastConvolution

SMALL = small_alphagenome()
WIDE = small_alphagenome(3, width=34, width_step=2)  # wide enough for convolutions with fewer products
CODES = np.random.default_rng(6).integers(0, 5, 6144, dtype=np.uint8)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * expected.abs().max().item())


@pytest.mark.parametrize("model", [SMALL, WIDE], ids=["small", "wide"])
@torch.inference_mode()
def test_each_stage(model: AlphaGenome) -> None:
    layers, x = FastLayers(model), image(random_onehot(2, 2304, 4))
    assert isinstance(layers.stages[1].second.convolution, FastConvolution) == (model is WIDE)
    for fast, stage in zip(layers.stages, model.stages, strict=True):
        expected = stage(x)
        close(fast(x), expected)
        x = expected[..., :600]
    x = image(torch.randn(2, model.config.trunk_width, 20))
    for fast, stage in zip(layers.decoder, model.decoder, strict=True):
        skip = image(torch.randn(2, stage.skip.norm.weight.shape[0], 2 * x.shape[-1]))
        expected = stage(x, skip)
        close(fast(x, skip), expected)
        x = expected[..., :50]


@torch.inference_mode()
def test_blocks_of_few_rows_and_of_several_tiles() -> None:
    block = WIDE.stages[1].second
    fast = FastBlock(block)
    for n in (1, 2, 5, 1023, 1025, 2100):
        x = torch.randn(n, block.norm.weight.shape[0])
        close(fast(x), block(image(x.T[None]))[0, :, 0].T)


@pytest.mark.parametrize("head", ["human_dnase_1bp", "mouse_chip_tf_128bp"])
@torch.inference_mode()
def test_the_engine_of_a_wide_model(head: str) -> None:
    size = WIDE.bin_size_of(head)
    bins = Bins(1500 // size, 700 // size)
    edited = CODES.copy()
    edited[1700] = (edited[1700] + 1) % 4
    window = WIDE.engine(head).stretch(CODES).window(0, 6144 // size)
    plain = PlainEngine(WIDE, head)
    close(window.embed([None, edited], bins), plain.embed(np.stack([CODES, edited]), bins))
    close(WIDE.engine(head).embed(CODES[None], bins), plain.embed(CODES[None], bins))


@pytest.mark.parametrize("organism", ["human", "mouse"])
def test_all_heads_of_an_organism_from_one_pass(organism: str) -> None:
    engine = SMALL.engine(f"{organism}_dnase_1bp")
    assert isinstance(engine, AlphaGenomeEngine)
    tracks = dict(engine.all_tracks(CODES))
    heads = [head for head in SMALL.track_heads if SMALL.parts_of(head).organism == organism]
    assert set(tracks) == {*heads, "contact_maps"}
    onehot = engine.one_hot(CODES)
    with torch.no_grad():
        for head in heads:
            close(tracks[head], SMALL(onehot, head))
        close(tracks["contact_maps"], SMALL.contact_maps(onehot, organism))


def test_an_engine_refuses_other_lengths() -> None:
    with pytest.raises(ConfigError, match=r"2,000 bases is not a whole number of bins"):
        SMALL.engine("human_dnase_1bp").embed(CODES[None, :2000], Bins(0, 1))
    with pytest.raises(ConfigError, match=r"2,000 bases is not a whole number of bins"):
        dict(SMALL.engine("human_dnase_1bp").all_tracks(CODES[:2000]))


@pytest.mark.parametrize("bins", [Bins(0, 6144), Bins(1000, 3001)])
def test_tracks_of_long_windows_tile_by_tile(monkeypatch: pytest.MonkeyPatch, bins: Bins) -> None:
    head = "human_rna_seq_1bp"
    codes = np.stack([CODES, CODES[::-1]])
    with torch.inference_mode():
        expected = SMALL.tracks(PlainEngine(SMALL, head).embed(codes, bins), head)
        for module in (engine_module, tiles):
            monkeypatch.setattr(module, "TILE", 9)
        found = SMALL.engine(head).tracks_in_parts(codes, bins, lambda x: SMALL.tracks(x, head))  # type: ignore[attr-defined]
        close(found, expected)


def test_rows_in_the_cache_give_the_attention_of_whole_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    attention = SMALL.blocks[0].attention
    x, pairs = torch.randn(2, 48, SMALL.config.trunk_width), torch.randn(2, 3, 3, SMALL.config.pair_width)
    expected = attention(x, pairs)  # with gradients: whole matrices
    for n_bytes in (1, 6500, 1 << 20):
        monkeypatch.setattr(tower, "_CACHE", n_bytes)
        with torch.no_grad():
            close(attention(x, pairs), expected)
