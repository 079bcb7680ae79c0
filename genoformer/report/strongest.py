"""Rows of a stream -> the strongest rows, in bounded memory: scores alternate, rows below the noise floor come last."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple


class Rank(NamedTuple):
    """Rank of a row: the index of the ranking score, its absolute value, and True if it is below the noise floor."""

    score: int
    size: float
    below: bool


class Ranked(NamedTuple):
    """A row and the index of its ranking score."""

    row: list[Any]
    score: int


def by_strength(ranked: Iterable[tuple[Rank, list[Any]]]) -> tuple[list[Ranked], list[Ranked]]:
    """Return the rows above and the rows below the noise floor, the largest first; rows of several scores alternate.

    >>> above, below = by_strength([(Rank(0, 1.0, False), ["a"]), (Rank(0, 2.0, False), ["b"]), (Rank(1, 9.0, False), ["c"])])
    >>> [each.row for each in above]
    [['b'], ['c'], ['a']]
    """
    groups: dict[tuple[bool, int], list[tuple[float, list[Any]]]] = {}
    for rank, row in ranked:
        groups.setdefault((rank.below, rank.score), []).append((rank.size, row))
    above, below = (
        _turns([(score, groups[of, score]) for of, score in sorted(groups) if of is is_below]) for is_below in (False, True)
    )
    return above, below


def _turns(groups: Sequence[tuple[int, list[tuple[float, list[Any]]]]]) -> list[Ranked]:
    """Return the first row of each group, then the second ...; groups are sorted by decreasing size, ties by order."""
    ranked = [[Ranked(row, score) for _, row in sorted(of, key=lambda pair: -pair[0])] for score, of in groups]
    return [each for turn in zip_longest(*ranked) for each in turn if each is not None]


class Strongest:
    """At most `most` rows of a stream: all in stream order if they fit, else the first rows of `by_strength`.

    Rows without a rank come last, in stream order.
    """

    def __init__(self, most: int) -> None:
        self.most, self.n = most, 0
        self._every: list[list[Any]] = []  # all rows while there are at most `most`
        self._heaps: dict[tuple[bool, int], list[tuple[float, int, list[Any]]]] = {}  # the weakest first
        self._unranked: list[list[Any]] = []

    def add(self, row: list[Any], rank: Rank | None) -> None:
        """Add the next row of the stream."""
        if self.n < self.most:
            self._every.append(row)
        else:
            self._every = []
        if rank is None:
            if len(self._unranked) < self.most:
                self._unranked.append(row)
        else:
            heap = self._heaps.setdefault((rank.below, rank.score), [])
            entry = (rank.size, -self.n, row)  # the earlier of equal rows stays
            heapq.heappush(heap, entry) if len(heap) < self.most else heapq.heappushpop(heap, entry)
        self.n += 1

    def rows(self) -> list[list[Any]]:
        """Return the kept rows."""
        if self.n <= self.most:
            return self._every
        kept = ((Rank(score, entry[0], below), entry) for (below, score), heap in self._heaps.items() for entry in heap)
        above, below = by_strength((rank, row) for rank, (*_, row) in sorted(kept, key=lambda each: -each[1][1]))
        return [*(each.row for each in (*above, *below)), *self._unranked][: self.most]
