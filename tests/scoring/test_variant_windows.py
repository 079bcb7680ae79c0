"""Windows of single bases, compared with those of the distinct pairs of contig and position."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from genoformer.genome.reference import Genome
from genoformer.scoring.variant_windows import VariantWindows

SEQUENCE = "".join(np.random.default_rng(0).choice(list("ACGT"), 300))


@pytest.mark.parametrize("contigs", [("one",), ("two", "one"), ("one", "two", "three")])
def test_each_base_has_its_window_and_none_is_there_twice(contigs: tuple[str, ...], make_fasta) -> None:
    genome = Genome(make_fasta(one=SEQUENCE, two=SEQUENCE[::-1], three=SEQUENCE[50:]))
    rng = np.random.default_rng(len(contigs))
    chroms = [contigs[i] for i in rng.integers(0, len(contigs), 200)]
    at = rng.integers(0, 250, 200)
    windows, starts, which = VariantWindows(genome, 21).centred(chroms, at)
    assert len(windows) == len(set(zip(chroms, at.tolist(), strict=True)))
    for chrom, base, row in zip(chroms, at.tolist(), which.tolist(), strict=True):
        assert windows[row].tolist() == genome.window(chrom, base - 10, 21).tolist()
    for i, j in combinations(range(len(chroms)), 2):
        apart = abs(int(starts[which[i]] - starts[which[j]]))
        assert apart == abs(int(at[i] - at[j])) if chroms[i] == chroms[j] else apart > 10_000
