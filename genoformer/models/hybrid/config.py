"""Shape of the hybrid family: convolutions of tokens, pooling, and transformer layers over the pooled positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

from genoformer.config import check_shape, checked
from genoformer.errors import ConfigError
from genoformer.models.transformer.config import EncoderConfig

PoolKind = Literal["max", "attention"]
ConvNorm = Literal["batch", "layer"]
FeedForward = Literal["gelu", "geglu", "swiglu"]
_MAY_BE_ZERO = ("n_layers", "n_conv_blocks", "n_pooled_blocks", "stem_width")


@dataclass(frozen=True)
class HybridConfig:
    """The shape of a hybrid model. n_layers = 0 is the same network without attention.

    >>> HybridConfig(pool=3)
    Traceback (most recent call last):
    genoformer.errors.ConfigError: pool = 3: give a power of two, 1 for no pooling.
    """

    n_vocab: int = 9  # four bases and 5 special tokens
    width: int = 128  # of the states of tokens
    token_width: int = 64  # of the embedding of a token: random vectors of 8 numbers are far from orthogonal, and learn worse
    stem_width: int = 0  # channels after the stem; the width grows evenly over the blocks; 0 = width
    stem_kernel: int = 15  # tokens: the width of a motif, and an odd number
    learned_positions: bool = False  # add a vector for each position after the stem: for sequences with a fixed start, such as
    # promoters around a TSS; max_tokens is then the longest input
    n_conv_blocks: int = 1  # before the pooling
    n_pooled_blocks: int = 1  # after the pooling
    conv_kernel: int = 5  # of a block
    conv_dilation: int = 1  # factor of the dilation from one block to the next; 1 = no dilation
    conv_norm: ConvNorm = "batch"  # statistics of a channel over the batch, as in DeepSEA's and Enformer's convolutions
    pool: int = 1  # tokens in a pooled position, a power of two
    pool_kind: PoolKind = "max"  # "attention": Enformer's softmax pooling
    token_residual: bool = True  # add the state of a token before the pooling; False: all tokens of a group have one state
    n_layers: int = 2  # transformer layers; 0 = none
    n_heads: int = 4
    ffn_width: int = 256
    activation: FeedForward = "gelu"
    dropout: float = 0.1  # of channels of the outputs of blocks and layers
    norm_eps: float = 1e-5
    rotary_base: float = 10_000.0  # of rotary positions, in units of `pool` tokens
    max_tokens: int = 4096  # longest input of a fine-tuned model by default; without learned positions nothing ends there
    context_length: int = 512  # default window, in bases

    def __post_init__(self) -> None:
        check_shape(self, _MAY_BE_ZERO)
        for name in ("stem_kernel", "conv_kernel"):
            if getattr(self, name) % 2 == 0:
                raise ConfigError(f"{name} = {getattr(self, name)} has no middle; give an odd number.")
        if self.pool & (self.pool - 1):
            raise ConfigError(f"pool = {self.pool}: give a power of two, 1 for no pooling.")
        if not self.n_conv_blocks and self.stem_width not in (0, self.width):
            raise ConfigError(
                f"stem_width = {self.stem_width}, but without blocks nothing widens it to width = {self.width}; leave it out."
            )
        _ = self.layer  # refuses heads, dropout and positions that do not fit

    @property
    def layer(self) -> EncoderConfig:
        """The configuration of a transformer layer."""
        return EncoderConfig(
            n_vocab=self.n_vocab,
            width=self.width,
            n_heads=self.n_heads,
            ffn_width=self.ffn_width,
            position="rotary",
            norm="pre",
            activation=self.activation,
            dropout=self.dropout,
            norm_eps=self.norm_eps,
            rotary_base=self.rotary_base,
        )

    @property
    def conv_widths(self) -> tuple[int, ...]:
        """Channels after the stem and after each block."""
        first, n = self.stem_width or self.width, self.n_conv_blocks
        return tuple(first + round((self.width - first) * i / max(1, n)) for i in range(n + 1))

    @property
    def n_positions(self) -> int:
        """Number of tokens after which learned positions end; 0: rotary positions have no end."""
        return self.max_tokens if self.learned_positions else 0

    @property
    def min_layers(self) -> int:
        """Number of transformer layers."""
        return self.n_layers

    @property
    def min_parameters(self) -> int:
        """Lower bound of the parameter count: the parameters of the large matrices."""
        widths, layer = self.conv_widths, self.layer
        stem = self.token_width * (self.n_vocab + self.stem_kernel * widths[0]) + self.n_positions * widths[0]
        blocks = sum(self.conv_kernel * a * b for a, b in (*pairwise(widths), *[widths[-1:] * 2] * self.n_pooled_blocks))
        n_feed = (3 if layer.gated else 2) * self.ffn_width
        return stem + blocks + self.n_layers * self.width * (4 * self.width + n_feed)

    def effective(self) -> dict[str, Any]:
        """Return the fields with the values that take effect: two shapes with equal ones are the same network."""
        return asdict(self) | {"stem_width": self.stem_width or self.width}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> HybridConfig:
        """Return the configuration in a saved mapping; refuse an unknown field and a value of another type."""
        return cls(**checked(cls, values, "hybrid"))
