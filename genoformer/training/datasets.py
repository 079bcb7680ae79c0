"""Genome -> batches of windows of codes; where DNA meets the training loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N, reverse_complement
from genoformer.genome.reference import Genome

_MAX_N = 0.1  # windows with more N than this are drawn again
_TRIES = 100
_BLOCK = 256  # bases; windows begin in blocks that are not N
_SCAN = 1 << 20  # bases read at a time while looking for N


class RandomWindows:
    """Batch number i of windows [B, L] drawn at random from some contigs, half of them reverse-complemented.

    Batch i depends on (seed, i) alone, so a run can stop and go on anywhere, and loader workers need no state.
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
        which = self.contig_of[block]
        lengths = np.array([self.genome.contigs[name] for name in self.names])
        starts = np.minimum(self.starts[block] + random.integers(_BLOCK, size=n_windows), lengths[which] - self.length)
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
