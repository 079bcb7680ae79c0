"""Ridge regression on composition against loops and one large matrix, and a track that is a function of GC and CpG."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from genoformer.datasets.track_set import TrackSet, Window, read_tracks, write_track_set
from genoformer.formats.motif_matrix import Matrix
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import encode, reverse_complement
from genoformer.training.composition import (
    WEAK,
    WIDTHS,
    WIDTHS_OF_KMERS,
    WIDTHS_OF_MOTIFS,
    CompositionRidge,
    K,
    composition,
    motif_hits,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrackSet:
    """Forty windows of 12 bins of 8 bases; the tracks are the mean GC of three bins, and noise, in the middle 8 bins."""
    folder, random = tmp_path_factory.mktemp("composition") / "set", np.random.default_rng(0)
    share = np.repeat(random.random((40, 12, 1)), 8, axis=1)
    gc, side = random.random((40, 96, 1)) < share, random.random((40, 96, 1)) < 0.5
    codes = np.where(gc, np.where(side, 1, 2), np.where(side, 0, 3))[..., 0].astype(np.uint8)
    bins = np.isin(codes, (1, 2)).reshape(40, 12, 8).mean(-1)
    smooth = (bins[:, 1:9] + bins[:, 2:10] + bins[:, 3:11]) / 3
    windows = [Window("chr1", 96 * i, 96 * (i + 1), "train" if i < 39 else "valid") for i in range(40)]
    tracks = np.stack([smooth, random.random((40, 8))], axis=1)
    write_track_set(folder, codes, tracks, windows, TrackTable((Track(0, "gc"), Track(1, "noise", strand_pair=1))), 8)
    return read_tracks(folder)


def test_features_are_means_around_each_bin(data: TrackSet) -> None:
    codes = np.array(data.sequence[0])
    text = "".join("ACGT"[code] for code in codes)
    found = composition(codes, data)
    n_kinds = (4**K + 4 ** (K // 2)) // 2  # of even K, palindromes are their own other strand
    assert found.shape == (8, 4 * len(WIDTHS) + n_kinds * len(WIDTHS_OF_KMERS))
    complement = dict(zip("ACGT", "TGCA", strict=True))
    words = sorted(
        {min(word, "".join(complement[b] for b in reversed(word))) for word in map("".join, product("ACGT", repeat=K))}
    )
    bins, kmers = [], []
    for i in range(12):
        part = text[8 * i : 8 * i + 8]
        gc = sum(base in "GC" for base in part) / 8
        cpg = sum(text[j : j + 2] == "CG" for j in range(8 * i, 8 * i + 8)) / 8
        bins.append([gc, cpg, gc * cpg, cpg**2])
        starts = [text[j : j + K] for j in range(8 * i, 8 * i + 8)]
        kmers.append([sum(min(w, "".join(complement[b] for b in reversed(w))) == word for w in starts) / 8 for word in words])
    for place in range(8):
        expected = []
        for width in WIDTHS:
            around = [bins[i] for i in range(12) if abs(i - (place + 2)) <= width // 2]
            expected += np.mean(around, axis=0).tolist()
        for width in WIDTHS_OF_KMERS:
            around = [kmers[i] for i in range(12) if abs(i - (place + 2)) <= width // 2]
            expected += np.mean(around, axis=0).tolist()
        np.testing.assert_allclose(found[place], expected, atol=1e-12)


def test_the_regression_is_that_of_one_large_matrix(data: TrackSet) -> None:
    ridge = CompositionRidge.fit(data, np.log1p, penalty=3.0)
    x = np.concatenate([composition(np.array(data.sequence[row]), data) for row in range(39)])
    y = np.concatenate([np.log1p(data.tracks[row].astype(float)).T for row in range(39)])
    spread = np.maximum(x.std(0), 1e-6)
    z = (x - x.mean(0)) / spread
    augmented = np.concatenate([z, np.sqrt(3.0) * np.eye(z.shape[1])])  # ridge as least squares with more rows
    solved = np.linalg.lstsq(augmented, np.concatenate([y - y.mean(0), np.zeros((z.shape[1], 2))]), rcond=None)[0]
    new = composition(np.array(data.sequence[39]), data)
    expected = np.maximum((new - x.mean(0)) / spread @ solved + y.mean(0), 0).T
    np.testing.assert_allclose(ridge.predict(np.array(data.sequence[39]), data), expected, atol=1e-5)


def test_a_track_of_composition_is_predicted(data: TrackSet) -> None:
    ridge = CompositionRidge.fit(data, np.asarray, penalty=1.0)
    found, measured = ridge.predict(np.array(data.sequence[39]), data), data.tracks[39].astype(float)
    assert np.corrcoef(found[0], measured[0])[0, 1] > 0.9


def test_windows_of_n_have_no_gc(data: TrackSet) -> None:
    assert not composition(np.full(96, 4, dtype=np.uint8), data).any()


def test_the_best_hit_of_a_motif_in_each_bin() -> None:
    """GATTACA once in full, once on the other strand with one change, which costs 6.6 of 13.7 bits, and nowhere else."""
    word = Matrix("GATTACA", np.where(np.eye(4)[encode("GATTACA")] > 0, 0.97, 0.01))
    codes = np.zeros(32, dtype=np.uint8)
    codes[3:10] = encode("GATTACA")
    codes[17:24] = reverse_complement(encode("GATTACC"))
    found = motif_hits(codes, 8, [word, word])
    assert found.shape == (4, 4)
    assert found[:, 0].round(2).tolist() == [0.4, 0, 0, 0]
    assert found[:, 1].tolist() == [1, 0, 0, 0]
    assert (found[:, 2:] == found[:, :2]).all()
    full, change = np.log2(0.97 / 0.25), np.log2(0.01 / 0.25)
    assert (6 * full + change) / (7 * full) < WEAK  # the second is too weak
    assert not motif_hits(codes[:4], 4, [word]).any()


def test_motifs_add_features(data: TrackSet) -> None:
    word = Matrix("CG", np.where(np.eye(4)[encode("CG")] > 0, 0.97, 0.01))
    codes = np.array(data.sequence[39])
    without, found = composition(codes, data), composition(codes, data, [word])
    np.testing.assert_array_equal(found[:, : without.shape[1]], without)
    assert found.shape[1] - without.shape[1] == 2 * len(WIDTHS_OF_MOTIFS)
    own = np.array([b"\x01\x02" in codes[8 * i : 8 * i + 9].tobytes() for i in range(12)], dtype=float)[2:10]
    assert np.corrcoef(found[:, without.shape[1] + 1], own)[0, 1] > 0.3  # the middle of a hit may lie in the next bin
    ridge = CompositionRidge.fit(data, np.log1p, [word])
    assert ridge.predict(codes, data).shape == (2, 8)
