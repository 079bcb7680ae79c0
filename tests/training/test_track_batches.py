"""Batches of parts of windows: sequence and tracks stay together through places, moves, turns and strand pairs."""

from __future__ import annotations

import numpy as np
import pytest

from genoformer.datasets.track_set import TrackSet, Window, read_tracks, write_track_set
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import N
from genoformer.inference.set_windows import crop_padded
from genoformer.training.track_batches import Crop, TrackBatches

BIN, N_ALL, N_TARGETS = 4, 11, 6  # an odd rest: two bins before the targets, three behind them


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrackSet:
    """Five windows; tracks are the numbers of A, of T (A's strand pair) and of G or C in a bin: all known from the sequence."""
    folder = tmp_path_factory.mktemp("batches") / "set"
    codes = np.random.default_rng(0).integers(0, 4, (5, N_ALL * BIN)).astype(np.uint8)
    targets = TrackTable((Track(0, "a", strand_pair=1), Track(1, "t", strand_pair=0), Track(2, "gc", strand_pair=2)))
    tracks = [counts(row)[:, 2:8] for row in codes]
    windows = [Window("chr1", 100 * i, 100 * i + N_ALL * BIN, "train") for i in range(5)]
    write_track_set(folder, codes, tracks, windows, targets, BIN)
    found = read_tracks(folder)
    assert (found.first_bin, found.n_bins) == (2, N_TARGETS)
    return found


def counts(codes: np.ndarray) -> np.ndarray:
    """The three tracks of bases [L], by a loop: [3, L / BIN]."""
    bins = [codes[i : i + BIN].tolist() for i in range(0, len(codes), BIN)]
    return np.array([[b.count(0) for b in bins], [b.count(3) for b in bins], [b.count(1) + b.count(2) for b in bins]])


@pytest.mark.parametrize("part", [Crop(6, 2), Crop(3, 1), Crop(2, 2), Crop(1, 0)])
@pytest.mark.parametrize("both_strands", [False, True])
def test_the_tracks_of_a_part_are_those_of_its_sequence(data: TrackSet, part: Crop, both_strands: bool) -> None:
    """Without a move the tracks follow from the sequence of the part, whichever strand it is read from."""
    batches = TrackBatches(data, np.arange(5), part, batch_size=2, seed=1, max_shift=0, both_strands=both_strands)
    for i in range(4 * batches.n_batches):
        for codes, measured in zip(*(x.numpy() for x in batches(i)), strict=True):
            assert len(codes) == (part.n_bins + 2 * part.context_bins) * BIN
            middle = codes[part.context_bins * BIN : (part.context_bins + part.n_bins) * BIN]
            np.testing.assert_array_equal(measured, counts(middle))


def test_a_move_takes_the_sequence_and_leaves_the_tracks(data: TrackSet) -> None:
    """Each part is found in its window at a place of its own tracks, moved by up to 3 bases, and every move occurs."""
    batches = TrackBatches(data, np.arange(5), Crop(3, 1), batch_size=1, seed=0, max_shift=3, both_strands=False)
    moves = set()
    for i in range(100):
        codes, measured = (x[0].numpy() for x in batches(i))
        fits = [
            move
            for row in range(5)
            for place in range(4)
            for move in range(-3, 4)
            if (crop_padded(data.sequence[row], (2 + place - 1) * BIN + move, 5 * BIN) == codes).all()
            and (data.tracks[row][:, place : place + 3] == measured).all()
        ]
        assert len(fits) == 1
        moves |= set(fits)
    assert moves == set(range(-3, 4))


def test_every_window_comes_as_often_in_an_epoch_as_parts_fit_into_it(data: TrackSet) -> None:
    batches = TrackBatches(data, np.array([1, 3, 4]), Crop(2, 0), batch_size=4, seed=0, max_shift=0, both_strands=False)
    assert batches.n_batches == 3  # of 3 windows with 3 parts each
    whole = TrackBatches(data, np.array([1, 3, 4]), Crop(6, 0), batch_size=4, seed=0, max_shift=0, both_strands=False)
    (codes, _) = whole(0)
    expected = sorted(data.sequence[row][8:32].tolist() for row in (1, 3, 4))
    assert sorted(codes.numpy().tolist()) == expected
    assert sum(len(batches(i).codes) for i in range(3)) == 9


def test_between_gives_n_outside() -> None:
    codes = np.array([0, 1, 2, 3], dtype=np.uint8)
    assert crop_padded(codes, 1, 2).tolist() == [1, 2]
    assert crop_padded(codes, -2, 8).tolist() == [N, N, 0, 1, 2, 3, N, N]
    assert crop_padded(codes, 9, 2).tolist() == [N, N]
    assert crop_padded(codes, -9, 2).tolist() == [N, N]
