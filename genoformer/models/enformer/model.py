"""Enformer: one-hot DNA -> stem -> tower -> transformer -> crop -> heads.

In reading order: convolutions and pooling, relative positions, attention, the model. `tiled_trunk` computes stem and tower
faster, with the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from genoformer.genome.codes import Codes
from genoformer.models.base import AttentionWeights, Bins, TrackEngine
from genoformer.models.batch_norm import sync_batch_norm
from genoformer.models.bin_transformer import BinTransformer
from genoformer.models.enformer.config import EnformerConfig
from genoformer.models.inputs import check_onehot
from genoformer.models.layers import Linear
from genoformer.models.row_convolution import held_numbers
from genoformer.models.track_layers import (
    AttentionShape,
    RelativeAttention,
    SoftmaxPool,
    conv1d_as_image,
    image,
    linear_tracks,
    logits_of_rows,
    scaled_normal,
)

# --- stem and tower


SLOPE = 1.702  # of the sigmoid in Enformer's GELU


def gelu(x: Tensor) -> Tensor:
    """Return x sigmoid(1.702 x), Enformer's approximation (enformer.py, `gelu`)."""
    return x * torch.sigmoid(SLOPE * x)


class ConvBlock(nn.Module):
    """Convolution of gelu(batch norm): [B, C, 1, L] -> [B, C', 1, L]."""

    def __init__(self, n_in: int, n_out: int, kernel: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(n_in, eps=1e-5, momentum=0.1)  # Sonnet's CrossReplicaBatchNorm, decay 0.9
        self.conv = nn.Conv1d(n_in, n_out, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return conv1d_as_image(gelu(sync_batch_norm(x, self.norm)), self.conv)


class Stage(nn.Module):
    """Convolution, pointwise residual and pooling: [B, C, 1, L] -> [B, C', 1, L / 2]; the first stage reads one-hot DNA."""

    def __init__(self, n_in: int, n_out: int, kernel: int, *, first: bool) -> None:
        super().__init__()
        self.wide = nn.Conv1d(n_in, n_out, kernel, padding=kernel // 2) if first else ConvBlock(n_in, n_out, kernel)
        self.point = ConvBlock(n_out, n_out, 1)
        self.pool = SoftmaxPool(n_out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.wide(x) if isinstance(self.wide, ConvBlock) else conv1d_as_image(x, self.wide)
        return self.pool(x + self.point(x))


# --- transformer


def relative_position_features(n_bins: int, n_features: int) -> Tensor:
    """Return the features of each distance -T+1 ... T-1 between two of T bins, float32 [2 T - 1, F].

    F / 6 features each of exponential decay, central mask and gamma densities of |d|, then the same times the sign of d.
    The gamma densities are divided by their maximum over the distances, as in TensorFlow's Enformer (some ports divide by the
    maximum over the features, which gives another model).
    """
    n = n_features // 6
    distance = torch.arange(-n_bins + 1, n_bins, dtype=torch.float64)
    d = distance.abs()[:, None]  # [2T-1, 1]
    half_life = 2 ** torch.linspace(3, math.log2(max(n_bins, 2)), n, dtype=torch.float64)
    decay = torch.exp(-math.log(2) * d / half_life)
    mask = (2 ** torch.arange(1, n + 1, dtype=torch.float64) - 1 > d).double()
    mean, deviation = torch.linspace(n_bins / n, n_bins, n, dtype=torch.float64), n_bins / (2 * n)
    shape, rate = (mean / deviation) ** 2, mean / deviation**2
    log_density = torch.xlogy(shape - 1, d) - rate * d - torch.lgamma(shape) + shape * rate.log()
    density = log_density.exp() + 1e-8
    basis = torch.cat([decay, mask, density / density.amax(0)], dim=1)  # [2T-1, F/2]
    return torch.cat([basis, distance.sign()[:, None] * basis], dim=1).float()


class Block(nn.Module):
    """Attention and feed-forward, each after a layer norm and with a residual: [B, T, C] -> [B, T, C]."""

    def __init__(self, config: EnformerConfig) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(config.width)
        self.attention = RelativeAttention(
            AttentionShape(
                width=config.width,
                n_heads=config.n_heads,
                key_width=config.key_width,
                value_width=config.value_width,
                n_features=config.value_width,
                dropout=config.attention_dropout,
                position_dropout=config.position_dropout,
                qk_init_gain=config.qk_init_gain,
            )
        )
        self.norm_feed = nn.LayerNorm(config.width)
        self.up = Linear(config.width, 2 * config.width)
        self.down = Linear(2 * config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, basis: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.norm_attention(x), basis))
        h = self.dropout(F.relu(self.up(self.norm_feed(x))))
        return x + self.dropout(self.down(h))


# --- the model

_TILE_VALUES = 9 << 20  # numbers in the tiles of a stage, about six of 6 MiB


class Enformer(BinTransformer):
    """Track model: one-hot DNA [B, 4, L] -> tracks [B, K, N] of a named head, in bins.

    >>> from genoformer.models.enformer.config import preset
    >>> model = Enformer(preset("tiny", heads={"cage": 3})).eval()
    >>> model(torch.zeros(1, 4, 2048), "cage").shape
    torch.Size([1, 3, 16])
    """

    config_type = EnformerConfig
    positions_follow_length = True

    def __init__(self, config: EnformerConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        pairs = list(zip([4, *channels], channels, strict=False))
        self.stages = nn.ModuleList(
            Stage(n_in, n_out, config.tower_kernel if i else config.stem_kernel, first=i == 0)
            for i, (n_in, n_out) in enumerate(pairs)
        )
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_blocks))
        self.final = ConvBlock(channels[-1], 2 * config.width, 1)
        self.final_dropout = nn.Dropout(config.dropout / 8)
        self.heads = nn.ModuleDict({name: nn.Linear(2 * config.width, n) for name, n in config.heads.items()})
        self.activation_checkpointing = False  # recompute the blocks in the backward pass: less memory, a third more time
        self._basis: Tensor | None = None
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                scaled_normal(module.weight, 1.0, module.in_channels * module.kernel_size[0])  # Sonnet's default
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def embed(self, onehot: Tensor, n_bins: int | Bins | None = None, head: str | None = None) -> Tensor:
        """Return the embedding of each bin, the input of the heads, [B, 2 C, N]; all heads have the same bins."""
        check_onehot(onehot)
        bins = n_bins if isinstance(n_bins, Bins) else self.bins_of(onehot.shape[-1], n_bins)
        return self.crop_and_project(self.attend(self.convolve_bases(onehot)), bins)

    def convolve_bases(self, onehot: Tensor) -> Tensor:
        """Apply stem and tower: [B, 4, L] -> [B, C, T], T = L / bin_size."""
        x = image(onehot)
        for stage in self.stages:
            x = stage(x)
        return x[:, :, 0]

    def output_parts(self) -> list[nn.Module | nn.Parameter]:
        return [self.heads]

    def shard_parts(self) -> list[nn.Module]:
        return [*self.stages, *self.blocks]

    def last_parts(self) -> list[nn.Module]:
        return [self.final]

    def attend(self, x: Tensor) -> Tensor:
        """Apply the transformer: [B, C, T] -> [B, T, C]."""
        x = x.transpose(1, 2)
        basis = self.basis(x.shape[1]).to(x)
        for block in self.blocks:
            if self.activation_checkpointing and self.training:
                x = checkpoint(block, x, basis, use_reentrant=False)
            else:
                x = block(x, basis)
        return x

    def attentions(self, x: Tensor) -> Iterator[AttentionWeights]:
        """Yield for each block, in order, a function (first query, n) -> attention weights; x: the trunk's output [B, C, T]."""
        x = x.transpose(1, 2)
        basis = self.basis(x.shape[1]).to(x)
        for block in self.blocks:
            assert isinstance(block, Block)
            yield partial(block.attention.weights, block.norm_attention(x), basis)
            x = block(x, basis)

    def crop_and_project(self, x: Tensor, bins: Bins) -> Tensor:
        """Cut the requested bins and apply the final convolution: [B, T, C] -> [B, 2 C, N]."""
        x = x[:, bins.first : bins.first + bins.n].transpose(1, 2)
        return gelu(self.final_dropout(self.final(image(x))))[:, :, 0]

    def tracks(self, embedding: Tensor, head: str | None = None, only: Tensor | None = None) -> Tensor:
        """Map the embedding [B, 2 C, N] to the tracks [B, K, N] of a head, or to its tracks with the numbers `only` [K]."""
        return linear_tracks(embedding, self.heads[self.head_named(head)], only)

    def embedding_kind(self, head: str) -> str:
        return "any head"

    def engine(self, head: str | None = None) -> TrackEngine:
        """Return `EnformerEngine`: stem and tower in tiles, shared by the windows of a stretch and by edited copies."""
        from genoformer.models.enformer.engine import EnformerEngine

        return EnformerEngine(self)

    def cpu_engine_size(self, length: int, batch: int, head: str, n_bins: int) -> tuple[int, int] | None:
        """Return how many numbers the engine holds on a CPU: copies of weights, and the most values at any time.

        A stage is computed for one window at a time and holds its input and output; attention holds the logits of some rows.
        """
        config, n = self.config, length // self.config.bin_size
        channels, keys = [4, *config.channels], config.n_heads * config.key_width
        stage = max(a * (length >> i) + b * (length >> (i + 1)) for i, (a, b) in enumerate(pairwise(channels)))
        attention = batch * n * (6 * config.width + 4 * keys) + 2 * n * keys + logits_of_rows(n)
        tiles = 8 * length + _TILE_VALUES  # the one-hot bases twice
        return held_numbers(self.stages), max(stage + tiles, attention)

    @classmethod
    def timing_config(cls, config: EnformerConfig, length: int) -> EnformerConfig:
        """Return a configuration of the same width to measure speed with: windows of `length` bases, one block, one track."""
        return replace(config, n_blocks=min(config.n_blocks, 1), heads={"track": 1}, context_length=length, target_bins=0)

    # Attention maps of bins

    def attention(self, codes: Codes) -> Iterator[AttentionWeights]:
        from genoformer.models.enformer.engine import EnformerEngine

        return self.attentions(EnformerEngine(self).trunk_output(codes))

    def basis(self, n_bins: int) -> Tensor:
        """Return `relative_position_features` of this model; the result for the last number of bins is cached."""
        if self._basis is None or len(self._basis) != 2 * n_bins - 1:
            with torch.inference_mode(False):  # training may use it later
                self._basis = relative_position_features(n_bins, self.config.value_width)
        return self._basis
