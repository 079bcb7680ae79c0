"""How much of a track, such as attention, lies in elements: share of its sum beside that of bases, and of turned elements."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.annotation.enrichment import benjamini_hochberg, fold_of
from genoformer.annotation.overlap import Annotations
from genoformer.errors import ConfigError, FileFormatError
from genoformer.genome.contigs import ContigMap
from genoformer.genome.regions import Intervals, merge

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_AT_A_TIME = 1 << 20  # bases


class Mass(NamedTuple):
    """A annotations over the bases that a track has values of."""

    annotations: list[str]
    bases: Integers  # [A], in elements, of those with a value
    share: Floats  # [A], of the sum of values that lies in elements
    expected: Floats  # [A], share of the bases
    low: Floats  # [A], of share / expected of elements that are rotated, 2.5 %
    high: Floats  # [A], 97.5 %
    p: Floats  # [A], of at least that share
    q: Floats  # [A]
    controls: Floats  # [A, R], share of rotated elements
    n_bases: int

    @property
    def fold(self) -> Floats:
        return fold_of(self.share, self.expected)


def mass_in_elements(
    track: str | Path, annotations: Annotations, *, n_resamplings: int = 1_000, seed: int = 0
) -> Mass:
    """The share of a bigWig's sum that lies in each annotation, beside that of the same elements rotated.

    The bases with a value are laid in a row, contig after contig, and closed to a ring; elements are turned along it by one
    random distance, so that they keep their lengths and neighbours, and the track its own (as regioneR's
    circularRandomizeRegions, Gel et al. 2016). Values are not negative.

    Raises: FileFormatError, ConfigError where no base of the track lies on a contig of the annotations.
    """
    names, stretches, sums = [], [], []
    lengths: list[int] = []
    for contig, intervals, values in _values(Path(track)):
        names.append(contig)
        stretches.append(intervals)
        sums.append(values)
        lengths.append(len(values))
    if not names:
        raise FileFormatError(f"{track} has no values; give a bigWig with some.")
    every = np.concatenate(sums)
    if every.min() < 0:
        raise ConfigError(f"{track} has values below 0 ({every.min():.4g}), which have no share; give a track of attention.")
    total = float(every.sum())
    if not total:
        raise ConfigError(f"{track} is 0 everywhere, so no share of it lies anywhere; give another track.")
    offsets = np.cumsum([0, *lengths])
    size = int(offsets[-1])
    reach = np.concatenate([[0.0], np.cumsum(every, dtype=np.float64)])
    turns = np.random.default_rng(seed).integers(0, size, n_resamplings)
    labels, places = _elements(annotations, names, stretches, offsets)
    if not any(len(rows) for rows in places):
        raise ConfigError(f"no element lies where {Path(track).name} has values; give annotations of its genome.")
    bases = np.array([int((rows[:, 1] - rows[:, 0]).sum()) for rows in places])
    share = np.array([_sum(reach, rows) for rows in places]) / total
    controls = np.array([[_turned(reach, rows, int(turn), size) for turn in turns] for rows in places]) / total
    expected = bases / size
    p = (1 + (controls >= share[:, None] * (1 - 1e-12)).sum(axis=1)) / (1 + n_resamplings)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = np.percentile(controls, [2.5, 97.5], axis=1) / expected
    return Mass(labels, bases, share, expected, low, high, p, benjamini_hochberg(p), controls, size)


def _values(path: Path) -> Iterator[tuple[str, Intervals, Floats]]:
    """(contig, stretches with values [n, 2], the values of their bases one after the other)."""
    from genoformer.genome.bigwig import BigWig

    track = BigWig(path)
    for contig, length in track.contigs.items():
        stretches, values = [], []
        for start in range(0, length, _AT_A_TIME):
            for first, last, value in track.intervals(contig, start, min(start + _AT_A_TIME, length)):
                stretches.append((first, last))
                values.append(value)
        if stretches:
            rows = np.array(stretches, dtype=np.int64)
            yield contig, merge(rows), np.repeat(np.array(values, dtype=np.float64), rows[:, 1] - rows[:, 0])


def _elements(
    annotations: Annotations, names: list[str], stretches: list[Intervals], offsets: Integers
) -> tuple[list[str], list[Intervals]]:
    """Each annotation (one for each label) as intervals in the row of bases with values, merged."""
    labels: list[str] = []
    found: list[list[Intervals]] = []
    for each in annotations.elements:
        kinds: list[tuple[str, str | None]] = [(f"{each.name}:{label}", label) for label in each.labels]
        kinds = kinds or [(each.name, None)]
        texts = np.array(each.names.to_pylist()) if each.labels else None
        for name, label in kinds:
            labels.append(name)
            parts = [np.zeros((0, 2), dtype=np.int64)]
            for i, contig in enumerate(names):
                here = ContigMap([contig], each.contigs).get(contig)
                if here is None:
                    continue
                rows = each.rows_on(here)
                if texts is not None:
                    rows = rows[texts[rows] == label]
                parts.append(_laid(np.stack([each.starts[rows], each.ends[rows]], axis=1), stretches[i]) + offsets[i])
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


def _sum(reach: Floats, rows: Intervals) -> float:
    return float((reach[rows[:, 1]] - reach[rows[:, 0]]).sum())


def _turned(reach: Floats, rows: Intervals, turn: int, size: int) -> float:
    """The sum in intervals that are turned along a ring of so many bases."""
    ends = rows + turn
    rounds, at = np.divmod(ends, size)
    sums = reach[at] + rounds * reach[-1]
    return float((sums[:, 1] - sums[:, 0]).sum())
