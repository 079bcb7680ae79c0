"""Random numbers as a function of (seed, window, number of the draw), independent of batch, process and run.

A run can therefore be resumed at any step, and two processes together draw the same numbers as one process.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genoformer.genome.minhash import GOLDEN, mixed


class RandomStream:
    """Uniform random numbers for each window: a call with n returns the next n of every window, float64 [B, n] in [0, 1).

    >>> alone, together = RandomStream(7, np.array([3])), RandomStream(7, np.array([2, 3]))
    >>> bool((alone(5)[0] == together(5)[1]).all())
    True
    """

    def __init__(self, seed: int, windows: NDArray[np.int64], stream: int = 0) -> None:
        key = mixed(np.array([seed], dtype=np.uint64) * GOLDEN + np.uint64(stream + 1))
        self.state = mixed(windows.astype(np.uint64) * GOLDEN + key)[:, None]  # [B, 1]
        self.drawn = 0

    def __call__(self, n: int) -> NDArray[np.float64]:
        count = np.arange(self.drawn + 1, self.drawn + n + 1, dtype=np.uint64)
        self.drawn += n
        return (mixed(self.state + count * GOLDEN) >> np.uint64(11)).astype(np.float64) * 2.0**-53  # [B, n]
