"""Zoom levels as we write them: pybigtools reads summaries that equal naive ones, pyBigWig the values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pybigtools
import pyBigWig
import pytest
from amounts import examples
from hypothesis import given
from hypothesis import strategies as st

from genoformer.formats.bigwig import BigWig
from genoformer.formats.bigwig_writer import new_bigwig, write_bigwig

LENGTH = 3_000


def random_intervals(seed: int, n: int, widest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    gaps, widths = random.integers(0, 3, n) * random.integers(0, 9, n), random.integers(1, widest + 1, n)
    ends = np.cumsum(gaps + widths)
    return ends - widths, ends, random.normal(0, 4, n).astype(np.float32)


def bases(starts: np.ndarray, ends: np.ndarray, values: np.ndarray, length: int) -> np.ndarray:
    """The value of each base, NaN where there is none."""
    out = np.full(length, np.nan)
    for start, end, value in zip(starts, ends, values, strict=True):
        out[start:end] = value
    return out


@examples(30)
@given(st.integers(0, 10**6), st.integers(1, 120), st.sampled_from([1, 4, 25]), st.integers(1, 40))
def test_values_and_zoom_levels_equal_naive_ones(
    tmp_path_factory: pytest.TempPathFactory, seed: int, n: int, widest: int, per_call: int
) -> None:
    path = tmp_path_factory.mktemp("bw") / "a.bw"
    runs = {"b": random_intervals(seed, n, widest), "a": random_intervals(seed + 1, n, widest)}
    lengths = {"none": 7, "b": LENGTH, "a": LENGTH * 2, "last": 5}
    with new_bigwig(path, lengths) as file:
        for chrom, columns in runs.items():
            for i in range(0, n, per_call):
                file.add(chrom, *(column[i : i + per_call] for column in columns))
    theirs, other = pyBigWig.open(str(path)), pybigtools.open(str(path))
    assert theirs.chroms() == other.chroms() == lengths
    everything = []
    for chrom, columns in runs.items():
        expected = bases(*columns, lengths[chrom])
        everything.append(expected[~np.isnan(expected)])
        np.testing.assert_array_equal(theirs.values(chrom, 0, lengths[chrom], numpy=True), expected.astype(np.float32))
        np.testing.assert_array_equal(BigWig(path).values(chrom, 0, lengths[chrom]), np.nan_to_num(expected))
        for size in other.zooms():
            found = list(other.zoom_records(size, chrom))
            covered = np.concatenate([np.arange(start, end) for start, end, _ in found])
            assert len(covered) == len(set(covered.tolist()))
            assert np.isin(np.flatnonzero(~np.isnan(expected)), covered).all()
            for start, end, summary in found:
                known = expected[start:end][~np.isnan(expected[start:end])]
                assert summary["bases_covered"] == len(known)
                assert (summary["min_val"], summary["max_val"]) == (known.min(), known.max())
                assert summary["sum"] == pytest.approx(known.sum(), rel=1e-5, abs=1e-4)
                assert summary["sum_squares"] == pytest.approx((known**2).sum(), rel=1e-5, abs=1e-4)
                assert start // size == (end - 1) // size or len(set(known.tolist())) == 1
    together = np.concatenate(everything)
    assert BigWig(path).n_bases == len(together)
    assert theirs.header()["sumData"] == int(together.sum())
    theirs.close()


def test_a_long_interval_after_short_ones_is_not_cut_into_millions(tmp_path: Path) -> None:
    write_bigwig(tmp_path / "a.bw", {"c": 200_000_000}, [("c", [0, 1, 7], [1, 2, 199_999_999], [1, 2, 3])])
    assert (tmp_path / "a.bw").stat().st_size < 3_000
    with pyBigWig.open(str(tmp_path / "a.bw")) as theirs:
        assert theirs.stats("c", 0, 200_000_000, nBins=4)[1:3] == [3, 3]
