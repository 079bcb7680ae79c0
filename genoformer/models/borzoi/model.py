"""Borzoi: one-hot DNA -> stem -> tower -> transformer on bins of 128 bases -> decoder to finer bins -> crop -> heads.

The decoder adds the outputs of the last stages of the tower. It is local, so it computes only the bins that are requested, and
the few next to them that its convolutions read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from genoformer.genome.codes import Codes
from genoformer.models.base import AttentionWeights, Bins, Head, TrackEngine
from genoformer.models.batch_norm import WideBatchNorm, sync_batch_norm
from genoformer.models.bin_transformer import BinTransformer
from genoformer.models.borzoi.attention import RotaryAttention, Rotation, central_mask_features, rotary_angles
from genoformer.models.borzoi.config import BorzoiConfig
from genoformer.models.inputs import check_onehot
from genoformer.models.layers import FirstConv, Linear, linear
from genoformer.models.plain_engine import one_hot
from genoformer.models.row_convolution import held_numbers
from genoformer.models.track_layers import (
    AttentionShape,
    RelativeAttention,
    conv1d_as_image,
    image,
    logits_of_rows,
    scaled_normal,
    softplus,
)
from genoformer.models.track_model import NewHead

_EPSILON = 1e-3  # of all norms; TensorFlow's default


def gelu(x: Tensor) -> Tensor:
    """Return the approximation of GELU by tanh; in bfloat16 on a CPU without gradients `rounded_gelu`."""
    if x.dtype == torch.bfloat16 and x.device.type == "cpu" and not torch.is_grad_enabled():
        return rounded_gelu(x)
    return F.gelu(x, approximate="tanh")


def rounded_gelu(x: Tensor) -> Tensor:
    """Return GELU itself, for results that are rounded to bfloat16: in a fifth of the time of the approximation by tanh.

    The two differ by 0.0005 at most, a fraction of what rounding adds: the error of the tracks of a model is the same.
    """
    return F.gelu(x)


class ConvBlock(nn.Module):
    """Convolution of gelu(batch norm): [B, C, 1, L] -> [B, C', 1, L]."""

    def __init__(self, n_in: int, n_out: int, kernel: int, conv: type[nn.Conv1d] = nn.Conv1d) -> None:
        super().__init__()
        self.norm = WideBatchNorm(n_in, eps=_EPSILON)
        self.conv = conv(n_in, n_out, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return conv1d_as_image(gelu(sync_batch_norm(x, self.norm)), self.conv)


class UpStep(nn.Module):
    """Step of the decoder: bins [B, C, 1, L] and a stage of the tower [B, C', 1, 2 L] -> finer bins [B, C, 1, 2 L]."""

    def __init__(self, width: int, n_skip: int) -> None:
        super().__init__()
        self.point = ConvBlock(width, width, 1)
        self.skip = ConvBlock(n_skip, width, 1)
        self.depthwise = nn.Conv1d(width, width, 3, padding=1, groups=width, bias=False)
        self.pointwise = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor, skipped: Tensor, wanted: Bins, n_all: int) -> Tensor:
        """Return the `wanted` of the 2 L bins, of all `n_all`.

        skipped: `skip` of a stage of the tower, the bins `read(wanted, n_all)`; x: the coarser bins that hold them.
        """
        fine = read(wanted, n_all)
        doubled = F.interpolate(self.point(x), scale_factor=(1, 2))
        at = fine.first % 2
        summed = doubled[..., at : at + fine.n] + skipped
        weight = self.depthwise.weight[:, :, None]
        mixed = F.conv2d(summed, weight, padding=(0, 1), groups=len(weight))
        at = wanted.first - fine.first
        return conv1d_as_image(mixed[..., at : at + wanted.n], self.pointwise)


def read(wanted: Bins, n_all: int) -> Bins:
    """Return the bins that the separable convolution of a step reads: those wanted, and one on each side within all `n_all`."""
    first, end = max(0, wanted.first - 1), min(n_all, wanted.first + wanted.n + 1)
    return Bins(first, end - first)


def coarser(bins: Bins) -> Bins:
    """Return the bins of twice the size that hold these bins."""
    first, end = bins.first // 2, -(-(bins.first + bins.n) // 2)
    return Bins(first, end - first)


class Block(nn.Module):
    """Attention and feed-forward, each after a layer norm and with a residual: [B, T, C] -> [B, T, C]."""

    def __init__(self, config: BorzoiConfig) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(config.width, eps=_EPSILON)
        self.attention = RotaryAttention(config) if config.attention == "rotary" else RelativeAttention(_relative(config))
        self.attention_dropout = nn.Dropout(0.2)
        self.norm_feed = nn.LayerNorm(config.width, eps=_EPSILON)
        self.up = Linear(config.width, 2 * config.width)
        self.down = Linear(2 * config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, positions: Any, rows: slice = slice(None)) -> Tensor:
        """Map x [B, T, C] to the M bins `rows` of the output [B, M, C]; positions: `Borzoi.positions` of T bins."""
        return self.feed(x[:, rows] + self.attention_dropout(self.attention(self.norm_attention(x), positions, rows)))

    def feed(self, x: Tensor) -> Tensor:
        """Apply the feed-forward part, which is after attention."""
        h = F.relu(self.dropout(self.up(self.norm_feed(x))))
        return x + self.dropout(self.down(h))


def _relative(config: BorzoiConfig) -> AttentionShape:
    return AttentionShape(
        width=config.width,
        n_heads=config.n_heads,
        key_width=config.key_width,
        value_width=config.value_width,
        n_features=config.n_features,
        dropout=config.attention_dropout,
        position_dropout=config.position_dropout,
    )


class Borzoi(BinTransformer):
    """Track model: one-hot DNA [B, 4, L] -> tracks [B, K, N] of a named head; L is a multiple of the transformer's bins.

    >>> from genoformer.models.borzoi.config import preset
    >>> model = Borzoi(preset("tiny", heads={"rna": 3})).eval()
    >>> model(torch.zeros(1, 4, 2048), "rna").shape
    torch.Size([1, 3, 64])
    """

    config_type = BorzoiConfig
    few_bins_are_cheaper = True  # the last attention and the decoder run over the bins that are read

    def __init__(self, config: BorzoiConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.stem_width, *config.widths]
        self.stem = FirstConv(4, config.stem_width, 15, padding=7)
        kinds = [FirstConv, *[nn.Conv1d] * (len(config.widths) - 1)]
        self.stages = nn.ModuleList(ConvBlock(*n, 5, kind) for n, kind in zip(pairwise(widths), kinds, strict=True))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_blocks))
        self.decoder = nn.ModuleList(UpStep(config.width, n) for n in reversed(config.widths[-config.n_upsamples :]))
        self.final = ConvBlock(config.width, config.final_width, 1) if config.final_width else nn.Identity()
        self.final_dropout = nn.Dropout(0.1 if config.final_width else 0.0)
        self.heads = nn.ModuleDict({name: nn.Linear(config.embedding_width, n) for name, n in config.heads.items()})
        self._positions: tuple[int, Any] | None = None
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                scaled_normal(module.weight, 2.0, module.in_channels // module.groups * module.kernel_size[0])  # He's, as Keras
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    @classmethod
    def heads_of(cls, config: BorzoiConfig) -> dict[str, Head]:
        return {
            name: Head(n, config.bin_size, None, config.target_bins, config.squashed_scale) for name, n in config.heads.items()
        }

    @classmethod
    def window_unit_of(cls, config: BorzoiConfig) -> int:
        return config.unit

    @classmethod
    def fields_of_head(cls, head: NewHead) -> dict[str, Any]:
        """Return the fields that a new head sets; its tracks are trained in the scale of their data set."""
        return {**super().fields_of_head(head), "squashed_scale": ""}

    @classmethod
    def timing_config(cls, config: BorzoiConfig, length: int) -> BorzoiConfig:
        """Return a configuration of the same width to measure speed with: windows of `length` bases, one block, one track."""
        return replace(config, n_blocks=min(config.n_blocks, 1), heads={"track": 1}, context_length=length, target_bins=0)

    def embed(self, onehot: Tensor, n_bins: int | Bins | None = None, head: str | None = None) -> Tensor:
        """Return the embedding of each bin, the input of the heads, [B, D, N]; all heads have the same bins."""
        check_onehot(onehot)
        bins = self.bins_of(onehot.shape[-1], 0 if isinstance(n_bins, Bins) else n_bins)  # refuses other lengths
        stages = self.convolve_bases(onehot)
        bins = n_bins if isinstance(n_bins, Bins) else bins
        x = pooled(stages[-1])[:, :, 0]
        return self.decode(self.attend(x, self.units_of(bins, x.shape[-1])), stages, bins)

    def convolve_bases(self, onehot: Tensor) -> list[Tensor]:
        """Apply stem and tower, and return the outputs [B, C', 1, L'] of the last stages, which the decoder reads."""
        x = conv1d_as_image(image(onehot), self.stem)
        outputs: list[Tensor] = []
        for stage in self.stages:
            x = stage(pooled(x))
            outputs = [*outputs, x][-self.config.n_upsamples :]
        return outputs

    def attend(self, x: Tensor, units: Bins | None = None, n_done: int = 0) -> Tensor:
        """Apply the transformer from block `n_done` on: [B, C, T] -> [B, M, C], the M bins `units` of its output; None: all."""
        x = x.transpose(1, 2)
        positions = self.positions(x)
        rows = slice(None) if units is None else slice(units.first, units.first + units.n)
        for block in self.blocks[n_done:]:
            of_block = rows if block is self.blocks[-1] else slice(None)
            if self.activation_checkpointing and self.training:
                x = checkpoint(block, x, positions, of_block, use_reentrant=False)
            else:
                x = block(x, positions, of_block)
        return x if len(self.blocks) else x[:, rows]

    def units_of(self, bins: Bins, n_units: int) -> Bins:
        """Return the bins of the transformer, of all `n_units`, that the decoder reads for the requested bins."""
        return self._bins_of_steps(bins, n_units)[0]

    def _bins_of_steps(self, bins: Bins, n_units: int) -> list[Bins]:
        """Return the bins of the input of each step of the decoder, and the requested ones."""
        wanted = [bins]
        for i in range(self.config.n_upsamples):
            wanted.insert(0, coarser(read(wanted[0], n_units << (self.config.n_upsamples - i))))
        return wanted

    def decode(self, x: Tensor, stages: list[Tensor], bins: Bins) -> Tensor:
        """Apply the decoder and the last convolution to the requested bins: stages of the tower -> [B, D, N].

        x: output of the transformer for the bins `units_of` the requested ones, [B, M, C].
        """
        n_units = stages[-1].shape[-1] // 2
        parts = self.read_of_stages(bins, n_units)
        skipped = [self.skipped(i, stages[-1 - i][..., part.first : part.first + part.n]) for i, part in enumerate(parts)]
        return self.decode_skipped(x, skipped, bins, n_units)

    def read_of_stages(self, bins: Bins, n_units: int) -> list[Bins]:
        """Return the bins of the stages of the tower that each step of the decoder reads, those of the last stage first."""
        wanted = self._bins_of_steps(bins, n_units)
        return [read(wanted[i + 1], n_units << (i + 1)) for i in range(self.config.n_upsamples)]

    def skipped(self, i: int, stage: Tensor) -> Tensor:
        """Return what step i of the decoder adds of bins of a stage of the tower: [B, C', 1, n] -> [B, C, 1, n]."""
        step = self.decoder[i]
        assert isinstance(step, UpStep)
        out: Tensor = step.skip(stage)
        return out

    def decode_skipped(self, x: Tensor, skipped: list[Tensor], bins: Bins, n_units: int) -> Tensor:
        """Apply the decoder as `decode`, with `skipped` of the bins `read_of_stages`, of a window of n_units bins."""
        wanted = self._bins_of_steps(bins, n_units)
        y = image(x.transpose(1, 2))
        for i, step in enumerate(self.decoder):
            y = step(y, skipped[i], wanted[i + 1], n_units << (i + 1))
        return gelu(self.final_dropout(self.final(y)))[:, :, 0]

    def tracks(self, embedding: Tensor, head: str | None = None, only: Tensor | None = None) -> Tensor:
        """Map the embedding [B, D, N] to the tracks [B, K, N] of a head, or to its tracks with the numbers `only` [K]."""
        last = self.heads[self.head_named(head)]
        assert isinstance(last, nn.Linear)
        weight, bias = (last.weight, last.bias) if only is None else (last.weight[only], last.bias[only])
        if torch.is_grad_enabled():
            return F.softplus(F.linear(embedding.transpose(1, 2), weight, bias)).transpose(1, 2)
        products = (linear(weight, x.T.contiguous(), None) for x in embedding)  # in the order of the result
        tracks = [softplus(x.float().add_(bias[:, None])) for x in products]
        return tracks[0][None] if len(tracks) == 1 else torch.stack(tracks)

    def positions(self, x: Tensor) -> Any:
        """Return the positions of the bins of x [B, T, C] as the attention reads them, in its device and precision."""
        n = x.shape[1]
        if self._positions is None or self._positions[0] != n:
            with torch.inference_mode(False):  # training may use them later
                self._positions = (n, self._new_positions(n))
        values = self._positions[1]
        return Rotation(*(part.to(x) for part in values)) if self.config.attention == "rotary" else values.to(x)

    def _new_positions(self, n: int) -> Any:
        shape = self.config
        if shape.attention == "rotary":
            angles = rotary_angles(n, shape.rotary_width, shape.rotary_base)
            return Rotation(angles.cos().float(), angles.sin().float())
        return central_mask_features(n, shape.n_features, shape.position_range)

    def embedding_kind(self, head: str) -> str:
        return "any head"

    def engine(self, head: str | None = None) -> TrackEngine:
        """Return `BorzoiEngine`: stem and tower in tiles, shared by the windows of a stretch and by edited copies."""
        from genoformer.models.borzoi.engine import BorzoiEngine

        return BorzoiEngine(self)

    def cpu_engine_size(self, length: int, batch: int, head: str, n_bins: int) -> tuple[int, int] | None:
        """Return how many numbers the engine holds on a CPU: copies of weights, and the most values at any time.

        The tower holds the stages that the decoder reads, and the input and output of the one that it computes; attention holds
        the logits of some rows, and the decoder a few rows of each bin.
        """
        shape, n = self.config, length // self.config.unit
        sizes = [4 * length, shape.stem_width * length // 2]
        for i, width in enumerate(shape.widths):
            is_pooled = i < len(shape.widths) - shape.n_upsamples
            sizes.append(width * (length >> (i + 1 + is_pooled)))
        kept = shape.n_upsamples + 1
        tower = max(sum(sizes[max(0, i - kept) : i + 1]) for i in range(len(sizes)))
        attention = n * (8 * shape.width + 4 * shape.n_heads * shape.key_width)
        attention += 0 if shape.attention == "rotary" else logits_of_rows(n)
        decoder = (length // shape.bin_size) * (4 * shape.width + 3 * shape.final_width)
        after = sum(sizes[-shape.n_upsamples :]) + n * shape.width + max(attention, decoder)
        return held_numbers(self.stem) + held_numbers(self.stages), max(tower, after)

    def output_parts(self) -> list[nn.Module | nn.Parameter]:
        return [self.heads]

    def shard_parts(self) -> list[nn.Module]:
        return [*self.stages, *self.blocks, *self.decoder]

    def last_parts(self) -> list[nn.Module]:
        return [*self.decoder, self.final]

    # Attention maps of the transformer's bins

    @property
    def attention_unit(self) -> int:
        return self.config.unit

    def attention(self, codes: Codes) -> Iterator[AttentionWeights]:
        parameter = next(self.parameters())
        onehot = one_hot(torch.from_numpy(np.array(codes)).to(parameter.device)).to(parameter.dtype)
        x = pooled(self.convolve_bases(onehot)[-1])[:, :, 0].transpose(1, 2)
        positions = self.positions(x)
        for block in self.blocks:
            assert isinstance(block, Block)
            yield partial(block.attention.weights, block.norm_attention(x), positions)
            x = block(x, positions)


def pooled(x: Tensor) -> Tensor:
    """Return the larger of each two positions: [B, C, 1, L] -> [B, C, 1, L / 2]."""
    return F.max_pool2d(x, (1, 2))
