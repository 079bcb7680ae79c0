"""A number for each base of a sequence, such as its attention or attribution, with a table and a figure for notebooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genoformer import plots
from genoformer.genome.codes import Codes, decode
from genoformer.inference.runtime import Floats
from genoformer.interpretation.loci import Locus, place_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_SIZE = (plots.PAGE, 1.8)  # of a figure in inches


@dataclass(frozen=True, eq=False)
class BaseMap:
    """Values [L] of the bases of a sequence; numpy functions take the map as its values.

    >>> from genoformer.genome.codes import encode
    >>> one = BaseMap("chr1", 9, encode("ACG"), np.array([0.1, 0.5, 0.2]), "attention (cls)")
    >>> one, one.shape, float(np.sum(one).round(1))
    (BaseMap(chr1:10-12, attention (cls): 3 bases, highest at 11), (3,), 0.8)
    """

    chrom: str  # contig; "" for a sequence without one
    start: int  # 0-based position of the first base
    codes: Codes  # [L], bases of the sequence
    values: Floats  # [L]
    label: str  # the map and its unit
    hypothetical: Floats | None = None  # [L, 4]: contribution of each base if it were present; of attributions

    @property
    def sequence(self) -> str:
        """Bases as text."""
        return decode(self.codes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values, (L,)."""
        return self.values.shape

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Floats:
        return np.array(self.values, dtype=dtype) if copy or dtype is not None else self.values

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each base: chrom, pos (1-based), base and value."""
        import pandas as pd

        positions = np.arange(self.start + 1, self.start + 1 + len(self))
        return pd.DataFrame({"chrom": self.chrom, "pos": positions, "base": list(self.sequence), "value": self.values})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the map as letters if it is short, else as a curve, in the axes of the caller or of a new figure."""
        panel = plots.shown_axes(ax, *_SIZE)
        self._draw([panel])
        return panel

    def _draw(self, panels: list[Axes]) -> None:
        from genoformer.interpretation.figures import map_panel

        map_panel(panels[0], Locus("", self.chrom, self.start, self.codes), self.values, self.label.replace(" (", "\n("))

    def __repr__(self) -> str:
        place = place_text(self.chrom, self.start, len(self))
        highest = f", highest at {self.start + 1 + int(np.nanargmax(self.values)):,}" if np.isfinite(self.values).any() else ""
        return f"BaseMap({place}, {self.label}: {len(self):,} bases{highest})"

    def _repr_html_(self) -> str:
        return plots.as_html(repr(self), self._draw, _SIZE)
