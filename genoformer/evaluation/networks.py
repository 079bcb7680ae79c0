"""Sequences -> one-hot -> a small CNN, or a BiLSTM with attention: network baselines without pre-training."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor, nn

from genoformer.evaluation.examples import Examples, Floats, examples, pad, refuse_one_class, split
from genoformer.genome.codes import Codes
from genoformer.tasks import Task

_EPOCHS = 30  # at most, or those of _STEPS if more; all sets we have tried stop earlier
_PATIENCE = 4  # epochs without a better validation loss, or those of _PATIENCE_STEPS if more
_STEPS, _PATIENCE_STEPS = 2000, 300  # an epoch of 200 sequences is 12 steps, in which weights hardly change
_LARGEST_BATCH, _SMALLEST_BATCH = 128, 16
_BATCHES = 64  # per epoch, within these sizes: sets of 8,192 sequences and more have the largest batches
_LEARNING_RATE = 1e-3  # Adam's own default (Kingma and Ba 2015)
_BATCH_BASES = 1 << 17  # padded bases in a batch of predictions


class Stem(nn.Module):
    """Convolution over bases, GELU and max pooling; positions beyond the end of a sequence stay zero."""

    def __init__(self, width: int, kernel: int, pool: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, width, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm1d(width)
        self.pool = pool

    def forward(self, x: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
        x = F.gelu(self.norm(self.conv(x))) * keep  # [B, D, L]
        return F.max_pool1d(x, self.pool), F.max_pool1d(keep, self.pool)  # [B, D, P], [B, 1, P]


class CNN(nn.Module):
    """CNN: convolution, pooling, convolution, maximum and mean over positions, and one linear layer."""

    pool = 4

    def __init__(self, n_outputs: int, width: int = 96, kernel: int = 15, dropout: float = 0.3) -> None:
        super().__init__()
        self.stem = Stem(width, kernel, self.pool)
        self.conv = nn.Conv1d(width, width, 7, padding=3, bias=False)
        self.norm = nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * width, n_outputs)

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        x, keep = self.stem(x, keep)  # [B, D, P]
        x = F.gelu(self.norm(self.conv(self.dropout(x))))
        most = x.masked_fill(keep == 0, -torch.inf).amax(2)
        mean = (x * keep).sum(2) / keep.sum(2)
        return self.head(self.dropout(torch.cat([most, mean], dim=1)))  # [B, C]


class LSTMAttention(nn.Module):
    """Convolution, pooling, bidirectional LSTM, additive attention over positions (Bahdanau 2015), and one linear layer."""

    pool = 4  # a quarter of the positions, for training on a CPU

    def __init__(self, n_outputs: int, width: int = 64, hidden: int = 64, kernel: int = 15, dropout: float = 0.3) -> None:
        super().__init__()
        self.stem = Stem(width, kernel, self.pool)
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.key = nn.Linear(2 * hidden, hidden)
        self.query = nn.Linear(hidden, 1, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * hidden, n_outputs)

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        x, keep = self.stem(x, keep)  # [B, D, P]
        n_positions = keep[:, 0].sum(1).long()
        packed = nn.utils.rnn.pack_padded_sequence(
            self.dropout(x).transpose(1, 2), n_positions.cpu(), batch_first=True, enforce_sorted=False
        )
        x = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=keep.shape[2])[0]
        score = self.query(torch.tanh(self.key(x)))[..., 0].masked_fill(keep[:, 0] == 0, -torch.inf)  # [B, P]
        x = (score.softmax(1)[..., None] * x).sum(1)
        return self.head(self.dropout(x))  # [B, C]


@dataclass
class Network:
    """A trained network and its task; see `fit_cnn` and `fit_lstm_attention`."""

    task: Task
    net: CNN | LSTMAttention
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def predict(self, sequences: Sequence[Codes]) -> Floats:
        """Return probabilities or values of sequences of any lengths, float32 [N, C]."""
        order = np.argsort([len(sequence) for sequence in sequences], kind="stable")  # similar lengths, little padding
        at_once = max(1, _BATCH_BASES // max(map(len, sequences)))
        parts = []
        self.net.eval()
        with torch.inference_mode():
            for first in range(0, len(order), at_once):
                out = self.net(*_inputs([sequences[i] for i in order[first : first + at_once]], self.net.pool))
                parts.append(self.task.values(out).numpy())
        values = np.empty((len(order), parts[0].shape[1]), dtype=np.float32)
        values[order] = np.concatenate(parts)
        return values


def fit_cnn(
    sequences: Sequence[Codes],
    targets: ArrayLike,
    task: Task,
    *,
    valid: tuple[Sequence[Codes], ArrayLike] | None = None,
    seed: int = 0,
    epochs: int | None = None,
) -> Network:
    """Train a CNN on one-hot sequences (about 70,000 weights) with Adam and early stopping on the validation loss.

    sequences: codes of any lengths. targets: as in `genoformer.tasks`.
    valid: sequences and targets for early stopping; without them a tenth of the training set is held out (`split`).
    epochs: maximum; None is 30, or those of 2,000 steps if more. Training stops at least 4 epochs and 300 steps after the best.
    The same seed gives the same network on the same machine. Raises ConfigError for targets that do not fit (`examples`).

    >>> from genoformer.genome.codes import encode
    >>> from genoformer.tasks import Classification
    >>> data, task = [encode("AAAAAAAA"), encode("CCCCCCCC")] * 20, Classification(("a", "c"))
    >>> fit_cnn(data, [0, 1] * 20, task, epochs=2).predict(data[:3]).shape
    (3, 2)
    """
    return _fit(CNN, examples(sequences, targets, task), valid, task, seed, epochs)


def fit_lstm_attention(
    sequences: Sequence[Codes],
    targets: ArrayLike,
    task: Task,
    *,
    valid: tuple[Sequence[Codes], ArrayLike] | None = None,
    seed: int = 0,
    epochs: int | None = None,
) -> Network:
    """Train convolution, BiLSTM and attention on one-hot sequences (about 80,000 weights); otherwise as `fit_cnn`."""
    return _fit(LSTMAttention, examples(sequences, targets, task), valid, task, seed, epochs)


def _fit(
    make: type[CNN] | type[LSTMAttention],
    everything: Examples,
    valid: tuple[Sequence[Codes], ArrayLike] | None,
    task: Task,
    seed: int,
    epochs: int | None,
) -> Network:
    train, held_out = split(everything, valid, task, seed=seed)
    refuse_one_class(task, train.targets)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(task.scaled(train.targets, np.float32, least=1e-6), make(task.n_outputs))
        _train(network, train, held_out, np.random.default_rng(seed), epochs)
    return network


class _Plan(NamedTuple):
    """Training plan: sequences per batch, steps per epoch, maximum of epochs, and epochs without improvement."""

    batch: int
    n_steps: int
    epochs: int
    patience: int


def _plan(n: int) -> _Plan:
    batch = min(max(n // _BATCHES, _SMALLEST_BATCH), _LARGEST_BATCH)
    n_steps = -(-n // batch)
    return _Plan(batch, n_steps, max(_EPOCHS, -(-_STEPS // n_steps)), max(_PATIENCE, -(-_PATIENCE_STEPS // n_steps)))


def _train(network: Network, train: Examples, held_out: Examples, random: np.random.Generator, epochs: int | None) -> None:
    net = network.net
    plan = _plan(len(train.targets))
    epochs = plan.epochs if epochs is None else epochs
    optimizer = torch.optim.Adam(net.parameters(), lr=_LEARNING_RATE)
    best, best_epoch, weights = np.inf, 0, copy.deepcopy(net.state_dict())
    for epoch in range(1, epochs + 1):
        net.train()
        for part in _batches(train, plan.batch, random):
            optimizer.zero_grad(set_to_none=True)
            _loss(network, part).backward()
            optimizer.step()
        net.eval()
        with torch.inference_mode():
            losses = [(float(_loss(network, part)), len(part.targets)) for part in _batches(held_out, _LARGEST_BATCH)]
        loss = sum(value * n for value, n in losses) / len(held_out.targets)
        if loss < best:
            best, best_epoch, weights = loss, epoch, copy.deepcopy(net.state_dict())
        elif epoch - best_epoch >= plan.patience:
            break
    net.load_state_dict(weights)
    if np.isfinite(best):
        network.notes.append(f"best of {epoch} epochs of {plan.n_steps} steps: {best_epoch} (validation loss {best:.4f})")
    else:
        network.warnings.append("the validation loss was never finite: failed")


def _batches(data: Examples, size: int, random: np.random.Generator | None = None) -> Iterator[Examples]:
    """Yield batches of all examples; with a generator, shuffled and without a last batch of one, which has no variance."""
    n = len(data.targets)
    order = np.arange(n) if random is None else random.permutation(n)
    for first in range(0, n, size):
        rows = order[first : first + size]
        if random is None or len(rows) > 1 or n == 1:
            yield data.take(rows)


def _inputs(sequences: Sequence[Codes], multiple: int) -> tuple[Tensor, Tensor]:
    """Return the one-hot [B, 4, L] and the mask of positions in the sequence [B, 1, L]; N is four zeros."""
    codes, lengths = pad(sequences, multiple)
    onehot = torch.from_numpy(codes)[:, None] == torch.arange(4)[:, None]
    keep = torch.arange(codes.shape[1]) < torch.from_numpy(lengths)[:, None]
    return onehot.float(), keep[:, None].float()


def _loss(network: Network, part: Examples) -> Tensor:
    out = network.net(*_inputs(part.sequences, network.net.pool))
    return network.task.loss(out, torch.from_numpy(part.targets), reduction="mean")
