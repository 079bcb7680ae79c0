"""Variants -> masked blocks of bases that do not overlap -> likelihoods of the blocks that carry each allele."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.genome.codes import Codes, N, reverse_complement
from genoformer.genome.normalise import trim
from genoformer.genome.variants import Alleles, Variant
from genoformer.inference.base_probabilities import token_log2_probs
from genoformer.models.token_model import TokenModel
from genoformer.scoring.masked_likelihoods import GROUP, MaskedLikelihoods, MaskedQuery, Substitutions
from genoformer.scoring.score_inputs import AllelePair
from genoformer.writers import Floats

Ints = NDArray[np.int64]


class MaskedToken(NamedTuple):
    """A masked token of a window, over the bases [start, start + width)."""

    ids: Ints  # [T], with [MASK]
    row: int  # position of the token in `ids`
    start: int
    width: int


class _Term(NamedTuple):
    """A masked token (its number in a batch), the bases of the allele in it, and those of them that are changed."""

    number: int
    bases: tuple[int, ...]
    is_changed: tuple[bool, ...]


class _Batch:
    """Masked tokens; equal ones are computed once."""

    def __init__(self, model: TokenModel, batch_size: int | None) -> None:
        self.model, self.batch_size = model, batch_size
        self.tokenizer: Any = model.tokenizer
        self.tokens: list[MaskedToken] = []
        self.numbers: dict[tuple[bytes, int], int] = {}

    def add(self, token: MaskedToken) -> int:
        """Add a masked token and return its number."""
        number = self.numbers.setdefault((token.ids.tobytes(), token.row), len(self.tokens))
        if number == len(self.tokens):
            self.tokens.append(token)
        return number

    def masked(self, codes: Codes, first: int, end: int) -> Iterator[MaskedToken]:
        """Yield the tokens of a window over [first, end), from the left; each and those to the right of it are masked."""
        ids, spans = (field[0] for field in self.tokenizer.encode(codes[None]))
        over = np.flatnonzero((spans[:, 0] < end) & (spans[:, 1] > first))
        for i, row in enumerate(over.tolist()):
            hidden = ids.copy()
            hidden[over[i:]] = self.tokenizer.mask_id
            yield MaskedToken(hidden, row, int(spans[row, 0]), int(spans[row, 1] - spans[row, 0]))

    def compute(self) -> list[NDArray[np.float64]]:
        """Return log2 P of the blocks in place of each token, [4] * width in the order A, C, G, T; the sum of P is 1."""
        if not self.tokens:
            return []
        ids = np.full((len(self.tokens), max(len(token.ids) for token in self.tokens)), self.tokenizer.pad_id)
        for row, token in zip(ids, self.tokens, strict=True):
            row[: len(token.ids)] = token.ids
        rows = np.array([token.row for token in self.tokens])
        log2_p = token_log2_probs(self.model, ids, rows, batch_size=self.batch_size)
        tables = []
        for token, row in zip(self.tokens, log2_p.astype(np.float64), strict=True):
            table = row[self.tokenizer.ids_of(token.width)]
            tables.append((table - _log2_sum(table)).reshape((4,) * token.width))
        return tables


class BlockLikelihoods(MaskedLikelihoods):
    """Evidence of a masked model whose tokens are blocks of bases that do not overlap.

    All tokens over the changed bases are masked, and read from the left; a token that has been read has the bases of the
    allele. Each term is log2 of the sum of P(block) over the blocks that carry the changed bases, whatever their other bases:
    the exact marginal of the masked token. P of a whole token is that of the one block with all its bases.
    """

    def substitutions(self, variants: Sequence[Variant], *, with_posterior: bool) -> Substitutions:
        """Return log2 P of each allele and of its whole tokens, and the posterior at the first changed base.

        An ALT equal to REF gets 0 for both alleles and the posterior of the first base of REF. NaN for alleles that the model
        does not read to their ends, because N in the window leave too few positions.
        """
        n, strands = len(variants), self.windows.strands
        likelihoods, tokens = ([AllelePair(np.zeros(n, np.float32), np.zeros(n, np.float32)) for _ in strands] for _ in "12")
        posteriors = [np.full((n, 4), np.nan, np.float32) for _ in strands]
        for i0 in range(0, n, GROUP):
            rows = range(i0, min(i0 + GROUP, n))
            for i, strand in enumerate(strands):
                batch = _Batch(self.model, self.batch_size)
                asked = [self._terms(batch, variants[row], strand) for row in rows]
                tables = batch.compute()
                for row, (ref, alt, first) in zip(rows, asked, strict=True):
                    for side, terms in enumerate((ref, alt)):
                        read = (np.nan, np.nan) if first is None else _sums(terms, tables)
                        likelihoods[i][side][row], tokens[i][side][row] = read
                    if first is not None:
                        posteriors[i][row] = _marginal(tables[first.number], first.is_changed.index(True))
        return Substitutions(likelihoods, [AllelePair(p, p) for p in posteriors], tokens)

    def _terms(self, batch: _Batch, variant: Variant, strand: str) -> tuple[list[_Term], list[_Term], _Term | None]:
        """Return the terms of REF and of ALT, none if they are equal, and the one with the first changed base.

        The last is None if the tokens of the window do not cover the alleles.
        """
        offset, ref, alt = trim(variant.ref, variant.alt)
        is_equal = not ref
        if is_equal:
            ref = alt = variant.ref[0].upper()
        a = self.windows.place(Variant(variant.chrom, variant.pos + offset * (not is_equal), ref, alt))
        start, sides = a.ref_start, (a.ref, a.alt)
        if strand == "-":
            start, sides = self.windows.length - start - len(ref), (reverse_complement(a.ref), reverse_complement(a.alt))
        terms = [self._terms_of(batch, codes, start, start + len(ref)) for codes in sides]
        if any(sum(sum(term.is_changed) for term in of) < len(ref) for of in terms):
            return [], [], None
        return ([], [], terms[0][0]) if is_equal else (terms[0], terms[1], terms[0][0])

    def _terms_of(self, batch: _Batch, codes: Codes, first: int, end: int) -> list[_Term]:
        terms = []
        for token in batch.masked(codes, first, end):
            places = range(token.start, token.start + token.width)
            bases = tuple(codes[token.start : token.start + token.width].tolist())
            terms.append(_Term(batch.add(token), bases, tuple(first <= place < end for place in places)))
        return terms

    def _each_base(self, a: Alleles, strand: str) -> tuple[list[MaskedQuery], list[MaskedQuery]]:
        """Return the same number of queries for both alleles; none if tokens do not cover the bases around one of them."""
        both = super()._each_base(a, strand)
        return both if all(map(self._are_read, both)) else ([], [])

    def _are_read(self, queries: Sequence[MaskedQuery]) -> bool:
        """True if the tokens of a window cover the bases of the queries, which are sorted by one strand of the window."""
        if not queries or not (queries[0].codes >= N).any():
            return True
        encoding = self.model.tokenizer.encode(queries[0].codes[None])
        spans = encoding.spans[encoding.is_base]
        targets = [query.target for query in queries]
        return bool(spans[0, 0] <= min(targets) and max(targets) < spans[-1, 1])

    def _query(self, questions: Sequence[MaskedQuery]) -> Floats:
        """Return log2 P of A, C, G, T at single bases, [n, 4]; the bases of one token share a query."""
        batch, numbers = _Batch(self.model, self.batch_size), []
        for question in questions:
            (token,) = batch.masked(question.codes, question.target, question.target + 1)
            numbers.append((batch.add(token), question.target - token.start))
        tables = batch.compute()
        return np.array([_marginal(tables[number], place) for number, place in numbers], dtype=np.float32)


def _sums(terms: Sequence[_Term], tables: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Return the sums of log2 P of the changed bases and of the whole tokens."""
    bases = tokens = 0.0
    for term in terms:
        table = tables[term.number]
        index = tuple(base if changed else slice(None) for base, changed in zip(term.bases, term.is_changed, strict=True))
        bases += float(_log2_sum(table[index]))
        tokens += float(table[term.bases])
    return bases, tokens


def _marginal(table: NDArray[np.float64], place: int) -> NDArray[np.float64]:
    """Return log2 P of A, C, G, T at one place of a token, [4]."""
    return np.array([_log2_sum(part) for part in np.moveaxis(table, place, 0)])


def _log2_sum(log2_p: NDArray[np.float64]) -> np.float64:
    """Return log2 of the sum of 2^x."""
    largest = log2_p.max()
    return np.float64(largest + np.log2(np.exp2(log2_p - largest).sum()))
