"""A BERT-style encoder of DNA tokens: ids -> embeddings -> layers -> logits; DNABERT is its default configuration.

In reading order: the configuration, positions, attention, the layer, the encoder.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Literal, get_args, get_type_hints

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genoformer.config import checked, current
from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes
from genoformer.models.base import AttentionWeights
from genoformer.models.layers import Linear, attend, linear
from genoformer.models.token_model import TokenModel

Position = Literal["learned", "rotary", "alibi", "sinusoidal"]
Norm = Literal["post", "pre"]
Activation = Literal["gelu", "geglu"]


@dataclass(frozen=True)
class EncoderConfig:
    """The shape of an encoder. The defaults are DNABERT's (Ji et al. 2021), which are BERT-base's."""

    n_vocab: int = 4101  # 4^6 6-mers and 5 special tokens
    width: int = 768
    n_layers: int = 12
    n_heads: int = 12
    ffn_width: int = 3072  # width of the feed-forward part; GEGLU has two matrices of this size
    max_tokens: int = 512  # [CLS] and [SEP] included; learned positions end there
    context_length: int = 512  # default window, in bases
    position: Position = "learned"
    norm: Norm = "post"  # "pre" trains without warm-up trouble; "post" is BERT
    activation: Activation = "gelu"
    conv_kernel: int = 0  # width in tokens of a convolution before the first layer; 0 = none, as in BERT
    causal: bool = False  # a token attends only to itself and earlier tokens: a GPT-style language model
    dropout: float = 0.1
    norm_eps: float = 1e-12
    init_std: float = 0.02
    n_token_types: int = 2  # BERT's token types; DNABERT uses the first; 0 = none
    pooler: bool = False  # tanh layer on [CLS], kept if a checkpoint has one

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in fields(self):
            value, choices = getattr(self, field.name), get_args(hints[field.name])
            if choices and value not in choices:
                raise ConfigError(f"{field.name} = {value!r}: allowed are {', '.join(map(repr, choices))}.")
            least = 0 if field.name in ("n_token_types", "conv_kernel") else 1
            if hints[field.name] is int and value < least:
                raise ConfigError(f"{field.name} = {value}: give a whole number of at least {least}.")
        if self.width % self.n_heads:
            raise ConfigError(f"width = {self.width} is no multiple of n_heads = {self.n_heads}; change one of them.")
        if self.position == "rotary" and self.width // self.n_heads % 2:
            raise ConfigError(f"rotary positions need an even width per head, not {self.width // self.n_heads}.")
        if self.conv_kernel and self.conv_kernel % 2 == 0:
            raise ConfigError(f"conv_kernel = {self.conv_kernel} has no middle; give an odd number, or 0 for none.")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout = {self.dropout}: give a number from 0 up to, not including, 1.")

    @property
    def min_layers(self) -> int:
        """Number of layers."""
        return self.n_layers

    @property
    def min_parameters(self) -> int:
        """Lower bound of the parameter count: the parameters of the large matrices."""
        tokens = self.n_vocab + (self.max_tokens if self.position == "learned" else 0) + self.n_token_types
        return self.width * (tokens + self.n_layers * (4 * self.width + 2 * self.ffn_width) + self.conv_kernel * self.width)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EncoderConfig:
        """Return the configuration in a saved mapping; refuse an unknown field and a value of another type."""
        return cls(**checked(cls, current(cls.__name__, values), "encoder"))


def sinusoidal_positions(n_tokens: int, width: int) -> Tensor:
    """Return the positions [T, D]: sine in even columns, cosine in odd ones (Vaswani et al. 2017, section 3.5)."""
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angle = torch.arange(n_tokens)[:, None] * rate  # [T, D/2]
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width]


def alibi_slopes(n_heads: int) -> Tensor:
    """Return the slopes [H]: 2^(-8 i / H) for a power of two, then the odd steps of twice that (Press et al. 2022)."""
    nearest = 2 ** math.floor(math.log2(n_heads))
    slopes = [2 ** (-8 * (i + 1) / nearest) for i in range(nearest)]
    slopes += [2 ** (-4 * (i + 1) / nearest) for i in range(0, 2 * (n_heads - nearest), 2)]
    return torch.tensor(slopes)


def rotate(x: Tensor, at: Tensor) -> Tensor:
    """Apply rotary positions (Su et al. 2021) to x [B, H, T, D/H] at positions `at` [B or 1, T]; the halves form the pairs."""
    half = x.shape[-1] // 2
    rate = 10_000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angle = at[:, None, :, None] * rate  # [B, 1, T, half]
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def gather_positions(x: Tensor, rows: Tensor) -> Tensor:
    """Return the rows [B, M] of x [B, T, D]: [B, M, D]."""
    return x.gather(1, rows[..., None].expand(-1, -1, x.shape[-1]))


class Attention(nn.Module):
    """Multi-head self-attention on torch's SDPA; `rows` restricts the output to some positions."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.n_heads, self.rotary, self.causal = config.n_heads, config.position == "rotary", config.causal
        self.qkv = Linear(config.width, 3 * config.width)
        self.out = Linear(config.width, config.width)
        self.dropout = config.dropout
        slopes = alibi_slopes(config.n_heads) if config.position == "alibi" else None
        self.register_buffer("slopes", slopes, persistent=False)
        self.slopes: Tensor | None

    def forward(self, x: Tensor, keep: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
        """Map x [B, T, D], keep [B, T] (False = padding) and rows [B, M] to [B, T or M, D]."""
        q, k, v, asked, at = self._heads(x, rows)
        bias = self._bias(asked, at, keep, x.dtype, plain_causal=rows is None)
        dropout = self.dropout if self.training else 0.0
        y = attend(q, k, v, bias, causal=self.causal and bias is None, dropout=dropout)
        return self.out(y.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, keep: Tensor | None, first: int, n: int) -> Tensor:
        """Return the attention weights of n queries, from position `first`: [B, H, n, T].

        `forward` computes the same softmax but does not return it.
        """
        rows = torch.arange(first, first + n, device=x.device).expand(len(x), n)
        q, k, _, asked, at = self._heads(x, rows)
        logits = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        bias = self._bias(asked, at, keep, x.dtype, plain_causal=False)
        return (logits if bias is None else logits + bias).softmax(-1)

    def _heads(self, x: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return queries, keys and values [B, H, M or T, D/H], and the positions of queries and of keys."""
        n_tokens, width = x.shape[1:]
        at = torch.arange(n_tokens, device=x.device)[None]
        if rows is None:
            q, k, v = self.qkv(x).chunk(3, dim=-1)
            query_positions = at
        else:
            q = linear(gather_positions(x, rows), self.qkv.weight[:width], self.qkv.bias[:width])
            k, v = linear(x, self.qkv.weight[width:], self.qkv.bias[width:]).chunk(2, dim=-1)
            query_positions = rows
        q, k, v = (t.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for t in (q, k, v))
        if self.rotary:
            q, k = rotate(q, query_positions), rotate(k, at)
        return q, k, v, query_positions, at

    def _bias(
        self, query_positions: Tensor, at: Tensor, keep: Tensor | None, dtype: torch.dtype, plain_causal: bool
    ) -> Tensor | None:
        """Return the bias of the attention logits, [B, H or 1, M, T], or None if SDPA needs no mask."""
        if keep is None and self.slopes is None and (plain_causal or not self.causal):
            return None
        distance = (query_positions[:, :, None] - at[:, None, :])[:, None]  # [B, 1, M, T]
        bias = torch.zeros((), dtype=dtype, device=at.device)
        if self.slopes is not None:
            bias = -self.slopes.to(dtype)[:, None, None] * distance.abs()
        if self.causal:
            bias = bias.masked_fill(distance < 0, -torch.inf)
        if keep is not None:
            bias = bias.masked_fill(~keep[:, None, None, :], -torch.inf)
        return bias.to(dtype)


class Stem(nn.Module):
    """x + gelu(convolution of x) over neighbouring tokens: motif-like filters from the first training step.

    Attention must learn the position of the neighbours before it can recognise a motif; a convolution (as in GPN, Benegas et
    al.
    2023) has them from the start. In a causal model the convolution reads only earlier tokens.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width, config.norm_eps)
        self.convolution = nn.Conv1d(config.width, config.width, config.conv_kernel)
        reach = config.conv_kernel - 1
        self.pad = (reach, 0) if config.causal else (reach // 2, reach // 2)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Map x [B, T, D] and keep [B, T] (False = padding) to [B, T, D]."""
        h = self.norm(x)
        if keep is not None:
            h = h.masked_fill(~keep[..., None], 0)
        h = self.convolution(F.pad(h.transpose(1, 2), self.pad))  # [B, D, T]
        return x + F.gelu(h).transpose(1, 2)


class Layer(nn.Module):
    """Attention and feed-forward, each with a residual; the norm follows the sum ("post") or precedes the part ("pre")."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.post, self.geglu = config.norm == "post", config.activation == "geglu"
        self.attention = Attention(config)
        self.norm_attention = nn.LayerNorm(config.width, config.norm_eps)
        self.up = Linear(config.width, config.ffn_width * (2 if self.geglu else 1))
        self.down = Linear(config.ffn_width, config.width)
        self.norm_feed = nn.LayerNorm(config.width, config.norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def feed(self, x: Tensor) -> Tensor:
        h = self.up(x)
        if self.geglu:  # gelu(x W) * (x V), Shazeer 2020
            gate, value = h.chunk(2, dim=-1)
            return self.down(F.gelu(gate) * value)
        return self.down(F.gelu(h))

    def forward(self, x: Tensor, keep: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
        """Map x [B, T, D] to [B, T, D], or to [B, M, D] at the given rows."""
        kept = x if rows is None else gather_positions(x, rows)
        if self.post:
            kept = self.norm_attention(kept + self.dropout(self.attention(x, keep, rows)))
            return self.norm_feed(kept + self.dropout(self.feed(kept)))
        kept = kept + self.dropout(self.attention(self.norm_attention(x), keep, rows))
        return kept + self.dropout(self.feed(self.norm_feed(kept)))


class Encoder(TokenModel):
    """Token ids [B, T] -> logits [B, T, V] over the vocabulary at every token.

    >>> model = Encoder(EncoderConfig(n_vocab=69, width=32, n_layers=2, n_heads=2, ffn_width=64))
    >>> model(torch.zeros(1, 10, dtype=torch.long)).shape
    torch.Size([1, 10, 69])
    """

    config_type = EncoderConfig
    may_be_tied = True

    @property
    def tied(self) -> Mapping[str, str]:
        return {"decoder.weight": "tokens.weight"}

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.n_vocab, config.width)
        self.segments = nn.Embedding(config.n_token_types, config.width) if config.n_token_types else None
        self.positions = nn.Embedding(config.max_tokens, config.width) if config.position == "learned" else None
        self.norm = nn.LayerNorm(config.width, config.norm_eps)  # of the embeddings (post) or of the last layer (pre)
        self.dropout = nn.Dropout(config.dropout)
        self.stem = Stem(config) if config.conv_kernel else None
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.n_layers))
        self.pooler = nn.Linear(config.width, config.width) if config.pooler else None
        self.transform = Linear(config.width, config.width)
        self.norm_transform = nn.LayerNorm(config.width, config.norm_eps)
        self.decoder = Linear(config.width, config.n_vocab)
        self.decoder.weight = self.tokens.weight  # tied, as in BERT
        self.apply(self._initialise)

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding | nn.Conv1d):
            nn.init.normal_(module.weight, std=self.config.init_std)
        if isinstance(module, nn.Linear | nn.Conv1d) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def _embed_tokens(self, ids: Tensor) -> Tensor:
        n_tokens, config = ids.shape[1], self.config
        if config.position == "learned" and n_tokens > config.max_tokens:
            raise ConfigError(
                f"{n_tokens} tokens, but this model has positions for {config.max_tokens}; "
                "give shorter windows or a model with rotary, ALiBi or sinusoidal positions."
            )
        x = ids if ids.is_floating_point() else self.tokens(ids)  # [B, T, D]
        if self.segments is not None:
            x = x + self.segments.weight[0]
        if self.positions is not None:
            x = x + self.positions.weight[:n_tokens]
        elif config.position == "sinusoidal":
            x = x + sinusoidal_positions(n_tokens, config.width).to(x)
        return self.dropout(self.norm(x) if config.norm == "post" else x)

    def embed(self, ids: Tensor, keep: Tensor | None = None, rows: Tensor | None = None, layer: int | None = None) -> Tensor:
        """Return the hidden states [B, T, D] after `layer` layers (None: all; 0: the embeddings).

        ids: [B, T], or vectors [B, T, D] in place of rows of `tokens` (`models.onehot` mixes them). keep [B, T] is False at
        padding. With rows [B, M], the last of these layers computes only those positions.
        """
        n_layers = len(self.layers) if layer is None else layer
        if not 0 <= n_layers <= len(self.layers):
            raise ConfigError(f"layer {layer}: this model has layers 0 (the embeddings) to {len(self.layers)}.")
        x = self._embed_tokens(ids)
        if self.stem is not None and n_layers:
            x = self.stem(x, keep)
        for i, block in enumerate(self.layers[:n_layers]):
            x = block(x, keep, rows if i == n_layers - 1 else None)
        if rows is not None and n_layers == 0:
            x = gather_positions(x, rows)
        return self.norm(x) if self.config.norm == "pre" and n_layers == len(self.layers) else x

    def attentions(self, ids: Tensor, keep: Tensor | None = None) -> Iterator[AttentionWeights]:
        """Yield for each layer, in order, a function (first query, n) -> attention weights."""
        x = self._embed_tokens(ids)
        if self.stem is not None:
            x = self.stem(x, keep)
        for block in self.layers:
            assert isinstance(block, Layer)
            seen = x if block.post else block.norm_attention(x)
            yield partial(block.attention.weights, seen, keep)
            x = block(x, keep)

    @property
    def n_heads(self) -> int:
        return self.config.n_heads

    def attention(self, codes: Codes) -> Iterator[AttentionWeights]:
        """Yield for each layer, in order, a function (first query, n) -> attention weights; codes [B, L]."""
        return self.attentions(self._to_device(self.tokenizer.encode(codes).ids))

    def output_parts(self) -> list[nn.Module | nn.Parameter]:
        return [self.transform, self.norm_transform, self.decoder.bias, *([self.pooler] if self.pooler is not None else [])]

    def last_parts(self) -> list[nn.Module]:
        return [self.norm] if self.config.norm == "pre" else []  # with "post" it is the norm of the embeddings

    def head(self, x: Tensor, candidates: Tensor | None = None) -> Tensor:
        """Map hidden states [..., D] to logits [..., V], or x [B, M, D] to the logits of candidates [B, M, C] only."""
        x = self.norm_transform(F.gelu(self.transform(x)))
        if candidates is None:
            return self.decoder(x)
        weight = self.decoder.weight[candidates]  # [B, M, C, D]
        return torch.einsum("bmd,bmcd->bmc", x, weight) + self.decoder.bias[candidates]

    def pooled(self, ids: Tensor, keep: Tensor | None = None) -> Tensor:
        """Return tanh(W x) of [CLS], [B, D]: BERT's pooled output, for models that have a pooler."""
        if self.pooler is None:
            raise ConfigError("this model has no pooler; take embed(ids)[:, 0] or a mean over tokens.")
        first = torch.zeros(len(ids), 1, dtype=torch.long, device=ids.device)
        return torch.tanh(self.pooler(self.embed(ids, keep, first)[:, 0]))
