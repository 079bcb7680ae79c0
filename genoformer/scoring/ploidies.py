"""Genotypes of each sample in each window -> its number of chromosomes there, by majority."""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np
from numpy.typing import NDArray

from genoformer.genome.genotypes import Calls


class Ploidies:
    """Counts of genotypes by ploidy, window and sample; genotypes with a variant, if any, decide before the others."""

    def __init__(self, n_windows: int, n_samples: int) -> None:
        self._shape = n_windows, n_samples
        self._with_variant: dict[int, NDArray[np.int32]] = {}  # ploidy -> genotypes [windows, samples]
        self._others: dict[int, NDArray[np.int32]] = {}

    def add(self, windows: Sequence[int], calls: Calls, usable: Set[int]) -> None:
        """Count the genotypes of all samples at a record in some windows; usable: numbers of the ALTs that can be scored."""
        kinds = [(genotype.known_ploidy, not usable.isdisjoint(genotype.alleles)) for genotype in calls.kinds]
        table_of_samples = np.array(kinds, dtype=np.int64).reshape(-1, 2)[calls.numbers]
        ploidies, has_variant = table_of_samples[:, 0], table_of_samples[:, 1] > 0
        for counts, counted in ((self._with_variant, has_variant), (self._others, ~has_variant)):
            for ploidy in np.unique(ploidies[counted & (ploidies > 0)]).tolist():
                table = counts.setdefault(ploidy, np.zeros(self._shape, dtype=np.int32))
                table[windows] += counted & (ploidies == ploidy)

    def most(self) -> NDArray[np.int64]:
        """Return the most frequent ploidy [windows, samples], the larger one in a tie; 0 if unknown."""
        found = _most(self._with_variant, self._shape)
        return np.where(found > 0, found, _most(self._others, self._shape))


def _most(counts: dict[int, NDArray[np.int32]], shape: tuple[int, int]) -> NDArray[np.int64]:
    found, largest = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int32)
    for ploidy, n in sorted(counts.items()):
        is_most = (n > 0) & (n >= largest)
        found[is_most] = ploidy
        largest = np.maximum(largest, n)
    return found
