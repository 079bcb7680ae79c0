"""Genomes -> batches of windows of integer-encoded DNA for the training loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.formats.bed import Intervals
from genoformer.genome.codes import Codes, N, reverse_complement
from genoformer.genome.reference import Genome
from genoformer.genome.regions import merge, n_overlaps, subtract
from genoformer.training.kmer_baseline import stretches
from genoformer.training.random_streams import RandomStream

_MAX_N = 0.1  # windows with more N than this are drawn again
_TRIES = 200
_BLOCK = 256  # bases; windows begin in blocks that are not N
_SCAN = 1 << 20  # bases read at a time while looking for N


@dataclass(frozen=True)
class Source:
    """Contigs of a genome to draw windows from.

    No window overlaps an interval of the blacklist. With regions, a fraction `regions_share` of the windows is centred on a
    random base inside a region. `weight` is the sampling weight of a base, relative to the other sources.
    """

    genome: Genome
    contigs: Sequence[str]
    blacklist: Mapping[str, Intervals] = field(default_factory=dict)
    regions: Mapping[str, Intervals] | None = None
    regions_share: float = 0.5
    weight: float = 1.0


def iter_unmasked(sources: Sequence[Source], length: int) -> Iterator[Codes]:
    """Yield codes [L] of each stretch of known bases that windows of `length` bases can cover.

    Skip the blacklist and gaps in it shorter than a window.
    """
    for source in sources:
        closed: dict[str, Intervals] = {}
        for name in source.contigs:
            whole = np.array([[0, source.genome.contigs[name]]])
            free = subtract(whole, source.blacklist.get(name, np.empty((0, 2), dtype=np.int64)))
            closed[name] = subtract(whole, free[free[:, 1] - free[:, 0] >= length])
        yield from stretches(source.genome, source.contigs, closed)


class RandomWindows:
    """Windows [B, L] drawn at random from the contigs of some sources; half of them are reverse-complemented.

    Window n depends only on (seed, n), and not on its batch or on the process that draws it.
    """

    def __init__(
        self, sources: Sequence[Source], length: int, batch_size: int, seed: int, *, both_strands: bool = True
    ) -> None:
        self.length, self.batch_size, self.seed, self.both_strands = length, batch_size, seed, both_strands
        self.sources = sources
        self.places = [_Places(source, length) for source in sources]
        share = np.array([s.weight * len(p.starts) for s, p in zip(sources, self.places, strict=True)])
        self.until = (share / share.sum()).cumsum()  # [n_sources]; a uniform number below until[i] selects source i

    @property
    def n_bases(self) -> int:
        """Approximate number of bases at which windows can begin."""
        return _BLOCK * sum(len(places.starts) for places in self.places)

    def batch(self, i: int) -> Codes:
        """Return the windows [B, L] of batch i: numbers i B to (i + 1) B."""
        return self.drawn(np.arange(i * self.batch_size, (i + 1) * self.batch_size))[0]

    def batches(self, n_batches: int) -> Iterator[Codes]:
        return (self.batch(i) for i in range(n_batches))

    def drawn(self, numbers: NDArray[np.int64], *, soft_masked: bool = False) -> tuple[Codes, NDArray[np.bool_] | None]:
        """Return the windows of the given numbers, codes [B, L], and their soft-masked bases, bool [B, L], or None.

        soft_masked: return the soft-masked (lower-case) bases of the FASTA as well.
        """
        uniform = RandomStream(self.seed, numbers)
        first = uniform(2)
        source = np.searchsorted(self.until[:-1], first[:, 0], side="right")
        codes = np.empty((len(numbers), self.length), dtype=np.uint8)
        lower = np.zeros(codes.shape, dtype=np.bool_) if soft_masked else None
        missing = np.arange(len(numbers))
        for _ in range(_TRIES):
            draw = uniform(4)
            for i in np.unique(source[missing]):
                here = missing[source[missing] == i]
                self.places[i].fill(here, draw[here], codes, lower)
            bad = (codes[missing] >= N).mean(axis=1) > _MAX_N
            missing = missing[bad]
            if not len(missing):
                break
        else:
            raise ConfigError(f"no window of {self.length} bases without N and blacklist was found; choose a shorter one.")
        if self.both_strands:
            flip = first[:, 1] < 0.5
            codes[flip] = reverse_complement(codes[flip])
            if lower is not None:
                lower[flip] = lower[flip, ::-1]
        return codes, lower


class _Places:
    """Positions at which the windows of one source can begin."""

    def __init__(self, source: Source, length: int) -> None:
        genome, self.source, self.length = source.genome, source, length
        self.names = [name for name in source.contigs if genome.contigs[name] >= length]
        if not self.names:
            raise ConfigError(f"no contig of {', '.join(source.contigs)} has {length} bases; choose a shorter window.")
        self.blacklist = [source.blacklist.get(name, np.empty((0, 2), dtype=np.int64)) for name in self.names]
        blocks = [_blocks_with_bases(genome, name, length) for name in self.names]
        ends = (np.minimum(b + _BLOCK, genome.contigs[name]) for b, name in zip(blocks, self.names, strict=True))
        blocks = [b[~_inside(b, end, black)] for b, end, black in zip(blocks, ends, self.blacklist, strict=True)]
        self.contig_of = np.repeat(np.arange(len(blocks)), [len(b) for b in blocks])
        self.starts = np.concatenate(blocks)
        if not len(self.starts):
            raise ConfigError(f"contigs {', '.join(self.names)} are all N or blacklisted; choose others.")
        self.lengths = np.array([genome.contigs[name] for name in self.names])
        self.regions: NDArray[np.int64] | None = None
        if source.regions is not None:
            inside = [(i, *row) for i, name in enumerate(self.names) for row in source.regions.get(name, ())]
            if not inside:
                raise ConfigError(f"no region lies on {', '.join(self.names)}; are the contigs named alike?")
            self.regions = np.array(inside, dtype=np.int64)  # [n, 3]: contig, start, end
            self.region_ends = np.cumsum(self.regions[:, 2] - self.regions[:, 1])

    def fill(self, rows: NDArray[np.int64], draw: NDArray[np.float64], codes: Codes, lower: NDArray[np.bool_] | None) -> None:
        """Write windows chosen by uniform numbers draw [n, 4] to these rows of codes; N if a window overlaps the blacklist."""
        block = (draw[:, 0] * len(self.starts)).astype(np.int64)
        which, starts = self.contig_of[block], self.starts[block] + (draw[:, 1] * _BLOCK).astype(np.int64)
        if self.regions is not None:
            centred = draw[:, 2] < self.source.regions_share
            base = (draw[:, 3] * self.region_ends[-1]).astype(np.int64)  # of all bases in regions
            row = np.searchsorted(self.region_ends, base, side="right")
            middle = self.regions[row, 2] - (self.region_ends[row] - base)
            which, starts = np.where(centred, self.regions[row, 0], which), np.where(centred, middle - self.length // 2, starts)
        starts = np.clip(starts, 0, self.lengths[which] - self.length)
        for contig in np.unique(which):
            on_contig = which == contig
            name, begin = self.names[contig], starts[on_contig]
            windows = self.source.genome.windows(name, begin, self.length)
            windows[_touched(begin, self.length, self.blacklist[contig])] = N
            codes[rows[on_contig]] = windows
            if lower is not None:
                lower[rows[on_contig]] = self.source.genome.soft_masked(name, begin, self.length)


def _touched(starts: NDArray[np.int64], length: int, blacklist: Intervals) -> NDArray[np.bool_]:
    """Return True for each window [start, start + length) that overlaps the blacklist, [B]."""
    return n_overlaps(np.stack([starts, starts + length], axis=1), blacklist) > 0


def _inside(starts: NDArray[np.int64], ends: NDArray[np.int64], blacklist: Intervals) -> NDArray[np.bool_]:
    """Return True for each block [start, end) that lies entirely in the blacklist: no window can begin there, [B]."""
    if not len(blacklist):
        return np.zeros(len(starts), dtype=np.bool_)
    joined = merge(blacklist)
    row = np.searchsorted(joined[:, 0], starts, side="right") - 1
    return (row >= 0) & (joined[row, 1] >= ends)


def _blocks_with_bases(genome: Genome, contig: str, length: int) -> NDArray[np.int64]:
    """Return the starts of the blocks in which a window can begin: few N, and room for the window."""
    room = genome.contigs[contig] - length + 1
    kept = [np.empty(0, dtype=np.int64)]
    for start in range(0, genome.contigs[contig], _SCAN):
        codes = genome.window(contig, start, min(_SCAN, genome.contigs[contig] - start))
        if codes.min() >= N:
            continue
        padded = np.append(codes, np.full(-len(codes) % _BLOCK, N, dtype=np.uint8)).reshape(-1, _BLOCK)
        last = -(-len(codes) // _BLOCK) - 1
        n_bases = np.full(len(padded), _BLOCK)
        n_bases[last] = len(codes) - last * _BLOCK
        here = start + _BLOCK * np.flatnonzero((padded < N).sum(axis=1) >= (1 - _MAX_N) * n_bases)
        kept.append(here[here < room])
    return np.concatenate(kept)
