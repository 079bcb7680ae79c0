"""Stem and tower of a Borzoi in exact tiles: whole windows, and what an edit changes.

Rows are positions and columns channels (channels last). Batch norm is folded into one multiply-add before the activation. At
the ends of a window a convolution pads with zeros after norm and activation, as the plain module does.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from genoformer.models.batch_norm import scale_rows
from genoformer.models.borzoi.model import Borzoi, ConvBlock, gelu, rounded_gelu
from genoformer.models.layers import FirstConv
from genoformer.models.row_convolution import RowConvolution, row_convolution

TILE_BYTES = 6 << 20  # size of a tile's activations: they stay in the cache from one step to the next


class Rows(NamedTuple):
    """Rows [n, C] of a stage, the first with number `start`."""

    start: int
    values: Tensor

    @property
    def end(self) -> int:
        return self.start + len(self.values)


class Stage(NamedTuple):
    """Convolution with what comes before it, and the pooling before or after it: rows [L, C] -> [L / 2, C'] or [L, C']."""

    scale: Tensor | None  # folded batch norm in its own precision; None for the stem, which has no activation either
    shift: Tensor | None
    convolution: RowConvolution | None  # None: only the pooling
    dtype: torch.dtype  # of the convolution
    stored: torch.dtype  # of the output
    pool_before: bool
    pool_after: bool

    @property
    def reach(self) -> int:
        """Number of positions that the convolution reads on each side."""
        return 0 if self.convolution is None else self.convolution.kernel // 2

    def n_out(self, n: int) -> int:
        """Return the number of rows of the output for n rows of input."""
        return n // 2 if self.pool_before or self.pool_after else n

    def needed(self, first: int, last: int) -> tuple[int, int]:
        """Return the rows of the input that rows first to last of the output read; they may lie beyond the ends."""
        first, last = (2 * first, 2 * last) if self.pool_after else (first, last)
        first, last = first - self.reach, last + self.reach
        return (2 * first, 2 * last) if self.pool_before else (first, last)

    def touched(self, start: int, end: int, n: int) -> tuple[int, int]:
        """Return the rows of the output, of n, that the rows start to end of the input reach."""
        if self.pool_before:
            start, end = start // 2, -(-end // 2)
        start, end = start - self.reach, end + self.reach
        if self.pool_after:
            start, end = start // 2, -(-end // 2)
        return max(start, 0), min(end, n)

    def between(self, x: Rows, n_all: int, first: int, last: int, out: Tensor | None = None) -> Tensor:
        """Return rows first to last of the output, in `out` if given; x: input rows that hold those needed, of all n_all."""
        begin, end = self.needed(first, last)
        inside = x.values[max(begin, 0) - x.start : min(end, n_all) - x.start]
        before, behind = max(-begin, 0), max(end - n_all, 0)
        if self.pool_before:
            inside, before, behind = _pooled(inside), before // 2, behind // 2
        if self.scale is not None:
            assert self.shift is not None
            inside = _activated(inside, self.scale, self.shift)
        if before or behind:
            inside = F.pad(inside, (0, 0, before, behind))
        if self.convolution is not None:
            inside = self.convolution(inside.to(self.dtype))
        if self.pool_after and self.dtype == self.stored:
            return _pooled(inside, out)
        inside = _pooled(inside) if self.pool_after else inside
        return inside.to(self.stored) if out is None else out.copy_(inside)

    def whole(self, x: Tensor, tile_bytes: int) -> Tensor:
        """Compute all rows, tile by tile."""
        n = self.n_out(len(x))
        width = x.shape[1] if self.convolution is None else self.convolution.width
        out = torch.empty(n, width, dtype=self.stored, device=x.device)
        tile = max(64, tile_bytes // (2 * width * x.element_size()))
        for first in range(0, n, tile):
            last = min(first + tile, n)
            self.between(Rows(0, x), len(x), first, last, out[first:last])
        return out


class Tower:
    """Stem and tower of a model in eval mode, computed in `dtype`, in tiles of about `tile_bytes`.

    Its outputs are those that the decoder reads, the finest first, and the input of the transformer [T, C]. It copies the
    weights: make a new Tower after the weights of the model change.
    """

    def __init__(self, model: Borzoi, dtype: torch.dtype = torch.float32, tile_bytes: int = TILE_BYTES) -> None:
        self.dtype, self.tile_bytes, self.unit = dtype, tile_bytes, model.config.unit
        self.n_outputs = model.config.n_upsamples + 1
        n_plain = len(model.stages) - model.config.n_upsamples  # stages whose output only the next one reads
        blocks = [block for block in model.stages if isinstance(block, ConvBlock)]
        with torch.no_grad():
            first = _stage(
                model.stem, dtype, None, blocks[0], pool_before=False, pool_after=True, stored=precision(blocks[0].conv, dtype)
            )
            made = [first]
            for i, block in enumerate(blocks):
                after = blocks[i + 1] if i < n_plain else None
                made.append(_stage(block, dtype, made[-1].left_out, after, pool_before=i > n_plain, pool_after=i < n_plain))
            stages = [of.stage for of in made]
        self.stages = [*stages, Stage(None, None, None, dtype, dtype, pool_before=True, pool_after=False)]

    @property
    def margin(self) -> int:
        """Bases on each side of a bin of the transformer that affect it, rounded up to whole bins of the transformer."""
        start = 0
        for stage in reversed(self.stages):
            start = stage.needed(start, start + 1)[0]
        return -(start // self.unit) * self.unit

    @torch.inference_mode()
    def activations(self, onehot: Tensor, *, kept: int | None = None) -> list[Tensor]:
        """Return the input rows [L, 4] of a window [4, L] and the outputs of all stages; kept: only the last `kept` of them."""
        rows = [onehot.T.to(self.dtype).contiguous()]
        for stage in self.stages:
            rows.append(stage.whole(rows[-1], self.tile_bytes))
            rows = rows if kept is None else rows[-kept:]
        return rows

    def outputs(self, onehot: Tensor) -> list[Tensor]:
        """Return the outputs for a window [4, L]."""
        return self.activations(onehot, kept=self.n_outputs)

    @torch.inference_mode()
    def edited(self, reference: list[Tensor], edit: Rows) -> list[Rows]:
        """Return the changed rows of the outputs after one-hot rows [n, 4] are put into a window.

        reference: `activations` of the window, or of a longer stretch, if the edit is farther than `margin` from its ends.
        """
        patches = [edit._replace(values=edit.values.to(self.dtype))]
        for stage, x in zip(self.stages, reference, strict=False):
            patch, n = patches[-1], len(x)
            first, last = stage.touched(patch.start, patch.end, stage.n_out(n))
            begin, end = stage.needed(first, last)
            begin, end = max(begin, 0), min(end, n)
            rows = x[begin:end].clone()
            rows[patch.start - begin : patch.end - begin] = patch.values
            patches.append(Rows(first, stage.between(Rows(begin, rows), n, first, last)))
        return patches[-self.n_outputs :]


def _pooled(x: Tensor, out: Tensor | None = None) -> Tensor:
    return torch.maximum(x[0::2], x[1::2], out=out)


def _activated(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return gelu(scale x + shift) of rows [n, C]; in a lower precision than that of scale and shift rounded once on a CPU."""
    if x.dtype != scale.dtype and x.device.type == "cpu":
        return rounded_gelu(torch.addcmul(shift, x.to(scale.dtype), scale)).to(x.dtype)
    return gelu(scale_rows(x, scale, shift))


