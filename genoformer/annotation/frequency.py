"""How frequent the alleles of a record are: INFO -> minor allele frequency -> common, low or rare."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError

# As the 1000 Genomes Project has it (2015, figure 1): the upper bound of the minor allele frequency of each class.
CLASSES: dict[str, float] = {"rare": 0.005, "low": 0.05, "common": 0.5}
UNKNOWN = "unknown"


def frequency_reader(key: str = "AF") -> Callable[[str], float]:
    """A function: INFO -> frequency of all ALTs together, NaN where it has none; without AF it is AC / AN.

    Raises ConfigError (then, of a record) where a value is no number from 0 to 1.

    >>> read = frequency_reader()
    >>> read("DP=3;AF=0.25,0.5"), read("AC=1;AN=4"), read("DP=3")
    (0.75, 0.25, nan)
    """
    pattern = re.compile(rf"(?:^|;){re.escape(key)}=([^;]*)")
    counts = re.compile(r"(?:^|;)AC=([\d,]+)(?:;|$)"), re.compile(r"(?:^|;)AN=(\d+)(?:;|$)")

    def read(info: str) -> float:
        if found := pattern.search(info):
            try:
                values = [float(text) for text in found[1].split(",") if text != "."]
            except ValueError:
                values = [-1.0]
            if not values:
                return float("nan")
            if not all(0 <= value <= 1 for value in values):
                raise ConfigError(f"INFO {key}={found[1][:40]} is no frequency; name the key of INFO that is, with --af KEY.")
            return min(sum(values), 1.0)
        if key == "AF" and (ac := counts[0].search(info)) and (an := counts[1].search(info)) and int(an[1]):
            return min(sum(map(int, ac[1].split(","))) / int(an[1]), 1.0)
        return float("nan")

    return read


def minor(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """The frequency of the rarer of REF and all ALTs."""
    return np.minimum(frequency, 1 - frequency)


def classes_of(frequency: NDArray[np.float64]) -> list[str]:
    """rare (below 0.5 %), low (below 5 %) or common, by the minor allele; unknown for NaN.

    >>> classes_of(np.array([0.001, 0.999, 0.04, 0.3, float("nan")]))
    ['rare', 'rare', 'low', 'common', 'unknown']
    """
    names: Sequence[str] = [*CLASSES, UNKNOWN]
    which = np.searchsorted(list(CLASSES.values())[:-1], minor(frequency), side="right")
    return [names[-1] if unknown else names[i] for i, unknown in zip(which.tolist(), np.isnan(frequency).tolist(), strict=True)]
