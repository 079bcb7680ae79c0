"""Windows that follow each other base by base -> hidden states of one masked base in each; the stem is computed once for all.

Neighbouring windows have the same tokens, one position further. The convolution before the layers sees only `conv_kernel`
tokens, so that its output is the same in all of them, except near the masked token and near both ends of a window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from genoformer.models.transformer.model import Encoder


def shares_stem(model: Encoder) -> bool:
    """True if windows of a model can share its stem: it has one, tokens are single bases, and embeddings have no position."""
    tokenizer, config = model.tokenizer, model.config
    single = tokenizer.fixed_length and tokenizer.min_bases == 1 and tokenizer.n_phases == 1
    is_relative = config.position in ("rotary", "alibi")
    return bool(model.stem is not None and single and is_relative and not (config.causal or config.masked_in_training))


def stem_of_sliding_windows(model: Encoder, ids: Tensor, masked: Tensor, first: int, end: int, row: int) -> Tensor | None:
    """Return the output of the stem for masked windows [B, T, D], of which each begins one base after the one before.

    ids, masked: tokens [B, T] without and with the mask at position `row`. first, end: the tokens of bases. Equals the stem of
    `masked`; None if the window is too short to share anything.
    """
    assert model.stem is not None
    reach, n_windows, n_tokens = model.config.conv_kernel // 2, len(ids), ids.shape[1]
    if row - 2 * reach < first or row + 2 * reach >= end:
        return None
    stem, x = model.stem, model._embed_tokens(masked)  # [B, T, D]

    def convolved(h: Tensor, left: int = 0, right: int = 0) -> Tensor:
        """Return gelu(convolution) of rows h [B, M, D] after `left` and before `right` rows of padding."""
        return F.gelu(stem.convolution(F.pad(h.transpose(1, 2), (left, right)))).transpose(1, 2)

    stretch = torch.cat([ids[0, first:end], ids[1:, end - 1]])[None]
    shared = convolved(stem.norm(model._embed_tokens(stretch)))[0].contiguous()  # [L + B - 1 - 2 reach, D]
    n_shared, width = end - first - 2 * reach, x.shape[-1]
    out = x.clone()
    windows = shared.as_strided((n_windows, n_shared, width), (width, width, 1))
    out[:, first + reach : end - reach] += windows
    patches = (
        (0, first + reach, reach, 0),
        (row - reach, row + reach + 1, 0, 0),
        (end - reach, n_tokens, 0, reach),
    )
    for begin, stop, left, right in patches:
        rows = slice(begin if left else begin - reach, stop if right else stop + reach)
        out[:, begin:stop] = x[:, begin:stop] + convolved(stem.norm(x[:, rows]), left, right)
    return out
