"""Variants -> masked queries to a language model -> evidence for both alleles: models that see both sides of a base.

A query masks [target, end) of a window and asks for P(base) at `target`. An SNV needs one query per strand for all its ALTs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import permutations, zip_longest
from typing import NamedTuple, TypeVar

import numpy as np

from genoformer import inference
from genoformer.genome.codes import Codes, N, encode, reverse_complement
from genoformer.genome.normalise import trim
from genoformer.genome.variants import Alleles, Variant
from genoformer.models.token_model import TokenModel
from genoformer.scoring.score_inputs import AllelePair
from genoformer.scoring.variant_windows import FLANK, CentredWindows, VariantWindows
from genoformer.writers import Floats

_SNVS = {(ref, alt): (0, ref, alt) for ref, alt in permutations("ACGT", 2)}  # what `trim` returns for nearly all variants
_T = TypeVar("_T")
GROUP = 64  # insertions and deletions per batch: each needs dozens of windows


class MaskedQuery(NamedTuple):
    """Query that masks [target, end) of a window and requests the probability of `base` at `target`."""

    codes: Codes
    target: int
    end: int
    base: int


class Substitutions(NamedTuple):
    """Evidence for alleles of equal length; one pair per strand."""

    likelihoods: list[AllelePair]  # log2 P of each allele [n]
    posteriors: list[AllelePair]  # log2 P of A, C, G, T at the first changed base [n, 4]
    tokens: list[AllelePair]  # log2 P of the tokens over each allele [n]; those of tokens of one base are `likelihoods`


class MaskedLikelihoods:
    """Evidence of a masked model with tokens of a fixed number of bases."""

    def __init__(self, model: TokenModel, windows: VariantWindows, batch_size: int | None = None) -> None:
        self.model, self.windows, self.batch_size = model, windows, batch_size

    def substitutions(self, variants: Sequence[Variant], *, with_posterior: bool) -> Substitutions:
        """Return log2 P of each allele and, if requested, the posterior at the first changed base.

        One changed base: all tokens over it are masked together. Several: the chain rule from left to right on each strand,
        with the later bases masked; the posterior is that of the first base, with all of them masked. An ALT equal to REF
        gets 0 for both alleles and the posterior of the first base of REF.
        """
        n = len(variants)
        changes = [_SNVS.get((ref, alt)) or trim(ref, alt) for _, _, ref, alt in variants]
        equal = np.array([not ref for _, ref, _ in changes], dtype=bool)
        single = np.array([len(ref) == 1 for _, ref, _ in changes], dtype=bool) | (equal & with_posterior)
        at = np.array([v[1] - 1 + change[0] for v, change in zip(variants, changes, strict=True)], dtype=np.int64)
        alleles = [AllelePair(np.zeros(n, np.float32), np.zeros(n, np.float32)) for _ in self.windows.strands]
        posteriors = [np.full((n, 4), np.nan, np.float32) for _ in self.windows.strands]
        snvs = np.flatnonzero(single).tolist()
        if snvs:
            windows = self.windows.centred([variants[i][0] for i in snvs], at[snvs])
            ref = encode("".join(changes[i][1] or variants[i].ref[0] for i in snvs))
            alt = encode("".join(changes[i][2] or variants[i].ref[0] for i in snvs))
            rows = np.arange(len(snvs))
            same = np.flatnonzero(equal)
            of_strands = self._on_strands(lambda strand: self._centre_log_probs(windows, strand)[windows.which])
            for log2_p, pair, posterior in zip(of_strands, alleles, posteriors, strict=True):
                posterior[snvs], pair.ref[snvs], pair.alt[snvs] = log2_p, log2_p[rows, ref], log2_p[rows, alt]
                pair.ref[same] = pair.alt[same] = 0  # also next to N
        others = np.flatnonzero(~single).tolist()
        for i0 in range(0, len(others), GROUP):
            group = others[i0 : i0 + GROUP]
            placed = [self.windows.place(Variant(variants[i].chrom, int(at[i]) + 1, *changes[i][1:])) for i in group]
            for strand, pair, posterior in zip(self.windows.strands, alleles, posteriors, strict=True):
                asked = [self._chain_rule_queries(a, strand) for a in placed]
                changed = [i for i, (ref, _) in zip(group, asked, strict=True) if ref]  # ref and alt equal: 0 and 0
                if changed:
                    pair.ref[changed] = self._sum_log_probs([ref for ref, _ in asked if ref])
                    pair.alt[changed] = self._sum_log_probs([alt for ref, alt in asked if ref])
                first = [ref[0] for ref, _ in asked if ref]
                if with_posterior and first:
                    posterior[changed] = self._query(first)
        return Substitutions(alleles, [AllelePair(p, p) for p in posteriors], alleles)

    def indels(self, variants: Sequence[Variant]) -> list[AllelePair]:
        """Return the sum of log2 P(base | all others) over the allele and FLANK bases on either side.

        The shorter allele gets a longer flank, so that both sums have the same number of terms, also next to N and at the
        ends of a contig. Windows are aligned symmetrically. Variants are normalised first, so that all spellings of a change
        give the same evidence.
        """
        pairs = [
            AllelePair(np.zeros(len(variants), np.float32), np.zeros(len(variants), np.float32)) for _ in self.windows.strands
        ]

        def sums(placed: Sequence[Alleles], strand: str) -> tuple[Floats, Floats]:
            asked = [self._each_base(a, strand) for a in placed]
            return self._sum_log_probs([ref for ref, _ in asked]), self._sum_log_probs([alt for _, alt in asked])

        for i0 in range(0, len(variants), GROUP):
            group = slice(i0, min(i0 + GROUP, len(variants)))
            placed = [self.windows.place(self.windows.shortest(v)) for v in variants[group]]
            for pair, found in zip(pairs, self._on_strands(partial(sums, placed)), strict=True):
                pair.ref[group], pair.alt[group] = found
        return pairs

    def _on_strands(self, of_strand: Callable[[str], _T]) -> list[_T]:
        """Return a result for each strand; where single bases have the same probabilities on both, it is computed once."""
        if self.model.strands_agree:
            return [of_strand("+")] * len(self.windows.strands)
        return [of_strand(strand) for strand in self.windows.strands]

    # Queries

    def _chain_rule_queries(self, a: Alleles, strand: str) -> tuple[list[MaskedQuery], list[MaskedQuery]]:
        n, start = a.ref_length, a.ref_start
        ref, alt = a.ref, a.alt
        if strand == "-":
            ref, alt, start = reverse_complement(ref), reverse_complement(alt), self.windows.length - start - n
        end = start + n
        return (
            [MaskedQuery(ref, i, end, int(ref[i])) for i in range(start, end)],
            [MaskedQuery(alt, i, end, int(alt[i])) for i in range(start, end)],
        )

    def _each_base(self, a: Alleles, strand: str) -> tuple[list[MaskedQuery], list[MaskedQuery]]:
        """Return the same number of queries for both alleles: the allele, then the nearest known bases around it."""
        sides = [(a.ref, a.ref_start, a.ref_length), (a.alt, a.alt_start, a.alt_length)]
        order = [self._outward_positions(*side) for side in sides]
        n_asked = min(max(a.ref_length, a.alt_length) + 2 * FLANK, *map(len, order))
        if n_asked < max(a.ref_length, a.alt_length):
            return [], []  # N all around: the shorter allele has fewer known neighbours than the longer allele has bases
        questions: list[list[MaskedQuery]] = []
        for (codes, _, _), places in zip(sides, order, strict=True):
            asked = sorted(places[:n_asked])
            if strand == "-":
                codes, asked = reverse_complement(codes), [self.windows.length - 1 - i for i in asked]
            questions.append([MaskedQuery(codes, i, i + 1, int(codes[i])) for i in asked])
        return questions[0], questions[1]

    def _outward_positions(self, codes: Codes, start: int, n: int) -> list[int]:
        """Return the positions of an allele, then of its neighbours left and right in turn.

        A position is left out if every k-mer over it has an N.
        """
        k = self.model.tokenizer.min_bases
        known = codes < N
        inside = np.convolve(known, np.ones(k, dtype=int), "valid") == k  # k-mers without N, by their first base
        known = np.convolve(inside, np.ones(k, dtype=int), "full") > 0  # bases in at least one of them
        around = [i for pair in zip_longest(range(start - 1, -1, -1), range(start + n, len(codes))) for i in pair]
        return [i for i in (*range(start, start + n), *around) if i is not None and known[i]]

    def _sum_log_probs(self, questions: list[list[MaskedQuery]]) -> Floats:
        """Return the sum of log2 P(base) over each list of queries, [n]; NaN for an empty list or a missing probability."""
        flat = [q for row in questions for q in row]
        sizes = np.array([len(row) for row in questions])
        terms: Floats = np.zeros(0)
        if flat:
            terms = self._query(flat)[np.arange(len(flat)), [q.base for q in flat]]
        sums = np.bincount(np.repeat(np.arange(len(sizes)), sizes), terms, minlength=len(sizes))
        return np.where(sizes > 0, sums, np.nan).astype(np.float32)

    def _query(self, questions: Sequence[MaskedQuery]) -> Floats:
        """Return log2 P of A, C, G, T, [n, 4], on the strand of each window."""
        codes, target = np.stack([q.codes for q in questions]), np.array([q.target for q in questions])
        end = np.array([q.end for q in questions])
        return inference.posteriors(self.model, codes, target, end, batch_size=self.batch_size)

    def _centre_log_probs(self, windows: CentredWindows, strand: str) -> Floats:
        """Return log2 P of A, C, G, T at the centre of windows as one strand reads them, [U, 4], on the forward strand."""
        codes, centre, starts = windows.codes, self.windows.centre, windows.starts
        if strand == "-":
            codes, centre, starts = reverse_complement(codes), self.windows.length - 1 - centre, -starts
        target = np.full(len(codes), centre)
        log2_p = inference.sliding_posteriors(self.model, codes, target, starts, batch_size=self.batch_size)
        return log2_p[:, ::-1] if strand == "-" else log2_p  # A C G T read backwards is the complement
