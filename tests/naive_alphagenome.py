"""AlphaGenome in float64 numpy, position by position where layers mix positions; written from the published source's formulas.

Sequences are [L, C], one window at a time. Weights are those of our model, by name.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoformer.models.alphagenome.config import HeadName
from genoformer.models.alphagenome.model import AlphaGenome

Array = NDArray[np.float64]


def gelu(x: Array) -> Array:
    return x / (1 + np.exp(-1.702 * x))


def tanh_gelu(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class Naive:
    """The functions of a model, part by part; `name` is the name of a module of ours."""

    def __init__(self, model: AlphaGenome) -> None:
        self.config = model.config
        self.w = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}

    def linear(self, x: Array, name: str) -> Array:
        y = x @ self.w[f"{name}.weight"].T
        return y + self.w[f"{name}.bias"] if f"{name}.bias" in self.w else y

    def batch_norm(self, x: Array, name: str) -> Array:
        scale = self.w[f"{name}.weight"] / np.sqrt(self.w[f"{name}.running_var"] + 1e-5)
        return x * scale + self.w[f"{name}.bias"]

    def layer_norm(self, x: Array, name: str, *, centred: bool) -> Array:
        if centred:
            x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]

    def convolution(self, x: Array, kernel: Array, bias: Array) -> Array:
        """kernel: [C', C, K]; beyond the ends x is 0."""
        half = kernel.shape[-1] // 2
        padded = np.pad(x, ((half, half), (0, 0)))
        return sum(padded[i : i + len(x)] @ kernel[:, :, i].T for i in range(kernel.shape[-1])) + bias

    def conv_block(self, x: Array, name: str) -> Array:
        x = gelu(self.batch_norm(x, f"{name}.norm"))
        w, bias = self.w[f"{name}.conv.weight"], self.w[f"{name}.conv.bias"]
        if f"{name}.conv.scale" in self.w:
            n = w[0].size
            mean = w.reshape(len(w), -1).mean(1)[:, None, None]
            variance = w.reshape(len(w), -1).var(1)[:, None, None]
            w = (w - mean) * self.w[f"{name}.conv.scale"] / np.sqrt(np.maximum(n * variance, 1e-4))
        return self.convolution(x, w, bias)

    def encode(self, onehot: Array) -> tuple[Array, list[Array]]:
        stages = []
        x = self.convolution(onehot, self.w["stages.0.conv.weight"], self.w["stages.0.conv.bias"])
        x = x + self.conv_block(x, "stages.0.block")
        stages.append(x)
        for i in range(1, 7):
            x = x.reshape(len(x) // 2, 2, -1).max(1)
            y = self.conv_block(x, f"stages.{i}.first")
            y[:, : x.shape[1]] += x
            x = y + self.conv_block(y, f"stages.{i}.second")
            stages.append(x)
        return x.reshape(len(x) // 2, 2, -1).max(1), stages

    def decode(self, x: Array, stages: list[Array]) -> Array:
        for i in range(7):
            skip = stages[6 - i]
            y = self.conv_block(x, f"decoder.{i}.inner") + x[:, : skip.shape[1]]
            y = np.repeat(y, 2, axis=0) * self.w[f"decoder.{i}.residual_scale"]
            y = y + self.conv_block(skip, f"decoder.{i}.skip")
            x = y + self.conv_block(y, f"decoder.{i}.outer")
        return x

    def rotate(self, x: Array, position: float, longest: int) -> Array:
        """Rotate the channels of one position."""
        n = len(x) // 2
        y = np.empty_like(x)
        for i in range(n):
            geometric = (longest - n + 1) ** (i / (n - 1)) if n > 1 else 1.0
            angle = position / (i + geometric)
            a, b = x[2 * i], x[2 * i + 1]
            y[2 * i], y[2 * i + 1] = a * math.cos(angle) - b * math.sin(angle), b * math.cos(angle) + a * math.sin(angle)
        return y

    def relative(self, distance: int, name: str) -> Array:
        """Return the encoding [H, F] of a distance between bins of 2,048 bases."""
        half, longest = self.config.n_pair_features // 2, self.config.longest_window // 2048
        inside = [float(i + (longest - half + 1) ** (i / half) > abs(distance)) for i in range(half)]
        features = np.array(inside + [np.sign(distance) * value for value in inside])
        return self.linear(features, f"{name}.position").reshape(self.config.n_pair_heads, -1)

    def pairs_of(self, x: Array, name: str) -> Array:
        x = self.layer_norm(x.reshape(len(x) // 16, 16, -1).mean(1), f"{name}.norm", centred=False)
        n, h = len(x), self.config.n_pair_heads
        q, k = (self.linear(x, f"{name}.{part}").reshape(n, h, -1) for part in ("query", "key"))
        bias_q, bias_k = self.w[f"{name}.query_bias"], self.w[f"{name}.key_bias"]
        row, column = (self.linear(tanh_gelu(x), f"{name}.{part}") for part in ("row", "column"))
        pairs = np.empty((n, n, self.config.pair_width))
        for i in range(n):
            for j in range(n):
                a = (q[i] * k[j]).sum(-1)
                a = a + 0.5 * ((q[i] + bias_q) * self.relative(j - i, name)).sum(-1)
                a = a + 0.5 * ((k[j] + bias_k) * self.relative(i - j, name)).sum(-1)
                pairs[i, j] = self.linear(a, f"{name}.mix") + row[i] + column[j]
        return pairs

    def update(self, x: Array, pairs: Array | None, name: str) -> Array:
        y = self.pairs_of(x, f"{name}.projection")
        pairs = y if pairs is None else pairs + y
        normed = self.layer_norm(pairs, f"{name}.norm_rows", centred=False)
        q, k, v = (self.linear(normed, f"{name}.{part}") for part in ("query", "key", "value"))
        rows = [softmax(q[i] @ k[i].T / math.sqrt(q.shape[-1])) @ v[i] for i in range(len(pairs))]
        pairs = pairs + np.stack(rows)
        normed = self.layer_norm(pairs, f"{name}.norm_feed", centred=False)
        return pairs + self.linear(np.maximum(self.linear(normed, f"{name}.up"), 0), f"{name}.down")

    def attention_weights(self, x: Array, pairs: Array, name: str) -> list[Array]:
        """Return the weights [T, T] of each head."""
        bias = np.repeat(np.repeat(self.bias_of(pairs, name), 16, axis=0), 16, axis=1)  # [T, T, H]
        x = self.batch_norm(x, f"{name}.norm")
        longest, weights = self.config.longest_window // 128, []
        k = self.layer_norm(self.linear(x, f"{name}.key"), f"{name}.norm_key", centred=True)
        k = np.stack([self.rotate(row, t, longest) for t, row in enumerate(k)])
        queries = self.linear(x, f"{name}.query").reshape(len(x), self.config.n_heads, -1)
        for h in range(self.config.n_heads):
            q = self.layer_norm(queries[:, h], f"{name}.norm_query", centred=True)
            q = np.stack([self.rotate(row, t, longest) for t, row in enumerate(q)])
            logits = q @ k.T / math.sqrt(q.shape[1]) + bias[..., h]
            weights.append(softmax(5 * np.tanh(logits / 5)))
        return weights

    def bias_of(self, pairs: Array, name: str) -> Array:
        return self.linear(tanh_gelu(self.batch_norm(pairs, f"{name}.norm_pairs")), f"{name}.bias")

    def block(self, x: Array, pairs: Array | None, name: str) -> tuple[Array, Array]:
        if f"{name}.pairs.up.weight" in self.w:
            pairs = self.update(x, pairs, f"{name}.pairs")
        assert pairs is not None
        of = f"{name}.attention"
        v = self.linear(self.batch_norm(x, f"{of}.norm"), f"{of}.value")
        v = self.layer_norm(v, f"{of}.norm_value", centred=True)
        y = np.concatenate([weights @ v for weights in self.attention_weights(x, pairs, of)], axis=1)
        x = x + self.batch_norm(self.linear(y, f"{of}.out"), f"{of}.norm_out")
        y = np.maximum(self.linear(self.batch_norm(x, f"{name}.norm_feed"), f"{name}.up"), 0)
        return x + self.batch_norm(self.linear(y, f"{name}.down"), f"{name}.norm_out"), pairs

    def embeddings(self, onehot: Array, organism: int) -> tuple[Array, Array, Array]:
        """Return the embeddings of bases, bins and pairs."""
        x, stages = self.encode(onehot)
        x, pairs = x + self.w["organism.weight"][organism], None
        for i in range(self.config.n_blocks):
            x, pairs = self.block(x, pairs, f"blocks.{i}")
        assert pairs is not None
        bins = self.batch_norm(self.linear(x, "embed_bins.linear"), "embed_bins.norm")
        bins = gelu(bins + self.w["embed_bins.organism.weight"][organism])
        bases = self.linear(self.decode(x, stages), "embed_bases.linear")
        bases = bases + np.repeat(self.linear(bins, "embed_bases.skip"), 128, axis=0)
        bases = gelu(self.batch_norm(bases, "embed_bases.norm") + self.w["embed_bases.organism.weight"][organism])
        pairs = self.layer_norm((pairs + pairs.transpose(1, 0, 2)) / 2, "embed_pairs.norm", centred=False)
        return bases, bins, gelu(pairs + self.w["embed_pairs.organism.weight"][organism])

    def last(self, x: Array, name: str, organism: int) -> Array:
        return x @ self.w[f"{name}.weight"][organism].T + self.w[f"{name}.bias"][organism]

    def tracks(self, embedding: Array, name: HeadName, organism: int) -> Array:
        """Return all rows [N, R] of a head, padding included."""
        of = f"outputs.{name.output}"
        if name.output == "splice_sites_classification":
            return softmax(self.last(embedding, f"{of}.linear", organism))
        if name.output == "splice_sites_usage":
            return 1 / (1 + np.exp(-self.last(embedding, f"{of}.linear", organism)))
        x = softplus(self.last(embedding, f"{of}.linears.{name.bin_size}", organism))
        x = x * softplus(self.w[f"{of}.scales.{name.bin_size}"][organism])
        x = np.where(x > 10, (x + 10) ** 2 / 40, x)
        if name.output == "rna_seq":
            x = x ** (1 / 0.75)
        return x * self.w[f"{of}.means"][organism] * name.bin_size

    def junction(self, bases: Array, organism: int, donor: int, acceptor: int, strand: str, tissue: int) -> float:
        """Return the count of one junction; donor, acceptor: positions in the window."""
        of, longest, sites = "outputs.splice_sites_junction", self.config.longest_window, []
        for kind, at in (("donor", donor), ("acceptor", acceptor)):
            scale, offset = self.w[f"{of}.tissues.{strand}_{kind}"][organism, :, tissue]
            x = self.last(bases[at], f"{of}.linear", organism)
            sites.append(self.rotate(scale * x + offset, at, longest))
        return float(softplus(sites[0] @ sites[1]))


def run(model: AlphaGenome, onehot: Any, organism: int) -> tuple[Naive, tuple[Array, Array, Array]]:
    """Return the naive model and its embeddings of one window, one-hot [1, 4, L]."""
    naive = Naive(model)
    return naive, naive.embeddings(onehot[0].T.double().numpy(), organism)
