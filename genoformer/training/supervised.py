"""Labelled sequences -> batches of windows of tokens with targets, and the loss of a fine-tuned model on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genoformer.genome.codes import Codes, N, reverse_complement
from genoformer.inference.windows import cut_windows, tokenize_windows
from genoformer.models.heads import SequenceClassifier
from genoformer.training.losses import Loss
from genoformer.training.random_streams import RandomStream

_SORTED = 32  # batches in a group that is sorted by length, so that little is padded


class Batch(NamedTuple):
    """Windows: ids, is_base and keep (or None) [W, T], and owner, their sequence [W]. Sequences: targets and weights [B]."""

    ids: Tensor
    is_base: Tensor
    keep: Tensor | None
    owner: Tensor
    targets: Tensor
    weights: Tensor


class LabelledBatches:
    """Batches by their number: every sequence once per epoch, in an order that depends only on (seed, epoch)."""

    def __init__(
        self,
        sequences: Sequence[Codes],
        targets: NDArray[Any],
        weights: NDArray[np.float32],
        model: SequenceClassifier,
        *,
        batch_size: int,
        seed: int,
        token_dropout: float,
        max_shift: int = 0,
    ) -> None:
        self.sequences, self.targets, self.weights = sequences, targets, weights
        self.config, self.tokenizer = model.config, model.tokenizer
        self.batch_size, self.seed, self.token_dropout, self.max_shift = batch_size, seed, token_dropout, max_shift
        self.lengths = np.array([len(sequence) for sequence in sequences])
        self.n_batches = math.ceil(len(sequences) / batch_size)
        self.epoch, self.order = -1, np.empty(0, dtype=np.int64)

    def __call__(self, i: int) -> Batch:
        epoch, within = divmod(i, self.n_batches)
        if epoch != self.epoch:
            self.epoch, self.order = epoch, self._order(epoch)
        rows = self.order[within * self.batch_size : (within + 1) * self.batch_size]
        sequences = [self.sequences[row] for row in rows]
        if self.config.both_strands:
            flips = RandomStream(self.seed, rows + epoch * len(self.sequences))(1)[:, 0] < 0.5
            sequences = [reverse_complement(s) if flip else s for s, flip in zip(sequences, flips, strict=True)]
        if self.max_shift:
            by = RandomStream(self.seed, rows + epoch * len(self.sequences), stream=2)(1)[:, 0] * (2 * self.max_shift + 1)
            sequences = [shift_sequences(s, int(n) - self.max_shift) for s, n in zip(sequences, by, strict=True)]
        windows = cut_windows(sequences, self.config.window, self.config.overlap, self.tokenizer.min_bases)
        ids, keep, is_base = tokenize_windows(self.tokenizer, windows.codes)
        if self.token_dropout:
            hidden = RandomStream(self.seed, np.arange(len(ids)) + i * 2**20, stream=1)(ids.shape[1]) < self.token_dropout
            ids = np.where(hidden & self.tokenizer.names_bases(ids), self.tokenizer.mask_id, ids)
        return Batch(
            torch.from_numpy(ids),
            torch.from_numpy(is_base),
            None if keep is None else torch.from_numpy(keep),
            torch.from_numpy(windows.owner),
            torch.from_numpy(self.targets[rows]),
            torch.from_numpy(self.weights[rows]),
        )

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


def predictor_loss(model: SequenceClassifier, batch: Batch, batch_size: int) -> Loss:
    """Return the loss of a batch: that of the model's task for each sequence, weighted."""
    losses = model.task.loss(sequence_logits(model, batch), batch.targets)
    return Loss((losses * batch.weights).sum(), batch.weights.sum(), float(batch_size))


def sequence_logits(model: SequenceClassifier, batch: Batch) -> Tensor:
    """Return the logits [B, C] of sequences: the mean over the windows of each sequence."""
    logits = model(batch.ids, batch.is_base, batch.keep).float()  # [W, C]
    n_sequences = len(batch.targets)
    if len(logits) == n_sequences:
        return logits
    total = logits.new_zeros(n_sequences, logits.shape[1]).index_add(0, batch.owner, logits)
    return total / torch.bincount(batch.owner, minlength=n_sequences)[:, None]
