"""Variants -> windows of codes -> masked queries to the language model -> evidence for both alleles.

A query masks [target, end) of a window and asks for P(base) at `target`. An SNV needs one query per strand for all its ALTs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer import inference
from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N, encode, reverse_complement
from genoformer.genome.normalise import normalise, trim, trimmed
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Alleles, Variant, centred_start, place_alleles, place_snvs
from genoformer.inference.base_probabilities import allele_embeddings
from genoformer.inference.windows import require_length
from genoformer.models.transformer.model import Encoder
from genoformer.scoring.score_inputs import AllelePair
from genoformer.scoring.scores import Score
from genoformer.writers import Floats

FLANK = 5  # bases on either side of an indel whose likelihood is compared too: a 6-mer reaches this far
_TOUCH = 1  # bases on either side of an allele whose tokens count in its embedding; a deletion has no base of its own
_GROUP = 64  # insertions and deletions per batch: each needs dozens of windows


class MaskedQuery(NamedTuple):
    """Query that masks [target, end) of a window and requests the probability of `base` at `target`."""

    codes: Codes
    target: int
    end: int
    base: int


class Substitutions(NamedTuple):
    """Evidence for alleles of equal length; one pair per strand."""

    likelihoods: list[AllelePair]  # log2 P of each allele [n]
    posteriors: list[AllelePair]  # log2 P of A, C, G, T at the first changed base [n, 4]; empty for a causal model


class AlleleScorer:
    """Language model over a genome: lists of variants -> evidence of each kind, per strand."""

    def __init__(
        self,
        model: Encoder,
        genome: Genome,
        length: int | None = None,
        *,
        both_strands: bool = True,
        batch_size: int | None = None,
    ) -> None:
        self.model, self.genome, self.batch_size = model, genome, batch_size
        self.length = length or model.config.context_length
        self.strands = "+-" if both_strands else "+"
        self.kmers = model.tokenizer.masks_bases
        config = model.config
        longest = model.longest_window
        shortest = 2 * FLANK + 2 + model.tokenizer.min_bases
        if self.length < shortest or (longest is not None and self.length > longest):
            limit = f"at most {longest}" if longest is not None and self.length > longest else f"at least {shortest}"
            raise ConfigError(f"a window of {self.length} bases does not suit this model; choose {limit}.")
        require_length(self.length, config.context_length)

    @property
    def longest_allele(self) -> int:
        """Length in bases of the longest REF or ALT that fits in the window with its flanks."""
        return self.length - 2 * FLANK

    def require(self, scores: Sequence[Score]) -> None:
        """Raise ConfigError for scores that this model does not support, before any work is done."""
        of_bases = any(score.input.needs_bases for score in scores)
        if of_bases and not self.kmers:
            raise ConfigError(
                "LLR, PLL and ENTROPY need tokens of a fixed number of bases, which BPE does not have; "
                "choose COSINE or L2, or a k-mer or single-base model."
            )
        if self.model.causal and any(score.input.needs_both_sides for score in scores):
            raise ConfigError("ENTROPY needs a model that sees both sides, and this one is causal; choose LLR or PLL.")
        if self.model.causal and of_bases and self.model.tokenizer.stride != 1:
            raise ConfigError("the likelihood of a causal k-mer model is known for stride 1 only; train one of stride 1.")

    def substitutions(self, variants: Sequence[Variant], *, with_posterior: bool) -> Substitutions:
        """Return log2 P of each allele and, if requested, the posterior at the first changed base.

        One changed base: all tokens over it are masked together. Several: the chain rule from left to right on each strand,
        with the later bases masked; the posterior is that of the first base, with all of them masked. An ALT equal to REF
        gets 0 for both alleles and the posterior of the first base of REF.
        """
        if self.model.causal:
            return Substitutions(self._likelihoods(variants), [])
        n = len(variants)
        changes = [trim(v.ref, v.alt) for v in variants]
        equal = np.array([not ref for _, ref, _ in changes], dtype=bool)
        single = np.array([len(ref) == 1 for _, ref, _ in changes], dtype=bool) | (equal & with_posterior)
        at = np.array([v.start + offset for v, (offset, _, _) in zip(variants, changes, strict=True)], dtype=np.int64)
        alleles = [AllelePair(np.zeros(n, np.float32), np.zeros(n, np.float32)) for _ in self.strands]
        posteriors = [np.full((n, 4), np.nan, np.float32) for _ in self.strands]
        snvs = np.flatnonzero(single).tolist()
        if snvs:
            windows, which = self._windows([variants[i].chrom for i in snvs], at[snvs])
            centre = np.full(len(windows), self.length // 2)
            ref = encode("".join(changes[i][1] or variants[i].ref[0] for i in snvs))
            alt = encode("".join(changes[i][2] or variants[i].ref[0] for i in snvs))
            rows = np.arange(len(snvs))
            same = np.flatnonzero(equal)
            for strand, pair, posterior in zip(self.strands, alleles, posteriors, strict=True):
                log2_p = self._base_log_probs(windows, centre, strand=strand)[which]
                posterior[snvs], pair.ref[snvs], pair.alt[snvs] = log2_p, log2_p[rows, ref], log2_p[rows, alt]
                pair.ref[same] = pair.alt[same] = 0  # also next to N
        others = np.flatnonzero(~single).tolist()
        for i0 in range(0, len(others), _GROUP):
            group = others[i0 : i0 + _GROUP]
            placed = [self._place(Variant(variants[i].chrom, int(at[i]) + 1, *changes[i][1:])) for i in group]
            for strand, pair, posterior in zip(self.strands, alleles, posteriors, strict=True):
                asked = [self._chain_rule_queries(a, strand) for a in placed]
                changed = [i for i, (ref, _) in zip(group, asked, strict=True) if ref]  # ref and alt equal: 0 and 0
                if changed:
                    pair.ref[changed] = self._sum_log_probs([ref for ref, _ in asked if ref])
                    pair.alt[changed] = self._sum_log_probs([alt for ref, alt in asked if ref])
                first = [ref[0] for ref, _ in asked if ref]
                if with_posterior and first:
                    posterior[changed] = self._query(first)
        return Substitutions(alleles, [AllelePair(p, p) for p in posteriors])

    def indels(self, variants: Sequence[Variant]) -> list[AllelePair]:
        """Return the sum of log2 P(base | all others) over the allele and FLANK bases on either side.

        The shorter allele gets a longer flank, so that both sums have the same number of terms, also next to N and at the
        ends of a contig. Windows are aligned symmetrically. Variants are normalised first, so that all spellings of a change
        give the same evidence.
        """
        if self.model.causal:
            return self._likelihoods(variants)
        pairs = [AllelePair(np.zeros(len(variants), np.float32), np.zeros(len(variants), np.float32)) for _ in self.strands]
        for i0 in range(0, len(variants), _GROUP):
            group = slice(i0, min(i0 + _GROUP, len(variants)))
            placed = [self._place(self._shortest(v)) for v in variants[group]]
            for strand, pair in zip(self.strands, pairs, strict=True):
                asked = [self._each_base(a, strand) for a in placed]
                pair.ref[group] = self._sum_log_probs([ref for ref, _ in asked])
                pair.alt[group] = self._sum_log_probs([alt for _, alt in asked])
        return pairs

    def embeddings(self, variants: Sequence[Variant]) -> list[AllelePair]:
        """Return the mean embedding [n, D] of the tokens that touch each allele."""
        placed = [self._place(self._shortest(v)) for v in variants]
        unchanged = np.array([np.array_equal(a.ref, a.alt) for a in placed], dtype=bool)  # no difference by rounding
        pairs = []
        for strand in self.strands:
            sides = []
            for codes, starts, lengths in (
                ([a.ref for a in placed], [a.ref_start for a in placed], [a.ref_length for a in placed]),
                ([a.alt for a in placed], [a.alt_start for a in placed], [a.alt_length for a in placed]),
            ):
                first, after = np.array(starts) - _TOUCH, np.array(starts) + np.array(lengths) + _TOUCH
                windows = np.stack(codes)
                if strand == "-":
                    windows, first, after = reverse_complement(windows), self.length - after, self.length - first
                sides.append(allele_embeddings(self.model, windows, first, after, batch_size=self.batch_size))
            sides[1][unchanged] = sides[0][unchanged]
            pairs.append(AllelePair(*sides))
        return pairs

    # Windows

    def _windows(self, chroms: Sequence[str], at: NDArray[np.int64]) -> tuple[Codes, NDArray[np.intp]]:
        """Return the distinct windows [U, L] centred on single bases, and the window row of each base."""
        names = {name: i for i, name in enumerate(dict.fromkeys(chroms))}
        keys = np.stack([np.array([names[c] for c in chroms]), at])
        unique, which = np.unique(keys, axis=1, return_inverse=True)
        parts = [place_snvs(self.genome, name, unique[1, unique[0] == i], self.length)[0] for name, i in names.items()]
        return np.concatenate(parts), which.reshape(-1)

    def _place(self, variant: Variant) -> Alleles:
        return place_alleles(self.genome, variant, centred_start(variant, self.length), self.length, "symmetric")

    def _shortest(self, variant: Variant) -> Variant:
        """Return the normalised variant without shared bases; REF or ALT may be empty."""
        return trimmed(normalise(variant, self.genome))

    # Queries

    def _chain_rule_queries(self, a: Alleles, strand: str) -> tuple[list[MaskedQuery], list[MaskedQuery]]:
        n, start = a.ref_length, a.ref_start
        ref, alt = a.ref, a.alt
        if strand == "-":
            ref, alt, start = reverse_complement(ref), reverse_complement(alt), self.length - start - n
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
                codes, asked = reverse_complement(codes), [self.length - 1 - i for i in asked]
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
        return self._base_log_probs(
            np.stack([q.codes for q in questions]),
            np.array([q.target for q in questions]),
            np.array([q.end for q in questions]),
        )

    def _base_log_probs(
        self, codes: Codes, target: NDArray[np.int64], end: NDArray[np.int64] | None = None, strand: str = "+"
    ) -> Floats:
        """Return log2 P of A, C, G, T at `target`, [B, 4], on the forward strand.

        strand: "-" masks the one base at `target` on the reverse complement.
        """
        if strand == "-":
            codes, target = reverse_complement(codes), codes.shape[1] - 1 - target
        log2_p = inference.posteriors(self.model, codes, target, end, batch_size=self.batch_size)
        return log2_p[:, ::-1] if strand == "-" else log2_p  # A C G T read backwards is the complement

    def _likelihoods(self, variants: Sequence[Variant]) -> list[AllelePair]:
        """Return log2 P(window) of both alleles under a causal model."""
        placed = [self._place(self._shortest(v)) for v in variants]
        ref, alt = np.stack([a.ref for a in placed]), np.stack([a.alt for a in placed])
        pairs = []
        for strand in self.strands:
            both = (ref, alt) if strand == "+" else (reverse_complement(ref), reverse_complement(alt))
            sides = [inference.likelihoods(self.model, codes, batch_size=self.batch_size) for codes in both]
            uneven = (ref >= N).sum(1) != (alt >= N).sum(1)  # N add nothing, so the sums would not be comparable
            pairs.append(AllelePair(*(np.where(uneven, np.nan, side) for side in sides)))
        return pairs


@dataclass
class VariantEvidence:
    """Evidence of one model for a list of variants, computed when a score asks for it."""

    reader: AlleleScorer
    variants: Sequence[Variant]
    with_posterior: bool = False  # True: a score needs the posterior

    @cached_property
    def _substitutions(self) -> Substitutions:
        return self.reader.substitutions(self.variants, with_posterior=self.with_posterior)

    @property
    def likelihoods(self) -> list[AllelePair]:
        return self._substitutions.likelihoods

    @property
    def posteriors(self) -> list[AllelePair]:
        return self._substitutions.posteriors

    @cached_property
    def pseudo_likelihoods(self) -> list[AllelePair]:
        return self.reader.indels(self.variants)

    @cached_property
    def embeddings(self) -> list[AllelePair]:
        return self.reader.embeddings(self.variants)
