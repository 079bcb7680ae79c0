"""Borzoi and Prime against borzoi-pytorch: the same numbers from the same folder, with random weights.

Flashzoi's attention needs a GPU and flash-attn there; it is compared with the formula in float64 in test_model.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_models import random_onehot, shaken

from genoformer.models import registry
from genoformer.models.base import PredictsTracks

reference = pytest.importorskip("borzoi_pytorch", reason="borzoi-pytorch is not installed; it is no part of the extra dev")

SMALL = {"dim": 48, "depth": 2, "heads": 4, "attn_dim_key": 8, "attn_dim_value": 12}


def theirs(kind: str, **fields):
    """A model of borzoi-pytorch in eval mode, whose every weight shows in its tracks."""
    torch.manual_seed(4)
    model = getattr(reference, kind).from_hparams(**SMALL, **fields)
    onehot = random_onehot(2, 2048, 9)
    shaken(model, lambda: model.final_joined_convs(model.get_embs_after_crop(onehot)))
    with torch.no_grad():
        for head in ("human_head", "mouse_head"):
            if hasattr(model, head):
                getattr(model, head).weight.mul_(4)
    return forgetful(model)


def forgetful(model):
    """The same model; its relative positions of the first length that it sees are removed, as it keeps them for others."""
    for module in model.modules():
        if hasattr(module, "positions"):
            module.positions = None
    return model


def ours(model, folder: Path):
    model.save_pretrained(folder)
    return registry.load(folder, PredictsTracks)


def relative(found, expected) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("kind", ["Borzoi", "Prime"])
def test_small_models_give_the_same_tracks(kind, tmp_path) -> None:
    model = theirs(kind, bins_to_return=-1, enable_mouse_head=True)
    mine = ours(model, tmp_path)
    for length in (128, 1408, 4096):
        onehot = random_onehot(2, length, length)
        forgetful(model)
        with torch.no_grad():
            for head in ("human", "mouse"):
                expected, found = model(onehot, is_human=head == "human"), mine(onehot, head, 0)
                if length > 128:
                    assert expected.std(-1).mean() > 0.05  # over the bins: else there is nothing to compare
                assert found.shape == expected.shape
                assert relative(found, expected) < 5e-5


def test_the_middle_is_cut_alike_and_of_an_odd_rest_they_lose_a_bin(tmp_path) -> None:
    model = theirs("Borzoi", bins_to_return=10)
    mine = ours(model, tmp_path)
    assert mine.track_heads["human"].target_bins == 10
    onehot = random_onehot(1, 2048)
    with torch.no_grad():
        expected = model(onehot)
        assert expected.shape[-1] == 10
        assert relative(mine(onehot, n_bins=10), expected) < 1e-5
        model.crop.target_length = 9
        odd, mine_odd = forgetful(model)(onehot), mine(onehot, n_bins=9)
    assert (odd.shape[-1], mine_odd.shape[-1]) == (8, 9)
    assert relative(mine_odd[..., 1:], odd) < 1e-5


def test_gradients_are_the_same(tmp_path) -> None:
    model = theirs("Borzoi", bins_to_return=-1)
    mine = ours(model, tmp_path)
    first, second = (random_onehot(1, 2048).requires_grad_() for _ in range(2))
    mine(first, "human", 0)[:, :5].square().sum().backward()
    forgetful(model)(second)[:, :5].square().sum().backward()
    assert first.grad is not None
    assert second.grad is not None
    assert relative(first.grad, second.grad) < 1e-4


def test_what_we_write_they_read(tmp_path) -> None:
    model = theirs("Prime", bins_to_return=64, enable_mouse_head=True)
    mine = ours(model, tmp_path / "theirs")
    registry.save(mine, tmp_path / "ours", layout="borzoi-prime")
    again = reference.Prime.from_pretrained(tmp_path / "ours").eval()
    first, second = model.state_dict(), again.state_dict()
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert again.crop.target_length == 64


def test_the_squashed_scale_is_undone_alike() -> None:
    from borzoi_pytorch.pytorch_borzoi_utils import undo_squashed_scale

    from genoformer.formats.squashed_scale import SquashedScale
    from genoformer.formats.track_table import Track

    x = torch.rand(2, 3, 50) * 8
    for kind, sum_stat, scale in (("borzoi", "sum_sqrt", 0.01), ("prime", "sum_exp75", 0.3)):
        values = x if kind == "borzoi" else x * 100
        expected = undo_squashed_scale(values, track_scale=scale, old_transform=kind == "borzoi").numpy()
        track = Track(0, "rna", clip_soft=384, scale=scale, sum_stat=sum_stat)
        found = SquashedScale.of(kind, [track] * 3).undo(values.numpy())
        assert abs(found / expected - 1).max() < 1e-4
