"""Values of random windows of a bigWig, compared with the value of every base one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genoformer.errors import FileFormatError
from genoformer.formats.bigwig import BigWig
from genoformer.formats.bigwig_bytes import BigWigBytes
from genoformer.formats.bigwig_writer import new_bigwig

LENGTH, N_ROWS = 20_000, 3_000
KINDS = ["one base each", "bins of three", "bins with missing ones", "touching", "with gaps", "bins, then intervals"]


def rows_of(kind: str, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Runs of intervals, as they are added to a file: starts, ends, values."""
    values = rng.gamma(0.5, 10, N_ROWS).astype(np.float32)
    bins = np.arange(N_ROWS)
    if kind == "one base each":
        return [(bins + 70, bins + 71, values)]
    if kind in ("bins of three", "bins with missing ones"):
        values[rng.random(N_ROWS) < (0.2 if kind == "bins with missing ones" else 0)] = np.nan
        return [(3 * bins + 5, 3 * bins + 8, values)]
    edges = np.cumsum(rng.integers(1, 4, 2 * N_ROWS)) + 100
    if kind == "touching":
        return [(edges[:N_ROWS], edges[1 : N_ROWS + 1], values)]
    if kind == "with gaps":
        return [(edges[::2], edges[1::2], values)]
    first = 2 * N_ROWS + 50
    return [(2 * bins, 2 * bins + 2, values), (first + edges[:-1:2], first + edges[1::2], values)]


@pytest.mark.parametrize("kind", KINDS)
def test_windows_have_the_value_of_each_base(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(KINDS.index(kind))
    expected = np.zeros(3 * LENGTH, dtype=np.float32)  # as many bases before the contig, and behind it
    with new_bigwig(tmp_path / "a.bw", {"chr0": 50, "chr1": LENGTH}) as file:
        file.add("chr0", [3], [9], [4])
        for starts, ends, values in rows_of(kind, rng):
            file.add("chr1", starts, ends, values)
            for start, end, value in zip(starts.tolist(), ends.tolist(), np.nan_to_num(values), strict=True):
                expected[LENGTH + start : LENGTH + end] = value
    track = BigWig(tmp_path / "a.bw")
    places = [(-5, LENGTH + 5), (0, LENGTH), (0, 0), (60, 80), (LENGTH - 3, LENGTH + 3), (-9, -2)]
    places += [tuple(sorted(rng.integers(-30, LENGTH + 30, 2).tolist())) for _ in range(30)]
    for start, end in places:
        np.testing.assert_array_equal(track.values("chr1", start, end), expected[LENGTH + start : LENGTH + end])
        dense = np.zeros(end - start, dtype=np.float32)
        for a, b, value in track.intervals("chr1", start, end):
            assert start <= a < b <= end
            dense[a - start : b - start] = value
        np.testing.assert_array_equal(dense, expected[LENGTH + start : LENGTH + end])


@pytest.mark.parametrize("kind", ["one base each", "touching"])
def test_blocks_that_overlap_are_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with new_bigwig(tmp_path / "a.bw", {"chr1": LENGTH}) as file:
        for run in rows_of(kind, np.random.default_rng(0)):
            file.add("chr1", *run)
    track = BigWig(tmp_path / "a.bw")
    true = BigWigBytes._read
    monkeypatch.setattr(BigWigBytes, "_read", lambda *place: [block for block in true(*place) for _ in range(2)])
    with pytest.raises(FileFormatError, match="intervals of chr1 overlap"):
        track.values("chr1", 0, LENGTH)
