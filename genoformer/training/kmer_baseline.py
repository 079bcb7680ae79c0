"""Sequence -> counts of k-mers -> P(base | bases around it): the Markov baselines for a DNA language model.

One n-mer table is enough: the bases before and after a target, together with the target, form an n-mer. The counts of
the other strand are the same table with its axes reversed and every base complemented.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer.errors import ConfigError
from genoformer.formats.bed import Intervals
from genoformer.genome.codes import Codes, N
from genoformer.genome.minhash import N_READ, concatenated
from genoformer.genome.reference import Genome
from genoformer.genome.regions import runs_of_bases, subtract

# The weight of the shorter context, in bases seen. Measured by leaving out each of three slices of hg38 (chr2, chr10,
# chr11; 8.3 Mb) in turn: 48 to 96 are within 0.004 bits of the best for 5+5 and 0.008 for order 11, while 8 costs 0.04
# and 0.1. A large genome is less sensitive, since its contexts are seen more often.
A = 64.0


class Context(NamedTuple):
    """Context of a Markov baseline: the number of known bases before and after the target.

    >>> Context(5, 5).name, Context(11, 0).name, Context(2, 2).shorter
    ('5+5', 'order 11', Context(before=1, after=1))
    """

    before: int
    after: int

    @property
    def name(self) -> str:
        return f"{self.before}+{self.after}" if self.after else f"order {self.before}"

    @property
    def n_bases(self) -> int:
        """Number of bases in the context and the target."""
        return self.before + 1 + self.after

    @property
    def shorter(self) -> Context:
        """Context without its farthest bases, to back off to where this one is rare."""
        return Context(max(self.before - 1, 0), max(self.after - 1, 0))


ONE_SIDED = tuple(Context(k, 0) for k in range(12))
TWO_SIDED = tuple(Context(m, m) for m in range(2, 6))
CONTEXTS = ONE_SIDED + TWO_SIDED


class CountModels:
    """Markov baselines of several contexts, fitted together and scored on the same bases.

    p(b | c) = (n(c, b) + a p(b | c')) / (n(c) + a), where n(c, b) is the count of base b in context c, c' is the
    context without its farthest bases, and p(b) without a context backs off to 1/4.

    Attributes: contexts, names (both in the row order of all results), n_bases (number of known bases counted,
    including those of the other strand). Order 11 takes 4^12 cells: all contexts together need 0.4 GB during fitting
    and 0.1 GB afterwards.

    >>> from genoformer.genome.codes import encode
    >>> models = CountModels.fit([encode("ACACACACAC")], [Context(0, 0), Context(1, 0)], a=1, both_strands=False)
    >>> p = 2 ** -models.bits(encode("CACAC")[None], [2])  # p(C) = 5.25 / 11, p(C | A) = (5 + p(C)) / 6
    >>> [f"{name}: {value:.3f}" for name, value in zip(models.names, p[:, 0])]
    ['order 0: 0.477', 'order 1: 0.913']
    """

    def __init__(self, tables: dict[Context, NDArray[np.float32]], n_bases: int) -> None:
        self._tables = tables  # context -> -log2 p of each n-mer, [4^n]; the first base is the most significant digit
        self.contexts = tuple(tables)
        self.names = tuple(context.name for context in tables)
        self.n_bases = n_bases
        self._before = max(context.before for context in tables)
        self._after = max(context.after for context in tables)

    @classmethod
    def fit(
        cls,
        chunks: Iterable[Codes],
        contexts: Sequence[Context] = CONTEXTS,
        *,
        a: float = A,
        both_strands: bool = True,
    ) -> CountModels:
        """Count the n-mers of chunks of sequence, uint8 [L] each; no n-mer spans two chunks or contains an N.

        Parameters: a, weight of the shorter context in observed bases; both_strands, also count the reverse complements.

        Raises: ConfigError if the chunks contain no A, C, G or T, if no context is given, or if a is not above 0.
        """
        if not contexts or not a > 0:
            raise ConfigError(f"{len(contexts)} contexts and a = {a}: give at least one context and a weight above 0.")
        chain = {context for asked in contexts for context in _chain(asked)}
        counts = count_kmers(chunks, {context.n_bases for context in chain}, both_strands=both_strands)
        n_bases = int(counts[1].sum())
        if not n_bases:
            raise ConfigError("the sequence to count has no A, C, G or T; name contigs that are not all N.")
        p: dict[Context, NDArray[np.float32]] = {}
        for context in sorted(chain, key=lambda context: context.n_bases):
            p[context] = _smoothed(counts[context.n_bases], context, p.get(context.shorter), a)
        del counts
        return cls({context: -np.log2(p[context]) for context in contexts}, n_bases)

    def bits(self, codes: Codes, target: ArrayLike) -> NDArray[np.float32]:
        """Return -log2 P(true base) at one target base in each window, float32 [n_models, B].

        The value is NaN where the target or a base of the context is N or lies outside the window.

        Parameters: codes, windows [B, L]; target, 0-based positions in the windows [B].

        Raises: ConfigError if a target lies outside its window.
        """
        place = np.asarray(target, dtype=np.int64)
        n_windows, length = codes.shape
        if place.shape != (n_windows,) or (n_windows and not 0 <= place.min() <= place.max() < length):
            raise ConfigError(
                f"targets of shape {place.shape} for windows of shape {codes.shape}: give each window one place from 0 "
                f"to {length - 1}."
            )
        padded = np.pad(codes, ((0, 0), (self._before, self._after)), constant_values=N)
        around = np.arange(self._before + 1 + self._after)
        return self._bits(padded[np.arange(n_windows)[:, None], place[:, None] + around])

    def _bits(self, around: Codes) -> NDArray[np.float32]:
        """Return -log2 P of the base at column `_before` of rows [B, _before + 1 + _after], as [n_models, B]."""
        found = np.empty((len(self.contexts), len(around)), dtype=np.float32)
        digits, known = (around & 3).astype(np.int32), around < N
        for row, context in zip(found, self.contexts, strict=True):
            seen = slice(self._before - context.before, self._before + 1 + context.after)
            number = digits[:, seen] @ 4 ** np.arange(context.n_bases - 1, -1, -1, dtype=np.int32)
            row[:] = np.where(known[:, seen].all(axis=1), self._tables[context][number], np.nan)
        return found


def count_kmers(
    chunks: Iterable[Codes], sizes: Iterable[int], *, both_strands: bool = False, n_read: int = N_READ
) -> dict[int, NDArray[np.integer]]:
    """Count each n-mer in chunks [L], for several n: n -> counts [4^n], with the first base as the most significant digit.

    n-mers that contain an N are left out. n_read: number of bases that are counted at a time.

    >>> from genoformer.genome.codes import encode
    >>> count_kmers([encode("AAC")], [2])[2][:4].tolist()  # AA AC AG AT
    [1, 1, 0, 0]
    """
    # common short n-mers can exceed 4 billion in a genome; n-mers of 9 and more do not, and their tables are large
    counts = {n: np.zeros(4**n, dtype=np.int64 if n < 9 else np.uint32) for n in sorted(set(sizes))}
    for piece, _ in concatenated(chunks, n_read):  # in large pieces, so that few tables of 4^n are made
        digits, known = (piece & 3).astype(np.int32), piece < N
        number, whole = digits, known
        for n in range(1, max(counts) + 1):
            if n > 1:
                number = number[:-1] * 4 + digits[n - 1 :]
                whole = whole[:-1] & known[n - 1 :]
            if n in counts:
                np.add(counts[n], np.bincount(number[whole], minlength=4**n), out=counts[n], casting="unsafe")
    if both_strands:
        for n, table in counts.items():
            turned = table.reshape((4,) * n).T.ravel()  # the n-mer read backwards
            table += turned[::-1]  # and every base complemented, 3 - code
    return counts


def stretches(
    genome: Genome, contigs: Iterable[str], without: Mapping[str, Intervals] | None = None, *, n_read: int = 1 << 20
) -> Iterator[Codes]:
    """Yield the sequence of contigs without N: codes [L] of each run of known bases, cut at every n_read bases.

    A cut loses the contexts across it, so a dozen bases in a million are not counted at order 11. without: intervals
    [n, 2] of each contig to leave out.

    >>> import pathlib, tempfile
    >>> from genoformer.genome.codes import decode
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fasta = pathlib.Path(folder, "tiny.fa")
    ...     _ = fasta.write_text(">one\\nNNACGNNNT\\n")
    ...     [decode(codes) for codes in stretches(Genome(fasta), ["one"])]
    ['ACG', 'T']
    """
    for contig in contigs:
        runs = runs_of_bases(genome, contig)
        if without is not None and contig in without:
            runs = subtract(runs, without[contig])
        for first, last in runs.tolist():
            for start in range(first, last, n_read):
                yield genome.window(contig, start, min(n_read, last - start))


def _chain(context: Context) -> Iterator[Context]:
    """Yield the context and the ever shorter contexts that it backs off to, down to the empty one."""
    yield context
    while context != context.shorter:
        context = context.shorter
        yield context


def _smoothed(
    counts: NDArray[np.integer], context: Context, shorter: NDArray[np.float32] | None, a: float
) -> NDArray[np.float32]:
    """Return p(base | context) of each n-mer [4^n] from counts [4^n] and the p of the shorter context."""
    before, after = context
    far, near = (4 if before else 1, 4 ** max(before - 1, 0)), (4 ** max(after - 1, 0), 4 if after else 1)
    p = counts.astype(np.float32).reshape(*far, 4, *near)  # farthest and nearer bases, target, nearer and farthest bases
    seen = p.sum(axis=2, keepdims=True)
    if shorter is None:
        p += a / 4
    else:
        p += np.float32(a) * shorter.reshape(1, far[1], 4, near[0], 1)
    p /= seen + np.float32(a)
    return p.ravel()
