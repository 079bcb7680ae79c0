"""Logits of families that transformers has no class for, in float64, token by token, from the tensors of their files.

Each function follows the published code of the model: names and shapes of the tensors are those of the files, and nothing of
genoformer is used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]


def random_tensors(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    """Random weights, with norms near 1, all of them different."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes.items():
        centre = 1.0 if name.endswith(".weight") and len(shape) == 1 else 0.0
        tensors[name] = centre + 0.15 * torch.randn(shape, generator=generator)
    return tensors


def layer_norm(x: Tensor, tensors: Tensors, name: str, eps: float) -> Tensor:
    centred = x - x.mean()
    return centred / torch.sqrt((centred**2).mean() + eps) * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]


def linear(x: Tensor, tensors: Tensors, name: str) -> Tensor:
    bias = tensors.get(f"{name}.bias")
    return tensors[f"{name}.weight"] @ x + (0 if bias is None else bias)


def gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def swish(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def softmax_mean(logits: list[Tensor], values: list[Tensor]) -> Tensor:
    """The mean of some vectors, with weights exp(logit)."""
    weights = torch.stack(logits).exp()
    return sum(weight * value for weight, value in zip(weights / weights.sum(), values, strict=True))  # type: ignore[return-value]


def attention(queries: list[Tensor], keys: list[Tensor], values: list[Tensor], n_heads: int, bias: Any = None) -> list[Tensor]:
    """Attention of each token to all tokens; bias(head, i, j) is added to the logits."""
    size = len(queries[0]) // n_heads
    mixed = []
    for i in range(len(queries)):
        heads = []
        for head in range(n_heads):
            part = slice(head * size, (head + 1) * size)
            logits = [queries[i][part] @ key[part] / math.sqrt(size) for key in keys]
            if bias is not None:
                logits = [logit + bias(head, i, j) for j, logit in enumerate(logits)]
            heads.append(softmax_mean(logits, [value[part] for value in values]))
        mixed.append(torch.cat(heads))
    return mixed


def bert_head(x: Tensor, tensors: Tensors, eps: float) -> Tensor:
    h = gelu(linear(x, tensors, "cls.predictions.transform.dense"))
    h = layer_norm(h, tensors, "cls.predictions.transform.LayerNorm", eps)
    return tensors["bert.embeddings.word_embeddings.weight"] @ h


def double(tensors: Tensors) -> dict[str, Tensor]:
    return {name: tensor.double() for name, tensor in tensors.items()}


# --- DNABERT-2 (MosaicBERT)


def dnabert2_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    width, hidden = config["hidden_size"], config["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word_embeddings.weight": (config["vocab_size"], width),
        "bert.embeddings.token_type_embeddings.weight": (config["type_vocab_size"], width),
        "bert.embeddings.LayerNorm.weight": (width,),
        "bert.embeddings.LayerNorm.bias": (width,),
        "cls.predictions.transform.dense.weight": (width, width),
        "cls.predictions.transform.dense.bias": (width,),
        "cls.predictions.transform.LayerNorm.weight": (width,),
        "cls.predictions.transform.LayerNorm.bias": (width,),
        "cls.predictions.decoder.bias": (config["vocab_size"],),
    }
    for i in range(config["num_hidden_layers"]):
        layer = f"bert.encoder.layer.{i}"
        shapes |= {
            f"{layer}.attention.self.Wqkv.weight": (3 * width, width),
            f"{layer}.attention.self.Wqkv.bias": (3 * width,),
            f"{layer}.attention.output.dense.weight": (width, width),
            f"{layer}.attention.output.dense.bias": (width,),
            f"{layer}.attention.output.LayerNorm.weight": (width,),
            f"{layer}.attention.output.LayerNorm.bias": (width,),
            f"{layer}.mlp.gated_layers.weight": (2 * hidden, width),
            f"{layer}.mlp.wo.weight": (width, hidden),
            f"{layer}.mlp.wo.bias": (width,),
            f"{layer}.mlp.layernorm.weight": (width,),
            f"{layer}.mlp.layernorm.bias": (width,),
        }
    return shapes


def dnabert2_states(tensors: Tensors, config: Mapping[str, Any], ids: list[int]) -> Tensor:
    """Hidden states [T, D] of one sequence without padding."""
    t, eps, n_heads = double(tensors), config["layer_norm_eps"], config["num_attention_heads"]
    slopes = {4: [1 / 4, 1 / 16, 1 / 64, 1 / 256], 6: [1 / 4, 1 / 16, 1 / 64, 1 / 256, 1 / 2, 1 / 8]}[n_heads]  # by hand
    x = []
    for i in ids:
        embedded = t["bert.embeddings.word_embeddings.weight"][i] + t["bert.embeddings.token_type_embeddings.weight"][0]
        x.append(layer_norm(embedded, t, "bert.embeddings.LayerNorm", eps))
    for i in range(config["num_hidden_layers"]):
        layer = f"bert.encoder.layer.{i}"
        queries, keys, values = zip(*[linear(v, t, f"{layer}.attention.self.Wqkv").chunk(3) for v in x], strict=True)
        mixed = attention(list(queries), list(keys), list(values), n_heads, lambda head, i, j: -slopes[head] * abs(i - j))
        for at, y in enumerate(mixed):
            out = linear(y, t, f"{layer}.attention.output.dense")
            h = layer_norm(x[at] + out, t, f"{layer}.attention.output.LayerNorm", eps)
            gated, plain = linear(h, t, f"{layer}.mlp.gated_layers").chunk(2)
            x[at] = layer_norm(h + linear(gelu(gated) * plain, t, f"{layer}.mlp.wo"), t, f"{layer}.mlp.layernorm", eps)
    return torch.stack(x)


def dnabert2_logits(tensors: Tensors, config: Mapping[str, Any], ids: list[int]) -> Tensor:
    """Logits [T, V] of one sequence without padding."""
    t = double(tensors)
    x = [bert_head(v, t, config["layer_norm_eps"]) for v in dnabert2_states(tensors, config, ids)]
    return torch.stack(x) + t["cls.predictions.decoder.bias"]


# --- GENA-LM


def gena_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    width, hidden = config["hidden_size"], config["intermediate_size"]
    shapes = {name: shape for name, shape in dnabert2_shapes(config).items() if "layer." not in name}
    shapes |= {
        "bert.embeddings.position_embeddings.weight": (config["max_position_embeddings"], width),
        "bert.encoder.last_layer_ln.weight": (width,),
        "bert.encoder.last_layer_ln.bias": (width,),
    }
    for i in range(config["num_hidden_layers"]):
        layer = f"bert.encoder.layer.{i}"
        dense = {f"attention.self.{part}": (width, width) for part in ("query", "key", "value")}
        dense |= {"attention.output.dense": (width, width), "intermediate.dense": (hidden, width)}
        dense |= {"output.dense": (width, hidden)}
        for name, shape in dense.items():
            shapes |= {f"{layer}.{name}.weight": shape, f"{layer}.{name}.bias": shape[:1]}
        for name in ("pre_attention_ln", "post_attention_ln"):
            shapes |= {f"{layer}.{name}.weight": (width,), f"{layer}.{name}.bias": (width,)}
    return shapes


def gena_states(tensors: Tensors, config: Mapping[str, Any], ids: list[int]) -> list[Tensor]:
    t, eps, n_heads = double(tensors), config["layer_norm_eps"], config["num_attention_heads"]
    x = []
    for position, i in enumerate(ids):
        embedded = t["bert.embeddings.word_embeddings.weight"][i] + t["bert.embeddings.token_type_embeddings.weight"][0]
        embedded = embedded + t["bert.embeddings.position_embeddings.weight"][position]
        x.append(layer_norm(embedded, t, "bert.embeddings.LayerNorm", eps))
    for i in range(config["num_hidden_layers"]):
        layer = f"bert.encoder.layer.{i}"
        normed = [layer_norm(v, t, f"{layer}.pre_attention_ln", eps) for v in x]
        parts = [[linear(v, t, f"{layer}.attention.self.{part}") for v in normed] for part in ("query", "key", "value")]
        for at, y in enumerate(attention(*parts, n_heads)):
            h = x[at] + linear(y, t, f"{layer}.attention.output.dense")
            inner = gelu(linear(layer_norm(h, t, f"{layer}.post_attention_ln", eps), t, f"{layer}.intermediate.dense"))
            x[at] = h + linear(inner, t, f"{layer}.output.dense")
    if config.get("last_layer_norm", config["pre_layer_norm"]):
        x = [layer_norm(v, t, "bert.encoder.last_layer_ln", eps) for v in x]
    return x


def gena_logits(tensors: Tensors, config: Mapping[str, Any], ids: list[int]) -> Tensor:
    t, x = double(tensors), gena_states(tensors, config, ids)
    return torch.stack([bert_head(v, t, config["layer_norm_eps"]) for v in x]) + t["cls.predictions.decoder.bias"]


# --- Nucleotide Transformer v2


def nt2_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    width, hidden = config["hidden_size"], config["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "esm.embeddings.word_embeddings.weight": (config["vocab_size"], width),
        "esm.encoder.emb_layer_norm_after.weight": (width,),
        "esm.encoder.emb_layer_norm_after.bias": (width,),
        "lm_head.dense.weight": (width, width),
        "lm_head.dense.bias": (width,),
        "lm_head.layer_norm.weight": (width,),
        "lm_head.layer_norm.bias": (width,),
        "lm_head.decoder.weight": (config["vocab_size"], width),
        "lm_head.bias": (config["vocab_size"],),
    }
    for i in range(config["num_hidden_layers"]):
        layer = f"esm.encoder.layer.{i}"
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= {f"{layer}.{name}.weight": (width, width), f"{layer}.{name}.bias": (width,)}
        for name in ("attention.LayerNorm", "LayerNorm"):
            shapes |= {f"{layer}.{name}.weight": (width,), f"{layer}.{name}.bias": (width,)}
        shapes |= {f"{layer}.intermediate.dense.weight": (2 * hidden, width), f"{layer}.output.dense.weight": (width, hidden)}
    return shapes


def turned(x: Tensor, position: int, n_heads: int) -> Tensor:
    """Rotary positions: entries c and c + size / 2 of each head turn by position / 10,000^(2 c / size)."""
    y, size = x.clone(), len(x) // n_heads
    for head in range(n_heads):
        for c in range(size // 2):
            angle = position / 10_000 ** (2 * c / size)
            i, j = head * size + c, head * size + c + size // 2
            y[i] = x[i] * math.cos(angle) - x[j] * math.sin(angle)
            y[j] = x[j] * math.cos(angle) + x[i] * math.sin(angle)
    return y


def nt2_logits(tensors: Tensors, config: Mapping[str, Any], ids: list[int]) -> Tensor:
    t, eps, n_heads = double(tensors), config["layer_norm_eps"], config["num_attention_heads"]
    x = [t["esm.embeddings.word_embeddings.weight"][i] for i in ids]
    for i in range(config["num_hidden_layers"]):
        layer = f"esm.encoder.layer.{i}"
        normed = [layer_norm(v, t, f"{layer}.attention.LayerNorm", eps) for v in x]
        queries, keys, values = [
            [linear(v, t, f"{layer}.attention.self.{part}") for v in normed] for part in ("query", "key", "value")
        ]
        queries, keys = ([turned(v, at, n_heads) for at, v in enumerate(some)] for some in (queries, keys))
        for at, y in enumerate(attention(queries, keys, values, n_heads)):
            h = x[at] + linear(y, t, f"{layer}.attention.output.dense")
            a, b = linear(layer_norm(h, t, f"{layer}.LayerNorm", eps), t, f"{layer}.intermediate.dense").chunk(2)
            x[at] = h + linear(swish(a) * b, t, f"{layer}.output.dense")
    logits = []
    for v in x:
        h = gelu(linear(layer_norm(v, t, "esm.encoder.emb_layer_norm_after", eps), t, "lm_head.dense"))
        logits.append(t["lm_head.decoder.weight"] @ layer_norm(h, t, "lm_head.layer_norm", eps))
    return torch.stack(logits) + t["lm_head.bias"]
