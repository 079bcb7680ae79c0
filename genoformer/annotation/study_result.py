"""Study: the result of `enrich_variants`, as a table, a figure and sentences."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.annotation.enrichment import Enrichment, TraitMatrix
from genoformer.annotation.matching import MEANING, Strata, bin_edges

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MARK_P, MARK_OVERLAPS = 0.01, 3  # largest P and smallest number of overlaps of a marked cell


class Compared(NamedTuple):
    """Enrichment of a set of variants over its controls."""

    name: str  # "all", or the selection by score
    enrichment: Enrichment
    strata: Strata
    n_variants: int  # before matching
    n_compared: int  # after matching and pruning
    n_controls: int
    unmatched: dict[str, int]  # reason -> variants


class Study(NamedTuple):
    """Result of `enrich_variants`."""

    annotations: list[str]  # [A]
    compared: list[Compared]
    traits: list[str]
    matrix: TraitMatrix | None
    matched_on: list[str]
    settings: dict[str, Any]
    notes: list[str]
    seconds: float

    @property
    def marked(self) -> NDArray[np.bool_]:
        """Flags [T, A]: P at most 0.01 and at least three overlaps."""
        assert self.matrix is not None
        return (self.matrix.p <= MARK_P) & (self.matrix.observed >= MARK_OVERLAPS)

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each comparison and annotation, with the columns of enrichment.tsv."""
        from genoformer.annotation.study_tables import enrichment_frame

        return enrichment_frame(self)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the fold of each annotation of the first comparison over its controls, in `ax` or in a new figure."""
        from genoformer.annotation.study_tables import plot_study

        return plot_study(self, ax)

    def __repr__(self) -> str:
        return f"Study({'; '.join(describe(self)[len(self.notes) :])})"

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>{self.to_frame().to_html(index=False, float_format='{:.4g}'.format)}"


def marked_by_chance(expected: NDArray[np.float64]) -> float:
    """Return the expected number of marked cells without any enrichment, if overlaps are Poisson."""
    from scipy.stats import poisson

    least = np.maximum(poisson.isf(MARK_P, expected) + 1, MARK_OVERLAPS)  # smallest number of overlaps that is marked
    return float(poisson.sf(least - 1, expected).sum())


def describe(study: Study) -> list[str]:
    """Describe the comparisons in sentences."""
    lines = []
    for comparison in study.compared:
        n = comparison.n_variants - sum(comparison.unmatched.values())
        matched_on = "; ".join(
            f"{MEANING[key]} (bins from {', '.join(f'{edge:,g}' for edge in bin_edges(key, comparison.strata.widths[key]))})"
            for key in study.matched_on
        )
        lost = "; ".join(f"{reason}: {count:,}" for reason, count in comparison.unmatched.items()) or "none"
        name = "" if comparison.name == "all" else f"{comparison.name}: "
        lines.append(
            f"{name}{n:,} of {comparison.n_variants:,} variants compared with {comparison.n_controls:,} controls of "
            f"{study.settings['controls']}, matched on {matched_on or 'length and contigs only'}; unmatched: {lost}"
        )
    if study.matrix is not None:
        n_cells, n_marked = int((~np.isnan(study.matrix.q)).sum()), int(study.marked.sum())
        by_chance = marked_by_chance(study.matrix.expected)
        lines.append(f"traits: {n_marked:,} of {n_cells:,} cells are marked; about {by_chance:,.1f} are expected by chance")
    return [*study.notes, *lines]
