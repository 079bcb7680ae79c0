"""PlainEngine against the model itself, and every faster engine against PlainEngine."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import small_enformer

from genoformer.genome.codes import reverse_complement
from genoformer.inference.tracks import TrackPredictor, WindowRequest
from genoformer.models.plain_engine import PlainEngine, one_hot

MODEL = small_enformer(seed=2, heads={"human": 5})
CODES = np.random.default_rng(4).integers(0, 5, 1024, dtype=np.uint8)
TRACKS = np.array([3, 0])


def edits(window: np.ndarray) -> list[np.ndarray]:
    """A substitution, two that are far apart, and no change."""
    first, second = window.copy(), window.copy()
    first[100] = (first[100] + 1) % 4
    second[[3, 250]] = (second[[3, 250]] + 2) % 4
    return [first, second, window.copy()]


def test_the_plain_engine_is_the_model_on_whole_sequences() -> None:
    codes = np.stack([CODES[:256], CODES[256:512]])
    with torch.inference_mode():
        expected = MODEL(one_hot(torch.from_numpy(codes))).numpy()
    found = TrackPredictor(MODEL, engine=PlainEngine(MODEL))(codes, batch_size=2)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backward", [False, True])
def test_the_engine_of_enformer_gives_the_numbers_of_the_plain_engine(backward) -> None:
    requests = [WindowRequest(start, 256, edits(CODES[start : start + 256]), embedding=True) for start in (0, 64, 768)]
    fast, plain = (
        list(
            TrackPredictor(MODEL, engine=engine).predict_edits(CODES, requests, tracks=TRACKS, batch_size=3, backward=backward)
        )
        for engine in (MODEL.engine(), PlainEngine(MODEL))
    )
    assert len(fast) == 3 * (1 + 3)
    for a, b in zip(fast, plain, strict=True):
        assert a.tracks.shape == (1, 2, 32)
        np.testing.assert_allclose(a.tracks, b.tracks, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(a.embedding, b.embedding, rtol=1e-4, atol=1e-5)
    for reference, unchanged in zip(plain[::4], plain[3::4], strict=True):
        np.testing.assert_array_equal(reference.tracks, unchanged.tracks)


def test_the_other_strand_is_the_reverse_complement_read_backwards() -> None:
    request = WindowRequest(0, 256, [])
    predictor = TrackPredictor(MODEL, engine=PlainEngine(MODEL))
    (backward,) = predictor.predict_edits(CODES[:256], [request], tracks=np.arange(5), backward=True)
    forward = predictor(reverse_complement(CODES[:256])[None])
    np.testing.assert_array_equal(backward.tracks[0], forward[0][:, ::-1])
