"""Language models with one-hot DNA [B, 4, L] as input, so that gradients and one-hot tools reach single bases.

The vector of a token is a sum over all k-mers, each weighted by the product of its bases' one-hot values: for a real sequence
it is the vector of the token's k-mer, and between sequences it is linear in each base. The missing weight up to 1, as at an
N, goes to [UNK]. So the model's output for one-hot DNA equals its output for the tokens.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genoformer.errors import ConfigError
from genoformer.models.base import Classifies, has
from genoformer.models.heads import pool
from genoformer.models.track_model import TrackModel
from genoformer.tokenizers import KmerTokenizer


class SoftTokens(nn.Module):
    """One-hot DNA [B, 4, L] -> vectors of tokens [B, T, D] from the embedding `table` of a k-mer model."""

    def __init__(self, tokenizer: KmerTokenizer, table: nn.Embedding) -> None:
        super().__init__()
        self.tokenizer, self.table = tokenizer, table
        kmers = np.array(list(itertools.product(range(4), repeat=tokenizer.k)), dtype=np.uint8)
        encoding = tokenizer.encode(kmers)
        self.register_buffer("ids", torch.from_numpy(encoding.ids[encoding.is_base]), persistent=False)
        self.ids: Tensor
        self.ends = encoding.ids[0][~encoding.is_base[0]].tolist()  # [CLS] and [SEP]

    def forward(self, onehot: Tensor) -> Tensor:
        x = onehot.transpose(1, 2)  # [B, L, 4]
        starts = torch.from_numpy(np.array(self.tokenizer.starts(x.shape[1]))).to(x.device)
        weight = x[:, starts]  # [B, T, 4], then 16, ...
        for i in range(1, self.tokenizer.k):
            weight = (weight[..., None] * x[:, starts + i][..., None, :]).flatten(-2)
        unknown = 1 - weight.sum(-1, keepdim=True)
        body = weight @ self.table.weight[self.ids] + unknown * self.table.weight[self.tokenizer.unknown_id]
        ends = self.table.weight[self.ends].expand(len(x), 2, -1)
        return torch.cat([ends[:, :1], body, ends[:, 1:]], dim=1)


class OneHotModel(nn.Module):
    """One-hot DNA [B, 4, L] -> a fine-tuned model's logits [B, C], or a language model's mean embedding [B, D].

    For a model that reads both strands, the logits are the mean over strands. It works with tools that take a module of
    one-hot DNA (tangermeme, captum). Raises ConfigError for BPE, whose number of tokens depends on the bases, and for blocks.

    >>> from genoformer.models import registry
    >>> OneHotModel(registry.load("demo"))(torch.zeros(2, 4, 50)).shape
    torch.Size([2, 160])
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        tokenizer: Any = model.tokenizer
        if not hasattr(tokenizer, "starts"):
            raise ConfigError(
                "one-hot DNA needs overlapping k-mers or single bases of genoformer's vocabulary, and this model reads BPE or "
                "blocks; use interpret ism."
            )
        self.model = model
        self.encoder = model.encoder
        self.tokens = SoftTokens(tokenizer, self.encoder.tokens)
        self.train(model.training)  # a switch to eval mode and back must not turn on dropout

    def forward(self, onehot: Tensor) -> Tensor:
        found = self._strand(onehot)
        if has(self.model, Classifies) and self.model.config.both_strands:
            return (found + self._strand(onehot.flip(1, 2))) / 2
        return found

    def _strand(self, onehot: Tensor) -> Tensor:
        vectors = self.tokens(onehot)
        is_base = torch.ones(vectors.shape[:2], dtype=torch.bool, device=onehot.device)
        is_base[:, 0] = is_base[:, -1] = False
        x = self.encoder.embed(vectors)
        return self.model.head(x, is_base) if has(self.model, Classifies) else pool(x, is_base, "mean")


class TrackSum(nn.Module):
    """One-hot DNA [B, 4, L] -> sum over bins of some tracks of a track model, [B, K]: the target of attributions."""

    def __init__(
        self, model: TrackModel, head: str, tracks: Tensor, first: int, n: int, chosen: slice | list[int] = slice(None)
    ) -> None:
        """Store the model and the target.

        first, n: the summed bins, counted over all bins of the window. chosen: those of them that are summed; by default all.
        """
        super().__init__()
        self.model, self.head, self.first, self.n, self.chosen = model, head, first, n, chosen
        self.register_buffer("numbers", tracks, persistent=False)
        self.numbers: Tensor
        self.train(model.training)

    def forward(self, onehot: Tensor) -> Tensor:
        embedding = self.model.embed(onehot, 0, self.head)[..., self.first : self.first + self.n][..., self.chosen]
        return self.model.tracks(embedding, self.head, self.numbers).sum(-1)
