"""Base class of models that read tokens: a tokenizer, hidden states and logits -> all capabilities of a language model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from genoformer.errors import CheckpointError, ConfigError
from genoformer.genome.codes import Codes
from genoformer.models.base import Hidden, Ints, Model, PredictsBases, SequenceLikelihood
from genoformer.models.inputs import check_inputs
from genoformer.tokenizers import load_tokenizer, save_tokenizer

TOKENIZER = "tokenizer.json"
_GREEDY = 1e-30  # a lower temperature draws the most probable token, and logits divided by it overflow float32


class TokenModel(Model):
    """Language model of DNA: token ids [B, T] -> hidden states [B, T, D] -> logits [B, T, V].

    A family defines `embed` and `head`, and a configuration with n_vocab, width, context_length and max_tokens. It overrides
    `is_causal` if tokens can attend to earlier tokens only, `longest_window` if inputs can be longer than max_tokens,
    `with_dropout` if it has dropout, and `output_parts` if parts serve the prediction of tokens only.
    """

    purpose: ClassVar[str] = "is a language model, which predicts bases"
    sees_itself: ClassVar[bool] = True  # False: the state of a token does not depend on the token, and no token is masked
    strands_agree: ClassVar[bool] = False  # True: a base has the same probabilities in the reverse complement of its window
    tokenizer: Any = None  # set by the code that builds or loads the model; saved with it

    def embed(self, ids: Tensor, keep: Tensor | None = None, rows: Tensor | None = None, layer: int | None = None) -> Tensor:
        """Return the hidden states [B, T, D] after `layer` layers (None: all; 0: the embeddings).

        ids: [B, T]. keep [B, T] is False at padding. With rows [B, M], only these positions are returned, [B, M, D].
        """
        raise NotImplementedError(f"{type(self).__name__} defines no embed; a family must define it.")

    def head(self, x: Tensor, candidates: Tensor | None = None) -> Tensor:
        """Map hidden states [..., D] to logits [..., V], or x [B, M, D] to the logits of candidates [B, M, C] only."""
        raise NotImplementedError(f"{type(self).__name__} defines no head; a family must define it.")

    @property
    def causal(self) -> bool:
        """True if a token attends only to itself and to earlier tokens."""
        return self.is_causal(self.config)

    @classmethod
    def is_causal(cls, config: Any) -> bool:
        """True if a model with this configuration is causal."""
        return False

    @classmethod
    def with_dropout(cls, config: Any, rate: float) -> Any:
        """Return a configuration with this rate of dropout; the same one if the family has none."""
        return config

    @property
    def predicts_tokens(self) -> bool:
        """True if the model has a head that predicts tokens; without one it has hidden states only."""
        return True

    @property
    def encoder(self) -> TokenModel:
        """The network of tokens: the model itself; in a fine-tuned model the part below its head."""
        return self

    @property
    def lacks(self) -> Mapping[type, str]:
        if self.causal:
            return {PredictsBases: "is a causal model, which sees one side of a base"}
        absent: dict[type, str] = {SequenceLikelihood: "is a masked model, which has no likelihood of a sequence"}
        if self.tokenizer is not None and not self.tokenizer.masks_bases:
            absent[PredictsBases] = "reads BPE tokens, which have no fixed number of bases"
        return absent

    def forward(self, ids: Tensor, keep: Tensor | None = None, *, attention_mask: Tensor | None = None) -> Tensor:
        """Map ids [B, T] and keep [B, T] (False = padding) to logits [B, T, V].

        attention_mask: `keep` as tokenizers return it, 1 for tokens and 0 for padding. Raises ConfigError for others.
        """
        if attention_mask is not None:
            keep = attention_mask != 0
        check_inputs(ids, keep)
        return self.head(self.embed(ids, keep))

    def logits_at(self, ids: Tensor, rows: Tensor, candidates: Tensor | None = None, keep: Tensor | None = None) -> Tensor:
        """Return the logits at rows [B, M] only: [B, M, V], or [B, M, C] for the tokens candidates [B, M, C].

        They equal `forward(ids)` at these rows; the last layer and the head compute only these rows.
        """
        return self.head(self.embed(ids, keep, rows), candidates)

    @property
    def longest_window(self) -> int | None:
        """Largest number of bases that the model can read at once, that of max_tokens; None: no limit but memory."""
        return int(self.tokenizer.max_bases(self.config.max_tokens))

    # Files

    def check_complete(self) -> None:
        check_tokenizer(self.tokenizer, self.config.n_vocab, type(self).__name__)

    def write_assets(self, folder: Path) -> None:
        save_tokenizer(self.tokenizer, folder / TOKENIZER)

    def read_assets(self, folder: Path) -> None:
        self.tokenizer = read_tokenizer(folder, self.config.n_vocab)

    # Capabilities

    @property
    def n_layers(self) -> int:
        return len(self.layers)

    @property
    def fixed_length(self) -> bool:
        return bool(self.tokenizer.fixed_length)

    def n_units(self, length: int) -> int:
        return int(self.tokenizer.n_tokens(length))

    def default_query(self, n_units: int) -> int:
        return 0

    def spans(self, codes: Codes) -> Ints:
        spans: Ints = self.tokenizer.encode(codes).spans
        return spans

    def hidden(self, codes: Codes, layer: int | None = None) -> Hidden:
        """Return the hidden states of sequences of one length, codes [B, L], after `layer` layers (None: all)."""
        encoding = self.tokenizer.encode(codes)
        ids = self._to_device(encoding.ids)
        return Hidden(self.embed(ids, self.keep(ids), layer=layer), encoding.spans)

    def keep(self, ids: Tensor) -> Tensor | None:
        """Return False at padding, [B, T], or None if there is none."""
        keep = ids != self.tokenizer.pad_id
        return None if bool(keep.all()) else keep

    def base_log2_probs(self, codes: Codes, target: Ints, end: Ints) -> Tensor:
        """Return log2 P(A, C, G, T) at base `target` of each window with [target, end) masked: [B, L] -> [B, 4].

        See `base_posterior`.
        """
        ids, rows, candidates, valid = (self._to_device(field) for field in self.tokenizer.mask_bases(codes, target, end))
        return base_posterior(self, ids, rows, candidates, valid, self.keep(ids))

    def sequence_log2_prob(self, codes: Codes) -> Tensor:
        """Return log2 P(sequence) of a causal model, [B, L] -> [B]; see `window_log2_likelihood`."""
        return window_log2_likelihood(self, self.tokenizer, self._to_device(self.tokenizer.encode(codes).ids))

    def log_likelihood(
        self, ids: Tensor, candidates: Callable[[Tensor], Tensor] | None = None, keep: Tensor | None = None
    ) -> Tensor:
        """Return log P(token t+1 | tokens up to t) in nats, [B, T-1], of a causal model.

        `candidates` maps ids [B, T] to the tokens [B, T, C] that may follow each; the probabilities are then renormalised over
        them (only four overlapping k-mers can follow a k-mer).
        """
        self._require_causal("likelihood")
        logits = self(ids, keep)[:, :-1]
        if candidates is not None:
            allowed = candidates(ids)[:, :-1]
            log_p = logits.gather(-1, allowed).log_softmax(-1)
            return log_p.masked_fill(allowed != ids[:, 1:, None], -torch.inf).amax(-1)
        return logits.log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]

    def sample(
        self,
        prompt: Tensor,
        n_tokens: int,
        generator: torch.Generator,
        temperature: float = 1.0,
        candidates: Callable[[Tensor], Tensor] | None = None,
        past: list[Any] | None = None,
    ) -> Tensor:
        """Draw `n_tokens` more tokens after prompt [B, T] from a causal model: [B, T + n_tokens].

        temperature: logits are divided by it; 0, and less than 1e-30, takes the most probable token. `candidates` as in
        `log_likelihood`, e.g. `successors` for overlapping k-mers. past: from `new_past`, or from the call that drew the last
        tokens of the prompt.
        """
        self._require_causal("sampling")
        ids = prompt
        past = self.new_past() if past is None else past
        for _ in range(n_tokens):
            logits = self._next_logits(ids, past)  # [B, V]
            allowed = None if candidates is None else candidates(ids[:, -1:])[:, 0]  # [B, C]
            if allowed is not None:
                logits = logits.gather(-1, allowed)
            if temperature < _GREEDY:
                chosen = logits.argmax(-1, keepdim=True)
            else:
                p = (logits.float() / temperature).softmax(-1).cpu()  # so that a seed draws the same on every device
                chosen = p.multinomial(1, generator=generator).to(ids.device)
            ids = torch.cat([ids, chosen if allowed is None else allowed.gather(-1, chosen)], dim=1)
        return ids

    def new_past(self) -> list[Any] | None:
        """Return empty keys and values for each layer, which `sample` keeps; None if the model cannot reuse them."""
        return None

    def _next_logits(self, ids: Tensor, past: list[Any] | None) -> Tensor:
        """Return the logits [B, V] of the token after ids [B, T]; with `past`, only tokens that are not in it are computed."""
        new, reuse = ids, dict[str, Any]()
        if past is not None:
            new, reuse["past"] = ids[:, past[0].n_tokens :], past
        last = torch.full((len(new), 1), new.shape[1] - 1, device=ids.device)
        return self.head(self.embed(new, rows=last, **reuse))[:, 0]

    def _require_causal(self, what: str) -> None:
        if not self.causal:
            raise ConfigError(f"{what} needs a causal model; this one sees both sides (causal = false).")

    def _to_device(self, array: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(next(self.parameters()).device)


def check_tokenizer(tokenizer: Any, n_vocab: int, model: str) -> None:
    """Raise ConfigError if a model has no tokenizer, or one of another size."""
    if not hasattr(tokenizer, "n_vocab"):
        raise ConfigError(
            f"the {model} has no tokenizer, without which its folder could not be read again; set "
            "model.tokenizer, to KmerTokenizer(6) say, or to that of the model that it comes from."
        )
    if tokenizer.n_vocab != n_vocab:
        raise ConfigError(
            f"the tokenizer has {tokenizer.n_vocab} tokens, the {model} {n_vocab}; set "
            "model.tokenizer to the one that it was made for."
        )


def read_tokenizer(folder: Path, n_vocab: int, name: str = TOKENIZER) -> Any:
    """Read the tokenizer of a model folder; raise CheckpointError if its vocabulary has another size."""
    tokenizer = load_tokenizer(folder / name)
    if tokenizer.n_vocab != n_vocab:
        raise CheckpointError(
            f"{folder}: {name} has {tokenizer.n_vocab} tokens, config.json {n_vocab}; copy the model folder again."
        )
    return tokenizer


def successors(tokenizer: Any, ids: Tensor) -> Tensor:
    """Return the four k-mers that can follow each token at stride 1: ids [B, T] -> [B, T, 4].

    See `KmerTokenizer.successors`.
    """
    return _successor_table(tokenizer, ids.device)[ids]


@lru_cache(maxsize=8)
def _successor_table(tokenizer: Any, device: torch.device) -> Tensor:
    """Return the successors of every token, [V, 4]."""
    with torch.inference_mode(False):  # training may use it later
        return torch.from_numpy(tokenizer.successors(np.arange(tokenizer.n_vocab))).to(device)


def base_posterior(
    model: TokenModel, ids: Tensor, rows: Tensor, candidates: Tensor, valid: Tensor, keep: Tensor | None = None
) -> Tensor:
    """Return log2 P(base) at the target of each window, [B, 4] in the order A, C, G, T, from one forward pass.

    Parameters are the fields of `Tokenizer.mask_bases` as tensors. For each token the logits of its candidates are renormalised
    over the four bases (with candidates [B, M, 4, G], of which G carry each base, their probabilities are summed); the
    log-probabilities are averaged over the tokens, and the average is renormalised. For k = 1 this is the plain masked
    marginal. NaN if no token is valid (N all around).
    """
    logits = model.logits_at(ids, rows, as_candidates(candidates), keep)
    return posterior_of_logits(logits, candidates, valid)


def base_posteriors(
    model: TokenModel, ids: Tensor, rows: Tensor, candidates: Tensor, valid: Tensor, keep: Tensor | None = None
) -> Tensor:
    """Return log2 P(base) at m targets of each window, [B, m, 4], all masked in one forward pass; see `base_posterior`.

    rows: [B, m, M]; candidates: [B, m, M, ...]; valid: [B, m, M].
    """
    flat = candidates.flatten(1, 2)  # [B, m M, ...]
    logits = model.logits_at(ids, rows.flatten(1), as_candidates(flat), keep).unflatten(1, rows.shape[1:])
    log2_p = posterior_of_logits(logits.flatten(0, 1), candidates.flatten(0, 1), valid.flatten(0, 1))
    return log2_p.unflatten(0, rows.shape[:2])


def as_candidates(candidates: Tensor) -> Tensor | None:
    """Return candidates [B, M, 4] for `TokenModel.head`; None for [B, M, 4, G], which need the logits of all tokens."""
    return candidates if candidates.dim() == 3 else None


def posterior_of_logits(logits: Tensor, candidates: Tensor, valid: Tensor) -> Tensor:
    """Return log2 P(base) [B, 4] from the logits of candidates [B, M, 4], or of all tokens [B, M, V] for [B, M, 4, G].

    See `base_posterior`.
    """
    logits = logits.float()
    if candidates.dim() == 4:
        logits = logits.gather(-1, candidates.flatten(2)).unflatten(-1, candidates.shape[2:]).logsumexp(-1)
    weight = valid.float() / valid.sum(1, keepdim=True)  # NaN where nothing is valid
    log_p = logits.log_softmax(-1).masked_fill(~valid[..., None], 0) * weight.nan_to_num(nan=0.0)[..., None]
    return log_p.sum(1).log_softmax(-1).where(valid.any(1)[:, None], torch.nan) / math.log(2)


def window_log2_likelihood(model: TokenModel, tokenizer: Any, ids: Tensor) -> Tensor:
    """Return log2 P(window) of a causal model, [B].

    Overlapping k-mers: the sum over all bases after the first k-mer, each given the bases before it, renormalised over the four
    k-mers that can follow. Tokens with an N, and tokens that follow one, are left out of the sum. Other tokens: the sum of
    log P(token | tokens before) over all tokens that name bases and follow another token.
    """
    known = torch.from_numpy(tokenizer.names_bases(ids.cpu().numpy())).to(ids.device)
    if not tokenizer.sliding:
        log_p = model.log_likelihood(ids, keep=model.keep(ids))
        return log_p.masked_fill(~known[:, 1:], 0.0).sum(1) / math.log(2)
    log_p = model.log_likelihood(ids, lambda tokens: successors(tokenizer, tokens))  # [B, T-1]
    counted = known[:, 1:] & known[:, :-1]
    return log_p.masked_fill(~counted, 0.0).sum(1) / math.log(2)
