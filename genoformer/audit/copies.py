"""Two sets of sequences -> sequences of the second that are copies, shifted or near copies of sequences of the first.

k-mers of the first set are indexed by value; those of the second, on both strands, vote for a sequence and an offset. The best
three of each sequence are compared base by base. Above `MOST` k-mers a sample of them is kept (FracMinHash).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.genome.codes import Codes, N, reverse_complement
from genoformer.genome.minhash import GOLDEN, mixed
from genoformer.progress import Stage

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SHORTEST_K, LONGEST_K = 10, 16  # two bits per base, in 32 bits
SPARSE = 8  # possible k-mers for each base of the first set: a k-mer is in it by chance once in eight times
MOST = 1 << 24  # k-mers of a set; above, one in `scale` is kept
MOST_PLACES = 8  # places of a k-mer in the first set that are looked up; repeats have more
N_BEST = 3  # candidates of a sequence that are compared base by base
SHIFTED = (0.95, 0.5)  # smallest identity in some window of this fraction of the shorter sequence
NEAR = (0.80, 0.8)  # smallest identity of the overlap, and its smallest fraction of the shorter sequence
_AT_ONCE = 1 << 22  # bases compared, or k-mers looked up, at a time


class Copies(NamedTuple):
    """Copies among the N sequences of the second set; each is of one kind at most."""

    exact: Bools
    reversed: Bools  # the reverse complement is an exact copy
    shifted: Bools  # a half with an identity of 0.95, at another offset or with another rest; either strand
    near: Bools  # identity of 0.8 over 0.8 of the shorter sequence; either strand
    unchecked: Bools  # shorter than a k-mer or without one: only exact copies are found
    origin: Ints  # number of the sequence of the first set that it is a copy of; -1 for none


class _Candidates(NamedTuple):
    """Pairs of sequences to compare: query, target, and the base of the joined target under the first one of the query."""

    query: Ints
    target: Ints
    offset: Ints  # in the concatenated target; may lie before the sequence


class _Index(NamedTuple):
    """Sampled k-mers of the first set, sorted, and their places."""

    k: int
    scale: int
    values: NDArray[np.uint32]
    places: Ints


class _Joined(NamedTuple):
    """Sequences joined with an N between each two; starts has one more entry, the end."""

    codes: Codes
    starts: Ints
    lengths: Ints


def digests(sequences: Sequence[Codes]) -> list[bytes]:
    """Return a digest of 16 bytes of each sequence."""
    return [blake2b(np.ascontiguousarray(sequence).data, digest_size=16).digest() for sequence in sequences]


def copies(first: Sequence[Codes], second: Sequence[Codes], stage: Stage | None = None) -> Copies:
    """Return which sequences of `second` are copies of sequences of `first`; codes [L] of any lengths.

    stage: counts the sequences of `second` that are finished.

    >>> from genoformer.genome.codes import encode
    >>> text = "ACGGTTCAACGGATATCCAGTTTGACCATTG"
    >>> found = copies([encode(text)], [encode(text), encode(text[8:] + "ACGTACGT"), encode("A" * 30)])
    >>> found.exact.tolist(), found.shifted.tolist()
    ([True, False, False], [False, True, False])
    """
    known = {digest: i for i, digest in reversed(list(enumerate(digests(first))))}
    same = np.array([known.get(digest, -1) for digest in digests(second)], dtype=np.int64)
    other = np.array([known.get(digest, -1) for digest in digests([reverse_complement(one) for one in second])], dtype=np.int64)
    exact, turned = same >= 0, other >= 0
    of_shifted, of_near = np.full(len(second), -1, dtype=np.int64), np.full(len(second), -1, dtype=np.int64)
    target, query = _joined(first), _joined(second)
    index = _index(target)
    shifted, near, checked = (np.zeros(len(second), dtype=bool) for _ in range(3))
    step = max(1, _AT_ONCE // max(1, int(query.lengths.max(initial=1))))
    for low in range(0, len(second), step):
        high = min(low + step, len(second))
        for one in (second[low:high], [reverse_complement(sequence) for sequence in second[low:high]]):
            part = _joined(one)
            candidates, has_kmer = _vote(part, target, index)
            is_shifted, is_near = _compare(candidates, part, target)
            rows = candidates.query + low
            shifted[rows[is_shifted]] = True
            near[rows[is_near]] = True
            of_shifted[rows[is_shifted]] = candidates.target[is_shifted]
            of_near[rows[is_near]] = candidates.target[is_near]
            checked[low:high] |= has_kmer
        if stage is not None:
            stage.add(high - low)
    turned &= ~exact
    shifted &= ~(exact | turned)
    near &= ~(exact | turned | shifted)
    origin = np.select([exact, turned, shifted, near], [same, other, of_shifted, of_near], -1)
    return Copies(exact, turned, shifted, near, ~checked, origin)


def _joined(sequences: Sequence[Codes]) -> _Joined:
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths + 1)])
    codes = np.full(int(starts[-1]), N, dtype=np.uint8)
    for start, sequence in zip(starts[:-1].tolist(), sequences, strict=True):
        codes[start : start + len(sequence)] = sequence
    return _Joined(codes, starts, lengths)


def kmer_length(n_bases: int) -> int:
    """Return k for a set of n bases: as short as a rare k-mer can be, so that copies with errors share some.

    >>> kmer_length(5_000), kmer_length(3_000_000), kmer_length(30_000_000)
    (10, 13, 14)
    """
    return int(np.clip(np.ceil(np.log2(max(1, SPARSE * n_bases)) / 2), SHORTEST_K, LONGEST_K))


def _kmers(codes: Codes, k: int, scale: int) -> tuple[NDArray[np.uint32], Ints]:
    """Return the sampled k-mers without N of joined codes, as numbers, and their places."""
    if len(codes) < k:
        return np.empty(0, dtype=np.uint32), np.empty(0, dtype=np.int64)
    base = (codes & 3).astype(np.uint32)
    value, width = base, 1
    for bit in f"{k:b}"[1:]:  # double the width, or double it and add one, until it is k
        value = value[:-width] << np.uint32(2 * width) | value[width:]
        width *= 2
        if bit == "1":
            value = value[:-1] << np.uint32(2) | base[width:]
            width += 1
    n_unknown = np.concatenate([[0], np.cumsum(codes >= N)])
    kept = n_unknown[k:] == n_unknown[:-k]
    if scale > 1:
        kept &= mixed(value.astype(np.uint64) + GOLDEN) <= np.uint64((2**64 - 1) // scale)
    places = np.flatnonzero(kept)
    return value[places], places


def _index(target: _Joined) -> _Index:
    k, scale = kmer_length(len(target.codes)), max(1, -(-len(target.codes) // MOST))
    values, places = _kmers(target.codes, k, scale)
    order = np.argsort(values, kind="stable")
    return _Index(k, scale, values[order], places[order])


def _vote(part: _Joined, target: _Joined, index: _Index) -> tuple[_Candidates, Bools]:
    """Return the candidates of each query with the most k-mers in common, and which queries have k-mers."""
    values, places = _kmers(part.codes, index.k, index.scale)
    owner = np.searchsorted(part.starts, places, side="right") - 1
    has_kmer = np.bincount(owner, minlength=len(part.lengths)) > 0
    order = np.argsort(values)  # sorted look-ups stay in the cache
    values, places, owner = values[order], places[order], owner[order]
    low = np.searchsorted(index.values, values, side="left")
    n = np.minimum(np.searchsorted(index.values, values, side="right") - low, MOST_PLACES)
    row = np.repeat(np.arange(len(values)), n)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(n) - n, n)
    place = index.places[low[row] + nth]
    query = owner[row]
    reach = int(part.lengths.max(initial=0))
    offset = place - (places[row] - part.starts[query]) + reach  # not negative
    key = query * (len(target.codes) + 2 * reach) + offset
    _, at, votes = np.unique(key, return_index=True, return_counts=True)
    query, offset, hit = query[at], offset[at] - reach, place[at]
    best = np.lexsort((-votes, query))
    rank = np.arange(len(best)) - np.searchsorted(query[best], query[best], side="left")
    best = best[rank < N_BEST]
    return _Candidates(query[best], np.searchsorted(target.starts, hit[best], side="right") - 1, offset[best]), has_kmer


def _compare(candidates: _Candidates, part: _Joined, target: _Joined) -> tuple[Bools, Bools]:
    """Return which candidates are shifted copies, and which are near copies."""
    shifted, near = np.zeros(len(candidates.query), dtype=bool), np.zeros(len(candidates.query), dtype=bool)
    width = int(part.lengths.max(initial=1))
    base = np.arange(width)
    step = max(1, _AT_ONCE // width)
    for first in range(0, len(candidates.query), step):
        rows = slice(first, first + step)
        query, owner, offset = (x[rows] for x in candidates)
        start, length, own = target.starts[owner], target.lengths[owner], part.lengths[query]
        at = offset[:, None] + base  # [M, L], places in the joined target
        inside = (base < own[:, None]) & (at >= start[:, None]) & (at < (start + length)[:, None])
        theirs = target.codes[np.clip(at, 0, len(target.codes) - 1)]
        ours = part.codes[np.minimum(part.starts[query][:, None] + base, len(part.codes) - 1)]
        same = inside & (theirs == ours) & (ours < N)
        overlap, shorter = inside.sum(1), np.minimum(own, length)
        identity = same.sum(1) / np.maximum(overlap, 1)
        near[rows] = (identity >= NEAR[0]) & (overlap >= NEAR[1] * shorter)
        moved = (offset != start) | (own != length)
        shifted[rows] = _best_window(same, shorter) & (moved | ~near[rows])
    return shifted, near


def _best_window(same: Bools, shorter: Ints) -> Bools:
    """True for rows of equal bases [M, L] with a window of half of the shorter sequence in which 0.95 of them are equal."""
    width = np.maximum(np.ceil(SHIFTED[1] * shorter).astype(np.int64), 1)[:, None]
    summed = np.concatenate([np.zeros((len(same), 1), dtype=np.int32), np.cumsum(same, axis=1, dtype=np.int32)], axis=1)
    ends = np.minimum(np.arange(same.shape[1]) + width, same.shape[1])
    most = (np.take_along_axis(summed, ends, 1) - summed[:, :-1]).max(1)
    return np.asarray(most >= SHIFTED[0] * width[:, 0])
