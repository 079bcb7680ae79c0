"""Windows of one sequence that overlap, a masked base in each -> output of the stem, computed once for what they share.

Overlapping windows have the same tokens at other positions. The convolution before the layers sees only `conv_kernel`
tokens, so that its output is the same in all of them, except near the masked token and near both ends of a window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from genoformer.genome.codes import Codes
from genoformer.models.base import Ints

if TYPE_CHECKING:
    from genoformer.models.transformer.model import Encoder


def shares_stem(model: Encoder) -> bool:
    """True if windows of a model can share its stem: it has one, tokens are single bases, and embeddings have no position."""
    tokenizer, config = model.tokenizer, model.config
    single = tokenizer.fixed_length and tokenizer.min_bases == 1 and tokenizer.n_phases == 1
    is_relative = config.position in ("rotary", "alibi")
    return bool(model.stem is not None and single and is_relative and not (config.causal or config.masked_in_training))


def overlapping_runs(starts: Ints, length: int) -> list[Ints]:
    """Return the rows of windows in groups, by their starts; a window begins in the first half of the one before it.

    >>> [rows.tolist() for rows in overlapping_runs(np.array([70, 10, 75, 12]), 20)]
    [[1, 3], [0, 2]]
    """
    order = np.argsort(starts, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(starts[order]) > length // 2) + 1)


def are_windows_of_one_sequence(codes: Codes, starts: Ints) -> bool:
    """True if windows [B, L] that overlap agree in all bases that they share; starts [B] from 0."""
    places = starts[:, None] + np.arange(codes.shape[1])
    sequence = np.empty(int(places.max()) + 1, dtype=codes.dtype)
    sequence[places] = codes
    return bool((sequence[places] == codes).all())


class SlidingWindows(NamedTuple):
    """Tokens [B, T] of windows without and with a mask, at position `row`; those in [first, end) are bases."""

    ids: Tensor
    masked: Tensor
    first: int
    end: int
    row: int

    def is_long_enough(self, reach: int) -> bool:
        """True if the convolution, which reaches so many tokens to either side, has the same output somewhere."""
        return self.row - 2 * reach >= self.first and self.row + 2 * reach < self.end


def stem_of_sliding_windows(model: Encoder, windows: SlidingWindows, starts: list[int]) -> Tensor:
    """Return the output of the stem for masked windows [B, T, D]; it equals the stem of `windows.masked`.

    starts: of the windows, from 0 on, in order; each begins within the one before.
    """
    assert model.stem is not None
    ids, masked, first, end, row = windows
    reach, n_tokens, n_bases = model.config.conv_kernel // 2, ids.shape[1], end - first
    stem, x = model.stem, model._embed_tokens(masked)  # [B, T, D]

    def convolved(h: Tensor, left: int = 0, right: int = 0) -> Tensor:
        """Return gelu(convolution) of rows h [B, M, D] after `left` and before `right` rows of padding."""
        return F.gelu(stem.convolution(F.pad(h.transpose(1, 2), (left, right)))).transpose(1, 2)

    stretch = ids.new_empty(1, starts[-1] + n_bases)
    for i, start in enumerate(starts):
        stretch[0, start : start + n_bases] = ids[i, first:end]
    shared = convolved(stem.norm(model._embed_tokens(stretch)))[0]  # [L of all windows - 2 reach, D]
    patches = (
        (0, first + reach, reach, 0),
        (row - reach, row + reach + 1, 0, 0),
        (end - reach, n_tokens, 0, reach),
    )
    own = []  # output of the patches, which is not shared
    for begin, stop, left, right in patches:
        rows = slice(begin if left else begin - reach, stop if right else stop + reach)
        own.append(x[:, begin:stop] + convolved(stem.norm(x[:, rows]), left, right))
    for i, start in enumerate(starts):
        x[i, first + reach : end - reach] += shared[start : start + n_bases - 2 * reach]
    for (begin, stop, _, _), patch in zip(patches, own, strict=True):
        x[:, begin:stop] = patch
    return x
