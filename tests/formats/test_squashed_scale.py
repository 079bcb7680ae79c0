"""Squashed scales: numbers worked out by hand, and the steps of training done and undone."""

from __future__ import annotations

import numpy as np
import pytest

from genoformer.errors import ConfigError, OptionError
from genoformer.formats.squashed_scale import SquashedScale, squashed_scale
from genoformer.formats.track_table import Track, TrackTable

RNA = Track(0, "rna", clip=768, clip_soft=384, scale=0.01, sum_stat="sum_sqrt", strand_pair=0)
DNASE = Track(1, "dnase", clip=128, clip_soft=32, scale=2.0, sum_stat="mean", strand_pair=1)
PLAIN = Track(2, "plain", scale=4.0, sum_stat="sum", strand_pair=2)


def undone(kind: str, track: Track, *values: float) -> list[float]:
    return SquashedScale.of(kind, [track]).undo(np.array([values], dtype=np.float32))[0].tolist()


def test_borzoi_by_hand() -> None:
    """0.08 / 0.01 = 8, to the 4/3 16; 4.04 / 0.01 = 404, 20 above 384, so 784, to the 4/3 7,229.16."""
    assert undone("borzoi", RNA, 0, 0.08, 3.84, 4.04) == pytest.approx([0, 16, 384 ** (4 / 3), 784 ** (4 / 3)], rel=1e-6)
    assert undone("borzoi", RNA, 4.04) == pytest.approx([7229.16], rel=1e-6)
    assert undone("borzoi", DNASE, 3, 64, 70) == pytest.approx([1.5, 32, 41])
    assert undone("borzoi", PLAIN, 4000) == [1000]


def test_prime_by_hand() -> None:
    """By hand: exp75 of 15 is undone as (16^(4/3) - 1) / 0.01; a square root of 3 as 4^2 - 1; 34 is clipped 2 above 32."""
    exp75 = Track(0, "rna", clip_soft=384, scale=0.01, sum_stat="sum_exp75")
    assert undone("prime", exp75, 0, 15, 1e-4) == pytest.approx([0, 3931.747, 100 * 4 / 3 * 1e-4], rel=1e-4)
    assert undone("prime", RNA, 3) == [1500]
    assert undone("prime", DNASE, 3, 34) == [1.5, 20]


def squashed_as_in_training(kind: str, track: Track, coverage: np.ndarray) -> np.ndarray:
    """Sums of bins -> targets, as hound_data_read.py does without `clip`."""
    power = {"sum_sqrt": 0.75 if kind == "borzoi" else 0.5, "sum_exp75": 0.75}.get(track.sum_stat, 1.0)
    soft = np.inf if track.clip_soft is None else track.clip_soft
    if kind == "borzoi":
        x = coverage**power
        x = np.where(x > soft, soft + np.sqrt(np.maximum(x - soft, 0)), x)
        return x * track.scale
    x = coverage * track.scale
    x = x if power == 1 else (1 + x) ** power - 1
    return np.where(x > soft, soft - 1 + np.sqrt(np.maximum(x - soft, 0) + 1), x)


@pytest.mark.parametrize("kind", ["borzoi", "prime"])
@pytest.mark.parametrize("track", [RNA, DNASE, PLAIN], ids=lambda track: track.identifier)
def test_what_training_did_is_undone(kind, track) -> None:
    coverage = np.array([0, 1e-3, 0.5, 1, 31, 32.5, 300, 5000, 1e5])
    squashed = squashed_as_in_training(kind, track, coverage).astype(np.float32)
    assert undone(kind, track, *squashed.tolist()) == pytest.approx(coverage.tolist(), rel=2e-4, abs=1e-9)


def test_each_track_has_its_own_scale_in_any_shape() -> None:
    tracks = [RNA, DNASE, PLAIN] * 200  # more than are computed at once
    values = np.random.default_rng(0).gamma(1, 40, (2, 600, 5)).astype(np.float32)
    found = SquashedScale.of("borzoi", tracks).undo(values)
    assert found.dtype == np.float32
    for k in (0, 1, 2, 255, 256, 599):
        for b in range(2):
            assert found[b, k].tolist() == undone("borzoi", tracks[k], *values[b, k].tolist())


def test_where_nothing_is_undone_and_what_is_refused() -> None:
    table = TrackTable((RNA, DNASE, PLAIN))
    assert squashed_scale("", table, None, "original") is None
    assert squashed_scale("borzoi", None, None, "model") is None
    one = squashed_scale("borzoi", table, [1], "original")
    assert one is not None
    assert one.undo(np.array([[64]], np.float32)).tolist() == [[32]]
    with pytest.raises(OptionError, match="the model has no table; give targets, or scale model"):
        squashed_scale("borzoi", None, None, "original")
    with pytest.raises(ConfigError, match="found the squashed scale 'log', expected one of borzoi, prime"):
        SquashedScale.of("log", [RNA])
