"""The trunk in tiles against the plain modules: every tile size, every length, window edges, and edits of a reference."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import random_onehot, small_enformer
from trunk_models import difference, model_of, models, plain

from genoformer.errors import ConfigError
from genoformer.models.enformer.model import image
from genoformer.models.enformer.tiled_trunk import Edit, Trunk

# of 64 rows at least: so small a tile that the first stages of a window of some hundred bases have several
tile_bytes = st.one_of(st.just(1), st.integers(1, 40_000))


@given(models, st.integers(1, 40), st.integers(1, 2), tile_bytes, st.integers(0, 3))
@settings(deadline=None, max_examples=80)
def test_tiles_give_the_numbers_of_the_plain_modules(shape, n_bins, n_windows, tile, seed) -> None:
    model = model_of(*shape)
    onehot = random_onehot(n_windows, n_bins * model.config.bin_size, seed)
    found, expected = Trunk(model, tile_bytes=tile)(onehot), plain(model, onehot)
    assert difference(found, expected) < 1e-5
    for edge in (0, -1):  # the bins where convolutions pad with zeros, each for itself
        assert difference(found[:, edge], expected[:, edge]) < 1e-5


@given(models, st.integers(1, 24), tile_bytes, st.data())
@settings(deadline=None, max_examples=80)
def test_an_edit_gives_the_trunk_of_the_edited_window(shape, n_bins, tile, data) -> None:
    model = model_of(*shape)
    length = n_bins * model.config.bin_size
    start = data.draw(st.sampled_from([0, length - 1]) | st.integers(0, length - 1), label="start")
    end = data.draw(st.sampled_from([start + 1, length]) | st.integers(start + 1, length), label="end")
    reference, other = random_onehot(1, length, 1)[0], random_onehot(1, length, 2)[0]
    edited = reference.clone()
    edited[:, start:end] = other[:, start:end]

    trunk = Trunk(model, tile_bytes=tile)
    activations = trunk.activations(reference)
    before = [x.clone() for x in activations]
    change = trunk.apply_edit(activations, Edit(start, other[:, start:end].T))

    assert all(torch.equal(x, y) for x, y in zip(activations, before, strict=True))  # borrowed, not changed
    found = activations[-1].clone()
    found[change.start : change.start + len(change.rows)] = change.rows
    assert difference(found, plain(model, edited[None])[0]) < 1e-5
    reach = 2**model.config.n_pools * (model.config.tower_kernel + 1) + model.config.stem_kernel  # bases, with room
    touched = range(max(0, start - reach) // model.config.bin_size, -(-(end + reach) // model.config.bin_size))
    assert change.start in touched
    assert change.start + len(change.rows) - 1 in touched


def test_an_edit_of_enformers_trunk_reaches_259_bases() -> None:
    """Kernels of 15 and 5, seven pools: one base in the middle of a bin changes 5 bins, and nothing outside of 259 bases."""
    model = small_enformer(n_pools=7, context_length=2048)
    trunk, reference = Trunk(model), random_onehot(1, 4096)[0]
    base = 16 * 128 + 64
    change = trunk.apply_edit(trunk.activations(reference), Edit(base, torch.zeros(1, 4)))
    assert (change.start, len(change.rows)) == ((base - 259) // 128, (base + 259) // 128 - (base - 259) // 128 + 1)
    edited = reference.clone()
    edited[:, base] = 0
    moved = (plain(model, edited[None]) - plain(model, reference[None]))[0].abs().amax(1).nonzero()[:, 0].tolist()
    assert moved[0] >= change.start
    assert moved[-1] < change.start + len(change.rows)


def test_activations_are_those_of_every_stage() -> None:
    model, onehot = model_of(4, (15, 5)), random_onehot(1, 160)
    found = Trunk(model).activations(onehot[0])
    assert torch.equal(found[0], onehot[0].T)
    x = image(onehot)
    with torch.no_grad():
        for stage, rows in zip(model.stages, found[1:], strict=True):
            x = stage(x)
            assert difference(rows, x[0, :, 0].T) < 1e-5


def test_bfloat16_is_as_close_as_the_plain_modules_are() -> None:
    """Its 8 bits cost some percent in a random model of five stages; tiles must not cost more."""
    model, onehot = model_of(5, (15, 5)), random_onehot(1, 1024)
    expected = plain(model, onehot)
    found = Trunk(model, dtype=torch.bfloat16)(onehot)
    assert found.dtype == torch.bfloat16
    rough = plain(copy.deepcopy(model).bfloat16(), onehot.bfloat16()).float()
    error, usual = ((x.float() - expected).norm() / expected.norm() for x in (found, rough))
    assert error < 1.5 * usual
    assert usual < 0.1


def test_the_model_is_left_as_it_was() -> None:
    model = small_enformer()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    Trunk(model, dtype=torch.bfloat16)(random_onehot(1, 64))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(("start", "n"), [(-1, 1), (0, 0), (60, 5), (64, 1)])
def test_an_edit_outside_of_the_window_is_refused(start, n) -> None:
    trunk = Trunk(small_enformer())
    reference = trunk.activations(random_onehot(1, 64)[0])
    with pytest.raises(ConfigError, match="does not lie in the window of 64 bases; cut it to the window"):
        trunk.apply_edit(reference, Edit(start, torch.zeros(n, 4)))


@pytest.mark.parametrize("length", [0, 7, 60])
def test_a_window_that_is_no_whole_number_of_bins_is_refused(length) -> None:
    with pytest.raises(ConfigError, match="no whole number of bins of 8 bases"):
        Trunk(small_enformer())(torch.zeros(1, 4, length))
