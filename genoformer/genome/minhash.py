"""Sequences -> sampled set of k-mers (FracMinHash, strand-neutral) -> fraction of another sequence's k-mers in the set."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError, FileFormatError, MissingFileError
from genoformer.files import atomic_write
from genoformer.formats.arrays import read_arrays
from genoformer.genome.codes import Codes, N

Hashes = NDArray[np.uint64]

K = 31  # a 31-mer is nearly unique in a mammalian genome (4^31 = 4.6e18), and odd, so it is no palindrome
GENOME_SCALE = 1000  # one k-mer in a thousand: 3 million of the human genome, 24 MB (sourmash's default)
_FORMAT = 1
N_HASHED = 1 << 17  # k-mers hashed at a time: 1 MiB per array, which stays in the processor's cache
N_READ = 1 << 22  # bases read at a time
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, the step of splitmix64
_NONE: Hashes = np.empty(0, dtype=np.uint64)


# --- k-mers of codes


def canonical_kmers(codes: Codes, k: int) -> tuple[Hashes, NDArray[np.bool_]]:
    """Return each k-mer of codes [L] as a number, [L - k + 1], and True for each k-mer without N.

    The number has two bits per base; it is the smaller one of the two strands.

    >>> [kmer.tolist() for kmer in canonical_kmers(np.array([0, 0, 1, 4], dtype=np.uint8), 2)]
    [[0, 1, 4], [True, True, False]]
    """
    n_kmers = len(codes) - k + 1
    if n_kmers < 1:
        return np.empty(0, dtype=np.uint64), np.empty(0, dtype=bool)
    base = (codes & 3).astype(np.uint64)
    other = np.uint64(3) - base
    forward, backward, width = base, other, 1  # [L - width + 1]
    for bit in f"{k:b}"[1:]:  # double the width, or double it and add one, until it is k
        shift = np.uint64(2 * width)
        forward = forward[:-width] << shift | forward[width:]
        backward = backward[:-width] | backward[width:] << shift
        width *= 2
        if bit == "1":
            forward = forward[:-1] << np.uint64(2) | base[width:]
            backward = backward[:-1] | other[width:] << np.uint64(2 * width)
            width += 1
    n_unknown = np.concatenate([[0], np.cumsum(codes >= N)])
    return np.minimum(forward, backward), n_unknown[k:] == n_unknown[:-k]


def sampled(codes: Codes, k: int = K, scale: int = 1, *, n_hashed: int = N_HASHED) -> tuple[NDArray[np.int64], Hashes]:
    """Return the start positions of the sampled k-mers in codes [L], int64 [n], and their hashes, uint64 [n], in order.

    n_hashed: number of k-mers that are hashed at a time.
    """
    _check(k, scale)
    limit = np.uint64((2**64 - 1) // scale)
    places, kept = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.uint64)]
    for start in range(0, len(codes) - k + 1, n_hashed):
        chunk = codes[start : start + n_hashed + k - 1]
        if chunk.min() >= N:
            continue
        kmers, is_known = canonical_kmers(chunk, k)
        hashes = mixed(kmers + GOLDEN)
        selected = np.flatnonzero(is_known & (hashes <= limit))
        places.append(start + selected)
        kept.append(hashes[selected])
    return np.concatenate(places), np.concatenate(kept)


def hashes(codes: Codes, k: int = K, scale: int = 1) -> Hashes:
    """Return the hashes of the sampled k-mers of codes [L] or [B, L], uint64, sorted, each once; see `sampled`.

    >>> from genoformer.genome.codes import encode, reverse_complement
    >>> codes = encode("ACGGTTCA")
    >>> len(hashes(codes, k=5)), bool((hashes(codes, k=5) == hashes(reverse_complement(codes), k=5)).all())
    (4, True)
    """
    return Sketch.from_sequences(codes, k, scale).hashes


def mixed(z: Hashes) -> Hashes:
    """Apply splitmix64's finaliser in place: one-to-one, and every bit depends on every bit (Steele, Lea and Flood 2014)."""
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def _check(k: int, scale: int) -> None:
    if not 1 <= k <= 32:
        raise ConfigError(f"k = {k}: k must be 1 to 32, so that a k-mer fits into 64 bits; correct it.")
    if scale < 1:
        raise ConfigError(f"scale = {scale}: one k-mer in `scale` is sampled, so that it must be 1 or more; correct it.")


def concatenated(sequences: Codes | Iterable[Codes], n_read: int = N_READ) -> Iterator[tuple[Codes, NDArray[np.int64]]]:
    """Yield concatenated sequences (codes, start of each), n_read bases or more at a time; an N between two breaks k-mers."""
    if isinstance(sequences, np.ndarray) and sequences.ndim == 1:
        sequences = [sequences]
    parts: list[Codes] = []
    starts: list[int] = []
    size = 0
    gap = np.array([N], dtype=np.uint8)
    for sequence in sequences:
        starts.append(size)
        parts += [sequence, gap]
        size += len(sequence) + 1
        if size >= n_read:
            yield np.concatenate(parts), np.array(starts)
            parts, starts, size = [], [], 0
    if starts:
        yield np.concatenate(parts), np.array(starts)


# --- the sketch


class Containment(NamedTuple):
    """Number of sampled distinct k-mers of a query, and number of those that are in the sketch."""

    n_found: int
    n_sampled: int

    @property
    def share(self) -> float:
        """Fraction of sampled k-mers that were found; 0 if none was sampled, which `n_sampled` shows."""
        return self.n_found / self.n_sampled if self.n_sampled else 0.0


