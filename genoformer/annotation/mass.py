"""How much of a track, such as attention, lies in elements: share of its sum beside that of bases, and of turned elements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.annotation.enrichment import fold_of, q_of
from genoformer.annotation.overlap import Annotations
from genoformer.errors import ConfigError, FileFormatError
from genoformer.genome.bigwig import BigWig
from genoformer.genome.regions import Intervals, merge

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_AT_A_TIME = 1 << 20  # bases


class SignalShare(NamedTuple):
    """A annotations over the bases that a track has values of."""

    annotations: list[str]
    bases: Integers  # [A], in elements, of those with a value
    share: Floats  # [A], of the sum of values that lies in elements
    expected: Floats  # [A], share of the bases
    p: Floats  # [A], of at least that share
    q: Floats  # [A], over those with bases; NaN of the others
    controls: Floats  # [A, R], share of rotated elements
    n_bases: int

    @property
    def fold(self) -> Floats:
        return fold_of(self.share, self.expected)


def mass_in_elements(track: str | Path, annotations: Annotations, *, n_resamplings: int = 1_000, seed: int = 0) -> SignalShare:
    """The share of a bigWig's sum that lies in each annotation, beside that of the same elements rotated.

    The bases with a value are laid in a row, contig after contig, and closed to a ring; elements are turned along it by one
    random distance, so that they keep their lengths and neighbours, and the track its own (as regioneR's
    circularRandomizeRegions, Gel et al. 2016). Values are not negative.

    Raises: FileFormatError, ConfigError where no base of the track lies on a contig of the annotations.
    """
    runs = {contig: found for contig, found in _runs(Path(track)) if len(found.values)}
    if not runs:
        raise FileFormatError(f"{track} has no values; give a bigWig with some.")
    values = np.concatenate([found.values for found in runs.values()])
    widths = np.concatenate([np.diff(found.intervals, axis=1)[:, 0] for found in runs.values()])
    if values.min() < 0:
        raise ConfigError(f"{track} has values below 0 ({values.min():.4g}), which have no share; give a track of attention.")
    row = _Row.of(values, widths)
    if not row.total:
        raise ConfigError(f"{track} is 0 everywhere, so no share of it lies anywhere; give another track.")
    turns = np.random.default_rng(seed).integers(0, row.size, n_resamplings)
    labels, places = _elements(annotations, {contig: merge(found.intervals) for contig, found in runs.items()})
    if not any(len(rows) for rows in places):
        raise ConfigError(f"no element lies where {Path(track).name} has values; give annotations of its genome.")
    bases = np.array([int((rows[:, 1] - rows[:, 0]).sum()) for rows in places])
    share = np.array([row.sum(rows, 0) for rows in places]) / row.total
    controls = np.array([[row.sum(rows, turn) for turn in turns.tolist()] for rows in places]) / row.total
    p = (1 + (controls >= share[:, None] * (1 - 1e-12)).sum(axis=1)) / (1 + n_resamplings)
    return SignalShare(labels, bases, share, bases / row.size, p, q_of(p, bases > 0), controls, row.size)


class _Runs(NamedTuple):
    """Stretches of a contig that have one value each, by place."""

    intervals: Intervals
    values: Floats


class _Row(NamedTuple):
    """Bases with a value, laid in a row: the sum up to each edge between two values."""

    edges: Floats
    sums: Floats

    @classmethod
    def of(cls, values: Floats, widths: Integers) -> _Row:
        edges, sums = np.cumsum(widths), np.cumsum(values * widths)
        return cls(np.append(0, edges).astype(np.float64), np.append(0, sums))

    @property
    def size(self) -> int:
        return int(self.edges[-1])

    @property
    def total(self) -> float:
        return float(self.sums[-1])

    def sum(self, rows: Intervals, turn: int) -> float:
        """The sum in intervals of the row, turned along it as along a ring."""
        rounds, at = np.divmod(rows + turn, self.size)
        upto = np.interp(at, self.edges, self.sums) + rounds * self.total
        return float((upto[:, 1] - upto[:, 0]).sum())


def _runs(path: Path) -> Iterator[tuple[str, _Runs]]:
    """What has a value on each contig."""
    track = BigWig(path)
    for contig, length in track.contigs.items():
        parts = [np.zeros((0, 3))]
        for start in range(0, length, _AT_A_TIME):
            found = track.intervals(contig, start, min(start + _AT_A_TIME, length))
            if found:
                parts.append(np.array(found, dtype=np.float64))
        table = np.concatenate(parts)
        yield contig, _Runs(table[:, :2].astype(np.int64), table[:, 2])


def _elements(annotations: Annotations, stretches: Mapping[str, Intervals]) -> tuple[list[str], list[Intervals]]:
    """Each annotation (one for each label) as intervals in the row of bases with values, merged."""
    labels: list[str] = []
    found: list[list[Intervals]] = []
    sizes = [int((rows[:, 1] - rows[:, 0]).sum()) for rows in stretches.values()]
    offsets = np.cumsum([0, *sizes]).tolist()
    for each in annotations.elements:
        kinds: list[tuple[str, str | None]] = [(f"{each.name}:{label}", label) for label in each.labels]
        kinds = kinds or [(each.name, None)]
        texts = np.array(each.names.to_pylist()) if each.labels else None
        for name, label in kinds:
            labels.append(name)
            parts = [np.zeros((0, 2), dtype=np.int64)]
            for contig, offset in zip(stretches, offsets, strict=False):
                rows = each.rows_on(contig)
                if texts is not None:
                    rows = rows[texts[rows] == label]
                parts.append(_laid(np.stack([each.starts[rows], each.ends[rows]], axis=1), stretches[contig]) + offset)
            found.append(parts)
    return labels, [merge(np.concatenate(parts)) for parts in found]


def _laid(intervals: Intervals, stretches: Intervals) -> Intervals:
    """Intervals of a contig in the row of its stretches; what lies between stretches is left out.

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
