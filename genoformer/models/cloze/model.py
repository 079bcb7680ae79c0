"""Cloze model: token ids -> states of both strands -> state of each token from all other tokens -> logits.

One causal transformer, the tower, reads the sequence and its reverse complement. The first reading reaches a token from its
left, the second one from its right. The state of a token joins what both know before they reach it, so all tokens but itself
(Baevski et al. 2019, "Cloze-driven pretraining of self-attention networks"; there the two directions have weights of
their own). So every base is a label of each training step, no base has to be masked, and one pass predicts all bases of a
window. The reverse complement of a sequence has the same probabilities, exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genoformer.genome.codes import Codes
from genoformer.models.base import AttentionWeights
from genoformer.models.cloze.config import ClozeConfig
from genoformer.models.inputs import checked_layer
from genoformer.models.layers import Linear
from genoformer.models.token_model import TokenModel
from genoformer.models.transformer.attention import Shared, gather_positions
from genoformer.models.transformer.model import Layer

_COMPLEMENT = (0, 1, 3, 2, 4, 6, 5, 8, 7)  # of [PAD] [UNK] [CLS] [SEP] [MASK] A T C G; the ends change places
_MULTIPLE = 8  # tokens: both readings together are then a multiple of 16 rows, which a CPU multiplies fastest
_FEW = 0.125  # fraction of the tokens up to which the last layer is computed for the requested ones alone


class Readings:
    """Places of the tokens of sequences [B, T] in the second reading, which begins at the last token; padding stays behind."""

    def __init__(self, keep: Tensor | None, n_tokens: int, device: torch.device) -> None:
        """keep: [B, T], False at padding, which follows the tokens."""
        at = torch.arange(n_tokens, device=device)[None]  # [1, T]
        self.n = torch.full((1, 1), n_tokens, device=device) if keep is None else keep.sum(1, keepdim=True)  # [B or 1, 1]
        self.places = torch.where(at < self.n, self.n - 1 - at, at)  # [B or 1, T]; its own inverse

    def turned(self, x: Tensor) -> Tensor:
        """Return rows of [B, T, D] in the order of the second reading."""
        return gather_positions(x, self.places.expand(len(x), -1))

    def before(self, rows: Tensor) -> Tensor:
        """Return the places [2 B, M] of the tokens that both readings reach just before the rows [B, M]; -1: none."""
        return torch.cat([rows - 1, self.n - 2 - rows])


class Cloze(TokenModel):
    """Token ids [B, T] -> logits [B, T, V] over the vocabulary at every token, given all other tokens.

    >>> model = Cloze(ClozeConfig(width=32, n_layers=1, n_heads=2, ffn_width=64))
    >>> model(torch.zeros(1, 11, dtype=torch.long)).shape
    torch.Size([1, 11, 9])
    """

    config_type = ClozeConfig
    sees_itself = False
    strands_agree = True

    def __init__(self, config: ClozeConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.n_vocab, config.width)
        self.layers = nn.ModuleList(Layer(config.layer, index) for index in range(config.n_layers))
        self.norm = nn.LayerNorm(config.width, config.norm_eps)
        self.join = Linear(2 * config.width, config.join_width)
        self.narrow = Linear(config.join_width, config.width // 2)
        self.norm_joined = nn.LayerNorm(config.width // 2, config.norm_eps)
        self.decoder = Linear(config.width // 2, config.n_vocab)
        self.register_buffer("complement", torch.tensor(_COMPLEMENT), persistent=False)
        self.complement: Tensor
        self.apply(self._initialise)

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=self.config.init_std)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)

    @classmethod
    def with_dropout(cls, config: ClozeConfig, rate: float) -> ClozeConfig:
        return replace(config, dropout=rate)

    @property
    def longest_window(self) -> int | None:
        return None

    @property
    def n_heads(self) -> int:
        """Number of attention maps of a layer: those of the sequence, and those of its reverse complement."""
        return 2 * int(self.config.n_heads)

    def output_parts(self) -> list[nn.Module | nn.Parameter]:
        return [self.decoder]

    def last_parts(self) -> list[nn.Module]:
        return [self.norm, self.join, self.narrow, self.norm_joined]

    def embed(self, ids: Tensor, keep: Tensor | None = None, rows: Tensor | None = None, layer: int | None = None) -> Tensor:
        """Return the hidden states [B, T, D] after `layer` layers of the tower (None: the joined states; 0: the embeddings).

        The joined state of a token does not depend on the token. After fewer layers it is the sum of its states in both
        readings, and does. ids: [B, T], or vectors [B, T, D] in place of rows of `tokens` (`models.onehot` mixes them). keep
        [B, T] is False at padding, behind the tokens. With rows [B, M], only these positions are returned.
        """
        n_layers = checked_layer(ids, layer, len(self.layers))
        readings = Readings(keep, ids.shape[1], ids.device)
        x = self._read(ids, readings)
        shared: Shared = {}
        if n_layers < len(self.layers):
            for block in self.layers[:n_layers]:
                x = block(x, shared=shared)  # causal: no token sees the padding behind it
            first, second = x.chunk(2)
            states = first + readings.turned(second)
            return states if rows is None else gather_positions(states, rows)
        if rows is None:
            rows = torch.arange(ids.shape[1], device=ids.device).expand(len(ids), -1)
        at = readings.before(rows)
        known, at = (at >= 0)[..., None], at.clamp(min=0)
        n_read = -(-(int(at.max()) + 1) // _MULTIPLE) * _MULTIPLE
        x = x[:, :n_read]  # causal: no reading has to go on behind the last state that is read
        *earlier, last = self.layers
        for block in earlier:
            x = block(x, shared=shared)
        x = last(x, rows=at) if at.shape[1] <= x.shape[1] * _FEW else gather_positions(last(x, shared=shared), at)
        before, behind = (self.norm(x) * known).chunk(2)
        both = torch.stack([torch.cat([before, behind], -1), torch.cat([behind, before], -1)])  # [2, B, M, 2 D]
        joined = self.norm_joined(F.gelu(self.narrow(F.gelu(self.join(both)))))
        return torch.cat([joined[0], joined[1]], dim=-1)

    def _read(self, ids: Tensor, readings: Readings) -> Tensor:
        """Return the embeddings of both readings, [2 B, T, D]."""
        if not ids.is_floating_point():
            turned = self.complement[ids.gather(1, readings.places.expand_as(ids))]
            return self.tokens(torch.cat([ids, turned]))
        table = self.tokens.weight
        to_complement = torch.linalg.pinv(table) @ table[self.complement]  # of a mixture of rows of the table
        return torch.cat([ids, readings.turned(ids @ to_complement)])

    def head(self, x: Tensor, candidates: Tensor | None = None) -> Tensor:
        """Map joined states [..., D] to logits [..., V]; those of the other orientation are of complements."""
        forward, backward = x.chunk(2, dim=-1)
        logits = self.decoder(forward) + self.decoder(backward)[..., self.complement]
        return logits if candidates is None else logits.gather(-1, candidates)

    def attention(self, codes: Codes) -> Iterator[AttentionWeights]:
        """Yield for each layer, in order, a function (first query, n) -> attention weights; codes [B, L].

        The first half of the heads read the sequence, in which a token sees those before it. The others read its reverse
        complement, in which a token sees those behind it.
        """
        ids = self._to_device(self.tokenizer.encode(codes).ids)
        return self.attentions(ids, self.keep(ids))

    def attentions(self, ids: Tensor, keep: Tensor | None = None) -> Iterator[AttentionWeights]:
        """Yield for each layer, in order, a function (first query, n) -> attention weights [B, 2 H, n, T]."""
        readings = Readings(keep, ids.shape[1], ids.device)
        x = self._read(ids, readings)
        for block in self.layers:
            assert isinstance(block, Layer)
            first, second = block.norm_attention(x).chunk(2)
            yield partial(
                _of_both,
                partial(block.attention.weights, first, None),
                partial(block.attention.weights, second, None),
                readings,
            )
            x = block(x)


def _of_both(first: AttentionWeights, second: AttentionWeights, readings: Readings, start: int, n: int) -> Tensor:
    """Return the weights of n queries from number `start` on, [B, 2 H, n, T], from those of either reading."""
    forward = first(start, n)
    n_tokens = forward.shape[-1]
    places = readings.places.expand(len(forward), -1)  # [B, T]
    low = int(places[:, start : start + n].min())
    backward = second(low, int(places[:, start : start + n].max()) - low + 1)  # [B, H, m, T]
    rows = (places[:, start : start + n] - low)[:, None, :, None].expand(-1, backward.shape[1], -1, n_tokens)
    columns = places[:, None, None, :].expand(-1, backward.shape[1], n, -1)
    return torch.cat([forward, backward.gather(2, rows).gather(3, columns)], dim=1)
