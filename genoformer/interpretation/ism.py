"""In-silico mutagenesis (ISM): every single-base change of a region or locus -> a map [L, 4].

The value of a change is its `genoformer score`, or its effect on one number of a model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer import plots
from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N, decode
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.inference.runtime import Floats, evaluating
from genoformer.interpretation.loci import Locus, place_text
from genoformer.interpretation.targets import AttributionTarget
from genoformer.progress import ProgressCallback, Stage
from genoformer.scoring.variant_scorer import VariantScorer

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_BATCH = 1 << 10  # variants in a batch
_SIZE, _HEIGHTS = (plots.PAGE, 2.8), (1.35, 1.2)  # of a figure in inches, and of its two panels


class Mutagenesis(NamedTuple):
    """Effect of each single-base change of a region."""

    chrom: str
    start: int  # 0-based
    codes: Codes  # [L], bases of the region
    names: list[str]  # names of the maps
    values: Floats  # [maps, L, 4]: base -> A, C, G, T; 0 for the reference base, NaN if unknown

    @property
    def importance(self) -> Floats:
        """Importance for a logo, [maps, L, 4]: minus the mean of the three changes at the reference base, else 0."""
        is_reference = self.codes[:, None] == np.arange(4)
        mean = np.nan_to_num(self.values).sum(-1, keepdims=True) / 3
        return np.where(is_reference, -mean, 0.0)

    @property
    def base_importance(self) -> Floats:
        """Importance of the reference base, [maps, L]; NaN if the reference is N."""
        return np.where(np.isnan(self.values).all(-1), np.nan, self.importance.sum(-1))

    def summed(self, name: str) -> Mutagenesis:
        """Return one map that is the sum of all maps, such as those of several tracks."""
        n = len(self.names)
        names = [name if n == 1 else f"{name}, sum of {n:,} tracks"]
        return self._replace(names=names, values=self.values.sum(0, keepdims=True))

    @property
    def hypothetical(self) -> Floats:
        """Hypothetical contributions for TF-MoDISco, [maps, L, 4]: the changes minus their mean over the four bases."""
        known = np.nan_to_num(self.values)
        return known - known.mean(-1, keepdims=True)

    @property
    def place(self) -> str:
        """Region as text, 1-based."""
        return place_text(self.chrom, self.start, len(self.codes))

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each change: chrom, pos (1-based), ref, alt and the value of each map."""
        import pandas as pd

        rows, bases = np.nonzero((self.codes[:, None] != np.arange(4)) & (self.codes[:, None] < N))
        named = {"chrom": self.chrom, "pos": self.start + 1 + rows, "ref": list(decode(self.codes[rows]))}
        values = {name: self.values[i, rows, bases] for i, name in enumerate(self.names)}
        return pd.DataFrame({**named, "alt": list(decode(bases.astype(np.uint8))), **values})

    def plot(self, axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
        """Draw the importance of each base above the first map, in two axes of the caller or of a new figure."""
        panels = list(axes) if axes is not None else plots.shown_panels(*_SIZE, heights=_HEIGHTS)
        self._draw(panels)
        return panels

    def _draw(self, panels: Sequence[Axes]) -> None:
        from genoformer.interpretation.figures import mutagenesis_panels

        mutagenesis_panels(panels[0], panels[1], Locus(self.place, self.chrom, self.start, self.codes), self)

    def __repr__(self) -> str:
        return f"Mutagenesis({self.place}, {', '.join(self.names)}: {len(self.codes):,} bases)"

    def _repr_html_(self) -> str:
        return plots.as_html(repr(self), self._draw, _SIZE, _HEIGHTS)


def mutagenesis(
    scorer: VariantScorer,
    genome: Genome,
    chrom: str,
    start: int,
    end: int,
    *,
    progress: ProgressCallback = None,
) -> Mutagenesis:
    """Score all changes of the bases [start, end) of a contig; each numeric column of the scorer gives one map.

    A language model scores the three changes of a base with one query for each strand, because its posterior covers all of
    them. With a track model the changes share the reference and the trunk of their windows. progress receives the number of
    finished bases and the number of all bases. Raises ConfigError for a region that is empty or not on the contig, and for a
    score that is defined only for insertions and deletions.
    """
    if indel_scores := [score.name for score in scorer.scores if not scorer.covers(score, "substitution")]:
        raise ConfigError(f"{', '.join(indel_scores)} scores insertions and deletions only, not single-base changes; use LLR.")
    chrom = genome.resolve(chrom)
    if not 0 <= start < end <= genome.contigs[chrom]:
        size = genome.contigs[chrom]
        raise ConfigError(f"region {chrom}:{start + 1:,}-{end:,} is empty or not on the contig of {size:,} bases; change it.")
    codes = genome.window(chrom, start, end - start)
    columns = [i for i, column in enumerate(scorer.columns) if not column.words and not column.belongs_to]
    if scorer.layout is not None and scorer.layout.has_column_per_track:
        strongest = {score.name for score in scorer.scores if score.per_output}  # the strongest track differs between changes
        columns = [i for i in columns if scorer.columns[i].name not in strongest]
    values = np.full((len(columns), len(codes), 4), np.nan)
    known = np.flatnonzero(codes < N)
    values[:, known, codes[known]] = 0
    changes = [(i, b) for i in known.tolist() for b in range(4) if b != codes[i]]
    stage = Stage(progress, "ism", len(known))
    for first in range(0, len(changes), _BATCH):
        batch = changes[first : first + _BATCH]
        variants = [Variant(chrom, start + i + 1, "ACGT"[codes[i]], "ACGT"[b]) for i, b in batch]
        rows, bases = (np.array(indices) for indices in zip(*batch, strict=True))
        values[:, rows, bases] = scorer.score(variants).values[:, columns].T
        stage.report(min(first + _BATCH, len(changes)) // 3)
    return Mutagenesis(chrom, start, codes, [scorer.columns[i].name for i in columns], values)


def mutageneses(
    scorer: VariantScorer, genome: Genome, loci: Sequence[Locus], *, bases: ProgressCallback = None
) -> list[Mutagenesis]:
    """Score every single-base change of each locus on its genome; `bases` receives the finished bases of each locus.

    Raises ConfigError for a sequence without a genome.
    """
    maps = []
    for locus in loci:
        if not locus.chrom:
            raise ConfigError(f"{locus.name} has no genome, and ISM needs its surroundings; give a BED and its FASTA.")
        start, end = max(0, locus.start), min(locus.end, genome.contigs[locus.chrom])
        maps.append(mutagenesis(scorer, genome, locus.chrom, start, end, progress=bases))
    return maps


def sequence_mutageneses(
    model: Any,
    loci: Sequence[Locus],
    *,
    output: AttributionTarget | None = None,
    device: str = "cpu",
    progress: ProgressCallback = None,
) -> list[Mutagenesis]:
    """Return the effect of every single-base change on one output of a model whose input is the sequence of the locus."""
    target, maps, stage = output or AttributionTarget(), [], Stage(progress, "ism", len(loci))
    with evaluating(model, device) as ready:
        for locus in loci:
            values = substitutions(locus.codes, partial(target.compute, ready, reference=locus.codes))
            maps.append(Mutagenesis(locus.chrom, locus.start, locus.codes, [target.name(ready)], values[None]))
            stage.add(1)
    return maps


def substitutions(
    codes: Codes,
    output: Callable[[Codes], Floats],
    *,
    start: int = 0,
    end: int | None = None,
    at: NDArray[np.int64] | None = None,
    batch_size: int = 1 << 14,
) -> Floats:
    """Return the change of a number by each substitution in a sequence [L]: [end - start, 4], or [n, 4] for the n bases `at`.

    output: codes [B, L] -> numbers [B]; it forms its own batches. batch_size: maximum number of mutated sequences in memory.
    The reference base has 0, an N has NaN.
    """
    positions = np.arange(start, len(codes) if end is None else end) if at is None else np.asarray(at)
    known = codes[positions] < N
    values = np.full((len(positions), 4), np.nan)
    values[known, codes[positions][known]] = 0
    rows = np.repeat(np.flatnonzero(known), 3)
    bases = ((codes[positions][rows] + np.tile([1, 2, 3], len(rows) // 3)) % 4).astype(np.uint8)
    unchanged = float(output(codes[None])[0])
    for first in range(0, len(rows), batch_size):
        batch, alternatives = rows[first : first + batch_size], bases[first : first + batch_size]
        edited = np.tile(codes, (len(batch), 1))
        edited[np.arange(len(batch)), positions[batch]] = alternatives
        values[batch, alternatives] = np.asarray(output(edited), dtype=float) - unchanged
    return values
