"""Shape of the cloze family: the layers of the tower that reads both strands, and the layer that joins them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from genoformer.config import check_shape, checked
from genoformer.errors import ConfigError
from genoformer.models.transformer.config import EncoderConfig

N_TOKENS = 9  # of `tokenizer = "base"`: four bases and 5 special tokens


@dataclass(frozen=True)
class ClozeConfig:
    """The shape of a cloze model.

    >>> ClozeConfig(n_vocab=69)
    Traceback (most recent call last):
    genoformer.errors.ConfigError: n_vocab = 69: a cloze model reads single bases; set tokenizer = "base", which has 9 tokens.
    """

    n_vocab: int = N_TOKENS
    width: int = 192  # of the states of a tower, and of the joined states
    n_layers: int = 4
    n_heads: int = 6  # of a tower
    ffn_width: int = 768
    join_width: int = 384  # of the hidden layer that joins the states of both towers
    activation: Literal["gelu", "geglu", "swiglu"] = "gelu"
    dropout: float = 0.0
    norm_eps: float = 1e-5
    init_std: float = 0.02
    rotary_base: float = 10_000.0
    max_tokens: int = 4096  # longest input of a fine-tuned model by default; rotary positions have no end
    context_length: int = 512  # default window, in bases

    def __post_init__(self) -> None:
        check_shape(self, ())
        if self.n_vocab != N_TOKENS:
            raise ConfigError(
                f'n_vocab = {self.n_vocab}: a cloze model reads single bases; set tokenizer = "base", which has 9 tokens.'
            )
        if self.width % 2:
            raise ConfigError(f"width = {self.width}: give an even number; half of it is for each orientation.")
        _ = self.layer  # refuses heads and dropout that do not fit

    @property
    def layer(self) -> EncoderConfig:
        """The configuration of a layer of the tower."""
        return EncoderConfig(
            n_vocab=self.n_vocab,
            width=self.width,
            n_heads=self.n_heads,
            ffn_width=self.ffn_width,
            position="rotary",
            norm="pre",
            activation=self.activation,
            causal=True,
            dropout=self.dropout,
            norm_eps=self.norm_eps,
            rotary_base=self.rotary_base,
        )

    @property
    def n_positions(self) -> int:
        """Number of tokens after which learned positions end; 0: rotary positions have no end."""
        return 0

    @property
    def min_layers(self) -> int:
        """Number of layers."""
        return self.n_layers

    @property
    def min_parameters(self) -> int:
        """Lower bound of the parameter count: the parameters of the large matrices."""
        layer = self.layer
        n_feed = (3 if layer.gated else 2) * self.ffn_width
        joined = self.join_width * (2 * self.width + self.width // 2)
        return self.n_layers * self.width * (4 * self.width + n_feed) + joined

    def effective(self) -> dict[str, Any]:
        """Return the fields with the values that take effect."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClozeConfig:
        """Return the configuration in a saved mapping; refuse an unknown field and a value of another type."""
        return cls(**checked(cls, values, "cloze"))
