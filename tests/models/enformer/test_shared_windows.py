"""A strip's windows and edits against the trunk of each window alone: every offset, window edges, several edits."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import random_onehot
from trunk_models import difference, model_of, models, plain

from genoformer.errors import ConfigError
from genoformer.models.enformer.shared_windows import SharedTrunk
from genoformer.models.enformer.tiled_trunk import Edit, Trunk


@given(models, st.integers(1, 60), st.data())
@settings(deadline=None, max_examples=80)
def test_a_window_of_a_strip_is_the_window_alone(shape, n_bins, data) -> None:
    model = model_of(*shape)
    size = model.config.bin_size
    first = data.draw(st.integers(0, n_bins - 1), label="first")
    n = data.draw(st.integers(1, n_bins - first), label="n")
    onehot = random_onehot(1, n_bins * size, 1)[0]
    window = SharedTrunk(Trunk(model), onehot).window(first, n)
    own = onehot[:, first * size : (first + n) * size]
    expected = plain(model, own[None])[0]
    found = window.output
    assert difference(found, expected) < 1e-5
    for edge in (0, -1):
        assert difference(found[edge], expected[edge]) < 1e-5
    for rows, alone in zip(window.stages, Trunk(model).activations(own), strict=True):
        assert difference(rows, alone) < 1e-5


@given(models, st.integers(20, 120), st.lists(st.tuples(st.floats(0, 1), st.integers(1, 30)), max_size=4), st.data())
@settings(deadline=None, max_examples=80)
def test_edits_give_the_trunk_of_the_edited_window(shape, n_bins, asked, data) -> None:
    model = model_of(*shape)
    size = model.config.bin_size
    first = data.draw(st.integers(0, 10), label="first")
    n = n_bins - first
    onehot, other = (random_onehot(1, n_bins * size, seed)[0] for seed in (1, 2))
    window = SharedTrunk(Trunk(model), onehot).window(first, n)
    alone = onehot[:, first * size :].clone()
    before = [x.clone() for x in window.shared]
    changes, end = [], 0
    for share, length in sorted(asked):
        start = max(end, int(share * (n * size - 1)))
        stop = min(start + length, n * size)
        if start < stop:
            alone[:, start:stop] = other[:, start:stop]
            changes.append(Edit(start, other[:, start:stop].T))
            end = stop
    found = window.edited(changes)
    assert difference(found, plain(model, alone[None])[0]) < 1e-5
    assert all(torch.equal(x, y) for x, y in zip(window.shared, before, strict=True))
    assert difference(window.edited([]), window.output) == 0


@pytest.mark.parametrize(("first", "n"), [(-1, 2), (0, 0), (3, 3), (5, 1)])
def test_a_window_beyond_the_strip_is_refused(first, n) -> None:
    strip = SharedTrunk(Trunk(model_of(3, (15, 5))), random_onehot(1, 40)[0])
    with pytest.raises(ConfigError, match="do not lie in a stretch of 5; give a longer one"):
        strip.window(first, n)
