"""Track model: one-hot DNA -> stem -> tower -> transformer -> crop -> heads; default: Enformer.

In reading order: the configuration, convolutions and pooling, relative positions, attention, the model. `trunk.py` computes
stem and tower faster, with the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import pairwise
from typing import Any, get_type_hints

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from genoformer.config import checked, current, preset_of
from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes
from genoformer.models.base import AttentionWeights, Bins, TrackEngine
from genoformer.models.batch_norm import sync_batch_norm
from genoformer.models.bin_transformer import BinTransformer
from genoformer.models.layers import Linear
from genoformer.models.row_convolution import held_numbers
from genoformer.models.track_layers import (
    AttentionShape,
    RelativeAttention,
    conv1d_as_image,
    conv1x1,
    image,
    linear_tracks,
    logits_of_rows,
    scaled_normal,
)
from genoformer.models.track_model import head_named


@dataclass(frozen=True)
class EnformerConfig:
    """The shape of a track model. The defaults are Enformer's (Avsec et al. 2021)."""

    width: int = 1536  # C: channels of the transformer; the stem has half as many
    n_blocks: int = 11
    n_heads: int = 8
    key_width: int = 64  # of a head; its values have C / n_heads
    stem_kernel: int = 15
    tower_kernel: int = 5
    n_pools: int = 7  # each halves the length: a bin of 2^7 = 128 bases
    divisible_by: int = 128  # channels of the tower are rounded to multiples of it
    context_length: int = 196_608  # default window, in bases
    target_bins: int = 896  # predicted bins in the middle of the window; 0: all
    heads: Mapping[str, int] = field(default_factory=lambda: {"human": 5313, "mouse": 1643})  # name -> number of tracks
    dropout: float = 0.4
    attention_dropout: float = 0.05
    position_dropout: float = 0.01
    qk_init_gain: float = 1.0  # scale of initial queries, keys, biases; below 1 attention starts flatter and learns sooner

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for entry in fields(self):
            value = getattr(self, entry.name)
            least = {"target_bins": 0, "n_blocks": 0, "n_pools": 3}.get(entry.name, 1)  # stem, C / 2 and C need a stage each
            if hints[entry.name] is int and value < least:
                raise ConfigError(f"{entry.name} = {value}: give a whole number of at least {least}.")
            if entry.name == "qk_init_gain":
                if not 0 < value <= 1:
                    raise ConfigError(f"qk_init_gain = {value}: give a number above 0 and at most 1, Enformer's.")
            elif hints[entry.name] is float and not 0 <= value < 1:
                raise ConfigError(f"{entry.name} = {value}: give a number from 0 up to, not including, 1.")
        if self.n_pools > 30:
            raise ConfigError(f"n_pools = {self.n_pools}: bins would be longer than a chromosome; give at most 30.")
        for name in ("stem_kernel", "tower_kernel"):
            if getattr(self, name) % 2 == 0:
                raise ConfigError(f"{name} = {getattr(self, name)} has no middle; give an odd number.")
        if self.width % (2 * self.divisible_by):
            raise ConfigError(f"width = {self.width}: half of it must be a multiple of divisible_by = {self.divisible_by}.")
        if self.width % self.n_heads or self.value_width % 6:
            raise ConfigError(
                f"width = {self.width}, n_heads = {self.n_heads}: each head needs a multiple of 6 channels, two for each of "
                "three kinds of relative positions; change one of them."
            )
        if self.context_length % self.bin_size:
            raise ConfigError(f"context_length = {self.context_length}: give a multiple of the bin of {self.bin_size} bases.")
        if self.target_bins > self.context_length // self.bin_size:
            raise ConfigError(
                f"target_bins = {self.target_bins}: a window of {self.context_length:,} bases has "
                f"{self.context_length // self.bin_size} bins of {self.bin_size}; give at most that, or 0 for all."
            )
        if not self.heads or any(type(n) is not int or n < 1 for n in self.heads.values()):
            raise ConfigError(f"heads = {dict(self.heads)}: name at least one head, each with its number of tracks.")
        if bad := [name for name in self.heads if not name.isidentifier() or hasattr(nn.ModuleDict, name)]:
            raise ConfigError(f"heads: {bad[0]!r} is no name, or one that torch needs; take other letters, digits and _.")

    @property
    def bin_size(self) -> int:
        """Number of bases in a bin."""
        return 2**self.n_pools

    @property
    def value_width(self) -> int:
        """Number of channels of a head's values, and of features of a relative position."""
        return self.width // self.n_heads

    @property
    def channels(self) -> list[int]:
        """Channels of the stem and of each block of the tower, from C / 2 to C in equal ratios."""
        half, n = self.width // 2, self.n_pools - 1
        ratio = 2 ** (1 / max(1, n - 1))
        return [half, *(round(half * ratio**i / self.divisible_by) * self.divisible_by for i in range(n))]

    @property
    def min_layers(self) -> int:
        """Number of layers with weights: stages of the tower, and blocks."""
        return self.n_pools + self.n_blocks

    @property
    def min_parameters(self) -> int:
        """Lower bound of the parameter count: the parameters of the large matrices."""
        c, keys = self.width, self.n_heads * self.key_width
        stages = (c // 2) * 4 * self.stem_kernel + sum(a * b * self.tower_kernel for a, b in pairwise(self.channels))
        return stages + self.n_blocks * (2 * c * keys + 6 * c * c) + sum(2 * c * n for n in self.heads.values())

    def head_named(self, head: str | None) -> str:
        """Return the name of the given head, or of the only one; raise ConfigError with the names of all heads otherwise."""
        return head_named(self.heads, head)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EnformerConfig:
        """Return the configuration in a mapping that `dataclasses.asdict` wrote.

        Unknown fields and values of other types are refused.
        """
        return cls(**checked(cls, current(cls.__name__, values), "model"))


PRESETS: dict[str, dict[str, Any]] = {
    "enformer": {},
    # a quarter of the channels, the authors' advice for users with one GPU (deepmind-research, issue 297)
    "small": {"width": 384, "n_blocks": 6, "divisible_by": 32, "context_length": 131_072, "target_bins": 0},
    "tiny": {
        "width": 96,
        "n_blocks": 2,
        "n_heads": 4,
        "key_width": 24,
        "divisible_by": 8,
        "context_length": 16_384,
        "target_bins": 0,
        "dropout": 0.1,
    },
}


def preset(name: str, **changed: Any) -> EnformerConfig:
    """Return the configuration of a named size (`PRESETS`) with some fields changed."""
    return preset_of(EnformerConfig, PRESETS, name, changed)


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


class SoftmaxPool(nn.Module):
    """Mean of two positions, weighted in each channel by softmax(W x): [B, C, 1, L] -> [B, C, 1, L / 2].

    Only the difference of the two logits matters: x1 + (x0 - x1) sigmoid(W (x0 - x1)), half of the products.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, width).fill_diagonal_(2.0))  # [C, C]; torch.eye is slow on meta

    def forward(self, x: Tensor) -> Tensor:
        second = x[..., 1::2]
        difference = x[..., 0::2] - second
        return second + difference * torch.sigmoid(conv1x1(difference, self.weight, None))


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
        if onehot.ndim != 3 or onehot.shape[1] != 4 or not onehot.is_floating_point():
            raise ConfigError(
                f"the input is {onehot.dtype} of shape {list(onehot.shape)}; give one-hot DNA [B, 4, L] of floating-point "
                "numbers, as `one_hot` makes it of codes."
            )
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
