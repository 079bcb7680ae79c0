"""Labelled sequences -> batches of windows of tokens with targets, and the loss of a fine-tuned model on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N, reverse_complement
from genoformer.inference.windows import cut_windows, tokenize_windows
from genoformer.models.heads import SequenceClassifier
from genoformer.training.config import TuningConfig
from genoformer.training.losses import Loss
from genoformer.training.random_streams import RandomStream

_SORTED = 32  # batches in a group that is sorted by length, so that little is padded


class Batch(NamedTuple):
    """Windows: ids, is_base and keep (or None) [W, T], and owner, their sequence [W]. Sequences: targets and weights [B].

    With mixup, which has one window for each sequence, partner [B] is the number of the sequence that a sequence is mixed with,
    and share [B] its own share; targets and weights are those of the mixtures.
    """

    ids: Tensor
    is_base: Tensor
    keep: Tensor | None
    owner: Tensor
    targets: Tensor
    weights: Tensor
    partner: Tensor | None = None
    share: Tensor | None = None


class LabelledBatches:
    """Batches by their number: every sequence once per epoch, in an order that depends only on (seed, epoch)."""

    def __init__(
        self,
        sequences: Sequence[Codes],
        targets: NDArray[Any],
        weights: NDArray[np.float32],
        model: SequenceClassifier,
        plan: TuningConfig,
        fresh: Callable[[int], tuple[Sequence[Codes], NDArray[Any]]] | None = None,
    ) -> None:
        """Store the data; fresh returns the sequences and the targets of an epoch, if they change."""
        self.fresh = fresh
        self.sequences, self.targets, self.weights = sequences, targets, weights
        self.config, self.tokenizer = model.config, model.tokenizer
        self.batch_size, self.seed, self.plan = plan.batch_size, plan.seed, plan
        self.lengths = np.array([len(sequence) for sequence in sequences])
        self.n_batches = math.ceil(len(sequences) / self.batch_size)
        if plan.mixup:
            check_mixup(model, int(self.lengths.max()))
        self.epoch, self.order = -1, np.empty(0, dtype=np.int64)

    def __call__(self, i: int) -> Batch:
        epoch, within = divmod(i, self.n_batches)
        if epoch != self.epoch:
            self.epoch, self.order = epoch, self._order(epoch)
            if self.fresh is not None:
                self.sequences, self.targets = self.fresh(epoch)
        rows = self.order[within * self.batch_size : (within + 1) * self.batch_size]
        sequences = [self.sequences[row] for row in rows]
        if self.config.both_strands:
            flips = RandomStream(self.seed, rows + epoch * len(self.sequences))(1)[:, 0] < 0.5
            sequences = [reverse_complement(s) if flip else s for s, flip in zip(sequences, flips, strict=True)]
        if most := self.plan.max_shift:
            by = RandomStream(self.seed, rows + epoch * len(self.sequences), stream=2)(1)[:, 0] * (2 * most + 1)
            sequences = [shift_sequences(s, int(n) - most) for s, n in zip(sequences, by, strict=True)]
        windows = cut_windows(sequences, self.config.window, self.config.overlap, self.tokenizer.min_bases)
        ids, keep, is_base = tokenize_windows(self.tokenizer, windows.codes)
        if self.plan.token_dropout:
            drawn = RandomStream(self.seed, np.arange(len(ids)) + i * 2**20, stream=1)(ids.shape[1])
            hidden = drawn < self.plan.token_dropout
            ids = np.where(hidden & self.tokenizer.names_bases(ids), self.tokenizer.mask_id, ids)
        batch = Batch(
            torch.from_numpy(ids),
            torch.from_numpy(is_base),
            None if keep is None else torch.from_numpy(keep),
            torch.from_numpy(windows.owner),
            torch.from_numpy(self.targets[rows]),
            torch.from_numpy(self.weights[rows]),
        )
        return mixed_targets(batch, self.plan.mixup, np.random.default_rng([self.seed, i, 5])) if self.plan.mixup else batch

    def _order(self, epoch: int) -> NDArray[np.int64]:
        random = np.random.default_rng([self.seed, epoch])
        order = random.permutation(len(self.sequences))
        if self.lengths.min() == self.lengths.max():
            return order
        size = self.batch_size * _SORTED
        groups = [order[i : i + size] for i in range(0, len(order), size)]
        alike = np.concatenate([group[np.argsort(self.lengths[group], kind="stable")] for group in groups])
        batches = [alike[i : i + self.batch_size] for i in range(0, len(alike), self.batch_size)]
        last = batches.pop() if len(batches[-1]) < self.batch_size else None  # an incomplete batch stays at the end
        shuffled = [batches[i] for i in random.permutation(len(batches))]
        return np.concatenate([*shuffled, *([last] if last is not None else [])])


def shift_sequences(codes: Codes, by: int) -> Codes:
    """Return the sequence shifted `by` positions to the right (left if negative), at the same length, filled with N.

    >>> shift_sequences(np.array([0, 1, 2, 3], dtype=np.uint8), 1)
    array([4, 0, 1, 2], dtype=uint8)
    """
    out = np.full_like(codes, N)
    n = max(0, len(codes) - abs(by))
    out[max(by, 0) :][:n] = codes[max(-by, 0) :][:n]
    return out


def check_mixup(model: SequenceClassifier, longest: int) -> None:
    """Raise ConfigError for a model or sequences (of `longest` bases at most) whose embeddings cannot be mixed."""
    if longest > model.config.window:
        raise ConfigError(
            f"mixup mixes whole sequences, found one of {longest:,} bases in windows of {model.config.window:,}; set it to 0."
        )
    if not isinstance(getattr(model.encoder, "tokens", None), nn.Embedding):
        raise ConfigError(f"mixup mixes embeddings of tokens, which {type(model.encoder).__name__} has not; set it to 0.")
    if getattr(model.encoder.config, "masked_in_training", 0):
        raise ConfigError("mixup does not fit a model that scales its embeddings by masked tokens, as ESM does; set it to 0.")


def mixed_targets(batch: Batch, alpha: float, random: np.random.Generator) -> Batch:
    """Return a batch whose sequences have a partner in a random order, with the share Beta(alpha, alpha) of their own.

    Targets are mixed so that the loss, which is linear in probabilities, is the sum of the losses of both targets, weighted.
    For values, whose loss is a square, this holds up to a constant.
    """
    n = len(batch.targets)
    partner = torch.from_numpy(random.permutation(n))
    share = torch.from_numpy(random.beta(alpha, alpha, n).astype(np.float32))
    own, other = share * batch.weights, (1 - share) * batch.weights[partner]  # [B]
    weights = own + other
    part = (own / weights).nan_to_num(nan=0.5)[:, None]  # sequences of weight 0 count nowhere
    targets = part * batch.targets + (1 - part) * batch.targets[partner]
    return batch._replace(targets=targets, weights=weights, partner=partner, share=share)


def mixed_inputs(model: SequenceClassifier, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return ids, is_base and keep of a batch; with mixup, mixed embeddings [B, T, E], and tokens of either sequence."""
    if batch.partner is None or batch.share is None:
        return batch.ids, batch.is_base, batch.keep
    share, partner, keep = batch.share[:, None, None], batch.partner, batch.keep
    x = model.encoder.tokens(batch.ids)  # [B, T, E]
    if keep is not None:
        x = x.masked_fill(~keep[..., None], 0)
        keep = keep | keep[partner]
    return share * x + (1 - share) * x[partner], batch.is_base | batch.is_base[partner], keep


def predictor_loss(model: SequenceClassifier, batch: Batch, batch_size: int) -> Loss:
    """Return the loss of a batch: that of the model's task for each sequence, weighted."""
    losses = model.task.loss(sequence_logits(model, batch), batch.targets)
    return Loss((losses * batch.weights).sum(), batch.weights.sum(), float(batch_size))


def sequence_logits(model: SequenceClassifier, batch: Batch) -> Tensor:
    """Return the logits [B, C] of sequences: the mean over the windows of each sequence."""
    logits = model(*mixed_inputs(model, batch)).float()  # [W, C]
    n_sequences = len(batch.targets)
    if len(logits) == n_sequences:
        return logits
    total = logits.new_zeros(n_sequences, logits.shape[1]).index_add(0, batch.owner, logits)
    return total / torch.bincount(batch.owner, minlength=n_sequences)[:, None]
