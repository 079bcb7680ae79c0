"""Sequences -> random sequences with exactly the same dinucleotide counts (Altschul and Erickson 1985)."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from genoformer.genome.codes import Codes

_LETTERS = 5  # A, C, G, T and N, which is treated like any other letter


def dinucleotide_shuffle(codes: Codes, random: np.random.Generator, *, batch_size: int = 2_048) -> Codes:
    """Shuffle each row of codes [B, L] with all dinucleotide counts unchanged; the first and the last base stay.

    All sequences with these dinucleotides are equally likely. A sequence is a walk over letters, with its dinucleotides
    as edges. A random walk over the same edges consists of a random spanning tree, whose edges are the last to leave
    their letters, and a random order of the other edges (Altschul and Erickson 1985, Molecular Biology and Evolution
    2:526). The tree is drawn from the list of all trees, weighted by the numbers of edges, so that no draw is rejected.

    batch_size: number of rows that are shuffled together; the result depends on it.

    >>> from genoformer.genome.codes import decode, encode
    >>> decode(dinucleotide_shuffle(encode("AAACCC")[None], np.random.default_rng(0))[0])  # there is no other one
    'AAACCC'
    """
    if codes.ndim != 2:
        raise ValueError(f"codes have the shape {codes.shape}, but should be [B, L].")
    if codes.shape[1] < 3:
        return codes.copy()
    parts = [_shuffled(codes[i : i + batch_size], random) for i in range(0, len(codes), batch_size)]
    return np.concatenate(parts) if parts else codes.copy()


def _shuffled(codes: Codes, random: np.random.Generator) -> Codes:
    n_rows, length = codes.shape
    rows = np.arange(n_rows)
    source, target = codes[:, :-1].astype(np.int64), codes[:, 1:].astype(np.int64)  # [B, L - 1]; one edge per step
    cells = rows[:, None] * _LETTERS**2 + source * _LETTERS + target
    counts = np.bincount(cells.ravel(), minlength=n_rows * _LETTERS**2).reshape(n_rows, _LETTERS, _LETTERS)
    parent = _random_tree(counts, codes[:, -1], random)  # [B, 5]
    root = codes[:, -1:]
    last = (target == np.take_along_axis(parent, source, axis=1)) & (source != root)  # can be the last to leave its letter
    order = np.argsort(source + _keys(cells, last, random) / 2, axis=1)  # by letter, then by key
    queue = np.take_along_axis(target, order, axis=1)  # [B, L - 1]: next letters from A, in order, then from C ...
    n_out = counts.sum(axis=2)  # [B, 5]
    head = np.cumsum(n_out, axis=1) - n_out  # the next edge of each letter
    out = np.empty_like(codes)
    letter = codes[:, 0].astype(np.int64)
    out[:, 0] = letter
    for step in range(1, length):
        edge = head[rows, letter]
        head[rows, letter] = edge + 1
        letter = queue[rows, edge]
        out[:, step] = letter
    return out


def _keys(cells: NDArray[np.int64], last: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.float64]:
    """Return a random key in [0, 1) for each edge, plus 1 for one edge of each kind (value of cells) among `last`."""
    lot = random.random(cells.shape)  # separate from the key: otherwise the edges not chosen would have low keys
    highest = np.full(int(cells.max()) + 1, -1.0)
    np.maximum.at(highest, cells[last], lot[last])
    return random.random(cells.shape) + (last & (lot == highest[cells]))


def _random_tree(counts: NDArray[np.int64], root: Codes, random: np.random.Generator) -> NDArray[np.int64]:
    """Draw for each row a tree of edges that lead to the root, as the parent of each letter [B, 5].

    A letter that is not in the sequence is a child of the root. The probability of a tree is proportional to the product of its
    numbers of edges.
    """
    parent = np.empty((len(counts), _LETTERS), dtype=np.int64)
    for letter in np.unique(root):
        rows = np.flatnonzero(root == letter)
        trees = _TREES[letter]  # [125, 5]
        edges = counts[rows].astype(np.float64)  # [R, 5, 5]
        absent = edges.sum(axis=2) == 0
        edges[absent] = np.eye(_LETTERS)[letter]
        edges[:, letter] = np.eye(_LETTERS)[letter]
        edges /= edges.sum(axis=2, keepdims=True)  # so that no product overflows
        weights = np.ones((len(rows), len(trees)))
        for child in range(_LETTERS):
            weights *= edges[:, child, trees[:, child]]  # [R, 125]
        until = np.cumsum(weights, axis=1)
        drawn = np.minimum(random.random(len(rows)) * until[:, -1], np.nextafter(until[:, -1], 0))
        parent[rows] = trees[(until <= drawn[:, None]).sum(axis=1)]
    return parent


def _trees(root: int) -> NDArray[np.int64]:
    """Return all 5^3 trees that lead to the root, as the parent of each letter, [125, 5]; the root is its own parent."""
    parents = np.array([row for row in product(range(_LETTERS), repeat=_LETTERS) if row[root] == root])
    reached = parents
    for _ in range(3):
        reached = np.take_along_axis(reached, reached, axis=1)
    return parents[(reached == root).all(axis=1)]


_TREES = np.stack([_trees(letter) for letter in range(_LETTERS)])  # [5, 125, 5]
