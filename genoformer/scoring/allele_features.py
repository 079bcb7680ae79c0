"""Variants -> evidence of a language model for both alleles, by the kind of its tokens and the sides that it sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from genoformer.errors import ConfigError, OptionError
from genoformer.genome.codes import reverse_complement
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.inference.base_probabilities import allele_embeddings
from genoformer.inference.windows import require_length
from genoformer.models.token_model import TokenModel
from genoformer.option_checks import Phases
from genoformer.scoring.block_likelihoods import BlockLikelihoods
from genoformer.scoring.causal_likelihoods import CausalLikelihoods
from genoformer.scoring.masked_likelihoods import MaskedLikelihoods, Substitutions
from genoformer.scoring.piece_likelihoods import PieceLikelihoods
from genoformer.scoring.score_inputs import AllelePair
from genoformer.scoring.variant_windows import FLANK, VariantWindows

_TOUCH = 1  # bases on either side of an allele whose tokens count in its embedding; a deletion has no base of its own


class AlleleScorer:
    """Language model over a genome: lists of variants -> evidence of each kind, per strand."""

    def __init__(
        self,
        model: TokenModel,
        genome: Genome,
        length: int | None = None,
        *,
        both_strands: bool = True,
        phases: Phases = "one",
        share_windows: bool = False,
        batch_size: int | None = None,
    ) -> None:
        self.model, self.batch_size = model, batch_size
        self.length = length or model.config.context_length
        n_phases = model.tokenizer.n_phases if phases == "all" else 1
        if not n_phases:
            problem = "needs tokens of a fixed number of bases, and the bounds of BPE tokens depend on the sequence"
            raise OptionError("phases", f"is all, which {problem}; leave it out.")
        if share_windows and not model.causal:
            raise OptionError("share_windows", "needs a causal language model, found a masked one; leave it out.")
        step = max(1, self.length // 4) if share_windows else 0
        self.windows = VariantWindows(genome, self.length, "+-" if both_strands else "+", step=step)
        self.phases = [self.windows._replace(shift=shift) for shift in range(n_phases)]
        config = model.config
        longest = model.longest_window
        shortest = 2 * (FLANK + n_phases - 1) + 2 + model.tokenizer.min_bases + step
        if self.length < shortest or (longest is not None and self.length > longest):
            limit = f"at most {longest}" if longest is not None and self.length > longest else f"at least {shortest}"
            raise ConfigError(f"a window of {self.length} bases does not suit this model; choose {limit}.")
        require_length(self.length, config.context_length)

    @property
    def longest_allele(self) -> int:
        """Length in bases of the longest REF or ALT that fits in the window with its flanks."""
        return self.length - 2 * (FLANK + len(self.phases) - 1) - self.windows.step

    def likelihoods(self, kind: Callable[..., Any]) -> list[Any]:
        """Return the evidence of one kind, once for each phase of the tokens."""
        return [kind(self.model, windows, self.batch_size) for windows in self.phases]

    def embeddings(self, variants: Sequence[Variant]) -> list[AllelePair]:
        """Return the mean embedding [n, D] of the tokens that touch each allele."""
        placed = [self.windows.place(self.windows.shortest(v)) for v in variants]
        unchanged = np.array([np.array_equal(a.ref, a.alt) for a in placed], dtype=bool)  # no difference by rounding
        pairs = []
        for strand in self.windows.strands:
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


@dataclass
class VariantEvidence:
    """Evidence of one model for a list of variants, computed when a score asks for it.

    Over several phases of the tokens, log2 P is averaged; that of four bases is then renormalised. Distributions of the next
    token are not averaged, because it starts at another base in each phase: there is a pair for each phase and strand.
    """

    reader: AlleleScorer
    variants: Sequence[Variant]
    with_distribution: bool = False  # True: a score needs the posterior, or the distributions of the next token

    @cached_property
    def _substitutions(self) -> list[Substitutions]:
        tokenizer = self.reader.model.tokenizer
        kind = BlockLikelihoods if tokenizer.disjoint and tokenizer.n_phases > 1 else MaskedLikelihoods
        likelihoods = self.reader.likelihoods(kind)
        return [of.substitutions(self.variants, with_posterior=self.with_distribution) for of in likelihoods]

    @cached_property
    def _causal(self) -> list[tuple[list[AllelePair], list[AllelePair]]]:
        likelihoods = self.reader.likelihoods(CausalLikelihoods)
        return [of.compare(self.variants, with_next=self.with_distribution) for of in likelihoods]

    @property
    def likelihoods(self) -> list[AllelePair]:
        if self.reader.model.causal:
            return _mean([pairs for pairs, _ in self._causal])
        return _mean([of.likelihoods for of in self._substitutions])

    @property
    def token_likelihoods(self) -> list[AllelePair]:
        return _mean([of.tokens for of in self._substitutions])

    @property
    def posteriors(self) -> list[AllelePair]:
        pairs = _mean([of.posteriors for of in self._substitutions])
        if len(self._substitutions) == 1:
            return pairs
        normalised = [pair.ref - np.logaddexp2.reduce(pair.ref, axis=1, keepdims=True) for pair in pairs]
        return [AllelePair(log2_p, log2_p) for log2_p in normalised]

    @cached_property
    def pseudo_likelihoods(self) -> list[AllelePair]:
        if self.reader.model.causal:
            return self.likelihoods
        tokenizer = self.reader.model.tokenizer
        if not tokenizer.masks_bases:
            return _mean([of.pseudo_likelihoods(self.variants) for of in self.reader.likelihoods(PieceLikelihoods)])
        kind = BlockLikelihoods if tokenizer.disjoint and tokenizer.n_phases > 1 else MaskedLikelihoods
        return _mean([of.indels(self.variants) for of in self.reader.likelihoods(kind)])

    @property
    def next_tokens(self) -> list[AllelePair]:
        return [pair for _, pairs in self._causal for pair in pairs]  # of each phase: its next token lies elsewhere

    @cached_property
    def embeddings(self) -> list[AllelePair]:
        return self.reader.embeddings(self.variants)


def _mean(phases: Sequence[Sequence[AllelePair]]) -> list[AllelePair]:
    """Return the mean over the phases of the pairs of each strand."""
    if len(phases) == 1:
        return list(phases[0])
    sides = [
        (np.mean([pair.ref for pair in pairs], axis=0), np.mean([pair.alt for pair in pairs], axis=0))
        for pairs in zip(*phases, strict=True)
    ]
    return [AllelePair(ref, alt) for ref, alt in sides]
