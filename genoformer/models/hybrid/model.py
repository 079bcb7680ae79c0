"""Hybrid model: token ids -> embeddings -> convolutions -> pooling -> transformer layers -> states of tokens -> logits.

In reading order: norms and convolutions, pooling, the model. The transformer layers are those of `models.transformer`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes
from genoformer.models.base import Attends, AttentionWeights
from genoformer.models.batch_norm import WideBatchNorm, sync_batch_norm
from genoformer.models.hybrid.config import HybridConfig
from genoformer.models.inputs import checked_layer
from genoformer.models.layers import Linear, attend_few_keys
from genoformer.models.token_model import TokenModel
from genoformer.models.track_layers import SoftmaxPool, conv1d_as_image
from genoformer.models.transformer.attention import Shared, gather_positions
from genoformer.models.transformer.model import Layer

# --- convolutions


def convolve(x: Tensor, conv: nn.Conv1d) -> Tensor:
    """Apply a convolution to rows: [B, T, C] -> [B, T, C']. Their memory is that of an image with channels last."""
    return conv1d_as_image(x.transpose(1, 2)[:, :, None], conv)[:, :, 0].transpose(1, 2)


class TokenBatchNorm(WideBatchNorm):
    """Batch norm of states [B, T, C], over the tokens that are no padding; frozen weights keep its running statistics."""

    def train(self, mode: bool = True) -> TokenBatchNorm:
        super().train(mode and self.weight.requires_grad)
        return self

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Map x [B, T, C] and keep [B, T] (False = padding) to [B, T, C]; padding gets 0."""
        if keep is None:
            return sync_batch_norm(x.flatten(0, 1), self).view(x.shape)  # in rows, six times as fast as an image on CPUs
        y = sync_batch_norm(x[keep], self)  # [n, C]
        return y.new_zeros(x.shape).index_put((keep,), y)


class TokenLayerNorm(nn.LayerNorm):
    """Layer norm of states [B, T, C] with the call of `TokenBatchNorm`."""

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        return super().forward(x)


def make_conv_norm(config: HybridConfig, width: int) -> TokenBatchNorm | TokenLayerNorm:
    """Return the norm before the activation of a convolution."""
    kind = TokenBatchNorm if config.conv_norm == "batch" else TokenLayerNorm
    return kind(width, eps=config.norm_eps)


def without_padding(x: Tensor, keep: Tensor | None) -> Tensor:
    """Return states [B, T, C] with 0 at padding, as a convolution sees beyond the ends."""
    return x if keep is None else x.masked_fill(~keep[..., None], 0)


class ChannelDropout(nn.Module):
    """Dropout of whole channels of a sequence, [B, T, D]: on CPUs a random number for each value takes longer than a layer."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.rate:
            return x
        return x * F.dropout(x.new_ones(len(x), 1, x.shape[-1]), self.rate)


class ConvBlock(nn.Module):
    """x + gelu(convolution of norm(x)): [B, T, C] -> [B, T, C']; a 1 x 1 convolution fits x if the width grows."""

    def __init__(self, config: HybridConfig, n_in: int, n_out: int, dilation: int) -> None:
        super().__init__()
        self.norm = make_conv_norm(config, n_in)
        self.conv = nn.Conv1d(n_in, n_out, config.conv_kernel, dilation=dilation)
        self.widen = Linear(n_in, n_out, bias=False) if n_in != n_out else None
        self.dropout = ChannelDropout(config.dropout)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        h = F.gelu(convolve(without_padding(self.norm(x, keep), keep), self.conv))
        return (x if self.widen is None else self.widen(x)) + self.dropout(h)


class Stem(nn.Module):
    """gelu(norm(convolution)) of embeddings, and learned positions: [B, T, E] -> [B, T, C]."""

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        width = config.conv_widths[0]
        self.conv = nn.Conv1d(config.token_width, width, config.stem_kernel)
        self.norm = make_conv_norm(config, width)
        self.positions = nn.Parameter(torch.zeros(config.max_tokens, width)) if config.learned_positions else None

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        x = F.gelu(self.norm(convolve(without_padding(x, keep), self.conv), keep))
        if self.positions is None:
            return x
        if x.shape[1] > len(self.positions):
            raise ConfigError(
                f"{x.shape[1]} tokens, but this model has positions for {len(self.positions)}; give shorter windows or a model "
                "without learned_positions."
            )
        return x + self.positions[: x.shape[1]]


# --- pooling


class Pool(nn.Module):
    """States of tokens [B, T, D] -> those of groups of `pool` tokens [B, ceil(T / pool), D], without padding."""

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.size, self.attends = config.pool, config.pool_kind == "attention"
        n_halvings = config.pool.bit_length() - 1 if self.attends else 0
        self.halvings = nn.ModuleList(SoftmaxPool(config.width) for _ in range(n_halvings))

    def forward(self, x: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the groups, and False at groups of padding alone [B, P], or None without padding."""
        if self.size == 1:
            return x, keep
        n_added = -x.shape[1] % self.size
        kept = None if keep is None else F.pad(keep, (0, n_added)).unflatten(1, (-1, self.size)).any(2)  # [B, P]
        if not self.attends:
            x = x if keep is None else x.masked_fill(~keep[..., None], -torch.inf)
            x = F.pad(x, (0, 0, 0, n_added), value=-torch.inf).unflatten(1, (-1, self.size)).amax(2)
            return without_padding(x, kept), kept
        if n_added:
            keep = x.new_ones(x.shape[:2], dtype=torch.bool) if keep is None else keep
            x, keep = F.pad(x, (0, 0, 0, n_added)), F.pad(keep, (0, n_added))
        for halving in self.halvings:
            first, second = x[:, 0::2], x[:, 1::2]
            if keep is not None:  # a token without a partner is its own, so that the pair has its value
                of_first, of_second = keep[:, 0::2, None], keep[:, 1::2, None]
                first, second = torch.where(of_first, first, second), torch.where(of_second, second, first)
                keep = (of_first | of_second)[..., 0]
            pairs = torch.stack([first, second], dim=2).flatten(1, 2)  # [B, T, D]
            x = halving(pairs.transpose(1, 2)[:, :, None])[:, :, 0].transpose(1, 2)
        return x, kept

    def spread(self, x: Tensor, n_tokens: int) -> Tensor:
        """Return the states of groups [B, P, D] at each of their tokens, [B, T, D]."""
        return x if self.size == 1 else x.repeat_interleave(self.size, dim=1)[:, :n_tokens]


# --- the model


class Hybrid(TokenModel):
    """Token ids [B, T] -> logits [B, T, V] over the vocabulary at every token.

    A token has the state that the convolutions before the pooling give it, and the sum of all that the parts after it add to
    the state of its group: with pool = 1 this is a transformer on top of convolutions. Without `token_residual` it has the
    state of its group.

    >>> model = Hybrid(HybridConfig(width=32, n_heads=2, ffn_width=64, pool=2))
    >>> model(torch.zeros(1, 11, dtype=torch.long)).shape
    torch.Size([1, 11, 9])
    """

    config_type = HybridConfig

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.n_vocab, config.token_width)
        self.stem = Stem(config)
        n, widths = config.n_conv_blocks, config.conv_widths
        self.blocks = nn.ModuleList(
            ConvBlock(config, a, b, config.conv_dilation**i) for i, (a, b) in enumerate(pairwise(widths))
        )
        self.pool = Pool(config)
        self.pooled_blocks = nn.ModuleList(
            ConvBlock(config, config.width, config.width, config.conv_dilation ** (n + i))
            for i in range(config.n_pooled_blocks)
        )
        self.layers = nn.ModuleList(Layer(config.layer, index) for index in range(config.n_layers))
        self.norm = nn.LayerNorm(config.width, config.norm_eps)
        self.decoder = Linear(config.width, config.n_vocab)
        for layer in self.layers:
            assert isinstance(layer, Layer)
            layer.attention.dropout, layer.dropout = 0.0, ChannelDropout(config.dropout)
            layer.attention.attend = attend_few_keys
        self.apply(_initialise)

    @property
    def lacks(self) -> Mapping[type, str]:
        absent = dict(super().lacks)
        if not self.layers:
            absent[Attends] = "has no attention (n_layers = 0)"
        return absent

    @classmethod
    def with_dropout(cls, config: HybridConfig, rate: float) -> HybridConfig:
        return replace(config, dropout=rate)

    @property
    def longest_window(self) -> int | None:
        return super().longest_window if self.config.n_positions else None

    def read_assets(self, folder: Path) -> None:
        super().read_assets(folder)
        self.tokenizer = self.tokenizer.limited_to(self.config.n_positions)

    @property
    def n_heads(self) -> int:
        return self.config.n_heads

    def output_parts(self) -> list[nn.Module | nn.Parameter]:
        return [self.decoder]

    def last_parts(self) -> list[nn.Module]:
        return [self.norm]

    def embed(self, ids: Tensor, keep: Tensor | None = None, rows: Tensor | None = None, layer: int | None = None) -> Tensor:
        """Return the hidden states [B, T, D] after `layer` transformer layers (None: all; 0: the convolutions).

        ids: [B, T], or vectors [B, T, E] in place of rows of `tokens` (`models.onehot` mixes them). keep [B, T] is False at
        padding. With rows [B, M], the last of these layers computes only those positions.
        """
        n_layers = checked_layer(ids, layer, len(self.layers), "the convolutions")
        states = self._with_groups(self._convolved(ids, keep), n_layers, keep, rows)  # [B, M or T, D]
        return self.norm(states) if n_layers == len(self.layers) else states

    def _convolved(self, ids: Tensor, keep: Tensor | None) -> Tensor:
        """Return the states of tokens before the pooling, [B, T, D]."""
        x = self.stem(ids if ids.is_floating_point() else self.tokens(ids), keep)
        for block in self.blocks:
            x = block(x, keep)
        return x

    def _with_groups(self, x: Tensor, n_layers: int, keep: Tensor | None, rows: Tensor | None) -> Tensor:
        """Return states x [B, T, D] with all that is added to their groups, at the rows [B, M] or at all tokens."""
        pooled, y, keep = self._groups(x, keep)
        groups = None if rows is None else rows // self.config.pool
        shared: Shared = {}
        for i, layer in enumerate(self.layers[:n_layers]):
            y = layer(y, keep, groups if i == n_layers - 1 else None, None, shared)
        if groups is not None and not n_layers:
            y = gather_positions(y, groups)
        if not self.config.token_residual:
            return y if groups is not None else self.pool.spread(y, x.shape[1])
        if self.config.pool == 1:
            return y
        if rows is None or groups is None:
            return x + self.pool.spread(y - pooled, x.shape[1])
        return gather_positions(x, rows) + y - gather_positions(pooled, groups)

    def _groups(self, x: Tensor, keep: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the pooled states of x [B, T, D], these after the blocks, each [B, P, D], and False at groups of padding."""
        pooled, keep = self.pool(x, keep)
        y = pooled
        for block in self.pooled_blocks:
            y = block(y, keep)
        return pooled, y, keep

    def head(self, x: Tensor, candidates: Tensor | None = None) -> Tensor:
        logits = self.decoder(x)
        return logits if candidates is None else logits.gather(-1, candidates)

    def attention(self, codes: Codes) -> Iterator[AttentionWeights]:
        """Yield for each layer, in order, a function (first query, n) -> attention weights of tokens; codes [B, L].

        The tokens of a group have the same weights as queries, and as keys an equal part of the weight of the group.
        """
        ids = self._to_device(self.tokenizer.encode(codes).ids)
        return self.attentions(ids, self.keep(ids))

    def attentions(self, ids: Tensor, keep: Tensor | None = None) -> Iterator[AttentionWeights]:
        """Yield for each layer, in order, a function (first query, n) -> attention weights of tokens, as `attention`."""
        real = torch.ones(ids.shape[:2], dtype=torch.bool, device=ids.device) if keep is None else keep
        _, y, keep = self._groups(self._convolved(ids, keep), keep)
        for layer in self.layers:
            assert isinstance(layer, Layer)
            yield partial(self._token_weights, partial(layer.attention.weights, layer.norm_attention(y), keep), real)
            y = layer(y, keep)

    def _token_weights(self, weights: AttentionWeights, real: Tensor, first: int, n: int) -> Tensor:
        """Return the weights of n queries, [B, H, n, T], from those of groups; real [B, T] is False at padding."""
        size, n_tokens = self.config.pool, real.shape[1]
        if size == 1:
            return weights(first, n)
        at = first // size
        groups = weights(at, (first + n - 1) // size - at + 1)  # [B, H, m, P]
        queries = torch.arange(first, first + n, device=real.device) // size - at
        padded = F.pad(real, (0, -n_tokens % size)).unflatten(1, (-1, size))  # [B, P, size]
        portion = (padded / padded.sum(-1, keepdim=True).clamp(min=1)).flatten(1)[:, :n_tokens]
        spread = groups[:, :, queries].repeat_interleave(size, dim=-1)[..., :n_tokens]
        return spread * portion[:, None, None].to(spread.dtype)


def _initialise(module: nn.Module) -> None:
    """Initialise weights with the deviation 1 / sqrt(inputs), so that sums have the size of their terms, and biases with 0."""
    if isinstance(module, nn.Linear | nn.Conv1d):
        nn.init.trunc_normal_(module.weight, std=module.weight[0].numel() ** -0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
