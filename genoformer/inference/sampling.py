"""A causal language model -> sampled sequences with their log-likelihood -> FASTA."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from genoformer.errors import ConfigError, OptionError
from genoformer.genome.codes import A, encode
from genoformer.inference.runtime import CPU, Runtime, evaluating, with_runtime
from genoformer.models import registry
from genoformer.models.base import Model, SequenceLikelihood, require
from genoformer.models.token_model import TokenModel, successors
from genoformer.progress import Progress, ProgressCallback
from genoformer.progress_bar import shown_progress

_TOGETHER = 32  # sequences; the drawn bases depend on it, and not on the device
_LINE = 60  # bases in a line of FASTA


@dataclass(frozen=True)
class SamplingRequest:
    """Sequences to sample; options out of range raise ConfigError."""

    model: str | Path | Model
    number: int = 10  # of sequences
    length: int = 200  # bases of a sequence, with the prompt
    prompt: str = ""  # first bases of every sequence; blocks: after the last whole one, single letters if there are any
    temperature: float = 1.0  # logits are divided by it; 0 takes the most probable token
    seed: int = 0
    runtime: Runtime = CPU

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ConfigError(f"number = {self.number}: give 1 sequence or more.")
        if set(self.prompt.upper()) - set("ACGT"):
            raise ConfigError(f"the prompt is {self.prompt[:30]!r}; give bases A, C, G and T.")
        if self.length <= len(self.prompt):
            raise ConfigError(f"length = {self.length}: the prompt alone has {len(self.prompt)} bases; give more.")
        if not 0 <= self.temperature < float("inf"):
            raise ConfigError(f"temperature = {self.temperature:g}: give 0 (the most probable token) or more.")


class SampledSequence(NamedTuple):
    """Bases of a sequence, prompt included, and its log-likelihood: the sum of ln P of the sampled tokens.

    P(token | tokens before) of the model at temperature 1, over the tokens that can follow: four for overlapping k-mers, else
    all tokens of A, C, G, T. The last token of a vocabulary of longer tokens may reach beyond the end of the sequence.
    """

    bases: str
    log_likelihood: float


def sample(model: str | Path | Model, *, progress: bool | None = None, **options: Any) -> list[SampledSequence]:
    """Sample sequences from a causal language model; options: number, length, prompt, temperature, seed, device, precision.

    See `SamplingRequest`. progress: True shows a bar, False none, None one if stderr is a terminal. The same options give the
    same sequences. A model has learned nothing of distances beyond its `config.context_length`, in bases. Raises
    CheckpointError for a masked model.

    >>> from genoformer.models.transformer.model import Encoder, EncoderConfig
    >>> from genoformer.tokenizers import BaseTokenizer
    >>> untrained = Encoder(EncoderConfig(n_vocab=9, width=16, n_layers=1, n_heads=2, ffn_width=32, causal=True))
    >>> untrained.tokenizer = BaseTokenizer()
    >>> [len(sequence.bases) for sequence in sample(untrained, number=2, length=30, prompt="ACG")]
    [30, 30]
    """
    request = with_runtime(SamplingRequest, model=model, **options)
    with shown_progress(progress, "sequences") as report:
        return list(sample_sequences(request, progress=report))


def sample_sequences(
    request: SamplingRequest, *, progress: ProgressCallback = None, tell: Callable[[str], None] = lambda text: None
) -> Iterator[SampledSequence]:
    """Yield the sequences of a request, some at a time; `tell` receives a note on sequences longer than the model's windows.

    Raises CheckpointError for a masked model, ConfigError for a length that the model cannot read, and for tokens that overlap
    and do not start at every base.
    """
    loaded: Any = registry.load(request.model, SequenceLikelihood) if isinstance(request.model, str | Path) else request.model
    require(loaded, SequenceLikelihood)
    with evaluating(loaded, request.runtime.device, request.runtime.precision) as model, torch.no_grad():
        sampler = _Sampler(model, request)
        if request.length > model.config.context_length:
            tell(
                f"sequences have {request.length:,} bases, and the model was made for windows of "
                f"{model.config.context_length:,}; give a length of up to that."
            )
        generator = torch.Generator().manual_seed(request.seed)
        for first in range(0, request.number, _TOGETHER):
            n = min(_TOGETHER, request.number - first)
            yield from sampler.draw(n, generator)
            if progress is not None:
                progress(Progress("sampling", first + n, request.number))


def write_samples(
    request: SamplingRequest, *, progress: ProgressCallback = None, tell: Callable[[str], None] = lambda text: None
) -> Iterator[str]:
    """Yield the lines of a FASTA; a header line has the log-likelihood and the options. tell: see `sample_sequences`."""
    options = f"temperature={request.temperature:g} seed={request.seed} prompt={len(request.prompt)}"
    for i, (bases, log_likelihood) in enumerate(sample_sequences(request, progress=progress, tell=tell), 1):
        yield f">sample_{i} log_likelihood={log_likelihood:.4f} {options}\n"
        yield from (bases[at : at + _LINE] + "\n" for at in range(0, len(bases), _LINE))


class _Sampler:
    """A model that is ready to draw, the tokens of the prompt, and the tokens that can be drawn."""

    def __init__(self, model: TokenModel, request: SamplingRequest) -> None:
        self.model, self.request, self.prompt = model, request, request.prompt.upper()
        tokenizer = model.tokenizer
        if model.longest_window is not None and request.length > model.longest_window:
            raise ConfigError(f"length = {request.length:,}: the model reads {model.longest_window:,} bases; give up to that.")
        example = tokenizer.encode(np.full((1, 3 * tokenizer.min_bases), A, dtype=np.uint8)).spans[0]
        body = example[example[:, 1] > example[:, 0]]
        self.sliding: bool = tokenizer.sliding
        if not self.sliding and (body[1:, 0] < body[:-1, 1]).any():
            raise ConfigError(
                "tokens overlap by less than k - 1 bases, so that no next token can be drawn; give another model."
            )
        if self.sliding and request.length < tokenizer.min_bases:
            raise ConfigError(f"length = {request.length}: a token has {tokenizer.min_bases} bases; give at least as many.")
        self.start = _tokens_of_prompt(tokenizer, self.prompt)
        bases = {i: text for text, i in tokenizer.vocab.items() if i not in tokenizer.special_ids and set(text) <= set("ACGT")}
        self.allowed = torch.tensor(sorted(bases), device=next(model.parameters()).device)  # [C]
        self.n_bases = np.zeros(tokenizer.n_vocab, dtype=np.int64)  # of each token, not counting those of the token before
        self.n_bases[list(bases)] = [1 if self.sliding else len(text) for text in bases.values()]

    def draw(self, n: int, generator: torch.Generator) -> Iterator[SampledSequence]:
        """Yield n sequences."""
        tokenizer, request = self.model.tokenizer, self.request
        ids = torch.tensor([self.start] * n, device=self.allowed.device)
        past, n_start = self.model.new_past(), len(self.start)
        missing = request.length - len(self.prompt)
        longest = int(self.n_bases.max())
        if self.sliding and not self.prompt:
            ids = self.model.sample(ids, 1, generator, request.temperature, self._any, past)
            missing -= tokenizer.min_bases
        while missing > 0:
            n_tokens = -(-missing // longest)
            ids = self.model.sample(ids, n_tokens, generator, request.temperature, self._following, past)
            missing = self._n_missing(ids)
        log_p = self._log_p(ids).double().cpu().numpy()  # [n, T] of the drawn tokens
        for row, of_row in zip(ids.tolist(), log_p, strict=True):
            ends = len(self.prompt) + np.cumsum(self.n_bases[row[n_start:]])
            n_used = len(of_row) if self.sliding else int(np.searchsorted(ends, request.length)) + 1
            drawn = row if self.sliding else row[n_start : n_start + n_used]
            text = tokenizer.text(drawn) if self.sliding else self.prompt + tokenizer.text(drawn)
            yield SampledSequence(text[: request.length], float(of_row[:n_used].sum()))

    def _n_missing(self, ids: Tensor) -> int:
        """Return the number of bases that the shortest sequence lacks."""
        if self.sliding:
            return 0
        n_bases = self.n_bases[ids[:, len(self.start) :].cpu().numpy()].sum(axis=1)
        return int(self.request.length - len(self.prompt) - n_bases.min())

    def _log_p(self, ids: Tensor) -> Tensor:
        """Return ln P of the drawn tokens given the tokens before, [n, T]."""
        first = len(self.start) - 1
        log_p = self.model.log_likelihood(ids, self._following)[:, first:]
        if self.sliding and not self.prompt:
            log_p[:, 0] = self.model.log_likelihood(ids[:, : first + 2], self._any)[:, first]
        return log_p

    def _any(self, ids: Tensor) -> Tensor:
        """Return all tokens of bases for each token: ids [B, T] -> [B, T, C]."""
        return self.allowed.expand(*ids.shape, -1)

    def _following(self, ids: Tensor) -> Tensor:
        """Return the tokens that can follow each token: ids [B, T] -> [B, T, C]."""
        return successors(self.model.tokenizer, ids) if self.sliding else self._any(ids)


def _tokens_of_prompt(tokenizer: Any, prompt: str) -> Sequence[int]:
    """Return the tokens before the first base, and those of the prompt; ConfigError for a prompt that ends within a token."""
    encoding = tokenizer.encode(encode(prompt or "A" * tokenizer.min_bases)[None])
    of_bases = np.flatnonzero(encoding.is_base[0])
    spelt = tokenizer.text(encoding.ids[0, of_bases].tolist())
    if prompt and (not tokenizer.names_bases(encoding.ids)[0, of_bases].all() or len(spelt) != len(prompt)):
        k = tokenizer.n_phases
        raise ConfigError(
            f"the prompt has {len(prompt)} bases, and the model reads blocks of {k} and no single letters; give a multiple "
            f"of {k}."
        )
    ids: list[int] = encoding.ids[0, : of_bases[-1] + 1 if prompt else of_bases[0]].tolist()
    if not ids:
        raise OptionError("prompt", "is empty, but the model has no token for the start of a sequence; give the first bases.")
    return ids
