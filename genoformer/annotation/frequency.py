"""INFO -> minor allele frequency (MAF) -> common, low or rare."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError

# Upper bound of the MAF of each class, from the 1000 Genomes Project (2015, figure 1).
CLASSES: dict[str, float] = {"rare": 0.005, "low": 0.05, "common": 0.5}
UNKNOWN = "unknown"


def frequency_reader(key: str = "AF") -> Callable[[str], float]:
    """Return a function from INFO to the total frequency of all ALTs, NaN if missing; without AF it uses AC / AN.

    The returned function raises ConfigError if a value is not a number from 0 to 1.

    >>> read = frequency_reader()
    >>> read("DP=3;AF=0.25,0.5"), read("AC=1;AN=4"), read("DP=3")
    (0.75, 0.25, nan)
    """
    pattern = re.compile(rf"(?:^|;){re.escape(key)}=([^;]*)")
    counts = re.compile(r"(?:^|;)AC=([\d,]+)(?:;|$)"), re.compile(r"(?:^|;)AN=(\d+)(?:;|$)")

    def read(info: str) -> float:
        if match := pattern.search(info):
            try:
                values = [float(text) for text in match[1].split(",") if text != "."]
            except ValueError:
                values = [-1.0]
            if not values:
                return float("nan")
            if not all(0 <= value <= 1 for value in values):
                raise ConfigError(f"INFO {key}={match[1][:40]} is no frequency; give the INFO key of the frequency.")
            return min(sum(values), 1.0)
        if key == "AF" and (ac := counts[0].search(info)) and (an := counts[1].search(info)) and int(an[1]):
            return min(sum(map(int, ac[1].split(","))) / int(an[1]), 1.0)
        return float("nan")

    return read


def minor(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the MAF: the smaller frequency of REF and of all ALTs together."""
    return np.minimum(frequency, 1 - frequency)


def frequency_classes(frequency: NDArray[np.float64]) -> list[str]:
    """Return the class of each record by its MAF: rare (below 0.5 %), low (below 5 %) or common; unknown for NaN.

    >>> frequency_classes(np.array([0.001, 0.999, 0.04, 0.3, float("nan")]))
    ['rare', 'rare', 'low', 'common', 'unknown']
    """
    names: Sequence[str] = [*CLASSES, UNKNOWN]
    which = np.searchsorted(list(CLASSES.values())[:-1], minor(frequency), side="right")
    return [names[-1] if unknown else names[i] for i, unknown in zip(which.tolist(), np.isnan(frequency).tolist(), strict=True)]
