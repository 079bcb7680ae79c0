"""Indexes of a bigWig as we write them: other libraries find all blocks of data and all contigs by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyBigWig
import pytest

from genoformer.formats import bigwig_blocks
from genoformer.formats.bigwig import BigWig
from genoformer.formats.bigwig_writer import write_bigwig


def test_an_index_of_several_levels(tmp_path: Path) -> None:
    """256 blocks have room in a node; here are 600 blocks, and summaries of more blocks than that."""
    n = 600 * bigwig_blocks.PER_BLOCK
    starts = 2 * np.arange(n)
    values = np.random.default_rng(0).random(n).astype(np.float32)
    write_bigwig(tmp_path / "a.bw", {"c": 2 * n}, [("c", starts, starts + 1, values)])
    with pyBigWig.open(str(tmp_path / "a.bw")) as theirs:
        found = theirs.values("c", 0, 2 * n, numpy=True)
        np.testing.assert_array_equal(found[::2], values)
        assert np.isnan(found[1::2]).all()
        exact, fast = (np.array(theirs.stats("c", 0, 2 * n, nBins=6, exact=way)) for way in (True, False))
        np.testing.assert_allclose(exact, values.astype(float).reshape(6, -1).mean(1), rtol=1e-6)
        np.testing.assert_allclose(fast, exact, rtol=1e-3)  # stretches overlap two of the six
    np.testing.assert_array_equal(BigWig(tmp_path / "a.bw").values("c", n, n + 5000), np.nan_to_num(found[n : n + 5000]))


@pytest.mark.parametrize("n", [256, 257, 70_000])
def test_names_of_many_contigs(tmp_path: Path, n: int) -> None:
    lengths = {f"scaffold_{i}": i + 10 for i in range(n)}
    write_bigwig(tmp_path / "a.bw", lengths, [(f"scaffold_{i}", [1], [5], [i]) for i in (0, n // 2, n - 1)])
    with pyBigWig.open(str(tmp_path / "a.bw")) as theirs:
        assert theirs.chroms() == lengths
        assert [theirs.values(f"scaffold_{i}", 0, 2)[1] for i in (0, n // 2, n - 1)] == [0, n // 2, n - 1]
    ours = BigWig(tmp_path / "a.bw")
    assert ours.contigs == lengths
    assert ours.values(f"scaffold_{n - 1}", 0, 2).tolist() == [0, n - 1]
