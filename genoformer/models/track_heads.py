"""New output heads on a trained track model: new tracks, or tracks of contexts that vectors describe.

In reading order: three heads on the embedding of bins, the model with one of them. The heads follow enformer-pytorch's
fine-tune module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genoformer.errors import ConfigError
from genoformer.models.track_model import TrackModel, inverse_softplus
from genoformer.models.tuning import trainable


class TrackHead(nn.Module):
    """New tracks: embedding [B, C, N] of bins -> [B, K, N], at least 0; same form as a head of a `Enformer`."""

    def __init__(self, width: int, n_tracks: int) -> None:
        super().__init__()
        self.out = nn.Linear(width, n_tracks)

    def forward(self, embedding: Tensor) -> Tensor:
        return F.softplus(self.out(embedding.transpose(1, 2))).transpose(1, 2)


class ContextHead(nn.Module):
    """A track for each of K contexts, such as cell types: softplus(W(c) x + b(c)), where W(c) = c H and b(c) = c h.

    The vector c of a context generates the weights of its track (a hyper-network), so the head also predicts contexts that were
    not in the training data. With A measurements of each context, such as assays, each measurement has its own H and h, and the
    tracks are those of the first context, then those of the second, and so on.
    """

    def __init__(self, width: int, context_width: int, n_measurements: int = 1) -> None:
        super().__init__()
        scale = (context_width * width) ** -0.5
        self.to_weight = nn.Parameter(torch.randn(n_measurements, context_width, width) * scale)  # H
        self.to_bias = nn.Parameter(torch.zeros(n_measurements, context_width))  # h

    def forward(self, embedding: Tensor, context: Tensor, only: Tensor | None = None) -> Tensor:
        """Map embedding [B, C, N] and context [K, D] to tracks [B, K A, N], or to those with the numbers `only`."""
        _check_context(context, (2,), self.to_bias.shape[1])
        weight = (context @ self.to_weight).transpose(0, 1).flatten(0, 1)  # [K A, C]
        bias = (context @ self.to_bias.T).flatten()  # [K A]
        if only is not None:
            weight, bias = weight[only], bias[only]
        return F.softplus(weight @ embedding + bias[:, None])

    def start_at(self, means: Tensor, *, has_constant: bool) -> None:
        """Initialise the head to predict the means [A] of the measurements; only a last number of 1 can give them to all."""
        with torch.no_grad():
            self.to_weight.mul_(0.1)
            if has_constant:
                self.to_bias[:, -1] = inverse_softplus(means)


class ContextAttentionHead(nn.Module):
    """A track for each of K contexts, each one or several vectors that the bins attend to: softplus(w (x + attention) + b).

    All contexts share a learned null key and value; a bin attends to it if none of the vectors is relevant. Only sums lie
    between the values and the track, so w is applied to the values first and no tensor [K, N, C] is allocated. With A
    measurements of each context, each has its own w and b, and the tracks are in the order of `ContextHead`.
    """

    def __init__(self, width: int, context_width: int, n_heads: int = 8, key_width: int = 64, n_measurements: int = 1) -> None:
        super().__init__()
        inner = n_heads * key_width
        self.n_heads, self.context_width = n_heads, context_width
        self.norm_bins, self.norm_context = nn.LayerNorm(width), nn.LayerNorm(context_width)
        self.query = nn.Linear(width, inner, bias=False)
        self.key = nn.Linear(context_width, inner, bias=False)
        self.value = nn.Linear(context_width, inner, bias=False)
        self.null_key, self.null_value = nn.Parameter(torch.randn(inner)), nn.Parameter(torch.randn(inner))
        self.mix = nn.Linear(inner, width)
        self.out = nn.Linear(width, n_measurements)

    def forward(self, embedding: Tensor, context: Tensor, there: Tensor | None = None, only: Tensor | None = None) -> Tensor:
        """Map embedding [B, C, N], context [K, D] or [K, M, D] and there [K, M] (False = padding) to tracks [B, K A, N].

        only: numbers of the tracks to return; if they are few, attention is computed for their contexts.
        """
        _check_context(context, (2, 3), self.context_width)
        n_measurements = self.out.out_features
        if only is not None and len(only) < len(context):
            there = None if there is None else there[only // n_measurements]
            tracks = self(embedding, context[only // n_measurements], there)
            at = torch.arange(len(only), device=only.device) * n_measurements + only % n_measurements
            return tracks[:, at]
        context = context[:, None] if context.ndim == 2 else context  # [K, M, D]
        if there is not None and there.shape != context.shape[:2]:
            raise ConfigError(f"the mask is {_shape(there)}, but contexts are {_shape(context)}; give one of each vector.")
        bins = embedding.transpose(1, 2)  # [B, N, C]
        known = self.norm_context(context)
        query = self._heads(self.query(self.norm_bins(bins)))  # [B, N, H, E]
        key = self._heads(torch.cat([self.null_key.expand(len(known), 1, -1), self.key(known)], dim=1))  # [K, 1 + M, H, E]
        value = self._heads(torch.cat([self.null_value.expand(len(known), 1, -1), self.value(known)], dim=1))
        logits = torch.einsum("bnhe,kmhe->bkhnm", query, key) * query.shape[-1] ** -0.5
        if there is not None:
            logits = logits.masked_fill(~F.pad(there, (1, 0), value=True)[:, None, None], -torch.inf)
        to_track = self._heads(self.out.weight @ self.mix.weight)  # [A, H, E]
        share = torch.einsum("kmhe,ahe->kahm", value, to_track)
        attended = torch.einsum("bkhnm,kahm->bkan", logits.softmax(-1), share)
        tracks = F.softplus(self.out(bins + self.mix.bias).transpose(1, 2)[:, None] + attended).flatten(1, 2)
        return tracks if only is None else tracks[:, only]

    def start_at(self, means: Tensor, *, has_constant: bool) -> None:
        """Initialise the head to predict the means [A] of the measurements."""
        with torch.no_grad():
            self.out.weight.mul_(0.1)
            self.out.bias.copy_(inverse_softplus(means))

    def _heads(self, x: Tensor) -> Tensor:
        """Split the heads: [..., H E] -> [..., H, E]."""
        return x.unflatten(-1, (self.n_heads, -1))


CONTEXT_HEADS = ("linear", "attention")  # ContextHead, ContextAttentionHead


def make_context_head(kind: str, width: int, context_width: int, n_measurements: int) -> Any:
    """Return a head of a kind of CONTEXT_HEADS for an embedding of `width` channels and contexts of `context_width` numbers."""
    if kind == "attention":
        return ContextAttentionHead(width, context_width, n_measurements=n_measurements)
    return ContextHead(width, context_width, n_measurements)


def _check_context(context: Tensor, n_dims: tuple[int, ...], width: int) -> None:
    if context.ndim not in n_dims or context.shape[-1] != width:
        forms = " or ".join("[K, D]" if n == 2 else "[K, M, D]" for n in n_dims)
        raise ConfigError(f"contexts are {_shape(context)}; give {forms} with D = {width}, the width the head was made for.")


def _shape(x: Tensor) -> str:
    return f"[{', '.join(f'{n:,}' for n in x.shape)}]"


# --- a model with another head


class TrackModelWithHead(nn.Module):
    """A track model with one of the heads above in place of its own: one-hot [B, 4, L] -> tracks [B, K, N].

    The model is not copied: training this module changes the original model.
    like: the head of the model whose bins the new head has; None: any if all have the same bins.

    >>> from genoformer.models.enformer.config import preset
    >>> from genoformer.models.enformer.model import Enformer
    >>> model = Enformer(preset("tiny")).eval()
    >>> adapted = TrackModelWithHead(model, ContextHead(2 * model.config.width, 5))
    >>> adapted(torch.zeros(1, 4, 2048), torch.zeros(3, 5), tune="frozen").shape
    torch.Size([1, 3, 16])
    """

    def __init__(
        self, model: TrackModel, head: TrackHead | ContextHead | ContextAttentionHead, like: str | None = None
    ) -> None:
        super().__init__()
        self.model, self.head, self.like = model, head, like

    def forward(
        self, onehot: Tensor, *context: Tensor, n_bins: int | None = None, tune: str | None = None, last_blocks: int = 2
    ) -> Tensor:
        """Return the tracks of the middle `n_bins` (None: the model's default); context: further inputs of the head.

        tune: which trunk parameters get gradients in this call, see `tuning.trained_names`; None: all of them. Parameters with
        requires_grad=False stay frozen.
        """
        with trainable(self.model, tune, last_blocks):
            embedding = self.model.embed(onehot, n_bins, self.like)
        return self.head(embedding, *context)

    def loss(
        self,
        of: Callable[[Tensor, Tensor], Tensor],
        onehot: Tensor,
        measured: Tensor,
        *context: Tensor,
        n_bins: int | None = None,
        tune: str | None = None,
        last_blocks: int = 2,
    ) -> Tensor:
        """Return of(predicted, measured), both [B, K, N].

        Raises ConfigError, with both shapes, if the shapes differ.
        """
        size, (batch, _, length) = self.model.bin_size_of(self.like), onehot.shape
        bins = self.model.bins_of(length, n_bins, self.like)
        if measured.ndim != 3 or measured.shape[-1] != bins.n:
            n = measured.shape[-1]
            most = f"a window of {length:,} bases has up to {length // size:,} bins"
            remedy = f"give n_bins = {n:,}" if n <= length // size else f"give windows of {n * size:,} bases"
            raise ConfigError(
                f"the target is {_shape(measured)}, with {n:,} bins, and the model gives {bins.n:,}; {remedy} "
                f"({most} of {size}) or cut the target to its middle."
            )
        predicted = self(onehot, *context, n_bins=n_bins, tune=tune, last_blocks=last_blocks)
        if measured.shape != predicted.shape:
            raise ConfigError(
                f"the target is {_shape(measured)}: {measured.shape[1]:,} tracks of {len(measured):,} windows; the model gives "
                f"{predicted.shape[1]:,} of {batch:,}."
            )
        return of(predicted, measured)
