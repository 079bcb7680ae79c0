"""Windows of REF and of several ALTs -> their likelihoods under a causal model; tokens before the change are computed once."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genoformer.genome.codes import Codes
from genoformer.inference.runtime import Floats, run_batched, to_device, tokens_at_once
from genoformer.models.token_model import TokenModel, successors

_MOST_LOGITS = 1 << 26  # logits in memory at once
_LEAST_BRANCH = 16  # tokens: branches whose first tokens are so close are computed together

Ints = NDArray[np.int64]


class AlleleWindows(NamedTuple):
    """Windows of reference alleles, and windows of alternative alleles in which the same bases come first."""

    ref: Codes  # [U, L]
    alt: Codes  # [n, L]
    which: Ints  # [n]: the row of `ref` that an alternative belongs to
    ref_last: Ints  # [n]: position of the last base of REF in its window; of the base before it, if REF is empty
    alt_last: Ints  # [n]: the same of ALT

    def rows(self, index: Ints) -> AlleleWindows:
        """Return these alternatives and the reference windows that they need."""
        needed, which = np.unique(self.which[index], return_inverse=True)
        return AlleleWindows(self.ref[needed], self.alt[index], which.reshape(-1), self.ref_last[index], self.alt_last[index])


class Comparison(NamedTuple):
    """Comparison of both alleles under a causal model."""

    log2_ratio: Floats  # [n]: log2 P(window of alt) - log2 P(window of ref)
    ref_next: Floats | None  # [n, V]: log2 P of the token after the last base of REF; None if not requested
    alt_next: Floats | None  # [n, V]


def compare_alleles(
    model: TokenModel, windows: AlleleWindows, *, with_next: bool = False, batch_size: int | None = None
) -> Comparison:
    """Compare the windows of both alleles under a causal model.

    The result equals that of `likelihoods` of both windows: the difference of the sums of log2 P(token | tokens before) over
    the tokens that name bases. The tokens that both windows begin with cancel. Their keys and values are computed once per
    reference window, and each alternative continues after them.

    with_next: also return the distribution of the next token after the first token that covers the last base of each allele.
    For overlapping k-mers it is the distribution of the next base, [n, 4], in the order of the vocabulary.
    """
    order = np.argsort(windows.which, kind="stable")  # so that the alternatives of a window are in one batch

    def run(part: slice) -> Tensor:
        return _Batch(model, windows.rows(order[part])).compare(with_next=with_next)

    found = run_batched(run, len(order), batch_size or _batch_size(model, windows))
    values = np.empty_like(found)
    values[order] = found
    if not with_next:
        return Comparison(values[:, 0], None, None)
    n_next = (values.shape[1] - 1) // 2
    return Comparison(values[:, 0], values[:, 1 : 1 + n_next], values[:, 1 + n_next :])


def _batch_size(model: TokenModel, windows: AlleleWindows) -> int:
    """Return the number of alternatives in a batch: each adds about half a window, and each reference window a whole one."""
    n_alt, n_ref = len(windows.alt), len(windows.ref)
    n_tokens = model.tokenizer.encode(windows.alt[:1]).ids.shape[1] * (n_ref / n_alt + 0.5)
    return max(1, int(tokens_at_once(model) / n_tokens))


class _Batch:
    """One batch of reference windows and alternatives, on the device of the model."""

    def __init__(self, model: TokenModel, windows: AlleleWindows) -> None:
        self.model, self.windows = model, windows
        self.ref, self.alt = model.tokenizer.encode(windows.ref), model.tokenizer.encode(windows.alt)
        self.row = to_device(model, windows.which)
        self.n_shared = _n_shared(self.ref.ids[windows.which], self.alt.ids)  # [n]
        self.ref_ids, self.alt_ids = to_device(model, self.ref.ids), to_device(model, self.alt.ids)
        past = model.new_past() if self.n_shared.any() else None
        self.ref_states = _states(model, self.ref_ids, past)  # [U, T, D]
        self.past = past

    def compare(self, *, with_next: bool) -> Tensor:
        """Return [n, 1] or, with the distributions of the next tokens, [n, 1 + 2 V]."""
        ratio = -self._sums_of_ref()
        ref_next = self._next(self._states_of_ref(self.windows.ref_last), self.ref_last_ids()) if with_next else None
        alt_next = torch.empty_like(ref_next) if ref_next is not None else None
        for rows in _alike(self.n_shared, self.alt.ids.shape[1]):
            first = int(self.n_shared[rows].min()) if self.past is not None else 0
            index = to_device(self.model, rows)
            states = self._branch(index, first)
            ratio[index] += self._sums_of_alt(states, rows, first)
            if alt_next is not None:
                alt_next[index] = self._next(*self._last_of_alt(states, rows, first))
        columns = [ratio[:, None].float()]
        if ref_next is not None and alt_next is not None:
            columns += [ref_next, alt_next]
        return torch.cat(columns, dim=1)

    def _branch(self, index: Tensor, first: int) -> Tensor:
        """Return the hidden states [m, T - first, D] of the tokens of some alternatives from token `first` on."""
        ids = self.alt_ids[index, first:]
        if not first or self.past is None:
            return _states(self.model, ids, None)
        return _states(self.model, ids, [layer.first_tokens(first, self.row[index]) for layer in self.past])

    def _sums_of_ref(self) -> Tensor:
        """Return the sum of log2 P over the tokens of the reference that are not shared, [n]."""
        lowest = max(1, int(self.n_shared.min()))
        wanted = torch.ones_like(self.ref_ids[:, lowest:], dtype=torch.bool)
        terms = _log2_probs(self.model, self.ref_states[:, lowest - 1 : -1], self.ref_ids[:, lowest - 1 :], wanted)
        sums = torch.nn.functional.pad(
            terms.flip(1).cumsum(1).flip(1), (0, 1)
        )  # [U, T - lowest + 1]: of the tokens from each on
        at = to_device(self.model, np.maximum(self.n_shared, 1) - lowest)
        return sums[self.row, at]

    def _sums_of_alt(self, states: Tensor, rows: Ints, first: int) -> Tensor:
        """Return the sum of log2 P over the tokens of some alternatives that are not shared, [m]."""
        index = to_device(self.model, rows)
        before = first
        if first:
            before, shared = first - 1, self.ref_states[self.row[index], first - 1]
            states = torch.cat([shared[:, None], states], dim=1)
        ids = self.alt_ids[index, before:]
        token = torch.arange(before + 1, self.alt_ids.shape[1], device=ids.device)
        wanted = token >= to_device(self.model, self.n_shared[rows])[:, None]
        return _log2_probs(self.model, states[:, :-1], ids, wanted).sum(1)

    def ref_last_ids(self) -> Tensor:
        """Return the token of the reference that covers the last base of REF first, [n]."""
        which = self.windows.which
        return self.ref_ids[self.row, to_device(self.model, _covering(self.ref.spans[which], self.windows.ref_last))]

    def _states_of_ref(self, last: Ints) -> Tensor:
        token = _covering(self.ref.spans[self.windows.which], last)
        return self.ref_states[self.row, to_device(self.model, token)]

    def _last_of_alt(self, states: Tensor, rows: Ints, first: int) -> tuple[Tensor, Tensor]:
        """Return the hidden states [m, D] and ids [m] of the tokens that cover the last bases of some alternatives first."""
        token = _covering(self.alt.spans[rows], self.windows.alt_last[rows])
        index, at = to_device(self.model, rows), to_device(self.model, token)
        of_branch = states[torch.arange(len(states), device=at.device), (at - first).clamp(min=0)]
        of_ref = self.ref_states[self.row[index], at.clamp(max=self.ref_states.shape[1] - 1)]  # both begin with these tokens
        return torch.where((at < first)[:, None], of_ref, of_branch), self.alt_ids[index, at]

    def _next(self, states: Tensor, ids: Tensor) -> Tensor:
        """Return log2 P of the next token after tokens ids [m] with these hidden states [m, D]: [m, V], or [m, 4] (k-mers)."""
        model, tokenizer = self.model, self.model.tokenizer
        if not tokenizer.sliding:
            return model.head(states).float().log_softmax(-1) / math.log(2)
        candidates = successors(tokenizer, ids[:, None])  # [m, 1, 4]
        log_p = model.head(states[:, None], candidates)[:, 0].float().log_softmax(-1) / math.log(2)
        known = torch.from_numpy(tokenizer.names_bases(ids.cpu().numpy())).to(ids.device)
        return log_p.masked_fill(~known[:, None], torch.nan)


def _states(model: TokenModel, ids: Tensor, past: list[Any] | None) -> Tensor:
    """Return the hidden states of tokens; padding follows all other tokens, so no token of a causal model sees it."""
    return model.embed(ids) if past is None else model.embed(ids, past=past)  # type: ignore[call-arg]


def _n_shared(ref: Ints, alt: Ints) -> Ints:
    """Return the number of tokens with which rows of ref [n, T] and alt [n, T'] both begin, at least one below T'."""
    n_tokens = min(ref.shape[1], alt.shape[1])
    differ = ref[:, :n_tokens] != alt[:, :n_tokens]
    first = np.where(differ.any(1), differ.argmax(1), n_tokens)
    return np.minimum(first, alt.shape[1] - 1)


def _alike(n_shared: Ints, n_tokens: int) -> list[Ints]:
    """Return groups of rows that share nearly the same number of tokens."""
    group = n_shared // max(_LEAST_BRANCH, n_tokens // 16)
    return [np.flatnonzero(group == number) for number in np.unique(group)]


def _covering(spans: Ints, base: Ints) -> Ints:
    """Return the first token of each row, spans [n, T, 2], that covers a base [n]."""
    return ((spans[..., 0] <= base[:, None]) & (spans[..., 1] > base[:, None])).argmax(1)


def _log2_probs(model: TokenModel, states: Tensor, ids: Tensor, wanted: Tensor) -> Tensor:
    """Return log2 P(token | tokens before) of ids[:, 1:], [B, M], 0 where not wanted or no base is named.

    states: [B, M, D], of ids[:, :-1]; ids: [B, M + 1]; wanted: bool [B, M].
    """
    tokenizer = model.tokenizer
    known = torch.from_numpy(tokenizer.names_bases(ids.cpu().numpy())).to(ids.device)
    wanted = wanted & known[:, 1:]
    if tokenizer.sliding:
        wanted &= known[:, :-1]
    before, after, x = ids[:, :-1][wanted], ids[:, 1:][wanted], states[wanted]  # [N], [N], [N, D]
    dtype = torch.float32 if ids.device.type == "mps" else torch.float64  # which that device lacks
    terms = torch.zeros(wanted.shape, dtype=dtype, device=ids.device)
    size = max(1, _MOST_LOGITS // (4 * model.config.width if tokenizer.sliding else model.config.n_vocab))
    parts = []
    for i in range(0, len(x), size):
        some = slice(i, i + size)
        if tokenizer.sliding:
            candidates = successors(tokenizer, before[some, None])  # [N, 1, 4]
            log_p = model.head(x[some, None], candidates)[:, 0].float().log_softmax(-1)
            parts.append(log_p.masked_fill(candidates[:, 0] != after[some, None], -torch.inf).amax(-1))
        else:
            logits = model.head(x[some]).float()
            parts.append(logits.gather(-1, after[some, None])[:, 0] - logits.logsumexp(-1))
    if parts:
        terms[wanted] = torch.cat(parts).to(dtype) / math.log(2)
    return terms
