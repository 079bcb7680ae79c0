"""Language modelling: windows -> ready batches of tokens, and the loss on the labelled tokens."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from genoformer.models.token_model import TokenModel
from genoformer.tokenizers import Tokenizer
from genoformer.training.losses import Loss
from genoformer.training.objectives import IGNORED, Example
from genoformer.training.random_streams import RandomStream
from genoformer.training.windows import RandomWindows


class Batch(NamedTuple):
    """Token ids [B, T], and the tokens to predict: at positions rows [B, M], labels [B, M] with weights [B, M].

    rows: None predicts at every token (M = T). keep [B, T] is False at padding; None if there is no padding.
    """

    inputs: Tensor
    keep: Tensor | None
    rows: Tensor | None
    labels: Tensor
    weights: Tensor
    n_slots: int  # tokens in a row, without the special tokens that the tokenizer adds


class LanguageModelBatches:
    """Batches of a language model by their number: windows are drawn, tokenized and masked."""

    def __init__(self, windows: RandomWindows, tokenizer: Tokenizer, objective: Any, soft_masked_weight: float = 1.0) -> None:
        self.windows, self.tokenizer, self.objective, self.soft_masked_weight = (
            windows,
            tokenizer,
            objective,
            soft_masked_weight,
        )

    def __call__(self, i: int) -> Batch:
        size = self.windows.batch_size
        numbers = np.arange(i * size, (i + 1) * size)
        codes, lower = self.windows.drawn(numbers, soft_masked=self.soft_masked_weight < 1)
        encoding = self.tokenizer.encode(codes)
        inputs, labels = self.objective(encoding, RandomStream(self.windows.seed, numbers, stream=1))
        weights = np.ones(labels.shape, dtype=np.float32)
        if lower is not None:
            weights -= (1 - self.soft_masked_weight) * _share(lower, encoding.spans)
            if self.objective.predicts_next:
                weights[:, :-1] = weights[:, 1:].copy()
        keep = encoding.ids != self.tokenizer.pad_id  # not of inputs, where a random token may be that of padding
        return ready_batch(self.tokenizer, Example(inputs, labels), weights, keep, few_labels=self.objective.label_rate < 1)


def ready_batch(
    tokenizer: Tokenizer, example: Example, weights: NDArray[np.float32], keep: NDArray[np.bool_], *, few_labels: bool
) -> Batch:
    """Return a batch of tensors from inputs and labels, weights of labels, and keep (False = padding), each [B, T].

    few_labels: predict labelled tokens only.
    """
    inputs, labels = example
    labelled = labels != IGNORED
    rows = None
    if few_labels:
        rows = np.argsort(~labelled, axis=1, kind="stable")[:, : max(1, int(labelled.sum(1).max()))]
        labels, weights = np.take_along_axis(labels, rows, 1), np.take_along_axis(weights, rows, 1)
    return Batch(
        torch.from_numpy(inputs),
        None if keep.all() else torch.from_numpy(keep),
        None if rows is None else torch.from_numpy(rows),
        torch.from_numpy(labels),
        torch.from_numpy(weights),
        max(1, inputs.shape[1] - tokenizer.n_added),
    )


def _share(marked: NDArray[np.bool_], offsets: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the fraction of marked bases in each token: [B, L], [B, T, 2] -> [B, T]; 0 for special tokens."""
    before = np.zeros((len(marked), marked.shape[1] + 1), dtype=np.int64)
    np.cumsum(marked, axis=1, out=before[:, 1:])
    first, after = offsets[..., 0], offsets[..., 1]
    n = np.take_along_axis(before, after, 1) - np.take_along_axis(before, first, 1)
    return (n / np.maximum(after - first, 1)).astype(np.float32)


def language_model_loss(model: TokenModel, batch: Batch, label_rate: float) -> Loss:
    """Return the cross-entropy in nats of the labelled tokens; the last layer and the head compute only these tokens."""
    hidden = model.embed(batch.inputs, batch.keep, batch.rows)
    labelled = batch.labels != IGNORED
    weights = batch.weights[labelled]
    losses = F.cross_entropy(model.head(hidden[labelled]).float(), batch.labels[labelled], reduction="none")
    return Loss((losses * weights).sum(), weights.sum(), label_rate * len(batch.inputs) * batch.n_slots)
