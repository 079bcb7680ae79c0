"""Positions of Borzoi and Flashzoi by hand; attention of some rows at a time."""

from __future__ import annotations

import math

import pytest
import torch
from borzoi_models import features_of, small_borzoi

from genoformer.models import track_layers
from genoformer.models.base import Bins
from genoformer.models.borzoi.attention import Rotation, central_mask_features, rotary_angles, rotated
from genoformer.models.borzoi.config import preset
from genoformer.models.track_layers import AttentionShape, RelativeAttention, softplus


@pytest.mark.parametrize("n", [1, 2, 9, 70])
def test_features_of_each_distance(n) -> None:
    found = central_mask_features(n, 32, 4096)
    shape = preset("borzoi")
    assert found.tolist() == [features_of(d, shape) for d in range(-n + 1, n)]


def test_widths_of_the_masks_by_hand() -> None:
    """4097^(i / 16) - 1 is 0.68 for i = 1, 1.83 for 2, 3.76 for 3, 63.01 for 8 and 4,096 for 16."""
    features = central_mask_features(4097, 32, 4096)
    middle = 4096
    assert features[middle, :16].tolist() == [1.0] * 16
    assert features[middle + 1, :16].tolist() == [0.0] + [1.0] * 15
    assert features[middle + 3, :3].tolist() == [0.0, 0.0, 1.0]
    assert features[middle + 4, :3].tolist() == [0.0, 0.0, 0.0]
    assert features[middle + 63, 7] == 1
    assert features[middle + 64, 7] == 0
    assert features[middle + 4095, 15] == 1
    assert features[middle + 4096, 15] == 0  # 4,096 bins apart: only windows of more than 4,096 bins have it
    assert torch.equal(features[:middle, 16:], -features[:middle, :16])
    assert torch.equal(features[middle:, 16:], features[middle:, :16] * (torch.arange(4097) > 0)[:, None])


def test_longer_windows_have_the_same_features_of_near_bins() -> None:
    short, long = central_mask_features(10, 32, 4096), central_mask_features(64, 32, 4096)
    assert torch.equal(short, long[64 - 10 : 64 + 9])


def test_rotation_by_hand() -> None:
    """At position 3, with base 100 and four channels, the angles are 3 and 0.3; the fifth channel is unchanged."""
    angles = rotary_angles(4, 4, 100.0)
    assert torch.allclose(angles[3], torch.tensor([3.0, 0.3], dtype=torch.float64))
    x = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]).expand(1, 1, 4, 5)
    found = rotated(x, Rotation(angles.cos().float(), angles.sin().float()))[0, 0, 3]
    expected = [
        math.cos(3) - 3 * math.sin(3),
        2 * math.cos(0.3) - 4 * math.sin(0.3),
        3 * math.cos(3) + math.sin(3),
        4 * math.cos(0.3) + 2 * math.sin(0.3),
        5.0,
    ]
    assert torch.allclose(found, torch.tensor(expected), atol=1e-6)


@pytest.mark.parametrize("kind", ["borzoi", "flashzoi"])
@pytest.mark.parametrize("units", [Bins(0, 40), Bins(0, 1), Bins(7, 20), Bins(39, 1)])
def test_some_bins_of_the_transformer_have_the_values_of_all(kind, units) -> None:
    """On a CPU some rows at a time without gradients, and whole with them."""
    model = small_borzoi(kind)
    x = torch.randn(2, model.config.width, 40)
    with torch.no_grad():
        everything, some = model.attend(x), model.attend(x, units)
    expected = everything[:, units.first : units.first + units.n]
    torch.testing.assert_close(some, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(model.attend(x, units), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_features", [4, 9])
def test_rows_in_the_cache_give_the_attention_of_the_formula(monkeypatch, n_features) -> None:
    """With fewer features of a position than channels of a key, and with more; four and five rows at a time."""
    torch.manual_seed(1)
    attention = RelativeAttention(AttentionShape(width=12, n_heads=2, key_width=5, value_width=6, n_features=n_features)).eval()
    torch.nn.init.normal_(attention.out.weight)
    x, basis = torch.randn(2, 23, 12), torch.randn(45, n_features)
    expected = attention(x, basis)
    for n_rows in (4, 5, 64):
        monkeypatch.setattr(track_layers, "rows_together", lambda n_keys, n_bytes, n_rows=n_rows: n_rows)
        with torch.no_grad():
            torch.testing.assert_close(attention(x, basis), expected, rtol=1e-4, atol=1e-5)
            some = attention(x, basis, slice(3, 17))
        torch.testing.assert_close(some, expected[:, 3:17], rtol=1e-4, atol=1e-5)


def test_softplus_of_small_and_large_numbers() -> None:
    for values in ([-80.0, -20.0, -1.0, 0.0, 3.0, 19.0, 25.0, 79.0], [-5.0, 90.0, 1000.0], []):
        x = torch.tensor(values)
        expected = torch.nn.functional.softplus(x.double()).float()
        with torch.no_grad():
            torch.testing.assert_close(softplus(x.clone()), expected, rtol=1e-6, atol=0)
