"""BorzoiConfig: the shape of a Borzoi, and named shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any, get_type_hints

from torch import nn

from genoformer.config import checked, preset_of
from genoformer.errors import ConfigError
from genoformer.formats.squashed_scale import SQUASHED_SCALES

ATTENTION = ("relative", "rotary")  # Borzoi, Flashzoi
TRACKS = {"human": 7611, "mouse": 2608}  # of Borzoi and Flashzoi
PRIME_TRACKS = {"human": 5431, "mouse": 1774}


@dataclass(frozen=True)
class BorzoiConfig:
    """The shape of a Borzoi. The defaults are those of Linder et al. 2025; `attention` = "rotary" is Flashzoi's."""

    width: int = 1536  # C: channels of the transformer and of the decoder
    n_blocks: int = 8
    n_heads: int = 8
    attention: str = "relative"  # "relative": relative positions (Borzoi); "rotary": rotary positions, shared keys (Flashzoi)
    key_width: int = 64  # of a head with relative positions
    value_width: int = 192  # of a head with relative positions; a head with rotary positions has C / n_heads for both
    n_features: int = 32  # of a relative position
    position_range: int = 4096  # bins of the window for which the widths of the relative positions are defined
    n_kv_heads: int = 4  # heads of keys and values with rotary positions
    rotary_width: int = 128  # channels of a head that are rotated
    rotary_base: float = 20_000.0
    stem_width: int = 512
    tower_widths: tuple[int, ...] = (608, 736, 896, 1056, 1280)  # of the stages between stem and C
    n_upsamples: int = 2  # steps of the decoder, each halves the bins: 2 for bins of 32 bases, 3 for 16 (Prime)
    final_width: int = 1920  # channels before the heads; 0: no last convolution (Prime)
    context_length: int = 524_288  # default window, in bases
    target_bins: int = 6144  # predicted bins in the middle of the window; 0: all
    heads: Mapping[str, int] = field(default_factory=lambda: dict(TRACKS))  # name -> number of tracks
    squashed_scale: str = ""  # how the tracks of the heads were squashed for training, a key of SQUASHED_SCALES; "": not
    dropout: float = 0.2
    attention_dropout: float = 0.05
    position_dropout: float = 0.01

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_attention()
        if self.n_upsamples > len(self.tower_widths) + 1:
            raise ConfigError(
                f"n_upsamples = {self.n_upsamples}: the tower has {len(self.tower_widths) + 1} stages; give that or less."
            )
        if self.context_length % self.unit:
            raise ConfigError(
                f"context_length = {self.context_length}: give a multiple of {self.unit}, the bases of the transformer's bins."
            )
        if self.target_bins > self.context_length // self.bin_size:
            raise ConfigError(
                f"target_bins = {self.target_bins}: a window of {self.context_length:,} bases has "
                f"{self.context_length // self.bin_size} bins of {self.bin_size}; give at most that, or 0 for all."
            )
        if self.squashed_scale and self.squashed_scale not in SQUASHED_SCALES:
            allowed = ", ".join(SQUASHED_SCALES)
            raise ConfigError(f"squashed_scale = {self.squashed_scale!r}: allowed are {allowed}, or an empty text.")
        if not self.heads or any(type(n) is not int or n < 1 for n in self.heads.values()):
            raise ConfigError(f"heads = {dict(self.heads)}: name at least one head, each with its number of tracks.")
        if bad := [name for name in self.heads if not name.isidentifier() or hasattr(nn.ModuleDict, name)]:
            raise ConfigError(f"heads: {bad[0]!r} is no name, or one that torch needs; take other letters, digits and _.")

    def _check_numbers(self) -> None:
        hints = get_type_hints(type(self))
        least = {"target_bins": 0, "n_blocks": 0, "final_width": 0}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if hints[entry.name] is int and value < least.get(entry.name, 1):
                raise ConfigError(f"{entry.name} = {value}: give a whole number of at least {least.get(entry.name, 1)}.")
            if entry.name.endswith("dropout") and not 0 <= value < 1:
                raise ConfigError(f"{entry.name} = {value}: give a number from 0 up to, not including, 1.")
        if any(type(n) is not int or n < 1 for n in self.tower_widths) or len(self.tower_widths) > 28:
            raise ConfigError(f"tower_widths = {list(self.tower_widths)}: give at most 28 whole numbers of at least 1.")

    def _check_attention(self) -> None:
        if self.attention not in ATTENTION:
            raise ConfigError(f"attention = {self.attention!r}: allowed are {', '.join(ATTENTION)}.")
        if self.n_features % 2:
            raise ConfigError(f"n_features = {self.n_features}: half of them have a sign; give an even number.")
        if self.attention == "rotary":
            head = self.width // self.n_heads
            if self.width % self.n_heads or self.n_heads % self.n_kv_heads:
                raise ConfigError(
                    f"n_heads = {self.n_heads}: give a divisor of width = {self.width} and a multiple of "
                    f"n_kv_heads = {self.n_kv_heads}."
                )
            if self.rotary_width % 2 or self.rotary_width > head or self.rotary_base <= 1:
                raise ConfigError(
                    f"rotary_width = {self.rotary_width}, rotary_base = {self.rotary_base}: give an even number up to the "
                    f"{head} channels of a head, and a base above 1."
                )

    @property
    def widths(self) -> list[int]:
        """Channels of the stages after the stem; the last is C."""
        return [*self.tower_widths, self.width]

    @property
    def n_pools(self) -> int:
        """Number of times that the length is halved before the transformer."""
        return len(self.tower_widths) + 2

    @property
    def unit(self) -> int:
        """Number of bases in a bin of the transformer; the length of a window is a multiple of it."""
        return 1 << self.n_pools

    @property
    def bin_size(self) -> int:
        """Number of bases in a predicted bin."""
        return 1 << (self.n_pools - self.n_upsamples)

    @property
    def embedding_width(self) -> int:
        """Number of channels of the input of the heads."""
        return self.final_width or self.width

    @property
    def min_layers(self) -> int:
        """Number of layers with weights: stages of the tower, and blocks."""
        return self.n_pools - 1 + self.n_blocks

    @property
    def min_parameters(self) -> int:
        """Lower bound of the parameter count: the parameters of the large matrices."""
        c, heads = self.width, self.n_heads
        stages = self.stem_width * 60 + sum(5 * a * b for a, b in pairwise([self.stem_width, *self.widths]))
        attention = c * heads * 2 * (self.key_width + self.value_width)
        if self.attention == "rotary":
            attention = 2 * c * c + 2 * c * self.n_kv_heads * (c // heads)
        decoder = self.n_upsamples * 2 * c * c + self.final_width * c
        return stages + self.n_blocks * (attention + 4 * c * c) + decoder + self.embedding_width * sum(self.heads.values())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BorzoiConfig:
        """Return the configuration in a mapping that `dataclasses.asdict` wrote; unknown fields and types are refused."""
        return cls(**checked(cls, values, "model"))


PRIME: dict[str, Any] = {"n_upsamples": 3, "final_width": 0, "target_bins": 12_288, "heads": PRIME_TRACKS}
PRESETS: dict[str, dict[str, Any]] = {
    "borzoi": {},
    "flashzoi": {"attention": "rotary"},
    "prime": PRIME,
    "small": {
        "width": 384,
        "n_blocks": 4,
        "value_width": 48,
        "stem_width": 128,
        "tower_widths": (160, 192, 224, 256, 320),
        "final_width": 480,
        "context_length": 131_072,
        "target_bins": 0,
    },
    "tiny": {
        "width": 64,
        "n_blocks": 2,
        "n_heads": 4,
        "key_width": 16,
        "value_width": 16,
        "n_kv_heads": 2,
        "rotary_width": 8,
        "stem_width": 32,
        "tower_widths": (32, 40, 48, 56, 64),
        "final_width": 80,
        "context_length": 16_384,
        "target_bins": 0,
        "dropout": 0.1,
    },
}


def preset(name: str, **changed: Any) -> BorzoiConfig:
    """Return the configuration of a named size (`PRESETS`) with some fields changed."""
    return preset_of(BorzoiConfig, PRESETS, name, changed)
