"""DNABERT-2, GENA-LM and Nucleotide Transformer v2 as plain torch modules of their published formulas.

transformers has no class for them. Each module does what the published remote code does, in its order: queries, keys and
values from separate matrices (DNABERT-2: one), softmax(q k^T / sqrt(K) + bias) v spelt out (`attention="softmax"`) or by
torch's SDPA (`attention="sdpa"`, faster), all logits. The tensors have the names and shapes of the published files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Kind = Literal["softmax", "sdpa"]


class PlainModel(nn.Module):
    """A model of the tensors of its file; a subclass has the formula."""

    def __init__(self, tensors: Mapping[str, Tensor], config: Mapping[str, Any], attention: Kind = "softmax") -> None:
        super().__init__()
        self.config, self.kind = SimpleNamespace(**config), attention
        self.names = {name: name.replace(".", "|") for name in tensors}
        for name, tensor in tensors.items():
            self.register_parameter(self.names[name], nn.Parameter(tensor, requires_grad=False))

    def tensor(self, name: str) -> Tensor:
        found: Tensor = getattr(self, self.names[name])
        return found

    def linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias") if f"{name}.bias" in self.names else None)

    def norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias")
        return F.layer_norm(x, x.shape[-1:], weight, bias, self.config.layer_norm_eps)

    def heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.config.num_attention_heads, -1)).transpose(1, 2)  # [B, H, T, K]

    def attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
        if self.kind == "sdpa":
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        else:
            logits = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(q.shape[-1])
            mixed = torch.matmul(torch.softmax(logits if bias is None else logits + bias, dim=-1), v)
        return mixed.transpose(1, 2).flatten(2)

    def bert_head(self, x: Tensor) -> Tensor:
        h = self.norm(F.gelu(self.linear(x, "cls.predictions.transform.dense")), "cls.predictions.transform.LayerNorm")
        return F.linear(h, self.tensor("bert.embeddings.word_embeddings.weight"), self.tensor("cls.predictions.decoder.bias"))

    def forward(self, input_ids: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.logits(input_ids))

    def logits(self, ids: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} defines no logits; each family must define them.")


class PlainDnaBert2(PlainModel):
    """MosaicML's BERT: ALiBi, one matrix of queries, keys and values, gated GELU, norm after each part."""

    def logits(self, ids: Tensor) -> Tensor:
        x = F.embedding(ids, self.tensor("bert.embeddings.word_embeddings.weight"))
        x = self.norm(x + self.tensor("bert.embeddings.token_type_embeddings.weight")[0], "bert.embeddings.LayerNorm")
        bias = self.alibi(ids.shape[1]).to(x.dtype)
        for i in range(self.config.num_hidden_layers):
            layer = f"bert.encoder.layer.{i}"
            q, k, v = (self.heads(part) for part in self.linear(x, f"{layer}.attention.self.Wqkv").chunk(3, dim=-1))
            mixed = self.linear(self.attend(q, k, v, bias), f"{layer}.attention.output.dense")
            x = self.norm(mixed + x, f"{layer}.attention.output.LayerNorm")
            gate, plain = self.linear(x, f"{layer}.mlp.gated_layers").chunk(2, dim=-1)
            x = self.norm(self.linear(F.gelu(gate) * plain, f"{layer}.mlp.wo") + x, f"{layer}.mlp.layernorm")
        return self.bert_head(x)

    def alibi(self, n_tokens: int) -> Tensor:
        """-slope |i - j|, [1, H, T, T]; 2^(-8 i / H) for a power of two, then every other slope of twice that power."""
        n_heads = self.config.num_attention_heads
        power = 1 << (n_heads.bit_length() - 1)
        slopes = [2 ** (-8 * i / power) for i in range(1, power + 1)]
        slopes += [2 ** (-4 * i / power) for i in range(1, 2 * (n_heads - power) + 1, 2)]
        at = torch.arange(n_tokens)
        return -torch.tensor(slopes)[None, :, None, None] * (at[:, None] - at).abs()


class PlainGena(PlainModel):
    """BERT with the norm before each part."""

    def logits(self, ids: Tensor) -> Tensor:
        names = ("word", "token_type", "position")
        words, types, positions = (self.tensor(f"bert.embeddings.{name}_embeddings.weight") for name in names)
        x = self.norm(F.embedding(ids, words) + types[0] + positions[: ids.shape[1]], "bert.embeddings.LayerNorm")
        for i in range(self.config.num_hidden_layers):
            layer = f"bert.encoder.layer.{i}"
            h = self.norm(x, f"{layer}.pre_attention_ln")
            q, k, v = (self.heads(self.linear(h, f"{layer}.attention.self.{part}")) for part in ("query", "key", "value"))
            x = x + self.linear(self.attend(q, k, v), f"{layer}.attention.output.dense")
            h = F.gelu(self.linear(self.norm(x, f"{layer}.post_attention_ln"), f"{layer}.intermediate.dense"))
            x = x + self.linear(h, f"{layer}.output.dense")
        return self.bert_head(self.norm(x, "bert.encoder.last_layer_ln"))


class PlainNt2(PlainModel):
    """ESM with rotary positions and SwiGLU without bias."""

    def logits(self, ids: Tensor) -> Tensor:
        x = F.embedding(ids, self.tensor("esm.embeddings.word_embeddings.weight"))
        size = x.shape[-1] // self.config.num_attention_heads
        rate = 10_000.0 ** (-torch.arange(0, size, 2, dtype=torch.float32) / size)
        angle = torch.outer(torch.arange(ids.shape[1], dtype=torch.float32), rate)
        cos, sin = (torch.cat([part, part], dim=-1).to(x.dtype) for part in (angle.cos(), angle.sin()))  # [T, K]
        for i in range(self.config.num_hidden_layers):
            layer = f"esm.encoder.layer.{i}"
            h = self.norm(x, f"{layer}.attention.LayerNorm")
            q, k, v = (self.heads(self.linear(h, f"{layer}.attention.self.{part}")) for part in ("query", "key", "value"))
            q, k = (y * cos + torch.cat([-y[..., size // 2 :], y[..., : size // 2]], dim=-1) * sin for y in (q, k))
            x = x + self.linear(self.attend(q, k, v), f"{layer}.attention.output.dense")
            a, b = self.linear(self.norm(x, f"{layer}.LayerNorm"), f"{layer}.intermediate.dense").chunk(2, dim=-1)
            x = x + self.linear(F.silu(a) * b, f"{layer}.output.dense")
        h = self.norm(x, "esm.encoder.emb_layer_norm_after")
        h = self.norm(F.gelu(self.linear(h, "lm_head.dense")), "lm_head.layer_norm")
        return F.linear(h, self.tensor("lm_head.decoder.weight"), self.tensor("lm_head.bias"))


def random_weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Return weights as BERT's at the start of training, and biases that are not 0."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: (name.endswith(".weight") and len(shape) == 1) + 0.02 * torch.randn(shape, generator=generator)
        for name, shape in shapes.items()
    }
