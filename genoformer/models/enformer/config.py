"""EnformerConfig: the shape of an Enformer, and named shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any, get_type_hints

from torch import nn

from genoformer.config import checked, current, preset_of
from genoformer.errors import ConfigError
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
