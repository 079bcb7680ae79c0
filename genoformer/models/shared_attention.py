"""Attention with relative positions of a sequence, whose products and sums serve copies of it in which few rows differ.

A query that did not change has the same products with all keys that did not. Its mean of values is updated: the terms of the
changed keys in the sums above and below the fraction are taken out, and the new ones put in. The queries that changed, and
those of which so little remains that the difference would round, are recomputed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from genoformer.models.track_layers import HeadProducts, RelativeAttention, attend_with_positions

_LEAST_KEPT = 0.5  # of the weights of a query that must not change, so that no digits are lost
_MOST_CHANGED = 64  # rows; with more, all queries are recomputed
_LARGEST_NEW = 1e4  # weights of changed keys relative to the old sum


class Span(NamedTuple):
    """Rows start to end - 1."""

    start: int
    end: int


class SharedAttention:
    """Attention [T, C] -> [T, C] of normalised rows x [T, C], before the projection of its output, without gradients."""

    def __init__(self, attention: RelativeAttention, x: Tensor, basis: Tensor) -> None:
        self.attention, self.positions = attention, attention.position_products(basis)
        self.query, self.key, self.value = (heads[0] for heads in attention.project_rows(x[None]))  # [H, T, K]
        self.mixed = self.value.new_empty(len(x), attention.n_heads, self.value.shape[-1])  # [T, H, V]
        self.log_sums = self.value.new_empty(attention.n_heads, len(x))
        self._compute(Span(0, len(x)), self.query, self.key, self.value, self.mixed, self.log_sums)

    @property
    def output(self) -> Tensor:
        """Attention of the rows, [T, C]."""
        return self.attention.out(self.mixed.flatten(1))

    def edited(self, changed: Sequence[Tensor], spans: Sequence[Span]) -> Tensor:
        """Return the attention [T, C] of a copy in which the rows of some spans, in order, are `changed`, each [n, C]."""
        query, key, value = (heads.clone() for heads in (self.query, self.key, self.value))
        for rows, span in zip(changed, spans, strict=True):
            for heads, new in zip((query, key, value), self.attention.project_rows(rows[None]), strict=True):
                heads[:, span.start : span.end] = new[0]
        at = torch.cat([torch.arange(*span, device=key.device) for span in spans])
        if len(at) > _MOST_CHANGED:
            mixed, is_lost = torch.empty_like(self.mixed), torch.ones(len(self.mixed), dtype=torch.bool)
        else:
            mixed, is_lost = self._updated(key[:, at], value[:, at], at)
            is_lost[at] = True
        for span in spans_of(is_lost):
            self._compute(span, query, key, value, mixed, None)
        return self.attention.out(mixed.flatten(1))

    def _updated(self, keys: Tensor, values: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means of values [T, H, V] with new keys and values [H, n, ...] of the rows `at`.

        The second result [T] is True for the queries of which too little is kept.
        """
        mixed, is_lost = torch.empty_like(self.mixed), torch.zeros(len(self.mixed), dtype=torch.bool, device=at.device)
        distances = at - torch.arange(len(mixed), device=at.device)[:, None] + len(mixed) - 1  # [T, n]
        columns = distances if self.positions.column is None else self.positions.column[distances]
        for h in range(len(keys)):
            to_key, to_position = self.attention.biased(self.query[h], h, self.positions)
            by_position = (to_position.T[:, :, None] * self.positions.columns[h][:, columns]).sum(0)
            by_position -= self.log_sums[h, :, None]
            old, new = (torch.exp(torch.addmm(by_position, to_key, of.T)) for of in (self.key[h, at], keys[h]))
            kept, added = 1 - old.sum(1, keepdim=True), new.sum(1, keepdim=True)
            is_lost |= ~((kept >= _LEAST_KEPT) & (added <= _LARGEST_NEW))[:, 0]
            top = torch.addmm(self.mixed[:, h], old, self.value[h, at], alpha=-1).addmm_(new, values[h])
            torch.div(top, kept + added, out=mixed[:, h])
        return mixed, is_lost

    def _compute(self, rows: Span, query: Tensor, key: Tensor, value: Tensor, mixed: Tensor, log_sums: Tensor | None) -> None:
        """Write the means of values of some queries into mixed [T, H, V], and the logarithms of their sums [H, T]."""
        for h in range(len(key)):
            to_key, to_position = self.attention.biased(query[h, rows.start : rows.end], h, self.positions)
            head = HeadProducts(
                to_key,
                key[h].T.contiguous(),
                to_position,
                self.positions.columns[h],
                self.positions.column,
                value[h].contiguous(),
            )
            sums = None if log_sums is None else log_sums[h, rows.start : rows.end]
            attend_with_positions(head, rows.start, mixed[rows.start : rows.end, h], sums)


def spans_of(is_in: Tensor) -> list[Span]:
    """Return the runs of True in [T].

    >>> spans_of(torch.tensor([True, False, True, True]))
    [Span(start=0, end=1), Span(start=2, end=4)]
    """
    at = is_in.nonzero()[:, 0].tolist()
    starts = [a for a, before in zip(at, [-2, *at], strict=False) if a != before + 1]
    ends = [a + 1 for a, after in zip(at, [*at[1:], -2], strict=False) if after != a + 1]
    return [Span(*pair) for pair in zip(starts, ends, strict=True)]
