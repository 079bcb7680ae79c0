"""Variants -> both alleles between the same flanks -> pieces of BPE, each masked in turn -> bits per base."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.genome.variants import Variant
from genoformer.inference.base_probabilities import token_log2_probs
from genoformer.models.token_model import TokenModel
from genoformer.scoring.masked_likelihoods import GROUP
from genoformer.scoring.score_inputs import AllelePair
from genoformer.scoring.variant_windows import FLANK, FlankedAlleles, VariantWindows

Ints = NDArray[np.int64]


class Pieces(NamedTuple):
    """Tokens of one allele, and those whose likelihood counts."""

    ids: Ints  # [T]
    rows: Ints  # [M]
    n_bases: int  # bases that these tokens cover


class PieceLikelihoods:
    """Evidence of a masked model with tokens of varying length: the pseudo-log-likelihood of each allele, per base.

    Both alleles are read between the same flanks. The tokens that count are those that differ between the two sequences and
    those that touch the allele or the FLANK bases on either side; so they cover the same flanks in both. Each is masked in
    turn, and the sum of log2 P(token) is divided by the bases that they cover.

    It is no likelihood of bases: another cut of the same bases has another value, and [MASK] does not tell the length of the
    token that it replaces. Values of variants that change the cut and of variants that do not are hardly comparable.
    """

    def __init__(self, model: TokenModel, windows: VariantWindows, batch_size: int | None = None) -> None:
        self.model, self.windows, self.batch_size = model, windows, batch_size

    def pseudo_likelihoods(self, variants: Sequence[Variant]) -> list[AllelePair]:
        """Return the mean of log2 P per base of each allele, [n]; one pair per strand; NaN if no known base is near."""
        pairs = [
            AllelePair(np.zeros(len(variants), np.float32), np.zeros(len(variants), np.float32)) for _ in self.windows.strands
        ]
        for i0 in range(0, len(variants), GROUP):
            group = slice(i0, min(i0 + GROUP, len(variants)))
            shortest = [self.windows.shortest(v) for v in variants[group]]
            for strand, pair in zip(self.windows.strands, pairs, strict=True):
                sides = [self._pieces(self.windows.between_flanks(v, strand)) for v in shortest]
                pair.ref[group] = self._bits_per_base([ref for ref, _ in sides])
                pair.alt[group] = self._bits_per_base([alt for _, alt in sides])
                unchanged = [i0 + i for i, v in enumerate(shortest) if v.ref == v.alt]
                pair.alt[unchanged] = pair.ref[unchanged]  # no difference by rounding
        return pairs

    def _pieces(self, alleles: FlankedAlleles) -> tuple[Pieces, Pieces]:
        ref, alt = (self.model.tokenizer.encode(codes[None]) for codes in (alleles.ref, alleles.alt))
        bodies = [np.column_stack([of.ids[0], of.spans[0]])[of.is_base[0]] for of in (ref, alt)]  # [T, 3]: id, start, end
        longer = [0, len(alleles.alt) - len(alleles.ref), len(alleles.alt) - len(alleles.ref)]
        n_first = _n_equal(bodies[0], bodies[1])
        n_last = _n_equal(bodies[0][::-1] + longer, bodies[1][::-1])
        pieces = []
        for of, body, n in zip((ref, alt), bodies, (alleles.ref_length, alleles.alt_length), strict=True):
            token, (ids, starts, ends) = np.arange(len(body)), body.T
            differs = (token >= n_first) & (token < len(body) - n_last)
            touches = (starts < alleles.start + n + FLANK) & (ends > alleles.start - FLANK)
            counted = (differs | touches) & self.model.tokenizer.names_bases(ids)
            rows = np.flatnonzero(of.is_base[0])[counted]
            pieces.append(Pieces(of.ids[0], rows, int((ends - starts)[counted].sum())))
        return pieces[0], pieces[1]

    def _bits_per_base(self, alleles: list[Pieces]) -> NDArray[np.float64]:
        """Return the sum of log2 P(token), each masked, over the bases that the tokens cover."""
        n_rows = [len(allele.rows) for allele in alleles]
        owner = np.repeat(np.arange(len(alleles)), n_rows)
        ids = np.full((len(owner), max(len(allele.ids) for allele in alleles)), self.model.tokenizer.pad_id)
        for i, own in zip(ids, owner.tolist(), strict=True):
            i[: len(alleles[own].ids)] = alleles[own].ids
        rows = np.concatenate([allele.rows for allele in alleles])
        at = np.arange(len(owner))
        tokens = ids[at, rows]
        ids[at, rows] = self.model.tokenizer.mask_id
        log2_p = token_log2_probs(self.model, ids, rows, tokens, batch_size=self.batch_size)
        sums = np.bincount(owner, log2_p.astype(np.float64), minlength=len(alleles))
        n_bases = np.array([allele.n_bases for allele in alleles])
        return np.where(n_bases > 0, sums / np.maximum(n_bases, 1), np.nan)


def _n_equal(ref: Ints, alt: Ints) -> int:
    """Return the number of tokens, rows of id and bounds [T, 3], with which both begin."""
    n = min(len(ref), len(alt))
    equal = (ref[:n] == alt[:n]).all(1)
    return n if equal.all() else int(equal.argmin())
