"""In-silico mutagenesis: every single-base change of a region as a map [L, 4], scored as `genoformer score` would score it, or
by what it does to a number of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.inference.batching import Floats
from genoformer.scoring.scorers import Scorer
from genoformer.scoring.track_scorer import TrackScorer

_AT_ONCE = 1 << 10  # variants that are scored together


class Mutagenesis(NamedTuple):
    """What each change of a region does."""

    chrom: str
    start: int  # 0-based
    codes: Codes  # [L], the bases that are changed
    names: list[str]  # of the maps
    values: Floats  # [maps, L, 4]: base -> A, C, G, T; 0 for the reference's own base, NaN where that is not known

    @property
    def importance(self) -> Floats:
        """[maps, L, 4], for a logo: at the reference's base minus the mean of the three changes, else 0."""
        own = self.codes[:, None] == np.arange(4)
        mean = np.nan_to_num(self.values).sum(-1, keepdims=True) / 3
        return np.where(own, -mean, 0.0)

    @property
    def base_importance(self) -> Floats:
        """[maps, L]: the importance of the base that is there, NaN where that is not known."""
        return np.where(np.isnan(self.values).all(-1), np.nan, self.importance.sum(-1))

    def summed(self, name: str) -> Mutagenesis:
        """One map, the sum of all: of several tracks what they say together."""
        n = len(self.names)
        names = [name if n == 1 else f"{name}, sum of {n:,} tracks"]
        return self._replace(names=names, values=self.values.sum(0, keepdims=True))

    @property
    def hypothetical(self) -> Floats:
        """[maps, L, 4], for TF-MoDISco: what each base would add, the changes less their mean over the four."""
        known = np.nan_to_num(self.values)
        return known - known.mean(-1, keepdims=True)


def mutagenesis(
    scorer: Scorer, genome: Genome, chrom: str, start: int, end: int, *, progress: Callable[[int, int], None] | None = None
) -> Mutagenesis:
    """All changes of the bases [start, end) of a contig, a map for each column of the scorer that is a number.

    Of a language model the three changes of a base are one question a strand, since its posterior tells all; of a model of
    tracks they share their windows' reference and trunk. progress hears how many bases are done, and of how many.
    Raises ConfigError for a region that is empty or does not lie on the contig, and for a score that is of insertions and
    deletions alone.
    """
    if of_indels := [score.name for score in scorer.scores if score.kind == "indel"]:
        raise ConfigError(f"{', '.join(of_indels)} is of insertions and deletions, not of single changes; choose LLR.")
    chrom = genome.resolve(chrom)
    if not 0 <= start < end <= genome.contigs[chrom]:
        raise ConfigError(f"{chrom}:{start + 1:,}-{end:,} is no region of a contig of {genome.contigs[chrom]:,} bases.")
    codes = genome.window(chrom, start, end - start)
    columns = [i for i, column in enumerate(scorer.columns) if not column.words and not column.of]
    if isinstance(scorer, TrackScorer) and scorer.layout.chosen and len(scorer.tracks) > 1:
        strongest = {score.name for score in scorer.scores if score.of_tracks}  # whose track is another for every change
        columns = [i for i in columns if scorer.columns[i].name not in strongest]
    values = np.full((len(columns), len(codes), 4), np.nan)
    known = np.flatnonzero(codes < N)
    values[:, known, codes[known]] = 0
    places = [(i, b) for i in known.tolist() for b in range(4) if b != codes[i]]
    for first in range(0, len(places), _AT_ONCE):
        some = places[first : first + _AT_ONCE]
        variants = [Variant(chrom, start + i + 1, "ACGT"[codes[i]], "ACGT"[b]) for i, b in some]
        rows, bases = (np.array(of) for of in zip(*some, strict=True))
        values[:, rows, bases] = scorer(variants).values[:, columns].T
        if progress is not None:
            progress(min(first + _AT_ONCE, len(places)) // 3, len(known))
    return Mutagenesis(chrom, start, codes, [scorer.columns[i].name for i in columns], values)


def substitutions(
    codes: Codes,
    output: Callable[[Codes], Floats],
    *,
    start: int = 0,
    end: int | None = None,
    at: NDArray[np.int64] | None = None,
    at_once: int = 1 << 14,
) -> Floats:
    """What each change of a sequence [L] does to a number, output: [B, L] -> [B]; [end - start, 4], or [n, 4] `at` n bases.

    0 for the base that is there, NaN at an N. At most `at_once` sequences are made at a time; the batches are output's own.
    """
    places = np.arange(start, len(codes) if end is None else end) if at is None else np.asarray(at)
    known = codes[places] < N
    values = np.full((len(places), 4), np.nan)
    values[known, codes[places][known]] = 0
    rows = np.repeat(np.flatnonzero(known), 3)
    bases = ((codes[places][rows] + np.tile([1, 2, 3], len(rows) // 3)) % 4).astype(np.uint8)
    before = float(output(codes[None])[0])
    for first in range(0, len(rows), at_once):
        some, to = rows[first : first + at_once], bases[first : first + at_once]
        made = np.tile(codes, (len(some), 1))
        made[np.arange(len(some)), places[some]] = to
        values[some, to] = np.asarray(output(made), dtype=float) - before
    return values
