"""Loci -> the sequences that a model reads to map them: of a track model on a genome, the window of its context."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from genoformer.errors import ConfigError, OptionError
from genoformer.genome.codes import Codes
from genoformer.genome.reference import Genome
from genoformer.genome.region_text import Interval, parse_region
from genoformer.genome.variants import place_alleles
from genoformer.interpretation.loci import Locus, place_text
from genoformer.interpretation.targets import AttributionTarget
from genoformer.models.base import PredictsTracks, has
from genoformer.scoring.allele_tracks import Grid

if TYPE_CHECKING:
    from genoformer.interpretation.session import Session

_MOST_BASES = 1 << 22  # bases of the windows in memory together


class InputWindow(NamedTuple):
    """A sequence that a model reads, and the index of the first base of a locus in it."""

    codes: Codes
    start: int


@dataclass(frozen=True)
class InputWindows:
    """Windows of a track model around the middles of loci; without a genome, each locus is its own window."""

    genome: Genome | None = None
    length: int = 0  # bases of a window; 0: those of the locus
    unit: int = 1  # a window has a multiple of so many bases

    def size(self, locus: Locus) -> int:
        """Return the length of the window of a locus: longer loci are widened to whole bins."""
        n = len(locus.codes)
        if self.genome is None or not locus.chrom:
            return n
        return self.length if n <= self.length else n + -n % self.unit

    def start(self, locus: Locus) -> int:
        """Return the index of a locus in its window; whole bins before it if the locus has whole bins."""
        margin = (self.size(locus) - len(locus.codes)) // 2
        return margin if len(locus.codes) % self.unit else margin // self.unit * self.unit

    def of(self, locus: Locus) -> InputWindow:
        """Return the window of a locus with its allele; bases before the variant keep their positions."""
        n, start = self.size(locus), self.start(locus)
        if n == len(locus.codes) or self.genome is None:
            return InputWindow(locus.codes, 0)
        first = locus.start - start
        if locus.alleles is None or locus.allele is None:
            return InputWindow(self.genome.window(locus.chrom, first, n), start)
        placed = place_alleles(self.genome, locus.allele, first, n)
        is_ref = np.array_equal(locus.codes, locus.alleles.ref)
        return InputWindow(placed.ref if is_ref else placed.alt, start)


def input_windows(session: Session, context: int | None) -> InputWindows:
    """Return the windows of the loci of a session. context: their length; None: that of the model.

    Raises OptionError for a context without a track model on a genome, or shorter than a locus.
    """
    model: Any = session.model
    if session.genome is None or not has(model, PredictsTracks):
        if context is not None:
            problem = "is of a track model on a genome, found a model or sequences that have no bases around; leave it out."
            raise OptionError("context", problem)
        return InputWindows()
    unit = model.window_unit_of(model.config)
    longest = max((len(locus.codes) for locus in session.loci), default=0)
    if context is not None and context < longest:
        raise OptionError("context", f"is {context:,} bases, expected those of the longest region, {longest:,}, or more.")
    return InputWindows(session.genome, context or model.config.context_length, unit)


def batches_of_windows(sizes: Sequence[int], keys: Sequence[Hashable]) -> list[list[int]]:
    """Return batches of the indices of windows of equal length and equal key, so many that they fit in memory."""
    groups: dict[tuple[int, Hashable], list[int]] = {}
    for i, group in enumerate(zip(sizes, keys, strict=True)):
        groups.setdefault(group, []).append(i)
    batches = []
    for (length, _), numbers in groups.items():
        n = max(1, min(256, _MOST_BASES // length))
        batches += [numbers[first : first + n] for first in range(0, len(numbers), n)]
    return batches


def targets_of_loci(
    session: Session, windows: InputWindows, target: AttributionTarget, *, bins: str | None = None, gene: str | None = None
) -> list[AttributionTarget]:
    """Return the target of each locus: over all bins that the model predicts, or over some of them.

    bins: "region", the bins that a locus touches, or an interval such as chr20:1,050,001-1,050,200, the bins that it touches.
    gene: the name of a gene of the session, whose exons cover the bins by more than half.
    Raises OptionError for both or for a model without bins, and ConfigError for a locus in whose window none of them is.
    """
    name = "bins" if bins is not None else "gene"
    if bins in (None, "all") and gene is None:
        return [target] * len(session.loci)
    if bins is not None and gene is not None:
        raise OptionError("bins", f"is {bins}, and a gene names bins, too; give one of them.")
    if not has(session.model, PredictsTracks):
        raise OptionError(name, "needs a track model, found a model without bins; leave it out, or choose another model.")
    genes = session.annotation.genes
    if gene is not None and genes is None:
        raise OptionError("gene", f"is {gene}, found no genes; give a GTF or GFF3 with them.")
    if gene is not None and genes is not None and gene not in genes.names:
        raise OptionError("gene", f"is {gene}, which {genes.source} does not have; give a gene_name of it.")
    place = None if bins in (None, "region") else _place(session, str(bins))
    found = []
    for locus in session.loci:
        grid, first = _grid(session.model, windows, target, locus)
        if gene is not None and genes is not None:
            exons = [one.exons for one in genes.over(grid.chrom, grid.start, grid.end) if one.name == gene]
            numbers = grid.mostly_of_spans(np.concatenate(exons)) if exons else np.zeros(0, dtype=np.int64)
        else:
            chrom, start, end = place or (locus.chrom, locus.start, locus.end)
            numbers = grid.of_spans(np.array([[start, end]])) if chrom == grid.chrom else np.zeros(0, dtype=np.int64)
        if not len(numbers):
            wanted = f"an exon of {gene}" if gene is not None else "the region" if place is None else bins
            predicted = place_text(grid.chrom, max(0, grid.start), grid.end - max(0, grid.start))
            raise ConfigError(
                f"{locus.name}: the model predicts the bins of {predicted}, and none of them is of {wanted}; give another "
                "one, or a longer context."
            )
        found.append(target._replace(bin_numbers=tuple((first + numbers).tolist())))
    return found


def _grid(model: Any, windows: InputWindows, target: AttributionTarget, locus: Locus) -> tuple[Grid, int]:
    """Return the predicted bins of the window of a locus on its contig, and the number of the first one in the window."""
    first, n = target.bins_in(model, windows.size(locus))
    size = model.bin_size_of(target.head)
    return Grid(locus.chrom, locus.start - windows.start(locus) + first * size, n, size), first


def _place(session: Session, text: str) -> Interval:
    """Return a place on the genome of a session."""
    if session.genome is None:
        raise OptionError("bins", f"is {text}, a place on a genome, found none; give its FASTA, or region.")
    place = parse_region(text, session.genome.contigs)
    return place._replace(chrom=session.genome.resolve(place.chrom))
