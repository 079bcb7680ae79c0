"""Two tables of normalised alleles, sorted by position -> pairs of equal alleles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genoformer.genome.allele_table import AlleleTable

Integers = NDArray[np.int64]
_UPPER = np.uint8(0xDF)  # clears the bit that lower-case letters have


def equal_positions(starts: Integers, others: Integers) -> tuple[Integers, Integers]:
    """Return all pairs of rows with equal positions: (rows of `starts`, rows of `others`), both sorted inputs.

    >>> equal_positions(np.array([3, 5, 5]), np.array([1, 5, 5, 7]))[1].tolist()
    [1, 2, 1, 2]
    """
    if not len(starts) or not len(others):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    i, j = np.searchsorted(starts, others[0]), np.searchsorted(starts, others[-1], side="right")
    low = np.searchsorted(others, starts[i:j])
    n = np.searchsorted(others, starts[i:j], side="right") - low
    firsts = np.cumsum(n) - n
    return np.repeat(np.arange(i, j), n), np.arange(int(n.sum())) + np.repeat(low - firsts, n)


def equal_alleles(query: AlleleTable, source: AlleleTable) -> tuple[Integers, Integers]:
    """Return all pairs of rows with the same allele: (rows of the query, rows of the source)."""
    q, s = equal_positions(query.start, source.start)
    if not len(q):
        return q, s
    same = (query.ref[q, 1] == source.ref[s, 1]) & (query.alt[q, 1] == source.alt[s, 1])
    for of_query, of_source in ((query.ref, source.ref), (query.alt, source.alt)):
        same &= _at(query, of_query[q, 0]) == _at(source, of_source[s, 0])
    q, s = q[same], s[same]
    same = np.ones(len(q), dtype=np.bool_)
    for of_query, of_source in ((query.ref, source.ref), (query.alt, source.alt)):
        rows, i = np.flatnonzero(of_query[q, 1] > 1), 1
        while len(rows):  # of pairs with longer alleles one base after another
            same[rows] &= _at(query, of_query[q[rows], 0] + i) == _at(source, of_source[s[rows], 0] + i)
            i += 1
            rows = rows[same[rows] & (of_query[q[rows], 1] > i)]
    return q[same], s[same]


def _at(table: AlleleTable, places: Integers) -> NDArray[np.uint8]:
    return np.asarray(table.letters[places] & _UPPER)


def changed_bases(table: AlleleTable) -> tuple[Integers, Integers]:
    """Return the interval of changed bases of each allele, 0-based half-open; of an insertion the bases on both sides of it.

    An insertion at the start of a contig has only the base behind it.
    """
    n_ref, n_alt = table.ref[:, 1], table.alt[:, 1]
    has_anchor = (n_ref != n_alt) & (np.minimum(n_ref, n_alt) == 1)
    is_before = has_anchor & (_at(table, table.ref[:, 0]) == _at(table, table.alt[:, 0]))
    is_behind = has_anchor & ~is_before  # at the start of a contig
    is_behind &= _at(table, table.ref.sum(axis=1) - 1) == _at(table, table.alt.sum(axis=1) - 1)
    is_deletion = n_ref > 1
    return table.start + (is_before & is_deletion), table.start + n_ref + (is_before & ~is_deletion) - (is_behind & is_deletion)
