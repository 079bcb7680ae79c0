"""Encoder and decoder of AlphaGenome in tiles: the values of the whole window, and no tile reads more than it needs."""

from __future__ import annotations

import pytest
import torch
from alphagenome_models import small_alphagenome
from small_models import random_onehot

from genoformer.models import cost
from genoformer.models.alphagenome import tiles
from genoformer.models.alphagenome.config import AlphaGenomeConfig
from genoformer.models.alphagenome.model import AlphaGenome
from genoformer.models.base import Bins

MODEL = small_alphagenome()
OTHER = small_alphagenome(stem_kernel=9, kernel=3)
ONEHOT = random_onehot(2, 8192, 2)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())


@pytest.mark.parametrize("model", [MODEL, OTHER], ids=["kernels 15 and 5", "kernels 9 and 3"])
@pytest.mark.parametrize("bins", [Bins(0, 3), Bins(30, 1), Bins(20, 17), Bins(63, 1), Bins(0, 64)])
def test_some_bins_have_the_encoders_values_of_all(model: AlphaGenome, bins: Bins) -> None:
    with torch.no_grad():
        whole = tiles.encode_bins(model, ONEHOT, Bins(0, 64), Bins(0, 64))
        kept = Bins(bins.first + bins.n // 2, bins.n - bins.n // 2)
        some = tiles.encode_bins(model, ONEHOT, bins, kept)
    close(some.x, whole.x[..., bins.first : bins.first + bins.n])
    assert len(some.stages) == 7
    for i, (values, all_values) in enumerate(zip(some.stages, whole.stages, strict=True)):
        unit = 128 >> i
        close(values, all_values[..., kept.first * unit : (kept.first + kept.n) * unit])


@pytest.mark.parametrize("model", [MODEL, OTHER], ids=["kernels 15 and 5", "kernels 9 and 3"])
def test_the_reach_is_that_of_the_gradient(model: AlphaGenome) -> None:
    """Bin 30 reads exactly the bases within its reach, and base 4,000 exactly the bins within its own."""
    onehot = ONEHOT[:1].clone().requires_grad_()
    tiles.encode(model, onehot).x[0, :, 30].square().sum().backward()
    assert onehot.grad is not None
    read = onehot.grad[0].abs().sum(0).nonzero()[:, 0]
    reach = tiles.encoder_reach(model.config)
    assert reach == {15: 513, 9: 257}[model.config.stem_kernel]
    assert 30 * 128 - reach <= read.min() < 30 * 128 - reach + 40  # a maximum passes on one of two positions
    assert 31 * 128 + reach > read.max() > 31 * 128 + reach - 40

    with torch.no_grad():
        encoded = tiles.encode(model, ONEHOT[:1], Bins(0, 64))
    x = encoded.x.mT.clone().requires_grad_()
    y = tiles.decode(model, x, encoded.stages, Bins(0, 64), Bins(4000, 1), 0)
    y.square().sum().backward()
    assert x.grad is not None
    bins = x.grad[0].abs().sum(-1).nonzero()[:, 0]
    expected = tiles.decoded_bins(model, Bins(4000, 1), 64)
    assert (bins.min(), bins.max()) == (expected.first, expected.first + expected.n - 1)


def test_reach_of_a_base_by_hand() -> None:
    """762 bases on each side of base 2,560: 1,798 to 3,322, which lie in the bins 14 to 25."""
    assert tiles.decoder_reach(AlphaGenomeConfig()) == 762
    assert tiles.decoded_bins(MODEL, Bins(20 * 128, 1), 64) == Bins(14, 12)
    assert tiles.decoded_bins(MODEL, Bins(0, 4096), 32) == Bins(0, 32)
    assert tiles.bins_around(1000, 1001, 0, 64) == Bins(7, 1)
    assert list(tiles.tiles(Bins(3, 7), 3)) == [Bins(3, 3), Bins(6, 3), Bins(9, 1)]


@pytest.mark.parametrize("head", ["human_atac_128bp", "mouse_cage_1bp"])
@pytest.mark.parametrize("bins", [Bins(0, 64), Bins(11, 30)])
def test_long_windows_in_tiles_have_the_same_values(monkeypatch: pytest.MonkeyPatch, head: str, bins: Bins) -> None:
    if head.endswith("_1bp"):
        bins = Bins(bins.first * 128 + 5 * (bins.first > 0), bins.n * 128 - 9 * (bins.first > 0))
    with torch.no_grad():
        whole = MODEL.embed(ONEHOT, bins, head)
        monkeypatch.setattr(tiles, "TILE", 9)
        lengths: list[int] = []
        hook = MODEL.stages[0].register_forward_hook(lambda module, inputs, output: lengths.append(output.shape[-1]))
        in_tiles = MODEL.embed(ONEHOT, bins, head)
        hook.remove()
    assert lengths == [14 * 128, *[19 * 128] * 5, 15 * 128, 6 * 128]  # nine bins, and five more on each side
    close(in_tiles, whole)


@pytest.mark.parametrize("bases", [Bins(0, 5), Bins(2000, 33), Bins(8191, 1), Bins(1023, 1026), Bins(0, 8192)])
def test_the_decoder_of_some_bases_gives_the_values_of_all(bases: Bins) -> None:
    with torch.no_grad():
        everything = MODEL.embed(ONEHOT, 0, "mouse_cage_1bp")
        some = MODEL.embed(ONEHOT, bases, "mouse_cage_1bp")
    close(some, everything[..., bases.first : bases.first + bases.n])


def test_in_training_the_statistics_are_those_of_the_whole_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "TILE", 4)
    model = small_alphagenome().train()
    parts: list[int] = []
    model.stages[0].register_forward_hook(lambda module, inputs, output: parts.append(output.shape[-1]))
    model(random_onehot(1, 4096), "human_atac_1bp")
    assert parts == [4096]


def test_tiles_need_less_memory() -> None:
    meta = cost.meta_model(AlphaGenome, AlphaGenomeConfig()).eval()
    megabase = 1_048_576
    peak = cost.trace(meta, cost.track_run(meta, "human_dnase_128bp", megabase, 0)).peak
    assert peak < 4 * 2**30
    whole = cost.trace(meta, cost.track_run(meta, "human_dnase_1bp", megabase, megabase // 2)).peak
    assert whole < 13 * 2**30
