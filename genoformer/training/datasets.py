"""Genome -> batches of windows of codes; where DNA meets the training loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N, reverse_complement
from genoformer.genome.reference import Genome
from genoformer.genome.regions import Intervals

_MAX_N = 0.1  # windows with more N than this are drawn again
_TRIES = 100
_BLOCK = 256  # bases; windows begin in blocks that are not N
_SCAN = 1 << 20  # bases read at a time while looking for N


class RandomWindows:
    """Batch number i of windows [B, L] drawn at random from some contigs, half of them reverse-complemented.

    With regions, `regions_share` of the windows are centred on a random base inside one of them. Batch i depends on
    (seed, i) alone, so a run can stop and go on anywhere, and loader workers need no state.
    """

    def __init__(
        self,
        genome: Genome,
        contigs: Sequence[str],
        length: int,
        batch_size: int,
        seed: int,
        *,
        both_strands: bool = True,
        regions: Mapping[str, Intervals] | None = None,
        regions_share: float = 0.5,
    ) -> None:
        long_enough = [name for name in contigs if genome.contigs[name] >= length]
        if not long_enough:
            raise ConfigError(f"no contig of {', '.join(contigs)} has {length} bases; choose a shorter window.")
        self.genome, self.length, self.batch_size, self.seed = genome, length, batch_size, seed
        self.both_strands = both_strands
        self.names = long_enough
        blocks = [_blocks_with_bases(genome, name, length) for name in long_enough]
        self.contig_of = np.repeat(np.arange(len(blocks)), [len(b) for b in blocks])
        self.starts = np.concatenate(blocks)
        if not len(self.starts):
            raise ConfigError(f"contigs {', '.join(contigs)} are all N; choose others.")
        self.lengths = np.array([genome.contigs[name] for name in long_enough])
        self.regions_share = regions_share if regions is not None else 0.0
        if regions is not None:
            inside = [(i, *row) for i, name in enumerate(long_enough) for row in regions.get(name, ())]
            if not inside:
                raise ConfigError(f"no region lies on {', '.join(long_enough)}; are the contigs named alike?")
            self.regions = np.array(inside, dtype=np.int64)  # [n, 3]: contig, start, end
            self.region_ends = np.cumsum(self.regions[:, 2] - self.regions[:, 1])

    def batch(self, i: int) -> Codes:
        """Windows [B, L] of batch i."""
        random = np.random.default_rng([self.seed, i])
        kept: list[Codes] = []
        missing = self.batch_size
        for _ in range(_TRIES):
            windows = self._draw(missing, random)
            windows = windows[(windows >= N).mean(axis=1) <= _MAX_N]
            kept.append(windows)
            missing -= len(windows)
            if not missing:
                return np.concatenate(kept)
        raise ConfigError(f"contigs {', '.join(self.names)} are nearly all N; no window of {self.length} bases was found.")

    def _draw(self, n_windows: int, random: np.random.Generator) -> Codes:
        block = random.integers(len(self.starts), size=n_windows)
        which, starts = self.contig_of[block], self.starts[block] + random.integers(_BLOCK, size=n_windows)
        if self.regions_share:
            centred = random.random(n_windows) < self.regions_share
            base = random.integers(self.region_ends[-1], size=n_windows)  # of all bases in regions
            row = np.searchsorted(self.region_ends, base, side="right")
            middle = self.regions[row, 2] - (self.region_ends[row] - base)
            which, starts = np.where(centred, self.regions[row, 0], which), np.where(centred, middle - self.length // 2, starts)
        starts = np.clip(starts, 0, self.lengths[which] - self.length)
        windows = np.empty((n_windows, self.length), dtype=np.uint8)
        for contig in np.unique(which):
            mine = which == contig
            windows[mine] = self.genome.windows(self.names[contig], starts[mine], self.length)
        if self.both_strands:
            flip = random.random(n_windows) < 0.5
            windows[flip] = reverse_complement(windows[flip])
        return windows

    def batches(self, n_batches: int) -> Iterator[Codes]:
        return (self.batch(i) for i in range(n_batches))


def _blocks_with_bases(genome: Genome, contig: str, length: int) -> NDArray[np.int64]:
    """Starts of the blocks of a contig in which a window can begin: few N, and room for the window."""
    kept = []
    room = genome.contigs[contig] - length + 1
    for start in range(0, room, _SCAN):
        codes = genome.windows(contig, [start], _SCAN)[0].reshape(-1, _BLOCK)
        here = start + _BLOCK * np.flatnonzero((codes >= N).mean(axis=1) <= _MAX_N)
        kept.append(here[here < room])
    return np.concatenate(kept)
