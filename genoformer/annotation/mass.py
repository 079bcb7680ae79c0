"""Fraction of a signal, such as attention, in elements, against their fraction of bases and against rotated elements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.annotation.enrichment import overlap_ratio, q_values
from genoformer.annotation.overlap import Annotations
from genoformer.errors import ConfigError, FileFormatError
from genoformer.formats.bed import Intervals
from genoformer.formats.bigwig import BigWig
from genoformer.genome.regions import merge

if TYPE_CHECKING:
    import pandas as pd

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_AT_A_TIME = 1 << 20  # bases


class SignalShare(NamedTuple):
    """Signal in A annotations, over the bases where the track has values."""

    annotations: list[str]
    bases: Integers  # [A], bases with a value in elements
    share: Floats  # [A], fraction of the sum of values in elements
    expected: Floats  # [A], fraction of the bases
    p: Floats  # [A], probability of at least this fraction under rotation
    q: Floats  # [A], over annotations with bases; NaN for the others
    controls: Floats  # [A, R], fraction in rotated elements
    n_bases: int

    @property
    def fold(self) -> Floats:
        return overlap_ratio(self.share, self.expected)

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each annotation, with the columns of mass.tsv."""
        import pandas as pd

        low, high = np.percentile(self.controls, [2.5, 97.5], axis=1)
        columns = {"annotation": self.annotations, "bases": self.bases, "share": self.share, "expected": self.expected}
        others = {"fold": self.fold, "p": self.p, "q": self.q, "controls_low": low, "controls_high": high}
        return pd.DataFrame(columns | others)

    def __repr__(self) -> str:
        return f"SignalShare({len(self.annotations)} annotations, {self.n_bases:,} bases with a value)"

    def _repr_html_(self) -> str:
        return f"<p>{self!r}</p>{self.to_frame().to_html(index=False, float_format='{:.4g}'.format)}"


def mass_in_elements(track: str | Path, annotations: Annotations, *, resamplings: int = 1_000, seed: int = 0) -> SignalShare:
    """Return the fraction of a bigWig's sum in each annotation, and in the same elements after rotation.

    The bases with a value are concatenated contig by contig into a ring. Each resampling rotates all elements along the ring
    by one random distance, so that elements and track keep their lengths and neighbours (as in regioneR's
    circularRandomizeRegions, Gel et al. 2016). Values must not be negative.

    Raises: FileFormatError for a track without values; ConfigError for negative values, a track of zeros, or no element on
    bases with values.
    """
    annotations.refuse_lookups()
    runs = {contig: values_of_contig for contig, values_of_contig in _runs(Path(track)) if len(values_of_contig.values)}
    if not runs:
        raise FileFormatError(f"{track} has no values; give a bigWig with some.")
    values = np.concatenate([values_of_contig.values for values_of_contig in runs.values()])
    widths = np.concatenate([np.diff(values_of_contig.intervals, axis=1)[:, 0] for values_of_contig in runs.values()])
    if values.min() < 0:
        raise ConfigError(
            f"{track} has values below 0 ({values.min():.4g}), but fractions need values from 0 on; give a track of attention."
        )
    row = _Row.from_values(values, widths)
    if not row.total:
        raise ConfigError(f"{track} is 0 everywhere, so that no fraction is defined; give another track.")
    turns = np.random.default_rng(seed).integers(0, row.size, resamplings)
    labels, places = _elements(
        annotations, {contig: merge(values_of_contig.intervals) for contig, values_of_contig in runs.items()}
    )
    if not any(len(rows) for rows in places):
        raise ConfigError(f"no element overlaps the values of {Path(track).name}; give annotations of its genome.")
    bases = np.array([int((rows[:, 1] - rows[:, 0]).sum()) for rows in places])
    share = np.array([row.sum(rows, 0) for rows in places]) / row.total
    controls = np.array([[row.sum(rows, turn) for turn in turns.tolist()] for rows in places]) / row.total
    p = (1 + (controls >= share[:, None] * (1 - 1e-12)).sum(axis=1)) / (1 + resamplings)
    return SignalShare(labels, bases, share, bases / row.size, p, q_values(p, bases > 0), controls, row.size)


