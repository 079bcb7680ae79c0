"""A transformer of DNA tokens: ids -> embeddings -> layers -> logits; DNABERT is its default configuration.

In reading order: norms and the convolution before the layers, the layer, the model. config.py has the shapes of the families,
attention.py positions and attention.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes
from genoformer.models.base import AttentionWeights, Ints, PredictsBases, SequenceLikelihood
from genoformer.models.inputs import checked_layer
from genoformer.models.layers import Linear, RMSNorm
from genoformer.models.token_model import TokenModel, as_candidates, posterior_of_logits
from genoformer.models.transformer.attention import Attention, KeyValues, Shared, gather_positions, sinusoidal_positions
from genoformer.models.transformer.config import EncoderConfig
from genoformer.models.transformer.sliding import (
    SlidingWindows,
    are_windows_of_one_sequence,
    overlapping_runs,
    shares_stem,
    stem_of_sliding_windows,
)


def make_norm(config: EncoderConfig) -> nn.LayerNorm | RMSNorm:
    """Return the norm of vectors [..., D] of a configuration."""
    if config.norm_type == "rms":
        return RMSNorm(config.width, config.norm_eps)
    return nn.LayerNorm(config.width, config.norm_eps, bias=config.norm_bias)


def _sum(kept: Tensor, new: Tensor) -> Tensor:
    """Return the sum of a residual and the new output of a part, which is overwritten if there are no gradients."""
    return kept + new if torch.is_grad_enabled() or new.dtype != kept.dtype else new.add_(kept)


class Stem(nn.Module):
    """x + gelu(convolution of x) over neighbouring tokens: motif-like filters from the first training step.

    Attention must learn the position of the neighbours before it can recognise a motif; a convolution (as in GPN, Benegas et
    al. 2023) has them from the start. In a causal model the convolution reads only earlier tokens.
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

    def __init__(self, config: EncoderConfig, index: int = 0) -> None:
        super().__init__()
        self.post, self.gated = config.norm == "post", config.gated
        self.activation = F.silu if config.activation == "swiglu" else F.gelu
        self.attention = Attention(config, index)
        self.norm_attention = make_norm(config) if index or config.first_norm or self.post else nn.Identity()
        self.up = Linear(config.width, config.ffn_width * (2 if self.gated else 1), bias=config.up_bias)
        self.down = Linear(config.ffn_width, config.width, bias=config.down_bias)
        self.norm_feed = make_norm(config)
        self.dropout: nn.Module = nn.Dropout(config.dropout)

    def feed(self, x: Tensor) -> Tensor:
        h = self.up(x)
        if self.gated:  # act(x W) * (x V), Shazeer 2020
            gate, value = h.chunk(2, dim=-1)
            return self.down(self.activation(gate) * value)
        return self.down(self.activation(h) if self.gated or torch.is_grad_enabled() else torch.ops.aten.gelu_(h))

    def forward(
        self,
        x: Tensor,
        keep: Tensor | None = None,
        rows: Tensor | None = None,
        past: KeyValues | None = None,
        shared: Shared | None = None,
    ) -> Tensor:
        """Map x [B, T, D] to [B, T, D], or to [B, M, D] at the given rows; x may continue after `past`."""
        kept = x if rows is None else gather_positions(x, rows)
        if self.post:
            kept = self.norm_attention(_sum(kept, self.dropout(self.attention(x, keep, rows, past, shared))))
            return self.norm_feed(_sum(kept, self.dropout(self.feed(kept))))
        kept = _sum(kept, self.dropout(self.attention(self.norm_attention(x), keep, rows, past, shared)))
        return _sum(kept, self.dropout(self.feed(self.norm_feed(kept))))


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
        tied = self.config.tied_decoder and self.config.output != "none"
        return {"decoder.weight": "tokens.weight"} if tied else {}

    @property
    def fused_rows(self) -> Mapping[str, tuple[int, ...]]:
        shape = self.config
        n_kv = shape.kv_heads * shape.head_size
        return {"attention.qkv": (shape.n_heads * shape.head_size, n_kv, n_kv)}

    @property
    def lacks(self) -> Mapping[type, str]:
        if self.config.output == "none":
            return dict.fromkeys((PredictsBases, SequenceLikelihood), "has no head that predicts tokens")
        return super().lacks

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        post = config.norm == "post"
        self.tokens = nn.Embedding(config.n_vocab, config.width)
        self.segments = nn.Embedding(config.n_token_types, config.width) if config.n_token_types else None
        n_positions = config.max_tokens + config.position_offset
        self.positions = nn.Embedding(n_positions, config.width) if config.position == "learned" else None
        self.norm_embedding = make_norm(config) if config.embedding_norm and not post else None
        self.norm = (
            make_norm(config) if post or config.final_norm else None
        )  # of the embeddings (post), of the last layer (pre)
        self.dropout = nn.Dropout(config.dropout)
        self.stem = Stem(config) if config.conv_kernel else None
        self.layers = nn.ModuleList(Layer(config, index) for index in range(config.n_layers))
        self.pooler = nn.Linear(config.width, config.width) if config.pooler else None
        if config.output == "transform":
            self.transform = Linear(config.width, config.width, bias=config.transform_bias)
            self.norm_transform = make_norm(config)
        if config.output != "none":
            self.decoder = Linear(config.width, config.n_vocab, bias=config.decoder_bias)
        if self.tied:
            self.decoder.weight = self.tokens.weight
        self.apply(self._initialise)

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding | nn.Conv1d):
            nn.init.normal_(module.weight, std=self.config.init_std)
        if isinstance(module, nn.Linear | nn.Conv1d) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def _embed_tokens(self, ids: Tensor, keep: Tensor | None = None, past: KeyValues | None = None) -> Tensor:
        n_tokens, config = ids.shape[1], self.config
        n_all = n_tokens + (past.n_tokens if past is not None else 0)
        if config.n_positions and n_all > config.n_positions:
            raise ConfigError(
                f"{n_all} tokens, but this model has positions for {config.max_tokens}; "
                "give shorter windows or a model with rotary, ALiBi or sinusoidal positions."
            )
        at = torch.arange(n_tokens, device=ids.device)
        if past is not None:
            at = at + past.first(ids.device)[:, None]
        x = ids if ids.is_floating_point() else self.tokens(ids)  # [B, T, D]
        if config.masked_in_training and not ids.is_floating_point():
            x = self._rescaled(x, ids, keep)
        if self.segments is not None:
            x = x + self.segments.weight[0]
        if self.positions is not None:
            first = config.position_offset
            x = x + self.positions.weight[slice(first, first + n_tokens) if past is None else at + first]
        elif config.position == "sinusoidal":
            x = x + sinusoidal_positions(at, config.width).to(x)
        if config.norm == "post" and self.norm is not None:
            x = self.norm(x)
        elif self.norm_embedding is not None:
            x = self.norm_embedding(x)
        return self.dropout(x)

    def _rescaled(self, x: Tensor, ids: Tensor, keep: Tensor | None) -> Tensor:
        """Zero the embeddings of [MASK] and scale all as if as many were masked as in training (ESM, Rives et al. 2021)."""
        masked = ids == self.tokenizer.mask_id
        n_tokens = ids.shape[1] if keep is None else keep.sum(-1, keepdim=True)
        kept_here = 1 - masked.sum(-1, keepdim=True) / n_tokens  # [B, 1]
        return x.masked_fill(masked[..., None], 0) * ((1 - self.config.masked_in_training) / kept_here)[..., None].to(x.dtype)

    def embed(
        self,
        ids: Tensor,
        keep: Tensor | None = None,
        rows: Tensor | None = None,
        layer: int | None = None,
        past: list[KeyValues] | None = None,
    ) -> Tensor:
        """Return the hidden states [B, T, D] after `layer` layers (None: all; 0: the embeddings).

        ids: [B, T], or vectors [B, T, D] in place of rows of `tokens` (`models.onehot` mixes them). keep [B, T] is False at
        padding. With rows [B, M], the last of these layers computes only those positions. past: keys and values of earlier
        tokens, one per layer, after which the ids continue (causal models).
        """
        n_layers = checked_layer(ids, layer, len(self.layers))
        x = self._embed_tokens(ids, keep, None if past is None else past[0])
        if self.stem is not None and n_layers:
            x = self.stem(x, keep)
        return self._through_layers(x, n_layers, keep, rows, past)

    def _through_layers(
        self, x: Tensor, n_layers: int, keep: Tensor | None, rows: Tensor | None, past: list[KeyValues] | None = None
    ) -> Tensor:
        shared: Shared = {}
        for i, block in enumerate(self.layers[:n_layers]):
            x = block(x, keep, rows if i == n_layers - 1 else None, None if past is None else past[i], shared)
        if rows is not None and n_layers == 0:
            x = gather_positions(x, rows)
        if self.config.norm == "pre" and self.norm is not None and n_layers == len(self.layers):
            return self.norm(x)
        return x

    def sliding_log2_probs(
        self, codes: Codes, target: int, starts: Ints | None = None, at_once: int | None = None
    ) -> Tensor | None:
        """Return log2 P(A, C, G, T) at base `target` of windows of one sequence: [B, L] -> [B, 4].

        Equals `base_log2_probs`, in less time. None if these windows cannot share work. starts: first base of each window [B];
        None: the windows follow each other base by base. at_once: windows that pass the layers together; None: all.
        """
        starts = np.arange(len(codes)) if starts is None else starts
        runs = overlapping_runs(starts, codes.shape[1])
        if len(runs) == len(codes) or not shares_stem(self):
            return None
        if not all(are_windows_of_one_sequence(codes[rows], starts[rows] - starts[rows[0]]) for rows in runs):
            return None
        encoding = self.tokenizer.encode(codes)
        bases = np.flatnonzero(encoding.is_base[0])
        masked = self.tokenizer.mask_bases(codes, np.full(len(codes), target))
        ids, hidden, rows, candidates, valid = (self._to_device(array) for array in (encoding.ids, *masked))
        windows = SlidingWindows(ids, hidden, int(bases[0]), int(bases[-1]) + 1, int(bases[0]) + target)
        if not windows.is_long_enough(self.config.conv_kernel // 2):
            return None
        x, n, log2_p = self._stem_of_runs(windows, starts, runs), at_once or len(codes), []
        for each, rows_of, options, is_valid in zip(
            x.split(n), rows.split(n), candidates.split(n), valid.split(n), strict=True
        ):
            last = self._through_layers(each, len(self.layers), None, rows_of)
            log2_p.append(posterior_of_logits(self.head(last, as_candidates(options)), options, is_valid))
        return torch.cat(log2_p)

    def _stem_of_runs(self, windows: SlidingWindows, starts: Ints, runs: list[Ints]) -> Tensor:
        """Return the output of the stem [B, T, D], which the windows of each run share."""
        parts = []
        for rows in runs:
            at = self._to_device(rows)
            of_run = windows._replace(ids=windows.ids[at], masked=windows.masked[at])
            parts.append(stem_of_sliding_windows(self, of_run, (starts[rows] - starts[rows[0]]).tolist()))
        order = np.concatenate(runs)
        x = torch.cat(parts) if len(parts) > 1 else parts[0]
        return x if (order == np.arange(len(order))).all() else x[self._to_device(np.argsort(order))]

    @property
    def predicts_tokens(self) -> bool:
        return bool(self.config.output != "none")

    def new_past(self) -> list[KeyValues] | None:
        """Return empty keys and values, one per layer; None for a model that sees both sides or has a convolution."""
        return [KeyValues() for _ in self.layers] if self.causal and self.stem is None else None

    def attentions(self, ids: Tensor, keep: Tensor | None = None) -> Iterator[AttentionWeights]:
        """Yield for each layer, in order, a function (first query, n) -> attention weights."""
        x = self._embed_tokens(ids, keep)
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
        ids = self._to_device(self.tokenizer.encode(codes).ids)
        return self.attentions(ids, self.keep(ids))

    @classmethod
    def is_causal(cls, config: EncoderConfig) -> bool:
        return config.causal

    @classmethod
    def with_dropout(cls, config: EncoderConfig, rate: float) -> EncoderConfig:
        return replace(config, dropout=rate)

    @property
    def longest_window(self) -> int | None:
        return super().longest_window if self.config.n_positions else None

    def read_assets(self, folder: Path) -> None:
        super().read_assets(folder)
        self.tokenizer = self.tokenizer.limited_to(self.config.n_positions)

    def output_parts(self) -> list[nn.Module | nn.Parameter]:
        output, bias = self.config.output, self.config.decoder_bias
        parts: list[nn.Module | nn.Parameter | None] = [self.pooler]
        if output == "transform":
            parts += [self.transform, self.norm_transform]
        if output != "none" and self.tied:
            parts += [self.decoder.bias] if bias else []
        elif output != "none":
            parts += [self.decoder]
        return [part for part in parts if part is not None]

    def last_parts(self) -> list[nn.Module]:
        return [self.norm] if self.config.norm == "pre" and self.norm is not None else []  # "post": the norm of the embeddings

    def head(self, x: Tensor, candidates: Tensor | None = None) -> Tensor:
        """Map hidden states [..., D] to logits [..., V], or x [B, M, D] to the logits of candidates [B, M, C] only."""
        if self.config.output == "none":
            raise ConfigError("this model has no head that predicts tokens; use its hidden states, or fine-tune it.")
        if self.config.output == "transform":
            x = self.norm_transform(F.gelu(self.transform(x)))
        if candidates is None:
            return self.decoder(x)
        weight = self.decoder.weight[candidates]  # [B, M, C, D]
        logits = torch.einsum("bmd,bmcd->bmc", x, weight)
        return logits if self.decoder.bias is None else logits + self.decoder.bias[candidates]

    def pooled(self, ids: Tensor, keep: Tensor | None = None) -> Tensor:
        """Return tanh(W x) of [CLS], [B, D]: BERT's pooled output, for models that have a pooler."""
        if self.pooler is None:
            raise ConfigError("this model has no pooler; take embed(ids)[:, 0] or a mean over tokens.")
        first = torch.zeros(len(ids), 1, dtype=torch.long, device=ids.device)
        return torch.tanh(self.pooler(self.embed(ids, keep, first)[:, 0]))
