"""Functions that read in other processes, which can import this module but not a test module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from genoformer.formats.tracks import TrackSource
    from genoformer.genome.reference import Genome


def some_windows(genome: Genome, n: int) -> bytes:
    """Short windows of contig a at random starts, the same for the same n, and a long one."""
    starts = np.random.default_rng(n).integers(-100, 50_000, 40)
    return genome.windows("a", starts, 700).tobytes() + genome.window("a", 10, 9000).tobytes()


def sum_of_track(source: TrackSource) -> float:
    """Sum of the first 60 bases of chr1."""
    return float(source.values("chr1", 0, 60).sum())
