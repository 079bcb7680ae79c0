"""Positions and self-attention of a transformer of tokens; keys and values of earlier tokens can be kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from genoformer.models.layers import Linear, RMSNorm, attend, for_each_query, linear
from genoformer.models.transformer.config import EncoderConfig


def sinusoidal_positions(at: Tensor, width: int) -> Tensor:
    """Return the positions [..., D] of `at` [...]: sine in even columns, cosine in odd ones (Vaswani et al. 2017)."""
    rate = torch.exp(torch.arange(0, width, 2, device=at.device) * (-math.log(10_000.0) / width))
    angle = at[..., None] * rate  # [..., D/2]
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)[..., :width]


def alibi_slopes(n_heads: int) -> Tensor:
    """Return the slopes [H]: 2^(-8 i / H) for a power of two, then the odd steps of twice that (Press et al. 2022)."""
    nearest = 2 ** math.floor(math.log2(n_heads))
    slopes = [2 ** (-8 * (i + 1) / nearest) for i in range(nearest)]
    slopes += [2 ** (-4 * (i + 1) / nearest) for i in range(0, 2 * (n_heads - nearest), 2)]
    return torch.tensor(slopes)


def rotate(x: Tensor, at: Tensor, base: float = 10_000.0) -> Tensor:
    """Apply rotary positions (Su et al. 2021) to x [B, H, T, K] at positions `at` [B or 1, T]; the halves form the pairs."""
    return turn(x, rotations(at, x.shape[-1], base, x.dtype))


def rotations(at: Tensor, width: int, base: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of the angles of rotary positions `at` [B or 1, T], each [B or 1, 1, T, K / 2]."""
    half = width // 2
    rate = base ** (-torch.arange(half, device=at.device, dtype=torch.float32) / half)
    angle = at[:, None, :, None] * rate
    return angle.cos().to(dtype), angle.sin().to(dtype)


