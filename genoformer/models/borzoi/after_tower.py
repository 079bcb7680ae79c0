"""Transformer and decoder of a window and of its edited copies: outputs of the tower -> embeddings of bins.

An edit changes a few bins of the input of the transformer. The first attention of a copy is updated from that of the window
(`SharedAttention`), and what the decoder adds of the tower is recomputed where the edit reaches. All other steps are whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from genoformer.models.base import Bins
from genoformer.models.borzoi.model import Block, Borzoi
from genoformer.models.borzoi.tiled_tower import Rows
from genoformer.models.shared_attention import SharedAttention, Span
from genoformer.models.track_layers import RelativeAttention


class AfterTower:
    """Transformer and decoder of a window in eval mode, from the outputs of its tower, those that the decoder reads first."""

    def __init__(self, model: Borzoi, outputs: list[Tensor]) -> None:
        self.model = model
        *self.stages, self.last = outputs
        self.first_block = FirstBlock(model, self.last) if shares_first_block(model, self.last) else None
        self._skipped: tuple[Bins, list[Tensor]] | None = None  # of the bins that were asked for last

    def embedding(self, patches: Sequence[Sequence[Rows]], bins: Bins) -> Tensor:
        """Return the embedding [1, D, N] of bins of a copy; patches: changed rows of each output, for each edit."""
        n_units, edits = len(self.last), [edit[-1] for edit in patches]
        units = self.model.units_of(bins, n_units)
        if self.first_block is not None:
            x = self.model.attend(self.first_block.edited(edits).T[None], units, n_done=1)
        else:
            x = self.model.attend(_patched(self.last, edits).T[None], units)
        return self.model.decode_skipped(x, self._skipped_of(patches, bins), bins, n_units)

    def _skipped_of(self, patches: Sequence[Sequence[Rows]], bins: Bins) -> list[Tensor]:
        """Return what each step of the decoder adds of the stages of a copy, [1, C, 1, n]."""
        n_stages, parts = len(self.stages), self.model.read_of_stages(bins, len(self.last))
        if self._skipped is None or self._skipped[0] != bins:
            whole = [
                self.model.skipped(i, stage_image(self.stages[n_stages - 1 - i][part.first : part.first + part.n]))
                for i, part in enumerate(parts)
            ]
            self._skipped = (bins, whole)
        if not patches:
            return self._skipped[1]
        copies = [x.clone() for x in self._skipped[1]]
        for edit in patches:
            for i, part in enumerate(parts):
                rows = edit[n_stages - 1 - i]
                start, end = max(rows.start, part.first), min(rows.end, part.first + part.n)
                if start < end:
                    changed = stage_image(rows.values[start - rows.start : end - rows.start])
                    copies[i][..., start - part.first : end - part.first] = self.model.skipped(i, changed)
        return copies


class FirstBlock:
    """First block of the transformer of a window, and of its edited copies."""

    def __init__(self, model: Borzoi, x: Tensor) -> None:
        block = model.blocks[0]
        assert isinstance(block, Block)
        assert isinstance(block.attention, RelativeAttention)
        self.block, self.x = block, x
        self.attention = SharedAttention(block.attention, block.norm_attention(x), model.positions(x[None]))

    def edited(self, edits: Sequence[Rows]) -> Tensor:
        """Return the output [T, C] of the block for a copy with other rows of the input."""
        if not edits:
            return self.block.feed(self.x + self.attention.output)
        changed = [self.block.norm_attention(edit.values) for edit in edits]
        attention = self.attention.edited(changed, [Span(edit.start, edit.end) for edit in edits])
        return self.block.feed(_patched(self.x, edits).add_(attention))


def shares_first_block(model: Borzoi, x: Tensor) -> bool:
    """Return True if edited copies share the first attention of a window: relative positions on a CPU, not in 16 bits.

    The last block computes some rows only, so there must be another one.
    """
    in_full = x.dtype in (torch.float32, torch.float64)
    return x.device.type == "cpu" and in_full and model.config.attention == "relative" and len(model.blocks) > 1


def stage_image(x: Tensor) -> Tensor:
    """Convert rows [L, C] to an image [1, C, 1, L], channels last, without a copy."""
    return x.T[None, :, None, :]


def _patched(x: Tensor, edits: Sequence[Rows]) -> Tensor:
    x = x.clone()
    for edit in edits:
        x[edit.start : edit.end] = edit.values
    return x