class _Prepared(NamedTuple):
    stage: Stage
    left_out: Tensor | None  # [C'], what the output lacks; None: nothing


def _stage(
    block: ConvBlock | torch.nn.Conv1d,
    dtype: torch.dtype,
    lacking: Tensor | None,
    after: ConvBlock | None,
    *,
    pool_before: bool,
    pool_after: bool,
    stored: torch.dtype | None = None,
) -> _Prepared:
    """Prepare a stage; lacking: what the input lacks; after: the only block that reads the output, if there is one.

    In 16 bits the convolution subtracts the mean that the norm of `after` would subtract, because numbers around 0 are rounded
    less, and the norm then subtracts what is missing. stored: precision of the output, else `dtype`.
    """
    scale = shift = None
    conv = block
    if isinstance(block, ConvBlock):
        norm, conv = block.norm, block.conv
        assert norm.running_var is not None
        assert norm.running_mean is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        mean = norm.running_mean if lacking is None else norm.running_mean - lacking
        shift = norm.bias - mean * scale
    assert isinstance(conv, torch.nn.Conv1d)
    assert conv.bias is not None
    own = precision(conv, dtype)
    weight, bias = conv.best_weights if isinstance(conv, FirstConv) else (conv.weight.detach(), conv.bias.detach())
    left_out = None
    if after is not None and dtype in (torch.float16, torch.bfloat16):
        assert after.norm.running_mean is not None
        centred = (bias.float() - after.norm.running_mean).to(own)
        bias, left_out = centred, bias.float() - centred.float()
    convolution = row_convolution(weight.to(own), bias.to(own))
    return _Prepared(Stage(scale, shift, convolution, own, stored or dtype, pool_before, pool_after), left_out)


def precision(conv: torch.nn.Conv1d, dtype: torch.dtype) -> torch.dtype:
    """Return the precision of a convolution: the first ones, whose errors all later stages enlarge, in float32 on a CPU."""
    return torch.float32 if isinstance(conv, FirstConv) and conv.weight.device.type == "cpu" and dtype.itemsize < 4 else dtype
