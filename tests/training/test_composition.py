"""Ridge regression on composition against loops and one large matrix, and a track that is a function of GC and CpG."""

from __future__ import annotations

import numpy as np
import pytest

from genoformer.datasets.track_set import TrackSet, Window, read_tracks, write_track_set
from genoformer.formats.track_table import Track, TrackTable
from genoformer.training.composition import WIDTHS, CompositionRidge, composition


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrackSet:
    """Five windows of 12 bins of 8 bases; the tracks are the mean GC of three bins, and noise, in the middle 8 bins."""
    folder, random = tmp_path_factory.mktemp("composition") / "set", np.random.default_rng(0)
    share = np.repeat(random.random((5, 12, 1)), 8, axis=1)
    gc, side = random.random((5, 96, 1)) < share, random.random((5, 96, 1)) < 0.5
    codes = np.where(gc, np.where(side, 1, 2), np.where(side, 0, 3))[..., 0].astype(np.uint8)
    bins = np.isin(codes, (1, 2)).reshape(5, 12, 8).mean(-1)
    smooth = (bins[:, 1:9] + bins[:, 2:10] + bins[:, 3:11]) / 3
    windows = [Window("chr1", 96 * i, 96 * (i + 1), "train" if i < 4 else "valid") for i in range(5)]
    tracks = np.stack([smooth, random.random((5, 8))], axis=1)
    write_track_set(folder, codes, tracks, windows, TrackTable((Track(0, "gc"), Track(1, "noise", strand_pair=1))), 8)
    return read_tracks(folder)


def test_features_are_means_around_each_bin(data: TrackSet) -> None:
    codes = np.array(data.sequence[0])
    text = "".join("ACGT"[code] for code in codes)
    found = composition(codes, data)
    assert found.shape == (8, 4 * len(WIDTHS))
    bins = []
    for i in range(12):
        part = text[8 * i : 8 * i + 8]
        gc = sum(base in "GC" for base in part) / 8
        cpg = sum(text[j : j + 2] == "CG" for j in range(8 * i, 8 * i + 8)) / 8
        bins.append([gc, cpg, gc * cpg, cpg**2])
    for place in range(8):
        expected = []
        for width in WIDTHS:
            around = [bins[i] for i in range(12) if abs(i - (place + 2)) <= width // 2]
            expected += np.mean(around, axis=0).tolist()
        np.testing.assert_allclose(found[place], expected, atol=1e-12)


def test_the_regression_is_that_of_one_large_matrix(data: TrackSet) -> None:
    ridge = CompositionRidge.fit(data, np.log1p, penalty=3.0)
    x = np.concatenate([composition(np.array(data.sequence[row]), data) for row in range(4)])
    y = np.concatenate([np.log1p(data.tracks[row].astype(float)).T for row in range(4)])
    z = (x - x.mean(0)) / x.std(0)
    augmented = np.concatenate([z, np.sqrt(3.0) * np.eye(z.shape[1])])  # ridge as least squares with more rows
    solved = np.linalg.lstsq(augmented, np.concatenate([y - y.mean(0), np.zeros((z.shape[1], 2))]), rcond=None)[0]
    new = composition(np.array(data.sequence[4]), data)
    expected = np.maximum((new - x.mean(0)) / x.std(0) @ solved + y.mean(0), 0).T
    np.testing.assert_allclose(ridge.predict(np.array(data.sequence[4]), data), expected, atol=1e-5)


def test_a_track_of_composition_is_predicted(data: TrackSet) -> None:
    ridge = CompositionRidge.fit(data, np.asarray, penalty=0.1)
    found, measured = ridge.predict(np.array(data.sequence[4]), data), data.tracks[4].astype(float)
    assert np.corrcoef(found[0], measured[0])[0, 1] > 0.95


def test_windows_of_n_have_no_gc(data: TrackSet) -> None:
    assert not composition(np.full(96, 4, dtype=np.uint8), data).any()
