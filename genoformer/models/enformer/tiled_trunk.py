"""Trunk: stem and tower of an Enformer in exact tiles; same numbers as `Enformer.convolve_bases`, in less time and memory.

Each stage is computed for some positions at a time, from its whole input: a tile needs the few neighbouring positions that the
convolution reaches, and nothing is computed twice. At the ends of the window the convolution pads with zeros *after* norm
and activation, as the plain module does. Rows are positions and columns channels. x sigmoid(1.702 x) is
silu(1.702 x) / 1.702, so batch norm and activation are one multiply-add and one SiLU, and the convolution takes fewer
multiplications (`row_convolution`). Pooling takes one matrix product for two positions: softmax([a, b]) = [g, 1 - g],
g = sigmoid(a - b), so it is x1 + (x0 - x1) sigmoid(W (x0 - x1)).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from genoformer.errors import ConfigError
from genoformer.models.batch_norm import scale_rows
from genoformer.models.enformer.model import SLOPE, ConvBlock, Enformer, Stage
from genoformer.models.row_convolution import RowConvolution, row_convolution

TILE_BYTES = 6 << 20  # size of a tile's activations: they stay in the cache from one step to the next


class Edit(NamedTuple):
    """Rows [n, C] that replace the rows from `start` on."""

    start: int
    rows: Tensor


class _Block(NamedTuple):
    """silu(scale x + shift), then a convolution; the first block of the stem is only a convolution."""

    scale: Tensor | None
    shift: Tensor | None
    convolution: RowConvolution

    def __call__(self, x: Tensor, before: int = 0, behind: int = 0) -> Tensor:
        """Map rows [n, C], with zero rows before and behind, to [n + before + behind - kernel + 1, C']."""
        if self.scale is not None:
            assert self.shift is not None
            x = F.silu(scale_rows(x, self.scale, self.shift), inplace=True)
        if before or behind:
            x = F.pad(x, (0, 0, before, behind))
        return self.convolution(x)


class _Stage(NamedTuple):
    wide: _Block
    point: _Block
    pool: RowConvolution

    @property
    def reach(self) -> int:
        """Number of positions that the convolution reads on each side."""
        return self.wide.convolution.kernel // 2

    def between(self, x: Tensor, first: int, last: int, out: Tensor | None = None) -> Tensor:
        """Return rows first to last of the pooled output [n, C'], in `out` if given, from the input x [L, C]."""
        begin, end = 2 * first - self.reach, 2 * last + self.reach
        inside = x[max(begin, 0) : end]
        return self.pooled(inside, max(-begin, 0), max(end - len(x), 0), out)

    def pooled(self, x: Tensor, before: int, behind: int, out: Tensor | None = None) -> Tensor:
        """Return the pooled output of input rows, in `out` if given.

        The rows include all positions that the convolution reaches inside the window.
        """
        h = self.wide(x, before, behind)
        h += self.point(h)
        odd = h[1::2]
        difference = h[0::2] - odd
        share = torch.sigmoid_(self.pool(difference))
        return torch.addcmul(odd, difference, share, out=out)


class Trunk:
    """Stem and tower of a model in eval mode; computed in `dtype`, in tiles of about `tile_bytes`.

    It copies the weights: make a new Trunk after the weights of the model change.
    """

    def __init__(self, model: Enformer, dtype: torch.dtype = torch.float32, tile_bytes: int = TILE_BYTES) -> None:
        self.dtype, self.tile_bytes = dtype, tile_bytes
        self.bin_size = model.config.bin_size
        with torch.no_grad():
            self.stages = [_fold_batch_norm(stage, dtype) for stage in model.stages if isinstance(stage, Stage)]

    @property
    def margin(self) -> int:
        """Number of bases on each side of a bin that affect it."""
        return sum(stage.reach * 2**i for i, stage in enumerate(self.stages))

    @torch.inference_mode()
    def __call__(self, onehot: Tensor) -> Tensor:
        """Map [B, 4, L] to [B, T, C], T = L / bin_size."""
        out = []
        for window in onehot:
            x = self._rows(window)
            for stage in self.stages:
                x = self._whole(stage, x)
            out.append(x)
        return torch.stack(out)

    @torch.inference_mode()
    def activations(self, onehot: Tensor) -> list[Tensor]:
        """Return the activations of one window [4, L].

        They are the input rows [L, 4] and the output of every stage, [L / 2, C / 2] to [T, C].
        """
        found = [self._rows(onehot)]
        for stage in self.stages:
            found.append(self._whole(stage, found[-1]))
        return found

    @torch.inference_mode()
    def apply_edit(self, reference: list[Tensor], change: Edit) -> Edit:
        """Return the changed rows of the trunk's output after the one-hot rows [n, 4] of `change` are put into the reference.

        reference: `activations` of the window. Only the rows that the change reaches are computed; the other rows do not
        change.
        """
        patch = Edit(change.start, change.rows.to(self.dtype))
        if not len(patch.rows) or patch.start < 0 or patch.start + len(patch.rows) > len(reference[0]):
            raise ConfigError(
                f"a change of the bases {patch.start} to {patch.start + len(patch.rows)} does not lie in the window of "
                f"{len(reference[0])} bases; cut it to the window."
            )
        for stage, x in zip(self.stages, reference, strict=False):
            patch = _propagate_edit(stage, x, patch)
        return patch

    def _rows(self, window: Tensor) -> Tensor:
        if not window.shape[-1] or window.shape[-1] % self.bin_size:
            raise ConfigError(f"a window of {window.shape[-1]} bases is no whole number of bins of {self.bin_size} bases.")
        return window.T.to(self.dtype).contiguous()  # [L, 4]

    def _whole(self, stage: _Stage, x: Tensor) -> Tensor:
        """Compute a whole stage, tile by tile: [L, C] -> [L / 2, C']."""
        n, width = len(x) // 2, stage.pool.width
        out = torch.empty(n, width, dtype=x.dtype, device=x.device)
        tile = max(64, self.tile_bytes // (2 * width * x.element_size()))
        for first in range(0, n, tile):
            last = min(first + tile, n)
            stage.between(x, first, last, out[first:last])
        return out


def _propagate_edit(stage: _Stage, x: Tensor, patch: Edit) -> Edit:
    """Return the change of a stage's output after a change of its input x [L, C]."""
    start, end = patch.start, patch.start + len(patch.rows)
    first = max(start - stage.reach, 0) // 2
    last = min(-(-(end + stage.reach) // 2), len(x) // 2)
    begin, stop = 2 * first - stage.reach, 2 * last + stage.reach
    left = max(begin, 0)
    rows = x[left:stop].clone()
    rows[start - left : end - left] = patch.rows
    return Edit(first, stage.pooled(rows, max(-begin, 0), max(stop - len(x), 0)))


def _fold_batch_norm(stage: Stage, dtype: torch.dtype) -> _Stage:
    def block(module: ConvBlock | torch.nn.Conv1d) -> _Block:
        conv = module.conv if isinstance(module, ConvBlock) else module
        scale = shift = None
        weight = conv.weight.detach()
        if isinstance(module, ConvBlock):
            norm = module.norm
            assert norm.running_var is not None
            assert norm.running_mean is not None
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            scale, shift = SLOPE * scale, SLOPE * (norm.bias - norm.running_mean * scale)
            weight = weight / SLOPE
        assert conv.bias is not None
        return _Block(scale, shift, row_convolution(weight.to(dtype), conv.bias.detach().to(dtype)))

    wide, point = stage.wide, stage.point
    assert isinstance(wide, ConvBlock | torch.nn.Conv1d)
    return _Stage(block(wide), block(point), row_convolution(stage.pool.weight.detach().to(dtype)[..., None], None))