class _Runs(NamedTuple):
    """Intervals of a contig with one value each, sorted by position."""

    intervals: Intervals
    values: Floats


class _Row(NamedTuple):
    """Concatenated bases with a value: cumulative sums at the edges between values."""

    edges: Floats
    sums: Floats

    @classmethod
    def from_values(cls, values: Floats, widths: Integers) -> _Row:
        edges, sums = np.cumsum(widths), np.cumsum(values * widths)
        return cls(np.append(0, edges).astype(np.float64), np.append(0, sums))

    @property
    def size(self) -> int:
        return int(self.edges[-1])

    @property
    def total(self) -> float:
        return float(self.sums[-1])

    def sum(self, rows: Intervals, turn: int) -> float:
        """Return the sum of values in intervals, rotated by `turn` bases along the ring."""
        rounds, at = np.divmod(rows + turn, self.size)
        upto = np.interp(at, self.edges, self.sums) + rounds * self.total
        return float((upto[:, 1] - upto[:, 0]).sum())


def _runs(path: Path) -> Iterator[tuple[str, _Runs]]:
    """Yield the intervals with values of each contig."""
    track = BigWig(path)
    for contig, length in track.contigs.items():
        parts = [np.zeros((0, 3))]
        for start in range(0, length, _AT_A_TIME):
            rows = track.intervals(contig, start, min(start + _AT_A_TIME, length))
            if rows:
                parts.append(np.array(rows, dtype=np.float64))
        table = np.concatenate(parts)
        yield contig, _Runs(table[:, :2].astype(np.int64), table[:, 2])


def _elements(annotations: Annotations, stretches: Mapping[str, Intervals]) -> tuple[list[str], list[Intervals]]:
    """Return each annotation (one per label) as merged intervals in the concatenated bases with values."""
    labels: list[str] = []
    intervals: list[list[Intervals]] = []
    sizes = [int((rows[:, 1] - rows[:, 0]).sum()) for rows in stretches.values()]
    offsets = np.cumsum([0, *sizes]).tolist()
    for each in annotations.elements:
        kinds: list[tuple[str, str | None]] = [(f"{each.name}:{label}", label) for label in each.labels]
        kinds = kinds or [(each.name, None)]
        texts = np.array(each.names.tolist()) if each.names is not None and each.labels else None
        for name, label in kinds:
            labels.append(name)
            parts = [np.zeros((0, 2), dtype=np.int64)]
            for contig, offset in zip(stretches, offsets, strict=False):
                rows = each.rows_on(contig)
                if texts is not None:
                    rows = rows[texts[rows] == label]
                parts.append(_laid(np.stack([each.starts[rows], each.ends[rows]], axis=1), stretches[contig]) + offset)
            intervals.append(parts)
    return labels, [merge(np.concatenate(parts)) for parts in intervals]


def _laid(intervals: Intervals, stretches: Intervals) -> Intervals:
    """Map intervals of a contig to its concatenated stretches; bases between stretches are left out.

    >>> _laid(np.array([[5, 25]]), np.array([[0, 10], [20, 30]])).tolist()
    [[5, 15]]
    """
    begin = np.concatenate([[0], np.cumsum(stretches[:, 1] - stretches[:, 0])])

    def at(place: Integers) -> Integers:
        which = np.searchsorted(stretches[:, 0], place, side="right") - 1
        inside = np.minimum(place - stretches[which, 0], stretches[which, 1] - stretches[which, 0])
        return np.where(which >= 0, begin[which] + inside, 0)

    rows = np.stack([at(intervals[:, 0]), at(intervals[:, 1])], axis=1)
    return rows[rows[:, 1] > rows[:, 0]]
