"""Training objectives of language models: ids -> inputs and labels; masked as in DNABERT, causal, or cloze."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.models.token_model import TokenModel
from genoformer.tokenizers import Encoding, Tokenizer

IGNORED = -100  # torch's cross-entropy ignores these labels
Uniform = Callable[[int], NDArray[np.float64]]  # n -> the next n uniform numbers of each window, [B, n]


class Example(NamedTuple):
    """A training batch of inputs and labels, both int64 [B, T]."""

    inputs: NDArray[np.int64]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class MaskedLM:
    """DNABERT's span masking (`run_pretrain.mask_tokens`).

    Each non-special token is a centre with probability p; a centre masks the run of `span_tokens` tokens
    around it, (span-1)//2 to the left. Of the masked tokens 80 % become [MASK], 10 % a random id of the whole
    vocabulary, and 10 % stay unchanged. p is set so that `mask_rate` of the tokens are masked: 1 - (1 - p)^span = mask_rate.
    """

    tokenizer: Tokenizer
    mask_rate: float = 0.15  # Devlin et al. 2019; DNABERT has 0.141, from p = 0.025 at k = 6
    span_tokens: int | None = None  # None: k, the shortest run that masks a base completely

    predicts_next = False

    def __post_init__(self) -> None:
        if not 0 < self.mask_rate < 1:
            raise ConfigError(f"mask_rate = {self.mask_rate}: give a fraction of the tokens between 0 and 1.")
        if self.span_tokens is not None and self.span_tokens < 1:
            raise ConfigError(f"span_tokens = {self.span_tokens}: a run has at least 1 token.")

    @property
    def span(self) -> int:
        return self.span_tokens or self.tokenizer.min_bases

    @property
    def label_rate(self) -> float:
        """Expected number of labels for each token."""
        return self.mask_rate

    def __call__(self, encoding: Encoding, uniform: Uniform) -> Example:
        ids, ordinary = encoding.ids, encoding.is_base  # an unknown base is masked like any other base
        p = 1 - (1 - self.mask_rate) ** (1 / self.span)
        n_tokens = ids.shape[1]
        centres = (uniform(n_tokens) < p) & ordinary
        masked = np.zeros_like(centres)
        left = (self.span - 1) // 2
        for shift in range(-left, self.span - left):
            masked |= _shifted(centres, shift)
        masked &= ordinary
        draw = uniform(n_tokens)
        inputs = np.where(masked & (draw < 0.8), self.tokenizer.mask_id, ids)
        other = masked & (draw >= 0.8) & (draw < 0.9)
        inputs[other] = (uniform(n_tokens)[other] * self.tokenizer.n_vocab).astype(np.int64)
        labels = np.where(masked & self.tokenizer.names_bases(ids), ids, IGNORED)
        return Example(inputs, labels)


@dataclass(frozen=True)
class CausalLM:
    """Prediction of each token from the tokens before it; special tokens are not predicted."""

    tokenizer: Tokenizer

    label_rate = 1.0
    predicts_next = True  # the label of a token is the next one

    def __call__(self, encoding: Encoding, uniform: Uniform) -> Example:
        ids = encoding.ids
        labels = np.full_like(ids, IGNORED)
        labels[:, :-1] = np.where(self.tokenizer.names_bases(ids[:, 1:]), ids[:, 1:], IGNORED)
        return Example(ids, labels)


@dataclass(frozen=True)
class ClozeLM:
    """Prediction of each token from all others, by a model that does not see the token itself (Baevski et al. 2019)."""

    tokenizer: Tokenizer

    label_rate = 1.0
    predicts_next = False

    def __call__(self, encoding: Encoding, uniform: Uniform) -> Example:
        ids = encoding.ids
        return Example(ids, np.where(self.tokenizer.names_bases(ids), ids, IGNORED))


def _shifted(marks: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """Return marks [B, T] shifted `by` positions to the right; marks that leave the row are lost."""
    moved = np.zeros_like(marks)
    if by > 0:
        moved[:, by:] = marks[:, :-by]
    elif by < 0:
        moved[:, :by] = marks[:, -by:]
    else:
        moved[:] = marks
    return moved


def objective_of(model: TokenModel) -> str:
    """Return the name of the objective that a model is trained with."""
    if model.causal:
        return "causal"
    return "masked" if model.sees_itself else "cloze"


OBJECTIVES = {"masked": MaskedLM, "causal": CausalLM, "cloze": ClozeLM}
