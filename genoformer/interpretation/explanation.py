"""Explanation of a variant: its parts, and how a score is repeated in a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer import plots
from genoformer.genome.codes import decode
from genoformer.genome.variants import Alleles, Variant
from genoformer.inference.runtime import Floats
from genoformer.interpretation.loci import Locus
from genoformer.scoring.score_types import Score
from genoformer.tables import rounded

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_AGREES = 1e-3  # relative difference allowed for a score that is computed again in another batch
_ROUNDING = 1e-6  # relative to the sum of a track


class AlleleTracks(NamedTuple):
    """Predicted track for both alleles, with the edges of its bins on the contig."""

    label: str
    edges: Floats  # [N + 1]
    ref: NDArray[np.floating]  # [N]
    alt: NDArray[np.floating]  # [N]
    unit: str = ""
    name: str = ""  # identifier of the track


class Printed(NamedTuple):
    """Score of a variant as a file reports it."""

    score: Score
    value: float
    track: str | None = None  # or the class
    remade: bool = True  # True if the scorer at hand has the model that computed the score

    @property
    def text(self) -> str:
        return f"{self.score.name} {rounded(self.value)}"


class VariantExplanation(NamedTuple):
    """Logos of both alleles of a variant and, for a track model, the scored track."""

    locus: Locus
    ref: Floats  # heights [L, 4]
    alt: Floats
    label: str
    meaning: str
    tracks: AlleleTracks | None = None  # the scored track around the variant
    windows: tuple[AlleleTracks, ...] = ()  # the scored track and others with a large score, in the whole window

    def plot(self, axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
        """Draw the logos of REF and ALT, in the last two axes of the caller or of a new figure.

        A track model has two more above them: the scored track of both alleles, and ALT - REF. Two axes have the logos alone.
        """
        panels = list(axes) if axes is not None else plots.shown_panels(*self._size)
        self._draw(panels)
        return panels

    @property
    def _size(self) -> tuple[float, float, tuple[float, ...]]:
        """Width and height in inches of a figure, and the relative heights of its panels."""
        return (plots.PAGE, 5.2, (1.2, 0.8, 1.15, 1.15)) if self.tracks is not None else (plots.PAGE, 3.2, (1, 1))

    def _draw(self, panels: Sequence[Axes]) -> None:
        alleles, start, tracks = self.locus.alleles, self.locus.start, self.tracks
        assert alleles is not None
        above, both = panels[:-2], panels[-2:]
        if tracks is not None and above:
            at = start + alleles.ref_start
            sides = tracks.edges, tracks.ref, tracks.alt
            plots.allele_tracks(above, *sides, label=tracks.label, chrom=self.locus.chrom, at=at)
        changed, of_alt = (alleles.ref_start, alleles.ref_length, alleles.alt_length), alleles.alt_start
        plots.allele_logos(both, self.ref, self.alt, first=start + 1, changed=changed, label=self.label)
        plots.allele_coordinates(both, start + 1, len(self.alt), changed, self.locus.chrom, alt_start=of_alt)

    def __repr__(self) -> str:
        return f"VariantExplanation({self.locus.name}, {self.label}: {len(self.ref)} bases)"

    def _repr_html_(self) -> str:
        width, height, heights = self._size
        return plots.as_html(f"{self!r}. {self.meaning}", self._draw, (width, height), heights)

    @property
    def shown(self) -> tuple[str, str]:
        """REF and ALT as the sequences spell them; the length of an allele of more than 12 bases.

        If one has no bases, both have the base before it, as in a VCF.
        """
        assert self.locus.alleles is not None
        alleles = self.locus.alleles
        lead = int(0 in (alleles.ref_length, alleles.alt_length))
        ref = decode(alleles.ref[max(alleles.ref_start - lead, 0) : alleles.ref_start + alleles.ref_length])
        alt = decode(alleles.alt[max(alleles.alt_start - lead, 0) : alleles.alt_start + alleles.alt_length])
        first, second = (text if len(text) <= 12 else f"{len(text)} bases" for text in (ref, alt))
        return first, second


def difference(printed: Printed, value: float, scale: float) -> str:
    """Return a remark on a score that was computed again; "" if both values are equal up to rounding."""
    if value != value:
        return ""
    if not printed.remade:
        return f" {printed.score.name} of the model in this figure: {rounded(value)}."
    if abs(value - printed.value) <= max(_AGREES * abs(printed.value), _ROUNDING * scale):
        return ""
    return (
        f" Recomputed here it is {rounded(value)}: the FASTA or an option differs from those of the scores, "
        "so the figure does not show what was scored."
    )


def allele_locus(variant: Variant, start: int, alleles: Alleles, first: int, length: int) -> Locus:
    """Return the locus of the logos, cut out of wider alleles at index `first`."""
    cut = slice(first, first + length)
    shown = alleles._replace(
        ref=alleles.ref[cut],
        alt=alleles.alt[cut],
        ref_start=alleles.ref_start - first,
        alt_start=alleles.alt_start - first,
    )
    return Locus(str(variant), variant.chrom, start, shown.ref, shown, variant)