@dataclass(frozen=True, eq=False)
class Sketch:
    """Set of k-mers that keeps one in `scale`; hashes, uint64 [n], sorted, each once.

    Two sketches with the same k and scale keep the same k-mers. So the fraction of a query's sampled k-mers that is found
    estimates the fraction of all its k-mers (Ondov et al. 2016, Mash, Genome Biology 17:132; Irber et al. 2022, Lightweight
    compositional analysis of metagenomes with FracMinHash, bioRxiv 2022.01.11.475838). With scale 1 it is exact.

    >>> from genoformer.genome.codes import encode
    >>> sketch = Sketch.from_sequences([encode("ACGGTTCAAC")], k=5)
    >>> sketch.containment(encode("GTTGAACC")).share  # the other strand
    1.0
    """

    k: int
    scale: int
    hashes: Hashes

    @classmethod
    def from_sequences(cls, sequences: Codes | Iterable[Codes], k: int = K, scale: int = 1) -> Self:
        """Make the sketch of one sequence [L], of windows [B, L], or of any number of sequences, streamed."""
        _check(k, scale)
        return cls(k, scale, _union(sampled(piece, k, scale)[1] for piece, _ in concatenated(sequences)))

    def add(self, sequences: Codes | Iterable[Codes]) -> Self:
        """Return a sketch that also holds these sequences."""
        more = type(self).from_sequences(sequences, self.k, self.scale)
        return type(self)(self.k, self.scale, _union([self.hashes, more.hashes]))

    def joined(self, other: Sketch) -> Self:
        """Return the union of two sketches, at the coarser of their scales; they must have the same k."""
        if other.k != self.k:
            raise ConfigError(f"sketches of {self.k}-mers and of {other.k}-mers cannot be combined; make one again.")
        scale = max(self.scale, other.scale)
        both = _union([self.hashes, other.hashes])
        return type(self)(self.k, scale, both[both <= np.uint64((2**64 - 1) // scale)])

    def holds(self, hashes: Hashes) -> NDArray[np.bool_]:
        """True for each hash [n] that is in the sketch, [n]."""
        if not len(self.hashes):
            return np.zeros(len(hashes), dtype=bool)
        order = np.argsort(hashes)  # in sorted order, 10 million look-ups take one second instead of 20
        ordered = hashes[order]
        place = np.minimum(np.searchsorted(self.hashes, ordered), len(self.hashes) - 1)
        contained = np.empty(len(hashes), dtype=bool)
        contained[order] = self.hashes[place] == ordered
        return contained

    def containment(self, sequences: Codes | Iterable[Codes]) -> Containment:
        """Return how many distinct k-mers of all sequences together were sampled, and how many of those are in the sketch."""
        query = type(self).from_sequences(sequences, self.k, self.scale)
        return Containment(int(self.holds(query.hashes).sum()), len(query.hashes))

    def matches(
        self, sequences: Codes | Iterable[Codes], *, n_read: int = N_READ
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the numbers of k-mers of each sequence in the sketch, and the numbers sampled, int64 [n] both.

        A k-mer counts as often as it occurs in the sequence. n_read: number of bases that are read at a time.
        """
        n_found, n_sampled = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        for piece, starts in concatenated(sequences, n_read):
            places, hashes = sampled(piece, self.k, self.scale)
            owner = np.searchsorted(starts, places, side="right") - 1
            n_sampled.append(np.bincount(owner, minlength=len(starts)))
            n_found.append(np.bincount(owner[self.holds(hashes)], minlength=len(starts)))
        return np.concatenate(n_found), np.concatenate(n_sampled)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the sketch as .npz under exactly this name; the same sketch gives the same bytes."""
        with atomic_write(Path(path)) as part, part.open("wb") as file:
            np.savez(file, format=_FORMAT, k=self.k, scale=self.scale, hashes=self.hashes)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a sketch that `save` wrote. Raises MissingFileError, or FileFormatError if it is damaged or not a sketch."""
        path = Path(path)
        if not path.is_file():
            raise MissingFileError(f"There is no file {path}; give a sketch that was saved before.")
        try:
            stored = read_arrays(path)
            version, k, scale = (int(stored[name]) for name in ("format", "k", "scale"))
            hashes = stored["hashes"]
        except (FileFormatError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise FileFormatError(f"{path} is no sketch of k-mers ({error}); make it again.") from error
        sound = hashes.dtype == np.uint64 and hashes.ndim == 1 and bool((hashes[1:] > hashes[:-1]).all())
        if version != _FORMAT or not 1 <= k <= 32 or scale < 1 or not sound:
            raise FileFormatError(
                f"{path} is no sketch of format {_FORMAT} (format {version}, k {k}, scale {scale}, "
                f"hashes {hashes.dtype} {hashes.shape}); make it again."
            )
        if len(hashes) and int(hashes[-1]) > (2**64 - 1) // scale:
            raise FileFormatError(f"{path} holds hashes that scale {scale} leaves out; make it again.")
        return cls(k, scale, hashes)


def _union(parts: Iterable[Hashes], n_new_min: int = N_READ) -> Hashes:
    """Return all hashes, sorted, each once; merged whenever the new hashes outnumber the old ones and n_new_min."""
    old, new, n_new = _NONE, list[Hashes](), 0
    for part in parts:
        new.append(part)
        n_new += len(part)
        if n_new > max(len(old), n_new_min):
            old, new, n_new = _each_once([old, *new]), [], 0
    return _each_once([old, *new])


def _each_once(parts: list[Hashes]) -> Hashes:
    """Return the hashes sorted, each once. NumPy's own unique takes 40 times as long for 10 million hashes (2.4)."""
    hashes = np.sort(np.concatenate(parts))
    return hashes[np.append(True, hashes[1:] != hashes[:-1])[: len(hashes)]]
