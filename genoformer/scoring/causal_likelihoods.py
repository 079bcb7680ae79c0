"""Variants -> windows of both alleles that begin alike -> their likelihoods under a causal model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genoformer.genome.codes import Codes, N
from genoformer.genome.variants import Variant
from genoformer.inference.shared_prefix import AlleleWindows, compare_alleles
from genoformer.models.token_model import TokenModel
from genoformer.scoring.score_inputs import AllelePair
from genoformer.scoring.variant_windows import FlankedAlleles, VariantWindows
from genoformer.writers import Floats


class CausalLikelihoods:
    """Evidence of a causal model: log2 P of the window of each allele, and the distributions of the next token.

    On each strand the windows of both alleles begin at the same base, have equal length, and have the longer allele in the
    middle. The reference window of a position is shared by all its ALTs.
    """

    def __init__(self, model: TokenModel, windows: VariantWindows, batch_size: int | None = None) -> None:
        self.model, self.windows, self.batch_size = model, windows, batch_size

    def compare(self, variants: Sequence[Variant], *, with_next: bool) -> tuple[list[AllelePair], list[AllelePair]]:
        """Return log2 P of the window of each allele relative to that of REF, [n], and log2 P of the next token, [n, V].

        One pair per strand; none of the next token if it is not requested. NaN if `with_equal_unknown` finds no windows: the
        sums of both alleles would have different numbers of terms. NaN if N leave too few positions for one of them.
        """
        likelihoods, next_tokens = [], []
        shortest = [self.windows.shortest(v) for v in variants]
        for strand in self.windows.strands:
            windows, unequal = self._windows(shortest, strand)
            found = compare_alleles(self.model, windows, with_next=with_next, batch_size=self.batch_size)
            equal = (windows.ref[windows.which] == windows.alt).all(axis=1)
            ratio: Floats = np.where(equal, np.float32(0), found.log2_ratio)  # no difference by rounding
            likelihoods.append(AllelePair(np.where(unequal, np.nan, 0 * ratio), np.where(unequal, np.nan, ratio)))
            if found.ref_next is not None and found.alt_next is not None:
                alt_next = np.where(equal[:, None], found.ref_next, found.alt_next)
                next_tokens.append(AllelePair(found.ref_next, alt_next))
        return likelihoods, next_tokens

    def _windows(self, variants: Sequence[Variant], strand: str) -> tuple[AlleleWindows, NDArray[np.bool_]]:
        """Return the windows of trimmed variants, and True where the model reads different numbers of known bases of them."""
        numbers: dict[tuple[str, int, int], int] = {}
        ref: list[Codes] = []  # distinct windows
        alt, which, last = [], [], []
        for variant in variants:
            start, alleles = self.windows.after_one_prefix(variant, strand)
            alleles, n_read = with_equal_unknown(alleles)
            number = numbers.setdefault((variant.chrom, start, n_read), len(ref))
            if number == len(ref):
                ref.append(alleles.ref)
            alt.append(alleles.alt)
            which.append(number)
            last.append((alleles.start + alleles.ref_length - 1, alleles.start + alleles.alt_length - 1))
        windows = AlleleWindows(np.stack(ref), np.stack(alt), np.array(which), *np.array(last).T)
        n_unknown = (windows.ref >= N).sum(axis=1)[windows.which]
        unequal = n_unknown != (windows.alt >= N).sum(axis=1)
        if self.model.tokenizer.fixed_length and self.model.tokenizer.disjoint and n_unknown.any():  # N hide whole blocks
            unequal |= self._n_counted(windows.ref)[windows.which] != self._n_counted(windows.alt)
        if self.model.longest_window is not None and not self.model.tokenizer.fixed_length:  # bases may have no position
            unequal |= (self._bounds(windows.ref)[windows.which] != self._bounds(windows.alt)).any(axis=1)
        return windows, unequal

    def _n_counted(self, codes: Codes) -> NDArray[np.int64]:
        """Return the number of bases in tokens that add to the likelihood, [B]."""
        encoding = self.model.tokenizer.encode(codes)
        sizes = encoding.spans[..., 1] - encoding.spans[..., 0]
        return np.asarray(np.where(self.model.tokenizer.names_bases(encoding.ids), sizes, 0).sum(axis=1))

    def _bounds(self, codes: Codes) -> NDArray[np.int64]:
        """Return the first base that the model reads and the one after the last, [B, 2]."""
        encoding = self.model.tokenizer.encode(codes)
        first = np.where(encoding.is_base, encoding.spans[..., 0], codes.shape[1]).min(axis=1)
        return np.column_stack([first, encoding.spans[..., 1].max(axis=1)])


def with_equal_unknown(alleles: FlankedAlleles) -> tuple[FlankedAlleles, int]:
    """Return windows in which both alleles have the same number of N, and the number of bases that are read of each.

    N add nothing to a likelihood. Where a contig ends behind an insertion or deletion, one of the windows has more known bases:
    both are then N behind the last place up to which they have the same number, the allele included. Windows without such a
    place are returned as they are.
    """
    length = len(alleles.ref)
    n_ref, n_alt = (np.cumsum(codes >= N) for codes in (alleles.ref, alleles.alt))
    if n_ref[-1] == n_alt[-1]:
        return alleles, length
    shortest = max(1, alleles.start + max(alleles.ref_length, alleles.alt_length))
    equal = np.flatnonzero((n_ref == n_alt)[shortest - 1 :])
    if not len(equal):
        return alleles, length
    n_read = shortest + int(equal[-1])
    ref, alt = alleles.ref.copy(), alleles.alt.copy()
    ref[n_read:] = alt[n_read:] = N
    return alleles._replace(ref=ref, alt=alt), n_read