def turn(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate the pairs of x [B, H, T, K] by angles with these cosines and sines."""
    (cos, sin), half = angles, x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    if torch.is_grad_enabled():
        return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)
    if x.device.type == "cpu" and x.stride(1) == x.shape[-1]:
        return _turn_rows(x.transpose(1, 2), cos[:, 0], sin[:, 0]).transpose(1, 2)
    turned = torch.empty_like(x)  # written in place: half of the passes over memory
    torch.mul(a, cos, out=turned[..., :half]).addcmul_(b, sin, value=-1)
    torch.mul(b, cos, out=turned[..., half:]).addcmul_(a, sin)
    return turned


def _turn_rows(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the pairs of x [B, T, H, K], whose heads follow each other in memory; cos and sin are [B or 1, T, K / 2].

    The same sums as in `turn` in half of its time: the products with cosines are those of the row of all heads, H K numbers.
    """
    n_heads, half = x.shape[2], x.shape[3] // 2
    turned = x.flatten(2) * cos.repeat(1, 1, 2 * n_heads)
    pairs, parts = x.unflatten(-1, (2, half)), turned.unflatten(-1, (n_heads, 2, half))
    parts[..., 0, :].addcmul_(pairs[..., 1, :], sin[:, :, None], value=-1)
    parts[..., 1, :].addcmul_(pairs[..., 0, :], sin[:, :, None])
    return turned.unflatten(-1, (n_heads, 2 * half))


def gather_positions(x: Tensor, rows: Tensor) -> Tensor:
    """Return the rows [B, M] of x [B, T, D]: [B, M, D]."""
    return x.gather(1, rows[..., None].expand(-1, -1, x.shape[-1]))


def padded_keys(query_at: Tensor, key_at: Tensor, keep: Tensor, n_past: int = 0) -> Tensor:
    """Return True at keys hidden as padding from queries at [B or 1, M]: [B, 1, M, T]; keep [B, T] is False at padding.

    A padded query sees itself. Far from all kept keys (a local layer, padding before a causal sequence) it would see no key,
    and the NaN of its softmax would reach the kept tokens of the next layer as 0 x NaN. The first n_past keys are earlier ones.
    """
    itself = query_at[:, :, None] == key_at[:, None, :]  # [B or 1, M, T]
    if n_past:
        itself = itself & (torch.arange(key_at.shape[1], device=key_at.device) >= n_past)
    return (~keep[:, None, :] & ~itself)[:, None]


_QUERIES_ON_CPU, _QUERIES = 128, 1024  # queries of a local layer that are computed together, on a CPU and elsewhere

Shared = dict[tuple[Any, ...], Any]  # what all layers of one pass use: rotations and biases of attention, by kind


@dataclass
class KeyValues:
    """Keys and values of earlier tokens in one layer of a causal model, for the tokens that follow them."""

    keys: Tensor | None = None  # [B or 1, H, P, K], with their positions applied
    values: Tensor | None = None
    visible: Tensor | None = None  # [B]: each row sees this number of earlier tokens, and continues after them; None: all
    frozen: bool = False  # True: the new tokens are not added

    @property
    def n_tokens(self) -> int:
        """Number of earlier tokens."""
        return 0 if self.keys is None else self.keys.shape[2]

    def first(self, device: torch.device) -> Tensor:
        """Return the position of the first new token, [B or 1]."""
        return torch.tensor([self.n_tokens], device=device) if self.visible is None else self.visible

    def first_tokens(self, n: int, rows: Tensor) -> KeyValues:
        """Return the keys and values of the first n tokens in these rows, frozen, for tokens that continue after them."""
        assert self.keys is not None
        assert self.values is not None
        keys, values = self.keys[:, :, :n], self.values[:, :, :n]
        if len(keys) > 1:
            keys, values = keys[rows], values[rows]
        return KeyValues(keys, values, frozen=True)

    def joined(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return earlier and new keys and values [B, H, P + T, K], and keep the new ones unless `frozen`."""
        if self.keys is not None and self.values is not None:
            k = torch.cat([self.keys.expand(len(k), -1, -1, -1), k], dim=2)
            v = torch.cat([self.values.expand(len(v), -1, -1, -1), v], dim=2)
        if not self.frozen:
            self.keys, self.values = k, v
        return k, v


class Attention(nn.Module):
    """Multi-head self-attention on torch's SDPA; `rows` restricts the output to some positions."""

    def __init__(self, config: EncoderConfig, index: int = 0) -> None:
        super().__init__()
        size, n_kv = config.head_size, config.kv_heads
        self.n_heads, self.n_kv_heads, self.head_size, self.causal = config.n_heads, n_kv, size, config.causal
        self.reach = config.local_window // 2 if config.is_local(index) else None  # tokens seen on either side
        base = config.local_rotary_base if config.is_local(index) and config.local_rotary_base else config.rotary_base
        self.rotary_base = base if config.position == "rotary" else None
        self.qkv = Linear(config.width, (config.n_heads + 2 * n_kv) * size, bias=config.qkv_bias)
        self.out = Linear(config.n_heads * size, config.width, bias=config.out_bias)
        self.norm_query = RMSNorm(size, config.norm_eps) if config.qk_norm else None
        self.norm_key = RMSNorm(size, config.norm_eps) if config.qk_norm else None
        self.dropout = config.dropout
        self.alibi = config.position == "alibi"
        self.attend = attend  # another family can have `attend_few_keys` in its place

    def forward(
        self,
        x: Tensor,
        keep: Tensor | None = None,
        rows: Tensor | None = None,
        past: KeyValues | None = None,
        shared: Shared | None = None,
    ) -> Tensor:
        """Map x [B, T, D], keep [B, T] (False = padding) and rows [B, M] to [B, T or M, D]; x may continue after `past`.

        shared: one dictionary for all layers of a pass, filled by the first of each kind.
        """
        whole = rows is None and past is None
        shared = shared if whole else None
        q, k, v, query_at, key_at = self._heads(x, rows, past, shared)
        n_past = 0 if past is None else past.n_tokens
        if past is not None:
            k, v = past.joined(k, v)
            if n_past:
                earlier = torch.arange(n_past, device=x.device).expand(len(x), -1)
                seen = torch.ones_like(earlier, dtype=torch.bool) if past.visible is None else earlier < past.visible[:, None]
                new = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if keep is None else keep
                keep = torch.cat([seen, new], dim=1)
                key_at = torch.cat([earlier, key_at.expand(len(x), -1)], dim=1)
        plain_causal = rows is None and k.shape[2] == q.shape[2]
        biases = None if shared is None else shared.get(("bias", self.reach, x.dtype))
        if biases is None:
            biases = []
            for a, b in self._parts(x) if whole else [(slice(None), slice(None))]:
                kept = None if keep is None else keep[:, b]
                biases.append((a, b, self._bias(query_at[:, a], key_at[:, b], kept, x.dtype, plain_causal, n_past)))
            if shared is not None:
                shared["bias", self.reach, x.dtype] = biases
        dropout = self.dropout if self.training else 0.0
        parts = (
            self.attend(q[:, :, a], k[:, :, b], v[:, :, b], bias, causal=self.causal and bias is None, dropout=dropout)
            for a, b, bias in biases
        )
        y = [part.transpose(1, 2) for part in parts]  # [B, M or T, H, K]
        return self.out((y[0] if len(y) == 1 else torch.cat(y, dim=1)).flatten(2))

    def _parts(self, x: Tensor) -> list[tuple[slice, slice]]:
        """Return parts of the queries of x [B, T, D] and the keys that they may see: in a local layer not all T x T pairs."""
        n_tokens, reach = x.shape[1], self.reach
        n = _QUERIES_ON_CPU if x.device.type == "cpu" else _QUERIES
        if reach is None or n_tokens <= n + reach:
            return [(slice(None), slice(None))]
        ahead = 0 if self.causal else reach
        return [(slice(i, i + n), slice(max(i - reach, 0), i + n + ahead)) for i in range(0, n_tokens, n)]

    def weights(self, x: Tensor, keep: Tensor | None, first: int, n: int) -> Tensor:
        """Return the attention weights of n queries, from position `first`: [B, H, n, T].

        `forward` computes the same softmax but does not return it.
        """
        rows = torch.arange(first, first + n, device=x.device).expand(len(x), n)
        q, k, _, query_at, key_at = self._heads(x, rows, None, None)
        logits = q @ for_each_query(k, self.n_heads).transpose(-1, -2) * q.shape[-1] ** -0.5
        bias = self._bias(query_at, key_at, keep, x.dtype, plain_causal=False)
        return (logits if bias is None else logits + bias).softmax(-1)

    def _heads(
        self, x: Tensor, rows: Tensor | None, past: KeyValues | None, shared: Shared | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return queries [B, H, M or T, K], keys and values [B, G, T, K], and the positions of queries and of keys."""
        n_query, n_kv = self.n_heads * self.head_size, self.n_kv_heads * self.head_size
        key_at = torch.arange(x.shape[1], device=x.device)[None]
        if past is not None:
            key_at = key_at + past.first(x.device)[:, None]
        both: Tensor | None = None  # queries and keys, next to each other in memory
        if rows is None:
            projected = self.qkv(x)
            q, k, v = projected.split([n_query, n_kv, n_kv], dim=-1)
            if past is None and self.norm_query is None and not torch.is_grad_enabled():
                both = projected[..., : n_query + n_kv]
            query_at = key_at
        else:
            weight, bias = self.qkv.weight, self.qkv.bias
            q = linear(gather_positions(x, rows), weight[:n_query], None if bias is None else bias[:n_query])
            k, v = linear(x, weight[n_query:], None if bias is None else bias[n_query:]).chunk(2, dim=-1)
            query_at = rows if past is None else rows + past.first(x.device)[:, None]
        q, k, v = (t.unflatten(-1, (-1, self.head_size)).transpose(1, 2) for t in (q, k, v))
        if self.norm_query is not None and self.norm_key is not None:
            q, k = self.norm_query(q), self.norm_key(k)
        if self.rotary_base is not None:
            kind = ("rotations", self.rotary_base, x.dtype)
            if shared is None or kind not in shared:
                angles = rotations(key_at, self.head_size, self.rotary_base, x.dtype)
                if shared is not None:
                    shared[kind] = angles
            else:
                angles = shared[kind]
            if both is not None:  # together in one pass over memory
                turned = turn(both.unflatten(-1, (-1, self.head_size)).transpose(1, 2), angles)
                q, k = turned[:, : self.n_heads], turned[:, self.n_heads :]
            else:
                q = turn(q, angles) if rows is None else rotate(q, query_at, self.rotary_base)
                k = turn(k, angles)
        return q, k, v, query_at, key_at

    def _bias(
        self,
        query_at: Tensor,
        key_at: Tensor,
        keep: Tensor | None,
        dtype: torch.dtype,
        plain_causal: bool,
        n_past: int = 0,
    ) -> Tensor | None:
        """Return the bias of the attention logits, [B, H or 1, M, T], or None if SDPA needs no mask.

        keep: False at padding, [B, T]. n_past: number of first keys that are those of earlier tokens.
        """
        if keep is None and not self.alibi and self.reach is None and (plain_causal or not self.causal):
            return None
        distance = (query_at[:, :, None] - key_at[:, None, :])[:, None]  # [B, 1, M, T]
        bias = torch.zeros((), dtype=dtype, device=key_at.device)
        if self.alibi:
            slopes = alibi_slopes(self.n_heads).to(device=key_at.device, dtype=dtype)
            bias = -slopes[:, None, None] * distance.abs()
        if self.causal:
            bias = bias.masked_fill(distance < 0, -torch.inf)
        if self.reach is not None:
            bias = bias.masked_fill(distance.abs() > self.reach, -torch.inf)
        if keep is not None:
            may_see_none = self.causal or self.reach is not None
            hidden = padded_keys(query_at, key_at, keep, n_past) if may_see_none else ~keep[:, None, None, :]
            bias = bias.masked_fill(hidden, -torch.inf)
        return bias.to(dtype)
